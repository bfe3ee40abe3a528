// GitHub as a service sees it, beside single deployments: pages of runs for a poll that many share,
// and the App's webhook deliveries. The client is one of github.h; its rules hold.
#pragma once

#include "dispatcher/github.h"

enum { GITHUB_RUNS_PER_PAGE = 100 };
enum { GITHUB_FILTERED_PAGES = 10 }; // a filtered list ends at 1,000 results

// One page of the repository's workflow_dispatch runs, newest first.
struct github_runs_page {
    struct github_run *runs;
    size_t count;
    bool more; // another page follows
};
/// Conditional like github_run_get: *changed false (and *out untouched) on 304, which costs no
/// quota. `page` from 1. Runs that come meanwhile push others to the next page. `status` is one
/// that all of them have ("in_progress"), or NULL.
NODISCARD struct error *github_runs_page(struct github_client *client, const char *status,
    unsigned page, struct arena *arena, struct github_runs_page *out, bool *changed);

// One attempt to deliver an event to the App's webhook.
struct github_delivery {
    int64_t id;       // of the attempt
    const char *guid; // of the event: the same for all its attempts
    const char *event;
    int64_t at_ms;
    bool redelivery; // somebody asked for it
    bool ok;         // our server took it
};
struct github_deliveries {
    struct github_delivery *items; // newest first
    size_t count;
    const char *next; // cursor of the older ones; NULL: there are none
};
/// As the App (its JWT); ERROR_CREDENTIALS with a plain token. `cursor` NULL: from the newest.
NODISCARD struct error *github_hook_deliveries(struct github_client *client, const char *cursor,
    struct arena *arena, struct github_deliveries *out);
/// Has GitHub deliver it once more. *gone: it is too old for that, or was dropped.
NODISCARD struct error *github_hook_redeliver(
    struct github_client *client, int64_t delivery, bool *gone);
