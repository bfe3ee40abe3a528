// How the commit of a request stands to what is deployed, and what lies between them, by GitHub's
// comparison: for a service, which has no clone. Decides nothing.
#include "dispatcher/deploy_service.h"

#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "notice_internal.h"

enum { COMMITS_MAX = 50, SUBJECT_MAX = 200, NAME_MAX_BYTES = 120, WHY_MAX = 400 };

static enum deploy_ancestry
ancestry_of(enum github_relation relation)
{
    switch (relation) {
    case GITHUB_IDENTICAL:
        return DEPLOY_ANCESTRY_SAME;
    case GITHUB_AHEAD:
        return DEPLOY_ANCESTRY_NEWER;
    case GITHUB_BEHIND:
        return DEPLOY_ANCESTRY_OLDER;
    case GITHUB_DIVERGED:
        return DEPLOY_ANCESTRY_DIVERGED;
    }
    BUG_ON(true);
}

// Says nothing about the commits: whoever asks may ask again.
static bool
is_no_answer(const struct error *err)
{
    enum error_kind kind = error_kind(err);
    return kind == ERROR_CREDENTIALS || kind == ERROR_REFUSED || kind == ERROR_UNAVAILABLE;
}

// What is asked, and what GitHub said: `seen` NULL, and why not.
struct question {
    struct deploy_range range;
    size_t commits; // at most
    struct github_comparison *seen;
    const char *why;
};

static struct error *
ask(struct deploy_context *context, const struct deployment *d, struct question *question,
    struct arena *arena)
{
    const struct deploy_range *range = &question->range;
    struct github_client *github = NULL;
    if (range->repository == NULL || !repository_name_is_valid(str_of(range->repository))) {
        question->why = "neither the spec nor the request names the app's repository";
        return NULL;
    }
    struct error *err = provider_history(context, d, range->repository, &github);
    if (err == NULL) {
        err = github_compare(
            github, range->base, range->head, question->commits, arena, &question->seen);
    }
    if (err != NULL && is_no_answer(err)) {
        char *text CLEANUP(xfreep) = error_text(err);
        question->why = context_clean(arena, text, WHY_MAX);
        error_free(err);
        return NULL;
    }
    if (err == NULL && question->seen == NULL) {
        question->why = arena_printf(arena, "GitHub shows not both of '%s' and '%s' in '%s'",
            range->base, range->head, range->repository);
    }
    return err;
}

struct error *
deploy_ancestry(struct deploy_context *context, const struct deploy_request *request,
    const struct deploy_range *range, struct arena *arena, enum deploy_ancestry *out,
    const char **why)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct preparation p = {0};
    struct question question = {.range = *range};
    *why = NULL;
    *out = strcmp(range->base, range->head) == 0 ? DEPLOY_ANCESTRY_SAME : DEPLOY_ANCESTRY_UNKNOWN;
    if (*out == DEPLOY_ANCESTRY_SAME) {
        return NULL;
    }
    TRY(prepare_settings(context, request, arena, diagnostics, &p));
    p.deployment->served = request->given != NULL;
    if (question.range.repository == NULL) {
        question.range.repository = p.deployment->repository;
    }
    TRY(ask(context, p.deployment, &question, arena));
    *why = question.why;
    *out = question.seen != NULL ? ancestry_of(question.seen->relation) : DEPLOY_ANCESTRY_UNKNOWN;
    return NULL;
}

// --- release notes -------------------------------------------------------------------------------

static void
keep_commits(const struct preparation *p, const struct github_comparison *seen)
{
    struct deployment *d = p->deployment;
    struct deployment_commit *kept = arena_array(p->arena, seen->count, sizeof(*kept));
    for (size_t i = 0; i < seen->count; i++) {
        const struct github_commit *from = &seen->commits[i];
        kept[i] =
            (struct deployment_commit){.sha = context_clean(p->arena, from->sha, NAME_MAX_BYTES),
                .author = context_clean(p->arena, from->author, NAME_MAX_BYTES),
                .subject = context_clean(p->arena, from->subject, SUBJECT_MAX),
                .email = context_clean(p->arena, from->email, NAME_MAX_BYTES),
                .pull = release_pull_of(from->subject),
                .time_ms = from->time_ms};
    }
    d->commits = (struct object_list){kept, seen->count};
    d->commits_complete = seen->complete;
}

// What the first service that moves is on.
static const char *
find_deployed(const struct deployment *d)
{
    for (size_t i = 0; i < d->services.count; i++) {
        const char *deployed = deployment_service_at(d, i)->previous;
        if (deployed != NULL && !cstr_equal(deployed, d->version)) {
            return deployed;
        }
    }
    return NULL;
}

struct error *
ancestry_commits(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    const char *deployed = find_deployed(d);
    struct question question = {
        .range = {d->repository, deployed, d->sha != NULL ? d->sha : d->version},
        .commits = COMMITS_MAX};
    if (deployed == NULL || !tag_is_valid(str_of(deployed))) {
        return NULL;
    }
    TRY(ask(context, d, &question, p->arena));
    if (question.seen != NULL) {
        keep_commits(p, question.seen);
    } else {
        deployment_note(
            d, p->arena, arena_printf(p->arena, "what is new is not known: %s", question.why));
    }
    return NULL;
}
