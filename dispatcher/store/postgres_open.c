// Opening a database of PostgreSQL: how the connection is made, which servers are accepted, and
// that one of several replicas brings the schema up to date (protocols.md §7.4). Knows nothing of
// what is stored in it.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "postgres_internal.h"

enum { SERVER_MIN = 150000, PARAMETERS_MAX = 80 };

#define MIGRATION_LOCK "schema"

// How libpq is told to connect (it sees none of the PG* variables, cli/process.c); the first value
// of a keyword stands, so what must hold comes first.
struct parameters {
    const char *keywords[PARAMETERS_MAX + 1], *values[PARAMETERS_MAX + 1];
    size_t count;
};

static void
add(struct parameters *parameters, const char *keyword, const char *value)
{
    for (size_t i = 0; i < parameters->count; i++) {
        if (strcmp(parameters->keywords[i], keyword) == 0) {
            return;
        }
    }
    BUG_ON(parameters->count >= PARAMETERS_MAX);
    parameters->keywords[parameters->count] = keyword;
    parameters->values[parameters->count++] = value;
}

static void
choose(const struct postgres_target *target, struct parameters *out)
{
    // The document's text is UTF-8. Kerberos' encryption would take the place of TLS and its names.
    add(out, "client_encoding", "UTF8");
    add(out, "gssencmode", "disable");
    if (!target->local) {
        add(out, "sslmode", "verify-full");
        add(out, "ssl_min_protocol_version", "TLSv1.2");
    }
    for (const PQconninfoOption *option = target->options; option->keyword != NULL; option++) {
        if (option->val != NULL && option->val[0] != '\0') {
            add(out, option->keyword, option->val);
        }
    }
    add(out, "fallback_application_name", "dispatcher");
    add(out, "target_session_attrs", "read-write");
    add(out, "connect_timeout", "5");
    // A network that swallows packets ends in an error, not in silence.
    add(out, "keepalives_idle", "10");
    add(out, "keepalives_interval", "5");
    add(out, "keepalives_count", "3");
    add(out, "tcp_user_timeout", "30000");
}

static void
ignore_notice(void *ctx, const char *message)
{
    (void)ctx, (void)message;
}

static struct error *
connect_to(struct store *store, const struct postgres_target *target)
{
    struct parameters parameters = {0};
    choose(target, &parameters);
    store->postgres->conn = PQconnectdbParams(parameters.keywords, parameters.values, 0);
    PGconn *conn = store->postgres->conn;
    if (PQstatus(conn) != CONNECTION_OK) {
        const char *message = PQerrorMessage(conn);
        bool certificate = strstr(message, "certificate") != NULL;
        return error_hint(postgres_error(store, "open", "", message), "%s",
            certificate ? "Name the file with the authority's certificate with '?sslrootcert=FILE'."
                        : "Is the server up, and does the URL name the right host, database and "
                          "role? A password can stand in ~/.pgpass, or in '?passfile=FILE'.");
    }
    (void)PQsetNoticeProcessor(conn, ignore_notice, NULL);
    const char *address = PQhostaddr(conn);
    if (target->local && address != NULL && address[0] != '\0' && !url_host_is_loopback(address)) {
        return postgres_error(store, "open", "", "it is on another machine than the URL says");
    }
    return NULL;
}

// --- which servers are accepted ------------------------------------------------------------------

// Claims go with the connection, so the server has to see when this machine is gone.
#define SETTINGS                                                                                   \
    "SELECT set_config('statement_timeout', '30s', false), set_config('lock_timeout', '10s',"      \
    " false), set_config('idle_in_transaction_session_timeout', '60s', false),"                    \
    " set_config('default_transaction_isolation', 'read committed', false),"                       \
    " set_config('client_connection_check_interval', '10s', false),"                               \
    " set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5',"  \
    " false), set_config('tcp_keepalives_count', '3', false)"

static struct error *
refuse(const struct store *store, const char *why, const char *hint)
{
    return error_hint(error_new(ERROR_STORAGE, "journal '%s': %s", store->path, why), "%s", hint);
}

static struct error *
read_text(struct store *store, const char *sql, struct arena *arena, const char **out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    const char *text = query_row(&query) ? query_get_text(&query, 0, arena) : NULL;
    TRY(query_finish(&query));
    *out = text;
    return NULL;
}

