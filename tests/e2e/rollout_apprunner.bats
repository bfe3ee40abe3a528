#!/usr/bin/env bats
# Rollouts of App Runner services by the real binary against the sandbox: every way they end, and
# what is true, said and running then.

load lib
load rollout_lab
load apprunner_lab

setup_file() {
    world_template
}

setup() {
    world_make
}

teardown() {
    world_end
}

@test "a deployment updates the service, and is green because the digest is in force" {
    apprunner_start
    local before
    before=$(source_of)
    deploy_v2
    expect 0
    says "replaces 'v1' (RUNNING)" "rolled out, proven: ${new:0:19}" \
        "is deployed to 'staging' and proven to run"
    runner_runs "$new"
    values_are v1 v2
    holds [ "$(operations_of)" = "UPDATE_SERVICE" ]
    # Only the image is another one, pinned; what it is called stands in tags.
    jq -cS --arg image "$image@$new" '.ImageRepository.ImageIdentifier = $image' \
        <<<"$before" >"$world/wanted"
    source_of >"$world/found"
    diff "$world/wanted" "$world/found"
    holds [ "$(apprunner_do ListTagsForResource "{\"ResourceArn\": \"$(arn_of "$runner")\"}" |
        jq -r '.Tags | map(select(.Key | startswith("dispatcher:")) | "\(.Key)=\(.Value)") | sort | join(" ")')" = \
        "dispatcher:app=greeter dispatcher:digest=$new dispatcher:environment=staging dispatcher:version=v2" ]
}

@test "the same once more does nothing" {
    apprunner_start
    deploy_v2
    expect 0
    deploy_v2
    expect 0
    says "runs it already, proven"
    holds [ "$(operations_of)" = "UPDATE_SERVICE" ]
}

@test "App Runner rolls back: exit 7 with the reason from the service's log" {
    apprunner_start
    course '{"service": "greeter-*", "scenario": "rollback",
        "reason": "Health check failed on protocol HTTP [Path: /]. Check your configured port number."}'
    deploy_v2
    expect 7
    says "was rolled back by the platform: Health check failed on protocol HTTP [Path: /]" \
        "'web' is restored: 'v1' ($image:v1) runs again" "parameter $parameter is restored"
    runner_runs "$old"
    values_are v1 v2 v1
    holds [ "$(operations_of)" = "UPDATE_SERVICE" ]
}

@test "a rollback that fails is put right by us" {
    apprunner_start
    course '{"service": "greeter-*", "scenario": "rollback-failed", "reason": "no memory left"}'
    deploy_v2
    expect 7
    says "failed, and the platform could not roll it back: no memory left" "'web' is restored"
    runner_runs "$old"
    values_are v1 v2 v1
    holds [ "$(operations_of)" = "UPDATE_SERVICE UPDATE_SERVICE" ]
}

@test "an operation that fails: the old image is in force, and that was looked at" {
    apprunner_start
    course '{"service": "greeter-*", "scenario": "failed", "reason": "Failed to pull the image"}'
    deploy_v2
    expect 7
    says "'web' failed: Failed to pull the image" "'web' is restored: 'v1'"
    runner_runs "$old"
    values_are v1 v2 v1
}

@test "an answer without an operation id: the newest matching one is followed" {
    apprunner_start
    course '{"service": "greeter-*", "scenario": "no-operation-id"}'
    deploy_v2
    expect 0
    runner_runs "$new"
    holds [ "$(operations_of)" = "UPDATE_SERVICE" ]
}

@test "an operation behind many newer ones is found by its id" {
    apprunner_start
    course '{"service": "greeter-*", "scenario": "hidden"}'
    deploy_v2
    expect 0
    runner_runs "$new"
}

@test "the push starts a deployment of our image by itself: it is followed, not doubled" {
    apprunner_start '.image |= sub(":v1"; ":v2") | .auto_deploy = true'
    deploy_v2
    expect 0
    says "deploys by itself on each push" "App Runner deploys this image by itself; operation" \
        "which the tag of its image means now"
    runner_runs "$new"
    holds [ "$(operations_of)" = "START_DEPLOYMENT" ]
}

@test "an automatic deployment of another image is waited for" {
    apprunner_start
    course '{"service": "greeter-*", "scenario": "auto-deploy-race", "image": "other"}'
    deploy_v2
    expect 0
    says "waits for operation"
    runner_runs "$new"
    holds [ "$(operations_of)" = "START_DEPLOYMENT UPDATE_SERVICE" ]
}

