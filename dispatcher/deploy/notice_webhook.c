// A deployment as a CloudEvent 1.0 (docs/reports.md tells its members, which stay). Pure: made
// again it is the same, so its time is the deployment's. Signing and sending are notify/'s.
#include "notice_internal.h"
#include "report_internal.h"

enum {
    WORD_MAX = 300,
    TEXT_MAX = 4000,
    TAIL_MAX = 8000,
    COMMITS_MAX = 50,
    ANNOTATIONS_MAX = 10,
    EVIDENCE_MAX = 10,
};

static void
set_text(struct json *object, const char *key, struct arena *arena, const char *text)
{
    json_set_str(object, key, notice_cut(arena, text, TEXT_MAX));
}

static void
set_word(struct json *object, const char *key, struct arena *arena, const char *text)
{
    json_set_str(object, key, notice_cut(arena, text, WORD_MAX));
}

static void
set_time(struct json *object, const char *key, int64_t wall_ms)
{
    char stamp[21];
    if (wall_ms > 0) {
        clock_format_rfc3339(wall_ms, stamp);
        json_set_str(object, key, stamp);
    }
}

static struct json *
list_of(const struct str_list *list, size_t most, struct arena *arena)
{
    struct json *array = json_make_array();
    for (size_t i = 0; i < list->count && i < most; i++) {
        json_append(array, json_make_string(notice_cut(arena, list->items[i], TEXT_MAX)));
    }
    return array;
}

static void
set_services(struct json *data, const struct deployment *d, struct arena *arena)
{
    struct json *array = json_make_array();
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        struct json *one = json_make_object();
        set_word(one, "name", arena, service->name);
        set_word(one, "version", arena, service->version != NULL ? service->version : d->version);
        set_word(one, "digest", arena, service->digest);
        set_word(one, "previous_version", arena, service->previous);
        set_word(one, "parameter", arena, service->parameter);
        set_word(one, "restore", arena, service->restore);
        json_append(array, one);
    }
    json_set(data, "services", array);
}

static void
set_targets(struct json *data, const struct deployment *d, struct arena *arena)
{
    struct json *array = json_make_array();
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        struct json *one = json_make_object();
        set_word(one, "name", arena, target->name);
        set_word(one, "kind", arena, target->want.kind);
        set_word(one, "service", arena, target->want.service);
        set_word(one, "cluster", arena, target->want.cluster);
        set_word(one, "outcome", arena, target->forward.outcome);
        set_text(one, "reason", arena, target->forward.reason);
        json_set_bool(one, "proven", target->proven);
        set_word(one, "running_digest", arena, target->running_digest);
        set_text(one, "proof", arena, target->proof);
        set_word(one, "restore", arena, target->restore);
        json_set(one, "evidence", list_of(&target->evidence, EVIDENCE_MAX, arena));
        json_append(array, one);
    }
    json_set(data, "targets", array);
}

static void
set_steps(struct json *data, const struct deployment *d, struct arena *arena)
{
    struct json *array = json_make_array();
    for (size_t i = 0; i < d->steps.count; i++) {
        const struct deployment_step *step = deployment_step_at(d, i);
        struct json *one = json_make_object();
        set_word(one, "name", arena, step->name);
        set_word(one, "kind", arena, step->kind);
        set_word(one, "state", arena, step->state);
        set_word(one, "note", arena, step->note != NULL ? step->note : step->reason);
        if (step->ended_ms > 0) {
            json_set_int(one, "duration_ms", step->ended_ms - step->started_ms);
        }
        json_append(array, one);
    }
    json_set(data, "steps", array);
}

static void
set_commits(struct json *data, const struct deployment *d, struct arena *arena)
{
    struct json *array = json_make_array();
    for (size_t i = 0; i < d->commits.count && i < COMMITS_MAX; i++) {
        const struct deployment_commit *commit =
            (const struct deployment_commit *)d->commits.items + i;
        struct json *one = json_make_object();
        set_word(one, "sha", arena, commit->sha);
        set_word(one, "subject", arena, commit->subject);
        set_word(one, "author", arena, commit->author);
        if (commit->pull > 0) {
            json_set_int(one, "pull", commit->pull);
        }
        json_append(array, one);
    }
    json_set(data, "commits", array);
    json_set_int(data, "commit_count", (int64_t)d->commits.count);
    json_set_bool(data, "commits_complete", d->commits_complete);
    json_set_str(data, "compare_url", notice_url(release_compare_url(d, arena)));
}

