// Tokens are checked with the public key rebuilt from our own JWK; keys are made while testing, so
// that none is ever committed.
#include "dispatcher/jwt.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/digest.h"

enum pem_form { PKCS1, PKCS8, ENCRYPTED_PKCS8, PUBLIC };

static struct secret *
pem_of(EVP_PKEY *pkey, enum pem_form form)
{
    BIO *bio = BIO_new(BIO_s_mem());
    static const char passphrase[] = "secret";
    int done = 0;
    switch (form) {
    case PKCS1:
        done = PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL);
        break;
    case PKCS8:
        done = PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
        break;
    case ENCRYPTED_PKCS8:
        done = PEM_write_bio_PKCS8PrivateKey(
            bio, pkey, EVP_aes_256_cbc(), passphrase, sizeof(passphrase) - 1, NULL, NULL);
        break;
    case PUBLIC:
        done = PEM_write_bio_PUBKEY(bio, pkey);
        break;
    }
    assert_int_equal(done, 1);
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    struct secret *pem = secret_new((struct str){text, (size_t)len});
    (void)BIO_free(bio);
    EVP_PKEY_free(pkey);
    return pem;
}

static BIGNUM *
number_of(const struct json *jwk, const char *name)
{
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(4096);
    assert_null(base64url_decode(str_of(json_str(json_get(jwk, name))), &bytes));
    return BN_bin2bn((const unsigned char *)bytes.ptr, (int)bytes.len, NULL);
}

static EVP_PKEY *
public_key_of(const struct json *jwk)
{
    BIGNUM *n = number_of(jwk, "n"), *e = number_of(jwk, "e");
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *pkey = NULL;
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return pkey;
}

static bool
signature_is_valid(const struct json *jwk, struct str token)
{
    size_t dot = token.len;
    while (token.ptr[dot - 1] != '.') {
        dot--;
    }
    struct buf signature CLEANUP(buf_done) = BUF_INIT(4096);
    assert_null(base64url_decode(str_skip(token, dot), &signature));
    EVP_PKEY *pkey = public_key_of(jwk);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, pkey), 1);
    int valid = EVP_DigestVerify(context, (const unsigned char *)signature.ptr, signature.len,
        (const unsigned char *)token.ptr, dot - 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    return valid == 1;
}

static void
assert_signs(const struct secret *pem)
{
    struct jwt_key *key CLEANUP(jwt_key_freep) = NULL;
    struct json *claims CLEANUP(json_freep) = json_make_object(), *jwk CLEANUP(json_freep) = NULL;
    struct secret *token CLEANUP(secret_freep) = NULL;
    json_set_int(claims, "iat", 1790000000);
    json_set_str(claims, "iss", "Iv23liABCDEF");
    assert_null(jwt_key_from_pem(pem, &key));
    assert_null(jwt_sign_rs256(key, claims, &token));
    assert_null(jwt_key_public_jwk(key, "key-1", &jwk));

    struct str text = secret_expose(token);
    struct buf want CLEANUP(buf_done) = BUF_INIT(1000);
    base64url_encode(STR("{\"alg\":\"RS256\",\"typ\":\"JWT\"}"), &want);
    buf_putc(&want, '.');
    base64url_encode(STR("{\"iat\":1790000000,\"iss\":\"Iv23liABCDEF\"}"), &want);
    buf_putc(&want, '.');
    assert_true(str_starts(text, buf_str(&want)));
    assert_true(signature_is_valid(jwk, text));
    assert_string_equal(json_str(json_get(jwk, "kty")), "RSA");
    assert_string_equal(json_str(json_get(jwk, "e")), "AQAB");
    assert_string_equal(json_str(json_get(jwk, "kid")), "key-1");
    assert_string_equal(json_str(json_get(jwk, "alg")), "RS256");
    assert_string_equal(json_str(json_get(jwk, "use")), "sig");
    assert_int_equal(json_count(jwk), 6);

    struct json *peeked CLEANUP(json_freep) = NULL;
    assert_null(jwt_peek(text, &peeked));
    assert_string_equal(json_str(json_get(peeked, "iss")), "Iv23liABCDEF");
    assert_int_equal(json_int(json_get(peeked, "iat"), 0), 1790000000);
}

