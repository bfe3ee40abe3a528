#!/usr/bin/env bats
# `dispatcher push` to a registry that fails as it is told (fault_registry.py). Each story ends in the
# image being there whole, or in a clear error; no manifest is ever put before all that it names is
# there.

bats_require_minimum_version 1.5.0
load fault_lab

# Every kind of request there is, of a layout and of an archive.
KINDS="HEAD|/manifests/|oci:noise HEAD|/blobs/sha256|oci:noise POST|/blobs/uploads|oci:noise \
PUT|/blobs/uploads|oci:noise PUT|/manifests/|oci:noise PATCH|/blobs/uploads|docker-archive:noise.tar \
PUT|/blobs/uploads|docker-archive:noise.tar PUT|/manifests/|docker-archive:noise.tar"

@test "each kind of request is repeated when the registry asks to slow down" {
    for kind in $KINDS; do
        IFS='|' read -r method path image <<<"$kind"
        play "{\"method\":\"$method\",\"path\":\"$path\",\"status\":429,\"code\":\"TOOMANYREQUESTS\",\
\"headers\":{\"Retry-After\":\"1\"}}"
        start=$(date +%s%N)
        push "$image" "$HOST/team/app:1"
        assert_whole "$image"
        [ $(($(date +%s%N) - start)) -ge 1000000000 ] # as long as it was asked to wait
    done
}

@test "each kind of request is repeated when the registry fails for a moment" {
    for kind in $KINDS; do
        for failure in '"status":500' '"drop":true' '"lose":true'; do
            IFS='|' read -r method path image <<<"$kind"
            play "{\"method\":\"$method\",\"path\":\"$path\",$failure}"
            push "$image" "$HOST/team/app:1"
            assert_whole "$image"
        done
    done
}

@test "all that says 'not now' is waited for" {
    for status in 408 429 500 502 503 504; do
        play "{\"method\":\"POST\",\"path\":\"/blobs/uploads/\",\"status\":$status}"
        push oci:noise "$HOST/team/app:1"
        assert_whole oci:noise
    done
}

@test "looking for an earlier image is not insisted on" {
    for failure in '"status":500' '"status":429' '"status":403' '"drop":true' '"lose":true'; do
        play "{\"method\":\"GET\",\"path\":\"/tags/\",$failure}"
        push docker-archive:noise.tar "$HOST/team/app:1"
        assert_whole docker-archive:noise.tar
        [ "$(count "GET /v2/team/app/tags/")" -le 2 ] # libcurl's own second try on a dead connection
    done
}

@test "a registry that stays away is unavailable" {
    play '{"method":"POST","path":"/blobs/uploads/","status":503,"times":-1}'
    push docker-archive:noise.tar "$HOST/team/app:1"
    assert_nothing 12 "$(sed -n "s/^dispatcher: push '[^']*': //p" <<<"$stderr")"
    [[ "${stderr_lines[0]}" == *": POST upload for "*": the registry is not available (HTTP 503)" ]]
}

@test "tokens that last for a few requests only are got again" {
    for image in oci:many docker-archive:many.tar; do
        play "" '"token":8' # of the twenty requests and more
        push "$image" "$HOST/team/app:1"
        [ "$status" -eq 0 ]
        [ "$(logged .unfounded)" = "[]" ]
        [ "$(logged .blobs)" -eq 7 ]
        [ "$(logged .tokens)" -ge 3 ]
        [ "$(logged .tokens)" -le 12 ] # not one a request
    done
}

@test "an archive that is cut while it is pushed is not announced" {
    cp noise.tar cut.tar
    play '{"method":"POST","path":"/blobs/uploads/","status":429,"headers":{"Retry-After":"3"},"times":2}'
    "$DISPATCHER_BIN" push docker-archive:cut.tar "$HOST/team/app:1" 2>"$BATS_TEST_TMPDIR/err" &
    pid=$!
    until [ "$(count POST)" -ge 1 ]; do sleep 0.1; done
    truncate -s 600000 cut.tar
    wait $pid && status=0 || status=$?
    [ "$status" -eq 2 ]
    grep -q "the file became shorter while it was read" "$BATS_TEST_TMPDIR/err"
    [ "$(logged '[.unfounded, .tags]')" = '[[],{}]' ]
}

