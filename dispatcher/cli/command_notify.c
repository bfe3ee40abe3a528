// `notify`: reports by hand, what each sink would get, and what waits in the outbox.
#include <string.h>

#include "deploy_options.h"
#include "deploy_reports.h"
#include "dispatcher/memory.h"
#include "dispatcher/outbox.h"

enum { DELIVER_MS = 30 * 1000, SINKS_AT_ONCE = 4 };

// --- sending -------------------------------------------------------------------------------------

// Delivers what is due, whatever it is of, and says what is left of `id`: then the exit code is 12.
static struct error *
deliver(struct cli *cli, struct deploy_session *session, const char *id, int *exit_code)
{
    struct deploy_courier *courier CLEANUP(deploy_courier_freep) = NULL;
    struct deploy_untold *list = NULL;
    size_t count = 0;
    TRY(deploy_courier_start(session->context, &cli->http_options, SINKS_AT_ONCE, &courier));
    int64_t until = clock_mono(cli->platform.clock) + DELIVER_MS;
    TRY(deploy_reports_wait(cli, courier, id, until, false));
    deploy_courier_freep(&courier);
    TRY(deploy_untold(session->context, id, session->arena, &list, &count));
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    report_untold_text(list, count, &text);
    cli_out(cli, buf_str(&text));
    *exit_code = count > 0 ? error_kind_exit_code(ERROR_UNAVAILABLE) : 0;
    return NULL;
}

static struct error *
load_or_state(struct cli *cli, const struct cli_arguments *arguments,
    struct deploy_session *session, struct deployment **out)
{
    const char *what = cli_positional(arguments, 0);
    struct deploy_request request = {0};
    bool by_id = cli_value(arguments, "env") == NULL;
    if (what == NULL) {
        return error_hint(error_new(ERROR_USAGE, "notify: say about what"),
            "Name a deployment (dispatcher history), or an app with --env.");
    }
    if (by_id) {
        return deploy_load(session->context, what, session->arena, out);
    }
    const bool sample = cli_flag(arguments, "test");
    const struct deploy_statement statement = {
        .outcome = cli_value(arguments, "outcome") != NULL ? cli_value(arguments, "outcome")
                   : sample                                ? "deployed"
                                                           : NULL,
        .version = cli_value(arguments, "version"),
        .message = cli_value(arguments, "message"),
        .url = cli_value(arguments, "url"),
        .is_sample = sample,
    };
    if (statement.outcome == NULL) {
        return error_hint(error_new(ERROR_USAGE, "notify: say how it ended with --outcome"),
            "For example --outcome deployed; see 'dispatcher help notify'.");
    }
    TRY(deploy_request_read(arguments, true, &request));
    return deploy_session_explain(cli, session,
        deploy_state_by_hand(
            session->context, &request, &statement, session->arena, session->diagnostics, out));
}

static struct error *
send_report(struct cli *cli, const struct cli_arguments *arguments, struct deploy_session *session,
    int *exit_code)
{
    struct deployment *deployment = NULL;
    const struct str_list only = cli_values(arguments, "to");
    size_t count = 0;
    TRY(load_or_state(cli, arguments, session, &deployment));
    TRY(deploy_tell_again(session->context, deployment, &only, session->arena, &count));
    cli->changed = count > 0;
    if (count == 0) {
        cli_outf(cli, "'%s' in '%s' tells nobody of this: see 'notify' in its spec\n",
            deployment->app, deployment->env);
        return NULL;
    }
    cli_outf(cli, "report of %s: %zu message%s\n", deployment->id, count, count == 1 ? "" : "s");
    TRY(deliver(cli, session, deployment->id, exit_code));
    if (*exit_code == 0) {
        cli_outf(cli, "all delivered\n");
    }
    return NULL;
}

// --- looking -------------------------------------------------------------------------------------

