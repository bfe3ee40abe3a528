#!/usr/bin/env bats
# The five systems that dispatcher was made for, and one on Express Mode, from end to end: the specs
# of appspecs/ as they are, the real binary in a job of the app's repository, the sandbox with the
# accounts and regions of the specs. Of each: a deployment that is proven, what it changed at the
# other end, and the failure that today's pipelines call success or wait for without end.
#
# tests/golden/plans/systems holds the plans; GOLDEN_UPDATE=1 writes them.

load lib
load rollout_lab
load systems_lab

setup_file() {
    system_template
}

setup() {
    world_make
}

teardown() {
    world_end
}

# --- swasthx-backend: App Runner, one environment for each branch --------------------------------

swasthx_starts() { # ACCOUNT ENV...
    local account=$1 env
    shift
    system_start swasthx-backend swasthx-backend "$account" ap-south-1
    for env in "$@"; do
        repository_has "swasthx-backend-$env-web" v1 image
        runner_has "swasthx-backend-$env" "swasthx-backend-$env-web:v1"
        deployed_before v1 "/swasthx-backend/$env/web/version"
    done
}

@test "swasthx-backend: each branch deploys to its environment, proven by digest" {
    swasthx_starts "$staging_account" development qa
    from refs/heads/development
    plan_is development --version v2 --image oci:../image2
    ship development image2
    expect 0
    says "'swasthx-backend' $sha is deployed to 'development' and proven to run"
    runner_runs swasthx-backend-development "$second"
    operations_are swasthx-backend-development "UPDATE_SERVICE SUCCEEDED"
    labels_are /swasthx-backend/development/web/version \
        "v1[] ${sha}[deployed proven proven-0]"
    # Not to another environment, and nothing was asked of it.
    ship qa image2
    expect 5
    says "'swasthx-backend' may not be deployed to 'qa' from 'refs/heads/development'"
    runner_runs swasthx-backend-qa "$first"
    labels_are /swasthx-backend/qa/web/version "v1[deployed]"
    from refs/heads/qa
    plan_is qa --version v2 --image oci:../image2
    # The branch itself says which environment, so that one workflow file does for all of them.
    ship - image2
    expect 0
    says "'swasthx-backend' $sha is deployed to 'qa' and proven to run"
    runner_runs swasthx-backend-qa "$second"
    from refs/heads/some-idea
    ship - image3
    expect 2
    says "deploys 'swasthx-backend' to none"
    operations_are swasthx-backend-qa "UPDATE_SERVICE SUCCEEDED"
}

@test "swasthx-backend: production is an account of its own, and goes back to what was proven" {
    swasthx_starts "$production_account" production
    from refs/heads/production
    plan_is production --version v2 --image oci:../image2
    ship production image2 --version v2
    expect 0
    ship production image3 --version v3
    expect 0
    runner_runs swasthx-backend-production "$third"
    job rollback "$app" --env production --reason INC-7
    expect 0
    runner_runs swasthx-backend-production "$second"
    operations_are swasthx-backend-production \
        "UPDATE_SERVICE SUCCEEDED, UPDATE_SERVICE SUCCEEDED, UPDATE_SERVICE SUCCEEDED"
}

@test "swasthx-backend: App Runner rolls back and is RUNNING again: exit 7, with the reason" {
    swasthx_starts "$staging_account" development
    runner_scenario '{"scenario": "rollback",
        "reason": "Health check failed on port 3000: connection refused"}'
    from refs/heads/development
    ship development image2
    expect 7
    # What the loop of 'aws apprunner describe-service' took for success:
    [ "$(of_runner swasthx-backend-development .Status)" = RUNNING ]
    says "Health check failed on port 3000: connection refused" \
        "'web' was rolled back by the platform" "'web' is restored: 'v1'" \
        "parameter /swasthx-backend/development/web/version is restored"
    runner_runs swasthx-backend-development "$first"
    operations_are swasthx-backend-development "UPDATE_SERVICE ROLLBACK_SUCCEEDED"
    labels_are /swasthx-backend/development/web/version "v1[] ${sha}[] v1[deployed]"
}

# --- kaapi: ECS, staging on each push, production on version tags --------------------------------

