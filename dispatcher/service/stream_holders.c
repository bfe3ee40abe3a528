// How many event streams somebody holds open: counters by name, for the lock of stream.c.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "listen_internal.h"

enum { SLOTS = 1024 };

struct stream_holder {
    struct stream_holder *next; // in its slot
    size_t slot, count;
    char name[];
};

struct stream_holders {
    struct stream_holder *slots[SLOTS];
};

struct stream_holders *
stream_holders_new(void)
{
    return xcalloc(1, sizeof(struct stream_holders));
}

void
stream_holders_free(struct stream_holders *holders)
{
    for (size_t i = 0; holders != NULL && i < SLOTS; i++) {
        BUG_ON(holders->slots[i] != NULL); // each is given back by its stream
    }
    free(holders);
}

uint64_t
stream_hash(const char *text)
{
    uint64_t hash = 14695981039346656037U;
    for (const char *byte = text; *byte != '\0'; byte++) {
        hash = (hash ^ (unsigned char)*byte) * 1099511628211U;
    }
    return hash;
}

struct stream_holder *
stream_holders_take(struct stream_holders *holders, const char *name, size_t max)
{
    size_t slot = (size_t)(stream_hash(name) % SLOTS), len = strlen(name);
    struct stream_holder *holder = holders->slots[slot];
    while (holder != NULL && strcmp(holder->name, name) != 0) {
        holder = holder->next;
    }
    if (holder == NULL && max > 0) {
        holder = xcalloc(1, sizeof(*holder) + len + 1);
        memcpy(holder->name, name, len);
        holder->slot = slot;
        holder->next = holders->slots[slot];
        holders->slots[slot] = holder;
    }
    if (holder == NULL || holder->count >= max) {
        return NULL;
    }
    holder->count++;
    return holder;
}

void
stream_holders_give(struct stream_holders *holders, struct stream_holder *holder)
{
    if (holder == NULL || --holder->count > 0) {
        return;
    }
    struct stream_holder **at = &holders->slots[holder->slot];
    while (*at != holder) {
        at = &(*at)->next;
    }
    *at = holder->next;
    free(holder);
}
