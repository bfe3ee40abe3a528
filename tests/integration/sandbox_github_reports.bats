#!/usr/bin/env bats
# Reports on the sandbox's GitHub: deployments and their statuses, statuses of commits, check runs,
# comments on pull requests. Asked with curl and Octokit, and held against GitHub's description by
# Prism in between.

load sandbox_lab

setup() {
    need curl jq git
    node_home=$BATS_TEST_DIRNAME/../e2e/node
    contracts=${DISPATCHER_SHARED:-$BATS_TEST_DIRNAME/../../../shared}/contracts
    make_world <<'Y'
on: workflow_dispatch
jobs: {one: {steps: [{run: 'true'}]}}
Y
    app=/repos/octo-org/app
    sha=6dcb09b5b57875f334f61aebed695e2e4193db5e
    other=7638417db6d59f3c431d3e1f261cc637155684cd
}

start() {
    sandbox_start --caller octo-org/app "$@"
}

post() {
    local path=$1 data=$2
    shift 2
    api "$path" -X POST -H 'Content-Type: application/json' -d "$data" "$@"
}

# made JSON: a deployment of $sha, its id in $id.
made() {
    post "$app/deployments" "$(jq -c --arg sha "$sha" \
        '{ref: $sha, auto_merge: false, required_contexts: []} + .' <<<"$1")"
    [ "$code" = 201 ] || { echo "$code $body"; return 1; }
    id=$(jq .id <<<"$body")
}

stated() {
    post "$app/deployments/$1/statuses" "{\"state\": \"$2\"}"
    [ "$code" = 201 ] || { echo "$code $body"; return 1; }
}

pull() {
    control /github/pulls -d "$(jq -c --arg sha "$sha" \
        '{repository: "octo-org/app", number: 7, sha: $sha} + .' <<<"${1:-"{}"}")" >/dev/null
}

reports() {
    control /github/reports | jq -c ".\"octo-org/app\" | $1"
}

# assert_flaws ERRORS: the last answer was a 422 with these errors.
assert_flaws() {
    local said
    said=$(jq -c '[.message, .errors]' <<<"$body")
    [ "$code" = 422 ] && [ "$said" = "[\"Validation Failed\",$1]" ] || {
        printf 'answered %s: %s\n' "$code" "$said"
        return 1
    }
}

@test "Octokit reports a deployment in every way as an App" {
    need node
    [ -d "$node_home/node_modules/octokit" ] || skip "octokit is not installed (npm ci)"
    start
    pull
    REPORTS_REPOSITORY=octo-org/app REPORTS_SHA=$sha run --separate-stderr \
        node "$node_home/octokit_reports.mjs"
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    [ "$(jq -c . <<<"$output")" = '{"deployments":["d-2","d-1"],"creator":"dispatcher-sandbox[bot]","statuses":["inactive","success","in_progress"],"combined":["success",1,"dispatcher/shop"],"checks":[["dispatcher-sandbox","completed","failure","d-1","failed",2]],"notes":["failure","failure"],"pulls":[[7,"open","main","octo-org/app"]],"comments":[["three","Bot"]],"late":404}' ] ||
        { echo "$output"; false; }
    [ "$(reports '[.deployments[].statuses | length], (.commit_statuses | length), (.check_runs | length), (.comments | length)' | tr '\n' ' ')" = "[3,1] 2 1 1 " ]
    sandbox_stop
}

# --- Prism in between ----------------------------------------------------------------------------

prism_start() {
    local prism=$node_home/node_modules/@stoplight/prism-cli/dist/index.js port
    need node python3
    [ -e "$prism" ] || skip "prism is not installed (npm ci)"
    contract=$contracts/$1.json
    [ -e "$contract" ] || skip "GitHub's OpenAPI description is not here"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    node "$prism" proxy -p "$port" --errors "$contract" "$GITHUB_API_URL" \
        >"$BATS_TEST_TMPDIR/prism.log" 2>&1 3>&- &
    prism_pid=$!
    upstream=$GITHUB_API_URL judge=http://127.0.0.1:$port
    for _ in $(seq 200); do
        curl -s -o /dev/null "$judge/meta" && return 0
        sleep 0.05
    done
    cat "$BATS_TEST_TMPDIR/prism.log"
    return 1
}

