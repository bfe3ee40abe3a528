// Slack's incoming webhooks: one address, which is a secret, and a text for an answer. A status of
// 200 alone means nothing there: "ok" does, and other texts are errors.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "notify_internal.h"

enum { HTTPS_PORT = 443, KEY_MIN = 16 };

static const char address_hint[] =
    "An incoming webhook's address starts with https://hooks.slack.com/services/; another host has "
    "to stand under 'notify.private_hosts' of dispatcher.yaml.";

// What is wrong with the address, or NULL. Nothing of it but its host is ever shown.
static const char *
url_problem(const struct url *url, bool to_private)
{
    bool secure = strcmp(url->scheme, "https") == 0;
    bool of_slack =
        strcmp(url->host, "hooks.slack.com") == 0 || strcmp(url->host, "hooks.slack-gov.com") == 0;
    if (url->has_user) {
        return "its address holds a user name";
    }
    if (to_private) {
        return secure || url_host_is_loopback(url->host) ? NULL : "its address is not https";
    }
    if (!of_slack) {
        return "its address is not at hooks.slack.com";
    }
    return secure && url->port == HTTPS_PORT ? NULL : "its address is not plainly https";
}

static void
judge(const struct notify_case *at, const struct http_response *response)
{
    struct str text = str_trim(buf_str(&response->body));
    bool good = notify_status_is_good(response->status);
    bool word = slack_words_resemble(text);
    // A key looks like a word, too, and problems are kept.
    const char *copy =
        word ? notify_words(at->arena, arena_str(at->arena, text), NOTIFY_WORDS_MAX) : NULL;
    if (good && str_equal(text, STR("ok"))) {
        notify_delivered(at);
    } else if (word && (good || (response->status < 500 && slack_words_know(copy)))) {
        slack_words_settle(at, response, copy, NULL);
    } else if (good) {
        notify_settle(at, NOTIFY_DOUBT, NULL, "its answer is none of Slack's");
    } else {
        notify_settle_status(at, response, copy);
    }
}

static void
send_to(const struct notify_case *at, const char *url, const char *body)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    http_headers_add(&headers, "Content-Type", "application/json; charset=utf-8");
    const struct http_request request = {
        .method = HTTP_POST, .url = url, .headers = &headers, .body = str_of(body), .once = true};
    if (notify_send(at, &request, &response)) {
        judge(at, &response);
    }
}

// "https://hooks.slack.com/services/T…/B…/<key>": logs and answers quote the path, or the key.
void
slack_webhook_mask(const struct secret *url)
{
    struct url parts CLEANUP(url_done) = {0};
    struct error *err CLEANUP(error_freep) = url_parse(secret_expose(url).ptr, &parts);
    struct str rest = str_of(parts.path), piece = {0}, key = {0};
    while (err == NULL && str_cut(rest, '/', &piece, &rest)) {
        key = piece.len >= KEY_MIN ? piece : key;
    }
    if (key.len > 0) {
        secret_free(secret_new(key)); // the mask stays
    }
}

void
slack_webhook_send(const struct platform *platform, struct http_client *http,
    const struct slack_webhook *webhook, struct arena *arena, struct notify_result *out)
{
    struct url parts CLEANUP(url_done) = {0};
    struct notify_case at = {platform, http, arena, "an incoming webhook", out};
    const char *address = secret_expose(webhook->url).ptr;
    slack_webhook_mask(webhook->url);
    struct error *err CLEANUP(error_freep) = url_parse(address, &parts); // it quotes: never shown
    if (err != NULL) {
        notify_settle(&at, NOTIFY_BLOCKED, address_hint, "its address is no URL");
        return;
    }
    at.who = arena_printf(
        arena, "an incoming webhook of %s", notify_words(arena, parts.host, NOTIFY_WORDS_MAX));
    const char *problem = url_problem(&parts, webhook->to_private);
    if (problem != NULL) {
        notify_settle(&at, NOTIFY_BLOCKED, address_hint, "%s", problem);
        return;
    }
    send_to(&at, address, webhook->body);
}
