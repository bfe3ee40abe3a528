#!/usr/bin/env bats
# What bad input gets: a sentence with the subject quoted and a hint, the right exit code, and no
# effect at any server. The texts are golden: they are what somebody reads at 3 a.m.

load lib

setup_file() {
    world_template
    python3 "$DISPATCHER_ROOT/tests/vectors/archives/make.py" "$BATS_FILE_TMPDIR/images"
}

setup() {
    world_make
    images=$BATS_FILE_TMPDIR/images
    sandbox_start
}

teardown() {
    world_end
}

# refused CODE TEXT: the last command ended so, said exactly this, and nothing happened anywhere.
refused() {
    local said
    said=$(plain <<<"$stderr")
    [ "$status" -eq "$1" ] || { show; return 1; }
    [ "$said" = "$2" ] || { diff <(echo "$2") <(echo "$said"); return 1; }
    [ "$output" = "" ] || { echo "on standard output: $output"; return 1; }
    nothing_happened
}

deploy_image() {
    run --separate-stderr "$DISPATCHER_BIN" deploy greeter --env staging --image "$@"
}

# spec_is TEXT: the app's spec from now on.
spec_is() {
    printf '%s\n' "$1" >"$world/infra/appspecs/greeter.yaml"
}

# --- specs -------------------------------------------------------------------------------------

@test "no specs anywhere" {
    unset DISPATCHER_SPECS
    deploy
    refused 2 "dispatcher: deploy 'greeter' to 'staging': no specs: there is no 'dispatcher.yaml' here
  hint: Give --specs DIR or --specs https://github.com/OWNER/INFRA.git, or set DISPATCHER_SPECS."
}

@test "a directory of specs that is not there" {
    deploy --specs "$world/nowhere"
    refused 3 "dispatcher: deploy 'greeter' to 'staging': there is no app 'greeter': 'WORLD/nowhere/greeter.yaml' does not exist
  hint: The app's name is the file name of its spec without '.yaml'."
}

@test "a configuration that is not there" {
    deploy --config "$world/nowhere.yaml"
    refused 3 "dispatcher: deploy 'greeter' to 'staging': 'WORLD/nowhere.yaml' does not exist
  hint: It holds the organisation's defaults; see docs/spec-reference.md."
}

@test "an unknown app" {
    run --separate-stderr "$DISPATCHER_BIN" deploy greter --env staging --image "oci:$world/image"
    refused 3 "dispatcher: deploy 'greter' to 'staging': there is no app 'greter': 'WORLD/infra/appspecs/greter.yaml' does not exist
  hint: The app's name is the file name of its spec without '.yaml'."
}

@test "an unknown environment" {
    run --separate-stderr "$DISPATCHER_BIN" deploy greeter --env prod --image "oci:$world/image"
    refused 3 "WORLD/infra/appspecs/../dispatcher.yaml:2:1: error: environment 'prod' is not listed in 'environments' of WORLD/infra/appspecs/../dispatcher.yaml
    2 | environments: [staging, production]
      | ^~~~~~~~~~~~
dispatcher: deploy 'greeter' to 'prod': WORLD/infra/appspecs/../dispatcher.yaml: 1 error, nothing was deployed"
}

@test "names that are not [a-z0-9-]" {
    local name
    for name in Greeter gree_ter ../greeter 'gr eeter' $'gr\neeter' '$(id)' -x ""; do
        run --separate-stderr "$DISPATCHER_BIN" deploy --env staging -- "$name"
        [ "$status" -eq 2 ] || { show; return 1; }
        run --separate-stderr "$DISPATCHER_BIN" deploy greeter --env="$name"
        [ "$status" -eq 2 ] || { show; return 1; }
    done
    run --separate-stderr "$DISPATCHER_BIN" deploy Greeter --env staging
    refused 2 "dispatcher: deploy 'Greeter' to 'staging': app name 'Greeter' is not a valid name
  hint: Use lower-case letters, digits and '-', starting and ending with a letter or digit, 63 at most."
}

