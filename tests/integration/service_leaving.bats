#!/usr/bin/env bats
# Rights that end with a membership: GitHub is asked again about whoever is signed in.

load service_lab

setup() {
    need curl jq git openssl python3
}

attack() {
    WORLD=$world URL=$url HOOK_SECRET=$hook_secret \
        "${DISPATCHER_ROOT:-$BATS_TEST_DIRNAME/../..}/tests/integration/$1" "${@:2}"
}

@test "who is taken out of a team or of the organisation loses what came with it within the time set" {
    service_world
    service_config "s#^  rate: .*#&\n  people_every: 1s\n  oauth: {client_id: $DISPATCHER_SANDBOX_OAUTH_CLIENT_ID, client_secret: 'file:$DISPATCHER_SANDBOX_OAUTH_CLIENT_SECRET_FILE'}#"
    service_start
    attack service_leaving.py member
    attack service_leaving.py team
    attack service_leaving.py silence || { tail -5 "$world/serve.err"; false; }
    service_stop
    sandbox_stop
}
