// `history` and `watch`: what the journal of this machine knows.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"
#include "remote.h"

// "rollback of v3: checkout is slow": what the row itself does not say.
static const char *
story_of(const struct json *document, struct arena *arena)
{
    const char *verb = json_str(json_get(document, "verb"));
    const char *from = json_str(json_get(document, "replaces"));
    const char *why = json_str(json_get(document, "because"));
    struct buf clean CLEANUP(buf_done) = BUF_INIT(1024);
    if (verb == NULL || strcmp(verb, "deploy") == 0) {
        return NULL;
    }
    buf_puts(&clean, verb);
    if (from != NULL) {
        buf_puts(&clean, " of ");
        text_clean(str_of(from), 60, &clean);
    }
    if (why != NULL) {
        buf_puts(&clean, ": ");
        text_clean(str_of(why), 300, &clean);
    }
    return arena_str(arena, buf_str(&clean));
}

static void
put_row(struct cli *cli, const struct store_deployment *row, const char *story)
{
    char stamp[21], took[32];
    clock_format_rfc3339(row->created_ms, stamp);
    clock_format_duration(row->updated_ms - row->created_ms, took);
    const char *result = row->result != NULL ? row->result : "unfinished";
    bool commit = strlen(row->version) == 40 && strspn(row->version, "0123456789abcdef") == 40;
    cli_outf(cli, "%s  %s  %-12s  %-10s  %-12.*s  %s", row->id, stamp, row->app, row->env,
        commit ? 12 : 128, row->version, result);
    if (row->result != NULL) {
        cli_outf(cli, " (exit %d, %s)", row->exit_code, took);
    }
    cli_outf(cli, "%s%s\n", story != NULL ? "  " : "", story != NULL ? story : "");
}

static void
put_json_row(struct cli *cli, const struct store_deployment *row, const struct json *document)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    char stamp[21];
    clock_format_rfc3339(row->created_ms, stamp);
    json_set_str(object, "deployment", row->id);
    json_set_str(object, "verb", json_str(json_get(document, "verb")));
    json_set_str(object, "replaces", json_str(json_get(document, "replaces")));
    json_set_str(object, "reason", json_str(json_get(document, "because")));
    json_set_str(object, "app", row->app);
    json_set_str(object, "environment", row->env);
    json_set_str(object, "version", row->version);
    json_set_str(object, "created", stamp);
    json_set_str(object, "result", row->result != NULL ? row->result : "unfinished");
    if (row->result != NULL) {
        json_set_int(object, "exit_code", row->exit_code);
        json_set_int(object, "duration_ms", row->updated_ms - row->created_ms);
    }
    char *text CLEANUP(xfreep) = json_text(object);
    cli_outf(cli, "%s\n", text);
}

// What the service knows, in the words of its API.
static void
put_remote_row(struct cli *cli, struct arena *arena, const struct json *d)
{
    static const char *const names[] = {"id", "created_at", "app", "env", "version"};
    static const int widths[] = {0, 0, 12, 10, 12};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *text = remote_clean(arena, json_get(d, names[i]));
        bool commit = text != NULL && strlen(text) == 40 && i == 4;
        cli_outf(cli, "%-*.*s  ", widths[i], commit ? 12 : 128, text != NULL ? text : "-");
    }
    const char *result = remote_clean(arena, json_get(d, "result"));
    const char *state = remote_clean(arena, json_get(d, "state"));
    const char *reason = remote_clean(arena, json_path(d, "reason.sentence"));
    cli_outf(cli, "%s%s%s\n",
        result != NULL  ? result
        : state != NULL ? state
                        : "-",
        reason != NULL ? ": " : "", reason != NULL ? reason : "");
}

static struct error *
remote_history(struct cli *cli, const struct cli_arguments *arguments)
{
    struct remote remote CLEANUP(remote_close) = {0};
    struct json *answer CLEANUP(json_freep) = NULL;
    struct buf path CLEANUP(buf_done) = BUF_INIT(4096);
    const char *app = cli_positional(arguments, 0), *env = cli_value(arguments, "env");
    TRY(remote_open(cli, arguments, &remote));
    buf_puts(&path, "/api/v1/deployments");
    if (app != NULL) {
        url_add_query(&path, "app", app);
    }
    if (env != NULL) {
        url_add_query(&path, "env", env);
    }
    TRY(remote_get(&remote, buf_cstr(&path), &answer));
    const struct json *rows = json_get(answer, "deployments");
    if (json_count(rows) == 0) {
        cli_errf(cli, "the service has no such deployment\n");
    }
    for (size_t i = 0; i < json_count(rows); i++) {
        if (cli_flag(arguments, "json")) {
            char *text CLEANUP(xfreep) = json_text(json_at(rows, i));
            cli_outf(cli, "%s\n", text);
        } else {
            put_remote_row(cli, remote.arena, json_at(rows, i));
        }
    }
    return NULL;
}