@test "a broken spec: every problem, with its place and the line" {
    spec_is "title: Greeter
name: greeter
repo: demo/greeter
services:
  web:
    expose: many
    replica: 3
    public: perhaps"
    deploy
    refused 3 "WORLD/infra/appspecs/greeter.yaml:6:13: error: 'expose' must be a whole number, not text 'many'
    6 |     expose: many
      |             ^~~~
WORLD/infra/appspecs/greeter.yaml:7:5: error: unknown key 'replica' in 'service'
    7 |     replica: 3
      |     ^~~~~~~
WORLD/infra/appspecs/greeter.yaml:8:13: error: 'public' must be true or false, not text 'perhaps'
    8 |     public: perhaps
      |             ^~~~~~~
dispatcher: deploy 'greeter' to 'staging': WORLD/infra/appspecs/greeter.yaml: 3 errors, nothing was deployed"
}

@test "a spec that is no YAML, and one with aliases, tags, a second document or the same key twice" {
    local text
    for text in 'title: [a' 'title: &a x
name: *a' 'title: !!str x' 'title: x
---
title: y' 'title: x
title: y'; do
        spec_is "$text"
        deploy
        [ "$status" -eq 3 ] || { show; return 1; }
        says "appspecs/greeter.yaml:" "error:" "nothing was deployed"
    done
    nothing_happened
}

@test "a spec of 100 MB" {
    head -c 100M /dev/zero | tr '\0' '#' >"$world/infra/appspecs/greeter.yaml"
    deploy
    refused 3 "dispatcher: deploy 'greeter' to 'staging': read spec 'WORLD/infra/appspecs/greeter.yaml': 'WORLD/infra/appspecs/greeter.yaml' has 104857600 bytes, more than the 65536 allowed"
}

@test "a spec of 100 MB in a git repository" {
    head -c 100M /dev/zero | tr '\0' '#' >"$world/infra/appspecs/greeter.yaml"
    in_infra true
    deploy --specs "file://$world/infra/.git"
    [ "$status" -eq 3 ]
    says "appspecs/greeter.yaml'" "65536"
    nothing_happened
}

@test "a spec that is not UTF-8, and one with control characters" {
    spec_is $'title: Gr\xe9eter\nname: greeter\nrepo: demo/greeter\nservices:\n  web: {}'
    deploy
    [ "$status" -eq 3 ]
    says "appspecs/greeter.yaml:1:10: error: " "UTF-8"
    spec_is $'title: "Gr\e[31meeter"\nname: greeter'
    deploy
    [ "$status" -eq 3 ]
    says_not $'\e'
    nothing_happened
}

@test "a spec that is a directory, a device or a dangling link" {
    local spec=$world/infra/appspecs/greeter.yaml
    rm "$spec"
    mkdir "$spec"
    deploy
    [ "$status" -eq 3 ] || { show; return 1; }
    rmdir "$spec"
    ln -s /dev/zero "$spec"
    deploy
    [ "$status" -eq 3 ] || { show; return 1; }
    ln -sf /nonexistent "$spec"
    deploy
    [ "$status" -eq 3 ] || { show; return 1; }
    mkfifo "$world/fifo"
    ln -sf "$world/fifo" "$spec"
    run --separate-stderr timeout 10 "$DISPATCHER_BIN" deploy greeter --env staging
    [ "$status" -eq 3 ] || { show; return 1; }
    nothing_happened
}

@test "a disabled app" {
    echo "enabled: false" >>"$world/infra/appspecs/greeter.yaml"
    deploy
    refused 5 "dispatcher: deploy 'greeter' to 'staging': app 'greeter' is disabled by 'enabled: false'
  hint: Take the key out of its spec to deploy it again."
}

