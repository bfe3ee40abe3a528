// A chain of zeroed blocks, released together. Never gives a part back earlier.
#include "dispatcher/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum { BLOCK_SIZE = 8192 };

struct block {
    struct block *next;
    size_t used, size;
    alignas(max_align_t) char bytes[];
};

struct arena {
    struct block *blocks;
};

struct arena *
arena_new(void)
{
    return xcalloc(1, sizeof(struct arena));
}

void
arena_free(struct arena *arena)
{
    if (arena == NULL) {
        return;
    }
    for (struct block *block = arena->blocks; block != NULL;) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    free(arena);
}

void
arena_freep(struct arena **arena)
{
    arena_free(*arena);
    *arena = NULL;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
    size_t align = alignof(max_align_t);
    BUG_ON(size > SIZE_MAX / 2);
    size = (size + align - 1) / align * align;
    struct block *block = arena->blocks;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        struct block *fresh = xcalloc(1, sizeof(*fresh) + room);
        fresh->size = room;
        // A large single piece goes behind the current block, whose rest stays usable.
        if (block != NULL && size > BLOCK_SIZE) {
            fresh->next = block->next;
            block->next = fresh;
        } else {
            fresh->next = block;
            arena->blocks = fresh;
        }
        block = fresh;
    }
    void *piece = block->bytes + block->used;
    block->used += size;
    return piece;
}

void *
arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t total = 0;
    BUG_ON(__builtin_mul_overflow(count, size, &total));
    return arena_alloc(arena, total > 0 ? total : 1);
}

char *
arena_str(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.len + 1);
    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    return copy;
}

char *
arena_dup(struct arena *arena, const char *text)
{
    return text != NULL ? arena_str(arena, str_of(text)) : NULL;
}

char *
arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    BUG_ON(len < 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    va_start(args, format);
    (void)vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}
