// WWW-Authenticate fields as registries write them, and as nobody should.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "registry_internal.h"

// `found`: "scheme realm service scope error", "-" for what is absent, or NULL.
static const struct {
    const char *field, *found;
} rows[] = {
    {"Basic realm=\"x\"", "Basic x - - -"},
    {"basic", "basic - - - -"},
    {"Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a:pull,push\"",
        "Bearer https://a/t s repository:a:pull,push -"},
    {"Bearer realm=\"https://a/t\" , service = \"s\" ,\terror=\"insufficient_scope\"",
        "Bearer https://a/t s - insufficient_scope"},
    {"bEaReR REALM=https,Service=s", "bEaReR https s - -"},
    {"Bearer realm=\"a\\\"b\\\\c\"", "Bearer a\"b\\c - - -"},
    {"Bearer realm=\"a,b=c\",service=\"d e\"", "Bearer a,b=c d e - -"},
    {"Bearer realm=\"first\",realm=\"second\"", "Bearer first - - -"},
    {"Basic realm=\"x\", Bearer realm=\"y\",service=\"s\"", "Bearer y s - -"},
    {"Bearer realm=\"y\",service=\"s\", Basic realm=\"x\"", "Bearer y s - -"},
    {"Negotiate, Basic realm=\"x\"", "Basic x - - -"},
    {"Digest realm=\"d\",nonce=\"n\", Basic realm=\"x\"", "Basic x - - -"},
    {",, Basic realm=\"x\"", "Basic x - - -"},
    {"Bearer realm=\"y\",,service=\"s\"", "Bearer y s - -"},
    {"Bearer unknown=\"y\", realm=\"z\"", "Bearer z - - -"},
    {"Bearer realm=\"\"", "Bearer  - - -"},
    {"Basic realm=\"never closed", "Basic - - - -"},
    {"Bearer", NULL},
    {"Bearer service=\"s\"", NULL},
    {"Bearer realm=\"never closed", NULL},
    {"Negotiate abc==", NULL},
    {"", NULL},
    {"   ", NULL},
    {"=", NULL},
    {"\"Bearer\" realm=\"x\"", NULL},
};

static const char *
shown(const char *text)
{
    return text != NULL ? text : "-";
}

static void
fields_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct http_headers headers CLEANUP(http_headers_done) = {0};
        struct challenge found CLEANUP(challenge_done) = {0};
        http_headers_add(&headers, "www-authenticate", rows[i].field);
        print_message("%s\n", rows[i].field);
        bool any = challenge_find(&headers, &found);
        assert_int_equal(any, rows[i].found != NULL);
        if (any) {
            char *text CLEANUP(xfreep) = xasprintf("%s %s %s %s %s", found.scheme,
                shown(found.realm), shown(found.service), shown(found.scope), shown(found.error));
            assert_string_equal(text, rows[i].found);
        }
    }
}

static void
all_fields_of_an_answer_count(void **state)
{
    (void)state;
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct challenge found CLEANUP(challenge_done) = {0};
    assert_false(challenge_find(&headers, &found));
    http_headers_add(&headers, "WWW-Authenticate", "Basic realm=\"x\"");
    http_headers_add(&headers, "Other", "Bearer realm=\"no\"");
    http_headers_add(&headers, "WWW-Authenticate", "Bearer realm=\"yes\"");
    assert_true(challenge_find(&headers, &found));
    assert_string_equal(found.realm, "yes");
}

// Bounded work for anything: 60 KB of the awkward kinds.
static void
long_fields_are_no_trouble(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "a ", "a=b,", ",", "Bearer ", "\"", "a=\"b\",", "x y=\"", "\\"};
    for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++) {
        struct buf field CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        while (field.len < 60000) {
            buf_puts(&field, pieces[i]);
        }
        struct http_headers headers CLEANUP(http_headers_done) = {0};
        struct challenge found CLEANUP(challenge_done) = {0};
        http_headers_add(&headers, "WWW-Authenticate", buf_cstr(&field));
        assert_false(challenge_find(&headers, &found));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_understood),
        cmocka_unit_test(all_fields_of_an_answer_count),
        cmocka_unit_test(long_fields_are_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
