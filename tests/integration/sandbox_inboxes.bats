#!/usr/bin/env bats
# The sandbox's inboxes before clients that nobody here wrote: Slack's own SDK, PagerDuty's, and the
# signing side of Standard Webhooks; then what is shown of what they got.

load sandbox_lab

setup() {
    node_home=$BATS_TEST_DIRNAME/../e2e/node
    need curl jq git
    make_world <<<'on: workflow_dispatch'
}

# client PACKAGE SCRIPT [ARGUMENT]...: runs it; its JSON is in $output.
client() {
    need node
    [ -d "$node_home/node_modules/$1" ] || skip "$1 is not installed (npm ci)"
    run --separate-stderr node "$node_home/$2" "${@:3}"
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    jq . <<<"$output"
}

# assert_json WANTED: $output is this, but for spaces and the order of members.
assert_json() {
    diff <(jq -S . <<<"$1") <(jq -S . <<<"$output")
}

# order PATH JSON
order() {
    curl -sS --fail-with-body "$DISPATCHER_SANDBOX_CONTROL/$1" -d "$2"
}

inbox() {
    control /inbox | jq -c "$1"
}

# slack METHOD BODY: with the headers $auth and $type, if they are set; sets $code and $body.
slack() {
    rm -f "$BATS_TEST_TMPDIR/body"
    code=$(curl -s -o "$BATS_TEST_TMPDIR/body" -w '%{http_code}' \
        -H "${auth:-Authorization: Bearer $SLACK_BOT_TOKEN}" \
        -H "${type:-Content-Type: application/json; charset=utf-8}" "$SLACK_API_URL$1" -d "$2") || true
    body=$(cat "$BATS_TEST_TMPDIR/body" 2>/dev/null || true)
}

@test "@slack/web-api posts, updates, answers in threads and reads it all back" {
    sandbox_start
    client @slack/web-api slack_sandbox.mjs life
    assert_json '{"who": ["Sandbox", "dispatcher", ["chat:write", "channels:history", "groups:history",
            "channels:read", "groups:read"]],
        "posted": ["C0SANDBOX01", "started", "d-1"],
        "updated": [true, "deployed", "*deployed*", "deployment"],
        "plain": [null, null, null], "whole": [null, null, null], "again": [null, null, "d-1"],
        "history": ["failed", "by name", "again"], "subtypes": ["thread_broadcast", null, null],
        "parent": [2, true, true],
        "pages": [["failed", "by name"], true, ["again"], false],
        "bounds": [["by name", "again"], ["failed"]],
        "replies": ["again", "log tail", "failed"], "mine": true, "link": true,
        "revisions": [["started", 1, "d-1"], ["deployed", 1, "d-1"], ["words only", 1, "d-1"],
            ["bare", 0, null], ["again", 0, "d-1"]],
        "times": true, "thread": [["log tail", false], ["failed", true]], "counts": [18, 0]}'
    sandbox_stop
}

