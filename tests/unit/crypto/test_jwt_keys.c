// Strict verification: every vector of tests/vectors/jwt/jws.tsv, sets of keys, one spelling of a
// token only, the openssl command as a second judge, and many threads at once.
#include "dispatcher/jwt.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/process.h"
#include "fake_platform.h"
#include "temp_dir.h"
#include "tokens.h"

enum { TEXT_MAX = 1024 * 1024 };

static struct tokens *tokens;
static struct jwt_keys *keys;

static int
set_up(void **state)
{
    (void)state;
    tokens = tokens_new();
    return jwt_keys_parse(str_of(tokens_set(tokens)), &keys) != NULL;
}

static int
tear_down(void **state)
{
    (void)state;
    jwt_keys_free(keys);
    tokens_free(tokens);
    return 0;
}

static enum jwt_check
check(struct str token, struct json **claims)
{
    // In memory that ends with it: what is read behind it shows (valgrind, sanitizers).
    char *copy CLEANUP(xfreep) = xmalloc(token.len + 1);
    memcpy(copy, token.ptr != NULL ? token.ptr : "", token.len);
    return jwt_keys_check(keys, (struct str){copy, token.len}, claims);
}

static const char *
name_of(enum jwt_check answer)
{
    static const char *const names[] = {[JWT_GOOD] = "good",
        [JWT_MALFORMED] = "malformed",
        [JWT_KEY_UNKNOWN] = "unknown",
        [JWT_SIGNATURE] = "signature"};
    return names[answer];
}

struct vector {
    char *fields[6]; // expected, name, signer, header, claims, changes
};

static void
make(const struct vector *vector, struct buf *out)
{
    struct buf header CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf claims CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    tokens_unescape(str_of(vector->fields[3]), &header);
    tokens_unescape(str_of(vector->fields[4]), &claims);
    tokens_make(tokens,
        &(struct token_recipe){.signer = vector->fields[2],
            .header = buf_str(&header),
            .claims = buf_str(&claims),
            .changes = vector->fields[5]},
        out);
}

// Whatever is accepted has one spelling (T07).
static void
assert_canonical(struct str token)
{
    struct str rest = token, part = {0};
    while (str_cut(rest, '.', &part, &rest)) {
        struct buf bytes CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        struct buf again CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        assert_null(base64url_decode(part, &bytes));
        base64url_encode(buf_str(&bytes), &again);
        assert_true(str_equal(buf_str(&again), part));
    }
}

static void
try_vector(const struct vector *vector)
{
    struct buf token CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct json *claims CLEANUP(json_freep) = NULL;
    make(vector, &token);
    enum jwt_check answer = check(buf_str(&token), &claims);
    if (strcmp(name_of(answer), vector->fields[0]) != 0) {
        fail_msg("'%s': %s, not %s", vector->fields[1], name_of(answer), vector->fields[0]);
    }
    assert_int_equal(answer == JWT_GOOD, claims != NULL);
    if (answer == JWT_GOOD) {
        assert_canonical(buf_str(&token));
    }
}

static void
test_vectors(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    assert_null(file_read(TEST_SOURCE_DIR "/vectors/jwt/jws.tsv", &text, NULL));
    struct str rest = buf_str(&text), line = {0};
    size_t count = 0;
    while (str_cut(rest, '\n', &line, &rest)) {
        struct vector vector = {0};
        struct str field = {0};
        if (str_starts(line, STR("#"))) {
            continue;
        }
        for (size_t i = 0; i < ARRAY_LENGTH(vector.fields); i++) {
            bool more = str_cut(line, '\t', &field, &line);
            vector.fields[i] = str_dup(more ? field : (struct str){0});
        }
        try_vector(&vector);
        for (size_t i = 0; i < ARRAY_LENGTH(vector.fields); i++) {
            free(vector.fields[i]);
        }
        count++;
    }
    print_message("%zu vectors\n", count);
    assert_true(count >= 330);
}

#define HEADER "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"a\"}"

