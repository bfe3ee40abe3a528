// The memory of a poll: which runs are waited for, and how GitHub last said that each stands. Pure
// but for the clock that it is told.
#include "poll_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

void
poll_seen_done(struct seen_runs *seen)
{
    free(seen->items);
    *seen = (struct seen_runs){0};
}

static int
compare_runs(const void *a, const void *b)
{
    int64_t left = ((const struct seen_run *)a)->run_id;
    int64_t right = ((const struct seen_run *)b)->run_id;
    return left < right ? -1 : left > right ? 1 : 0;
}

struct seen_run *
poll_seen_find(struct seen_runs *seen, int64_t run_id)
{
    const struct seen_run key = {.run_id = run_id};
    return seen->count == 0 ? NULL
                            : bsearch(&key, seen->items, seen->count, sizeof(key), compare_runs);
}

void
poll_seen_set(struct seen_runs *seen, const int64_t *run_ids, size_t count, int64_t now_ms)
{
    struct seen_runs next = {xcalloc(count + 1, sizeof(*next.items)), 0};
    for (size_t i = 0; i < count; i++) {
        const struct seen_run *old = poll_seen_find(seen, run_ids[i]);
        struct seen_run *one = &next.items[next.count++];
        *one = old != NULL ? *old
                           : (struct seen_run){
                                 .run_id = run_ids[i], .since_ms = now_ms, .listed_ms = now_ms};
        one->waiting = true;
    }
    qsort(next.items, next.count, sizeof(*next.items), compare_runs);
    poll_seen_done(seen);
    *seen = next;
}

static bool
copy_word(char out[24], const char *word)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%s", word != NULL ? word : "");
    bool other = strcmp(text, out) != 0;
    memcpy(out, text, sizeof(text));
    return other;
}

// At first sight only one that is over is news: its job looked at it when it began.
bool
poll_seen_take(struct seen_run *seen, const struct github_run *run)
{
    bool first = !seen->known, moved = run->updated_ms != seen->updated_ms;
    moved = copy_word(seen->status, run->status) || moved;
    moved = copy_word(seen->conclusion, run->conclusion) || moved;
    seen->known = true;
    seen->complete = github_run_is_complete(run);
    seen->updated_ms = run->updated_ms;
    return moved && !first;
}

static struct poll_page *
place_of(struct seen_run *seen, enum poll_list list)
{
    return list == POLL_NEWEST ? &seen->newest : &seen->open;
}

void
poll_seen_put(struct seen_run *seen, struct poll_page page, int64_t now_ms)
{
    *place_of(seen, page.list) = page;
    seen->listed_ms = now_ms;
    seen->misses = 0;
}

void
poll_seen_page(struct seen_runs *seen, struct poll_page page, bool changed, int64_t now_ms)
{
    for (size_t i = 0; i < seen->count; i++) {
        struct seen_run *one = &seen->items[i];
        struct poll_page *place = place_of(one, page.list);
        if (place->list != page.list || place->number != page.number) {
            continue;
        }
        if (changed) {
            *place = (struct poll_page){0};
        } else {
            one->listed_ms = now_ms;
        }
    }
}

struct seen_run *
poll_seen_lost(struct seen_runs *seen, int64_t unlisted_ms, int64_t before_ms)
{
    struct seen_run *found = NULL;
    for (size_t i = 0; i < seen->count; i++) {
        struct seen_run *one = &seen->items[i];
        bool lost = one->listed_ms < unlisted_ms && one->asked_ms < before_ms && !one->complete;
        if (lost && (found == NULL || one->asked_ms < found->asked_ms)) {
            found = one;
        }
    }
    return found;
}
