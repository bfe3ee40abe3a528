// Encodings: RFC 4648 §10 vectors, round trips of every length, and every way a text can be not
// quite base64.
#include "dispatcher/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
encodes_rfc_4648_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *base64, *base32;
    } cases[] = {
        {"", "", ""},
        {"f", "Zg==", "my"},
        {"fo", "Zm8=", "mzxq"},
        {"foo", "Zm9v", "mzxw6"},
        {"foob", "Zm9vYg==", "mzxw6yq"},
        {"fooba", "Zm9vYmE=", "mzxw6ytb"},
        {"foobar", "Zm9vYmFy", "mzxw6ytboi"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf base64 CLEANUP(buf_done) = BUF_INIT(100);
        struct buf base32 CLEANUP(buf_done) = BUF_INIT(100);
        struct buf back CLEANUP(buf_done) = BUF_INIT(100);
        base64_encode(str_of(cases[i].bytes), &base64);
        base32_encode_lower(str_of(cases[i].bytes), &base32);
        assert_string_equal(buf_cstr(&base64), cases[i].base64);
        assert_string_equal(buf_cstr(&base32), cases[i].base32);
        assert_null(base64_decode(buf_str(&base64), &back));
        assert_string_equal(buf_cstr(&back), cases[i].bytes);
    }
}

static void
url_alphabet_has_no_padding(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(100);
    struct buf back CLEANUP(buf_done) = BUF_INIT(100);
    base64url_encode(STR("\xfb\xff\xfe\x01"), &text);
    assert_string_equal(buf_cstr(&text), "-__-AQ");
    assert_null(base64url_decode(buf_str(&text), &back));
    assert_int_equal(back.len, 4);
    assert_memory_equal(back.ptr, "\xfb\xff\xfe\x01", 4);
}

static void
every_length_comes_back(void **state)
{
    (void)state;
    char bytes[97];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(unsigned char)(i * 151 % 256);
    }
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        struct buf text CLEANUP(buf_done) = BUF_INIT(1000);
        struct buf url CLEANUP(buf_done) = BUF_INIT(1000);
        struct buf back CLEANUP(buf_done) = BUF_INIT(sizeof(bytes));
        base64_encode((struct str){bytes, len}, &text);
        base64url_encode((struct str){bytes, len}, &url);
        assert_null(base64_decode(buf_str(&text), &back));
        assert_int_equal(back.len, len);
        assert_memory_equal(buf_cstr(&back), bytes, len);
        buf_reset(&back);
        assert_null(base64url_decode(buf_str(&url), &back));
        assert_int_equal(back.len, len);
        assert_memory_equal(buf_cstr(&back), bytes, len);
    }
}

static void
assert_refused(struct error *err, const char *message)
{
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_INPUT);
    assert_string_equal(error_message(err), message);
    error_free(err);
}

static void
base64_refuses_what_is_not_canonical(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8", "====", "=",
        "Z===", "Zg==Zg==", "Zm9v\n", "Zm 9v", "Zm9-", "Zm9_", "Zm9v====", "\xc3\xa9==", "Zm=v"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct buf out CLEANUP(buf_done) = BUF_INIT(100);
        buf_puts(&out, "before");
        assert_refused(base64_decode(str_of(bad[i]), &out), "not valid base64");
        assert_string_equal(buf_cstr(&out), "before");
    }
    struct buf out CLEANUP(buf_done) = BUF_INIT(100);
    assert_refused(base64_decode((struct str){"Zg=\0", 4}, &out), "not valid base64");
}

static void
base64url_refuses_what_is_not_canonical(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z", "Zg==", "Zm8=", "Zh", "Zm9", "Zm9+", "Zm9/", " Zm9v", "Zm9vZ", "Zm9v\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct buf out CLEANUP(buf_done) = BUF_INIT(100);
        assert_refused(base64url_decode(str_of(bad[i]), &out), "not valid base64url");
        assert_int_equal(out.len, 0);
    }
}

static void
decoding_stops_at_the_cap(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(5);
    assert_null(base64_decode(STR("Zm9vYmE="), &out));
    buf_reset(&out);
    assert_refused(
        base64_decode(STR("Zm9vYmFy"), &out), "base64 text decodes to more than 5 bytes");
    assert_int_equal(out.len, 0);
}

static void
hex_is_lower_case(void **state)
{
    (void)state;
    char out[9];
    hex_encode("\x00\x9a\xff\x10", 4, out);
    assert_string_equal(out, "009aff10");
    hex_encode(NULL, 0, out);
    assert_string_equal(out, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_rfc_4648_vectors),
        cmocka_unit_test(url_alphabet_has_no_padding),
        cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(base64_refuses_what_is_not_canonical),
        cmocka_unit_test(base64url_refuses_what_is_not_canonical),
        cmocka_unit_test(decoding_stops_at_the_cap),
        cmocka_unit_test(hex_is_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
