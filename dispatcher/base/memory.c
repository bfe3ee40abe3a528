// Allocation that ends the process instead of failing. Keeps no state and no statistics.
#include "dispatcher/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static NORETURN void
out_of_memory(void)
{
    static const char message[] = "dispatcher: out of memory\n";
    ssize_t written = write(STDERR_FILENO, message, sizeof(message) - 1);
    (void)written;
    _exit(70);
}

void *
xmalloc(size_t size)
{
    void *pointer = malloc(size > 0 ? size : 1);
    if (pointer == NULL) {
        out_of_memory();
    }
    return pointer;
}

void *
xcalloc(size_t count, size_t size)
{
    void *pointer = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (pointer == NULL) {
        out_of_memory();
    }
    return pointer;
}

void *
xrealloc(void *old, size_t size)
{
    void *pointer = realloc(old, size > 0 ? size : 1);
    if (pointer == NULL) {
        out_of_memory();
    }
    return pointer;
}

char *
xstrndup(const char *text, size_t len)
{
    char *copy = xmalloc(len + 1);
    if (len > 0) {
        memcpy(copy, text, len);
    }
    copy[len] = '\0';
    return copy;
}

char *
xstrdup(const char *text)
{
    return xstrndup(text, strlen(text));
}

char *
xasprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    BUG_ON(len < 0);
    char *text = xmalloc((size_t)len + 1);
    va_start(args, format);
    (void)vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

void
xfreep(void *pointer)
{
    void **slot = pointer;
    free(*slot);
    *slot = NULL;
}

void
bug_abort(const char *file, int line, const char *condition)
{
    (void)fprintf(stderr, "dispatcher: bug at %s:%d: %s\n", file, line, condition);
    _exit(70);
}
