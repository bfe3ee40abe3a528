// Digests against published values: FIPS 180-4 examples, RFC 4231 (HMAC), and streaming in pieces.
#include "dispatcher/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
sha256_matches_fips_180_examples(void **state)
{
    (void)state;
    char hex[SHA256_HEX_SIZE];
    sha256_hex(STR("abc"), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_hex((struct str){NULL, 0}, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void
streaming_in_any_pieces_gives_the_same_hash(void **state)
{
    (void)state;
    static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static const char want[] =
        "sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
    for (size_t piece = 1; piece <= sizeof(text); piece++) {
        struct sha256 *hash CLEANUP(sha256_freep) = sha256_new();
        for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
            size_t left = sizeof(text) - 1 - at;
            sha256_update(hash, text + at, left < piece ? left : piece);
        }
        unsigned char out[SHA256_SIZE];
        sha256_final(hash, out);
        char digest[SHA256_DIGEST_TEXT_SIZE];
        sha256_digest_text(out, digest);
        assert_string_equal(digest, want);
    }
}

static void
a_stream_of_nothing_is_the_empty_hash(void **state)
{
    (void)state;
    struct sha256 *hash CLEANUP(sha256_freep) = sha256_new();
    sha256_update(hash, NULL, 0);
    unsigned char out[SHA256_SIZE], want[SHA256_SIZE];
    sha256_final(hash, out);
    sha256_of(STR(""), want);
    assert_memory_equal(out, want, sizeof(out));
    sha256_free(NULL);
}

static void
hmac_matches_rfc_4231(void **state)
{
    (void)state;
    char key[131];
    memset(key, 0xaa, sizeof(key));
    const struct {
        struct str key, message;
        const char *want;
    } cases[] = {
        {STR("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
            STR("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {STR("Jefe"), STR("what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {{key, sizeof(key)}, STR("Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {{NULL, 0}, {NULL, 0}, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        unsigned char out[SHA256_SIZE];
        char hex[SHA256_HEX_SIZE];
        hmac_sha256(cases[i].key, cases[i].message, out);
        hex_encode(out, sizeof(out), hex);
        assert_string_equal(hex, cases[i].want);
    }
}

static void
sha1_names_sso_cache_files(void **state)
{
    (void)state;
    char hex[41];
    sha1_hex(STR("abc"), hex);
    assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
}

static void
comparison_sees_every_byte(void **state)
{
    (void)state;
    unsigned char a[SHA256_SIZE], b[SHA256_SIZE];
    sha256_of(STR("x"), a);
    for (size_t i = 0; i < sizeof(a); i++) {
        memcpy(b, a, sizeof(a));
        assert_true(digest_equal(a, b, sizeof(a)));
        b[i] ^= 1;
        assert_false(digest_equal(a, b, sizeof(a)));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_matches_fips_180_examples),
        cmocka_unit_test(streaming_in_any_pieces_gives_the_same_hash),
        cmocka_unit_test(a_stream_of_nothing_is_the_empty_hash),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(sha1_names_sso_cache_files),
        cmocka_unit_test(comparison_sees_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
