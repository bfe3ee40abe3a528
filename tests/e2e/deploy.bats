#!/usr/bin/env bats
# Deploying, as it goes well: the real binary against the sandbox, and against moto, docker-registry
# and Prism in its place where they can stand.

load lib

setup_file() {
    world_template
    python3 "$DISPATCHER_ROOT/tests/vectors/archives/make.py" "$BATS_FILE_TMPDIR/images"
    "$DISPATCHER_ROOT/tests/integration/registry_lab.py" large "$BATS_FILE_TMPDIR/images"
    next_image "$BATS_FILE_TMPDIR/images/large.tar" "$BATS_FILE_TMPDIR/images/next.tar"
}

setup() {
    world_make
    images=$BATS_FILE_TMPDIR/images
}

teardown() {
    world_end
}

# deploy_image SOURCE [OPTION...]
deploy_image() {
    run --separate-stderr timeout -k 5 120 "$DISPATCHER_BIN" deploy greeter --env staging \
        --image "$@"
}

deployed() {
    expect 0 && happened "posts=${1:-1} runs=1 versions=1 labels=1 manifests=${2:-1}" &&
        [ "$(values)" = "$sha" ]
}

@test "a deployment pushes, writes, triggers once, follows, labels and says so" {
    sandbox_start --queue-delay 1s
    deploy
    deployed
    says "✓ push web" "✓ write web          version 1" "✓ follow             success in" \
        "'greeter' $sha is deployed to 'staging'" \
        "proof: run succeeded; running digest not checked (no 'target:')"
    [ "$stderr" = "" ]
    [ "$(labels 1)" = "deployed" ]
    [ "$(control state | jq -c '.github.runs[0] | [.workflow, .ref, .conclusion,
        .inputs.application, .inputs.environment]')" = \
        '["deploy-app.yaml","refs/heads/main","success","greeter","staging"]' ]
    [ "$(control state | jq -r '.registry[0].name, (.registry[0].tags | keys[0])')" = \
        "greeter-staging-web"$'\n'"$sha" ]
    # What counts against the quota stays small.
    [ "$(asked .counted)" -le 9 ]
}

@test "the same again changes nothing more in the registry and the parameter, and runs again" {
    sandbox_start
    deploy
    deploy
    expect 0
    says "- push web           present as sha256:" "- write web"
    happened "posts=2 runs=2 versions=1 labels=1 manifests=1"
}

@test "with a token in place of the App" {
    sandbox_start
    unset DEPLOYMENT_APP_ID DEPLOYMENT_APP_KEY
    deploy
    deployed
    [ "$(asked '.path | test("access_tokens")')" = 0 ]
}

@test "an App's token is narrowed to the infra repository and renewed by no need" {
    sandbox_start
    deploy
    deployed
    [ "$(control state | jq -c '[.github.tokens[] | select(.kind == "installation") |
        [.repositories, .permissions.actions]]')" = '[[["infra"],"write"]]' ]
    [ "$(asked '.path | test("access_tokens")')" = 1 ]
}

@test "the App's key as text in the environment" {
    sandbox_start
    DEPLOYMENT_APP_KEY=$(cat "$DEPLOYMENT_APP_KEY") deploy
    deployed
}

@test "the job's OIDC token becomes the role of dispatcher.yaml, without any key" {
    sandbox_start --caller demo/greeter
    # shellcheck disable=SC1091
    . "$world/sandbox.env"
    export ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    in_infra sed -i 's|^aws:|aws:\n  role: "arn:aws:iam::{account}:role/{app}-{env}-deploy"|' \
        dispatcher.yaml
    deploy
    deployed
    [ "$(asked '.action == "AssumeRoleWithWebIdentity" and .status == 200')" = 1 ]
    [ "$(control state | jq -r '.aws.parameters[0].versions[0].user')" = \
        "arn:aws:sts::123456789012:assumed-role/greeter-staging-deploy/dispatcher-greeter-staging" ]
}

