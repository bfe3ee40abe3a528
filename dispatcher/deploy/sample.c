// A made-up deployment for `notify --test`: everything that a report may show is there once. None
// of it is true, and it says so.
#include "dispatcher/memory.h"
#include "notice_internal.h"

static const char sha[] = "8f14e45fceea167a5a36dedd4bea2543b1a4d3c1";

static void
add_service(struct deployment *d, struct arena *arena)
{
    struct deployment_service *service = arena_array(arena, 1, sizeof(*service));
    *service = (struct deployment_service){.name = "web",
        .digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        .previous = "1a79a4d60de6718e8e5b326e338ae533f9f1d3a5",
        .previous_version = 41,
        .written_version = 42};
    d->services = (struct object_list){service, 1};
}

static void
add_commits(struct deployment *d, struct arena *arena)
{
    struct deployment_commit *commits = arena_array(arena, 2, sizeof(*commits));
    commits[0] = (struct deployment_commit){.sha = sha,
        .author = "Ada Lovelace",
        .email = "ada@example.org",
        .subject = "Round totals half to even (#128)",
        .pull = 128,
        .time_ms = d->created_ms};
    commits[1] = (struct deployment_commit){.sha = "45c48cce2e2d7fbdea1afc51c7c6ad26a8b5d0aa",
        .author = "Grace Hopper",
        .email = "grace@example.org",
        .subject = "Keep carts for a week (#127)",
        .pull = 127,
        .time_ms = d->created_ms};
    d->commits = (struct object_list){commits, 2};
    d->commits_complete = true;
}

static void
add_failure(struct deployment *d, struct arena *arena)
{
    static const char *const annotations[] = {"Process completed with exit code 1."};
    const char **items = arena_array(arena, 1, sizeof(*items));
    items[0] = annotations[0];
    d->failure = (struct deployment_failure){.job = "deploy",
        .job_url = d->run_url,
        .step = "Roll out",
        .annotations = {items, 1},
        .log_tail = "waiting for service shop to become stable\n"
                    "task 4f3c9a12 stopped: Essential container in task exited (exit code 1)\n"
                    "web | could not connect to server: Connection refused\n"};
}

void
sample_fill(struct deployment *d, enum report_outcome outcome, struct arena *arena)
{
    d->sha = d->version = sha;
    d->branch = "main";
    d->run_id = 4242;
    d->run_url = arena_printf(arena, "%s/%s/actions/runs/4242", d->github_web,
        d->workflow_repo != NULL ? d->workflow_repo : "example/infra");
    d->proof = "made up by 'dispatcher notify --test'";
    d->message =
        arena_printf(arena, "'%s' %.12s in '%s': %s (made up by 'dispatcher notify --test')",
            d->app, sha, d->env, report_outcome_text(outcome));
    d->hint = arena_printf(arena, "'dispatcher resume %s' looks again.", d->id);
    d->finished_ms = d->result != NULL ? d->created_ms + 252 * 1000 : 0;
    add_service(d, arena);
    add_commits(d, arena);
    if (report_outcome_is_bad(outcome)) {
        add_failure(d, arena);
    }
}
