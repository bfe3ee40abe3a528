// `sandbox-control`: asks the sandbox that the environment names for something below /_sandbox.
#include <string.h>

#include "cli_internal.h"
#include "dispatcher/file.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"

enum { BODY_MAX = 8 * 1024 * 1024, SHOWN_MAX = 300 };

static struct error *
read_body(const struct cli_arguments *arguments, struct buf *out)
{
    const char *given = cli_positional(arguments, 1);
    if (given == NULL) {
        return NULL;
    }
    if (given[0] == '@') {
        bool found = false;
        TRY(file_read(given + 1, out, &found));
        return found ? NULL : error_new(ERROR_INPUT, "file '%s' does not exist", given + 1);
    }
    buf_puts(out, given);
    return buf_finish(out, "the request");
}

// A typing error is told here, not by the sandbox.
static struct error *
check_json(struct str text)
{
    struct json *json CLEANUP(json_freep) = NULL;
    struct error *err = text.len > 0 ? json_parse(text, &json_limits_default, &json) : NULL;
    return err != NULL ? error_wrap_as(ERROR_USAGE, err, "the request is not JSON") : NULL;
}

static struct error *
ask(struct cli *cli, const char *url, bool posts, struct str body)
{
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    struct http_response response CLEANUP(http_response_done) = {0};
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    TRY(http_client_new(&cli->platform, &cli->http_options, &client));
    http_headers_add(&headers, "Content-Type", "application/json");
    const struct http_request request = {.method = posts ? HTTP_POST : HTTP_GET,
        .url = url,
        .headers = &headers,
        .body = body,
        .max_response = BODY_MAX};
    struct error *err = http_send(client, &request, &response);
    if (err != NULL) {
        return error_hint(error_wrap(err, "ask the sandbox at '%s'", url),
            "Is it running? 'dispatcher sandbox --ready-file FILE' writes its environment.");
    }
    if (response.status >= 400) {
        return error_new(ERROR_INPUT, "the sandbox refused '%s': HTTP %d: %.*s", url,
            response.status, response.body.len < SHOWN_MAX ? (int)response.body.len : SHOWN_MAX,
            response.body.len > 0 ? buf_cstr(&response.body) : "");
    }
    cli_out(cli, buf_str(&response.body));
    if (response.body.len > 0 && buf_cstr(&response.body)[response.body.len - 1] != '\n') {
        cli_out(cli, STR("\n"));
    }
    return NULL;
}

static struct error *
run_control(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    const char *base = env_get(&cli->platform, "DISPATCHER_SANDBOX_CONTROL");
    const char *path = cli_positional(arguments, 0);
    struct buf body CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    (void)exit_code;
    if (base == NULL) {
        return error_hint(error_new(ERROR_USAGE, "DISPATCHER_SANDBOX_CONTROL is not set"),
            "Take the sandbox's environment over first: set -a; . ./sandbox.env");
    }
    TRY(read_body(arguments, &body));
    TRY(check_json(buf_str(&body)));
    char *url CLEANUP(xfreep) = xasprintf("%s/%s", base, path + strspn(path, "/"));
    return ask(cli, url, body.len > 0 || cli_flag(arguments, "post"), buf_str(&body));
}

static const struct cli_option control_options[] = {
    {"post", CLI_FLAG, NULL, "send a POST although there is no JSON, as 'reset' needs", NULL},
};

const struct cli_command command_sandbox_control = {
    .name = "sandbox-control",
    .arguments = "PATH [JSON|@FILE]",
    .min_positional = 1,
    .max_positional = 2,
    .options = control_options,
    .option_count = ARRAY_LENGTH(control_options),
    .summary = "read the sandbox's state, or tell it what to have and how to fail",
    .description =
        "Asks the sandbox that DISPATCHER_SANDBOX_CONTROL names (its environment sets it) for what "
        "is below /_sandbox, and prints its answer. With JSON, given as it is or in @FILE, it is a "
        "POST.",
    .examples = "$ dispatcher sandbox-control state\n"
                "$ dispatcher sandbox-control inbox.txt\n"
                "$ dispatcher sandbox-control aws/ecs/seed @world.json\n"
                "$ dispatcher sandbox-control reset --post\n",
    .run = run_control,
};
