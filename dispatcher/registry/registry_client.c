// One small exchange with a registry: with our credentials, repeated where that is safe and useful.
// Knows the frame of the protocol (paths, scopes, 401), not its steps; those are upload.c and
// push.c.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/url.h"
#include "image_internal.h"
#include "registry_internal.h"

enum {
    PARALLEL_BODIES = 4, // facts/registry-push.md §4.8: more gains nothing
    PARALLEL_SMALL = 16,
    CALL_TIMEOUT_MS = 60 * 1000,
    ANSWER_MAX = 8 * 1024 * 1024,
    REFUSALS_MAX = 3, // 401s of one call; auth.c gives up earlier unless challenges alternate
};

const struct retry_policy registry_policy = {
    .max_attempts = 5,
    .base_ms = 500,
    .throttle_base_ms = 2000,
    .cap_ms = 20000,
    .retry_after_cap_ms = 120000,
};

struct error *
registry_client_new(const struct platform *platform, struct http_client *http,
    const struct registry_options *options, struct registry_client **out)
{
    if (!registry_host_is_valid(str_of(options->host))) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        return error_hint(error_new(ERROR_INPUT, "registry host %s is not valid",
                              image_quote(arena, options->host)),
            "Write it as HOST or HOST:PORT, without https:// and without a path.");
    }
    char *secure CLEANUP(xfreep) = xasprintf("https://%s", options->host);
    struct url url CLEANUP(url_done) = {0};
    TRY(url_parse(secure, &url));
    struct registry_client *client = xcalloc(1, sizeof(*client));
    client->platform = platform;
    client->http = http;
    client->host = xstrdup(options->host);
    client->is_loopback = url_host_is_loopback(url.host);
    client->base = xasprintf("%s://%s", client->is_loopback ? "http" : "https", options->host);
    client->is_ecr = options->is_ecr;
    client->renew = options->renew;
    client->renew_ctx = options->renew_ctx;
    if (options->user != NULL) {
        BUG_ON(options->password == NULL);
        client->auth.user = xstrdup(options->user);
        client->auth.password = secret_new(secret_expose(options->password));
    }
    // ECR only knows Basic, so that its first 401 can be saved.
    client->auth.scheme = options->is_ecr && options->user != NULL ? AUTH_BASIC : AUTH_NONE;
    client->parallel_bodies =
        options->parallel_bodies > 0 ? options->parallel_bodies : PARALLEL_BODIES;
    client->parallel_small = PARALLEL_SMALL;
    *out = client;
    return NULL;
}

void
registry_client_free(struct registry_client *client)
{
    if (client == NULL) {
        return;
    }
    registry_auth_done(&client->auth);
    free(client->host);
    free(client->base);
    free(client->also_scope);
    free(client);
}

void
registry_client_freep(struct registry_client **client)
{
    registry_client_free(*client);
    *client = NULL;
}

char *
registry_url(const struct registry_client *client, const char *repository, const char *kind,
    const char *reference)
{
    return xasprintf("%s/v2/%s/%s/%s", client->base, repository, kind, reference);
}

char *
registry_scope(const char *repository, const char *actions)
{
    return xasprintf("repository:%s:%s", repository, actions);
}

static void
slow_down(struct registry_client *client)
{
    client->parallel_bodies = client->parallel_bodies > 1 ? client->parallel_bodies / 2 : 1;
    client->parallel_small = client->parallel_small > 1 ? client->parallel_small / 2 : 1;
}

static enum retry_outcome
outcome_of(const struct error *err, const struct http_response *response)
{
    if (err != NULL) {
        const char *code = error_remote_of(err)->code;
        // A body that its source could not give ("body") may be had the next time.
        bool final = error_kind(err) != ERROR_UNAVAILABLE || cstr_equal(code, "cap") ||
                     cstr_equal(code, "tls");
        return final ? RETRY_FATAL : RETRY_TRANSIENT;
    }
    if (response->status == 400) { // an older way of ECR to say 429
        char *code CLEANUP(xfreep) = registry_error_code(response);
        bool throttled = strcmp(code, "TOOMANYREQUESTS") == 0 || strstr(code, "Throttling") != NULL;
        return throttled ? RETRY_THROTTLED : RETRY_DONE;
    }
    return retry_outcome_of_status(response->status);
}

