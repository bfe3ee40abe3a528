// What several pages have: times, versions, badges, locks, forms, commands, commits. Decides
// nothing; each part writes itself into the page.
#include <inttypes.h>
#include <string.h>

#include "dispatcher/clock.h"
#include "dispatcher/url.h"
#include "web_internal.h"

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    HOUR = 60 * MINUTE,
    DAY = 24 * HOUR,
    SHA_DIGITS = 40,
};
static const int64_t week = INT64_C(7) * DAY;

// --- versions and times --------------------------------------------------------------------------

static bool
is_sha(const char *version)
{
    return strlen(version) == SHA_DIGITS && strspn(version, "0123456789abcdef") == SHA_DIGITS;
}

void
part_version(struct buf *out, const char *version)
{
    if (version == NULL) {
        buf_puts(out, "<span class=dim>not known yet</span>");
    } else if (is_sha(version)) {
        html_add(out, "<code title=\"%s\">", version);
        buf_append(out, version, PART_VERSION_DIGITS);
        buf_puts(out, "</code>");
    } else {
        html_add(out, "<code title=\"%s\">%s</code>", version, version);
    }
}

void
part_version_short(struct buf *out, const char *version)
{
    if (is_sha(version)) {
        buf_append(out, version, PART_SHORT_DIGITS);
    } else {
        html_text(out, version);
    }
}

void
part_time_text(int64_t at_ms, char out[32])
{
    static const char months[][4] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char text[21]; // "2026-11-21T07:48:00Z"
    clock_format_rfc3339(at_ms, text);
    int month = (text[5] - '0') * 10 + (text[6] - '0');
    struct buf line CLEANUP(buf_done) = BUF_INIT(32);
    buf_printf(&line, "%d %s %.4s, %.5s UTC", (text[8] - '0') * 10 + (text[9] - '0'),
        months[month >= 1 && month <= 12 ? month - 1 : 0], text, text + 11);
    memcpy(out, buf_cstr(&line), line.len + 1);
}

static void
begin_time(struct buf *out, int64_t at_ms)
{
    char text[32], machine[21];
    part_time_text(at_ms, text);
    clock_format_rfc3339(at_ms, machine);
    html_add(out, "<time datetime=\"%s\" title=\"%s\">", machine, text);
}

void
part_time(struct buf *out, int64_t at_ms)
{
    char text[32];
    part_time_text(at_ms, text);
    begin_time(out, at_ms);
    html_add(out, "%s</time>", text);
}

// "2026-11-21T07:48:00Z" to "2026-11-21 07:48Z", which HTML takes as well.
static const char *
minute_of(char at[21])
{
    at[10] = ' ';
    at[16] = 'Z';
    at[17] = '\0';
    return at;
}