# kaapi_starts ENV ACCOUNT: v0.8.0 runs there, beside a container that is not ours.
kaapi_starts() {
    kaapi=kaapi-$1-service parameter=/kaapi/$1/backend/version
    system_start kaapi kaapi "$2" ap-south-1
    git tag v0.8.0 HEAD^
    git tag v0.9.0
    repository_has "kaapi-$1-backend" v0.8.0 image
    jq -n --arg env "$1" --arg image "$host/kaapi-$1-backend:v0.8.0" '
        def log: {logDriver: "awslogs", options: {"awslogs-group": "/ecs/kaapi-\($env)",
            "awslogs-stream-prefix": "app", "awslogs-region": "ap-south-1"}};
        {clusters: [{name: "kaapi-\($env)-cluster", services: [{name: "kaapi-\($env)-service",
         desiredCount: 2, launchType: "FARGATE",
         deploymentConfiguration: {deploymentCircuitBreaker: {enable: true, rollback: true}},
         networkConfiguration: {awsvpcConfiguration: {subnets: ["subnet-1"]}},
         taskDefinition: {family: "kaapi-\($env)", containerDefinitions: [
            {name: "backend", image: $image, memory: 512, logConfiguration: log,
             environment: [{name: "SENTRY_DSN", value: "https://sentry.example.org/1"}]},
            {name: "redis", image: "public.ecr.aws/docker/library/redis:7", memory: 128}]}}]}]}' |
        control aws/ecs/seed -X POST --data-binary @- >/dev/null
    deployed_before v0.8.0
    app_is kaapi.example.org "$kaapi"
}

# release TAG IMAGE: the job of a version tag, which leads to production.
release() {
    git checkout -q "$1"
    from "refs/tags/$1"
    ship - "$2"
}

