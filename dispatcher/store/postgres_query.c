// The driver for PostgreSQL: a statement is prepared under a name when it runs for the first time,
// and what a failure means to people. A connection that broke is never opened again: claims and
// the transaction went with it (fail-stop, protocols.md C20).
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "postgres_internal.h"

enum {
    PARAMETERS_MAX = 64,
    NUMBER_MAX = 24,
    STATEMENT_MAX = 64 * 1024,
    MESSAGE_MAX = 400,
    VALUE_MAX = 64 * 1024 * 1024, // of one text, as for SQLite
    // pg_type.dat: what parameters are declared as
    TYPE_INT8 = 20,
    TYPE_TEXT = 25,
    // First half of a lock's key for store_lock; claims have keys of one half, another space.
    LOCK_CLASS = 0x44495350,
};

struct postgres_query {
    const char *sql;
    int count;
    Oid types[PARAMETERS_MAX];
    const char *values[PARAMETERS_MAX];
    char numbers[PARAMETERS_MAX][NUMBER_MAX];
    PGresult *result; // NULL until it ran
    int row;
    const char *problem; // that libpq was not asked about
    bool decides;        // what it writes is final once it is answered
    bool sent;           // in the pipeline, or answered there
    bool loose;          // nobody asks for its result
    bool judged;         // its result was looked at
    struct postgres_query *next_sent;
};

// --- what went wrong -----------------------------------------------------------------------------

// Shut down, crashed, connection lost, out of space, input/output error, damaged.
static bool
is_in_doubt(const char *state)
{
    static const char *const states[] = {"08", "57P", "53100", "58030", "XX001", "XX002"};
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        if (strncmp(state, states[i], strlen(states[i])) == 0) {
            return true;
        }
    }
    return false;
}

