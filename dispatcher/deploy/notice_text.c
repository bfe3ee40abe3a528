// What the bodies for all sinks are made of: foreign text made fit and cut, and the sentences that
// every sink says alike. Escapes nothing: each sink has its own way (slack.h, report_markdown.c).
#include <string.h>

#include "dispatcher/text.h"
#include "notice_internal.h"
#include "report_internal.h"

enum {
    CHARACTER_MAX = 4, // bytes
    URL_MAX = 2000,
    TITLE_MAX = 60,
    ENVIRONMENT_MAX = 40,
    VERSION_MAX = 130,
    SHORT_VERSION = 12,
    STANDING_MAX = 500,
    PROGRESS_MAX = 300,
    TARGETS_TOLD = 4,
    SENTENCE_MAX = 64 * 1024,
};

// As JavaScript counts, and so those who check limits with it: beyond the first plane, two.
static size_t
units(unsigned char first)
{
    return (first & 0xc0) == 0x80 ? 0 : first >= 0xf0 ? 2 : 1;
}

static size_t
count_units(struct str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += units((unsigned char)text.ptr[i]);
    }
    return count;
}

// Where the first `max` characters end.
static size_t
first_units(struct str text, size_t max)
{
    size_t at = 0;
    for (size_t count = 0; at < text.len; at++) {
        count += units((unsigned char)text.ptr[at]);
        if (count > max) {
            break;
        }
    }
    return at;
}

// At a word, unless that would lose more than a quarter.
static size_t
word_end(struct str text, size_t end)
{
    size_t at = end;
    while (at > end - end / 4 && text.ptr[at] != ' ') {
        at--;
    }
    end = text.ptr[at] == ' ' ? at : end;
    while (end > 0 && text.ptr[end - 1] == ' ') {
        end--;
    }
    return end;
}

const char *
notice_cut(struct arena *arena, const char *text, size_t max)
{
    if (text == NULL) {
        return NULL;
    }
    struct buf clean CLEANUP(buf_wipe) = BUF_INIT((max + 1) * CHARACTER_MAX);
    text_clean(str_of(text), clean.max, &clean);
    struct str whole = str_trim(buf_str(&clean));
    if (count_units(whole) <= max) {
        return arena_str(arena, whole);
    }
    size_t end = max > 0 ? word_end(whole, first_units(whole, max - 1)) : 0;
    return arena_printf(arena, "%.*s%s", (int)end, whole.ptr, max > 0 ? "…" : "");
}

// The last `max` characters, from a line's start where there is one.
static struct str
last_lines(struct str text, size_t max)
{
    size_t from = text.len, count = 0;
    while (from > 0 && count + units((unsigned char)text.ptr[from - 1]) <= max) {
        count += units((unsigned char)text.ptr[--from]);
    }
    while (from < text.len && units((unsigned char)text.ptr[from]) == 0) {
        from++; // the rest of a character
    }
    struct str last = str_skip(text, from);
    bool whole = from == 0 || text.ptr[from - 1] == '\n' || last.len == 0;
    const char *end = whole ? NULL : memchr(last.ptr, '\n', last.len);
    return end != NULL ? str_skip(last, (size_t)(end - last.ptr) + 1) : last;
}

const char *
notice_tail(struct arena *arena, const char *text, size_t max)
{
    struct str line = {0}, rest = last_lines(str_of(text), max);
    struct buf out CLEANUP(buf_done) = BUF_INIT(rest.len * 3 + 1); // a bad byte becomes three
    while (str_cut(rest, '\n', &line, &rest)) {
        buf_puts(&out, out.len > 0 ? "\n" : "");
        text_clean(line, line.len * 3, &out);
    }
    return out.len > 0 ? arena_str(arena, last_lines(buf_str(&out), max)) : NULL;
}

const char *
notice_cut_lines(struct arena *arena, struct str text, size_t max)
{
    if (text.len <= max) { // bytes are never fewer than characters
        return arena_str(arena, text);
    }
    size_t end = first_units(text, max - sizeof("\n…"));
    while (end > 0 && text.ptr[end] != '\n') {
        end--;
    }
    return arena_printf(arena, "%.*s\n…", (int)end, text.ptr);
}

