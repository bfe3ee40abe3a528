// Tokens for the vectors of tests/vectors/jwt. Signers are names of keys (RS256 by that key), or
//
//     none                 an empty signature
//     garbage zeros short  256 bytes that are no signature; 16 bytes
//     hmac-pem hmac-der hmac-n hmac-jwk hmac-set hmac-kid hmac-empty    HS256 with what is public
//     ps256-a rs384-a rs512-a rs1-a raw-a    another padding, another digest, no DigestInfo
//     es256 es256-raw      ECDSA in DER, and as R and S
//
// Changes: h=, c= (before it is signed) and s= (after) with pad, bits, space, tab, newline, plus,
// slash, nul, cut, empty, quote, more, percent; s=flip<N> changes letter N; t=dot, four, two, one,
// lead, trail, bearer, empty, upper, swap, nosign, dotlead change the whole.
#include "tokens.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum { TEXT_MAX = 256 * 1024, KEYS = 8 };

static const char *const key_names[KEYS] = {
    "a", "b", "other", "small", "e3", "enc", "rs512", "private"};

struct tokens {
    EVP_PKEY *keys[KEYS], *ec;
    char *set, *pems[2], *jwk;
};

static EVP_PKEY *
rsa(int bits, unsigned long exponent)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    BIGNUM *e = BN_new();
    BUG_ON(context == NULL || e == NULL || BN_set_word(e, exponent) != 1);
    BUG_ON(EVP_PKEY_keygen_init(context) != 1);
    BUG_ON(EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits) != 1);
    BUG_ON(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, e) != 1);
    BUG_ON(EVP_PKEY_generate(context, &key) != 1);
    EVP_PKEY_CTX_free(context);
    BN_free(e);
    return key;
}

// An own encoder: the one under test must not be its own judge.
static void
put_base64url(const unsigned char *bytes, size_t len, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t bit = 0; bit < len * 8; bit += 6) {
        unsigned value = 0;
        for (size_t i = bit; i < bit + 6; i++) {
            unsigned one = i < len * 8 ? (unsigned)bytes[i / 8] >> (7 - i % 8) & 1U : 0;
            value = value << 1 | one;
        }
        buf_putc(out, digits[value]);
    }
}

static void
put_number(const EVP_PKEY *key, const char *parameter, struct buf *out)
{
    BIGNUM *number = NULL;
    unsigned char bytes[1024];
    BUG_ON(EVP_PKEY_get_bn_param(key, parameter, &number) != 1);
    int len = BN_bn2bin(number, bytes);
    put_base64url(bytes, (size_t)len, out);
    BN_free(number);
}

static void
put_jwk(const EVP_PKEY *key, const char *kid, const char *more, struct buf *out)
{
    buf_printf(out, "{\"kty\":\"RSA\",\"kid\":\"%s\",\"x5t\":\"%s\",%s\"n\":\"", kid, kid, more);
    put_number(key, OSSL_PKEY_PARAM_RSA_N, out);
    buf_puts(out, "\",\"e\":\"");
    put_number(key, OSSL_PKEY_PARAM_RSA_E, out);
    buf_puts(out, "\"}");
}

static void
put_set(const struct tokens *tokens, struct buf *out)
{
    static const char fine[] = "\"use\":\"sig\",\"alg\":\"RS256\",";
    buf_puts(out, "{\"keys\":[");
    put_jwk(tokens->keys[0], "a", fine, out);
    buf_puts(out, ",");
    put_jwk(tokens->keys[2], "a", fine, out); // never instead of the first
    buf_puts(out, ",");
    put_jwk(tokens->keys[3], "small", fine, out);
    buf_puts(out, ",");
    put_jwk(tokens->keys[4], "e3", fine, out);
    buf_puts(out, ",");
    put_jwk(tokens->keys[5], "enc", "\"use\":\"enc\",\"alg\":\"RS256\",", out);
    buf_puts(out, ",");
    put_jwk(tokens->keys[6], "rs512", "\"use\":\"sig\",\"alg\":\"RS512\",", out);
    buf_puts(out, ",");
    put_jwk(tokens->keys[7], "private", "\"d\":\"AQAB\",", out);
    buf_puts(out, ",{\"kty\":\"oct\",\"kid\":\"oct\",\"k\":\"AAAA\"}"
                  ",{\"kty\":\"EC\",\"kid\":\"ec\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}"
                  ",{\"kty\":\"RSA\",\"kid\":\"even-e\",\"n\":\"");
    put_number(tokens->keys[2], OSSL_PKEY_PARAM_RSA_N, out);
    buf_puts(out, "\",\"e\":\"AQAA\"},{\"kty\":\"RSA\",\"kid\":\"padded\",\"n\":\"");
    put_number(tokens->keys[2], OSSL_PKEY_PARAM_RSA_N, out);
    buf_puts(out, "==\",\"e\":\"AQAB\"},7,null,[],{\"kty\":\"RSA\",\"kid\":\"no-n\"},");
    put_jwk(tokens->keys[1], "b", "", out); // neither use nor alg: they are optional
    buf_puts(out, "]}");
}

