#!/usr/bin/env bats
# Reports under attack (protocols.md T27, T28, T41, T42, T45, T47), for every sink: what others wrote
# neither mentions, links, formats nor hides; nothing is sent where it must not go; no secret is
# anywhere but where it belongs; a sink that hangs keeps nobody waiting.

load lib

setup_file() {
    world_template
}

setup() {
    world_make
}

teardown() {
    world_end
}

# notify_is: the block of dispatcher.yaml, from standard input.
notify_is() {
    local block
    block=$(cat)
    in_infra python3 - "$block" <<'PYTHON'
import sys
with open("dispatcher.yaml") as file:
    kept = file.read().split("\nnotify:")[0]
with open("dispatcher.yaml", "w") as file:
    file.write(kept.rstrip("\n") + "\n" + sys.argv[1] + "\n")
PYTHON
}

# One of each kind. GitHub's is routed to by `routes`, below it.
sinks() {
    cat <<END
notify:
  private_hosts: [127.0.0.1]
  sinks:
    card: {kind: slack, channel: "#deploys"}
    line: {kind: slack, webhook: "env:SLACK_WEBHOOK_URL"}
    oncall: {kind: pagerduty, incidents: {environments: [staging]}}
    audit: {kind: webhook, url: "$DISPATCHER_SANDBOX_HOOKS/audit", secret: "env:HOOK_SECRET"}
    code: {kind: github, check: always}
  routes:
    - {to: [${1:-card, line, oncall, audit}]}
END
}

in_a_job() {
    export GITHUB_ACTIONS=true GITHUB_REPOSITORY=demo/greeter GITHUB_RUN_ID=4711 GITHUB_JOB=deploy \
        GITHUB_RUN_ATTEMPT=1 GITHUB_REF=refs/heads/main GITHUB_STEP_SUMMARY=$world/summary.md \
        GITHUB_OUTPUT=$world/outputs.txt
}

inbox() {
    control inbox | jq -r "$1"
}

# --- what others wrote -------------------------------------------------------------------------

# Everything that means something to a sink, a terminal or a runner.
hostile=$'<!channel> <!here> <@U012AB3CD> <https://evil.example|click> @org/team @here '
hostile+=$'[a](https://evil.example) ![b](https://evil.example/x.png) <img src=x onerror=alert(1)> '
hostile+=$'</details> | a | b | ```x``` `y` \e[31mred\e[0m \e]8;;https://evil.example\e\\link\e]8;;\e\\ '
hostile+=$'\x01\x08\x7f\xc2\x9b \u202egnp.exe \u2066x\u2069 \u200b\ufeff\u2028::error::pwned\u2029'
hostile+=$'##[group]x %0A::set-output name=a::b @channel #12 *b* _i_ ~s~ &lt; &amp;'

# raw_commit AUTHOR MESSAGE: on top of HEAD, with what git itself would not let through.
raw_commit() {
    printf 'tree %s\nparent %s\nauthor %s <eve@evil.example> 1790000000 +0000\n' \
        "$(git rev-parse 'HEAD^{tree}')" "$(git rev-parse HEAD)" "$1" >"$world/commit"
    printf 'committer Eve <eve@evil.example> 1790000000 +0000\n\n%s\n' "$2" >>"$world/commit"
    sha=$(git hash-object -t commit -w --stdin <"$world/commit")
    git update-ref HEAD "$sha"
}

hostile_commits() {
    local subject
    raw_commit "$hostile" "$hostile"
    raw_commit Eve "$(head -c 300000 /dev/zero | tr '\0' x)"
    raw_commit Eve $'one\rtwo\r::error::three'
    for subject in '# heading (#12)' '- [ ] task' '> quote' '1. one' '| a | b | c |' '~~~' \
        '</details></summary><h1>' '<!-- dispatcher:greeter:staging -->' '&lt;!channel&gt;' '***'; do
        raw_commit "@org/team" "$subject"
    done
}

