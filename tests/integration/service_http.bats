#!/usr/bin/env bats
# The service from outside, as HTTP: limits, slow clients, TLS, hooks, tokens that come twice, what
# a reload changes and how it ends. Asked with curl, and with bare sockets where curl is too polite.

load service_lab

setup() {
    need curl jq git openssl python3
}

# raw TEXT [SECONDS]: sends bytes, prints what comes back until the other side ends it.
raw() {
    python3 - "${url##*:}" "$1" "${2:-15}" <<'P'
import socket, sys, time
port, text, seconds = int(sys.argv[1]), sys.argv[2].encode().decode("unicode_escape"), float(sys.argv[3])
s = socket.create_connection(("127.0.0.1", port))
s.settimeout(seconds)
s.sendall(text.encode("latin-1"))
got, start = b"", time.monotonic()
try:
    while True:
        more = s.recv(65536)
        if not more:
            break
        got += more
except (TimeoutError, socket.timeout):
    got += b"(still open)"
except ConnectionError:
    pass
print(got.decode("latin-1"))
print(f"after {time.monotonic() - start:.0f} s")
P
}

@test "answers carry what they must, and nothing is known of what there is not" {
    service_world
    service_start
    ask GET /healthz
    assert_code 200
    [ "$body" = ok ]
    [[ "$(header X-Request-Id)" =~ ^[0-9a-f]{32}$ ]]
    [ "$(header X-Content-Type-Options)" = nosniff ]
    [ "$(header X-Frame-Options)" = DENY ]
    [ "$(header Cache-Control)" = no-store ]
    [[ "$(header Content-Security-Policy)" == "default-src 'none'"* ]]
    ask GET /healthz -H 'X-Request-Id: from-the-caller-1'
    [ "$(header X-Request-Id)" = from-the-caller-1 ]
    ask GET /healthz -H 'X-Request-Id: a b'
    [[ "$(header X-Request-Id)" =~ ^[0-9a-f]{32}$ ]]
    ask GET /nothing/here
    assert_code 404 not-found
    [ "$(header Content-Type)" = application/problem+json ]
    [ "$(jq -r '.request_id' <<<"$body")" = "$(header X-Request-Id)" ]
    ask DELETE /api/v1/deployments
    assert_code 405 method-not-allowed
    [ "$(header Allow)" = "POST, GET, HEAD" ]
    ask OPTIONS /api/v1/locks
    assert_code 204
    [ "$(header Allow)" = "GET, HEAD, POST" ]
    ask HEAD /healthz --head
    assert_code 200
    ask GET /api/v1/deployments
    assert_code 401 token-missing
    [ "$(header WWW-Authenticate)" = Bearer ]
    ask GET /api/v1/locks
    assert_code 401 sign-in-needed
    ask GET /openapi.yaml
    assert_code 200
    diff "$BATS_TEST_TMPDIR/body" "${DISPATCHER_ROOT:-$BATS_TEST_DIRNAME/../..}/docs/openapi.yaml"
    ask GET /reason-codes
    [[ "$body" == *'<dt id="ref-not-allowed">'* ]]
    service_stop
    sandbox_stop
}

