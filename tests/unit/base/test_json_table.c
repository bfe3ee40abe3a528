// Structs from and to JSON by field table: every kind, both ways, and the path of what is wrong.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/json.h"
#include "dispatcher/memory.h"

struct point {
    int64_t x;
    const char *label;
};

struct named {
    const char *key;
    int64_t size;
};

struct all {
    const char *text;
    int64_t number, wait_ms;
    bool flag, flag_given;
    struct point point;
    struct str_list words;
    struct int_list numbers;
    struct object_list points; // struct point
    struct pair_list labels;
    struct object_list named; // struct named
    const struct json *raw;
};

static const struct field point_fields[] = {
    FIELD(struct point, x, "x", FIELD_INT, .required = true),
    FIELD(struct point, label, "label", FIELD_STR),
};
static const struct field_table point_table = FIELD_TABLE("point", struct point, point_fields);

static const struct field named_fields[] = {
    FIELD(struct named, size, "size", FIELD_INT),
};
static const struct field_table named_table = FIELD_TABLE("named", struct named, named_fields);

static const struct field all_fields[] = {
    FIELD(struct all, text, "text", FIELD_STR),
    FIELD(struct all, number, "number", FIELD_INT),
    FIELD(struct all, wait_ms, "wait", FIELD_DURATION),
    FIELD(struct all, flag, "flag", FIELD_BOOL, .present_offset = offsetof(struct all, flag_given)),
    FIELD(struct all, point, "point", FIELD_OBJECT, .table = &point_table),
    FIELD(struct all, words, "words", FIELD_LIST_STR),
    FIELD(struct all, numbers, "numbers", FIELD_LIST_INT),
    FIELD(struct all, points, "points", FIELD_LIST_OBJECT, .table = &point_table),
    FIELD(struct all, labels, "labels", FIELD_MAP_STR),
    FIELD(struct all, named, "named", FIELD_MAP_OBJECT, .table = &named_table),
    FIELD(struct all, raw, "raw", FIELD_RAW),
};
static const struct field_table all_table = FIELD_TABLE("all", struct all, all_fields);

static const char everything[] =
    "{\"text\":\"t\",\"number\":-3,\"wait\":1500,\"flag\":true,\"point\":{\"x\":1,\"label\":\"p\"},"
    "\"words\":[\"a\",\"b\"],\"numbers\":[1,2],\"points\":[{\"x\":2},{\"x\":3,\"label\":\"q\"}],"
    "\"labels\":{\"k\":\"v\",\"l\":\"w\"},\"named\":{\"one\":{\"size\":5}},\"raw\":[{}]}";

static struct json *
parse(const char *text)
{
    struct json *value = NULL;
    assert_null(json_parse(str_of(text), &json_limits_default, &value));
    return value;
}

static void
every_kind_is_decoded(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *doc CLEANUP(json_freep) = parse(everything);
    struct all all = {0};
    assert_null(json_decode(doc, &all_table, arena, &all));
    assert_string_equal(all.text, "t");
    assert_int_equal(all.number, -3);
    assert_int_equal(all.wait_ms, 1500);
    assert_true(all.flag && all.flag_given);
    assert_int_equal(all.point.x, 1);
    assert_string_equal(all.point.label, "p");
    assert_int_equal(all.words.count, 2);
    assert_string_equal(all.words.items[1], "b");
    assert_int_equal(all.numbers.items[1], 2);
    assert_int_equal(all.points.count, 2);
    const struct point *points = all.points.items;
    assert_null(points[0].label);
    assert_string_equal(points[1].label, "q");
    assert_int_equal(all.labels.count, 2);
    assert_string_equal(all.labels.items[1].key, "l");
    assert_string_equal(all.labels.items[1].value, "w");
    const struct named *named = all.named.items;
    assert_int_equal(all.named.count, 1);
    assert_string_equal(named[0].key, "one");
    assert_int_equal(named[0].size, 5);
    assert_int_equal(json_count(all.raw), 1);
}

static void
strings_outlive_the_document(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *doc = parse("{\"text\":\"t\",\"labels\":{\"k\":\"v\"}}");
    struct all all = {0};
    assert_null(json_decode(doc, &all_table, arena, &all));
    json_freep(&doc);
    assert_string_equal(all.text, "t"); // asan sees a use after free
    assert_string_equal(all.labels.items[0].key, "k");
}

