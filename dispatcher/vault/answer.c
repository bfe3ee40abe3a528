// What an answer that is no success means, in plain words. Nothing of it is quoted but the texts of
// "errors", and those cleaned and masked. Pure.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"
#include "vault_internal.h"

enum { WORDS_MAX = 300, BODY_MAX = 1024 * 1024, DEPTH_MAX = 32 };

static const struct json_limits limits = {BODY_MAX, DEPTH_MAX};

static const char address_hint[] = "Set VAULT_ADDR to the active node, or to the load balancer in "
                                   "front of the cluster.";

// api-docs "HTTP status codes" and sys/health; everything else is told by its number.
static const struct meaning {
    int status;
    enum error_kind kind;
    const char *text, *hint;
} meanings[] = {
    {400, ERROR_REFUSED, "the request is not understood", NULL},
    {403, ERROR_CREDENTIALS, "permission denied", NULL},
    {404, ERROR_REFUSED, "not found", NULL},
    {405, ERROR_REFUSED, "that cannot be done there", NULL},
    {412, ERROR_UNAVAILABLE, "this node has not caught up with the others yet", NULL},
    {429, ERROR_UNAVAILABLE, "too many requests",
        "Ask whoever runs Vault about its rate limit quotas."},
    {472, ERROR_UNAVAILABLE, "this node is a secondary for disaster recovery", address_hint},
    {473, ERROR_UNAVAILABLE, "this node is a performance standby", address_hint},
    {474, ERROR_UNAVAILABLE, "this node is a standby that cannot reach the active one",
        address_hint},
    {501, ERROR_UNAVAILABLE, "Vault is not initialized", NULL},
    {503, ERROR_UNAVAILABLE, "Vault is sealed, or has too much to do",
        "Whoever runs Vault has to unseal it; 'vault status' shows its state."},
};

const char *
vault_clean(struct arena *arena, const char *text, size_t max)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(max + 16);
    if (text == NULL) {
        return NULL;
    }
    text_clean(str_trim(str_of(text)), max, &out);
    return arena_str(arena, buf_str(&out));
}

void
vault_who(const struct vault_client *client, struct buf *out)
{
    if (client->auth == VAULT_AUTH_TOKEN) {
        buf_puts(out, "the token in VAULT_TOKEN");
    } else if (client->role != NULL) {
        buf_printf(out, "role '%s'", client->role);
    } else {
        buf_printf(out, "the default role of 'auth/%s'", client->mount);
    }
}

struct error *
vault_parse(const struct http_response *response, struct json **out)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    // Its own error says where in the text; the text may be a secret's.
    struct error *err CLEANUP(error_freep) = json_parse(buf_str(&response->body), &limits, &answer);
    if (err != NULL || !json_is_object(answer)) {
        return error_remote(error_new(ERROR_UNAVAILABLE, "unusable answer: no JSON object"),
            response->status, NULL, NULL, true);
    }
    *out = answer;
    answer = NULL;
    return NULL;
}

// Go's lists of errors come with line ends and tabs.
static void
add_squeezed(const char *text, struct buf *out)
{
    bool space = false;
    for (const char *at = text; *at != '\0'; at++) {
        bool is_space = *at == ' ' || *at == '\n' || *at == '\t' || *at == '\r';
        if (!is_space) {
            buf_puts(out, space ? " " : "");
            buf_putc(out, *at);
        }
        space = is_space;
    }
}

/// The texts of "errors", cleaned; nothing when there are none.
static void
read_words(const struct http_response *response, struct buf *out)
{
    struct json *body CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) = json_parse(buf_str(&response->body), &limits, &body);
    if (err != NULL) {
        return; // a proxy's page, perhaps
    }
    const struct json *list = json_get(body, "errors");
    struct buf all CLEANUP(buf_wipe) = BUF_INIT(BODY_MAX);
    for (size_t i = 0; i < json_count(list); i++) {
        const char *text = json_str(json_at(list, i));
        if (text != NULL) {
            buf_puts(&all, all.len > 0 ? "; " : "");
            add_squeezed(text, &all);
        }
    }
    secret_mask(&all); // what was sent may come back
    text_clean(str_trim(buf_str(&all)), WORDS_MAX, out);
    while (str_ends(buf_str(out), STR(".")) || str_ends(buf_str(out), STR(" "))) {
        buf_cut(out, out->len - 1);
    }
}

/// Where a redirect leads, as "host:port", into `out`; nothing when it leads nowhere.
static void
read_location(
    const struct vault_client *client, const struct http_response *response, struct buf *out)
{
    const char *location = http_headers_get(&response->headers, "Location");
    struct url here CLEANUP(url_done) = {0};
    struct url there CLEANUP(url_done) = {0};
    char *target CLEANUP(xfreep) = NULL;
    struct error *err = location != NULL ? url_resolve(client->address, location, &target) : NULL;
    if (err == NULL && target != NULL) {
        err = url_parse(target, &there);
    }
    if (err == NULL && there.host != NULL) {
        err = url_parse(client->address, &here);
    }
    if (err == NULL && here.host != NULL && !url_same_origin(&here, &there)) {
        buf_printf(out, "%s://%s:%u", there.scheme, there.host, there.port);
    }
    error_free(err);
}

// A standby that cannot forward sends people on to the active node; the token would go along.
static struct error *
redirected(const struct vault_client *client, const struct http_response *response)
{
    struct buf target CLEANUP(buf_done) = BUF_INIT(1024);
    read_location(client, response, &target);
    if (target.len == 0) {
        return error_hint(
            error_new(ERROR_UNAVAILABLE, "the answer is a redirect, which is not followed"),
            "Check VAULT_ADDR: its scheme, its port and the path in front of '/v1'.");
    }
    return error_hint(
        error_new(ERROR_UNAVAILABLE, "the answer is a redirect to '%s', which is not followed",
            buf_cstr(&target)),
        "This is a standby node, and the token is for the host in VAULT_ADDR only. %s",
        address_hint);
}

static const struct meaning *
meaning_of(int status)
{
    for (size_t i = 0; i < ARRAY_LENGTH(meanings); i++) {
        if (meanings[i].status == status) {
            return &meanings[i];
        }
    }
    return NULL;
}

struct error *
vault_answer_error(const struct vault_client *client, const struct http_response *response)
{
    int status = response->status;
    struct error *err = NULL;
    if (status >= 300 && status < 400) {
        err = redirected(client, response);
        return error_remote(err, status, NULL, NULL, true);
    }
    const struct meaning *meaning = meaning_of(status);
    enum error_kind kind = meaning != NULL                 ? meaning->kind
                           : status >= 400 && status < 500 ? ERROR_REFUSED
                                                           : ERROR_UNAVAILABLE;
    struct buf words CLEANUP(buf_done) = BUF_INIT(2 * WORDS_MAX);
    read_words(response, &words);
    if (words.len > 0) {
        err = error_new(kind, "%s", buf_cstr(&words));
    } else {
        err = error_new(kind, "%s", meaning != NULL ? meaning->text : "no answer of Vault's");
    }
    if (meaning != NULL && meaning->hint != NULL) {
        err = error_hint(err, "%s", meaning->hint);
    }
    return error_remote(err, status, NULL, NULL, true);
}
