// `spec pin`: the two numbers in, everything else as it was, whatever the file looks like.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/buf.h"
#include "dispatcher/memory.h"
#include "dispatcher/spec.h"

static const struct {
    const char *name, *before, *after; // after NULL: refused
} cases[] = {
    {"no deploy", "name: a\n# end\n",
        "name: a\n# end\ndeploy:\n  repository_id: 42\n  owner_id: 7\n"},
    {"no line end", "name: a", "name: a\ndeploy:\n  repository_id: 42\n  owner_id: 7\n"},
    {"an empty deploy", "name: a\ndeploy:  # soon\nx: 1\n",
        "name: a\ndeploy:  # soon\n  repository_id: 42\n  owner_id: 7\nx: 1\n"},
    {"an empty deploy at the end",
        "name: a\ndeploy:", "name: a\ndeploy:\n  repository_id: 42\n  owner_id: 7\n"},
    {"a block", "deploy: # why\n    # first\n    via: direct # x\n    version: sha\nname: a\n",
        "deploy: # why\n    repository_id: 42\n    owner_id: 7\n    # first\n    via: direct # x\n"
        "    version: sha\nname: a\n"},
    {"one is there", "deploy:\n  via: direct\n  repository_id: 42 # shop\n  version: sha\n",
        "deploy:\n  via: direct\n  repository_id: 42 # shop\n  owner_id: 7\n  version: sha\n"},
    {"the other is there", "deploy:\n  via: direct\n  owner_id: 7\n",
        "deploy:\n  repository_id: 42\n  via: direct\n  owner_id: 7\n"},
    {"both are others", "deploy:\n  owner_id: 70 # them\n  via: direct\n  repository_id:   1\n",
        "deploy:\n  owner_id: 7 # them\n  via: direct\n  repository_id:   42\n"},
    {"both are there", "deploy:\n  owner_id: 7\n  repository_id: 42\n",
        "deploy:\n  owner_id: 7\n  repository_id: 42\n"},
    {"without values", "deploy:\n  owner_id:\n  repository_id: # to do\n",
        "deploy:\n  owner_id: 7\n  repository_id: 42 # to do\n"},
    {"in quotes", "deploy: {repository_id: \"42\", owner_id: '7'}\n",
        "deploy: {repository_id: 42, owner_id: 7}\n"},
    {"braces", "deploy: {via: direct}\nname: a\n",
        "deploy: {repository_id: 42, owner_id: 7, via: direct}\nname: a\n"},
    {"empty braces", "deploy: {}\n", "deploy: {repository_id: 42, owner_id: 7}\n"},
    {"braces over lines", "deploy: {\n  via: direct }\n",
        "deploy: {repository_id: 42, owner_id: 7, \n  via: direct }\n"},
    {"the last line", "name: a\ndeploy:\n  via: direct",
        "name: a\ndeploy:\n  repository_id: 42\n  owner_id: 7\n  via: direct"},
    {"the id in the last line", "name: a\ndeploy:\n  repository_id: 42",
        "name: a\ndeploy:\n  repository_id: 42\n  owner_id: 7\n"},
    {"line ends of Windows", "name: a\r\ndeploy:\r\n  via: direct\r\n",
        "name: a\r\ndeploy:\r\n  repository_id: 42\r\n  owner_id: 7\r\n  via: direct\r\n"},
    {"a byte order mark", "\xef\xbb\xbfname: a\ndeploy:\n  via: direct\n",
        "\xef\xbb\xbfname: a\ndeploy:\n  repository_id: 42\n  owner_id: 7\n  via: direct\n"},
    {"wide letters", "title: \"\xc3\xa9\xe2\x82\xac\"\ndeploy: {repository_id: 1, owner_id: 2}\n",
        "title: \"\xc3\xa9\xe2\x82\xac\"\ndeploy: {repository_id: 42, owner_id: 7}\n"},
    {"ids elsewhere stay", "x: {repository_id: 1}\ndeploy:\n  environments: {a: {owner_id: 3}}\n",
        "x: {repository_id: 1}\ndeploy:\n  repository_id: 42\n  owner_id: 7\n"
        "  environments: {a: {owner_id: 3}}\n"},
    {"no mapping", "- a\n", NULL},
    {"nothing", "", NULL},
    {"broken", "deploy: [", NULL},
    {"deploy is a text", "deploy: yes\n", NULL},
    {"deploy is a list", "deploy: [a]\n", NULL},
    {"the root in braces", "{name: a}\n", NULL},
    {"an end mark", "name: a\n...\n", NULL},
};

static void
test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct spec_document document = {"appspecs/a.yaml", str_of(cases[i].before)};
        struct buf out CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        struct error *err CLEANUP(error_freep) = spec_pin(&document, 42, 7, &out);
        print_message("%s\n", cases[i].name);
        if (cases[i].after == NULL) {
            assert_non_null(err);
            assert_int_equal(error_kind(err), ERROR_SPEC);
            assert_int_equal(out.len, 0);
            continue;
        }
        assert_null(err);
        assert_string_equal(buf_cstr(&out), cases[i].after);
        // once more changes nothing
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct buf again CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        struct spec_document second = {"appspecs/a.yaml", buf_str(&out)};
        int64_t repository = 0, owner = 0;
        assert_null(spec_pin(&second, 42, 7, &again));
        assert_string_equal(buf_cstr(&again), cases[i].after);
        spec_pinned(&second, arena, &repository, &owner);
        assert_int_equal(repository, 42);
        assert_int_equal(owner, 7);
    }
}

static void
test_repository(void **state)
{
    (void)state;
    static const struct {
        const char *text, *repository;
    } texts[] = {{"repo: acme/shop\n", "acme/shop"}, {"repo: acme\n", NULL},
        {"repo: [a/b]\n", NULL}, {"name: a\n", NULL}, {"", NULL}, {"repo: ../x\n", NULL},
        {"repo: [", NULL}};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct spec_document document = {"a.yaml", str_of(texts[i].text)};
        const char *repository = spec_repository(&document, arena);
        assert_true(cstr_equal(repository, texts[i].repository));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_repository),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
