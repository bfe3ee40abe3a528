#!/usr/bin/env bats
# `dispatcher task run` against the sandbox's ECS: what is started, what is told while it runs, and
# what each end of it means. Effects are counted at the sandbox.

load lib

setup_file() {
    world_template
}

setup() {
    world_make
    export DISPATCHER_LOG_DRAIN_MS=100
    sandbox_start
    in_infra sh -c 'cat >>appspecs/greeter.yaml' <<'END'
deploy:
  target: {kind: ecs, cluster: blue, service: "{name}-{env}"}
END
    web=$(jq -cn '{family: "web", containerDefinitions: [{name: "web", image: "r/web:1", memory: 128,
        command: ["serve"], logConfiguration: {logDriver: "awslogs", options: {
        "awslogs-group": "/greeter", "awslogs-stream-prefix": "ecs"}}}]}')
}

teardown() {
    world_end
}

# cluster_has [TASK-DEFINITION]: the greeter's service, at rest.
cluster_has() {
    jq -cn --argjson web "${1:-$web}" '{images: {"r/web:1": ("sha256:" + "a" * 64)},
        clusters: [{name: "blue", services: [{name: "greeter-staging", desiredCount: 1,
            launchType: "FARGATE", platformVersion: "1.4.0", networkConfiguration:
            {awsvpcConfiguration: {subnets: ["subnet-1"], securityGroups: ["sg-1"],
            assignPublicIp: "DISABLED"}}, taskDefinition: $web}]}]}' >"$world/seed.json"
    order aws/ecs/seed "@$world/seed.json"
}

order() {
    "$DISPATCHER_BIN" sandbox-control "$@" >/dev/null
}

# ends_as SCENARIO [MEMBERS]: the next task of the family.
ends_as() {
    order aws/ecs/scenario "$(jq -cn --arg scenario "$1" --argjson more "${2:-{\}}" \
        '{family: "web", scenario: $scenario, delay: "300ms"} + $more')"
}

task() {
    dispatcher task run greeter --env staging "$@"
}

# Tasks that were started by themselves, and how often one was told to stop.
started() { asked '(.action // "") | endswith(".RunTask")'; }
stopped() { asked '(.action // "") | endswith(".StopTask")'; }

# ecs ACTION JSON: as somebody else would ask, signed by curl.
ecs() {
    curl -sS --fail-with-body --max-time 20 "$AWS_ENDPOINT_URL" \
        --aws-sigv4 "aws:amz:$AWS_REGION:ecs" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        -H "X-Amz-Target: AmazonEC2ContainerServiceV20141113.$1" \
        -H "Content-Type: application/x-amz-json-1.1" -d "$2"
}

# The tasks that run or ran beside the service.
tasks() {
    local status
    for status in RUNNING STOPPED; do
        ecs ListTasks "{\"cluster\": \"blue\", \"family\": \"web\", \"desiredStatus\": \"$status\"}" |
            jq -r '.taskArns[]'
    done | jq -Rcn '{cluster: "blue", tasks: [inputs]}' >"$world/tasks.json"
    ecs DescribeTasks "@$world/tasks.json" |
        jq -c '.tasks[] | select(.startedBy | startswith("dispatcher/task/"))'
}