enum registry_verdict
registry_judge(struct registry_client *client, const struct error *err,
    const struct http_response *response, unsigned attempt, int64_t *wait_ms)
{
    enum retry_outcome outcome = outcome_of(err, response);
    if (outcome == RETRY_FATAL) {
        return VERDICT_FAILED;
    }
    if (outcome == RETRY_DONE) {
        return response->status == 401 ? VERDICT_AUTH : VERDICT_ANSWER;
    }
    if (outcome == RETRY_THROTTLED) {
        slow_down(client);
    }
    int64_t after_ms = -1;
    if (err == NULL) {
        after_ms = retry_after_ms(&response->headers, clock_wall(client->platform->clock));
    }
    struct retry_decision decision = retry_decide(
        &registry_policy, attempt, outcome, after_ms, random_unit(client->platform->random));
    *wait_ms = decision.wait_ms;
    if (decision.again) {
        return VERDICT_AGAIN;
    }
    return err != NULL ? VERDICT_FAILED : VERDICT_ANSWER;
}

// *sent: the error, if there is one, is of this exchange and not of getting a token for it.
static struct error *
send_once(struct registry_client *client, const struct registry_call *call,
    struct http_response *response, bool *sent)
{
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    if (!call->foreign) {
        TRY(registry_auth_add(client, call->scope, &headers));
    }
    if (call->accept != NULL) {
        http_headers_add(&headers, "Accept", call->accept);
    }
    if (call->content_type != NULL) {
        http_headers_add(&headers, "Content-Type", call->content_type);
    }
    int64_t timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : CALL_TIMEOUT_MS;
    struct http_request request = {.method = call->method,
        .url = call->url,
        .headers = &headers,
        .body = call->body,
        .deadline_ms = clock_mono(client->platform->clock) + timeout_ms,
        .max_response = ANSWER_MAX};
    client->requests++;
    *sent = true;
    return http_send(client->http, &request, response);
}

// What the attempts before the last one add to its error.
static struct error *
after_attempts(struct error *err, unsigned attempts)
{
    return attempts > 1 ? error_wrap(err, "given up after %u attempts", attempts) : err;
}

struct error *
registry_send(struct registry_client *client, const struct registry_call *call,
    struct http_response *response)
{
    unsigned attempt = 1, refusals = 0;
    for (;;) {
        int64_t wait_ms = 0;
        http_response_done(response);
        bool sent = false;
        struct error *err = send_once(client, call, response, &sent);
        if (err != NULL && !sent) {
            return err; // the token service was asked often enough
        }
        enum registry_verdict verdict =
            registry_judge(client, err, response, call->single ? UINT32_MAX : attempt, &wait_ms);
        if (verdict == VERDICT_FAILED) {
            return after_attempts(err, attempt);
        }
        error_free(err);
        if (verdict == VERDICT_ANSWER) {
            registry_auth_accepted(client);
            return NULL;
        }
        if (verdict == VERDICT_AUTH) {
            if (call->foreign || refusals++ == REFUSALS_MAX) {
                return NULL; // the caller makes the error of the 401
            }
            TRY(registry_auth_refused(client, &response->headers));
            continue;
        }
        const struct platform *platform = client->platform;
        TRY(clock_sleep_until(
            platform->clock, clock_mono(platform->clock) + wait_ms, platform->cancel));
        attempt++;
    }
}

