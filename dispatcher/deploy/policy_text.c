// Words for people in the policy's answers: foreign text made fit for a sentence, lists, times.
// Decides nothing.
#include "policy_internal.h"

#include <string.h>

#include "dispatcher/clock.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum { WORDS_MAX = 10 };

const char *
policy_word(struct arena *arena, const char *text, size_t max)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(4096);
    text_clean(str_of(text), max, &clean);
    return arena_dup(arena, buf_cstr(&clean));
}

const char *
policy_words(struct arena *arena, const struct str_list *list, const char *last)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    size_t shown = list->count < WORDS_MAX ? list->count : WORDS_MAX;
    for (size_t i = 0; i < shown; i++) {
        const char *separator = i == 0 ? "" : i + 1 == list->count ? last : ", ";
        buf_printf(&text, "%s'%s'", separator, policy_word(arena, list->items[i], POLICY_WORD_MAX));
    }
    if (list->count > shown) {
        buf_printf(&text, " and %zu more", list->count - shown);
    }
    return list->count > 0 ? arena_dup(arena, buf_cstr(&text)) : "none";
}

static const char *
time_after(struct arena *arena, const char *word, int64_t ms)
{
    char text[21] = {0};
    if (ms <= 0) {
        return "";
    }
    clock_format_rfc3339(ms, text);
    return arena_printf(arena, " %s %s", word, text);
}

const char *
policy_until(struct arena *arena, int64_t ms)
{
    return time_after(arena, "until", ms);
}

const char *
policy_at(struct arena *arena, int64_t ms)
{
    return time_after(arena, "at", ms);
}

void
policy_add(struct arena *arena, struct str_list *list, size_t *room, const char *text)
{
    if (list->count == *room) {
        size_t larger = *room == 0 ? 8 : 2 * *room;
        const char **items = arena_array(arena, larger, sizeof(*items));
        if (list->count > 0) {
            memcpy(items, list->items, list->count * sizeof(*items));
        }
        list->items = items;
        *room = larger;
    }
    list->items[list->count++] = text;
}

bool
policy_same_name(const char *a, const char *b)
{
    return a != NULL && b != NULL && a[0] != '\0' && str_equal_nocase(str_of(a), str_of(b));
}

bool
policy_share(const struct str_list *a, const struct str_list *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count; j++) {
            if (policy_same_name(a->items[i], b->items[j])) {
                return true;
            }
        }
    }
    return false;
}