@test "a version that the spec pins" {
    spec_is "title: Greeter
name: greeter
repo: demo/greeter
services:
  web:
    image_tag: v1"
    deploy
    refused 3 "dispatcher: deploy 'greeter' to 'staging': app 'greeter' has nothing to deploy: every service is pinned by 'image_tag' or takes an external image
  hint: Take 'image_tag' out of the service whose version dispatcher is to write."
    spec_is "title: Greeter
name: greeter
repo: demo/greeter
services:
  web: {expose: 3000}
  db: {image_tag: v1}"
    deploy_image "db=oci:$world/image"
    refused 2 "dispatcher: deploy 'greeter' to 'staging': service 'db' is not deployable: 'image_tag' pins its version"
    deploy_image "cache=oci:$world/image"
    refused 2 "dispatcher: deploy 'greeter' to 'staging': app 'greeter' has no service 'cache'
  hint: --image takes SERVICE=SOURCE with a service of the spec."
}

@test "specs from a git URL that cannot be read" {
    deploy --specs "file://$world/nowhere/.git"
    refused 2 "dispatcher: deploy 'greeter' to 'staging': read specs from 'file://WORLD/nowhere/.git': fetch from 'file://WORLD/nowhere/.git': failed to resolve path 'WORLD/nowhere/.git': No such file or directory
  hint: It has to be a git repository that this user may read."
    deploy --specs "file://$world/infra/.git?ref=gone"
    says "'gone'" "hint:"
    [ "$status" -ne 0 ]
    deploy --specs "https://user:canary-password@127.0.0.1:1/infra.git"
    [ "$status" -ne 0 ]
    says_not "canary-password"
    nothing_happened
}

# --- images ------------------------------------------------------------------------------------

@test "no image given, and none in the registry" {
    run --separate-stderr "$DISPATCHER_BIN" deploy greeter --env staging
    refused 2 "dispatcher: deploy 'greeter' to 'staging': image 'HOST/greeter-staging-web:COMMIT' is not in the registry
  hint: Give it with --image web=SOURCE, make it with --build, or push it first."
}

@test "an image that is not there, and a source nobody knows" {
    deploy_image "oci:$world/nowhere"
    refused 2 "dispatcher: deploy 'greeter' to 'staging': image 'oci:WORLD/nowhere': it cannot be opened: No such file or directory"
    deploy_image "zip:image.zip"
    [ "$status" -eq 2 ]
    says "'zip:image.zip'" "hint:" "oci:DIR"
    nothing_happened
}

@test "a truncated archive" {
    tar -C "$world/image" -cf "$world/image.tar" .
    truncate -s 1500 "$world/image.tar"
    deploy_image "oci-archive:$world/image.tar"
    [ "$status" -eq 2 ] || { show; return 1; }
    says "image 'oci-archive:$world/image.tar': "
    local name
    for name in cut-at-member cut-in-data cut-in-header; do
        deploy_image "oci-archive:$images/$name.tar"
        [ "$status" -eq 2 ] || { show; return 1; }
        says "image 'oci-archive:$images/$name.tar': "
    done
    nothing_happened
}

@test "a digest that does not fit its content" {
    local name
    for name in manifest-corrupt config-corrupt layer-corrupt layer-truncated size-larger; do
        deploy_image "oci:$images/$name"
        [ "$status" -eq 2 ] || { show; return 1; }
        grep -qE "is corrupt: its content has digest|bytes" <<<"$output$stderr" || { show; return 1; }
        [ "$(posts) $(runs) $(values)" = "0 0 " ]
        [ "$(control state | jq '[.registry[].manifests | length] | add // 0')" = 0 ]
    done
    deploy_image "docker-archive:$images/docker-layer-corrupt.tar"
    [ "$status" -eq 2 ]
    says "' but the configuration says 'sha256:"
    happened "posts=0 runs=0 versions=0 labels=0 manifests=0"
}

@test "paths that lead out of the layout or the archive" {
    local source
    for source in "oci:$images/digest-traversal" "oci:$images/digest-escape" \
        "oci-archive:$images/climbs.tar" "oci-archive:$images/absolute.tar" \
        "oci-archive:$images/blob-link-out.tar" "docker-archive:$images/docker-layer-escape.tar" \
        "docker-archive:$images/docker-layer-outside.tar" \
        "docker-archive:$images/docker-layer-link-out.tar"; do
        deploy_image "$source"
        [ "$status" -eq 2 ] || { show; return 1; }
        says "image '$source': "
    done
    nothing_happened
}