prism_stop() {
    kill "$prism_pid"
    wait "$prism_pid" || true
}

# passes OPERATION CODE CURL-ARGUMENT...: through Prism where the description has the operation,
# else straight. 500 would be Prism's refusal of an answer.
passes() {
    local operation=$1 wanted=$2
    shift 2
    local method=${operation%% *} path="/repos/{owner}/{repo}${operation#* }"
    GITHUB_API_URL=$upstream
    if jq -e --arg path "$path" --arg method "$method" '.paths[$path][$method]' "$contract" \
        >/dev/null; then
        GITHUB_API_URL=$judge
        judged=$((judged + 1))
    fi
    api "$@" -H 'Accept: application/vnd.github+json' -H 'Content-Type: application/json'
    GITHUB_API_URL=$upstream
    [ "$code" = "$wanted" ] || { printf '%s: %s %s\n' "$operation" "$code" "$body"; return 1; }
}

tour() {
    judged=0
    local note='{"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"}'
    pull
    passes 'post /deployments' 201 "$app/deployments" -d "{\"ref\": \"$sha\", \"task\": \"deploy\",
        \"auto_merge\": false, \"required_contexts\": [], \"payload\": {\"id\": \"d-1\"},
        \"environment\": \"staging\", \"description\": \"d\", \"transient_environment\": false,
        \"production_environment\": false}"
    id=$(jq .id <<<"$body")
    passes 'get /deployments' 200 "$app/deployments?ref=$sha&task=deploy&environment=staging"
    [ "$(jq '.[0].id' <<<"$body")" = "$id" ]
    passes 'get /deployments/{deployment_id}' 200 "$app/deployments/$id"
    passes 'post /deployments/{deployment_id}/statuses' 201 "$app/deployments/$id/statuses" \
        -d '{"state": "success", "description": "d", "log_url": "https://l.example.org",
             "environment_url": "https://e.example.org", "environment": "staging"}'
    passes 'get /deployments/{deployment_id}/statuses' 200 "$app/deployments/$id/statuses"
    passes 'post /deployments/{deployment_id}/statuses' 422 "$app/deployments/$id/statuses" \
        -d "{\"state\": \"success\", \"description\": \"$(printf 'x%.0s' $(seq 141))\"}"
    passes 'post /statuses/{sha}' 201 "$app/statuses/$sha" \
        -d '{"state": "success", "context": "c", "description": "d", "target_url": "https://l.example.org"}'
    passes 'post /statuses/{sha}' 201 "$app/statuses/$sha" -d '{"state": "pending"}'
    passes 'get /commits/{ref}/statuses' 200 "$app/commits/$sha/statuses"
    passes 'get /commits/{ref}/status' 200 "$app/commits/$sha/status"
    passes 'post /check-runs' 201 "$app/check-runs" -d "{\"name\": \"n\", \"head_sha\": \"$sha\",
        \"output\": {\"title\": \"t\", \"summary\": \"s\", \"annotations\": [$note]}}"
    id=$(jq .id <<<"$body")
    passes 'patch /check-runs/{check_run_id}' 200 "$app/check-runs/$id" -X PATCH \
        -d '{"status": "completed", "conclusion": "success", "completed_at": "2026-11-21T07:48:00Z"}'
    passes 'get /check-runs/{check_run_id}' 200 "$app/check-runs/$id"
    passes 'get /check-runs/{check_run_id}/annotations' 200 "$app/check-runs/$id/annotations"
    passes 'get /commits/{ref}/check-runs' 200 "$app/commits/$sha/check-runs?check_name=n&filter=all"
    passes 'get /commits/{commit_sha}/pulls' 200 "$app/commits/$sha/pulls"
    [ "$(jq '.[0].number' <<<"$body")" = 7 ]
    passes 'post /issues/{issue_number}/comments' 201 "$app/issues/7/comments" -d '{"body": "b"}'
    id=$(jq .id <<<"$body")
    passes 'post /issues/{issue_number}/comments' 404 "$app/issues/8/comments" -d '{"body": "b"}'
    passes 'get /issues/{issue_number}/comments' 200 "$app/issues/7/comments"
    passes 'get /issues/comments/{comment_id}' 200 "$app/issues/comments/$id"
    passes 'patch /issues/comments/{comment_id}' 200 "$app/issues/comments/$id" -X PATCH \
        -d '{"body": "c"}'
    passes 'delete /issues/comments/{comment_id}' 204 "$app/issues/comments/$id" -X DELETE
    [ "$judged" -ge 12 ]
}

