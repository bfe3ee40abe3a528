// `/`: every app in every environment. Written tersely, since it is read all day by everybody and
// has thousands of cells: what is well says version, age and name, what is not has a badge.
#include <inttypes.h>
#include <string.h>

#include "dispatcher/clock.h"
#include "dispatcher/url.h"
#include "web_internal.h"

enum {
    QUERY_MAX = 8 * 1024,
    HOUR = 3600 * 1000,
    PERCENT_SHOWN = 95, // the rest is never sure
};

// --- filters -------------------------------------------------------------------------------------

enum {
    FILTER_MINE = 1,
    FILTER_FAILING = 2,
    FILTER_BEHIND = 4,
    FILTER_LOCKED = 8,
    FILTER_DRIFT = 16,
};

static unsigned
filter_of(const struct web_matrix *matrix)
{
    return (matrix->only_mine ? FILTER_MINE : 0u) | (matrix->only_failing ? FILTER_FAILING : 0u) |
           (matrix->only_behind ? FILTER_BEHIND : 0u) | (matrix->only_locked ? FILTER_LOCKED : 0u) |
           (matrix->only_drift ? FILTER_DRIFT : 0u);
}

// The same page with another filter, or another time.
static void
put_query(struct buf *out, const struct web_matrix *matrix, unsigned filter, int64_t at_ms)
{
    static const char *const names[] = {"mine", "failing", "behind", "locked", "drift"};
    struct buf url CLEANUP(buf_done) = BUF_INIT(QUERY_MAX);
    buf_puts(&url, "/");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if ((filter & (1u << i)) != 0) {
            url_add_query(&url, names[i], "1");
        }
    }
    if (matrix->q != NULL && matrix->q[0] != '\0') {
        url_add_query(&url, "q", matrix->q);
    }
    if (at_ms > 0) {
        char at[21];
        clock_format_rfc3339(at_ms, at);
        url_add_query(&url, "at", at);
    }
    html_add(out, " href=\"%s\"", url.failed ? "/" : buf_cstr(&url));
}

static void
put_chip(
    struct buf *out, const struct web_matrix *matrix, unsigned bit, const char *name, int64_t count)
{
    unsigned filter = filter_of(matrix);
    bool on = bit == 0 ? filter == 0 : (filter & bit) != 0;
    buf_puts(out, "<li><a class=chip");
    put_query(out, matrix, bit == 0 ? 0 : filter ^ bit, matrix->at_ms);
    html_add(out, "%s>%s <span class=n>%" PRId64 "</span></a>", on ? " aria-current=true" : "",
        name, count);
}

static void
put_hidden(struct buf *out, const char *name, bool on)
{
    if (on) {
        html_add(out, "<input type=hidden name=\"%s\" value=1>", name);
    }
}

static void
put_search(struct buf *out, const struct web_matrix *matrix)
{
    html_add(out,
        "<form class=search role=search action=\"/\"><label class=vh for=q>App, program or version"
        "</label><input id=q name=q type=search placeholder=\"App, program or version\" "
        "value=\"%s\" autocomplete=off>",
        matrix->q);
    put_hidden(out, "mine", matrix->only_mine);
    put_hidden(out, "failing", matrix->only_failing);
    put_hidden(out, "behind", matrix->only_behind);
    put_hidden(out, "locked", matrix->only_locked);
    put_hidden(out, "drift", matrix->only_drift);
    if (matrix->at_ms > 0) {
        char at[21];
        clock_format_rfc3339(matrix->at_ms, at);
        html_add(out, "<input type=hidden name=at value=\"%s\">", at);
    }
    buf_puts(out, "</form>");
}

// --- time travel ---------------------------------------------------------------------------------

static void
put_jump(struct buf *out, const struct web_matrix *matrix, int64_t at_ms, const char *name)
{
    buf_puts(out, "<a class=chip");
    put_query(out, matrix, filter_of(matrix), at_ms);
    html_add(out, ">%s</a>", name);
}

static void
put_travel(struct buf *out, const struct web_frame *frame, const struct web_matrix *matrix)
{
    int64_t from = matrix->at_ms > 0 ? matrix->at_ms : frame->now_ms;
    char at[21];
    clock_format_rfc3339(from, at);
    at[16] = '\0'; // what datetime-local takes: no seconds, no zone
    html_add(out, "<details class=travel id=travel><summary class=button>%s</summary><div>",
        matrix->at_ms > 0 ? "At another time" : "Now");
    put_jump(out, matrix, from - INT64_C(7) * 24 * HOUR, "− 7 days");
    put_jump(out, matrix, from - INT64_C(24) * HOUR, "− 1 day");
    put_jump(out, matrix, from - HOUR, "− 1 hour");
    if (matrix->at_ms > 0) {
        put_jump(out, matrix, from + HOUR < frame->now_ms ? from + HOUR : 0, "+ 1 hour");
        put_jump(out, matrix,
            from + INT64_C(24) * HOUR < frame->now_ms ? from + INT64_C(24) * HOUR : 0, "+ 1 day");
        put_jump(out, matrix, 0, "Back to now");
    }
    html_add(out,
        "<form action=\"/\"><label>UTC <input type=datetime-local name=at value=\"%s\"></label>",
        at);
    put_hidden(out, "mine", matrix->only_mine);
    put_hidden(out, "failing", matrix->only_failing);
    put_hidden(out, "behind", matrix->only_behind);
    put_hidden(out, "locked", matrix->only_locked);
    put_hidden(out, "drift", matrix->only_drift);
    html_add(out,
        "<input type=hidden name=q value=\"%s\"><button>Look</button></form></div>"
        "</details>",
        matrix->q);
}

