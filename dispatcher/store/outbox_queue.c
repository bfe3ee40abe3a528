// What is due: lanes, the next notice of one, and lists for people. Writes nothing but what
// `discard` drops.
#include <string.h>

#include "outbox_internal.h"

enum { LIST_MAX = 1000 };
// A lane that claims to rest for longer met a clock that has since gone back.
#define REST_LIMIT "86400000"

#define RESTS "(l.rest_until_ms > ?1 AND l.rest_until_ms < ?1 + " REST_LIMIT ")"
#define UNDELIVERED "o.state IN ('waiting', 'begun')"
// What it comes after is there, or never will be.
#define ITS_TURN                                                                                   \
    "(o.after_key IS NULL OR NOT EXISTS (SELECT 1 FROM outbox a WHERE a.key = o.after_key"         \
    " AND a.sent_ms = 0 AND a.state <> 'refused'))"

#define COLUMNS                                                                                    \
    "o.id, o.key, o.deployment, o.sink, o.lane, o.kind, o.target, o.body, o.after_key,"            \
    " o.priority, o.revision, o.state, o.in_doubt, o.attempts, o.reference, o.problem,"            \
    " o.created_ms, o.begun_ms, o.sent_ms, o.due_ms,"                                              \
    " (SELECT a.reference FROM outbox a WHERE a.key = o.after_key)"

struct error *
store_outbox_lanes(
    struct store *store, int64_t now_ms, struct arena *arena, const char ***names, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT w.lane FROM (SELECT DISTINCT lane FROM outbox o WHERE " UNDELIVERED
        ") w LEFT JOIN lanes l ON l.name = w.lane WHERE NOT coalesce(" RESTS ", FALSE)"
        " AND EXISTS (SELECT 1 FROM outbox o WHERE o.lane = w.lane AND " UNDELIVERED
        " AND o.due_ms <= ?1 AND " ITS_TURN ") ORDER BY coalesce(l.rest_until_ms, 0), w.lane");
    query_int(&query, now_ms);
    const char **found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = query_get_text(&query, 0, arena);
    }
    TRY(query_finish(&query));
    *names = found;
    *count = length;
    return NULL;
}

static enum store_notice_state
state_of(const char *word)
{
    return strcmp(word, "begun") == 0     ? STORE_NOTICE_BEGUN
           : strcmp(word, "sent") == 0    ? STORE_NOTICE_SENT
           : strcmp(word, "refused") == 0 ? STORE_NOTICE_REFUSED
                                          : STORE_NOTICE_WAITING;
}

static struct store_outbox_row
read_row(struct query *query, struct arena *arena)
{
    enum store_notice_state state = state_of(query_get_text(query, 11, arena));
    return (struct store_outbox_row){
        .id = query_get_int(query, 0),
        .notice = {.key = query_get_text(query, 1, arena),
            .deployment = query_get_text(query, 2, arena),
            .sink = query_get_text(query, 3, arena),
            .lane = query_get_text(query, 4, arena),
            .kind = query_get_text(query, 5, arena),
            .target = query_get_text(query, 6, arena),
            .body = query_get_text(query, 7, arena),
            .after = query_get_text(query, 8, arena),
            .priority = (int)query_get_int(query, 9)},
        .revision = query_get_int(query, 10),
        .state = state,
        .began = state == STORE_NOTICE_BEGUN || query_get_int(query, 12) != 0,
        .attempts = query_get_int(query, 13),
        .reference = query_get_text(query, 14, arena),
        .problem = query_get_text(query, 15, arena),
        .created_ms = query_get_int(query, 16),
        .begun_ms = query_get_int(query, 17),
        .sent_ms = query_get_int(query, 18),
        .due_ms = query_get_int(query, 19),
        .after_reference = query_get_text(query, 20, arena),
    };
}

struct error *
store_outbox_next(struct store *store, const char *lane, int64_t now_ms, struct arena *arena,
    struct store_outbox_row **out)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT " COLUMNS " FROM outbox o WHERE " UNDELIVERED
        " AND o.due_ms <= ?1 AND o.lane = ?2 AND " ITS_TURN
        // One that fails again and again lets others go first: it may be the only bad one.
        " ORDER BY o.priority DESC, o.attempts / 5, o.id LIMIT 1");
    query_int(&query, now_ms);
    query_text(&query, lane);
    struct store_outbox_row *found = NULL;
    if (query_row(&query)) {
        found = arena_array(arena, 1, sizeof(*found));
        *found = read_row(&query, arena);
    }
    TRY(query_finish(&query));
    *out = found;
    return NULL;
}