@test "@slack/web-api hears every refusal in Slack's words" {
    sandbox_start
    client @slack/web-api slack_sandbox.mjs errors
    assert_json '{"not_authed": "not_authed", "invalid_auth": "invalid_auth",
        "unknown": ["unknown_method", "chat.shout"],
        "no_channel": ["invalid_arguments", "[ERROR] missing required field: channel"],
        "no_ts": ["invalid_arguments", "[ERROR] missing required field: ts"],
        "channel": "channel_not_found", "no_text": "no_text",
        "update_by_name": "channel_not_found", "history_by_name": "channel_not_found",
        "message": "message_not_found", "too_long": "msg_too_long", "update_no_text": "no_text",
        "thread": "thread_not_found", "post_thread": "thread_not_found",
        "thread_ts": "invalid_thread_ts", "reply_to_reply": "cannot_reply_to_message",
        "permalink": ["message_not_found", "channel_not_found"],
        "pages": ["invalid_limit", "invalid_cursor", "invalid_ts_oldest", "invalid_ts_latest"],
        "format": "invalid_blocks_format", "not_a_list": "invalid_blocks_format",
        "metadata": ["invalid_metadata_format", "invalid_metadata_format", "metadata_too_large"],
        "attachments": ["invalid_attachments",
            "[ERROR] must be a valid color [json-pointer:/attachments/0/color]"],
        "many": "too_many_attachments",
        "blocks": ["invalid_blocks",
            "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
            "[ERROR] unsupported type: mrkdwn [json-pointer:/blocks/1/text/type]"],
        "count": ["invalid_blocks", "[ERROR] no more than 50 items allowed [json-pointer:/blocks]"],
        "fits": "taken", "total": "msg_blocks_too_long",
        "cut": [40000, ["message_truncated"], ["[WARN] Your message was truncated but still posted. The `text` field accepts up to 40,000 characters."]],
        "scope": ["missing_scope", "chat:write", "channels:history"],
        "read_scope": ["missing_scope", "channels:history"], "private_scope": "groups:history",
        "private": ["channel_not_found", "channel_not_found"],
        "outside": ["not_in_channel", "not_in_channel", "not_in_channel"], "public": "taken",
        "archived": ["is_archived", "is_archived"],
        "deleted": ["channel_not_found", "channel_not_found"], "successor": true,
        "edits": "edit_window_closed", "foreign": ["bot_message", "cant_update_message"],
        "revoked": "token_revoked", "inactive": "account_inactive",
        "failing": ["fatal_error", "taken", "fatal_error", "taken"],
        "http": ["slack_webapi_http_error", 503],
        "limited": ["slack_webapi_rate_limited_error", 30]}'
    sandbox_stop
}

@test "@slack/web-api is told to wait, by channel and by method, unless an order lifts it" {
    sandbox_start
    client @slack/web-api slack_sandbox.mjs rates
    assert_json '{"usual": [true, ["slack_webapi_rate_limited_error 1"]], "later": "taken",
        "burst": ["taken", "taken", "taken", "taken", "taken", ["slack_webapi_rate_limited_error", 100]],
        "hook": [429, "rate_limited"],
        "updates": ["taken", "taken", ["slack_webapi_rate_limited_error", 60]],
        "reads": ["taken", "taken", ["slack_webapi_rate_limited_error", 60]],
        "free": ["taken"], "edits": ["taken"]}'
    sandbox_stop
}

@test "@slack/webhook gets ok, or Slack's texts with their statuses" {
    sandbox_start
    client @slack/webhook slack_sandbox.mjs webhook
    assert_json '{"ok": "ok", "rich": "ok", "form": [200, "ok"],
        "payload": [400, "invalid_payload"], "list": [400, "invalid_payload"],
        "no_text": [400, "no_text"], "blocks": [400, "invalid_blocks"],
        "total": [400, "msg_blocks_too_long"],
        "team": [404, "no_team"], "service": [404, "no_service"], "token": [403, "invalid_token"],
        "prohibited": [403, "action_prohibited"], "removed": [404, "no_service"],
        "archived": [410, "channel_is_archived"],
        "quiet": ["channel_is_archived", [200, "channel_is_archived"]],
        "deleted": [404, "channel_not_found"], "rollup": [500, "rollup_error"], "moved": "ok",
        "kept": [["deploys", [["webhook", "plain"], ["webhook", "rich"], ["webhook", "by form"]]],
            ["incidents", []], ["general", [["webhook", "moved"]]]],
        "refused": {"invalid_payload": 2, "no_text": 1, "invalid_blocks": 1, "msg_blocks_too_long": 1,
            "no_team": 1, "no_service": 2, "invalid_token": 1, "action_prohibited": 1,
            "channel_is_archived": 3, "channel_not_found": 1, "on order": 1}}'
    sandbox_stop
}

