// What the version parameters of an app say, who wrote them, and whether a run that used them
// succeeded. What runs is status_targets.c's. Reads only.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "ledger.h"
#include "status_internal.h"

enum { VERSION_MAX = 60, REASON_MAX = 200 };

struct deploy_status_row *
status_add_row(struct status_reading *reading)
{
    if (reading->count == reading->room) {
        size_t room = reading->room > 0 ? reading->room * 2 : 8;
        struct deploy_status_row *longer = arena_array(reading->arena, room, sizeof(*longer));
        if (reading->count > 0) {
            memcpy(longer, reading->rows, reading->count * sizeof(*longer));
        }
        reading->rows = longer;
        reading->room = room;
    }
    return &reading->rows[reading->count++];
}

void
status_add_drift(struct status_reading *reading, struct deploy_status_row *row, const char *text)
{
    struct str_list *list = &row->drifts;
    const char **longer = arena_array(reading->arena, list->count + 1, sizeof(*longer));
    for (size_t i = 0; i < list->count; i++) {
        longer[i] = list->items[i];
    }
    longer[list->count] = text;
    *list = (struct str_list){longer, list->count + 1};
}

// The newest release that a label of its own kind says to be the last good one.
static void
add_label_drift(
    struct status_reading *reading, const struct ledger *ledger, struct deploy_status_row *row)
{
    const struct ledger_release *last = &ledger->items[0];
    if (last->deployed) {
        return;
    }
    if (last->pending) {
        status_add_drift(
            reading, row, "a deployment of this version did not come to an end that is known");
        return;
    }
    for (size_t i = 1; i < ledger->count; i++) {
        if (ledger->items[i].deployed && strcmp(ledger->items[i].version, last->version) != 0) {
            status_add_drift(reading, row,
                arena_printf(reading->arena,
                    "no successful run is recorded for this version; the last one was of '%s'",
                    context_clean(reading->arena, ledger->items[i].version, VERSION_MAX)));
            return;
        }
    }
    status_add_drift(reading, row, "no successful run is recorded for this version");
}

static void
fill_from_ledger(
    struct status_reading *reading, const struct ledger *ledger, struct deploy_status_row *row)
{
    const struct ledger_release *last = &ledger->items[0];
    row->changed_ms = last->changed_ms;
    row->by = last->by;
    row->deployment = last->deployment;
    row->labelled = last->deployed;
    row->proven = last->proven;
    row->digest = last->digest;
    if (last->rollback_of != NULL) {
        row->rollback = arena_printf(reading->arena, "of '%s'%s%s",
            context_clean(reading->arena, last->rollback_of, VERSION_MAX),
            last->reason != NULL ? ": " : "",
            last->reason != NULL ? context_clean(reading->arena, last->reason, REASON_MAX) : "");
    }
    add_label_drift(reading, ledger, row);
}

static struct error *
read_service(struct status_reading *reading, struct aws_session *aws,
    const struct settings *settings, const struct setting_service *service)
{
    struct ssm_parameter *now = NULL;
    struct ledger ledger = {0};
    struct deploy_status_row *row = status_add_row(reading);
    *row = (struct deploy_status_row){
        .app = settings->app, .env = settings->env, .service = service->key};
    if (!service->deployable) {
        row->version = service->image_tag;
        row->note = service->image_tag != NULL ? "pinned by 'image_tag'" : "external image";
        return NULL;
    }
    TRY(ssm_get(aws, service->parameter, reading->arena, &now));
    if (now == NULL) {
        row->note = "the version parameter does not exist";
        return NULL;
    }
    row->version = context_clean(reading->arena, now->value, VERSION_MAX * 3);
    TRY(ledger_read(aws, service->parameter, reading->arena, &ledger));
    if (ledger.count > 0) {
        fill_from_ledger(reading, &ledger, row);
    }
    return NULL;
}

// Region and role differ by environment, so each has a session of its own.
static struct error *
read_environment(struct status_reading *reading, const struct spec_files *files, const char *env,
    struct diagnostics *diagnostics)
{
    struct settings *settings = NULL;
    struct aws_session *aws = NULL;
    size_t first = reading->count;
    struct deployment *view = deployment_new(reading->arena);
    settings_resolve(&files->config, &files->app, reading->request->app, env, reading->arena,
        diagnostics, &settings);
    TRY(diagnostics_error(diagnostics));
    *view = (struct deployment){.app = settings->app,
        .name = settings->name,
        .env = env,
        .verb = "status",
        .via = settings->via,
        .region = settings->region,
        .account = settings->account,
        .role = settings->role};
    aws_session_freep(&reading->context->aws);
    TRY(provider_aws(reading->context, view, &aws));
    for (size_t i = 0; i < settings->service_count; i++) {
        TRY(read_service(reading, aws, settings, &settings->services[i]));
    }
    const struct preparation p = {.request = reading->request,
        .settings = settings,
        .deployment = view,
        .arena = reading->arena};
    return status_look(reading, &p, first);
}

struct error *
deploy_status(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct deploy_status_row **rows,
    size_t *count)
{
    struct status_reading reading = {.context = context, .request = request, .arena = arena};
    struct spec_files *files = NULL;
    struct str_list environments = {0};
    TRY(specs_load(context, request, arena, diagnostics, &files));
    config_environments(&files->config, arena, diagnostics, &environments);
    TRY(diagnostics_error(diagnostics));
    if (request->env != NULL) {
        const char **only = arena_array(arena, 1, sizeof(*only));
        only[0] = request->env;
        environments = (struct str_list){only, 1};
    }
    if (environments.count == 0) {
        return error_hint(error_new(ERROR_USAGE, "no environment was given"),
            "Say which with --env, or list 'environments' in dispatcher.yaml.");
    }
    for (size_t i = 0; i < environments.count; i++) {
        struct error *err = read_environment(&reading, files, environments.items[i], diagnostics);
        if (err != NULL) {
            return error_wrap(err, "status of '%s' in '%s'", request->app, environments.items[i]);
        }
    }
    *rows = reading.rows;
    *count = reading.count;
    return NULL;
}