// What the page shows of the past, and what it cannot.
static void
put_past(struct buf *out, const struct web_matrix *matrix)
{
    buf_puts(out, "<div class=\"banner past\"><p><span class=\"b wait\">past</span> <span>This is "
                  "how it was on <b>");
    part_time(out, matrix->at_ms);
    buf_puts(out, "</b>: what had been deployed, the locks that held, and the drift that had been "
                  "seen. What ran, waited or had failed is not kept, and not shown; apps and "
                  "environments are those of today.</span> <a");
    put_query(out, matrix, filter_of(matrix), 0);
    buf_puts(out, ">Back to now</a></p>");
    for (size_t i = 0; i < matrix->then_count; i++) {
        const struct queue_lock *lock = matrix->then[i];
        html_add(out, "<p><span class=\"b %s\">locked then</span> The organisation, by %s: %s</p>",
            part_lock_kind(lock), lock->owner, lock->reason);
    }
    buf_puts(out, "</div>");
}

static void
put_looked(struct buf *out, const struct web_frame *frame, const struct web_matrix *matrix)
{
    if (matrix->drift_looked_ms == 0) {
        return;
    }
    buf_puts(out, "<p class=\"note looked\">Looked for drift ");
    part_age(out, matrix->drift_looked_ms, frame->now_ms);
    buf_puts(out, " ago");
    if (matrix->drift_unknown > 0) {
        html_add(out, "; not known in %" PRId64 " %s", matrix->drift_unknown,
            matrix->drift_unknown == 1 ? "place" : "places");
    }
    buf_puts(out, ".</p>");
}

static void
put_controls(struct buf *out, const struct web_frame *frame, const struct web_matrix *matrix)
{
    buf_puts(out, "<div class=controls>");
    put_search(out, matrix);
    buf_puts(out, "<ul class=chips aria-label=Filters>");
    put_chip(out, matrix, 0, "All", (int64_t)matrix->total);
    put_chip(out, matrix, FILTER_MINE, "Mine", matrix->mine);
    put_chip(out, matrix, FILTER_FAILING, "Failing", matrix->failing);
    put_chip(out, matrix, FILTER_BEHIND, "Behind", matrix->behind);
    put_chip(out, matrix, FILTER_LOCKED, "Locked", matrix->locked);
    put_chip(out, matrix, FILTER_DRIFT, "Drift", matrix->drift);
    buf_puts(out, "</ul>");
    put_travel(out, frame, matrix);
    buf_puts(out, "<a class=\"button tvlink\" href=\"/?tv=1\">TV</a></div>");
    if (matrix->at_ms > 0) {
        put_past(out, matrix);
    } else {
        put_looked(out, frame, matrix);
    }
}

// --- cells ---------------------------------------------------------------------------------------

static void
put_badge_link(struct buf *out, const char *kind, const char *id)
{
    html_add(out, "<a class=\"b %s\"", kind);
    html_path(out, "href", "/deployments/%s", id);
}

static void
put_running(struct buf *out, const struct web_cell *cell)
{
    put_badge_link(out, "run", cell->running);
    html_add(out, " title=\"%s\">running", cell->running_version);
    if (cell->running_percent >= 0) {
        html_add(out, " %" PRId64 "%%",
            cell->running_percent > PERCENT_SHOWN ? PERCENT_SHOWN : cell->running_percent);
    }
    buf_puts(out, "</a>");
}

static void
put_lock(struct buf *out, const struct queue_lock *lock)
{
    const char *kind = part_lock_kind(lock);
    html_add(out, "<a class=\"b %s\" href=\"/locks\" title=\"%s, by %s\">%s</a>", kind,
        lock->reason, lock->owner,
        strcmp(kind, "warn") == 0  ? "warning"
        : strcmp(kind, "ice") == 0 ? "frozen"
                                   : "locked");
}