@test "a layer of a layout that is cut while it is pushed is not announced" {
    cp -r noise cut
    layer=cut/blobs/sha256/$(digest_of_blob noise 0 | cut -c8-)
    play '{"method":"POST","path":"/blobs/uploads/","status":429,"headers":{"Retry-After":"3"},"times":3}'
    "$DISPATCHER_BIN" push oci:cut "$HOST/team/app:1" 2>"$BATS_TEST_TMPDIR/err" &
    pid=$!
    until [ "$(count POST)" -ge 1 ]; do sleep 0.1; done
    truncate -s 600000 "$layer"
    wait $pid && status=0 || status=$?
    [ "$status" -eq 2 ]
    grep -q "'blobs/sha256/$(basename "$layer")' has 600000 bytes instead of " "$BATS_TEST_TMPDIR/err"
    [ "$(logged '[.unfounded, .tags]')" = '[[],{}]' ]
}

@test "what the registry says about ranges is not believed" {
    for range in 0-1 0-0 bytes=0-99999999 none; do
        play "{\"path\":\"/blobs/uploads/\",\"times\":-1,\"answer\":{\"Range\":\"$range\"}}"
        push docker-archive:noise.tar "$HOST/team/app:1"
        assert_whole docker-archive:noise.tar
        [ "$(count PATCH)" -eq 1 ]
    done
}

@test "a last request whose answer is lost is looked up before anything is sent again" {
    # Carried out: the blob is there. Not carried out: it is sent in a session of its own.
    for image in oci:noise docker-archive:noise.tar; do
        play '{"method":"PUT","path":"/blobs/uploads/","lose":true}'
        push --json "$image" "$HOST/team/app:1"
        assert_whole "$image"
        [ "$(tail -n 1 <<<"$output" | jq -c '[.blobs_sent, .blobs_present]')" = "[3,0]" ]
        play '{"method":"PUT","path":"/blobs/uploads/","drop":true}'
        push "$image" "$HOST/team/app:1"
        assert_whole "$image"
    done
}

@test "a registry that behaves like ECR gets the image" {
    for image in oci:noise docker-archive:noise.tar; do
        play "" '"ecr":true,"repositories":["team/app"]'
        push "$image" "$HOST/team/app:1"
        assert_whole "$image"
        # What is there is not sent again, and no second body goes into a session.
        push "$image" "$HOST/team/app:2"
        assert_whole "$image" team/app 2
        play '{"method":"PUT","path":"/blobs/uploads/","status":416,"code":"BLOB_UPLOAD_INVALID"}' \
            '"ecr":true'
        push "$image" "$HOST/team/app:1"
        assert_whole "$image"
        play '{"path":"/blobs/uploads/","status":400,"code":"ThrottlingException","message":"Rate exceeded"}' \
            '"ecr":true'
        push "$image" "$HOST/team/app:1"
        assert_whole "$image"
    done
}

@test "a missing repository is named, whatever ECR does with the connection" {
    hint="Create the repository first; this registry does not do it itself."
    for image in oci:noise docker-archive:noise.tar; do
        play "" '"ecr":true,"repositories":["other"]'
        push "$image" "$HOST/team/app:1"
        assert_nothing 12 "repository 'team/app': The repository with name 'team/app' does not exist \
in the registry with id '123456789012' (HTTP 404)" "$hint"
        play "" '"repositories":["other"]'
        push "$image" "$HOST/team/app:1"
        [ "$status" -eq 12 ]
        [[ "${stderr_lines[0]}" == *"The repository with name 'team/app' does not exist"* ]]
        [ "${stderr_lines[1]}" = "  hint: $hint" ]
    done
}