hostile_infra() {
    local workflow=$world/infra/.github/workflows/deploy-app.yaml
    printf '%s' "$hostile" >"$world/infra/bin/hostile"
    # shellcheck disable=SC2016 # the step's own
    printf '#!/usr/bin/env bash\ncat bin/hostile; echo\necho "::error::$(cat bin/hostile)"\n%s\n' '
        echo "::error title=<!here>::one%0Atwo%0D%0A<!channel>%0A- three"
        head -c 300000 /dev/zero | tr "\0" x; echo
        printf "%s\n" "\`\`\`" "~~~" "</details>" "    <h1>" "- <!channel>" "::error::$(cat bin/hostile)" "##[error]x"
        exit 1' >"$world/infra/bin/roll-out"
    sed -i "s/name: Roll out/name: 'Roll out <!here> [x](https:\/\/evil.example) @org\/team \`y\`'/" \
        "$workflow"
    sed -i 's|^title:.*|title: "<!channel> **Greeter** @org/team [x](https://evil.example) \`y\`"|' \
        "$world/infra/appspecs/greeter.yaml"
    in_infra true
}

# messages: what each sink would get of the last deployment, after what is there.
add_messages() {
    "$DISPATCHER_BIN" notify "$(id_of_last)" --test --json | sed '/^::/d' >>"$world/messages"
}

# A deployment that goes well and one that does not, in a job, of hostile texts only.
deploy_hostile() {
    local before
    before=$(git rev-parse HEAD)
    # shellcheck disable=SC2016
    git checkout -qb '<!channel>@org/team`x`$(id)|<b>'
    hostile_commits
    deployed_before "$before"
    in_a_job
    # shellcheck disable=SC2016
    export GITHUB_ACTOR='<!here>`x`@org/team'
    deploy
    expect 0
    add_messages
    hostile_infra
    put "$hostile"
    deploy
    expect 7
    add_messages
}

# check [INBOX [MESSAGES [SUMMARY]]]
check() {
    python3 "$DISPATCHER_ROOT/tests/e2e/check_reports.py" "$DISPATCHER_SANDBOX" "${1:-$world/inbox}" \
        "${2:-$world/messages}" "${3:-$world/summary.md}"
}

# finds CHANGE FILE: the check complains of this one, changed.
finds() {
    local inbox=$world/inbox messages=$world/messages summary=$world/summary.md
    case $2 in
        inbox) inbox=$world/changed && jq -c "$1" "$world/inbox" >"$world/changed" ;;
        messages) messages=$world/changed && jq -c "$1" "$world/messages" >"$world/changed" ;;
        summary) summary=$world/changed && { cat "$summary" && printf '%b\n' "$1"; } >"$world/changed" ;;
    esac
    run check "$inbox" "$messages" "$summary"
    [ "$status" -eq 1 ] || { echo "not found in $2: $1"; return 1; }
}

reads() { # FILE FILTER EXPECTED
    local seen
    seen=$(jq -r "$2" "$world/$1")
    [ "$seen" = "$3" ] || { printf '%s of %s is\n%s\n' "$2" "$1" "$seen"; return 1; }
}

