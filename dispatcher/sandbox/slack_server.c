// Front door of the sandbox's Slack: who asks, what was asked for, and how Slack says no (HTTP 200
// with "ok": false). Messages are slack_server_chat.c and _read.c, the incoming webhook is
// _webhook.c, buttons are _press.c, orders are _control.c.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "slack_server_internal.h"

enum { BURST = 5, CALLS_A_MINUTE = 50 }; // the latter: Slack's tier 3

const char sandbox_slack_team[] = "T0SANDBOX00", sandbox_slack_bot[] = "B0SANDBOX00";
static const char bot_user[] = "U0SANDBOX00";

// --- the state
// ------------------------------------------------------------------------------------

static void
forget(struct slack_state *slack)
{
    for (size_t i = 0; i < slack->channel_count; i++) {
        sandbox_slack_free_channel(slack->channels[i]);
    }
    for (size_t i = 0; i < slack->press_count; i++) {
        sandbox_slack_free_press(slack->presses[i]);
    }
    free(slack->channels);
    free(slack->presses);
    json_free(slack->responses);
    free(slack->hook_channel);
    json_free(slack->scopes);
    sandbox_inbox_forget_window(&slack->updates);
    sandbox_inbox_forget_window(&slack->reads);
    sandbox_inbox_forget_failure(&slack->failure);
    sandbox_inbox_forget_counts(&slack->counts);
}

void
sandbox_slack_reset(struct sandbox *sandbox)
{
    static const char *const scopes[] = {
        "chat:write", "channels:history", "groups:history", "channels:read", "groups:read"};
    static const char *const channels[] = {"deploys", "incidents", "general"};
    struct slack_state *slack = sandbox->slack;
    forget(slack);
    *slack = (struct slack_state){.token = slack->token,
        .signing_secret = slack->signing_secret,
        .hook_key = slack->hook_key,
        .last_us = slack->last_us,
        .scopes = json_make_array(),
        .responses = json_make_array(),
        .per_second = 1,
        .burst = BURST,
        .calls_a_minute = CALLS_A_MINUTE};
    for (size_t i = 0; i < ARRAY_LENGTH(scopes); i++) {
        json_append(slack->scopes, json_make_string(scopes[i]));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(channels); i++) {
        (void)sandbox_slack_add_channel(slack, NULL, channels[i]);
    }
    slack->hook_channel = xstrdup(slack->channels[0]->id);
}

struct error *
sandbox_slack_start(struct sandbox *sandbox)
{
    char random[49];
    struct slack_state *slack = xcalloc(1, sizeof(*slack));
    random_hex(sandbox->platform->random, 12, random);
    slack->token = xasprintf("xoxb-100000000000-200000000000-%s", random);
    random_hex(sandbox->platform->random, 16, random);
    slack->signing_secret = xstrdup(random);
    random_hex(sandbox->platform->random, 12, random);
    slack->hook_key = xstrdup(random);
    sandbox->slack = slack;
    sandbox_slack_reset(sandbox);
    return NULL;
}

void
sandbox_slack_stop(struct sandbox *sandbox)
{
    if (sandbox->slack != NULL) {
        forget(sandbox->slack);
        free(sandbox->slack->token);
        free(sandbox->slack->signing_secret);
        free(sandbox->slack->hook_key);
        free(sandbox->slack);
        sandbox->slack = NULL;
    }
}

void
sandbox_slack_ready(const struct sandbox *sandbox, struct json *addresses)
{
    const struct slack_state *slack = sandbox->slack;
    char *api CLEANUP(xfreep) = xasprintf("%s/slack/api/", sandbox->origin);
    char *hook CLEANUP(xfreep) = xasprintf("%s/slack/services/%s/%s/%s", sandbox->origin,
        sandbox_slack_team, sandbox_slack_bot, slack->hook_key);
    json_set_str(addresses, "SLACK_API_URL", api);
    json_set_str(addresses, "SLACK_BOT_TOKEN", slack->token);
    json_set_str(addresses, "SLACK_WEBHOOK_URL", hook);
    json_set_str(addresses, "SLACK_SIGNING_SECRET", slack->signing_secret);
}

