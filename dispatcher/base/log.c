// Log lines as text or JSON; one write a line, secrets masked. Decides nothing about levels.
#include "dispatcher/log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/clock.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/secret.h"
#include "dispatcher/text.h"

enum { LINE_MAX_BYTES = 64 * 1024, VALUE_MAX_BYTES = 8 * 1024 };

struct log {
    FILE *stream;
    enum log_level level;
    enum log_format format;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

struct log *
log_new(FILE *stream, enum log_level level, enum log_format format)
{
    struct log *log = xmalloc(sizeof(*log));
    *log = (struct log){stream, level, format};
    return log;
}

void
log_free(struct log *log)
{
    free(log);
}

// Masked before it is cut: half a secret would not be recognised.
static void
put_clean(const char *text, struct buf *out)
{
    struct buf masked CLEANUP(buf_wipe) = BUF_INIT(VALUE_MAX_BYTES * 64);
    buf_puts(&masked, text);
    secret_mask(&masked);
    text_clean(masked.failed ? STR("(too long)") : buf_str(&masked), VALUE_MAX_BYTES, out);
}

// A value that would not read as one word stands in quotes.
static void
put_value(const char *text, struct buf *out)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(VALUE_MAX_BYTES);
    put_clean(text, &clean);
    struct str value = buf_str(&clean);
    bool quoted = value.len == 0;
    for (size_t i = 0; i < value.len; i++) {
        quoted = quoted || strchr(" \"=\\", value.ptr[i]) != NULL;
    }
    buf_puts(out, quoted ? "\"" : "");
    for (size_t i = 0; i < value.len; i++) {
        buf_puts(out, strchr("\"\\", value.ptr[i]) != NULL ? "\\" : "");
        buf_putc(out, value.ptr[i]);
    }
    buf_puts(out, quoted ? "\"" : "");
}

static void
put_text(struct buf *line, enum log_level level, const char *message, va_list fields)
{
    buf_printf(line, "%s: ", level_names[level]);
    put_clean(message, line);
    for (;;) {
        struct log_field field = va_arg(fields, struct log_field);
        if (field.key == NULL) {
            break;
        }
        buf_printf(line, " %s=", field.key);
        if (field.text != NULL) {
            put_value(field.text, line);
        } else {
            buf_printf(line, "%lld", (long long)field.number);
        }
    }
}

static struct json *
make_json(enum log_level level, const char *message)
{
    char stamp[21];
    clock_format_rfc3339(clock_wall(&clock_system), stamp);
    struct json *object = json_make_object();
    json_set_str(object, "time", stamp);
    json_set_str(object, "level", level_names[level]);
    json_set_str(object, "message", message);
    return object;
}

static void
put_json(struct buf *line, enum log_level level, const char *message, va_list fields)
{
    struct json *object CLEANUP(json_freep) = make_json(level, message);
    for (;;) {
        struct log_field field = va_arg(fields, struct log_field);
        if (field.key == NULL) {
            break;
        }
        if (field.text != NULL) {
            struct buf clean CLEANUP(buf_done) = BUF_INIT(VALUE_MAX_BYTES);
            put_clean(field.text, &clean);
            json_set_str(object, field.key, buf_cstr(&clean));
        } else {
            json_set_int(object, field.key, field.number);
        }
    }
    json_print(object, false, line);
}

// Whole lines only: one that does not fit is written again without its fields.
static void
put_short(struct buf *line, enum log_format format, enum log_level level, const char *message)
{
    buf_reset(line);
    if (format == LOG_JSON) {
        struct json *object CLEANUP(json_freep) = make_json(level, message);
        json_set_bool(object, "fields_left_out", true);
        json_print(object, false, line);
        buf_putc(line, '\n');
    } else {
        buf_printf(line, "%s: %s (fields left out: too long)\n", level_names[level], message);
    }
}

void
log_write(struct log *log, enum log_level level, const char *message, ...)
{
    if (log == NULL || level > log->level) {
        return;
    }
    struct buf line CLEANUP(buf_done) = BUF_INIT(LINE_MAX_BYTES);
    va_list fields;
    va_start(fields, message);
    if (log->format == LOG_JSON) {
        put_json(&line, level, message, fields);
    } else {
        put_text(&line, level, message, fields);
    }
    va_end(fields);
    buf_putc(&line, '\n');
    if (line.failed) {
        put_short(&line, log->format, level, message);
    }
    secret_mask(&line);
    (void)fwrite(buf_cstr(&line), 1, line.len, log->stream);
    (void)fflush(log->stream);
}
