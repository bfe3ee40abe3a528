// What the version parameters of an app say, who wrote them, and whether a run that used them
// succeeded. Reads only; what really runs on the target is not asked here.
#include <string.h>

#include "dispatcher/memory.h"
#include "ledger.h"

struct reading {
    struct deploy_context *context;
    const struct deploy_request *request;
    struct arena *arena;
    struct deploy_status_row *rows;
    size_t count, room;
};

static struct deploy_status_row *
add_row(struct reading *reading)
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

static void
fill_from_history(
    struct reading *reading, const struct ssm_parameter *last, struct deploy_status_row *row)
{
    row->changed_ms = last->last_modified_ms;
    row->by = last->last_modified_user;
    row->deployment = ledger_deployment(reading->arena, last->description);
    row->labelled = ssm_has_label(last, "deployed");
    if (row->labelled) {
        return;
    }
    if (ssm_has_label(last, "pending")) {
        row->drift = "a deployment of this version did not come to an end that is known";
    } else {
        row->drift = "no successful run is recorded for this version";
    }
}

static struct error *
read_service(struct reading *reading, struct aws_session *aws, const struct settings *settings,
    const struct setting_service *service)
{
    struct ssm_parameter *now = NULL, *history = NULL;
    size_t count = 0;
    struct deploy_status_row *row = add_row(reading);
    *row = (struct deploy_status_row){
        .app = settings->app, .env = settings->env, .service = service->key};
    if (!service->deployable) {
        row->version = service->image_tag;
        row->drift = service->image_tag != NULL ? "pinned by 'image_tag'" : "external image";
        return NULL;
    }
    TRY(ssm_get(aws, service->parameter, reading->arena, &now));
    if (now == NULL) {
        row->drift = "the version parameter does not exist";
        return NULL;
    }
    row->version = now->value;
    TRY(ssm_history(aws, service->parameter, now->version - 1, reading->arena, &history, &count));
    if (count > 0) {
        fill_from_history(reading, &history[count - 1], row);
    }
    return NULL;
}

// Region and role differ by environment, so each has a session of its own.
static struct error *
read_environment(struct reading *reading, const struct spec_files *files, const char *env,
    struct diagnostics *diagnostics)
{
    struct settings *settings = NULL;
    struct aws_session *aws = NULL;
    struct deployment *view = deployment_new(reading->arena);
    settings_resolve(&files->config, &files->app, reading->request->app, env, reading->arena,
        diagnostics, &settings);
    TRY(diagnostics_error(diagnostics));
    *view = (struct deployment){.app = settings->app,
        .env = env,
        .region = settings->region,
        .account = settings->account,
        .role = settings->role};
    aws_session_freep(&reading->context->aws);
    TRY(provider_aws(reading->context, view, &aws));
    for (size_t i = 0; i < settings->service_count; i++) {
        TRY(read_service(reading, aws, settings, &settings->services[i]));
    }
    return NULL;
}

struct error *
deploy_status(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct deploy_status_row **rows,
    size_t *count)
{
    struct reading reading = {.context = context, .request = request, .arena = arena};
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
