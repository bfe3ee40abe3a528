// Reads dispatcher.yaml and every app's spec, from the infra repository's default branch by git, or
// from a directory for rehearsals. Judges nothing of what they say.
#include "specs_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/git.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/url.h"

enum {
    SPEC_MAX = 64 * 1024, // protocols.md T21
    APPS_MAX = 5000,
    COMMIT_SIZE = 40,
};

// One reading: a git tree, or the file system.
struct reading {
    struct specs_reader *reader;
    struct git_files *files; // NULL: the file system
    const char *config;      // path of dispatcher.yaml
    const char *directory;   // of app specs
    struct spec_reading *out;
};

static const char *
join(struct arena *arena, const char *directory, const char *name)
{
    return directory[0] == '\0' ? arena_dup(arena, name)
                                : arena_printf(arena, "%s/%s", directory, name);
}

static struct error *
read_text(const struct reading *reading, const char *path, struct spec_document *out, bool *found)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(SPEC_MAX);
    TRY(reading->files != NULL ? git_files_read(reading->files, path, SPEC_MAX, &text, found)
                               : file_read(path, &text, found));
    if (*found) {
        const char *copy = arena_str(reading->out->arena, buf_str(&text));
        *out = (struct spec_document){arena_dup(reading->out->arena, path), {copy, text.len}};
    }
    return NULL;
}

static struct error *
read_config(const struct reading *reading)
{
    bool found = false;
    struct error *err = read_text(reading, reading->config, &reading->out->config, &found);
    if (err == NULL && !found) {
        err = error_hint(error_new(ERROR_SPEC, "'%s' does not exist", reading->config),
            "It holds the organisation's rules; without it nobody may deploy.");
    }
    return err;
}

// --- the names of the apps -----------------------------------------------------------------------

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct error *
list_directory(const char *path, struct arena *arena, struct str_list *out)
{
    DIR *directory = opendir(path);
    if (directory == NULL && errno == ENOENT) {
        return NULL;
    }
    if (directory == NULL) {
        return error_new(ERROR_INPUT, "read directory '%s': %s", path, strerror(errno));
    }
    out->items = arena_array(arena, APPS_MAX, sizeof(*out->items));
    for (const struct dirent *entry = readdir(directory); entry != NULL && out->count < APPS_MAX;
         entry = readdir(directory)) {
        if (str_ends(str_of(entry->d_name), STR(".yaml"))) {
            out->items[out->count++] = arena_dup(arena, entry->d_name);
        }
    }
    (void)closedir(directory);
    if (out->count > 1) {
        qsort(out->items, out->count, sizeof(*out->items), compare_names);
    }
    return NULL;
}

// "payments.yaml" to "payments"; NULL for what is no app: dispatcher.yaml beside the specs, and
// names that nobody can ask for.
static const char *
app_of(struct arena *arena, const char *file)
{
    struct str stem = {file, strlen(file) - strlen(".yaml")};
    bool is_config = str_equal(stem, STR("dispatcher"));
    return name_is_valid(stem) && !is_config ? arena_str(arena, stem) : NULL;
}

static struct error *
read_app(const struct reading *reading, const char *file, struct spec_app *out)
{
    struct arena *arena = reading->out->arena;
    bool found = false;
    struct error *err =
        read_text(reading, join(arena, reading->directory, file), &out->document, &found);
    if (err != NULL &&
        error_kind(err) == ERROR_INPUT) { // too large, a link: this app's own trouble
        char *text CLEANUP(xfreep) = error_text(err);
        out->unreadable = arena_dup(arena, text);
        error_free(err);
        return NULL;
    }
    if (err == NULL && !found) {
        out->unreadable = "it went away while it was read";
    }
    return err;
}

