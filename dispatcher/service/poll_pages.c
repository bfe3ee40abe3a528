// What a poll reads of an infra repository's runs: the newest, and, where these do not reach back
// to the oldest that is waited for, the lists of all runs that are not over. A list by state has as
// many pages as there are open runs, however many have ended among them, and it is by their absence
// that those that ended are found. What is missing is a hint like any other: lists are indexes, and
// late.
#include "poll_internal.h"

enum {
    BUDGET = 6,                      // counted requests of a round
    NEWEST_PAGES = 3,                // of these, at most
    SINGLES_MAX = 2,                 // runs of a round that are asked for by themselves
    UNLISTED_MS = 2 * 60 * 1000,     // on no page for so long
    SINGLE_AGAIN_MS = 5 * 60 * 1000, // and then no more often than that
    OVERLAP_MS = 10 * 1000,          // a run may be listed later than its time says
    MISSED_AGAIN_MS = 2 * 60 * 1000, // doubled each time: its job looked, and nothing came of it
    DOUBLINGS_MAX = 4,
};

static const char *const states[POLL_LISTS] = {
    [POLL_IN_PROGRESS] = "in_progress",
    [POLL_QUEUED] = "queued",
    [POLL_WAITING] = "waiting",
    [POLL_PENDING] = "pending",
    [POLL_REQUESTED] = "requested",
};

static bool
has_budget(const struct poll_round *round, int reserve)
{
    return github_client_counters(round->client).counted - round->counted < BUDGET - reserve;
}

static void
tell(const struct poll_round *round, const struct seen_run *seen)
{
    round->tell(round->ctx, seen->run_id);
}

static struct known_page *
known_of(const struct poll_round *round, struct poll_page page)
{
    return &round->lists->pages[page.list][page.number];
}

static void
take_page(const struct poll_round *round, struct poll_page at, const struct github_runs_page *page)
{
    struct known_page *known = known_of(round, at);
    *known = (struct known_page){.more = page->more, .count = page->count, .oldest_ms = INT64_MAX};
    for (size_t i = 0; i < page->count; i++) {
        const struct github_run *run = &page->runs[i];
        struct seen_run *seen = poll_seen_find(&round->lists->seen, run->id);
        known->newest_ms = run->created_ms > known->newest_ms ? run->created_ms : known->newest_ms;
        known->oldest_ms = run->created_ms < known->oldest_ms ? run->created_ms : known->oldest_ms;
        known->first_id = run->id > known->first_id ? run->id : known->first_id;
        known->last_id = known->last_id == 0 || run->id < known->last_id ? run->id : known->last_id;
        if (seen == NULL) {
            continue;
        }
        poll_seen_put(seen, at, round->now_ms);
        if (poll_seen_take(seen, run)) {
            tell(round, seen);
        }
    }
}

static struct error *
read_page(const struct poll_round *round, struct poll_page at, bool *changed)
{
    struct github_runs_page page = {0};
    TRY(github_runs_page(round->client, states[at.list], at.number, round->arena, &page, changed));
    poll_seen_page(&round->lists->seen, at, *changed, round->now_ms);
    if (*changed) {
        take_page(round, at, &page);
    }
    return NULL;
}

// --- the newest ----------------------------------------------------------------------------------

// Back to what the last round has seen, in which a run cannot begin and end between two sweeps
// unseen. `*all`: they reach back to the oldest that is waited for, and nothing else is needed.
static struct error *
read_newest(const struct poll_round *round, bool *all)
{
    int64_t before_ms = round->lists->newest_ms - OVERLAP_MS;
    struct poll_page at = {POLL_NEWEST, 1};
    for (;; at.number++) {
        bool changed = false;
        TRY(read_page(round, at, &changed));
        const struct known_page *known = known_of(round, at);
        *all = !known->more || known->oldest_ms < round->oldest_ms;
        if (*all || known->oldest_ms < before_ms || at.number == NEWEST_PAGES ||
            !has_budget(round, 0)) {
            return NULL;
        }
    }
}

// --- those that are not over ---------------------------------------------------------------------

// Filtered lists end at 1,000: what is older may be on the list, and is not shown.
static bool
is_cut_off(const struct known_page *known, unsigned number)
{
    return number == POLL_PAGES && known->count >= GITHUB_RUNS_PER_PAGE;
}

static bool
is_last(const struct known_page *known, unsigned number)
{
    return !known->more || number == POLL_PAGES;
}

// A list can be read while runs move in it, so a run may be missed that is there: it is told again
// when it stays away, less and less often.
static void
miss(const struct poll_round *round, struct seen_run *seen)
{
    unsigned doublings = seen->misses < DOUBLINGS_MAX ? seen->misses : DOUBLINGS_MAX;
    int64_t again_ms = seen->misses == 0 ? 0 : (int64_t)MISSED_AGAIN_MS << (doublings - 1);
    if (seen->complete || round->now_ms - seen->missed_ms < again_ms) {
        return;
    }
    seen->misses++;
    seen->missed_ms = round->now_ms;
    tell(round, seen);
}

