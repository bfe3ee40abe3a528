// RS256 verification against a published set of keys (RFC 7515 §5.2, RFC 7517; protocols.md T06,
// T07). The algorithm is ours, never the token's; keys are parsed once, when the set is read. Says
// nothing about the claims, and never looks at a key or an address that a token brings along.
#include "dispatcher/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"

enum {
    SET_MAX = 64 * 1024,
    KEYS_MAX = 32,
    KID_MAX = 200,
    RSA_BITS_MIN = 2048, // RFC 7518 §3.3
    RSA_BITS_MAX = 8192, // each verification takes as long as the key is large
    EXPONENT_MIN = 65537,
    EXPONENT_BITS_MAX = 64,
    NUMBER_MAX = RSA_BITS_MAX / 8,
    TOKEN_MAX = 16 * 1024,
};

static const struct json_limits set_limits = {SET_MAX, 8};
static const struct json_limits token_limits = {TOKEN_MAX, 8};

struct published_key {
    char *kid;
    // Initialised for verification with the key; copied for each token, which is cheaper than
    // looking up the algorithm again, and leaves it as it is: readers need no lock.
    EVP_MD_CTX *ready;
};

struct jwt_keys {
    EVP_MD *sha256;
    struct published_key items[KEYS_MAX];
    size_t count;
};

void
jwt_keys_free(struct jwt_keys *keys)
{
    for (size_t i = 0; keys != NULL && i < keys->count; i++) {
        free(keys->items[i].kid);
        EVP_MD_CTX_free(keys->items[i].ready);
    }
    if (keys != NULL) {
        EVP_MD_free(keys->sha256);
        free(keys);
    }
}

void
jwt_keys_freep(struct jwt_keys **keys)
{
    jwt_keys_free(*keys);
    *keys = NULL;
}

static void
pkey_freep(EVP_PKEY **pkey)
{
    EVP_PKEY_free(*pkey);
}

static void
pkey_context_freep(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
}

static void
bignum_freep(BIGNUM **number)
{
    BN_free(*number);
}

static void
build_freep(OSSL_PARAM_BLD **build)
{
    OSSL_PARAM_BLD_free(*build);
}

static void
params_freep(OSSL_PARAM **params)
{
    OSSL_PARAM_free(*params);
}

static void
digest_context_freep(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

// --- the set -------------------------------------------------------------------------------------

// RFC 7518 §2, Base64urlUInt: big-endian. NULL when it is none, or longer than any key may be.
static BIGNUM *
number_of(const struct json *jwk, const char *name)
{
    const char *text = json_str(json_get(jwk, name));
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(NUMBER_MAX);
    struct error *err CLEANUP(error_freep) =
        text != NULL ? base64url_decode(str_of(text), &bytes) : NULL;
    if (text == NULL || err != NULL || bytes.len == 0) {
        return NULL;
    }
    return BN_bin2bn((const unsigned char *)bytes.ptr, (int)bytes.len, NULL);
}

static bool
numbers_are_sound(const BIGNUM *modulus, const BIGNUM *exponent)
{
    BIGNUM *least CLEANUP(bignum_freep) = BN_new();
    BUG_ON(least == NULL || BN_set_word(least, EXPONENT_MIN) != 1);
    int bits = BN_num_bits(modulus);
    return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX && BN_is_odd(modulus) &&
           BN_is_odd(exponent) && BN_cmp(exponent, least) >= 0 &&
           BN_num_bits(exponent) <= EXPONENT_BITS_MAX;
}

static EVP_PKEY *
key_of(const BIGNUM *modulus, const BIGNUM *exponent)
{
    OSSL_PARAM_BLD *build CLEANUP(build_freep) = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context CLEANUP(pkey_context_freep) =
        EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BUG_ON(build == NULL || context == NULL);
    BUG_ON(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) != 1);
    BUG_ON(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) != 1);
    OSSL_PARAM *params CLEANUP(params_freep) = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY *pkey = NULL;
    if (params == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        ERR_clear_error();
        return NULL;
    }
    return pkey;
}

// What is for something else is not for us; a key that shows its private half is nobody's.
static bool
is_for_signatures(const struct json *jwk)
{
    const struct json *use = json_get(jwk, "use"), *alg = json_get(jwk, "alg");
    return cstr_equal(json_str(json_get(jwk, "kty")), "RSA") &&
           (use == NULL || cstr_equal(json_str(use), "sig")) &&
           (alg == NULL || cstr_equal(json_str(alg), "RS256")) && json_get(jwk, "d") == NULL;
}

static const struct published_key *
find(const struct jwt_keys *keys, const char *kid)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->items[i].kid, kid) == 0) {
            return &keys->items[i];
        }
    }
    return NULL;
}

static bool
is_kid(const char *text)
{
    return text != NULL && text[0] != '\0' && strlen(text) <= KID_MAX;
}

