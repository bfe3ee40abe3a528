// What comes once only, what one replica does, who is signed in, small facts.
#include <stdlib.h>

#include "queue_internal.h"

// --- deliveries and tokens -----------------------------------------------------------------------

struct error *
queue_delivery_add(struct store *store, const struct queue_delivery *delivery, bool *is_new)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO deliveries (id, event, hint, at_ms, handled) VALUES (?, ?, ?, ?, 0)"
        " ON CONFLICT (id) DO NOTHING");
    query_text(&query, delivery->id);
    query_text(&query, delivery->event);
    query_text(&query, delivery->hint);
    query_int(&query, delivery->at_ms);
    TRY(query_run(&query));
    *is_new = query_changes(&query) == 1;
    return NULL;
}

struct taken {
    struct queue_delivery delivery;
    int64_t sequence;
};

static int
compare_taken(const void *a, const void *b)
{
    int64_t left = ((const struct taken *)a)->sequence, right = ((const struct taken *)b)->sequence;
    return (left > right) - (left < right);
}

static struct error *
take(struct store *store, size_t max, struct arena *arena, struct taken **out, size_t *count)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE deliveries SET handled = 1 WHERE sequence IN (SELECT sequence FROM deliveries"
        " WHERE handled = 0 ORDER BY sequence LIMIT ? FOR UPDATE SKIP LOCKED) AND handled = 0"
        " RETURNING id, event, hint, at_ms, sequence");
    query_int(&query, max < INT64_MAX ? (int64_t)max : INT64_MAX);
    while (query_row(&query)) {
        *out = store_grow(arena, *out, *count, sizeof(**out));
        (*out)[(*count)++] = (struct taken){
            .delivery = {.id = query_get_text(&query, 0, arena),
                .event = query_get_text(&query, 1, arena),
                .hint = query_get_text(&query, 2, arena),
                .at_ms = query_get_int(&query, 3)},
            .sequence = query_get_int(&query, 4),
        };
    }
    return query_finish(&query);
}

struct error *
queue_deliveries_take(struct store *store, size_t max, struct arena *arena,
    struct queue_delivery **out, size_t *count)
{
    struct taken *taken = NULL;
    size_t length = 0;
    TRY(store_begin(store));
    TRY(store_end(store, take(store, max, arena, &taken, &length)));
    struct queue_delivery *found = arena_array(arena, length + 1, sizeof(*found));
    if (length > 1) { // an UPDATE returns in any order; none is NULL, which qsort does not take
        qsort(taken, length, sizeof(*taken), compare_taken);
    }
    for (size_t i = 0; i < length; i++) {
        found[i] = taken[i].delivery;
    }
    *out = found;
    *count = length;
    return NULL;
}

struct error *
queue_jti_spend(struct store *store, const char *jti, int64_t until_ms, bool *is_new)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO tokens (jti, until_ms) VALUES (?, ?) ON CONFLICT (jti) DO NOTHING");
    query_text(&query, jti);
    query_int(&query, until_ms);
    TRY(query_run(&query));
    *is_new = query_changes(&query) == 1;
    return NULL;
}

static struct error *
insert_token(struct store *store, const char *jti, const char *hash, int64_t until_ms, bool *is_new)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO tokens (jti, until_ms, hash) VALUES (?, ?, ?) ON CONFLICT (jti) DO NOTHING");
    query_text(&query, jti);
    query_int(&query, until_ms);
    query_text(&query, hash);
    TRY(query_run(&query));
    *is_new = query_changes(&query) == 1;
    return NULL;
}

struct error *
queue_token_find(
    struct store *store, const char *jti, const char *hash, enum queue_accepted *outcome)
{
    struct query query CLEANUP(query_done);
    TRY(store_check(store));
    query_init(&query, store,
        "SELECT CASE WHEN hash = ? AND job IS NULL THEN 1 ELSE 0 END FROM tokens WHERE jti = ?");
    query_text(&query, hash);
    query_text(&query, jti);
    bool used = query_row(&query);
    bool same = used && query_get_int(&query, 0) == 1;
    TRY(query_finish(&query));
    *outcome = same ? QUEUE_SAME : used ? QUEUE_REPLAY : QUEUE_NEW;
    return NULL;
}