@test "waiting for another operation has an end: exit 6, nothing was rolled out" {
    apprunner_start
    course '{"service": "greeter-*", "scenario": "stuck"}'
    apprunner_do UpdateService "$(jq -n --arg arn "$(arn_of "$runner")" '{ServiceArn: $arn}')" >/dev/null
    deploy_v2 --timeout 2s
    expect 6
    says "was not begun within 2.0s: waits for operation" "Nothing was rolled out"
    values_are v1 v2 v1
}

@test "a paused service is not woken up: exit 6 before anything is changed" {
    apprunner_start '.status = "PAUSED"'
    deploy_v2
    expect 6
    says "App Runner service 'greeter-staging' is paused" "aws apprunner resume-service"
    values_are v1
    holds [ "$(operations_of)" = "" ]
}

@test "a service that does not exist: exit 3, and how to get one" {
    apprunner_start
    in_infra sed -i 's/greeter-{env}/greeter-{env}-x/' appspecs/greeter.yaml
    deploy_v2
    expect 3
    says "App Runner service 'greeter-staging-x' does not exist in 'us-east-1'" "create: true"
    values_are v1
}

@test "a service is created from the spec" {
    apprunner_start
    spec_is <<'YAML'
deploy:
  via: direct
  target:
    kind: apprunner
    service: "greeter-{env}-new"
    create: true
    access_role: "arn:aws:iam::{account}:role/pull"
    instance_role: "arn:aws:iam::{account}:role/run"
    port: 3000
    cpu: 1024
    memory: 2048
    environment: {A: "1"}
    health_check: {protocol: http, path: /up, interval: 5s, timeout: 2s}
YAML
    deploy_v2
    expect 0
    says "the service does not exist yet"
    runner_runs "$new" greeter-staging-new
    holds [ "$(operations_of greeter-staging-new)" = "CREATE_SERVICE" ]
    apprunner_do DescribeService "{\"ServiceArn\": \"$(arn_of greeter-staging-new)\"}" >"$world/made"
    holds [ "$(jq -c '.Service | [.InstanceConfiguration.Cpu, .HealthCheckConfiguration.Path,
        .SourceConfiguration.AutoDeploymentsEnabled,
        .SourceConfiguration.ImageRepository.ImageConfiguration.RuntimeEnvironmentVariables.A]' "$world/made")" = \
        '["1024","/up",false,"1"]' ]
}

@test "the infra side rolls out what the parameter says" {
    apprunner_start
    "$DISPATCHER_BIN" push "oci:$world/image2" "$image:v2" >"$world/push.log" 2>&1
    put v2
    dispatcher plan greeter --env staging --version v2
    expect 0
    says "roll out 'web' to App Runner service 'greeter-staging'; follow it to the end" "replaces 'v1'"
    cd "$world/infra"
    dispatcher rollout greeter --env staging --config dispatcher.yaml
    expect 0
    says "proven: ${new:0:19}"
    runner_runs "$new"
    holds [ "$(operations_of)" = "UPDATE_SERVICE" ]
}

@test "rollback goes to the release that was proven before" {
    apprunner_start
    run --separate-stderr "$DISPATCHER_BIN" deploy greeter --env staging --version v1
    expect 0
    deploy_v2
    expect 0
    in_infra sed -i 's/service: "greeter-{env}"/service: "greeter-{env}", environment_file: gone.env/' \
        appspecs/greeter.yaml
    cd "$world"
    dispatcher rollback greeter --env staging --reason "checkout is slow"
    expect 0
    says "'greeter' v1 is back in 'staging' and proven to run"
    runner_runs "$old"
    holds [ "$(operations_of)" = "UPDATE_SERVICE UPDATE_SERVICE UPDATE_SERVICE" ]
}

@test "rollback of a service that is built from source is refused" {
    apprunner_start
    spec_is <<'YAML'
deploy:
  via: direct
  target: {kind: apprunner, service: "greeter-{env}", source: code}
YAML
    ssm LabelParameterVersion "{\"Name\": \"$parameter\", \"Labels\": [\"proven-0\"]}" >/dev/null
    put v2
    dispatcher rollback greeter --env staging --reason "checkout is slow"
    expect 3
    says "is deployed from source code only" "Revert the commit"
    values_are v1 v2
}