@test "several services and one image without a name" {
    printf '  worker:\n    expose: 4000\n' >>"$world/infra/appspecs/greeter.yaml"
    deploy
    refused 2 "dispatcher: deploy 'greeter' to 'staging': image 'oci:WORLD/image' does not say for which service
  hint: The app has 2 services: write --image SERVICE=SOURCE."
    run --separate-stderr "$DISPATCHER_BIN" deploy greeter --env staging \
        --image "web=oci:$world/image" --image "web=oci:$world/image"
    refused 2 "dispatcher: deploy 'greeter' to 'staging': two images for service 'web'"
}

# --- credentials -------------------------------------------------------------------------------

@test "no GitHub credentials" {
    unset DEPLOYMENT_APP_ID DEPLOYMENT_APP_KEY GITHUB_TOKEN
    deploy
    refused 4 "dispatcher: deploy 'greeter' to 'staging': no GitHub credentials for 'demo/infra'
  hint: Set DEPLOYMENT_APP_ID and DEPLOYMENT_APP_KEY, or GITHUB_TOKEN."
}

@test "an App key that is none, or another App's" {
    DEPLOYMENT_APP_KEY=$world/image/oci-layout deploy
    [ "$status" -eq 4 ] || { show; return 1; }
    openssl genrsa -out "$world/other.pem" 2048 2>/dev/null
    DEPLOYMENT_APP_KEY=$world/other.pem deploy
    [ "$status" -eq 4 ] || { show; return 1; }
    says "HTTP 401" "hint:"
    nothing_happened
}

@test "an expired GitHub token" {
    unset DEPLOYMENT_APP_ID DEPLOYMENT_APP_KEY
    GITHUB_TOKEN=ghp_expired deploy
    [ "$status" -eq 4 ] || { show; return 1; }
    says "Bad credentials (HTTP 401" "hint:"
    says_not ghp_expired
    nothing_happened
}

@test "no AWS credentials" {
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    deploy
    [ "$status" -eq 4 ] || { show; return 1; }
    says "no AWS credentials" "hint:"
    nothing_happened
}

@test "expired and wrong AWS credentials" {
    fault 'POST /aws* effect=expired-token count=all'
    deploy
    [ "$status" -eq 4 ] || { show; return 1; }
    says "xpired" "hint:"
    control faults -X DELETE
    AWS_SECRET_ACCESS_KEY=canary-secret deploy
    [ "$status" -eq 4 ] || { show; return 1; }
    says_not canary-secret
    AWS_ACCESS_KEY_ID=AKIDUNKNOWN deploy
    [ "$status" -eq 4 ] || { show; return 1; }
    nothing_happened
}

@test "no registry credentials, and wrong ones" {
    DISPATCHER_REGISTRY_PASSWORD=canary-password deploy
    [ "$status" -eq 4 ] || { show; return 1; }
    says_not canary-password
    unset DISPATCHER_REGISTRY_USER DISPATCHER_REGISTRY_PASSWORD
    deploy
    refused 4 "dispatcher: deploy 'greeter' to 'staging': look for image 'HOST/greeter-staging-web:COMMIT': registry 'HOST' wants credentials and there are none (HTTP 401)
  hint: Log in with: docker login HOST."
}

# --- the checkout ------------------------------------------------------------------------------

@test "a checkout of another repository" {
    git remote set-url origin https://github.com/somebody/else.git
    deploy
    refused 5 "dispatcher: deploy 'greeter' to 'staging': app 'greeter' belongs to 'demo/greeter', this is 'somebody/else'
  hint: Only the repository that the spec names may deploy the app."
    git remote remove origin
    deploy
    refused 5 "dispatcher: deploy 'greeter' to 'staging': app 'greeter' belongs to 'demo/greeter', but this checkout has no remote 'origin' that says whose it is
  hint: Run this in a clone of the app's repository."
}

