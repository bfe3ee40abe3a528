// Every stage of SigV4 against tests/vectors/sigv4, whose answers are another implementation's.
// `unit_crypto_sigv4 DIRECTORY` runs any set of vectors in that layout.
#include "dispatcher/sigv4.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/arena.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum { CASE_COUNT = 45, TEXT_MAX = 64 * 1024 };

static const int64_t vector_time_ms = 1440938160000; // 2015-08-30T12:36:00Z

struct vector {
    struct sigv4_request request;
    struct sigv4_scope scope;
    struct http_headers headers;
    struct secret *secret_key, *token;
};

static void
vector_done(struct vector *vector)
{
    http_headers_done(&vector->headers);
    secret_free(vector->secret_key);
    secret_free(vector->token);
}

static const char *
read_text(struct arena *arena, const char *stem, const char *suffix)
{
    const char *path = arena_printf(arena, "%s%s", stem, suffix);
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    bool found = false;
    assert_null(file_read(path, &text, &found));
    return found ? arena_str(arena, buf_str(&text)) : NULL;
}

static enum http_method
method_of(struct str name)
{
    for (int method = HTTP_GET; method <= HTTP_DELETE; method++) {
        if (str_equal(name, str_of(http_method_name((enum http_method)method)))) {
            return (enum http_method)method;
        }
    }
    fail_msg("no such method: %.*s", STR_FMT(name));
    return HTTP_GET;
}

// "GET /path HTTP/1.1", headers, an empty line, the body. Host goes into the URL.
static void
read_request(struct arena *arena, const char *stem, struct vector *out)
{
    struct str rest = str_of(read_text(arena, stem, ".req")), line = {0}, name = {0}, host = {0};
    struct str first = {0};
    assert_true(str_cut(rest, '\n', &first, &rest));
    assert_true(str_ends(first, STR(" HTTP/1.1")));
    first.len -= strlen(" HTTP/1.1");
    assert_true(str_cut(first, ' ', &name, &first));
    out->request.method = method_of(name);
    while (str_cut(rest, '\n', &line, &rest) && line.len > 0) {
        assert_true(str_cut(line, ':', &name, &line));
        if (str_equal_nocase(name, STR("host"))) {
            host = line;
        } else {
            http_headers_add(&out->headers, arena_str(arena, name), arena_str(arena, line));
        }
    }
    out->request.body = rest;
    out->request.headers = &out->headers;
    out->request.url = arena_printf(arena, "https://%.*s%.*s", STR_FMT(host), STR_FMT(first));
}

static void
read_options(struct arena *arena, const char *stem, struct vector *out)
{
    struct str rest = str_of(read_text(arena, stem, ".opt")), line = {0};
    while (str_cut(rest, '\n', &line, &rest)) {
        if (str_equal(line, STR("keep-path"))) {
            out->request.keep_path = true;
        } else if (str_equal(line, STR("sign-body"))) {
            out->request.sign_body_header = true;
        } else if (str_starts(line, STR("token "))) {
            out->token = secret_new(str_skip(line, strlen("token ")));
        } else {
            fail_msg("%s.opt: unknown option '%.*s'", stem, STR_FMT(line));
        }
    }
}