// --- answers
// --------------------------------------------------------------------------------------

static const char *
scopes_text(struct slack_call *call)
{
    const struct json *scopes = call->sandbox->slack->scopes;
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    for (size_t i = 0; i < json_count(scopes); i++) {
        buf_printf(&text, "%s%s", i > 0 ? "," : "", json_str(json_at(scopes, i)));
    }
    return arena_str(call->request->arena, buf_str(&text));
}

// A JSON body without a charset in its type draws a warning, as from Slack.
static void
warn_of_charset(struct json *body)
{
    const struct json *said = json_get(body, "response_metadata"),
                      *warned = json_get(said, "warnings");
    struct json *metadata = said != NULL ? json_clone(said) : json_make_object();
    struct json *warnings = warned != NULL ? json_clone(warned) : json_make_array();
    json_append(warnings, json_make_string("missing_charset"));
    json_set(metadata, "warnings", warnings);
    json_set(body, "response_metadata", metadata);
    json_set_str(body, "warning", "missing_charset");
}

static void
reply(struct slack_call *call, struct json *body)
{
    if (call->lacks_charset) {
        warn_of_charset(body);
    }
    sandbox_reply_json(call->response, 200, body);
    sandbox_reply_header(call->response, "X-OAuth-Scopes", scopes_text(call));
}

void
sandbox_slack_reply(struct slack_call *call, struct json *body)
{
    json_set_bool(body, "ok", true);
    reply(call, body);
}

void
sandbox_slack_refuse(struct slack_call *call, const char *word, struct json *more)
{
    struct json *body = more != NULL ? more : json_make_object();
    sandbox_inbox_refused(&call->sandbox->slack->counts, word);
    json_set_bool(body, "ok", false);
    json_set_str(body, "error", word);
    reply(call, body);
}

void
sandbox_slack_refuse_argument(struct slack_call *call, const char *message)
{
    struct json *more = json_make_object(), *metadata = json_make_object(),
                *messages = json_make_array();
    char *text CLEANUP(xfreep) = xasprintf("[ERROR] %s", message);
    json_append(messages, json_make_string(text));
    json_set(metadata, "messages", messages);
    json_set(more, "response_metadata", metadata);
    sandbox_slack_refuse(call, "invalid_arguments", more);
}

void
sandbox_slack_limited(struct slack_call *call, int64_t wait_ms)
{
    sandbox_slack_refuse(call, "ratelimited", NULL);
    call->response->status = 429;
    sandbox_reply_header(
        call->response, "Retry-After", sandbox_inbox_seconds(call->request->arena, wait_ms));
}

bool
sandbox_slack_has_scope(const struct slack_state *slack, const char *scope)
{
    for (size_t i = 0; i < json_count(slack->scopes); i++) {
        if (cstr_equal(json_str(json_at(slack->scopes, i)), scope)) {
            return true;
        }
    }
    return false;
}

bool
sandbox_slack_need_scope(struct slack_call *call, const char *scope)
{
    if (sandbox_slack_has_scope(call->sandbox->slack, scope)) {
        return true;
    }
    struct json *more = json_make_object();
    json_set_str(more, "needed", scope);
    json_set_str(more, "provided", scopes_text(call));
    sandbox_slack_refuse(call, "missing_scope", more);
    sandbox_reply_header(call->response, "X-Accepted-OAuth-Scopes", scope);
    return false;
}

// --- arguments
// ------------------------------------------------------------------------------------

// What a form or a query may carry; a JSON body is taken as it is.
static const char *const argument_names[] = {"token", "channel", "text", "blocks", "attachments",
    "metadata", "thread_ts", "reply_broadcast", "ts", "message_ts", "oldest", "latest", "inclusive",
    "limit", "cursor", "include_all_metadata", "types", "exclude_archived"};

