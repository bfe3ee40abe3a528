// GitHub of the world: one repository, one workflow, and the runs that were dispatched.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_world.h"
#include "dispatcher/digest.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"

#define REPO "/repos/octo/infra"
#define WEB "https://github.com/octo/infra"
#define API "https://api.github.com/repos/octo/infra"

static void
copy(char *to, size_t size, const char *from)
{
    int length = snprintf(to, size, "%s", from != NULL ? from : "");
    assert_true(length >= 0 && (size_t)length < size);
}

struct world_run *
world_run_add(struct world *world, const char *title, int64_t created_ms)
{
    assert_true(world->run_count < WORLD_RUNS);
    struct world_run *run = &world->runs[world->run_count];
    *run = (struct world_run){
        .id = WORLD_FIRST_RUN + (int64_t)world->run_count++, .created_ms = created_ms};
    copy(run->title, sizeof(run->title), title);
    copy(run->path, sizeof(run->path), WORLD_WORKFLOW_PATH);
    copy(run->branch, sizeof(run->branch), "main");
    return run;
}

struct world_run *
world_foreign_run(struct world *world, const char *title, int64_t age_ms)
{
    return world_run_add(world, title, world_now(world) - age_ms);
}

// The state of a run at its n-th look: "status[:conclusion]".
static struct str
state_of(const struct world *world, const struct world_run *run)
{
    static const char *const usual[] = {"queued", "in_progress", "completed:success", NULL};
    const char *const *life = world->life != NULL ? world->life : usual;
    size_t last = 0;
    while (life[last + 1] != NULL) {
        last++;
    }
    if (run->cancelled) {
        return STR("completed:cancelled");
    }
    size_t look = run->looks > 0 ? run->looks - 1 : 0;
    return str_of(life[look < last ? look : last]);
}

static struct json *
run_json(const struct world *world, const struct world_run *run)
{
    struct str status = {0}, conclusion = {0};
    (void)str_cut(state_of(world, run), ':', &status, &conclusion);
    char *status_text CLEANUP(xfreep) = str_dup(status);
    char *conclusion_text CLEANUP(xfreep) = conclusion.len > 0 ? str_dup(conclusion) : NULL;
    char *url CLEANUP(xfreep) = xasprintf(WEB "/actions/runs/%lld", (long long)run->id);
    char created[21];
    clock_format_rfc3339(run->created_ms, created);
    struct json *object = json_make_object();
    json_set_int(object, "id", run->id);
    json_set_int(object, "run_attempt", 1);
    json_set_str(object, "status", status_text);
    json_set(object, "conclusion",
        conclusion_text != NULL ? json_make_string(conclusion_text) : json_make_null());
    json_set_str(object, "html_url", url);
    json_set_str(object, "display_title", run->title);
    json_set_str(object, "path", run->path);
    json_set_str(object, "head_branch", run->branch);
    json_set_str(object, "event", "workflow_dispatch");
    json_set_str(object, "head_sha", "0123456789abcdef0123456789abcdef01234567");
    json_set_str(object, "created_at", created);
    json_set_str(object, "run_started_at", created);
    json_set_str(object, "updated_at", created);
    return object;
}

static void
say(struct world_reply *reply, int status, struct json *object)
{
    char *text CLEANUP(xfreep) = json_text(object);
    reply->status = status;
    buf_puts(&reply->body, text);
    json_free(object);
}

static void
absent(struct world_reply *reply)
{
    reply->status = 404;
    buf_puts(&reply->body, "{\"message\":\"Not Found\"}");
}

static void
serve_workflow(const struct world *world, struct world_reply *reply)
{
    struct buf packed CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    if (world->workflow == NULL) {
        absent(reply);
        return;
    }
    base64_encode(str_of(world->workflow), &packed);
    struct json *object = json_make_object();
    json_set_str(object, "type", "file");
    json_set_str(object, "encoding", "base64");
    json_set_str(object, "content", buf_cstr(&packed));
    say(reply, 200, object);
}

static void
put_input(void *ctx, const char *key, const struct json *value)
{
    char *text = ctx;
    size_t len = strlen(text);
    (void)snprintf(text + len, 512 - len, " %s=%s", key, json_str(value));
}

static void
serve_dispatch(struct world *world, const struct http_request *request, struct world_reply *reply)
{
    struct json *body CLEANUP(json_freep) = NULL;
    assert_null(json_parse(request->body, &json_limits_default, &body));
    assert_true(request->once); // a connection of its own: libcurl must not send it twice
    const struct json *inputs = json_get(body, "inputs");
    const char *id = json_str(json_get(inputs, "distinct_id"));
    char *title CLEANUP(xfreep) =
        xasprintf("deploy %s", id == NULL || world->title_hides_id ? "shop" : id);
    struct world_run *run = world_run_add(world, title, world_now(world));
    json_each(inputs, put_input, run->inputs);
    run->hidden = world->listing_lag;
    world->posts++;
    world_effect(world, "post %s%s\n", json_str(json_get(body, "ref")), run->inputs);
    if (cstr_equal(world->dispatch_reply, "204")) {
        reply->status = 204;
        return;
    }
    struct json *object = json_make_object();
    char *resource CLEANUP(xfreep) = xasprintf(API "/actions/runs/%lld", (long long)run->id);
    char *page CLEANUP(xfreep) = xasprintf(WEB "/actions/runs/%lld", (long long)run->id);
    json_set_int(object, "workflow_run_id", run->id);
    json_set_str(object, "run_url", resource);
    json_set_str(object, "html_url", page);
    say(reply, 200, object);
}

