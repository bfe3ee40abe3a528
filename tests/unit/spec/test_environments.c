// Which refs and events may deploy where.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/spec.h"
#include "golden.h"

enum { TEXT_MAX = 64 * 1024 };

static bool
accepts(const char *pattern, const char *ref)
{
    const struct setting_allow rule = {.id = "x", .refs = {&pattern, 1}};
    return settings_rule_accepts(&rule, &(struct setting_trigger){.ref = ref});
}

static void
test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *ref;
        bool accepted;
    } cases[] = {
        {"refs/heads/main", "refs/heads/main", true},
        {"refs/heads/main", "refs/heads/not-main", false},
        {"refs/heads/main", "refs/heads/main2", false},
        {"refs/heads/main", "refs/heads/Main", false},
        {"refs/heads/main", "xrefs/heads/main", false},
        {"refs/tags/v*", "refs/tags/v1.2.3", true},
        {"refs/tags/v*", "refs/tags/v", true},
        {"refs/tags/v*", "refs/tags/v1/x", false},
        {"refs/tags/v*", "refs/heads/v1", false},
        {"refs/heads/*", "refs/heads/feature/x", false},
        {"refs/heads/**", "refs/heads/feature/x", true},
        {"refs/heads/**/x", "refs/heads/a/b/x", true},
        {"refs/heads/**/x", "refs/heads/x", false},
        {"refs/heads/*-*-x", "refs/heads/a-b-c-x", true},
        {"refs/heads/*a*b", "refs/heads/aab", true},
        {"refs/heads/*a*b", "refs/heads/aabc", false},
        {"refs/heads/r*/**", "refs/heads/rel/1/2", true},
        {"refs/heads/a.c", "refs/heads/abc", false},
        {"", "", true},
        {"", "refs/heads/main", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        if (accepts(cases[i].pattern, cases[i].ref) != cases[i].accepted) {
            fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].ref);
        }
    }
}

// What the pattern means, in the plain words of a recursion; slow on purpose.
static bool
means(const char *pattern, const char *text)
{
    if (*pattern == '\0') {
        return *text == '\0';
    }
    if (*pattern != '*') {
        return *pattern == *text && means(pattern + 1, text + 1);
    }
    bool across = pattern[1] == '*';
    const char *rest = pattern + (across ? 2 : 1);
    return means(rest, text) ||
           (*text != '\0' && (across || *text != '/') && means(pattern, text + 1));
}

static uint32_t
next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 16;
}

static void
test_patterns_mean_what_they_say(void **state)
{
    (void)state;
    uint32_t seed = 20260101;
    size_t accepted = 0;
    for (int round = 0; round < 20000; round++) {
        char pattern[9] = {0}, text[9] = {0};
        size_t pattern_len = next_random(&seed) % 8, text_len = next_random(&seed) % 8;
        for (size_t i = 0; i < pattern_len; i++) {
            pattern[i] = "ab/**"[next_random(&seed) % 5];
        }
        for (size_t i = 0; i < text_len; i++) {
            text[i] = "ab/"[next_random(&seed) % 3];
        }
        bool expected = means(pattern, text);
        accepted += expected ? 1 : 0;
        if (accepts(pattern, text) != expected) {
            fail_msg("'%s' and '%s'", pattern, text);
        }
    }
    assert_true(accepted > 500);
}

// A pattern that would keep a backtracking matcher busy for years.
static void
test_patterns_take_linear_time(void **state)
{
    (void)state;
    char pattern[257] = {0}, text[4097] = {0}, long_pattern[300] = {0};
    for (size_t i = 0; i < 256; i++) {
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    }
    memset(text, 'a', 4096);
    text[4095] = 'b';
    assert_false(accepts(pattern, text));
    text[4095] = 'a';
    assert_true(accepts(pattern, text));
    memset(long_pattern, 'a', 299);
    assert_false(accepts(long_pattern, long_pattern)); // lint has refused it
}

static void
test_events(void **state)
{
    (void)state;
    const char *ref = "refs/heads/main", *event = "push";
    const struct setting_allow rule = {.refs = {&ref, 1}, .events = {&event, 1}};
    const struct setting_allow never = {.refs = {&ref, 1}}, nowhere = {.events = {&event, 1}};
    assert_true(settings_rule_accepts(&rule, &(struct setting_trigger){ref, "push"}));
    assert_true(settings_rule_accepts(&rule, &(struct setting_trigger){ref, NULL}));
    assert_false(settings_rule_accepts(&rule, &(struct setting_trigger){ref, "schedule"}));
    assert_false(settings_rule_accepts(&never, &(struct setting_trigger){ref, "push"}));
    assert_false(settings_rule_accepts(&nowhere, &(struct setting_trigger){ref, "push"}));
}

