#!/usr/bin/env bats
# Who may deploy what, as the command line tells it: `spec policy-test` with claims of jobs, and
# `spec pin` against the sandbox's GitHub.

load lib.bash

setup_file() { world_template; }

setup() {
    world_make
    specs=$world/infra/appspecs
    cat >"$specs/shop.yaml" <<'END'
name: shop
repo: acme/shop
services: {web: {}}
deploy:
  repository_id: 42
  owner_id: 7
  workflow: .github/workflows/deploy.yaml
  environments:
    production:
      allow:
        - {id: release, refs: ["refs/tags/v*"], events: [release]}
        - {id: hand, refs: [refs/heads/main], events: [workflow_dispatch], actors: {teams: [devops]}}
      github_environment: production
END
    claims_are .
}

teardown() { world_end; }

# claims_are FILTER: what GitHub says of a job that may, changed by a jq filter.
claims_are() {
    jq -n '{repository: "acme/shop", repository_id: "42", repository_owner: "acme",
        repository_owner_id: "7", ref: "refs/tags/v1.2", event_name: "release", actor: "octocat",
        environment: "Production", runner_environment: "github-hosted",
        workflow_ref: "acme/shop/.github/workflows/deploy.yaml@refs/tags/v1.2"} | '"$1" \
        >"$world/claims.json"
}

# decides CODE REASON [OPTION...]: the exit code and the reason code.
decides() {
    local code=$1 reason=$2
    shift 2
    dispatcher spec policy-test shop --env production \
        --claims "$world/claims.json" --json "$@"
    [ "$status" -eq "$code" ] || { echo "exit $status: $output $stderr"; return 1; }
    [ "$(jq -r .code <<<"$output")" = "$reason" ] || { echo "$output"; return 1; }
    [ "$(jq -r .exit_code <<<"$output")" = "$code" ]
}

@test "a job that a rule allows" {
    decides 0 allowed
    [ "$(jq -c '[.app, .env, .allowed, .rule, .audit_only, .failures]' <<<"$output")" = \
        '["shop","production",true,"release",false,[]]' ]
    dispatcher spec policy-test shop --env production \
        --claims "$world/claims.json"
    [ "$status" -eq 0 ]
    [ "$output" = "allowed: allowed
  rule 'release' of 'shop' allows it" ]
}

@test "a job that no rule allows hears which of its claims failed which rule" {
    claims_are '.ref = "refs/heads/main" | .event_name = "push" | del(.environment)'
    dispatcher spec policy-test shop --env production \
        --claims "$world/claims.json"
    [ "$status" -eq 5 ]
    [ "${lines[0]}" = "refused: github-environment" ]
    [ "${lines[1]}" = "  the job's environment 'not said' is not 'production', which the spec asks for" ]
    [ "${lines[2]}" = "  can be changed by: whoever owns the spec of 'shop'" ]
    [[ "$output" = *"  - ref 'refs/heads/main' matches none of 'refs/tags/v*' of rule 'release'"* ]]
    [[ "$output" = *"  - event 'push' is none of 'workflow_dispatch' of rule 'hand'"* ]]
    [[ "$output" = *"  - the teams of actor 'octocat', which rule 'hand' asks for, are not known"* ]]
    [ "$stderr" = "" ]
}

@test "strangers, other numbers, other events" {
    claims_are '.repository_id = "43"'
    decides 5 not-authorized
    [ "$(jq -c .failures <<<"$output")" = "[]" ]
    claims_are '.repository_owner_id = "8"'
    decides 5 not-authorized
    claims_are '.event_name = "pull_request_target"'
    decides 5 event-not-allowed
    claims_are '.ref = "refs/pull/1/merge"'
    decides 5 ref-not-allowed
    claims_are '.ref = "refs/tags/V1.2"'
    decides 5 ref-not-allowed
    claims_are '.workflow_ref = "acme/shop/.github/workflows/x.yaml@refs/tags/v1.2"'
    decides 5 workflow-not-allowed
    claims_are '.runner_environment = "self-hosted"'
    decides 5 runner-not-allowed
    claims_are '.environment = "staging"'
    decides 5 github-environment
}

@test "teams are those that are given" {
    claims_are '.ref = "refs/heads/main" | .event_name = "workflow_dispatch" |
        .workflow_ref = "acme/shop/.github/workflows/deploy.yaml@refs/heads/main"'
    decides 5 actor-not-allowed
    decides 5 actor-not-allowed --team other
    decides 0 allowed --team other --team DevOps
    [ "$(jq -r .rule <<<"$output")" = hand ]
}

@test "a token is as good as its claims, whoever signed it" {
    part() { base64 -w0 | tr '/+' '_-' | tr -d =; }
    printf '%s.%s.AAAA' "$(printf '{"alg":"RS256","kid":"x"}' | part)" \
        "$(part <"$world/claims.json")" >"$world/token"
    dispatcher spec policy-test shop --env production --claims "$world/token"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "allowed: allowed" ]
}