static void
print_message(struct cli *cli, const struct deploy_message *message, bool json)
{
    struct json *body CLEANUP(json_freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF_INIT(8 * 1024 * 1024);
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(message->body), &json_limits_default, &body);
    BUG_ON(err != NULL); // it was made just now
    if (json) {
        struct json *object CLEANUP(json_freep) = json_make_object();
        json_set_str(object, "sink", message->sink);
        json_set_str(object, "kind", message->kind);
        json_set_str(object, "lane", message->lane);
        json_set(object, "body", json_clone(body));
        json_print(object, false, &text);
        buf_putc(&text, '\n');
    } else {
        buf_printf(&text, "%s (%s, by way of %s)\n", message->sink, message->kind, message->lane);
        json_print(body, true, &text);
        buf_puts(&text, "\n\n");
    }
    cli_out(cli, buf_str(&text));
}

static struct error *
show_messages(
    struct cli *cli, const struct cli_arguments *arguments, struct deploy_session *session)
{
    struct deployment *deployment = NULL;
    struct deploy_message *list = NULL;
    const struct str_list only = cli_values(arguments, "to");
    size_t count = 0;
    TRY(load_or_state(cli, arguments, session, &deployment));
    TRY(deploy_messages(deployment, &only, session->arena, &list, &count));
    for (size_t i = 0; i < count; i++) {
        print_message(cli, &list[i], cli_flag(arguments, "json"));
    }
    if (count == 0) {
        cli_errf(cli, "'%s' in '%s' tells nobody of this: see 'notify' in its spec\n",
            deployment->app, deployment->env);
    }
    return NULL;
}

static const char *
state_word(const struct store_outbox_row *row)
{
    return row->state == STORE_NOTICE_REFUSED ? "refused"
           : row->state == STORE_NOTICE_BEGUN ? "in doubt"
                                              : "waits";
}

static void
print_row(struct cli *cli, const struct store_outbox_row *row, bool json)
{
    char since[21];
    clock_format_rfc3339(row->created_ms, since);
    if (json) {
        struct json *object CLEANUP(json_freep) = json_make_object();
        json_set_str(object, "deployment", row->notice.deployment);
        json_set_str(object, "sink", row->notice.sink);
        json_set_str(object, "kind", row->notice.kind);
        json_set_str(object, "state", state_word(row));
        json_set_str(object, "since", since);
        json_set_int(object, "attempts", row->attempts);
        json_set_str(object, "problem", row->problem);
        char *text CLEANUP(xfreep) = json_text(object);
        cli_outf(cli, "%s\n", text);
        return;
    }
    cli_outf(cli, "%-20s %-16s %-18s %-8s since %s, %lld attempt%s%s%s\n", row->notice.deployment,
        row->notice.sink, row->notice.kind, state_word(row), since, (long long)row->attempts,
        row->attempts == 1 ? "" : "s", row->problem != NULL ? ": " : "",
        row->problem != NULL ? row->problem : "");
}

static struct error *
show_outbox(struct cli *cli, struct deploy_session *session, bool json)
{
    struct store *store = NULL;
    struct store_outbox_row *rows = NULL;
    size_t count = 0;
    const struct store_outbox_filter filter = {.undelivered = true};
    TRY(deploy_store(session->context, &store));
    TRY(store_outbox_list(store, &filter, session->arena, &rows, &count));
    for (size_t i = 0; i < count; i++) {
        print_row(cli, &rows[i], json);
    }
    if (count == 0 && !json) {
        cli_outf(cli, "the outbox is empty: everything is told\n");
    }
    return NULL;
}

static struct error *
discard(struct cli *cli, struct deploy_session *session, const char *id)
{
    struct store *store = NULL;
    struct deployment *deployment = NULL;
    size_t count = 0;
    TRY(deploy_store(session->context, &store));
    if (id != NULL) { // a report by hand is in no journal: its id counts as it is
        error_free(deploy_load(session->context, id, session->arena, &deployment));
    }
    TRY(store_outbox_discard(store, deployment != NULL ? deployment->id : id, &count));
    cli->changed = true;
    cli_outf(cli, "%zu message%s dropped\n", count, count == 1 ? "" : "s");
    return NULL;
}

