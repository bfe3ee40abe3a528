// JSON by hand: parsing with caps, reading what may be of any type, building, printing.
#include "dispatcher/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

static struct json *
parse(const char *text)
{
    struct json *value = NULL;
    struct error *err = json_parse(str_of(text), &json_limits_default, &value);
    assert_null(err != NULL ? error_message(err) : NULL);
    return value;
}

static void
assert_refused(struct str text, const struct json_limits *limits, const char *message)
{
    struct json *value = NULL;
    struct error *err CLEANUP(error_freep) = json_parse(text, limits, &value);
    assert_non_null(err);
    assert_null(value);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    assert_string_equal(error_message(err), message);
}

static void
assert_unusable(const char *text, const char *message)
{
    assert_refused(str_of(text), &json_limits_default, message);
}

static void
values_of_all_kinds(void **state)
{
    (void)state;
    struct json *doc CLEANUP(json_freep) =
        parse("{\"s\":\"t\",\"i\":-7,\"d\":1.5,\"t\":true,\"f\":false,\"n\":null,"
              "\"a\":[1,\"x\"],\"o\":{\"k\":{\"z\":1}}}");
    assert_string_equal(json_str(json_get(doc, "s")), "t");
    assert_int_equal(json_int(json_get(doc, "i"), 0), -7);
    assert_true(json_number(json_get(doc, "d"), 0) > 1.49);
    assert_true(json_number(json_get(doc, "i"), 0) < -6.9);
    assert_true(json_bool(json_get(doc, "t"), false));
    assert_false(json_bool(json_get(doc, "f"), true));
    assert_true(json_is_null(json_get(doc, "n")));
    assert_int_equal(json_count(json_get(doc, "a")), 2);
    assert_string_equal(json_str(json_at(json_get(doc, "a"), 1)), "x");
    assert_null(json_at(json_get(doc, "a"), 2));
    assert_int_equal(json_int(json_path(doc, "o.k.z"), 0), 1);
    assert_int_equal(json_count(doc), 8);
}

static void
a_wrong_type_reads_as_absent(void **state)
{
    (void)state;
    struct json *doc CLEANUP(json_freep) = parse("{\"s\":\"t\",\"i\":1,\"d\":1.5,\"a\":[]}");
    assert_null(json_str(json_get(doc, "i")));
    assert_int_equal(json_int(json_get(doc, "s"), 42), 42);
    assert_int_equal(json_int(json_get(doc, "d"), 42), 42); // 1.5 is no whole number
    assert_true(json_number(json_get(doc, "s"), 9) > 8.9);
    assert_true(json_bool(json_get(doc, "s"), true));
    assert_null(json_get(json_get(doc, "a"), "x"));
    assert_null(json_at(doc, 0));
    assert_null(json_path(doc, "s.t.u"));
    assert_null(json_path(doc, "no.where"));
    assert_int_equal(json_count(json_get(doc, "s")), 0);
}

static void
null_is_safe_everywhere(void **state)
{
    (void)state;
    assert_null(json_get(NULL, "x"));
    assert_null(json_path(NULL, "x.y"));
    assert_null(json_str(NULL));
    assert_int_equal(json_int(NULL, 5), 5);
    assert_true(json_number(NULL, 5) > 4.9);
    assert_true(json_bool(NULL, true));
    assert_true(json_is_null(NULL));
    assert_false(json_is_object(NULL));
    assert_false(json_is_array(NULL));
    assert_false(json_is_int(NULL));
    assert_int_equal(json_count(NULL), 0);
    assert_null(json_at(NULL, 0));
    json_each(NULL, NULL, NULL);
    json_free(NULL);
}

static void
kinds_are_told_apart(void **state)
{
    (void)state;
    struct json *object CLEANUP(json_freep) = parse("{}");
    struct json *array CLEANUP(json_freep) = parse("[]");
    struct json *number CLEANUP(json_freep) = parse("1");
    assert_true(json_is_object(object) && !json_is_array(object) && !json_is_int(object));
    assert_true(!json_is_object(array) && json_is_array(array));
    assert_true(json_is_int(number) && !json_is_null(number));
}