static void
signs_with_both_pem_forms(void **state)
{
    (void)state;
    struct secret *pkcs1 CLEANUP(secret_freep) = pem_of(EVP_RSA_gen(2048), PKCS1);
    struct secret *pkcs8 CLEANUP(secret_freep) = pem_of(EVP_RSA_gen(3072), PKCS8);
    assert_true(str_starts(secret_expose(pkcs1), STR("-----BEGIN RSA PRIVATE KEY-----\n")));
    assert_true(str_starts(secret_expose(pkcs8), STR("-----BEGIN PRIVATE KEY-----\n")));
    assert_signs(pkcs1);
    assert_signs(pkcs8);
}

static void
signs_with_a_generated_key(void **state)
{
    (void)state;
    struct secret *first CLEANUP(secret_freep) = NULL, *second CLEANUP(secret_freep) = NULL;
    assert_null(jwt_key_generate_pem(&first));
    assert_null(jwt_key_generate_pem(&second));
    assert_false(str_equal(secret_expose(first), secret_expose(second)));
    assert_signs(first);
}

// What a secret store or a .env file makes of a key.
static void
line_ends_of_any_kind_are_accepted(void **state)
{
    (void)state;
    struct secret *pem CLEANUP(secret_freep) = pem_of(EVP_RSA_gen(2048), PKCS1);
    static const char *const ends[] = {"\\n", "\r\n", "\\r\\n", "\\n\n", "\n\n    "};
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        struct buf text CLEANUP(buf_wipe) = BUF_INIT(64 * 1024);
        struct str line = {0}, rest = secret_expose(pem);
        buf_puts(&text, i == 0 ? "  \\n" : "");
        while (str_cut(rest, '\n', &line, &rest)) {
            buf_add(&text, line);
            buf_puts(&text, ends[i]);
        }
        struct secret *pasted CLEANUP(secret_freep) = secret_new(buf_str(&text));
        assert_signs(pasted);
    }
}

static void
assert_refused(const struct secret *pem, const char *message)
{
    struct jwt_key *key = NULL;
    struct error *err CLEANUP(error_freep) = jwt_key_from_pem(pem, &key);
    assert_non_null(err);
    assert_null(key);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    assert_string_equal(error_message(err), message);
    assert_string_equal(error_hint_of(err),
        "Give the whole .pem file that the GitHub App's settings page generated.");
    assert_null(error_cause(err));
}

static void
keys_of_the_wrong_kind_are_refused(void **state)
{
    (void)state;
    struct secret *small CLEANUP(secret_freep) = pem_of(EVP_RSA_gen(1024), PKCS1);
    struct secret *curve CLEANUP(secret_freep) = pem_of(EVP_EC_gen("P-256"), PKCS8);
    struct secret *locked CLEANUP(secret_freep) = pem_of(EVP_RSA_gen(2048), ENCRYPTED_PKCS8);
    struct secret *open CLEANUP(secret_freep) = pem_of(EVP_RSA_gen(2048), PUBLIC);
    assert_refused(small, "private key cannot be used: it has fewer than 2048 bits");
    assert_refused(curve, "private key cannot be used: it is not an RSA key");
    assert_refused(locked, "private key cannot be used: it is protected by a passphrase");
    assert_refused(open, "private key cannot be used: it is a public key");
}

static void
assert_text_refused(struct str text, const char *message)
{
    struct secret *pem CLEANUP(secret_freep) = secret_new(text);
    assert_refused(pem, message);
}

static void
text_that_is_no_key_is_refused(void **state)
{
    (void)state;
    assert_text_refused(STR(""), "private key cannot be used: it is not PEM text");
    assert_text_refused(STR("./app.pem"), "private key cannot be used: it is not PEM text");
    assert_text_refused(STR("-----BEGIN OPENSSH PRIVATE KEY-----\nabcd\n"),
        "private key cannot be used: it is an OpenSSH key, not PEM");
    assert_text_refused(STR("-----BEGIN CERTIFICATE-----\nabcd\n"),
        "private key cannot be used: it is a certificate");
    static char large[64 * 1024 + 1];
    memset(large, 'x', sizeof(large));
    assert_text_refused(
        (struct str){large, sizeof(large)}, "private key cannot be used: it is larger than 64 KiB");
}