@test "two services: both images, both parameters, one trigger" {
    sandbox_start
    printf '  worker:\n    expose: 4000\n' >>"$world/infra/appspecs/greeter.yaml"
    in_infra true
    run --separate-stderr "$DISPATCHER_BIN" deploy greeter --env staging \
        --image "web=oci:$world/image" --image "worker=oci:$images/single"
    expect 0
    happened "posts=1 runs=1 versions=2 labels=2 manifests=2"
    [ "$(values /greeter/staging/worker/version)" = "$sha" ]
    [ "$(control state | jq -c '[.registry[].name] | sort')" = \
        '["greeter-staging-web","greeter-staging-worker"]' ]
}

@test "an image that is there already is not pushed, and needs no --image" {
    sandbox_start
    "$DISPATCHER_BIN" push "oci:$world/image" \
        "$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web:$sha" >/dev/null
    run --separate-stderr "$DISPATCHER_BIN" deploy greeter --env staging
    deployed
    says "- push web           present as sha256:570263cdb22e…"
    [ "$(asked '(.path | test("/v2/.*/blobs/uploads")) and .method == "POST"')" = 2 ]
}

@test "an index of several platforms, an archive of docker and one of OCI" {
    sandbox_start
    deploy_image "oci:$images/multi"
    deployed 1 3
    local source
    for source in docker-archive:$images/docker-new.tar oci-archive:$images/single.tar; do
        forget_effects
        rm -f "$DISPATCHER_STATE"*
        deploy_image "$source"
        deployed
    done
}

@test "the version that runs lends its layers to the next one, without a look at the list of tags" {
    sandbox_start
    deploy_image "docker-archive:$images/large.tar" --version v1
    expect 0
    control 'reset?what=requests' -X POST
    deploy_image "docker-archive:$images/next.tar" --version v2
    expect 0
    says "5 already there"
    holds [ "$(asked '.status == 200 and .method == "GET" and (.path | endswith("/manifests/v1"))')" = 1 ]
    holds [ "$(asked '.path | test("/tags/list")')" = 0 ]
    holds [ "$(asked '.method == "PATCH"')" = 0 ]
}

@test "the spec's compression is the image's, also after a resume" {
    sandbox_start
    printf 'deploy:\n  compression: zstd\n' >>"$world/infra/appspecs/greeter.yaml"
    in_infra true
    fault 'POST */uploads/ delay=2s count=9'
    run timeout -s KILL 1 "$DISPATCHER_BIN" deploy greeter --env staging --version v1 \
        --image "docker-archive:$images/large.tar"
    control faults -X DELETE
    dispatcher resume "$(id_of_last)"
    expect 0
    holds [ "$(curl -sf -u "$DISPATCHER_REGISTRY_USER:$DISPATCHER_REGISTRY_PASSWORD" \
        -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
        "http://$DISPATCHER_SANDBOX_REGISTRY/v2/greeter-staging-web/manifests/v1" |
        jq -r '[.layers[].mediaType] | unique | join(" ")')" = \
        application/vnd.oci.image.layer.v1.tar+zstd ]
}

@test "a journal that names a compression of another release is refused, and nothing is triggered" {
    sandbox_start
    fault 'POST */uploads/ delay=2s count=9'
    run timeout -s KILL 1 "$DISPATCHER_BIN" deploy greeter --env staging --version v1 \
        --image "docker-archive:$images/large.tar"
    control faults -X DELETE
    python3 - "$DISPATCHER_STATE" <<'PYTHON'
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as journal:
    assert journal.execute("UPDATE deployments SET document = replace(document, ?, ?)",
        ('"compression":"fast"', '"compression":"lz9"')).rowcount == 1
PYTHON
    dispatcher resume "$(id_of_last)"
    says "compression 'lz9' is not known" \
        "A newer dispatcher began this deployment; resume it with that one."
    happened "posts=0 runs=0 versions=0 labels=0 manifests=0"
}

@test "--version names another version; a tag at HEAD does where the spec says so" {
    sandbox_start
    deploy --version v0.9.8-rc.1
    expect 0
    [ "$(values)" = "v0.9.8-rc.1" ]
    printf 'deploy:\n  version: tag\n' >>"$world/infra/appspecs/greeter.yaml"
    in_infra true
    deploy
    expect 2
    says "no version tag points at HEAD" "tag the commit (git tag v1.2.3), or pass --version"
    git tag v1.2.3
    git tag not-a-version
    deploy
    expect 0
    [ "$(values | tail -n 1)" = "v1.2.3" ]
    git tag v1.2.4
    deploy
    expect 2
    says "two version tags point at HEAD: 'v1.2.3' and 'v1.2.4'"
    [ "$(posts)" = 2 ]
}