static void
make_plain(const char *changes, struct buf *out)
{
    tokens_make(tokens,
        &(struct token_recipe){.signer = "a",
            .header = STR(HEADER),
            .claims = STR("{\"sub\":\"x\"}"),
            .changes = changes},
        out);
}

// Any one bit changed anywhere, any one byte taken away: never good.
static void
test_every_bit_counts(void **state)
{
    (void)state;
    struct buf token CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    make_plain(NULL, &token);
    for (size_t bit = 0; bit < token.len * 8; bit++) {
        char *changed CLEANUP(xfreep) = xstrndup(token.ptr, token.len);
        struct json *claims CLEANUP(json_freep) = NULL;
        changed[bit / 8] = (char)(changed[bit / 8] ^ (1 << bit % 8));
        assert_int_not_equal(check((struct str){changed, token.len}, &claims), JWT_GOOD);
        assert_null(claims);
    }
    for (size_t len = 0; len < token.len; len++) {
        struct json *claims CLEANUP(json_freep) = NULL;
        assert_int_not_equal(check((struct str){token.ptr, len}, &claims), JWT_GOOD);
    }
}

// Exit status of the openssl command, -1 when there is none.
static int
run_openssl(const char *const *argv)
{
    char *path CLEANUP(xfreep) = xasprintf("PATH=%s", getenv("PATH"));
    struct fake_platform *fake CLEANUP(fake_platform_freep) =
        fake_platform_new((const char *[]){path, NULL});
    struct process_exit end = {0};
    struct error *err CLEANUP(error_freep) = process_run(&fake->platform,
        &(struct process_order){.argv = argv, .limit_ms = 60000, .kind = ERROR_INPUT}, &end);
    return err == NULL ? end.status : -1;
}

static bool
openssl_accepts(const char *directory, struct str token)
{
    const char *dot = token.ptr + token.len;
    while (*--dot != '.') {
    }
    struct buf signature CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct str third = {dot + 1, (size_t)(token.ptr + token.len - dot - 1)};
    assert_null(base64url_decode(third, &signature));
    char *text CLEANUP(xfreep) = xasprintf("%s/text", directory);
    char *bytes CLEANUP(xfreep) = xasprintf("%s/signature", directory);
    char *pem CLEANUP(xfreep) = xasprintf("%s/pem", directory);
    assert_null(file_write(text, (struct str){token.ptr, (size_t)(dot - token.ptr)}, 0600));
    assert_null(file_write(bytes, buf_str(&signature), 0600));
    assert_null(file_write(pem, str_of(tokens_public_pem(tokens, "a")), 0600));
    const char *const argv[] = {
        "openssl", "dgst", "-sha256", "-verify", pem, "-signature", bytes, text, NULL};
    return run_openssl(argv) == 0;
}

// The second judge (T06): the openssl command says the same of good signatures and of bad ones.
static void
test_against_openssl(void **state)
{
    (void)state;
    const char *const version[] = {"openssl", "version", NULL};
    if (run_openssl(version) != 0) {
        skip();
    }
    char *directory CLEANUP(temp_dir_removep) = temp_dir_new();
    static const char *const signers[] = {"a", "b", "other", "ps256-a", "rs384-a", "rs512-a",
        "rs1-a", "raw-a", "garbage", "zeros", "short", "small", "hmac-pem", "es256"};
    size_t good = 0, bad = 0;
    for (size_t i = 0; i < 14 + 26; i++) {
        char *changes CLEANUP(xfreep) =
            i >= 14 && i < 34 ? xasprintf("s=flip%zu", (i - 14) * 17) : NULL;
        char *claims_text CLEANUP(xfreep) = xasprintf("{\"sub\":\"%zu\"}", i);
        struct buf token CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        struct json *claims CLEANUP(json_freep) = NULL;
        tokens_make(tokens,
            &(struct token_recipe){.signer = i < 14 ? signers[i] : "a",
                .header = STR(HEADER),
                .claims = str_of(claims_text),
                .changes = changes},
            &token);
        bool ours = check(buf_str(&token), &claims) == JWT_GOOD;
        assert_int_equal(openssl_accepts(directory, buf_str(&token)), ours);
        good += ours ? 1 : 0;
        bad += ours ? 0 : 1;
    }
    assert_int_equal(good, 1 + 6);
    assert_int_equal(bad, 13 + 20);
}

