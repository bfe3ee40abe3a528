// "host/repository[:tag][@digest]": good ones taken apart, others refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/registry.h"

#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *text, *host, *repository, *tag, *digest;
} good[] = {
    {"registry.example.org/app", "registry.example.org", "app", NULL, NULL},
    {"registry.example.org/team/app:1.0", "registry.example.org", "team/app", "1.0", NULL},
    {"localhost/app:1", "localhost", "app", "1", NULL},
    {"localhost:5000/a/b/c:v_1.x-y", "localhost:5000", "a/b/c", "v_1.x-y", NULL},
    {"127.0.0.1:5000/app@" DIGEST, "127.0.0.1:5000", "app", NULL, DIGEST},
    {"[::1]:5000/app:1", "[::1]:5000", "app", "1", NULL},
    {"r.example.org/a-b__c.d_e---f:t@" DIGEST, "r.example.org", "a-b__c.d_e---f", "t", DIGEST},
    {"012345678901.dkr.ecr.eu-west-1.amazonaws.com/app:1",
        "012345678901.dkr.ecr.eu-west-1.amazonaws.com", "app", "1", NULL},
};

static const struct {
    const char *text, *problem;
} bad[] = {
    {"", "does not start with a registry's host"},
    {"app", "does not start with a registry's host"},
    {"app:1", "does not start with a registry's host"},
    {"team/app:1", "does not start with a registry's host"},
    {"/app:1", "does not start with a registry's host"},
    {"r.example.org?x/app:1", "does not start with a registry's host"},
    {"r.example.org#x/app:1", "does not start with a registry's host"},
    {"user@r.example.org/app:1", "does not start with a registry's host"},
    {"r.example.org:99999/app:1", "does not start with a registry's host"},
    {"r.example.org:x/app:1", "does not start with a registry's host"},
    {"r ex.org/app:1", "does not start with a registry's host"},
    {"https://r.example.org/app:1", "has a scheme, which does not belong there"},
    {"r.example.org/app:", "has an invalid tag after ':'"},
    {"r.example.org/app:-x", "has an invalid tag after ':'"},
    {"r.example.org/app:a:b", "has an invalid tag after ':'"},
    {"r.example.org/app:a/b", "has an invalid tag after ':'"},
    {"r.example.org/app@sha256:ab", "has an invalid digest after '@'"},
    {"r.example.org/app@" DIGEST "@" DIGEST, "has an invalid digest after '@'"},
    {"r.example.org/", "has no valid repository after the host"},
    {"r.example.org/App:1", "has no valid repository after the host"},
    {"r.example.org/a//b:1", "has no valid repository after the host"},
    {"r.example.org/../b:1", "has no valid repository after the host"},
    {"r.example.org/a?b:1", "has no valid repository after the host"},
    {"r.example.org/a/:1", "has no valid repository after the host"},
    {"r.example.org/" A50 A50 A50 A50 A50 A50 ":1", "has no valid repository after the host"},
};

static void
references_are_taken_apart(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        struct registry_reference *reference = NULL;
        print_message("%s\n", good[i].text);
        assert_null(registry_reference_parse(good[i].text, arena, &reference));
        assert_string_equal(reference->host, good[i].host);
        assert_string_equal(reference->repository, good[i].repository);
        assert_true(cstr_equal(reference->tag, good[i].tag));
        assert_true(cstr_equal(reference->digest, good[i].digest));
    }
}

static void
others_are_refused(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct registry_reference *reference = NULL;
        print_message("%s\n", bad[i].text);
        struct error *err = registry_reference_parse(bad[i].text, arena, &reference);
        assert_non_null(err);
        assert_null(reference);
        assert_int_equal(error_kind(err), ERROR_USAGE);
        assert_true(str_ends(str_of(error_message(err)), str_of(bad[i].problem)));
        assert_string_equal(error_hint_of(err), "Write it as HOST/REPOSITORY:TAG, for example "
                                                "registry.example.org/team/app:1.0.");
        error_free(err);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_taken_apart),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