@test "answers hold against GitHub's description of 2026-03-10" {
    start
    prism_start github-2026-03-10.strict
    tour
    prism_stop
    sandbox_stop
}

@test "answers hold against GitHub's description of 2022-11-28" {
    start
    prism_start github-2022-11-28.strict
    version=2022-11-28 tour
    prism_stop
    sandbox_stop
}

@test "answers hold against the description of GHES 3.19" {
    start --ghes 3.19
    prism_start ghes-3.19.strict
    version=2022-11-28 tour
    prism_stop
    sandbox_stop
}

# --- deployments ---------------------------------------------------------------------------------

@test "a deployment that says nothing of merging and contexts is merged or refused" {
    start --repo "octo-org/app=$world/infra"
    git -C "$world/infra" branch topic
    tip=$(git -C "$world/infra" rev-parse topic)
    post "$app/deployments" '{"ref": "topic"}'
    [ "$code" = 202 ]
    [ "$(jq -r .message <<<"$body")" = "Auto-merged main into topic on deployment." ]
    [ "$(reports '.deployments')" = '[]' ]
    post "$app/statuses/$tip" '{"state": "pending", "context": "ci/build"}'
    post "$app/deployments" '{"ref": "topic", "auto_merge": false}'
    assert_problem 409 "Conflict: Commit status checks failed for topic."
    post "$app/deployments" '{"ref": "topic", "auto_merge": false, "required_contexts": ["ci/test"]}'
    assert_problem 409 "Conflict: Commit status checks failed for topic."
    post "$app/statuses/$tip" '{"state": "success", "context": "CI/build"}'
    post "$app/deployments" '{"ref": "topic", "auto_merge": false, "required_contexts": ["ci/build"]}'
    [ "$code" = 201 ]
    [ "$(jq -c '[.ref, .sha, .task, .environment, .payload, .description, .production_environment, .transient_environment]' <<<"$body")" = \
        "[\"topic\",\"$tip\",\"deploy\",\"production\",{},\"\",true,false]" ]
    post "$app/deployments" '{"ref": "main"}'
    [ "$code" = 201 ] # nothing to merge, and all is green
    post "$app/deployments" '{"ref": "gone"}'
    assert_problem 422 "No ref found for: gone"
    sandbox_stop
}

@test "deployments are filtered, and listed newest first, in pages" {
    start
    made '{"task": "deploy:a", "environment": "staging", "payload": {"id": "d-1"}}' && one=$id
    made '{"task": "deploy:b", "environment": "staging", "payload": "text"}' && two=$id
    sha=$other made '{"task": "deploy:a", "environment": "production"}' && three=$id
    listed() {
        api "$app/deployments?$1"
        jq -c '[.[].id]' <<<"$body"
    }
    [ "$(listed '')" = "[$three,$two,$one]" ]
    [ "$(listed 'task=deploy%3Aa')" = "[$three,$one]" ]
    [ "$(listed 'environment=staging')" = "[$two,$one]" ]
    [ "$(listed "sha=$sha&task=deploy%3Aa")" = "[$one]" ]
    [ "$(listed "ref=$other")" = "[$three]" ]
    [ "$(listed 'task=deploy')" = "[]" ]
    api "$app/deployments?per_page=2&environment=none"
    [ "$(jq -c '[.[].id]' <<<"$body")" = "[$three,$two]" ]
    [[ "$(header Link)" == *'environment=none&page=2>; rel="next"'* ]]
    api "$app/deployments/$two"
    [ "$(jq -c '[.payload, .creator.login, .statuses_url]' <<<"$body")" = \
        "[\"text\",\"sandbox-user\",\"$GITHUB_API_URL$app/deployments/$two/statuses\"]" ]
    api "$app/deployments/999"
    assert_problem 404 "Not Found"
    sandbox_stop
}

