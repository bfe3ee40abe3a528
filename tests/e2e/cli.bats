#!/usr/bin/env bats
# The command line as a user meets it: exit codes, exact texts, streams that fail, hostile
# environments and arguments. Needs no network.
#
#     DISPATCHER_BIN   the binary, default build/dev/bin/dispatcher
#     DISPATCHER_BUILD the build directory, default build/dev

bats_require_minimum_version 1.5.0

setup() {
    root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    bin=${DISPATCHER_BIN:-$root/build/dev/bin/dispatcher}
    probe=${DISPATCHER_BUILD:-$root/build/dev}/tests/fence_probe
    version=$(sed -n 's/^project(dispatcher VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
    unset GITHUB_ACTIONS DISPATCHER_LOG RUNNER_DEBUG NO_COLOR
    cd "$BATS_TEST_TMPDIR"
}

# assert_refused CODE STDERR ARGUMENT...: nothing on stdout, exactly this on stderr.
assert_refused() {
    local code=$1 text=$2
    shift 2
    run --separate-stderr "$bin" "$@"
    [ "$status" -eq "$code" ]
    [ "$output" = "" ]
    [ "$stderr" = "$text" ] || { printf 'stderr: %s\n' "$stderr"; return 1; }
}

@test "version prints the name and the version, and nothing else" {
    run --separate-stderr "$bin" version
    [ "$status" -eq 0 ]
    [ "$output" = "dispatcher $version" ]
    [ "$stderr" = "" ]
    run --separate-stderr "$bin" --version
    [ "$output" = "dispatcher $version" ]
}

@test "version --json is one object with the libraries" {
    run --separate-stderr "$bin" version --json
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 1 ]
    [ "$(jq -r '.name + " " + .version' <<<"$output")" = "dispatcher $version" ]
    [ "$(jq -r '.libraries | keys | length' <<<"$output")" -ge 9 ]
    [[ "$(jq -r '.libraries.libcurl' <<<"$output")" =~ ^[0-9]+\.[0-9]+ ]]
}

@test "version needs no configuration, home, path or environment" {
    run --separate-stderr env -i "$bin" version
    [ "$status" -eq 0 ]
    [ "$output" = "dispatcher $version" ]
    printf 'not: [a spec' >dispatcher.yaml
    run --separate-stderr env -i HOME=/nonexistent "$bin" version
    [ "$status" -eq 0 ]
    [ "$stderr" = "" ]
}

@test "without arguments the help page goes to stderr, with exit code 2" {
    run --separate-stderr "$bin"
    [ "$status" -eq 2 ]
    [ "$output" = "" ]
    page=$stderr
    run --separate-stderr "$bin" help
    [ "$status" -eq 0 ]
    [ "$output" = "$page" ]
    run --separate-stderr "$bin" --help
    [ "$status" -eq 0 ]
    [ "$output" = "$page" ]
}

@test "COMMAND --help is the page of help COMMAND, for every command" {
    "$bin" help --list >names
    [ "$(wc -l <names)" -ge 3 ]
    while read -r name; do
        # shellcheck disable=SC2086 # two words
        "$bin" $name --help >a
        # shellcheck disable=SC2086
        "$bin" help $name >b
        cmp a b
        grep -q "^usage: dispatcher $name" a
        grep -q '^Examples$' a
    done <names
}

@test "every command of the list is on the help page" {
    "$bin" help >page
    while read -r name; do
        grep -qE "^  $name( |\$)" page
    done < <("$bin" help --list)
}

@test "a wrong command line is refused with 2, a hint and the usage line" {
    assert_refused 2 "dispatcher: unknown command 'versoin'
  hint: Did you mean 'version'?
usage: dispatcher COMMAND [arguments] [options]" versoin
    assert_refused 2 "dispatcher: version: unknown option '--jsno'
  hint: Did you mean '--json'?
usage: dispatcher version [options]" version --jsno
    assert_refused 2 "dispatcher: version: 'now' is one argument too many
usage: dispatcher version [options]" version now
    assert_refused 2 "dispatcher: completion: bash|zsh|fish is missing
usage: dispatcher completion bash|zsh|fish" completion
    assert_refused 2 "dispatcher: no completion for the shell 'tcsh'
  hint: There are scripts for bash, zsh and fish." completion tcsh
    assert_refused 2 "dispatcher: there is no command 'frob'
  hint: 'dispatcher help' lists the commands." help frob
}