@test "what is too large or malformed is refused before it is read" {
    service_world
    service_start
    local path
    token=$(job_token)
    # A length that is announced: nothing of the body is waited for.
    run raw 'POST /api/v1/deployments HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n' 5
    [[ "$output" == *"HTTP/1.1 413"* ]]
    [[ "$output" == *'"code":"too-large"'* ]]
    [[ "$output" == *"after 0 s"* ]]
    run raw 'POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 26214401\r\n\r\n' 5
    [[ "$output" == *"HTTP/1.1 413"* ]]
    # One that is not: cut once it is over.
    head -c 1100000 /dev/zero | tr '\0' x >"$world/large"
    ask POST /api/v1/deployments -H 'Transfer-Encoding: chunked' -H 'Expect:' \
        --data-binary "@$world/large"
    [[ "$code" = 413 || "$code" = 000 ]]
    run raw "GET /$(printf 'x%.0s' {1..40000}) HTTP/1.1\r\nHost: x\r\n\r\n" 5
    [[ "$output" == *"HTTP/1.1 414"* || "$output" == *"HTTP/1.1 431"* ]]
    run raw "GET / HTTP/1.1\r\nHost: x\r\nX-Long: $(printf 'x%.0s' {1..40000})\r\n\r\n" 5
    [[ "$output" == *"HTTP/1.1 431"* ]]
    ask_json POST /api/v1/deployments '{"app": "shop"'
    assert_code 400 bad-request
    ask_json POST /api/v1/deployments '{"app": "shop", "app": "tools", "env": "staging"}'
    assert_code 400 bad-request
    ask_json POST /api/v1/deployments "$(printf '[%.0s' {1..100})"
    assert_code 400 bad-request
    ask POST /api/v1/deployments -H 'Content-Type: text/plain' -d '{}'
    assert_code 400 bad-request
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "staging", "versions": "v1"}'
    assert_code 400 bad-request
    [ "$(jq -r .hint <<<"$body")" = "Did you mean 'version'?" ]
    ask_json POST /api/v1/deployments '{"app": "../x", "env": "staging", "version": "v1"}'
    assert_code 400 bad-request
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "staging", "version": "v1"}' \
        -H "Idempotency-Key: $(printf 'k%.0s' {1..256})"
    assert_code 400 bad-request
    ask GET '/api/v1/deployments?limit=0'
    assert_code 400 bad-request
    ask GET '/api/v1/deployments?app=%00'
    assert_code 400 bad-request
    token=$(person_token octocat)
    ask_json POST /api/v1/locks \
        '{"scope": "target", "app": "shop", "env": "staging", "reason": "x", "expires_in": "0s"}'
    assert_code 400 bad-request # not: for ever
    for path in '/audit?since=2026-99-99' '/audit.csv?until=yesterday' '/audit.jsonl?view=bypasses&since=x'; do
        ask GET "$path"
        assert_code 400 # not: everything
    done
    ask GET '/audit.csv?since=2026-01-01&until=2026-01-01'
    assert_code 200
    service_stop
    sandbox_stop
}

@test "slow clients are ended, and keep nobody waiting" {
    service_world
    service_start
    python3 - "${url##*:}" >"$world/slow" <<'P' &
import socket, sys, time
port = int(sys.argv[1])
kinds = {
    "headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Drip: ",
    "body": b"POST /api/v1/deployments HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
    "silent": b"",
}
socks = {}
for kind, start in kinds.items():
    for i in range(100):
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(start)
        s.setblocking(False)
        socks[s] = [kind, None]
start = time.monotonic()
while time.monotonic() - start < 25 and any(e[1] is None for e in socks.values()):
    for s, e in socks.items():
        if e[1] is not None:
            continue
        try:
            if e[0] != "silent":
                s.send(b"x")
            got = s.recv(4096)
            e[1] = (time.monotonic() - start, got[:12])
        except BlockingIOError:
            pass
        except OSError:
            e[1] = (time.monotonic() - start, b"reset")
    time.sleep(0.5)
for kind in kinds:
    ends = [e[1] for e in socks.values() if e[0] == kind]
    late = [x for x in ends if x is None or x[0] > 14]
    said = sum(1 for x in ends if x and x[1] == b"HTTP/1.1 408")
    print(kind, len(ends), "late", len(late), "408", said > 0)
P
    extra_pid=$!
    sleep 1
    local worst=0 took
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        took=$(curl -s -o /dev/null -w '%{time_total}' "$url/healthz")
        worst=$(python3 -c "print(max($worst, $took))")
    done
    python3 -c "assert $worst < 0.5, $worst"
    wait "$extra_pid"
    extra_pid=
    cat "$world/slow"
    [ "$(cat "$world/slow")" = "headers 100 late 0 408 True
body 100 late 0 408 True
silent 100 late 0 408 True" ] || [ "$(grep -c 'late 0' "$world/slow")" = 3 ]
    service_stop
    sandbox_stop
}

@test "a token counts once: the same request is answered alike, another one refused, after a restart too" {
    service_world
    service_start
    token=$(job_token)
    local first='{"app": "shop", "env": "staging", "version": "v1"}' id
    ask_json POST /api/v1/deployments "$first"
    assert_code 202
    id=$(jq -r .id <<<"$body")
    ask_json POST /api/v1/deployments "$first"
    assert_code 200
    [ "$(jq -r .id <<<"$body")" = "$id" ]
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "staging", "version": "v2"}'
    assert_code 401 token-replayed
    service_stop
    service_start
    ask_json POST /api/v1/deployments "$first"
    assert_code 200
    [ "$(jq -r .id <<<"$body")" = "$id" ]
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "staging", "version": "v2"}'
    assert_code 401 token-replayed
    ask_json POST "/api/v1/deployments/$id/cancel" '{}'
    [[ "$code" = 401 || "$code" = 409 ]]
    # A key of the caller's own.
    token=$(job_token)
    ask_json POST /api/v1/deployments "$first" -H 'Idempotency-Key: key-1'
    assert_code 202
    id=$(jq -r .id <<<"$body")
    token=$(job_token)
    ask_json POST /api/v1/deployments "$first" -H 'Idempotency-Key: key-1'
    assert_code 200
    [ "$(jq -r .id <<<"$body")" = "$id" ]
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "staging", "version": "v3"}' \
        -H 'Idempotency-Key: key-1'
    assert_code 422 idempotency-mismatch
    service_stop
    sandbox_stop
}