@test "a success makes earlier ones of its environment inactive, but neither transient nor production ones" {
    start
    states() {
        reports '[.deployments[] | [.statuses[].state] | join(",")]'
    }
    for more in '' ', "transient_environment": true' ', "production_environment": true' ''; do
        made "{\"environment\": \"staging\"$more}"
        post "$app/deployments/$id/statuses" '{"state": "success", "auto_inactive": false}'
    done
    made '{"environment": "other"}'
    stated "$id" success
    made '{"environment": "staging"}' && failed=$id
    stated "$failed" failure
    [ "$(states)" = '["success","success","success","success","success","failure"]' ]
    made '{"environment": "staging"}' && last=$id
    stated "$last" in_progress
    [ "$(states)" = '["success","success","success","success","success","failure","in_progress"]' ]
    stated "$last" success
    [ "$(states)" = '["success,inactive","success","success","success,inactive","success","failure","in_progress,success"]' ]
    stated "$last" success
    [ "$(states)" = '["success,inactive","success","success","success,inactive","success","failure","in_progress,success,success"]' ]
    api "$app/deployments/$last/statuses?per_page=1"
    status_id=$(jq '.[0].id' <<<"$body")
    api "$app/deployments/$last/statuses/$status_id"
    [ "$(jq -r .state <<<"$body")" = success ]
    api "$app/deployments/$failed/statuses/$status_id"
    assert_problem 404 "Not Found"
    sandbox_stop
}

# --- what is refused -----------------------------------------------------------------------------

@test "flaws of deployments and statuses are told as GitHub tells them" {
    start
    long=$(printf 'x%.0s' $(seq 141))
    post "$app/deployments" '{"ref": 1, "description": "'"$long"'", "payload": 7, "auto_merge": "no"}'
    assert_flaws '[{"resource":"Deployment","field":"ref","code":"invalid"},{"resource":"Deployment","field":"description","code":"custom","message":"description is too long (maximum is 140 characters)"},{"resource":"Deployment","field":"auto_merge","code":"invalid"},{"resource":"Deployment","field":"payload","code":"invalid"}]'
    for contexts in '"ci"' '[7]' '{"a": "b"}'; do
        post "$app/deployments" "{\"ref\": \"$sha\", \"required_contexts\": $contexts}"
        assert_flaws '[{"resource":"Deployment","field":"required_contexts","code":"invalid"}]'
    done
    post "$app/deployments" '{}'
    assert_flaws '[{"resource":"Deployment","field":"ref","code":"missing_field"}]'
    post "$app/deployments" '[]'
    assert_problem 400 "Problems parsing JSON"
    made '{"description": "'"$(printf 'ü%.0s' $(seq 140))"'"}' # characters, not bytes
    post "$app/deployments/$id/statuses" '{"state": "done", "log_url": "ftp://x", "description": "'"$long"'"}'
    assert_flaws '[{"resource":"DeploymentStatus","field":"state","code":"invalid"},{"resource":"DeploymentStatus","field":"description","code":"custom","message":"description is too long (maximum is 140 characters)"},{"resource":"DeploymentStatus","field":"log_url","code":"custom","message":"log_url must use http(s) scheme"}]'
    post "$app/deployments/999/statuses" '{"state": "success"}'
    assert_problem 404 "Not Found"
    post "$app/statuses/$sha" '{"description": "'"$long"'", "target_url": "javascript:x"}'
    assert_flaws '[{"resource":"Status","field":"state","code":"missing_field"},{"resource":"Status","field":"description","code":"custom","message":"description is too long (maximum is 140 characters)"},{"resource":"Status","field":"target_url","code":"custom","message":"target_url must use http(s) scheme"}]'
    post "$app/statuses/abc" '{"state": "success"}'
    assert_problem 422 "No commit found for SHA: abc"
    [ "$(reports '[(.deployments | length), ([.deployments[].statuses[]] | length), (.commit_statuses | length)]')" = '[1,0,0]' ]
    sandbox_stop
}