static void
assert_no_set(const char *text)
{
    struct jwt_keys *none = NULL;
    struct error *err CLEANUP(error_freep) = jwt_keys_parse(str_of(text), &none);
    if (err == NULL) {
        fail_msg("taken for a set of keys: %.80s", text);
    }
    assert_int_equal(error_kind(err), ERROR_INPUT);
    assert_null(none);
}

static void
test_sets(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "{}", "[]", "null", "{\"keys\":{}}", "{\"keys\":[]}",
        "{\"keys\":[{}]}", "{\"keys\":[1,null,\"x\"]}", "{\"keys\":[], \"keys\":[]}", "{\"keys\":[",
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AQAB\"}]}", "<html>"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_no_set(bad[i]);
    }
    char *large CLEANUP(xfreep) = xmalloc(65538);
    memset(large, ' ', 65537);
    large[65537] = '\0';
    memcpy(large, tokens_set(tokens), strlen(tokens_set(tokens)));
    assert_no_set(large);
    large[65536] = '\0';
    struct jwt_keys *read CLEANUP(jwt_keys_freep) = NULL;
    assert_null(jwt_keys_parse(str_of(large), &read));
    assert_non_null(read);
}

// The 33rd key is passed over; what comes before it stays.
static void
test_at_most_32_keys(void **state)
{
    (void)state;
    const char *first = strchr(tokens_set(tokens), '[') + 1;
    const char *second = strstr(first, "},{");
    char *one CLEANUP(xfreep) = xstrndup(first, (size_t)(second - first) + 1);
    const char *rest = strstr(one, "\"kid\":\"a\"") + strlen("\"kid\":\"a\"");
    struct buf set CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    buf_puts(&set, "{\"keys\":[");
    for (int i = 0; i < 33; i++) {
        buf_printf(&set, "%s{\"kty\":\"RSA\",\"kid\":\"%d\"%s", i > 0 ? "," : "", i, rest);
    }
    buf_puts(&set, "]}");
    struct jwt_keys *many CLEANUP(jwt_keys_freep) = NULL;
    assert_null(jwt_keys_parse(buf_str(&set), &many));
    for (int i = 30; i < 33; i++) {
        struct buf token CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        struct json *claims CLEANUP(json_freep) = NULL;
        char *header CLEANUP(xfreep) = xasprintf("{\"alg\":\"RS256\",\"kid\":\"%d\"}", i);
        tokens_make(tokens,
            &(struct token_recipe){.signer = "a", .header = str_of(header), .claims = STR("{}")},
            &token);
        assert_int_equal(
            jwt_keys_check(many, buf_str(&token), &claims), i < 32 ? JWT_GOOD : JWT_KEY_UNKNOWN);
    }
}

static void *
read_often(void *ctx)
{
    const struct buf *both = ctx;
    intptr_t wrong = 0;
    for (int i = 0; i < 400; i++) {
        struct json *claims CLEANUP(json_freep) = NULL;
        bool want = i % 2 == 0;
        wrong += (jwt_keys_check(keys, buf_str(&both[i % 2]), &claims) == JWT_GOOD) != want;
    }
    return (void *)wrong; // NOLINT(performance-no-int-to-ptr): a count
}

static void
test_readers_need_no_lock(void **state)
{
    (void)state;
    struct buf both[2] = {BUF_INIT(TEXT_MAX), BUF_INIT(TEXT_MAX)};
    pthread_t threads[8];
    make_plain(NULL, &both[0]);
    make_plain("s=flip9", &both[1]);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, both), 0);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        void *wrong = both;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    buf_done(&both[0]);
    buf_done(&both[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_against_openssl),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_at_most_32_keys),
        cmocka_unit_test(test_readers_need_no_lock),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
