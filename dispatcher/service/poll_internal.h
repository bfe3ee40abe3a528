// What a poll remembers of the runs that somebody waits for: poll_seen.c, for poll.c.
#pragma once

#include "chores_internal.h"
#include "dispatcher/github_service.h"

struct seen_run {
    int64_t run_id;
    bool waiting;       // somebody waits for it (of this round)
    bool known;         // it was seen at all
    bool complete;      // when it was seen last
    unsigned page;      // that it was on; 0: none
    int64_t listed_ms;  // mono: when it was last known to be on a page
    int64_t asked_ms;   // mono: when it was asked for singly; 0: never
    int64_t updated_ms; // as GitHub said
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
/// The page was read anew (its runs follow), or is as it was.
void poll_seen_page(struct seen_runs *seen, unsigned page, bool changed, int64_t now_ms);
/// The run that is on no page and was asked for longest ago, before `before_ms`; NULL: none.
struct seen_run *poll_seen_lost(struct seen_runs *seen, int64_t unlisted_ms, int64_t before_ms);
