#!/usr/bin/env bats
# `dispatcher logs` against the sandbox's ECS and CloudWatch Logs: which groups and streams are
# read, what order lines come in, what a hostile program cannot do, and following.

load lib

setup_file() {
    world_template
}

setup() {
    world_make
    sandbox_start
}

teardown() {
    world_end
}

# The spec says where the greeter runs: two services of one cluster.
shop_is() {
    in_infra sh -c 'cat >appspecs/greeter.yaml' <<'END'
title: Greeter
name: greeter
repo: demo/greeter
services:
  web: {expose: 3000}
  worker: {expose: 3001}
deploy:
  targets:
    web: {kind: ecs, cluster: blue, service: "{name}-{env}-web"}
    worker: {kind: ecs, cluster: blue, service: "{name}-{env}-worker"}
END
}

# cluster_has CONTAINERS-JSON [COUNT]: both services at rest; those of web, and how many tasks.
cluster_has() {
    jq -cn --argjson web "$1" --argjson count "${2:-1}" '
        def logs(name): {logDriver: "awslogs", options: {"awslogs-group": "/greeter",
            "awslogs-stream-prefix": "ecs", "awslogs-region": "us-east-1"}};
        {images: {"r/web:1": ("sha256:" + "a" * 64), "r/worker:1": ("sha256:" + "b" * 64)},
         clusters: [{name: "blue", services: [
            {name: "greeter-staging-web", desiredCount: $count, taskDefinition: {family: "web",
                containerDefinitions: $web}},
            {name: "greeter-staging-worker", desiredCount: $count, taskDefinition: {family: "worker",
                containerDefinitions: [{name: "worker", image: "r/worker:1", memory: 128,
                    logConfiguration: logs("worker")}]}}]}]}' >"$world/seed.json"
    "$DISPATCHER_BIN" sandbox-control aws/ecs/seed "@$world/seed.json" >/dev/null
}

plain_web='[{"name": "web", "image": "r/web:1", "memory": 128, "logConfiguration":
    {"logDriver": "awslogs", "options": {"awslogs-group": "/greeter",
    "awslogs-stream-prefix": "ecs"}}}]'

# write STREAM MESSAGE [GROUP]: now.
write() {
    control aws/logs -d "$(jq -cn --arg group "${3:-/greeter}" --arg stream "$1" --arg message "$2" \
        '{group: $group, stream: $stream, message: $message}')" >/dev/null
}

# at SECONDS-AGO STREAM MESSAGE: in the past, as PutLogEvents has it.
at() {
    local stamp=$(($(date +%s%3N) - $1 * 1000))
    curl -sS --fail-with-body --max-time 20 "$AWS_ENDPOINT_URL" -o /dev/null \
        --aws-sigv4 "aws:amz:$AWS_REGION:logs" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        -H "X-Amz-Target: Logs_20140328.PutLogEvents" -H "Content-Type: application/x-amz-json-1.1" \
        -d "$(jq -cn --argjson at "$stamp" --arg stream "$2" --arg message "$3" '{logGroupName:
            "/greeter", logStreamName: $stream, logEvents: [{timestamp: $at, message: $message}]}')"
}

logs() {
    dispatcher logs greeter --env staging "$@"
}

# Standard output without the times.
said() {
    sed -E 's/^[0-9]{2}:[0-9]{2}:[0-9]{2} //' <<<"$output"
}

says_exactly() {
    [ "$(said)" = "$1" ] || { printf 'expected:\n%s\n' "$1"; show; return 1; }
}

