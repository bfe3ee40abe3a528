// What a poll remembers of the runs that somebody waits for: poll_seen.c, for poll.c.
#pragma once

#include "chores_internal.h"
#include "dispatcher/github_service.h"

// What is listed: the newest runs whatever they do, and all that have one of the states of a run
// that is not over. In the order in which a round reads them: a run that starts is found to have
// started before it is missed where it waited.
enum poll_list {
    POLL_NEWEST,
    POLL_IN_PROGRESS,
    POLL_QUEUED,
    POLL_WAITING,
    POLL_PENDING,
    POLL_REQUESTED,
    POLL_LISTS,
};
struct poll_page {
    enum poll_list list;
    unsigned number; // from 1; 0: none
};

struct seen_run {
    int64_t run_id;
    bool waiting;            // somebody waits for it (of this round)
    bool known;              // it was seen at all
    bool complete;           // when it was seen last
    struct poll_page newest; // where it was among the newest,
    struct poll_page open;   // and among those of its state
    int64_t since_ms;        // mono: since when it is waited for
    int64_t listed_ms;       // mono: when it was last known to be on a page
    unsigned misses;         // since it was listed last, its job was told so often that it is not
    int64_t missed_ms;       // mono: when that was last
    int64_t asked_ms;        // mono: when it was asked for singly; 0: never
    int64_t updated_ms;      // as GitHub said
    char status[24], conclusion[24];
};
struct seen_runs {
    struct seen_run *items; // sorted by run_id
    size_t count;
};
void poll_seen_done(struct seen_runs *seen);
/// From now on exactly these are waited for; what is known of them stays.
void poll_seen_set(struct seen_runs *seen, const int64_t *run_ids, size_t count, int64_t now_ms);
struct seen_run *poll_seen_find(struct seen_runs *seen, int64_t run_id);
/// Takes what GitHub says of a run; true: it moved, and its job is to be told.
bool poll_seen_take(struct seen_run *seen, const struct github_run *run);
/// It is on that page.
void poll_seen_put(struct seen_run *seen, struct poll_page page, int64_t now_ms);
/// The page was read anew (its runs follow), or is as it was.
void poll_seen_page(struct seen_runs *seen, struct poll_page page, bool changed, int64_t now_ms);
/// The run that is on no page and was asked for longest ago, before `before_ms`; NULL: none.
struct seen_run *poll_seen_lost(struct seen_runs *seen, int64_t unlisted_ms, int64_t before_ms);

// --- poll_pages.c: one round of one repository's lists -------------------------------------------

enum { POLL_PAGES = GITHUB_FILTERED_PAGES };

// What is known of a page while it answers "as it was".
struct known_page {
    bool more;
    size_t count;
    int64_t newest_ms, oldest_ms; // created; 0 and INT64_MAX: none on it
    int64_t first_id, last_id;    // the newest and the oldest on it; 0: none
};

// All lists of open runs, read page by page, as far as each round's budget goes.
struct poll_sweep {
    bool runs;
    struct poll_page next;
    int64_t began_ms; // mono
    int64_t floor_id; // older runs may be on a list and not be shown: it ended at 1,000
};

struct poll_lists {
    struct seen_runs seen;
    struct known_page pages[POLL_LISTS][POLL_PAGES + 1]; // from 1
    struct poll_sweep sweep;
    int64_t swept_ms;  // mono: when the last whole sweep began
    int64_t newest_ms; // created: the newest run of the last round
};

// One round of one repository.
struct poll_round {
    struct poll_lists *lists;
    struct github_client *client;
    struct arena *arena;
    int64_t oldest_ms; // wall: older runs are nobody's
    int64_t counted;   // by the client before the round
    int64_t now_ms;    // mono
    void (*tell)(void *ctx, int64_t run_id);
    void *ctx;
};

/// Within the budget of a round: at most six requests that count.
NODISCARD struct error *poll_pages_read(const struct poll_round *round);