@test "Slack takes JSON, and says what is wrong with a body that is none" {
    sandbox_start
    slack chat.postMessage '{"channel": "C0SANDBOX01", "text": "x", "reply_broadcast": true}'
    [ "$code" = 200 ]
    [ "$(jq -c '[.ok, .message.text, .warning]' <<<"$body")" = '[true,"x",null]' ]
    type='Content-Type: application/json' slack chat.postMessage '{"channel": "C0SANDBOX01", "text": "x"}'
    [ "$(jq -c '[.ok, .warning, .response_metadata]' <<<"$body")" = \
        '[true,"missing_charset",{"warnings":["missing_charset"]}]' ]
    type='Content-Type: application/json' slack chat.postMessage '{}'
    [ "$(jq -c '[.ok, .response_metadata]' <<<"$body")" = \
        '[false,{"messages":["[ERROR] missing required field: channel"],"warnings":["missing_charset"]}]' ]
    slack chat.postMessage '{"channel": '
    [ "$body" = '{"ok":false,"error":"invalid_json"}' ]
    slack chat.postMessage '[]'
    [ "$body" = '{"ok":false,"error":"json_not_object"}' ]
    type='Content-Type: text/plain' slack chat.postMessage '{}'
    [ "$body" = '{"ok":false,"error":"invalid_post_type"}' ]
    type=Content-Type: slack chat.postMessage '{}'
    [ "$body" = '{"ok":false,"error":"missing_post_type"}' ]
    auth=Authorization: slack auth.test "{\"token\": \"$SLACK_BOT_TOKEN\"}"
    [ "$body" = '{"ok":false,"error":"not_authed"}' ]
    auth=Authorization: type='Content-Type: application/x-www-form-urlencoded' \
        slack auth.test "token=$SLACK_BOT_TOKEN"
    [ "$(jq -r .bot_id <<<"$body")" = B0SANDBOX00 ]
    [ "$(inbox '.slack | [.requests, .refusals, .refused.invalid_json]')" = '[9,6,1]' ]
    # Where chat.getPermalink leads.
    run -0 curl -s -o /dev/null -w '%{http_code} %{redirect_url}' "$DISPATCHER_SANDBOX/slack/archives/C0SANDBOX01/p1"
    [ "$output" = "302 $DISPATCHER_SANDBOX/inbox#C0SANDBOX01-p1" ]
    sandbox_stop
}