static const char *
hint_for(const char *state)
{
    static const struct {
        const char *state, *hint;
    } hints[] = {
        {"53100", "The database server's disk is full: free some space, then run 'dispatcher "
                  "resume'."},
        {"53300", "The server has no connection left: raise max_connections, or run fewer "
                  "replicas."},
        {"58030", "The database server's disk reported an error; look at its log, then run "
                  "'dispatcher resume'."},
        {"XX00", "The database is damaged: restore it from a backup ('dispatcher restore')."},
        {"55P03", "Another connection kept what it needs locked for more than 10 seconds; find it "
                  "in pg_stat_activity, or try again."},
        {"57014", "It took longer than the statement timeout; look at the server's load, or try "
                  "again."},
        {"40", "Another transaction was in its way: try again."},
        {"42501", "The role of the URL needs to own the database's tables."},
        {"25006", "This is a read-only standby: name the primary."},
        {"22021", "Only text in UTF-8 can be kept."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(hints); i++) {
        if (strncmp(state, hints[i].state, strlen(hints[i].state)) == 0) {
            return hints[i].hint;
        }
    }
    return NULL;
}

struct error *
postgres_error(struct store *store, const char *doing, const char *state, const char *message)
{
    bool lost = store->postgres->conn == NULL || PQstatus(store->postgres->conn) != CONNECTION_OK;
    store->broken = store->broken || lost || is_in_doubt(state);
    struct str line = {0}, rest = {0};
    struct buf clean CLEANUP(buf_done) = BUF_INIT(2 * MESSAGE_MAX);
    (void)str_cut(str_of(message), '\n', &line, &rest); // the next ones are guesses and positions
    if (str_starts(line, STR("FATAL:"))) {
        line = str_trim(str_skip(line, strlen("FATAL:")));
    }
    text_clean(line, MESSAGE_MAX, &clean);
    struct error *err =
        error_new(ERROR_STORAGE, "%s journal '%s': %s", doing, store->path, buf_cstr(&clean));
    const char *hint = hint_for(state);
    if (hint == NULL && store->broken) {
        hint = "See why in the server's log; once it answers, run 'dispatcher resume'.";
    }
    return hint != NULL ? error_hint(err, "%s", hint) : err;
}

static struct error *
in_doubt(const struct store *store)
{
    struct error *err = error_new(ERROR_STORAGE,
        "write journal '%s': the connection broke before the answer came, so it is in doubt "
        "whether this was written",
        store->path);
    return error_hint(err, "Look it up before anything is repeated: 'dispatcher resume' does.");
}

static struct error *
failure(struct query *query)
{
    struct store *store = query->store;
    const struct postgres_query *own = query->postgres;
    const char *doing = query->writes ? "write" : "read";
    if (own->problem != NULL) {
        return error_new(ERROR_STORAGE, "%s journal '%s': %s", doing, store->path, own->problem);
    }
    const char *state = PQresultErrorField(own->result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(own->result, PG_DIAG_MESSAGE_PRIMARY);
    // A server that goes down may still have said so: what it said is not about this statement.
    bool answered = state != NULL && PQstatus(store->postgres->conn) == CONNECTION_OK;
    if (own->decides && !answered) {
        store->broken = true;
        return in_doubt(store);
    }
    return postgres_error(store, doing, state != NULL ? state : "",
        message != NULL ? message : PQerrorMessage(store->postgres->conn));
}

// --- statements ----------------------------------------------------------------------------------

static void
fail(struct query *query, const char *problem)
{
    query->failed = true;
    query->postgres->problem = problem;
}

static void
init(struct query *query, const char *sql)
{
    query->postgres = xcalloc(1, sizeof(*query->postgres));
    query->postgres->sql = sql;
    query->postgres->row = -1;
    query->writes = strncmp(sql, "SELECT", 6) != 0 && strncmp(sql, "PRAGMA", 6) != 0;
}

static void
free_query(struct postgres_query *own)
{
    PQclear(own->result);
    free(own);
}

static bool
is_fine(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

// One statement's answers, to the end of them: the first one is its result.
static void
take_result(PGconn *conn, struct postgres_query *own)
{
    own->result = PQgetResult(conn);
    for (PGresult *more = own->result; more != NULL;) {
        more = PQgetResult(conn);
        PQclear(more);
    }
}

// Everything that was sent is answered. What follows a failure is not run by the server, so that it
// fails as well.
static void
collect(struct postgres *postgres)
{
    struct postgres_query *own = postgres->first_sent;
    if (own == NULL) {
        return;
    }
    (void)PQpipelineSync(postgres->conn); // a connection that broke shows in the results
    PGresult *cause = NULL;               // why what follows it was not run
    for (struct postgres_query *next = NULL; own != NULL; own = next) {
        next = own->next_sent;
        take_result(postgres->conn, own);
        own->next_sent = NULL;
        if (cause != NULL && PQresultStatus(own->result) == PGRES_PIPELINE_ABORTED) {
            PQclear(own->result);
            own->result = cause;
            cause = NULL;
        }
        if (own->loose && !is_fine(own->result) && cause == NULL) {
            cause = own->result;
            own->result = NULL;
        }
        if (own->loose) {
            free_query(own);
        }
    }
    PQclear(cause);
    postgres->first_sent = postgres->last_sent = NULL;
    PQclear(PQgetResult(postgres->conn)); // of the synchronisation itself
    (void)PQexitPipelineMode(postgres->conn);
}

static bool
is_pending(const struct postgres *postgres, const struct postgres_query *own)
{
    return own->sent && (own->next_sent != NULL || postgres->last_sent == own);
}

static void
done(struct query *query)
{
    if (query->postgres != NULL) {
        if (is_pending(query->store->postgres, query->postgres)) {
            collect(query->store->postgres);
        }
        free_query(query->postgres);
        query->postgres = NULL;
    }
}

static void
bind(struct query *query, Oid type, const char *value)
{
    struct postgres_query *own = query->postgres;
    BUG_ON(own->count >= PARAMETERS_MAX);
    own->types[own->count] = type;
    own->values[own->count++] = value;
}

static void
text(struct query *query, const char *value)
{
    if (value != NULL && strlen(value) > VALUE_MAX) {
        fail(query, "string or blob too big");
        return;
    }
    bind(query, TYPE_TEXT, value);
}

static void
number(struct query *query, bool present, int64_t value)
{
    char *text_of = query->postgres->numbers[query->postgres->count % PARAMETERS_MAX];
    (void)snprintf(text_of, NUMBER_MAX, "%" PRId64, value);
    bind(query, TYPE_INT8, present ? text_of : NULL);
}

// FNV-1a
static size_t
hash_of(const char *text_of)
{
    uint32_t hash = 2166136261U;
    for (; *text_of != '\0'; text_of++) {
        hash = (hash ^ (unsigned char)*text_of) * 16777619U;
    }
    return hash;
}

// The slot of this statement, or the free one that it would get.
static size_t
slot_of(const struct postgres *postgres, const char *key)
{
    size_t slot = hash_of(key) % POSTGRES_STATEMENTS;
    while (postgres->statements[slot] != NULL && strcmp(postgres->statements[slot], key) != 0) {
        slot = (slot + 1) % POSTGRES_STATEMENTS;
    }
    return slot;
}

// The same text with other types is another statement.
static char *
key_of(const struct postgres_query *own)
{
    char kinds[PARAMETERS_MAX + 1] = {0};
    for (int i = 0; i < own->count; i++) {
        kinds[i] = own->types[i] == TYPE_INT8 ? 'n' : 't';
    }
    return xasprintf("%s %s", kinds, own->sql);
}

// Prepared for the first time; a failure is the query's result.
static bool
prepare(struct query *query, const char *name)
{
    struct postgres_query *own = query->postgres;
    struct buf sql CLEANUP(buf_done) = BUF_INIT(STATEMENT_MAX);
    dialect_postgres(own->sql, &sql);
    BUG_ON(sql.failed);
    PGresult *result =
        PQprepare(query->store->postgres->conn, name, buf_cstr(&sql), own->count, own->types);
    if (is_fine(result)) {
        PQclear(result);
        return true;
    }
    own->result = result;
    return false;
}

// Its name, prepared if need be; false: that failed.
static bool
find_statement(struct query *query, char name[NUMBER_MAX])
{
    struct postgres *postgres = query->store->postgres;
    char *key CLEANUP(xfreep) = key_of(query->postgres);
    size_t slot = slot_of(postgres, key);
    name[0] = '\0';
    if (postgres->statements[slot] != NULL) {
        (void)snprintf(name, NUMBER_MAX, "s%zu", slot);
        return true;
    }
    collect(postgres); // preparing waits for its answer
    if (postgres->count >= POSTGRES_STATEMENTS / 2) {
        return prepare(query, name); // more texts than any version has: the table stays small
    }
    (void)snprintf(name, NUMBER_MAX, "s%zu", slot);
    if (!prepare(query, name)) {
        return false;
    }
    postgres->statements[slot] = key;
    postgres->count++;
    key = NULL;
    return true;
}

static void
execute_prepared(struct query *query)
{
    struct postgres_query *own = query->postgres;
    char name[NUMBER_MAX];
    if (find_statement(query, name)) {
        own->result = PQexecPrepared(
            query->store->postgres->conn, name, own->count, own->values, NULL, NULL, 0);
    }
}

// BEGIN, COMMIT and what changes the schema run once, or are as cheap without a name.
static void
execute_plain(struct query *query)
{
    struct postgres_query *own = query->postgres;
    struct buf sql CLEANUP(buf_done) = BUF_INIT(STATEMENT_MAX);
    dialect_postgres(own->sql, &sql);
    BUG_ON(sql.failed);
    own->result =
        PQexecParams(query->store->postgres->conn, buf_cstr(&sql), 0, NULL, NULL, NULL, NULL, 0);
}

static bool
changes_rows(const char *sql)
{
    return strncmp(sql, "INSERT", 6) == 0 || strncmp(sql, "UPDATE", 6) == 0 ||
           strncmp(sql, "DELETE", 6) == 0;
}

static void
judge(struct query *query)
{
    struct postgres_query *own = query->postgres;
    bool commits = strcmp(own->sql, "COMMIT") == 0;
    if (!is_fine(own->result)) {
        const char *state = PQresultErrorField(own->result, PG_DIAG_SQLSTATE);
        query->failed = true;
        query->conflict = state != NULL && strcmp(state, "23505") == 0; // unique_violation
    } else if (commits && strcmp(PQcmdStatus(own->result), "COMMIT") != 0) {
        fail(query, "the transaction had failed and was rolled back"); // answered with ROLLBACK
    } else if (query->writes) {
        query->changes = strtoll(PQcmdTuples(own->result), NULL, 10);
    }
}

static bool
is_plain(const struct query *query)
{
    return query->postgres->count == 0 && query->writes;
}

static void
execute(struct query *query)
{
    struct postgres_query *own = query->postgres;
    bool alone = PQtransactionStatus(query->store->postgres->conn) == PQTRANS_IDLE;
    own->decides = strcmp(own->sql, "COMMIT") == 0 || (alone && changes_rows(own->sql));
    if (is_plain(query)) {
        execute_plain(query);
    } else {
        execute_prepared(query);
    }
}

static bool
send_plain(struct query *query)
{
    struct buf sql CLEANUP(buf_done) = BUF_INIT(STATEMENT_MAX);
    dialect_postgres(query->postgres->sql, &sql);
    BUG_ON(sql.failed);
    return PQsendQueryParams(
               query->store->postgres->conn, buf_cstr(&sql), 0, NULL, NULL, NULL, NULL, 0) == 1;
}

static bool
send_prepared(struct query *query, const char *name)
{
    const struct postgres_query *own = query->postgres;
    return PQsendQueryPrepared(
               query->store->postgres->conn, name, own->count, own->values, NULL, NULL, 0) == 1;
}

static void
send_query(struct query *query, bool loose)
{
    struct postgres *postgres = query->store->postgres;
    struct postgres_query *own = query->postgres;
    char name[NUMBER_MAX] = "";
    if (!is_plain(query) && !find_statement(query, name)) {
        own->sent = true; // its result says why
        judge(query);
        return;
    }
    bool piping = postgres->first_sent != NULL || PQenterPipelineMode(postgres->conn) == 1;
    if (!piping || !(is_plain(query) ? send_plain(query) : send_prepared(query, name))) {
        query->store->broken = true;
        fail(query, "the connection broke");
        return;
    }
    if (postgres->last_sent != NULL) {
        postgres->last_sent->next_sent = own;
    } else {
        postgres->first_sent = own;
    }
    postgres->last_sent = own;
    own->sent = true;
    own->loose = loose;
    if (loose) {
        query->postgres = NULL; // collect frees it
    }
}

// The end of a transaction, or of a part that failed, is told after all else is known.
static bool
goes_alone(const char *sql)
{
    return strcmp(sql, "COMMIT") == 0 || strncmp(sql, "ROLLBACK", 8) == 0;
}

// What was sent before is answered by the same round trip.
static void
answer(struct query *query)
{
    struct postgres *postgres = query->store->postgres;
    struct postgres_query *own = query->postgres;
    if (!own->sent && postgres->first_sent != NULL && !goes_alone(own->sql)) {
        send_query(query, false);
    }
    collect(postgres);
    if (!query->failed && !own->sent) {
        execute(query);
    }
    if (!query->failed) {
        judge(query);
    }
}

static bool
row(struct query *query)
{
    struct postgres_query *own = query->postgres;
    if (!own->judged) {
        own->judged = true;
        answer(query);
    }
    return !query->failed && ++own->row < PQntuples(own->result);
}

static const char *
get_text(struct query *query, int column)
{
    const struct postgres_query *own = query->postgres;
    return PQgetisnull(own->result, own->row, column) != 0
               ? NULL
               : PQgetvalue(own->result, own->row, column);
}

static int64_t
get_int(struct query *query, int column)
{
    const char *value = get_text(query, column);
    return value == NULL ? 0 : strcmp(value, "t") == 0 ? 1 : strtoll(value, NULL, 10); // true
}

static bool
in_transaction(const struct store *store)
{
    if (store->postgres->first_sent != NULL) {
        return true; // only within one
    }
    PGTransactionStatusType status = PQtransactionStatus(store->postgres->conn);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

static struct error *
lock(struct store *store, const char *name)
{
    unsigned char hash[SHA256_SIZE];
    sha256_of(str_of(name), hash);
    int32_t half = 0;
    memcpy(&half, hash, sizeof(half));
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT pg_advisory_xact_lock(CAST(? AS INT), CAST(? AS INT))");
    query_int(&query, LOCK_CLASS);
    query_int(&query, half);
    return query_run(&query);
}

static void
close_connection(struct store *store)
{
    struct postgres *postgres = store->postgres;
    if (postgres == NULL) {
        return;
    }
    postgres_claims_forget(postgres);
    collect(postgres);
    PQfinish(postgres->conn);
    for (size_t i = 0; i < POSTGRES_STATEMENTS; i++) {
        free(postgres->statements[i]);
    }
    free(postgres);
    store->postgres = NULL;
}

const struct store_driver postgres_driver = {
    .begin = "BEGIN",
    .init = init,
    .done = done,
    .text = text,
    .number = number,
    .row = row,
    .send = send_query,
    .failure = failure,
    .get_text = get_text,
    .get_int = get_int,
    .in_transaction = in_transaction,
    .lock = lock,
    .patience = "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout',"
                " '0', true)",
    .ear = postgres_ear,
    .take_told = postgres_take_told,
    .claim = postgres_claim,
    .release = postgres_release,
    .close = close_connection,
};