@test "an immutable tag is no obstacle for the same image, and a conflict for another" {
    for kind in "oci:noise oci:two" "docker-archive:noise.tar docker-archive:two.tar"; do
        read -r image other <<<"$kind"
        play "" '"ecr":true,"immutable":true'
        push "$image" "$HOST/team/app:1"
        assert_whole "$image"
        push "$image" "$HOST/team/app:1"
        assert_whole "$image"
        first=$(logged '.tags["1"]' | tr -d '"')
        push "$other" "$HOST/team/app:1"
        [ "$status" -eq 6 ]
        [[ "${stderr_lines[0]}" == "dispatcher: push '$HOST/team/app:1': tag '1' of 'team/app' cannot \
be changed: it names '$first', the image to push is 'sha256:"*"'" ]]
        [ "$(logged .unfounded)" = "[]" ]
        [ "$(logged '.tags["1"]' | tr -d '"')" = "$first" ]
    done
}

@test "a quota that is used up is told in the registry's words" {
    play '{"method":"PUT","path":"/manifests/","status":403,"code":"LIMIT_EXCEEDED","message":"The maximum number of images has been reached","times":-1}'
    push oci:noise "$HOST/team/app:1"
    assert_nothing 4 "PUT manifest '1': The maximum number of images has been reached (HTTP 403)" \
        "The credentials must allow pull and push in this repository of '$HOST'."
}

@test "a registry that stores something else is found out" {
    other=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    top=$(jq -r '.manifests[0].digest' noise/index.json)
    play "{\"method\":\"PUT\",\"path\":\"/manifests/\",\"answer\":{\"Docker-Content-Digest\":\"$other\"}}"
    push oci:noise "$HOST/team/app:1"
    [ "$status" -eq 12 ]
    [ "${stderr_lines[0]}" = "dispatcher: push '$HOST/team/app:1': registry '$HOST' stored manifest \
'$top' as '$other'" ]
    play "{\"method\":\"PUT\",\"path\":\"/blobs/uploads/\",\"answer\":{\"Docker-Content-Digest\":\"$other\"},\"times\":-1}"
    push oci:noise "$HOST/team/app:1"
    [ "$status" -eq 12 ]
    [[ "${stderr_lines[0]}" == "dispatcher: push '$HOST/team/app:1': registry '$HOST' stored blob \
'sha256:"*"' as '$other'" ]]
    [ "$(logged '[.unfounded, .tags]')" = '[[],{}]' ]
}

@test "a registry that does not confirm is asked, and believed only then" {
    play '{"method":"PUT","path":"/manifests/","answer":{"Docker-Content-Digest":null}}'
    push oci:noise "$HOST/team/app:1"
    assert_whole oci:noise
    [ "$(count "HEAD /v2/team/app/manifests/1")" -eq 1 ]
    # It says that all is well and keeps nothing.
    play '{"method":"PUT","path":"/manifests/","status":201,"times":-1}'
    push oci:noise "$HOST/team/app:1"
    assert_nothing 12 "registry '$HOST' does not show tag '1' of 'team/app' after the push"
}

@test "a corrupt layer is refused, and named" {
    cp -r noise corrupt
    digest=$(digest_of_blob noise 0)
    printf 'X' | dd of="corrupt/blobs/sha256/${digest#sha256:}" bs=1 seek=700000 conv=notrunc status=none
    play ""
    push oci:corrupt "$HOST/team/app:1"
    [ "$status" -eq 2 ]
    [[ "${stderr_lines[0]}" == "dispatcher: push '$HOST/team/app:1': blob '$digest' is corrupt: its \
content has digest 'sha256:"* ]]
    [ "${stderr_lines[1]}" = "  hint: Build or save the image again." ]
    [ "$(logged '[.unfounded, .tags]')" = '[[],{}]' ]
}

@test "a registry or proxy that takes no streams gets lengths" {
    for failure in '"status":411' '"status":405' '"status":501' '"status":400' '"early":411' \
        '"early":400'; do
        play "{\"method\":\"PATCH\",\"path\":\"/blobs/uploads/\",$failure,\"times\":-1}"
        push docker-archive:many.tar "$HOST/team/app:1"
        assert_whole docker-archive:many.tar
    done
}

@test "a registry that hangs can be left at once" {
    for rule in '"method":"HEAD","path":"/manifests/"' '"method":"PUT","path":"/blobs/uploads/"'; do
        play "{$rule,\"hang\":60,\"times\":-1}"
        "$DISPATCHER_BIN" push oci:noise "$HOST/team/app:1" 2>"$BATS_TEST_TMPDIR/err" &
        pid=$!
        verb=$([[ "$rule" == *HEAD* ]] && echo "HEAD /v2/team/app/manifests" || echo PUT)
        until [ "$(count "$verb")" -ge 1 ]; do sleep 0.1; done
        start=$(date +%s)
        kill -TERM $pid
        wait $pid && status=0 || status=$?
        [ $(($(date +%s) - start)) -le 10 ]
        cat "$BATS_TEST_TMPDIR/err"
        [ "$status" -eq 143 ] || [ "$status" -eq 130 ]
        [ "$(logged '[.unfounded, .tags]')" = '[[],{}]' ]
    done
    play '{"method":"PUT","path":"/blobs/uploads/","hang":1}' # and then the line is dead
    push oci:noise "$HOST/team/app:1"
    assert_whole oci:noise
}

@test "many layers go at once, but not too many" {
    for image in oci:many docker-archive:many.tar; do
        play ""
        push "$image" "$HOST/team/app:1"
        assert_whole "$image"
        [ "$(logged .most)" -le 16 ]
        [ "$(logged .sessions)" -eq 0 ] # none is left open
    done
}
