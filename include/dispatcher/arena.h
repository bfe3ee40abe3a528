// One lifetime for a whole document (spec, plan, report): allocate freely, free all at once.
//
//     struct arena *arena CLEANUP(arena_freep) = arena_new();
//     char *name = arena_printf(arena, "%s-%s", app, env);
//
// Memory is zeroed. Allocation never fails (memory.h). Not thread-safe: one owner at a time.
#pragma once

#include "dispatcher/compiler.h"
#include "dispatcher/str.h"

struct arena;

struct arena *arena_new(void) __attribute__((returns_nonnull));
void arena_free(struct arena *arena);
void arena_freep(struct arena **arena);
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull));
void *arena_array(struct arena *arena, size_t count, size_t size) __attribute__((returns_nonnull));
char *arena_str(struct arena *arena, struct str text) __attribute__((returns_nonnull));
/// Copy of a C string; NULL stays NULL.
char *arena_dup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3)
    __attribute__((returns_nonnull));
