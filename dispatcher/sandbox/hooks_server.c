// The sandbox's receiver of webhooks: keeps what comes to /hooks/NAME, checks its signature as
// Standard Webhooks say (github.com/standard-webhooks) where an order gave a secret, and answers
// what an order says. It refuses nothing by itself, so that a wrong signature is seen in the inbox.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "inbox_internal.h"

enum { TOLERANCE_S = 5 * 60, SIGNED_MAX = 32 * 1024 * 1024 };

struct hook {
    char *name, *secret;
    int64_t left; // deliveries that are answered so; -1: all
    int status;
    char *body, *retry_after;
    int64_t hang_ms;
};

struct hooks_state {
    struct hook **hooks;
    size_t hook_count;
    struct json *deliveries;
    struct inbox_counts counts;
};

static void
forget(struct hooks_state *state)
{
    for (size_t i = 0; i < state->hook_count; i++) {
        free(state->hooks[i]->name);
        free(state->hooks[i]->secret);
        free(state->hooks[i]->body);
        free(state->hooks[i]->retry_after);
        free(state->hooks[i]);
    }
    free(state->hooks);
    json_free(state->deliveries);
    sandbox_inbox_forget_counts(&state->counts);
}

void
sandbox_hooks_reset(struct sandbox *sandbox)
{
    forget(sandbox->hooks);
    *sandbox->hooks = (struct hooks_state){.deliveries = json_make_array()};
}

struct error *
sandbox_hooks_start(struct sandbox *sandbox)
{
    sandbox->hooks = xcalloc(1, sizeof(*sandbox->hooks));
    sandbox_hooks_reset(sandbox);
    return NULL;
}

void
sandbox_hooks_stop(struct sandbox *sandbox)
{
    if (sandbox->hooks != NULL) {
        forget(sandbox->hooks);
        free(sandbox->hooks);
        sandbox->hooks = NULL;
    }
}

static struct hook *
find_hook(const struct hooks_state *state, const char *name)
{
    for (size_t i = 0; i < state->hook_count; i++) {
        if (strcmp(state->hooks[i]->name, name) == 0) {
            return state->hooks[i];
        }
    }
    return NULL;
}

// --- the signature
// --------------------------------------------------------------------------------

// "whsec_<base64>" is decoded; any other secret is used as its bytes are. False: not base64.
static bool
read_secret(const char *text, struct buf *out)
{
    struct str secret = str_of(text);
    if (!str_starts(secret, STR("whsec_"))) {
        buf_add(out, secret);
        return true;
    }
    struct error *err CLEANUP(error_freep) = base64_decode(str_skip(secret, 6), out);
    return err == NULL && out->len > 0;
}

static bool
has_signature(const char *given, const char *wanted)
{
    struct str one = {0}, rest = str_of(given), right = str_of(wanted);
    while (str_cut(rest, ' ', &one, &rest)) {
        if (one.len == right.len && digest_equal(one.ptr, right.ptr, one.len)) {
            return true;
        }
    }
    return false;
}

// NULL when it is valid, else what is wrong with it.
static const char *
check_signature(const struct sandbox_request *request, const char *secret)
{
    const char *id = sandbox_request_header(request, "webhook-id"),
               *at = sandbox_request_header(request, "webhook-timestamp"),
               *given = sandbox_request_header(request, "webhook-signature");
    int64_t seconds = 0, now = request->received_ms / 1000;
    if (id == NULL || at == NULL || given == NULL) {
        return "missing required headers";
    }
    if (!str_to_int64(str_of(at), &seconds)) {
        return "the timestamp is no number";
    }
    if (seconds < now - TOLERANCE_S || seconds > now + TOLERANCE_S) {
        return seconds < now ? "the timestamp is too old" : "the timestamp is too new";
    }
    struct buf key CLEANUP(buf_done) = BUF_INIT(4096),
                   text CLEANUP(buf_done) = BUF_INIT(SIGNED_MAX),
                   wanted CLEANUP(buf_done) = BUF_INIT(256);
    unsigned char hash[SHA256_SIZE];
    (void)read_secret(secret, &key);
    buf_printf(&text, "%s.%s.", id, at);
    buf_add(&text, buf_str(&request->body));
    hmac_sha256(buf_str(&key), buf_str(&text), hash);
    buf_puts(&wanted, "v1,");
    base64_encode((struct str){(const char *)hash, sizeof(hash)}, &wanted);
    return has_signature(given, buf_cstr(&wanted)) ? NULL : "no matching signature";
}

// --- a delivery
// -----------------------------------------------------------------------------------

static void
set_body(struct json *delivery, const struct buf *body)
{
    struct json *parsed = NULL;
    bool is_text = str_is_utf8(buf_str(body)) && strlen(buf_cstr(body)) == body->len;
    if (!is_text) {
        struct buf encoded CLEANUP(buf_done) = BUF_INIT(SIGNED_MAX);
        base64_encode(buf_str(body), &encoded);
        json_set_str(delivery, "body_base64", buf_cstr(&encoded));
        return;
    }
    json_set_str(delivery, "body", buf_cstr(body));
    struct error *err CLEANUP(error_freep) =
        json_parse(buf_str(body), &json_limits_default, &parsed);
    if (err == NULL) {
        json_set(delivery, "json", parsed);
    }
}

