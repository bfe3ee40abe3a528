#!/usr/bin/env bats
# `dispatcher push` over a line that breaks in the middle of a body, wherever that is: the image is
# there whole in the end.

bats_require_minimum_version 1.5.0
load fault_lab

@test "a body of known length that is reset at any offset is sent again" {
    digest=$(digest_of_blob noise 0)
    for ((offset = 0; offset <= 1228800; offset += 65536)); do
        play "{\"method\":\"PUT\",\"path\":\"${digest#sha256:}\",\"reset_after\":$offset}"
        push oci:noise "$HOST/team/app:1"
        assert_whole oci:noise
        # Twice: libcurl's own second try where a kept connection died, else ours.
        [ "$(logged "[.requests[] | select(test(\"^PUT.*${digest#sha256:}\"))] | length")" -eq 2 ]
    done
}

@test "a stream that is reset at any offset is sent again" {
    for ((offset = 0; offset <= 1228800; offset += 65536)); do
        play "{\"method\":\"PATCH\",\"path\":\"/blobs/uploads/\",\"reset_after\":$offset}"
        push docker-archive:noise.tar "$HOST/team/app:1"
        assert_whole docker-archive:noise.tar
        [ "$(count PATCH)" -eq 2 ]
    done
}

@test "a real registry behind a line that breaks gets the image whole" {
    for ((offset = 1000; offset <= 1228800; offset += 262144)); do
        for method in PUT PATCH; do
            path=$([ $method = PUT ] && digest_of_blob noise 0 | cut -c8- || echo /blobs/uploads/)
            image=$([ $method = PUT ] && echo oci:noise || echo docker-archive:noise.tar)
            play "{\"method\":\"$method\",\"path\":\"$path\",\"reset_after\":$offset}" \
                "" "$PROXY"
            push "$image" "$PROXY/breaks-${method,,}-$offset:1"
            [ "$status" -eq 0 ]
            [ "$(logged .unfounded "$PROXY")" = "[]" ]
            rm -rf "$BATS_TEST_TMPDIR/pulled"
            skopeo copy --quiet --src-tls-verify=false "docker://$REAL/breaks-${method,,}-$offset:1" \
                "dir:$BATS_TEST_TMPDIR/pulled"
            case $image in
            oci:*) "$LAB" compare-layout noise "$REAL" "breaks-${method,,}-$offset" 1 ;;
            *) "$LAB" compare-archive noise.tar "$REAL" "breaks-${method,,}-$offset" 1 ;;
            esac
        done
    done
}
