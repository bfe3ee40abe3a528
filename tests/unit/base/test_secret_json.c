// Values out of objects: what is one, what is none, and that no error shows any.
#include "dispatcher/secret_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"

static struct error *
take(const char *text, const char *key, struct secret **out)
{
    struct json *object CLEANUP(json_freep) = NULL;
    assert_success(json_parse(str_of(text), &json_limits_default, &object));
    return secret_json_take(object, key, out);
}

static void
takes_values(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"{\"a\":\"x y\",\"b\":\"c\"}", "a", "x y"},
        {"{\"a b#c\":\"1\"}", "a b#c", "1"},
        {"{\"a\":-7}", "a", "-7"},
        {"{\"a\":true}", "a", "true"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct secret *value CLEANUP(secret_freep) = NULL;
        assert_success(take(rows[i][0], rows[i][1], &value));
        assert_string_equal(secret_expose(value).ptr, rows[i][2]);
    }
}

static void
refuses_the_rest_unquoted(void **state)
{
    (void)state;
    static const char after[] = "The reference names the key after '#'.";
    static const struct {
        const char *text, *message, *hint;
    } rows[] = {
        {"{\"b\":\"canary\"}", "there is no key 'a' in it", after},
        {"{\"a\":null,\"b\":\"canary\"}", "there is no key 'a' in it", after},
        {"{\"a\":{\"b\":\"canary\"}}", "key 'a' holds no text", NULL},
        {"{\"a\":[\"canary\"]}", "key 'a' holds no text", NULL},
        {"{\"a\":\"\",\"b\":\"canary\"}", "key 'a' is empty", NULL},
        {"[\"canary\"]", "there is no key 'a' in it", after},
        {"\"canary\"", "there is no key 'a' in it", after},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct secret *value = NULL;
        assert_failure(
            take(rows[i].text, "a", &value), ERROR_CREDENTIALS, rows[i].message, rows[i].hint);
        assert_null(value);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_values),
        cmocka_unit_test(refuses_the_rest_unquoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
