// `dispatcher spec lint`: every problem of many spec files, in the form that its reader wants.
#include <string.h>

#include "dispatcher/memory.h"
#include "spec_files.h"

enum { OUTPUT_MAX = 64 * 1024 * 1024 };

static const char *const formats[] = {"text", "json", "github", "sarif", NULL};

struct lint {
    struct arena *arena;
    struct diagnostics *diagnostics;
    const char *given_config; // --config, or NULL
    const char *directory;    // whose dispatcher.yaml `config` is
    struct spec_document config;
};

static const char *
directory_of(const char *path, struct arena *arena)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? arena_str(arena, (struct str){path, (size_t)(slash - path)}) : "";
}

// Files of one directory share a dispatcher.yaml: it is looked for and read once.
static void
load_config_for(struct lint *lint, const char *path)
{
    const char *directory = directory_of(path, lint->arena);
    if (lint->directory != NULL &&
        (lint->given_config != NULL || strcmp(lint->directory, directory) == 0)) {
        return;
    }
    lint->directory = directory;
    lint->config = (struct spec_document){.path = "dispatcher.yaml"};
    const char *config =
        lint->given_config != NULL ? lint->given_config : spec_file_config_of(path, lint->arena);
    // What is wrong with it is said where it is linted itself; unreadable counts when it was named.
    struct diagnostics *ignored CLEANUP(diagnostics_freep) = diagnostics_new();
    if (config != NULL) {
        (void)spec_file_read(config, lint->arena,
            lint->given_config != NULL ? lint->diagnostics : ignored, &lint->config);
    }
}

static void
lint_file(struct lint *lint, const char *path)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct spec_document document = {0};
    if (!spec_file_read(path, arena, lint->diagnostics, &document)) {
        return;
    }
    if (spec_file_is_config(path)) {
        spec_lint_config(&document, lint->diagnostics);
        return;
    }
    load_config_for(lint, path);
    spec_lint_app(&lint->config, &document, spec_file_stem(path, arena), lint->diagnostics);
}

static void
print(struct cli *cli, const char *format, const struct diagnostics *diagnostics)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    if (strcmp(format, "json") == 0) {
        diagnostics_print_json(diagnostics, &out);
    } else if (strcmp(format, "github") == 0) {
        diagnostics_print_github(diagnostics, &out);
    } else if (strcmp(format, "sarif") == 0) {
        diagnostics_print_sarif(diagnostics, &out);
    } else {
        diagnostics_print_text(diagnostics, cli->color, &out);
    }
    cli_out(cli, buf_str(&out));
}

static const char *
plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static struct error *
run_spec_lint(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct lint lint = {
        .arena = arena, .diagnostics = diagnostics, .given_config = cli_value(arguments, "config")};
    size_t count = cli_positional_count(arguments);
    struct str_list paths = {arena_array(arena, count, sizeof(char *)), count}, files = {0};
    for (size_t i = 0; i < count; i++) {
        paths.items[i] = cli_positional(arguments, i);
    }
    TRY(spec_files_list(&paths, arena, &files));
    for (size_t i = 0; i < files.count; i++) {
        lint_file(&lint, files.items[i]);
    }
    diagnostics_sort(diagnostics);
    const char *format = cli_value(arguments, "format");
    print(cli, format != NULL ? format : "text", diagnostics);
    size_t errors = diagnostics_count(diagnostics, DIAGNOSTIC_ERROR);
    size_t warnings = diagnostics_count(diagnostics, DIAGNOSTIC_WARNING);
    cli_errf(cli, "%zu file%s: %zu error%s, %zu warning%s\n", files.count, plural(files.count),
        errors, plural(errors), warnings, plural(warnings));
    bool failed = errors > 0 || (warnings > 0 && cli_flag(arguments, "strict"));
    *exit_code = failed ? error_kind_exit_code(ERROR_SPEC) : 0;
    return NULL;
}

static const struct cli_option options[] = {
    {"format", CLI_VALUE, "FORMAT", "text (default), json, github annotations or sarif", formats},
    {"config", CLI_VALUE, "FILE", "the dispatcher.yaml to check app specs against", NULL},
    {"strict", CLI_FLAG, NULL, "fail on warnings too", NULL},
};

const struct cli_command command_spec_lint = {
    .name = "spec lint",
    .arguments = "[FILE|DIR]...",
    .max_positional = 10000,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "say everything that is wrong with spec files",
    .description =
        "Checks app specs and dispatcher.yaml: their YAML, every key and value, and what they mean "
        "together (secrets, services, environments, placeholders, the organisation's policy). A "
        "directory stands for the YAML files in it. Without arguments: dispatcher.yaml in the "
        "working directory and the app specs that it points to.\n"
        "\n"
        "An app spec is checked against the dispatcher.yaml above its directory, or in it, or the "
        "one that --config names; without one, against itself alone. Each problem has a stable "
        "rule name, listed in docs/spec-reference.md.\n"
        "\n"
        "Exits 0 when no file has an error, else 3.",
    .examples = "$ dispatcher spec lint\n"
                "$ dispatcher spec lint appspecs/payments.yaml\n"
                "$ dispatcher spec lint --format github appspecs\n"
                "  annotations on the pull request that changes a spec\n"
                "$ dispatcher spec lint --format sarif appspecs > specs.sarif\n",
    .run = run_spec_lint,
};
