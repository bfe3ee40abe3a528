// Deployments of GitHub and their statuses (facts §5.1): found again by our mark in the payload,
// made without merging anything or asking for green contexts. Decides no state.
#include <inttypes.h>

#include "dispatcher/github_reports.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "github_internal.h"

#define NEEDS "deployments: write"

enum { PAGES_MAX = 10, OLDER_MAX = 10 };

struct deployment_answer {
    int64_t id;
    const char *task, *environment;
    const struct json *payload; // an object, or its text
};
static const struct field deployment_fields[] = {
    FIELD(struct deployment_answer, id, "id", FIELD_INT, .required = true),
    FIELD(struct deployment_answer, task, "task", FIELD_STR, .required = true),
    FIELD(struct deployment_answer, environment, "environment", FIELD_STR, .required = true),
    FIELD(struct deployment_answer, payload, "payload", FIELD_RAW, .required = false),
};
static const struct field_table deployment_table =
    FIELD_TABLE("deployment", struct deployment_answer, deployment_fields);

struct status_answer {
    int64_t id;
    const char *state, *description, *log_url, *environment_url, *environment;
};
static const struct field status_fields[] = {
    FIELD(struct status_answer, id, "id", FIELD_INT, .required = true),
    FIELD(struct status_answer, state, "state", FIELD_STR, .required = true),
    FIELD(struct status_answer, description, "description", FIELD_STR, .required = false),
    FIELD(struct status_answer, log_url, "log_url", FIELD_STR, .required = false),
    FIELD(struct status_answer, environment_url, "environment_url", FIELD_STR, .required = false),
    FIELD(struct status_answer, environment, "environment", FIELD_STR, .required = false),
};
static const struct field_table status_table =
    FIELD_TABLE("status", struct status_answer, status_fields);

static struct error *
wrap(struct error *err, const struct github_client *client, const char *what,
    const struct github_deployment *deployment)
{
    return err == NULL ? NULL
                       : error_wrap(err, "%s '%s' of '%s' to '%s'", what, deployment->ref,
                             client->repository, deployment->environment);
}

// The string under `key` of a payload, which servers hand back as an object or as its text.
static const char *
payload_word(const struct json *payload, const char *key, struct arena *arena)
{
    const char *text = json_str(payload);
    if (text == NULL) {
        return json_str(json_get(payload, key));
    }
    struct json *parsed CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(text), &json_limits_default, &parsed); // no JSON: not ours
    return err == NULL ? arena_dup(arena, json_str(json_get(parsed, key))) : NULL;
}

static struct error *
decode_deployment(const struct json *item, struct arena *arena, struct deployment_answer *out)
{
    TRY(json_decode(item, &deployment_table, arena, out));
    return github_report_check_id(out->id, "a deployment");
}

// --- finding and making --------------------------------------------------------------------------

struct search {
    const struct github_deployment *wanted;
    int64_t id; // the newest so far
};

static struct error *
match(void *ctx, const struct json *item, struct arena *arena, bool *enough)
{
    struct search *search = ctx;
    struct deployment_answer answer = {0};
    TRY(decode_deployment(item, arena, &answer));
    bool same = cstr_equal(answer.task, search->wanted->task) &&
                cstr_equal(answer.environment, search->wanted->environment);
    const char *mark = payload_word(answer.payload, "id", arena);
    if (same && cstr_equal(mark, search->wanted->payload_id)) {
        search->id = answer.id; // GitHub lists the newest first
        *enough = true;
    }
    return NULL;
}

static struct error *
list_path(const struct github_deployment *deployment, bool by_ref, struct buf *path)
{
    buf_puts(path, "/deployments");
    if (by_ref) {
        url_add_query(path, "ref", deployment->ref);
    }
    url_add_query(path, "task", deployment->task);
    url_add_query(path, "environment", deployment->environment);
    url_add_query(path, "per_page", "100");
    return buf_finish(path, "path of the deployments");
}

struct error *
github_deployment_find(struct github_client *client, const struct github_deployment *deployment,
    struct arena *arena, int64_t *id)
{
    (void)arena;
    struct buf path CLEANUP(buf_done) = BUF_INIT(8192);
    TRY(list_path(deployment, true, &path));
    struct search search = {.wanted = deployment};
    const struct github_walk walk = {.call = {.path = buf_cstr(&path), .needs = NEEDS},
        .pages_max = PAGES_MAX,
        .visit = match,
        .ctx = &search};
    TRY(wrap(github_report_walk(client, &walk), client, "look for the deployment of", deployment));
    *id = search.id;
    return NULL;
}

static char *
deployment_body(const struct github_deployment *deployment)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    json_set_str(body, "ref", deployment->ref);
    json_set_str(body, "task", deployment->task);
    json_set_bool(body, "auto_merge", false);
    json_set(body, "required_contexts", json_make_array()); // absent: all of them must be green
    struct json *payload = json_make_object();
    json_set_str(payload, "id", deployment->payload_id);
    json_set_str(payload, "app", deployment->app);
    json_set(body, "payload", payload);
    json_set_str(body, "environment", deployment->environment);
    json_set_str(body, "description", deployment->description);
    json_set_bool(body, "transient_environment", deployment->is_transient);
    json_set_bool(body, "production_environment", deployment->is_production);
    return json_text(body);
}

