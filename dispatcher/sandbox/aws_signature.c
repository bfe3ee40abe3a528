// Checks AWS Signature Version 4 as the services do: key known, token right, time within five
// minutes, every stage recomputed with our own signer. The messages are AWS's.
#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/clock.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/sigv4.h"

enum { SKEW_MS = 300000, TEXT_MAX = 512 * 1024 };

struct claim {
    char *access_key, *date, *region, *service;
    struct str signed_headers, signature;
    const char *stamp; // X-Amz-Date
    int64_t time_ms;
};

static void
refuse(const struct sandbox_request *request, struct sandbox_response *response, const char *code,
    const char *message)
{
    if (sandbox_request_header(request, "X-Amz-Target") != NULL) {
        sandbox_aws_json_problem(response, code, "%s", message);
    } else {
        sandbox_aws_xml_problem(response, 403, code, message);
    }
}

// "AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, SignedHeaders=…, Signature=…"
static bool
split_authorization(struct sandbox_request *request, struct claim *out)
{
    const char *header = sandbox_request_header(request, "Authorization");
    struct str part = {0}, rest = str_of(header), scope = {0};
    if (!str_starts(rest, STR("AWS4-HMAC-SHA256 "))) {
        return false;
    }
    rest = str_skip(rest, strlen("AWS4-HMAC-SHA256 "));
    while (str_cut(rest, ',', &part, &rest)) {
        struct str key = {0}, value = {0};
        (void)str_cut(str_trim(part), '=', &key, &value);
        if (str_equal(key, STR("Credential"))) {
            scope = value;
        } else if (str_equal(key, STR("SignedHeaders"))) {
            out->signed_headers = value;
        } else if (str_equal(key, STR("Signature"))) {
            out->signature = value;
        }
    }
    char **fields[] = {&out->access_key, &out->date, &out->region, &out->service};
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        if (!str_cut(scope, '/', &part, &scope) || part.len == 0) {
            return false;
        }
        *fields[i] = arena_str(request->arena, part);
    }
    bool ends = str_equal(scope, STR("aws4_request"));
    return ends && out->signed_headers.len > 0 && out->signature.len == 64;
}

// "20261121T074800Z" → wall ms.
static bool
parse_stamp(const char *stamp, int64_t *out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(32);
    if (stamp == NULL || strlen(stamp) != 16) {
        return false;
    }
    buf_printf(&text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", stamp, stamp + 4, stamp + 6, stamp + 9,
        stamp + 11, stamp + 13);
    return clock_parse_rfc3339(buf_cstr(&text), out);
}

static const struct aws_key *
find_key(const struct aws_state *aws, const char *id)
{
    for (size_t i = 0; i < aws->key_count; i++) {
        if (strcmp(aws->keys[i]->id, id) == 0) {
            return aws->keys[i];
        }
    }
    return NULL;
}

static bool
is_signed(const struct claim *claim, const char *name)
{
    struct str part = {0}, rest = claim->signed_headers;
    while (str_cut(rest, ';', &part, &rest)) {
        if (str_equal_nocase(part, str_of(name))) {
            return true;
        }
    }
    return false;
}

static enum http_method
method_of(const char *name)
{
    for (int method = HTTP_GET; method <= HTTP_DELETE; method++) {
        if (strcmp(http_method_name((enum http_method)method), name) == 0) {
            return (enum http_method)method;
        }
    }
    return HTTP_GET;
}

static struct error *
compute(const struct sandbox_request *request, const struct claim *claim,
    const struct sigv4_scope *scope, const struct http_headers *headers, char out[65])
{
    struct buf canonical CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf names CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf to_sign CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    const char *host = sandbox_request_header(request, "Host");
    const char *url =
        arena_printf(request->arena, "http://%s%s", host != NULL ? host : "", request->target);
    struct sigv4_request signed_request = {.method = method_of(request->method),
        .url = url,
        .headers = headers,
        .body = buf_str(&request->body)};
    TRY(sigv4_canonical_request(&signed_request, scope, &canonical, &names));
    if (!str_equal(buf_str(&names), claim->signed_headers)) {
        out[0] = '\0'; // a signed header that is not here
        return NULL;
    }
    sigv4_string_to_sign(scope, buf_str(&canonical), &to_sign);
    sigv4_signature(scope, buf_str(&to_sign), out);
    return NULL;
}

