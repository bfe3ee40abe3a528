// `spec pin`: which numbers GitHub has for an app's repository. Reads specs and GitHub; writing the
// file is the command's.
#include "deploy_internal.h"
#include "dispatcher/memory.h"

enum { SPEC_MAX = 64 * 1024 };

static struct error *
ask_github(struct deploy_context *context, const struct setting_github *github,
    const char *repository, struct arena *arena, struct github_repository **out)
{
    struct github_client *client CLEANUP(github_client_freep) = NULL;
    TRY(provider_repository(context, github, repository, &client));
    TRY(github_repository_read(client, arena, out));
    if (*out == NULL) {
        return error_hint(error_new(ERROR_REFUSED, "GitHub shows no repository '%s'", repository),
            "Check 'repo' of the spec, and that the credentials may read it.");
    }
    return NULL;
}

struct error *
deploy_pin(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct deploy_pin **out)
{
    struct spec_files *files = NULL;
    struct setting_github github = {0};
    struct github_repository *repository = NULL;
    const char *specs =
        request->specs != NULL ? request->specs : env_get(context->platform, "DISPATCHER_SPECS");
    if (specs != NULL && git_location_is(specs)) {
        return error_hint(error_new(ERROR_USAGE, "specs of a git URL cannot be changed from here"),
            "Give --specs DIR: a checkout.");
    }
    TRY(specs_load(context, request, arena, diagnostics, &files));
    config_github(&files->config, arena, diagnostics, &github);
    TRY(diagnostics_error(diagnostics));
    struct deploy_pin *pin = arena_alloc(arena, sizeof(*pin));
    pin->path = files->app.path;
    pin->repository = spec_repository(&files->app, arena);
    if (pin->repository == NULL) {
        return error_hint(error_new(ERROR_SPEC, "'%s' does not say its 'repo'", files->app.path),
            "Add 'repo: owner/repository'.");
    }
    TRY(ask_github(context, &github, pin->repository, arena, &repository));
    struct buf text CLEANUP(buf_done) = BUF_INIT(SPEC_MAX);
    TRY(spec_pin(&files->app, repository->id, repository->owner_id, &text));
    spec_pinned(&files->app, arena, &pin->old_repository_id, &pin->old_owner_id);
    pin->name = repository->name;
    pin->repository_id = repository->id;
    pin->owner_id = repository->owner_id;
    pin->before = files->app.text;
    pin->after = (struct str){arena_str(arena, buf_str(&text)), text.len};
    *out = pin;
    return NULL;
}