// Runs of this list that stood where the page is now, between its neighbours, and do not any more.
// `below_id` is the last one of the page before it, when that was read just now.
static void
tell_of_the_missing(const struct poll_round *round, struct poll_page at, int64_t below_id)
{
    const struct known_page *known = known_of(round, at);
    bool is_end = is_last(known, at.number) && !is_cut_off(known, at.number);
    int64_t above_id = is_end ? 0 : known->last_id;
    int64_t until_id = at.number == 1 ? INT64_MAX : below_id != 0 ? below_id : known->first_id;
    for (size_t i = 0; i < round->lists->seen.count; i++) {
        struct seen_run *seen = &round->lists->seen.items[i];
        bool here = seen->run_id > above_id && seen->run_id < until_id;
        bool listed = seen->open.list == at.list && seen->open.number == at.number;
        if (here && !listed && cstr_equal(seen->status, states[at.list])) {
            miss(round, seen);
        }
    }
}

// In none of the lists from beginning to end: it is over, deleted, or in a state of its own.
static void
end_sweep(const struct poll_round *round)
{
    struct poll_lists *lists = round->lists;
    struct poll_sweep *sweep = &lists->sweep;
    for (size_t i = 0; i < lists->seen.count; i++) {
        struct seen_run *seen = &lists->seen.items[i];
        bool listed = seen->listed_ms >= sweep->began_ms || seen->since_ms >= sweep->began_ms;
        if (!listed && seen->run_id > sweep->floor_id) {
            miss(round, seen);
        }
    }
    lists->swept_ms = sweep->began_ms;
    sweep->runs = false;
}

static void
begin_sweep(const struct poll_round *round)
{
    round->lists->sweep =
        (struct poll_sweep){.runs = true, .next = {POLL_IN_PROGRESS, 1}, .began_ms = round->now_ms};
}

// Reads the next page; true in `*ended` when that was the last one of all.
static struct error *
sweep_on(const struct poll_round *round, int64_t *below_id, bool *ended)
{
    struct poll_sweep *sweep = &round->lists->sweep;
    struct poll_page at = sweep->next;
    bool changed = false;
    TRY(read_page(round, at, &changed));
    if (changed) {
        tell_of_the_missing(round, at, *below_id);
    }
    const struct known_page *known = known_of(round, at);
    *below_id = known->last_id;
    sweep->next.number++;
    if (is_cut_off(known, at.number) && known->last_id > sweep->floor_id) {
        sweep->floor_id = known->last_id;
    }
    if (is_last(known, at.number)) {
        sweep->next = (struct poll_page){at.list + 1, 1};
        *below_id = 0;
    }
    *ended = sweep->next.list == POLL_LISTS;
    return NULL;
}

// --- one by one ----------------------------------------------------------------------------------

// One that no page shows: deleted, or older than what is listed.
static struct error *
ask_singly(const struct poll_round *round, struct seen_run *seen)
{
    struct github_run *run = NULL;
    bool changed = false;
    seen->asked_ms = round->now_ms;
    TRY(github_run_get(round->client, seen->run_id, round->arena, &run, &changed));
    if (changed && run == NULL) { // gone: its job is to find that out
        tell(round, seen);
    } else if (changed && poll_seen_take(seen, run)) {
        tell(round, seen);
    }
    return NULL;
}

static struct seen_run *
find_lost(const struct poll_round *round)
{
    int64_t before_ms = round->now_ms - UNLISTED_MS, swept_ms = round->lists->swept_ms;
    before_ms = swept_ms < before_ms ? swept_ms : before_ms;
    return poll_seen_lost(&round->lists->seen, before_ms, round->now_ms - SINGLE_AGAIN_MS);
}

static struct error *
read_singles(const struct poll_round *round)
{
    for (int i = 0; i < SINGLES_MAX && has_budget(round, 0); i++) {
        struct seen_run *lost = find_lost(round);
        if (lost == NULL) {
            return NULL;
        }
        TRY(ask_singly(round, lost));
    }
    return NULL;
}

// --- a round -------------------------------------------------------------------------------------

// On from where the last round's budget ended; each page once a round. What is left over is for
// runs that no list shows.
static struct error *
read_open(const struct poll_round *round)
{
    struct poll_sweep *sweep = &round->lists->sweep;
    int64_t below_id = 0;
    int reserve = find_lost(round) != NULL ? SINGLES_MAX : 0;
    while (has_budget(round, reserve)) {
        bool ended = false;
        if (!sweep->runs) {
            begin_sweep(round);
        }
        TRY(sweep_on(round, &below_id, &ended));
        if (ended) {
            bool whole = sweep->began_ms == round->now_ms;
            end_sweep(round);
            if (whole) {
                return NULL;
            }
        }
    }
    return NULL;
}

struct error *
poll_pages_read(const struct poll_round *round)
{
    struct poll_lists *lists = round->lists;
    bool all = false;
    TRY(read_newest(round, &all));
    lists->newest_ms = lists->pages[POLL_NEWEST][1].newest_ms;
    if (all) { // a sweep that was under way is of yesterday's world
        lists->sweep.runs = false;
        lists->swept_ms = round->now_ms;
    } else {
        TRY(read_open(round));
    }
    return read_singles(round);
}
