// Events as JSON objects: the lines of --json and of the journal (docs/events.md).
#include "deploy_internal.h"

static const char *const kind_names[] = {
    [DEPLOY_EVENT_STARTED] = "started",
    [DEPLOY_EVENT_STEP] = "step",
    [DEPLOY_EVENT_IMAGE] = "image",
    [DEPLOY_EVENT_PROGRESS] = "progress",
    [DEPLOY_EVENT_OUTPUT] = "output",
    [DEPLOY_EVENT_RUN] = "run",
    [DEPLOY_EVENT_JOBS] = "jobs",
    [DEPLOY_EVENT_TARGET] = "target",
    [DEPLOY_EVENT_NOTE] = "note",
    [DEPLOY_EVENT_WARNING] = "warning",
    [DEPLOY_EVENT_FINISHED] = "finished",
};

static void
put_step(struct json *object, const struct deployment_step *step)
{
    json_set_str(object, "step", step->name);
    json_set_str(object, "kind", step->kind);
    json_set_str(object, "state", step->state);
    json_set_str(object, "note", step->note != NULL ? step->note : step->reason);
    if (step->ended_ms > 0) {
        json_set_int(object, "duration_ms", step->ended_ms - step->started_ms);
    }
}

static void
put_image(struct json *object, const struct deploy_event *event)
{
    int64_t bytes = 0;
    bool known = true;
    const char *digest = NULL;
    size_t count = image_part_count(event->image);
    for (size_t i = 0; i < count; i++) {
        int64_t size = image_part_size(image_part_at(event->image, i));
        known = known && size >= 0;
        bytes += size;
    }
    if (image_is_settled(event->image)) {
        error_free(image_digest(event->image, &digest)); // the push tells what is wrong
    }
    json_set_str(object, "step", event->step->name);
    json_set_str(object, "source", event->text);
    json_set_str(object, "digest", digest);
    json_set_str(object, "platforms", image_platforms(event->image));
    json_set_int(object, "blobs", (int64_t)count);
    if (known) {
        json_set_int(object, "bytes", bytes);
    }
}

static void
put_part(struct json *object, const struct deploy_event *event)
{
    static const char *const names[] = {[REGISTRY_PART_PRESENT] = "present",
        [REGISTRY_PART_REUSED] = "reused",
        [REGISTRY_PART_MOUNTED] = "mounted",
        [REGISTRY_PART_SENDING] = "sending",
        [REGISTRY_PART_AGAIN] = "again",
        [REGISTRY_PART_SENT] = "sent",
        [REGISTRY_MANIFEST_SENT] = "manifest"};
    const struct registry_progress *part = event->part;
    json_set_str(object, "step", event->step->name);
    json_set_str(object, "what", names[part->what]);
    if (part->what != REGISTRY_MANIFEST_SENT) {
        json_set_int(object, "part", (int64_t)part->part);
        json_set_int(object, "sent", part->sent);
    }
    json_set_str(object, "digest", part->digest);
    json_set_str(object, "diff_id", part->diff_id);
    json_set_int(object, "done", part->done);
    json_set_int(object, "total", part->total);
}

static void
put_run(struct json *object, const struct deployment *d)
{
    json_set_int(object, "run_id", d->run_id);
    json_set_str(object, "run_url", d->run_url);
    json_set_str(object, "status", d->run_status);
    json_set_str(object, "conclusion", d->run_conclusion);
}

static void
put_jobs(struct json *object, const struct deployment *d)
{
    struct json *jobs = json_make_array();
    for (size_t i = 0; i < d->jobs.count; i++) {
        const struct deployment_job *job = (const struct deployment_job *)d->jobs.items + i;
        struct json *one = json_make_object(), *steps = json_make_array();
        json_set_str(one, "name", job->name);
        json_set_str(one, "status", job->status);
        json_set_str(one, "conclusion", job->conclusion);
        json_set_str(one, "url", job->url);
        for (size_t k = 0; k < job->steps.count; k++) {
            const struct deployment_job_step *step =
                (const struct deployment_job_step *)job->steps.items + k;
            struct json *part = json_make_object();
            json_set_str(part, "name", step->name);
            json_set_str(part, "status", step->status);
            json_set_str(part, "conclusion", step->conclusion);
            json_append(steps, part);
        }
        json_set(one, "steps", steps);
        json_append(jobs, one);
    }
    json_set(object, "jobs", jobs);
}