static void
assert_chosen(const char *spec, const char *ref, const char *event, const char *expected)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct buf config CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf chosen CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct str_list list = {0};
    golden_read("../../appspecs/dispatcher.yaml", &config);
    golden_read(arena_printf(arena, "../../appspecs/%s.yaml", spec), &text);
    struct spec_document config_document = {"dispatcher.yaml", buf_str(&config)};
    struct spec_document document = {spec, buf_str(&text)};
    settings_environments_for_ref(&config_document, &document,
        &(struct setting_trigger){ref, event}, arena, diagnostics, &list);
    assert_int_equal(diagnostics_total(diagnostics), 0);
    for (size_t i = 0; i < list.count; i++) {
        buf_printf(&chosen, "%s%s", i > 0 ? " " : "", list.items[i]);
    }
    assert_string_equal(buf_cstr(&chosen), expected);
}

// The triggers of the systems that the examples describe.
static void
test_examples_choose_their_environments(void **state)
{
    (void)state;
    assert_chosen("swasthx-backend", "refs/heads/development", "push", "development");
    assert_chosen("swasthx-backend", "refs/heads/qa", "push", "qa");
    assert_chosen("swasthx-backend", "refs/heads/production", "push", "production");
    assert_chosen("swasthx-backend", "refs/heads/main", "push", "");
    assert_chosen("kaapi", "refs/heads/main", "push", "staging");
    assert_chosen("kaapi", "refs/tags/v1.0.0", "push", "production");
    assert_chosen("kaapi", "refs/tags/v1.0.0", "workflow_dispatch", "");
    assert_chosen("kaapi", "refs/tags/nightly", "push", "");
    assert_chosen("backend-api", "refs/heads/main", "push", "production");
    assert_chosen("my-app", "refs/heads/main", "push", "development");
    assert_chosen("monorepo-api", "refs/heads/main", NULL, "production");
    assert_chosen("minimal", "refs/heads/main", "push", "");
}

static void
choose(const char *config, const char *app, const char *ref, struct arena *arena,
    struct diagnostics *diagnostics, struct str_list *out)
{
    struct spec_document config_document = {"dispatcher.yaml", str_of(config)};
    struct spec_document document = {"shop.yaml", str_of(app)};
    settings_environments_for_ref(&config_document, &document,
        &(struct setting_trigger){ref, "push"}, arena, diagnostics, out);
}

#define SHOP "name: shop\nservices: {web: {}}\n"

static void
test_several_in_promotion_order(void **state)
{
    (void)state;
    static const char app[] = SHOP "deploy: {environments: {b: {branch: main}, "
                                   "a: {allow: [{id: x, refs: [\"refs/heads/m*\"]}]}, c: {}}}\n";
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct str_list list = {0};
    choose(
        "version: 1\nenvironments: [a, b, c]\n", app, "refs/heads/main", arena, diagnostics, &list);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0], "a");
    assert_string_equal(list.items[1], "b");
    choose("", app, "refs/heads/main", arena, diagnostics, &list);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0], "b");
    assert_string_equal(list.items[1], "a");
    choose("version: 1\npolicy: {b: {events: [release]}}\n", app, "refs/heads/main", arena,
        diagnostics, &list);
    assert_int_equal(list.count, 1); // the floor leaves 'b' no event of the default ones
    assert_string_equal(list.items[0], "a");
    assert_int_equal(diagnostics_total(diagnostics), 0);
}

static void
test_a_bad_spec_chooses_nothing(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct str_list list = {0};
    choose("version: 1\nenvironments: [a]\n",
        SHOP "deploy: {environments: {a: {branch: main}, b: {branch: main}}}\n", "refs/heads/main",
        arena, diagnostics, &list);
    assert_int_equal(list.count, 0);
    assert_int_equal(diagnostics_count(diagnostics, DIAGNOSTIC_ERROR), 1);
    assert_string_equal(diagnostics_at(diagnostics, 0)->rule, "unknown-environment");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_patterns_mean_what_they_say),
        cmocka_unit_test(test_patterns_take_linear_time),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_examples_choose_their_environments),
        cmocka_unit_test(test_several_in_promotion_order),
        cmocka_unit_test(test_a_bad_spec_chooses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