@test "no checkout at all, and one without a commit" {
    mkdir "$world/empty"
    cd "$world/empty"
    deploy
    [ "$status" -eq 2 ] || { show; return 1; }
    says "hint:"
    git init -q .
    deploy
    [ "$status" -eq 2 ] || { show; return 1; }
    nothing_happened
}

@test "a dirty work tree" {
    echo dirty >>hello.txt
    deploy
    refused 2 "dispatcher: deploy 'greeter' to 'staging': the work tree is dirty: 'hello.txt' is changed
  hint: Commit the change, or pass --allow-dirty to deploy what the image holds anyway."
    git checkout -q hello.txt
    echo new >untracked.txt
    deploy
    [ "$status" -eq 2 ] || { show; return 1; }
    nothing_happened
    deploy --allow-dirty
    expect 0
    says "deployed from a dirty work tree (--allow-dirty)"
}

@test "a version that cannot be a tag" {
    deploy --version "a b"
    refused 2 "dispatcher: deploy 'greeter' to 'staging': version 'a b' cannot be an image tag
  hint: Use letters, digits, '_', '.' and '-', 128 at most (OCI distribution 1.1)."
    deploy --version "$(head -c 200 /dev/zero | tr '\0' v)"
    [ "$status" -eq 2 ]
    nothing_happened
}

# --- the infra side ----------------------------------------------------------------------------

@test "a workflow that is not there, is not dispatchable, or takes other inputs" {
    in_infra sed -i 's/ workflow_dispatch:/ push:/; /inputs:/,/by hand/d' \
        .github/workflows/deploy-app.yaml
    deploy
    refused 3 "dispatcher: deploy 'greeter' to 'staging': workflow 'deploy-app.yaml' has no 'workflow_dispatch' trigger
  hint: Add 'workflow_dispatch:' under its 'on:'."
    in_infra git rm -q .github/workflows/deploy-app.yaml
    deploy
    refused 3 "dispatcher: deploy 'greeter' to 'staging': workflow 'deploy-app.yaml' is not in 'demo/infra' at 'main'
  hint: Check 'workflow.repo', 'workflow.file' and 'workflow.ref'; GitHub also answers 'not found' when the token may not read the repository."
}

@test "an input that the workflow does not declare, one that it requires, a choice it does not have" {
    in_infra sed -i 's/application:/app:/' .github/workflows/deploy-app.yaml
    deploy
    refused 3 "dispatcher: deploy 'greeter' to 'staging': workflow 'deploy-app.yaml' declares no input 'application'
  hint: Correct 'workflow.inputs' in dispatcher.yaml, or declare the input under 'on.workflow_dispatch.inputs'."
    in_infra sed -i 's/^      app:/      reason:\n        required: true\n      application:/' \
        .github/workflows/deploy-app.yaml
    deploy
    refused 3 "dispatcher: deploy 'greeter' to 'staging': workflow 'deploy-app.yaml' requires the input 'reason'
  hint: Add it to 'workflow.inputs' in dispatcher.yaml."
    in_infra sed -i '/^      reason:/,+1d; s/^      environment:/&\n        options: [production]/; /options/{n;s/string/choice/}' \
        .github/workflows/deploy-app.yaml
    deploy
    refused 3 "dispatcher: deploy 'greeter' to 'staging': workflow 'deploy-app.yaml' does not accept 'staging' for its input 'environment'
  hint: Its 'options:' list the values that it accepts."
}

@test "a parameter that cannot be read" {
    fault 'POST /aws* target=*.GetParameter status=400 count=all body="{\"__type\":\"AccessDeniedException\",\"Message\":\"User is not authorized to perform: ssm:GetParameter\"}"'
    deploy
    [ "$status" -eq 4 ] || [ "$status" -eq 5 ] || { show; return 1; }
    says "read version parameter '$parameter'" "ssm:GetParameter"
    nothing_happened
}

@test "a journal that cannot be written: nothing follows" {
    DISPATCHER_STATE=/proc/nowhere/state.db deploy
    [ "$status" -eq 13 ] || { show; return 1; }
    nothing_happened
}
