// Which URLs are taken, what people are shown of them, and that a password is never among it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "postgres_internal.h"

static const struct {
    const char *url, *name;
    bool local;
} taken[] = {
    {"postgresql://db.example/dispatcher", "postgresql://db.example/dispatcher", false},
    {"postgresql://u:hunter22@db.example:6432/d?sslmode=verify-full",
        "postgresql://db.example:6432/d", false},
    {"postgres://u@a:5432,b:5433/d", "postgresql://a,b/d", false},
    {"postgresql://localhost/d", "postgresql://localhost/d", true},
    {"postgresql://localhost,127.0.0.1/d?sslmode=disable", "postgresql://localhost,127.0.0.1/d",
        true},
    {"postgresql://localhost,db.example/d", "postgresql://localhost,db.example/d", false},
    {"postgresql://[::1]:5433/d", "postgresql://::1:5433/d", true},
    {"postgresql:///d?host=/run/postgresql&user=u&password=hunter22",
        "postgresql:///d?host=/run/postgresql", true},
    {"postgresql://localhost/d?hostaddr=10.0.0.7", "postgresql://localhost/d", false},
    {"postgresql://db.example/d?hostaddr=127.0.0.1", "postgresql://db.example/d", true},
};

#define FORM "the journal's 'postgresql://' URL "
static const struct {
    const char *url, *text;
} refused[] = {
    {"postgresql://", FORM "names no host (a socket's directory: '?host=/run/postgresql')"},
    {"postgresql:///d", FORM "names no host (a socket's directory: '?host=/run/postgresql')"},
    {"postgresql://h", FORM "names no database"},
    {"postgresql://h/d?service=x", FORM "must not have 'service' or 'replication'"},
    {"postgresql://h/d?hunter22=1", FORM "cannot be understood"},
    {"postgresql://u:%hunter22@h/d", FORM "cannot be understood"},
    {"postgresql://[::1/d", FORM "cannot be understood"},
    // Passwords that were not encoded end up in other parts.
    {"postgresql://u:hunt/er22@h/d",
        FORM "has a character in host, port or database that it should not"},
    {"postgresql://u:hunt@er22@h/d",
        FORM "has a character in host, port or database that it should not"},
    {"postgresql://u:12345/er22@h/d",
        FORM "has a character in host, port or database that it should not"},
    // No TLS, or nobody looks whose certificate it is.
    {"postgresql://db.example/d?sslmode=require",
        "journal 'postgresql://db.example/d': 'sslmode' must be 'verify-full' for a database on "
        "another machine"},
    {"postgresql://localhost,db.example/d?sslmode=disable",
        "journal 'postgresql://localhost,db.example/d': 'sslmode' must be 'verify-full' for a "
        "database on another machine"},
    {"postgresql://localhost/d?hostaddr=10.0.0.7&sslmode=verify-ca",
        "journal 'postgresql://localhost/d': 'sslmode' must be 'verify-full' for a database on "
        "another machine"},
};

static void
good_ones_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(taken); i++) {
        struct postgres_target target CLEANUP(postgres_target_done) = {0};
        assert_null(postgres_target_parse(taken[i].url, &target));
        assert_string_equal(target.name, taken[i].name);
        assert_int_equal(target.local, taken[i].local);
    }
}

static void
bad_ones_are_refused_without_repeating_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        struct postgres_target target CLEANUP(postgres_target_done) = {0};
        struct error *err CLEANUP(error_freep) = postgres_target_parse(refused[i].url, &target);
        assert_non_null(err);
        assert_string_equal(error_message(err), refused[i].text);
        assert_int_equal(error_kind(err), ERROR_STORAGE);
        assert_null(strstr(error_hint_of(err), "hunt"));
    }
}

static void
passwords_are_masked_from_then_on(void **state)
{
    (void)state;
    struct postgres_target target CLEANUP(postgres_target_done) = {0};
    assert_null(
        postgres_target_parse("postgresql://u:c%40nary-1@h/d?sslpassword=canary-2", &target));
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    buf_puts(&text, "postgresql://u:c%40nary-1@h/d and c@nary-1 and canary-2");
    secret_mask(&text);
    assert_string_equal(buf_cstr(&text), "postgresql://u:***@h/d and *** and ***");
}

static int
load(void **state)
{
    (void)state;
    assert_null(postgres_library_load());
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_are_taken),
        cmocka_unit_test(bad_ones_are_refused_without_repeating_them),
        cmocka_unit_test(passwords_are_masked_from_then_on),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