static void
read_vector(struct arena *arena, const char *stem, struct vector *out)
{
    read_request(arena, stem, out);
    read_options(arena, stem, out);
    out->secret_key = secret_new(STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"));
    out->scope = (struct sigv4_scope){.access_key = "AKIDEXAMPLE",
        .secret_key = out->secret_key,
        .session_token = out->token,
        .region = "us-east-1",
        .service = "service",
        .time_ms = vector_time_ms};
}

static int
differs(const char *stem, const char *suffix, const char *got, const char *want)
{
    if (want != NULL && strcmp(got, want) == 0) {
        return 0;
    }
    print_error("%s%s:\n--- want\n%s\n--- got\n%s\n", stem, suffix, want, got);
    return 1;
}

// Each stage starts from the vector's own earlier stage, so that one mistake shows in one place.
static int
check_stages(struct arena *arena, const char *stem)
{
    struct vector vector CLEANUP(vector_done) = {0};
    read_vector(arena, stem, &vector);
    struct buf canonical CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf names CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf to_sign CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf authorization CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    const char *creq = read_text(arena, stem, ".creq"), *sts = read_text(arena, stem, ".sts");
    const char *authz = read_text(arena, stem, ".authz");

    assert_null(sigv4_canonical_request(&vector.request, &vector.scope, &canonical, &names));
    int wrong = differs(stem, ".creq", buf_cstr(&canonical), creq);
    sigv4_string_to_sign(&vector.scope, str_of(creq), &to_sign);
    wrong += differs(stem, ".sts", buf_cstr(&to_sign), sts);
    char signature[65];
    sigv4_signature(&vector.scope, str_of(sts), signature);
    wrong += !str_ends(str_of(authz), str_of(signature));
    sigv4_authorization(&vector.scope, buf_str(&names), signature, &authorization);
    wrong += differs(stem, ".authz", buf_cstr(&authorization), authz);

    assert_null(sigv4_sign(&vector.request, &vector.scope, &vector.headers));
    const char *header = http_headers_get(&vector.headers, "Authorization");
    wrong += differs(stem, " (signed)", header, authz);
    assert_string_equal(http_headers_get(&vector.headers, "X-Amz-Date"), "20150830T123600Z");
    return wrong;
}

static void
every_stage_agrees_with_the_vectors(void **state)
{
    const char *directory = *state;
    DIR *listing = opendir(directory);
    assert_non_null(listing);
    int count = 0, wrong = 0;
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        struct str name = str_of(entry->d_name);
        if (str_ends(name, STR(".req"))) {
            struct arena *arena CLEANUP(arena_freep) = arena_new();
            name.len -= strlen(".req");
            wrong += check_stages(arena, arena_printf(arena, "%s/%.*s", directory, STR_FMT(name)));
            count++;
        }
    }
    (void)closedir(listing);
    print_message("%d cases in %s\n", count, directory);
    assert_int_equal(wrong, 0);
    if (str_starts(str_of(directory), STR(TEST_SOURCE_DIR))) {
        assert_int_equal(count, CASE_COUNT);
    }
}

static struct sigv4_scope
example_scope(const struct secret *key)
{
    return (struct sigv4_scope){.access_key = "AKIDEXAMPLE",
        .secret_key = key,
        .region = "us-east-1",
        .service = "s3",
        .time_ms = vector_time_ms};
}

