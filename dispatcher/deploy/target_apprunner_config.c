// What the settings say about an App Runner service, as what is sent: the whole source
// configuration with what the spec names changed in it, and beside it only what the spec names
// (aws-rollout.md §3.2, §5.9).
#include <stdlib.h>
#include <string.h>

#include "dispatcher/ecr.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "environment_internal.h"
#include "target_apprunner_internal.h"

struct apprunner_image
apprunner_image_parse(const char *identifier, struct arena *arena)
{
    struct apprunner_image out = {0};
    struct str rest = str_of(identifier), host = {0}, name = {0};
    if (!str_cut(rest, '/', &host, &rest)) {
        host = (struct str){NULL, 0};
    }
    const char *at = rest.len > 0 ? memchr(rest.ptr, '@', rest.len) : NULL;
    if (at != NULL) {
        size_t head = (size_t)(at - rest.ptr);
        out.digest = arena_str(arena, str_skip(rest, head + 1));
        rest.len = head;
    }
    name = rest;
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.ptr[i] == ':') { // no '/' comes after it: a port stands in the host only
            name.len = i;
            out.tag = arena_str(arena, str_skip(rest, i + 1));
            break;
        }
    }
    out.host = arena_str(arena, host);
    out.repository = arena_str(arena, name);
    return out;
}

// --- variables ---------------------------------------------------------------------------------

static bool
has_variables(const struct setting_target *want)
{
    return want->environment.count > 0 || want->environment_from_outputs.count > 0 ||
           want->environment_file != NULL;
}

static struct error *
collect(const struct step_run *run, const struct deployment_target *target, struct arena *arena,
    struct pair_list *out)
{
    const char *root = NULL;
    struct setting_target want = target->want;
    // Going back happens anywhere; files of today's checkout are not of the version of before.
    if (cstr_equal(run->deployment->verb, "rollback")) {
        want.environment_file = NULL;
        want.environment_from_outputs = (struct pair_list){0};
    }
    if (!has_variables(&want)) {
        return NULL;
    }
    TRY(target_root(run, &want, &root));
    struct error *err = environment_collect(root, &want, arena, out);
    for (size_t i = 0; err == NULL && i < out->count; i++) {
        if (strncmp(out->items[i].key, "AWSAPPRUNNER", strlen("AWSAPPRUNNER")) == 0) {
            err = error_new(ERROR_INPUT,
                "'%s': App Runner keeps names that begin with "
                "'AWSAPPRUNNER' for itself",
                out->items[i].key);
        }
    }
    return err != NULL ? error_wrap(err, "environment of '%s'", target->name) : NULL;
}

// --- what differs ------------------------------------------------------------------------------

static void
put_word(struct buf *words, bool differs, const char *word)
{
    if (differs) {
        buf_printf(words, "%s%s", words->len > 0 ? ", " : "", word);
    }
}

static bool
is_other(const char *wanted, const char *has)
{
    return wanted != NULL && !cstr_equal(wanted, has);
}

// "1024" and "1 vCPU" are the same, and so are "2048" and "2 GB".
static bool
is_other_size(int64_t wanted, const char *has)
{
    char *end = NULL;
    if (wanted == 0) {
        return false;
    }
    double number = has != NULL ? strtod(has, &end) : 0;
    if (end != NULL && strspn(end, " ") > 0) {
        number *= 1024;
    }
    return number < (double)wanted || number > (double)wanted;
}

static const char *
number_text(struct arena *arena, int64_t number)
{
    return number != 0 ? arena_printf(arena, "%lld", (long long)number) : NULL;
}

static bool
fill_health(const struct setting_target *want, struct apprunner_health_check *out)
{
    const struct setting_health_check *from = &want->health_check;
    const char *protocol = cstr_equal(from->protocol, "tcp")    ? "TCP"
                           : cstr_equal(from->protocol, "http") ? "HTTP"
                           : from->path != NULL                 ? "HTTP"
                                                                : NULL;
    *out = (struct apprunner_health_check){
        .protocol = protocol,
        .path = cstr_equal(protocol, "TCP") ? NULL : from->path,
        .interval = from->interval_ms / 1000,
        .timeout = from->timeout_ms / 1000,
        .healthy = from->healthy,
        .unhealthy = from->unhealthy,
    };
    return want->has_health_check || from->path != NULL;
}

static bool
is_other_number(int64_t wanted, const struct json *object, const char *key)
{
    return wanted != 0 && json_int(json_get(object, key), 0) != wanted;
}

static bool
is_other_health(const struct apprunner_health_check *wanted, const char *text)
{
    struct json *has CLEANUP(json_freep) = NULL;
    if (text != NULL) {
        error_free(json_parse(str_of(text), &json_limits_default, &has));
    }
    return is_other(wanted->protocol, json_str(json_get(has, "Protocol"))) ||
           is_other(wanted->path, json_str(json_get(has, "Path"))) ||
           is_other_number(wanted->interval, has, "Interval") ||
           is_other_number(wanted->timeout, has, "Timeout") ||
           is_other_number(wanted->healthy, has, "HealthyThreshold") ||
           is_other_number(wanted->unhealthy, has, "UnhealthyThreshold");
}

