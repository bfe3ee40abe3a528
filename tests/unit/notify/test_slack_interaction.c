// What buttons send back: Slack's signature, and the form that it sends.
#include "dispatcher/slack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"

// The vector of Slack's documentation.
#define SECRET "8f742231b10e8888abcd99yyyzzz85a5"
#define STAMP "1531420618"
#define SIGNATURE "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
#define SLASH_COMMAND                                                                              \
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="         \
    "G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"     \
    "collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%"             \
    "2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."               \
    "803a0bc887a14d10d2c447fce8b6703c"

enum { NOW_S = 1531420618 };

static bool
is_valid(const char *signature, const char *timestamp, struct str body, int64_t now_s)
{
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR(SECRET));
    return slack_signature_is_valid(secret, NULL, signature, timestamp, body, now_s * 1000);
}

static void
the_vector(void **state)
{
    (void)state;
    assert_true(is_valid(SIGNATURE, STAMP, STR(SLASH_COMMAND), NOW_S));
    assert_true(is_valid(SIGNATURE, STAMP, STR(SLASH_COMMAND), NOW_S + 300));
    assert_true(is_valid(SIGNATURE, STAMP, STR(SLASH_COMMAND), NOW_S - 300));
    assert_false(is_valid(SIGNATURE, STAMP, STR(SLASH_COMMAND), NOW_S + 301));
    assert_false(is_valid(SIGNATURE, STAMP, STR(SLASH_COMMAND), NOW_S - 301));
    assert_false(is_valid(SIGNATURE, STAMP, STR(SLASH_COMMAND "x"), NOW_S));
    assert_false(is_valid(SIGNATURE, STAMP, STR(""), NOW_S));
    assert_false(is_valid(SIGNATURE, "1531420619", STR(SLASH_COMMAND), NOW_S));
}

static void
signatures_that_are_none(void **state)
{
    (void)state;
    static const char *const rows[] = {NULL, "", "v0=", "v1=", SIGNATURE "0",
        "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "v1=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "v0=A2114D57B48EAC39B9AD189DD8316235A7B4A8D21A10BD27519666489C69B503",
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b504",
        "v0=b2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"};
    static const char *const stamps[] = {NULL, "", "-1531420618", "+1531420618", " 1531420618",
        "1531420618.0", "0x5b47a04a", "9999999999999", "15314206180000000000000"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_false(is_valid(rows[i], STAMP, STR(SLASH_COMMAND), NOW_S));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(stamps); i++) {
        assert_false(is_valid(SIGNATURE, stamps[i], STR(SLASH_COMMAND), NOW_S));
    }
}

// While one secret is replaced, both count; an empty one signs nothing, though anybody can compute
// its signature.
static void
secrets(void **state)
{
    (void)state;
    struct secret *right CLEANUP(secret_freep) = secret_new(STR(SECRET));
    struct secret *wrong CLEANUP(secret_freep) = secret_new(STR("another-secret-of-32-characters"));
    struct secret *empty CLEANUP(secret_freep) = secret_new(STR(""));
    const int64_t now_ms = (int64_t)NOW_S * 1000;
    struct str body = STR(SLASH_COMMAND);
    assert_true(slack_signature_is_valid(right, wrong, SIGNATURE, STAMP, body, now_ms));
    assert_true(slack_signature_is_valid(wrong, right, SIGNATURE, STAMP, body, now_ms));
    assert_false(slack_signature_is_valid(wrong, NULL, SIGNATURE, STAMP, body, now_ms));
    assert_false(slack_signature_is_valid(wrong, wrong, SIGNATURE, STAMP, body, now_ms));
    unsigned char mac[SHA256_SIZE];
    char forged[3 + 2 * SHA256_SIZE + 1] = "v0=";
    hmac_sha256(STR(""), STR("v0:" STAMP ":x"), mac);
    hex_encode(mac, sizeof(mac), forged + 3);
    assert_false(slack_signature_is_valid(empty, NULL, forged, STAMP, STR("x"), now_ms));
    assert_false(slack_signature_is_valid(empty, empty, forged, STAMP, STR("x"), now_ms));
    assert_false(slack_signature_is_valid(right, empty, forged, STAMP, STR("x"), now_ms));
}

