// What became of a dispatch whose answer is not known (protocols.md §3.7): looks for the run, never
// sends anything. A listing that cannot be read whole counts as not read; absence is never proven.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"

enum { SLACK_MS = 120 * 1000, CANDIDATES_MAX = 20, ID_CHARS = 20, LONE_READINGS = 4 };

char *
dispatch_id_make(struct arena *arena, const char *claim_key, int64_t try)
{
    unsigned char hash[SHA256_SIZE];
    sha256_of(str_of(claim_key), hash);
    struct buf text CLEANUP(buf_done) = BUF_INIT(128);
    base32_encode_lower((struct str){(const char *)hash, sizeof(hash)}, &text);
    return arena_printf(arena, "d-%.*s-%lld", (int)ID_CHARS, buf_cstr(&text), (long long)try);
}

// Re-runs of a caller's job reach back 30 days (facts §1.6); a little more for the clocks.
#define EARLIER_MS (INT64_C(35) * 24 * 3600 * 1000)

// ".github/workflows/deploy-app.yaml", some servers add "@main".
static bool
is_our_workflow(const struct deployment *d, const struct github_run *run)
{
    struct str path = {0}, rest = {0};
    if (!str_cut(str_of(run->path), '@', &path, &rest)) {
        return false;
    }
    char *file CLEANUP(xfreep) = xasprintf("/%s", d->workflow_file);
    struct str branch = str_of(d->workflow_ref);
    if (str_starts(branch, STR("refs/heads/"))) {
        branch = str_skip(branch, strlen("refs/heads/"));
    } else if (str_starts(branch, STR("refs/tags/"))) {
        branch = str_skip(branch, strlen("refs/tags/"));
    }
    return str_ends(path, str_of(file)) && cstr_equal(run->event, "workflow_dispatch") &&
           (str_of(run->head_branch).len == 0 || str_equal(str_of(run->head_branch), branch));
}

// The id as a whole word of the title: "d-abc-1" must not match "d-abc-12".
static bool
shows_id(const char *title, const char *id)
{
    size_t len = strlen(id);
    for (const char *at = title; at != NULL; at++) {
        at = strstr(at, id);
        if (at == NULL) {
            return false;
        }
        char after = at[len];
        if (!((after >= '0' && after <= '9') || (after >= 'a' && after <= 'z'))) {
            return true;
        }
    }
    return false;
}

bool
reconcile_may_be_ours(const struct deployment *d, const struct github_run *run)
{
    bool shown =
        d->id_input == NULL || !d->id_in_run_name || shows_id(run->display_title, d->dispatch_id);
    return is_our_workflow(d, run) && shown;
}

// Without an id only the time tells: GitHub's clock in whole seconds, as `created_at` has them.
static bool
is_of_that_time(const struct deployment *d, const struct github_run *run)
{
    return run->created_ms >= d->dispatched_at_ms - d->dispatched_at_ms % 1000;
}

// The usual infra workflow of before shows the id in a step's name only.
static struct error *
steps_show_id(const struct step_run *run, struct github_client *github, int64_t run_id,
    const char *id, bool *shown)
{
    struct github_job *jobs = NULL;
    size_t count = 0;
    bool changed = false;
    TRY(github_jobs_list(github, run_id, run->arena, &jobs, &count, &changed));
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < jobs[i].step_count; k++) {
            if (shows_id(jobs[i].steps[k].name, id)) {
                *shown = true;
            }
        }
    }
    return NULL;
}

struct found {
    const struct github_run *oldest;
    size_t matches;
    const struct github_run *all[CANDIDATES_MAX];
};

static void
add_match(struct found *found, const struct github_run *run)
{
    if (found->matches < CANDIDATES_MAX) {
        found->all[found->matches] = run;
    }
    found->matches++;
    if (found->oldest == NULL || run->id < found->oldest->id) {
        found->oldest = run;
    }
}

static struct error *
match_runs(const struct step_run *run, struct github_client *github, const struct github_run *list,
    size_t count, const char *id, struct found *found)
{
    const struct deployment *d = run->deployment;
    for (size_t i = 0; i < count; i++) {
        bool hit = d->id_input == NULL ? is_of_that_time(d, &list[i])
                                       : shows_id(list[i].display_title, id);
        if (is_our_workflow(d, &list[i]) && hit) {
            add_match(found, &list[i]);
        }
    }
    if (found->matches > 0 || d->id_input == NULL || d->id_in_run_name) {
        return NULL;
    }
    size_t asked = 0;
    for (size_t i = 0; i < count && asked < CANDIDATES_MAX; i++) {
        bool shown = false;
        if (is_our_workflow(d, &list[i])) {
            asked++;
            TRY(steps_show_id(run, github, list[i].id, id, &shown));
        }
        if (shown) {
            add_match(found, &list[i]);
        }
    }
    return NULL;
}

