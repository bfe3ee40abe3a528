# `deploy --server` and its sisters: a job without a key deploys through the service, and sees, writes
# and returns what it would see without one.
load lib.bash
load web_lab.bash

setup_file() {
    world_template
}

setup() {
    world_make
}

teardown() {
    world_end
}

@test "a job deploys with its OIDC token alone: same words, same code, summary and outputs" {
    service_start
    run --separate-stderr in_job "$DISPATCHER_BIN" deploy greeter --env staging --version "$first" --server "$url"
    echo "$output"; echo "$stderr"
    [ "$status" -eq 0 ]
    [[ $output == *"accepted as d-"* ]]
    [[ $output == *"greeter $first to staging (deployment d-"* ]]
    [[ $output == *"✓ trigger"* ]]
    grep -q "$first" "$world/summary"
    grep -q '^result=deployed' "$world/output" || grep -q 'deployed' "$world/output"
}

@test "the image is pushed from the job, and the service is told its digest" {
    service_start
    run --separate-stderr in_job "$DISPATCHER_BIN" deploy greeter --env staging --image "oci:$world/image" \
        --version v-of-the-job --server "$url"
    echo "$output"; echo "$stderr"
    [ "$status" -eq 0 ]
    [[ $output == *"greeter v-of-the-job to staging"* ]]
    [[ $output == *"- push web           present as sha256:"* ]]
    digest=$(curl -sf "http://$DISPATCHER_SANDBOX_REGISTRY/v2/greeter-staging-web/manifests/v-of-the-job" -I \
        -H 'Accept: application/vnd.oci.image.manifest.v1+json' | tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p')
    [[ $output == *"$digest"* ]]
}

@test "what waits for an approval says so, and goes on when it comes" {
    service_start
    deployed staging "$first"
    in_job "$DISPATCHER_BIN" deploy greeter --env production --version "$first" --server "$url" \
        >"$world/out" 2>"$world/err" &
    job=$!
    until_true 20 grep -q "approv" "$world/out"
    id=$(sed -n 's/^accepted as \(d-[0-9a-f]*\).*/\1/p' "$world/out")
    run as stranger "$DISPATCHER_BIN" approve "$id" --server "$url"
    echo "$output"
    [ "$status" -ne 0 ]
    run as hubot "$DISPATCHER_BIN" approve "$id" --server "$url"
    echo "$output"
    [ "$status" -eq 5 ]
    [[ $output == *"Who can change that: other members of devops."* ]]
    run as octocat "$DISPATCHER_BIN" approve "$id" --server "$url"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"1 of 1 approvals"* ]]
    wait "$job"
}

@test "a no is counted as none of the approvals" {
    service_start
    deployed staging "$first"
    in_job "$DISPATCHER_BIN" deploy greeter --env production --version "$first" --server "$url" \
        >"$world/out" 2>"$world/err" &
    job=$!
    until_true 20 grep -q "approv" "$world/out"
    id=$(sed -n 's/^accepted as \(d-[0-9a-f]*\).*/\1/p' "$world/out")
    run as octocat "$DISPATCHER_BIN" approve "$id" --reject --server "$url"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = "rejected: the deployment of 'greeter' to 'production' ($first); it ends" ]
    code=0
    wait "$job" || code=$?
    [ "$code" -eq 5 ]
}

@test "locks: made, seen by whoever waits, listed and lifted" {
    service_start
    run as octocat "$DISPATCHER_BIN" lock greeter --env staging --reason migration --server "$url"
    echo "$output"
    [ "$status" -eq 0 ]
    lock=$(cut -d' ' -f1 <<<"$output")
    in_job "$DISPATCHER_BIN" deploy greeter --env staging --version "$first" --server "$url" >"$world/out" 2>&1 &
    job=$!
    until_true 20 grep -q "migration" "$world/out"
    run as octocat "$DISPATCHER_BIN" locks --server "$url"
    [[ $output == *"$lock"*"migration"* ]]
    as octocat "$DISPATCHER_BIN" unlock "$lock" --server "$url"
    wait "$job"
}