@test "a full disk under standard output ends with 13 and says so" {
    run --separate-stderr bash -c '"$1" help >/dev/full' _ "$bin"
    [ "$status" -eq 13 ]
    [ "$stderr" = "dispatcher: standard output: No space left on device" ]
}

@test "a closed standard output ends with 13, and no file takes its place" {
    run --separate-stderr bash -c '"$1" version >&-' _ "$bin"
    [ "$status" -eq 13 ]
    [ "$stderr" = "dispatcher: standard output: Bad file descriptor" ]
    run bash -c '"$1" version 2>&- >out' _ "$bin"
    [ "$status" -eq 0 ]
    [ "$(cat out)" = "dispatcher $version" ]
    run bash -c '"$1" version <&- >&- 2>&-' _ "$bin"
    [ "$status" -eq 13 ]
}

@test "a reader that went away is no error" {
    run --separate-stderr bash -c '"$1" help --markdown | true; echo "${PIPESTATUS[0]}"' _ "$bin"
    [ "$output" = "0" ]
    [ "$stderr" = "" ]
}

@test "a megabyte of argument is refused in one short line" {
    # The kernel takes 128 KiB at most as one argument; eight of them make the megabyte.
    piece=$(head -c 131000 /dev/zero | tr '\0' x)
    run --separate-stderr "$bin" "$piece" "$piece" "$piece" "$piece" "$piece" "$piece" "$piece" "$piece"
    [ "$status" -eq 2 ]
    [ "${#stderr}" -lt 300 ]
    run --separate-stderr "$bin" version "--$piece"
    [ "$status" -eq 2 ]
    [ "${#stderr}" -lt 300 ]
    run --separate-stderr "$bin" help "$piece" "$piece"
    [ "$status" -eq 2 ]
    [ "${#stderr}" -lt 300 ]
}

@test "arguments that are not UTF-8, or hold escapes, reach no terminal raw" {
    run --separate-stderr "$bin" $'\xff\xfe\e[31mred'
    [ "$status" -eq 2 ]
    [[ $stderr == "dispatcher: unknown command '"$'\xef\xbf\xbd\xef\xbf\xbd'"red'"* ]]
    [[ $stderr != *$'\e'* ]]
    run --separate-stderr "$bin" version $'a\nb::error::x\r'
    [ "$status" -eq 2 ]
    [ "$(wc -l <<<"$stderr")" -eq 2 ]
    run --separate-stderr "$bin" help $'\xc3(' $'\e]0;title\a'
    [ "$status" -eq 2 ]
    [[ $stderr != *$'\e'* && $stderr != *$'\a'* ]]
}

@test "random bytes as arguments never do more than exit code 2" {
    for seed in 1 2 3 4 5 6 7 8 9 10; do
        garbage=$(openssl enc -aes-128-ctr -K "$(printf '%032d' "$seed")" -iv 0 -nosalt </dev/zero \
            2>/dev/null | head -c 3000 | tr -d '\0' || true)
        run "$bin" -- "$garbage"
        [ "$status" -eq 2 ]
        run "$bin" version "$garbage"
        [ "$status" -eq 2 ]
        run "$bin" "--$garbage" version
        [ "$status" -eq 2 ]
    done
}

@test "an empty argv[0] is as good as any" {
    run bash -c 'exec -a "" "$1"' _ "$bin"
    [ "$status" -eq 2 ]
}

