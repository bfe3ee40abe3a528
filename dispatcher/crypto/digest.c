// SHA-256, HMAC and SHA-1 over OpenSSL's EVP layer, so that whatever acceleration the library has
// is used. An EVP call that fails here means a broken library, not bad input: the process ends.
// Text encodings are encoding.c's.
#include "dispatcher/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

struct sha256 {
    EVP_MD_CTX *context;
    bool finished;
};

struct sha256 *
sha256_new(void)
{
    struct sha256 *state = xcalloc(1, sizeof(*state));
    state->context = EVP_MD_CTX_new();
    BUG_ON(state->context == NULL);
    BUG_ON(EVP_DigestInit_ex(state->context, EVP_sha256(), NULL) != 1);
    return state;
}

void
sha256_update(struct sha256 *state, const void *bytes, size_t len)
{
    BUG_ON(state->finished);
    if (len > 0) {
        BUG_ON(EVP_DigestUpdate(state->context, bytes, len) != 1);
    }
}

void
sha256_final(struct sha256 *state, unsigned char out[SHA256_SIZE])
{
    BUG_ON(state->finished);
    BUG_ON(EVP_DigestFinal_ex(state->context, out, NULL) != 1);
    state->finished = true;
}

void
sha256_free(struct sha256 *state)
{
    if (state != NULL) {
        EVP_MD_CTX_free(state->context);
        free(state);
    }
}

void
sha256_freep(struct sha256 **state)
{
    sha256_free(*state);
    *state = NULL;
}

// An empty view may carry a NULL pointer, which the library need not accept.
static const void *
bytes_of(struct str view)
{
    return view.ptr != NULL ? view.ptr : "";
}

void
sha256_of(struct str bytes, unsigned char out[SHA256_SIZE])
{
    BUG_ON(EVP_Digest(bytes_of(bytes), bytes.len, out, NULL, EVP_sha256(), NULL) != 1);
}

void
sha256_hex(struct str bytes, char out[SHA256_HEX_SIZE])
{
    unsigned char hash[SHA256_SIZE];
    sha256_of(bytes, hash);
    hex_encode(hash, sizeof(hash), out);
}

void
sha256_digest_text(const unsigned char hash[SHA256_SIZE], char out[SHA256_DIGEST_TEXT_SIZE])
{
    static const char prefix[] = "sha256:";
    memcpy(out, prefix, sizeof(prefix) - 1);
    hex_encode(hash, SHA256_SIZE, out + sizeof(prefix) - 1);
}

void
hmac_sha256(struct str key, struct str message, unsigned char out[SHA256_SIZE])
{
    BUG_ON(key.len > INT32_MAX);
    const unsigned char *bytes = bytes_of(message);
    unsigned len = 0;
    const void *done =
        HMAC(EVP_sha256(), bytes_of(key), (int)key.len, bytes, message.len, out, &len);
    BUG_ON(done == NULL || len != SHA256_SIZE);
}

void
sha1_hex(struct str bytes, char out[41])
{
    unsigned char hash[20];
    BUG_ON(EVP_Digest(bytes_of(bytes), bytes.len, hash, NULL, EVP_sha1(), NULL) != 1);
    hex_encode(hash, sizeof(hash), out);
}

bool
digest_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
