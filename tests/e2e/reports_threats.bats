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
    for bad in '<!channel>' '<https://evil.example|click>' 'a & b' ' *b*' '@here' '```' '\u202e' '\u0007'; do
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

# --- where it goes -----------------------------------------------------------------------------

# A network of this test's own, with names that lead to where no webhook may lead, and somebody who
# listens at all of its addresses. What is started from now on runs in there.
private_network() {
    needs unshare nsenter ip python3
    printf '127.0.0.1 localhost\n%s\n' "$1" >"$world/hosts"
    cat >"$world/network" <<'END'
set -e
mount --bind "$1/hosts" /etc/hosts
ip link set lo up
for address in 10.1.2.3/32 172.16.0.1/32 192.168.1.1/32 169.254.169.254/32 100.64.1.1/32 \
    fd00::1/128 fe80::1/64; do
    ip address add "$address" dev lo
done
exec python3 "$1/listen.py" "$1/connects"
END
    cat >"$world/listen.py" <<'END'
import socket, sys
server = socket.create_server(("::", 443), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
with open(sys.argv[1], "w", buffering=1) as file:
    file.write("ready\n")
    while True:
        connection, peer = server.accept()
        file.write(f"{connection.getsockname()[0]}\n")
        connection.close()
END
    start network unshare --map-root-user --mount --net bash "$world/network" "$world"
    until_true 10 test -s "$world/connects" || skip "no namespaces: $(tail -n 1 "$world/network.log")"
    local pid=${servers[-1]%%:*}
    printf '#!/bin/sh\nexec nsenter -t %s -U -m -n --preserve-credentials --wd="$PWD" -- "$@"\n' "$pid" >"$world/inside"
    printf '#!/bin/sh\nexec %s/inside %s "$@"\n' "$world" "$DISPATCHER_BIN" >"$world/dispatcher"
    chmod +x "$world/inside" "$world/dispatcher"
    DISPATCHER_BIN=$world/dispatcher
    curl() { "$world/inside" curl "$@"; }
}

connects() {
    tail -n +2 "$world/connects" | sort | uniq -c | awk '{print $2 "=" $1}' | tr '\n' ' '
}

@test "a name that leads to this machine or a private network is not connected to, and that is said once" {
    private_network "127.0.0.1 own.example.org
::1 own6.example.org
10.1.2.3 ten.example.org
172.16.0.1 seventeen.example.org
192.168.1.1 home.example.org
169.254.169.254 metadata.example.org
100.64.1.1 shared.example.org
fd00::1 local6.example.org
::ffff:127.0.0.1 mapped.example.org
10.1.2.3 near.example.org"
    sandbox_start
    local names=(own own6 ten seventeen home metadata shared local6 mapped) name
    {
        echo "deploy: {notify: {sinks: {"
        for name in "${names[@]}" near; do
            echo "  $name: {kind: webhook, url: \"https://$name.example.org/x\"},"
        done
        echo "}}}"
    } >>"$world/infra/appspecs/greeter.yaml"
    echo 'notify: {private_hosts: [near.example.org]}' | notify_is
    export DISPATCHER_REPORT_WAIT_MS=3000
    deploy
    expect 0
    says "'greeter' $sha is deployed to 'staging'"
    # The one that the organisation lists is the proof that somebody counts.
    [[ "$(connects)" =~ ^"::ffff:10.1.2.3="[12]" "$ ]] || { connects; false; }
    for name in "${names[@]}"; do
        [ "$(grep -c "'$name' has not got" <<<"$output")" = 1 ] || { show; false; }
        says "! '$name' has not got its reports (2): $name.example.org: it is at an address that is not public; it waits in the outbox"
    done
    says "! 'near' has not got its reports (2): near.example.org: "
    dispatcher doctor greeter --env staging
    expect 0
    for name in "${names[@]}"; do
        [ "$(grep -c "^! outbox       '$name' has taken nothing since 20..-..-..T..:..:..Z: $name.example.org: it is at an address that is not public\$" <<<"$output")" = 1 ] || { show; false; }
    done
}

# listeners: REDIRECTOR answers everything with 307 to CATCHER; who came to which is counted.
listeners() {
    needs python3
    cat >"$world/listeners.py" <<'END'
import http.server, sys, threading

class Server(http.server.BaseHTTPRequestHandler):
    def answer(self):
        with open(f"{sys.argv[1]}/{self.server.name}", "a") as file:
            file.write(f"{self.command} {self.path}\n")
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.server.status)
        self.send_header("Location", f"http://127.0.0.1:{ports['catcher']}/caught{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PATCH = do_PUT = answer

    def log_message(self, *_):
        pass

servers, ports = [], {}
for name, status in (("catcher", 200), ("redirector", int(sys.argv[2]))):
    server = http.server.ThreadingHTTPServer(("", 0), Server)
    server.name, server.status = name, status
    servers.append(server)
    ports[name] = server.server_address[1]
    open(f"{sys.argv[1]}/{name}", "w").close()
    threading.Thread(target=server.serve_forever).start()
with open(f"{sys.argv[1]}/ports", "w") as file:
    file.write("".join(f"{name}={port}\n" for name, port in ports.items()))
END
    start listeners python3 "$world/listeners.py" "$world" "$1"
    until_true 10 grep -q redirector "$world/ports"
    # shellcheck disable=SC1091
    . "$world/ports"
}

came_to() {
    sort -u "$world/$1" | tr '\n' ' '
}

@test "a redirect is followed for no sink: where it leads to gets nothing" {
    local code
    sandbox_start
    export HOOK_SECRET=canary-hook-secret DISPATCHER_REPORT_WAIT_MS=1500
    for code in 302 307; do
        listeners "$code"
        export SLACK_API_URL=http://127.0.0.1:$redirector/api \
            SLACK_WEBHOOK_URL=http://127.0.0.1:$redirector/services/T/B/x \
            PAGERDUTY_EVENTS_URL=http://127.0.0.1:$redirector/events
        sinks | sed "s|$DISPATCHER_SANDBOX_HOOKS|http://127.0.0.1:$redirector|" | notify_is
        deploy
        expect 0
        [ "$(came_to redirector)" = "POST /api/chat.postMessage POST /audit POST /events/v2/change/enqueue POST /services/T/B/x " ] ||
            { came_to redirector; false; }
        [ "$(came_to catcher)" = "" ] || { came_to catcher; false; }
        says "! 'card' has not got its reports (2): 127.0.0.1: '#deploys': it sends elsewhere, which is not followed (HTTP $code); it waits in the outbox" \
            "! 'line' has not got its report: an incoming webhook of 127.0.0.1: it sends elsewhere, which is not followed (HTTP $code); it waits in the outbox" \
            "! 'oncall' has not got its reports (2): 127.0.0.1: it sends elsewhere, which is not followed (HTTP $code); it waits in the outbox" \
            "! 'audit' has not got its reports (2): 127.0.0.1: it sends elsewhere, which is not followed (HTTP $code); it waits in the outbox"
        rm "$world/ports" "$DISPATCHER_STATE"
    done
}

@test "an incoming webhook leads to Slack or to a host that the organisation lists, else nowhere" {
    local address problem count=0 lines=()
    listeners 200
    sandbox_start
    while IFS='|' read -r address problem; do
        export "HOOK_$count=$address"
        lines+=("    line$count: {kind: slack, webhook: \"env:HOOK_$count\"}")
        problems+=("! 'line$count' has not got its report: an incoming webhook$problem; it waits in the outbox")
        count=$((count + 1))
    done <<END
http://127.0.0.1:$catcher/services/T/B/canary0| of 127.0.0.1: its address is not at hooks.slack.com
https://127.0.0.1:$catcher/services/T/B/canary1| of 127.0.0.1: its address is not at hooks.slack.com
https://localhost:$catcher/canary2| of localhost: its address is not at hooks.slack.com
https://hooks.slack.com.evil.example/canary3| of hooks.slack.com.evil.example: its address is not at hooks.slack.com
https://hooks.slack.com@127.0.0.1:$catcher/canary4| of 127.0.0.1: its address holds a user name
http://hooks.slack.com/services/canary5| of hooks.slack.com: its address is not plainly https
https://hooks.slack.com:$catcher/services/canary6| of hooks.slack.com: its address is not plainly https
https://127.0.0.1:$catcher\\@hooks.slack.com/canary7|: its address is no URL
END
    printf '%s\n' "notify:" "  sinks:" "${lines[@]}" | notify_is
    export DISPATCHER_REPORT_WAIT_MS=2000
    deploy
    expect 0
    says "${problems[@]}"
    [ "$(grep -c "has not got its report" <<<"$output")" = "$count" ] || { show; false; }
    says_not canary
    dispatcher doctor greeter --env staging
    expect 0
    [ "$(grep -c "^! outbox       'line[0-7]' has taken nothing since " <<<"$output")" = "$count" ] ||
        { show; false; }
    says_not canary
    [ "$(came_to catcher)$(came_to redirector)" = "" ]
    # Listed by the organisation, it is taken: the listener would have counted.
    export SLACK_WEBHOOK_URL=http://127.0.0.1:$catcher/x
    sinks line | notify_is
    deploy
    expect 0
    [ "$(came_to catcher)" = "POST /x " ]
}

@test "an app's spec lists no host of its own, and nothing is deployed where lint refuses an address" {
    local url text sinks=() texts=()
    sandbox_start
    while IFS='|' read -r url text; do
        sinks+=("x${#texts[@]}: {kind: webhook, url: \"$url\"}")
        texts+=("bad 'url' '$url': $text")
    done <<'END'
https://0177.0.0.1/|must name a host, not an address
https://0x7f000001/|must name a host, not an address
https://127.1/|must name a host, not an address
https://[::1]/|must name a host, not an address
https://[::ffff:127.0.0.1]/|must name a host, not an address
https://169.254.169.254./|must name a host, not an address
https://me.localhost/|must name a host of the public internet
https://metadata.google.internal/|must name a host of the public internet
https://vault/|must name a host of the public internet
https://example.org:8443/|must be on port 443
https://hooks..example.org/|must name a host, without an empty part
END
    refused "" "${sinks[@]}"
    says "${texts[@]}"
    refused "private_hosts: [127.0.0.1], " "a: {kind: webhook, url: \"https://u:canary@example.org/\"}" \
        "b: {kind: webhook, url: \"https://example.org/\\r\\nX-Injected: yes\"}" \
        "c: {kind: slack, channel: \"#a\\r\\nX-Injected: yes\"}" \
        "d: {kind: slack, channel: \"#a\", token: \"env:X\\nY\"}"
    says "unknown key 'private_hosts' in 'notify'" "'url' holds a literal secret" \
        "bad 'url' 'https://example.org/  X-Injected: yes': must be an https URL" \
        "bad 'channel' '#a  X-Injected: yes'" "'token' is a secret reference of no known form"
    says_not canary
}

# refused KEYS SINK...: so nothing is deployed, and nothing is told by hand.
refused() {
    local keys=$1
    shift
    cp -n "$world/infra/appspecs/greeter.yaml" "$world/greeter.yaml"
    {
        cat "$world/greeter.yaml"
        printf 'deploy: {notify: {%ssinks: {\n' "$keys"
        printf '  %s,\n' "$@"
        echo '}}}'
    } >"$world/infra/appspecs/greeter.yaml"
    dispatcher notify greeter --env staging --outcome deployed
    expect 3
    deploy
    expect 3
    nothing_happened
    [ "$(asked '.path | test("^/(hooks|slack|pagerduty)")')" = 0 ]
}

# --- header lines ------------------------------------------------------------------------------

@test "a token, key or address with a line end inside is not sent, and not shown" {
    local kind
    sandbox_start
    export DISPATCHER_REPORT_WAIT_MS=1500
    for kind in token address key github; do
        printf 'canary-%s-one\r\nX-Injected: canary-two\n' "$kind" >"$world/$kind"
    done
    printf 'http://127.0.0.1:1/canary-one\r\nX-Injected: canary-two\n' >"$world/address"
    sinks "card, line, oncall, code" | sed "s|channel: \"#deploys\"|channel: \"#deploys\", token: \"file:$world/token\"|
        s|env:SLACK_WEBHOOK_URL|file:$world/address|; s|kind: pagerduty,|kind: pagerduty, routing_key: \"file:$world/key\",|
        s|kind: github,|kind: github, token: \"file:$world/github\",|" | notify_is
    deploy
    expect 0
    says "! 'card' has not got its reports (2): 127.0.0.1: '#deploys': the request cannot be sent; it waits in the outbox" \
        "! 'line' has not got its report: an incoming webhook: its address is no URL; it waits in the outbox" \
        "! 'oncall' has not got its reports (2): 127.0.0.1: the routing key is no integration key; it waits in the outbox"
    says "'code' has not got its reports"
    says_not canary Injected
    [ "$(asked '.path | test("^/(hooks|slack|pagerduty)|deployments|statuses|check-runs")')" = 0 ]
    # From the environment as well, and by doctor.
    sinks card | notify_is
    SLACK_BOT_TOKEN=$'xoxb-canary\r\nX-Injected: yes' dispatcher doctor greeter --env staging
    expect 0
    says "! reports      'card' (slack): 127.0.0.1: the request cannot be sent"
    says_not canary Injected
    [ "$(asked '.path | test("^/slack")')" = 0 ]
}

# --- sinks that hang ---------------------------------------------------------------------------

now_ms() {
    echo $(($(date +%s%N) / 1000000))
}

@test "a sink that hangs delays neither the deployment, beyond the wait, nor what others get" {
    local start own took wait=2500
    sandbox_start
    export HOOK_SECRET=canary-hook-secret DISPATCHER_REPORT_WAIT_MS=$wait
    sinks | notify_is
    control hooks -d '{"name": "audit", "hang": "20s"}'
    start=$(now_ms)
    deploy_behind --json
    until_true 20 grep -q '"event":"finished"' "$world/out"
    own=$(($(now_ms) - start))
    deploy_end
    took=$(($(now_ms) - start))
    expect 0
    echo "$took ms, of them its own: $own ms"
    [ "$own" -lt 10000 ] # it hangs for twice as long
    [ "$took" -ge "$wait" ]
    [ "$took" -lt $((own + wait + 8000)) ]
    [ "$(inbox '.slack.channels[0].messages | map(.from) | sort | join(" ")')" = "bot webhook" ]
    [ "$(inbox '.slack.channels[0].messages[] | select(.from == "bot") | [.attachments[0].color,
        (.replies | length)] | join(" ")')" = "#2eb67d 1" ]
    [ "$(inbox '.pagerduty.changes | length')" = 1 ]
    [ "$(inbox '.hooks.deliveries | length')" = 1 ]
    [ "$(jq -r 'select(.event == "report") | [.sink, .count, .state, .problem] | join(" ")' <<<"$output")" = \
        "audit 2 waiting it had not answered when the wait was over" ]
}

# tarpit: takes connections at any address of this machine, and never answers.
tarpit() {
    needs python3
    cat >"$world/tarpit.py" <<'END'
import socket, sys
server, kept = socket.create_server(("", 0), backlog=64), []
with open(sys.argv[1], "w") as file:
    file.write(str(server.getsockname()[1]))
while True:
    kept.append(server.accept())
END
    start tarpit python3 "$world/tarpit.py" "$world/tarpit.port"
    until_true 10 test -s "$world/tarpit.port"
}

@test "an app's sinks that all hang keep nothing from the organisation's" {
    local index
    sandbox_start
    tarpit
    export HOOK_SECRET=canary-hook-secret DISPATCHER_REPORT_WAIT_MS=4000
    sinks | sed 's/private_hosts: .*/private_hosts: [127.0.0.1, 127.0.1.1, 127.0.1.2, 127.0.1.3, 127.0.1.4, 127.0.1.5, 127.0.1.6, 127.0.1.7, 127.0.1.8, 127.0.1.9]/' | notify_is
    {
        echo "deploy: {notify: {sinks: {"
        for index in 1 2 3 4 5 6 7 8 9; do
            echo "  a$index: {kind: webhook, url: \"http://127.0.1.$index:$(cat "$world/tarpit.port")/\"},"
        done
        echo "}}}"
    } >>"$world/infra/appspecs/greeter.yaml"
    deploy
    expect 0
    [ "$(inbox '.slack.channels[0].messages | map(.from) | sort | join(" ")')" = "bot webhook" ] || { show; false; }
    [ "$(inbox '.slack.channels[0].messages[] | select(.from == "bot") | .replies | length')" = 1 ]
    [ "$(inbox '.pagerduty.changes | length')" = 1 ]
    [ "$(inbox '.hooks.deliveries | map(.json.data.outcome) | join(" ")')" = "started deployed" ]
    # What they have not got waits, and a deployment of a single sink tries them once more.
    sed -i '/^deploy: {notify/,$d' "$world/infra/appspecs/greeter.yaml"
    sinks audit | notify_is
    control reset -X POST
    DISPATCHER_REPORT_WAIT_MS=2000 deploy
    expect 0
    [ "$(inbox '.hooks.deliveries | map(.json.data.outcome) | join(" ")')" = "started deployed" ] || { show; false; }
}

# --- secrets -----------------------------------------------------------------------------------

# Each sink's secret, one of them from a file and one in a variable that only the files name, and
# where it is all looked for. The key of the incoming webhook is the end of its address.
plant() {
    canaries=$world/canaries seen=$world/seen
    mkdir "$seen"
    hook_key=${SLACK_WEBHOOK_URL##*/}
    export DEPLOY_HOOK_SECRET=whsec_Y2FuYXJ5LXNlY3JldC1vZi10aGUtaG9vay0wMTIz
    printf 'canary-file-token-0123456789abcdef\n' >"$world/token"
    export DISPATCHER_STATE=$seen/state.db DISPATCHER_LOG=debug
    in_a_job
    export GITHUB_STEP_SUMMARY=$seen/summary.md GITHUB_OUTPUT=$seen/outputs.txt
    printf '%s\n' "$SLACK_BOT_TOKEN" "$SLACK_WEBHOOK_URL" "$hook_key" "$PAGERDUTY_ROUTING_KEY" \
        "$DEPLOY_HOOK_SECRET" "$GITHUB_TOKEN" "$AWS_SECRET_ACCESS_KEY" "$(cat "$world/token")" \
        Y2FuYXJ5LXNlY3JldC1vZi10aGUtaG9vay0wMTIz >"$canaries"
    [ "$(awk 'length < 20' "$canaries" | wc -l)" = 0 ]
    sinks "card, line, oncall, file" | sed "s/env:HOOK_SECRET/env:DEPLOY_HOOK_SECRET/
        s|    code: .*|    file: {kind: slack, channel: \"#general\", token: \"file:$world/token\"}|
        \$a\\    - {to: [audit], outcomes: [failures]}" | notify_is
}

# look WHAT...: the streams of the last command, what it left, and what the sandbox got.
look() {
    # The masks themselves name the secrets, first thing, to the runner.
    grep -v '^::add-mask::' <<<"$output" >"$seen/stdout" || true
    grep -v '^::add-mask::' <<<"$stderr" >"$seen/stderr" || true
    control inbox >"$seen/inbox.json"
    curl -sS "$DISPATCHER_SANDBOX/inbox" >"$seen/inbox.html"
    # An incoming webhook's address is where its key belongs.
    control requests | jq '[.requests[] | select(.path | startswith("/slack/services/") | not)]' \
        >"$seen/requests.json"
    "$DISPATCHER_BIN" notify --outbox --json | grep -v '^::add-mask::' >"$seen/outbox" || true
    [ -s "$seen/state.db" ] && [ -s "$seen/inbox.html" ]
}

nothing_leaked() {
    look
    local canary hits=0
    while read -r canary; do
        if grep -raqF -- "$canary" "$seen"; then
            echo "$1: found '${canary:0:12}…' in: $(grep -ralF -- "$canary" "$seen" | tr '\n' ' ')"
            hits=1
        fi
    done <"$canaries"
    [ "$hits" = 0 ] || { show; return 1; }
}

@test "the search for secrets finds each of them, as file, summary or stream" {
    local canary
    sandbox_start
    export DISPATCHER_REPORT_WAIT_MS=0
    plant
    deploy
    while read -r canary; do
        output="x $canary y"
        run nothing_leaked it
        [ "$status" -eq 1 ]
        [[ "$output" == *"found '${canary:0:12}…'"* ]]
    done <"$canaries"
}

@test "no secret of a sink is shown, kept or sent elsewhere, whether a deployment goes well or fails" {
    sandbox_start
    plant
    export DISPATCHER_REPORT_WAIT_MS=4000
    put before
    deploy
    expect 0
    nothing_leaked deployed
    # The infra run prints all of them, one a line, and one of them in an annotation.
    cp "$canaries" "$world/infra/bin/hostile"
    # shellcheck disable=SC2016
    roll_out_is 'cat bin/hostile; while read -r line; do echo "::error::it is $line!"; done <bin/hostile; exit 1'
    GITHUB_RUN_ID=4712 deploy
    expect 7
    says '***'
    nothing_leaked failed
    local id
    id=$(id_of_last)
    dispatcher notify "$id" --test
    nothing_leaked test
    dispatcher watch "$id"
    nothing_leaked watch
    dispatcher doctor greeter --env staging
    nothing_leaked doctor
}

order() { # PATH JSON
    control "$1" -d "$2" >/dev/null
}

# echoes STATUS WORDS: so every sink answers, Slack with these words, the others with their secrets.
echoes() {
    order slack "$(jq -n --argjson status "$1" --arg words "$2" '{fail: {what: "*", count: "all",
        status: $status, body: (if $words | startswith("xoxb") then {ok: false, error: $words,
        needed: $words, response_metadata: {messages: [$words]}} | tostring else $words end)}}')"
    order pagerduty "$(jq -n --argjson status "$1" --arg key "$PAGERDUTY_ROUTING_KEY" '{fail: {what: "*",
        count: "all", status: $status, body: ({status: "invalid event", message: "routing_key \($key)",
        errors: [$key]} | tostring)}}')"
    order hooks "$(jq -n --argjson status "$1" --arg secret "$DEPLOY_HOOK_SECRET" '{name: "audit",
        status: $status, body: $secret}')"
}

