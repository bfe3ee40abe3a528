// RS256 tokens for a GitHub App (RFC 7515 §3.1 compact serialisation, RFC 7518 §3.3), and a look
// into tokens of others. Nothing here verifies a signature, and no message quotes a key or a token.
#include "dispatcher/jwt.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"

enum {
    RSA_BITS_MIN = 2048,  // RFC 7518 §3.3
    RSA_BITS_MAX = 16384, // beyond, one signature takes minutes
    RSA_BYTES_MAX = RSA_BITS_MAX / 8,
    PEM_MAX = 64 * 1024,
    TOKEN_MAX = 64 * 1024,
};

struct jwt_key {
    EVP_PKEY *pkey;
};

void
jwt_key_free(struct jwt_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);
        free(key);
    }
}

void
jwt_key_freep(struct jwt_key **key)
{
    jwt_key_free(*key);
    *key = NULL;
}

static void
bio_freep(BIO **bio)
{
    (void)BIO_free(*bio);
}

static void
pkey_freep(EVP_PKEY **pkey)
{
    EVP_PKEY_free(*pkey);
}

static void
bignum_freep(BIGNUM **number)
{
    BN_free(*number);
}

static void
digest_context_freep(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

// A key that was pasted into one line has "\n" (and perhaps "\r") spelled out where lines ended.
static void
restore_line_ends(struct str pem, struct buf *out)
{
    while (pem.len > 0) {
        bool escape = pem.ptr[0] == '\\' && pem.len >= 2;
        if (escape && pem.ptr[1] == 'n') {
            buf_putc(out, '\n');
        } else if (!escape || pem.ptr[1] != 'r') {
            buf_putc(out, pem.ptr[0]);
            escape = false;
        }
        pem = str_skip(pem, escape ? 2 : 1);
    }
}

// Indentation and blank lines come from YAML files and from line ends that were kept *and* spelled
// out; inside a key they mean nothing, but OpenSSL stops there.
static void
tidy_lines(struct str pem, struct buf *out)
{
    struct str line = {0};
    while (str_cut(pem, '\n', &line, &pem)) {
        line = str_trim(line);
        buf_add(out, line);
        buf_puts(out, line.len > 0 ? "\n" : "");
    }
}

// Without this OpenSSL asks on the terminal.
static int
no_passphrase(char *out, int size, int writing, void *ctx)
{
    (void)out, (void)size, (void)writing, (void)ctx;
    return -1;
}

static struct error *
refuse_key(const char *reason)
{
    ERR_clear_error(); // OpenSSL's own words may hold bytes of the key
    return error_hint(error_new(ERROR_CREDENTIALS, "private key cannot be used: %s", reason),
        "Give the whole .pem file that the GitHub App's settings page generated.");
}

static const char *
reason_unreadable(struct str pem)
{
    static const struct {
        const char *marker, *reason;
    } known[] = {
        {"ENCRYPTED", "it is protected by a passphrase"},
        {"BEGIN OPENSSH", "it is an OpenSSH key, not PEM"},
        {"BEGIN PUBLIC", "it is a public key"},
        {"BEGIN RSA PUBLIC", "it is a public key"},
        {"BEGIN CERTIFICATE", "it is a certificate"},
        {"PRIVATE KEY-----", "its text is damaged or cut off"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (str_contains(pem, str_of(known[i].marker))) {
            return known[i].reason;
        }
    }
    return "it is not PEM text";
}

static struct error *
check_key(const EVP_PKEY *pkey)
{
    if (!EVP_PKEY_is_a(pkey, "RSA")) {
        return refuse_key("it is not an RSA key");
    }
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < RSA_BITS_MIN) {
        return refuse_key("it has fewer than 2048 bits");
    }
    return bits > RSA_BITS_MAX ? refuse_key("it has more than 16384 bits") : NULL;
}

struct error *
jwt_key_from_pem(const struct secret *pem, struct jwt_key **out)
{
    struct str given = secret_expose(pem);
    if (given.len > PEM_MAX) {
        return refuse_key("it is larger than 64 KiB");
    }
    struct buf lines CLEANUP(buf_wipe) = BUF_INIT(PEM_MAX);
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(PEM_MAX + 1); // a last line end may be added
    restore_line_ends(given, &lines);
    tidy_lines(buf_str(&lines), &text);
    BIO *bio CLEANUP(bio_freep) = BIO_new_mem_buf(buf_cstr(&text), (int)text.len);
    BUG_ON(bio == NULL);
    EVP_PKEY *pkey CLEANUP(pkey_freep) = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    if (pkey == NULL) {
        return refuse_key(reason_unreadable(buf_str(&text)));
    }
    TRY(check_key(pkey));
    struct jwt_key *key = xcalloc(1, sizeof(*key));
    key->pkey = pkey;
    pkey = NULL;
    *out = key;
    return NULL;
}

static struct error *
append_signature(const struct jwt_key *key, struct buf *token)
{
    EVP_MD_CTX *context CLEANUP(digest_context_freep) = EVP_MD_CTX_new();
    BUG_ON(context == NULL);
    unsigned char signature[RSA_BYTES_MAX];
    size_t len = sizeof(signature);
    if (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->pkey) != 1 ||
        EVP_DigestSign(context, signature, &len, (const unsigned char *)token->ptr, token->len) !=
            1) {
        return refuse_key("signing with it fails");
    }
    buf_putc(token, '.');
    base64url_encode((struct str){(const char *)signature, len}, token);
    return NULL;
}