static void
set_run(struct json *data, const struct deployment *d, struct arena *arena)
{
    if (d->run_id == 0) {
        return;
    }
    struct json *run = json_make_object();
    json_set_int(run, "id", d->run_id);
    json_set_str(run, "url", notice_url(d->run_url));
    set_word(run, "status", arena, d->run_status);
    set_word(run, "conclusion", arena, d->run_conclusion);
    json_set(data, "run", run);
}

static void
set_failure(struct json *data, const struct deployment *d, struct arena *arena)
{
    const struct deployment_failure *f = &d->failure;
    if (f->job == NULL) {
        return;
    }
    struct json *failure = json_make_object();
    set_word(failure, "job", arena, f->job);
    json_set_str(failure, "job_url", notice_url(f->job_url));
    set_word(failure, "step", arena, f->step);
    json_set(failure, "annotations", list_of(&f->annotations, ANNOTATIONS_MAX, arena));
    json_set_str(failure, "log_tail", notice_tail(arena, f->log_tail, TAIL_MAX));
    json_set(data, "failure", failure);
}

static void
set_request(struct json *data, const struct deployment *d, struct arena *arena)
{
    json_set_str(data, "deployment", d->id);
    json_set_str(data, "verb", d->verb);
    set_word(data, "app", arena, d->app);
    set_word(data, "title", arena, notice_title(d));
    set_word(data, "environment", arena, d->env);
    json_set_bool(data, "production", d->is_production);
    set_word(data, "version", arena, d->version);
    set_word(data, "previous_version", arena,
        d->services.count > 0 ? deployment_service_at(d, 0)->previous : NULL);
    set_word(data, "digest", arena, notice_digest(d));
    set_word(data, "repository", arena, d->repository);
    set_word(data, "commit", arena, d->sha);
    set_word(data, "branch", arena, d->branch);
    set_word(data, "tag", arena, d->tag);
    set_word(data, "actor", arena, d->actor);
    set_text(data, "reason", arena, d->because);
}

static void
set_end(struct json *data, const struct deployment *d, struct arena *arena)
{
    enum report_outcome outcome = report_outcome_of(d);
    struct buf back CLEANUP(buf_done) = BUF_INIT(4096);
    json_set_str(data, "outcome", report_outcome_word(outcome));
    json_set_bool(data, "final", report_outcome_is_final(outcome));
    json_set_str(data, "result", d->result);
    if (report_outcome_is_final(outcome)) {
        json_set_int(data, "exit_code", d->exit_code);
    }
    set_text(data, "message", arena, notice_sentence(d, arena, TEXT_MAX));
    set_text(data, "hint", arena, d->hint);
    json_set_bool(data, "proven", d->proven);
    set_text(data, "proof", arena, d->proof);
    report_way_back(d, &back);
    set_word(data, "way_back", arena, back.len > 0 ? buf_cstr(&back) : NULL);
    set_time(data, "created", d->created_ms);
    set_time(data, "finished", d->finished_ms);
    if (d->finished_ms > 0) {
        json_set_int(data, "duration_ms", d->finished_ms - d->created_ms);
    }
}

static struct json *
make_data(const struct deployment *d, struct arena *arena)
{
    struct json *data = json_make_object();
    set_request(data, d, arena);
    set_end(data, d, arena);
    json_set_str(data, "ci_url", notice_url(d->caller_url));
    json_set_str(data, "environment_url", notice_url(d->environment_url));
    set_run(data, d, arena);
    set_services(data, d, arena);
    set_targets(data, d, arena);
    set_steps(data, d, arena);
    set_commits(data, d, arena);
    set_failure(data, d, arena);
    json_set(data, "notes", list_of(&d->notes, COMMITS_MAX, arena));
    return data;
}

// A URI: where the app lives, or its name in one of ours.
static const char *
source_of(const struct deployment *d, struct arena *arena)
{
    const char *web = d->repository != NULL && d->github_web != NULL
                          ? arena_printf(arena, "%s/%s", d->github_web, d->repository)
                          : NULL;
    web = notice_url(web);
    return web != NULL ? web : arena_printf(arena, "urn:dispatcher:%s", d->app);
}

struct json *
notice_webhook_event(const struct deployment *d, struct arena *arena)
{
    const char *word = report_outcome_word(report_outcome_of(d));
    struct json *event = json_make_object();
    json_set_str(event, "specversion", "1.0");
    json_set_str(event, "id", arena_printf(arena, "%s/%s", d->id, word));
    json_set_str(event, "source", source_of(d, arena));
    json_set_str(event, "type", arena_printf(arena, "dev.dispatcher.deployment.%s", word));
    json_set_str(event, "subject", arena_printf(arena, "%s/%s", d->app, d->env));
    set_time(event, "time", notice_time(d));
    json_set_str(event, "datacontenttype", "application/json");
    json_set(event, "data", make_data(d, arena));
    return event;
}
