#!/usr/bin/env bats
# How the sandbox executes workflows: real processes, expressions, files between steps, conditions,
# annotations, masks, cancelling that leaves nothing behind.

load sandbox_lab

setup() {
    need curl jq git bash python3
}

log_of() {
    run_page "$1" | sed -E 's/^[0-9T:.-]+Z //'
}

steps_of() {
    curl -s -H "Authorization: Bearer $GITHUB_TOKEN" \
        "$GITHUB_API_URL/repos/acme/infra/actions/runs/$1/jobs" |
        jq -r ".jobs[${2:-0}].steps[] | .name + \"=\" + .conclusion"
}

@test "steps run in order, with values, env and outputs handed on between steps and jobs" {
    make_world <<'Y'
on: {workflow_dispatch: {inputs: {app: {default: web}}}}
env: {LEVEL: workflow, KEPT: yes}
jobs:
  one:
    runs-on: x
    env: {LEVEL: job}
    outputs: {made: "${{ steps.make.outputs.name }}-${{ inputs.app }}"}
    steps:
      - id: make
        run: |
          echo "name=made" >>"$GITHUB_OUTPUT"
          printf 'LONG<<E\na\nb\nE\n' >>"$GITHUB_ENV"
          mkdir -p bin && printf '#!/bin/sh\necho from-path\n' >bin/tool && chmod +x bin/tool
          echo "$PWD/bin" >>"$GITHUB_PATH"
          echo "## Hello" >>"$GITHUB_STEP_SUMMARY"
      - name: levels
        env: {LEVEL: "step ${{ env.LEVEL }}"}
        run: echo "[$LEVEL] [$KEPT] [$LONG] [$(tool)] [${{ vars.COLOUR }}] [$GITHUB_REF_NAME]"
      - shell: python
        run: print("python", 6 * 7)
      - shell: sh
        working-directory: bin
        run: ls
  two:
    needs: one
    runs-on: x
    steps:
      - run: echo "two got ${{ needs.one.outputs.made }} ${{ needs.one.result }}"
Y
    sandbox_start --var COLOUR=red
    dispatch
    run_done "$run"
    [ "$(run_field "$run" .conclusion)" = success ]
    log=$(log_of "$run")
    [[ "$log" == *$'[step job] [yes] [a\n'*'b] [from-path] [red] [main]'* ]] || { echo "$log"; false; }
    grep -qx "python 42" <<<"$log"
    grep -qx "tool" <<<"$log"
    grep -qx "two got made-web success" <<<"$log"
    sandbox_stop
}

@test "a failing step skips what follows but if: always() and failure(), and annotates" {
    make_world <<'Y'
on: workflow_dispatch
jobs:
  one:
    steps:
      - {name: may fail, continue-on-error: true, run: exit 9}
      - {name: fails, run: 'echo "::error file=app.c,line=7,title=Bad::it broke%0Atwice"; exit 3'}
      - {name: skipped, run: echo never}
      - {name: cleanup, if: always(), run: echo cleaning}
      - {name: alarm, if: "failure() && github.ref_name == 'main'", run: echo alarm}
  two:
    needs: one
    steps: [{run: echo never}]
  three:
    needs: one
    if: always()
    steps: [{run: 'echo "one was ${{ needs.one.result }}"'}]
Y
    sandbox_start
    dispatch
    run_done "$run"
    [ "$(run_field "$run" .conclusion)" = failure ]
    [ "$(steps_of "$run" | tr '\n' ' ')" = "Set up job=success may fail=success fails=failure skipped=skipped cleanup=success alarm=success Complete job=success " ]
    api "/repos/acme/infra/actions/runs/$run/jobs"
    [ "$(jq -r '[.jobs[].conclusion] | join(",")' <<<"$body")" = "failure,skipped,success" ]
    job=$(jq '.jobs[0].id' <<<"$body")
    log=$(log_of "$run")
    grep -qx "##\[error\]Process completed with exit code 3." <<<"$log"
    grep -qx "one was failure" <<<"$log"
    refute grep -qx "never" <<<"$log"
    api "/repos/acme/infra/check-runs/$job/annotations"
    [ "$(jq -c '.[] | select(.title == "Bad") | [.path, .start_line, .annotation_level, .message]' <<<"$body")" = \
        '["app.c",7,"failure","it broke\ntwice"]' ]
    sandbox_stop
}