@test "tokens that are not good, each with its code" {
    service_world
    service_start
    local good
    good=$(job_token)
    local last=A
    [ "${good: -2:1}" != A ] || last=B
    token=${good::-2}$last${good: -1} ask GET /api/v1/deployments
    assert_code 401 token-signature
    token=x.y.z ask GET /api/v1/deployments
    assert_code 401 token-malformed
    token=$(job_token '{"audience": "https://elsewhere.example.org"}') ask GET /api/v1/deployments
    assert_code 401 token-audience
    token=$(job_token '{"claims": {"iss": "https://elsewhere.example.org"}}') ask GET /api/v1/deployments
    assert_code 401 token-issuer
    token=$(job_token '{"issued_ago": 300, "expires_in": -120}') ask GET /api/v1/deployments
    assert_code 401 token-expired
    token=ghp_nobody ask GET /api/v1/deployments
    assert_code 401 person-unknown
    token=$(person_token mallory) ask GET /api/v1/deployments
    assert_code 401 person-unknown
    token=$(job_token) ask GET /api/v1/locks
    assert_code 401 sign-in-needed
    # Keys that rotate: the new one is fetched when a token names it, and the old one goes.
    curl -sf "$DISPATCHER_SANDBOX_CONTROL/oidc/rotate" -d '{"keep": false}' >/dev/null
    token=$(job_token) ask GET /api/v1/deployments
    [[ "$code" = 200 || "$(jq -r .code <<<"$body")" = token-key-unknown ]] # within the first minute
    service_stop
    sandbox_stop
}

@test "what is somebody else's is told as what there is not" {
    service_world
    service_start
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "staging", "version": "v1"}'
    local id missing foreign path
    id=$(jq -r .id <<<"$body")
    token=$(job_token '{"repository": "acme/tools"}')
    for path in "" /events /cancel; do
        local method=GET
        [ "$path" != /cancel ] || method=POST
        ask "$method" "/api/v1/deployments/$id$path"
        foreign="$code $(jq -c 'del(.request_id)' <<<"$body")"
        ask "$method" "/api/v1/deployments/d-0000000000000000$path"
        missing="$code $(jq -c 'del(.request_id)' <<<"$body")"
        [ "$foreign" = "$missing" ]
        assert_code 404 not-found
    done
    ask GET '/api/v1/deployments?app=shop'
    [ "$body" = '{"deployments":[],"next":null}' ]
    ask GET /api/v1/deployments
    [ "$body" = '{"deployments":[],"next":null}' ]
    ask GET /api/v1/apps
    [ "$(jq -r '[.apps[].app] | join(" ")' <<<"$body")" = tools ]
    ask GET /api/v1/apps/shop
    assert_code 404 not-found
    token=$(job_token)
    ask GET /api/v1/apps
    [ "$(jq -r '[.apps[].app] | join(" ")' <<<"$body")" = shop ]
    service_stop
    sandbox_stop
}

@test "whoever asked for a deployment follows it whatever becomes of the spec" {
    service_world
    service_start
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}'
    assert_code 202
    local id tries=0
    id=$(jq -r .id <<<"$body")
    echo "nonsense: [" >>"$world/infra/appspecs/shop.yaml"
    commit_infra "broken"
    kill -HUP "$service_pid"
    until grep -q 'an invalid spec: nobody may deploy this app' "$world/serve.err"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ]
        sleep 0.1
    done
    ask GET "/api/v1/deployments/$id"
    assert_code 200
    token=$(job_token '{"repository": "acme/tools"}')
    ask GET "/api/v1/deployments/$id"
    assert_code 404 not-found
    # Of another owner it is another's, too, though its number is the same.
    token=$(job_token '{"claims": {"repository_owner_id": "7"}}')
    ask GET "/api/v1/deployments/$id"
    assert_code 404 not-found
    token=$(job_token)
    ask_json POST "/api/v1/deployments/$id/cancel" '{}'
    assert_code 202
    service_stop
    sandbox_stop
}

