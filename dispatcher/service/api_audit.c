// /api/v1/audit: the log of decisions, as JSON a page at a time, or whole as CSV or JSONL,
// streamed; and the check of its chain.
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"
#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum { EXPORT_PAGE = 500, LINE_MAX_BYTES = 256 * 1024 };

static bool
read_filter(struct request *request, struct response *response, struct audit_filter *out)
{
    int64_t limit = 0;
    bool from_the_first = cstr_equal(request_query(request, "after"), "0");
    *out = (struct audit_filter){
        .kind = request_query(request, "kind"),
        .verdict = request_query(request, "verdict"),
        .code = request_query(request, "code"),
        .app = request_query(request, "app"),
        .env = request_query(request, "env"),
        .actor = request_query(request, "actor"),
        .deployment = request_query(request, "deployment"),
    };
    if (!api_number(request, response, "limit", 100, &limit) ||
        !api_number(request, response, "before", 0, &out->before) ||
        (!from_the_first && !api_number(request, response, "after", 0, &out->after)) ||
        !api_number(request, response, "repository_id", 0, &out->repository_id) ||
        !api_time(request, response, "since", &out->since_ms) ||
        !api_time(request, response, "until", &out->until_ms)) {
        return false;
    }
    out->limit = (int)(limit < 1000 ? limit : 1000);
    out->oldest_first = from_the_first || out->after > 0;
    return true;
}

// --- as JSON -------------------------------------------------------------------------------------

static struct error *
entry_json(const struct audit_entry *entry, struct json **out)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(LINE_MAX_BYTES);
    audit_jsonl(entry, &line);
    TRY(buf_finish(&line, "entry of the audit log"));
    TRY(json_parse(str_trim(buf_str(&line)), &json_limits_default, out));
    json_set_int(*out, "sequence", entry->sequence);
    view_set_time(*out, "at", entry->at_ms);
    return NULL;
}

static struct error *
list_json(struct request *request, struct response *response, const struct audit_filter *filter)
{
    struct audit_entry *entries = NULL;
    size_t count = 0;
    TRY(audit_list(request->store, filter, request->arena, &entries, &count));
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct json *list = json_make_array();
    json_set(object, "entries", list);
    for (size_t i = 0; i < count; i++) {
        struct json *entry = NULL;
        TRY(entry_json(&entries[i], &entry));
        json_append(list, entry);
    }
    bool more = count == (size_t)filter->limit;
    json_set(object, "next", more ? json_make_int(entries[count - 1].sequence) : json_make_null());
    response_json(response, 200, object);
    return NULL;
}

// --- whole ---------------------------------------------------------------------------------------

struct export
{
    struct arena *arena;
    struct audit_filter filter;
    bool csv, begun;
    bool page; // so many were asked for: one page, as the JSON has it
};

static struct error *
more(void *ctx, struct store *store, struct buf *out, bool *last)
{
    struct export *export = ctx;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct audit_entry *entries = NULL;
    size_t count = 0;
    if (export->csv && !export->begun) {
        audit_csv_header(out);
    }
    export->begun = true;
    TRY(audit_list(store, &export->filter, arena, &entries, &count));
    for (size_t i = 0; i < count; i++) {
        if (export->csv) {
            audit_csv(&entries[i], out);
        } else {
            audit_jsonl(&entries[i], out);
        }
        export->filter.after = entries[i].sequence;
    }
    *last = export->page || count < (size_t) export->filter.limit;
    return NULL;
}

static void
done(void *ctx)
{
    struct export *export = ctx;
    arena_free(export->arena);
    free(export);
}

static void
export_all(
    struct request *request, struct response *response, const struct audit_filter *filter, bool csv)
{
    struct export *export = xcalloc(1, sizeof(*export));
    struct arena *arena = arena_new();
    *export = (struct export){.arena = arena, .filter = *filter, .csv = csv};
    struct audit_filter *own = &export->filter;
    own->kind = arena_dup(arena, filter->kind);
    own->verdict = arena_dup(arena, filter->verdict);
    own->code = arena_dup(arena, filter->code);
    own->app = arena_dup(arena, filter->app);
    own->env = arena_dup(arena, filter->env);
    own->actor = arena_dup(arena, filter->actor);
    own->deployment = arena_dup(arena, filter->deployment);
    export->page = request_query(request, "limit") != NULL;
    own->oldest_first = filter->oldest_first || !export->page;
    own->limit = export->page ? filter->limit : EXPORT_PAGE;
    // It ends where the log was when it was asked for.
    own->until_ms = filter->until_ms > 0 ? filter->until_ms : request->wall_ms;
    response->type = csv ? "text/csv; charset=utf-8" : "application/jsonl";
    response_header(response, "Content-Disposition",
        csv ? "attachment; filename=\"audit.csv\"" : "attachment; filename=\"audit.jsonl\"");
    response->pages = (struct response_pages){more, done, export};
}

struct error *
api_audit_list(struct request *request, struct response *response)
{
    struct audit_filter filter = {0};
    if (!read_filter(request, response, &filter)) {
        return NULL;
    }
    bool csv = request_accepts(request, "text/csv");
    if (csv || request_accepts(request, "application/jsonl")) {
        export_all(request, response, &filter, csv);
        return NULL;
    }
    return list_json(request, response, &filter);
}

// --- its chain -----------------------------------------------------------------------------------

struct error *
api_audit_verify(struct request *request, struct response *response)
{
    struct audit_verdict verdict = {0};
    atomic_bool *busy = &request->service->verifying;
    if (atomic_exchange(busy, true)) {
        const struct refusal refusal = {
            .code = REASON_RATE, .sentence = "the log is being read already", .retry_after_s = 5};
        response_refuse(request, response, &refusal);
        return NULL;
    }
    struct error *err = audit_verify(request->store, request->arena, &verdict);
    atomic_store(busy, false);
    if (err != NULL) {
        return err;
    }
    struct json *object CLEANUP(json_freep) = json_make_object();
    json_set_bool(object, "whole", verdict.broken_at == 0);
    json_set_int(object, "entries", verdict.entries);
    json_set(object, "broken_at",
        verdict.broken_at > 0 ? json_make_int(verdict.broken_at) : json_make_null());
    json_set(object, "why", verdict.why != NULL ? json_make_string(verdict.why) : json_make_null());
    json_set(
        object, "head", verdict.head != NULL ? json_make_string(verdict.head) : json_make_null());
    response_json(response, 200, object);
    return NULL;
}
