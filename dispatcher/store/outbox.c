// Notices into the outbox, and how an attempt to deliver one begins and ends. Which notice comes
// next, and the lanes, are outbox_queue.c's. Targets, bodies and references are opaque text here.
#include "outbox_internal.h"

// A card keeps its place in the queue, and a delivery under way its state: store_outbox_end sees
// that the body is newer by then.
#define CARD_UPDATE                                                                                \
    "UPDATE outbox SET target = ?2, lane = ?3, body = ?4, priority = ?5, kind = ?6,"               \
    " revision = revision + 1, state = CASE state WHEN 'begun' THEN 'begun' ELSE 'waiting' END,"   \
    " due_ms = CASE WHEN sent_ms + ?8 > ?7 THEN sent_ms + ?8 ELSE ?7 END WHERE key = ?1 AND "      \
    "(body <> ?4 OR target <> ?2)"

static struct error *
update_card(struct store *store, const struct store_notice *notice, int64_t now_ms)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, CARD_UPDATE);
    query_text(&query, notice->key);
    query_text(&query, notice->target);
    query_text(&query, notice->lane);
    query_text(&query, notice->body);
    query_int(&query, notice->priority);
    query_text(&query, notice->kind);
    query_int(&query, now_ms);
    query_int(&query, notice->rest_ms);
    return query_run(&query);
}

static struct error *
insert(struct store *store, const struct store_notice *notice, int64_t now_ms)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO outbox (key, deployment, sink, lane, kind, target, body, after_key, priority,"
        " revision, state, created_ms, due_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 'waiting', "
        "?10, ?10) ON CONFLICT (key) DO NOTHING");
    query_text(&query, notice->key);
    query_text(&query, notice->deployment);
    query_text(&query, notice->sink);
    query_text(&query, notice->lane);
    query_text(&query, notice->kind);
    query_text(&query, notice->target);
    query_text(&query, notice->body);
    query_text(&query, notice->after);
    query_int(&query, notice->priority);
    query_int(&query, now_ms);
    return query_run(&query);
}

static struct error *
add(struct store *store, const struct store_notice *notices, size_t count, int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        const struct store_notice *notice = &notices[i];
        if (notice->replaces) {
            TRY(update_card(store, notice, now_ms));
        }
        if (!notice->update_only) {
            TRY(insert(store, notice, now_ms));
        }
    }
    return NULL;
}

// By hand: what was delivered, or refused, is due once more.
static struct error *
raise(struct store *store, const struct store_notice *notices, size_t count, int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        struct query query CLEANUP(query_done);
        query_init(&query, store,
            "UPDATE outbox SET state = 'waiting', revision = revision + 1, body = ?, target = ?,"
            " lane = ?, due_ms = ? WHERE key = ? AND state IN ('sent', 'refused')");
        query_text(&query, notices[i].body);
        query_text(&query, notices[i].target);
        query_text(&query, notices[i].lane);
        query_int(&query, now_ms);
        query_text(&query, notices[i].key);
        TRY(query_run(&query));
    }
    return NULL;
}

struct error *
store_insert_telling(struct store *store, const struct store_deployment *row,
    const struct store_notice *notices, size_t count, int64_t now_ms)
{
    TRY(store_begin(store));
    struct error *err = deployments_insert(store, row);
    return store_end(store, err != NULL ? err : add(store, notices, count, now_ms));
}

struct error *
store_save_telling(struct store *store, const struct store_deployment *row,
    const struct store_step *step, const struct store_notice *notices, size_t count, int64_t now_ms)
{
    TRY(store_begin(store));
    struct error *err = deployments_update(store, row, step);
    return store_end(store, err != NULL ? err : add(store, notices, count, now_ms));
}

struct error *
store_outbox_add(struct store *store, const struct store_notice *notices, size_t count, bool again,
    int64_t now_ms)
{
    TRY(store_begin(store));
    struct error *err = again ? raise(store, notices, count, now_ms) : NULL;
    return store_end(store, err != NULL ? err : add(store, notices, count, now_ms));
}