static struct error *
check_server(struct store *store)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *commit = NULL, *sync = NULL, *schema = NULL, *ignored = NULL;
    if (PQserverVersion(store->postgres->conn) < SERVER_MIN) {
        return refuse(store, "the server is older than PostgreSQL 15",
            "Name a database of PostgreSQL 15 or newer.");
    }
    if (!cstr_equal(PQparameterStatus(store->postgres->conn, "server_encoding"), "UTF8")) {
        return refuse(store, "the database's encoding is not UTF8",
            "Create one with: createdb --encoding=UTF8 --template=template0.");
    }
    TRY(read_text(store, SETTINGS, arena, &ignored));
    TRY(read_text(store, "SELECT current_setting('synchronous_commit')", arena, &commit));
    TRY(read_text(store, "SELECT current_setting('fsync')", arena, &sync));
    TRY(read_text(store, "SELECT current_schema()", arena, &schema));
    if (!cstr_equal(commit, "on") && !cstr_equal(commit, "remote_apply")) {
        return refuse(store, "'synchronous_commit' is not 'on', so what is answered may be lost",
            "Set it to 'on' for this role: ALTER ROLE … SET synchronous_commit = on.");
    }
    if (!cstr_equal(sync, "on")) {
        return refuse(store, "the server runs with 'fsync' off, so what is answered may be lost",
            "Set 'fsync = on' in postgresql.conf.");
    }
    return schema != NULL ? NULL
                          : refuse(store, "there is no schema to create tables in",
                                "Create the one that 'search_path' names.");
}

// --- whose database it is, and of which age ------------------------------------------------------

#define OUR_SCHEMA                                                                                 \
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"         \
    " WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')"
// Extensions put their tables beside others'.
#define COUNT_TABLES                                                                               \
    "SELECT count(*)" OUR_SCHEMA " AND NOT EXISTS"                                                 \
    " (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
#define COUNT_META                                                                                 \
    "SELECT count(*)" OUR_SCHEMA " AND c.relname = 'meta' AND 2 = (SELECT count(*)"                \
    " FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ('name', 'value'))"

static struct error *
read_int(struct store *store, const char *sql, int64_t *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    if (query_row(&query)) {
        *out = query_get_int(&query, 0);
    }
    return query_finish(&query);
}

static struct error *
check_identity(struct store *store, int64_t *version)
{
    int64_t tables = 0, meta = 0, application = 0, found = 0;
    TRY(read_int(store, COUNT_TABLES, &tables));
    TRY(read_int(store, COUNT_META, &meta));
    if (meta > 0) {
        TRY(read_int(store, "PRAGMA application_id", &application));
        TRY(read_int(store, "PRAGMA user_version", &found));
    }
    if (tables > 0 && application != STORE_APPLICATION_ID) {
        return refuse(store, "it is a database of another program",
            "Give the journal a database of its own, or a schema of its own with "
            "'?options=-csearch_path%3DNAME'.");
    }
    if (tables > 0 && found < 1) {
        return refuse(store, "it is damaged: its schema version is gone",
            "Restore it from a backup ('dispatcher restore').");
    }
    if (found > store_schema_version) {
        struct error *err = error_new(ERROR_STORAGE,
            "journal '%s' has schema %lld, but this dispatcher knows %d at most", store->path,
            (long long)found, store_schema_version);
        return error_hint(err, "A newer dispatcher wrote it: update this one.");
    }
    *version = found;
    return NULL;
}

// Within a transaction, and without the timeouts of every day: old tables may be long.
static struct error *
migrate_locked(struct store *store)
{
    int64_t version = 0;
    TRY(store_be_patient(store));
    TRY(store_lock(store, MIGRATION_LOCK));
    TRY(check_identity(store, &version)); // once more: others may have been here meanwhile
    TRY(store_run(store, "CREATE TABLE IF NOT EXISTS meta (name TEXT NOT NULL PRIMARY KEY,"
                         " value INTEGER NOT NULL)"));
    return store_migrate(store, store_schema_version);
}

static struct error *
open_checked(struct store *store, const struct postgres_target *target)
{
    int64_t version = 0;
    TRY(connect_to(store, target));
    TRY(check_server(store));
    TRY(check_identity(store, &version));
    if (store->only_new && version > 0 && version < store_schema_version) {
        return error_new(ERROR_CONFLICT, "'%s' is not empty: it has schema %lld", store->path,
            (long long)version);
    }
    if (version < store_schema_version && !(store->keeps_schema && version > 0)) {
        TRY(store_begin(store));
        TRY(store_end(store, migrate_locked(store)));
    }
    return NULL;
}

struct error *
postgres_open(struct store *store, const char *url)
{
    struct postgres_target target CLEANUP(postgres_target_done) = {0};
    TRY(postgres_library_load());
    PQinitOpenSSL(0, 0); // it needs no setting up, and must not read openssl.cnf
    TRY(postgres_target_parse(url, &target));
    store->driver = &postgres_driver;
    store->path = xstrdup(target.name);
    store->postgres = xcalloc(1, sizeof(*store->postgres));
    return open_checked(store, &target);
}