static bool
signature_holds(
    const struct sandbox_request *request, const struct claim *claim, const struct aws_key *key)
{
    struct secret *secret_key CLEANUP(secret_freep) = secret_new(str_of(key->secret));
    struct secret *token CLEANUP(secret_freep) =
        key->token != NULL && is_signed(claim, "x-amz-security-token")
            ? secret_new(str_of(key->token))
            : NULL;
    struct sigv4_scope scope = {.access_key = claim->access_key,
        .secret_key = secret_key,
        .session_token = token,
        .region = claim->region,
        .service = claim->service,
        .time_ms = claim->time_ms};
    struct http_headers headers = {0};
    for (size_t i = 0; i < request->headers.count; i++) {
        const struct http_header *header = &request->headers.list[i];
        bool added = str_equal_nocase(str_of(header->name), STR("x-amz-date")) ||
                     str_equal_nocase(str_of(header->name), STR("x-amz-security-token"));
        if (is_signed(claim, header->name) && !added) {
            http_headers_add(&headers, header->name, header->value);
        }
    }
    char expected[65] = {0};
    struct error *err CLEANUP(error_freep) = compute(request, claim, &scope, &headers, expected);
    http_headers_done(&headers);
    return err == NULL && strlen(expected) == 64 &&
           digest_equal(expected, claim->signature.ptr, 64);
}

static bool
token_holds(const struct sandbox_request *request, const struct aws_key *key)
{
    const char *given = sandbox_request_header(request, "X-Amz-Security-Token");
    if (key->token == NULL || given == NULL) {
        return key->token == given;
    }
    return strlen(given) == strlen(key->token) && digest_equal(given, key->token, strlen(given));
}

static void
refuse_time(const struct sandbox_request *request, struct sandbox_response *response,
    const struct claim *claim, int64_t now)
{
    char ours[21];
    clock_format_rfc3339(now, ours);
    refuse(request, response, "InvalidSignatureException",
        arena_printf(request->arena,
            "Signature %s: %s is now %s than %s (the service's time, 5 min. of difference allowed)",
            claim->time_ms < now ? "expired" : "not yet current", claim->stamp,
            claim->time_ms < now ? "earlier" : "later", ours));
}

const struct aws_key *
sandbox_aws_authenticate(struct sandbox *sandbox, struct sandbox_request *request,
    struct sandbox_response *response, const char **region)
{
    struct claim claim = {.stamp = sandbox_request_header(request, "X-Amz-Date")};
    int64_t now = sandbox_now(sandbox);
    if (sandbox_request_header(request, "Authorization") == NULL) {
        refuse(request, response, "MissingAuthenticationTokenException",
            "Missing Authentication Token");
        return NULL;
    }
    if (!split_authorization(request, &claim) || !parse_stamp(claim.stamp, &claim.time_ms) ||
        strncmp(claim.date, claim.stamp, 8) != 0 || !is_signed(&claim, "host") ||
        !is_signed(&claim, "x-amz-date")) {
        refuse(request, response, "IncompleteSignatureException",
            "Authorization header requires 'Credential', 'Signature' and 'SignedHeaders', and a "
            "'X-Amz-Date' header that is signed.");
        return NULL;
    }
    const struct aws_key *key = find_key(sandbox->aws, claim.access_key);
    if (key == NULL || !token_holds(request, key)) {
        refuse(request, response, "UnrecognizedClientException",
            "The security token included in the request is invalid.");
        return NULL;
    }
    if (key->expires_ms != 0 && key->expires_ms <= now) {
        refuse(request, response, "ExpiredTokenException",
            "The security token included in the request is expired");
        return NULL;
    }
    if (claim.time_ms > now + SKEW_MS || claim.time_ms < now - SKEW_MS) {
        refuse_time(request, response, &claim, now);
        return NULL;
    }
    if (!signature_holds(request, &claim, key)) {
        refuse(request, response,
            sandbox_request_header(request, "X-Amz-Target") != NULL ? "InvalidSignatureException"
                                                                    : "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method. Consult the service documentation for "
            "details.");
        return NULL;
    }
    *region = claim.region;
    return key;
}
