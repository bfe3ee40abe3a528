#!/usr/bin/env bats
# The service under attack while something runs. Which test covers which row of the threat model:
#
# | rows            | where |
# |---|---|
# | T01, T48        | integration/service_threats.bats: six repositories, all endpoints, bodies, counts, the clock; unit/deploy/test_policy_decide.c (every cell) |
# | T02, T03, T04   | integration/service_threats.bats: nearly right names, ids, events, refs, audiences, issuers; unit/deploy/test_policy_decide.c, test_policy_token.c (NUL, more forms) |
# | T05             | integration/service_threats.bats: another place, tried again, 50 at once, keys, restart, two replicas; integration/service_http.bats; unit/store/test_queue_once.c |
# | T06, T07        | integration/service_threats.bats; unit/crypto/test_jwt_keys.c, unit/deploy/test_policy_token.c (vectors, each bit, beside openssl) |
# | T08             | unit/service/test_keys.c; here: a flood of unknown keys |
# | T09, T10        | integration/service_threats.bats: each digit and byte, confused events, 100 times, restart; here: what runs is not moved by words; unit/service/test_hooks_github.c, test_worker.c |
# | T11             | checks/banned: secrets are compared by digest_equal alone |
# | T12, T13        | unit/github/test_client.c, fault/service.bats, unit/deploy/test_policy_token.c |
# | T14             | here |
# | T28, T41        | integration/service_threats.bats (texts); e2e/reports_threats.bats |
# | T42             | integration/service_threats.bats (canaries); integration/service_http.bats (log) |
# | T46             | integration/service_threats.bats: sessions, flows, redirects, forms, pages; e2e/web.bats (a browser); unit/web/test_payloads.c |
# | T47             | integration/service_threats.bats (CSV, HTML); e2e/reports_threats.bats |
# | T60, T64        | integration/service_threats.bats: two readers, lines, 1,000 idle, a flood; integration/service_http.bats (slow, large) |
# | T61             | integration/service_threats.bats (a full tmpfs); unit/store, fault/ (each write) |
# | T62, T63        | unit/service/test_limiter.c, test_worker.c, fault/service.bats |
# shellcheck disable=SC2154 # variables of the lab

load lib.bash
load web_lab.bash

setup_file() {
    world_template
}

setup() {
    needs python3 openssl
    world_make
}

teardown() {
    world_end
}

# deliver EVENT JSON: signed as GitHub signs; sets $code.
deliver() {
    local signature
    signature=$(printf '%s' "$2" | openssl dgst -sha256 -hmac "$(cat "$world/secrets/hook")" -r | cut -d' ' -f1)
    code=$(curl -s -o /dev/null -w '%{http_code}' "$url/hooks/github" -H 'Content-Type: application/json' \
        -H "X-GitHub-Event: $1" -H "X-GitHub-Delivery: $(cat /proc/sys/kernel/random/uuid)" \
        -H "X-Hub-Signature-256: sha256=$signature" --data-binary "$2")
}

# tell RUN REPOSITORY STATUS CONCLUSION: as run and as job, signed.
tell() {
    local run="{\"id\": $1, \"run_id\": $1, \"run_attempt\": 1, \"status\": \"$3\", \"conclusion\": \"$4\", \"head_branch\": \"main\"}"
    local rest="\"action\": \"$3\", \"repository\": {\"full_name\": \"$2\", \"default_branch\": \"main\"}"
    deliver workflow_run "{$rest, \"workflow_run\": $run}"
    [ "$code" = 202 ]
    deliver workflow_job "{$rest, \"workflow_job\": $run}"
    [ "$code" = 202 ]
}

has_run() {
    [ "$(of "$1" run_id)" -gt 0 ] 2>/dev/null
}