static void
put_target(struct json *object, const struct deploy_event *event)
{
    const struct deployment_target *target = event->target;
    const struct deployment_move *move = event->move;
    json_set_str(object, "target", target->name);
    json_set_str(object, "kind", target->want.kind);
    json_set_str(object, "service", target->want.service);
    json_set_str(object, "cluster", target->want.cluster);
    json_set_str(object, "direction", move == &target->back ? "back" : "forward");
    json_set_str(object, "id", move->id);
    json_set_str(object, "revision", move->revision);
    json_set_str(object, "digest", move->digest);
    json_set_str(object, "status", move->status);
    json_set_str(object, "stage", move->stage);
    json_set_str(object, "progress", move->progress);
    json_set_bool(object, "rolling_back", move->rolling_back);
    json_set_str(object, "hook", move->hook);
    json_set_str(object, "outcome", move->outcome);
    json_set_str(object, "reason", move->reason);
    json_set_bool(object, "proven", target->proven);
    json_set_str(object, "running_digest", target->running_digest);
}

static void
put_end(struct json *object, const struct deployment *d)
{
    const struct deployment_service *first =
        d->services.count > 0 ? deployment_service_at(d, 0) : NULL;
    json_set_str(object, "result", d->result != NULL ? d->result : d->unfinished);
    json_set_int(object, "exit_code", d->exit_code);
    json_set_str(object, "message", d->message);
    json_set_str(object, "hint", d->hint);
    json_set_str(object, "version", d->version);
    json_set_bool(object, "proven", d->proven);
    json_set_str(object, "proof", d->proof);
    if (first != NULL) {
        json_set_str(object, "digest", first->digest);
        json_set_str(object, "previous_version", first->previous);
    }
    json_set_int(object, "quota_requests", d->quota_requests);
    put_run(object, d);
}

struct json *
deploy_event_json(const struct deploy_event *event, int64_t wall_ms)
{
    const struct deployment *d = event->deployment;
    struct json *object = json_make_object();
    char stamp[21];
    clock_format_rfc3339(wall_ms, stamp);
    json_set_str(object, "event", kind_names[event->kind]);
    json_set_str(object, "time", stamp);
    json_set_str(object, "deployment", d->id);
    json_set_str(object, "app", d->app);
    json_set_str(object, "environment", d->env);
    if (event->kind == DEPLOY_EVENT_STARTED) {
        json_set(object, "plan", deployment_encode(d));
    } else if (event->kind == DEPLOY_EVENT_STEP) {
        put_step(object, event->step);
    } else if (event->kind == DEPLOY_EVENT_IMAGE) {
        put_image(object, event);
    } else if (event->kind == DEPLOY_EVENT_PROGRESS) {
        put_part(object, event);
    } else if (event->kind == DEPLOY_EVENT_OUTPUT) {
        json_set_str(object, "step", event->step != NULL ? event->step->name : NULL);
        json_set_str(object, "text", event->text);
    } else if (event->kind == DEPLOY_EVENT_RUN) {
        put_run(object, d);
    } else if (event->kind == DEPLOY_EVENT_JOBS) {
        put_jobs(object, d);
    } else if (event->kind == DEPLOY_EVENT_TARGET) {
        put_target(object, event);
    } else if (event->kind == DEPLOY_EVENT_FINISHED) {
        put_end(object, d);
    } else {
        json_set_str(object, "text", event->text);
    }
    return object;
}
