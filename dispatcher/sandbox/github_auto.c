// Runs that execute nothing and change their state by time alone, thousands at once: for load. One
// thread moves them all. The delays of the command line do not count, but for `--visible-delay`.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_internal.h"

enum { LOOK_MS = 200, SECONDS_MAX = 86400, STACK_BYTES = 256 * 1024 };

struct github_auto {
    bool is_on, is_stopping, runs;
    int64_t start_ms, finish_ms; // after the dispatch, after the start
    const char *conclusion;
    struct github_run **active;
    size_t count;
    struct cancel *wake;
    pthread_t thread;
};

bool
sandbox_auto_takes(struct github_run *run)
{
    struct github_auto *automatic = run->sandbox->github->automatic;
    if (automatic == NULL || !automatic->is_on) {
        return false;
    }
    int64_t now = clock_mono(run->sandbox->platform->clock);
    run->auto_start_ms = now + automatic->start_ms;
    run->auto_finish_ms = run->auto_start_ms + automatic->finish_ms;
    run->auto_conclusion = run->forced != NULL ? run->forced : automatic->conclusion;
    if ((automatic->count & (automatic->count - 1)) == 0) { // grows by doubling
        size_t room = automatic->count == 0 ? 1 : 2 * automatic->count;
        automatic->active = xrealloc(automatic->active, room * sizeof(*automatic->active));
    }
    automatic->active[automatic->count++] = run;
    cancel_raise(automatic->wake, 1);
    return true;
}

static const char *
conclusion_of_job(const char *conclusion)
{
    static const char *const of_jobs[] = {"success", "failure", "cancelled", "skipped"};
    for (size_t i = 0; i < ARRAY_LENGTH(of_jobs); i++) {
        if (strcmp(of_jobs[i], conclusion) == 0) {
            return of_jobs[i];
        }
    }
    return "failure";
}

static void
start(struct github_run *run)
{
    sandbox_run_set_status(run, "in_progress");
    for (size_t i = 0; i < run->job_count; i++) {
        sandbox_run_job_start(run, i);
    }
}

static void
finish(struct github_run *run, const char *conclusion)
{
    for (size_t i = 0; i < run->job_count; i++) {
        sandbox_run_job_end(run, &run->jobs[i], conclusion_of_job(conclusion));
    }
    sandbox_run_finish(run, conclusion);
}

// True once nothing more comes of it; *next_ms is lowered to when something may.
static bool
move(struct github_run *run, int64_t now, int64_t *next_ms)
{
    bool waits = strcmp(run->status, "in_progress") != 0;
    if (run->is_set || strcmp(run->status, "completed") == 0) {
        return true;
    }
    if (run->cancel_asked) {
        finish(run, "cancelled");
        return true;
    }
    if (waits && now >= run->auto_start_ms) {
        start(run);
        waits = false;
    }
    if (!waits && now >= run->auto_finish_ms) {
        finish(run, run->auto_conclusion);
        return true;
    }
    int64_t due = waits ? run->auto_start_ms : run->auto_finish_ms;
    *next_ms = due < *next_ms ? due : *next_ms;
    return false;
}

static void *
work(void *arg)
{
    struct sandbox *sandbox = arg;
    struct github_auto *automatic = sandbox->github->automatic;
    const struct clock *clock = sandbox->platform->clock;
    (void)pthread_mutex_lock(&sandbox->lock);
    while (!automatic->is_stopping) {
        int64_t now = clock_mono(clock), next_ms = now + LOOK_MS;
        cancel_clear(automatic->wake);
        for (size_t i = automatic->count; i-- > 0;) {
            if (move(automatic->active[i], now, &next_ms)) {
                automatic->active[i] = automatic->active[--automatic->count];
            }
        }
        (void)pthread_mutex_unlock(&sandbox->lock);
        error_free(clock_sleep_until(clock, next_ms, automatic->wake));
        (void)pthread_mutex_lock(&sandbox->lock);
    }
    (void)pthread_mutex_unlock(&sandbox->lock);
    return NULL;
}

static bool
start_thread(struct sandbox *sandbox)
{
    struct github_auto *automatic = sandbox->github->automatic;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    automatic->runs = pthread_create(&automatic->thread, &attributes, work, sandbox) == 0;
    (void)pthread_attr_destroy(&attributes);
    return automatic->runs;
}

void
sandbox_auto_stop(struct sandbox *sandbox)
{
    (void)pthread_mutex_lock(&sandbox->lock);
    struct github_auto *automatic = sandbox->github->automatic;
    bool runs = automatic != NULL && automatic->runs;
    if (runs) {
        automatic->is_stopping = true;
        automatic->runs = false;
        cancel_raise(automatic->wake, 1);
    }
    (void)pthread_mutex_unlock(&sandbox->lock);
    if (runs) {
        (void)pthread_join(automatic->thread, NULL);
    }
}

void
sandbox_auto_free(struct github_state *github)
{
    if (github->automatic != NULL) {
        free(github->automatic->active);
        cancel_free(github->automatic->wake);
        free(github->automatic);
        github->automatic = NULL;
    }
}

void
sandbox_auto_reset(struct sandbox *sandbox)
{
    if (sandbox->github->automatic != NULL) {
        sandbox->github->automatic->is_on = false;
    }
}

static bool
read_seconds(const struct json *value, double fallback, int64_t *ms)
{
    double seconds = json_number(value, value == NULL ? fallback : -1.0);
    *ms = (int64_t)(seconds * 1000.0);
    return seconds >= 0.0 && seconds <= SECONDS_MAX;
}

// {"seconds_to_start": 1, "seconds_to_finish": 2.5, "conclusion": "success"}; {"off": true}
void
sandbox_auto_control(
    struct sandbox *sandbox, const struct json *order, struct sandbox_response *response)
{
    struct github_state *github = sandbox->github;
    const char *word = json_str(json_get(order, "conclusion"));
    const char *conclusion = sandbox_github_conclusion(word != NULL ? word : "success");
    int64_t start_ms = 0, finish_ms = 0;
    if (order == NULL || !read_seconds(json_get(order, "seconds_to_start"), 0, &start_ms) ||
        !read_seconds(json_get(order, "seconds_to_finish"), 1, &finish_ms) || conclusion == NULL) {
        sandbox_reply_problem(response, 422,
            "'seconds_to_start' and 'seconds_to_finish' are from 0 to 86400, 'conclusion' is one "
            "of "
            "GitHub's");
        return;
    }
    if (github->is_stopping) {
        sandbox_reply_problem(response, 503, "the sandbox is shutting down");
        return;
    }
    if (github->automatic == NULL) {
        github->automatic = xcalloc(1, sizeof(*github->automatic));
        github->automatic->wake = cancel_new();
        if (!start_thread(sandbox)) {
            sandbox_reply_problem(response, 500, "cannot start a thread");
            return;
        }
    }
    github->automatic->is_on = !json_bool(json_get(order, "off"), false);
    github->automatic->start_ms = start_ms;
    github->automatic->finish_ms = finish_ms;
    github->automatic->conclusion = conclusion;
    response->status = 204;
}