@test "secrets and masks never reach the log; stopped commands stay text" {
    make_world <<'Y'
on: workflow_dispatch
jobs:
  one:
    steps:
      - env: {KEY: "${{ secrets.KEY }}", TOKEN: "${{ secrets.GITHUB_TOKEN }}"}
        run: |
          echo "key is $KEY and token is $TOKEN."
          echo "::add-mask::sesame"
          echo "open sesame"
          echo "::stop-commands::halt"
          echo "::error::not an annotation"
          echo "::halt::"
          curl -s -o /dev/null -w 'token works: %{http_code}\n' -H "Authorization: Bearer $TOKEN" "$GITHUB_API_URL/repos/acme/infra"
Y
    KEY=canary-8731 sandbox_start --secret KEY
    dispatch
    run_done "$run"
    log=$(log_of "$run")
    grep -qx 'key is \*\*\* and token is \*\*\*.' <<<"$log" || { echo "$log"; false; }
    grep -qx 'open \*\*\*' <<<"$log"
    grep -qx '::error::not an annotation' <<<"$log"
    grep -qx 'token works: 200' <<<"$log"
    refute grep -q canary-8731 <<<"$log"
    refute grep -q canary-8731 <<<"$(control /state)"
    sandbox_stop
}

@test "steps do not see the person's own credentials, but the sandbox's" {
    make_world <<'Y'
on: workflow_dispatch
jobs:
  one:
    steps:
      - run: env | sort
      - run: aws --endpoint-url "$AWS_ENDPOINT_URL" ssm put-parameter --name /x --type String --value from-step
Y
    need aws
    AWS_PROFILE=mine AWS_SESSION_TOKEN=mine GH_TOKEN=own-token sandbox_start
    dispatch
    run_done "$run"
    log=$(log_of "$run")
    grep -qx "AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL" <<<"$log"
    refute grep -qE 'own-token|AWS_PROFILE|=mine' <<<"$log"
    [ "$(run_field "$run" .conclusion)" = success ] || { echo "$log"; false; }
    [ "$(aws --endpoint-url "$AWS_ENDPOINT_URL" ssm get-parameter --name /x --query Parameter.Value --output text)" = from-step ]
    sandbox_stop
}

@test "actions/checkout gives the repository at the dispatched ref; other actions are passed over" {
    make_world <<'Y'
on: workflow_dispatch
jobs:
  one:
    steps:
      - uses: actions/checkout@v4
      - uses: some/action@v1
      - run: cat file; git rev-parse HEAD; echo "${{ github.sha }}"
Y
    commit() {
        git -C "$world/infra" add -A
        git -C "$world/infra" -c user.name=t -c user.email=t@example.org commit -qm "$1"
    }
    echo old >"$world/infra/file" && commit old
    git -C "$world/infra" tag v1
    echo new >"$world/infra/file" && commit new
    sandbox_start
    api /repos/acme/infra/actions/workflows/deploy.yaml/dispatches -d '{"ref": "v1"}'
    run=$(jq .workflow_run_id <<<"$body")
    run_done "$run"
    log=$(log_of "$run")
    sha=$(git -C "$world/infra" rev-parse v1)
    grep -qx old <<<"$log" || { echo "$log"; false; }
    [ "$(grep -cx "$sha" <<<"$log")" = 2 ]
    [ "$(steps_of "$run" | grep some/action)" = "Run some/action@v1=skipped" ]
    [ "$(run_field "$run" .conclusion)" = success ]
    sandbox_stop
}

@test "a plain directory is served as it stands" {
    need curl
    world=$BATS_TEST_TMPDIR/world
    mkdir -p "$world/infra/.github/workflows" "$world/home"
    printf 'on: workflow_dispatch\njobs: {a: {steps: [{uses: actions/checkout@v4}, {run: cat file}]}}\n' \
        >"$world/infra/.github/workflows/deploy.yaml"
    echo plain >"$world/infra/file"
    sandbox_start
    dispatch
    run_done "$run"
    [ "$(run_field "$run" .conclusion)" = success ]
    log_of "$run" | grep -qx plain
    api /repos/acme/infra/contents/../../../etc/passwd
    [ "$code" = 404 ]
    api /repos/acme/infra/contents/%2e%2e%2f%2e%2e%2fworld%2ferr
    [ "$code" = 404 ]
    sandbox_stop
}