@test "a warning holds nobody, and everybody reads it: the API, the job's log, its annotations, the page" {
    service_start
    run as octocat "$DISPATCHER_BIN" lock greeter --env staging --warning --reason "100%0A slow" \
        --server "$url"
    echo "$output"
    [ "$status" -eq 0 ]
    warning="'greeter' in 'staging' has a warning of octocat: "
    run --separate-stderr in_job "$DISPATCHER_BIN" deploy greeter --env staging --version "$first" --server "$url"
    echo "$output"; echo "$stderr"
    [ "$status" -eq 0 ]
    # Once, and as one command: what stands in a reason is none.
    [ "$(grep -c "^::warning title=dispatcher::${warning}100%250A slow$" <<<"$stderr")" = 1 ]
    id=$(sed -n 's/^accepted as \(d-[0-9a-f]*\).*/\1/p' <<<"$output")
    token=$(person_token octocat)
    # It is remembered of the deployment, when the lock is gone, too.
    lock=$(as octocat "$DISPATCHER_BIN" locks --server "$url" | grep -o 'l-[0-9a-f]*' | head -1)
    as octocat "$DISPATCHER_BIN" unlock "$lock" --server "$url"
    run curl -sf -H "Authorization: Bearer $token" "$url/api/v1/deployments/$id"
    [[ "$(jq -r '.warnings[]' <<<"$output")" == *"${warning}100%0A slow"* ]]
    # One of a person, at a terminal.
    as octocat "$DISPATCHER_BIN" lock --env staging --warning --reason "night" --server "$url"
    run --separate-stderr as octocat "$DISPATCHER_BIN" deploy greeter --env staging --version "$first" \
        --server "$url"
    echo "$output"; echo "$stderr"
    [[ $stderr == *"warning: 'staging' has a warning of octocat: night"* ]]
}

@test "a lock may begin later and end by itself; a freeze, too" {
    service_start
    run as octocat "$DISPATCHER_BIN" lock greeter --env staging --reason migration --for 2h --json --server "$url"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(jq -r '(.expires_at | fromdate) - (.starts_at | fromdate)' <<<"$output")" = 7200 ]
    run as octocat "$DISPATCHER_BIN" freeze --env production --reason end-of-year --in 8h --for 7d --json --server "$url"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(jq -r '(.starts_at | fromdate) - (.created_at | fromdate)' <<<"$output")" = 28800 ]
    [ "$(jq -r '(.expires_at | fromdate) - (.starts_at | fromdate)' <<<"$output")" = 604800 ]
    run as octocat "$DISPATCHER_BIN" lock greeter --reason forever --for 500d --server "$url"
    [ "$status" -eq 2 ]
    [[ $output == *"'500d' is not a duration"* ]]
}

@test "whoever waits reads why, whose turn it is, who can change it and what to type" {
    service_start
    deployed staging "$first"
    lock=$(as octocat "$DISPATCHER_BIN" lock greeter --env production --reason migration --on-release drop --server "$url" | cut -d' ' -f1)
    in_job "$DISPATCHER_BIN" deploy greeter --env production --version "$first" --server "$url" >"$world/out1" 2>"$world/err1" &
    one=$!
    until_true 20 grep -q "  #2 waits: 'greeter' in 'production' is locked by octocat: migration" "$world/out1"
    grep -qx "    can be changed by octocat, or an admin; then it will be dropped" "$world/out1"
    grep -qx "    next, for who may: dispatcher locks --server $url" "$world/out1"
    run_number=7002 in_job "$DISPATCHER_BIN" deploy greeter --env production --version "$first" --server "$url" >"$world/out2" 2>&1 &
    two=$!
    until_true 20 grep -qx "  #3 waits: #2 goes before it; #2 waits itself (locked)" "$world/out2"
    grep -qx "    can be changed by octocat, or an admin; then it will be dropped" "$world/out2" # it, too
    behind=$(sed -n 's/^accepted as \(d-[0-9a-f]*\).*/\1/p' "$world/out2")
    run curl -sf "$url/api/v1/deployments/$behind" -H "Authorization: Bearer $(person_token octocat)"
    [ "$(jq -c '[.reason.code, .position]' <<<"$output")" = '["behind",1]' ]
    as octocat "$DISPATCHER_BIN" unlock "$lock" --server "$url"
    code=0
    wait "$one" || code=$?
    [ "$code" -eq 11 ]
    grep -q "not begun: the lock that held it ('migration', by octocat) is over, and drops what waited (dropped)" "$world/err1"
    code=0
    wait "$two" || code=$?
    [ "$code" -eq 11 ]
}