@test "without specs nobody is told that there is nothing" {
    service_world
    mv "$world/infra" "$world/gone" # they were never read
    service_start
    local path
    for path in deployments queue apps environments; do
        token=$(job_token)
        ask GET "/api/v1/$path"
        assert_code 503 specs-unavailable
    done
    token=$(person_token octocat)
    ask GET /api/v1/deployments
    assert_code 200
    service_stop
    sandbox_stop
}

@test "hooks: signed, once, and only those that matter are written down" {
    service_world
    service_start
    local run='{"action":"completed","repository":{"full_name":"acme/infra"},"workflow_run":{"id":5,"status":"completed"}}'
    hook workflow_run "$run"
    assert_code 202
    [ "$body" = '{"accepted":true}' ]
    delivery=11111111-2222-3333-4444-555555555555 hook workflow_run "$run"
    assert_code 202
    delivery=11111111-2222-3333-4444-555555555555 hook workflow_run "$run"
    assert_code 202
    ask GET /metrics
    grep -qx 'dispatcher_hooks_total 3' <<<"$body"
    grep -qx 'dispatcher_hooks_again_total 1' <<<"$body"
    ask GET /api/v1/locks
    ask GET /metrics
    grep -qx 'dispatcher_refusals_total{code="sign-in-needed"} 1' <<<"$body"
    hook ping '{"zen":"x"}'
    [ "$code $body" = '202 {"accepted":false}' ]
    hook push '{"ref":"refs/heads/main","repository":{"full_name":"acme/shop","default_branch":"main"}}'
    [ "$code $body" = '202 {"accepted":false}' ]
    hook push '{"ref":"refs/heads/main","repository":{"full_name":"acme/infra","default_branch":"main"}}'
    [ "$code $body" = '202 {"accepted":true}' ]
    hook workflow_run 'no json'
    assert_code 400 bad-request
    delivery=x hook workflow_run "$run"
    assert_code 400 bad-request
    hook_secret=another hook workflow_run "$run"
    assert_code 401 token-signature
    ask POST /hooks/github -H 'X-GitHub-Event: ping' -H 'X-GitHub-Delivery: 11111111-2222' -d '{}' \
        -H "X-Hub-Signature: sha1=$(printf '{}' | openssl dgst -sha1 -hmac "$hook_secret" -r | cut -d' ' -f1)"
    assert_code 401 token-signature
    ask POST /hooks/github -H 'X-GitHub-Event: ping' -H 'X-GitHub-Delivery: 11111111-2222'
    assert_code 401 token-signature
    # Large ones go another way.
    local pad
    pad=$(head -c 300000 /dev/zero | tr '\0' x)
    printf '{"pad":"%s","repository":{"full_name":"acme/infra"},"workflow_run":{"id":6,"status":"queued"}}' \
        "$pad" >"$world/large.json"
    ask POST /hooks/github -H 'Content-Type: application/json' -H 'X-GitHub-Event: workflow_run' \
        -H 'X-GitHub-Delivery: 99999999-2222' --data-binary "@$world/large.json" \
        -H "X-Hub-Signature-256: sha256=$(openssl dgst -sha256 -hmac "$hook_secret" -r "$world/large.json" | cut -d' ' -f1)"
    [ "$code $body" = '202 {"accepted":true}' ]
    service_stop
    sandbox_stop
}

