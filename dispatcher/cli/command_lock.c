// `lock`, `freeze`, `unlock` and `locks`: who holds what back in a service, and why.
#include <string.h>

#include "dispatcher/memory.h"
#include "remote.h"

// The scope follows from what is named.
static struct error *
put_scope(const struct cli_arguments *arguments, struct json *body)
{
    const char *app = cli_positional(arguments, 0), *env = cli_value(arguments, "env");
    const char *program = cli_value(arguments, "program");
    bool all = cli_flag(arguments, "all");
    int named = (app != NULL || env != NULL) + (program != NULL) + all;
    if (named != 1) {
        return error_hint(error_new(ERROR_USAGE, "%s",
                              named == 0 ? "what is to be held back?" : "this names two scopes"),
            "Name APP, APP with --env, --env alone, --program, or --all.");
    }
    json_set_str(body, "scope",
        all               ? "organisation"
        : program != NULL ? "program"
        : app == NULL     ? "environment"
        : env != NULL     ? "target"
                          : "app");
    json_set_str(body, "app", app);
    json_set_str(body, "env", env);
    json_set_str(body, "program", program);
    return NULL;
}

static struct error *
put_reason(const struct cli_arguments *arguments, struct json *body)
{
    const char *reason = cli_value(arguments, "reason");
    if (reason == NULL || str_trim(str_of(reason)).len == 0) {
        return error_hint(error_new(ERROR_USAGE, "no reason was given"),
            "Say why with --reason: everybody who has to wait reads it.");
    }
    json_set_str(body, "reason", reason);
    return NULL;
}

// " (from 2026-…Z; epoch 1; what waits runs on unlock)", or when and by whom it was lifted.
static void
put_state(struct cli *cli, struct arena *arena, const struct json *lock)
{
    const char *lifted = remote_clean(arena, json_get(lock, "released_at"));
    const char *by = remote_clean(arena, json_get(lock, "released_by"));
    const char *from = remote_clean(arena, json_get(lock, "starts_at"));
    bool later = !cstr_equal(from, json_str(json_get(lock, "created_at")));
    bool holds = !cstr_equal(json_str(json_get(lock, "level")), "warning");
    if (lifted != NULL) {
        bool expired = cstr_equal(by, "expired");
        cli_outf(cli, " (%s %s%s%s)\n", expired ? "ended by itself" : "lifted", lifted,
            expired ? "" : " by ",
            expired      ? ""
            : by != NULL ? by
                         : "somebody");
        return;
    }
    bool drops = cstr_equal(json_str(json_get(lock, "on_release")), "drop");
    cli_outf(cli, " (%s%s%sepoch %lld%s)\n", later && from != NULL ? "from " : "",
        later && from != NULL ? from : "", later && from != NULL ? "; " : "",
        (long long)json_int(json_get(lock, "epoch"), 0),
        !holds  ? ""
        : drops ? "; what waits is dropped on unlock"
                : "; what waits runs on unlock");
}

static void
put_lock(struct cli *cli, struct arena *arena, const struct json *lock)
{
    const char *scope = remote_clean(arena, json_get(lock, "scope"));
    const char *app = remote_clean(arena, json_get(lock, "app"));
    const char *env = remote_clean(arena, json_get(lock, "env"));
    const char *program = remote_clean(arena, json_get(lock, "program"));
    const char *until = remote_clean(arena, json_get(lock, "expires_at"));
    const char *owner = remote_clean(arena, json_get(lock, "owner"));
    const char *reason = remote_clean(arena, json_get(lock, "reason"));
    const char *id = remote_clean(arena, json_get(lock, "id"));
    const char *level = remote_clean(arena, json_get(lock, "level"));
    cli_outf(cli, "%s  %-7s  %s%s%s%s%s", id != NULL ? id : "", level != NULL ? level : "",
        scope != NULL ? scope : "", app != NULL || program != NULL || env != NULL ? " " : "",
        app != NULL       ? app
        : program != NULL ? program
                          : "",
        app != NULL && env != NULL ? "/" : "", env != NULL ? env : "");
    cli_outf(cli, "  by %s%s%s: %s", owner != NULL ? owner : "nobody",
        until != NULL ? ", until " : "", until != NULL ? until : "", reason != NULL ? reason : "");
    put_state(cli, arena, lock);
}