struct error *
queue_token_spend(struct store *store, const char *jti, const char *hash, int64_t until_ms,
    enum queue_accepted *outcome)
{
    bool is_new = false;
    TRY(store_check(store));
    TRY(insert_token(store, jti, hash, until_ms, &is_new));
    if (!is_new) {
        return queue_token_find(store, jti, hash, outcome);
    }
    *outcome = QUEUE_NEW;
    return NULL;
}

// --- leaders -------------------------------------------------------------------------------------

struct error *
queue_lead(struct store *store, const char *name, const char *owner, int64_t now_ms,
    int64_t lease_ms, bool *leads)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO leader_leases (name, owner, until_ms) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until_ms = excluded.until_ms"
        " WHERE leader_leases.owner = excluded.owner OR leader_leases.until_ms <= ?4");
    query_text(&query, name);
    query_text(&query, owner);
    query_int(&query, now_ms + lease_ms);
    query_int(&query, now_ms);
    TRY(query_run(&query));
    *leads = query_changes(&query) == 1;
    return NULL;
}

struct error *
queue_lead_end(struct store *store, const char *owner)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store, "DELETE FROM leader_leases WHERE owner = ?");
    query_text(&query, owner);
    return query_run(&query);
}

// --- sessions ------------------------------------------------------------------------------------

struct error *
queue_session_add(struct store *store, const struct queue_session *session)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO sessions (hash, login, name, user_id, teams, csrf, created_ms, expires_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    query_text(&query, session->hash);
    query_text(&query, session->login);
    query_text(&query, session->name);
    query_int(&query, session->user_id);
    query_text(&query, session->teams);
    query_text(&query, session->csrf);
    query_int(&query, session->created_ms);
    query_int(&query, session->expires_ms);
    return query_run(&query);
}

struct error *
queue_session_get(struct store *store, const char *hash, int64_t now_ms, struct arena *arena,
    struct queue_session **out)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT hash, login, name, user_id, teams, csrf, created_ms, expires_ms FROM sessions"
        " WHERE hash = ? AND expires_ms > ?");
    query_text(&query, hash);
    query_int(&query, now_ms);
    struct queue_session *found = NULL;
    if (query_row(&query)) {
        found = arena_alloc(arena, sizeof(*found));
        *found = (struct queue_session){
            .hash = query_get_text(&query, 0, arena),
            .login = query_get_text(&query, 1, arena),
            .name = query_get_text(&query, 2, arena),
            .user_id = query_get_int(&query, 3),
            .teams = query_get_text(&query, 4, arena),
            .csrf = query_get_text(&query, 5, arena),
            .created_ms = query_get_int(&query, 6),
            .expires_ms = query_get_int(&query, 7),
        };
    }
    TRY(query_finish(&query));
    *out = found;
    return NULL;
}

struct error *
queue_session_drop(struct store *store, const char *hash)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store, "DELETE FROM sessions WHERE hash = ?");
    query_text(&query, hash);
    return query_run(&query);
}

// --- facts ---------------------------------------------------------------------------------------

struct error *
queue_fact_get(struct store *store, const char *name, struct arena *arena, const char **out)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT value FROM facts WHERE name = ?");
    query_text(&query, name);
    const char *value = query_row(&query) ? query_get_text(&query, 0, arena) : NULL;
    TRY(query_finish(&query));
    *out = value;
    return NULL;
}

struct error *
queue_fact_set(struct store *store, const char *name, const char *value)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO facts (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value");
    query_text(&query, name);
    query_text(&query, value);
    return query_run(&query);
}