static void
take_form(struct slack_call *call, struct str form)
{
    for (size_t i = 0; i < ARRAY_LENGTH(argument_names); i++) {
        json_set_str(call->arguments, argument_names[i],
            sandbox_form_value(call->request->arena, form, argument_names[i]));
    }
}

static void
take_member(void *ctx, const char *key, const struct json *value)
{
    json_set(ctx, key, json_clone(value));
}

// NULL, or the word for a body that cannot be read.
static const char *
read_arguments(struct slack_call *call)
{
    const struct sandbox_request *request = call->request;
    const char *type = sandbox_request_header(request, "Content-Type");
    struct str kind = str_of(type), body = buf_str(&request->body);
    call->arguments = json_make_object();
    take_form(call, str_of(request->query));
    if (body.len == 0) {
        return NULL;
    }
    if (type == NULL) {
        return "missing_post_type";
    }
    if (str_starts(kind, STR("application/x-www-form-urlencoded"))) {
        take_form(call, body);
        return NULL;
    }
    if (!str_starts(kind, STR("application/json"))) {
        return "invalid_post_type";
    }
    struct json *parsed CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) = json_parse(body, &json_limits_default, &parsed);
    if (err != NULL) {
        return "invalid_json";
    }
    if (!json_is_object(parsed)) {
        return "json_not_object";
    }
    json_each(parsed, take_member, call->arguments);
    json_set(call->arguments, "token", json_make_null()); // Slack wants it in the header then
    call->lacks_charset = !str_contains(kind, STR("charset"));
    return NULL;
}

const char *
sandbox_slack_argument(const struct slack_call *call, const char *name)
{
    const char *text = json_str(json_get(call->arguments, name));
    return text != NULL && text[0] != '\0' ? text : NULL;
}

bool
sandbox_slack_flag(const struct slack_call *call, const char *name)
{
    const struct json *value = json_get(call->arguments, name);
    const char *text = json_str(value);
    return text != NULL ? strcmp(text, "true") == 0 || strcmp(text, "1") == 0
                        : json_bool(value, false) || json_int(value, 0) == 1;
}

// --- who asks, and what for
// ------------------------------------------------------------------------

// NULL, or the word for a token that is none, wrong, or good no more.
static const char *
check_token(const struct slack_call *call)
{
    static const char *const words[] = {[SLACK_TOKEN_GOOD] = NULL,
        [SLACK_TOKEN_REVOKED] = "token_revoked",
        [SLACK_TOKEN_INACTIVE] = "account_inactive"};
    const struct slack_state *slack = call->sandbox->slack;
    const char *given = sandbox_request_bearer(call->request);
    given = given != NULL ? given : sandbox_slack_argument(call, "token");
    if (given == NULL) {
        return "not_authed";
    }
    return strcmp(given, slack->token) == 0 ? words[slack->token_state] : "invalid_auth";
}

static void
auth_test(struct slack_call *call)
{
    struct json *body = json_make_object();
    char *url CLEANUP(xfreep) = xasprintf("%s/slack/", call->sandbox->origin);
    json_set_str(body, "url", url);
    json_set_str(body, "team", "Sandbox");
    json_set_str(body, "user", "dispatcher");
    json_set_str(body, "team_id", sandbox_slack_team);
    json_set_str(body, "user_id", bot_user);
    json_set_str(body, "bot_id", sandbox_slack_bot);
    json_set_bool(body, "is_enterprise_install", false);
    sandbox_slack_reply(call, body);
}

enum rate { RATE_NONE, RATE_UPDATES, RATE_READS };

static const struct {
    const char *name;
    void (*run)(struct slack_call *call);
    enum rate rate;
} methods[] = {
    {"auth.test", auth_test, RATE_NONE},
    {"chat.postMessage", sandbox_slack_post, RATE_NONE}, // has one by channel
    {"chat.update", sandbox_slack_update, RATE_UPDATES},
    {"chat.getPermalink", sandbox_slack_permalink, RATE_NONE},
    {"conversations.history", sandbox_slack_history, RATE_READS},
    {"conversations.replies", sandbox_slack_replies, RATE_READS},
    {"users.conversations", sandbox_slack_memberships, RATE_NONE},
};