static void
a_body_with_nul_bytes_is_signed_whole(void **state)
{
    (void)state;
    struct str message = STR("v0:" STAMP ":a\0b");
    struct str body = {"a\0b", 3}, other = {"a\0c", 3};
    unsigned char mac[SHA256_SIZE];
    char signature[3 + 2 * SHA256_SIZE + 1] = "v0=";
    hmac_sha256(STR(SECRET), message, mac);
    hex_encode(mac, sizeof(mac), signature + 3);
    assert_true(is_valid(signature, STAMP, body, NOW_S));
    assert_false(is_valid(signature, STAMP, other, NOW_S));
}

// --- the form ------------------------------------------------------------------------------------

#define ACTIONS                                                                                    \
    "\"actions\":[{\"type\":\"button\",\"action_id\":\"dispatcher-approve\","                      \
    "\"block_id\":\"b\",\"value\":\"d-3f9a\",\"action_ts\":\"1.2\"}]"
#define WHOLE                                                                                      \
    "{\"type\":\"block_actions\",\"user\":{\"id\":\"U2CERLKJA\",\"username\":\"road runner\","     \
    "\"team_id\":\"T1DC2JH3J\"},\"team\":{\"id\":\"T1DC2JH3J\",\"domain\":\"acme\"},"              \
    "\"container\":{\"type\":\"message\",\"message_ts\":\"1503435956.000247\","                    \
    "\"channel_id\":\"C024BE91L\"},\"channel\":{\"id\":\"C024BE91L\",\"name\":\"deploys\"},"       \
    "\"message\":{\"ts\":\"1503435956.000247\"},"                                                  \
    "\"response_url\":\"https://hooks.slack.com/actions/T1/2/x\"," ACTIONS "}"

static struct error *
parse(const char *payload, struct arena *arena, struct slack_interaction *out)
{
    struct buf form CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    buf_puts(&form, "payload=");
    url_encode(str_of(payload), NULL, &form);
    return slack_interaction_parse(buf_str(&form), arena, out);
}

static void
a_button(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct slack_interaction one = {0};
    assert_success(parse(WHOLE, arena, &one));
    assert_string_equal(one.action, "dispatcher-approve");
    assert_string_equal(one.value, "d-3f9a");
    assert_string_equal(one.user_id, "U2CERLKJA");
    assert_string_equal(one.user_name, "road runner");
    assert_string_equal(one.team_id, "T1DC2JH3J");
    assert_string_equal(one.channel, "C024BE91L");
    assert_string_equal(one.ts, "1503435956.000247");
    assert_string_equal(one.response_url, "https://hooks.slack.com/actions/T1/2/x");
}

static void
as_forms_are_written(void **state)
{
    (void)state;
    static const char form[] =
        "a=b&payload=%7B%22type%22%3A+%22block_actions%22%2C%22user%22%3A%7B%22id%22%3A%22U1%22%7D"
        "%2c%22actions%22:[{%22action_id%22:%22a+b%22,%22value%22:%22v%25%2B%26%3d%22}]%7D&c";
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct slack_interaction one = {0};
    assert_success(slack_interaction_parse(str_of(form), arena, &one));
    assert_string_equal(one.action, "a b");
    assert_string_equal(one.value, "v%+&=");
    assert_string_equal(one.user_name, "");
    assert_true(one.team_id == NULL && one.channel == NULL && one.ts == NULL);
    assert_null(one.response_url);
}

