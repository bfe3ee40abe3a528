// Keeps the infra repository's documents fresh: read every `server.specs_every` and soon after a
// push, swapped as a whole. One app's invalid spec denies that app; an invalid dispatcher.yaml, or
// a repository that cannot be read, leaves the last good set in force until it is older than
// `server.specs_max_age`: then nothing is allowed. Resolves nothing itself (spec_set.c).
#include "specs_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum {
    FIRST_MS = 3000,      // a start waits as long for the first reading, then goes on without
    FIRST_STEP_MS = 20,   // while it waits
    GAP_MS = 2000,        // between two readings, however often somebody pushes
    AGAIN_MS = 10 * 1000, // after one that failed
    EVERY_MS = 60 * 1000, // where the settings do not say
    MAX_AGE_MS = 3600 * 1000,
};

struct spec_keeper {
    struct service *service;
    struct specs_reader reader; // the thread's
    pthread_t thread;
    struct cancel *wake;
    atomic_bool stopped, stale, first_done;
    const struct setting_server *judged_by; // the settings that `set` was looked at with

    pthread_mutex_t lock; // of what follows
    const struct spec_set *set;
    int64_t read_mono_ms, read_wall_ms; // of the last good reading
    char *problem, *invalid;
};

static int64_t
or_else(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

static void
set_text(char **text, const char *value)
{
    free(*text);
    *text = value != NULL ? xstrdup(value) : NULL;
}

// Says once what is new: each reading would repeat it else.
static void
say_problem(struct spec_keeper *keeper, char **known, const char *message, const char *problem)
{
    if (problem != NULL && !cstr_equal(*known, problem)) {
        log_error(service_platform(keeper->service)->log, message, F_STR("problem", problem));
    }
    (void)pthread_mutex_lock(&keeper->lock);
    set_text(known, problem);
    (void)pthread_mutex_unlock(&keeper->lock);
}

static void
say_broken_apps(
    struct spec_keeper *keeper, const struct spec_set *set, const struct spec_set *before)
{
    const struct str_list *apps = spec_set_apps(set);
    for (size_t i = 0; i < apps->count; i++) {
        const struct spec_app *app = spec_set_find(set, apps->items[i]);
        const struct spec_app *old = before != NULL ? spec_set_find(before, app->name) : NULL;
        bool told = old != NULL && cstr_equal(old->problem, app->problem);
        if (app->problem != NULL && !told) {
            log_error(service_platform(keeper->service)->log,
                "an invalid spec: nobody may deploy this app", F_STR("app", app->name),
                F_STR("problem", app->problem), F_STR("commit", spec_set_commit(set)));
        }
    }
}

// It is what the repository says now.
static void
renew(struct spec_keeper *keeper)
{
    const struct clock *clock = service_platform(keeper->service)->clock;
    (void)pthread_mutex_lock(&keeper->lock);
    keeper->read_mono_ms = clock_mono(clock);
    keeper->read_wall_ms = clock_wall(clock);
    (void)pthread_mutex_unlock(&keeper->lock);
}

static void
swap(struct spec_keeper *keeper, const struct spec_set *set)
{
    (void)pthread_mutex_lock(&keeper->lock);
    const struct spec_set *before = keeper->set;
    keeper->set = set;
    (void)pthread_mutex_unlock(&keeper->lock);
    log_info(service_platform(keeper->service)->log, "specs read",
        F_STR("commit", spec_set_commit(set)), F_INT("apps", spec_set_apps(set)->count),
        F_INT("broken", spec_set_broken(set)));
    specs_release(before);
}

static void
take_reading(
    struct spec_keeper *keeper, struct spec_reading *reading, const struct setting_server *settings)
{
    const char *invalid = spec_set_refuse(reading, &settings->secrets);
    say_problem(keeper, &keeper->invalid,
        "dispatcher.yaml is invalid: the one before stays in force", invalid);
    if (invalid != NULL) {
        return;
    }
    const struct spec_set *before = keeper->set; // only this thread changes it
    const struct spec_set *set =
        spec_set_new(reading, &settings->secrets, keeper->judged_by == settings ? before : NULL);
    keeper->judged_by = settings;
    say_broken_apps(keeper, set, before);
    swap(keeper, set);
    renew(keeper);
}

static bool
read_now(struct spec_keeper *keeper)
{
    struct spec_reading reading = {0};
    const struct setting_server *settings = service_settings(keeper->service);
    bool judged = keeper->set != NULL && keeper->judged_by == settings;
    const char *known = judged ? spec_set_commit(keeper->set) : NULL;
    struct error *err = specs_read(&keeper->reader, known, &reading);
    char *problem CLEANUP(xfreep) = err != NULL ? error_text(err) : NULL;
    say_problem(keeper, &keeper->problem, "specs are not read", problem);
    if (err != NULL) {
        error_free(err);
        return false;
    }
    if (reading.arena == NULL) { // as it was
        say_problem(keeper, &keeper->invalid, "", NULL);
        renew(keeper);
        return true;
    }
    take_reading(keeper, &reading, settings);
    arena_free(reading.arena);
    return true;
}

static void *
keep(void *ctx)
{
    struct spec_keeper *keeper = ctx;
    const struct clock *clock = service_platform(keeper->service)->clock;
    while (!atomic_load(&keeper->stopped)) {
        cancel_clear(keeper->wake);
        atomic_store(&keeper->stale, false);
        int64_t begun = clock_mono(clock);
        bool good = read_now(keeper);
        atomic_store(&keeper->first_done, true);
        int64_t every = or_else(service_settings(keeper->service)->specs_every_ms, EVERY_MS);
        int64_t until = begun + (good || every < AGAIN_MS ? every : AGAIN_MS);
        if (!atomic_load(&keeper->stopped) && !atomic_load(&keeper->stale)) {
            error_free(clock_sleep_until(clock, until, keeper->wake));
        }
        while (!atomic_load(&keeper->stopped) && clock_mono(clock) < begun + GAP_MS) {
            cancel_clear(keeper->wake);
            error_free(clock_sleep_until(clock, begun + GAP_MS, keeper->wake));
        }
    }
    return NULL;
}

static void
keeper_free(struct spec_keeper *keeper)
{
    specs_reader_done(&keeper->reader);
    specs_release(keeper->set);
    cancel_free(keeper->wake);
    (void)pthread_mutex_destroy(&keeper->lock);
    free(keeper->problem);
    free(keeper->invalid);
    free(keeper);
}

static void
wait_for_first(struct spec_keeper *keeper)
{
    const struct platform *platform = service_platform(keeper->service);
    int64_t until = clock_mono(platform->clock) + FIRST_MS;
    while (!atomic_load(&keeper->first_done) && clock_mono(platform->clock) < until &&
           cancel_signal(platform->cancel) == 0) {
        error_free(clock_sleep_until(
            platform->clock, clock_mono(platform->clock) + FIRST_STEP_MS, platform->cancel));
    }
}

struct error *
specs_start(struct service *service)
{
    struct spec_keeper *keeper = xcalloc(1, sizeof(*keeper));
    keeper->service = service;
    keeper->wake = cancel_new();
    (void)pthread_mutex_init(&keeper->lock, NULL);
    keeper->reader =
        (struct specs_reader){.service = service, .platform = service_platform(service)};
    struct error *err = http_client_new(
        keeper->reader.platform, service_http_options(service), &keeper->reader.http);
    int failed = err == NULL ? pthread_create(&keeper->thread, NULL, keep, keeper) : 0;
    if (failed != 0) {
        err = error_new(ERROR_STORAGE, "start a thread for specs: %s", strerror(failed));
    }
    if (err != NULL) {
        keeper_free(keeper);
        return err;
    }
    service_parts(service)->specs = keeper;
    wait_for_first(keeper);
    return NULL;
}

void
specs_stop(struct service *service)
{
    struct spec_keeper *keeper = service_parts(service)->specs;
    if (keeper == NULL) {
        return;
    }
    atomic_store(&keeper->stopped, true);
    cancel_raise(keeper->wake, 1);
    (void)pthread_join(keeper->thread, NULL);
    service_parts(service)->specs = NULL;
    keeper_free(keeper);
}

void
specs_stale(struct service *service)
{
    struct spec_keeper *keeper = service_parts(service)->specs;
    if (keeper != NULL) {
        atomic_store(&keeper->stale, true);
        cancel_raise(keeper->wake, 1);
    }
}

const struct spec_set *
specs_hold(struct service *service, const char **why)
{
    struct spec_keeper *keeper = service_parts(service)->specs;
    const struct spec_set *set = NULL;
    *why = "the specs were not read yet";
    if (keeper == NULL) {
        return NULL;
    }
    int64_t max_age = or_else(service_settings(service)->specs_max_age_ms, MAX_AGE_MS);
    int64_t now = clock_mono(service_platform(service)->clock);
    (void)pthread_mutex_lock(&keeper->lock);
    if (keeper->set != NULL && now - keeper->read_mono_ms <= max_age) {
        set = spec_set_ref(keeper->set);
    } else if (keeper->set != NULL) {
        *why = "the specs could not be read for too long, so nothing is allowed";
    } else if (keeper->invalid != NULL) { // what is wrong is for its owners: the log says it
        *why = "dispatcher.yaml of the infra repository is invalid, so nothing is allowed";
    }
    (void)pthread_mutex_unlock(&keeper->lock);
    return set;
}

void
specs_state(struct service *service, struct arena *arena, struct specs_state *out)
{
    struct spec_keeper *keeper = service_parts(service)->specs;
    *out = (struct specs_state){0};
    if (keeper == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&keeper->lock);
    out->problem = arena_dup(arena, keeper->problem);
    out->invalid = arena_dup(arena, keeper->invalid);
    out->read_ms = keeper->read_wall_ms;
    if (keeper->set != NULL) {
        out->commit = arena_dup(arena, spec_set_commit(keeper->set));
        out->apps = spec_set_apps(keeper->set)->count;
        out->broken = spec_set_broken(keeper->set);
    }
    (void)pthread_mutex_unlock(&keeper->lock);
}