struct error *
store_outbox_due(struct store *store, int64_t now_ms, int64_t *out_ms)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT count(*), min(CASE WHEN coalesce(" RESTS
        ", FALSE) AND l.rest_until_ms > o.due_ms THEN l.rest_until_ms ELSE o.due_ms END) FROM "
        "outbox o LEFT JOIN lanes l ON l.name = o.lane"
        " WHERE " UNDELIVERED " AND " ITS_TURN);
    query_int(&query, now_ms);
    int64_t due = INT64_MAX;
    if (query_row(&query) && query_get_int(&query, 0) > 0) {
        due = query_get_int(&query, 1);
    }
    TRY(query_finish(&query));
    *out_ms = due;
    return NULL;
}

// --- lanes ---------------------------------------------------------------------------------------

#define LANE_COLUMNS                                                                               \
    "l.name, l.rest_until_ms, l.short_ms, l.long_ms, l.failures, l.problem, l.hint,"               \
    " l.trouble_since_ms, l.sink"

static struct store_lane
read_lane(struct query *query, struct arena *arena)
{
    return (struct store_lane){
        .name = query_get_text(query, 0, arena),
        .rest_until_ms = query_get_int(query, 1),
        .short_ms = query_get_int(query, 2),
        .long_ms = query_get_int(query, 3),
        .failures = query_get_int(query, 4),
        .problem = query_get_text(query, 5, arena),
        .hint = query_get_text(query, 6, arena),
        .trouble_since_ms = query_get_int(query, 7),
        .sink = query_get_text(query, 8, arena),
    };
}

struct error *
store_lane_get(struct store *store, const char *name, struct arena *arena, struct store_lane *out)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT " LANE_COLUMNS " FROM lanes l WHERE l.name = ?");
    query_text(&query, name);
    struct store_lane found = {.name = arena_dup(arena, name)};
    if (query_row(&query)) {
        found = read_lane(&query, arena);
    }
    TRY(query_finish(&query));
    *out = found;
    return NULL;
}

struct error *
store_lanes_in_trouble(
    struct store *store, struct arena *arena, struct store_lane **lanes, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT " LANE_COLUMNS " FROM lanes l WHERE l.problem IS NOT NULL AND EXISTS"
        " (SELECT 1 FROM outbox o WHERE o.lane = l.name AND " UNDELIVERED ") ORDER BY l.name");
    struct store_lane *found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = read_lane(&query, arena);
    }
    TRY(query_finish(&query));
    *lanes = found;
    *count = length;
    return NULL;
}

// --- for people
// ------------------------------------------------------------------------------------

struct error *
store_outbox_list(struct store *store, const struct store_outbox_filter *filter,
    struct arena *arena, struct store_outbox_row **rows, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT " COLUMNS " FROM outbox o WHERE (?1 IS NULL OR o.deployment = ?1)"
        " AND (?2 IS NULL OR o.sink = ?2) AND (?3 IS NULL OR o.lane = ?3)"
        " AND (?4 = 0 OR o.state <> 'sent') ORDER BY o.id LIMIT ?5");
    query_text(&query, filter->deployment);
    query_text(&query, filter->sink);
    query_text(&query, filter->lane);
    query_int(&query, filter->undelivered ? 1 : 0);
    query_int(&query, filter->limit > 0 ? filter->limit : LIST_MAX);
    struct store_outbox_row *found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = read_row(&query, arena);
    }
    TRY(query_finish(&query));
    *rows = found;
    *count = length;
    return NULL;
}

static struct error *
discard(struct store *store, const char *deployment, size_t *count)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "DELETE FROM outbox WHERE state <> 'sent' AND (?1 IS NULL OR deployment = ?1)");
    query_text(&query, deployment);
    TRY(query_run(&query));
    *count = (size_t)query_changes(&query);
    return store_run(store,
        "DELETE FROM lanes WHERE problem IS NOT NULL AND NOT EXISTS (SELECT 1 FROM outbox o"
        " WHERE o.lane = lanes.name AND " UNDELIVERED ")");
}

struct error *
store_outbox_discard(struct store *store, const char *deployment, size_t *count)
{
    size_t dropped = 0;
    TRY(store_begin(store));
    TRY(store_end(store, discard(store, deployment, &dropped)));
    *count = dropped;
    return NULL;
}
