// Commands to copy into a terminal. What stands in them may come from anybody, so each value is one
// quoted word of a POSIX shell: pasting it runs what is read, and nothing else.
#include <string.h>

#include "dispatcher/text.h"
#include "web_internal.h"

enum {
    COMMAND_MAX = 4096,
    WORD_MAX = 1024,
};

static bool
is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._-/:@+=,";
    return word[0] != '\0' && word[0] != '-' && word[strspn(word, plain)] == '\0';
}

static void
put_word(struct buf *out, const char *word)
{
    if (word == NULL || is_plain(word)) {
        buf_puts(out, word != NULL ? word : "''");
        return;
    }
    buf_putc(out, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            buf_puts(out, "'\\''");
        } else {
            buf_putc(out, *word);
        }
    }
    buf_putc(out, '\'');
}

void
command_put(struct buf *out, const char *format, ...)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(COMMAND_MAX);
    va_list args;
    va_start(args, format);
    while (*format != '\0') {
        size_t plain = strcspn(format, "%");
        buf_append(&line, format, plain);
        format += plain;
        if (*format == '%') { // only %s is written here
            struct buf word CLEANUP(buf_done) = BUF_INIT(WORD_MAX);
            const char *value = va_arg(args, const char *);
            text_clean(str_of(value), WORD_MAX - 1, &word); // a line end would press enter
            put_word(&line, value != NULL ? buf_cstr(&word) : NULL);
            format += 2;
        }
    }
    va_end(args);
    part_command(out, line.failed ? "" : buf_cstr(&line));
}
