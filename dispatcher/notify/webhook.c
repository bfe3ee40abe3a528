// Anybody's webhook: a CloudEvent as it is, signed as Standard Webhooks say. The address is
// somebody else's word, so it is looked at before and while it is connected to; its answer is never
// shown.
#include "dispatcher/webhook.h"

#include <string.h>

#include "dispatcher/address.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "notify_internal.h"

enum { URL_MAX = 2048, HTTPS_PORT = 443, KEY_MAX = 4096, BODY_MAX = 1024 * 1024 };

// --- addresses -----------------------------------------------------------------------------------

static const char *
public_problem(const struct url *url)
{
    if (strcmp(url->scheme, "https") != 0) {
        return "must be https";
    }
    if (address_is_literal(url->host)) {
        return "names an address instead of a host";
    }
    if (!address_name_is_proper(url->host)) {
        return "names no proper host";
    }
    if (address_name_is_local(url->host)) {
        return "names a host that only a local network knows";
    }
    return url->port == HTTPS_PORT ? NULL : "names a port other than 443";
}

const char *
webhook_url_problem(const char *url, bool to_private)
{
    struct url parts CLEANUP(url_done) = {0};
    if (url == NULL || url[0] == '\0') {
        return "is missing";
    }
    if (strlen(url) > URL_MAX) {
        return "is longer than 2,048 characters";
    }
    struct error *err CLEANUP(error_freep) = url_parse(url, &parts);
    if (err != NULL) {
        return "is no URL";
    }
    if (parts.has_user) {
        return "holds a user name or a password";
    }
    if (strchr(url, '#') != NULL) {
        return "has a fragment, which is never sent";
    }
    if (!to_private) {
        return public_problem(&parts);
    }
    bool fine = strcmp(parts.scheme, "https") == 0 || url_host_is_loopback(parts.host);
    return fine ? NULL : "must be https";
}

// --- signatures ----------------------------------------------------------------------------------

static const struct str key_prefix = {"whsec_", sizeof("whsec_") - 1};

void
webhook_mask(const struct secret *secret)
{
    struct str text = secret_expose(secret);
    if (str_starts(text, key_prefix)) {
        secret_free(secret_new(str_skip(text, key_prefix.len))); // the mask stays
    }
}

// The bytes that sign; false: "whsec_" is not followed by base64, or there are none.
static bool
read_key(const struct secret *secret, struct buf *out)
{
    struct str text = secret_expose(secret);
    if (!str_starts(text, key_prefix)) {
        buf_add(out, text);
        return out->len > 0 && !out->failed;
    }
    struct error *err CLEANUP(error_freep) = base64_decode(str_skip(text, key_prefix.len), out);
    return err == NULL && out->len > 0 && !out->failed;
}

// Standard Webhooks, "Symmetric signatures": "{id}.{timestamp}.{payload}".
static void
add_signature(
    const struct buf *key, const char *id, int64_t timestamp_s, struct str body, struct buf *out)
{
    unsigned char mac[SHA256_SIZE];
    struct buf content CLEANUP(buf_done) = BUF_INIT(SIZE_MAX / 2);
    buf_printf(&content, "%s.%lld.", id, (long long)timestamp_s);
    buf_add(&content, body);
    hmac_sha256(buf_str(key), buf_str(&content), mac);
    buf_puts(out, "v1,");
    base64_encode((struct str){(const char *)mac, sizeof(mac)}, out);
}

void
webhook_sign(const struct secret *secret, const char *id, int64_t timestamp_s, struct str body,
    struct buf *out)
{
    struct buf key CLEANUP(buf_wipe) = BUF_INIT(KEY_MAX);
    if (read_key(secret, &key)) {
        add_signature(&key, id, timestamp_s, body, out);
    }
}

// --- sending -------------------------------------------------------------------------------------

static void
add_headers(const struct notify_case *at, const struct webhook_delivery *delivery,
    struct http_headers *headers)
{
    int64_t now_s = clock_wall(at->platform->clock) / 1000;
    struct buf signature CLEANUP(buf_done) = BUF_INIT(256);
    http_headers_add(headers, "Content-Type", "application/cloudevents+json; charset=utf-8");
    http_headers_add(headers, "webhook-id", delivery->id);
    http_headers_addf(headers, "webhook-timestamp", "%lld", (long long)now_s);
    if (delivery->secret != NULL) {
        webhook_sign(delivery->secret, delivery->id, now_s, str_of(delivery->body), &signature);
        http_headers_add(headers, "webhook-signature", buf_cstr(&signature));
    }
}

// False: the case is settled, nothing may be sent there.
static bool
address_is_fine(struct notify_case *at, const struct webhook_delivery *delivery)
{
    struct url url CLEANUP(url_done) = {0};
    const char *problem = webhook_url_problem(delivery->url, delivery->to_private);
    if (problem != NULL) {
        notify_settle(at, NOTIFY_BLOCKED,
            delivery->to_private
                ? "Write it as https://host/path."
                : "Write it as https://host/path; a host of a private network has to stand under "
                  "'notify.private_hosts' of dispatcher.yaml.",
            "its address %s", problem);
        return false;
    }
    struct error *err CLEANUP(error_freep) = url_parse(delivery->url, &url);
    BUG_ON(err != NULL); // webhook_url_problem parsed it
    at->who = notify_words(at->arena, url.host, NOTIFY_WORDS_MAX);
    return true;
}

void
webhook_send(const struct platform *platform, struct http_client *http,
    const struct webhook_delivery *delivery, struct arena *arena, struct notify_result *out)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct buf key CLEANUP(buf_wipe) = BUF_INIT(KEY_MAX);
    struct notify_case at = {platform, http, arena, "a webhook", out};
    if (!address_is_fine(&at, delivery)) {
        return;
    }
    if (delivery->secret != NULL) {
        webhook_mask(delivery->secret);
    }
    if (delivery->secret != NULL && !read_key(delivery->secret, &key)) {
        notify_settle(&at, NOTIFY_BLOCKED,
            "Store it as 'whsec_' and base64, or as any other text of at most 4,096 bytes.",
            "its signing secret cannot be used");
        return;
    }
    if (strlen(delivery->body) > BODY_MAX) {
        notify_settle(&at, NOTIFY_REFUSED, NULL, "the event is over 1 MiB");
        return;
    }
    add_headers(&at, delivery, &headers);
    const struct http_request request = {.method = HTTP_POST,
        .url = delivery->url,
        .headers = &headers,
        .body = str_of(delivery->body),
        .once = true,
        .public_only = !delivery->to_private};
    if (notify_send(&at, &request, &response)) {
        notify_settle_status(&at, &response, NULL);
    }
}