@test "the service's task definition and network, another command, its lines on standard output" {
    cluster_has
    ends_as success '{"log": ["migrated 3", "::error::no\n##[x]", "\u001b[31mred\u001b[0m"]}'
    task -- bin/migrate --to 7 -- x
    expect 0
    [ "$output" = 'web: starting r/web:1
web: command ["bin/migrate","--to","7","--","x"]
migrated 3
: :error::no
## [x]
red' ] || { show; return 1; }
    [[ "$stderr" =~ ^"dispatcher: task "[0-9a-f]{32}" of 'web:1' is started"$'\n'"dispatcher: the task beside 'web' has succeeded after "[0-9.]+s$ ]] ||
        { show; return 1; }
    [ "$(started)" = 1 ]
    [ "$(tasks | jq -cS '[.launchType, .platformVersion, .overrides.containerOverrides]')" = \
        '["FARGATE","1.4.0",[{"command":["bin/migrate","--to","7","--","x"],"name":"web"}]]' ] ||
        { tasks; return 1; }
}

@test "a task that fails: its code is told, and what it did stays done" {
    cluster_has
    ends_as exit '{"exit_code": 3, "log": ["no such table"]}'
    task -- bin/migrate
    expect 8
    says "no such table" "the task beside 'web' has failed: it ended with exit code 3" \
        "hint: Whatever it did before it ended stays done."
    ends_as exit '{"exit_code": 3, "log": ["no such table"]}'
    task --json -- bin/migrate
    expect 8
    jq -es '.[-1] | .event == "finished" and .result == "failed" and .exit_code == 3 and
        .service == "web" and (.task | test("task/blue/[0-9a-f]+$")) and
        (.task_definition | endswith("task-definition/web:1")) and (.duration_ms >= 0)' <<<"$output"
    jq -es '[.[] | select(.event == "output") | .text] | index("no such table")' <<<"$output"
    says "  | no such table"
    ends_as no-exit-code
    task -- bin/migrate
    expect 8
    says "has failed: it ended without an exit code"
}

@test "a task that does not start changes nothing" {
    cluster_has
    ends_as no-capacity
    task -- bin/migrate
    expect 12
    says "the task could not be started" "RESOURCE"
    ends_as not-started
    task --json -- bin/migrate
    expect 12
    says "has failed: it could not be started"
    jq -es '.[-1].result == "not-started" and (.[-1] | has("exit_code") | not)' <<<"$output"
}

@test "out of time it is stopped, and that is said" {
    cluster_has
    ends_as hang
    task --timeout 2s -- sleep 1000
    expect 8
    says "the task has not ended after 2.0s: it is stopped" \
        "has failed: it was stopped because it had not ended after 2.0s; it ended with"
    [ "$(stopped)" = 1 ]
}

@test "interrupted: the task ends with the command, or goes on" {
    cluster_has
    for how in cancel leave; do
        ends_as hang
        before=$(stopped)
        env --default-signal=INT "$DISPATCHER_BIN" task run greeter --env staging --on-cancel "$how" \
            -- sleep 1000 >"$world/out" 2>"$world/err" 3>&- &
        deploying=$!
        until_true 20 grep -q "is started" "$world/err"
        kill -INT "$deploying"
        deploy_end
        expect 130
        case $how in
            cancel) says "was told to stop" && [ "$(stopped)" = $((before + 1)) ] ;;
            leave) says "goes on" "aws ecs stop-task --cluster blue --task" && [ "$(stopped)" = "$before" ] ;;
        esac
    done
}

@test "an answer that is lost makes no second task" {
    cluster_has
    fault 'POST /aws* target=*.RunTask effect=lost-answer'
    ends_as success
    task -- bin/migrate
    expect 0
    [ "$(started)" = 2 ]
    [ "$(tasks | wc -l)" = 1 ]
}

@test "a log that cannot be shown is said, and the task counts all the same" {
    cluster_has "$(jq -c '.containerDefinitions[0].logConfiguration = {logDriver: "splunk"}' <<<"$web")"
    task -- bin/migrate
    expect 0
    [ "$output" = "" ]
    says "what container 'web' writes cannot be shown" "has succeeded"
}

@test "what is asked for must be there" {
    task
    expect 2
    says "task run: no command was given" "Write it behind '--'"
    task -- x
    expect 3
    says "there is no cluster 'blue'"
    cluster_has
    task --container wbe -- x
    expect 2
    says "--container" "has no container 'wbe'"
    task --service wbe -- x
    expect 2
    says "Did you mean 'web'?"
    in_infra sed -i '/^deploy:/,$d' appspecs/greeter.yaml
    in_infra sh -c 'echo "deploy: {target: {kind: apprunner, service: greeter}}" >>appspecs/greeter.yaml'
    task -- x
    expect 2
    says "no service of 'greeter' runs on ECS in 'staging'" "App Runner has none"
    task --service web -- x
    expect 2
    says "'web' of 'greeter' does not run on ECS in 'staging'"
    [ "$(started)" = 0 ]
}
