#!/usr/bin/env bats
# The bodies of tests/golden/notices before judges that nobody here wrote: the vendors' own types,
# their SDKs and their OpenAPI descriptions. That the program makes these bodies is for
# tests/unit/deploy/test_notices_bodies.c.

bats_require_minimum_version 1.5.0

setup() {
    root=$BATS_TEST_DIRNAME/../..
    node_home=$root/tests/e2e/node
    golden=$root/tests/golden/notices
    contracts=${DISPATCHER_SHARED:-$root/../shared}/contracts
    command -v node >/dev/null || skip "node is not installed"
    command -v jq >/dev/null || skip "jq is not installed"
}

teardown() {
    if [ -n "${prism_pid:-}" ]; then
        kill "$prism_pid" 2>/dev/null
        wait "$prism_pid" 2>/dev/null || true
    fi
}

have() {
    [ -d "$node_home/node_modules/$1" ] || skip "$1 is not installed (npm ci)"
}

# All bodies of a vendor as KIND=FILE.
typed() {
    local kind=$1 file
    shift
    for file; do echo "$kind=$file"; done
}

# compiles KIND JSON-CHANGE FILE: is the file, changed, still of the vendor's type?
compiles() {
    local here=$BATS_TEST_TMPDIR/changed
    rm -rf "$here"
    mkdir "$here"
    jq "$2" "$3" >"$here/changed.json"
    node "$node_home/notice_types.mjs" "$here" "$1=$here/changed.json"
}