static void
what_is_missing_is_taken_from_elsewhere_or_left_out(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct slack_interaction one = {0};
    assert_success(parse("{\"type\":\"block_actions\",\"team\":null,\"user\":{\"id\":\"U1\","
                         "\"name\":\"jo\\u001b[1m\\n\",\"team_id\":\"T2\"},\"channel\":{\"id\":"
                         "\"C2\"},\"message\":{\"ts\":\"3.4\"}," ACTIONS "}",
        arena, &one));
    assert_string_equal(one.user_name, "jo");
    assert_string_equal(one.team_id, "T2");
    assert_string_equal(one.channel, "C2");
    assert_string_equal(one.ts, "3.4");
    assert_success(parse("{\"type\":\"block_actions\",\"team\":{\"id\":\"T 1\"},\"user\":{\"id\":"
                         "\"U1\"},\"channel\":{\"id\":\"<!here>\"}," ACTIONS "}",
        arena, &one));
    assert_true(one.team_id == NULL && one.channel == NULL && one.ts == NULL);
}

static void
assert_unusable(struct error *err, const char *why)
{
    char *text CLEANUP(xfreep) = xasprintf("Slack's interaction cannot be used: %s", why);
    assert_failure(err, ERROR_INPUT, text, NULL);
}

static void
forms_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *body, *why;
    } rows[] = {
        {"", "it is no form with one 'payload'"},
        {"{}", "it is no form with one 'payload'"},
        {"Payload={}", "it is no form with one 'payload'"},
        {"payload={}&payload={}", "it is no form with one 'payload'"},
        {"payload", "its payload is no JSON object"},
        {"payload=", "its payload is no JSON object"},
        {"payload=%5B%5D", "its payload is no JSON object"},
        {"payload={}x", "its payload is no JSON object"},
        {"payload={%00}", "its payload is no JSON object"},
        {"payload={%22a%22:%22%ff%22}", "its payload is no JSON object"},
        {"payload={%22a%22:1,%22a%22:2}", "its payload is no JSON object"},
        {"payload={}%", "its payload is not encoded as forms are"},
        {"payload={}%4", "its payload is not encoded as forms are"},
        {"payload={}%zz", "its payload is not encoded as forms are"},
        {"payload={}%+1", "its payload is not encoded as forms are"},
    };
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct slack_interaction one = {.value = "untouched"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_unusable(slack_interaction_parse(str_of(rows[i].body), arena, &one), rows[i].why);
        assert_string_equal(one.value, "untouched");
    }
}

#define TYPED "{\"type\":\"block_actions\",\"user\":{\"id\":\"U1\"},"

static void
payloads_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *payload, *why;
    } rows[] = {
        {"{}", "it is not of type 'block_actions'"},
        {"{\"type\":\"view_submission\"," ACTIONS "}", "it is not of type 'block_actions'"},
        {"{\"type\":[\"block_actions\"]," ACTIONS "}", "it is not of type 'block_actions'"},
        {TYPED "\"actions\":[]}", "it is not about exactly one action"},
        {TYPED "\"actions\":{\"a\":{}}}", "it is not about exactly one action"},
        {TYPED "\"actions\":[{\"action_id\":\"a\",\"value\":\"b\"},{}]}",
            "it is not about exactly one action"},
        {TYPED "\"actions\":[{\"value\":\"b\"}]}", "its action has no proper 'action_id'"},
        {TYPED "\"actions\":[{\"action_id\":\"a\\n\",\"value\":\"b\"}]}",
            "its action has no proper 'action_id'"},
        {TYPED "\"actions\":[{\"action_id\":7,\"value\":\"b\"}]}",
            "its action has no proper 'action_id'"},
        {TYPED "\"actions\":[{\"action_id\":\"a\"}]}", "its action has no proper 'value'"},
        {TYPED "\"actions\":[{\"action_id\":\"a\",\"value\":\"\"}]}",
            "its action has no proper 'value'"},
        {TYPED "\"actions\":[{\"action_id\":\"a\",\"value\":\"\\u001b[1m\"}]}",
            "its action has no proper 'value'"},
        {TYPED "\"response_url\":\"http://evil.example/\"," ACTIONS "}",
            "its 'response_url' is no https URL"},
        {TYPED "\"response_url\":\"https://a@evil.example/\"," ACTIONS "}",
            "its 'response_url' is no https URL"},
        {TYPED "\"response_url\":\"javascript:1\"," ACTIONS "}",
            "its 'response_url' is no https URL"},
        {"{\"type\":\"block_actions\"," ACTIONS "}", "it does not say who acted"},
        {"{\"type\":\"block_actions\",\"user\":{\"id\":\"<@U1>\"}," ACTIONS "}",
            "it does not say who acted"},
        {"{\"type\":\"block_actions\",\"user\":{\"id\":7}," ACTIONS "}",
            "it does not say who acted"},
    };
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct slack_interaction one = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_unusable(parse(rows[i].payload, arena, &one), rows[i].why);
    }
}

