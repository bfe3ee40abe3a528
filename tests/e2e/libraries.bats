#!/usr/bin/env bats
# Libraries that are loaded when they are needed: which commands need none of them, and what is said
# when one is not there. A file that is no library stands in for a missing one.

load lib

setup_file() {
    world_template
}

setup() {
    world_make
    mkdir "$world/lib"
}

teardown() {
    world_end
}

# missing STEM...: from now on the library cannot be loaded, under the name the program looks for.
missing() {
    local stem name
    for stem in "$@"; do
        name=$(grep -aoE "$stem\.so(\.[0-9]+)+" "$DISPATCHER_BIN" | head -n 1)
        [ -n "$name" ] || { echo "the program names no $stem"; return 1; }
        : >"$world/lib/$name"
    done
    export LD_LIBRARY_PATH=$world/lib
}

# refused CODE TEXT: exactly this on standard error, with neither directories nor versions of libraries.
refused() {
    local said
    said=$(sed -E "s|$world/lib/||g; s/\.so(\.[0-9]+)+/.so/g" <<<"$stderr")
    [ "$status" -eq "$1" ] || { show; return 1; }
    [ "$said" = "$2" ] || { diff <(echo "$2") <(echo "$said"); return 1; }
}

@test "the program starts without the libraries that only some commands need" {
    ldd "$DISPATCHER_BIN" >"$world/loaded"
    grep -q libcurl "$world/loaded"
    for stem in libgit2 libsqlite3 libpq libarchive libmicrohttpd; do
        [ "$(grep -c "$stem" "$world/loaded")" = 0 ]
    done
}

@test "push, lint and version work where none of them is there" {
    sandbox_start
    missing libgit2 libsqlite3 libpq libarchive libmicrohttpd
    dispatcher version
    expect 0
    dispatcher spec lint "$world/infra/appspecs"
    expect 0
    dispatcher push "oci:$world/image" "$DISPATCHER_SANDBOX_REGISTRY/greeter:lazy"
    expect 0
}

@test "a deployment without libgit2 ends before anything happened" {
    sandbox_start
    missing libgit2
    deploy
    file=$(echo "$world"/lib/libgit2.so.*)
    version=${file##*.so.}
    refused 2 "dispatcher: deploy 'greeter' to 'staging': reading git repositories needs libgit2: libgit2.so: file too short
  hint: Install it with: apt-get install libgit2-$version."
    happened "posts=0 runs=0 versions=0 labels=0 manifests=0"
    deploy --specs "file://$world/infra/.git?ref=main"
    refused 2 "dispatcher: deploy 'greeter' to 'staging': reading git repositories needs libgit2: libgit2.so: file too short
  hint: Install it with: apt-get install libgit2-$version."
}

@test "without libpq there is no journal in PostgreSQL, and one in a file is as it was" {
    missing libpq
    DISPATCHER_STATE=postgresql://db.example/journal dispatcher history
    refused 13 "dispatcher: a journal in PostgreSQL needs libpq: libpq.so: file too short
  hint: Install it with: apt-get install libpq5."
    dispatcher history
    expect 0
}

@test "without SQLite there is no journal, and nothing is deployed" {
    sandbox_start
    missing libsqlite3
    dispatcher history
    refused 13 "dispatcher: the journal needs SQLite: libsqlite3.so: file too short
  hint: Install it with: apt-get install libsqlite3-0."
    deploy
    expect 13
    says "the journal needs SQLite"
    happened "posts=0 runs=0 versions=0 labels=0 manifests=0"
    [ ! -e "$DISPATCHER_STATE" ]
}

@test "an archive without libarchive" {
    sandbox_start
    missing libarchive
    tar -C "$world/image" -cf "$world/image.tar" .
    dispatcher push "oci-archive:$world/image.tar" "$DISPATCHER_SANDBOX_REGISTRY/greeter:lazy"
    expect 2
    says "reading archives needs libarchive" "apt-get install libarchive13." \
        "An oci: directory needs no library."
}

@test "a sandbox without libmicrohttpd" {
    missing libmicrohttpd
    dispatcher sandbox --repo "demo/infra=$world/infra"
    refused 12 "dispatcher: the sandbox needs libmicrohttpd: libmicrohttpd.so: file too short
  hint: Install it with: apt-get install libmicrohttpd12."
    [ "$output" = "" ]
}