@test "an emergency goes before what a freeze holds, is loud, and needs a reason and a team" {
    service_start
    deployed staging "$first"
    as octocat "$DISPATCHER_BIN" freeze --env production --reason fair --server "$url"
    held=$(ask production "$first")
    until_true 20 is "$held" code frozen
    run as octocat "$DISPATCHER_BIN" deploy greeter --env production --version "$first" --emergency --server "$url"
    [ "$status" -eq 2 ]
    [[ $output == *"an emergency needs a reason"* ]]
    run as hubot "$DISPATCHER_BIN" deploy greeter --env production --version "$first" --emergency --reason down --server "$url"
    echo "$output"
    [ "$status" -eq 5 ]
    [[ $output == *"Who can change that: members of devops."* ]]
    run as octocat "$DISPATCHER_BIN" deploy greeter --env production --version "$first" --emergency --reason down --server "$url"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"the emergency passes: 'production' is frozen by octocat: fair"* ]]
    [[ $output == *"the emergency passes 1 approvals"* ]]
    is "$held" code frozen
}

@test "the audit log: the newest, or all from the first on" {
    service_start
    for reason in one two three; do
        as octocat "$DISPATCHER_BIN" lock greeter --warning --reason "$reason" --server "$url"
    done
    run as octocat "$DISPATCHER_BIN" audit --limit 2 --server "$url"
    echo "$output"
    [ "$(jq -sc 'map(.reason)' <<<"$output")" = '["three","two"]' ]
    run as octocat "$DISPATCHER_BIN" audit --format csv --limit 1 --server "$url"
    [ "${#lines[@]}" = 2 ]
    [[ ${lines[1]} == 3,* ]]
    run as octocat "$DISPATCHER_BIN" audit --server "$url"
    [ "$(jq -sc 'map(.reason)' <<<"$output")" = '["one","two","three"]' ]
    run as octocat "$DISPATCHER_BIN" audit --verify --server "$url"
    [ "$status" -eq 0 ]
    [[ $output == *"3 entries"* ]]
}

@test "the audit log is printed whole, however long it is" {
    service_start
    python3 - "$world/service.db" <<'END'
import sqlite3
import sys
db = sqlite3.connect(sys.argv[1], timeout=20)
db.executemany("INSERT INTO audit (sequence, at_ms, kind, verdict, reason, actor_id, repository_id, run_id,"
               " run_attempt, check_run_id, detail, previous, hash) VALUES (?, 1000, 'lock', 'done', ?, 0, 0, 0,"
               " 0, 0, '{}', ?, ?)", ((n, "r" * 2000, "0" * 64, "1" * 64) for n in range(1, 5002)))
db.commit()
END
    as octocat "$DISPATCHER_BIN" audit --kind lock --server "$url" >"$world/all.jsonl"
    [ "$(jq -s 'map(.sequence) == [range(1; 5002)]' "$world/all.jsonl")" = true ]
    as octocat "$DISPATCHER_BIN" audit --format csv --server "$url" >"$world/all.csv"
    python3 - "$world/all.csv" <<'END'
import csv
import sys
rows = list(csv.DictReader(open(sys.argv[1])))
assert [int(row["sequence"]) for row in rows] == list(range(1, 5002))
END
}

