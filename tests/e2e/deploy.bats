#!/usr/bin/env bats
# Deploying, as it goes well: the real binary against the sandbox, and against moto, docker-registry
# and Prism in its place where they can stand.

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

@test "a deployment pushes, writes, triggers once, follows, labels and says so" {
    sandbox_start --queue-delay 1s
    deploy
    expect 0
    says "✓ push web" "✓ write web          version 1" "✓ follow             success in" \
        "'greeter' $sha is deployed to 'staging'"
    [ "$stderr" = "" ]
    happened "posts=1 runs=1 versions=1 labels=1 manifests=1"
    [ "$(values)" = "$sha" ]
    [ "$(labels 1)" = "deployed" ]
    [ "$(control state | jq -c '.github.runs[0] | [.workflow, .ref, .conclusion,
        .inputs.application, .inputs.environment]')" = \
        '["deploy-app.yaml","refs/heads/main","success","greeter","staging"]' ]
    [ "$(control state | jq -r '.registry[0].name, (.registry[0].tags | keys[0])')" = \
        "greeter-staging-web"$'\n'"$sha" ]
}
