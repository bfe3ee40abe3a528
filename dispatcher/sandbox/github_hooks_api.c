// Webhooks out: deliveries as an App lists and repeats them over REST, and the orders.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_hooks_internal.h"

enum { PAGE_DEFAULT = 30, PAGE_MAX = 100, URLS_MAX = 16, SHUFFLE_MAX_MS = 600000 };

static void
set_str_or_null(struct json *object, const char *key, const char *text)
{
    json_set(object, key, text != NULL ? json_make_string(text) : json_make_null());
}

static struct json *
shape_item(const struct hook_delivery *delivery)
{
    struct json *item = json_make_object();
    json_set_int(item, "id", delivery->id);
    json_set_str(item, "guid", delivery->guid);
    sandbox_shape_time(item, "delivered_at", delivery->delivered_ms);
    json_set_bool(item, "redelivery", delivery->is_redelivery);
    json_set_number(item, "duration", (double)delivery->duration_ms / 1000.0);
    json_set_str(item, "status", delivery->status);
    json_set_int(item, "status_code", delivery->status_code);
    json_set_str(item, "event", delivery->event);
    set_str_or_null(item, "action", delivery->action);
    json_set_int(item, "installation_id", GITHUB_INSTALLATION_ID);
    json_set(item, "repository_id",
        delivery->repository_id != 0 ? json_make_int(delivery->repository_id) : json_make_null());
    json_set(item, "throttled_at", json_make_null());
    return item;
}

static struct json *
parsed(const char *text)
{
    struct json *value = NULL;
    struct error *err CLEANUP(error_freep) =
        text != NULL ? json_parse(str_of(text), &json_limits_default, &value) : NULL;
    return value != NULL ? value : json_make_null();
}

static struct json *
shape_full(const struct hook_delivery *delivery)
{
    struct json *item = shape_item(delivery), *request = json_make_object(),
                *response = json_make_object();
    json_set(request, "headers",
        delivery->request_headers != NULL ? json_clone(delivery->request_headers)
                                          : json_make_null());
    json_set(request, "payload", parsed(delivery->payload));
    json_set(response, "headers",
        delivery->response_headers != NULL ? json_clone(delivery->response_headers)
                                           : json_make_null());
    set_str_or_null(response, "payload", delivery->response_body);
    json_set_str(item, "url", delivery->url);
    json_set(item, "request", request);
    json_set(item, "response", response);
    return item;
}

static int64_t
number_in(const char *text, int64_t fallback)
{
    int64_t number = 0;
    return text != NULL && str_to_int64(str_of(text), &number) && number > 0 ? number : fallback;
}

static bool
is_wanted(const struct hook_delivery *delivery, const char *status)
{
    bool good = delivery->status_code >= 200 && delivery->status_code < 300;
    return delivery->state == DELIVERY_DONE &&
           (status == NULL || strcmp(status, good ? "success" : "failure") == 0);
}

static void
set_next(const struct sandbox *sandbox, const struct sandbox_request *request, int64_t last,
    struct sandbox_response *response)
{
    struct buf link CLEANUP(buf_done) = BUF_INIT(4096);
    struct str pair = {0}, rest = str_of(request->query);
    buf_printf(&link, "<%s%s?", sandbox->origin, request->path);
    while (str_cut(rest, '&', &pair, &rest)) {
        if (!str_starts(pair, STR("cursor=")) && pair.len > 0) {
            buf_add(&link, pair);
            buf_putc(&link, '&');
        }
    }
    buf_printf(&link, "cursor=v1_%lld>; rel=\"next\"", (long long)last);
    sandbox_reply_header(response, "Link", buf_cstr(&link));
}

// Newest first; the cursor names the last one that was shown.
static void
list_deliveries(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const struct github_hooks *hooks = sandbox->github->hooks;
    const char *status = sandbox_request_query(request, "status"),
               *cursor = sandbox_request_query(request, "cursor");
    int64_t size = number_in(sandbox_request_query(request, "per_page"), PAGE_DEFAULT);
    int64_t before = INT64_MAX, last = 0, shown = 0;
    if (cursor != NULL) {
        before = strncmp(cursor, "v1_", 3) == 0 ? number_in(cursor + 3, 0) : 0;
    }
    size = size < PAGE_MAX ? size : PAGE_MAX;
    struct json *list = json_make_array();
    for (size_t i = hooks->count; i-- > 0;) {
        const struct hook_delivery *delivery = hooks->list[i];
        if (delivery->id >= before || !is_wanted(delivery, status)) {
            continue;
        }
        if (shown == size) { // there is another page
            set_next(sandbox, request, last, response);
            break;
        }
        json_append(list, shape_item(delivery));
        last = delivery->id;
        shown++;
    }
    sandbox_reply_json(response, 200, list);
}