static void
what_is_encoded_decodes_the_same(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *doc CLEANUP(json_freep) = parse(everything);
    struct all all = {0};
    assert_null(json_decode(doc, &all_table, arena, &all));
    struct json *again CLEANUP(json_freep) = json_encode(&all_table, &all);
    char *text CLEANUP(xfreep) = json_text(again);
    assert_string_equal(text, everything);
}

static void
absent_and_null_and_unknown(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *doc CLEANUP(json_freep) =
        parse("{\"text\":null,\"flag\":null,\"words\":null,\"raw\":null,\"new\":[1]}");
    struct all all = {.number = 77};
    assert_null(json_decode(doc, &all_table, arena, &all));
    assert_null(all.text);
    assert_false(all.flag_given);
    assert_int_equal(all.words.count, 0);
    assert_null(all.raw);
    assert_int_equal(all.number, 77); // untouched
}

static void
empty_things_are_left_out(void **state)
{
    (void)state;
    struct all all = {0};
    struct json *object CLEANUP(json_freep) = json_encode(&all_table, &all);
    char *text CLEANUP(xfreep) = json_text(object);
    assert_string_equal(text, "{\"point\":{\"x\":0}}"); // x is required, so it shows
}

static void
required_fields_show_even_when_empty(void **state)
{
    (void)state;
    static const struct field fields[] = {
        FIELD(struct all, number, "number", FIELD_INT, .required = true),
        FIELD(struct all, flag, "flag", FIELD_BOOL, .required = true),
        FIELD(struct all, words, "words", FIELD_LIST_STR, .required = true),
        FIELD(struct all, labels, "labels", FIELD_MAP_STR, .required = true),
        FIELD(struct all, text, "text", FIELD_STR, .required = true),
    };
    static const struct field_table table = FIELD_TABLE("strict", struct all, fields);
    struct all all = {0};
    struct json *object CLEANUP(json_freep) = json_encode(&table, &all);
    char *text CLEANUP(xfreep) = json_text(object);
    assert_string_equal(text, "{\"number\":0,\"flag\":false,\"words\":[],\"labels\":{}}");
}

static void
wrong_members_are_named_with_their_path(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[]", "unusable answer: not a JSON object (all)"},
        {"{\"text\":1}", "unusable answer: 'text' is not a string"},
        {"{\"number\":\"1\"}", "unusable answer: 'number' is not a whole number"},
        {"{\"number\":1.5}", "unusable answer: 'number' is not a whole number"},
        {"{\"wait\":true}", "unusable answer: 'wait' is not a whole number"},
        {"{\"flag\":0}", "unusable answer: 'flag' is not true or false"},
        {"{\"point\":[]}", "unusable answer: 'point' is not an object"},
        {"{\"point\":{}}", "unusable answer: 'point.x' is missing"},
        {"{\"point\":{\"x\":null}}", "unusable answer: 'point.x' is missing"},
        {"{\"words\":{}}", "unusable answer: 'words' is not a list"},
        {"{\"words\":[\"a\",1]}", "unusable answer: 'words[1]' is not a string"},
        {"{\"numbers\":1}", "unusable answer: 'numbers' is not a list"},
        {"{\"numbers\":[\"a\"]}", "unusable answer: 'numbers[0]' is not a whole number"},
        {"{\"points\":{}}", "unusable answer: 'points' is not a list"},
        {"{\"points\":[{\"x\":1},7]}", "unusable answer: 'points[1]' is not an object"},
        {"{\"points\":[{\"x\":1},{\"x\":1,\"label\":[]}]}",
            "unusable answer: 'points[1].label' is not a string"},
        {"{\"labels\":[]}", "unusable answer: 'labels' is not an object"},
        {"{\"labels\":{\"a\":\"x\",\"b\":1,\"c\":2}}",
            "unusable answer: 'labels.b' is not a string"},
        {"{\"named\":1}", "unusable answer: 'named' is not an object"},
        {"{\"named\":{\"one\":{\"size\":\"big\"},\"two\":3}}",
            "unusable answer: 'named.one.size' is not a whole number"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct json *doc CLEANUP(json_freep) = parse(cases[i].text);
        struct all all = {0};
        struct error *err CLEANUP(error_freep) = json_decode(doc, &all_table, arena, &all);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
        assert_string_equal(error_message(err), cases[i].message);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_decoded),
        cmocka_unit_test(strings_outlive_the_document),
        cmocka_unit_test(what_is_encoded_decodes_the_same),
        cmocka_unit_test(absent_and_null_and_unknown),
        cmocka_unit_test(empty_things_are_left_out),
        cmocka_unit_test(required_fields_show_even_when_empty),
        cmocka_unit_test(wrong_members_are_named_with_their_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