// --- the command
// -----------------------------------------------------------------------------------

static struct error *
check_mode(const struct cli_arguments *arguments)
{
    static const char *const modes[] = {"test", "outbox", "flush", "discard"};
    size_t given = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        given += cli_flag(arguments, modes[i]) ? 1 : 0;
    }
    return given <= 1 ? NULL
                      : error_new(ERROR_USAGE,
                            "notify: only one of --test, --outbox, --flush and --discard at once");
}

static struct error *
run_notify(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    TRY(check_mode(arguments));
    TRY(deploy_session_open(cli, NULL, false, &session));
    if (cli_flag(arguments, "outbox")) {
        return show_outbox(cli, &session, cli_flag(arguments, "json"));
    }
    if (cli_flag(arguments, "discard")) {
        return discard(cli, &session, cli_positional(arguments, 0));
    }
    if (cli_flag(arguments, "flush")) {
        TRY(deliver(cli, &session, NULL, exit_code));
        if (*exit_code == 0) {
            cli_outf(cli, "the outbox is empty: everything is told\n");
        }
        return NULL;
    }
    return cli_flag(arguments, "test") ? show_messages(cli, arguments, &session)
                                       : send_report(cli, arguments, &session, exit_code);
}

static const struct cli_option notify_options[] = {
    {"env", CLI_VALUE, "ENV", "of an app: report what no deployment in the journal stands for",
        NULL},
    DEPLOY_OPTIONS_SPECS,
    {"to", CLI_LIST, "SINK", "only to this sink of the spec, whatever its routes say", NULL},
    {"outcome", CLI_VALUE, "OUTCOME",
        "with --env: started, waiting, deployed, rolled-back, failed, restored, not-restored, "
        "unknown, timed-out, interrupted, cancelled or superseded",
        NULL},
    {"version", CLI_VALUE, "V", "with --env: the version that it is about", NULL},
    {"message", CLI_VALUE, "TEXT", "with --env: what to say in one sentence", NULL},
    {"url", CLI_VALUE, "URL", "with --env: where to look", NULL},
    {"test", CLI_FLAG, NULL, "only show what each sink would get", NULL},
    {"outbox", CLI_FLAG, NULL, "show what waits, and why", NULL},
    {"flush", CLI_FLAG, NULL, "send what waits now", NULL},
    {"discard", CLI_FLAG, NULL, "drop what waits, of one deployment or of all", NULL},
    {"json", CLI_FLAG, NULL, "with --test and --outbox: one JSON object a line", NULL},
};

const struct cli_command command_notify = {
    .name = "notify",
    .arguments = "[ID | APP --env ENV --outcome OUTCOME]",
    .min_positional = 0,
    .max_positional = 1,
    .options = notify_options,
    .option_count = ARRAY_LENGTH(notify_options),
    .summary = "send a report by hand, or see what each sink would get",
    .description =
        "Deployments and rollbacks report by themselves to the sinks that 'notify' of "
        "dispatcher.yaml and of the spec names. This sends the report of one once more: a card is "
        "updated in place, an event is sent again with the id that it had. With --env it reports "
        "something that no deployment in the journal stands for, as your statement.\n\n"
        "Reports wait in an outbox beside the journal until their sink has taken them. --outbox "
        "shows what waits and why, --flush sends it, --discard drops it. Nothing of it changes a "
        "deployment.\n\n"
        "--test only shows: of a deployment, or made up for an app and --env (with --outcome), "
        "what each sink would get.\n\n"
        "Exit codes: 0 delivered · 2 usage · 3 spec · 12 something waits in the outbox · 13 local "
        "storage.",
    .examples = "$ dispatcher notify d-3f9a2c51\n"
                "$ dispatcher notify payments --env staging --test --outcome not-restored\n"
                "$ dispatcher notify payments --env production --outcome deployed --version v1.4.2 "
                "--url https://ci.example.org/runs/7\n"
                "$ dispatcher notify --flush\n",
    .run = run_notify,
};
