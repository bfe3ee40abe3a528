// The build that goes before a push to where the service says: the same builder as without a
// service (build.h), by the recipe of the spec, which the service reads.
#define _XOPEN_SOURCE 700 // realpath
#include "remote_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/build.h"
#include "dispatcher/git.h"
#include "dispatcher/log_sanitize.h"
#include "dispatcher/memory.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

struct reading {
    struct arena *arena;
    struct pair_list *out;
};

static void
add_pair(void *ctx, const char *key, const struct json *value)
{
    struct reading *reading = ctx;
    if (json_str(value) != NULL) {
        reading->out->items[reading->out->count++] = (struct pair){
            arena_dup(reading->arena, key), arena_dup(reading->arena, json_str(value))};
    }
}

static struct pair_list
pairs_of(struct arena *arena, const struct json *object)
{
    struct pair_list list = {arena_array(arena, json_count(object) + 1, sizeof(*list.items)), 0};
    json_each(object, add_pair, &(struct reading){arena, &list});
    return list;
}

static struct error *
find_checkout(struct remote *remote, const char *checkout, struct git_facts **facts)
{
    const char *path = checkout != NULL ? checkout : ".";
    return git_facts_read(&remote->cli->platform, path, remote->arena, facts);
}

static struct error *
order_of(struct remote *remote, const struct json *recipe, const char *checkout,
    const char *service, struct build_order *out)
{
    const struct json *one = json_get(json_get(recipe, "services"), service);
    const char *path = checkout != NULL ? checkout : ".";
    char *real CLEANUP(xfreep) = realpath(path, NULL);
    struct git_facts *facts = NULL;
    if (json_str(json_get(one, "dockerfile")) == NULL ||
        json_str(json_get(one, "context")) == NULL) {
        return error_hint(
            error_new(ERROR_UNAVAILABLE, "the service did not say how '%s' is built", service),
            "An older service knows no --build: build it yourself and give --image.");
    }
    if (real == NULL) {
        return error_new(ERROR_USAGE, "checkout '%s': %s", path, strerror(errno));
    }
    TRY(find_checkout(remote, checkout, &facts));
    *out = (struct build_order){
        .directory = arena_dup(remote->arena, real),
        .root = facts->root,
        .dockerfile = json_str(json_get(one, "dockerfile")),
        .context = json_str(json_get(one, "context")),
        .platform = json_str(json_get(recipe, "platform")),
        .args = pairs_of(remote->arena, json_get(recipe, "args")),
        .secrets = pairs_of(remote->arena, json_get(recipe, "secrets")),
    };
    return NULL;
}

// The version is a name for the commit of the job's token; no other may be built under it.
static struct error *
check_checkout(struct remote *remote, const struct json *recipe, const char *checkout)
{
    const char *sha = json_str(json_get(recipe, "sha"));
    struct git_facts *facts = NULL;
    TRY(find_checkout(remote, checkout, &facts));
    if (sha != NULL && !cstr_equal(facts->sha, sha)) {
        return error_hint(
            error_new(ERROR_CONFLICT, "checkout '%s' is at %.12s, the job's token is of %.12s",
                facts->root, facts->sha, sha),
            "Check out the commit that the job runs for.");
    }
    if (facts->dirty) {
        return error_hint(error_new(ERROR_USAGE, "the work tree is dirty: '%s' is changed",
                              facts->changed.count > 0 ? facts->changed.items[0] : ""),
            "Commit the change; a service deploys commits only.");
    }
    return NULL;
}

struct error *
remote_build_check(struct remote *remote, const struct json *recipe, const char *checkout,
    const struct remote_image *images, size_t count)
{
    const struct platform *platform = &remote->cli->platform;
    enum build_tool tool = BUILD_DOCKER;
    if (count == 0) {
        return NULL;
    }
    TRY(check_checkout(remote, recipe, checkout));
    for (size_t i = 0; i < count; i++) {
        struct build_order order = {0};
        struct error *err = order_of(remote, recipe, checkout, images[i].service, &order);
        if (err == NULL) {
            err = build_check(platform, &order);
        }
        if (err != NULL) {
            return error_wrap(err, "build '%s'", images[i].service);
        }
    }
    return build_find(platform, &tool);
}

struct telling {
    struct cli *cli;
    bool json;
};

static void
tell(void *ctx, const char *line)
{
    const struct telling *telling = ctx;
    struct buf text CLEANUP(buf_done) = BUF_INIT(LINE_MAX_BYTES);
    buf_puts(&text, "  | ");
    log_sanitize_text(str_of(line), &text);
    buf_putc(&text, '\n');
    if (telling->json) {
        cli_err(telling->cli, buf_str(&text));
    } else {
        cli_out(telling->cli, buf_str(&text));
    }
}

struct error *
remote_build(struct remote *remote, const struct json *recipe, const char *checkout, bool json,
    struct remote_image *image)
{
    const struct platform *platform = &remote->cli->platform;
    struct telling telling = {remote->cli, json};
    struct build_order order = {0};
    struct build_result result = {0};
    enum build_tool tool = BUILD_DOCKER;
    TRY(order_of(remote, recipe, checkout, image->service, &order));
    order.line = tell;
    order.ctx = &telling;
    TRY(build_find(platform, &tool));
    struct error *err = build_run(platform, tool, &order, remote->arena, &result);
    if (err != NULL) {
        return error_wrap(err, "build '%s'", image->service);
    }
    image->source = result.source;
    image->leftovers = result.leftovers != NULL ? xstrdup(result.leftovers) : NULL;
    cli_errf(remote->cli, "built %s by %s\n", image->service, build_tool_name(tool));
    return NULL;
}
