// The audit log's entries: written at the end of their chain, listed. Whether the chain is whole is
// audit_verify.c's.
#include "dispatcher/audit.h"

#include <string.h>

#include "audit_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/json.h"

enum { LIST_DEFAULT = 100 };

struct error *
audit_hash(const struct audit_entry *entry, char out[65])
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(AUDIT_LINE_MAX);
    buf_printf(&text, "%s\n", entry->previous);
    audit_object(entry, false, &text);
    TRY(buf_finish(&text, "audit entry"));
    sha256_hex(buf_str(&text), out);
    return NULL;
}

// --- writing -------------------------------------------------------------------------------------

struct error *
audit_lock_head(struct store *store)
{
    struct store_audit_head *head = &store->audit;
    if (head->known) {
        return NULL;
    }
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT sequence, hash FROM audit_head WHERE one = 1 FOR UPDATE");
    if (query_row(&query)) {
        head->known = true;
        head->sequence = query_get_int(&query, 0);
        audit_keep_hash(head->hash, query_get_text(&query, 1, arena));
    }
    TRY(query_finish(&query));
    return head->known
               ? NULL
               : error_new(ERROR_STORAGE, "the audit log's head is gone from '%s'", store->path);
}

struct error *
audit_flush(struct store *store)
{
    if (!store->audit.moved) {
        return NULL;
    }
    struct query query CLEANUP(query_done);
    query_init(&query, store, "UPDATE audit_head SET sequence = ?, hash = ? WHERE one = 1");
    query_int(&query, store->audit.sequence);
    query_text(&query, store->audit.hash);
    store->audit.moved = false;
    return query_run(&query);
}

void
audit_keep_hash(char to[SHA256_HEX_SIZE], const char *hash)
{
    size_t length = strlen(hash) < SHA256_HEX_SIZE - 1 ? strlen(hash) : SHA256_HEX_SIZE - 1;
    memcpy(to, hash, length);
    to[length] = '\0';
}

static struct error *
insert(struct store *store, const struct audit_entry *entry)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO audit (" AUDIT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    for (size_t i = 0; i < AUDIT_FIELDS; i++) {
        const struct audit_field *field = &audit_fields[i];
        if (field->kind == AUDIT_NUMBER) {
            query_int(&query, audit_number_of(entry, field));
        } else {
            query_text(&query, audit_text_of(entry, field));
        }
    }
    return query_run_ahead(&query); // the head, the part's end or another statement follows
}

// Text that is no UTF-8 is kept as it is hashed: with U+FFFD in place of what is wrong.
static void
clean(struct audit_entry *entry, struct arena *arena)
{
    for (size_t i = 0; i < AUDIT_FIELDS; i++) {
        const char *text =
            audit_fields[i].kind == AUDIT_TEXT ? audit_text_of(entry, &audit_fields[i]) : NULL;
        if (text != NULL && !str_is_utf8(str_of(text))) {
            struct json *value CLEANUP(json_freep) = json_make_string(text);
            const char *fixed = arena_dup(arena, json_str(value));
            memcpy((char *)entry + audit_fields[i].offset, &fixed, sizeof(fixed));
        }
    }
}

static struct error *
add(struct store *store, const struct audit_entry *given, int64_t now_ms, struct arena *arena)
{
    struct audit_entry entry = *given;
    char hash[SHA256_HEX_SIZE] = "";
    entry.at_ms = now_ms;
    if (entry.detail != NULL) {
        TRY(audit_canonical(entry.detail, arena, &entry.detail));
    }
    TRY(audit_lock_head(store));
    entry.sequence = store->audit.sequence + 1;
    entry.previous = store->audit.hash;
    entry.hash = NULL;
    clean(&entry, arena);
    TRY(audit_hash(&entry, hash));
    entry.hash = hash;
    TRY(insert(store, &entry));
    store->audit.sequence++;
    store->audit.moved = true;
    audit_keep_hash(store->audit.hash, hash);
    return NULL;
}