static char *
public_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    BUG_ON(bio == NULL || PEM_write_bio_PUBKEY(bio, key) != 1);
    long len = BIO_get_mem_data(bio, &text);
    char *copy = xstrndup(text, (size_t)len);
    (void)BIO_free(bio);
    return copy;
}

struct tokens *
tokens_new(void)
{
    struct tokens *tokens = xcalloc(1, sizeof(*tokens));
    for (size_t i = 0; i < KEYS; i++) {
        tokens->keys[i] = rsa(i == 3 ? 1024 : 2048, i == 4 ? 3 : 65537);
    }
    tokens->ec = EVP_EC_gen("P-256");
    BUG_ON(tokens->ec == NULL);
    struct buf set = BUF_INIT(TEXT_MAX), jwk = BUF_INIT(TEXT_MAX);
    put_set(tokens, &set);
    put_jwk(tokens->keys[0], "a", "", &jwk);
    tokens->set = buf_take(&set);
    tokens->jwk = buf_take(&jwk);
    tokens->pems[0] = public_pem(tokens->keys[0]);
    tokens->pems[1] = public_pem(tokens->keys[1]);
    return tokens;
}

void
tokens_free(struct tokens *tokens)
{
    for (size_t i = 0; i < KEYS; i++) {
        EVP_PKEY_free(tokens->keys[i]);
    }
    EVP_PKEY_free(tokens->ec);
    free(tokens->set);
    free(tokens->jwk);
    free(tokens->pems[0]);
    free(tokens->pems[1]);
    free(tokens);
}

const char *
tokens_set(const struct tokens *tokens)
{
    return tokens->set;
}

const char *
tokens_public_pem(const struct tokens *tokens, const char *kid)
{
    return tokens->pems[strcmp(kid, "b") == 0 ? 1 : 0];
}

static EVP_PKEY *
key_named(const struct tokens *tokens, const char *name)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(key_names[i], name) == 0) {
            return tokens->keys[i];
        }
    }
    return NULL;
}

struct signature {
    unsigned char bytes[1024];
    size_t len;
};

static void
sign(EVP_PKEY *key, const EVP_MD *digest, bool pss, struct str text, struct signature *out)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner = NULL;
    out->len = sizeof(out->bytes);
    BUG_ON(context == NULL || EVP_DigestSignInit(context, &inner, digest, NULL, key) != 1);
    BUG_ON(pss && EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) != 1);
    BUG_ON(EVP_DigestSign(
               context, out->bytes, &out->len, (const unsigned char *)text.ptr, text.len) != 1);
    EVP_MD_CTX_free(context);
}

// PKCS #1 v1.5 padding around the bare hash: DigestInfo is left out.
static void
sign_bare(EVP_PKEY *key, struct str text, struct signature *out)
{
    unsigned char hash[32];
    unsigned len = 0;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    BUG_ON(EVP_Digest(text.ptr, text.len, hash, &len, EVP_sha256(), NULL) != 1);
    BUG_ON(context == NULL || EVP_PKEY_sign_init(context) != 1);
    BUG_ON(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) != 1);
    out->len = sizeof(out->bytes);
    BUG_ON(EVP_PKEY_sign(context, out->bytes, &out->len, hash, len) != 1);
    EVP_PKEY_CTX_free(context);
}

static void
hmac(const void *key, size_t len, struct str text, struct signature *out)
{
    unsigned size = 0;
    BUG_ON(HMAC(EVP_sha256(), len > 0 ? key : "", (int)len, (const unsigned char *)text.ptr,
               text.len, out->bytes, &size) == NULL);
    out->len = size;
}

