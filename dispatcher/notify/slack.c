// Slack's Web API with a bot token: where it is, what goes with every call, posting and updating.
// What an error word means is slack_words.c; what is said in a message is its caller's.
#include "dispatcher/slack.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "notify_internal.h"

enum { BODY_MAX = 512 * 1024, DEPTH_MAX = 64, URL_MAX = 8 * 1024, SHOWN_MAX = 80, ID_MAX = 64 };

static const struct json_limits body_limits = {BODY_MAX, DEPTH_MAX};

// Not quoted where it may hold a password.
static struct error *
check_api(const char *api, char **host)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err = url_parse(api, &url);
    if (err != NULL) {
        return error_wrap_as(ERROR_SPEC, err, "the address of Slack's API");
    }
    if (url.has_user || url.query != NULL || strchr(api, '#') != NULL) {
        return error_new(
            ERROR_SPEC, "the address of Slack's API holds a user name, a query or a fragment");
    }
    if (strcmp(url.scheme, "https") != 0 && !url_host_is_loopback(url.host)) {
        return error_new(ERROR_SPEC, "the address of Slack's API '%.200s' is not https", api);
    }
    *host = xstrdup(url.host);
    return NULL;
}

struct error *
slack_client_new(const struct platform *platform, struct http_client *http, const char *api,
    struct secret *token, struct slack_client **out)
{
    char *host CLEANUP(xfreep) = NULL;
    struct str base = str_of(api != NULL ? api : "https://slack.com/api");
    TRY(check_api(base.ptr, &host));
    while (str_ends(base, STR("/"))) {
        base.len--;
    }
    struct slack_client *client = xcalloc(1, sizeof(*client));
    client->platform = platform;
    client->http = http;
    client->api = str_dup(base);
    client->host = host;
    client->token = secret_ref(token);
    host = NULL;
    *out = client;
    return NULL;
}

void
slack_client_free(struct slack_client *client)
{
    if (client == NULL) {
        return;
    }
    secret_free(client->token);
    free(client->api);
    free(client->host);
    free(client);
}

void
slack_client_freep(struct slack_client **client)
{
    slack_client_free(*client);
    *client = NULL;
}

bool
slack_id_is_plausible(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    return len > 0 && len <= ID_MAX &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") == len;
}

// What an answer that has come means: the object when it says "ok".
static struct json *
judge(const struct notify_case *at, const struct http_response *response, const char **word)
{
    struct json *answer CLEANUP(json_freep) = notify_answer(response);
    bool good = notify_status_is_good(response->status);
    const char *error = json_str(json_get(answer, "error"));
    // A failing server's word is about the server; a proxy's page has none; 429 is a limit whatever
    // the word.
    bool at_odds = response->status == 429 && !cstr_equal(error, "ratelimited");
    bool telling =
        error != NULL && !at_odds && (good || (response->status < 500 && slack_words_know(error)));
    *word = arena_dup(at->arena, error != NULL ? error : "");
    if (good && json_bool(json_get(answer, "ok"), false)) {
        struct json *object = answer;
        answer = NULL;
        return object;
    }
    if (telling) {
        slack_words_settle(at, response, error, answer);
    } else if (good) {
        notify_settle(at, NOTIFY_DOUBT, NULL, "its answer is none of Slack's");
    } else {
        notify_settle_status(at, response, notify_words(at->arena, error, SHOWN_MAX));
    }
    return NULL;
}

struct json *
slack_call(struct slack_client *client, const struct notify_case *at, const struct slack_call *call,
    const char **word)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct buf url CLEANUP(buf_done) = BUF_INIT(URL_MAX);
    const char *ignored = NULL;
    buf_printf(&url, "%s/%s", client->api, call->method);
    if (call->query != NULL) {
        buf_printf(&url, "?%s", call->query);
    }
    http_headers_add_secret(&headers, "Authorization", "Bearer ", client->token);
    if (call->body.len > 0) {
        http_headers_add(&headers, "Content-Type", "application/json; charset=utf-8");
    }
    if (url.failed) {
        notify_settle(at, NOTIFY_REFUSED, NULL, "the request is too long");
        return NULL;
    }
    const struct http_request request = {.method = call->query != NULL ? HTTP_GET : HTTP_POST,
        .url = buf_cstr(&url),
        .headers = &headers,
        .body = call->body,
        .deadline_ms = call->deadline_ms,
        .max_response = call->max_response,
        .once = call->once};
    bool answered = notify_send(at, &request, &response);
    return answered ? judge(at, &response, word != NULL ? word : &ignored) : NULL;
}