@test "a button is pressed: the request is Slack's, and its response_url counts" {
    need openssl python3
    sandbox_start
    button='{"type": "actions", "block_id": "ask", "elements": [{"type": "button", "action_id": "go",
        "value": "d-1", "text": {"type": "plain_text", "text": "Go & see"}}]}'
    slack chat.postMessage "{\"channel\": \"deploys\", \"text\": \"x\", \"attachments\": [{\"blocks\": [$button]}]}"
    ts=$(jq -r .ts <<<"$body")
    order slack/press "{\"channel\": \"#deploys\", \"ts\": \"$ts\", \"action_id\": \"go\", \"name\": \"grace\"}" \
        >"$BATS_TEST_TMPDIR/press"
    jq -j .body "$BATS_TEST_TMPDIR/press" >"$BATS_TEST_TMPDIR/form"
    at=$(jq -r '.headers["X-Slack-Request-Timestamp"]' "$BATS_TEST_TMPDIR/press")
    hash=$({ printf 'v0:%s:' "$at"; cat "$BATS_TEST_TMPDIR/form"; } |
        openssl dgst -sha256 -hmac "$SLACK_SIGNING_SECRET" -r | cut -d ' ' -f 1)
    [ "$(jq -r '.headers["X-Slack-Signature"]' "$BATS_TEST_TMPDIR/press")" = "v0=$hash" ]
    [ $(($(date +%s) - at)) -lt 60 ]
    python3 -c 'import sys, urllib.parse; print(urllib.parse.parse_qs(sys.stdin.read())["payload"][0])' \
        <"$BATS_TEST_TMPDIR/form" >"$BATS_TEST_TMPDIR/payload"
    [ "$(jq -c '[.type, .user.id, .user.name, .team.id, .channel, .message.text, .container.message_ts == .message.ts,
        (.actions | map([.action_id, .value, .block_id, .text.text]))]' "$BATS_TEST_TMPDIR/payload")" = \
        '["block_actions","U0SANDBOX01","grace","T0SANDBOX00",{"id":"C0SANDBOX01","name":"deploys"},"x",true,[["go","d-1","ask","Go & see"]]]' ]
    [ "$(jq -r .message.ts "$BATS_TEST_TMPDIR/payload")" = "$ts" ]

    url=$(jq -r .response_url "$BATS_TEST_TMPDIR/payload")
    run -0 curl -s "$url" -d '{"text": "only you see this", "response_type": "ephemeral"}'
    [ "$output" = '{"ok":true}' ]
    run -0 curl -s -w ' %{http_code}' "$url" -d '{"blocks": [{}]}'
    [ "$output" = '{"ok":false,"error":"invalid_blocks"} 400' ]
    for _ in 2 3 4 5; do
        run -0 curl -s "$url" -d '{"text": "approved", "replace_original": true}'
        [ "$output" = '{"ok":true}' ]
    done
    run -0 curl -s -w ' %{http_code}' "$url" -d '{"text": "once more"}'
    [ "$output" = '{"ok":false,"error":"used_url"} 404' ]
    run -0 curl -s -w ' %{http_code}' "$DISPATCHER_SANDBOX/slack/actions/T0SANDBOX00/other" -d '{"text": "x"}'
    [ "$output" = '{"ok":false,"error":"expired_url"} 404' ]
    [ "$(inbox '.slack | [(.responses | map(.response.text)), .channels[0].messages[0].text, (.channels[0].messages[0].revisions | length)]')" = \
        '[["only you see this","approved","approved","approved","approved"],"approved",5]' ]

    # The message that replaced it has no button any more.
    run -22 order slack/press "{\"channel\": \"deploys\", \"ts\": \"$ts\", \"action_id\": \"go\"}"
    slack chat.postMessage "{\"channel\": \"deploys\", \"text\": \"x\", \"blocks\": [$button]}"
    ts=$(jq -r .ts <<<"$body")
    at=$(order slack/press "{\"channel\": \"deploys\", \"ts\": \"$ts\", \"action_id\": \"go\", \"age\": \"6m\"}" |
        jq -r '.headers["X-Slack-Request-Timestamp"]')
    [ $(($(date +%s) - at)) -ge 360 ]
    sandbox_stop
}