// Two keys of one id: the first is meant; which one would be a matter of luck.
static void
add_key(struct jwt_keys *keys, const struct json *jwk)
{
    const char *kid = json_str(json_get(jwk, "kid"));
    if (!is_kid(kid) || !is_for_signatures(jwk) || find(keys, kid) != NULL) {
        return;
    }
    BIGNUM *modulus CLEANUP(bignum_freep) = number_of(jwk, "n");
    BIGNUM *exponent CLEANUP(bignum_freep) = number_of(jwk, "e");
    if (modulus == NULL || exponent == NULL || !numbers_are_sound(modulus, exponent)) {
        return;
    }
    EVP_PKEY *pkey CLEANUP(pkey_freep) = key_of(modulus, exponent);
    EVP_MD_CTX *ready CLEANUP(digest_context_freep) = EVP_MD_CTX_new();
    BUG_ON(ready == NULL);
    if (pkey == NULL || EVP_DigestVerifyInit(ready, NULL, keys->sha256, NULL, pkey) != 1) {
        ERR_clear_error();
        return;
    }
    keys->items[keys->count++] = (struct published_key){xstrdup(kid), ready};
    ready = NULL;
}

struct error *
jwt_keys_parse(struct str json, struct jwt_keys **out)
{
    struct json *set CLEANUP(json_freep) = NULL;
    if (json.len > SET_MAX) {
        return error_new(ERROR_INPUT, "the set of keys is larger than 64 KiB");
    }
    struct error *err CLEANUP(error_freep) = json_parse(json, &set_limits, &set);
    const struct json *list = err == NULL ? json_get(set, "keys") : NULL;
    if (!json_is_array(list)) {
        return error_new(ERROR_INPUT, "not a set of keys");
    }
    struct jwt_keys *keys CLEANUP(jwt_keys_freep) = xcalloc(1, sizeof(*keys));
    keys->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    BUG_ON(keys->sha256 == NULL);
    for (size_t i = 0; i < json_count(list) && keys->count < KEYS_MAX; i++) {
        add_key(keys, json_at(list, i));
    }
    if (keys->count == 0) {
        return error_new(
            ERROR_INPUT, "the set holds no RSA key of 2048 bits or more that is for RS256");
    }
    *out = keys;
    keys = NULL;
    return NULL;
}

// --- a token -------------------------------------------------------------------------------------

static struct json *
object_of(struct str segment)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TOKEN_MAX);
    struct json *value = NULL;
    struct error *err CLEANUP(error_freep) = base64url_decode(segment, &text);
    if (err == NULL) {
        err = json_parse(buf_str(&text), &token_limits, &value);
    }
    if (err != NULL || !json_is_object(value)) {
        json_freep(&value);
    }
    return value;
}

// Keys that would have us look elsewhere for the key, or read the token in another way, are not
// passed over: nobody who means well sends them.
static bool
header_is_plain(const struct json *header)
{
    static const char *const refused[] = {
        "jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc", "epk"};
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        if (json_get(header, refused[i]) != NULL) {
            return false;
        }
    }
    const struct json *typ = json_get(header, "typ");
    return cstr_equal(json_str(json_get(header, "alg")), "RS256") &&
           (typ == NULL || cstr_equal(json_str(typ), "JWT"));
}

static bool
signature_is_good(
    const struct published_key *key, struct str signed_part, const struct buf *signature)
{
    EVP_MD_CTX *context CLEANUP(digest_context_freep) = EVP_MD_CTX_new();
    BUG_ON(context == NULL || EVP_MD_CTX_copy_ex(context, key->ready) != 1);
    bool good = EVP_DigestVerify(context, (const unsigned char *)signature->ptr, signature->len,
                    (const unsigned char *)signed_part.ptr, signed_part.len) == 1;
    ERR_clear_error();
    return good;
}

struct parts {
    struct str header, claims, signature, signed_part;
};

// RFC 7515 §7.1: exactly three, none of them empty.
static bool
cut_token(struct str token, struct parts *out)
{
    struct str rest = token;
    if (token.len > TOKEN_MAX || token.ptr == NULL || !str_cut(rest, '.', &out->header, &rest) ||
        !str_cut(rest, '.', &out->claims, &rest)) {
        return false;
    }
    out->signature = rest;
    out->signed_part = (struct str){token.ptr, out->header.len + 1 + out->claims.len};
    return out->header.len > 0 && out->claims.len > 0 && rest.len > 0 &&
           memchr(rest.ptr, '.', rest.len) == NULL;
}

enum jwt_check
jwt_keys_check(const struct jwt_keys *keys, struct str token, struct json **claims)
{
    struct parts parts = {0};
    if (!cut_token(token, &parts)) {
        return JWT_MALFORMED;
    }
    struct json *header CLEANUP(json_freep) = object_of(parts.header);
    const char *kid = header != NULL ? json_str(json_get(header, "kid")) : NULL;
    struct buf signature CLEANUP(buf_done) = BUF_INIT(TOKEN_MAX);
    struct error *err CLEANUP(error_freep) = base64url_decode(parts.signature, &signature);
    if (err != NULL || header == NULL || !header_is_plain(header) || !is_kid(kid)) {
        return JWT_MALFORMED;
    }
    const struct published_key *key = find(keys, kid);
    if (key == NULL) {
        return JWT_KEY_UNKNOWN;
    }
    // Before anything else of a stranger's is read.
    if (!signature_is_good(key, parts.signed_part, &signature)) {
        return JWT_SIGNATURE;
    }
    struct json *object = object_of(parts.claims);
    if (object == NULL) {
        return JWT_MALFORMED;
    }
    *claims = object;
    return JWT_GOOD;
}
