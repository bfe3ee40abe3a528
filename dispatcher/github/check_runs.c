// Check runs: for Apps, and for the token of a job, which is one of an App. Finds, makes and
// changes them; what they say is the caller's JSON.
#include <inttypes.h>

#include "dispatcher/github_reports.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "github_internal.h"

#define NEEDS "checks: write"

enum { PAGES_MAX = 10 };

struct check_answer {
    int64_t id;
    const char *name, *external_id;
};
static const struct field check_fields[] = {
    FIELD(struct check_answer, id, "id", FIELD_INT, .required = true),
    FIELD(struct check_answer, name, "name", FIELD_STR, .required = true),
    FIELD(struct check_answer, external_id, "external_id", FIELD_STR, .required = false),
};
static const struct field_table check_table =
    FIELD_TABLE("check run", struct check_answer, check_fields);

// A personal token is told 403 whatever it may do.
static struct error *
explain(struct error *err, const struct github_client *client)
{
    if (err != NULL && client->app_id == NULL && error_remote_of(err)->status == 403 &&
        error_kind(err) == ERROR_CREDENTIALS) {
        error_hint(err, "Give the job 'permissions: " NEEDS "'. A personal token makes no check "
                        "runs: only a GitHub App and the GITHUB_TOKEN of a job do.");
    }
    return err;
}

struct search {
    const char *name, *external_id;
    int64_t id;
};

static struct error *
match(void *ctx, const struct json *item, struct arena *arena, bool *enough)
{
    (void)enough;
    struct search *search = ctx;
    struct check_answer answer = {0};
    TRY(json_decode(item, &check_table, arena, &answer));
    TRY(github_report_check_id(answer.id, "a check run"));
    bool ours = cstr_equal(answer.name, search->name) &&
                cstr_equal(answer.external_id, search->external_id);
    if (ours && answer.id > search->id) {
        search->id = answer.id;
    }
    return NULL;
}

// `filter=all`: by default the newest of a name hides the others.
static struct error *
list_path(const char *sha, const char *name, struct buf *path)
{
    buf_puts(path, "/commits/");
    url_encode(str_of(sha), "", path);
    buf_puts(path, "/check-runs");
    url_add_query(path, "check_name", name);
    url_add_query(path, "filter", "all");
    url_add_query(path, "per_page", "100");
    return buf_finish(path, "path of the check runs");
}

struct error *
github_check_find(struct github_client *client, const char *sha, const char *name,
    const char *external_id, struct arena *arena, int64_t *id)
{
    (void)arena;
    struct buf path CLEANUP(buf_done) = BUF_INIT(8192);
    TRY(list_path(sha, name, &path));
    struct search search = {.name = name, .external_id = external_id};
    const struct github_walk walk = {.call = {.path = buf_cstr(&path), .needs = NEEDS},
        .list = "check_runs",
        .pages_max = PAGES_MAX,
        .visit = match,
        .ctx = &search};
    struct error *err = explain(github_report_walk(client, &walk), client);
    if (err != NULL) {
        return error_wrap(
            err, "look for check run '%s' of commit '%s' of '%s'", name, sha, client->repository);
    }
    *id = search.id;
    return NULL;
}

struct error *
github_check_create(
    struct github_client *client, const char *body, struct arena *arena, int64_t *id)
{
    const struct github_call call = {
        .path = "/check-runs", .in_repository = true, .body = body, .needs = NEEDS};
    struct error *err = explain(github_report_create(client, &call, arena, id), client);
    return err != NULL ? error_wrap(err, "make a check run of '%s'", client->repository) : NULL;
}

// All but the commit, which a check run is made for once and for all.
static void
keep_changeable(void *ctx, const char *key, const struct json *value)
{
    if (!cstr_equal(key, "head_sha")) {
        json_set(ctx, key, json_clone(value));
    }
}

struct error *
github_check_update(struct github_client *client, int64_t id, const char *body)
{
    struct json *whole CLEANUP(json_freep) = NULL;
    struct json *changes CLEANUP(json_freep) = json_make_object();
    TRY(json_parse(str_of(body), &json_limits_default, &whole));
    json_each(whole, keep_changeable, changes);
    char *text CLEANUP(xfreep) = json_text(changes);
    char *path CLEANUP(xfreep) = xasprintf("/check-runs/%" PRId64, id);
    const struct github_call call = {
        .method = HTTP_PATCH,
        .path = path,
        .in_repository = true,
        .body = text,
        // GitHub adds the annotations of every request to those that are there.
        .once = json_count(json_path(changes, "output.annotations")) > 0,
        .needs = NEEDS,
    };
    struct error *err = explain(github_report_send(client, &call), client);
    return err != NULL
               ? error_wrap(err, "update check run %" PRId64 " of '%s'", id, client->repository)
               : NULL;
}