// --- updates -----------------------------------------------------------------------------------

struct planning {
    const struct step_run *run;
    const struct deployment_target *target;
    const struct apprunner_service *service;
    struct arena *arena;
    struct buf words;
};

static struct error *
make_source(
    const struct planning *p, const struct apprunner_source_change *change, const char **out)
{
    return p->service->kind == APPRUNNER_IMAGE
               ? apprunner_source_with_image(p->service->source_json, change, p->arena, out)
               : apprunner_source_with_code(p->service->source_json, change, p->arena, out);
}

// Would this alone change the source?
static struct error *
put_if_changed(struct planning *p, const struct apprunner_source_change *change, const char *word)
{
    const char *before = NULL, *after = NULL;
    TRY(make_source(p, &(struct apprunner_source_change){0}, &before));
    TRY(make_source(p, change, &after));
    put_word(&p->words, strcmp(before, after) != 0, word);
    return NULL;
}

static struct error *
plan_source(struct planning *p, const char *image, struct apprunner_plan *out)
{
    const struct setting_target *want = &p->target->want;
    const char *before = NULL;
    bool code = p->service->kind == APPRUNNER_CODE;
    struct apprunner_source_change change = {.image = image,
        .access_role_arn = want->access_role,
        .branch = want->branch,
        .build_command = want->build,
        .runtime = want->runtime,
        .connection_arn = want->connection,
        .start_command = want->start,
        .port = number_text(p->arena, want->port),
        .secrets = want->secrets,
        .auto_deploys = APPRUNNER_NO};
    TRY(collect(p->run, p->target, p->arena, &change.environment));
    TRY(make_source(p, &(struct apprunner_source_change){0}, &before));
    TRY(make_source(p, &change, &out->update.source_json));
    out->changes = strcmp(before, out->update.source_json) != 0;
    put_word(&p->words, is_other(want->access_role, p->service->access_role_arn), "access role");
    put_word(&p->words, is_other(want->start, p->service->start_command), "start command");
    put_word(&p->words, is_other(change.port, p->service->port), "port");
    put_word(&p->words, code && is_other(want->branch, p->service->branch), "branch");
    put_word(&p->words, code && is_other(want->build, p->service->build_command), "build command");
    put_word(&p->words, code && is_other(want->runtime, p->service->runtime), "runtime");
    put_word(
        &p->words, code && is_other(want->connection, p->service->connection_arn), "connection");
    TRY(put_if_changed(
        p, &(struct apprunner_source_change){.environment = change.environment}, "environment"));
    return put_if_changed(
        p, &(struct apprunner_source_change){.secrets = change.secrets}, "secrets");
}

// What the service has beside its source; sent only where it differs.
static void
plan_rest(struct planning *p, struct apprunner_plan *out)
{
    const struct setting_target *want = &p->target->want;
    const struct apprunner_service *service = p->service;
    struct apprunner_update *update = &out->update;
    bool cpu = is_other_size(want->cpu, service->cpu);
    bool memory = is_other_size(want->memory, service->memory);
    bool role = is_other(want->instance_role, service->instance_role_arn);
    bool vpc = is_other(want->vpc_connector, service->vpc_connector_arn);
    bool health =
        fill_health(want, &out->health) && is_other_health(&out->health, service->health_json);
    put_word(&p->words, cpu, "cpu");
    put_word(&p->words, memory, "memory");
    put_word(&p->words, role, "instance role");
    put_word(&p->words, vpc, "VPC connector");
    put_word(&p->words, health, "health check");
    if (cpu || memory || role) {
        update->cpu = number_text(p->arena, want->cpu);
        update->memory = number_text(p->arena, want->memory);
        update->instance_role_arn = want->instance_role;
    }
    update->vpc_connector_arn = vpc ? want->vpc_connector : NULL;
    update->health_check = health ? &out->health : NULL;
    // App Runner's answer has no ARN to compare with in every state: it goes along when anything
    // is sent.
    update->auto_scaling_arn = want->auto_scaling;
    out->changes = out->changes || p->words.len > 0;
}

static const char *
take_words(struct planning *p)
{
    const char *words = p->words.len > 0 ? arena_dup(p->arena, buf_cstr(&p->words)) : NULL;
    buf_reset(&p->words);
    return words;
}

struct error *
apprunner_plan_make(const struct step_run *run, const struct deployment_target *target,
    const struct apprunner_service *service, const char *image, struct arena *arena,
    struct apprunner_plan *out)
{
    struct planning p = {run, target, service, arena, BUF_INIT(4096)};
    *out = (struct apprunner_plan){.update = {.current = service}};
    struct error *err = plan_source(&p, image, out);
    if (err == NULL) {
        out->source_changes = take_words(&p);
        plan_rest(&p, out);
        out->other_changes = take_words(&p);
    }
    buf_done(&p.words);
    return err;
}

