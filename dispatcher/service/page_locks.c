// `/locks`: those that hold or will, those that were lifted, and what a new one may be about.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "page_internal.h"

enum { PAST_SHOWN = 30 };

static int
compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Each program once.
static void
read_programs(const struct page *page, struct str_list *out)
{
    const struct str_list *apps = spec_set_apps(page->set);
    const struct str_list *environments = spec_set_environments(page->set);
    *out = (struct str_list){
        arena_array(page->request->arena, apps->count + 1, sizeof(*out->items)), 0};
    for (size_t i = 0; i < apps->count; i++) {
        const struct settings *settings = NULL;
        for (size_t e = 0; e < environments->count && settings == NULL; e++) {
            settings = page_settings(page, apps->items[i], environments->items[e]);
        }
        if (settings != NULL && settings->program != NULL) {
            out->items[out->count++] = settings->program;
        }
    }
    if (out->count > 1) {
        qsort(out->items, out->count, sizeof(*out->items), compare);
    }
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (kept == 0 || strcmp(out->items[kept - 1], out->items[i]) != 0) {
            out->items[kept++] = out->items[i];
        }
    }
    out->count = kept;
}

static struct error *
read_locks(struct page *page, struct web_locks *out)
{
    struct request *request = page->request;
    struct queue_lock *locks = NULL;
    size_t count = 0;
    TRY(queue_locks(request->store, true, request->wall_ms, request->arena, &locks, &count));
    struct web_lock *holding = arena_array(request->arena, count + 1, sizeof(*holding));
    struct web_lock *past = arena_array(request->arena, PAST_SHOWN, sizeof(*past));
    for (size_t i = 0; i < count; i++) {
        bool over = locks[i].released_ms > 0 ||
                    (locks[i].expires_ms > 0 && locks[i].expires_ms <= request->wall_ms);
        if (!over) {
            holding[out->count++] = page_lock(request, &locks[i]);
        } else if (out->past_count < PAST_SHOWN) {
            past[out->past_count++] = page_lock(request, &locks[i]);
        }
    }
    out->locks = holding;
    out->past = past;
    return NULL;
}

struct error *
page_locks(struct request *request, struct response *response)
{
    static const struct str_list none = {0};
    struct page page = {0};
    struct str_list programs = {0};
    struct buf html CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    TRY(page_begin(request, "Locks", &page));
    struct web_locks shown = {.apps = &none,
        .environments = &none,
        .programs = &programs,
        .app = request_query(request, "app"),
        .env = request_query(request, "env"),
        .add = {.possible = true}};
    struct error *err = read_locks(&page, &shown);
    if (err == NULL) {
        if (page.set != NULL) {
            read_programs(&page, &programs);
            shown.apps = spec_set_apps(page.set);
            shown.environments = spec_set_environments(page.set);
        }
        page.frame.banner_count = 0; // they stand in the list
        web_locks_page(&page.frame, &shown, &html);
        page_send(request, response, &page, &html);
    }
    page_done(&page);
    return err;
}
