// The YAML tree: places, caps, aliases of workflow files, hostile input.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/yaml.h"

struct parsed {
    struct arena *arena;
    struct diagnostics *diagnostics;
    struct yaml_node *root;
};

static struct parsed
parse(struct str text, const struct yaml_limits *limits)
{
    struct parsed p = {.arena = arena_new(), .diagnostics = diagnostics_new()};
    yaml_parse("x.yaml", text, limits, p.arena, p.diagnostics, &p.root);
    return p;
}

static void
done(struct parsed *p)
{
    diagnostics_free(p->diagnostics);
    arena_free(p->arena);
}

// Exactly one diagnostic, of this rule, and no tree.
static void
assert_refused(struct str text, const struct yaml_limits *limits, const char *rule)
{
    struct parsed p = parse(text, limits);
    assert_null(p.root);
    assert_int_equal(diagnostics_total(p.diagnostics), 1);
    assert_string_equal(diagnostics_at(p.diagnostics, 0)->rule, rule);
    done(&p);
}

static void
test_places(void **state)
{
    (void)state;
    struct parsed p = parse(STR("a: é x  # c\n\"b\": {c: [1, '2']}\n"), &yaml_limits_spec);
    assert_non_null(p.root);
    assert_int_equal(p.root->count, 2);
    const struct yaml_node *a = p.root->first;
    assert_string_equal(a->text, "a");
    assert_int_equal(a->value->span.line, 1);
    assert_int_equal(a->value->span.column, 4);
    assert_int_equal(a->value->span.length, 3); // code points, not bytes
    assert_int_equal(a->value->end_column, 7);
    const struct yaml_node *list = yaml_get(yaml_get(p.root, "b"), "c");
    assert_int_equal(list->kind, YAML_SEQUENCE);
    assert_true(list->flow);
    assert_int_equal(list->count, 2);
    assert_false(list->first->quoted);
    assert_true(list->first->next->quoted);
    assert_string_equal(yaml_text(list->first->next), "2");
    assert_int_equal(list->span.line, 2);
    assert_int_equal(list->span.column, 10);
    assert_null(yaml_get(p.root, "z"));
    assert_null(yaml_get(list, "z"));
    assert_null(yaml_get(NULL, "z"));
    assert_null(yaml_text(list));
    assert_null(yaml_text(NULL));
    done(&p);
}

static void
test_scalars_stay_text(void **state)
{
    (void)state;
    struct parsed p = parse(
        STR("a: yes\nb: 0777\nc: ~\nd:\ne: 1e3\nf: 2001-01-01\ng: |\n  x\n"), &yaml_limits_spec);
    assert_string_equal(yaml_text(yaml_get(p.root, "a")), "yes");
    assert_string_equal(yaml_text(yaml_get(p.root, "b")), "0777");
    assert_string_equal(yaml_text(yaml_get(p.root, "c")), "~");
    assert_string_equal(yaml_text(yaml_get(p.root, "d")), "");
    assert_string_equal(yaml_text(yaml_get(p.root, "e")), "1e3");
    assert_string_equal(yaml_text(yaml_get(p.root, "f")), "2001-01-01");
    assert_string_equal(yaml_text(yaml_get(p.root, "g")), "x\n");
    assert_true(yaml_get(p.root, "g")->block);
    done(&p);
}

static void
test_empty_documents(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n\n", "# comment\n", "---\n", "---\n...\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct parsed p = parse(str_of(texts[i]), &yaml_limits_spec);
        assert_null(p.root);
        assert_int_equal(diagnostics_total(p.diagnostics), 0);
        done(&p);
    }
}

static char *
repeated(const char *text, size_t count, const char *end)
{
    struct buf out = BUF_INIT(8 * 1024 * 1024);
    for (size_t i = 0; i < count; i++) {
        buf_puts(&out, text);
    }
    buf_puts(&out, end);
    return buf_take(&out);
}

