// Finds dispatcher.yaml and the app's spec (spec-format.md "Finding the files"): in directories or
// in a git repository at a ref. What they say is spec/'s business.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/yaml.h"

enum { SPEC_MAX = 64 * 1024 };

// Where the two documents are to be read.
struct place {
    struct git_files *files; // NULL: the file system
    const char *config;      // path of dispatcher.yaml, NULL: none
    const char *directory;   // of app specs, NULL: what dispatcher.yaml says
};

static struct error *
read_document(const struct place *place, const char *path, struct arena *arena,
    struct spec_document *out, bool *found)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(SPEC_MAX);
    struct error *err = place->files != NULL
                            ? git_files_read(place->files, path, SPEC_MAX, &text, found)
                            : file_read(path, &text, found);
    if (err != NULL) {
        return error_wrap_as(ERROR_SPEC, err, "read spec '%s'", path);
    }
    if (*found) {
        char *copy = arena_str(arena, buf_str(&text));
        *out = (struct spec_document){arena_dup(arena, path), {copy, text.len}};
    }
    return NULL;
}

static const char *
directory_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return "";
    }
    return arena_str(arena, (struct str){path, (size_t)(slash - path)});
}

static const char *
join(struct arena *arena, const char *directory, const char *name)
{
    if (directory[0] == '\0') {
        return arena_dup(arena, name);
    }
    return arena_printf(arena, "%s/%s", directory, name);
}

static struct error *
open_git(struct deploy_context *context, const char *text, struct arena *arena, struct place *place,
    struct spec_files *files)
{
    struct git_location *location = NULL;
    struct secret *token CLEANUP(secret_freep) = NULL;
    TRY(git_location_parse(text, arena, &location));
    TRY(provider_git_token(context, location->url, &token));
    const char *cache = env_get(context->platform, "XDG_CACHE_HOME");
    const char *home = env_get(context->platform, "HOME");
    if (cache == NULL && home == NULL) {
        return error_hint(error_new(ERROR_USAGE, "no place to keep specs fetched from git"),
            "Set HOME or XDG_CACHE_HOME.");
    }
    const char *directory = arena_printf(
        arena, "%s%s/dispatcher/git", cache != NULL ? cache : home, cache != NULL ? "" : "/.cache");
    const struct git_access access = {
        .platform = context->platform,
        .token = token,
        .ca_file = context->ca_file,
        .proxy = context->proxy,
        .no_proxy = context->no_proxy,
    };
    struct error *err = git_files_open(location, directory, &access, &place->files);
    if (err != NULL) {
        return error_wrap(err, "read specs from '%s'", location->url);
    }
    place->config = join(arena, location->path, "dispatcher.yaml");
    files->commit = arena_dup(arena, git_files_commit(place->files));
    return NULL;
}

// --specs DIR without --config: DIR/../dispatcher.yaml, then DIR/dispatcher.yaml.
static const char *
config_beside(struct arena *arena, const char *directory)
{
    const char *above = join(arena, directory, "../dispatcher.yaml");
    const char *inside = join(arena, directory, "dispatcher.yaml");
    return file_exists(above) ? above : file_exists(inside) ? inside : NULL;
}

static struct error *
choose_place(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct place *place, struct spec_files *files)
{
    const char *specs =
        request->specs != NULL ? request->specs : env_get(context->platform, "DISPATCHER_SPECS");
    const char *config =
        request->config != NULL ? request->config : env_get(context->platform, "DISPATCHER_CONFIG");
    if (specs != NULL && git_location_is(specs)) {
        files->where = arena_dup(arena, specs);
        return open_git(context, specs, arena, place, files);
    }
    place->directory = arena_dup(arena, specs);
    place->config = arena_dup(arena, config);
    if (specs != NULL && config == NULL) {
        place->config = config_beside(arena, specs);
    } else if (specs == NULL && config == NULL && file_exists("dispatcher.yaml")) {
        place->config = "dispatcher.yaml";
    }
    files->where = place->config != NULL ? place->config : place->directory;
    if (files->where == NULL) {
        return error_hint(error_new(ERROR_USAGE, "no specs: there is no 'dispatcher.yaml' here"),
            "Give --specs DIR or --specs https://github.com/OWNER/INFRA.git, or set "
            "DISPATCHER_SPECS.");
    }
    return NULL;
}

static struct error *
read_both(const struct place *place, const char *app, struct arena *arena,
    struct diagnostics *diagnostics, struct spec_files *files)
{
    bool found = false;
    files->config = (struct spec_document){"dispatcher.yaml", {"", 0}};
    if (place->config != NULL) {
        TRY(read_document(place, place->config, arena, &files->config, &found));
        if (!found) {
            return error_hint(error_new(ERROR_SPEC, "'%s' does not exist", place->config),
                "It holds the organisation's defaults; see docs/spec-reference.md.");
        }
    }
    const char *directory = place->directory;
    if (directory == NULL) {
        const char *inside = NULL;
        config_specs_directory(&files->config, arena, diagnostics, &inside);
        TRY(diagnostics_error(diagnostics));
        directory = join(arena, directory_of(arena, place->config), inside);
    }
    const char *path = arena_printf(arena, "%s/%s.yaml", directory, app);
    TRY(read_document(place, path, arena, &files->app, &found));
    if (!found) {
        return error_hint(
            error_new(ERROR_SPEC, "there is no app '%s': '%s' does not exist", app, path),
            "The app's name is the file name of its spec without '.yaml'.");
    }
    return NULL;
}

struct error *
specs_load(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct spec_files **out)
{
    struct spec_files *files = arena_alloc(arena, sizeof(*files));
    struct place place = {0};
    struct error *err = choose_place(context, request, arena, &place, files);
    if (err == NULL) {
        err = read_both(&place, request->app, arena, diagnostics, files);
    }
    git_files_close(place.files);
    if (err == NULL) {
        *out = files;
    }
    return err;
}