@test "specs from a git URL at a ref, with the commit they were at" {
    sandbox_start
    git -C "$world/infra" checkout -q -b proposal
    in_infra sed -i 's/^title: .*/title: Greeter of the proposal/' appspecs/greeter.yaml
    git -C "$world/infra" checkout -q main
    unset DISPATCHER_SPECS
    deploy --specs "file://$world/infra/.git?ref=proposal" --json
    deployed
    [ "$(jq -r 'select(.event == "started") | .plan.specs_commit' <<<"$output")" = \
        "$(git -C "$world/infra" rev-parse proposal)" ]
    [ "$(jq -r 'select(.event == "started") | .plan.title' <<<"$output")" = \
        "Greeter of the proposal" ]
}

@test "a commit older than the deployed one is refused unless it is meant" {
    sandbox_start
    deploy
    expect 0
    git checkout -q HEAD^
    deploy
    expect 6
    says "'$(git rev-parse --short=12 HEAD)' is older than '${sha:0:12}'" "--allow-stale"
    happened "posts=1 runs=1 versions=1 labels=1 manifests=1"
    deploy --allow-stale
    expect 0
    [ "$(values | tail -n 1)" = "$(git rev-parse HEAD)" ]
}

@test "plan reads everything and changes nothing; so does --dry-run" {
    sandbox_start
    run --separate-stderr "$DISPATCHER_BIN" plan greeter --env staging --image "oci:$world/image"
    expect 0
    says "not in the registry" "the parameter does not exist yet"
    nothing_happened
    local plan=$output
    deploy --dry-run
    expect 0
    [ "$output" = "$plan" ]
    run --separate-stderr "$DISPATCHER_BIN" plan greeter --env staging --image "oci:$world/image" --json
    expect 0
    [ "$(jq -r '.app + " " + .version' <<<"$output")" = "greeter $sha" ]
    nothing_happened
    [ ! -e "$DISPATCHER_STATE" ]
}

@test "--no-wait ends with 10 once the run is triggered, resume follows it to its end" {
    sandbox_start --queue-delay 1s
    deploy --no-wait
    expect 10
    says "run 16000000002 was triggered and goes on; nothing is proven yet" \
        "'dispatcher resume $(id_of_last)'"
    happened "posts=1 runs=1 versions=1 labels=0 manifests=1"
    dispatcher resume "$(id_of_last)"
    deployed
    dispatcher resume "$(id_of_last)" # over: only shown, with its exit code
    deployed
}

