// `/audit`: entries by filter or saved view, the state of the chain, and exports of the same.
#include <string.h>

#include "dispatcher/memory.h"
#include "page_internal.h"
#include "service_state_internal.h"

enum { SHOWN = 100, DAY_MS = 24 * 3600 * 1000 };

static const char *
given(struct request *request, const char *name)
{
    const char *value = request_query(request, name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

// "2026-11-21" of a date field; `end`: the end of that day. False: it is no time, and refused,
// since the log without that limit would pass for what was asked for.
static bool
read_day(
    struct request *request, struct response *response, const char *name, bool end, int64_t *out)
{
    const char *text = given(request, name);
    *out = 0;
    if (text == NULL || clock_parse_rfc3339(text, out)) {
        return true;
    }
    if (!clock_parse_rfc3339(arena_printf(request->arena, "%sT00:00:00Z", text), out)) {
        response_refusef(
            request, response, REASON_REQUEST, "'%s' is to be a day like 2026-11-21", name);
        return false;
    }
    *out += end ? DAY_MS - 1 : 0;
    return true;
}

static const char *
view_of(struct request *request)
{
    static const char *const views[] = {"bypasses", "denials", "locks", "approvals"};
    for (size_t i = 0; i < ARRAY_LENGTH(views); i++) {
        if (cstr_equal(request_query(request, "view"), views[i])) {
            return views[i];
        }
    }
    return NULL;
}

static bool
read_filter(struct request *request, struct response *response, struct web_audit *out)
{
    const char *view = view_of(request);
    bool locks = cstr_equal(view, "locks"), approvals = cstr_equal(view, "approvals");
    int64_t before = 0, since = 0, until = 0;
    if (!read_day(request, response, "since", false, &since) ||
        !read_day(request, response, "until", true, &until)) {
        return false;
    }
    (void)str_to_int64(str_of(request_query(request, "before")), &before);
    out->view = view;
    out->since = given(request, "since");
    out->until = given(request, "until");
    out->filter = (struct audit_filter){
        .kind = locks          ? "lock"
                : approvals    ? "approval"
                : view != NULL ? "decision"
                               : given(request, "kind"),
        .verdict = cstr_equal(view, "denials") ? "deny"
                   : view != NULL              ? NULL
                                               : given(request, "verdict"),
        .code = view != NULL ? NULL : given(request, "code"),
        .app = given(request, "app"),
        .env = given(request, "env"),
        .actor = given(request, "actor"),
        .deployment = given(request, "deployment"),
        .since_ms = since,
        .until_ms = until,
        .before = before > 0 ? before : 0,
        .limit = SHOWN,
    };
    return true;
}

// An emergency is a decision whose detail says so: the log has no column for it.
static bool
is_bypass(const struct audit_entry *entry)
{
    struct json *detail CLEANUP(json_freep) = NULL;
    if (entry->detail == NULL) {
        return false;
    }
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(entry->detail), &json_limits_default, &detail);
    return err == NULL && json_bool(json_get(detail, "emergency"), false);
}

// Of a page of the log, which is not kept: what is asked for may be many pages away.
static struct error *
find_bypasses(struct request *request, struct audit_filter *filter, int64_t *found, size_t *count,
    size_t *read)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct audit_entry *entries = NULL;
    TRY(audit_list(request->store, filter, arena, &entries, read));
    for (size_t i = 0; i < *read && *count < SHOWN; i++) {
        filter->before = entries[i].sequence;
        if (is_bypass(&entries[i])) {
            found[(*count)++] = entries[i].sequence;
        }
    }
    return NULL;
}

static struct error *
read_entry(
    struct request *request, int64_t sequence, struct web_audit *out, struct audit_entry *list)
{
    struct audit_entry *entries = NULL;
    size_t count = 0;
    const struct audit_filter one = {.before = sequence + 1, .after = sequence - 1, .limit = 1};
    TRY(audit_list(request->store, &one, request->arena, &entries, &count));
    if (count > 0) {
        list[out->count++] = entries[0];
    }
    return NULL;
}

// Bypasses are few among many: read on until the page is full or the log ends.
static struct error *
read_bypasses(struct request *request, struct web_audit *out)
{
    enum { PAGE = 1000, PAGES = 50 };
    struct audit_entry *list = arena_array(request->arena, SHOWN, sizeof(*list));
    int64_t found[SHOWN];
    struct audit_filter filter = out->filter;
    filter.limit = PAGE;
    size_t count = 0, read = PAGE;
    for (int page = 0; page < PAGES && read == PAGE && count < SHOWN; page++) {
        TRY(find_bypasses(request, &filter, found, &count, &read));
    }
    for (size_t i = 0; i < count; i++) {
        TRY(read_entry(request, found[i], out, list));
    }
    out->entries = list;
    out->next = read == PAGE || count == SHOWN ? filter.before : 0;
    return NULL;
}

