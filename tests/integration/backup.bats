#!/usr/bin/env bats
# `backup` and `restore` as an operator uses them, between files and a real PostgreSQL server.

bats_require_minimum_version 1.5.0
: "${DISPATCHER_ROOT:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
: "${DISPATCHER_BIN:=$DISPATCHER_ROOT/build/dev/bin/dispatcher}"

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    unset GITHUB_ACTIONS DISPATCHER_LOG RUNNER_DEBUG
    export HOME=$PWD DISPATCHER_STATE=$PWD/state.db
}

teardown() {
    if [ -n "${server:-}" ]; then
        exec {server_in}>&-
        wait "$server" 2>/dev/null || true
    fi
}

# gives CODE STDOUT STDERR ARGUMENT...: exactly this.
gives() {
    local code=$1 out=$2 err=$3
    shift 3
    run --separate-stderr "$DISPATCHER_BIN" "$@"
    [ "$status" -eq "$code" ] || { printf 'status %s\n%s\n%s\n' "$status" "$output" "$stderr"; return 1; }
    [ "$output" = "$out" ] || { printf 'stdout: %s\n' "$output"; return 1; }
    [ "$stderr" = "$err" ] || { printf 'stderr: %s\n' "$stderr"; return 1; }
}

# A journal with rows, at $DISPATCHER_STATE.
journal() {
    "$DISPATCHER_BIN" history 2>/dev/null
    python3 - "$DISPATCHER_STATE" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for n in range(1000):
    final = n % 2
    db.execute("INSERT INTO deployments VALUES (?,?,?,?,?,?,?,?,?,?)", (
        f"d-{n:06}", "payments", "production", f"v{n}", "final" if final else "running",
        "deployed" if final else None, 0, 10 + n // 3, 20 + n, '{"verb":"deploy"}'))
    db.execute("INSERT INTO events (deployment, at_ms, json) VALUES (?,?,?)", (f"d-{n:06}", n, "{}"))
db.commit()
PY
}

# server_start: sets $url, with the password, and $name, without.
server_start() {
    coproc POSTGRES { exec "$DISPATCHER_ROOT/tests/support/postgres"; }
    server=$POSTGRES_PID server_in=${POSTGRES[1]} server_out=${POSTGRES[0]}
    local word dir port
    read -r word dir port <&"$server_out"
    [ "$word" = ready ] || skip "$word $dir $port"
    echo "create journal" >&"$server_in"
    read -r word <&"$server_out"
    [ "$word" = done ]
    url="postgresql://lab:lab-password@localhost:$port/journal?sslmode=verify-full&sslrootcert=$dir/ca.crt"
    name="postgresql://localhost:$port/journal"
}

@test "a journal is copied into a file, read, and brought back" {
    journal
    "$DISPATCHER_BIN" history >before 2>&1
    whole="copy.db is whole: deployments 1000, jobs 0, audit entries 0, schema $(schema)"
    gives 0 "copied journal '$DISPATCHER_STATE'
$whole" "" backup copy.db
    [ "$(stat -c %a copy.db)" = 600 ]
    [ "$(ls copy.db*)" = copy.db ]
    gives 0 "$whole" "" restore --verify copy.db
    gives 0 "restored, read back and found whole" "" restore copy.db --to other/new.db
    DISPATCHER_STATE=other/new.db "$DISPATCHER_BIN" history >after 2>&1
    diff before after
    gives 0 "restored, read back and found whole
$whole" "" restore copy.db --to sqlite:third.db --verify
}

schema() {
    python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("PRAGMA user_version").fetchone()[0])' \
        "$DISPATCHER_STATE"
}

@test "nothing is overwritten, and what is not whole is not brought back" {
    journal
    "$DISPATCHER_BIN" backup copy.db >/dev/null
    sum=$(sha256sum copy.db)
    gives 2 "" "dispatcher: 'copy.db' exists
  hint: Name a file that does not exist yet: nothing is overwritten." backup copy.db
    gives 6 "" "dispatcher: '$DISPATCHER_STATE' is not empty
  hint: A backup is restored into a file that does not exist, or into a new database; nothing was changed." \
        restore copy.db --to "$DISPATCHER_STATE"
    gives 2 "" "dispatcher: where to restore it is missing
  hint: Give '--to PATH' or '--to postgresql://…'; '--verify' alone only reads the backup." restore copy.db
    gives 2 "" "dispatcher: there is no file 'none.db'" restore none.db --verify
    [ "$sum" = "$(sha256sum copy.db)" ]
    python3 - <<'PY'
import sqlite3
db = sqlite3.connect("copy.db")
db.execute("UPDATE deployments SET document = 'x' WHERE id = 'd-000777'")
db.commit()
PY
    gives 13 "" "dispatcher: backup 'copy.db' is not whole: 'document' of 'd-000777' in 'deployments' is not JSON" \
        restore copy.db --to new.db
    [ ! -e new.db ]
    gives 13 "" "dispatcher: backup 'copy.db' is not whole: 'document' of 'd-000777' in 'deployments' is not JSON
  hint: Take another backup." restore --verify copy.db
    truncate -s 20000 copy.db
    run "$DISPATCHER_BIN" restore copy.db --to new.db
    [ "$status" -eq 13 ]
    [ ! -e new.db ]
    printf 'dear diary' >diary
    gives 13 "" "dispatcher: read journal 'diary': file is not a database
  hint: This file cannot be used as a backup: take another one." restore --verify diary
    run --separate-stderr "$DISPATCHER_BIN" backup /proc/no/such.db
    [ "$status" -eq 13 ]
}

@test "a journal moves into PostgreSQL and back, and nobody sees the password" {
    journal
    server_start
    "$DISPATCHER_BIN" history >before 2>&1
    "$DISPATCHER_BIN" backup copy.db >/dev/null
    gives 0 "restored, read back and found whole" "" restore copy.db --to "$url"
    DISPATCHER_STATE=$url "$DISPATCHER_BIN" history >there 2>&1
    diff before there
    gives 6 "" "dispatcher: '$name' is not empty
  hint: A backup is restored into a file that does not exist, or into a new database; nothing was changed." \
        restore copy.db --to "$url"
    gives 0 "copied journal '$name'
back.db is whole: deployments 1000, jobs 0, audit entries 0, schema $(schema)" "" backup back.db --state "$url"
    "$DISPATCHER_BIN" restore back.db --to home.db
    DISPATCHER_STATE=home.db "$DISPATCHER_BIN" history >after 2>&1
    diff before after
    python3 - <<'PY'
import sqlite3
before, after = (list(sqlite3.connect(name).iterdump()) for name in ("copy.db", "back.db"))
assert before == after, [pair for pair in zip(before, after) if pair[0] != pair[1]][:3]
PY
}

@test "a server that goes away is an error that says what is true" {
    server_start
    "$DISPATCHER_BIN" history 2>/dev/null
    "$DISPATCHER_BIN" backup copy.db >/dev/null
    echo "kill" >&"$server_in"
    read -r _ <&"$server_out"
    gives 13 "" "dispatcher: open journal '$name': connection to server at \"localhost\" (127.0.0.1), port ${name//[^0-9]/} failed: Connection refused
  hint: Is the server up, and does the URL name the right host, database and role? A password can stand in ~/.pgpass, or in '?passfile=FILE'." \
        restore copy.db --to "$url"
    gives 13 "" "dispatcher: journal 'postgresql://db.example/journal': 'sslmode' must be 'verify-full' for a database on another machine
  hint: Leave it out, and name the file with the authority's certificate with '?sslrootcert=FILE'." \
        backup other.db --state "postgresql://lab:lab-password@db.example/journal?sslmode=require"
    [ ! -e other.db ]
}