static void
sizes(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct slack_interaction one = {0};
    struct buf form CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    buf_puts(&form, "payload=");
    while (form.len <= 256 * 1024) {
        buf_puts(&form, "{");
    }
    assert_unusable(slack_interaction_parse(buf_str(&form), arena, &one), "it is over 256 KiB");
    buf_cut(&form, 256 * 1024);
    assert_unusable(
        slack_interaction_parse(buf_str(&form), arena, &one), "its payload is no JSON object");
    for (size_t len = 2000; len <= 2001; len++) {
        buf_reset(&form);
        buf_puts(&form, "payload=" TYPED "\"actions\":[{\"action_id\":\"a\",\"value\":\"");
        for (size_t i = 0; i < len; i++) {
            buf_putc(&form, 'v');
        }
        buf_puts(&form, "\"}]}");
        struct error *err = slack_interaction_parse(buf_str(&form), arena, &one);
        if (len == 2000) {
            assert_success(err);
        } else {
            assert_unusable(err, "its action has no proper 'value'");
        }
    }
}

// --- what a button carries -----------------------------------------------------------------------

static void
what_was_shown_comes_back(void **state)
{
    (void)state;
    static const struct {
        struct slack_shown shown;
        const char *value;
    } rows[] = {
        {{"d-3f9a", "v1.4.0", "aaaa..bbbb"}, "d-3f9a v1.4.0 aaaa..bbbb"},
        {{"d-3f9a", NULL, "..v2"}, "d-3f9a - ..v2"}, {{"d-3f9a", "v1", NULL}, "d-3f9a v1 -"},
        {{"d-3f9a", "a b", "x\ny"}, "d-3f9a - -"}, // no words
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct slack_shown back = {0};
        const char *value = slack_shown_write(&rows[i].shown, arena);
        assert_string_equal(value, rows[i].value);
        assert_true(slack_shown_read(value, arena, &back));
        assert_string_equal(back.deployment, "d-3f9a");
        bool lost = i == 3;
        assert_true(cstr_equal(back.version, lost ? NULL : rows[i].shown.version));
        assert_true(cstr_equal(back.diff, lost ? NULL : rows[i].shown.diff));
    }
}

static void
values_that_are_not_ours_are_told_apart(void **state)
{
    (void)state;
    static const char *const rows[] = {NULL, "", " ", "d", " d-1 v a", "../../x v a", "D-1 v a",
        "d-1 v a more", "https://evil.example.org v a", "d-1\n v a"};
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct slack_shown back = {.deployment = "untouched"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_false(slack_shown_read(rows[i], arena, &back));
    }
    // A card of before: its id alone, which approves nothing.
    assert_true(slack_shown_read("d-3f9a0c1b2d4e5f60", arena, &back));
    assert_null(back.version);
    assert_null(back.diff);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector),
        cmocka_unit_test(signatures_that_are_none),
        cmocka_unit_test(secrets),
        cmocka_unit_test(a_body_with_nul_bytes_is_signed_whole),
        cmocka_unit_test(a_button),
        cmocka_unit_test(as_forms_are_written),
        cmocka_unit_test(what_is_missing_is_taken_from_elsewhere_or_left_out),
        cmocka_unit_test(forms_that_are_none),
        cmocka_unit_test(payloads_that_are_none),
        cmocka_unit_test(what_was_shown_comes_back),
        cmocka_unit_test(values_that_are_not_ours_are_told_apart),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