struct error *
jwt_sign_rs256_kid(
    const struct jwt_key *key, const char *kid, const struct json *claims, struct secret **out)
{
    struct buf token CLEANUP(buf_wipe) = BUF_INIT(TOKEN_MAX);
    struct buf payload CLEANUP(buf_done) = BUF_INIT(TOKEN_MAX);
    struct buf header CLEANUP(buf_done) = BUF_INIT(TOKEN_MAX);
    struct json *fields CLEANUP(json_freep) = json_make_object();
    json_set_str(fields, "alg", "RS256");
    json_set_str(fields, "typ", "JWT");
    json_set_str(fields, "kid", kid);
    json_print(fields, false, &header);
    json_print(claims, false, &payload);
    TRY(buf_finish(&header, "token header"));
    TRY(buf_finish(&payload, "token claims"));
    base64url_encode(buf_str(&header), &token);
    buf_putc(&token, '.');
    base64url_encode(buf_str(&payload), &token);
    TRY(buf_finish(&token, "token"));
    TRY(append_signature(key, &token));
    TRY(buf_finish(&token, "token"));
    *out = secret_new(buf_str(&token));
    return NULL;
}

struct error *
jwt_sign_rs256(const struct jwt_key *key, const struct json *claims, struct secret **out)
{
    return jwt_sign_rs256_kid(key, NULL, claims, out);
}

static struct error *
not_a_jwt(void)
{
    return error_new(ERROR_INPUT, "not a JSON web token");
}

// One base64url segment that holds a JSON object.
static struct error *
decode_object(struct str segment, struct json **out)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(TOKEN_MAX);
    struct json *value CLEANUP(json_freep) = NULL;
    struct error *err = base64url_decode(segment, &text);
    if (err == NULL) {
        err = json_parse(buf_str(&text), &json_limits_default, &value);
    }
    if (err != NULL || !json_is_object(value)) {
        error_free(err); // it may quote the token
        return not_a_jwt();
    }
    *out = value;
    value = NULL;
    return NULL;
}

struct error *
jwt_peek(struct str token, struct json **claims)
{
    struct str header = {0}, payload = {0}, rest = token;
    if (token.len > TOKEN_MAX || !str_cut(rest, '.', &header, &rest) ||
        !str_cut(rest, '.', &payload, &rest) || str_contains(rest, STR("."))) {
        return not_a_jwt();
    }
    struct json *parsed CLEANUP(json_freep) = NULL;
    TRY(decode_object(header, &parsed));
    // A third segment has to be there (RFC 7515 §7.1), even if it is empty.
    if (payload.ptr + payload.len >= token.ptr + token.len) {
        return not_a_jwt();
    }
    struct buf signature CLEANUP(buf_done) = BUF_INIT(TOKEN_MAX);
    struct error *err = base64url_decode(rest, &signature);
    if (err != NULL) {
        error_free(err);
        return not_a_jwt();
    }
    return decode_object(payload, claims);
}

static void
set_number(const struct jwt_key *key, const char *parameter, struct json *jwk, const char *name)
{
    BIGNUM *number CLEANUP(bignum_freep) = NULL;
    BUG_ON(EVP_PKEY_get_bn_param(key->pkey, parameter, &number) != 1);
    unsigned char bytes[RSA_BYTES_MAX];
    BUG_ON(BN_num_bytes(number) > RSA_BYTES_MAX);
    int len = BN_bn2bin(number, bytes);
    struct buf text CLEANUP(buf_done) = BUF_INIT(2 * RSA_BYTES_MAX);
    base64url_encode((struct str){(const char *)bytes, (size_t)len}, &text);
    json_set_str(jwk, name, buf_cstr(&text));
}

struct error *
jwt_key_public_jwk(const struct jwt_key *key, const char *kid, struct json **out)
{
    struct json *jwk = json_make_object();
    json_set_str(jwk, "kty", "RSA");
    set_number(key, OSSL_PKEY_PARAM_RSA_N, jwk, "n");
    set_number(key, OSSL_PKEY_PARAM_RSA_E, jwk, "e");
    json_set_str(jwk, "kid", kid);
    json_set_str(jwk, "alg", "RS256");
    json_set_str(jwk, "use", "sig");
    *out = jwk;
    return NULL;
}

struct error *
jwt_key_generate_pem(struct secret **out)
{
    EVP_PKEY *pkey CLEANUP(pkey_freep) = EVP_RSA_gen(RSA_BITS_MIN);
    BIO *bio CLEANUP(bio_freep) = BIO_new(BIO_s_mem());
    BUG_ON(bio == NULL);
    if (pkey == NULL || PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) != 1) {
        ERR_clear_error();
        return error_new(ERROR_BUG, "cannot generate an RSA key");
    }
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    *out = secret_new((struct str){text, (size_t)len});
    OPENSSL_cleanse(text, (size_t)len);
    return NULL;
}
