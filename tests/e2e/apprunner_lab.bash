# What the stories of App Runner share, beside rollout_lab: a service that runs the first image, and
# how the sandbox's App Runner knows it.
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bats, and for the tests

runner=greeter-staging

# apprunner_start [JQ]: 'v1' runs in App Runner service greeter-staging, and the parameter says so.
apprunner_start() {
    sandbox_start
    control aws/apprunner/seed -X POST --data-binary '{"delay": "400ms"}' >/dev/null
    other_image "$world/image" "$world/image2"
    old=$(digest_of "$world/image") new=$(digest_of "$world/image2")
    image=$DISPATCHER_SANDBOX_REGISTRY/greeter-staging-web
    "$DISPATCHER_BIN" push "oci:$world/image" "$image:v1" >"$world/push.log" 2>&1
    apprunner_seed "$(jq -n --arg name "$runner" --arg image "$image:v1" \
        '{name: $name, image: $image, settings: {}}' | jq "${1:-.}")"
    spec_is <<'YAML'
deploy:
  via: direct
  target: {kind: apprunner, service: "greeter-{env}"}
YAML
    say_v1
}

apprunner_seed() { # SERVICE...
    printf '%s\n' "$@" | jq -s '{services: .}' |
        control aws/apprunner/seed -X POST --data-binary @- >/dev/null
}

course() { # JSON: how the next operation goes
    control aws/apprunner/scenario -X POST --data-binary "$1" >/dev/null
}

of_runner() { # JQ [SERVICE]
    control state | jq -r --arg name "${2:-$runner}" \
        "[.aws.apprunner.services[] | select(.ServiceName == \$name)] | last | $1"
}

# Types of the operations of a service, oldest first.
operations_of() { # [SERVICE]
    of_runner '[.Operations[].Type] | sort | join(" ")' "$@"
}

source_of() { # [SERVICE]
    apprunner_do DescribeService "{\"ServiceArn\": \"$(arn_of "${1:-$runner}")\"}" |
        jq -cS .Service.SourceConfiguration
}

arn_of() { # SERVICE
    of_runner .ServiceArn "$1"
}

apprunner_do() { # OPERATION JSON
    curl -sS --fail-with-body --max-time 10 --aws-sigv4 "aws:amz:us-east-1:apprunner" \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        -H "Content-Type: application/x-amz-json-1.0" -H "X-Amz-Target: AppRunner.$1" \
        --data-binary "$2" "$AWS_ENDPOINT_URL/"
}

runner_runs() { # DIGEST [SERVICE]
    local digest=$1
    shift
    [ "$(of_runner .RunningDigest "$@")" = "$digest" ] ||
        { echo "running: $(of_runner .RunningDigest "$@")"; show; return 1; }
}