@test "kaapi: a push to main migrates, rolls staging out, checks its health; production is not its" {
    kaapi_starts staging "$staging_account"
    plan_is staging --version v0.9.0 --image oci:../image2
    ship staging image2
    expect 0
    says "✓ migrate            exit code 0" "✓ verify             1 check passed" \
        "'kaapi' $sha is deployed to 'staging' and proven to run"
    runs_only "$second" "$kaapi"
    ecs_was_asked "RegisterTaskDefinition RunTask UpdateService TagResource"
    # The other container and the variables are as they were.
    holds [ "$(control state | jq -c '.aws.ecs.effects[0].request.containerDefinitions |
        [.[0].environment[0].name, .[0].image, .[1].image]')" = \
        "[\"SENTRY_DSN\",\"$host/kaapi-staging-backend@$second\",\"public.ecr.aws/docker/library/redis:7\"]" ]
    labels_are "$parameter" "v0.8.0[] ${sha}[deployed proven proven-0]"
    ship production image2
    expect 5
    says "'kaapi' may not be deployed to 'production' from 'refs/heads/main'"
    ecs_was_asked "RegisterTaskDefinition RunTask UpdateService TagResource"
}

@test "kaapi: version tags are releases; an older one is stale, though its text sorts behind" {
    kaapi_starts production "$production_account"
    git commit -q --allow-empty -m "Go on"
    git tag v0.10.0
    git checkout -q v0.9.0
    from refs/tags/v0.9.0
    plan_is production --image oci:../image2
    release v0.9.0 image2
    expect 0
    release v0.10.0 image3
    expect 0
    runs_only "$third" "$kaapi"
    # The job of v0.9.0 is run again.
    release v0.9.0 image2
    expect 6
    says "'v0.9.0' is older than 'v0.10.0'"
    runs_only "$third" "$kaapi"
    values_are v0.8.0 v0.9.0 v0.10.0
    # A version tag is not for staging.
    ship staging image2
    expect 5
}

@test "kaapi: back to the last proven release; the next one is its own image, not the old one" {
    kaapi_starts production "$production_account"
    release v0.9.0 image2
    expect 0
    git commit -q --allow-empty -m "Break it"
    git tag v0.10.0
    release v0.10.0 image3
    expect 0
    job rollback kaapi --env production --reason INC-2041
    expect 0
    says "'kaapi' v0.9.0 is back in 'production' and proven to run"
    runs_only "$second" "$kaapi"
    git commit -q --allow-empty -m "Repair it"
    git tag v0.11.0
    release v0.11.0 image
    expect 0
    says "'kaapi' v0.11.0 is deployed to 'production' and proven to run"
    runs_only "$first" "$kaapi"
    values_are v0.8.0 v0.9.0 v0.10.0 v0.9.0 v0.11.0
    # Gone back by the task definition of v0.9.0, without a migration; nothing is deregistered.
    ecs_was_asked "RegisterTaskDefinition RunTask UpdateService TagResource \
RegisterTaskDefinition RunTask UpdateService TagResource UpdateService TagResource \
RegisterTaskDefinition RunTask UpdateService TagResource"
    holds [ "$(control state | jq -r '[.aws.ecs.effects[] | select(.action == "UpdateService") |
        .request.taskDefinition | sub(".*/"; "")] | join(" ")')" = \
        "kaapi-production:2 kaapi-production:3 kaapi-production:2 kaapi-production:4" ]
}

@test "kaapi: the circuit breaker rolls back: exit 7, and the parameter says what runs" {
    kaapi_starts staging "$staging_account"
    scenario '{"service": "kaapi-staging-service", "scenario": "breaker-rollback", "exit_code": 3,
        "log": ["cannot reach the database"]}'
    ship staging image2
    expect 7
    # What 'aws ecs wait services-stable' takes for success: one deployment, and it is complete.
    holds [ "$(ecs_do DescribeServices "{\"cluster\": \"kaapi-staging-cluster\",
        \"services\": [\"$kaapi\"]}" | jq -c '.services[0] | [(.deployments | length),
        .deployments[0].rolloutState, .runningCount == .desiredCount]')" = '[1,"COMPLETED",true]' ]
    says "was rolled back by the platform" "log: cannot reach the database" \
        "parameter $parameter is restored"
    runs_only "$first" "$kaapi"
    ecs_was_asked "RegisterTaskDefinition RunTask UpdateService"
    labels_are "$parameter" "v0.8.0[] ${sha}[] v0.8.0[deployed]"
}

@test "kaapi: a migration that fails: nothing is rolled out, exit 7" {
    kaapi_starts staging "$staging_account"
    scenario '{"family": "kaapi-staging", "scenario": "exit", "exit_code": 1,
        "log": ["alembic: no such revision"]}'
    ship staging image2
    expect 7
    says "the one-off task of 'backend' failed" "exit code 1" "alembic: no such revision" \
        "parameter $parameter is restored"
    runs_only "$first" "$kaapi"
    ecs_was_asked "RegisterTaskDefinition RunTask"
    labels_are "$parameter" "v0.8.0[] ${sha}[] v0.8.0[deployed]"
}

@test "kaapi: the logs of what runs" {
    kaapi_starts staging "$staging_account"
    control aws/logs -d '{"group": "/ecs/kaapi-staging", "stream": "app/backend/0123456789abcdef",
        "message": "GET /api/v1/utils/health/ 200"}' >/dev/null
    job logs kaapi --env staging
    expect 0
    says "backend/01234567  GET /api/v1/utils/health/ 200"
}

# --- backend-api: App Runner with Vault, three health checks ---------------------------------------

backend_starts() {
    system_start backend-api backend-api "$production_account" ap-south-1
    parameter=/backend-api/production/backend/version
    repository_has backend-api-production-backend
    app_is backend-api.example.org backend-api
}

