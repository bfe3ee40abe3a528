// Claims on PostgreSQL: advisory locks of the session, which the server drops with the connection.
// A session gets a lock that it has once more, so that the handle keeps a list of its own.
#include "postgres_internal.h"

static struct error *
ask(struct store *store, const char *sql, int64_t number, bool *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    query_int(&query, number);
    bool answer = query_row(&query) && query_get_int(&query, 0) == 1;
    TRY(query_finish(&query));
    *out = answer;
    return NULL;
}

struct error *
postgres_claim(struct store_claim *claim, struct store *store, bool *taken)
{
    TRY(store_check(store));
    for (const struct store_claim *held = store->postgres->claims; held != NULL;
         held = held->next) {
        if (held->number == claim->number) {
            *taken = false;
            return NULL;
        }
    }
    TRY(ask(store, "SELECT pg_try_advisory_lock(?)", claim->number, taken));
    if (*taken) {
        claim->store = store;
        claim->next = store->postgres->claims;
        store->postgres->claims = claim;
    }
    return NULL;
}

void
postgres_release(struct store_claim *claim)
{
    struct store *store = claim->store;
    if (store == NULL) {
        return; // it was denied, or went with its connection
    }
    struct store_claim **at = &store->postgres->claims;
    while (*at != claim) {
        at = &(*at)->next;
    }
    *at = claim->next;
    claim->store = NULL;
    bool released = false;
    struct error *err CLEANUP(error_freep) =
        store->broken ? NULL : ask(store, "SELECT pg_advisory_unlock(?)", claim->number, &released);
    // Nobody else would get it as long as this connection lives: it must not go on.
    store->broken = store->broken || err != NULL || !released;
}

void
postgres_claims_forget(struct postgres *postgres)
{
    for (struct store_claim *held = postgres->claims; held != NULL; held = held->next) {
        held->store = NULL;
    }
    postgres->claims = NULL;
}
