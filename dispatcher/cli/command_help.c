// `dispatcher help`: pages made from the tables, for people, for man and for docs/.
#include "commands.h"
#include "dispatcher/arena.h"
#include "dispatcher/text.h"
#include "help.h"
#include "manual.h"

enum { PAGE_MAX = 4 * 1024 * 1024 };

// What was asked for.
struct topic {
    const struct cli_command *command;
    const char *family;
    void (*text)(struct buf *out), (*markdown)(struct buf *out); // of a page of codes
};

static struct error *
find_topic(const struct cli_arguments *arguments, struct arena *arena, struct topic *out)
{
    const char *first = cli_positional(arguments, 0), *second = cli_positional(arguments, 1);
    if (first == NULL) {
        return NULL;
    }
    const char *name = second != NULL ? arena_printf(arena, "%s %s", first, second) : first;
    out->command = cli_find_command(str_of(name));
    if (cstr_equal(name, "exit-codes")) {
        out->text = exit_codes_text;
        out->markdown = exit_codes_markdown;
    } else if (cstr_equal(name, "reason-codes")) {
        out->text = reasons_text;
        out->markdown = reasons_markdown;
    }
    out->family = second == NULL && cli_is_family(str_of(first)) ? first : NULL;
    if (out->command != NULL || out->text != NULL || out->family != NULL) {
        return NULL;
    }
    struct buf clean CLEANUP(buf_done) = BUF_INIT(256);
    text_clean(str_of(name), 60, &clean);
    return error_hint(error_new(ERROR_USAGE, "there is no command '%s'", buf_cstr(&clean)),
        "'dispatcher help' lists the commands.");
}

static void
put_names(struct buf *out)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        buf_printf(out, "%s\n", cli_commands[i]->name);
    }
}

static void
put_page(const struct topic *topic, size_t width, struct buf *out)
{
    if (topic->command != NULL) {
        help_command_page(topic->command, width, out);
    } else if (topic->text != NULL) {
        topic->text(out);
    } else if (topic->family != NULL) {
        help_family_page(str_of(topic->family), out);
    } else {
        help_main_page(out);
    }
}

static struct error *
run_help(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf page CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    struct topic topic = {0};
    TRY(find_topic(arguments, arena, &topic));
    if (cli_flag(arguments, "list")) {
        put_names(&page);
    } else if (cli_flag(arguments, "man") && topic.text == NULL) {
        manual_page(topic.command, &page);
    } else if (cli_flag(arguments, "markdown")) {
        (topic.markdown != NULL ? topic.markdown : reference_markdown)(&page);
    } else {
        put_page(&topic, (size_t)cli->width, &page);
    }
    TRY(buf_finish(&page, "the page"));
    cli_out(cli, buf_str(&page));
    return NULL;
}

static const struct cli_option options[] = {
    {"man", CLI_FLAG, NULL, "print the manual page instead, as roff", NULL},
    {"markdown", CLI_FLAG, NULL,
        "print a page of docs/ instead: cli-reference, errors, reason-codes", NULL},
    {"list", CLI_FLAG, NULL, "print the names of all commands, one a line", NULL},
};

const struct cli_command command_help = {
    .name = "help",
    .arguments = "[COMMAND|exit-codes|reason-codes]",
    .max_positional = 2,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "show what a command does, its options and examples",
    .description = "Without a command, lists all of them. 'dispatcher COMMAND --help' shows the "
                   "same page as 'dispatcher help COMMAND'. 'dispatcher help exit-codes' shows "
                   "what each exit code says, 'dispatcher help reason-codes' why something is "
                   "refused or waits.",
    .examples = "$ dispatcher help\n"
                "$ dispatcher help version\n"
                "$ dispatcher help exit-codes\n"
                "$ dispatcher help version --man | man -l -\n",
    .run = run_help,
};
