// Which handler a method and a path belong to: patterns compared segment by segment, percent signs
// decoded after the path was cut, so that "%2F" never makes a segment. Pure.
#include "request_internal.h"

#include <string.h>

#include "dispatcher/memory.h"

enum { PARAMS_MAX = 8 };

static const struct route_table *const tables[] = {
    &api_routes, &hook_routes, &health_routes, &page_routes, &sign_in_routes};

static void
add_param(struct arena *arena, struct str name, const char *value, struct pair_list *params)
{
    BUG_ON(params->count == PARAMS_MAX);
    params->items[params->count++] = (struct pair){arena_str(arena, name), value};
}

// Does the path fit? Parameters are added to `params`.
static bool
fits(const char *pattern, const char *path, struct arena *arena, struct pair_list *params)
{
    const char *want = pattern, *have = path;
    params->count = 0;
    while (*want == '/' && *have == '/') {
        struct str name = {want + 1, strcspn(want + 1, "/")};
        struct str segment = {have + 1, strcspn(have + 1, "/")};
        if (name.len > 2 && name.ptr[0] == '{') {
            bool rest = name.ptr[name.len - 2] == '*';
            segment.len = rest ? strlen(segment.ptr) : segment.len;
            const char *value = request_decode(segment, false, arena);
            if (value == NULL || value[0] == '\0') {
                return false;
            }
            add_param(arena, (struct str){name.ptr + 1, name.len - (rest ? 3 : 2)}, value, params);
        } else if (!str_equal(name, segment)) {
            return false;
        }
        want = name.ptr + name.len;
        have = segment.ptr + segment.len;
    }
    return *want == '\0' && *have == '\0';
}

static bool
takes(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void
allow(struct route_match *match, const struct route *route, struct arena *arena)
{
    const char *more = strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method;
    match->allow = match->allow == NULL ? more : arena_printf(arena, "%s, %s", match->allow, more);
}

void
route_find(const char *method, const char *path, struct arena *arena, struct route_match *out)
{
    struct pair_list params = {.items = arena_array(arena, PARAMS_MAX, sizeof(*params.items))};
    struct route_match match = {0};
    for (size_t t = 0; t < ARRAY_LENGTH(tables); t++) {
        for (size_t i = 0; i < tables[t]->count && path[0] == '/'; i++) {
            const struct route *route = &tables[t]->routes[i];
            if (!fits(route->path, path, arena, &params)) {
                continue;
            }
            allow(&match, route, arena);
            if (match.route == NULL && takes(route, method)) {
                match.route = route;
                match.params = params;
                params.items = arena_array(arena, PARAMS_MAX, sizeof(*params.items));
            }
        }
    }
    match.other_method = match.route == NULL && match.allow != NULL;
    *out = match;
}