@test "backend-api: the service is made from the spec, then updated; all three checks are asked" {
    backend_starts
    plan_is production --version v2 --image oci:../image2
    ship production image --version v1
    expect 0
    operations_are backend-api "CREATE_SERVICE SUCCEEDED"
    runner_do DescribeService backend-api >"$world/service"
    jq -e '.Service | .SourceConfiguration.ImageRepository.ImageConfiguration as $image |
        $image.Port == "5000" and $image.RuntimeEnvironmentVariables == {
            VAULT_ADDR: "http://192.0.2.119:8200", VAULT_ROLE: "node-api",
            VAULT_SECRET_PATH: "kv/data/secrets/nodeapp"} and
        (.SourceConfiguration.AutoDeploymentsEnabled | not) and
        .HealthCheckConfiguration == {Protocol: "HTTP", Path: "/api/health", Interval: 10,
            Timeout: 5, HealthyThreshold: 1, UnhealthyThreshold: 5} and
        .InstanceConfiguration.Cpu == "1024" and
        (.NetworkConfiguration.EgressConfiguration.VpcConnectorArn | test("vault-rds-connector"))' \
        "$world/service"
    ship production image2 --version v2
    expect 0
    says "✓ verify             3 checks passed"
    operations_are backend-api "CREATE_SERVICE SUCCEEDED, UPDATE_SERVICE SUCCEEDED"
    runner_runs backend-api "$second"
    labels_are "$parameter" "v1[proven-0] v2[deployed proven proven-1]"
}

@test "backend-api: it runs, but is never ready: taken back, exit 7" {
    backend_starts
    ship production image --version v1
    expect 0
    app_is backend-api.example.org/api/health/ready 503 backend-api.example.org backend-api
    export DISPATCHER_VERIFY_MS=1000
    ship production image2 --version v2
    expect 7
    says "check 'https://backend-api.example.org/api/health/live' passed: HTTP 200" \
        "check 'https://backend-api.example.org/api/health/ready' failed: HTTP 503" \
        "'backend' is restored: 'v1'" "parameter $parameter is restored"
    says_not "is back, proven"
    operations_are backend-api \
        "CREATE_SERVICE SUCCEEDED, UPDATE_SERVICE SUCCEEDED, UPDATE_SERVICE SUCCEEDED"
    runner_runs backend-api "$first"
    labels_are "$parameter" "v1[] v2[] v1[deployed proven proven-0]"
}

@test "backend-api: back by tag, and the list of operations shows it" {
    backend_starts
    ship production image --version v1
    expect 0
    ship production image2 --version v2
    expect 0
    job rollback backend-api --env production --to v1 --reason "slow queries"
    expect 0
    says "'backend-api' v1 is back in 'production' and proven to run"
    runner_runs backend-api "$first"
    holds [ "$(runner_do ListOperations backend-api |
        jq -r '[.OperationSummaryList[] | "\(.Type) \(.Status)"] | join(", ")')" = \
        "UPDATE_SERVICE SUCCEEDED, UPDATE_SERVICE SUCCEEDED, CREATE_SERVICE SUCCEEDED" ]
    labels_are "$parameter" "v1[] v2[proven-1] v1[deployed proven proven-0]"
}

# --- my-app: the hosting service's own way, over the infra repository ------------------------------

hosting_starts() {
    system_start my-app my-app "$staging_account" us-east-1
    parameter=/my-app/development/web/version
    repository_has my-app-development-web v1 image
    jq -n --arg image "$host/my-app-development-web:v1" '
        {clusters: [{name: "my-app-development", services: [{name: "my-app-development-web",
         image: $image, desiredCount: 1, deploymentConfiguration: {deploymentCircuitBreaker:
            {enable: true, rollback: true}}}]}]}' |
        control aws/ecs/seed -X POST --data-binary @- >/dev/null
    deployed_before v1
}

# The arrows of the sequence diagram that change something, in turn.
arrows() {
    control requests | jq -r '[.requests[] | (.action // "" | sub(".*\\."; "")) as $action |
        if .method == "PUT" and (.path | test("/manifests/")) then "image"
        elif .method == "POST" and (.path | endswith("/dispatches")) then "trigger"
        elif $action == "PutParameter" or $action == "LabelParameterVersion" or
            $action == "UpdateService" then $action else empty end] | join(" ")'
}

@test "my-app: push, parameter, infra run, 'dispatcher rollout' there, and the proof comes back" {
    hosting_starts
    plan_is development --version v2 --image oci:../image2
    control 'reset?what=requests' -X POST
    ship development image2
    expect 0
    says "proof: the infra side proved that this digest runs" \
        "'my-app' $sha is deployed to 'development' and proven to run"
    holds [ "$(arrows)" = \
        "image PutParameter trigger UpdateService LabelParameterVersion LabelParameterVersion" ]
    runs_only "$second" my-app-development-web
    ecs_was_asked "RegisterTaskDefinition UpdateService TagResource"
    labels_are "$parameter" "v1[] ${sha}[deployed proven proven-0]"
    holds [ "$(control state | jq -c '[.github.runs[] | [.conclusion, .inputs.application,
        .inputs.environment]]')" = '[["success","my-app","development"]]' ]
}