@test "@pagerduty/pdjs sends alerts and changes, and hears what is wrong with them" {
    need openssl
    openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -keyout "$BATS_TEST_TMPDIR/key.pem" -out "$BATS_TEST_TMPDIR/cert.pem" 2>/dev/null
    sandbox_start
    export NODE_EXTRA_CA_CERTS=$BATS_TEST_TMPDIR/cert.pem
    client @pagerduty/pdjs pagerduty_sandbox.mjs "$BATS_TEST_TMPDIR/key.pem" "$BATS_TEST_TMPDIR/cert.pem"
    processed='202, "success", "Event processed", "shop/production"'
    assert_json "{\"trigger\": [$processed], \"again\": [$processed], \"acknowledge\": [$processed],
        \"resolve\": [$processed], \"late\": [$processed], \"anew\": [$processed],"'
        "change": [202, "success", "Change event processed", null], "own_key": [202, true],
        "refused": {
            "empty": ["'\''routing_key'\'' is missing or blank", "'\''event_action'\'' is missing or blank"],
            "blank": ["'\''routing_key'\'' is missing or blank"],
            "short": ["Length of '\''routing_key'\'' is incorrect (should be 32 characters)"],
            "unknown": ["Invalid routing key"], "ruleset": ["Invalid routing key"],
            "action": ["'\''event_action'\'' is invalid (must be one of the following: '\''trigger'\'', '\''acknowledge'\'', '\''resolve'\'')"],
            "no_dedup": ["'\''dedup_key'\'' is missing or blank"],
            "long_dedup": ["'\''dedup_key'\'' is too long (maximum is 255 characters)"],
            "no_payload": ["'\''payload'\'' is missing or blank"],
            "nothing": ["'\''payload.summary'\'' is missing or blank", "'\''payload.source'\'' is missing or blank",
                "'\''payload.severity'\'' is missing or blank"],
            "long": ["'\''payload.summary'\'' is too long (maximum is 1024 characters)"],
            "most": [202, "success"],
            "severity": ["'\''payload.severity'\'' is invalid (must be one of the following: '\''critical'\'', '\''error'\'', '\''warning'\'', '\''info'\'')"],
            "timestamp": ["'\''payload.timestamp'\'' is invalid (must be an ISO 8601 date)"],
            "details": ["'\''payload.custom_details'\'' is invalid (must be an object)"],
            "links": ["'\''images[0].src'\'' is missing or invalid", "'\''links[0].href'\'' is missing or invalid"],
            "lists": ["'\''images'\'' is invalid (must be an array)", "'\''links'\'' is invalid (must be an array)"],
            "change": ["'\''payload.summary'\'' is missing or blank", "'\''payload.source'\'' is invalid (must be a string)"],
            "large": [413, "invalid event"]},
        "other_key": [202], "revoked": ["Invalid routing key"],
        "failing": [[202, "success"], [500, "oops"], [202, "success"]],
        "alerts": [["shop/production", "resolved", 2, 1, 1, "trigger trigger acknowledge resolve"],
            ["shop/production", "triggered", 1, 0, 0, "trigger"], ["own", "triggered", 1, 0, 0, "trigger"],
            ["own", "triggered", 1, 0, 0, "trigger"]],
        "changes": ["deployed", "x"],
        "dropped": [["shop/production", "resolve"], ["shop/production", "resolve"], ["x", "resolve"]],
        "keeps_no_key": true,
        "counts": [32, {"invalid event": 18, "too large": 1, "on order": 1}],
        "minute": [120, [429, 429]],
        "throttled": [429, "throttle exceeded", "Requests for this service are arriving too quickly.  Please retry later.", null],
        "free": 202}'
    sandbox_stop
}

@test "PagerDuty refuses what is no JSON, and other paths" {
    sandbox_start
    run -0 curl -s -w ' %{http_code}' "$PAGERDUTY_EVENTS_URL/v2/enqueue" -d '{'
    [ "$output" = '{"status":"invalid event","message":"Event object is invalid","errors":["Event is not a valid JSON object"]} 400' ]
    run -0 curl -s -o /dev/null -w '%{http_code}' "$PAGERDUTY_EVENTS_URL/v2/enqueue"
    [ "$output" = 404 ]
    sandbox_stop
}

@test "deliveries signed by standardwebhooks are valid, others are not" {
    sandbox_start
    client standardwebhooks hooks_sandbox.mjs
    assert_json '{"answer": [200, "ok", null],
        "limited": [[429, "refused on order", "7"], [200, "ok", null]],
        "quiet": [200, "{\"error\":\"no\"}", null], "empty": [204, "", null],
        "hang": "TimeoutError", "slow": [[200, "ok", null], true],
        "valid": [["open", null, null], ["ci", true, null], ["ci", true, null],
            ["ci", false, "no matching signature"], ["ci", false, "no matching signature"],
            ["ci", false, "no matching signature"], ["ci", false, "the timestamp is no number"],
            ["ci", false, "missing required headers"], ["ci", false, "the timestamp is too old"],
            ["ci", false, "the timestamp is too new"], ["raw", true, null],
            ["raw", false, "missing required headers"], ["ci", true, null], ["ci", true, null],
            ["ci", true, null], ["ci", true, null], ["ci", true, null], ["ci", true, null]],
        "kept": ["POST", "/hooks/ci", 200, "shøp", true, "e-1"],
        "bytes": [null, "/wA="], "refused": {"429": 1}, "requests": 18}'
    sandbox_stop # at once, although one answer is still held back
}