static void
a_key_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct secret *pem CLEANUP(secret_freep) = pem_of(EVP_RSA_gen(2048), PKCS1);
    struct str text = secret_expose(pem);
    for (size_t len = 40; len < text.len - 40; len += 97) {
        assert_text_refused((struct str){text.ptr, len},
            "private key cannot be used: its text is damaged or cut off");
    }
}

static void
assert_not_a_jwt(struct str token)
{
    struct json *claims = NULL;
    struct error *err CLEANUP(error_freep) = jwt_peek(token, &claims);
    assert_non_null(err);
    assert_null(claims);
    assert_int_equal(error_kind(err), ERROR_INPUT);
    assert_string_equal(error_message(err), "not a JSON web token");
    assert_null(error_cause(err));
}

static void
peeking_refuses_what_is_no_token(void **state)
{
    (void)state;
    struct json *claims CLEANUP(json_freep) = NULL;
    assert_null(jwt_peek(STR("e30.eyJhIjoxfQ."), &claims)); // {}.{"a":1}.(empty)
    assert_int_equal(json_int(json_get(claims, "a"), 0), 1);

    static const char *const bad[] = {"", ".", "..", "a.b.c", "e30", "e30.e30", "e30.e30.e30.e30",
        "e30.W10.e30" /* [] */, "W10.e30.e30", "e30.e30=.e30", "e30.e30.e3", "e30.e31.e30",
        " e30.e30.e30", "e30.e30.e30\n", "e30.eyJhIjoxLCJhIjoyfQ.e30" /* {"a":1,"a":2} */,
        "ghs_0123456789abcdef0123456789abcdef0123"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_not_a_jwt(str_of(bad[i]));
    }
    static char large[64 * 1024 + 8] = "e30.e30.";
    memset(large + 8, 'A', sizeof(large) - 8);
    assert_not_a_jwt((struct str){large, sizeof(large)});
}

static void
claims_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static char large[80 * 1024];
    memset(large, 'x', sizeof(large) - 1);
    struct secret *pem CLEANUP(secret_freep) = pem_of(EVP_RSA_gen(2048), PKCS8);
    struct jwt_key *key CLEANUP(jwt_key_freep) = NULL;
    struct json *claims CLEANUP(json_freep) = json_make_object();
    struct secret *token CLEANUP(secret_freep) = NULL;
    json_set_str(claims, "iss", large);
    assert_null(jwt_key_from_pem(pem, &key));
    struct error *err CLEANUP(error_freep) = jwt_sign_rs256(key, claims, &token);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_INPUT);
    assert_null(token);
}

// Verifiers of published keys look the key up by it.
static void
a_key_id_stands_in_the_header(void **state)
{
    (void)state;
    struct secret *pem CLEANUP(secret_freep) = pem_of(EVP_RSA_gen(2048), PKCS8);
    struct jwt_key *key CLEANUP(jwt_key_freep) = NULL;
    struct json *claims CLEANUP(json_freep) = json_make_object(), *jwk CLEANUP(json_freep) = NULL;
    struct secret *token CLEANUP(secret_freep) = NULL;
    struct buf want CLEANUP(buf_done) = BUF_INIT(1000);
    assert_null(jwt_key_from_pem(pem, &key));
    assert_null(jwt_sign_rs256_kid(key, "k\"1", claims, &token));
    assert_null(jwt_key_public_jwk(key, "k\"1", &jwk));
    base64url_encode(STR("{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k\\\"1\"}"), &want);
    buf_putc(&want, '.');
    assert_true(str_starts(secret_expose(token), buf_str(&want)));
    assert_true(signature_is_valid(jwk, secret_expose(token)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_with_both_pem_forms),
        cmocka_unit_test(signs_with_a_generated_key),
        cmocka_unit_test(a_key_id_stands_in_the_header),
        cmocka_unit_test(line_ends_of_any_kind_are_accepted),
        cmocka_unit_test(keys_of_the_wrong_kind_are_refused),
        cmocka_unit_test(text_that_is_no_key_is_refused),
        cmocka_unit_test(a_key_cut_anywhere_is_refused),
        cmocka_unit_test(peeking_refuses_what_is_no_token),
        cmocka_unit_test(claims_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
