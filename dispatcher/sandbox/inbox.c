// What the inboxes share, and GET /_sandbox/inbox with all that they got. The pages are made in
// inbox_page.c and inbox_text.c.
#include "inbox_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum { MINUTE_MS = 60000, PAGE_MAX = 64 * 1024 * 1024 };

// --- counting and failing
// -------------------------------------------------------------------------

void
sandbox_inbox_refused(struct inbox_counts *counts, const char *word)
{
    counts->refusals++;
    if (counts->words == NULL) {
        counts->words = json_make_object();
    }
    json_set_int(counts->words, word, json_int(json_get(counts->words, word), 0) + 1);
}

void
sandbox_inbox_show_counts(const struct inbox_counts *counts, struct json *out)
{
    json_set_int(out, "requests", counts->requests);
    json_set_int(out, "refusals", counts->refusals);
    json_set(
        out, "refused", counts->words != NULL ? json_clone(counts->words) : json_make_object());
}

void
sandbox_inbox_forget_counts(struct inbox_counts *counts)
{
    json_free(counts->words);
    *counts = (struct inbox_counts){0};
}

int64_t
sandbox_inbox_count(const struct json *value, int64_t fallback)
{
    if (value == NULL) {
        return fallback;
    }
    int64_t count = cstr_equal(json_str(value), "all") ? -1 : json_int(value, 0);
    return count >= -1 ? count : 0;
}

static char *
copy(const struct json *value)
{
    return json_str(value) != NULL ? xstrdup(json_str(value)) : NULL;
}

void
sandbox_inbox_forget_failure(struct inbox_failure *failure)
{
    free(failure->what);
    free(failure->error);
    free(failure->body);
    free(failure->retry_after);
    *failure = (struct inbox_failure){0};
}

const char *
sandbox_inbox_take_failure(const struct json *order, struct inbox_failure *out)
{
    const struct json *status = json_get(order, "status"), *pause = json_get(order, "retry_after");
    if (json_is_null(order)) {
        sandbox_inbox_forget_failure(out);
        return NULL;
    }
    int64_t code = json_int(status, 0), left = sandbox_inbox_count(json_get(order, "count"), 1);
    if (!json_is_object(order) || left == 0) {
        return "'fail' is no object with a 'count' from 1 on, or \"all\"";
    }
    if (status != NULL && (code < 200 || code > 599)) {
        return "'status' of 'fail' is no status from 200 to 599";
    }
    sandbox_inbox_forget_failure(out);
    *out = (struct inbox_failure){.left = left,
        .status = (int)code,
        .what = copy(json_get(order, "what")),
        .error = copy(json_get(order, "error")),
        .body = copy(json_get(order, "body")),
        .retry_after =
            json_is_int(pause) ? xasprintf("%lld", (long long)json_int(pause, 0)) : copy(pause)};
    return NULL;
}

bool
sandbox_inbox_fails(struct inbox_failure *failure, const char *what)
{
    if (failure->left == 0 || (failure->what != NULL && !fault_glob(failure->what, what))) {
        return false;
    }
    failure->left -= failure->left > 0 ? 1 : 0;
    return true;
}

bool
sandbox_inbox_read_ms(const struct json *value, int64_t *out)
{
    int64_t ms = json_int(value, -1);
    if (json_str(value) != NULL && !fault_parse_duration(json_str(value), &ms)) {
        return false;
    }
    if (ms < 0) {
        return false;
    }
    *out = ms;
    return true;
}

// --- rates and times
// ------------------------------------------------------------------------------

bool
sandbox_inbox_window_takes(
    struct inbox_window *window, int64_t now_ms, int64_t most, int64_t *wait_ms)
{
    size_t old = 0;
    if (most == 0) {
        return true;
    }
    while (old < window->count && window->at_ms[old] <= now_ms - MINUTE_MS) {
        old++;
    }
    window->count -= old;
    for (size_t i = 0; i < window->count; i++) {
        window->at_ms[i] = window->at_ms[i + old];
    }
    if (window->count >= (size_t)most) {
        *wait_ms = window->at_ms[window->count - (size_t)most] + MINUTE_MS - now_ms;
        return false;
    }
    window->at_ms = xrealloc(window->at_ms, (window->count + 1) * sizeof(*window->at_ms));
    window->at_ms[window->count++] = now_ms;
    return true;
}

void
sandbox_inbox_forget_window(struct inbox_window *window)
{
    free(window->at_ms);
    *window = (struct inbox_window){0};
}

void
sandbox_inbox_set_time(struct json *object, int64_t wall_ms)
{
    char text[21];
    clock_format_rfc3339(wall_ms, text);
    json_set_str(object, "time", text);
    json_set_int(object, "time_ms", wall_ms);
}

const char *
sandbox_inbox_seconds(struct arena *arena, int64_t ms)
{
    int64_t seconds = (ms + 999) / 1000;
    return arena_printf(arena, "%lld", (long long)(seconds > 0 ? seconds : 1));
}

// --- what was got
// ---------------------------------------------------------------------------------

static struct json *
whole_inbox(struct sandbox *sandbox)
{
    struct json *all = json_make_object();
    json_set(all, "slack", sandbox_slack_inbox_json(sandbox));
    json_set(all, "pagerduty", sandbox_pagerduty_inbox_json(sandbox));
    json_set(all, "hooks", sandbox_hooks_inbox_json(sandbox));
    return all;
}

void
sandbox_inbox_show(struct sandbox *sandbox, bool as_text, struct sandbox_response *response)
{
    struct json *inbox = whole_inbox(sandbox);
    if (!as_text) {
        sandbox_reply_json(response, 200, inbox);
        return;
    }
    struct buf text CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    sandbox_inbox_text(inbox, &text);
    json_free(inbox);
    sandbox_reply_text(response, 200, "text/plain; charset=utf-8", buf_str(&text));
}

void
sandbox_inbox_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    if (!sandbox_request_is(request, "GET") || request->part_count != 1) {
        sandbox_reply_problem(response, 404, "the inbox is a page to read");
        return;
    }
    struct json *inbox CLEANUP(json_freep) = whole_inbox(sandbox);
    struct buf page CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    sandbox_inbox_page(inbox, &page);
    sandbox_reply_text(response, 200, "text/html; charset=utf-8", buf_str(&page));
    // Whatever slipped through would still neither run nor load anything.
    sandbox_reply_header(response, "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'");
    sandbox_reply_header(response, "X-Content-Type-Options", "nosniff");
    sandbox_reply_header(response, "Referrer-Policy", "no-referrer");
}
