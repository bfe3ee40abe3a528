// Webhooks out: pushes that happen by git itself. Looks at the trunk of each repository of this
// machine now and then; a repository whose trunk it cannot tell is not watched.
#include "github_hooks_internal.h"

void
sandbox_webhook_watch(struct sandbox *sandbox)
{
    struct github_state *github = sandbox->github;
    struct json *tips = github->hooks->tips;
    for (size_t i = 0; i < github->repo_count; i++) {
        struct github_repo *repo = github->repos[i];
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const char *tip = repo->is_git ? sandbox_source_tip(repo, arena) : NULL;
        const char *known = arena_dup(arena, json_str(json_get(tips, repo->full)));
        if (tip == NULL || cstr_equal(tip, known)) {
            continue;
        }
        json_set_str(tips, repo->full, tip);
        const struct hook_push push = {.repo = repo,
            .ref = arena_printf(arena, "refs/heads/%s", sandbox_source_default_branch(repo, arena)),
            .before = known,
            .after = tip,
            .login = sandbox_github_user_login};
        if (known != NULL) { // else it is seen for the first time
            sandbox_webhook_push(sandbox, &push);
        }
    }
}