static struct error *
read_apps(const struct reading *reading)
{
    struct spec_reading *out = reading->out;
    struct str_list names = {0};
    TRY(reading->files != NULL
            ? git_files_list(reading->files, reading->directory, ".yaml", out->arena, &names)
            : list_directory(reading->directory, out->arena, &names));
    out->apps = arena_array(out->arena, names.count + 1, sizeof(*out->apps));
    for (size_t i = 0; i < names.count && out->app_count < APPS_MAX; i++) {
        struct spec_app app = {.name = app_of(out->arena, names.items[i])};
        if (app.name != NULL) {
            TRY(read_app(reading, names.items[i], &app));
            out->apps[out->app_count++] = app;
        }
    }
    return NULL;
}

// What `specs:` of dispatcher.yaml says; one that cannot be used is refused as a whole later.
static const char *
specs_directory(const struct reading *reading)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    const char *inside = NULL;
    config_specs_directory(&reading->out->config, reading->out->arena, diagnostics, &inside);
    return inside != NULL ? inside : "appspecs";
}

// --- a directory ---------------------------------------------------------------------------------

static bool
is_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return directory != NULL;
}

// Forty digits that change when anything does, as a commit's do.
static const char *
content_id(const struct spec_reading *out)
{
    struct sha256 *state CLEANUP(sha256_freep) = sha256_new();
    unsigned char hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    sha256_update(state, out->config.text.ptr, out->config.text.len);
    for (size_t i = 0; i < out->app_count; i++) {
        const struct spec_app *app = &out->apps[i];
        sha256_update(state, app->name, strlen(app->name) + 1);
        sha256_update(state, app->document.text.ptr, app->document.text.len);
    }
    sha256_final(state, hash);
    hex_encode(hash, SHA256_SIZE, hex);
    return arena_str(out->arena, (struct str){hex, COMMIT_SIZE});
}

// DIR is the infra repository's root, or its directory of specs, with dispatcher.yaml in or above
// it.
static struct error *
read_directory(struct reading *reading, const char *directory)
{
    struct arena *arena = reading->out->arena;
    const char *inside = join(arena, directory, "dispatcher.yaml");
    const char *above = join(arena, directory, "../dispatcher.yaml");
    reading->config = !file_exists(inside) && file_exists(above) ? above : inside;
    TRY(read_config(reading));
    const char *below = join(arena, directory, specs_directory(reading));
    reading->directory = is_directory(below) ? below : directory;
    TRY(read_apps(reading));
    reading->out->commit = content_id(reading->out);
    return NULL;
}

// --- git -----------------------------------------------------------------------------------------

// The pages of the API's GitHub: where its repositories are cloned from.
static const char *
web_of_api(struct arena *arena, const char *api)
{
    struct str text = str_of(api != NULL ? api : "https://api.github.com");
    if (str_ends(text, STR("/api/v3"))) {
        return arena_str(arena, (struct str){text.ptr, text.len - strlen("/api/v3")});
    }
    if (str_starts(text, STR("https://api."))) {
        return arena_printf(arena, "https://%s", text.ptr + strlen("https://api."));
    }
    return arena_str(arena, text);
}

// "owner/infra" of a URL of that GitHub; NULL for any other: its host gets no token of ours.
static const char *
repository_of(struct arena *arena, const char *web, const char *url)
{
    const char *found_url = NULL, *repository = NULL;
    struct url ours CLEANUP(url_done) = {0}, theirs CLEANUP(url_done) = {0};
    struct error *err = url_parse(web, &ours);
    err = err == NULL ? url_parse(url, &theirs) : err;
    if (err != NULL) { // file:, a path
        error_free(err);
        return NULL;
    }
    git_remote_describe(url, arena, &found_url, &repository);
    return url_same_origin(&ours, &theirs) ? repository : NULL;
}

static struct error *
token_for(struct specs_reader *reader, const char *repository, struct secret **out)
{
    const char *own = env_get(reader->platform, "DISPATCHER_SPECS_TOKEN");
    if (own != NULL) {
        *out = secret_new(str_of(own));
        return NULL;
    }
    if (repository == NULL) {
        return NULL;
    }
    bool other = installation_is_other(reader->service, &reader->github_key);
    if (other || !cstr_equal(reader->github_of, repository)) {
        github_client_freep(&reader->github);
        free(reader->github_of);
        reader->github_of = NULL;
        TRY(installation_client(
            reader->service, reader->http, repository, GITHUB_FOR_SPECS, &reader->github));
        reader->github_of = xstrdup(repository);
    }
    return github_client_token(reader->github, out);
}

