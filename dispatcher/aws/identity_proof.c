// The signed, unsent GetCallerIdentity. Configured endpoints do not apply: the receiver sends it,
// and from where it is.
#include "dispatcher/identity_proof.h"

#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/sigv4.h"

enum { HEADERS_MAX = 64 * 1024 };

static const char body[] = "Action=GetCallerIdentity&Version=2011-06-15";
static const char global_url[] = "https://sts.amazonaws.com/";
static const char global_region[] = "us-east-1"; // what the global endpoint is signed for

void
aws_identity_proof_done(struct aws_identity_proof *proof)
{
    free(proof->url);
    free(proof->body);
    secret_free(proof->headers);
    *proof = (struct aws_identity_proof){0};
}

static struct error *
place(const char *region, char **url)
{
    if (region == NULL) {
        *url = xstrdup(global_url);
        return NULL;
    }
    TRY(aws_region_check(region, "'vault.sts_region'"));
    char *base CLEANUP(xfreep) = aws_endpoint_public("sts", region);
    *url = xasprintf("%s/", base);
    return NULL;
}

// Host is written out, since the receiver rebuilds the request from this list alone.
static void
begin_headers(const char *url, const char *server_id, struct http_headers *headers)
{
    struct str host = str_skip(str_of(url), strlen("https://"));
    host.len--; // the slash
    http_headers_add(headers, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    http_headers_addf(headers, "Content-Length", "%zu", strlen(body));
    http_headers_addf(headers, "Host", "%.*s", STR_FMT(host));
    if (server_id != NULL) {
        http_headers_add(headers, "X-Vault-AWS-IAM-Server-ID", server_id);
    }
}

static struct error *
sign(struct aws_session *session, const char *url, const char *region, struct http_headers *headers)
{
    const struct aws_credentials *credentials = NULL;
    TRY(aws_credentials_get(session, &credentials));
    const struct sigv4_request request = {
        .method = HTTP_POST, .url = url, .headers = headers, .body = str_of(body)};
    const struct sigv4_scope scope = {
        .access_key = credentials->access_key,
        .secret_key = credentials->secret_key,
        .session_token = credentials->session_token,
        .region = region != NULL ? region : global_region,
        .service = "sts",
        .time_ms = aws_wall_ms(session),
    };
    return sigv4_sign(&request, &scope, headers);
}

static struct error *
headers_json(const struct http_headers *headers, struct secret **out)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    for (size_t i = 0; i < headers->count; i++) {
        struct json *values = json_make_array();
        json_append(values, json_make_string(headers->list[i].value));
        json_set(object, headers->list[i].name, values);
    }
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(HEADERS_MAX);
    json_print(object, false, &text);
    TRY(buf_finish(&text, "headers of the identity proof"));
    *out = secret_new(buf_str(&text));
    return NULL;
}

struct error *
aws_sign_caller_identity(struct aws_session *session, const char *server_id, const char *region,
    struct aws_identity_proof *out)
{
    struct aws_identity_proof proof CLEANUP(aws_identity_proof_done) = {0};
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    TRY(place(region, &proof.url));
    begin_headers(proof.url, server_id, &headers);
    if (headers.failed) {
        return error_new(
            ERROR_INPUT, "the server id of Vault's AWS login holds control characters");
    }
    TRY(sign(session, proof.url, region, &headers));
    TRY(headers_json(&headers, &proof.headers));
    proof.method = "POST";
    proof.body = xstrdup(body);
    *out = proof;
    proof = (struct aws_identity_proof){0};
    return NULL;
}
