// `dispatcher spec pin`: GitHub's numbers of an app's repository and owner into its spec file.
#include <string.h>
#include <sys/stat.h>

#include "deploy_options.h"
#include "deploy_ui.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum { OUTPUT_MAX = 1024 * 1024, LINE_MAX_BYTES = 400, CONTEXT = 2, LINES_MAX = 64 * 1024 };

struct lines {
    struct str *items;
    size_t count;
};

static struct lines
split(struct arena *arena, struct str text)
{
    struct lines lines = {arena_array(arena, text.len + 1, sizeof(*lines.items)), 0};
    struct str line = {0};
    while (str_cut(text, '\n', &line, &text)) {
        lines.items[lines.count++] = line;
    }
    return lines;
}

static void
put_lines(const struct lines *lines, size_t from, size_t to, char mark, struct buf *out)
{
    for (; from < to && from < lines->count; from++) {
        buf_putc(out, mark);
        text_clean(lines->items[from], LINE_MAX_BYTES, out);
        buf_putc(out, '\n');
    }
}

// The lines between what both have in front and behind: the edit is small, and in one place.
static void
put_difference(struct arena *arena, const struct deploy_pin *pin, struct buf *out)
{
    struct lines before = split(arena, pin->before), after = split(arena, pin->after);
    size_t front = 0, back = 0;
    while (front < before.count && front < after.count &&
           str_equal(before.items[front], after.items[front])) {
        front++;
    }
    while (back < before.count - front && back < after.count - front &&
           str_equal(before.items[before.count - 1 - back], after.items[after.count - 1 - back])) {
        back++;
    }
    size_t start = front > CONTEXT ? front - CONTEXT : 0;
    buf_printf(out, "--- %s\n+++ %s\n@@ line %zu @@\n", pin->path, pin->path, front + 1);
    put_lines(&before, start, front, ' ', out);
    put_lines(&before, front, before.count - back, '-', out);
    put_lines(&after, front, after.count - back, '+', out);
    put_lines(&after, after.count - back, after.count - back + CONTEXT, ' ', out);
}

// Another number under the same name may be another repository: somebody has to look at that.
static struct error *
check_old(const struct deploy_pin *pin, bool replace)
{
    bool other = (pin->old_repository_id != 0 && pin->old_repository_id != pin->repository_id) ||
                 (pin->old_owner_id != 0 && pin->old_owner_id != pin->owner_id);
    if (!other || replace) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_CONFLICT,
            "'%s' is pinned to repository %lld of owner %lld, and GitHub's '%s' is "
            "repository %lld of owner %lld",
            pin->path, (long long)pin->old_repository_id, (long long)pin->old_owner_id,
            pin->repository, (long long)pin->repository_id, (long long)pin->owner_id),
        "The name may have been taken by somebody else. If it is meant, give --replace.");
}

static struct error *
write_back(const struct deploy_pin *pin)
{
    struct stat info;
    mode_t mode = stat(pin->path, &info) == 0 ? info.st_mode & 0777 : 0644;
    return file_write(pin->path, pin->after, mode);
}

static struct error *
run_spec_pin(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    struct deploy_session session CLEANUP(deploy_session_close) = {0};
    struct deploy_request request = {0};
    struct deploy_pin *pin = NULL;
    struct buf out CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    TRY(deploy_request_read(arguments, false, &request));
    TRY(deploy_session_open(cli, NULL, false, &session));
    struct error *err =
        deploy_pin(session.context, &request, session.arena, session.diagnostics, &pin);
    TRY(deploy_session_explain(cli, &session, err));
    TRY(check_old(pin, cli_flag(arguments, "replace")));
    bool renamed = !str_equal_nocase(str_of(pin->name), str_of(pin->repository));
    if (renamed) {
        cli_errf(cli, "dispatcher: GitHub calls '%s' by the name '%s' now; mend 'repo' in %s\n",
            pin->repository, pin->name, pin->path);
    }
    if (str_equal(pin->before, pin->after)) {
        buf_printf(&out, "%s: pinned already\n", pin->path);
    } else if (cli_flag(arguments, "dry-run")) {
        put_difference(session.arena, pin, &out);
    } else {
        TRY(write_back(pin));
        buf_printf(&out, "%s: repository %lld of owner %lld (%s)\n", pin->path,
            (long long)pin->repository_id, (long long)pin->owner_id, pin->repository);
    }
    TRY(buf_finish(&out, "output"));
    cli_out(cli, buf_str(&out));
    return NULL;
}

static const struct cli_option options[] = {
    DEPLOY_OPTIONS_SPECS,
    {"dry-run", CLI_FLAG, NULL, "change nothing; show what would change", NULL},
    {"replace", CLI_FLAG, NULL, "put other numbers in place of those that are there", NULL},
};

const struct cli_command command_spec_pin = {
    .name = "spec pin",
    .arguments = "APP",
    .min_positional = 1,
    .max_positional = 1,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "write GitHub's numbers of an app's repository and owner into its spec",
    .description =
        "The service tells repositories by their numbers, because a name can be given up and taken "
        "by somebody else. Asks GitHub for the repository that 'repo' names and writes "
        "'repository_id' and 'owner_id' below 'deploy'; nothing else of the file changes, comments "
        "and layout stay.\n"
        "\n"
        "Numbers that are there already and are others are left alone, and the exit code is 6: "
        "somebody has to look at that; --replace then puts the new ones in. Takes a token from "
        "GITHUB_TOKEN or GH_TOKEN, or the App of DEPLOYMENT_APP_ID and DEPLOYMENT_APP_KEY. The "
        "specs must be files: --specs takes no git URL here.",
    .examples = "$ dispatcher spec pin payments --specs appspecs --dry-run\n"
                "$ dispatcher spec pin payments --specs appspecs\n",
    .run = run_spec_pin,
};