static void
put_span(struct buf *out, int64_t ms)
{
    static const struct {
        int64_t unit, below;
        const char *name;
    } units[] = {
        {SECOND, MINUTE, "s"},
        {MINUTE, HOUR, "m"},
        {HOUR, INT64_C(2) * DAY, "h"},
        {DAY, INT64_C(14) * DAY, "d"},
        {INT64_C(7) * DAY, INT64_C(728) * DAY, "w"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (ms < units[i].below) {
            html_add(out, "%" PRId64 "%s", ms / units[i].unit, units[i].name);
            return;
        }
    }
    html_add(out, "%" PRId64 "y", ms / (52 * week));
}

void
part_age(struct buf *out, int64_t at_ms, int64_t now_ms)
{
    if (at_ms <= 0) {
        return;
    }
    begin_time(out, at_ms);
    int64_t ago = now_ms - at_ms;
    if (ago < 0) {
        buf_puts(out, "in ");
        ago = -ago;
    }
    put_span(out, ago);
    buf_puts(out, "</time>");
}

void
part_age_short(struct buf *out, int64_t at_ms, int64_t now_ms)
{
    if (at_ms <= 0) {
        return;
    }
    char at[21]; // to the minute, twice the same: it packs to almost nothing
    clock_format_rfc3339(at_ms, at);
    html_add(out, "<time datetime=\"%s\" title=\"%s\">", minute_of(at), at);
    put_span(out, now_ms > at_ms ? now_ms - at_ms : 0);
    buf_puts(out, "</time>");
}

void
part_duration(struct buf *out, int64_t ms)
{
    char text[32];
    if (ms < 0) {
        buf_puts(out, "–");
        return;
    }
    clock_format_duration(ms, text);
    html_text(out, text);
}

// --- badges --------------------------------------------------------------------------------------

void
part_badge(struct buf *out, const char *kind, const char *word)
{
    html_add(out, "<span class=\"b %s\">%s</span>", kind, word);
}

static bool
is_one_of(const char *text, const char *const *words)
{
    for (; text != NULL && *words != NULL; words++) {
        if (strcmp(text, *words) == 0) {
            return true;
        }
    }
    return false;
}

const char *
part_job_kind(const struct queue_job *job)
{
    static const char *const held[] = {"locked", "frozen", "window", NULL};
    static const char *const stopped[] = {"cancelled", "superseded", NULL};
    if (cstr_equal(job->state, "running")) {
        return "run";
    }
    if (!cstr_equal(job->state, "final")) {
        return cstr_equal(job->code, "frozen") ? "ice"
               : is_one_of(job->code, held)    ? "lock"
                                               : "wait";
    }
    if (cstr_equal(job->result, "deployed")) {
        return "ok";
    }
    if (cstr_equal(job->result, "unknown")) {
        return "unk";
    }
    return is_one_of(job->result, stopped) ? "stop" : "bad";
}

const char *
part_job_word(const struct queue_job *job)
{
    if (cstr_equal(job->state, "running")) {
        return job->cancel ? "being cancelled" : "running";
    }
    if (cstr_equal(job->state, "final")) {
        return job->result != NULL ? job->result : "ended";
    }
    static const struct {
        const char *code, *word;
    } words[] = {
        {"behind", "queued"},
        {"locked", "locked"},
        {"frozen", "frozen"},
        {"window", "outside its window"},
        {"soaking", "soaking"},
        {"approval-needed", "needs approval"},
        {"github-limited", "waits for GitHub"},
        {"stale", "waits for GitHub"},
        {"spec-invalid", "spec is broken"},
        {"specs-unavailable", "specs are not read"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (cstr_equal(job->code, words[i].code)) {
            return words[i].word;
        }
    }
    return "queued";
}

void
part_who(struct buf *out, const struct queue_job *job)
{
    static const struct {
        const char *code, *phrase;
    } phrases[] = {
        {"approval-needed", "Can be approved by"},
        {"locked", "Can be lifted by"},
        {"frozen", "Can be lifted by"},
        {"behind", "It is up to"},
        {"cancelled", "By"},
        {"rejected", "By"},
        {"dropped", "The lock was of"},
    };
    size_t i = 0;
    while (i < ARRAY_LENGTH(phrases) && !cstr_equal(job->code, phrases[i].code)) {
        i++;
    }
    html_add(out, "%s <b>%s</b>",
        i < ARRAY_LENGTH(phrases) ? phrases[i].phrase : "Can be changed by", job->who);
}

void
part_person(struct buf *out, const char *login)
{
    if (login != NULL) {
        html_add(out, "<span class=who>%s</span>", login);
    }
}

// --- forms ---------------------------------------------------------------------------------------

void
part_form(struct buf *out, const struct web_frame *frame, const char *path)
{
    buf_puts(out, "<form method=post");
    html_url(out, "action", path);
    html_add(out,
        "><input type=hidden name=csrf value=\"%s\"><input type=hidden name=back value=\"%s\">",
        frame->csrf, frame->path);
}

void
part_refused(struct buf *out, const char *label, const struct web_action *action)
{
    if (!action->possible && action->why_not != NULL) {
        html_add(out,
            "<div class=refused><button type=button class=button disabled>%s</button>"
            "<p class=dim>%s</p></div>",
            label, action->why_not);
    }
}

void
part_command(struct buf *out, const char *command)
{
    html_add(out, "<div class=copy data-copy><code tabindex=0>%s</code></div>", command);
}

// --- locks ---------------------------------------------------------------------------------------

const char *
part_lock_kind(const struct queue_lock *lock)
{
    return cstr_equal(lock->level, "warning")  ? "warn"
           : cstr_equal(lock->level, "freeze") ? "ice"
                                               : "lock";
}

static const char *
lock_word(const struct queue_lock *lock)
{
    return cstr_equal(lock->level, "warning")  ? "warning"
           : cstr_equal(lock->level, "freeze") ? "frozen"
                                               : "locked";
}

void
part_lock_scope(struct buf *out, const struct queue_lock *lock)
{
    if (cstr_equal(lock->scope, "organisation")) {
        buf_puts(out, "Everything");
    } else if (cstr_equal(lock->scope, "environment")) {
        html_add(out, "All apps in <b>%s</b>", lock->env);
    } else if (cstr_equal(lock->scope, "program")) {
        html_add(out, "Program <b>%s</b>", lock->program);
    } else if (cstr_equal(lock->scope, "app")) {
        html_add(out, "<b>%s</b> everywhere", lock->app);
    } else {
        html_add(out, "<b>%s</b> in <b>%s</b>", lock->app, lock->env);
    }
}

void
part_lock_sentence(struct buf *out, const struct queue_lock *lock, int64_t now_ms)
{
    part_badge(out, part_lock_kind(lock), lock_word(lock));
    buf_puts(out, " <span>");
    part_lock_scope(out, lock);
    html_add(out, ": %s</span> <span class=dim>by ", lock->reason);
    part_person(out, lock->owner);
    if (lock->starts_ms > now_ms) {
        buf_puts(out, ", from ");
        part_time(out, lock->starts_ms);
    } else {
        buf_puts(out, ", since ");
        part_age(out, lock->starts_ms > 0 ? lock->starts_ms : lock->created_ms, now_ms);
    }
    if (lock->expires_ms > 0) {
        buf_puts(out, ", until ");
        part_time(out, lock->expires_ms);
    } else {
        buf_puts(out, ", until it is lifted");
    }
    if (!cstr_equal(lock->level, "warning")) {
        buf_puts(out, cstr_equal(lock->on_release, "drop") ? "; what waits is then dropped"
                                                           : "; what waits then runs");
    }
    buf_puts(out, ".</span>");
}

// --- commits -------------------------------------------------------------------------------------

static void
put_commit(struct buf *out, const struct deployment_commit *commit, const char *repository_url)
{
    buf_puts(out, "<li>");
    char sha[PART_VERSION_DIGITS + 1] = "";
    if (commit->sha != NULL) {
        size_t len = strnlen(commit->sha, PART_VERSION_DIGITS);
        memcpy(sha, commit->sha, len);
        sha[len] = '\0';
    }
    struct buf url CLEANUP(buf_done) = BUF_INIT(8192);
    if (repository_url != NULL) {
        buf_printf(&url, "%s/commit/", repository_url);
        url_encode(str_of(commit->sha), "", &url);
    }
    buf_puts(out, "<code>");
    html_link(out, repository_url != NULL && !url.failed ? buf_cstr(&url) : NULL, sha);
    html_add(out, "</code> <span class=subject>%s</span> <span class=dim>%s</span>",
        commit->subject, commit->author);
    buf_puts(out, "</li>");
}

void
part_commits(
    struct buf *out, const struct object_list *commits, const char *repository_url, size_t max)
{
    const struct deployment_commit *items = commits->items;
    buf_puts(out, "<ul class=commits>");
    for (size_t i = 0; i < commits->count && i < max; i++) {
        put_commit(out, &items[i], repository_url);
    }
    if (commits->count > max) {
        html_add(out, "<li class=dim>and %zu more</li>", commits->count - max);
    }
    buf_puts(out, "</ul>");
}