@test "cancel asks first, lets always() steps run, and leaves no process behind" {
    make_world <<'Y'
on: workflow_dispatch
jobs:
  one:
    steps:
      - name: long
        run: |
          trap 'echo interrupted; exit 1' INT
          sleep 300 &
          echo "child $!"
          wait
      - {name: after, run: echo never}
      - {name: cleanup, if: always(), run: echo cleaning}
Y
    sandbox_start
    dispatch
    until run_page "$run" | grep -q 'Z child '; do sleep 0.05; done
    child=$(log_of "$run" | sed -n 's/^child //p')
    api "/repos/acme/infra/actions/runs/$run/cancel" -X POST
    [ "$code" = 202 ]
    run_done "$run"
    [ "$(run_field "$run" .conclusion)" = cancelled ]
    log=$(log_of "$run")
    grep -qx interrupted <<<"$log" || { echo "$log"; false; }
    grep -qx cleaning <<<"$log"
    refute grep -qx never <<<"$log"
    refute is_alive "$child"
    sandbox_stop
}

@test "force-cancel and SIGTERM kill what does not listen" {
    make_world <<'Y'
on: workflow_dispatch
jobs:
  one:
    steps:
      - run: |
          trap '' INT TERM
          echo "self $$"
          while :; do sleep 1; done
      - {if: always(), run: echo never}
Y
    sandbox_start
    for way in force stop; do
        dispatch
        until run_page "$run" | grep -q 'Z self '; do sleep 0.05; done
        child=$(log_of "$run" | sed -n 's/^self //p')
        is_alive "$child"
        if [ "$way" = force ]; then
            api "/repos/acme/infra/actions/runs/$run/force-cancel" -X POST
            run_done "$run"
            [ "$(run_field "$run" .conclusion)" = cancelled ]
            refute grep -qx never <<<"$(log_of "$run")"
        else
            sandbox_stop
        fi
        refute is_alive "$child"
    done
}

@test "what cannot be run is said, not passed over" {
    make_world <<'Y'
on: workflow_dispatch
jobs:
  matrix:
    strategy: {matrix: {x: [1, 2]}}
    steps: [{run: echo never}]
Y
    sandbox_start
    dispatch
    run_done "$run"
    [ "$(run_field "$run" .conclusion)" = failure ]
    log_of "$run" | grep -qx "##\[error\]The sandbox cannot run a job with 'strategy'."
    printf 'on: workflow_dispatch\njobs: [broken\n' >"$world/infra/.github/workflows/deploy.yaml"
    git -C "$world/infra" -c user.name=t -c user.email=t@example.org commit -qam broken
    dispatch
    [ "$code" = 422 ]
    [[ "$(jq -r .message <<<"$body")" == "failed to parse workflow: .github/workflows/deploy.yaml:"* ]]
    sandbox_stop
}

@test "a job with id-token: write gets a token that STS takes" {
    make_world <<'Y'
on: workflow_dispatch
permissions: {id-token: write}
jobs:
  one:
    environment: production
    steps:
      - run: |
          token=$(curl -s -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com" | jq -r .value)
          cut -d. -f2 <<<"$token" | tr '_-' '/+' | base64 -d 2>/dev/null | jq -r '"sub " + .sub' || true
          aws --endpoint-url "$AWS_ENDPOINT_URL" sts assume-role-with-web-identity --role-arn arn:aws:iam::123456789012:role/deploy --role-session-name run --web-identity-token "$token" --query AssumedRoleUser.Arn --output text
Y
    need aws
    sandbox_start
    dispatch
    run_done "$run"
    log=$(log_of "$run")
    grep -qx "arn:aws:sts::123456789012:assumed-role/deploy/run" <<<"$log" || { echo "$log"; false; }
    sandbox_stop
}
