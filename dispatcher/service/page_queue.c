// `/queue`: what runs and what waits, lane by lane, with why and until when.
#include <string.h>

#include "dispatcher/memory.h"
#include "page_internal.h"

enum { JOBS_MAX = 1000, LANES_MAX = 200, ITEMS_MAX = 50 };

struct lanes {
    struct page *page;
    struct web_lane *lanes;
    struct web_waiting **items; // of each lane
    size_t count;
    int64_t left_out;
};

static struct web_lane *
lane_of(struct lanes *all, const struct queue_job *job)
{
    for (size_t i = 0; i < all->count; i++) {
        if (strcmp(all->lanes[i].app, job->app) == 0 && strcmp(all->lanes[i].env, job->env) == 0) {
            return &all->lanes[i];
        }
    }
    if (all->count == LANES_MAX) {
        all->left_out++;
        return NULL;
    }
    struct arena *arena = all->page->request->arena;
    all->items[all->count] = arena_array(arena, ITEMS_MAX, sizeof(**all->items));
    all->lanes[all->count] =
        (struct web_lane){.app = job->app, .env = job->env, .items = all->items[all->count]};
    return &all->lanes[all->count++];
}

static int64_t
given_of(const struct view *view)
{
    int64_t given = 0;
    for (size_t i = 0; i < view->approval_count; i++) {
        given += view_counts(view, &view->approvals[i]);
    }
    return given;
}

static void
fill(struct page *page, const struct view *view, struct web_waiting *out)
{
    const struct queue_job *job = view->job;
    struct page_actions actions;
    bool running = strcmp(job->state, "running") == 0;
    page_job_actions(page, job, &actions);
    *out = (struct web_waiting){.job = job,
        .position = view->position,
        .eta_ms = running            ? view->eta_ms
                  : view->eta_ms > 0 ? view->eta_ms - view->usual_ms
                                     : 0, // it begins then
        .percent = -1,
        .approvals_needed = view->approvals_needed,
        .approvals_given = given_of(view),
        .diff = view->diff,
        .cancel = actions.cancel,
        .hurry = actions.hurry,
        .approve = actions.approve};
    if (running && view->usual_ms > 0 && job->started_ms > 0) {
        out->percent = (page->request->wall_ms - job->started_ms) * 100 / view->usual_ms;
    }
    bool held = cstr_equal(job->code, "locked") || cstr_equal(job->code, "frozen");
    bool dropped = cstr_equal(view->on_release, "will be dropped"); // also what waits behind it
    out->on_release = dropped ? "When the lock is lifted, this is dropped."
                      : held  ? "When it is lifted, this runs."
                              : NULL;
}

static struct error *
add(struct lanes *all, const struct queue_job *job)
{
    struct request *request = all->page->request;
    struct view view = {0};
    struct web_lane *lane = lane_of(all, job);
    if (lane == NULL || lane->count == ITEMS_MAX) {
        return NULL;
    }
    TRY(view_read(request->service, request->store, job, request->arena, &view));
    fill(all->page, &view, &all->items[lane - all->lanes][lane->count++]);
    lane->usual_ms = view.usual_ms;
    view_done(&view);
    return NULL;
}

static struct error *
add_all(struct lanes *all, const char *state)
{
    struct request *request = all->page->request;
    struct queue_job *jobs = NULL;
    size_t count = 0;
    const struct queue_filter filter = {.state = state, .limit = JOBS_MAX, .oldest_first = true};
    TRY(queue_list(request->store, &filter, request->arena, &jobs, &count));
    for (size_t i = 0; i < count; i++) {
        TRY(add(all, &jobs[i]));
    }
    return NULL;
}

// Those that were moved first stand first.
static void
put_urgent_first(struct lanes *all)
{
    for (size_t l = 0; l < all->count; l++) {
        struct web_waiting *items = all->items[l];
        for (size_t i = 1; i < all->lanes[l].count; i++) {
            for (size_t k = i; k > 0 && items[k].job->urgent && !items[k - 1].job->urgent &&
                               strcmp(items[k - 1].job->state, "running") != 0;
                 k--) {
                struct web_waiting moved = items[k];
                items[k] = items[k - 1];
                items[k - 1] = moved;
            }
        }
    }
}

struct error *
page_queue(struct request *request, struct response *response)
{
    struct page page = {0};
    struct buf html CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    TRY(page_begin(request, "Queue", &page));
    struct lanes all = {.page = &page,
        .lanes = arena_array(request->arena, LANES_MAX, sizeof(*all.lanes)),
        .items = arena_array(request->arena, LANES_MAX, sizeof(*all.items))};
    struct error *err = add_all(&all, "running");
    err = err == NULL ? add_all(&all, "queued") : err;
    if (err == NULL) {
        put_urgent_first(&all);
        const struct web_queue queue = {
            .lanes = all.lanes, .count = all.count, .left_out = all.left_out};
        web_queue_page(&page.frame, &queue, &html);
        page_send(request, response, &page, &html);
    }
    page_done(&page);
    return err;
}