@test "a context takes a thousand statuses of a commit, and the newest counts" {
    start
    control /github/limits -d '{"creations_per_minute": 0}'
    seq 1000 | sed "s|.*|url = $GITHUB_API_URL$app/statuses/$sha|" >"$BATS_TEST_TMPDIR/urls"
    curl -s -K "$BATS_TEST_TMPDIR/urls" -o /dev/null -H "Authorization: Bearer $GITHUB_TOKEN" \
        -d '{"state": "pending", "context": "c"}'
    [ "$(reports '.commit_statuses | length')" = 1000 ]
    post "$app/statuses/$sha" '{"state": "success", "context": "C"}'
    assert_flaws '[{"resource":"Status","code":"custom","message":"This SHA and context has reached the maximum number of statuses."}]'
    post "$app/statuses/$sha" '{"state": "success", "context": "d"}'
    [ "$code" = 201 ]
    api "$app/commits/$sha/status"
    [ "$(jq -c '[.state, .total_count]' <<<"$body")" = '["pending",2]' ]
    post "$app/statuses/$sha" '{"state": "error", "context": "e"}'
    api "$app/commits/$sha/status"
    [ "$(jq -c '[.state, .total_count]' <<<"$body")" = '["failure",3]' ]
    api "$app/commits/$other/status"
    [ "$(jq -c '[.state, .total_count]' <<<"$body")" = '["pending",0]' ]
    sandbox_stop
}

