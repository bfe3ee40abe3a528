// What went wrong, as a value.
//
// A function that can fail returns `struct error *`: NULL is success, anything else is owned by the
// receiver and freed with error_free. Outputs are untouched on failure. Each *meaningful* layer
// adds one sentence:
//
//     struct error *err = http_send(client, &request, &response);
//     if (err != NULL) {
//         return error_wrap(err, "push image '%s'", reference);
//     }
//
// The user sees the sentences outermost first, lower case, no stop, the subject quoted, then the
// hint (a full sentence). Absence is a value (`*out = NULL`), never an error. Not thread-safe per
// object; objects may move between threads.
#pragma once

#include <stdbool.h>

#include "dispatcher/compiler.h"

// Kinds, the exit code each has when nothing more is known, and their texts: error_kinds.def.
enum error_kind {
#define ERROR_KIND(name, exit_code, text) ERROR_##name,
#include "dispatcher/error_kinds.def"
#undef ERROR_KIND
};

// What the other side said, where there was one.
struct error_remote {
    int status;        // HTTP status, 0 when no answer came
    char *code;        // the service's own error code ("ParameterNotFound"), or NULL
    char *request_id;  // as the service returned it, or NULL
    bool request_left; // true when at least one byte of the request may have left this machine
};

struct error;

struct error *error_make(enum error_kind kind, const char *file, int line, const char *format, ...)
    PRINTF_LIKE(4, 5) __attribute__((returns_nonnull));
#define error_new(kind, ...) error_make((kind), __FILE__, __LINE__, __VA_ARGS__)

/// Adds an outer sentence; kind, hint and remote stay those of `cause`, which is consumed.
struct error *error_wrap(struct error *cause, const char *format, ...) PRINTF_LIKE(2, 3)
    __attribute__((returns_nonnull));
/// The same, and from here on the error is of `kind`.
struct error *error_wrap_as(enum error_kind kind, struct error *cause, const char *format, ...)
    PRINTF_LIKE(3, 4) __attribute__((returns_nonnull));
/// Attaches a hint (a sentence with a stop), replacing an inner one; returns `err`.
struct error *error_hint(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3)
    __attribute__((returns_nonnull));
/// Attaches what the remote said (strings are copied); returns `err`.
struct error *error_remote(struct error *err, int status, const char *code, const char *request_id,
    bool request_left) __attribute__((returns_nonnull));

enum error_kind error_kind(const struct error *err);
/// The outermost sentence only; owned by the error.
const char *error_message(const struct error *err);
const struct error *error_cause(const struct error *err);
/// NULL when there is none.
const char *error_hint_of(const struct error *err);
/// Never NULL; all zero when no remote was involved. Looks through wrapping.
const struct error_remote *error_remote_of(const struct error *err);
/// "outer: inner: innermost (HTTP 403, request 7f3a)"; heap, free().
char *error_text(const struct error *err) __attribute__((returns_nonnull));
/// "dispatcher/net/http.c:120" of the innermost error, for debug logs.
const char *error_source(const struct error *err);

/// Exit code of the kind, and its name ("CREDENTIALS") for JSON output.
int error_kind_exit_code(enum error_kind kind);
const char *error_kind_name(enum error_kind kind);
const char *error_kind_text(enum error_kind kind);

void error_free(struct error *err);
void error_freep(struct error **err);

/// The only macro that may return.
#define TRY(call)                                                                                  \
    do {                                                                                           \
        struct error *try_error_ = (call);                                                         \
        if (try_error_ != NULL) {                                                                  \
            return try_error_;                                                                     \
        }                                                                                          \
    } while (0)
