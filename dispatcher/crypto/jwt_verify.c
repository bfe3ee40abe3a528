// RS256 verification of a compact JWT (RFC 7515 §5.2) with the public half of a private key.
// Strict: no other algorithm, no missing part. Says nothing about the claims.
#include "dispatcher/jwt.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"

enum { TOKEN_MAX = 16 * 1024 };

static bool
is_rs256(struct str header)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TOKEN_MAX);
    struct error *err CLEANUP(error_freep) = base64url_decode(header, &text);
    struct json *object CLEANUP(json_freep) = NULL;
    if (err == NULL) {
        err = json_parse(buf_str(&text), &json_limits_default, &object);
    }
    return err == NULL && cstr_equal(json_str(json_get(object, "alg")), "RS256");
}

static bool
verify(EVP_PKEY *key, struct str signed_part, const struct buf *signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    BUG_ON(ctx == NULL);
    bool good = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(ctx, (const unsigned char *)signature->ptr, signature->len,
                    (const unsigned char *)signed_part.ptr, signed_part.len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

bool
jwt_verify_rs256(const struct secret *private_pem, struct str token)
{
    struct str header = {0}, claims = {0}, signature = {0}, rest = token;
    if (rest.len > TOKEN_MAX || !str_cut(rest, '.', &header, &rest) ||
        !str_cut(rest, '.', &claims, &rest) || !str_cut(rest, '.', &signature, &rest) ||
        rest.len != 0 || !is_rs256(header)) {
        return false;
    }
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(TOKEN_MAX);
    struct error *err CLEANUP(error_freep) = base64url_decode(signature, &bytes);
    if (err != NULL || bytes.len == 0) {
        return false;
    }
    struct str pem = secret_expose(private_pem);
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    struct str signed_part = {token.ptr, header.len + 1 + claims.len};
    bool good = key != NULL && verify(key, signed_part, &bytes);
    EVP_PKEY_free(key);
    return good;
}