@test "check runs have GitHub's limits, and annotations are added" {
    start
    check() {
        post "$app/check-runs" "$(jq -c --arg sha "$sha" '{name: "n", head_sha: $sha} + .' <<<"$1")"
    }
    notes() {
        jq -nc --argjson n "$1" '{title: "t", summary: "s", annotations: [range($n) |
            {path: "a", start_line: 1, end_line: 1, annotation_level: "notice", message: "m"}]}'
    }
    post "$app/check-runs" '{"status": "done"}'
    assert_flaws '[{"resource":"CheckRun","field":"name","code":"missing_field"},{"resource":"CheckRun","field":"head_sha","code":"missing_field"},{"resource":"CheckRun","field":"status","code":"invalid"}]'
    check '{"status": "completed"}'
    assert_flaws '[{"resource":"CheckRun","field":"conclusion","code":"missing_field"}]'
    check '{"status": "queued", "conclusion": "success"}'
    assert_flaws '[{"resource":"CheckRun","field":"conclusion","code":"invalid"}]'
    check '{"conclusion": "stale"}' # GitHub's own word
    assert_flaws '[{"resource":"CheckRun","field":"conclusion","code":"invalid"}]'
    check '{"output": {}, "started_at": "now"}'
    assert_flaws '[{"resource":"CheckRun","field":"started_at","code":"invalid"},{"resource":"CheckRun","field":"title","code":"missing_field"},{"resource":"CheckRun","field":"summary","code":"missing_field"}]'
    check "{\"output\": {\"title\": \"t\", \"summary\": \"$(printf 'x%.0s' $(seq 65536))\"}}"
    assert_flaws '[{"resource":"CheckRun","field":"summary","code":"custom","message":"summary is too long (maximum is 65535 characters)"}]'
    check "{\"output\": $(notes 51)}"
    assert_flaws '[{"resource":"CheckRun","field":"annotations","code":"custom","message":"No more than 50 items are allowed; 51 were supplied."}]'
    check '{"output": {"title": "t", "summary": "s", "annotations": [{"path": "a", "start_line": 2, "end_line": 1, "annotation_level": "error", "message": "m"}]}}'
    assert_flaws '[{"resource":"CheckRun","field":"annotation_level","code":"invalid"},{"resource":"CheckRun","field":"annotations","code":"invalid"}]'
    post "$app/check-runs" '{"name": "n", "head_sha": "main"}'
    assert_problem 422 "No commit found for SHA: main"
    [ "$(reports '.check_runs')" = '[]' ]

    check "{\"external_id\": \"d-1\", \"output\": $(notes 50)}"
    [ "$(jq -c '[.status, .conclusion, .app.slug]' <<<"$body")" = '["queued",null,"github-actions"]' ]
    id=$(jq .id <<<"$body")
    api "$app/check-runs/$id" -X PATCH -d "{\"conclusion\": \"neutral\", \"output\": $(notes 20)}"
    [ "$(jq -c '[.status, .conclusion, .external_id, .output.annotations_count]' <<<"$body")" = \
        '["completed","neutral","d-1",70]' ]
    check '{"external_id": "d-2"}'
    newer=$(jq .id <<<"$body")
    check '{"name": "m"}'
    listed() {
        api "$app/commits/$sha/check-runs?$1"
        jq -c '[.total_count, [.check_runs[].id]]' <<<"$body"
    }
    [ "$(listed 'check_name=n')" = "[1,[$newer]]" ]
    [ "$(listed 'check_name=n&filter=all')" = "[2,[$newer,$id]]" ]
    [ "$(listed 'check_name=n&filter=all&status=completed')" = "[1,[$id]]" ]
    [ "$(listed 'filter=all&per_page=1' | jq '.[0]')" = 3 ]
    sandbox_stop
}

@test "comments are for pull requests that are there" {
    start
    post "$app/issues/7/comments" '{"body": "x"}'
    assert_problem 404 "Not Found"
    pull '{"title": "Mend it", "state": "merged", "base": "release"}'
    post "$app/issues/7/comments" '{"body": " "}'
    assert_flaws '[{"resource":"IssueComment","field":"data","code":"unprocessable","message":"Body cannot be blank"}]'
    printf '{"body": "%s"}' "$(printf 'x%.0s' $(seq 65537))" >"$BATS_TEST_TMPDIR/long"
    post "$app/issues/7/comments" "@$BATS_TEST_TMPDIR/long"
    assert_flaws '[{"resource":"IssueComment","field":"data","code":"unprocessable","message":"Body is too long (maximum is 65536 characters)"}]'
    post "$app/issues/7/comments" '{"body": "mine"}'
    [ "$code" = 201 ]
    control /github/comments -d '{"repository": "octo-org/app", "number": 7, "body": "theirs"}' >/dev/null
    api "$app/issues/7/comments"
    [ "$(jq -c '[.[] | [.body, .user.login, .author_association]]' <<<"$body")" = \
        '[["mine","sandbox-user","MEMBER"],["theirs","stranger","NONE"]]' ]
    api "$app/commits/$sha/pulls"
    [ "$(jq -c '[.[] | [.number, .title, .state, (.merged_at != null), .base.ref]]' <<<"$body")" = \
        '[[7,"Mend it","closed",true,"release"]]' ]
    api "$app/commits/$other/pulls"
    [ "$body" = '[]' ]
    api "$app/commits/abc/pulls"
    assert_problem 422 "No commit found for SHA: abc"
    sandbox_stop
}

# --- who may -------------------------------------------------------------------------------------

token_of() {
    control /github/tokens -d "$1" | jq -r .token
}