@test "GitHub's own examples of deliveries are all taken or passed over" {
    local examples=${DISPATCHER_ROOT:-$BATS_TEST_DIRNAME/../..}/tests/e2e/node/node_modules/@octokit/webhooks-examples
    [ -d "$examples" ] || skip "@octokit/webhooks-examples is not installed (npm ci)"
    service_world
    service_start
    run python3 - "$examples/api.github.com/index.json" "$url" "$hook_secret" <<'P'
import hashlib, hmac, json, sys, urllib.request, uuid
count, bad, taken = 0, [], 0
for event in json.load(open(sys.argv[1])):
    for example in event["examples"]:
        body = json.dumps(example).encode()
        mac = hmac.new(sys.argv[3].encode(), body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(sys.argv[2] + "/hooks/github", body, {
            "Content-Type": "application/json", "X-GitHub-Event": event["name"],
            "X-GitHub-Delivery": str(uuid.uuid4()), "X-Hub-Signature-256": "sha256=" + mac})
        count += 1
        try:
            answer = urllib.request.urlopen(request)
            taken += json.load(answer)["accepted"]
            if answer.status != 202:
                bad.append((event["name"], answer.status))
        except Exception as err:
            bad.append((event["name"], str(err)))
print(count > 200, taken > 10, bad)
P
    [ "$output" = "True True []" ] || { echo "$output"; false; }
    service_stop
    sandbox_stop
}

@test "a stream tells the state, goes on where it was left, and ends with its deployment" {
    service_world
    service_start
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}'
    local id
    id=$(jq -r .id <<<"$body")
    curl -sN -H "Authorization: Bearer $token" "$url/api/v1/deployments/$id/events" \
        >"$world/events" 3>&- &
    extra_pid=$!
    local tries=0
    until grep -q '"code":"approval-needed"' "$world/events"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ]
        sleep 0.1
    done
    [ "$(head -1 "$world/events")" = "retry: 2000" ]
    token=$(person_token octocat)
    ask_json POST "/api/v1/deployments/$id/cancel" '{"reason": "not today"}'
    assert_code 202
    wait "$extra_pid"
    extra_pid=
    [ "$(grep -c '^event: state' "$world/events")" -ge 2 ]
    [ "$(grep '^data: ' "$world/events" | tail -1 | cut -c7- | jq -r '.state + " " + .result')" = \
        "final cancelled" ]
    # A comment comes while there is nothing to tell.
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v2"}'
    id=$(jq -r .id <<<"$body")
    timeout 18 curl -sN -H "Authorization: Bearer $token" -H 'Last-Event-ID: 5' \
        "$url/api/v1/deployments/$id/events" >"$world/events" || true
    grep -qx : "$world/events"
    ask GET "/api/v1/deployments/$id/events?after=x"
    assert_code 400 bad-request
    # One that has heard more than there is still ends with its deployment.
    token=$(person_token octocat)
    ask_json POST "/api/v1/deployments/$id/cancel" '{}'
    assert_code 202
    ask GET "/api/v1/deployments/$id/events" -H 'Last-Event-ID: 9223372036854775807' --max-time 10
    assert_code 200
    [[ "$body" = *'"state":"final"'* ]]
    service_stop
    sandbox_stop
}

@test "SIGTERM: not ready, streams sent elsewhere, requests answered, all within ten seconds" {
    service_world
    service_start
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}'
    local id start streams=()
    id=$(jq -r .id <<<"$body")
    for _ in 1 2 3; do
        curl -sN -H "Authorization: Bearer $token" "$url/api/v1/deployments/$id/events" \
            >>"$world/events" 3>&- &
        streams+=($!)
    done
    sleep 1
    start=$SECONDS
    service_stop
    [ $((SECONDS - start)) -le 10 ]
    wait "${streams[@]}"
    [ "$(grep -c '^retry: 1000' "$world/events")" = 3 ]
    ask GET /healthz
    [ "$code" = 000 ]
    # What waited is still there.
    service_start
    token=$(job_token)
    ask GET "/api/v1/deployments/$id"
    assert_code 200
    [ "$(jq -r .state <<<"$body")" = queued ]
    service_stop
    sandbox_stop
}

