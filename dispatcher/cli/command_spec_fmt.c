// `dispatcher spec fmt`: spec files in their canonical layout, comments kept.
#include <string.h>
#include <sys/stat.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "spec_files.h"

enum { OUTPUT_MAX = 16 * 1024 * 1024 };

struct fmt {
    struct cli *cli;
    struct arena *arena;
    bool check;
    size_t changed, refused;
};

// A file with errors is left alone: who knows what it was meant to be.
static bool
is_fit(struct fmt *fmt, const char *path, struct spec_document *out)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    if (spec_file_read(path, fmt->arena, diagnostics, out)) {
        if (spec_file_is_config(path)) {
            spec_lint_config(out, diagnostics);
        } else {
            const struct spec_document none = {.path = "dispatcher.yaml"};
            spec_lint_app(&none, out, spec_file_stem(path, fmt->arena), diagnostics);
        }
    }
    if (diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) == 0) {
        return true;
    }
    diagnostics_sort(diagnostics);
    struct buf text CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    diagnostics_print_text(diagnostics, fmt->cli->color, &text);
    cli_err(fmt->cli, buf_str(&text));
    return false;
}

static struct error *
write_back(const char *path, struct str text)
{
    struct stat info;
    mode_t mode = stat(path, &info) == 0 ? info.st_mode & 0777 : 0644;
    return file_write(path, text, mode);
}

static struct error *
format_file(struct fmt *fmt, const char *path)
{
    struct spec_document document = {0};
    if (!is_fit(fmt, path, &document)) {
        fmt->refused++;
        return NULL;
    }
    struct buf text CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    struct error *err CLEANUP(error_freep) = spec_format(&document, &text);
    if (err != NULL) {
        cli_print_error(fmt->cli, err);
        fmt->refused++;
        return NULL;
    }
    if (str_equal(buf_str(&text), document.text)) {
        return NULL;
    }
    fmt->changed++;
    cli_outf(fmt->cli, "%s\n", path);
    return fmt->check ? NULL : write_back(path, buf_str(&text));
}

static struct error *
run_spec_fmt(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct fmt fmt = {.cli = cli, .arena = arena, .check = cli_flag(arguments, "check")};
    size_t count = cli_positional_count(arguments);
    struct str_list paths = {arena_array(arena, count, sizeof(char *)), count}, files = {0};
    for (size_t i = 0; i < count; i++) {
        paths.items[i] = cli_positional(arguments, i);
    }
    TRY(spec_files_list(&paths, arena, &files));
    for (size_t i = 0; i < files.count; i++) {
        TRY(format_file(&fmt, files.items[i]));
    }
    bool failed = fmt.refused > 0 || (fmt.check && fmt.changed > 0);
    *exit_code = failed ? error_kind_exit_code(ERROR_SPEC) : 0;
    return NULL;
}

static const struct cli_option options[] = {
    {"check", CLI_FLAG, NULL, "change nothing; exit 3 when a file would change", NULL},
};

const struct cli_command command_spec_fmt = {
    .name = "spec fmt",
    .arguments = "[FILE|DIR]...",
    .max_positional = 10000,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "bring spec files into their canonical layout",
    .description =
        "Rewrites spec files in place: two blanks a level, lists indented below their key, one "
        "blank line at most, two blanks before a comment, brackets broken into lines beyond 100 "
        "columns. Comments, the order of keys and the way values are written stay. The names of "
        "the files that change are printed.\n"
        "\n"
        "The result is read back and compared with the original before it replaces it; a file "
        "with errors, or one that could not be laid out without changing what it says, stays as "
        "it is, and the exit code is 3. Without arguments: the same files as 'spec lint'.",
    .examples = "$ dispatcher spec fmt appspecs/payments.yaml\n"
                "$ dispatcher spec fmt --check appspecs\n"
                "  in CI: names the files that are not formatted, exit 3\n",
    .run = run_spec_fmt,
};