@test "T10: what a delivery says moves nothing: GitHub is asked, and its answer counts" {
    service_start
    roll_out_is "while [ ! -e '$world/go' ]; do sleep 0.1; done"
    local id run conclusion
    id=$(ask staging "$first")
    until_true 30 has_run "$id"
    run=$(of "$id" run_id)
    for conclusion in success failure cancelled startup_failure; do
        tell "$run" demo/infra completed "$conclusion"
        tell "$run" evil/infra completed "$conclusion"
        tell "$run" demo/greeter completed "$conclusion"
        tell $((run + 1)) demo/infra completed "$conclusion"
    done
    sleep 3
    is "$id" state running
    touch "$world/go"
    until_true 60 is "$id" state final
    is "$id" result deployed
    # And what comes late turns nothing back.
    tell "$run" demo/infra in_progress null
    tell "$run" demo/infra completed failure
    sleep 1
    is "$id" result deployed
}

# Everything that the service asks GitHub goes through here; bodies of requests for tokens are kept in
# $world/minted, a line each.
relay_start() {
    local port
    port=$(free_port)
    cat >"$world/relay.py" <<'END'
import http.client
import http.server
import sys
import urllib.parse


class Relay(http.server.BaseHTTPRequestHandler):
    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.endswith("/access_tokens"):
            with open(sys.argv[3], "ab") as file:
                file.write(body.replace(b"\n", b"") + b"\n")
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(sys.argv[2]).netloc)
        keep = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        connection.request(self.command, self.path, body or None, keep)
        answer = connection.getresponse()
        read = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(read)))
        self.end_headers()
        self.wfile.write(read)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = pass_on

    def log_message(self, *ignored):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Relay).serve_forever()
END
    start relay python3 -B "$world/relay.py" "$port" "$DISPATCHER_SANDBOX" "$world/minted"
    relay=http://127.0.0.1:$port
    until_true 10 curl -sf -o /dev/null "$relay/_sandbox/state"
}

eval "plain_$(declare -f specs_are)"
specs_are() {
    if [ -n "${relayed-}" ]; then
        relay_start
        GITHUB_API_URL=${GITHUB_API_URL/"$DISPATCHER_SANDBOX"/"$relay"}
    fi
    plain_specs_are
}

@test "T14: the App's tokens are of one repository, with what the call needs and no more" {
    local relayed=1 id key=ghp_monalisa0000
    service_start
    deployed staging "$first"
    control github/people -d "{\"people\": [{\"login\": \"monalisa\", \"token\": \"$key\"}]}" >/dev/null
    id=$(ask production "$first")
    until_true 30 is "$id" code approval-needed
    curl -sf "$url/api/v1/deployments/$id/approve" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
        -d "$(curl -sf -H "Authorization: Bearer $key" "$url/api/v1/deployments/$id" |
            jq -c '.approvals | {version, diff}')" >/dev/null
    until_true 60 is "$id" state final
    cat "$world/minted"
    [ "$(wc -l <"$world/minted")" -ge 3 ]
    # Each names one repository; the one thing that may be written is a dispatch.
    jq -es 'all(.repositories == ["infra"])' "$world/minted" >/dev/null
    [ "$(jq -c .permissions "$world/minted" | sort -u)" = \
        '{"actions":"write","contents":"read","checks":"read"}
{"members":"read"}' ]
}

@test "T08: a flood of unknown keys makes the issuer no trouble" {
    service_start
    local good
    good=$(job_token "")
    control "reset?what=requests" -X POST
    python3 - "$url" "$good" <<'END'
import base64
import http.client
import json
import sys
import urllib.parse

head, claims, signature = sys.argv[2].split(".")
whole = json.loads(base64.urlsafe_b64decode(head + "=="))
connection = http.client.HTTPConnection(urllib.parse.urlsplit(sys.argv[1]).netloc)
for number in range(3000):
    text = json.dumps({**whole, "kid": f"k{number}"}).encode()
    text = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    connection.request("GET", "/api/v1/deployments",
                       headers={"Authorization": f"Bearer {text}.{claims}.{signature}"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status in (401, 429), answer.status
END
    [ "$(asked '.path | test("jwks|openid-configuration")')" -le 2 ]
    # The good one is still good, also from the address that sent all those.
    [ "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $good" "$url/api/v1/deployments")" = 200 ]
}