static void
only_one_well_formed_value(void **state)
{
    (void)state;
    assert_unusable(
        "", "unusable answer: JSON, line 1 column 0: unexpected token near end of file");
    assert_unusable(
        "{", "unusable answer: JSON, line 1 column 1: string or '}' expected near end of file");
    assert_unusable("[1,]", "unusable answer: JSON, line 1 column 4: unexpected token");
    assert_unusable("{} x", "unusable answer: JSON, line 1 column 4: end of file expected");
    assert_unusable("[1][2]", "unusable answer: JSON, line 1 column 4: end of file expected");
    assert_unusable("<html>", "unusable answer: JSON, line 1 column 1: invalid token");
    assert_unusable(
        "{\"a\":1,\n\"a\":2}", "unusable answer: JSON, line 2 column 3: duplicate object key");
    assert_unusable(
        "[99999999999999999999]", "unusable answer: JSON, line 1 column 21: too big integer");
    assert_unusable("[1e999]", "unusable answer: JSON, line 1 column 6: real number overflow");
    assert_unusable("[NaN]", "unusable answer: JSON, line 1 column 4: invalid token");
    assert_unusable("[\"\\u0000\"]",
        "unusable answer: JSON, line 1 column 9: \\u0000 is not allowed "
        "without JSON_ALLOW_NUL");
    assert_unusable(
        "[\"\xff\"]", "unusable answer: JSON, line 1 column 2: unable to decode byte 0xff");
    assert_unusable(
        "[\"\\ud800\"]", "unusable answer: JSON, line 1 column 9: invalid Unicode '\\uD800'");
    assert_refused((struct str){"{}\0", 3}, &json_limits_default,
        "unusable answer: JSON, line 1 column 3: end of file expected near end of file");
}

static void
what_the_answer_said_stays_out_of_the_message(void **state)
{
    (void)state;
    assert_unusable(
        "{\"token\": ghs_canary}", "unusable answer: JSON, line 1 column 13: invalid token");
    assert_unusable("{\"ghs_canary\":1,\"ghs_canary\":2}",
        "unusable answer: JSON, line 1 column 28: duplicate object key");
}

static void
size_and_depth_are_capped(void **state)
{
    (void)state;
    struct json_limits limits = {.max_bytes = 6, .max_depth = 2};
    struct json *fits CLEANUP(json_freep) = NULL;
    assert_null(json_parse(STR("[[12]]"), &limits, &fits));
    assert_refused(STR("[[123]]"), &limits, "unusable answer: JSON of more than 6 bytes");
    assert_refused(STR("[[[]]]"), &limits, "unusable answer: JSON nested deeper than 2");
    assert_refused(STR("[{\"a\""), &(struct json_limits){100, 1},
        "unusable answer: JSON nested deeper than 1");
    // Brackets in strings do not count, escaped quotes do not end them.
    struct json *text CLEANUP(json_freep) = NULL;
    assert_null(json_parse(STR("[\"[[\\\"[[[\"]"), &(struct json_limits){100, 1}, &text));
    assert_string_equal(json_str(json_at(text, 0)), "[[\"[[[");
    char deep[200000];
    memset(deep, '[', sizeof(deep));
    assert_refused((struct str){deep, sizeof(deep)}, &json_limits_default,
        "unusable answer: JSON nested deeper than 64");
}

static void
built_documents_are_printed(void **state)
{
    (void)state;
    struct json *doc CLEANUP(json_freep) = json_make_object();
    struct json *list = json_make_array();
    json_append(list, json_make_int(INT64_MIN));
    json_append(list, json_make_string("a\"\n\x01/ä"));
    json_append(list, json_make_null());
    json_set_str(doc, "z", "first");
    json_set_str(doc, "none", NULL);
    json_set_int(doc, "i", 5);
    json_set_bool(doc, "b", true);
    json_set(doc, "list", list);
    json_set(doc, "t", json_make_bool(false));
    char *text CLEANUP(xfreep) = json_text(doc);
    assert_string_equal(text, "{\"z\":\"first\",\"i\":5,\"b\":true,\"list\":[-9223372036854775808,"
                              "\"a\\\"\\n\\u0001/ä\",null],\"t\":false}");
    struct buf indented CLEANUP(buf_done) = BUF_INIT(4096);
    struct json *small CLEANUP(json_freep) = parse("{\"a\":[1]}");
    json_print(small, true, &indented);
    assert_string_equal(buf_cstr(&indented), "{\n  \"a\": [\n    1\n  ]\n}");
}

