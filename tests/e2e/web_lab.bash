# The service with its pages, for the stories of a browser: a sandbox as GitHub and registry, specs
# with two environments, two versions in the registry, webhooks. After lib.bash.
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bats, and for the tests

node_home=$DISPATCHER_ROOT/tests/e2e/node
chromium=${CHROMIUM:-/usr/bin/chromium}

needs_browser() {
    needs node "$chromium"
    [ -d "$node_home/node_modules/playwright-core" ] || skip "playwright-core is not installed (npm ci)"
    [ -d "$node_home/node_modules/@axe-core/playwright" ] || skip "axe is not installed (npm ci)"
    shots=$DISPATCHER_BUILD/screenshots
    mkdir -p "$shots"
}

# browse STORY [ARGUMENT...]: one story of web.mjs, with the addresses it needs.
browse() {
    CHROMIUM=$chromium SHOTS=$shots timeout 600 node "$node_home/web.mjs" "$@"
}

# service_start [LINE...]: sandbox and service; further lines of the `server` block.
service_start() {
    local port
    port=$(free_port)
    url=http://127.0.0.1:$port
    mkdir -p "$world/secrets"
    printf '%s' "a-secret-of-webhooks-$RANDOM$RANDOM" >"$world/secrets/hook"
    sandbox_start --repo "demo/greeter=$world/app" --caller demo/greeter --webhook "$url/hooks/github" \
        --webhook-secret-file "$world/secrets/hook"
    specs_are
    images_are_pushed
    {
        cat "$world/infra/dispatcher.yaml"
        printf 'state: {url: "sqlite:%s"}\nserver:\n' "$world/service.db"
        printf '  %s\n' "listen: 127.0.0.1:$port" "url: $url" "specs: $world/infra" \
            "issuer: $DISPATCHER_SANDBOX_OIDC_ISSUER" "organization: $DISPATCHER_SANDBOX_ORG" \
            "admins: [devops]" "rate: 10000" "webhook_secrets: [\"file:$world/secrets/hook\"]" "$(oauth)" "$@"
    } >"$world/serve.yaml"
    start serve "$DISPATCHER_BIN" serve --config "$world/serve.yaml" --ready-file "$world/serve.address"
    until_true 30 test -s "$world/serve.address" || { cat "$world/serve.log"; return 1; }
}

oauth() {
    echo "oauth: {client_id: $DISPATCHER_SANDBOX_OAUTH_CLIENT_ID, client_secret: \"file:$DISPATCHER_SANDBOX_OAUTH_CLIENT_SECRET_FILE\"}"
}

# What is deployable: anything of main to staging, what was there and is approved to production.
specs_are() {
    local repository
    repository=$(claim repository_id)
    cat >>"$world/infra/dispatcher.yaml" <<END
github: {api: "$GITHUB_API_URL", app_id: "$DEPLOYMENT_APP_ID", app_key: "file:$DEPLOYMENT_APP_KEY"}
policy: {owners: [$DISPATCHER_SANDBOX_ORG_ID]}
END
    cat >>"$world/infra/appspecs/greeter.yaml" <<END
deploy:
  repository_id: $repository
  owner_id: $DISPATCHER_SANDBOX_ORG_ID
  environments:
    staging:
      allow: [{id: any, refs: ["refs/heads/main"], events: [push]}]
      rollback: {lock: true}
    production:
      allow: [{id: release, refs: ["refs/heads/main"], events: [push]}]
      promote_from: {environment: staging}
      approvals: {count: 1, teams: [devops], rollback_exempt: true}
      emergency: {teams: [devops]}
END
    in_infra true
}

# claim NAME: of the tokens that the app's jobs get.
claim() {
    job_token "" | cut -d. -f2 | tr '_-' '/+' | base64 -d 2>/dev/null | jq -r ".$1"
}

# job_token SHA: of a job of the app repository, at that commit.
job_token() {
    curl -sf "$DISPATCHER_SANDBOX_CONTROL/oidc/token" -d "$(jq -n --arg sha "$1" --arg url "${url-}" \
        '{repository: "demo/greeter", audience: $url} + if $sha == "" then {} else {sha: $sha} end')" |
        jq -r .value
}

