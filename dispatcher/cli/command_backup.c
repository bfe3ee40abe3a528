// `backup` and `restore`: the journal as one file that can be carried away, and back.
#include <string.h>

#include "deploy_ui.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

// What was given on the command line, in one line of ours.
static char *
clean(const char *path)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    text_clean(str_of(path), 1000, &text);
    return buf_take(&text);
}

static struct error *
verify(struct cli *cli, const char *from)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store_verification seen = {0};
    char *name CLEANUP(xfreep) = clean(from);
    TRY(store_verify(from, arena, &seen));
    if (seen.problem != NULL) {
        struct buf problem CLEANUP(buf_done) = BUF_INIT(4096);
        text_clean(str_of(seen.problem), 1000, &problem);
        return error_hint(
            error_new(ERROR_STORAGE, "backup '%s' is not whole: %s", name, buf_cstr(&problem)),
            "Take another backup.");
    }
    cli_outf(cli, "%s is whole: deployments %lld, jobs %lld, audit entries %lld, schema %lld\n",
        name, (long long)seen.deployments, (long long)seen.jobs, (long long)seen.audit_entries,
        (long long)seen.schema);
    return NULL;
}

// Says what is in it: one that is empty, since another journal was meant, is seen at once.
static struct error *
backup(struct cli *cli, struct store *store, const char *to)
{
    TRY(store_backup(store, to));
    cli->changed = true;
    cli_outf(cli, "copied journal '%s'\n", store_name(store));
    return verify(cli, to);
}

static struct error *
run_backup(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    const char *state = cli_value(arguments, "state"), *to = cli_positional(arguments, 0);
    struct store *store CLEANUP(store_closep) = NULL;
    char *usual CLEANUP(xfreep) = NULL;
    (void)exit_code;
    cli_mask_environment(cli);
    if (state == NULL || strcmp(state, "sqlite:") == 0) {
        TRY(deploy_state_path(&cli->platform, &usual));
        state = usual;
    }
    TRY(store_open_kept(state, &store));
    return backup(cli, store, to);
}

static const struct cli_option backup_options[] = {
    {"state", CLI_VALUE, "URL",
        "another journal: a path, sqlite:PATH or postgresql://… (default: $DISPATCHER_STATE)",
        NULL},
};

const struct cli_command command_backup = {
    .name = "backup",
    .arguments = "FILE [--state URL]",
    .min_positional = 1,
    .max_positional = 1,
    .options = backup_options,
    .option_count = ARRAY_LENGTH(backup_options),
    .summary = "copy the whole journal into one file",
    .description =
        "Writes a new SQLite file with everything that the journal holds at one moment: "
        "deployments with their steps and events, the outbox and, of a service, its queue and "
        "audit log. Others may go on writing meanwhile; a journal in PostgreSQL is copied the "
        "same way. Nothing of the journal is changed: one of an older version stays one, so that a "
        "service can be updated with a copy from before.\n\n"
        "The file gets its name only once all of it was read back and found whole; one that "
        "exists is never overwritten (exit code 2). Its mode is 0600: documents name hosts, "
        "people and branches, but no secrets.",
    .examples =
        "$ dispatcher backup /backups/journal-monday.db\n"
        "$ dispatcher backup out.db --state postgresql://dispatcher@db.example/dispatcher\n",
    .run = run_backup,
};

static struct error *
run_restore(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    const char *from = cli_positional(arguments, 0), *to = cli_value(arguments, "to");
    (void)exit_code;
    if (to == NULL) {
        if (cli_flag(arguments, "verify")) {
            return verify(cli, from);
        }
        return error_hint(error_new(ERROR_USAGE, "where to restore it is missing"),
            "Give '--to PATH' or '--to postgresql://…'; '--verify' alone only reads the backup.");
    }
    TRY(store_restore(from, to));
    cli->changed = true;
    cli_outf(cli, "restored, read back and found whole\n");
    return cli_flag(arguments, "verify") ? verify(cli, from) : NULL;
}

static const struct cli_option restore_options[] = {
    {"to", CLI_VALUE, "URL", "where: a path, sqlite:PATH or postgresql://…, with nothing in it",
        NULL},
    {"verify", CLI_FLAG, NULL, "say what the backup holds; without --to nothing is written", NULL},
};

const struct cli_command command_restore = {
    .name = "restore",
    .arguments = "FILE [--to URL] [--verify]",
    .min_positional = 1,
    .max_positional = 1,
    .options = restore_options,
    .option_count = ARRAY_LENGTH(restore_options),
    .summary = "bring a backup back, or only read it",
    .description =
        "Reads all of a backup first: its pages, its references, every document and the chain of "
        "the audit log. Then copies it into a file that does not exist, or into a database of "
        "PostgreSQL in which nothing is, and reads that, too, before it counts: in PostgreSQL it "
        "is one transaction, and a file gets its name last. A backup of an older version is "
        "brought up to date on the way.\n\n"
        "A place that is not empty, or beside which another database left its '-wal', is refused "
        "and left as it is (exit code 6), a backup that is not whole, or whose tables are not "
        "ours, with 13. Stop the service before you restore: what it did since the backup "
        "is looked up at GitHub and AWS when it starts again, but its queue is that of the "
        "backup.",
    .examples = "$ dispatcher restore --verify /backups/journal-monday.db\n"
                "$ dispatcher restore journal.db --to /var/lib/dispatcher/state.db\n"
                "$ dispatcher restore journal.db --to postgresql://dispatcher@db.example/new\n",
    .run = run_restore,
};
