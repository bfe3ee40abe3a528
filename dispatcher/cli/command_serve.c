// `dispatcher serve`: the service in this process, until it is told to stop. Turns options and the
// environment into struct service_options, and has the log as JSON lines on standard error; all
// else is dispatcher/service.
#include "cli_internal.h"
#include "dispatcher/service.h"
#include "setup.h"
#include "signals.h"

static struct error *
open_log(const struct cli *cli, struct log **out)
{
    enum log_level level = LOG_INFO;
    if (env_get(&cli->platform, "DISPATCHER_LOG") != NULL) {
        TRY(cli_log_level(cli->platform.env, &level));
    }
    *out = log_new(stderr, level, LOG_JSON);
    return NULL;
}

static void
free_logp(struct log **log)
{
    log_free(*log);
}

static struct error *
run_serve(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct log *log CLEANUP(free_logp) = NULL;
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    const struct service_options options = {
        .config = cli_value(arguments, "config"),
        .listen = cli_value(arguments, "listen"),
        .ready_file = cli_value(arguments, "ready-file"),
        .ca_file = cli->http_options.ca_file,
        .proxy = cli->http_options.proxy,
        .no_proxy = cli->http_options.no_proxy,
        .reload = signals_reloads(),
    };
    (void)exit_code;
    if (options.config == NULL) {
        return error_hint(error_new(ERROR_USAGE, "--config is missing"),
            "Name the file that has the service's 'server' block.");
    }
    TRY(open_log(cli, &log));
    struct platform platform = cli->platform;
    platform.log = log;
    struct error *err = service_run(&platform, &options, diagnostics);
    if (err != NULL && diagnostics_total(diagnostics) > 0) {
        struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
        diagnostics_sort(diagnostics);
        diagnostics_print_text(diagnostics, false, &text);
        cli_err(cli, buf_str(&text));
    }
    return err;
}

static const struct cli_option options[] = {
    {"config", CLI_VALUE, "FILE", "the dispatcher.yaml that has the service's 'server' block",
        NULL},
    {"listen", CLI_VALUE, "HOST:PORT", "in place of server.listen; port 0: any that is free", NULL},
    {"ready-file", CLI_VALUE, "FILE", "write the address there once it listens", NULL},
};

const struct cli_command command_serve = {
    .name = "serve",
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "the service: deployments by policy, without keys in app repositories",
    .description =
        "Holds the GitHub App's key in one place. Jobs of app repositories prove themselves by "
        "their "
        "GitHub Actions OIDC token; the service decides by the specs of the infra repository, "
        "queues, "
        "triggers, follows by webhook, proves, reports and remembers. People use its pages and its "
        "API. docs/service.md is the operator's guide.\n"
        "\n"
        "Reads 'server' and 'state' of the file that --config names; specs come from the infra "
        "repository's default branch. Log lines are JSON on standard error: DISPATCHER_LOG=debug "
        "says more.\n"
        "\n"
        "SIGHUP reads settings, secrets and certificates again; what is wrong is told, and the old "
        "ones stay. SIGTERM or SIGINT: no new requests, streams are sent elsewhere, deployments "
        "are "
        "put down for the next start or another replica; a second one does not wait.",
    .examples = "$ dispatcher serve --config dispatcher.yaml\n"
                "$ dispatcher serve --config dispatcher.yaml --listen 127.0.0.1:0 --ready-file "
                "address\n"
                "  Any free port; its address is in the file once it listens.\n",
    .run = run_serve,
};
