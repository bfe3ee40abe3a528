// The four stages of AWS Signature Version 4, in the order and with the names of the vendor's page
// ("Create a signed AWS API request"). Reads no clock and sends nothing; the pieces of stage 1 are
// in sigv4_canonical.c.
#include "sigv4_internal.h"

#include <openssl/crypto.h>
#include <string.h>

#include "dispatcher/clock.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"

static const char algorithm[] = "AWS4-HMAC-SHA256";

enum {
    ADDED_MAX = 4,            // host, x-amz-date, x-amz-security-token, x-amz-content-sha256
    REQUEST_MAX = 256 * 1024, // far above what any service takes in URL and headers
    NAMES_MAX = 16 * 1024,
};

struct target {
    struct str authority, path, query;
};

void
sigv4_time(const struct sigv4_scope *scope, char out[SIGV4_TIME_SIZE])
{
    char text[21];
    clock_format_rfc3339(scope->time_ms, text);
    size_t len = 0;
    for (const char *at = text; *at != '\0' && len < SIGV4_TIME_SIZE - 1; at++) {
        if (*at != '-' && *at != ':') {
            out[len++] = *at;
        }
    }
    out[len] = '\0';
}

void
sigv4_credential_scope(const struct sigv4_scope *scope, struct buf *out)
{
    char time[SIGV4_TIME_SIZE];
    sigv4_time(scope, time);
    buf_printf(out, "%.8s/%s/%s/aws4_request", time, scope->region, scope->service);
}

static size_t
span_until(struct str text, const char *stops)
{
    size_t len = 0;
    while (len < text.len && strchr(stops, text.ptr[len]) == NULL) {
        len++;
    }
    return len;
}

// Byte for byte, since the other side signs what arrives; the default port is not sent in Host.
static struct error *
split_url(const char *url, struct target *out)
{
    struct str text = str_of(url), port = STR(":443");
    if (str_starts(text, STR("https://"))) {
        text = str_skip(text, strlen("https://"));
    } else if (str_starts(text, STR("http://"))) {
        text = str_skip(text, strlen("http://"));
        port = STR(":80");
    } else {
        return error_new(ERROR_INPUT, "cannot sign a request to '%.200s': not an http(s) URL", url);
    }
    text.len = span_until(text, "#");
    struct str authority = {text.ptr, span_until(text, "/?")};
    if (authority.len == 0 || str_contains(authority, STR("@"))) {
        return error_new(ERROR_INPUT, "cannot sign a request to a URL %s",
            authority.len == 0 ? "without a host" : "with user info");
    }
    text = str_skip(text, authority.len);
    if (str_ends(authority, port)) {
        authority.len -= port.len;
    }
    struct str path = {0}, query = {0};
    if (!str_cut(text, '?', &path, &query)) {
        path = STR("/");
    }
    *out = (struct target){authority, path, query};
    return NULL;
}

static bool
is_one_of(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal_nocase(str_of(name), str_of(list[i]))) {
            return true;
        }
    }
    return false;
}

// The caller's headers but those that are rewritten on the way.
static struct error *
collect_headers(const struct sigv4_request *request, struct sigv4_field *fields, size_t *count)
{
    static const char *const rewritten[] = {
        "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"};
    static const char *const added[] = {"authorization", "x-amz-date", "x-amz-security-token"};
    size_t total = request->headers != NULL ? request->headers->count : 0;
    for (size_t i = 0; i < total; i++) {
        const struct http_header *header = &request->headers->list[i];
        bool body = request->sign_body_header &&
                    is_one_of(header->name, (const char *const[]){"x-amz-content-sha256"}, 1);
        if (body || is_one_of(header->name, added, ARRAY_LENGTH(added))) {
            return error_new(ERROR_BUG, "request to be signed already has '%s'", header->name);
        }
        if (!is_one_of(header->name, rewritten, ARRAY_LENGTH(rewritten))) {
            fields[(*count)++] = (struct sigv4_field){header->name, str_of(header->value), 0};
        }
    }
    return NULL;
}

static bool
has_host(const struct sigv4_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal_nocase(str_of(fields[i].name), STR("host"))) {
            return true;
        }
    }
    return false;
}

static void
payload_hash(const struct sigv4_request *request, char out[SHA256_HEX_SIZE])
{
    BUG_ON(request->body_sha256 != NULL && strlen(request->body_sha256) >= SHA256_HEX_SIZE);
    if (request->body_sha256 != NULL) {
        memcpy(out, request->body_sha256, strlen(request->body_sha256) + 1);
    } else {
        sha256_hex(request->body, out);
    }
}

struct error *
sigv4_canonical_request(const struct sigv4_request *request, const struct sigv4_scope *scope,
    struct buf *out, struct buf *signed_headers)
{
    struct target target = {0};
    TRY(split_url(request->url, &target));
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    size_t given = request->headers != NULL ? request->headers->count : 0, count = 0;
    struct sigv4_field *fields CLEANUP(xfreep) = xcalloc(given + ADDED_MAX, sizeof(*fields));
    TRY(collect_headers(request, fields, &count));