struct error *
audit_add(struct store *store, const struct audit_entry *entry, int64_t now_ms)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    TRY(store_begin(store));
    return store_end(store, add(store, entry, now_ms, arena));
}

// --- reading -------------------------------------------------------------------------------------

struct audit_entry
audit_read(struct query *query, struct arena *arena)
{
    struct audit_entry entry = {0};
    for (int i = 0; i < AUDIT_FIELDS; i++) {
        char *member = (char *)&entry + audit_fields[i].offset;
        if (audit_fields[i].kind == AUDIT_NUMBER) {
            int64_t number = query_get_int(query, i);
            memcpy(member, &number, sizeof(number));
        } else {
            const char *text = query_get_text(query, i, arena);
            memcpy(member, &text, sizeof(text));
        }
    }
    return entry;
}

// One text for each index that a filter can go by, as in queue.c.
enum lead { LEAD_DEPLOYMENT, LEAD_LANE, LEAD_APP, LEAD_ACTOR, LEAD_REPOSITORY, LEAD_NONE };

#define LIST(lead, order)                                                                          \
    "SELECT " AUDIT_COLUMNS " FROM audit WHERE " lead " AND sequence < ?1 AND sequence > ?2"       \
    " AND (?3 IS NULL OR deployment = ?3) AND (?4 IS NULL OR app = ?4)"                            \
    " AND (?5 IS NULL OR env = ?5) AND (?6 IS NULL OR actor = ?6)"                                 \
    " AND (?7 = 0 OR repository_id = ?7) AND (?8 IS NULL OR kind = ?8)"                            \
    " AND (?9 IS NULL OR verdict = ?9) AND (?10 IS NULL OR code = ?10)"                            \
    " AND at_ms >= ?11 AND at_ms <= ?12 ORDER BY sequence " order " LIMIT ?13"
#define LISTS(lead)                                                                                \
    {                                                                                              \
        LIST(lead, "DESC"), LIST(lead, "ASC")                                                      \
    }
static const char *const lists[][2] = {
    [LEAD_DEPLOYMENT] = LISTS("deployment = ?3"),
    [LEAD_LANE] = LISTS("app = ?4 AND env = ?5"),
    [LEAD_APP] = LISTS("app = ?4"),
    [LEAD_ACTOR] = LISTS("actor = ?6"),
    [LEAD_REPOSITORY] = LISTS("repository_id = ?7 AND repository_id > 0"),
    [LEAD_NONE] = LISTS("1 = 1"),
};

static enum lead
lead_of(const struct audit_filter *filter)
{
    if (filter->deployment != NULL) {
        return LEAD_DEPLOYMENT;
    }
    if (filter->app != NULL) {
        return filter->env != NULL ? LEAD_LANE : LEAD_APP;
    }
    if (filter->actor != NULL) {
        return LEAD_ACTOR;
    }
    return filter->repository_id > 0 ? LEAD_REPOSITORY : LEAD_NONE;
}

struct error *
audit_list(struct store *store, const struct audit_filter *filter, struct arena *arena,
    struct audit_entry **out, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store, lists[lead_of(filter)][filter->oldest_first ? 1 : 0]);
    query_int(&query, filter->before > 0 ? filter->before : INT64_MAX);
    query_int(&query, filter->after);
    query_text(&query, filter->deployment);
    query_text(&query, filter->app);
    query_text(&query, filter->env);
    query_text(&query, filter->actor);
    query_int(&query, filter->repository_id);
    query_text(&query, filter->kind);
    query_text(&query, filter->verdict);
    query_text(&query, filter->code);
    query_int(&query, filter->since_ms > 0 ? filter->since_ms : INT64_MIN);
    query_int(&query, filter->until_ms > 0 ? filter->until_ms : INT64_MAX);
    query_int(&query, filter->limit > 0 ? filter->limit : LIST_DEFAULT);
    struct audit_entry *found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = audit_read(&query, arena);
    }
    TRY(query_finish(&query));
    *out = found;
    *count = length;
    return NULL;
}
