// What the registry has under the versions, and what the targets of an environment run, beside what
// the parameters say. All of it is best effort: what may not be read is said in its row, and only
// an interruption ends the reading.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "status_internal.h"
#include "target_internal.h"

enum { SEEN_MAX = 300 };

// What an error says, in the place of what could not be read; an interruption is handed on.
static struct error *
note_problem(struct arena *arena, const char *what, struct error *err, const char **out)
{
    if (error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    char *text CLEANUP(xfreep) = error_text(err);
    *out = context_clean(arena, arena_printf(arena, "%s: %s", what, text), SEEN_MAX);
    error_free(err);
    return NULL;
}

// The services with a version, in the order of the rows from `first` on.
static void
list_services(const struct status_reading *reading, const struct preparation *p, size_t first)
{
    struct deployment *d = p->deployment;
    const struct settings *settings = p->settings;
    struct deployment_service *services =
        arena_array(p->arena, settings->service_count, sizeof(*services));
    size_t count = 0;
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct setting_service *from = &settings->services[i];
        const struct deploy_status_row *row = &reading->rows[first + i];
        if (from->deployable && row->version != NULL && tag_is_valid(str_of(row->version))) {
            services[count++] = (struct deployment_service){.name = from->key,
                .no_image = !from->has_image,
                .repository = from->repository,
                .parameter = from->parameter,
                .version = row->version,
                .digest = row->digest};
        }
    }
    d->services = (struct object_list){services, count};
    d->version = count > 0 ? services[0].version : "source";
    d->sha = snapshot_is_commit(d->version) ? d->version : NULL;
}

static struct deploy_status_row *
row_of(const struct status_reading *reading, size_t first, const char *service)
{
    for (size_t i = first; i < reading->count; i++) {
        if (strcmp(reading->rows[i].service, service) == 0) {
            return &reading->rows[i];
        }
    }
    return NULL;
}

// --- the registry ------------------------------------------------------------------------------

static void
compare_digest(struct status_reading *reading, struct deploy_status_row *row, const char *now)
{
    if (now == NULL) {
        status_add_drift(reading, row, "its image is not in the registry any more");
    } else if (row->digest != NULL && strcmp(row->digest, now) != 0) {
        status_add_drift(reading, row,
            arena_printf(reading->arena,
                "its tag was moved: it is %.19s… in the registry now, and was deployed as %.19s…",
                now, row->digest));
    } else {
        row->digest = now;
    }
}

static struct error *
look_at_registry(struct status_reading *reading, const struct preparation *p, size_t first)
{
    struct deployment *d = p->deployment;
    const char *ignored = NULL; // a registry that may not be read is no news of a release
    struct error *err = snapshot_place(reading->context, p);
    if (err != NULL) {
        return note_problem(p->arena, "registry", err, &ignored);
    }
    for (size_t i = 0; i < d->services.count; i++) {
        struct deployment_service *service = deployment_service_at(d, i);
        struct deployment_service asked = *service;
        asked.digest = NULL;
        if (service->no_image) {
            continue;
        }
        err = snapshot_registry(reading->context, p, &asked);
        if (err != NULL) {
            TRY(note_problem(p->arena, "registry", err, &ignored));
            continue;
        }
        struct deploy_status_row *row = row_of(reading, first, service->name);
        compare_digest(reading, row, asked.digest);
        service->digest = row->digest;
    }
    return NULL;
}

// --- the targets -------------------------------------------------------------------------------

static const char *
expected_digest(const struct deployment *d, const struct deployment_target *target)
{
    return target->service >= 0 ? deployment_service_at(d, (size_t)target->service)->digest : NULL;
}

// What runs against what the parameter means; without that, against what it is set to.
static struct error *
compare_running(
    const struct step_run *run, struct deployment_target *target, struct deploy_status_target *out)
{
    const char *expected = expected_digest(run->deployment, target);
    const char *digest = expected != NULL ? expected : target->before_digest;
    if (digest == NULL) {
        out->seen = target->service < 0 ? "built from source: nobody can say which commit runs"
                                        : "what runs is not known by digest";
        return NULL;
    }
    struct error *err = target_ops_find(target->want.kind)->prove(run, target, digest);
    if (err != NULL) {
        return note_problem(run->arena, "what runs cannot be read", err, &out->seen);
    }
    out->digest = target->running_digest;
    out->as_expected = target->proven && expected != NULL;
    out->seen = target->proof;
    return NULL;
}

static void
add_target_drift(struct status_reading *reading, struct deploy_status_row *row,
    const struct deploy_status_target *seen)
{
    bool other =
        seen->version != NULL && row->version != NULL && strcmp(seen->version, row->version) != 0;
    if (other) {
        status_add_drift(reading, row,
            arena_printf(reading->arena, "it is set to '%s', and the parameter says '%s'",
                seen->version, row->version));
    }
    if (seen->digest != NULL && !seen->as_expected && row->digest != NULL) {
        status_add_drift(
            reading, row, "what runs is not, or not everywhere, what the parameter says");
    }
}

static struct error *
look_at(struct status_reading *reading, const struct preparation *p, size_t first,
    struct deployment_target *target)
{
    const struct step_run run = {
        .context = reading->context, .deployment = p->deployment, .arena = p->arena};
    struct deploy_status_target *out = arena_alloc(p->arena, sizeof(*out));
    struct deploy_status_row *row = row_of(reading, first, target->name);
    if (row == NULL) { // a worker
        row = status_add_row(reading);
        *row = (struct deploy_status_row){
            .app = p->settings->app, .env = p->settings->env, .service = target->name};
    }
    *out = (struct deploy_status_target){.kind = target->want.kind,
        .cluster = target->want.cluster,
        .service = target->want.service};
    row->target = out;
    struct error *err = target_ops_find(target->want.kind)->look(&run, target);
    if (err != NULL) {
        return note_problem(p->arena, "what runs cannot be read", err, &out->seen);
    }
    out->revision = target->before;
    out->version = target->before_version;
    TRY(compare_running(&run, target, out));
    add_target_drift(reading, row, out);
    return NULL;
}

// Workers are found in a checkout, which may not be this directory: the services alone, then.
static struct error *
prepare_targets(struct status_reading *reading, struct preparation *p, const char **problem)
{
    struct deploy_request *services = arena_alloc(p->arena, sizeof(*services));
    struct error *err = targets_prepare(reading->context, p);
    if (err == NULL || error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    error_free(err);
    *services = *p->request;
    services->workers = "[]";
    p->request = services;
    err = targets_prepare(reading->context, p);
    return err != NULL ? note_problem(p->arena, "what runs cannot be looked for", err, problem)
                       : NULL;
}

struct error *
status_look(struct status_reading *reading, const struct preparation *given, size_t first)
{
    struct preparation p = *given;
    const char *problem = NULL;
    list_services(reading, &p, first);
    TRY(look_at_registry(reading, &p, first));
    TRY(prepare_targets(reading, &p, &problem));
    if (problem != NULL) {
        status_add_drift(reading, &reading->rows[first], problem);
        return NULL;
    }
    for (size_t i = 0; i < p.deployment->targets.count; i++) {
        TRY(look_at(reading, &p, first, deployment_target_at(p.deployment, i)));
    }
    return NULL;
}
