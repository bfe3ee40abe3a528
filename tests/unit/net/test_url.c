// URLs: tables of what is read, what is refused with which words, encoding and resolving.
#include "dispatcher/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

static void
absolute_urls_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scheme, *host, *path, *query;
        unsigned port;
        bool has_user;
    } rows[] = {
        {"https://api.github.com", "https", "api.github.com", "/", NULL, 443, false},
        {"HTTP://LocalHost:8080/a/b", "http", "localhost", "/a/b", NULL, 8080, false},
        {"https://h/p?q=1&r=/x#frag", "https", "h", "/p", "q=1&r=/x", 443, false},
        {"https://h?q", "https", "h", "/", "q", 443, false},
        {"https://h/#?not-a-query", "https", "h", "/", NULL, 443, false},
        {"https://h/?", "https", "h", "/", "", 443, false},
        {"https://h:/x", "https", "h", "/x", NULL, 443, false},
        {"http://[::1]:5000/v2/", "http", "::1", "/v2/", NULL, 5000, false},
        {"http://[2001:DB8::1]/", "http", "2001:db8::1", "/", NULL, 80, false},
        {"https://user:pw@h/x", "https", "h", "/x", NULL, 443, true},
        {"https://a@b@h/x", "https", "h", "/x", NULL, 443, true},
        {"https://h/a@b", "https", "h", "/a@b", NULL, 443, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct url url CLEANUP(url_done) = {0};
        assert_null(url_parse(rows[i].text, &url));
        assert_string_equal(url.scheme, rows[i].scheme);
        assert_string_equal(url.host, rows[i].host);
        assert_string_equal(url.path, rows[i].path);
        assert_true(cstr_equal(url.query, rows[i].query));
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.has_user, rows[i].has_user);
    }
}

static void
other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {NULL, "URL '' is invalid: it does not start with https://"},
        {"h/x", "URL 'h/x' is invalid: it does not start with https://"},
        {"ftp://h/x", "URL 'ftp://h/x' is invalid: only http and https are supported"},
        {"file:///etc/passwd",
            "URL 'file:///etc/passwd' is invalid: only http and https are supported"},
        {"https://", "URL 'https://' is invalid: it has no host"},
        {"https:///x", "URL 'https:///x' is invalid: it has no host"},
        {"https://:443/", "URL 'https://:443/' is invalid: it has no host"},
        {"https://h:0/", "URL 'https://h:0/' is invalid: its port is not between 1 and 65535"},
        {"https://h:65536/",
            "URL 'https://h:65536/' is invalid: its port is not between 1 and 65535"},
        {"https://h:99999999999999999999/", "URL 'https://h:99999999999999999999/' is invalid: "
                                            "its port is not between 1 and 65535"},
        {"https://h:-1/", "URL 'https://h:-1/' is invalid: its port is not a number"},
        {"https://h:80x/", "URL 'https://h:80x/' is invalid: its port is not a number"},
        {"https://[::1/", "URL 'https://[::1/' is invalid: its host has no closing bracket"},
        {"https://[::1]x/", "URL 'https://[::1]x/' is invalid: its host is followed by something "
                            "that is no port"},
        {"https://[127.0.0.1]/", "URL 'https://[127.0.0.1]/' is invalid: its host has brackets "
                                 "but is no IPv6 address"},
        {"https://a%00b/", "URL 'https://a%00b/' is invalid: its host holds a character that is "
                           "not allowed"},
        {"https://h/a b", "URL 'https://h/a b' is invalid: it holds a character that must be "
                          "encoded"},
        {"https://good\\@evil/", "a URL is invalid: it holds a character that must be encoded"},
        {"https://h/\r\nHost: x", "a URL is invalid: it holds a character that must be encoded"},
        {"https://h/\xc3\xa9", "a URL is invalid: it holds a character that must be encoded"},
        {"https://me:secret@/x", "a URL is invalid: it has no host"},
        {"ftp://h/x?sig=secret", "URL 'ftp://h/x' is invalid: only http and https are supported"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct url url = {.port = 7};
        struct error *err CLEANUP(error_freep) = url_parse(rows[i][0], &url);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_INPUT);
        assert_string_equal(error_message(err), rows[i][1]);
        assert_string_equal(error_hint_of(err), "Write it as https://host/path.");
        assert_int_equal(url.port, 7); // untouched
        assert_null(url.host);
    }
}