struct error *
github_deployment_create(struct github_client *client, const struct github_deployment *deployment,
    struct arena *arena, int64_t *id)
{
    char *body CLEANUP(xfreep) = deployment_body(deployment);
    const struct github_call call = {
        .path = "/deployments", .in_repository = true, .body = body, .needs = NEEDS};
    return wrap(github_report_create(client, &call, arena, id), client, "record the deployment of",
        deployment);
}

// --- statuses ------------------------------------------------------------------------------------

struct last_status {
    struct arena *arena;
    int64_t id;
    struct github_deployment_status *status;
};

// The order of this list is nowhere promised: the highest id is the newest.
static struct error *
keep_newest(void *ctx, const struct json *item, struct arena *arena, bool *enough)
{
    (void)enough;
    struct last_status *last = ctx;
    struct status_answer answer = {0};
    TRY(json_decode(item, &status_table, arena, &answer));
    TRY(github_report_check_id(answer.id, "a status"));
    if (answer.id <= last->id) {
        return NULL;
    }
    last->id = answer.id;
    if (last->status == NULL) {
        last->status = arena_alloc(last->arena, sizeof(*last->status));
    }
    *last->status = (struct github_deployment_status){
        .state = arena_dup(last->arena, answer.state),
        .description = arena_dup(last->arena, answer.description),
        .log_url = arena_dup(last->arena, answer.log_url),
        .environment_url = arena_dup(last->arena, answer.environment_url),
        .environment = arena_dup(last->arena, answer.environment),
    };
    return NULL;
}

struct error *
github_deployment_status_last(struct github_client *client, int64_t id, struct arena *arena,
    struct github_deployment_status **out)
{
    char *path CLEANUP(xfreep) = xasprintf("/deployments/%" PRId64 "/statuses?per_page=100", id);
    struct last_status last = {.arena = arena};
    const struct github_walk walk = {.call = {.path = path, .needs = NEEDS},
        .pages_max = PAGES_MAX,
        .visit = keep_newest,
        .ctx = &last};
    struct error *err = github_report_walk(client, &walk);
    if (err != NULL) {
        return error_wrap(
            err, "statuses of deployment %" PRId64 " of '%s'", id, client->repository);
    }
    *out = last.status;
    return NULL;
}

struct error *
github_deployment_status_add(
    struct github_client *client, int64_t id, const struct github_deployment_status *status)
{
    struct json *document CLEANUP(json_freep) = json_make_object();
    json_set_str(document, "state", status->state);
    json_set_str(document, "description", status->description);
    json_set_str(document, "log_url", status->log_url);
    json_set_str(document, "environment_url", status->environment_url);
    json_set_str(document, "environment", status->environment);
    // GitHub would retire whatever else of the repository runs there, the other apps of a
    // monorepo included: github_deployment_retire knows which are the same app's.
    json_set_bool(document, "auto_inactive", false);
    char *body CLEANUP(xfreep) = json_text(document);
    char *path CLEANUP(xfreep) = xasprintf("/deployments/%" PRId64 "/statuses", id);
    const struct github_call call = {
        .path = path, .in_repository = true, .body = body, .needs = NEEDS};
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    int64_t made = 0;
    struct error *err = github_report_create(client, &call, arena, &made);
    return err != NULL ? error_wrap(err, "set deployment %" PRId64 " of '%s' to '%s'", id,
                             client->repository, status->state)
                       : NULL;
}

// --- what came before ----------------------------------------------------------------------------

struct older {
    const struct github_deployment *than;
    int64_t before, ids[OLDER_MAX];
    size_t count;
};

// In a repository of several apps each has deployments of its own.
static struct error *
keep_older(void *ctx, const struct json *item, struct arena *arena, bool *enough)
{
    struct older *older = ctx;
    struct deployment_answer answer = {0};
    TRY(decode_deployment(item, arena, &answer));
    const char *app = payload_word(answer.payload, "app", arena);
    bool ours = cstr_equal(answer.task, older->than->task) &&
                cstr_equal(answer.environment, older->than->environment) &&
                cstr_equal(app, older->than->app);
    if (ours && answer.id < older->before) {
        older->ids[older->count++] = answer.id;
    }
    *enough = older->count == OLDER_MAX;
    return NULL;
}

static struct error *
retire_one(struct github_client *client, int64_t id, struct arena *arena, size_t *count)
{
    struct github_deployment_status *last = NULL;
    TRY(github_deployment_status_last(client, id, arena, &last));
    if (last == NULL || !cstr_equal(last->state, "success")) {
        return NULL;
    }
    const struct github_deployment_status inactive = {.state = "inactive"};
    TRY(github_deployment_status_add(client, id, &inactive));
    ++*count;
    return NULL;
}

struct error *
github_deployment_retire(struct github_client *client, const struct github_deployment *deployment,
    int64_t id, struct arena *arena, size_t *count)
{
    struct buf path CLEANUP(buf_done) = BUF_INIT(8192);
    TRY(list_path(deployment, false, &path));
    struct older older = {.than = deployment, .before = id};
    const struct github_walk walk = {.call = {.path = buf_cstr(&path), .needs = NEEDS},
        .pages_max = PAGES_MAX,
        .visit = keep_older,
        .ctx = &older};
    struct error *err = github_report_walk(client, &walk);
    size_t retired = 0;
    for (size_t i = 0; i < older.count && err == NULL; i++) {
        err = retire_one(client, older.ids[i], arena, &retired);
    }
    TRY(wrap(err, client, "retire what was before the deployment of", deployment));
    *count = retired;
    return NULL;
}