// --- a service that does not exist -------------------------------------------------------------

static bool
is_private_image(const char *host)
{
    return strcmp(host, "public.ecr.aws") != 0;
}

static const char *
repository_url(
    const struct step_run *run, const struct deployment_target *target, struct arena *arena)
{
    const struct deployment *d = run->deployment;
    if (target->want.repository_url != NULL || d->repository == NULL) {
        return target->want.repository_url;
    }
    return arena_printf(arena, "%s/%s",
        d->github_web != NULL ? d->github_web : "https://github.com", d->repository);
}

static struct error *
missing(const struct deployment_target *target, const char *key, const char *why)
{
    return error_hint(error_new(ERROR_SPEC,
                          "App Runner service '%s' does not exist, and to create "
                          "it the spec lacks '%s'",
                          target->want.service, key),
        "Set '%s' of the target of '%s': %s.", key, target->name, why);
}

// App Runner pulls from ECR only; a registry on loopback is a rehearsal's.
static struct error *
check_registry(const char *host)
{
    char *name CLEANUP(xfreep) =
        str_dup((struct str){host, strchr(host, ':') != NULL ? strcspn(host, ":") : strlen(host)});
    if (!is_private_image(host) || ecr_host_parse(host, NULL, NULL, NULL) ||
        url_host_is_loopback(name)) {
        return NULL;
    }
    return error_hint(error_new(ERROR_SPEC, "App Runner cannot pull from registry '%s'", host),
        "It takes images of Amazon ECR: ACCOUNT.dkr.ecr.REGION.amazonaws.com or public.ecr.aws.");
}

// Roles, connection and commands are the spec's to check. What is left is known only here.
struct error *
apprunner_create_check(const struct step_run *run, const struct deployment_target *target)
{
    const struct setting_target *want = &target->want;
    if (!apprunner_is_code(target)) {
        return check_registry(
            deployment_service_at(run->deployment, (size_t)target->service)->registry);
    }
    if (target->branch == NULL) {
        return missing(target, "branch", "the branch whose head App Runner builds");
    }
    bool by_file = want->runtime == NULL;
    if (by_file && (want->port != 0 || has_variables(want) || want->secrets.count > 0)) {
        return missing(target, "runtime",
            "without one apprunner.yaml in the repository says everything, and port and variables "
            "of the spec would have no effect");
    }
    return NULL;
}

void
apprunner_tags_make(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, struct pair_list *out)
{
    const struct deployment *d = run->deployment;
    const struct deployment_service *service =
        target->service >= 0 ? deployment_service_at(d, (size_t)target->service) : NULL;
    struct pair *tags = arena_array(arena, 5, sizeof(*tags));
    size_t count = 0;
    tags[count++] = (struct pair){"dispatcher:app", d->app};
    tags[count++] = (struct pair){"dispatcher:environment", d->env};
    if (target->worker != NULL) {
        tags[count++] = (struct pair){"dispatcher:worker", target->name};
    }
    bool done = cstr_equal(target->forward.outcome, "succeeded");
    if (done && service != NULL) {
        const char *version = service->version != NULL ? service->version : d->version;
        tags[count++] = (struct pair){"dispatcher:version", version};
    }
    if (done && target->forward.digest != NULL) {
        tags[count++] = (struct pair){"dispatcher:digest", target->forward.digest};
    }
    *out = (struct pair_list){tags, count};
}

struct error *
apprunner_create_make(const struct step_run *run, const struct deployment_target *target,
    const char *image, struct arena *arena, struct apprunner_create *out,
    struct apprunner_health_check *health)
{
    const struct setting_target *want = &target->want;
    bool code = apprunner_is_code(target);
    TRY(apprunner_create_check(run, target));
    *out = (struct apprunner_create){
        .name = want->service,
        .kind = code ? APPRUNNER_CODE : APPRUNNER_IMAGE,
        .image = image,
        .is_public_image =
            image != NULL && !is_private_image(apprunner_image_parse(image, arena).host),
        .access_role_arn = code ? NULL : want->access_role,
        .repository_url = code ? repository_url(run, target, arena) : NULL,
        .branch = target->branch,
        .source_directory = want->source_directory,
        .connection_arn = code ? want->connection : NULL,
        .runtime = want->runtime,
        .build_command = want->build,
        .start_command = want->start,
        .port = number_text(arena, want->port),
        .secrets = want->secrets,
        .cpu = number_text(arena, want->cpu),
        .memory = number_text(arena, want->memory),
        .instance_role_arn = want->instance_role,
        .health_check = fill_health(want, health) ? health : NULL,
        .auto_scaling_arn = want->auto_scaling,
        .vpc_connector_arn = want->vpc_connector,
        .is_private = want->has_public && !want->is_public,
        .auto_deploys = false,
    };
    apprunner_tags_make(run, target, arena, &out->tags);
    return collect(run, target, arena, &out->environment);
}