static struct hook_delivery *
find_delivery(const struct github_hooks *hooks, const char *text)
{
    int64_t id = number_in(text, 0);
    for (size_t i = 0; i < hooks->count; i++) {
        if (hooks->list[i]->id == id && hooks->list[i]->state == DELIVERY_DONE) {
            return hooks->list[i];
        }
    }
    return NULL;
}

static void
answer_config(const struct github_hooks *hooks, struct sandbox_response *response)
{
    struct json *body = json_make_object();
    const char *url = json_str(json_at(hooks->urls, 0));
    json_set_str(body, "content_type", "json");
    json_set_str(body, "secret", "********");
    json_set_str(body, "url", url != NULL ? url : "");
    json_set_str(body, "insecure_ssl", "0");
    sandbox_reply_json(response, 200, body);
}

static void
redeliver(struct sandbox *sandbox, const struct hook_delivery *delivery,
    struct sandbox_response *response)
{
    if (delivery == NULL) {
        sandbox_github_problem(response, 404, "Not Found");
    } else if (delivery->payload == NULL) {
        sandbox_github_problem(response, 422, "the sandbox has forgotten this payload");
    } else {
        sandbox_webhook_redeliver(sandbox, delivery);
        sandbox_reply_json(response, 202, json_make_object());
    }
}

void
sandbox_webhook_handle(struct sandbox *sandbox, struct sandbox_request *request, size_t from,
    struct sandbox_response *response)
{
    const struct github_hooks *hooks = sandbox->github->hooks;
    bool reads = sandbox_request_is(request, "GET"), posts = sandbox_request_is(request, "POST");
    const struct hook_delivery *delivery =
        request->part_count > from + 3 ? find_delivery(hooks, request->parts[from + 3]) : NULL;
    if (reads && sandbox_request_match(request, from, "app/hook/config")) {
        answer_config(hooks, response);
    } else if (reads && sandbox_request_match(request, from, "app/hook/deliveries")) {
        list_deliveries(sandbox, request, response);
    } else if (posts && sandbox_request_match(request, from, "app/hook/deliveries/:/attempts")) {
        redeliver(sandbox, delivery, response);
    } else if (reads && sandbox_request_match(request, from, "app/hook/deliveries/:") &&
               delivery != NULL) {
        sandbox_reply_json(response, 200, shape_full(delivery));
    } else {
        sandbox_github_problem(response, 404, "Not Found");
    }
}

// --- orders --------------------------------------------------------------------------------------

static struct json *
urls_of(const struct json *url)
{
    struct json *urls = json_make_array();
    for (size_t i = 0; i < json_count(url) && i < URLS_MAX; i++) {
        json_append(urls, json_clone(json_at(url, i)));
    }
    if (json_str(url) != NULL) {
        json_append(urls, json_clone(url));
    }
    return urls;
}

static bool
are_urls(const struct json *urls)
{
    for (size_t i = 0; i < json_count(urls); i++) {
        const char *url = json_str(json_at(urls, i));
        if (url == NULL || strncmp(url, "http", 4) != 0) {
            return false;
        }
    }
    return true;
}

// {"url": "http://…" (or a list, which take turns, or null), "secret", "events": ["workflow_run"]}
static void
configure(struct sandbox *sandbox, const struct json *order, struct sandbox_response *response)
{
    struct github_hooks *hooks = sandbox->github->hooks;
    const struct json *url = json_get(order, "url"), *events = json_get(order, "events");
    const char *secret = json_str(json_get(order, "secret"));
    struct json *urls = urls_of(url);
    if (order == NULL || !are_urls(urls) || (!json_is_null(events) && !json_is_array(events)) ||
        (!json_is_null(url) && json_count(urls) == 0)) {
        json_free(urls);
        sandbox_reply_problem(
            response, 422, "'url' is an http URL, a list of them or null, 'events' a list");
        return;
    }
    if (url != NULL) {
        json_free(hooks->urls);
        hooks->urls = urls;
    } else {
        json_free(urls);
    }
    if (secret != NULL) {
        secret_free(hooks->secret);
        hooks->secret = secret_new(str_of(secret));
    }
    if (events != NULL) {
        json_free(hooks->events);
        hooks->events = json_is_array(events) ? json_clone(events) : NULL;
    }
    struct error *err CLEANUP(error_freep) = sandbox_webhook_hire(sandbox);
    if (err != NULL) {
        sandbox_reply_problem(response, 500, "%s", error_message(err));
        return;
    }
    sandbox_webhook_ping(sandbox);
    response->status = 204;
}