@test "a token may what it was given" {
    start
    pull
    token=$(token_of '{"kind": "job", "permissions": {"deployments": "write", "statuses": "read"}}')
    made '{}'
    post "$app/statuses/$sha" '{"state": "success"}'
    assert_problem 403 "Resource not accessible by integration"
    [ "$(header X-Accepted-GitHub-Permissions)" = statuses=write ]
    api "$app/commits/$sha/status"
    [ "$code" = 200 ]
    post "$app/issues/7/comments" '{"body": "x"}'
    assert_problem 403 "Resource not accessible by integration"
    [ "$(header X-Accepted-GitHub-Permissions)" = 'issues=write; pull_requests=write' ]
    for right in issues pull_requests; do
        token=$(token_of "{\"kind\": \"job\", \"permissions\": {\"$right\": \"write\"}}")
        post "$app/issues/7/comments" '{"body": "x"}'
        [ "$code" = 201 ]
        [ "$(jq -r .user.login <<<"$body")" = 'github-actions[bot]' ]
    done
    token=$(token_of '{"kind": "personal"}')
    made '{}'
    api /user
    [ "$(jq -r .login <<<"$body")" = sandbox-user ]
    post "$app/check-runs" "{\"name\": \"n\", \"head_sha\": \"$sha\"}"
    assert_problem 403 "You must authenticate via a GitHub App."
    api "$app/commits/$sha/check-runs"
    [ "$code" = 200 ]
    [ "$(reports '.check_runs')" = '[]' ]
    sandbox_stop
}

@test "a check run is changed by the App that made it" {
    need openssl
    start
    post "$app/check-runs" "{\"name\": \"n\", \"head_sha\": \"$sha\"}"
    id=$(jq .id <<<"$body")
    installation_token '{"checks": "write"}'
    api "$app/check-runs/$id" -X PATCH -d '{"conclusion": "success"}'
    assert_problem 403 "Invalid app_id \`4242\` - check run can only be modified by the GitHub App that created it."
    [ "$(reports '.check_runs[0].status')" = '"queued"' ]
    sandbox_stop
}

b64() {
    base64 -w 0 | tr '+/' '-_' | tr -d '='
}

# installation_token PERMISSIONS: sets $token and what the mint was answered.
installation_token() {
    local now head claims
    now=$(date +%s)
    head=$(printf '{"alg":"RS256","typ":"JWT"}' | b64)
    claims=$(printf '{"iat":%d,"exp":%d,"iss":"4242"}' $((now - 60)) $((now + 500)) | b64)
    token=$head.$claims.$(printf '%s.%s' "$head" "$claims" |
        openssl dgst -sha256 -sign "$DEPLOYMENT_APP_KEY" -binary | b64)
    post /app/installations/515151/access_tokens "{\"repositories\": [\"app\"], \"permissions\": $1}"
    minted=$code granted=$(jq -c .permissions <<<"$body")
    token=$(jq -r .token <<<"$body")
}

@test "an App's token may what was asked for, and asks for what was granted" {
    need openssl
    start
    installation_token '{"deployments": "write", "statuses": "write"}'
    [ "$minted" = 201 ]
    [ "$granted" = '{"deployments":"write","statuses":"write","metadata":"read"}' ]
    made '{}'
    [ "$(jq -r .creator.login <<<"$body")" = 'dispatcher-sandbox[bot]' ]
    post "$app/check-runs" "{\"name\": \"n\", \"head_sha\": \"$sha\"}"
    assert_problem 403 "Resource not accessible by integration"
    control /github/installation -d '{"permissions": {"statuses": "write", "metadata": "read"}}'
    installation_token '{"deployments": "write"}'
    [ "$minted" = 422 ]
    installation_token '{"statuses": "write"}'
    [ "$granted" = '{"statuses":"write","metadata":"read"}' ]
    control '/reset?what=github' -X POST
    installation_token '{"deployments": "write"}'
    [ "$minted" = 201 ]
    sandbox_stop
}

# --- limits, repositories, orders ----------------------------------------------------------------

