// Reads documents and checks the command lines of dispatcher in them against the tables.
//
// In fenced blocks (sh, bash, console, yaml) and in workflow files a line that runs `dispatcher`
// must parse as it stands; one that is a synopsis ("…", "...", "[" or "COMMAND") and every
// `dispatcher …` in backticks need only name a command and options that exist. A lone `--option` in
// backticks must belong to some command, unless its line names another program.
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "commands.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum { WORDS_MAX = 128, FILE_MAX = 4 * 1024 * 1024 };

struct place {
    const char *file;
    unsigned line;
};

struct words {
    char *list[WORDS_MAX + 1];
    size_t count;
};

struct result {
    size_t seen, wrong;
};

// Splits like a shell, as far as documents need it: quotes, ${{ }} and $( ) as one piece, and an
// end at a comment, a pipe, a redirection or the next command.
static void
split(struct arena *arena, struct str text, struct words *out)
{
    struct buf word CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    bool started = false;
    char quote = '\0';
    int depth = 0;
    for (size_t i = 0; i <= text.len && out->count < WORDS_MAX; i++) {
        char byte = i < text.len ? text.ptr[i] : ' ';
        bool last = i == text.len;
        if (!last && quote == '\0' && (byte == '{' || byte == '(') && i > 0 &&
            (text.ptr[i - 1] == '$' || depth > 0)) {
            depth++;
        } else if (!last && quote == '\0' && depth > 0 && (byte == '}' || byte == ')')) {
            depth--;
        }
        if (!last && depth == 0 && (byte == quote || (quote == '\0' && strchr("'\"", byte)))) {
            quote = quote == '\0' ? byte : '\0';
            started = true;
        } else if (quote == '\0' && depth == 0 && strchr(" \t|&;><", byte) != NULL) {
            if (started) {
                out->list[out->count++] = arena_str(arena, buf_str(&word));
            }
            buf_reset(&word);
            started = false;
            if (strchr("|&;><", byte) != NULL) {
                break;
            }
        } else if (quote == '\0' && depth == 0 && !started && byte == '#') {
            break;
        } else {
            buf_putc(&word, byte);
            started = true;
        }
    }
}

static void
complain(const struct place *place, struct str line, const char *problem, struct result *result)
{
    result->wrong++;
    printf("%s:%u: %s\n    %.*s\n", place->file, place->line, problem, STR_FMT(str_trim(line)));
}

static bool
option_exists(const struct cli_command *command, struct str name)
{
    if (command != NULL) {
        return cli_find_option(command, name) != NULL;
    }
    for (size_t i = 0; i < cli_command_count; i++) {
        if (cli_find_option(cli_commands[i], name) != NULL) {
            return true;
        }
    }
    return false;
}

static const struct cli_command *
command_of(struct arena *arena, const struct words *words)
{
    const char *first = words->count > 0 ? words->list[0] : "";
    const char *second = words->count > 1 ? words->list[1] : "";
    const struct cli_command *command = cli_find_command(str_of(first));
    return command != NULL ? command
                           : cli_find_command(str_of(arena_printf(arena, "%s %s", first, second)));
}

static bool
is_synopsis(struct str line)
{
    return str_contains(line, STR("…")) || str_contains(line, STR("...")) ||
           str_contains(line, STR("[")) || str_contains(line, STR("COMMAND"));
}

// Names a command, and only options that it has.
static void
check_loosely(struct arena *arena, const struct words *words, const struct place *place,
    struct str line, struct result *result)
{
    const struct cli_command *command = command_of(arena, words);
    if (command == NULL) {
        bool bare = words->count == 0 || strchr("[-.", words->list[0][0]) != NULL ||
                    isupper((unsigned char)words->list[0][0]) || words->list[0][0] == '\xe2' ||
                    cli_is_family(str_of(words->list[0]));
        if (!bare) {
            complain(place, line, "there is no such command", result);
        }
        return;
    }
    for (size_t i = 0; i < words->count; i++) {
        struct str word = str_of(words->list[i]), name = {0}, value = {0};
        while (word.len > 0 && word.ptr[0] == '[') {
            word = str_skip(word, 1);
        }
        if (!str_starts(word, STR("--")) || word.len == 2) {
            continue;
        }
        (void)str_cut(str_skip(word, 2), '=', &name, &value);
        (void)str_cut(name, ']', &name, &value);
        if (!option_exists(command, name)) {
            char *problem CLEANUP(xfreep) =
                xasprintf("'%s' has no option '--%.*s'", command->name, STR_FMT(name));
            complain(place, line, problem, result);
        }
    }
}

