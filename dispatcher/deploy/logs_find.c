// Where services write: the log groups that the task definitions of ECS name, those that App Runner
// makes, and the events of a service (aws-rollout.md §3.2). Reads no log.
#include <string.h>

#include "dispatcher/apprunner.h"
#include "dispatcher/memory.h"
#include "logs_internal.h"

struct finding {
    struct logs_reading *reading;
    const struct deployment_target *target;
    size_t room;
    struct str_list containers; // of all task definitions, for messages
    const char *other;          // "container 'web' logs by 'splunk'", of the last one
};

static bool
has(const struct str_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static struct logs_source *
add(struct finding *finding)
{
    struct logs_sources *sources = &finding->reading->sources;
    if (sources->count == finding->room) {
        size_t room = finding->room > 0 ? 2 * finding->room : 8;
        struct logs_source *longer =
            arena_array(finding->reading->run.arena, room, sizeof(*longer));
        if (sources->count > 0) {
            memcpy(longer, sources->items, sources->count * sizeof(*longer));
        }
        sources->items = longer;
        finding->room = room;
    }
    struct logs_source *source = &sources->items[sources->count++];
    *source = (struct logs_source){.target = finding->target};
    return source;
}

static bool
is_known(const struct finding *finding, const struct ecs_log_target *at, const char *prefix)
{
    const struct logs_sources *sources = &finding->reading->sources;
    for (size_t i = 0; i < sources->count; i++) {
        const struct logs_source *source = &sources->items[i];
        if (source->target == finding->target && cstr_equal(source->container, at->container) &&
            cstr_equal(source->group, at->group) && cstr_equal(source->region, at->region) &&
            cstr_equal(source->prefix, prefix)) {
            return true;
        }
    }
    return false;
}

// --- ECS -----------------------------------------------------------------------------------------

static void
note_container(struct finding *finding, const char *name)
{
    struct arena *arena = finding->reading->run.arena;
    struct str_list *list = &finding->containers;
    if (has(list, name)) {
        return;
    }
    const char **longer = arena_array(arena, list->count + 2, sizeof(*longer)); // NULL at its end
    for (size_t i = 0; i < list->count; i++) {
        longer[i] = list->items[i];
    }
    longer[list->count] = arena_dup(arena, name);
    *list = (struct str_list){longer, list->count + 1};
}

static bool
is_wanted(const struct finding *finding, const char *container)
{
    const char *asked = finding->reading->request->container;
    return asked == NULL || strcmp(asked, container) == 0;
}

static bool
logs_there(const struct ecs_log_target *places, size_t count, const char *container)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(places[i].container, container) == 0) {
            return true;
        }
    }
    return false;
}

static const char *
where_else(const struct finding *finding, const char *container, const char *driver)
{
    struct arena *arena = finding->reading->run.arena;
    const char *service = finding->target->name;
    if (driver == NULL) {
        return arena_printf(arena, "container '%s' of '%s' has no log driver", container, service);
    }
    if (strcmp(driver, "awslogs") == 0) {
        return arena_printf(
            arena, "container '%s' of '%s' logs by 'awslogs' to no group", container, service);
    }
    return arena_printf(arena, "container '%s' of '%s' logs by '%s', not to CloudWatch", container,
        service, driver);
}

// Those whose lines are elsewhere.
static void
tell_others(struct finding *finding, const struct json *document, struct arena *scratch,
    const struct ecs_log_target *places, size_t count)
{
    const struct str_list names = ecs_task_definition_containers(document, scratch);
    for (size_t i = 0; i < names.count; i++) {
        bool seen = has(&finding->containers, names.items[i]);
        note_container(finding, names.items[i]);
        if (seen || !is_wanted(finding, names.items[i]) ||
            logs_there(places, count, names.items[i])) {
            continue;
        }
        const char *driver = ecs_task_definition_log_driver(document, names.items[i], scratch);
        finding->other = where_else(finding, names.items[i], driver);
        logs_note(finding->reading, "%s", finding->other);
    }
}

static struct error *
add_definition(struct finding *finding, const char *name)
{
    const struct step_run *run = &finding->reading->run;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    struct ecs_log_target *places = NULL;
    struct aws_session *aws = NULL;
    size_t count = 0;
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(ecs_task_definition_get(aws, name, scratch, &definition));
    if (definition.arn == NULL) {
        logs_note(finding->reading, "task definition '%s' does not exist any more", name);
        return NULL;
    }
    ecs_task_definition_log_targets(definition.document, run->arena, &places, &count);
    tell_others(finding, definition.document, scratch, places, count);
    for (size_t i = 0; i < count; i++) {
        const char *prefix = places[i].prefix == NULL ? NULL
                                                      : arena_printf(run->arena, "%s/%s/",
                                                            places[i].prefix, places[i].container);
        if (is_wanted(finding, places[i].container) && !is_known(finding, &places[i], prefix)) {
            struct logs_source *source = add(finding);
            source->container = places[i].container;
            source->group = places[i].group;
            source->region = places[i].region;
            source->prefix = prefix;
        }
    }
    return NULL;
}