static void
signing_adds_exactly_these_headers(void **state)
{
    (void)state;
    struct secret *key CLEANUP(secret_freep) = secret_new(STR("example secret"));
    struct secret *token CLEANUP(secret_freep) = secret_new(STR("example token"));
    struct sigv4_scope scope = example_scope(key);
    scope.session_token = token;
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct sigv4_request request = {.method = HTTP_PUT,
        .url = "https://bucket.example.com/key",
        .headers = &headers,
        .body_sha256 = "UNSIGNED-PAYLOAD",
        .sign_body_header = true,
        .keep_path = true};
    http_headers_add(&headers, "Content-Type", "text/plain");
    assert_null(sigv4_sign(&request, &scope, &headers));

    static const char *const names[] = {"Content-Type", "X-Amz-Date", "X-Amz-Security-Token",
        "X-Amz-Content-Sha256", "Authorization"};
    static const bool sensitive[] = {false, false, true, false, true};
    assert_int_equal(headers.count, ARRAY_LENGTH(names));
    for (size_t i = 0; i < headers.count; i++) {
        assert_string_equal(headers.list[i].name, names[i]);
        assert_int_equal(headers.list[i].sensitive, sensitive[i]);
    }
    assert_string_equal(http_headers_get(&headers, "x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
    assert_string_equal(http_headers_get(&headers, "x-amz-security-token"), "example token");
    assert_true(str_contains(str_of(http_headers_get(&headers, "authorization")),
        STR(", SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;"
            "x-amz-security-token, ")));
}

static void
canonical_host(const char *url, const struct http_headers *headers, const char *want)
{
    struct secret *key CLEANUP(secret_freep) = secret_new(STR("example secret"));
    struct sigv4_scope scope = example_scope(key);
    struct sigv4_request request = {.method = HTTP_GET, .url = url, .headers = headers};
    struct buf canonical CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf names CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    assert_null(sigv4_canonical_request(&request, &scope, &canonical, &names));
    struct buf line CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    buf_printf(&line, "GET\n/\n\nhost:%s\nx-amz-date:20150830T123600Z\n", want);
    assert_true(str_starts(buf_str(&canonical), buf_str(&line)));
}

static void
host_is_what_will_be_sent(void **state)
{
    (void)state;
    canonical_host("https://a.example", NULL, "a.example");
    canonical_host("https://a.example:443/", NULL, "a.example");
    canonical_host("http://a.example:80#fragment", NULL, "a.example");
    canonical_host("http://127.0.0.1:443/#x?y", NULL, "127.0.0.1:443");
    canonical_host("https://[::1]:8443?", NULL, "[::1]:8443");
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    http_headers_add(&headers, "HOST", "other.example");
    canonical_host("https://a.example/", &headers, "other.example");
}

static void
assert_refused(
    const char *url, const struct http_headers *headers, enum error_kind kind, const char *message)
{
    struct secret *key CLEANUP(secret_freep) = secret_new(STR("example secret"));
    struct sigv4_scope scope = example_scope(key);
    struct sigv4_request request = {.url = url, .headers = headers, .sign_body_header = true};
    struct http_headers out CLEANUP(http_headers_done) = {0};
    struct error *err CLEANUP(error_freep) = sigv4_sign(&request, &scope, &out);
    assert_non_null(err);
    assert_int_equal(error_kind(err), kind);
    assert_string_equal(error_message(err), message);
    assert_int_equal(out.count, 0);
}

static void
unusable_requests_are_refused(void **state)
{
    (void)state;
    assert_refused(
        "ftp://x/", NULL, ERROR_INPUT, "cannot sign a request to 'ftp://x/': not an http(s) URL");
    assert_refused(
        "https:///x", NULL, ERROR_INPUT, "cannot sign a request to a URL without a host");
    assert_refused(
        "https://me:pw@x/", NULL, ERROR_INPUT, "cannot sign a request to a URL with user info");
    static const char *const added[] = {
        "Authorization", "x-amz-date", "X-AMZ-Security-Token", "X-Amz-Content-Sha256"};
    for (size_t i = 0; i < ARRAY_LENGTH(added); i++) {
        struct http_headers headers CLEANUP(http_headers_done) = {0};
        struct buf message CLEANUP(buf_done) = BUF_INIT(200);
        http_headers_add(&headers, added[i], "old");
        buf_printf(&message, "request to be signed already has '%s'", added[i]);
        assert_refused("https://x/", &headers, ERROR_BUG, buf_cstr(&message));
    }
}

static void
a_request_too_large_to_sign_is_refused(void **state)
{
    (void)state;
    struct buf url CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    buf_puts(&url, "https://x/?q=");
    for (int i = 0; i < 300 * 1024; i++) {
        buf_putc(&url, 'a');
    }
    struct secret *key CLEANUP(secret_freep) = secret_new(STR("example secret"));
    struct sigv4_scope scope = example_scope(key);
    struct sigv4_request request = {.url = buf_cstr(&url)};
    struct http_headers out CLEANUP(http_headers_done) = {0};
    struct error *err CLEANUP(error_freep) = sigv4_sign(&request, &scope, &out);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_INPUT);
    assert_int_equal(out.count, 0);
}

int
main(int argc, char **argv)
{
    const char *directory = argc > 1 ? argv[1] : TEST_SOURCE_DIR "/vectors/sigv4";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_stage_agrees_with_the_vectors, xstrdup(directory)),
        cmocka_unit_test(signing_adds_exactly_these_headers),
        cmocka_unit_test(host_is_what_will_be_sent),
        cmocka_unit_test(unusable_requests_are_refused),
        cmocka_unit_test(a_request_too_large_to_sign_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(tests[0].initial_state);
    return failed;
}
