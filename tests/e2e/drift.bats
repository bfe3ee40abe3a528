#!/usr/bin/env bats
# Drift: the service sees what somebody changed behind its back, says so in the API, on its pages, in
# its metrics and in the audit log, says when it is over, and changes nothing by itself.
load lib.bash
load web_lab.bash
load rollout_lab.bash
load apprunner_lab.bash

setup_file() {
    world_template
}

setup() {
    world_make
    needs curl jq python3
}

teardown() {
    world_end
}

# As web_lab has it, with a service in staging that the service rolls out itself: of ECS unless
# $target says otherwise. It is there once the images are: platform_is.
eval "$(declare -f specs_are | sed '1s/specs_are/plain_specs_are/')"
eval "$(declare -f images_are_pushed | sed '1s/images_are_pushed/plain_images_are_pushed/')"
target='{kind: ecs, cluster: blue, service: "greeter-{env}"}'
specs_are() {
    plain_specs_are
    sed -i "s/^deploy:\$/deploy:\n  via: direct\n  target: $target/" "$world/infra/appspecs/greeter.yaml"
    in_infra true
}

images_are_pushed() {
    plain_images_are_pushed
    image=$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web
    other_image "$world/image" "$world/image2"
    old=$(digest_of "$world/image") new=$(digest_of "$world/image2")
    "$DISPATCHER_BIN" push "oci:$world/image2" "$image:hotfix" >/dev/null
    platform_is
}

platform_is() {
    seed "$(service '.delay = "100ms"')"
}

# drift_start [INTERVAL]: the service looks all the time, and needs no time to settle.
drift_start() {
    export DISPATCHER_DRIFT_SETTLE_MS=1 DISPATCHER_POLL_MS=200
    service_start "drift_interval: ${1:-1s}" "proxy_auth: {header: X-User, addresses: [127.0.0.1]}"
    parameter=/greeter/staging/web/version
}

ssm_do() { # OPERATION JSON
    aws_do ssm "AmazonSSM.$1" "$2"
}

set_parameter() {
    ssm_do PutParameter "$(jq -n --arg name "$parameter" --arg value "$1" \
        '{Name: $name, Value: $value, Type: "String", Overwrite: true}')" >/dev/null
}

# drift [JQ]: of the greeter in staging, as the API has it for a job of the app.
drift() {
    curl -sf "$url/api/v1/apps/greeter" -H "Authorization: Bearer $(job_token "$first")" |
        jq -ec ".environments[] | select(.env == \"staging\").drift | ${1:-.}"
}

drift_is() { # JQ-CONDITION
    [ "$(drift "$1")" = true ]
}

until_drift() { # JQ-CONDITION
    until_true 30 drift_is "$1" || { echo "not so: $1"; drift || true; tail -5 "$world/serve.log"; return 1; }
}

# audited: "appeared parameter v9", one line an entry, oldest first.
audited() {
    python3 - "$world/service.db" <<'P'
import json, sqlite3, sys
for (detail,) in sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=10).execute(
        "SELECT detail FROM audit WHERE kind = 'drift' ORDER BY sequence"):
    detail = json.loads(detail)
    print(detail["drift"], detail["what"], detail.get("found", "-"))
P
}

html() {
    curl -sf "$url$1" -H "X-User: octocat"
}

page() {
    html "$1" | sed -e 's/<[^>]*>//g' -e 's/&#39;/'"'"'/g' | tr '\n' ' '
}

shows() { # PATH TEXT
    page "$1" | grep -qF -- "$2" || { page "$1"; echo "not on $1: $2"; return 1; }
}

# shows_not PATH TEXT: neither in what is read nor in what is not.
shows_not() {
    html "$1" >"$world/page.html"
    if grep -qF -- "$2" "$world/page.html"; then echo "on $1: $2"; return 1; fi
}

metric() {
    curl -sf "$url/metrics" | grep -F "$1" | grep -v '^#' | awk '{print $2}'
}