@test "Slack messages are of Slack's types" {
    have @slack/types; have typescript; have @pagerduty/pdjs
    mapfile -t files < <(typed slack "$golden"/slack-*/*.json)
    [ "${#files[@]}" -eq 41 ]
    mkdir "$BATS_TEST_TMPDIR/all"
    run node "$node_home/notice_types.mjs" "$BATS_TEST_TMPDIR/all" "${files[@]}"
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    card=$golden/slack-buttons/waiting.json
    compiles slack . "$card"
    run ! compiles slack '.blocks[0].text.type = "mrkdwn"' "$card"
    run ! compiles slack '.attachments[0].blocks[0].txt = 1' "$card"
    run ! compiles slack '.attachments[0].blocks[-1].elements[0].style = "green"' "$card"
    run ! compiles slack 'del(.metadata.event_type)' "$card"
}

@test "Slack messages are within Slack's limits" {
    have @slack/types
    run node "$node_home/notice_limits.mjs" "$golden"/slack-*/*.json
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [ "$output" = '{"header":150,"text":3000,"fields":10,"field":2000,"context":10,"actions":25,"button":75,"value":2000,"action_id":255,"title":100,"question":300,"answer":30}' ]
    long=$BATS_TEST_TMPDIR/long.json
    jq '.blocks[0].text.text = "x" * 151' "$golden/slack-card/started.json" >"$long"
    run node "$node_home/notice_limits.mjs" "$long"
    [ "$status" -eq 1 ]
    [[ $output = *"header 0.text: 151 characters where 1 to 150 may be"* ]]
    jq '.blocks = [range(51) | {type: "section", text: {type: "mrkdwn", text: ("x" * 300)}}]' \
        "$golden/slack-single/started.json" >"$long"
    run node "$node_home/notice_limits.mjs" "$long"
    [[ $output = *"blocks: 51 where 1 to 50 may be"* ]]
    [[ $output = *"15300 characters in all its blocks where 13000 may be"* ]]
}

@test "PagerDuty events are of its SDK's types, and within its limits" {
    have @pagerduty/pdjs; have typescript; have @slack/types
    mapfile -t files < <(typed change "$golden"/pagerduty-change/*.json; \
        typed alert "$golden"/pagerduty-alert/*.json)
    [ "${#files[@]}" -eq 21 ]
    mkdir "$BATS_TEST_TMPDIR/all"
    run node "$node_home/notice_types.mjs" "$BATS_TEST_TMPDIR/all" "${files[@]}"
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    run ! compiles alert '.payload.severity = "fatal"' "$golden/pagerduty-alert/restored.json"
    run ! compiles change '.payload.severity = "info"' "$golden/pagerduty-change/restored.json"
    run jq -n '[inputs | select((.payload.summary // "" | length) > 1024 or
        (.dedup_key // "" | length) > 255 or (tostring | utf8bytelength) > 512 * 1024)] | length' \
        "$golden"/pagerduty-*/*.json
    [ "$output" = 0 ]
}

@test "a webhook's body is a CloudEvent, and its data is what the documentation says" {
    have cloudevents
    run node "$node_home/notice_events.mjs" "$golden"/webhook/*.json
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [ "${#lines[@]}" -eq 13 ]
    [ "${lines[11]}" = "dev.dispatcher.deployment.unknown d-3f9a0c1b2d4e5f60/unknown" ]
    jq 'del(.source)' "$golden/webhook/deployed.json" >"$BATS_TEST_TMPDIR/bad.json"
    run ! node "$node_home/notice_events.mjs" "$BATS_TEST_TMPDIR/bad.json"
    python3 -c 'import jsonschema' 2>/dev/null || skip "jsonschema is not installed"
    jq -c . "$golden"/webhook/*.json >"$BATS_TEST_TMPDIR/events"
    run python3 "$root/tests/e2e/check_events.py" "$root/docs/webhook.schema.json" \
        "$BATS_TEST_TMPDIR/events"
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    # Every member that there is stands in the schema.
    members='[paths(scalars) | map(if type == "number" then 0 else . end)] | unique'
    documented='[paths(type == "object") as $at | select(any($at[]; . == "properties")) |
        $at | map(select(. != "properties" and . != "items"))]'
    run jq -n --slurpfile schema "$root/docs/webhook.schema.json" \
        "(\$schema[0] | $documented) as \$known | [inputs | $members | .[] |
            map(select(type == \"string\"))] | unique - \$known" "$golden"/webhook/*.json
    [ "$output" = "[]" ] || { echo "$output"; false; }
}

# prism_start DESCRIPTION: sets $prism_url.
prism_start() {
    local prism=$node_home/node_modules/@stoplight/prism-cli/dist/index.js port
    [ -e "$prism" ] || skip "Prism is not installed (npm ci)"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    node "$prism" mock -h 127.0.0.1 -p "$port" "$1" >"$BATS_TEST_TMPDIR/prism.log" 2>&1 3>&- &
    prism_pid=$!
    prism_url=http://127.0.0.1:$port
    for ((i = 0; i < 600; i++)); do
        ! grep -q "Prism is listening" "$BATS_TEST_TMPDIR/prism.log" || return 0
        kill -0 "$prism_pid" || break
        sleep 0.1
    done
    cat "$BATS_TEST_TMPDIR/prism.log"
    return 1
}

@test "GitHub's own description takes what it is told" {
    [ -d "$contracts" ] || skip "GitHub's OpenAPI description is not here; set DISPATCHER_SHARED"
    prism_start "$contracts/github-2022-11-28.strict.json"
    run node "$node_home/notice_requests.mjs" "$prism_url" "$golden" github
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [ "$output" = "github-check 201: 13
github-comment 201: 13
github-deployment 201: 26
github-status 201: 13" ] || { echo "$output"; false; }
}

# tags FILE: the HTML tags that GitHub's renderer makes of the Markdown, one a line.
tags() {
    cmark-gfm --unsafe -e table -e autolink -e strikethrough "$1" | grep -o '<[a-z!][^ >]*' | sort -u
}

@test "GitHub's renderer makes no markup of what is foreign" {
    command -v cmark-gfm >/dev/null || skip "cmark-gfm is not installed"
    summary=$BATS_TEST_TMPDIR/summary.md
    jq -r .output.text "$golden/github-check/hostile.json" >"$summary"
    for file in "$golden/github-comment/hostile.md" "$summary" \
        "$root/tests/golden/reports/hostile.md"; do
        tags "$file" >"$BATS_TEST_TMPDIR/tags"
        for tag in img script b del em; do
            run ! grep -qx "<$tag" "$BATS_TEST_TMPDIR/tags"
        done
        run grep -c . <(cmark-gfm --unsafe -e table -e autolink "$file" | grep -o 'href="javascript')
        [ "$output" = 0 ]
        # With a blank of no width it is no mention; in an indented block (the log) it is none anyway.
        run grep -Ec '@[a-zA-Z]' <(grep -v '^    ' "$file")
        [ "$output" = 0 ]
    done
    echo '<b>x</b> *y*' >"$summary"
    [ "$(tags "$summary" | xargs)" = "<b <em <p" ]
}

@test "PagerDuty's own description takes what it is told" {
    description=${DISPATCHER_PAGERDUTY_OPENAPI:-$contracts/pagerduty-events-v2.json}
    [ -e "$description" ] || skip "PagerDuty's OpenAPI description (PagerDuty/api-schema, \
reference/events-v2/openapiv3.json) is not here; set DISPATCHER_PAGERDUTY_OPENAPI"
    prism_start "$description"
    run node "$node_home/notice_requests.mjs" "$prism_url" "$golden" pagerduty
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [ "$output" = "pagerduty-alert 202: 8
pagerduty-change 202: 13" ] || { echo "$output"; false; }
}