static struct error *
read_entries(struct request *request, struct web_audit *out)
{
    struct audit_entry *entries = NULL;
    if (cstr_equal(out->view, "bypasses")) {
        return read_bypasses(request, out);
    }
    TRY(audit_list(request->store, &out->filter, request->arena, &entries, &out->count));
    out->entries = entries;
    out->next = out->count == SHOWN ? entries[out->count - 1].sequence : 0;
    return NULL;
}

// The whole chain, when it is asked for; one at a time, since it may be long.
static struct error *
verify(struct request *request, struct page *page, struct web_audit *out,
    struct audit_verdict *verdict)
{
    atomic_bool *busy = &request->service->verifying;
    if (!cstr_equal(request_query(request, "verify"), "1")) {
        return NULL;
    }
    if (atomic_exchange(busy, true)) {
        page->frame.flash = "The chain is being verified for somebody else. Try again in a moment.";
        page->frame.flash_refused = true;
        return NULL;
    }
    struct error *err = audit_verify(request->store, request->arena, verdict);
    atomic_store(busy, false);
    out->verdict = err == NULL ? verdict : NULL;
    return err;
}

struct error *
page_audit(struct request *request, struct response *response)
{
    struct page page = {0};
    struct web_audit shown = {0};
    struct audit_verdict verdict = {0};
    struct buf html CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    if (!read_filter(request, response, &shown)) {
        return NULL;
    }
    TRY(page_begin(request, "Audit log", &page));
    struct error *err = read_entries(request, &shown);
    err = err == NULL ? verify(request, &page, &shown, &verdict) : err;
    if (err == NULL) {
        if (shown.verdict != NULL && verdict.broken_at != 0) {
            page.frame.state = WEB_STATE_FAILED;
        }
        web_audit_page(&page.frame, &shown, &html);
        page_send(request, response, &page, &html);
    }
    page_done(&page);
    return err;
}

// --- exports -------------------------------------------------------------------------------------

static struct error *
export_bypasses(
    struct request *request, struct response *response, struct web_audit *shown, bool csv)
{
    TRY(read_bypasses(request, shown));
    response_text(
        response, 200, csv ? "text/csv; charset=utf-8" : "application/jsonl", (struct str){0});
    response_header(response, "Content-Disposition",
        csv ? "attachment; filename=\"bypasses.csv\"" : "attachment; filename=\"bypasses.jsonl\"");
    if (csv) {
        audit_csv_header(&response->body);
    }
    for (size_t i = 0; i < shown->count; i++) {
        if (csv) {
            audit_csv(&shown->entries[i], &response->body);
        } else {
            audit_jsonl(&shown->entries[i], &response->body);
        }
    }
    return NULL;
}

// The API's own answer: the page's words for days and views, as the API's.
static struct error *
export_as(struct request *request, struct response *response, const char *type)
{
    struct web_audit shown = {0};
    if (!read_filter(request, response, &shown)) {
        return NULL;
    }
    if (cstr_equal(shown.view, "bypasses")) {
        return export_bypasses(request, response, &shown, strcmp(type, "text/csv") == 0);
    }
    const struct audit_filter *filter = &shown.filter;
    const struct pair texts[] = {{"kind", filter->kind}, {"verdict", filter->verdict},
        {"code", filter->code}, {"app", filter->app}, {"env", filter->env},
        {"actor", filter->actor}, {"deployment", filter->deployment}};
    const struct {
        const char *key;
        int64_t at_ms;
    } times[] = {{"since", filter->since_ms}, {"until", filter->until_ms}};
    struct request inner = *request;
    struct pair *query =
        arena_array(request->arena, ARRAY_LENGTH(texts) + ARRAY_LENGTH(times), sizeof(*query));
    inner.query = (struct pair_list){query, 0};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (texts[i].value != NULL) {
            query[inner.query.count++] = texts[i];
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
        char text[21];
        if (times[i].at_ms > 0) {
            clock_format_rfc3339(times[i].at_ms, text);
            query[inner.query.count++] =
                (struct pair){times[i].key, arena_dup(request->arena, text)};
        }
    }
    struct pair accept = {"Accept", type};
    inner.headers = (struct pair_list){&accept, 1};
    return api_audit_list(&inner, response);
}

struct error *
page_audit_csv(struct request *request, struct response *response)
{
    return export_as(request, response, "text/csv");
}

struct error *
page_audit_jsonl(struct request *request, struct response *response)
{
    return export_as(request, response, "application/jsonl");
}
