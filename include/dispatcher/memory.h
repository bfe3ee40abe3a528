// Allocation that cannot fail.
//
// Every input is bounded and every effect is journalled, so running out of memory ends the process
// (exit 70, "out of memory") and the next start resumes: crash-only, as git and crun do.
// All results are released with free(). Thread-safe.
#pragma once

#include <stddef.h>

#include "dispatcher/compiler.h"

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *pointer, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((malloc, returns_nonnull));

/// For CLEANUP: frees the pointer that `pointer` points to.
void xfreep(void *pointer);

/// Ends the process for a state that our own code must never reach; never for input.
NORETURN void bug_abort(const char *file, int line, const char *condition);

#define BUG_ON(condition)                                                                          \
    do {                                                                                           \
        if (condition) {                                                                           \
            bug_abort(__FILE__, __LINE__, #condition);                                             \
        }                                                                                          \
    } while (0)