static void
print_json(struct cli *cli, const struct json *value)
{
    char *text CLEANUP(xfreep) = json_text(value);
    cli_outf(cli, "%s\n", text);
}

static struct error *
make_lock(struct cli *cli, const struct cli_arguments *arguments, const char *level)
{
    struct remote remote CLEANUP(remote_close) = {0};
    struct json *body CLEANUP(json_freep) = json_make_object(), *lock CLEANUP(json_freep) = NULL;
    TRY(put_scope(arguments, body));
    TRY(put_reason(arguments, body));
    json_set_str(body, "level", level);
    json_set_str(body, "on_release", cli_value(arguments, "on-release"));
    json_set_str(body, "expires_in", cli_value(arguments, "for"));
    json_set_str(body, "starts_in", cli_value(arguments, "in"));
    TRY(remote_open(cli, arguments, &remote));
    TRY(remote_post(&remote, "/api/v1/locks", body, remote_key(&remote, "lock"), &lock));
    cli->changed = true;
    if (cli_flag(arguments, "json")) {
        print_json(cli, lock);
    } else {
        put_lock(cli, remote.arena, lock);
    }
    return NULL;
}

static struct error *
run_lock(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    return make_lock(cli, arguments, cli_flag(arguments, "warning") ? "warning" : "lock");
}

static struct error *
run_freeze(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    return make_lock(cli, arguments, "freeze");
}

static struct error *
find_lock(struct remote *remote, const char *id, int64_t *epoch)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    TRY(remote_get(remote, "/api/v1/locks", &answer));
    const struct json *locks = json_get(answer, "locks");
    for (size_t i = 0; i < json_count(locks); i++) {
        if (cstr_equal(json_str(json_get(json_at(locks, i), "id")), id)) {
            *epoch = json_int(json_get(json_at(locks, i), "epoch"), 0);
            return NULL;
        }
    }
    return error_hint(error_new(ERROR_USAGE, "there is no lock '%.80s'", id),
        "'dispatcher locks --server %s' lists those that hold.", remote->url);
}

// Both must match, so that nobody lifts a lock that was changed meanwhile (protocols.md §4.3).
static struct error *
run_unlock(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    struct remote remote CLEANUP(remote_close) = {0};
    struct json *body CLEANUP(json_freep) = json_make_object(), *answer CLEANUP(json_freep) = NULL;
    const char *id = cli_positional(arguments, 0), *given = cli_value(arguments, "epoch");
    int64_t epoch = 0;
    if (given != NULL && (!str_to_int64(str_of(given), &epoch) || epoch < 1)) {
        return error_new(ERROR_USAGE, "epoch '%.40s' is not a number", given);
    }
    TRY(remote_open(cli, arguments, &remote));
    if (given == NULL) {
        TRY(find_lock(&remote, id, &epoch));
    }
    json_set_int(body, "epoch", epoch);
    json_set_str(body, "reason", cli_value(arguments, "reason"));
    const char *const parts[] = {"locks", id, "release", NULL};
    char *path = remote_path(remote.arena, parts);
    TRY(remote_post(&remote, path, body, remote_key(&remote, "unlock"), &answer));
    cli->changed = true;
    cli_outf(cli, "%s is lifted\n", id);
    return NULL;
}

static struct error *
run_locks(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    struct remote remote CLEANUP(remote_close) = {0};
    struct json *answer CLEANUP(json_freep) = NULL;
    TRY(remote_open(cli, arguments, &remote));
    TRY(remote_get(
        &remote, cli_flag(arguments, "past") ? "/api/v1/locks?past=1" : "/api/v1/locks", &answer));
    const struct json *locks = json_get(answer, "locks");
    if (json_count(locks) == 0) {
        cli_errf(cli, "nothing is locked\n");
    }
    for (size_t i = 0; i < json_count(locks); i++) {
        if (cli_flag(arguments, "json")) {
            print_json(cli, json_at(locks, i));
        } else {
            put_lock(cli, remote.arena, json_at(locks, i));
        }
    }
    return NULL;
}