@test "lines of all services, by time, with service and task" {
    shop_is
    cluster_has "$plain_web"
    write ecs/web/0123456789abcdef "started"
    write ecs/worker/fedcba9876543210 "ready"
    write other/web/1 "of somebody else"
    at 60 ecs/worker/fedcba9876543210 "a minute ago"
    at 1200 ecs/web/0123456789abcdef "long ago"
    at 30 ecs/web/0123456789abcdef $'one\n  two'
    logs
    expect 0
    says_exactly "worker/fedcba98  a minute ago
web/01234567     one
web/01234567       two
web/01234567     started
worker/fedcba98  ready"
    [[ "${lines[0]}" =~ ^[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\  ]]
    logs --service web --since 1h
    expect 0
    says_exactly "web/01234567  long ago
web/01234567  one
web/01234567    two
web/01234567  started"
    logs --json --service worker --since 45s
    expect 0
    [ "$(jq -c '[.service, .container, .group, .stream, .message]' <<<"$output")" = \
        '["worker","worker","/greeter","ecs/worker/fedcba9876543210","ready"]' ]
    jq -e '(.time | fromdate) == (.ms / 1000 | floor)' <<<"$output" >/dev/null
    [ -z "$stderr" ]
}

@test "what a program writes cannot command anybody" {
    shop_is
    cluster_has "$plain_web"
    write "ecs/web/$(printf 'x\033[31my')" $'\x1b[31mred\x1b[0m \x1b]0;title\x07::error::no ##[add-mask]x\rover'
    write ecs/web/b $'::add-mask::x\n##[group]y'
    write ecs/web/c "the key is $AWS_SECRET_ACCESS_KEY"
    GITHUB_ACTIONS=true logs --service web
    expect 0
    says_not $'\x1b' $'\r' $'\a' '##['
    output=$(grep -v '^::add-mask::' <<<"$output") # those are ours, for the runner
    says "red ::error::no ## [add-mask]x" "web/b   : :add-mask::x" "## [group]y"
    says_not "$AWS_SECRET_ACCESS_KEY"
    GITHUB_ACTIONS=true logs --service web --json
    expect 0
    stderr=$(grep -v '^::add-mask::' <<<"$stderr" || true)
    says_not $'\x1b' $'\r' $'\a' '##[' '\u001b'
    [ "$(wc -l <<<"$output")" = 3 ]
    [ "$(jq -s length <<<"$output")" = 3 ]
    says_not "$AWS_SECRET_ACCESS_KEY"
}

@test "a container with another driver is said, and one that there is not" {
    shop_is
    cluster_has "$(jq -c '. + [{name: "proxy", image: "r/web:1", memory: 64, logConfiguration:
        {logDriver: "splunk"}}, {name: "quiet", image: "r/web:1", memory: 64}]' <<<"$plain_web")"
    write ecs/web/1 "hello"
    logs --service web
    expect 0
    says_exactly "web/1  hello"
    [ "$stderr" = "dispatcher: container 'proxy' of 'web' logs by 'splunk', not to CloudWatch
dispatcher: container 'quiet' of 'web' has no log driver" ]
    logs --service web --container proxy
    expect 3
    says "nothing of 'greeter' in 'staging' logs to CloudWatch: container 'proxy' of 'web' logs by" \
        "'splunk', not to CloudWatch" "hint: Set the log driver 'awslogs'"
    logs --service web --container wbe
    expect 2
    says "logs of 'web': 'web' has no container 'wbe'" "Did you mean 'web'?"
    logs --container none
    expect 2
    says "no service has a container 'none'"
    logs --service web --container web
    expect 0
    says_exactly "web/1  hello"
}

@test "several containers have their names in front" {
    shop_is
    cluster_has "$(jq -c '. + [.[0] + {name: "proxy"}]' <<<"$plain_web")"
    write ecs/web/1 "from web"
    write ecs/proxy/1 "from proxy"
    logs --service web
    expect 0
    says_exactly "web/web/1  from web
web/proxy/1  from proxy"
}

@test "what the spec does not say, and what is not there" {
    logs
    expect 3
    says "app 'greeter' has no 'target' in 'staging'"
    shop_is
    logs --service wrker
    expect 2
    says "app 'greeter' has no service 'wrker'" "Did you mean 'worker'?"
    logs --service zzzzzzzz
    expect 2
    says "It has 'web', 'worker'."
    logs
    expect 3
    says "logs of 'web': there is no cluster 'blue'" "Check 'cluster' in the target of 'web'"
    "$DISPATCHER_BIN" sandbox-control aws/ecs/seed '{"clusters": [{"name": "blue"}]}'
    logs
    expect 3
    says "logs of 'web': there is no service 'greeter-staging-web' in cluster 'blue'"
    dispatcher logs greeter
    expect 2
    says "no environment was given"
    cluster_has "$plain_web" 0
    logs
    expect 0
    [ "$output" = "" ]
    says "dispatcher: log group '/greeter' does not exist" "nothing was written in the last 10m"
}