@test "my-app: the infra side is rolled back by ECS: its run fails, exit 7, and v1 stands" {
    hosting_starts
    scenario '{"service": "my-app-development-web", "scenario": "breaker-rollback", "exit_code": 3}'
    ship development image2
    expect 7
    says "job 'deploy' failed at step 'Roll out'" "'web' was rolled back by the platform" \
        "parameter $parameter is restored"
    runs_only "$first" my-app-development-web
    ecs_was_asked "RegisterTaskDefinition UpdateService"
    labels_are "$parameter" "v1[] ${sha}[] v1[deployed]"
    holds [ "$(control state | jq -r '.github.runs[].conclusion')" = failure ]
}

# --- monorepo-api: App Runner from source, a private service for each worker -------------------------

monorepo_starts() {
    system_start monorepo-api monorepo "$production_account" us-east-1
    control aws/apprunner/seed -d "$(jq -cn --arg arn \
        "arn:aws:apprunner:us-east-1:$account:connection/github/0123456789abcdef" \
        '{connections: [{name: "github", arn: $arn}]}')" >/dev/null
    mkdir -p apps/api/src/workers infra/aws
    touch apps/api/src/workers/{mail,export,sync}.worker.ts apps/api/src/workers/README.md
    printf 'LOG_LEVEL=info\nDB_HOST=of-the-file\n' >.env.workers
    echo '{"aurora_endpoint": {"value": "aurora.internal"}, "redis_endpoint": {"value": "redis.internal"}}' \
        >infra/aws/outputs.json
    git add -A
    git commit -qm "Three workers"
    sha=$(git rev-parse HEAD)
    app_is monorepo-api.example.org monorepo-api-production-mail # the gateway
}

workers_have() { # TEXT: the operations of all services
    local seen
    seen=$(control state | jq -r '[.aws.apprunner.services[] |
        "\(.ServiceName | sub(".*-"; "")): \([.Operations[] | "\(.Type) \(.Status)"] | join(" "))"] |
        sort | join(", ")')
    [ "$seen" = "$1" ] || { echo "operations: $seen"; show; return 1; }
}

@test "monorepo-api: a private service for each worker that is found, all at the same time" {
    monorepo_starts
    control aws/apprunner/seed -d '{"delay": "2s"}' >/dev/null
    plan_is production --version v2
    job deploy monorepo-api --env production
    expect 0
    says "✓ rollout            3 of 3" "'export' and 2 others came from source code"
    says_not "proven to run"
    workers_have "export: CREATE_SERVICE SUCCEEDED, mail: CREATE_SERVICE SUCCEEDED, \
sync: CREATE_SERVICE SUCCEEDED"
    holds [ "$(control state | jq '[.aws.apprunner.services[].Operations[]] |
        ([.[].StartedAt] | max) < ([.[].EndedAt] | min)')" = true ]
    runner_do DescribeService monorepo-api-production-mail >"$world/service"
    jq -e --arg url "$GITHUB_SERVER_URL/example-org/monorepo" '.Service |
        .SourceConfiguration.CodeRepository as $code |
        $code.CodeConfiguration.CodeConfigurationValues as $values | .ServiceUrl == null and
        .NetworkConfiguration.IngressConfiguration.IsPubliclyAccessible == false and
        $code.RepositoryUrl == $url and $code.SourceCodeVersion == {Type: "BRANCH", Value: "main"} and
        $values.Runtime == "NODEJS_22" and
        $values.StartCommand == "bash apps/api/scripts/start-worker.sh mail.worker.ts" and
        $values.RuntimeEnvironmentVariables == {LOG_LEVEL: "info", DB_HOST: "aurora.internal",
            REDIS_HOST: "redis.internal"} and
        ($values.RuntimeEnvironmentSecrets.DB_PASSWORD |
            test("secret:monorepo-api/production/database:password"))' "$world/service"
}

@test "monorepo-api: a worker that is gone is told of, and its service is deleted on request only" {
    monorepo_starts
    job deploy monorepo-api --env production
    expect 0
    git rm -q apps/api/src/workers/sync.worker.ts
    git commit -qm "No syncing any more"
    job deploy monorepo-api --env production
    expect 0
    says "App Runner service 'monorepo-api-production-sync' has no worker any more: it is left alone"
    workers_have "export: CREATE_SERVICE SUCCEEDED START_DEPLOYMENT SUCCEEDED, \
mail: CREATE_SERVICE SUCCEEDED START_DEPLOYMENT SUCCEEDED, sync: CREATE_SERVICE SUCCEEDED"
    # The one line that asks for it.
    in_infra sed -i 's/^  workers:$/&\n    remove_orphans: true/' appspecs/monorepo-api.yaml
    job deploy monorepo-api --env production
    expect 0
    says "'monorepo-api-production-sync', which had no worker any more, is deleted"
    [ "$(of_runner monorepo-api-production-sync '.Status + " " + .Operations[-1].Type')" = \
        "DELETED DELETE_SERVICE" ]
    [ "$(of_runner monorepo-api-production-mail .Status)" = RUNNING ]
}

@test "monorepo-api: one worker of three is rolled back: not green, and not said to be as before" {
    monorepo_starts
    job deploy monorepo-api --env production
    expect 0
    runner_scenario '{"service": "*-mail", "scenario": "rollback",
        "reason": "npm ERR! missing script: build"}'
    job deploy monorepo-api --env production
    expect 8
    says "'mail' was rolled back by the platform: npm ERR! missing script: build"
    [ "$(of_runner monorepo-api-production-mail .Status)" = RUNNING ]
}

