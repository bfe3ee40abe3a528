# The pages of the service in Chromium: every screen in dark and light without a finding of axe, by
# keyboard, without JavaScript, and each action with its effect in the API. Pictures are kept in
# build/…/screenshots.
load lib.bash
load web_lab.bash

setup_file() {
    world_template
}

setup() {
    needs_browser
    world_make
}

teardown() {
    world_end
}

@test "every page in dark and light, wide and narrow: no finding of axe" {
    mkdir "$world/pages"
    "$DISPATCHER_BUILD/tests/web_pages" "$world/pages"
    browse pages "$world/pages" "$(cat "$world/pages/policy")"
}

@test "signing in with GitHub, and out; a session of others is worth nothing" {
    service_start
    browse sign_in "$url"
}

@test "who is no member, did not agree or did not begin it, does not get in" {
    service_start
    browse strangers "$url"
}

@test "each screen as the service fills it" {
    service_start
    deployed staging "$first"
    id=$(ask staging "$second")
    until_true 60 is "$id" state final
    browse screens "$url" "$id"
}

@test "lock, freeze and lift; who may not is told who may" {
    service_start
    browse locks "$url"
}

@test "promote, approve by another person, and see it end without a reload" {
    service_start
    deployed staging "$first"
    browse promote "$url" "$first"
}

@test "roll back with a reason: the version is back, and the environment is locked" {
    service_start
    deployed staging "$first"
    deployed staging "$second"
    browse go_back "$url" "$first"
}

# drift_items: how many differences the API tells of the greeter in staging; "null" before a look.
drift_items() {
    curl -sf "$url/api/v1/apps/greeter" -H "Authorization: Bearer $(job_token "$first")" |
        jq -r '.environments[0].drift | if .state == "unknown" then "null" else (.items | length) end'
}

drift_items_are() {
    [ "$(drift_items)" = "$1" ]
}

@test "drift: what somebody changed, what to do about it, and nothing once it is mended" {
    export DISPATCHER_DRIFT_SETTLE_MS=1
    service_start "drift_interval: 1s"
    deployed staging "$first"
    until_true 30 drift_items_are 0
    put_parameter /greeter/staging/web/version v9
    until_true 30 drift_items_are 1
    browse drift "$url" "$first" v9
    put_parameter /greeter/staging/web/version "$first"
    until_true 30 drift_items_are 0
    browse no_drift "$url"
}

@test "cancel what waits" {
    service_start
    deployed staging "$first"
    id=$(ask production "$first")
    until_true 30 is "$id" code approval-needed
    browse cancel "$url" "$id"
    is "$id" result cancelled
}

@test "everything works without JavaScript" {
    service_start
    browse plain "$url"
}

@test "everything works by keyboard" {
    service_start
    browse keyboard "$url"
}

@test "forms that are not ours change nothing, and addresses lead nowhere else" {
    service_start
    browse forged "$url"
}

# as LOGIN [PATH]: status and where it leads, by a proxy's header.
as() {
    curl -s -o "$world/page.html" -w '%{http_code} %{redirect_url}' -H "X-Person: $1" "$url${2-/}"
}

@test "a proxy's header counts from its address only, and for members only" {
    needs curl
    service_start 'proxy_auth: {header: X-Person, addresses: ["127.0.0.1"]}'
    [ "$(as octocat)" = "200 " ]
    grep -q '<span class=me>octocat</span>' "$world/page.html"
    [ "$(as mallory)" = "303 $url/sign-in" ]
    [ "$(as '../octocat')" = "303 $url/sign-in" ]
    [ "$(as '')" = "303 $url/sign-in" ]
    # Its forms need the token of the page, as everybody's.
    csrf=$(as octocat /locks >/dev/null && grep -o 'name=csrf value="[0-9a-f]*' "$world/page.html" | head -1 | cut -d'"' -f2)
    [ "${#csrf}" -eq 64 ]
    run curl -s -o /dev/null -w '%{http_code}' -H "X-Person: octocat" "$url/locks" \
        -d "scope=app&app=greeter&level=lock&on_release=run&reason=x"
    [ "$output" = 403 ]
    run curl -s -o /dev/null -w '%{http_code}' -H "X-Person: octocat" "$url/locks" \
        -d "scope=app&app=greeter&level=lock&on_release=run&reason=x&csrf=$csrf"
    [ "$output" = 303 ]
}

@test "a header of somebody who is no proxy of ours is not believed" {
    needs curl
    service_start 'proxy_auth: {header: X-Person, addresses: ["192.0.2.1"]}'
    [ "$(as octocat)" = "303 $url/sign-in" ]
    run curl -s -o /dev/null -w '%{http_code}' -H "X-Person: octocat" -H "X-Forwarded-For: 192.0.2.1" "$url/"
    [ "$output" = 303 ]
}