const char *
notice_url(const char *url)
{
    struct str text = str_of(url), scheme = {0}, rest = {0}, host = {0}, path = {0};
    if (text.len > URL_MAX ||
        !(str_starts(text, STR("https://")) || str_starts(text, STR("http://")))) {
        return NULL;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte <= ' ' || byte >= 0x7f || strchr("<>|\"'`\\^{}", byte) != NULL) {
            return NULL;
        }
    }
    (void)str_cut(text, ':', &scheme, &rest);
    (void)str_cut(str_skip(rest, 2), '/', &host, &path);
    return host.len > 0 && !str_contains(host, STR("@")) ? url : NULL;
}

// --- what every sink says alike ----------------------------------------------------------------

static int64_t
later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t
notice_time(const struct deployment *d)
{
    if (d->finished_ms > 0 || report_outcome_of(d) == REPORT_STARTED) {
        return d->finished_ms > 0 ? d->finished_ms : d->created_ms;
    }
    int64_t time = later(d->created_ms, d->wait_started_ms);
    for (size_t i = 0; i < d->steps.count; i++) {
        const struct deployment_step *step = deployment_step_at(d, i);
        time = later(time, later(step->started_ms, step->ended_ms));
    }
    return time;
}

bool
notice_is_of_commit(const struct deployment *d)
{
    return d->repository != NULL && d->sha != NULL && snapshot_is_commit(d->sha);
}

const char *
notice_title(const struct deployment *d)
{
    return d->title != NULL && d->title[0] != '\0' ? d->title : d->app;
}

const char *
notice_headline(const struct deployment *d, struct arena *arena)
{
    return arena_printf(arena, "%s → %s: %s", notice_cut(arena, notice_title(d), TITLE_MAX),
        notice_cut(arena, d->env, ENVIRONMENT_MAX), report_outcome_text(report_outcome_of(d)));
}

static const char *
under_way(const struct deployment *d, struct arena *arena)
{
    if (d->ending_kind != 0) {
        return arena_printf(arena,
            "'%s' %s in '%s' has come to an end; what it changed is being "
            "put back",
            d->app, d->version, d->env);
    }
    const char *what = cstr_equal(d->verb, "rollback")  ? "put back in"
                       : cstr_equal(d->verb, "rollout") ? "rolled out to"
                       : cstr_equal(d->verb, "prove")   ? "proven in"
                                                        : "deployed to";
    return arena_printf(arena, "'%s' %s is being %s '%s'", d->app, d->version, what, d->env);
}

static const char *
waiting(const struct deployment *d, struct arena *arena)
{
    if (cstr_equal(d->run_status, "waiting")) {
        return arena_printf(arena, "'%s' %s waits until run %lld is approved for '%s'", d->app,
            d->version, (long long)d->run_id, d->env);
    }
    const char *name = "";
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        name =
            target->forward.hook != NULL && target->forward.outcome == NULL ? target->name : name;
    }
    return arena_printf(arena,
        "'%s' %s waits in '%s': target '%s' stands at a hook until somebody "
        "says that it may go on",
        d->app, d->version, d->env, name);
}

// Forty digits say no more than twelve.
static const char *
with_short_version(const struct deployment *d, struct arena *arena, const char *text)
{
    if (!snapshot_is_commit(d->version)) {
        return text;
    }
    struct buf out CLEANUP(buf_done) = BUF_INIT(SENTENCE_MAX);
    for (const char *at = text; *at != '\0' && out.len < SENTENCE_MAX / 2;) {
        const char *found = strstr(at, d->version);
        size_t before = found != NULL ? (size_t)(found - at) : strlen(at);
        buf_add(&out, (struct str){at, before < SENTENCE_MAX / 4 ? before : SENTENCE_MAX / 4});
        at += before;
        if (found != NULL) {
            buf_add(&out, (struct str){d->version, SHORT_VERSION});
            at += strlen(d->version);
        }
    }
    return arena_str(arena, buf_str(&out));
}

