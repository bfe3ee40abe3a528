// `audit`: who decided what in a service, and whether the log is whole.
#include <stdio.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "remote.h"

enum { TEXT_MAX_BYTES = 16 * 1024 * 1024, PATH_MAX_BYTES = 16 * 1024 };

static struct error *
verify(struct remote *remote, int *exit_code)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    TRY(remote_get(remote, "/api/v1/audit/verify", &answer));
    long long entries = (long long)json_int(json_get(answer, "entries"), 0);
    int64_t broken = json_int(json_get(answer, "broken_at"), 0);
    if (broken == 0 && json_is_null(json_get(answer, "why"))) {
        cli_outf(remote->cli, "the audit log is whole: %lld entries, head %s\n", entries,
            remote_clean(remote->arena, json_get(answer, "head")));
        return NULL;
    }
    const char *why = remote_clean(remote->arena, json_get(answer, "why"));
    cli_errf(remote->cli, "dispatcher: the audit log is broken at entry %lld: %s\n",
        (long long)broken, why != NULL ? why : "");
    *exit_code = error_kind_exit_code(ERROR_STORAGE);
    return NULL;
}

static void
add_filters(const struct cli_arguments *arguments, struct buf *path)
{
    static const char *const names[] = {"app", "env", "kind", "verdict", "code", "actor", "limit"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *value = cli_value(arguments, names[i]);
        if (value != NULL) {
            url_add_query(path, names[i], value);
        }
    }
}

static bool
is_csv(const struct cli_arguments *arguments)
{
    return cstr_equal(cli_value(arguments, "format"), "csv");
}

static struct error *
print_page(
    struct remote *remote, const struct cli_arguments *arguments, const char *path, bool head)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX_BYTES);
    const struct client_call call = {.method = HTTP_GET,
        .path = path,
        .accept = is_csv(arguments) ? "text/csv" : "application/jsonl"};
    TRY(client_fetch(remote->client, &call, &text));
    struct str line = {0}, rest = buf_str(&text);
    if (!head && is_csv(arguments)) { // the names of the columns were printed
        (void)str_cut(rest, '\n', &line, &rest);
    }
    cli_out(remote->cli, rest);
    return NULL;
}

// The log is longer than an answer may be. Where a page ends its JSON says (`next`): a field of CSV
// may look like a line.
static struct error *
print_all(struct remote *remote, const struct cli_arguments *arguments, const char *filters)
{
    int64_t after = 0;
    do {
        struct json *page CLEANUP(json_freep) = NULL;
        struct buf path CLEANUP(buf_done) = BUF_INIT(PATH_MAX_BYTES);
        char from[24];
        (void)snprintf(from, sizeof(from), "%lld", (long long)after);
        buf_puts(&path, filters);
        url_add_query(&path, "after", from);
        url_add_query(&path, "limit", "1000"); // the most
        TRY(remote_get(remote, buf_cstr(&path), &page));
        TRY(print_page(remote, arguments, buf_cstr(&path), after == 0));
        after = json_int(json_get(page, "next"), 0);
    } while (after > 0);
    return NULL;
}

static struct error *
run_audit(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct remote remote CLEANUP(remote_close) = {0};
    struct buf path CLEANUP(buf_done) = BUF_INIT(PATH_MAX_BYTES);
    TRY(remote_open(cli, arguments, &remote));
    if (cli_flag(arguments, "verify")) {
        return verify(&remote, exit_code);
    }
    buf_puts(&path, "/api/v1/audit");
    add_filters(arguments, &path);
    return cli_value(arguments, "limit") != NULL
               ? print_page(&remote, arguments, buf_cstr(&path), true)
               : print_all(&remote, arguments, buf_cstr(&path));
}

static const char *const formats[] = {"jsonl", "csv", NULL};

static const struct cli_option options[] = {
    {"verify", CLI_FLAG, NULL, "read the whole chain and say whether it is whole", NULL},
    {"app", CLI_VALUE, "APP", "only of this app", NULL},
    {"env", CLI_VALUE, "ENV", "only this environment", NULL},
    {"kind", CLI_VALUE, "KIND", "decision, deployment, lock, approval, …", NULL},
    {"verdict", CLI_VALUE, "WORD", "allow, deny, wait or done", NULL},
    {"code", CLI_VALUE, "CODE", "a reason code", NULL},
    {"actor", CLI_VALUE, "LOGIN", "only of this person", NULL},
    {"limit", CLI_VALUE, "N", "the newest N, newest first; at most 1000", NULL},
    {"format", CLI_VALUE, "jsonl|csv", "default: jsonl", formats},
    REMOTE_OPTION,
};

const struct cli_command command_audit = {
    .name = "audit",
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "who decided what in the service, by which rule",
    .description =
        "Prints entries of the service's audit log: all from the oldest on, or the newest with "
        "--limit. Each holds the hash of the one "
        "before it; --verify reads all of them and ends with 13 when one was changed or is gone.",
    .examples = "$ dispatcher audit --app payments --verdict deny\n"
                "$ dispatcher audit --format csv --limit 1000\n"
                "$ dispatcher audit --verify\n",
    .run = run_audit,
};