static const char *
cache_directory(const struct specs_reader *reader, struct arena *arena)
{
    const char *systemd = env_get(reader->platform, "CACHE_DIRECTORY");
    const char *cache = env_get(reader->platform, "XDG_CACHE_HOME");
    const char *home = env_get(reader->platform, "HOME");
    if (systemd != NULL) {
        return join(arena, systemd, "git");
    }
    if (cache != NULL) {
        return join(arena, cache, "dispatcher/git");
    }
    return home != NULL ? join(arena, home, ".cache/dispatcher/git") : NULL;
}

static struct error *
open_git(struct reading *reading, const char *text, struct git_location **location)
{
    struct specs_reader *reader = reading->reader;
    struct arena *arena = reading->out->arena;
    const char *web = web_of_api(arena, service_settings(reader->service)->github_api);
    const char *cache = cache_directory(reader, arena);
    struct secret *token CLEANUP(secret_freep) = NULL;
    if (cache == NULL) {
        return error_hint(error_new(ERROR_USAGE, "no place to keep specs fetched from git"),
            "Set HOME, XDG_CACHE_HOME or CACHE_DIRECTORY.");
    }
    TRY(git_location_parse(text, arena, location));
    TRY(token_for(reader, repository_of(arena, web, (*location)->url), &token));
    const struct http_client_options *http = service_http_options(reader->service);
    const struct git_access access = {
        .platform = reader->platform,
        .token = token,
        .ca_file = http->ca_file,
        .proxy = http->proxy,
        .no_proxy = http->no_proxy,
    };
    return git_files_open(*location, cache, &access, &reading->files);
}

static struct error *
read_git(struct reading *reading, const char *text, const char *known)
{
    struct git_location *location = NULL;
    struct arena *arena = reading->out->arena;
    TRY(open_git(reading, text, &location));
    reading->out->commit = arena_dup(arena, git_files_commit(reading->files));
    if (cstr_equal(reading->out->commit, known)) {
        return NULL;
    }
    reading->config = join(arena, location->path, "dispatcher.yaml");
    TRY(read_config(reading));
    reading->directory = join(arena, location->path, specs_directory(reading));
    return read_apps(reading);
}

// `server.specs`, else the infra repository itself.
static struct error *
place_of(const struct specs_reader *reader, struct arena *arena, const char **out)
{
    const struct setting_server *settings = service_settings(reader->service);
    if (settings->specs != NULL) {
        *out = settings->specs;
        return NULL;
    }
    if (settings->workflow_repo == NULL) {
        return error_hint(error_new(ERROR_SPEC, "it is not said where the specs are"),
            "Set 'server.specs' or 'workflow.repo' in the service's dispatcher.yaml.");
    }
    *out = arena_printf(
        arena, "%s/%s.git", web_of_api(arena, settings->github_api), settings->workflow_repo);
    return NULL;
}

struct error *
specs_read(struct specs_reader *reader, const char *known, struct spec_reading *out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct spec_reading found = {.arena = arena};
    struct reading reading = {.reader = reader, .out = &found};
    const char *place = NULL;
    TRY(place_of(reader, arena, &place));
    struct error *err =
        git_location_is(place) ? read_git(&reading, place, known) : read_directory(&reading, place);
    git_files_close(reading.files);
    if (err != NULL) {
        return error_wrap(err, "read specs from '%s'", place);
    }
    *out = (struct spec_reading){0};
    if (!cstr_equal(found.commit, known)) {
        *out = found;
        arena = NULL;
    }
    return NULL;
}

void
specs_reader_done(struct specs_reader *reader)
{
    github_client_free(reader->github);
    http_client_free(reader->http);
    secret_free(reader->github_key);
    free(reader->github_of);
}