static void
sign_by_hmac(const struct tokens *tokens, const char *what, struct str text, struct signature *out)
{
    BIGNUM *modulus = NULL;
    unsigned char bytes[1024];
    unsigned char *der = NULL;
    if (strcmp(what, "pem") == 0) {
        hmac(tokens->pems[0], strlen(tokens->pems[0]), text, out);
    } else if (strcmp(what, "der") == 0) {
        int len = i2d_PUBKEY(tokens->keys[0], &der);
        hmac(der, (size_t)len, text, out);
        OPENSSL_free(der);
    } else if (strcmp(what, "n") == 0) {
        BUG_ON(EVP_PKEY_get_bn_param(tokens->keys[0], OSSL_PKEY_PARAM_RSA_N, &modulus) != 1);
        hmac(bytes, (size_t)BN_bn2bin(modulus, bytes), text, out);
        BN_free(modulus);
    } else if (strcmp(what, "jwk") == 0) {
        hmac(tokens->jwk, strlen(tokens->jwk), text, out);
    } else if (strcmp(what, "set") == 0) {
        hmac(tokens->set, strlen(tokens->set), text, out);
    } else {
        hmac("a", strcmp(what, "kid") == 0 ? 1 : 0, text, out);
    }
}

// R and S side by side, as JWS has it (RFC 7518 §3.4).
static void
to_raw(struct signature *signature)
{
    const unsigned char *at = signature->bytes;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)signature->len);
    BUG_ON(pair == NULL);
    BUG_ON(BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature->bytes, 32) != 32);
    BUG_ON(BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature->bytes + 32, 32) != 32);
    signature->len = 64;
    ECDSA_SIG_free(pair);
}

static void
sign_as(const struct tokens *tokens, const char *signer, struct str text, struct signature *out)
{
    EVP_PKEY *key = key_named(tokens, signer);
    if (key != NULL) {
        sign(key, EVP_sha256(), false, text, out);
    } else if (strncmp(signer, "hmac-", 5) == 0) {
        sign_by_hmac(tokens, signer + 5, text, out);
    } else if (strcmp(signer, "ps256-a") == 0) {
        sign(tokens->keys[0], EVP_sha256(), true, text, out);
    } else if (strcmp(signer, "rs384-a") == 0) {
        sign(tokens->keys[0], EVP_sha384(), false, text, out);
    } else if (strcmp(signer, "rs512-a") == 0) {
        sign(tokens->keys[0], EVP_sha512(), false, text, out);
    } else if (strcmp(signer, "rs1-a") == 0) {
        sign(tokens->keys[0], EVP_sha1(), false, text, out);
    } else if (strcmp(signer, "raw-a") == 0) {
        sign_bare(tokens->keys[0], text, out);
    } else if (strncmp(signer, "es256", 5) == 0) {
        sign(tokens->ec, EVP_sha256(), false, text, out);
        if (strcmp(signer, "es256-raw") == 0) {
            to_raw(out);
        }
    } else {
        bool garbage = strcmp(signer, "garbage") == 0;
        memset(out->bytes, garbage ? 0x5a : 0, sizeof(out->bytes));
        out->len = strcmp(signer, "short") == 0 ? 16 : strcmp(signer, "none") == 0 ? 0 : 256;
        BUG_ON(!garbage && strcmp(signer, "zeros") != 0 && strcmp(signer, "short") != 0 &&
               strcmp(signer, "none") != 0);
    }
}

static void
insert(struct buf *text, size_t at, const char *bytes, size_t len)
{
    struct buf larger = BUF_INIT(TEXT_MAX);
    at = at < text->len ? at : text->len;
    buf_append(&larger, text->ptr != NULL ? text->ptr : "", at);
    buf_append(&larger, bytes, len);
    buf_append(&larger, text->ptr != NULL ? text->ptr + at : "", text->len - at);
    buf_done(text);
    *text = larger;
}

// The same bytes in another spelling: a bit that stands for none is set.
static void
set_spare_bit(struct buf *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    BUG_ON(text->len == 0 || text->len % 4 == 0); // the vector has no spare bits: choose another
    const char *at = strchr(digits, text->ptr[text->len - 1]);
    text->ptr[text->len - 1] = digits[(at - digits) | 1];
}