@test "nor when a sink refuses and quotes it" {
    local status_of words
    sandbox_start
    plant
    export DISPATCHER_REPORT_WAIT_MS=800
    sed -i '/outcomes: \[failures\]/s/, outcomes: .*/}/' "$world/infra/dispatcher.yaml" && in_infra true
    for status_of in 200 400 401 500; do
        for words in "$SLACK_BOT_TOKEN" "$hook_key" ; do
            control reset -X POST
            echoes "$status_of" "$words"
            rm -f "$DISPATCHER_STATE"*
            GITHUB_RUN_ID=$((GITHUB_RUN_ID + 1)) deploy
            expect 0
            says "! 'card' has not got its reports" "! 'line' has not got its report"
            nothing_leaked "$status_of, $words"
        done
    done
}

audit_has_one() {
    [ "$(inbox '.hooks.deliveries | length')" = 1 ]
}

@test "nor when tokens are revoked and a sink hangs; and none is on the command line" {
    sandbox_start
    plant
    export DISPATCHER_REPORT_WAIT_MS=1500
    sed -i '/outcomes: \[failures\]/s/, outcomes: .*/}/' "$world/infra/dispatcher.yaml" && in_infra true
    order slack '{"token": "revoked", "webhook": {"removed": true}}'
    order pagerduty '{"key": "revoked"}'
    order hooks '{"name": "audit", "hang": "20s"}'
    deploy_behind
    until_true 10 audit_has_one
    cat "/proc/$deploying/cmdline" >"$seen/cmdline"
    deploy_end
    expect 0
    grep -qaF greeter "$seen/cmdline"
    says "! 'card' has not got its reports (2): 127.0.0.1: '#deploys': the token was revoked (token_revoked)" \
        "! 'line' has not got its report: an incoming webhook of 127.0.0.1: the webhook is gone or disabled (no_service)" \
        "! 'oncall' has not got its reports (2): 127.0.0.1: the routing key is refused" \
        "! 'audit' has not got its reports (2): it had not answered when the wait was over; it waits in the outbox"
    nothing_leaked revoked
}