static void
test_caps_of_specs(void **state)
{
    (void)state;
    char *fits CLEANUP(xfreep) = repeated("#", 65536, "");
    struct parsed p = parse(str_of(fits), &yaml_limits_spec);
    assert_int_equal(diagnostics_total(p.diagnostics), 0);
    done(&p);
    char *large CLEANUP(xfreep) = repeated("#", 65537, "");
    assert_refused(str_of(large), &yaml_limits_spec, "too-large");

    char *deep CLEANUP(xfreep) = repeated("[", 32, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    struct parsed q = parse(str_of(deep), &yaml_limits_spec);
    assert_non_null(q.root);
    done(&q);
    char *deeper CLEANUP(xfreep) = repeated("[", 33, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    assert_refused(str_of(deeper), &yaml_limits_spec, "too-deep");
    char *bomb CLEANUP(xfreep) = repeated("[", 65536, "");
    assert_refused(str_of(bomb), &yaml_limits_spec, "too-deep");

    // Stream, document, list and their ends are six of the 10,000.
    char *list CLEANUP(xfreep) = repeated("- a\n", 9994, "");
    struct parsed r = parse(str_of(list), &yaml_limits_spec);
    assert_non_null(r.root);
    assert_int_equal(r.root->count, 9994);
    done(&r);
    char *longer CLEANUP(xfreep) = repeated("- a\n", 9995, "");
    assert_refused(str_of(longer), &yaml_limits_spec, "too-many-events");
}

static void
test_refusals(void **state)
{
    (void)state;
    const struct yaml_limits *limits = &yaml_limits_spec;
    assert_refused(STR("a: &x 1\n"), limits, "alias");
    assert_refused(STR("a: *x\n"), limits, "alias");
    assert_refused(STR("a: &x {b: 1}\n"), limits, "alias");
    assert_refused(STR("a: &x [b]\n"), limits, "alias");
    assert_refused(STR("a: !!int 1\n"), limits, "tag");
    assert_refused(STR("a: !x {b: 1}\n"), limits, "tag");
    assert_refused(STR("a: !x [b]\n"), limits, "tag");
    assert_refused(STR("a: 1\na: 2\n"), limits, "duplicate-key");
    assert_refused(STR("a: 1\n--- b\n"), limits, "second-document");
    assert_refused(STR("? {a: 1}\n: b\n"), limits, "bad-key");
    assert_refused(STR("a: [\n"), limits, "yaml-syntax");
    assert_refused(STR("a: \xff\n"), limits, "not-utf8");
    assert_refused(STR("a: \xc0\xaf\n"), limits, "not-utf8");
    assert_refused(STR("a: \xe2\x82"), limits, "not-utf8");
    assert_refused(STR("a: x\0y\n"), limits, "nul-byte");
    assert_refused(STR("a: \"x\\0y\"\n"), limits, "nul-byte");
    assert_refused(STR("a: x\ry\n"), limits, "hidden-character");
    assert_refused(STR("a: \x1b[31m\n"), limits, "hidden-character");
    assert_refused(STR("a: \xe2\x80\xae\n"), limits, "hidden-character");
}

static void
test_byte_order_mark_and_crlf(void **state)
{
    (void)state;
    struct parsed p = parse(STR("\xef\xbb\xbf"
                                "a: 1\r\nb: 2\r\n"),
        &yaml_limits_spec);
    assert_int_equal(diagnostics_total(p.diagnostics), 0);
    assert_string_equal(yaml_text(yaml_get(p.root, "a")), "1");
    assert_string_equal(yaml_text(yaml_get(p.root, "b")), "2");
    done(&p);
}

static void
test_aliases_of_workflows_are_expanded(void **state)
{
    (void)state;
    struct parsed p =
        parse(STR("a: &x {k: [1, 2]}\nb: *x\nc: &x 3\nd: *x\ne: !tag 4\n"), &yaml_limits_workflow);
    assert_int_equal(diagnostics_total(p.diagnostics), 0);
    assert_int_equal(yaml_get(yaml_get(p.root, "b"), "k")->count, 2);
    assert_ptr_not_equal(yaml_get(p.root, "a"), yaml_get(p.root, "b"));
    assert_string_equal(yaml_text(yaml_get(p.root, "d")), "3"); // the newest of that name
    assert_string_equal(yaml_text(yaml_get(p.root, "e")), "4");
    done(&p);
    assert_refused(STR("a: &x [*x]\n"), &yaml_limits_workflow, "alias");
    assert_refused(STR("a: *x\nb: &x 1\n"), &yaml_limits_workflow, "alias");
}

// Nine lists of nine aliases each: 9^9 values once written out.
static void
test_alias_bomb(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_puts(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 9; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 9; j++) {
            buf_printf(&text, "%s*a%d", j > 0 ? ", " : "", i - 1);
        }
        buf_puts(&text, "]\n");
    }
    assert_refused(buf_str(&text), &yaml_limits_workflow, "too-many-events");
}

// An alias may not smuggle depth in either.
static void
test_alias_depth(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_puts(&text, "a0: &a0 [x]\n");
    for (int i = 1; i < 70; i++) {
        buf_printf(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    }
    assert_refused(buf_str(&text), &yaml_limits_workflow, "too-deep");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_scalars_stay_text),
        cmocka_unit_test(test_empty_documents),
        cmocka_unit_test(test_caps_of_specs),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_byte_order_mark_and_crlf),
        cmocka_unit_test(test_aliases_of_workflows_are_expanded),
        cmocka_unit_test(test_alias_bomb),
        cmocka_unit_test(test_alias_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