// --- attempts ------------------------------------------------------------------------------------

static struct error *
put_lane(struct store *store, const struct store_lane *lane)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO lanes (name, rest_until_ms, short_ms, long_ms, failures, problem, hint,"
        " trouble_since_ms, sink) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET rest_until_ms = excluded.rest_until_ms,"
        " short_ms = excluded.short_ms, long_ms = excluded.long_ms,"
        " failures = excluded.failures, problem = excluded.problem, hint = excluded.hint,"
        " trouble_since_ms = excluded.trouble_since_ms, sink = excluded.sink");
    query_text(&query, lane->name);
    query_int(&query, lane->rest_until_ms);
    query_int(&query, lane->short_ms);
    query_int(&query, lane->long_ms);
    query_int(&query, lane->failures);
    query_text(&query, lane->problem);
    query_text(&query, lane->hint);
    query_int(&query, lane->trouble_since_ms);
    query_text(&query, lane->sink);
    return query_run(&query);
}

static struct error *
begin(struct store *store, const struct store_outbox_row *row, int64_t now_ms)
{
    struct query query CLEANUP(query_done);
    // The doubt, and since when, stay those of the first attempt that may have arrived.
    query_init(&query, store,
        "UPDATE outbox SET attempts = attempts + 1,"
        " in_doubt = CASE WHEN in_doubt = 1 OR state = 'begun' THEN 1 ELSE 0 END,"
        " begun_ms = CASE WHEN in_doubt = 1 OR state = 'begun' THEN begun_ms ELSE ? END,"
        " state = 'begun' WHERE id = ?");
    query_int(&query, now_ms);
    query_int(&query, row->id);
    return query_run(&query);
}

struct error *
store_outbox_begin(struct store *store, const struct store_outbox_row *row,
    const struct store_lane *lane, int64_t now_ms)
{
    TRY(store_begin(store));
    struct error *err = begin(store, row, now_ms);
    return store_end(store, err != NULL ? err : put_lane(store, lane));
}

static const char *const ending_words[] = {
    [STORE_OUTBOX_DELIVERED] = "sent",
    [STORE_OUTBOX_FAILED] = "waiting",
    [STORE_OUTBOX_REFUSED] = "refused",
    [STORE_OUTBOX_DETACHED] = "detached",
};

static struct error *
end(struct store *store, const struct store_outbox_row *row, const struct store_outbox_end *how,
    int64_t now_ms)
{
    struct query query CLEANUP(query_done);
    // What was sent or refused is an older body when another one came meanwhile.
    query_init(&query, store,
        "UPDATE outbox SET"
        " state = CASE WHEN ?2 IN ('sent', 'refused') AND revision = ?3 THEN ?2 ELSE 'waiting' END,"
        " in_doubt = ?4, sent_ms = CASE ?2 WHEN 'sent' THEN ?5 ELSE sent_ms END,"
        " reference = CASE ?2 WHEN 'detached' THEN NULL ELSE coalesce(?6, reference) END,"
        " problem = ?7 WHERE id = ?1");
    query_int(&query, row->id);
    query_text(&query, ending_words[how->ending]);
    query_int(&query, row->revision);
    query_int(&query, how->ending == STORE_OUTBOX_FAILED && how->in_doubt ? 1 : 0);
    query_int(&query, now_ms);
    query_text(&query, how->reference);
    query_text(&query, how->problem);
    return query_run(&query);
}

struct error *
store_outbox_end(struct store *store, const struct store_outbox_row *row,
    const struct store_outbox_end *how, const struct store_lane *lane, int64_t now_ms)
{
    TRY(store_begin(store));
    struct error *err = end(store, row, how, now_ms);
    return store_end(store, err != NULL ? err : put_lane(store, lane));
}