static void
absurd_lengths_are_refused(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    struct url url CLEANUP(url_done) = {0};
    buf_puts(&text, "https://");
    for (int i = 0; i < 254; i++) {
        buf_putc(&text, 'h');
    }
    struct error *err CLEANUP(error_freep) = url_parse(buf_cstr(&text), &url);
    assert_non_null(strstr(error_message(err), "its host is too long"));
    buf_reset(&text);
    buf_puts(&text, "https://h/");
    for (int i = 0; i < 17 * 1024; i++) {
        buf_putc(&text, 'p');
    }
    error_freep(&err);
    err = url_parse(buf_cstr(&text), &url);
    assert_non_null(strstr(error_message(err), "it is longer than 16 KiB"));
    assert_true(strlen(error_message(err)) < 300);
}

static void
loopback_is_this_machine_only(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool expected;
    } rows[] = {
        {"localhost", true},
        {"127.0.0.1", true},
        {"127.255.0.9", true},
        {"::1", true},
        {NULL, false},
        {"", false},
        {"localhost.example.com", false},
        {"127.0.0.1.example.com", false},
        {"127.0.0.1.", false},
        {"127.0.0", false},
        {"127.1", false},
        {"127.0.0.256", false},
        {"127.0.0.01", false},
        {"127..0.1", false},
        {"127.0.0.-1", false},
        {"0177.0.0.1", false},
        {"128.0.0.1", false},
        {"0.0.0.0", false},
        {"::", false},
        {"169.254.169.254", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_int_equal(url_host_is_loopback(rows[i].host), rows[i].expected);
    }
}

static void
an_origin_is_scheme_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool expected;
    } rows[] = {
        {"https://H/x", "https://h:443/y?z", true},
        {"http://h/", "http://h:80/", true},
        {"https://h/", "http://h/", false},
        {"https://h/", "http://h:443/", false},
        {"https://h/", "https://h:444/", false},
        {"https://h/", "https://h.example/", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct url a CLEANUP(url_done) = {0}, b CLEANUP(url_done) = {0};
        assert_null(url_parse(rows[i].a, &a));
        assert_null(url_parse(rows[i].b, &b));
        assert_int_equal(url_same_origin(&a, &b), rows[i].expected);
    }
}

static void
encoding_keeps_only_the_unreserved(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(1024);
    url_encode(STR("aZ9-._~ /+%\xc3\xa9\0?"), NULL, &out);
    assert_string_equal(buf_cstr(&out), "aZ9-._~%20%2F%2B%25%C3%A9%00%3F");
    buf_reset(&out);
    url_encode(STR("a/b:c\0"), "/", &out);
    assert_string_equal(buf_cstr(&out), "a/b%3Ac%00");
    buf_reset(&out);
    buf_puts(&out, "https://h/p");
    url_add_query(&out, "per page", "1&2");
    url_add_query(&out, "b", "");
    assert_string_equal(buf_cstr(&out), "https://h/p?per%20page=1%262&b=");
}

static void
locations_are_resolved(void **state)
{
    (void)state;
    // RFC 3986 §5.4.1 and §5.4.2 with http for the scheme, then what registries and GitHub send.
    static const char *const base = "http://a/b/c/d;p?q";
    static const char *const rows[][2] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {"g?y#s", "http://a/b/c/g?y"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"https://other:8443/x?a=b", "https://other:8443/x?a=b"},
        {"g?u=http://h/", "http://a/b/c/g?u=http://h/"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char *out CLEANUP(xfreep) = NULL;
        assert_null(url_resolve(base, rows[i][0], &out));
        assert_string_equal(out, rows[i][1]);
    }
    char *out CLEANUP(xfreep) = NULL;
    assert_null(url_resolve(
        "http://[::1]:5000/v2/a/blobs/uploads/", "/v2/a/blobs/uploads/1?_state=x", &out));
    assert_string_equal(out, "http://[::1]:5000/v2/a/blobs/uploads/1?_state=x");
}

static void
hostile_locations_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {NULL, "javascript:alert(1)", "file:///etc/passwd", "g h",
        "/x\r\nSet-Cookie: a=b", "//", "https://", "http:g", "//h:99999/"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char *out = NULL;
        struct error *err CLEANUP(error_freep) = url_resolve("https://a/b", rows[i], &out);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_INPUT);
        assert_null(out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absolute_urls_are_taken_apart),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(absurd_lengths_are_refused),
        cmocka_unit_test(loopback_is_this_machine_only),
        cmocka_unit_test(an_origin_is_scheme_host_and_port),
        cmocka_unit_test(encoding_keeps_only_the_unreserved),
        cmocka_unit_test(locations_are_resolved),
        cmocka_unit_test(hostile_locations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