@test "claims that are none" {
    claims_are '.repository_id = 42'
    dispatcher spec policy-test shop --env production \
        --claims "$world/claims.json"
    [ "$status" -eq 2 ]
    [[ "$stderr" = *"claim 'repository_id' of the token is no text"* ]]
    echo "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" >"$world/token"
    dispatcher spec policy-test shop --env production --claims "$world/token"
    [ "$status" -eq 2 ]
    [[ "$stderr" = *"holds neither claims nor a token"* ]]
    [[ "$stderr" != *ghp_* ]]
    dispatcher spec policy-test shop --env production
    [ "$status" -eq 2 ]
    dispatcher spec policy-test nobody --env production \
        --claims "$world/claims.json"
    [ "$status" -ne 0 ]
}

@test "spec pin asks GitHub, and changes nothing but the numbers" {
    sandbox_start --caller demo/greeter
    file=$specs/greeter.yaml
    sed -i '/repository_id\|owner_id/d' "$file"
    cp "$file" "$world/before"
    dispatcher spec pin greeter --dry-run
    echo "$output $stderr"
    [ "$status" -eq 0 ]
    cmp "$file" "$world/before"
    ids=$(curl -sf -H "Authorization: Bearer $GITHUB_TOKEN" "$GITHUB_API_URL/repos/demo/greeter" |
        jq -r '"\(.id) \(.owner.id)"')
    [[ "$output" = *"+  repository_id: ${ids% *}"* ]]
    [[ "$output" = *"+  owner_id: ${ids#* }"* ]]
    dispatcher spec pin greeter
    [ "$status" -eq 0 ]
    [ "$output" = "$file: repository ${ids% *} of owner ${ids#* } (demo/greeter)" ]
    diff "$world/before" "$file" >"$world/diff" || true
    [ "$(grep -c '^<' "$world/diff")" -eq 0 ]
    [ "$(grep -c '^>' "$world/diff")" -le 3 ] # "deploy:" itself, where there was none
    dispatcher spec pin greeter
    [ "$output" = "$file: pinned already" ]
    dispatcher spec lint "$file"
    [ "$status" -eq 0 ]
}

@test "numbers that are others are not replaced without a word" {
    sandbox_start --caller demo/greeter
    file=$specs/greeter.yaml
    dispatcher spec pin greeter
    sed -i 's/repository_id: .*/repository_id: 1/' "$file"
    cp "$file" "$world/before"
    dispatcher spec pin greeter
    [ "$status" -eq 6 ]
    [ "$output" = "" ]
    [[ "$stderr" = *"is pinned to repository 1 of owner "* ]]
    cmp "$file" "$world/before"
    dispatcher spec pin greeter --replace
    [ "$status" -eq 0 ]
    ! grep -q 'repository_id: 1$' "$file"
}

@test "a repository that is not there, a spec without one, specs in git" {
    sandbox_start --caller demo/greeter
    dispatcher spec pin shop
    [ "$status" -eq 12 ]
    [[ "$stderr" = *"GitHub shows no repository 'acme/shop'"* ]]
    printf 'name: bare\nservices: {web: {}}\n' >"$specs/bare.yaml"
    dispatcher spec pin bare
    [ "$status" -eq 3 ]
    [[ "$stderr" = *"does not say its 'repo'"* ]]
    dispatcher spec pin greeter --specs "https://github.com/acme/infra.git"
    [ "$status" -eq 2 ]
    [[ "$stderr" = *"specs of a git URL cannot be changed from here"* ]]
    unset GITHUB_TOKEN GH_TOKEN DEPLOYMENT_APP_ID DEPLOYMENT_APP_KEY
    dispatcher spec pin greeter
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"no GitHub credentials"* ]]
}

@test "the reason codes are a page of their own" {
    dispatcher help reason-codes
    [ "$status" -eq 0 ]
    [[ "$output" = *"ref-not-allowed"* ]]
    dispatcher help reason-codes --markdown
    [ "$output" = "$(cat "$DISPATCHER_ROOT/docs/reason-codes.md")" ]
}
