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

// *out NULL: *why says what GitHub said instead.
static struct error *
compare(struct deploy_context *context, const struct deployment *d, const char *base,
    const char *head, struct arena *arena, struct github_comparison **out, const char **why,
    size_t commits)
{
    struct github_client *github = NULL;
    *out = NULL;
    if (d->repository == NULL || !repository_name_is_valid(str_of(d->repository))) {
        *why = "the spec and the request name no repository of the app";
        return NULL;
    }
    struct error *err = provider_history(context, d, d->repository, &github);
    if (err == NULL) {
        err = github_compare(github, base, head, commits, arena, out);
    }
    if (err != NULL && is_no_answer(err)) {
        char *text CLEANUP(xfreep) = error_text(err);
        *why = context_clean(arena, text, WHY_MAX);
        error_free(err);
        return NULL;
    }
    if (err == NULL && *out == NULL) {
        *why = arena_printf(
            arena, "GitHub shows not both of '%s' and '%s' in '%s'", base, head, d->repository);
    }
    return err;
}

struct error *
deploy_ancestry(struct deploy_context *context, const struct deploy_request *request,
    const char *repository, const char *base, const char *head, struct arena *arena,
    enum deploy_ancestry *out, const char **why)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct preparation p = {0};
    struct github_comparison *seen = NULL;
    *why = NULL;
    *out = strcmp(base, head) == 0 ? DEPLOY_ANCESTRY_SAME : DEPLOY_ANCESTRY_UNKNOWN;
    if (*out == DEPLOY_ANCESTRY_SAME) {
        return NULL;
    }
    TRY(prepare_settings(context, request, arena, diagnostics, &p));
    p.deployment->repository = repository != NULL ? repository : p.deployment->repository;
    TRY(compare(context, p.deployment, base, head, arena, &seen, why, 0));
    *out = seen != NULL ? ancestry_of(seen->relation) : DEPLOY_ANCESTRY_UNKNOWN;
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
    struct github_comparison *seen = NULL;
    const char *deployed = find_deployed(d), *why = NULL;
    const char *ours = d->sha != NULL ? d->sha : d->version;
    if (deployed == NULL || !tag_is_valid(str_of(deployed))) {
        return NULL;
    }
    TRY(compare(context, d, deployed, ours, p->arena, &seen, &why, COMMITS_MAX));
    if (seen != NULL) {
        keep_commits(p, seen);
    } else {
        deployment_note(d, p->arena, arena_printf(p->arena, "what is new is not known: %s", why));
    }
    return NULL;
}