static struct error *
run_history(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    if (remote_url(cli, arguments) != NULL) {
        return remote_history(cli, arguments);
    }
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct store *store = NULL;
    struct store_deployment *rows = NULL;
    size_t count = 0;
    (void)exit_code;
    TRY(deploy_session_open(cli, NULL, false, &session));
    TRY(deploy_store(session.context, &store));
    const struct store_filter filter = {
        .app = cli_positional(arguments, 0), .env = cli_value(arguments, "env")};
    TRY(store_list(store, &filter, session.arena, &rows, &count));
    if (count == 0) {
        cli_errf(cli, "the journal of this machine has no such deployment\n");
    }
    for (size_t i = 0; i < count; i++) {
        struct json *document CLEANUP(json_freep) = NULL;
        // A document of another version says less, and no more.
        error_free(json_parse(str_of(rows[i].document), &json_limits_default, &document));
        if (cli_flag(arguments, "json")) {
            put_json_row(cli, &rows[i], document);
        } else {
            put_row(cli, &rows[i], story_of(document, session.arena));
        }
    }
    return NULL;
}

static const struct cli_option history_options[] = {
    {"env", CLI_VALUE, "ENV", "only this environment", NULL},
    REMOTE_OPTION,
    {"json", CLI_FLAG, NULL, "one JSON object a line", NULL},
};

const struct cli_command command_history = {
    .name = "history",
    .arguments = "[APP] [--env ENV]",
    .max_positional = 1,
    .options = history_options,
    .option_count = ARRAY_LENGTH(history_options),
    .summary = "deployments that this machine knows, newest first",
    .description =
        "Reads the local journal. What other machines deployed shows in 'dispatcher status'. With "
        "--server, what the service deployed, refused and holds back.",
    .examples = "$ dispatcher history\n$ dispatcher history payments --env production\n",
    .run = run_history,
};

// Prints events after `*after`; true when the last one says that it is over.
static struct error *
print_events(struct cli *cli, struct store *store, const char *id, int64_t *after, bool *finished)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store_event *events = NULL;
    size_t count = 0;
    TRY(store_events(store, id, *after, arena, &events, &count));
    for (size_t i = 0; i < count; i++) {
        cli_outf(cli, "%s\n", events[i].json);
        *after = events[i].sequence;
        *finished = strstr(events[i].json, "\"event\":\"finished\"") != NULL;
    }
    return NULL;
}

static struct error *
remote_watch(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct remote remote CLEANUP(remote_close) = {0};
    TRY(remote_open(cli, arguments, &remote));
    const struct remote_follow follow = {
        .id = cli_positional(arguments, 0),
        .what = arena_printf(remote.arena, "watch '%.80s'", cli_positional(arguments, 0)),
        .json = cli_flag(arguments, "json"),
    };
    return remote_follow(&remote, &follow, exit_code);
}

static struct error *
run_watch(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    enum { PAUSE_MS = 500 };
    if (remote_url(cli, arguments) != NULL) {
        return remote_watch(cli, arguments, exit_code);
    }
    struct deploy_ui *ui CLEANUP(deploy_ui_freep) = deploy_ui_new(cli, true);
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deployment *deployment = NULL;
    struct store *store = NULL;
    int64_t after = 0;
    bool finished = false;
    TRY(deploy_session_open(cli, NULL, false, &session));
    TRY(deploy_load(session.context, cli_positional(arguments, 0), session.arena, &deployment));
    TRY(deploy_store(session.context, &store));
    for (;;) {
        TRY(print_events(cli, store, deployment->id, &after, &finished));
        struct store_claim *claim CLEANUP(store_claim_releasep) = NULL;
        TRY(store_claim(store, deployment->id, &claim));
        if (finished || claim != NULL) { // over, or nobody is at work on it
            break;
        }
        const struct clock *clock = cli->platform.clock;
        TRY(clock_sleep_until(clock, clock_mono(clock) + PAUSE_MS, cli->platform.cancel));
    }
    TRY(print_events(cli, store, deployment->id, &after, &finished));
    TRY(deploy_load(session.context, deployment->id, session.arena, &deployment));
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    report_text(deployment, false, &text);
    cli_err(cli, buf_str(&text));
    if (deployment->result == NULL) {
        cli_errf(cli, "next: dispatcher resume %s\n", deployment->id);
    }
    *exit_code = (int)deployment->exit_code;
    return NULL;
}

static const struct cli_option watch_options[] = {
    REMOTE_OPTION,
    {"json", CLI_FLAG, NULL, "JSON lines of a service's deployment, too", NULL},
};

const struct cli_command command_watch = {
    .name = "watch",
    .arguments = "ID",
    .min_positional = 1,
    .max_positional = 1,
    .options = watch_options,
    .option_count = ARRAY_LENGTH(watch_options),
    .summary = "follow a deployment that another process drives",
    .description =
        "Prints the events of the journal as JSON lines until the deployment ends or its process "
        "is gone, then the result on stderr; ends with the deployment's exit code. With --server "
        "it "
        "shows one of the service as 'deploy --server' does.",
    .examples = "$ dispatcher watch d-3f9a2c51\n",
    .run = run_watch,
};