@test "SIGHUP: good settings count at once, wrong ones are told and change nothing" {
    service_world
    service_start
    hook ping '{}'
    assert_code 202
    sed -i 's/env:HOOK_SECRET/env:SLACK_HOOK_SECRET/' "$world/serve.yaml"
    kill -HUP "$service_pid"
    local tries=0
    until grep -q '"reloaded"' "$world/serve.err"; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ]
        sleep 0.1
    done
    hook ping '{}'
    assert_code 401 token-signature
    hook_secret=$slack_secret hook ping '{}'
    assert_code 202
    # Of another organisation nobody is a member, whoever was let in a moment ago.
    token=$(person_token octocat)
    ask GET /api/v1/locks
    assert_code 200
    sed -i 's/^  organization: .*/  organization: others/' "$world/serve.yaml"
    kill -HUP "$service_pid"
    tries=0
    until [ "$(grep -c '"reloaded"' "$world/serve.err")" = 2 ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ]
        sleep 0.1
    done
    ask GET /api/v1/locks
    assert_code 401 person-unknown
    token=
    # What does not count yet is said.
    make_certificate late
    sed -i "s#^  organization: .*#&\n  otlp: http://127.0.0.1:1\n  tls: {certificate: $world/tls.pem, key: $world/tls.key}#" "$world/serve.yaml"
    kill -HUP "$service_pid"
    tries=0
    until [ "$(grep -c '"reloaded"' "$world/serve.err")" = 3 ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ]
        sleep 0.1
    done
    grep -q '"a setting changed that counts from the next start on","key":"otlp"' "$world/serve.err"
    grep -q '"a setting changed that counts from the next start on","key":"tls"' "$world/serve.err"
    sed -i 's/webhook_secrets/webhok_secrets/' "$world/serve.yaml"
    kill -HUP "$service_pid"
    tries=0
    until grep -q '"the settings are wrong, so the old ones stay"' "$world/serve.err"; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ]
        sleep 0.1
    done
    hook_secret=$slack_secret hook ping '{}'
    assert_code 202
    service_stop
    sandbox_stop
}

# Prints the port of somebody who takes connections and never answers.
silent_port() {
    python3 -c '
import os, socket, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(64)
print(s.getsockname()[1], flush=True)
if os.fork() == 0:
    os.close(1)
    time.sleep(60)
' 3>&-
}

@test "SIGTERM while a reload waits for a secret ends it all the same" {
    service_world
    export AWS_ENDPOINT_URL_SSM
    AWS_ENDPOINT_URL_SSM=http://127.0.0.1:$(silent_port)
    service_start
    sed -i 's#env:HOOK_SECRET#ssm:/hook#' "$world/serve.yaml"
    kill -HUP "$service_pid"
    sleep 1
    local start=$SECONDS
    service_stop
    [ $((SECONDS - start)) -le 5 ]
    grep -q '"not reloaded, so the old settings stay"' "$world/serve.err"
    sandbox_stop
}

@test "TLS by its own listener, with a certificate that a reload replaces" {
    service_world
    make_certificate first
    service_config "s#^  url: .*#  url: https://127.0.0.1:8080#; s#^  listen: .*#&\n  tls: {certificate: $world/tls.pem, key: $world/tls.key}#"
    service_start
    [[ "$url" == https://127.0.0.1:* ]]
    curl -s --cacert "$world/tls.pem" -D "$world/h" "$url/healthz" | grep -qx ok
    grep -qi '^strict-transport-security: max-age=31536000' "$world/h"
    run curl -s --cacert "$world/tls.pem" --tls-max 1.1 "$url/healthz"
    [ "$status" -ne 0 ]
    run curl -s "http://${url#https://}/healthz"
    [ "$status" -ne 0 ]
    cp "$world/tls.pem" "$world/first.pem"
    make_certificate second
    kill -HUP "$service_pid"
    local tries=0
    until curl -s --cacert "$world/tls.pem" "$url/healthz" | grep -qx ok; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ]
        sleep 0.1
    done
    run curl -s --cacert "$world/first.pem" "$url/healthz"
    [ "$status" -ne 0 ]
    # One that does not fit its key changes nothing, however often, and a good one still counts.
    cp "$world/tls.pem" "$world/second.pem"
    openssl genrsa -out "$world/tls.key" 2048 2>/dev/null
    local times
    for times in 1 2; do
        kill -HUP "$service_pid"
        tries=0
        until [ "$(grep -c '"the certificate cannot be used, so the old one stays"' "$world/serve.err")" = "$times" ]; do
            tries=$((tries + 1))
            [ "$tries" -lt 50 ]
            sleep 0.1
        done
        curl -s --cacert "$world/second.pem" "$url/healthz" | grep -qx ok
    done
    make_certificate third
    kill -HUP "$service_pid"
    tries=0
    until curl -s --cacert "$world/tls.pem" "$url/healthz" | grep -qx ok; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ]
        sleep 0.1
    done
    service_stop
    sandbox_stop
}