// The caller's object with where it goes; false: it is none, or too long.
static bool
address_body(const struct slack_message *message, struct buf *out)
{
    struct json *body CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) = json_parse(str_of(message->body), &body_limits, &body);
    if (err != NULL || !json_is_object(body)) {
        return false;
    }
    json_set_str(body, "channel", message->channel);
    if (message->ts != NULL) {
        json_set_str(body, "ts", message->ts);
    } else if (message->thread != NULL) {
        json_set_str(body, "thread_ts", message->thread);
    }
    if (message->thread != NULL && message->broadcast) {
        json_set_bool(body, "reply_broadcast", true);
    } else if (message->thread == NULL && json_get(body, "reply_broadcast") != NULL) {
        json_set_bool(body, "reply_broadcast", false); // it answers nothing
    }
    json_print(body, false, out);
    return !out->failed;
}

const char *
slack_place(const struct slack_client *client, const char *channel, struct arena *arena)
{
    return arena_printf(arena, "%s: '%s'", client->host, notify_words(arena, channel, SHOWN_MAX));
}

void
slack_send(struct slack_client *client, const struct slack_message *message, struct arena *arena,
    struct slack_posted *out)
{
    struct buf body CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    *out = (struct slack_posted){0};
    const struct notify_case at = {client->platform, client->http, arena,
        slack_place(client, message->channel, arena), &out->result};
    if (message->channel == NULL || message->channel[0] == '\0') {
        notify_settle(&at, NOTIFY_BLOCKED, "Name a channel of Slack.", "no channel is named");
        return;
    }
    if (!address_body(message, &body)) {
        notify_settle(&at, NOTIFY_REFUSED, NULL, "the message is no JSON object, or too long");
        return;
    }
    bool update = message->ts != NULL;
    const struct slack_call call = {.method = update ? "chat.update" : "chat.postMessage",
        .body = buf_str(&body),
        .once = !update};
    struct json *answer CLEANUP(json_freep) = slack_call(client, &at, &call, NULL);
    if (answer == NULL) {
        return;
    }
    const char *channel = json_str(json_get(answer, "channel"));
    const char *ts = json_str(json_get(answer, "ts"));
    channel = channel == NULL && update ? message->channel : channel;
    ts = ts == NULL && update ? message->ts : ts;
    if (!slack_id_is_plausible(channel) || !slack_id_is_plausible(ts)) {
        notify_settle(&at, NOTIFY_DOUBT, NULL, "its answer does not say where the message is");
        return;
    }
    notify_delivered(&at);
    out->channel = arena_dup(arena, channel);
    out->ts = arena_dup(arena, ts);
}

void
slack_check(
    struct slack_client *client, struct arena *arena, struct notify_result *out, const char **who)
{
    const struct notify_case at = {client->platform, client->http, arena, client->host, out};
    const struct slack_call call = {.method = "auth.test"};
    struct json *answer CLEANUP(json_freep) = slack_call(client, &at, &call, NULL);
    if (answer == NULL) {
        return;
    }
    const char *kind = json_str(json_get(answer, "bot_id")) != NULL ? "bot" : "user";
    const char *user = json_str(json_get(answer, "user"));
    const char *team = json_str(json_get(answer, "team"));
    notify_delivered(&at);
    *who = arena_printf(arena, "%s '%s' of '%s'", kind, notify_words(arena, user, SHOWN_MAX),
        notify_words(arena, team, SHOWN_MAX));
}