static const char *const run_or_drop[] = {"run", "drop", NULL};

// clang-format off
#define LOCK_OPTIONS                                                                               \
    {"env", CLI_VALUE, "ENV", "this environment, of APP or of all", NULL},                         \
    {"program", CLI_VALUE, "NAME", "all apps of a program", NULL},                                 \
    {"all", CLI_FLAG, NULL, "the whole organisation", NULL},                                       \
    {"reason", CLI_VALUE, "TEXT", "why (required); whoever waits reads it", NULL},                 \
    {"for", CLI_DURATION, "2h", "it ends by itself after that", NULL},                             \
    {"in", CLI_DURATION, "30m", "it begins only then", NULL},                                      \
    {"on-release", CLI_VALUE, "run|drop", "what becomes of what waited; default: run",             \
        run_or_drop},                                                                              \
    REMOTE_OPTION,                                                                                 \
    {"json", CLI_FLAG, NULL, "one JSON object", NULL}
// clang-format on

static const struct cli_option lock_options[] = {
    LOCK_OPTIONS,
    {"warning", CLI_FLAG, NULL, "hold nothing back: only say so to whoever deploys", NULL},
};
static const struct cli_option freeze_options[] = {LOCK_OPTIONS};
static const struct cli_option unlock_options[] = {
    {"epoch", CLI_VALUE, "N", "the lock's epoch; default: the one that holds now", NULL},
    {"reason", CLI_VALUE, "TEXT", "why", NULL},
    REMOTE_OPTION,
};
static const struct cli_option locks_options[] = {
    {"past", CLI_FLAG, NULL, "also those that were lifted", NULL},
    REMOTE_OPTION,
    {"json", CLI_FLAG, NULL, "one JSON object a line", NULL},
};

const struct cli_command command_lock = {
    .name = "lock",
    .arguments = "[APP] [--env ENV] --reason TEXT",
    .max_positional = 1,
    .options = lock_options,
    .option_count = ARRAY_LENGTH(lock_options),
    .summary = "hold deployments back, with a reason and an owner",
    .description =
        "Through the service. A lock is of an app, an app in an environment, an environment, a "
        "program or the whole organisation. Its owner may still deploy by hand (a person, or a job "
        "that 'workflow_dispatch' started), not by a push; an emergency does not pass "
        "it. What is accepted meanwhile waits in the queue, and sees the reason, the owner, until "
        "when, and what becomes of it on unlock.",
    .examples = "$ dispatcher lock payments --env production --reason INC-2041\n"
                "$ dispatcher lock --env production --reason migration --for 2h\n"
                "$ dispatcher lock payments --warning --reason slow-database --for 1d\n",
    .run = run_lock,
};

const struct cli_command command_freeze = {
    .name = "freeze",
    .arguments = "[APP] [--env ENV] --reason TEXT",
    .max_positional = 1,
    .options = freeze_options,
    .option_count = ARRAY_LENGTH(freeze_options),
    .summary = "a lock that an emergency passes",
    .description = "As 'lock', but a deployment with --emergency goes through. Weekly times stand "
                   "in the spec as 'windows'.",
    .examples = "$ dispatcher freeze --env production --reason end-of-year --in 8h --for 7d\n",
    .run = run_freeze,
};

const struct cli_command command_unlock = {
    .name = "unlock",
    .arguments = "LOCK",
    .min_positional = 1,
    .max_positional = 1,
    .options = unlock_options,
    .option_count = ARRAY_LENGTH(unlock_options),
    .summary = "lift a lock or a freeze",
    .description = "LOCK is the id that 'locks' shows. With --epoch it is lifted only as it was "
                   "then. Only its owner and the admins of the service may.",
    .examples = "$ dispatcher unlock l-4f3c9a12\n",
    .run = run_unlock,
};

const struct cli_command command_locks = {
    .name = "locks",
    .options = locks_options,
    .option_count = ARRAY_LENGTH(locks_options),
    .summary = "what holds deployments back, who and until when",
    .description = "Reads them from the service.",
    .examples = "$ dispatcher locks\n$ dispatcher locks --past --json\n",
    .run = run_locks,
};