static bool
is_share(const struct json *value)
{
    double share = json_number(value, value == NULL ? 0.0 : -1.0);
    return share >= 0.0 && share <= 1.0;
}

// {"lose": 0.3, "vanish": 0.1, "double": 0.2, "shuffle_ms": 2000, "seed": 1}; {} ends it.
static void
set_faults(struct sandbox *sandbox, const struct json *order, struct sandbox_response *response)
{
    const struct json *lose = json_get(order, "lose"), *vanish = json_get(order, "vanish"),
                      *twice = json_get(order, "double");
    int64_t shuffle = json_int(json_get(order, "shuffle_ms"), 0);
    if (order == NULL || !is_share(lose) || !is_share(vanish) || !is_share(twice) || shuffle < 0 ||
        shuffle > SHUFFLE_MAX_MS) {
        sandbox_reply_problem(response, 422,
            "'lose', 'vanish' and 'double' are from 0 to 1, 'shuffle_ms' from 0 to 600000");
        return;
    }
    sandbox->github->hooks->faults = (struct hook_faults){.lose = json_number(lose, 0),
        .vanish = json_number(vanish, 0),
        .twice = json_number(twice, 0),
        .shuffle_ms = shuffle,
        .random = (uint64_t)json_int(json_get(order, "seed"), 1)};
    response->status = 204;
}

static bool
is_sha_or_absent(const struct json *value)
{
    const char *text = json_str(value);
    return value == NULL ||
           (text != NULL && strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40);
}

// {"repository", "ref", "before", "after", "commits", "login"}
static void
order_push(struct sandbox *sandbox, const struct json *order, struct sandbox_response *response)
{
    static const char zero[] = "0000000000000000000000000000000000000000";
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct github_repo *repo =
        sandbox_github_repo_named(sandbox->github, json_str(json_get(order, "repository")));
    const char *before = json_str(json_get(order, "before")),
               *after = json_str(json_get(order, "after")), *ref = json_str(json_get(order, "ref")),
               *login = json_str(json_get(order, "login"));
    if (repo == NULL) {
        sandbox_reply_problem(response, 404, "no such repository");
        return;
    }
    if (!is_sha_or_absent(json_get(order, "before")) ||
        !is_sha_or_absent(json_get(order, "after"))) {
        sandbox_reply_problem(response, 422, "'before' and 'after' are commit ids");
        return;
    }
    if (after == NULL && repo->is_git) {
        after = sandbox_source_tip(repo, arena);
    }
    const struct hook_push push = {.repo = repo,
        .ref = ref != NULL ? ref
                           : arena_printf(arena, "refs/heads/%s",
                                 sandbox_source_default_branch(repo, arena)),
        .before = before != NULL ? before : zero,
        .after = after != NULL ? after : "0000000000000000000000000000000000000001",
        .commits = json_get(order, "commits"),
        .login = login != NULL ? login : sandbox_github_user_login};
    sandbox_webhook_push(sandbox, &push);
    response->status = 204;
}

bool
sandbox_webhook_control(struct sandbox *sandbox, const struct sandbox_request *request,
    const struct json *order, struct sandbox_response *response)
{
    if (sandbox_request_match(request, 2, "hooks")) {
        configure(sandbox, order, response);
    } else if (sandbox_request_match(request, 2, "hooks/faults")) {
        set_faults(sandbox, order, response);
    } else if (sandbox_request_match(request, 2, "push")) {
        order_push(sandbox, order, response);
    } else {
        return false;
    }
    return true;
}

struct json *
sandbox_webhook_state_json(const struct sandbox *sandbox)
{
    const struct github_hooks *hooks = sandbox->github->hooks;
    const struct hook_counts *counts = &hooks->counts;
    struct json *body = json_make_object();
    const struct {
        const char *name;
        int64_t count;
    } numbers[] = {{"events", counts->events}, {"sent", counts->sent}, {"good", counts->good},
        {"failed", counts->failed}, {"lost", counts->lost}, {"vanished", counts->vanished},
        {"doubled", counts->doubled}, {"redelivered", counts->redelivered}};
    int64_t open = 0;
    for (size_t i = hooks->oldest_open; i < hooks->count; i++) {
        open += hooks->list[i]->state != DELIVERY_DONE;
    }
    json_set(body, "urls", hooks->urls != NULL ? json_clone(hooks->urls) : json_make_array());
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        json_set_int(body, numbers[i].name, numbers[i].count);
    }
    json_set_int(body, "open", open);
    return body;
}

void
sandbox_webhook_ready(const struct sandbox *sandbox, struct json *addresses)
{
    json_set_str(
        addresses, "DISPATCHER_SANDBOX_WEBHOOK_SECRET_FILE", sandbox->github->hooks->secret_path);
}