static struct error *
unknown_container(const struct finding *finding)
{
    const char *asked = finding->reading->request->container;
    struct buf list CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < finding->containers.count; i++) {
        buf_printf(&list, "%s'%s'", i > 0 ? ", " : "", finding->containers.items[i]);
    }
    struct error *err =
        error_new(ERROR_USAGE, "'%s' has no container '%s'", finding->target->name, asked);
    const char *closest = str_closest(str_of(asked), finding->containers.items);
    return closest != NULL ? error_hint(err, "Did you mean '%s'?", closest)
                           : error_hint(err, "It has %s.", buf_cstr(&list));
}

// While a deployment goes on there are tasks of two task definitions.
static struct error *
add_ecs(struct finding *finding)
{
    const struct step_run *run = &finding->reading->run;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_service service = {0};
    finding->containers = (struct str_list){0};
    TRY(running_ecs_service(run, finding->target, scratch, &service));
    if (finding->reading->request->platform) {
        struct logs_source *source = add(finding);
        source->only = true;
        return NULL;
    }
    const char *last = NULL;
    for (size_t i = 0; i < service.classic_count; i++) {
        const char *name = service.classic[i].task_definition;
        if (name != NULL && !cstr_equal(name, last)) {
            TRY(add_definition(finding, name));
            last = name;
        }
    }
    if (service.task_definition != NULL && service.classic_count == 0) {
        TRY(add_definition(finding, service.task_definition));
    }
    bool is_unknown = finding->reading->request->container != NULL &&
                      finding->containers.count > 0 &&
                      !has(&finding->containers, finding->reading->request->container);
    return is_unknown && finding->reading->run.deployment->targets.count == 1
               ? unknown_container(finding)
               : NULL;
}

// --- App Runner ----------------------------------------------------------------------------------

// "arn:aws:apprunner:eu-west-1:012345678901:service/NAME/ID"
static bool
split_arn(const char *arn, struct arena *arena, const char **name, const char **id)
{
    struct str head = {0}, rest = str_of(arn), own = {0}, tail = {0};
    return str_cut(rest, '/', &head, &rest) && str_ends(head, STR(":service")) &&
           str_cut(rest, '/', &own, &tail) && own.len > 0 && tail.len > 0 &&
           memchr(tail.ptr, '/', tail.len) == NULL &&
           (*name = arena_str(arena, own), *id = arena_str(arena, tail), true);
}

static struct error *
add_apprunner(struct finding *finding)
{
    struct logs_reading *reading = finding->reading;
    const char *arn = NULL, *name = NULL, *id = NULL;
    TRY(running_apprunner_arn(&reading->run, finding->target, reading->run.arena, &arn));
    if (!split_arn(arn, reading->run.arena, &name, &id)) {
        return error_new(ERROR_SPEC, "'%s' is no ARN of a service of App Runner", arn);
    }
    struct logs_source *source = add(finding);
    source->only = true;
    source->group = apprunner_log_group(name, id, !reading->request->platform, reading->run.arena);
    return NULL;
}

// --- all of them ---------------------------------------------------------------------------------

static void
mark_only(const struct logs_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        size_t same = 0;
        for (size_t k = 0; k < sources->count; k++) {
            same += sources->items[k].target == sources->items[i].target ? 1 : 0;
        }
        sources->items[i].only = same == 1;
    }
}

struct error *
logs_sources_find(struct logs_reading *reading)
{
    const struct deployment *d = reading->run.deployment;
    struct finding finding = {.reading = reading};
    for (size_t i = 0; i < d->targets.count; i++) {
        finding.target = deployment_target_at(d, i);
        struct error *err =
            running_is_ecs(finding.target) ? add_ecs(&finding) : add_apprunner(&finding);
        if (err != NULL) {
            return error_wrap(err, "logs of '%s'", finding.target->name);
        }
    }
    mark_only(&reading->sources);
    if (reading->sources.count > 0) {
        return NULL;
    }
    if (reading->request->container != NULL && finding.other == NULL) {
        return error_new(
            ERROR_USAGE, "no service has a container '%s'", reading->request->container);
    }
    return error_hint(
        error_new(ERROR_SPEC, "nothing of '%s' in '%s' logs to CloudWatch: %s", d->app, d->env,
            finding.other != NULL ? finding.other : "it has no container"),
        "Set the log driver 'awslogs' in its task definition, or look where its driver sends "
        "them.");
}
