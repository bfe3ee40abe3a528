// Files of NAME=value lines ("dotenv"). There is no standard: what the common readers agree on is
// read, and what they read differently is refused. Pure.
#include <string.h>

#include "dispatcher/memory.h"
#include "environment_internal.h"

struct dotenv {
    const char *path;
    struct str rest;
    size_t line; // of what `rest` starts with, from 1
    struct arena *arena;
    struct pair *pairs;
    size_t *lines; // where each name stands
    size_t count;
};

static struct error *
complain(const struct dotenv *file, size_t line, const char *what)
{
    return error_new(ERROR_INPUT, "%s:%zu: %s", file->path, line, what);
}

static bool
at_end(const struct dotenv *file)
{
    return file->rest.len == 0;
}

static char
peek(const struct dotenv *file)
{
    return at_end(file) ? '\0' : file->rest.ptr[0];
}

static char
take(struct dotenv *file)
{
    char byte = peek(file);
    file->line += byte == '\n' ? 1 : 0;
    file->rest = str_skip(file->rest, 1);
    return byte;
}

static void
skip_blanks(struct dotenv *file)
{
    while (peek(file) == ' ' || peek(file) == '\t' || peek(file) == '\r') {
        (void)take(file);
    }
}

static void
skip_line(struct dotenv *file)
{
    while (!at_end(file) && take(file) != '\n') {
    }
}

static bool
is_name_byte(char byte, bool first)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_' ||
           (!first && byte >= '0' && byte <= '9');
}

static struct str
take_word(struct dotenv *file)
{
    struct str word = {file->rest.ptr, 0};
    while (is_name_byte(peek(file), word.len == 0)) {
        (void)take(file);
        word.len++;
    }
    return word;
}

// NAME, "export NAME"; what follows is '='.
static struct error *
read_name(struct dotenv *file, const char **out)
{
    struct str name = take_word(file);
    if (str_equal(name, STR("export")) && (peek(file) == ' ' || peek(file) == '\t')) {
        skip_blanks(file);
        name = take_word(file);
    }
    skip_blanks(file);
    if (name.len == 0 || peek(file) != '=') {
        return error_hint(complain(file, file->line, "expected NAME=value"),
            "Names are letters, digits and '_', and do not begin with a digit.");
    }
    (void)take(file);
    *out = arena_str(file->arena, name);
    return NULL;
}

static struct error *
refuse_expansion(const struct dotenv *file)
{
    return error_hint(complain(file, file->line, "'${…}' is not expanded here"),
        "Write the value itself, or put it in '…' if it is meant as it stands.");
}

static bool
begins_expansion(const struct dotenv *file)
{
    return str_starts(file->rest, STR("${"));
}

static struct error *
read_quoted(struct dotenv *file, struct buf *value)
{
    static const char escapes[] = "n\nt\tr\r\"\"\\\\$$";
    size_t begun = file->line;
    char quote = take(file);
    while (!at_end(file) && peek(file) != quote) {
        if (quote == '"' && begins_expansion(file)) {
            return refuse_expansion(file);
        }
        char byte = take(file);
        if (quote == '"' && byte == '\\') {
            const char *known = strchr(escapes, peek(file));
            bool is_known = !at_end(file) && known != NULL && (known - escapes) % 2 == 0;
            if (!is_known) {
                buf_putc(value, byte); // as it stands: a path of Windows, a pattern
                continue;
            }
            (void)take(file);
            byte = known[1];
        }
        buf_putc(value, byte);
    }
    if (at_end(file)) {
        return complain(
            file, begun, quote == '"' ? "the '\"' is not closed" : "the ' is not closed");
    }
    (void)take(file);
    skip_blanks(file);
    if (!at_end(file) && peek(file) != '\n' && peek(file) != '#') {
        return complain(file, file->line, "text after the closing quote");
    }
    return NULL;
}

static struct error *
read_bare(struct dotenv *file, struct buf *value)
{
    bool blank = true;
    while (!at_end(file) && peek(file) != '\n' && !(blank && peek(file) == '#')) {
        if (begins_expansion(file)) {
            return refuse_expansion(file);
        }
        char byte = take(file);
        blank = byte == ' ' || byte == '\t';
        buf_putc(value, byte);
    }
    struct str kept = str_trim(buf_str(value));
    buf_cut(value, kept.len); // what is in front was skipped before
    return NULL;
}

static struct error *
check_once(const struct dotenv *file, const char *name, size_t line)
{
    for (size_t i = 0; i < file->count; i++) {
        if (strcmp(file->pairs[i].key, name) == 0) {
            return error_new(ERROR_INPUT, "%s:%zu: '%s' stands in line %zu already", file->path,
                line, name, file->lines[i]);
        }
    }
    return NULL;
}

static struct error *
read_entry(struct dotenv *file)
{
    struct buf value CLEANUP(buf_wipe) = BUF_INIT(DOTENV_BYTES_MAX);
    size_t line = file->line;
    const char *name = NULL;
    TRY(read_name(file, &name));
    skip_blanks(file);
    bool quoted = peek(file) == '"' || peek(file) == '\'';
    TRY(quoted ? read_quoted(file, &value) : read_bare(file, &value));
    TRY(check_once(file, name, line));
    if (file->count >= DOTENV_ENTRIES_MAX) {
        return error_new(ERROR_INPUT, "%s:%zu: more than %d variables", file->path, line,
            (int)DOTENV_ENTRIES_MAX);
    }
    file->lines[file->count] = line;
    file->pairs[file->count++] = (struct pair){name, arena_dup(file->arena, buf_cstr(&value))};
    skip_line(file);
    return NULL;
}

static struct error *
check_text(struct str text, const char *path)
{
    if (text.len > DOTENV_BYTES_MAX) {
        return error_new(ERROR_INPUT, "%s: more than %d KiB", path, (int)(DOTENV_BYTES_MAX / 1024));
    }
    if (text.len > 0 && (memchr(text.ptr, '\0', text.len) != NULL || !str_is_utf8(text))) {
        return error_new(ERROR_INPUT, "%s: not a text in UTF-8", path);
    }
    return NULL;
}

struct error *
dotenv_parse(struct str text, const char *path, struct arena *arena, struct pair_list *out)
{
    TRY(check_text(text, path));
    if (str_starts(text, STR("\xef\xbb\xbf"))) {
        text = str_skip(text, 3);
    }
    struct dotenv file = {.path = path,
        .rest = text,
        .line = 1,
        .arena = arena,
        .pairs = arena_array(arena, DOTENV_ENTRIES_MAX, sizeof(struct pair)),
        .lines = arena_array(arena, DOTENV_ENTRIES_MAX, sizeof(size_t))};
    while (!at_end(&file)) {
        skip_blanks(&file);
        if (at_end(&file) || peek(&file) == '\n' || peek(&file) == '#') {
            skip_line(&file);
        } else {
            TRY(read_entry(&file));
        }
    }
    *out = (struct pair_list){file.pairs, file.count};
    return NULL;
}
