#!/usr/bin/env bats
# What GitHub shows of a deployment, on the app's repository: deployment and statuses, commit status,
# check run, one comment on the pull request; made once and brought up to date.

load lib
load reports_lab

setup_file() {
    world_template
}

setup() {
    world_make
    sandbox_start --queue-delay 1s --repo "demo/greeter=$world/app"
    reports_config <<'END'
notify:
  sinks:
    github: {kind: github, check: always}
  environment_url: "https://{subdomain}.example.org"
END
}

teardown() {
    world_end
}

# reports FILTER: of the app's repository.
reports() {
    control github/reports | jq -rc '.["demo/greeter"] | '"$1"
}

pull_request() {
    control github/pulls -d "{\"repository\": \"demo/greeter\", \"number\": 7, \"sha\": \"$1\",
        \"base\": \"main\", \"title\": \"Greet the whole world\", \"state\": \"merged\"}" >/dev/null
}

@test "a deployment, its statuses, the commit's status and a check run" {
    deploy
    expect 0
    says_not "has not got its report"
    [ "$(reports '[.deployments | length, .[0].environment, .[0].task, .[0].sha, .[0].payload.id]')" = \
        "[1,\"staging\",\"dispatcher:greeter\",\"$sha\",\"$(id_of_last)\"]" ]
    [ "$(reports '[.deployments[0].statuses[].state]')" = '["in_progress","success"]' ]
    [ "$(reports '.deployments[0].statuses[1].environment_url')" = https://greeter.example.org ]
    [[ "$(reports '.deployments[0].statuses[1].log_url')" == */demo/infra/actions/runs/* ]]
    [ "$(reports '[.commit_statuses[] | .context, .state] | .[-2:]')" = \
        '["dispatcher/greeter/staging","success"]' ]
    [ "$(reports '[.check_runs[] | .name, .head_sha, .status, .conclusion]')" = \
        "[\"dispatcher: greeter → staging\",\"$sha\",\"completed\",\"success\"]" ]
    [ "$(reports '.comments | length')" = 0 ] # the commit is of no pull request
}

@test "one comment on the pull request, whatever is deployed there" {
    pull_request "$sha"
    deploy
    expect 0
    [ "$(reports '[.comments | length, (.[0].body | split("\n")[0])]')" = \
        '[1,"<!-- dispatcher:greeter:staging -->"]' ]
    [[ "$(reports '.comments[0].body')" == *"deployed"* ]]
    roll_out_is 'echo "no more disk"; exit 1'
    deploy
    expect 7
    [ "$(reports '.comments | length')" = 1 ]
    [[ "$(reports '.comments[0].body')" == *"failed"* ]]
    [ "$(reports '[.deployments[] | .statuses[-1].state] | sort')" = '["failure","success"]' ]
    [ "$(reports '[.check_runs[] | .conclusion] | sort')" = '["failure","success"]' ]
    # Where it failed, as annotations of the check run.
    [ "$(reports '[.check_runs[] | select(.conclusion == "failure") |
        .output.annotations | length] | .[0] >= 1')" = true ]
}

@test "the next good deployment to production makes the one before inactive" {
    local first
    deploy_to_production() {
        run --separate-stderr timeout -k 5 120 "$DISPATCHER_BIN" deploy greeter --env production \
            --image "oci:$world/image"
    }
    deploy_to_production
    expect 0
    git -C "$world/app" commit -q --allow-empty -m "Say it again"
    deploy_to_production
    expect 0
    [ "$(reports '[.deployments | sort_by(.id)[] | [.production_environment, .statuses[-1].state]]')" = \
        '[[true,"inactive"],[true,"success"]]' ]
}

@test "answers that are lost make nothing twice" {
    pull_request "$sha"
    fault 'POST */deployments effect=lost-answer count=1'
    fault 'POST */check-runs effect=lost-answer count=1'
    fault 'POST */comments effect=lost-answer count=1'
    fault 'POST */deployments/*/statuses effect=lost-answer count=1'
    DISPATCHER_REPORT_WAIT_MS=30000 deploy
    expect 0
    [ "$(reports '[.deployments, .check_runs, .comments | length]')" = "[1,1,1]" ]
    [ "$(reports '[.deployments[0].statuses[].state]')" = '["in_progress","success"]' ]
    outbox_is_empty
}

@test "a token that may not is said once, with what the job has to grant" {
    GITHUB_TOKEN=$(control github/tokens -d '{"kind": "job", "repository": "demo/greeter",
        "permissions": {"statuses": "write"}}' | jq -r .token)
    export GITHUB_TOKEN
    deploy
    expect 0
    says "! 'github' has not got its reports" "deployments: write"
}

@test "an App reports with a token of its own that may nothing else" {
    unset GITHUB_TOKEN
    deploy
    expect 0
    says_not "has not got its report"
    [ "$(reports '[.deployments, .check_runs | length]')" = "[1,1]" ]
    [ "$(control requests | jq -c '[.requests[] | select(.path | endswith("/access_tokens"))] | length')" = 2 ]
}