static void
put_badges(struct buf *out, const struct web_cell *cell)
{
    if (cell->running != NULL) {
        put_running(out, cell);
    }
    if (cell->failed != NULL) {
        put_badge_link(out, "bad", cell->failed);
        html_add(out, ">%s</a>", cell->failed_how != NULL ? cell->failed_how : "failed");
    }
    if (cell->queued > 0) {
        html_add(out, "<a class=\"b wait\" href=\"/queue\" title=\"%s\">queued %" PRId64 "</a>",
            cell->waits, cell->queued);
    }
    if (cell->lock != NULL) {
        put_lock(out, cell->lock);
    }
    if (cell->drift != NULL) {
        html_add(out, "<span class=\"b drift\" title=\"%s\">drift</span>", cell->drift);
    } else if (cell->drift_unknown != NULL) {
        buf_puts(out, "<span class=\"b unk\">drift not known</span>");
    }
    if (cell->behind > 0) {
        html_add(out, "<span class=\"b behind\">%" PRId64 " %s behind</span>", cell->behind,
            cell->behind_releases ? (cell->behind == 1 ? "release" : "releases")
                                  : (cell->behind == 1 ? "commit" : "commits"));
    }
}

static void
put_cell(struct buf *out, const struct web_frame *frame, const struct web_row *row,
    const struct web_cell *cell, const char *env)
{
    if (cell->version == NULL && cell->running == NULL && cell->queued == 0 &&
        cell->failed == NULL && cell->lock == NULL) {
        buf_puts(out, "<td class=no><span class=vh>nothing</span>");
        return;
    }
    buf_puts(out, "<td><a");
    html_path(out, "href", "/apps/%s?env=%s", row->app, env);
    buf_puts(out, ">");
    if (cell->version != NULL) {
        part_version_short(out, cell->version);
    } else {
        buf_puts(out, "nothing yet");
    }
    buf_puts(out, "</a> ");
    part_age_short(out, cell->since_ms, frame->now_ms);
    html_add(out, " <i>%s</i>", cell->actor);
    put_badges(out, cell);
}

// --- the table -----------------------------------------------------------------------------------

static void
put_head(struct buf *out, const struct web_matrix *matrix)
{
    buf_puts(out, "<thead><tr><th scope=col>App");
    for (size_t i = 0; i < matrix->environments->count; i++) {
        html_add(out, "<th scope=col>%s", matrix->environments->items[i]);
        const struct queue_lock *lock =
            matrix->column_locks != NULL ? matrix->column_locks[i] : NULL;
        if (lock != NULL) {
            buf_puts(out, " ");
            put_lock(out, lock);
        }
    }
    buf_puts(out, "</thead>");
}

static void
put_row(struct buf *out, const struct web_frame *frame, const struct web_matrix *matrix,
    const struct web_row *row)
{
    buf_puts(out, "<tr><th scope=row><a");
    html_path(out, "href", "/apps/%s", row->app);
    html_add(out, ">%s</a>", row->app);
    for (size_t i = 0; i < matrix->environments->count; i++) {
        put_cell(out, frame, row, &row->cells[i], matrix->environments->items[i]);
    }
}

static void
put_table(struct buf *out, const struct web_frame *frame, const struct web_matrix *matrix)
{
    buf_puts(out,
        "<div class=scroll role=region aria-label=\"What runs where\" tabindex=0>"
        "<table class=matrix><caption class=vh>Versions by app and environment</caption>");
    put_head(out, matrix);
    const char *program = NULL;
    bool grouped = false;
    for (size_t i = 0; i < matrix->count; i++) {
        const struct web_row *row = &matrix->rows[i];
        if (i == 0 || !cstr_equal(program, row->program)) {
            program = row->program;
            grouped = grouped || program != NULL;
            buf_puts(out, "<tbody>");
            if (grouped) {
                html_add(out, "<tr class=group><th scope=rowgroup colspan=%zu>%s",
                    matrix->environments->count + 1, program != NULL ? program : "Other apps");
            }
        }
        put_row(out, frame, matrix, row);
    }
    buf_puts(out, "</table></div>");
}

static void
put_none(struct buf *out, const struct web_matrix *matrix)
{
    if (matrix->total == 0) {
        buf_puts(out, "<p class=empty>No app has a spec yet. Apps appear here once the infra "
                      "repository has a file for them in <code>appspecs/</code>.</p>");
    } else {
        buf_puts(out, "<p class=empty>No app matches. <a href=\"/\">Show all</a></p>");
    }
}

void
web_matrix_page(const struct web_frame *frame, const struct web_matrix *matrix, struct buf *out)
{
    layout_begin(out, frame);
    if (frame->bare) {
        buf_puts(out, "<h1 class=vh>Environments</h1>");
    } else {
        buf_puts(out, "<h1>Environments</h1>");
        put_controls(out, frame, matrix);
    }
    if (matrix->count > 0) {
        put_table(out, frame, matrix);
    } else {
        put_none(out, matrix);
    }
    layout_end(out, frame);
}
