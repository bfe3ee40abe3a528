// `dispatcher spec show`: what holds for an app in an environment, and which line says so.
#include <string.h>

#include "deploy_options.h"
#include "deploy_ui.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/spec.h"
#include "dispatcher/text.h"

enum { OUTPUT_MAX = 16 * 1024 * 1024, VALUE_MAX = 400 };

static void
show_text(const struct settings *settings, struct buf *out)
{
    size_t width = 0;
    for (size_t i = 0; i < settings->origin_count; i++) {
        size_t len = strlen(settings->origins[i].key);
        width = len > width ? len : width;
    }
    width = width > 44 ? 44 : width;
    for (size_t i = 0; i < settings->origin_count; i++) {
        const struct setting_origin *origin = &settings->origins[i];
        buf_printf(out, "%-*s  ", (int)width, origin->key);
        text_clean(str_of(origin->value), VALUE_MAX, out);
        if (origin->file != NULL) {
            buf_puts(out, "  # ");
            text_clean(str_of(origin->file), VALUE_MAX, out);
            buf_printf(out, ":%u\n", origin->line);
        } else {
            buf_puts(out, "  # default\n");
        }
    }
}

static void
show_json(const struct settings *settings, struct buf *out)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    json_set_str(object, "app", settings->app);
    json_set_str(object, "env", settings->env);
    struct json *values = json_make_array();
    for (size_t i = 0; i < settings->origin_count; i++) {
        const struct setting_origin *origin = &settings->origins[i];
        struct json *value = json_make_object();
        json_set_str(value, "key", origin->key);
        json_set_str(value, "value", origin->value);
        json_set_str(value, "file", origin->file);
        if (origin->file != NULL) {
            json_set_int(value, "line", origin->line);
        }
        json_append(values, value);
    }
    json_set(object, "settings", values);
    json_print(object, true, out);
    buf_putc(out, '\n');
}

static struct error *
run_spec_show(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deploy_request request = {0};
    struct settings *settings = NULL;
    TRY(deploy_request_read(arguments, true, &request));
    TRY(deploy_session_open(cli, NULL, false, &session));
    struct error *err =
        deploy_settings(session.context, &request, session.arena, session.diagnostics, &settings);
    TRY(deploy_session_explain(cli, &session, err)); // warnings are worth a look as well
    struct buf out CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    if (cli_flag(arguments, "json")) {
        show_json(settings, &out);
    } else {
        show_text(settings, &out);
    }
    TRY(buf_finish(&out, "settings"));
    cli_out(cli, buf_str(&out));
    return NULL;
}

static const struct cli_option options[] = {
    DEPLOY_OPTIONS_PLACE,
    {"json", CLI_FLAG, NULL, "print one JSON object", NULL},
};

const struct cli_command command_spec_show = {
    .name = "spec show",
    .arguments = "APP --env ENV",
    .min_positional = 1,
    .max_positional = 1,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "show the effective settings of an app, each with the line it came from",
    .description =
        "Prints what a deployment of APP to ENV would use, after precedence and placeholders: "
        "'deploy.environments.ENV' before 'deploy' before 'env.ENV' of dispatcher.yaml before "
        "dispatcher.yaml before the built-in default. Placeholders that only a deployment knows, "
        "such as {version}, stay as they are, and so do {account} and {region} when "
        "dispatcher.yaml leaves them to the credentials.\n"
        "\n"
        "Without --specs and --config, dispatcher.yaml of the working directory counts, and the "
        "directory that its 'specs' names; --specs also takes a git URL. References to secrets are "
        "shown, never what they stand "
        "for.",
    .examples = "$ dispatcher spec show payments --env staging\n"
                "$ dispatcher spec show payments --env production --json\n"
                "$ dispatcher spec show payments --env staging --specs ../infra/appspecs\n"
                "$ dispatcher spec show payments --env staging --specs "
                "'https://github.com/OWNER/infra.git?ref=main'\n",
    .run = run_spec_show,
};