@test "faults break the inboxes as they break all else" {
    sandbox_start --fault 'POST /slack/api/chat.postMessage nth=1 effect=lost-answer' \
        --fault 'POST /pagerduty/* nth=1 status=503 retry-after=4' \
        --fault 'POST /hooks/* effect=reset' --fault 'POST /slack/services/* delay=300ms'
    slack chat.postMessage '{"channel": "deploys", "text": "lost"}'
    [ "$code$body" = 000 ]
    run curl -s "$DISPATCHER_SANDBOX_HOOKS/ci" -d x
    [ "$status" -ne 0 ]
    run -0 curl -s -D - -o /dev/null "$PAGERDUTY_EVENTS_URL/v2/enqueue" -d '{}'
    [[ "$output" == *'HTTP/1.1 503'*'Retry-After: 4'* ]]
    run -0 curl -s -w ' %{time_total}' "$SLACK_WEBHOOK_URL" -H 'Content-Type: application/json' -d '{"text": "slow"}'
    [ "${output%% *}" = ok ]
    awk -v took="${output##* }" 'BEGIN {exit !(took >= 0.3)}'
    # What was lost did arrive; what was cut or answered by the rule did not.
    [ "$(inbox '[(.slack.channels[0].messages | map(.text)), .pagerduty.requests, .hooks.requests]')" = '[["lost","slow"],0,0]' ]
    for path in slack/api/auth.test slack/services/a/b/c pagerduty/v2/enqueue hooks/ci; do
        control /faults -d "* /$path effect=expired-token" -o /dev/null
        curl -s -w ' %{http_code}\n' "$DISPATCHER_SANDBOX/$path" -d '{}'
    done >"$BATS_TEST_TMPDIR/expired"
    diff - "$BATS_TEST_TMPDIR/expired" <<'T'
{"ok":false,"error":"token_expired"} 200
invalid_token 403
{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]} 400
expired 401
T
    [ "$(inbox '[.slack, .pagerduty, .hooks] | map([.requests, .refusals])')" = '[[2,0],[0,0],[0,0]]' ]
    sandbox_stop
}

@test "orders are refused with what is wrong, and reset starts an inbox again" {
    sandbox_start
    wrong() {
        local said
        said=$(control "/$1" -d "$2" -w ' %{http_code}')
        [ "$said" = "{\"message\":\"$3\"} 422" ] || { echo "$1 $2: $said"; return 1; }
    }
    wrong slack '[]' 'not a JSON object'
    wrong slack '{"token": "gone"}' "'token' is \\\"good\\\", \\\"revoked\\\" or \\\"inactive\\\""
    wrong slack '{"scopes": "all"}' "'scopes' is a list of texts"
    wrong slack '{"channels": [{"id": "C1"}]}' "a channel has no 'name', nor the 'id' of one that is there"
    wrong slack '{"rate": {"burst": 0}}' "'rate' is null, or has 'per_second', 'burst' from 1 on and 'calls_a_minute'"
    wrong slack '{"edits": true}' "'edits' is \\\"open\\\" or \\\"closed\\\""
    wrong slack '{"webhook": {"channel": "#no"}}' "'webhook' is an object, and its 'channel' one that is there"
    wrong slack '{"fail": {"count": 0}}' "'fail' is no object with a 'count' from 1 on, or \\\"all\\\""
    wrong slack '{"fail": {"status": 99}}' "'status' of 'fail' is no status from 200 to 599"
    wrong pagerduty '{"key": "x"}' "'key' is \\\"good\\\" or \\\"revoked\\\""
    wrong pagerduty '{"keys": ["short"]}' 'a key has 32 characters'
    wrong pagerduty '{"rate": 0}' "'rate' is a number of events a minute, or null"
    wrong hooks '{}' "an order for webhooks has a 'name'"
    wrong hooks '{"name": "x", "secret": "whsec_!"}' "'secret' is no text, or no base64 after whsec_"
    wrong hooks '{"name": "x", "status": 1}' "'status' is no status from 200 to 599"
    wrong hooks '{"name": "x", "hang": "soon"}' "'hang' is a duration, as in \\\"2s\\\", or milliseconds"
    wrong hooks '{"name": "x", "count": 0}' "'count' is a number from 1 on, or \\\"all\\\""

    order slack '{"token": "revoked", "fail": {"what": "x", "count": "all"}}'
    slack auth.test '{}'
    curl -s "$DISPATCHER_SANDBOX_HOOKS/ci" -d x
    curl -s "$PAGERDUTY_EVENTS_URL/v2/enqueue" -d x
    [ "$(inbox '[.slack, .pagerduty, .hooks] | map(.requests)')" = '[1,1,1]' ]
    control '/reset?what=slack' -X POST
    [ "$(inbox '[.slack, .pagerduty, .hooks] | map(.requests)')" = '[0,1,1]' ]
    control '/reset?what=pagerduty' -X POST
    [ "$(inbox '[.slack, .pagerduty, .hooks] | map(.requests)')" = '[0,0,1]' ]
    control '/reset?what=hooks' -X POST
    [ "$(inbox '[.slack, .pagerduty, .hooks] | map(.requests)')" = '[0,0,0]' ]
    slack auth.test '{}'
    [ "$(jq .ok <<<"$body")" = true ]
    sandbox_stop
}

