// The issuer's keys: one fetch a minute whatever strangers send, the last good set while the issuer
// is down, and none that is older than a day.
#include "service_state_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "fake_platform.h"
#include "script_transport.h"

#define JWKS "https://issuer.example.org/.well-known/jwks"

struct lab {
    struct fake_platform *fake;
    struct http_client_options options;
    struct keys *keys;
    struct arena *arena;
    char *set; // a published set of one key, "one"
};

static char *
make_set(const char *kid)
{
    struct secret *pem CLEANUP(secret_freep) = NULL;
    struct jwt_key *key CLEANUP(jwt_key_freep) = NULL;
    struct json *jwk = NULL;
    assert_null(jwt_key_generate_pem(&pem));
    assert_null(jwt_key_from_pem(pem, &key));
    assert_null(jwt_key_public_jwk(key, kid, &jwk));
    struct json *set CLEANUP(json_freep) = json_make_object();
    struct json *list = json_make_array();
    json_append(list, jwk);
    json_set(set, "keys", list);
    return json_text(set);
}

static int
set_up(void **state)
{
    struct lab *lab = xcalloc(1, sizeof(*lab));
    lab->fake = fake_platform_new(NULL);
    lab->arena = arena_new();
    lab->set = make_set("one");
    lab->keys = keys_new(&lab->fake->platform, &lab->options, JWKS);
    *state = lab;
    return 0;
}

static int
tear_down(void **state)
{
    struct lab *lab = *state;
    keys_free(lab->keys);
    free(lab->set);
    arena_free(lab->arena);
    fake_platform_free(lab->fake);
    free(lab);
    return 0;
}

// A token of that key that is well-formed, and signed by nobody.
static enum reason_code
check(struct lab *lab, const char *kid, enum keys_found *found)
{
    struct buf token CLEANUP(buf_done) = BUF_INIT(4096);
    char header[128];
    (void)snprintf(
        header, sizeof(header), "{\"alg\":\"RS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", kid);
    base64url_encode(str_of(header), &token);
    buf_puts(&token, ".e30.c2lnbmVkIGJ5IG5vYm9keQ");
    const struct policy_token_rules rules = {
        .issuer = "https://issuer.example.org", .audience = "x", .now_s = 1795247280};
    struct policy_claims *claims = NULL;
    struct policy_verdict verdict = {.code = REASON_COUNT};
    *found = keys_check(lab->keys, buf_str(&token), &rules, lab->arena, &claims, &verdict);
    assert_false(verdict.allowed);
    return verdict.code;
}

static void
one_fetch_a_minute(void **state)
{
    struct lab *lab = *state;
    const struct script_step steps[] = {{.method = HTTP_GET, .url = JWKS, .reply = lab->set},
        {.method = HTTP_GET, .url = JWKS, .reply = lab->set}};
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(lab->fake, steps, ARRAY_LENGTH(steps));
    enum keys_found found = KEYS_NONE;
    for (int i = 0; i < 10000; i++) {
        char kid[32];
        (void)snprintf(kid, sizeof(kid), "random-%d", i);
        assert_int_equal(check(lab, kid, &found), REASON_KEY_UNKNOWN);
        assert_int_equal(found, KEYS_CHECKED);
        if (i % 100 == 0) {
            fake_platform_advance(lab->fake, 590); // 59 s in all
        }
    }
    assert_int_equal(script_transport_request_count(script), 1);
    fake_platform_advance(lab->fake, 1000);
    assert_int_equal(check(lab, "another", &found), REASON_KEY_UNKNOWN);
    assert_int_equal(check(lab, "and-another", &found), REASON_KEY_UNKNOWN);
    script_transport_finish(script);
}

