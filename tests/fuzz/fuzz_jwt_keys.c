// Tokens, sets of keys, claims: what begins with a brace is a set and a document of claims, the
// rest a token. What is accepted has one spelling, and nobody but the holder of a key that was
// thrown away can make another.
#include "dispatcher/jwt.h"

#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/policy.h"
#include "fuzz.h"

static const char set[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k\",\"e\":\"AQAB\",\"n\":\""
    "rixxmW0HWShuMeSbdQeesha9b267gJF_H8mTglHukiSXaPSdTJmo9BRusQdw4TBprre_DNFAYibPaUUR"
    "KJhLxHuDs8TZ7zH-WahiZ2xL46fy7fdh4D6Y-whuHHljSHqbw_oxkdDLyWVBJGZQcwMIDOI4_S2ERwuj"
    "RFTv4egm7gvjv-y9bl7O8yZmZ0h4sVsYCth2TlbCPTPoEk6z0ibKl-JuqwnbHQ_rZnjnpKcEF87vgQ2R"
    "Bhm-5bdGwKK1wJNY9iDW-umf8TC3lexg4avGDaGL7o5QP-wf8Ycy_t5-XMmLS8UdX6wPmDyM2txdOMKi"
    "2qoEdb4cmyBQKsZJgh7ZMQ"
    "\"}]}";

static void
check_set(struct str text)
{
    struct jwt_keys *keys CLEANUP(jwt_keys_freep) = NULL;
    struct json *object CLEANUP(json_freep) = NULL;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct policy_claims *claims = NULL;
    struct policy_verdict verdict = {0};
    struct error *err CLEANUP(error_freep) = jwt_keys_parse(text, &keys);
    FUZZ_CHECK((err == NULL) == (keys != NULL));
    struct error *no_json CLEANUP(error_freep) = json_parse(text, &json_limits_default, &object);
    if (no_json == NULL) {
        policy_claims_read(object, arena, &claims, &verdict);
        FUZZ_CHECK(verdict.allowed == (claims != NULL));
        FUZZ_CHECK(str_is_utf8(str_of(verdict.sentence)));
    }
}

static void
check_spelling(struct str token)
{
    struct str rest = token, part = {0};
    while (str_cut(rest, '.', &part, &rest)) {
        struct buf bytes CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        struct buf again CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        FUZZ_CHECK(base64url_decode(part, &bytes) == NULL);
        base64url_encode(buf_str(&bytes), &again);
        FUZZ_CHECK(str_equal(buf_str(&again), part));
    }
}

static void
check_token(const struct jwt_keys *keys, struct str token)
{
    const struct policy_token_rules rules = {.issuer = "https://issuer.example.org",
        .audience = "https://d.example.org",
        .now_s = INT64_C(1764504010)};
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *object CLEANUP(json_freep) = NULL;
    struct policy_claims *claims = NULL;
    struct policy_verdict verdict = {0};
    enum jwt_check answer = jwt_keys_check(keys, token, &object);
    FUZZ_CHECK((answer == JWT_GOOD) == (object != NULL));
    policy_token_check(keys, token, &rules, arena, &claims, &verdict);
    FUZZ_CHECK(verdict.allowed == (claims != NULL));
    FUZZ_CHECK(answer == JWT_GOOD || !verdict.allowed);
    if (answer == JWT_GOOD) {
        check_spelling(token);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jwt_keys *keys CLEANUP(jwt_keys_freep) = NULL;
    struct str text = {(const char *)data, size};
    FUZZ_CHECK(jwt_keys_parse(str_of(set), &keys) == NULL);
    if (size > 0 && data[0] == '{') {
        check_set(text);
    } else {
        check_token(keys, text);
    }
    return 0;
}