    char time[SIGV4_TIME_SIZE], hash[SHA256_HEX_SIZE];
    sigv4_time(scope, time);
    payload_hash(request, hash);
    if (!has_host(fields, count)) {
        fields[count++] = (struct sigv4_field){"host", target.authority, 0};
    }
    fields[count++] = (struct sigv4_field){"x-amz-date", str_of(time), 0};
    if (scope->session_token != NULL) {
        fields[count++] =
            (struct sigv4_field){"x-amz-security-token", secret_expose(scope->session_token), 0};
    }
    if (request->sign_body_header) {
        fields[count++] = (struct sigv4_field){"x-amz-content-sha256", str_of(hash), 0};
    }

    buf_printf(out, "%s\n", http_method_name(request->method));
    sigv4_canonical_uri(target.path, request->keep_path, out);
    buf_putc(out, '\n');
    sigv4_canonical_query(target.query, out);
    buf_putc(out, '\n');
    sigv4_canonical_headers(fields, count, arena, out, signed_headers);
    buf_printf(out, "\n%s\n%s", buf_cstr(signed_headers), hash);
    TRY(buf_finish(signed_headers, "names of the signed headers"));
    return buf_finish(out, "canonical request");
}

void
sigv4_string_to_sign(const struct sigv4_scope *scope, struct str canonical_request, struct buf *out)
{
    char time[SIGV4_TIME_SIZE], hash[SHA256_HEX_SIZE];
    sigv4_time(scope, time);
    sha256_hex(canonical_request, hash);
    buf_printf(out, "%s\n%s\n", algorithm, time);
    sigv4_credential_scope(scope, out);
    buf_printf(out, "\n%s", hash);
}

// kSecret → kDate → kRegion → kService → kSigning.
static void
signing_key(const struct sigv4_scope *scope, unsigned char key[SHA256_SIZE])
{
    char time[SIGV4_TIME_SIZE];
    sigv4_time(scope, time);
    struct str bytes = secret_expose(scope->secret_key);
    struct buf secret CLEANUP(buf_wipe) = BUF_INIT(bytes.len + 4);
    buf_puts(&secret, "AWS4");
    buf_add(&secret, bytes);
    hmac_sha256(buf_str(&secret), (struct str){time, 8}, key);
    const struct str steps[] = {str_of(scope->region), str_of(scope->service), STR("aws4_request")};
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        unsigned char next[SHA256_SIZE];
        hmac_sha256((struct str){(const char *)key, SHA256_SIZE}, steps[i], next);
        memcpy(key, next, SHA256_SIZE);
        OPENSSL_cleanse(next, sizeof(next));
    }
}

void
sigv4_signature(const struct sigv4_scope *scope, struct str string_to_sign, char out[65])
{
    unsigned char key[SHA256_SIZE], hash[SHA256_SIZE];
    signing_key(scope, key);
    hmac_sha256((struct str){(const char *)key, sizeof(key)}, string_to_sign, hash);
    hex_encode(hash, sizeof(hash), out);
    OPENSSL_cleanse(key, sizeof(key));
}

void
sigv4_authorization(const struct sigv4_scope *scope, struct str signed_headers,
    const char *signature, struct buf *out)
{
    buf_printf(out, "%s Credential=%s/", algorithm, scope->access_key);
    sigv4_credential_scope(scope, out);
    buf_printf(out, ", SignedHeaders=%.*s, Signature=%s", STR_FMT(signed_headers), signature);
}

static void
add_headers(const struct sigv4_request *request, const struct sigv4_scope *scope,
    const char *authorization, struct http_headers *headers)
{
    char time[SIGV4_TIME_SIZE], hash[SHA256_HEX_SIZE];
    sigv4_time(scope, time);
    http_headers_add(headers, "X-Amz-Date", time);
    if (scope->session_token != NULL) {
        http_headers_add_secret(headers, "X-Amz-Security-Token", "", scope->session_token);
    }
    if (request->sign_body_header) {
        payload_hash(request, hash);
        http_headers_add(headers, "X-Amz-Content-Sha256", hash);
    }
    size_t before = headers->count;
    http_headers_add(headers, "Authorization", authorization);
    if (headers->count > before) {
        headers->list[before].sensitive = true; // whoever has it can send this request again
    }
}

struct error *
sigv4_sign(const struct sigv4_request *request, const struct sigv4_scope *scope,
    struct http_headers *headers)
{
    struct buf canonical CLEANUP(buf_wipe) = BUF_INIT(REQUEST_MAX);
    struct buf names CLEANUP(buf_done) = BUF_INIT(NAMES_MAX);
    struct buf to_sign CLEANUP(buf_done) = BUF_INIT(NAMES_MAX);
    struct buf authorization CLEANUP(buf_done) = BUF_INIT(2 * NAMES_MAX);
    TRY(sigv4_canonical_request(request, scope, &canonical, &names));

    char signature[65];
    sigv4_string_to_sign(scope, buf_str(&canonical), &to_sign);
    TRY(buf_finish(&to_sign, "string to sign"));
    sigv4_signature(scope, buf_str(&to_sign), signature);
    sigv4_authorization(scope, buf_str(&names), signature, &authorization);
    TRY(buf_finish(&authorization, "authorization header"));
    add_headers(request, scope, buf_cstr(&authorization), headers);
    return NULL;
}
