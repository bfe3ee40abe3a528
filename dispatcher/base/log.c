// Log lines as text or JSON; one write a line, secrets masked. Decides nothing about levels.
#include "dispatcher/log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "dispatcher/clock.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/secret.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

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

static void
put_text(struct buf *line, enum log_level level, const char *message, va_list fields)
{
    buf_printf(line, "%s: %s", level_names[level], message);
    for (;;) {
        struct log_field field = va_arg(fields, struct log_field);
        if (field.key == NULL) {
            break;
        }
        if (field.text != NULL) {
            buf_printf(line, " %s=%s", field.key, field.text);
        } else {
            buf_printf(line, " %s=%lld", field.key, (long long)field.number);
        }
    }
}

static void
put_json(struct buf *line, enum log_level level, const char *message, va_list fields)
{
    char stamp[21];
    clock_format_rfc3339(clock_wall(&clock_system), stamp);
    struct json *object CLEANUP(json_freep) = json_make_object();
    json_set_str(object, "time", stamp);
    json_set_str(object, "level", level_names[level]);
    json_set_str(object, "message", message);
    for (;;) {
        struct log_field field = va_arg(fields, struct log_field);
        if (field.key == NULL) {
            break;
        }
        if (field.text != NULL) {
            json_set_str(object, field.key, field.text);
        } else {
            json_set_int(object, field.key, field.number);
        }
    }
    json_print(object, false, line);
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
    secret_mask(&line);
    (void)fwrite(buf_cstr(&line), 1, line.len, log->stream);
    (void)fflush(log->stream);
}