const char *
notice_sentence(const struct deployment *d, struct arena *arena, size_t max)
{
    enum report_outcome outcome = report_outcome_of(d);
    const char *text = outcome == REPORT_WAITING ? waiting(d, arena)
                       : d->message == NULL || (outcome == REPORT_STARTED && d->unfinished == NULL)
                           ? under_way(d, arena)
                           : d->message;
    return notice_cut(arena, with_short_version(d, arena, text), max);
}

// What its targets are at, as their platforms say.
static void
put_moves(const struct deployment *d, struct buf *out)
{
    size_t told = 0;
    for (size_t i = 0; i < d->targets.count && told < TARGETS_TOLD; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        const struct deployment_move *move = &target->forward;
        const char *at = move->progress != NULL ? move->progress : move->status;
        if (move->outcome == NULL && at != NULL) {
            buf_printf(out, "%s '%s' %s", told++ > 0 ? "," : ":", target->name, at);
        }
    }
}

const char *
notice_reason(const struct deployment *d, struct arena *arena, size_t max)
{
    bool ended = d->result != NULL && !report_outcome_is_good(report_outcome_of(d));
    if (ended && d->ending_text != NULL) {
        return notice_cut(arena, with_short_version(d, arena, d->ending_text), max);
    }
    return notice_sentence(d, arena, max);
}

const char *
notice_progress(const struct deployment *d, struct arena *arena)
{
    const struct deployment_step *current = report_current_step(d);
    size_t index = 0, count = 0;
    for (size_t i = 0; i < d->steps.count; i++) {
        const struct deployment_step *step = deployment_step_at(d, i);
        count += step->skip ? 0 : 1;
        index = step == current ? count : index;
    }
    if (current == NULL) {
        return NULL;
    }
    struct buf out CLEANUP(buf_done) = BUF_INIT(SENTENCE_MAX);
    buf_printf(&out, "step %zu of %zu: %s", index, count, current->name);
    if (cstr_equal(current->kind, "follow") && d->run_status != NULL) {
        buf_printf(&out, ", run is %s", d->run_status);
    } else if (cstr_equal(current->kind, "rollout")) {
        put_moves(d, &out);
    }
    return notice_cut(arena, buf_cstr(&out), PROGRESS_MAX);
}

const char *
notice_previous(const struct deployment *d, struct arena *arena)
{
    const char *previous = d->services.count > 0 ? deployment_service_at(d, 0)->previous : NULL;
    if (previous != NULL && snapshot_is_commit(previous)) {
        return arena_printf(arena, "%.*s", SHORT_VERSION, previous);
    }
    return notice_cut(arena, previous, VERSION_MAX);
}

const char *
notice_digest(const struct deployment *d)
{
    for (size_t i = 0; i < d->services.count; i++) {
        if (deployment_service_at(d, i)->digest != NULL) {
            return deployment_service_at(d, i)->digest;
        }
    }
    return NULL;
}

static const char *
stands(const char *restore)
{
    return cstr_equal(restore, "restored")  ? "is restored"
           : cstr_equal(restore, "unknown") ? "is in an unknown state"
           : cstr_equal(restore, "kept")    ? "is NOT restored (on_failure: keep)"
           : cstr_equal(restore, "failed")  ? "could NOT be restored"
                                            : "is NOT restored";
}

static const char *
standing(struct arena *arena, const char *what, const char *restore, const char *note)
{
    const char *text = arena_printf(arena, "%s %s%s%s", what, stands(restore),
        note != NULL ? ": " : "", note != NULL ? note : "");
    return notice_cut(arena, text, STANDING_MAX);
}

void
notice_standing(const struct deployment *d, struct arena *arena, struct str_list *out)
{
    size_t most = d->targets.count + d->services.count;
    *out = (struct str_list){arena_array(arena, most, sizeof(*out->items)), 0};
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (target->restore != NULL) {
            const char *what = arena_printf(arena, "'%s'", target->name);
            out->items[out->count++] = standing(arena, what, target->restore, target->restore_note);
        }
    }
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        if (service->restore != NULL) {
            const char *what = arena_printf(arena, "parameter %s", service->parameter);
            out->items[out->count++] =
                standing(arena, what, service->restore, service->restore_note);
        }
    }
}