@test "interrupted: the operation goes on, resume follows it to its end" {
    apprunner_start
    course '{"service": "greeter-*", "scenario": "success", "delay": "3s"}'
    "$DISPATCHER_BIN" deploy greeter --env staging --version v2 --image "oci:$world/image2" \
        >"$world/out" 2>"$world/err" 3>&- &
    deploying=$!
    until_true 20 has_operation
    kill -TERM "$deploying"
    deploy_end
    expect 143
    says "the rollout goes on"
    dispatcher resume "$(id_of_last)"
    expect 0
    runner_runs "$new"
    holds [ "$(operations_of)" = "UPDATE_SERVICE" ]
}

@test "an unknown status is no success: it is asked again until our limit" {
    apprunner_start
    course '{"service": "greeter-*", "scenario": "unknown-status", "status": "SUCCEEDED_PARTLY"}'
    deploy_v2 --timeout 2s
    expect 10
    says "is still 'SUCCEEDED_PARTLY'" "It goes on."
}

@test "a page of HTML in place of an answer: looked into, never sent twice" {
    apprunner_start
    course '{"service": "greeter-*", "scenario": "html-500", "started": true}'
    deploy_v2
    expect 0
    runner_runs "$new"
    holds [ "$(operations_of)" = "UPDATE_SERVICE" ]
}

@test "permission denied on each call: who needs what" {
    apprunner_start
    local action code
    for action in ListServices:4 DescribeService:4 ListOperations:4 UpdateService:4; do
        code=${action#*:} action=${action%:*}
        control aws/deny -X POST --data-binary "{\"actions\": [\"apprunner:$action\"]}" >/dev/null
        deploy_v2
        expect "$code"
        says "Allow the action 'apprunner:$action'"
    done
    runner_runs "$old"
    holds [ "$(operations_of)" = "" ]
}

@test "killed while it is followed: resume goes on with the operation" {
    apprunner_start
    course '{"service": "greeter-*", "scenario": "success", "delay": "3s"}'
    "$DISPATCHER_BIN" deploy greeter --env staging --version v2 --image "oci:$world/image2" \
        >"$world/out" 2>"$world/err" 3>&- &
    deploying=$!
    until_true 20 has_operation
    kill -KILL "$deploying"
    wait "$deploying" || true
    dispatcher resume "$(id_of_last)"
    expect 0
    says "proven"
    runner_runs "$new"
    holds [ "$(operations_of)" = "UPDATE_SERVICE" ]
}

has_operation() {
    [ "$(operations_of)" = UPDATE_SERVICE ]
}

# --- systems -----------------------------------------------------------------------------------

# system_is SPEC ENVIRONMENT [REPOSITORY]: the app of this checkout is that one of appspecs/.
system_is() {
    app=$1 env=$2
    cp "$DISPATCHER_ROOT/appspecs/$app.yaml" "$world/infra/appspecs/"
    in_infra sed -i 's/^environments:.*/environments: [development, qa, staging, production]/' dispatcher.yaml
    git remote set-url origin "https://github.com/example-org/${3:-$app}.git"
    git checkout -qB "$4"
    sha=$(git rev-parse HEAD)
}

deploy_app() {
    run --separate-stderr timeout -k 5 60 "$DISPATCHER_BIN" deploy "$app" --env "$env" "$@"
}

@test "system 000: a push to development, image tagged by its commit" {
    apprunner_start
    system_is swasthx-backend development swasthx-backend development
    local service=swasthx-backend-development
    "$DISPATCHER_BIN" push "oci:$world/image" \
        "$DISPATCHER_SANDBOX_REGISTRY/$service-web:before" >"$world/push.log" 2>&1
    apprunner_seed "$(jq -n --arg image "$DISPATCHER_SANDBOX_REGISTRY/$service-web:before" \
        --arg name "$service" '{name: $name, image: $image}')"
    deployed_before before "/$app/development/web/version"
    course '{"service": "swasthx-*", "scenario": "rollback", "reason": "Container exited with code 1"}'
    deploy_app --image "oci:$world/image2"
    expect 7 # its own pipeline calls this RUNNING
    says "was rolled back by the platform: Container exited with code 1"
    deploy_app --image "oci:$world/image2"
    expect 0
    runner_runs "$new" "$service"
    holds [ "$(values "/swasthx-backend/development/web/version" | tail -n 1)" = "$sha" ]
}

@test "system 002: roles, VPC connector and health checks from the spec; rolled back when unwell" {
    apprunner_start
    system_is backend-api production backend-api main
    in_infra sed -i 's#https://{subdomain}.example.org/#http://127.0.0.1:'"${DISPATCHER_SANDBOX_CONTROL##*127.0.0.1:}"'/#' \
        appspecs/backend-api.yaml
    in_infra sed -i 's#/_sandbox/api/health[a-z/]*#/../apps/backend-api#; s#within: [25]m#within: 3s#' \
        appspecs/backend-api.yaml
    deploy_app --image "oci:$world/image"
    expect 0
    runner_runs "$old" backend-api
    apprunner_do DescribeService "{\"ServiceArn\": \"$(arn_of backend-api)\"}" >"$world/made"
    holds [ "$(jq -c '.Service | [.HealthCheckConfiguration.Path, .HealthCheckConfiguration.UnhealthyThreshold,
        .NetworkConfiguration.EgressConfiguration.EgressType,
        .SourceConfiguration.ImageRepository.ImageConfiguration.RuntimeEnvironmentVariables.VAULT_ROLE]' \
        "$world/made")" = '["/api/health",5,"VPC","node-api"]' ]
    course '{"service": "backend-api", "scenario": "unhealthy-http"}'
    deploy_app --version next --image "oci:$world/image2"
    expect 7
    says "HTTP 500" "is restored"
    runner_runs "$old" backend-api
}

# The workers of the monorepo: three entry points, and the files that their variables come from.
monorepo() {
    system_is monorepo-api production monorepo main
    mkdir -p apps/api/src/workers infra/aws
    for name in export mail sync; do
        echo "// $name" >"apps/api/src/workers/$name.ts"
    done
    printf 'LOG_LEVEL=debug\nexport API_TOKEN="canary-token"\nDB_HOST=from-file\n' >.env.workers
    echo '{"aurora_endpoint": {"sensitive": false, "type": "string", "value": "db.internal"},
        "redis_endpoint": {"sensitive": false, "type": "string", "value": "cache.internal"}}' \
        >infra/aws/outputs.json
    git add -A
    git commit -qm "Add the workers"
    control aws/apprunner/seed -X POST --data-binary '{"connections": [{"name": "github"}]}' >/dev/null
    connection=$(apprunner_do ListConnections '{}' | jq -r '.ConnectionSummaryList[0].ConnectionArn')
    in_infra sed -i "s#connection: .*#connection: \"$connection\"#" appspecs/monorepo-api.yaml
    in_infra sed -i '/verify:/,/health"/d' appspecs/monorepo-api.yaml
}

