// Errors as a chain of sentences, outermost first. Prints nothing.
#include "dispatcher/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dispatcher/buf.h"
#include "dispatcher/memory.h"

enum { MESSAGE_MAX = 16 * 1024 };

struct error {
    enum error_kind kind;
    char *message;
    char *hint;
    struct error *cause;
    struct error_remote remote;
    char source[128]; // "file:line"
};

static const struct {
    const char *name, *text;
    int exit_code;
} kinds[] = {
#define ERROR_KIND(name, exit_code, text) [ERROR_##name] = {#name, (text), (exit_code)},
#include "dispatcher/error_kinds.def"
#undef ERROR_KIND
};

static char *
format_message(const char *format, va_list args)
{
    struct buf text = BUF_INIT(MESSAGE_MAX);
    buf_vprintf(&text, format, args);
    if (text.failed) {
        buf_reset(&text);
        buf_puts(&text, "a message of more than 16 KiB");
    }
    return buf_take(&text);
}

static struct error *
error_link(enum error_kind kind, struct error *cause, char *message)
{
    struct error *err = xcalloc(1, sizeof(*err));
    err->kind = kind;
    err->cause = cause;
    err->message = message;
    return err;
}

struct error *
error_make(enum error_kind kind, const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct error *err = error_link(kind, NULL, format_message(format, args));
    va_end(args);
    (void)snprintf(err->source, sizeof(err->source), "%s:%d", file, line);
    return err;
}

struct error *
error_wrap(struct error *cause, const char *format, ...)
{
    BUG_ON(cause == NULL);
    va_list args;
    va_start(args, format);
    struct error *err = error_link(cause->kind, cause, format_message(format, args));
    va_end(args);
    return err;
}

struct error *
error_wrap_as(enum error_kind kind, struct error *cause, const char *format, ...)
{
    BUG_ON(cause == NULL);
    va_list args;
    va_start(args, format);
    struct error *err = error_link(kind, cause, format_message(format, args));
    va_end(args);
    return err;
}

struct error *
error_hint(struct error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *hint = format_message(format, args);
    va_end(args);
    free(err->hint);
    err->hint = hint;
    return err;
}

struct error *
error_remote(
    struct error *err, int status, const char *code, const char *request_id, bool request_left)
{
    free(err->remote.code);
    free(err->remote.request_id);
    err->remote = (struct error_remote){
        .status = status,
        .code = code != NULL ? xstrdup(code) : NULL,
        .request_id = request_id != NULL ? xstrdup(request_id) : NULL,
        .request_left = request_left,
    };
    return err;
}

enum error_kind
error_kind(const struct error *err)
{
    return err->kind;
}

const char *
error_message(const struct error *err)
{
    return err->message;
}

const struct error *
error_cause(const struct error *err)
{
    return err->cause;
}

const char *
error_hint_of(const struct error *err)
{
    for (; err != NULL; err = err->cause) {
        if (err->hint != NULL) {
            return err->hint;
        }
    }
    return NULL;
}

const struct error_remote *
error_remote_of(const struct error *err)
{
    static const struct error_remote none = {0};
    for (; err != NULL; err = err->cause) {
        const struct error_remote *remote = &err->remote;
        if (remote->status != 0 || remote->code != NULL || remote->request_left) {
            return remote;
        }
    }
    return &none;
}

static void
put_remote(struct buf *text, const struct error_remote *remote)
{
    if (remote->status != 0 && remote->request_id != NULL) {
        buf_printf(text, " (HTTP %d, request %s)", remote->status, remote->request_id);
    } else if (remote->status != 0) {
        buf_printf(text, " (HTTP %d)", remote->status);
    }
}

char *
error_text(const struct error *err)
{
    struct buf text = BUF_INIT(16 * MESSAGE_MAX);
    for (const struct error *at = err; at != NULL; at = at->cause) {
        buf_printf(&text, "%s%s", at == err ? "" : ": ", at->message);
    }
    put_remote(&text, error_remote_of(err));
    return buf_take(&text);
}

const char *
error_source(const struct error *err)
{
    while (err->cause != NULL) {
        err = err->cause;
    }
    return err->source;
}

int
error_kind_exit_code(enum error_kind kind)
{
    return kinds[kind].exit_code;
}

const char *
error_kind_name(enum error_kind kind)
{
    return kinds[kind].name; // as in error_kinds.def: "CREDENTIALS"
}

const char *
error_kind_text(enum error_kind kind)
{
    return kinds[kind].text;
}

void
error_free(struct error *err)
{
    while (err != NULL) {
        struct error *cause = err->cause;
        free(err->message);
        free(err->hint);
        free(err->remote.code);
        free(err->remote.request_id);
        free(err);
        err = cause;
    }
}

void
error_freep(struct error **err)
{
    error_free(*err);
    *err = NULL;
}