static bool
is_within_rate(struct slack_call *call, enum rate rate, int64_t *wait_ms)
{
    struct slack_state *slack = call->sandbox->slack;
    struct inbox_window *window = rate == RATE_UPDATES ? &slack->updates : &slack->reads;
    return rate == RATE_NONE ||
           sandbox_inbox_window_takes(
               window, clock_mono(call->sandbox->platform->clock), slack->calls_a_minute, wait_ms);
}

// As the order says: an answer of Slack's kind, or any status and body.
static bool
fails(struct slack_call *call)
{
    struct slack_state *slack = call->sandbox->slack;
    const struct inbox_failure *failure = &slack->failure;
    if (!sandbox_inbox_fails(&slack->failure, call->method)) {
        return false;
    }
    if (failure->body != NULL) {
        sandbox_inbox_refused(&slack->counts, "on order");
        bool is_json = failure->body[0] == '{';
        sandbox_reply_text(
            call->response, 200, is_json ? "application/json" : "text/html", str_of(failure->body));
    } else {
        sandbox_slack_refuse(
            call, failure->error != NULL ? failure->error : "internal_error", NULL);
    }
    call->response->status = failure->status != 0 ? failure->status : 200;
    if (failure->retry_after != NULL) {
        sandbox_reply_header(call->response, "Retry-After", failure->retry_after);
    }
    return true;
}

static void
run_method(struct slack_call *call)
{
    int64_t wait_ms = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        if (strcmp(methods[i].name, call->method) != 0) {
            continue;
        }
        if (is_within_rate(call, methods[i].rate, &wait_ms)) {
            methods[i].run(call);
        } else {
            sandbox_slack_limited(call, wait_ms);
        }
        return;
    }
    struct json *more = json_make_object();
    json_set_str(more, "req_method", call->method);
    sandbox_slack_refuse(call, "unknown_method", more);
}

static void
handle_call(struct slack_call *call)
{
    call->sandbox->slack->counts.requests++;
    if (fails(call)) {
        return;
    }
    const char *problem = read_arguments(call);
    if (problem == NULL) {
        problem = check_token(call);
    }
    if (problem != NULL) {
        sandbox_slack_refuse(call, problem, NULL);
    } else {
        run_method(call);
    }
}

void
sandbox_slack_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    if (sandbox_request_match(request, 1, "api/:")) {
        struct slack_call call = {.sandbox = sandbox,
            .request = request,
            .response = response,
            .method = request->parts[2]};
        handle_call(&call);
        json_free(call.arguments);
    } else if (sandbox_request_match(request, 1, "services/:/:/:")) {
        sandbox_slack_webhook(sandbox, request, response);
    } else if (sandbox_request_match(request, 1, "actions/:/:") &&
               sandbox_request_is(request, "POST")) {
        sandbox_slack_respond(sandbox, request, response);
    } else if (sandbox_request_match(request, 1, "archives/:/:")) { // where permalinks lead
        char *place CLEANUP(xfreep) =
            xasprintf("/inbox#%s-%s", request->parts[2], request->parts[3]);
        response->status = 302;
        sandbox_reply_header(response, "Location", place);
    } else {
        sandbox_reply_problem(response, 404, "nothing is served at this path");
    }
}

void
sandbox_slack_expired(const struct sandbox_request *request, struct sandbox_response *response)
{
    if (sandbox_request_match(request, 1, "api/:")) {
        sandbox_reply_text(response, 200, "application/json; charset=utf-8",
            STR("{\"ok\":false,\"error\":\"token_expired\"}"));
    } else {
        sandbox_reply_text(response, 403, "text/html", STR("invalid_token"));
    }
}
