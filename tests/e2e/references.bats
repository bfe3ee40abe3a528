#!/usr/bin/env bats
# The App's key by reference: the configuration names where it is, and it is nowhere else.

load lib

setup_file() {
    world_template
}

setup() {
    world_make
    sandbox_start
    mkdir "$world/seen"
    app_id=$DEPLOYMENT_APP_ID
    pem=$(cat "$DEPLOYMENT_APP_KEY")
    grep -v -- '-----' <<<"$pem" >"$world/canaries"
    unset DEPLOYMENT_APP_ID DEPLOYMENT_APP_KEY GITHUB_TOKEN GH_TOKEN
    export DISPATCHER_LOG=debug GITHUB_STEP_SUMMARY=$world/seen/summary.md \
        GITHUB_OUTPUT=$world/seen/output.txt DISPATCHER_STATE=$world/seen/state.db
}

teardown() {
    world_end
}

# key_is REFERENCE [LINE...]: what dispatcher.yaml says of the App, and more lines of it.
key_is() {
    local reference=$1
    shift
    printf 'github: {app_id: %s, app_key: "%s"}\n' "$app_id" "$reference" >>"$world/infra/dispatcher.yaml"
    [ $# -eq 0 ] || printf '%s\n' "$@" >>"$world/infra/dispatcher.yaml"
    in_infra true
}

# Not a line of the key is in the streams, the journal, the summary, the outputs.
nothing_leaked() {
    printf '%s' "$output" >"$world/seen/stdout"
    printf '%s' "$stderr" >"$world/seen/stderr"
    local canary
    while read -r canary; do
        [ "${#canary}" -ge 6 ] || continue
        if grep -raqF -- "$canary" "$world/seen"; then
            echo "found '${canary:0:8}…' in: $(grep -ralF -- "$canary" "$world/seen" | tr '\n' ' ')"
            return 1
        fi
    done <"$world/canaries"
}

# keep TYPE VALUE: in Parameter Store, as /greeter/app-key.
keep() {
    ssm PutParameter "$(jq -cn --arg type "$1" --arg value "$2" \
        '{Name: "/greeter/app-key", Value: $value, Type: $type, Overwrite: true}')" >/dev/null
}

@test "a key in Parameter Store deploys, and is shown nowhere" {
    keep SecureString "$pem"
    key_is ssm:/greeter/app-key
    deploy
    expect 0
    nothing_leaked
    dispatcher doctor greeter --env staging
    says "github.app_key: 'ssm:/greeter/app-key' can be read"
    nothing_leaked
    dispatcher spec show greeter --env staging
    says "ssm:/greeter/app-key"
    nothing_leaked
}

@test "a key that is not there, or none, is refused before anything is done" {
    key_is ssm:/greeter/app-key
    deploy
    expect 4
    says "parameter '/greeter/app-key' does not exist"
    nothing_happened
    keep SecureString "canary-not-a-key-0123456789"
    echo canary-not-a-key-0123456789 >>"$world/canaries"
    deploy
    expect 4
    nothing_leaked
}

@test "the doctor does not like a secret in a plain String" {
    keep String "$pem"
    key_is ssm:/greeter/app-key
    dispatcher doctor greeter --env staging
    says "'ssm:/greeter/app-key' is a plain String" "Make it a SecureString"
    nothing_leaked
}

@test "a key in Secrets Manager, with signatures checked by moto" {
    moto_start
    aws_secret() {
        curl -sS --fail-with-body --max-time 20 "$AWS_ENDPOINT_URL" \
            --aws-sigv4 "aws:amz:$AWS_REGION:secretsmanager" \
            --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
            -H "X-Amz-Target: secretsmanager.CreateSecret" \
            -H "Content-Type: application/x-amz-json-1.1" -d "$1" >/dev/null
    }
    aws_secret "$(jq -cn --arg pem "$pem" \
        '{Name: "greeter/app", SecretString: ({key: $pem, other: 1} | tojson), ClientRequestToken: "0123456789abcdef0123456789abcdef"}')"
    key_is "secretsmanager:greeter/app#key"
    dispatcher doctor greeter --env staging
    says "github.app_key: 'secretsmanager:greeter/app#key' can be read" "signed in as app"
    nothing_leaked
    in_infra sed -i 's/#key/#none/' dispatcher.yaml
    dispatcher doctor greeter --env staging
    expect 4
    says "read secret 'greeter/app': there is no key 'none' in it"
    nothing_leaked
}

@test "a Vault that nobody named, and one that is not https" {
    key_is "vault:kv/data/greeter#key"
    deploy
    expect 3
    says "Vault's address is not known" "Set VAULT_ADDR"
    VAULT_ADDR=http://vault.example.org deploy
    expect 3
    says "Vault's address 'http://vault.example.org' is not https"
    VAULT_ADDR=http://127.0.0.1:9 deploy
    expect 4
    says "no token for Vault" "Set VAULT_TOKEN"
    VAULT_ADDR=http://127.0.0.1:9 VAULT_TOKEN=canary-vault-token-0123 deploy
    expect 12
    says "GET http://127.0.0.1:9/v1/kv/data/greeter"
    echo canary-vault-token-0123 >>"$world/canaries"
    nothing_leaked
    nothing_happened
}