@test "a no is no approval, and its reason reaches whoever waits" {
    service_start
    deployed staging "$first"
    id=$(ask production "$first")
    until_true 20 is "$id" code approval-needed
    run as octocat "$DISPATCHER_BIN" approve "$id" --reject --reason "not on Fridays" --server "$url"
    echo "$output"
    [ "$output" = "rejected: the deployment of 'greeter' to 'production' ($first); it ends" ]
    run as hubot "$DISPATCHER_BIN" watch "$id" --server "$url"
    echo "$output"
    [ "$status" -eq 5 ]
    [[ $output == *"not begun: octocat rejected it: not on Fridays (rejected)"* ]]
    lock=$(as octocat "$DISPATCHER_BIN" lock greeter --env staging --reason x --server "$url" | cut -d' ' -f1)
    as octocat "$DISPATCHER_BIN" unlock "$lock" --server "$url"
    run as octocat "$DISPATCHER_BIN" locks --past --server "$url"
    echo "$output"
    [[ $output == *"by octocat: x (lifted 20"*" by octocat)"* ]]
}

@test "an approval of what has changed since is shown as none" {
    service_start
    deployed staging "$first"
    id=$(ask production "$first")
    until_true 20 is "$id" code approval-needed
    python3 - "$world/service.db" "$id" <<'END'
import sqlite3
import sys
db = sqlite3.connect(sys.argv[1], timeout=20)
db.execute("INSERT INTO approvals (job, person, login, login_id, version, diff, note, rejected, at_ms, expires_ms)"
           " VALUES (?, '#9', 'monalisa', 9, 'other', 'a..b', NULL, 0, 1, 0)", (sys.argv[2],))
db.commit()
END
    run curl -sf "$url/api/v1/deployments/$id" -H "Authorization: Bearer $(person_token octocat)"
    [ "$(jq -c '[.approvals.given[] | [.by, .counts]]' <<<"$output")" = '[["monalisa",false]]' ]
}

@test "a refusal names the caller's own claims that failed, and ends with 5" {
    service_start
    run --separate-stderr in_job "$DISPATCHER_BIN" deploy unheard-of --env staging --version "$first" --server "$url"
    [ "$status" -eq 5 ]
    [[ $stderr == *"dispatcher: deploy 'unheard-of' to 'staging': "* ]]
    run --separate-stderr in_job "$DISPATCHER_BIN" deploy greeter --env moon --version "$first" --server "$url"
    echo "$stderr"
    [ "$status" -eq 5 ]
}

@test "a restart of the service in the middle is not seen" {
    service_start
    printf '#!/usr/bin/env bash\nsleep 4\n' >"$world/infra/bin/roll-out"
    git -C "$world/infra" commit -qam slow
    in_job "$DISPATCHER_BIN" deploy greeter --env staging --version "$first" --server "$url" >"$world/out" 2>"$world/err" &
    job=$!
    until_true 20 grep -q "trigger" "$world/out"
    killed serve
    sleep 1
    start serve2 "$DISPATCHER_BIN" serve --config "$world/serve.yaml"
    code=0
    wait "$job" || code=$?
    cat "$world/out" "$world/err"
    [ "$code" -eq 0 ]
    [ "$(grep -c '^✓ trigger' "$world/out")" = 1 ]
    [ "$(posts)" = 1 ]
}

@test "explain: a job reads its own verdict, a person that of given claims; nothing is done" {
    service_start
    run in_job "$DISPATCHER_BIN" explain greeter --env staging --server "$url"
    [ "$status" -eq 0 ]
    [[ $output == *"allowed (allowed): "*"rule: any"* ]]
    job_token "" | cut -d. -f2 | tr '_-' '/+' | base64 -d 2>/dev/null | jq '.repository_id = "1"' >"$world/claims.json"
    run as octocat "$DISPATCHER_BIN" explain greeter --env staging --claims "$world/claims.json" --server "$url"
    echo "$output"
    [ "$status" -eq 5 ]
    [[ $output == "refused (not-authorized): "* ]]
    [ "$(posts)" = 0 ]
}