static struct json *
record(const struct sandbox_request *request, const char *name, const struct hook *hook)
{
    struct json *delivery = json_make_object(), *headers = json_make_object();
    sandbox_inbox_set_time(delivery, request->received_ms);
    json_set_str(delivery, "name", name);
    json_set_str(delivery, "method", request->method);
    json_set_str(delivery, "target", request->target);
    for (size_t i = 0; i < request->headers.count; i++) {
        json_set_str(headers, request->headers.list[i].name, request->headers.list[i].value);
    }
    json_set(delivery, "headers", headers);
    set_body(delivery, &request->body);
    if (hook != NULL && hook->secret != NULL) {
        const char *why = check_signature(request, hook->secret);
        json_set_bool(delivery, "valid", why == NULL);
        json_set_str(delivery, "why", why);
    }
    return delivery;
}

// What the order says, for as many deliveries as it says; else 200.
static void
answer(struct hook *hook, struct sandbox_response *response)
{
    bool is_ordered = hook != NULL && hook->left != 0;
    int status = is_ordered && hook->status != 0 ? hook->status : 200;
    const char *body = is_ordered && hook->body != NULL ? hook->body
                       : status == 204                  ? ""
                       : status < 300                   ? "ok"
                                                        : "refused on order";
    bool is_json = body[0] == '{' || body[0] == '[';
    sandbox_reply_text(response, status, is_json ? "application/json" : "text/plain", str_of(body));
    if (!is_ordered) {
        return;
    }
    hook->left -= hook->left > 0 ? 1 : 0;
    response->wait_ms = hook->hang_ms;
    if (hook->retry_after != NULL) {
        sandbox_reply_header(response, "Retry-After", hook->retry_after);
    }
}

void
sandbox_hooks_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    struct hooks_state *state = sandbox->hooks;
    if (request->part_count != 2) {
        sandbox_reply_problem(response, 404, "a webhook is sent to /hooks/NAME");
        return;
    }
    struct hook *hook = find_hook(state, request->parts[1]);
    struct json *delivery = record(request, request->parts[1], hook);
    state->counts.requests++;
    answer(hook, response);
    json_set_int(delivery, "status", response->status);
    if (response->status >= 300) {
        char *word CLEANUP(xfreep) = xasprintf("%d", response->status);
        sandbox_inbox_refused(&state->counts, word);
    }
    json_append(state->deliveries, delivery);
}

void
sandbox_hooks_expired(struct sandbox_response *response)
{
    sandbox_reply_text(response, 401, "text/plain", STR("expired"));
}

// --- orders and what was got
// ----------------------------------------------------------------------

static struct hook *
add_hook(struct hooks_state *state, const char *name)
{
    struct hook *hook = xcalloc(1, sizeof(*hook));
    hook->name = xstrdup(name);
    state->hooks = xrealloc(state->hooks, (state->hook_count + 1) * sizeof(struct hook *));
    state->hooks[state->hook_count++] = hook;
    return hook;
}

static void
set_text(char **to, const struct json *value)
{
    free(*to);
    *to = json_is_int(value)        ? xasprintf("%lld", (long long)json_int(value, 0))
          : json_str(value) != NULL ? xstrdup(json_str(value))
                                    : NULL;
}

static const char *
check_order(const struct json *order, int64_t *hang_ms)
{
    const struct json *secret = json_get(order, "secret"), *status = json_get(order, "status");
    struct buf key CLEANUP(buf_done) = BUF_INIT(4096);
    if (order == NULL || json_str(json_get(order, "name")) == NULL) {
        return "an order for webhooks has a 'name'";
    }
    if (!json_is_null(secret) &&
        (json_str(secret) == NULL || !read_secret(json_str(secret), &key))) {
        return "'secret' is no text, or no base64 after whsec_";
    }
    if (status != NULL && (json_int(status, 0) < 200 || json_int(status, 0) > 599)) {
        return "'status' is no status from 200 to 599";
    }
    if (json_get(order, "hang") != NULL &&
        !sandbox_inbox_read_ms(json_get(order, "hang"), hang_ms)) {
        return "'hang' is a duration, as in \"2s\", or milliseconds";
    }
    return sandbox_inbox_count(json_get(order, "count"), -1) == 0
               ? "'count' is a number from 1 on, or \"all\""
               : NULL;
}

// {"name", "secret": "whsec_…", "status", "body", "retry_after", "hang": "2s", "count": 3|"all"}:
// the answer is replaced as a whole, the secret only when it is given.
void
sandbox_hooks_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    int64_t hang_ms = 0;
    const char *problem = check_order(order, &hang_ms);
    if (problem != NULL) {
        sandbox_reply_problem(response, 422, "%s", problem);
        return;
    }
    const char *name = json_str(json_get(order, "name"));
    struct hook *hook = find_hook(sandbox->hooks, name);
    hook = hook != NULL ? hook : add_hook(sandbox->hooks, name);
    if (json_get(order, "secret") != NULL) {
        set_text(&hook->secret, json_get(order, "secret"));
    }
    hook->status = (int)json_int(json_get(order, "status"), 0);
    set_text(&hook->body, json_get(order, "body"));
    set_text(&hook->retry_after, json_get(order, "retry_after"));
    hook->hang_ms = hang_ms;
    hook->left = sandbox_inbox_count(json_get(order, "count"), -1);
    response->status = 204;
}

struct json *
sandbox_hooks_inbox_json(struct sandbox *sandbox)
{
    struct json *inbox = json_make_object();
    sandbox_inbox_show_counts(&sandbox->hooks->counts, inbox);
    json_set(inbox, "deliveries", json_clone(sandbox->hooks->deliveries));
    return inbox;
}