@test "making more than 80 things a minute is refused, by token" {
    start
    seq 80 | sed "s|.*|url = $GITHUB_API_URL$app/statuses/$sha|" >"$BATS_TEST_TMPDIR/urls"
    curl -s -K "$BATS_TEST_TMPDIR/urls" -o /dev/null -H "Authorization: Bearer $GITHUB_TOKEN" \
        -d '{"state": "pending"}'
    post "$app/deployments" "{\"ref\": \"$sha\", \"auto_merge\": false, \"required_contexts\": []}"
    assert_problem 403 "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    [ "$(header Retry-After)" -ge 30 ] && [ "$(header Retry-After)" -le 60 ]
    [ "$(header X-RateLimit-Remaining)" -gt 4000 ]
    [ "$(reports '[(.commit_statuses | length), (.deployments | length)]')" = '[80,0]' ]
    api "$app/deployments"
    [ "$code" = 200 ]
    token=$(token_of '{"kind": "job"}') made '{}'
    control /github/limits -d '{"creations_per_minute": 2}'
    made '{}'
    post "$app/deployments" '{"ref": 1}' # made nothing
    [ "$code" = 422 ]
    made '{}'
    post "$app/statuses/$sha" '{"state": "pending"}'
    [ "$code" = 403 ]
    [ "$(control /github/limits -o /dev/null -w '%{http_code}' -d '{"creations_per_minute": -1}')" = 422 ]
    [ "$(control /state | jq .github.creations_per_minute)" = 2 ]
    sandbox_stop
}

@test "the caller's repository is there, others when they are ordered" {
    start
    api "$app"
    [ "$(jq -c '[.full_name, .default_branch]' <<<"$body")" = '["octo-org/app","main"]' ]
    api "$app/contents/a"
    assert_problem 404 "Not Found"
    post /repos/octo-org/other/statuses/$sha '{"state": "success"}'
    assert_problem 404 "Not Found"
    control /github/repositories -d '{"repository": "octo-org/other"}' >/dev/null
    post /repos/octo-org/other/statuses/$sha '{"state": "success"}'
    [ "$code" = 201 ]
    [ "$(control /github/repositories -d '{"repository": "../x"}' | jq -r .message)" = \
        "'repository' is OWNER/NAME" ]
    post /repos/acme/infra/statuses/$sha '{"state": "success"}'
    [ "$code" = 201 ]
    [ "$(control /state | jq -c '.github.reports | map_values(.commit_statuses | length)')" = \
        '{"acme/infra":1,"octo-org/app":0,"octo-org/other":1}' ]
    control '/reset?what=github' -X POST
    [ "$(control /state | jq -c '.github.reports | map_values(.commit_statuses | length)')" = \
        '{"acme/infra":0,"octo-org/app":0,"octo-org/other":0}' ]
    sandbox_stop
}

@test "orders that make no sense are refused" {
    start
    for order in 'pulls {"repository": "octo-org/app", "number": 0, "sha": "'$sha'"}' \
        'pulls {"repository": "octo-org/app", "number": 1, "sha": "abc"}' \
        'pulls {"repository": "octo-org/app", "number": 1, "sha": []}' \
        'pulls {"repository": "octo-org/app", "number": 1, "sha": "'$sha'", "state": "done"}' \
        'comments {"repository": "octo-org/app", "number": 1}' \
        'tokens {"kind": "user"}' 'tokens {"kind": "job", "permissions": "all"}' \
        'limits {}' 'limits {"creations_per_minute": "1"}' 'installation {}'; do
        got=$(control "/github/${order%% *}" -o /dev/null -w '%{http_code}' -d "${order#* }")
        [ "$got" = 422 ] || { echo "$order: $got"; false; }
    done
    [ "$(control /github/pulls -o /dev/null -w '%{http_code}' \
        -d '{"repository": "octo-org/gone", "number": 1, "sha": "'$sha'"}')" = 404 ]
    [ "$(reports .pulls)" = '[]' ]
    sandbox_stop
}