@test "system 004: one service for each worker, from source, with its variables" {
    apprunner_start
    monorepo
    deploy_app
    expect 0
    local name
    for name in export mail sync; do
        holds [ "$(operations_of "monorepo-api-production-$name")" = "CREATE_SERVICE" ]
        holds [ "$(source_of "monorepo-api-production-$name" |
            jq -c '.CodeRepository.CodeConfiguration.CodeConfigurationValues |
                [.StartCommand, .RuntimeEnvironmentVariables.DB_HOST,
                 .RuntimeEnvironmentVariables.REDIS_HOST, .RuntimeEnvironmentVariables.LOG_LEVEL]')" = \
            "[\"bash apps/api/scripts/start-worker.sh $name.ts\",\"db.internal\",\"cache.internal\",\"debug\"]" ]
    done
    says_not canary-token
    holds [ "$(grep -c canary-token "$DISPATCHER_STATE")" = 0 ]
    # The next one builds the head again; a worker that is gone is reported, and left alone.
    git rm -q apps/api/src/workers/sync.ts
    git commit -qm "Drop the sync worker"
    deploy_app
    expect 0
    says "App Runner service 'monorepo-api-production-sync' has no worker any more"
    holds [ "$(operations_of monorepo-api-production-mail)" = "CREATE_SERVICE START_DEPLOYMENT" ]
    holds [ "$(operations_of monorepo-api-production-sync)" = "CREATE_SERVICE" ]
    # On request it goes.
    in_infra sed -i 's/^  workers:/  workers:\n    remove_orphans: true/' appspecs/monorepo-api.yaml
    deploy_app
    expect 0
    says "'monorepo-api-production-sync', which had no worker any more, is deleted"
    holds [ "$(of_runner .Status monorepo-api-production-sync)" = DELETED ]
}

@test "system 004: one worker fails, and nothing is claimed of the others" {
    apprunner_start
    monorepo
    deploy_app
    expect 0
    course '{"service": "*-mail", "scenario": "rollback", "reason": "npm ERR! missing script: build"}'
    deploy_app
    expect 8
    says "'mail' was rolled back by the platform: npm ERR! missing script: build" \
        "App Runner builds the head of 'main': revert there"
}
