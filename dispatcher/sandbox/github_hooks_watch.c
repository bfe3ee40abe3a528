// Webhooks out: pushes that happen by git itself. Looks at a few small files of each repository of
// this machine; a repository whose refs it cannot read that way is not watched.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "github_hooks_internal.h"

enum { REF_MAX = 4096, PACKED_MAX = 4 * 1024 * 1024 };

static bool
is_sha(struct str text)
{
    return text.len == 40;
}

// "<sha> refs/heads/main" among many.
static const char *
packed_ref(const char *directory, const char *ref, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(PACKED_MAX);
    struct str line = {0}, sha = {0}, name = {0}, rest = {0};
    bool found = false;
    const char *path = arena_printf(arena, "%s/packed-refs", directory);
    struct error *err CLEANUP(error_freep) = file_read(path, &text, &found);
    rest = err == NULL && found ? buf_str(&text) : (struct str){0};
    while (str_cut(rest, '\n', &line, &rest)) {
        if (str_cut(line, ' ', &sha, &name) && str_equal(name, str_of(ref)) && is_sha(sha)) {
            return arena_str(arena, sha);
        }
    }
    return NULL;
}

const char *
sandbox_source_tip(const struct github_repo *repo, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(REF_MAX);
    bool found = false;
    const char *inner = arena_printf(arena, "%s/.git", repo->path);
    const char *directory = file_exists(inner) ? inner : repo->path;
    const char *ref =
        arena_printf(arena, "refs/heads/%s", sandbox_source_default_branch(repo, arena));
    const char *path = arena_printf(arena, "%s/%s", directory, ref);
    struct error *err CLEANUP(error_freep) = file_read(path, &text, &found);
    struct str sha = str_trim(buf_str(&text));
    return err == NULL && found && is_sha(sha) ? arena_str(arena, sha)
                                               : packed_ref(directory, ref, arena);
}

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