static void
good_while_the_issuer_is_down(void **state)
{
    struct lab *lab = *state;
    const struct script_step steps[] = {{.method = HTTP_GET, .url = JWKS, .reply = lab->set},
        {.method = HTTP_GET, .url_pattern = "*", .failure = "connection refused", .times = 100000}};
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(lab->fake, steps, ARRAY_LENGTH(steps));
    enum keys_found found = KEYS_NONE;
    keys_freshen(lab->keys);
    assert_int_equal(keys_fetched_ms(lab->keys), FAKE_WALL_START);
    for (int minute = 0; minute < 24 * 60 - 1; minute++) {
        fake_platform_advance(lab->fake, 60 * 1000);
        keys_freshen(lab->keys);
    }
    assert_int_equal(check(lab, "one", &found), REASON_TOKEN_SIGNATURE); // the key is known
    assert_int_equal(found, KEYS_CHECKED);
    fake_platform_advance(lab->fake, 61 * 1000);
    (void)check(lab, "one", &found);
    assert_int_equal(found, KEYS_NONE);
    assert_int_equal(keys_fetched_ms(lab->keys), 0);
}

static void
a_key_that_was_removed(void **state)
{
    struct lab *lab = *state;
    char *other CLEANUP(xfreep) = make_set("two");
    const struct script_step steps[] = {{.method = HTTP_GET, .url = JWKS, .reply = lab->set},
        {.method = HTTP_GET, .url = JWKS, .reply = other}};
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(lab->fake, steps, ARRAY_LENGTH(steps));
    enum keys_found found = KEYS_NONE;
    assert_int_equal(check(lab, "one", &found), REASON_TOKEN_SIGNATURE);
    fake_platform_advance(lab->fake, 60 * 1000);
    assert_int_equal(check(lab, "two", &found), REASON_TOKEN_SIGNATURE); // fetched for it
    assert_int_equal(check(lab, "one", &found), REASON_KEY_UNKNOWN);
    script_transport_finish(script);
}

static void
keys_of_another_address_do_not_count(void **state)
{
    struct lab *lab = *state;
    static const char next[] = "https://next.example.org/jwks";
    char *other CLEANUP(xfreep) = make_set("two");
    const struct script_step steps[] = {{.method = HTTP_GET, .url = JWKS, .reply = lab->set},
        {.method = HTTP_GET, .url = next, .failure = "connection refused"},
        {.method = HTTP_GET, .url = next, .reply = other}};
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(lab->fake, steps, ARRAY_LENGTH(steps));
    enum keys_found found = KEYS_NONE;
    assert_int_equal(check(lab, "one", &found), REASON_TOKEN_SIGNATURE);
    keys_set_address(lab->keys, JWKS); // the same: nothing is forgotten
    assert_int_equal(check(lab, "one", &found), REASON_TOKEN_SIGNATURE);
    keys_set_address(lab->keys, next);
    (void)check(lab, "one", &found);
    assert_int_equal(found, KEYS_NONE);
    assert_int_equal(keys_fetched_ms(lab->keys), 0);
    fake_platform_advance(lab->fake, 60 * 1000);
    assert_int_equal(check(lab, "two", &found), REASON_TOKEN_SIGNATURE);
    assert_int_equal(check(lab, "one", &found), REASON_KEY_UNKNOWN);
    script_transport_finish(script);
}

static void
answers_that_are_no_keys(void **state)
{
    struct lab *lab = *state;
    static const struct script_step steps[] = {
        {.method = HTTP_GET, .url = JWKS, .status = 302, .reply = ""},
        {.method = HTTP_GET, .url = JWKS, .reply = "{\"keys\":[]}"},
        {.method = HTTP_GET, .url = JWKS, .reply = "<html>"},
    };
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(lab->fake, steps, ARRAY_LENGTH(steps));
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        enum keys_found found = KEYS_CHECKED;
        (void)check(lab, "one", &found);
        assert_int_equal(found, KEYS_NONE);
        (void)check(lab, "one", &found); // not asked again within the minute
        fake_platform_advance(lab->fake, 60 * 1000);
    }
    assert_int_equal(script_transport_request(script, 0)->max_response, 64 * 1024);
    script_transport_finish(script);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_fetch_a_minute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(good_while_the_issuer_is_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_was_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_of_another_address_do_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_that_are_no_keys, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