@test "monorepo-api: over the infra workflow, which is told the workers as a list" {
    monorepo_starts
    # The other way that spec-format.md has, and an infra side that takes the list.
    in_infra sed -i 's/via: direct/via: workflow/; s/^  workers:$/&\n    workflow_input: workers/' \
        appspecs/monorepo-api.yaml
    in_infra sed -i "s/^    inputs:\$/&\n      workers: {type: string, default: '[]'}/
        s/run: dispatcher rollout.*/run: test -n '\${{ inputs.workers }}'/" \
        .github/workflows/deploy-app.yaml
    job deploy monorepo-api --env production
    expect 0
    holds [ "$(control state | jq -r '.github.runs[].inputs.workers')" = '["export","mail","sync"]' ]
}

# --- express-api: ECS Express Mode, where App Runner's users are sent ------------------------------

express_starts() {
    system_start express-api express-api "$staging_account" us-east-1
    parameter=/express-api/staging/web/version
    repository_has express-api-staging-web
    control aws/ecs/seed -d '{"clusters": [{"name": "default"}]}' >/dev/null
    control aws/ecs/pace -d '{"delay": "200ms", "bake_minute": "50ms"}' >/dev/null
}

@test "express-api: made from the spec, then updated by canary, proven by digest" {
    express_starts
    plan_is staging --version v2 --image oci:../image2
    ship staging image --version v1
    expect 0
    runs_only "$first" express-api-staging
    ship staging image2 --version v2
    expect 0
    runs_only "$second" express-api-staging
    ecs_was_asked "CreateExpressGatewayService UpdateExpressGatewayService"
    labels_are "$parameter" "v1[proven-0] v2[deployed proven proven-1]"
}

@test "express-api: an alarm during the canary: rolled back, exit 7" {
    express_starts
    ship staging image --version v1
    expect 0
    scenario '{"service": "express-api-staging", "scenario": "alarm"}'
    ship staging image2 --version v2
    expect 7
    # What 'ecspresso deploy' takes for "completed".
    holds [ "$(ecs_do ListServiceDeployments '{"cluster": "default",
        "service": "express-api-staging"}' | jq -r '.serviceDeployments[0].status')" = \
        ROLLBACK_SUCCESSFUL ]
    says "was rolled back by the platform" "parameter $parameter is restored"
    runs_only "$first" express-api-staging
    labels_are "$parameter" "v1[] v2[] v1[deployed proven proven-0]"
}