static void
serve_list(struct world *world, struct world_reply *reply)
{
    struct json *list = json_make_array(), *object = json_make_object();
    for (size_t i = 0; i < world->run_count; i++) {
        struct world_run *run = &world->runs[i];
        if (run->hidden > 0) {
            run->hidden--;
        } else if (!run->gone) {
            json_append(list, run_json(world, run));
        }
    }
    json_set_int(object, "total_count", (int64_t)json_count(list));
    json_set(object, "workflow_runs", list);
    say(reply, 200, object);
}

static struct world_run *
find_run(struct world *world, int64_t id)
{
    for (size_t i = 0; i < world->run_count; i++) {
        if (world->runs[i].id == id && !world->runs[i].gone) {
            return &world->runs[i];
        }
    }
    return NULL;
}

static void
serve_jobs(const struct world *world, struct world_reply *reply)
{
    reply->status = 200;
    buf_puts(&reply->body, world->jobs != NULL ? world->jobs : "{\"total_count\":0,\"jobs\":[]}");
}

// "…/actions/runs/ID[/jobs|/cancel]"
static void
serve_run(struct world *world, const char *path, struct world_reply *reply)
{
    char *rest = NULL;
    struct world_run *run = find_run(world, strtoll(path, &rest, 10));
    if (run == NULL) {
        absent(reply);
        return;
    }
    if (strcmp(rest, "/cancel") == 0) {
        run->cancelled = true;
        world_effect(world, "cancel %lld\n", (long long)run->id);
        reply->status = 202;
        buf_puts(&reply->body, "{}");
        return;
    }
    if (str_starts(str_of(rest), STR("/jobs"))) {
        serve_jobs(world, reply);
        return;
    }
    run->looks++;
    struct str state = state_of(world, run);
    (void)snprintf(reply->etag_text, sizeof(reply->etag_text), "\"%lld-%.*s\"", (long long)run->id,
        STR_FMT(state));
    reply->etag = reply->etag_text;
    say(reply, 200, run_json(world, run));
}

static void
serve_text(const char *text, struct world_reply *reply)
{
    if (text == NULL) {
        absent(reply);
        return;
    }
    reply->status = 200;
    buf_puts(&reply->body, text);
}

#define PERMISSIONS                                                                                \
    "\"permissions\":{\"actions\":\"write\",\"contents\":\"read\",\"checks\":\"read\"}"

static bool
serve_app(struct str path, struct world_reply *reply)
{
    if (str_ends(path, STR("/installation"))) {
        serve_text("{\"id\":7," PERMISSIONS "}", reply);
    } else if (str_ends(path, STR("/access_tokens"))) {
        serve_text("{\"token\":\"ghs_installationtoken0123\"," PERMISSIONS "}", reply);
        reply->status = 201;
    } else if (str_equal(path, STR("/app"))) {
        serve_text("{\"slug\":\"deployer\"}", reply);
    } else {
        return false;
    }
    return true;
}

void
world_github(struct world *world, const struct http_request *request, const char *path,
    struct world_reply *reply)
{
    struct str text = str_of(path);
    if (str_starts(text, STR("/rate_limit"))) {
        reply->status = 200;
        buf_puts(&reply->body, "{\"resources\":{\"core\":{\"limit\":5000,\"remaining\":4999}}}");
    } else if (str_starts(text, STR(REPO "/contents/"))) {
        serve_workflow(world, reply);
    } else if (str_ends(text, STR("/dispatches"))) {
        serve_dispatch(world, request, reply);
    } else if (str_ends(text, STR("/deploy-app.yaml"))) {
        serve_text("{\"state\":\"active\"}", reply);
    } else if (str_starts(text, STR(REPO "/actions/workflows/"))) {
        serve_list(world, reply);
    } else if (str_starts(text, STR(REPO "/actions/runs/"))) {
        serve_run(world, path + strlen(REPO "/actions/runs/"), reply);
    } else if (world->is_app && serve_app(text, reply)) {
        return;
    } else if (str_starts(text, STR("/user"))) {
        serve_text("{\"login\":\"someone\"}", reply);
    } else if (str_starts(text, STR(REPO "/check-runs/"))) {
        serve_text(world->annotations, reply);
    } else if (str_starts(text, STR(REPO "/actions/jobs/"))) {
        serve_text(world->log, reply);
    } else if (str_starts(text, STR("/repos/octo/shop/compare/"))) {
        world_effect(world, "compare %s\n", path + strlen("/repos/octo/shop/compare/"));
        serve_text(world->comparison, reply);
    } else {
        fail_msg("nobody serves %s '%s'", http_method_name(request->method), request->url);
    }
}
