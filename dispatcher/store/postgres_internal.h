// Shared by the files that talk to PostgreSQL.
#pragma once

#include "dispatcher/secret.h"
#include "postgres_library.h"
#include "store_internal.h"

enum { POSTGRES_STATEMENTS = 512 }; // slots of the table; a power of two

struct postgres {
    PGconn *conn;
    char *statements[POSTGRES_STATEMENTS]; // prepared: types and text; its name is its slot
    size_t count;
    struct store_claim *claims; // that are held
    // Sent and not answered yet, in that order; the connection is in pipeline mode while there is
    // any.
    struct postgres_query *first_sent, *last_sent;
};

// Where a URL leads, checked (postgres_url.c).
struct postgres_target {
    PQconninfoOption *options; // libpq's list, owned
    char *name;                // "postgresql://host/database": for people
    bool local;                // every host is this machine
};
/// ERROR_STORAGE without a word of the URL's own, since it may hold a password.
NODISCARD struct error *postgres_target_parse(const char *url, struct postgres_target *out);
void postgres_target_done(struct postgres_target *target);

/// "write journal 'postgresql://…': …" with the hint that fits `state` (SQLSTATE, "" when there is
/// none). Marks the store broken where the connection or the database is.
struct error *postgres_error(struct store *store, const char *doing, const char *state,
    const char *message) __attribute__((returns_nonnull));

// postgres_hints.c
int postgres_ear(const struct store *store);
NODISCARD struct error *postgres_take_told(
    struct store *store, void (*heard)(void *ctx, const char *about), void *ctx);

// postgres_claim.c
NODISCARD struct error *postgres_claim(struct store_claim *claim, struct store *store, bool *taken);
void postgres_release(struct store_claim *claim);
/// The connection is about to go, and every lock with it.
void postgres_claims_forget(struct postgres *postgres);