@test "foreign text neither mentions, links, formats nor hides, whichever sink it goes to" {
    needs cmark-gfm python3
    sandbox_start
    export HOOK_SECRET=whsec_Y2FuYXJ5LWhvb2stc2VjcmV0 DISPATCHER_REPORT_WAIT_MS=6000
    sinks "card, line, oncall, audit, code" | notify_is
    deploy_hostile
    # What others wrote is put back as it was.
    [ "$(control state | jq -r --arg value "$hostile" '[.aws.parameters[0].versions[].value] |
        .[-1] == $value')" = true ]
    control inbox >"$world/inbox"
    run check
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    diff <(grep -vE '^(texts|slack (messages|mrkdwn|plain_text)): ' <<<"$output") - <<'END'
check summary: 2
check text: 2
comment: 2
github-check: 2
github-comment: 2
github-deployment: 2
github-status: 2
pagerduty events: 3
pagerduty-alert: 2
pagerduty-change: 2
slack-card: 2
slack-message: 2
slack-thread: 2
summary: 1
webhook events: 4
webhook-event: 2
END
    reads inbox '[.slack.channels[0].messages[] | .from, (.replies | length)] | join(" ") |
        gsub("webhook 0"; "w") | gsub("bot 1"; "b") | split(" ") | sort | join(" ")' "b b w w"
    exact_texts
    check_can_fail
}

exact_texts() {
    local last='([.slack.channels[0].messages[] | select(.from == "bot")][-1])'
    reads inbox "$last.attachments[0].blocks[0].fields[2].text" $'*Before*\n&lt;!channel&gt; &lt;!here&gt; &lt;@U012AB3CD&gt; &lt;https://evil.example|click&gt; @org/team ＠here [a](https://evil.example)…'
    reads inbox "$last.attachments[0].blocks[0].fields[3].text" $'*By*\n&lt;!here&gt;ˋxˋ@org/team'
    reads inbox "$last.blocks[0].text.text" '❌ <!channel> **Greeter** @org/team [x](https://evil.example)… → staging: failed, previous version restored'
    reads inbox "$last.replies[0].blocks[3].text.text" $'*How things stand*\n• parameter /greeter/staging/web/version is restored: \'&lt;!channel&gt; &lt;!here&gt; &lt;@U012AB3CD&gt; &lt;https://evil.example|cli…\' is back as version 5'
    reads inbox '[.slack.channels[0].messages[] | select(.from == "webhook")][-1].blocks[0].text.text | split("\n")[0]' '❌ *&lt;!channel&gt; ∗∗Greeter∗∗ @org/team [x](https://evil.example)… → staging: failed, previous version restored*'
    reads inbox '.hooks.deliveries[-1].json.data | [.previous_version, .branch, .actor] | join("\n")' $'<!channel> <!here> <@U012AB3CD> <https://evil.example|click> @org/team @here [a](https://evil.example) ![b](https://evil.example/x.png) <img src=x onerror=alert(1)> </details> | a | b | ```x``` `y`… (with characters that are not shown)\n<!channel>@org/team`x`$(id)|<b>\n<!here>`x`@org/team'
    reads inbox '.hooks.deliveries[-1].json.data.failure.log_tail | split("\n")[0:5] | join("\n")' $'```\n~~~\n</details>\n    <h1>\n- <!channel>'
    reads inbox '.pagerduty.changes[1].payload.custom_details.previous_version | .[0:60]' '<!channel> <!here> <@U012AB3CD> <https://evil.example|click>'
    reads messages 'select(.kind == "github-comment").body.body | split("\n")[] | select(startswith("| By"))' $'| By | &lt;!here>\\`x\\`@&#8203;org/team |\n| By | &lt;!here>\\`x\\`@&#8203;org/team |'
    reads messages 'select(.kind == "github-status" and .body.state == "failure").body.description' "failed, previous version restored: run 16000000004 ended as 'failure': job 'deploy' failed at step 'Roll out <!here>…"
}

check_can_fail() {
    local card='.slack.channels[0].messages[0]' bad
    for bad in '<!channel>' '<https://evil.example|click>' 'a & b' ' *b*' '@here' '```' $'\u202e'; do
        finds "$card.attachments[0].blocks[0].text.text += \"$bad\"" inbox
    done
    finds "$card.attachments[0].blocks[0].text.verbatim = false" inbox
    finds "$card.text += (\"x\" * 4000)" inbox
    finds "$card.replies[0].blocks[0].text.text = (\"x\" * 3001)" inbox
    finds '.pagerduty.changes[0].payload.summary = ("x" * 1025)' inbox
    finds '.pagerduty.changes[0].links[0].href = "https://evil.example"' inbox
    finds '.hooks.deliveries[0].json.data.title = "\u001b[31m"' inbox
    finds '.hooks.deliveries[0].headers["webhook-id"] = "x"' inbox
    for bad in '@org/team' '#12' '[x](https://evil.example)' '![x](y)' '<b>x</b>' '</details>' '<!-- x -->' '**b**'; do
        finds "if .kind == \"github-comment\" then .body.body += \"\n\n$bad\" else . end" messages
    done
    finds 'if .kind == "github-comment" then .body.body |= sub("\\| By"; "| a | b | By") else . end' messages
    finds 'if .kind == "github-status" then .body.description = ("x" * 141) else . end' messages
    finds '\n\n# title' summary
    finds '\n\n\033[31m' summary
}