static void
scalars_are_documents_too(void **state)
{
    (void)state;
    struct json *doc CLEANUP(json_freep) = parse(" \"x\" ");
    char *text CLEANUP(xfreep) = json_text(doc);
    assert_string_equal(text, "\"x\"");
}

static void
bad_utf8_is_replaced_in_strings_and_keys(void **state)
{
    (void)state;
    struct json *doc CLEANUP(json_freep) = json_make_object();
    json_set_str(doc, "a", "x\xff\xc3\xa4\xc3");
    json_set_int(doc, "k\xfe", 1);
    char *text CLEANUP(xfreep) = json_text(doc);
    assert_string_equal(text, "{\"a\":\"x\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\",\"k\xef\xbf\xbd\":1}");
}

static void
clones_live_on_their_own(void **state)
{
    (void)state;
    struct json *doc = parse("{\"a\":{\"b\":1}}");
    struct json *copy CLEANUP(json_freep) = json_clone(json_get(doc, "a"));
    json_freep(&doc);
    assert_null(doc);
    assert_int_equal(json_int(json_get(copy, "b"), 0), 1);
}

static void
note(void *ctx, const char *key, const struct json *value)
{
    buf_printf(ctx, "%s=%lld;", key, (long long)json_int(value, -1));
}

static void
members_come_in_insertion_order(void **state)
{
    (void)state;
    struct json *doc CLEANUP(json_freep) = parse("{\"z\":1,\"a\":2,\"m\":\"x\"}");
    struct buf seen CLEANUP(buf_done) = BUF_INIT(100);
    json_each(doc, note, &seen);
    assert_string_equal(buf_cstr(&seen), "z=1;a=2;m=-1;");
    buf_reset(&seen);
    json_each(json_get(doc, "z"), note, &seen); // no object
    assert_string_equal(buf_cstr(&seen), "");
}

static void
fractions_are_printed_to_the_last_bit(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"[0.1,5.5,0.25,100.0]", "[0.1,5.5,0.25,100.0]"},
        {"{\"at\":1795290480.123}", "{\"at\":1795290480.123}"},
        {"[1e22,-0.0,1.50]", "[1e22,-0.0,1.5]"},
        {"[0.30000000000000004,9007199254740993]", "[0.30000000000000004,9007199254740993]"},
        {"[[{\"a\":5e-324}],1.7976931348623157e308]",
            "[[{\"a\":4.9406564584124654e-324}],1.7976931348623157e308]"},
        {"0.2", "0.2"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct json *doc CLEANUP(json_freep) = parse(rows[i].in);
        char *text CLEANUP(xfreep) = json_text(doc);
        assert_string_equal(text, rows[i].out);
    }
}

static void
a_full_buffer_fails_the_print(void **state)
{
    (void)state;
    struct json *doc CLEANUP(json_freep) = parse("{\"a\":\"0123456789\"}");
    struct buf out CLEANUP(buf_done) = BUF_INIT(8);
    json_print(doc, false, &out);
    assert_true(out.failed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_all_kinds),
        cmocka_unit_test(a_wrong_type_reads_as_absent),
        cmocka_unit_test(null_is_safe_everywhere),
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(only_one_well_formed_value),
        cmocka_unit_test(what_the_answer_said_stays_out_of_the_message),
        cmocka_unit_test(size_and_depth_are_capped),
        cmocka_unit_test(built_documents_are_printed),
        cmocka_unit_test(scalars_are_documents_too),
        cmocka_unit_test(bad_utf8_is_replaced_in_strings_and_keys),
        cmocka_unit_test(clones_live_on_their_own),
        cmocka_unit_test(members_come_in_insertion_order),
        cmocka_unit_test(fractions_are_printed_to_the_last_bit),
        cmocka_unit_test(a_full_buffer_fails_the_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