# Both versions, in both environments' repositories.
images_are_pushed() {
    local env version
    first=$(git -C "$world/app" rev-parse HEAD~1)
    second=$(git -C "$world/app" rev-parse HEAD)
    for env in staging production; do
        for version in "$first" "$second"; do
            "$DISPATCHER_BIN" push "oci:$world/image" \
                "$DISPATCHER_SANDBOX_REGISTRY/greeter-$env-web:$version" >/dev/null
        done
    done
}

# ask ENV VERSION: a job of the app asks; the deployment's id.
ask() {
    curl -sf -X POST "$url/api/v1/deployments" -H "Authorization: Bearer $(job_token "$2")" \
        -H 'Content-Type: application/json' -d "{\"app\":\"greeter\",\"env\":\"$1\",\"version\":\"$2\"}" |
        jq -er .id
}

# of ID FIELD: as the store has it.
of() {
    python3 - "$world/service.db" "$1" "$2" <<'END'
import sqlite3
import sys
row = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=10).execute(
    f"SELECT {sys.argv[3]} FROM jobs WHERE id = ?", (sys.argv[2],)).fetchone()
print(row[0] if row else "")
END
}

# put_parameter NAME VALUE: as anybody else writes it.
put_parameter() {
    curl -sS --fail-with-body --max-time 10 --aws-sigv4 "aws:amz:us-east-1:ssm" \
        --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
        -H "Content-Type: application/x-amz-json-1.1" -H "X-Amz-Target: AmazonSSM.PutParameter" \
        --data-binary "$(jq -n --arg name "$1" --arg value "$2" \
            '{Name: $name, Value: $value, Type: "String", Overwrite: true}')" "$AWS_ENDPOINT_URL/" >/dev/null
}

is() {
    [ "$(of "$1" "$2")" = "$3" ]
}

# deployed ENV VERSION: asks, and waits for its end.
deployed() {
    local id
    id=$(ask "$1" "$2")
    until_true 60 is "$id" state final
    is "$id" result deployed || { of "$id" reason; return 1; }
}

# in_job COMMAND...: as a job of the app repository, with an OIDC token and no key; without what
# `job_lacks` takes away, too.
job_lacks=()
in_job() (
    eval "$(grep '^ACTIONS_ID_TOKEN_REQUEST_' "$world/sandbox.env" | sed 's/^/export /')"
    exec env -u DEPLOYMENT_APP_ID -u DEPLOYMENT_APP_KEY -u GITHUB_TOKEN -u DISPATCHER_SPECS \
        -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN "${job_lacks[@]}" \
        GITHUB_ACTIONS=true GITHUB_RUN_ID="${run_number:-7001}" GITHUB_RUN_ATTEMPT=1 GITHUB_JOB=deploy \
        GITHUB_REPOSITORY=demo/greeter GITHUB_STEP_SUMMARY="$world/summary" \
        GITHUB_OUTPUT="$world/output" "$@"
)

# as LOGIN COMMAND...: as a person with a token of GitHub's.
as() {
    local login=$1
    shift
    env -u ACTIONS_ID_TOKEN_REQUEST_URL -u ACTIONS_ID_TOKEN_REQUEST_TOKEN -u GITHUB_TOKEN \
        GH_TOKEN="$(person_token "$login")" "$@"
}

person_token() {
    curl -sf "$DISPATCHER_SANDBOX_CONTROL/github/people" -d "{\"people\": [{\"login\": \"$1\"}]}" |
        jq -er '.people[0].token'
}

# killed NAME: as if the power had gone; it is no server of the story any more.
killed() {
    local entry left=()
    for entry in "${servers[@]}"; do
        if [ "${entry#*:}" = "$1" ]; then
            kill -9 -- "-${entry%%:*}" 2>/dev/null || kill -9 "${entry%%:*}"
        else
            left+=("$entry")
        fi
    done
    servers=("${left[@]}")
}