@test "a parameter that somebody else wrote is drift, until it says again what was deployed" {
    drift_start
    holds [ "$(metric 'dispatcher_drift_age_seconds')" = -1 ]
    deployed staging "$first"
    until_drift '.state == "in-sync" and .parameters == 1 and .running == 1'
    drift_is '.why == null and .unknown_since == null and .items == []'
    shows /apps/greeter "The version parameter says so, and it is what runs: looked at "
    [ "$(audited)" = "" ]

    set_parameter v9
    until_drift '.state == "drift"'
    [ "$(drift '.items | map(del(.since))')" = "$(jq -nc --arg v "$first" --arg p "$parameter" \
        '[{service: "web", what: "parameter", expected: $v, found: "v9",
           sentence: "Parameter '"'"'\($p)'"'"' says '"'"'v9'"'"'; '"'"'\($v)'"'"' is what was deployed last."}]')" ]
    shows /apps/greeter "drift Parameter '$parameter' says 'v9'; '$first' is what was deployed last. Seen first "
    shows /apps/greeter "dispatcher deploy greeter --env staging --version $first --server $url"
    shows /apps/greeter "Or let a job of the app deploy v9, so that it is proven and recorded."
    shows_not /apps/greeter "dispatcher rollback" # there is nothing to go back to
    shows "/?drift=1" "drift"
    holds [ "$(metric 'dispatcher_drift{state="drift"}')" = 1 ]
    holds [ "$(metric 'dispatcher_drift{state="in-sync"}')" = 0 ]
    sleep 3 # more looks change nothing
    [ "$(audited)" = "appeared parameter v9" ]
    [ "$(ssm_do GetParameter "{\"Name\": \"$parameter\"}" | jq -r .Parameter.Value)" = v9 ]

    set_parameter "$first"
    until_drift '.state == "in-sync" and .items == []'
    [ "$(audited)" = "appeared parameter v9
ended parameter v9" ]
    holds [ "$(metric 'dispatcher_drift{state="drift"}')" = 0 ]
    shows_not /apps/greeter "says &#39;v9&#39;"
}

@test "a parameter that is gone is drift, and so is a value that need not be a version, which is not told" {
    drift_start
    deployed staging "$first"
    until_drift '.state == "in-sync"'
    ssm_do DeleteParameter "{\"Name\": \"$parameter\"}" >/dev/null
    until_drift '.state == "drift" and .items[0].found == null'
    shows /apps/greeter "Parameter '$parameter' does not exist; '$first' is what was deployed last."
    ssm_do PutParameter "$(jq -n --arg name "$parameter" \
        '{Name: $name, Value: "hunter2-of-the-vault", Type: "SecureString"}')" >/dev/null
    until_drift '.items[0].found == "(not shown, version 1)"'
    shows /apps/greeter "holds something else that is not shown, since it need not be a version"
    shows_not /apps/greeter hunter2
    holds [ "$(grep -c hunter2 "$world/serve.log")" = 0 ]
    holds [ "$(drift | grep -c hunter2)" = 0 ]
    [ "$(audited)" = "appeared parameter -
ended parameter -
appeared parameter (not shown, version 1)" ]
}

@test "another image in the ECS service is drift, until the deployed one runs again" {
    drift_start
    deployed staging "$first"
    until_drift '.state == "in-sync"'
    local ours
    ours=$(ecs_do DescribeServices '{"cluster": "blue", "services": ["greeter-staging"]}' | jq -r '.services[0].taskDefinition')
    ecs_do RegisterTaskDefinition "$(definition '.containerDefinitions[0].image |= sub(":v1$"; ":hotfix")')" >"$world/theirs"
    ecs_do UpdateService "$(jq -c '{cluster: "blue", service: "greeter-staging",
        taskDefinition: .taskDefinition.taskDefinitionArn}' "$world/theirs")" >/dev/null
    until_drift '.state == "drift"'
    [ "$(drift '.items | map([.service, .what, .expected, .found])')" = "[[\"web\",\"running\",\"$old\",\"$new\"]]" ]
    shows /apps/greeter "'web' does not run '$first': "
    shows_not /apps/greeter "--version $new"
    [ "$(audited)" = "appeared running $new" ]

    ecs_do UpdateService "$(jq -nc --arg to "$ours" '{cluster: "blue", service: "greeter-staging", taskDefinition: $to}')" >/dev/null
    until_drift '.state == "in-sync"'
    [ "$(audited)" = "appeared running $new
ended running $new" ]
}

@test "another image in App Runner is drift" {
    target='{kind: apprunner, service: "greeter-{env}"}'
    platform_is() {
        control aws/apprunner/seed -X POST --data-binary '{"delay": "100ms"}' >/dev/null
        apprunner_seed "$(jq -n --arg name "$runner" --arg image "$image:$first" '{name: $name, image: $image, settings: {}}')"
    }
    drift_start
    deployed staging "$first"
    until_drift '.state == "in-sync" and .running == 1'
    apprunner_do UpdateService "$(source_of | jq -c --arg arn "$(arn_of "$runner")" --arg image "$image:hotfix" \
        '{ServiceArn: $arn, SourceConfiguration: (.ImageRepository.ImageIdentifier = $image)}')" >"$world/update" ||
        { cat "$world/update"; false; }
    until_drift '.state == "drift"'
    [ "$(drift '.items | map([.service, .what, .expected, .found])')" = "[[\"web\",\"running\",\"$old\",\"$new\"]]" ]
    shows /apps/greeter "'web' does not run '$first': App Runner service 'greeter-staging' is on ${new:0:19}… ('$image:hotfix')."
    deployed staging "$first"
    until_drift '.state == "in-sync"'
    [ "$(audited)" = "appeared running $new
ended running $new" ]
}

@test "another image in an Express service is drift" {
    target='{kind: ecs-express, cluster: blue, service: front}'
    platform_is() {
        seed "$(service '.name = "unrelated"')"
        ecs_do CreateExpressGatewayService "$(jq -n --arg image "$image:$first" '{
            serviceName: "front", cluster: "blue", executionRoleArn: "arn:aws:iam::123456789012:role/execution",
            infrastructureRoleArn: "arn:aws:iam::123456789012:role/infrastructure",
            primaryContainer: {image: $image}}')" >"$world/express"
    }
    drift_start
    deployed staging "$first"
    until_drift '.state == "in-sync" and .running == 1'
    ecs_do UpdateExpressGatewayService "$(jq -c --arg image "$image:hotfix" '{serviceArn: .service.serviceArn,
        primaryContainer: {image: $image}}' "$world/express")" >/dev/null
    until_drift '.state == "drift"'
    [ "$(drift '.items | map([.what, .expected, .found])')" = "[[\"running\",\"$old\",\"$new\"]]" ]
}

@test "deploying again mends it; a service that runs nothing is drift" {
    drift_start
    deployed staging "$first"
    until_drift '.state == "in-sync"'
    set_parameter v9
    until_drift '.state == "drift"'
    deployed staging "$first"
    until_drift '.state == "in-sync"'
    [ "$(audited)" = "appeared parameter v9
ended parameter v9" ]
    # What was here before may be deployed by people, and gone back to.
    deployed staging "$second"
    until_drift '.state == "in-sync"'
    set_parameter "$first"
    until_drift '.state == "drift"'
    shows /apps/greeter "dispatcher deploy greeter --env staging --version $second --server $url"
    shows /apps/greeter "dispatcher deploy greeter --env staging --version $first --server $url"
    shows /apps/greeter "dispatcher rollback greeter --env staging --reason '…' --server $url"
    set_parameter "$second"
    until_drift '.state == "in-sync"'
    ecs_do UpdateService '{"cluster": "blue", "service": "greeter-staging", "desiredCount": 0}' >/dev/null
    until_drift '.state == "drift" and .items[0].found == null'
    drift_is ".items[0].sentence == \"'web' does not run '$second': no task runs.\""
}

@test "what may not be read is not known, with the reason and since when; and is known again" {
    drift_start
    deployed staging "$first"
    until_drift '.state == "in-sync"'
    curl -sf "$DISPATCHER_SANDBOX_CONTROL/aws/deny" -d '{"actions": ["ssm:GetParameter", "ssm:GetParameters"]}' >/dev/null
    until_drift '.state == "unknown" and (.why | contains("ssm:GetParameter")) and .unknown_since != null'
    drift_is '.parameters == 0 and .running == 1 and .items == []'
    shows /apps/greeter "drift not known Since "
    shows / "not known in 1 place."
    holds [ "$(metric 'dispatcher_drift{state="unknown"}')" = 1 ]
    [ "$(audited)" = "" ]
    curl -sf "$DISPATCHER_SANDBOX_CONTROL/aws/deny" -d '{"actions": []}' >/dev/null
    until_drift '.state == "in-sync"'
}

@test "the page of another time shows the locks and the drift of then, and says what it does not" {
    drift_start
    deployed staging "$first"
    until_drift '.state == "in-sync"'
    set_parameter v9
    until_drift '.state == "drift"'
    local then ids id token=ghp_octocat$RANDOM$RANDOM
    curl -sf "$DISPATCHER_SANDBOX_CONTROL/github/people" \
        -d "{\"people\": [{\"login\": \"octocat\", \"token\": \"$token\"}]}" >/dev/null
    for scope in '"scope": "organisation"' '"scope": "environment", "env": "production"' \
        '"scope": "target", "app": "greeter", "env": "staging"'; do
        ids+=" $(curl -sf "$url/api/v1/locks" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
            -d "{$scope, \"level\": \"lock\", \"reason\": \"we move house\"}" | jq -er .id)"
    done
    sleep 1.1
    then=$(date -u +%FT%TZ)
    sleep 1.1
    for id in $ids; do
        curl -sf "$url/api/v1/locks/$id/release" -H "Authorization: Bearer $token" \
            -H 'Content-Type: application/json' -d '{"epoch": 1}' >/dev/null
    done
    set_parameter "$first"
    until_drift '.state == "in-sync"'
    shows "/?at=$then" "what had been deployed, the locks that held, and the drift that had been seen. What ran, waited or had failed is not kept, and not shown"
    html "/?at=$then" | grep -qF "<span class=\"b drift\" title=\"Parameter &#39;$parameter&#39; says &#39;v9&#39;"
    shows_not / '<span class="b drift"'
    # Locks that were lifted since: of the organisation, of an environment, of the app there.
    shows "/?at=$then" "locked then The organisation, by octocat: we move house"
    html "/?at=$then" | grep -qF '<th scope=col>production <a class="b lock" href="/locks" title="we move house, by octocat">locked</a>'
    [ "$(html "/?at=$then" | grep -o 'title="we move house, by octocat"' | wc -l)" = 2 ]
    shows_not "/?at=$then" "Locks that hold now"
    shows_not / "we move house"
}

@test "off: nobody looks, and nothing is told" {
    drift_start off
    deployed staging "$first"
    set_parameter v9
    sleep 3
    [ "$(curl -sf "$url/api/v1/apps/greeter" -H "Authorization: Bearer $(job_token "$first")" |
        jq -c '.environments[0].drift')" = null ]
    shows_not /metrics dispatcher_drift
    shows_not /apps/greeter v9
}
