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
    vault_addr=${VAULT_ADDR:-}
    unset DEPLOYMENT_APP_ID DEPLOYMENT_APP_KEY GITHUB_TOKEN GH_TOKEN VAULT_ADDR
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
    if grep -raoE 'hvs\.[A-Za-z0-9]{16,}' "$world/seen"; then # what a login gave
        return 1
    fi
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

# --- the sandbox's Vault -----------------------------------------------------------------------

# vault_has ORDER: mounts, roles, secrets, as whoever runs a Vault sets them up; says what came.
vault_has() {
    [ -n "$vault_addr" ] || skip "the sandbox has no Vault"
    export VAULT_ADDR=$vault_addr
    control vault -X POST -d "$1"
}

# vault_keeps_key [NAMESPACE]: the App's key in secret/data/greeter, for tokens of three roles.
vault_keeps_key() {
    vault_has "$(jq -cn --arg pem "$pem" --arg space "${1:-}" '
        {read: ["secret/data/greeter"], namespace: $space} as $may | {
        mounts: [{path: "aws", type: "aws", server_id: "vault.example.org", namespace: $space}],
        roles: [
            $may + {mount: "jwt", name: "greeter-staging", audiences: ["https://vault.example.org"]},
            $may + {mount: "aws", name: "greeter-staging", principals: ["arn:aws:*"]},
            $may + {mount: "jwt", name: "nothing", audiences: ["https://vault.example.org"],
                read: ["secret/data/other"]}],
        secrets: [{path: "secret/data/greeter", data: {key: $pem, other: 1}, namespace: $space}],
        tokens: [{mount: "jwt", role: "greeter-staging", namespace: $space}]}')" \
        >"$world/vault.json"
}

# The job may ask for OIDC tokens.
in_a_job() {
    eval "$(grep '^ACTIONS_ID_TOKEN_REQUEST_' "$world/sandbox.env" | sed 's/^/export /')"
    echo "$ACTIONS_ID_TOKEN_REQUEST_TOKEN" >>"$world/canaries"
}

by_jwt='vault: {auth: jwt, role: "{app}-{env}", audience: "https://vault.example.org"}'

@test "a key in Vault, by a token" {
    vault_keeps_key
    VAULT_TOKEN=$(jq -r '.tokens[0]' "$world/vault.json")
    export VAULT_TOKEN
    echo "$VAULT_TOKEN" >>"$world/canaries"
    key_is "vault:secret/data/greeter#key"
    deploy
    expect 0
    nothing_leaked
    dispatcher doctor greeter --env staging
    says "github.app_key: 'vault:secret/data/greeter#key' can be read" "signed in as"
    nothing_leaked
}

@test "a key in Vault, by the job's OIDC token" {
    vault_keeps_key
    in_a_job
    key_is "vault:secret/data/greeter#key" "$by_jwt"
    deploy
    expect 0
    [ "$(asked '.path | endswith("/v1/auth/jwt/login")')" = 1 ]
    [ "$(asked '.path | endswith("/v1/secret/data/greeter")')" = 1 ]
    nothing_leaked
}

@test "a key in Vault, by our AWS identity" {
    vault_keeps_key
    key_is "vault:secret/data/greeter#key" \
        'vault: {auth: aws, role: "{app}-{env}", server_id: vault.example.org}'
    deploy
    expect 0
    [ "$(asked '.path | endswith("/v1/auth/aws/login")')" = 1 ]
    nothing_leaked
    in_infra sed -i 's/server_id: vault.example.org/server_id: other.example.org/' dispatcher.yaml
    deploy
    expect 4
    says "sign in to Vault at" "as role 'greeter-staging'" "X-Vault-AWS-IAM-Server-ID" \
        "'vault.server_id'"
    nothing_leaked
}

@test "a namespace of Vault's" {
    vault_keeps_key team/greeter
    in_a_job
    key_is "vault:secret/data/greeter#key" "$by_jwt"
    in_infra sed -i 's/^vault: {/vault: {namespace: "team\/{app}", /' dispatcher.yaml
    deploy
    expect 0
    VAULT_NAMESPACE=elsewhere deploy
    expect 4
    nothing_leaked
}

@test "what Vault does not give is said with its reason, and nothing is done" {
    vault_keeps_key
    in_a_job
    key_is "vault:secret/data/greeter#key" "$by_jwt"
    in_infra sed -i 's/role: "{app}-{env}"/role: "nothing"/' dispatcher.yaml
    deploy
    expect 4
    says "role 'nothing' may not read 'secret/data/greeter'" "a policy that allows 'read'"
    in_infra sed -i 's/role: "nothing"/role: nobody/' dispatcher.yaml
    deploy
    expect 4
    says "role \"nobody\" could not be found"
    in_infra sed -i 's/role: nobody/role: greeter-staging/; s/#key/#none/' dispatcher.yaml
    deploy
    expect 4
    says "there is no key 'none' in it"
    in_infra sed -i 's/#none/#key/' dispatcher.yaml
    curl -sf -X DELETE -H "X-Vault-Token: $DISPATCHER_SANDBOX_VAULT_TOKEN" \
        "$VAULT_ADDR/v1/secret/data/greeter"
    deploy
    expect 4
    says "version 1 of 'secret/data/greeter' was deleted at 20" "vault kv undelete"
    vault_has '{"sealed": true}'
    deploy
    expect 12
    says "Vault is sealed" "has to unseal it"
    nothing_leaked
    nothing_happened
}