static struct error *
look(const struct step_run *run, int64_t since_ms, const char *id, struct found *found)
{
    struct github_client *github = NULL;
    struct github_run *list = NULL;
    size_t count = 0;
    TRY(provider_github(run->context, run->deployment, &github));
    TRY(github_runs_list(
        github, run->deployment->workflow_file, since_ms, run->arena, &list, &count));
    return match_runs(run, github, list, count, id, found);
}

struct error *
reconcile_once(const struct step_run *run, struct github_run *out, bool *found)
{
    const struct deployment *d = run->deployment;
    struct found seen = {0};
    TRY(look(run, d->dispatched_at_ms - SLACK_MS, d->dispatch_id, &seen));
    *found = seen.matches > 0;
    if (*found) {
        *out = *seen.oldest;
    }
    return NULL;
}

struct error *
reconcile_earlier(const struct step_run *run, const char *id, struct github_run *out, bool *found)
{
    struct found seen = {0};
    int64_t now = run->deployment->dispatched_at_ms;
    struct error *err = look(run, now - EARLIER_MS, id, &seen);
    if (err != NULL && error_kind(err) == ERROR_UNAVAILABLE) {
        return error_hint(err, "A re-run must know what its earlier attempts have started. Start a "
                               "new workflow run instead of re-running this one.");
    }
    TRY(err);
    *found = seen.matches > 0;
    if (*found) {
        *out = *seen.oldest;
    }
    return NULL;
}

// More than one run for one id: keep the oldest, stop the others, and say so.
static struct error *
stop_duplicates(const struct step_run *run, const struct found *found, struct reconcile_result *out)
{
    struct github_client *github = NULL;
    TRY(provider_github(run->context, run->deployment, &github));
    struct buf text CLEANUP(buf_done) = BUF_INIT(8192);
    buf_printf(&text, "%zu runs show this id:", found->matches);
    for (size_t i = 0; i < found->matches && i < CANDIDATES_MAX; i++) {
        buf_printf(&text, " %s", found->all[i]->html_url);
        if (found->all[i] == found->oldest || github_run_is_complete(found->all[i])) {
            continue;
        }
        struct error *err = github_run_cancel(github, found->all[i]->id);
        buf_puts(&text, err == NULL ? " (cancelled)" : " (could not be cancelled)");
        error_free(err);
    }
    out->outcome = RECONCILE_SEVERAL;
    out->run = *found->oldest;
    out->explanation = arena_str(run->arena, buf_str(&text));
    return NULL;
}

static struct error *
conclude(const struct step_run *run, const struct found *found, struct reconcile_result *out)
{
    const struct deployment *d = run->deployment;
    if (found->matches > 1 && d->id_input != NULL) {
        return stop_duplicates(run, found, out);
    }
    if (found->matches > 1) {
        out->outcome = RECONCILE_SEVERAL;
        out->explanation =
            arena_printf(run->arena, "%zu runs of '%s' began at that time and nothing tells ours",
                found->matches, d->workflow_file);
        return NULL;
    }
    out->outcome = RECONCILE_FOUND;
    out->run = *found->oldest;
    out->explanation = d->id_input != NULL ? "found by its id" : "the only run of that time";
    return NULL;
}

// 1, 2, 4, 8, 16, 30, 30 … s
static int64_t
first_pause_ms(int64_t window_ms)
{
    return window_ms < 60000 ? window_ms / 60 + 1 : 1000;
}

static void
begin_search(const struct step_run *run, int64_t window_ms)
{
    struct pace_search *search = &run->context->pace->search;
    if (search->pause_ms == 0) {
        search->end_mono_ms = clock_mono(run->context->platform->clock) + window_ms;
        search->pause_ms = first_pause_ms(window_ms);
    }
}

struct error *
reconcile(const struct step_run *run, int64_t window_ms, struct reconcile_result *out,
    struct step_result *result)
{
    const struct deployment *d = run->deployment;
    struct pace_search *search = &run->context->pace->search;
    struct found found = {0};
    begin_search(run, window_ms);
    struct error *err = look(run, d->dispatched_at_ms - SLACK_MS, d->dispatch_id, &found);
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    bool is_read = err == NULL;
    error_free(err);
    search->readings += is_read ? 1 : 0;
    search->failures += is_read ? 0 : 1;
    // Without an id, the only run that is seen may be another's, and ours not be listed yet.
    search->lone = found.matches == 1 ? search->lone + 1 : search->lone;
    bool sure = d->id_input != NULL || found.matches > 1 || search->lone >= LONE_READINGS;
    if (is_read && found.matches > 0 && sure) {
        return conclude(run, &found, out);
    }
    int64_t next = clock_mono(run->context->platform->clock) + search->pause_ms;
    if (next <= search->end_mono_ms) {
        int64_t longest = first_pause_ms(window_ms) * 30;
        search->pause_ms = search->pause_ms * 2 < longest ? search->pause_ms * 2 : longest;
        result->outcome = STEP_WAIT;
        result->until_ms = next;
        return NULL;
    }
    out->outcome = RECONCILE_NONE;
    out->explanation =
        arena_printf(run->arena, "no run shows it in %zu complete listings (%zu could not be read)",
            search->readings, search->failures);
    return NULL;
}