static void
change_part(struct buf *text, const char *how)
{
    static const struct {
        const char *how, *bytes;
        size_t len;
        bool at_end;
    } inserted[] = {{"pad", "=", 1, true}, {"space", " ", 1, false}, {"tab", "\t", 1, false},
        {"newline", "\n", 1, false}, {"trailing", "\n", 1, true}, {"plus", "+", 1, false},
        {"slash", "/", 1, false}, {"nul", "\0", 1, false}, {"quote", "\"", 1, false},
        {"more", "AAAA", 4, true}, {"percent", "%3D", 3, true}, {"high", "\xc3\xa9", 2, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(inserted); i++) {
        if (strcmp(how, inserted[i].how) == 0) {
            insert(text, inserted[i].at_end ? text->len : text->len / 2, inserted[i].bytes,
                inserted[i].len);
            return;
        }
    }
    if (strcmp(how, "bits") == 0) {
        set_spare_bit(text);
    } else if (strcmp(how, "cut") == 0) {
        buf_cut(text, text->len - 1);
    } else {
        BUG_ON(strcmp(how, "empty") != 0);
        buf_reset(text);
    }
}

static void
change_parts(const char *changes, char part, struct buf *text)
{
    struct str rest = str_of(changes), change = {0};
    while (str_cut(rest, ',', &change, &rest)) {
        if (change.len > 2 && change.ptr[0] == part && change.ptr[1] == '=') {
            char *how = xstrndup(change.ptr + 2, change.len - 2);
            if (part == 's' && strncmp(how, "flip", 4) == 0) {
                int64_t letter = 0;
                BUG_ON(text->len == 0 || !str_to_int64(str_of(how + 4), &letter));
                char *at = &text->ptr[(size_t)letter % text->len];
                *at = *at == 'A' ? 'B' : 'A';
            } else {
                change_part(text, how);
            }
            xfreep(&how);
        }
    }
}

static void
join(const struct buf *header, const struct buf *claims, const struct buf *signature,
    const char *whole, struct buf *out)
{
    bool swap = strcmp(whole, "swap") == 0;
    buf_puts(out, strcmp(whole, "lead") == 0      ? " "
                  : strcmp(whole, "bearer") == 0  ? "Bearer "
                  : strcmp(whole, "dotlead") == 0 ? "."
                                                  : "");
    if (strcmp(whole, "empty") == 0) {
        return;
    }
    buf_add(out, buf_str(swap ? claims : header));
    if (strcmp(whole, "one") == 0) {
        return;
    }
    buf_puts(out, ".");
    buf_add(out, buf_str(swap ? header : claims));
    if (strcmp(whole, "two") == 0) {
        return;
    }
    buf_puts(out, ".");
    buf_add(out, buf_str(signature));
    buf_puts(out, strcmp(whole, "dot") == 0     ? "."
                  : strcmp(whole, "four") == 0  ? ".AAAA"
                  : strcmp(whole, "trail") == 0 ? "\n"
                                                : "");
    for (size_t i = 0; strcmp(whole, "upper") == 0 && i < out->len; i++) {
        out->ptr[i] =
            out->ptr[i] >= 'a' && out->ptr[i] <= 'z' ? (char)(out->ptr[i] - 32) : out->ptr[i];
    }
}

void
tokens_make(const struct tokens *tokens, const struct token_recipe *recipe, struct buf *out)
{
    const char *changes = recipe->changes != NULL ? recipe->changes : "";
    struct buf header CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf claims CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf third CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct signature signature = {0};
    put_base64url((const unsigned char *)recipe->header.ptr, recipe->header.len, &header);
    put_base64url((const unsigned char *)recipe->claims.ptr, recipe->claims.len, &claims);
    change_parts(changes, 'h', &header);
    change_parts(changes, 'c', &claims);
    buf_add(&text, buf_str(&header));
    buf_puts(&text, ".");
    buf_add(&text, buf_str(&claims));
    sign_as(tokens, recipe->signer, buf_str(&text), &signature);
    put_base64url(signature.bytes, signature.len, &third);
    change_parts(changes, 's', &third);
    const char *whole = strstr(changes, "t=");
    join(&header, &claims, &third, whole != NULL ? whole + 2 : "", out);
    BUG_ON(out->failed);
}

static int
hex(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                          : -1;
}

void
tokens_unescape(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '%' && i + 2 < text.len && hex(text.ptr[i + 1]) >= 0 &&
            hex(text.ptr[i + 2]) >= 0) {
            buf_putc(out, (char)(unsigned char)(hex(text.ptr[i + 1]) << 4 | hex(text.ptr[i + 2])));
            i += 2;
        } else if (str_starts(str_skip(text, i), STR("@x"))) {
            long count = strtol(text.ptr + i + 2, NULL, 10);
            for (i++; i + 1 < text.len && strchr("0123456789", text.ptr[i + 1]) != NULL;) {
                i++;
            }
            for (; count > 0; count--) {
                buf_putc(out, 'x');
            }
        } else {
            buf_putc(out, text.ptr[i]);
        }
    }
}