# Something hostile wherever a text goes.
attack() {
    local evil='<script>alert(1)</script>\"onload=\"x\u001b[31m'
    local mrkdwn='<javascript:alert(1)|click> <https://example.org/\"onmouseover=\"x|*y*> <!channel> *b* `<i>` &lt;u&gt; '
    order slack "{\"rate\": null, \"channels\": [{\"name\": \"<img src=x>\"}]}"
    slack chat.postMessage "{\"channel\": \"<img src=x>\", \"text\": \"$evil\", \"blocks\": [
        {\"type\": \"header\", \"text\": {\"type\": \"plain_text\", \"text\": \"$evil\"}},
        {\"type\": \"section\", \"text\": {\"type\": \"mrkdwn\", \"text\": \"$mrkdwn $evil\"},
            \"fields\": [{\"type\": \"mrkdwn\", \"text\": \"$evil\"}]},
        {\"type\": \"context\", \"elements\": [{\"type\": \"image\", \"image_url\": \"https://example.org/i.png\", \"alt_text\": \"$evil\"}]},
        {\"type\": \"markdown\", \"text\": \"$evil\"},
        {\"type\": \"rich_text\", \"elements\": [{\"type\": \"rich_text_section\", \"elements\": [{\"type\": \"text\", \"text\": \"$evil\"}]}]},
        {\"type\": \"actions\", \"elements\": [{\"type\": \"button\", \"action_id\": \"$evil\", \"text\": {\"type\": \"plain_text\", \"text\": \"$evil\"}}]}]}"
    [ "$(jq .ok <<<"$body")" = true ] || { echo "$body"; return 1; }
    local id ts
    id=$(jq -r .channel <<<"$body")
    ts=$(jq -r .ts <<<"$body")
    slack chat.update "{\"channel\": \"$id\", \"ts\": \"$ts\", \"text\": \"$evil\"}"
    slack chat.postMessage "{\"channel\": \"$id\", \"thread_ts\": \"$ts\", \"text\": \"$evil\",
        \"attachments\": [{\"color\": \"#e01e5a\", \"text\": \"$evil\", \"title\": \"$evil\"}]}"
    curl -s -o /dev/null "$PAGERDUTY_EVENTS_URL/v2/enqueue" -d "{\"routing_key\": \"$PAGERDUTY_ROUTING_KEY\",
        \"event_action\": \"trigger\", \"dedup_key\": \"$evil\", \"payload\": {\"summary\": \"$evil\", \"source\": \"x\",
        \"severity\": \"error\", \"custom_details\": {\"$evil\": \"$evil\"}}}"
    curl -s -o /dev/null "$PAGERDUTY_EVENTS_URL/v2/change/enqueue" \
        -d "{\"routing_key\": \"$PAGERDUTY_ROUTING_KEY\", \"payload\": {\"summary\": \"$evil\"}}"
    curl -s -o /dev/null "$DISPATCHER_SANDBOX_HOOKS/%3Cscript%3E" -H 'X-Evil: <script>' \
        --data-binary $'<script>alert(1)</script>\e[31m'
}

@test "the page shows what was got, and nothing of it runs" {
    need python3
    sandbox_start
    attack
    curl -s -D "$BATS_TEST_TMPDIR/headers" -o "$BATS_TEST_TMPDIR/page" "$DISPATCHER_SANDBOX/inbox"
    headers=$BATS_TEST_TMPDIR/headers
    [ "$(header Content-Security-Policy)" = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" ]
    python3 - "$BATS_TEST_TMPDIR/page" <<'P'
import sys
from html.parser import HTMLParser

text = open(sys.argv[1], encoding="utf-8").read()
assert "\x1b" not in text
known = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "div", "span", "p", "b", "i", "s", "code", "pre",
    "br", "a", "hr", "button", "details", "summary", "table", "tr", "td", "blockquote"}
void = {"meta", "br", "hr"}

class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.links, self.shown, self.buttons = [], [], [], []
    def handle_starttag(self, tag, attributes):
        assert tag in known, tag
        for name, value in attributes:
            assert name in {"class", "id", "style", "lang", "charset", "title", "disabled", "rel", "href"}, name
            if name == "href":
                self.links.append(value)
            if name == "style":
                assert value in {"border-color:#e01e5a"}, value
        if tag == "button":
            self.buttons.append(dict(attributes))
        if tag not in void:
            self.open.append(tag)
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
    def handle_data(self, data):
        self.shown.append(data)

page = Page()
page.feed(text)
page.close()
assert page.open == [], page.open
shown = "".join(page.shown)
evil = '<script>alert(1)</script>"onload="x[31m'
# Header, section, field, image, markdown, rich text, button; two revisions; text, title and text of an
# attachment in the thread; summaries of an alert and a change, and the alert's key.
assert shown.count(evil) == 15, shown.count(evil)
assert "Slack #<img src=x>" in shown and '"onload' in shown and "<script>alert(1)</script>[31m" in shown
assert page.links == ['https://example.org/"onmouseover="x'], page.links
assert "<javascript:alert(1)|click>" in shown and "@channel" in shown
assert page.buttons == [{"disabled": None, "class": "plain", "title": evil}], page.buttons
assert "<b>b</b> <code>&lt;i&gt;</code> &lt;u&gt;" in text
P
    run -0 curl -s -o /dev/null -w '%{http_code}' "$DISPATCHER_SANDBOX/inbox" -d x
    [ "$output" = 404 ]
    sandbox_stop
}

@test "the inbox can be read in a terminal" {
    sandbox_start
    attack
    curl -s -o /dev/null "$DISPATCHER_SANDBOX_HOOKS/ci" -d $'one\ntwo'
    "$bin" sandbox-control inbox.txt | sed 's/20[0-9T:-]*Z/TIME/' >"$BATS_TEST_TMPDIR/text"
    refute grep -q $'\e' "$BATS_TEST_TMPDIR/text"
    diff - "$BATS_TEST_TMPDIR/text" <<'T'
Slack (requests: 3, refused: 0)
  #<img src=x>
    TIME  bot  (revision 2)
      <script>alert(1)</script>"onload="x
      | <script>alert(1)</script>"onload="x
      | <javascript:alert(1)|click> <https://example.org/"onmouseover="x|*y*> <!channel> *b* `<i>` &lt;u&gt;  <script>alert(1)</script>"onload="x
      | <script>alert(1)</script>"onload="x
      | <script>alert(1)</script>"onload="x
      | [<script>alert(1)</script>"onload="x]
        TIME  bot
          <script>alert(1)</script>"onload="x
          | <script>alert(1)</script>"onload="x
PagerDuty (requests: 2, refused: 0)
  TIME  change  <script>alert(1)</script>"onload="x
  alert <script>alert(1)</script>"onload="x: triggered
    TIME  trigger  error  <script>alert(1)</script>"onload="x
webhooks (requests: 2, refused: 0)
  TIME  <script>  200  signature not checked
    <script>alert(1)</script>
  TIME  ci  200  signature not checked
    one
    two
T
    sandbox_stop
}