static void
check_strictly(struct arena *arena, const struct words *words, const struct place *place,
    struct str line, struct result *result)
{
    struct cli_invocation invocation = {0};
    struct error *err CLEANUP(error_freep) = cli_parse(arena, words->list, &invocation);
    if (err != NULL) {
        char *problem CLEANUP(xfreep) = error_text(err);
        complain(place, line, problem, result);
    }
}

// `after`: what follows the word "dispatcher".
static void
check_command(struct str after, bool strict, const struct place *place, struct result *result)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct words words = {.count = 0};
    split(arena, after, &words);
    result->seen++;
    if (strict && !is_synopsis(after)) {
        check_strictly(arena, &words, place, after, result);
    } else {
        check_loosely(arena, &words, place, after, result);
    }
}

// Does the line run dispatcher, after prompts, "run:", assignments and paths? Then *after follows
// it.
static bool
runs_dispatcher(struct str line, struct str *after)
{
    struct str rest = str_trim(line), word = {0};
    while (str_cut(rest, ' ', &word, &rest)) {
        if (str_equal(word, STR("dispatcher")) || str_ends(word, STR("/dispatcher"))) {
            *after = rest;
            return true;
        }
        bool prefix = str_equal(word, STR("$")) || str_equal(word, STR("-")) ||
                      str_equal(word, STR("run:")) || str_equal(word, STR("exec")) ||
                      str_equal(word, STR("|")) || word.len == 0 ||
                      (str_contains(word, STR("=")) && !str_starts(word, STR("-")));
        if (!prefix) {
            return false;
        }
    }
    return false;
}

static void
check_code_span(struct str span, const struct place *place, struct result *result)
{
    struct str after = {0};
    if (runs_dispatcher(span, &after)) {
        if (after.len > 0) {
            check_command(after, false, place, result);
        }
        return;
    }
    struct str name = {0}, rest = {0};
    // Two options without a command are another program's.
    if (str_starts(span, STR("--")) && span.len > 2 && !str_contains(span, STR(" --"))) {
        (void)str_cut(str_skip(span, 2), ' ', &name, &rest);
        (void)str_cut(name, '=', &name, &rest);
        result->seen++;
        if (!option_exists(NULL, name)) {
            complain(place, span, "no command has this option", result);
        }
    }
}

static void
check_prose(struct str line, const struct place *place, struct result *result)
{
    struct str before = {0}, span = {0}, rest = line;
    while (str_cut(rest, '`', &before, &rest) && str_cut(rest, '`', &span, &rest)) {
        check_code_span(span, place, result);
    }
}

static bool
is_shell_fence(struct str info)
{
    static const char *const names[] = {"sh", "bash", "shell", "console", "yaml", "yml"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (str_equal(info, str_of(names[i]))) {
            return true;
        }
    }
    return false;
}

static void
check_document(const char *file, struct str text, struct result *result)
{
    bool markdown = str_ends(str_of(file), STR(".md"));
    bool fenced = false, shell = !markdown;
    struct place place = {file, 0};
    struct buf joined CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    struct str line = {0}, rest = text, after = {0};
    while (str_cut(rest, '\n', &line, &rest)) {
        place.line++;
        struct str trimmed = str_trim(line);
        if (markdown && str_starts(trimmed, STR("```"))) {
            fenced = !fenced;
            shell = fenced && is_shell_fence(str_trim(str_skip(trimmed, 3)));
            continue;
        }
        if (!fenced && markdown) {
            check_prose(line, &place, result);
        } else if (shell && str_ends(trimmed, STR("\\"))) {
            buf_add(&joined, (struct str){trimmed.ptr, trimmed.len - 1});
            buf_putc(&joined, ' ');
        } else if (shell) {
            buf_add(&joined, trimmed);
            if (runs_dispatcher(buf_str(&joined), &after)) {
                check_command(after, true, &place, result);
            }
            buf_reset(&joined);
        }
    }
}

int
main(int argc, char **argv)
{
    struct result result = {0};
    for (int i = 1; i < argc; i++) {
        struct buf text CLEANUP(buf_done) = BUF_INIT(FILE_MAX);
        bool found = false;
        struct error *err = file_read(argv[i], &text, &found);
        if (err != NULL) {
            char *problem CLEANUP(xfreep) = error_text(err);
            printf("docs_commands: %s\n", problem);
            error_free(err);
            return 2;
        }
        check_document(argv[i], buf_str(&text), &result);
    }
    printf("%zu command lines and options, %zu wrong\n", result.seen, result.wrong);
    return result.wrong == 0 ? 0 : 1;
}
