// How often the REST API was asked, by route: what cost quota, and what a condition made free.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_internal.h"

enum { ROUTE_MAX = 512, ROUTES_MAX = 2000 };

void
sandbox_github_counters_reset(struct github_state *github)
{
    json_free(github->counters);
    github->counters = json_make_object();
}

static bool
all_of(struct str text, const char *set)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(set, text.ptr[i]) == NULL) {
            return false;
        }
    }
    return text.len > 0;
}

// What stands for one thing among many has a name in braces.
static const char *
placeholder(struct str part, struct str before, size_t after_repos)
{
    if (after_repos == 1 || after_repos == 2) {
        return after_repos == 1 ? "{owner}" : "{repo}";
    }
    if (part.len == 40 && all_of(part, "0123456789abcdef")) {
        return "{sha}";
    }
    if (str_equal(before, STR("workflows"))) {
        return "{workflow}";
    }
    if (str_equal(before, STR("compare"))) {
        return "{basehead}";
    }
    if (str_equal(before, STR("orgs"))) {
        return "{org}";
    }
    return all_of(part, "0123456789") ? "{id}" : NULL;
}

// "/github/repos/acme/infra/actions/runs/7?page=2" → "GET /repos/{owner}/{repo}/actions/runs/{id}"
static bool
route_of(const struct sandbox_record *record, struct buf *out)
{
    struct str path = {0}, query = {0}, part = {0}, before = {0};
    size_t after_repos = 0;
    (void)str_cut(str_of(record->target), '?', &path, &query);
    size_t skip = str_starts(path, STR("/github/"))   ? strlen("/github")
                  : str_starts(path, STR("/api/v3/")) ? strlen("/api/v3")
                                                      : 0;
    if (skip == 0) {
        return false;
    }
    path = str_skip(path, skip + 1);
    buf_printf(out, "%s ", record->method);
    while (str_cut(path, '/', &part, &path)) {
        after_repos += after_repos > 0;
        const char *name = placeholder(part, before, after_repos > 0 ? after_repos - 1 : 0);
        buf_putc(out, '/');
        buf_add(out, name != NULL ? str_of(name) : part);
        after_repos += str_equal(part, STR("repos"));
        before = part;
    }
    return !out->failed;
}

static void
count_up(struct json *object, const char *key, bool one)
{
    json_set_int(object, key, json_int(json_get(object, key), 0) + (one ? 1 : 0));
}

void
sandbox_github_count(struct sandbox *sandbox, const struct sandbox_record *record)
{
    struct json *counters = sandbox->github->counters;
    struct buf route CLEANUP(buf_done) = BUF_INIT(ROUTE_MAX);
    if (!route_of(record, &route)) {
        return;
    }
    const struct json *known = json_get(counters, buf_cstr(&route));
    if (known == NULL && json_count(counters) >= ROUTES_MAX) {
        return;
    }
    struct json *entry = known != NULL ? json_clone(known) : json_make_object();
    count_up(entry, "requests", true);
    count_up(entry, "counted", record->counted);
    count_up(entry, "not_modified", record->status == 304);
    json_set(counters, buf_cstr(&route), entry);
}

static void
add_up(void *ctx, const char *key, const struct json *value)
{
    static const char *const names[] = {"requests", "counted", "not_modified"};
    struct json *sums = ctx;
    (void)key;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        json_set_int(sums, names[i],
            json_int(json_get(sums, names[i]), 0) + json_int(json_get(value, names[i]), 0));
    }
}

struct json *
sandbox_github_counters_json(const struct sandbox *sandbox)
{
    struct json *body = json_make_object();
    static const char *const names[] = {"requests", "counted", "not_modified"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        json_set_int(body, names[i], 0);
    }
    json_each(sandbox->github->counters, add_up, body);
    json_set(body, "routes", json_clone(sandbox->github->counters));
    return body;
}