@test "an unknown log level is told and ignored" {
    DISPATCHER_LOG=loud run --separate-stderr "$bin" version
    [ "$status" -eq 0 ]
    [ "$output" = "dispatcher $version" ]
    [ "$stderr" = "dispatcher: DISPATCHER_LOG is 'loud', which is no level
  hint: Use error, warn, info or debug." ]
}

@test "debug logging goes to stderr" {
    DISPATCHER_LOG=debug run --separate-stderr "$bin" frob
    [ "$status" -eq 2 ]
    [[ $stderr == *"debug: failed kind=USAGE source="* ]]
}

@test "the fences are up" {
    exec 7</dev/null
    run --separate-stderr "$probe" state
    [ "$status" -eq 0 ]
    dumpable=0 # the leak checker of a sanitizer build attaches to its own process
    ! grep -q '^DISPATCHER_SANITIZE:STRING=.*address' "$DISPATCHER_BUILD/CMakeCache.txt" || dumpable=1
    for line in "core 0 0" "dumpable $dumpable" "no_new_privs 1" "sigpipe ignored" "sigxfsz ignored" \
        "umask 077" "fd 0" "fd 1" "fd 2"; do
        grep -qxF "$line" <<<"$output" || { echo "missing: $line"; return 1; }
    done
    [ "$(grep -c '^fd ' <<<"$output")" -eq 3 ]
}

@test "descriptors that systemd passed stay open, others do not" {
    run bash -c 'exec 3</dev/null 4</dev/null 5</dev/null
        export LISTEN_FDS=2 LISTEN_PID=$$; exec "$1" state' _ "$probe"
    [ "$(grep '^fd ' <<<"$output" | tr '\n' ' ')" = "fd 0 fd 1 fd 2 fd 3 fd 4 " ]
}

@test "libraries see none of what an earlier step put into the environment" {
    # glibc itself leaks what LOCPATH made it build, which ends a leak-checked process early.
    run env -i ASAN_OPTIONS=detect_leaks=0 PATH=/bin LC_ALL=C.UTF-8 OPENSSL_CONF=/x SSLKEYLOGFILE=/x HTTPS_PROXY=http://x \
        GIT_SSL_NO_VERIFY=1 GITHUB_TOKEN=canary AWS_SECRET_ACCESS_KEY=canary MALLOC_CHECK_=3 \
        CURL_CA_BUNDLE=/x LOCPATH=/x GITHUB_ACTIONS=true "$probe" state
    [ "$(grep '^env ' <<<"$output" | sort | tr '\n' ' ')" = \
        "env GITHUB_ACTIONS=true env LC_ALL=C.UTF-8 env PATH=/bin " ]
}

# Starts a TLS server with a certificate of its own; sets $url and $server.
start_tls_server() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
    port=$((20000 + RANDOM % 20000))
    openssl s_server -accept "127.0.0.1:$port" -cert cert.pem -key key.pem -www -quiet \
        >/dev/null 2>&1 3>&- &
    server=$!
    url=https://localhost:$port/
    for _ in $(seq 100); do
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        sleep 0.05
    done
    return 1
}

teardown() {
    [ -z "${server:-}" ] || kill "$server" 2>/dev/null || true
}

@test "SSLKEYLOGFILE, OPENSSL_CONF and HTTPS_PROXY do nothing behind the fences" {
    start_tls_server
    # Only the null provider: whoever reads this file has no cryptography left.
    printf 'openssl_conf = init\n[init]\nproviders = p\n[p]\nnull = n\n[n]\nactivate = 1\n' \
        >openssl.cnf
    run env SSLKEYLOGFILE="$PWD/keys" OPENSSL_CONF="$PWD/openssl.cnf" \
        HTTPS_PROXY=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1 "$probe" get "$url" cert.pem
    [ "$output" = "status 200" ]
    [ ! -e keys ]
    # The control: without the fences each of the first two has its effect.
    run env SSLKEYLOGFILE="$PWD/keys" "$probe" bare "$url" cert.pem
    [ "$output" = "status 200" ]
    [ -s keys ]
    run env OPENSSL_CONF="$PWD/openssl.cnf" "$probe" bare "$url" cert.pem
    [ "$status" -eq 1 ]
}