// The digest of a body, or of the header where there is no body.
static struct error *
answered_digest(const struct http_response *response, bool has_body, char **out)
{
    const char *header = http_headers_get(&response->headers, "Docker-Content-Digest");
    char computed[SHA256_DIGEST_TEXT_SIZE] = "";
    if (header != NULL && !digest_is_valid(str_of(header))) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        return error_new(ERROR_UNAVAILABLE, "unusable answer: Docker-Content-Digest is %s",
            image_quote(arena, header));
    }
    if (has_body) {
        unsigned char hash[SHA256_SIZE];
        sha256_of(buf_str(&response->body), hash);
        sha256_digest_text(hash, computed);
    }
    if (has_body && header != NULL && strcmp(header, computed) != 0) {
        return error_new(ERROR_UNAVAILABLE,
            "unusable answer: it calls itself '%s' but its content has digest '%s'", header,
            computed);
    }
    if (has_body || header != NULL) {
        *out = xstrdup(has_body ? computed : header);
    }
    return NULL;
}

// HEAD, and GET where the registry's HEAD tells no digest.
static struct error *
ask_digest(struct registry_client *client, struct registry_call *call, const char *what,
    char **digest, int *status)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(registry_send(client, call, &response));
    *status = response.status;
    if (response.status == 404 || response.status == 403) {
        return NULL;
    }
    if (response.status != 200) {
        return registry_explain_head(client, call, what, &response);
    }
    TRY(answered_digest(&response, false, digest));
    if (*digest != NULL) {
        return NULL;
    }
    call->method = HTTP_GET;
    TRY(registry_send(client, call, &response));
    *status = response.status;
    if (response.status == 404) {
        return NULL;
    }
    return response.status == 200 ? answered_digest(&response, true, digest)
                                  : registry_status_error(client, what, &response);
}

struct error *
registry_head_manifest(struct registry_client *client, const char *repository,
    const char *reference, const char *actions, char **digest, int *status)
{
    char *url CLEANUP(xfreep) = registry_url(client, repository, "manifests", reference);
    char *scope CLEANUP(xfreep) = registry_scope(repository, actions);
    char *what CLEANUP(xfreep) = xasprintf("manifest '%s'", reference);
    char *found CLEANUP(xfreep) = NULL;
    struct registry_call call = {
        .method = HTTP_HEAD, .url = url, .scope = scope, .accept = MANIFEST_TYPES};
    struct error *err = ask_digest(client, &call, what, &found, status);
    if (err != NULL && error_kind(err) == ERROR_UNAVAILABLE) {
        return error_wrap(err, "ask registry '%s' for %s", client->host, what);
    }
    TRY(err);
    if (found != NULL && digest_is_valid(str_of(reference)) && strcmp(found, reference) != 0) {
        return error_new(ERROR_UNAVAILABLE, "registry '%s' answered with '%s' when asked for '%s'",
            client->host, found, reference);
    }
    *digest = found;
    found = NULL;
    return NULL;
}

struct error *
registry_manifest_digest(struct registry_client *client, const char *repository,
    const char *reference, struct arena *arena, const char **out)
{
    char *digest CLEANUP(xfreep) = NULL;
    int status = 0;
    TRY(registry_check_repository(repository));
    if (!tag_is_valid(str_of(reference)) && !digest_is_valid(str_of(reference))) {
        return error_new(
            ERROR_INPUT, "%s is neither a tag nor a digest", image_quote(arena, reference));
    }
    TRY(registry_head_manifest(client, repository, reference, SCOPE_PULL, &digest, &status));
    if (status == 403) {
        char *url CLEANUP(xfreep) = registry_url(client, repository, "manifests", reference);
        char *scope CLEANUP(xfreep) = registry_scope(repository, SCOPE_PULL);
        char *what CLEANUP(xfreep) = xasprintf("manifest '%s'", reference);
        struct http_response refused CLEANUP(http_response_done) = {.status = 403};
        struct registry_call call = {
            .method = HTTP_HEAD, .url = url, .scope = scope, .accept = MANIFEST_TYPES};
        return registry_explain_head(client, &call, what, &refused);
    }
    *out = arena_dup(arena, digest);
    return NULL;
}