make_certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj "/CN=$1" \
        -addext 'subjectAltName=IP:127.0.0.1' -keyout "$world/tls.key" -out "$world/tls.pem" 2>/dev/null
}

@test "too many requests are told when to come again" {
    service_world
    service_config 's/^  rate: .*/  rate: 5/'
    service_start
    token=$(job_token)
    local i
    for i in 1 2 3 4 5; do
        ask GET /api/v1/deployments
        assert_code 200
    done
    ask GET /api/v1/deployments
    assert_code 429 rate-limited
    [ "$(header Retry-After)" -ge 1 ]
    token=$(job_token '{"repository": "acme/tools"}')
    ask GET /api/v1/deployments # of its own
    assert_code 200
    token=
    for i in {1..100}; do # a page says it, too; some more come while we ask
        ask GET /sign-in
        [ "$code" = 200 ] || break
    done
    assert_code 429
    [ "$(header Retry-After)" -ge 1 ]
    service_stop
    sandbox_stop
}

@test "it does not start without a webhook secret, with an unknown key, or where it cannot listen" {
    service_world
    service_config '/webhook_secrets/d'
    run --separate-stderr "$bin" serve --config "$world/serve.yaml"
    [ "$status" -eq 3 ]
    [[ "$stderr" == *"webhook"* ]]
    service_config
    run --separate-stderr env -u HOOK_SECRET "$bin" serve --config "$world/serve.yaml"
    [ "$status" -eq 4 ]
    [[ "$stderr" == *"HOOK_SECRET"* ]]
    export HOOK_SECRET=x SLACK_HOOK_SECRET=y
    run --separate-stderr "$bin" serve --config "$world/serve.yaml" --listen nowhere
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"cannot listen on 'nowhere'"* ]]
    run --separate-stderr "$bin" serve --config "$world/serve.yaml" --listen "${DISPATCHER_SANDBOX#http://}"
    [ "$status" -eq 12 ]
    [[ "$stderr" == *"Address already in use"* ]]
    sandbox_stop
}

@test "nothing secret is in its log" {
    service_world
    service_start
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "staging", "version": "v1"}'
    ask GET "/api/v1/deployments?app=a-canary-in-a-query"
    local job=$token person
    person=$(person_token octocat)
    token=$person ask GET /api/v1/locks
    hook ping '{}'
    service_stop
    local secret
    for secret in "$job" "$person" "$hook_secret" "$slack_secret" a-canary-in-a-query; do
        refute grep -qF "$secret" "$world/serve.err"
        refute grep -qaF "$secret" "$world/state.db"
    done
    jq -es 'length > 3 and all(.time and .level and .message)' "$world/serve.err" >/dev/null
    sandbox_stop
}

@test "spans go to the collector, and one that is down costs nothing but spans" {
    service_world
    python3 - "$world/spans" "$world/collector.port" 3>&- <<'P' &
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[1], "ab") as file:
            file.write(self.path.encode() + b" " + body + b"\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *ignored):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
open(sys.argv[2], "w").write(str(server.server_port))
server.serve_forever()
P
    extra_pid=$!
    local tries=0
    until [ -s "$world/collector.port" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ]
        sleep 0.1
    done
    service_config "s#^  rate: .*#&\n  otlp: http://127.0.0.1:$(cat "$world/collector.port")#"
    service_start
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v1"}' \
        -H 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    assert_code 202
    local id
    id=$(jq -r .id <<<"$body")
    tries=0
    until grep -q '"accept"' "$world/spans" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ]
        sleep 0.1
    done
    [ "$(grep -c '^/v1/traces ' "$world/spans")" -ge 1 ]
    grep '"accept"' "$world/spans" | cut -d' ' -f2- | jq -e --arg id "$id" '.resourceSpans[0].scopeSpans[0].spans[0]
        | .traceId == "4bf92f3577b34da6a3ce929d0e0e4736" and (.spanId | length) == 16
            and .attributes[0].value.stringValue == $id' >/dev/null
    kill "$extra_pid"
    wait "$extra_pid" || true
    extra_pid=
    token=$(job_token)
    ask_json POST /api/v1/deployments '{"app": "shop", "env": "production", "version": "v2"}'
    assert_code 202
    tries=0
    until ask GET /metrics && grep -qE '^dispatcher_trace_dropped [1-9]' <<<"$body"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ]
        sleep 0.1
    done
    service_stop
    sandbox_stop
}
