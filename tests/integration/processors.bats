#!/usr/bin/env bats
# The compressed bytes of a layer are the same on every processor: the golden digests of
# unit_registry_compressor hold under emulated ones that lack or have the instructions by which the
# libraries choose their code.

bats_require_minimum_version 1.5.0

setup_file() {
    command -v qemu-x86_64 >/dev/null || skip "qemu-x86_64 (qemu-user) is not installed"
    [ "$(uname -m)" = x86_64 ] || skip "the program is not of x86-64"
    export GOLDEN=$DISPATCHER_BUILD/tests/unit_registry_compressor
    [ -x "$GOLDEN" ] || skip "unit_registry_compressor is not built"
}

holds_on() { # PROCESSOR
    run --separate-stderr qemu-x86_64 -cpu "$1" "$GOLDEN" the_bytes_are_the_same_for_ever
    printf '%s\n' "$output"
    printf '%s\n' "$stderr" | grep -v "TCG doesn't support" || true
    [ "$status" -eq 0 ]
    # All three codecs over all rows, and nothing else: one test, which passed.
    [[ "$stderr" == *"1 test(s) run."* ]] || [[ "$output" == *"1 test(s) run."* ]]
}

@test "the bytes are the same on a processor with SSE 4.2 alone" {
    holds_on Nehalem
}

@test "the bytes are the same on a processor with AVX2" {
    holds_on Haswell
}

@test "the bytes are the same on a processor of another maker" {
    holds_on EPYC
}

@test "the bytes are the same on a processor with all that the emulator knows" {
    holds_on max
}
