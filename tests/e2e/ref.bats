#!/usr/bin/env bats
# `deploy` and `plan` without --env: the environment follows from the branch, the tag, or the job.

load lib

setup_file() {
    world_template
}

setup() {
    world_make
    in_infra sh -c 'cat >>appspecs/greeter.yaml' <<'END'
deploy:
  environments:
    staging: {branch: main}
    production: {version: tag, allow: [{id: release, refs: ["refs/tags/v*"], events: [push]}]}
END
}

teardown() {
    world_end
}

here() {
    dispatcher "$1" greeter --image "oci:$world/image" "${@:2}"
}

@test "a branch deploys where the spec says, and that is said" {
    sandbox_start
    here plan
    expect 0
    says "note: environment 'staging': branch 'main' deploys there"
    here deploy
    expect 0
    says "environment 'staging': branch 'main' deploys there"
    values_are "$sha"
}

@test "a release tag of a job deploys to production" {
    sandbox_start
    git tag v1.2.0
    GITHUB_ACTIONS=true GITHUB_REPOSITORY=demo/greeter GITHUB_REF=refs/tags/v1.2.0 \
        GITHUB_EVENT_NAME=push GITHUB_RUN_ID=7 GITHUB_JOB=deploy here deploy
    expect 0
    says "environment 'production': tag 'v1.2.0' deploys there"
    [ "$(values /greeter/production/web/version)" = v1.2.0 ]
    GITHUB_ACTIONS=true GITHUB_REPOSITORY=demo/greeter GITHUB_REF=refs/pull/3/merge \
        GITHUB_EVENT_NAME=pull_request here deploy
    expect 2
    says "'refs/pull/3/merge' by event 'pull_request' deploys 'greeter' to none" \
        "Say which with --env: 'staging', 'production'"
}

@test "nothing is guessed" {
    git checkout -q -b feature
    here deploy
    expect 2
    says "dispatcher: deploy 'greeter': no environment was given, and branch 'feature' deploys 'greeter' to none"
    git checkout -q main
    in_infra sed -i 's/^    production: .*/    production: {branch: main}/' appspecs/greeter.yaml
    here plan
    expect 2
    says "branch 'main' deploys 'greeter' to 2: 'staging', 'production'" "hint: Say which with --env."
}

@test "an older release number is stale, in a clone that does not know the deployed one" {
    sandbox_start
    deployed_before v1.10.0 /greeter/production/web/version
    git tag v1.9.0
    git checkout -q --detach
    here deploy
    expect 6
    says "environment 'production': 'v1.9.0' is older than 'v1.10.0', which 'greeter' in 'production' is on"
    [ "$(posts)" = 0 ]
    git tag -d v1.9.0 >/dev/null
    git tag v1.11.0
    here deploy
    expect 0
    says "staleness checked by version only"
}