@test "every line of --json is an event of docs/events.schema.json" {
    python3 -c 'import jsonschema' 2>/dev/null || skip "python3-jsonschema is not installed"
    sandbox_start --pending-delay 1s
    deploy --json
    expect 0
    cp /dev/stdin "$world/events" <<<"$output"
    deployed_before v0 /greeter/production/web/version
    control github/next-run -X POST -d '{"conclusion": "failure"}'
    "$DISPATCHER_BIN" deploy greeter --env production --image "oci:$world/image" --json \
        --version v1 >>"$world/events" 2>/dev/null || [ $? -eq 7 ]
    fault 'POST */dispatches status=502'
    "$DISPATCHER_BIN" deploy greeter --env staging --image "oci:$world/image" --json --version v2 \
        >>"$world/events" 2>/dev/null || [ $? -eq 9 ]
    "$DISPATCHER_BIN" deploy greeter --env staging --image "oci:$world/image" --json --version v3 \
        --no-wait >>"$world/events" 2>/dev/null || [ $? -eq 10 ]
    python3 "$DISPATCHER_ROOT/tests/e2e/check_events.py" \
        "$DISPATCHER_ROOT/docs/events.schema.json" "$world/events"
    [ "$(jq -rs '[.[].event] | unique | join(" ")' "$world/events")" = \
        "finished image jobs note progress run started step" ]
    [ "$(jq -rs 'map(select(.event == "finished")) | map("\(.result) \(.exit_code)") |
        join(", ")' "$world/events")" = "deployed 0, failed 7, unknown 9, triggered 10" ]
}

# --- in a job of GitHub Actions ----------------------------------------------------------------

in_a_job() {
    export GITHUB_ACTIONS=true GITHUB_REPOSITORY=demo/greeter GITHUB_RUN_ID=77 GITHUB_JOB=deploy \
        GITHUB_RUN_ATTEMPT=1 GITHUB_REPOSITORY_ID=5 GITHUB_REF=refs/heads/main \
        GITHUB_EVENT_NAME=push GITHUB_ACTOR=octocat
    export GITHUB_OUTPUT=$world/output GITHUB_STEP_SUMMARY=$world/summary
}

# The value of one output, as the runner reads the file.
output_of() {
    awk -v name="$1" 'marker != "" && $0 == marker { exit }
        marker != "" { print }
        marker == "" && index($0, name "<<") == 1 { marker = substr($0, length(name) + 3) }' \
        "$GITHUB_OUTPUT"
}

@test "in a job: masks first, outputs, a summary, the run's link and an annotation" {
    sandbox_start
    deployed_before v1
    in_a_job
    deploy
    expect 0
    # Not a line before the masks, and every credential is among them.
    local masks
    masks=$(sed -n '/^::add-mask::/!q;p' <<<"$output")
    grep -qxF "::add-mask::$AWS_SECRET_ACCESS_KEY" <<<"$masks"
    grep -qxF "::add-mask::$DISPATCHER_REGISTRY_PASSWORD" <<<"$masks"
    grep -qxF "::add-mask::$(sed -n 2p "$DEPLOYMENT_APP_KEY")" <<<"$masks"
    says "::notice title=infra run::$DISPATCHER_SANDBOX/demo/infra/actions/runs/16000000002" \
        "::notice title=dispatcher::'greeter' $sha is deployed to 'staging'"
    [ "$(output_of result)" = deployed ]
    [ "$(output_of deployment-id)" = "$(id_of_last)" ]
    [ "$(output_of run-id)" = 16000000002 ]
    [ "$(output_of run-url)" = "$DISPATCHER_SANDBOX/demo/infra/actions/runs/16000000002" ]
    [ "$(output_of version)" = "$sha" ]
    [ "$(output_of previous-version)" = v1 ]
    [[ "$(output_of digest)" == sha256:570263cdb22e* ]]
    grep -qF "### ✅ Greeter → staging: deployed" "$GITHUB_STEP_SUMMARY"
    grep -qF "| Infra run | [16000000002]($DISPATCHER_SANDBOX/demo/infra/actions/runs/16000000002) |" \
        "$GITHUB_STEP_SUMMARY"
}

@test "in a job that fails: an error annotation, and outputs that say so" {
    sandbox_start
    deployed_before v1
    in_a_job
    roll_out_is 'echo "::error::quota exceeded"; exit 1'
    deploy
    expect 7
    says "::error title=dispatcher::deploy 'greeter' to 'staging'"
    [ "$(output_of result)" = failed ]
    grep -qF "#### Failed: deploy › Roll out" "$GITHUB_STEP_SUMMARY"
    grep -qF "quota exceeded" "$GITHUB_STEP_SUMMARY"
}

@test "a re-run of the caller's job adopts the run that still goes" {
    sandbox_start
    in_a_job
    roll_out_is "until [ -e '$world/gate' ]; do sleep 0.05; done"
    deploy_behind
    until_true 20 eval '[ "$(runs)" = 1 ]'
    kill -KILL "$deploying"
    deploy_end
    rm -f "$DISPATCHER_STATE"* # another runner, another disk
    export GITHUB_RUN_ATTEMPT=2
    deploy_behind
    until_true 20 grep -q "of an earlier attempt" "$world/out"
    : >"$world/gate"
    deploy_end
    expect 0
    [ "$(posts) $(runs)" = "1 1" ]
    values_are "$sha"
}

@test "a job of another repository may not deploy the app" {
    sandbox_start
    in_a_job
    GITHUB_REPOSITORY=demo/other deploy
    expect 5
    says "app 'greeter' belongs to 'demo/greeter', this is 'demo/other'"
    nothing_happened
}

# --- against servers that nobody here wrote ----------------------------------------------------

@test "against moto with signatures checked, docker-registry, and the sandbox's GitHub" {
    sandbox_start
    docker_registry_start
    moto_start
    deploy
    expect 0
    [ "$(posts) $(runs)" = "1 1" ]
    [ "$(asked '.path | startswith("/aws") or startswith("/v2")')" = 0 ]
    [ "$(ssm GetParameterHistory "{\"Name\": \"$parameter\"}" |
        jq -c '[.Parameters[] | [.Value, .Version, .Labels]]')" = "[[\"$sha\",1,[\"deployed\"]]]" ]
    [ "$(curl -sI "http://$docker_registry/v2/greeter-staging-web/manifests/$sha" \
        -H 'Accept: application/vnd.oci.image.manifest.v1+json' | tr -d '\r' |
        sed -n 's/^Docker-Content-Digest: //p')" = "sha256:$(jq -r '.manifests[0].digest' \
        "$world/image/index.json" | cut -d: -f2)" ]
    # A failed run: put back, in moto too.
    control github/next-run -X POST -d '{"conclusion": "failure"}'
    deploy --version v2
    expect 7
    [ "$(ssm GetParameter "{\"Name\": \"$parameter\"}" | jq -r .Parameter.Value)" = "$sha" ]
    # A signature that is wrong is refused by it.
    AWS_SECRET_ACCESS_KEY=wrong deploy --version v3
    expect 4
    [ "$(posts)" = 2 ]
}

through_prism() { # CONTRACT [SANDBOX-OPTION...]
    local contract=$1
    shift
    sandbox_start "$@"
    prism_start "$contract"
}

@test "every request and answer is as GitHub's own description of 2026-03-10 says" {
    through_prism github-2026-03-10.strict
    deploy
    deployed
    [ "$(asked '.path | test("/actions/runs/[0-9]+$")')" -ge 1 ]
    ! grep -iE "violation|terminated" "$world/prism.log"
}

@test "a failed run, with its jobs and annotations, is as GitHub's description says" {
    through_prism github-2026-03-10.strict
    deployed_before v1
    roll_out_is 'echo "no space left"; exit 1'
    deploy
    expect 7
    says "job 'deploy' failed at step 'Roll out'" "Process completed with exit code 1"
    # Prism follows the redirect to a job's log by itself: that answer is in no description.
    ! grep -iE "violation|terminated" "$world/prism.log" | grep -vE "/logs|status code"
}

@test "stepping down from an old server is as GitHub's description of 2022-11-28 says" {
    through_prism github-2022-11-28 --ghes 3.19
    deploy
    deployed 2
    # What an old server refuses is in no description; all else is.
    grep -q "returned 422" "$world/prism.log"
    ! grep -i "request terminated" "$world/prism.log"
}

# --- looking -----------------------------------------------------------------------------------

@test "status tells what each environment is set to, since when and by whom" {
    sandbox_start
    deploy
    dispatcher status greeter --json
    expect 0
    [ "$(jq -sc '[.[] | [.environment, .service, .version, .deployed]]' <<<"$output")" = \
        "[[\"staging\",\"web\",\"$sha\",true],[\"production\",\"web\",null,false]]" ]
    put somebody-elses
    dispatcher status greeter --env staging
    expect 0
    says "somebody-elses"
    says_not "deployed"
}

@test "history lists what this machine did, newest first" {
    sandbox_start
    deploy
    control github/next-run -X POST -d '{"conclusion": "failure"}'
    deploy --version v2
    dispatcher history --json
    expect 0
    [ "$(jq -sc '[.[] | [.app, .environment, .version, .result, .exit_code]]' <<<"$output")" = \
        "[[\"greeter\",\"staging\",\"v2\",\"failed\",7],[\"greeter\",\"staging\",\"$sha\",\"deployed\",0]]" ]
    dispatcher history other
    expect 0
    [ "$output" = "" ]
}

@test "watch follows what another process drives, and ends with its exit code" {
    sandbox_start
    deployed_before v1
    roll_out_is "until [ -e '$world/gate' ]; do sleep 0.05; done; exit 1"
    deploy_behind
    until_true 20 eval '[ "$(runs)" = 1 ]'
    "$DISPATCHER_BIN" watch "$(id_of_last)" >"$world/watched" 2>"$world/watched.err" 3>&- &
    local watching=$! code=0
    until_true 10 grep -q '"event":"run"' "$world/watched"
    : >"$world/gate"
    deploy_end
    expect 7
    wait "$watching" || code=$?
    [ "$code" -eq 7 ]
    [ "$(tail -n 1 "$world/watched" | jq -r '.event + " " + .result')" = "finished failed" ]
    grep -q "parameter $parameter is restored" "$world/watched.err"
}

@test "cancel stops the remote run, and who follows it sees that" {
    sandbox_start
    deployed_before v1
    roll_out_is "until [ -e '$world/gate' ]; do sleep 0.05; done"
    deploy_behind
    until_true 20 eval '[ "$(control state | jq -r ".github.runs[0].status")" = in_progress ]'
    until_true 20 grep -q "in_progress" "$world/out"
    dispatcher cancel "$(id_of_last)"
    expect 0
    deploy_end
    expect 11
    says "was cancelled, by a person or by a newer run" "parameter $parameter is restored"
    values_are v1 "$sha" v1
}

# --- doctor ------------------------------------------------------------------------------------

doctor() {
    run --separate-stderr "$DISPATCHER_BIN" doctor greeter --env staging "$@"
}

@test "doctor: everything is well" {
    sandbox_start
    doctor
    expect 0
    says "✓ spec" "✓ checkout     demo/greeter at ${sha:0:12} would be version '$sha'" \
        "✓ github       signed in as app" "✓ workflow     deploy-app.yaml in demo/infra at main takes our inputs" \
        "✓ aws          arn:aws:iam::123456789012:user/sandbox in us-east-1" \
        "✓ parameter    $parameter does not exist yet" "✓ registry" "✓ journal" \
        "the clocks agree" ", 0 failed, 0 warnings"
    says_not "✗"
    nothing_happened
}

@test "doctor: each thing that can be wrong, its exit code and its fix" {
    sandbox_start
    AWS_SECRET_ACCESS_KEY=wrong doctor
    expect 4
    says "✗ aws"
    unset_aws() { env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY "$@"; }
    run --separate-stderr unset_aws "$DISPATCHER_BIN" doctor greeter --env staging
    expect 4
    says "✗ aws" "permissions: id-token: write"
    DEPLOYMENT_APP_KEY=$world/image/oci-layout doctor
    expect 4
    says "✗ github"
    DEPLOYMENT_APP_KEY=/nonexistent doctor
    expect 4
    says "✗ github" "holds neither a PEM key nor the path of one"
    GITHUB_API_URL=http://127.0.0.1:1 doctor
    expect 12
    says "✗ github"
    DISPATCHER_REGISTRY_PASSWORD=wrong doctor
    expect 4
    says "✗ registry"
    DISPATCHER_STATE=/proc/nowhere/state.db doctor
    expect 13
    says "✗ journal"
    echo dirty >>hello.txt
    doctor
    expect 2
    says "✗ checkout" "the work tree is dirty: 'hello.txt' is changed"
    git checkout -q hello.txt
    control github/workflow-state -X POST \
        -d '{"repository": "demo/infra", "workflow": "deploy-app.yaml", "disabled": true}'
    doctor
    says "✗ workflow     the workflow is 'disabled_manually'" "Enable it on the Actions page"
    in_infra sed -i '/^run-name/d' .github/workflows/deploy-app.yaml
    doctor
    says "! workflow     its runs do not show the dispatch id"
    in_infra git rm -q .github/workflows/deploy-app.yaml
    doctor
    expect 3
    says "workflow 'deploy-app.yaml' is not in 'demo/infra' at 'main'"
    rm "$world/infra/appspecs/greeter.yaml"
    doctor
    expect 3
    says "✗ spec" "there is no app 'greeter'"
    nothing_happened
}