@test "a permission that is missing is named" {
    shop_is
    cluster_has "$plain_web"
    write ecs/web/1 "hello"
    fault 'POST /aws* target=Logs_20140328.FilterLogEvents status=400 body="{\"__type\":\"AccessDeniedException\",\"message\":\"User: arn:aws:iam::1:user/u is not authorized to perform: logs:FilterLogEvents on resource: *\"}"'
    logs --follow
    expect 4
    says "search log group '/greeter'" "Allow the action 'logs:FilterLogEvents' to the role in use"
}

@test "following: what comes late, twice, from a new task, after an outage, from a group that comes" {
    shop_is
    cluster_has "$plain_web" 0
    "$DISPATCHER_BIN" logs greeter --env staging --service web --follow >"$world/out" 2>"$world/err" 3>&- &
    deploying=$!
    has() { grep -qF "$1" "$world/out"; }
    until_true 20 grep -q "log group '/greeter' does not exist yet: waiting for it" "$world/err"
    write ecs/web/1 "first"
    until_true 20 has "first"
    write ecs/web/1 "same"
    write ecs/web/1 "same"
    write ecs/web/2 "second task"
    until_true 20 has "second task"
    at 5 ecs/web/2 "five seconds late"
    until_true 20 has "late"
    fault 'POST /aws* target=Logs_20140328.FilterLogEvents status=503 count=6'
    until_true 60 grep -q "trying again: search log group" "$world/err"
    write ecs/web/1 "after the outage"
    until_true 60 has "after the outage"
    sleep 0.5
    kill -INT "$deploying"
    deploy_end
    expect 130
    says_exactly "web/1  first
web/1  same
web/1  same
web/2  second task
web/2  five seconds late
web/1  after the outage"
    [ "$(wc -l <"$world/err")" = 2 ] # what was said above, and nothing of the signal
}

@test "services of App Runner: what the program writes, and what App Runner says" {
    in_infra sh -c 'cat >>appspecs/greeter.yaml' <<'END'
deploy:
  target: {kind: apprunner, service: "{name}-{env}", port: 3000}
END
    "$DISPATCHER_BIN" sandbox-control aws/apprunner/seed '{"services": [{"name": "greeter-staging",
        "image": "public.ecr.aws/demo/greeter:1"}]}' >/dev/null
    arn=$(control state | jq -r '.. | .ServiceArn? // .arn? // empty | select(test(":apprunner:"))' |
        head -n 1)
    write instance/12345678abc "hello from it" "/aws/apprunner/${arn#*service/}/application"
    write events "Service is well." "/aws/apprunner/${arn#*service/}/service"
    logs
    expect 0
    says_exactly "web/12345678  hello from it"
    logs --platform
    expect 0
    says "web/events" "Service is well."
}

@test "what the platform says of a service" {
    shop_is
    cluster_has "$plain_web"
    curl -sS --fail-with-body --max-time 20 "$AWS_ENDPOINT_URL" -o /dev/null \
        --aws-sigv4 "aws:amz:$AWS_REGION:ecs" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        -H "X-Amz-Target: AmazonEC2ContainerServiceV20141113.UpdateService" \
        -H "Content-Type: application/x-amz-json-1.1" \
        -d '{"cluster": "blue", "service": "greeter-staging-web", "forceNewDeployment": true}'
    settled() { logs --platform --service web && says "web/events" "has reached a steady state"; }
    until_true 20 settled
    expect 0
    logs --platform --container web
    expect 2
}

@test "a reader that goes away ends it" {
    shop_is
    cluster_has "$plain_web"
    for n in 1 2 3; do write ecs/web/1 "line $n"; done
    "$DISPATCHER_BIN" logs greeter --env staging --follow > >(head -n 1 >"$world/out") \
        2>"$world/err" 3>&- &
    deploying=$!
    until_true 20 grep -q "line 1" "$world/out"
    gone() { write ecs/web/1 "one more" && ! kill -0 "$deploying"; }
    until_true 20 gone
    deploy_end
    expect 0
    [ "$stderr" = "" ]
}
