// What others told this connection (LISTEN): libpq keeps it until it is taken.
#include "postgres_internal.h"

int
postgres_ear(const struct store *store)
{
    return PQsocket(store->postgres->conn);
}

struct error *
postgres_take_told(struct store *store, void (*heard)(void *ctx, const char *about), void *ctx)
{
    PGconn *conn = store->postgres->conn;
    if (PQconsumeInput(conn) != 1) {
        return postgres_error(store, "read", "", PQerrorMessage(conn));
    }
    for (PGnotify *told = PQnotifies(conn); told != NULL; told = PQnotifies(conn)) {
        if (told->be_pid != PQbackendPID(conn)) {
            heard(ctx, told->extra);
        }
        PQfreemem(told);
    }
    return NULL;
}
