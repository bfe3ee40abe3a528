// Hashes and encodings over OpenSSL EVP. Pure but for the streaming state. Thread-safe per object.
#pragma once

#include "dispatcher/buf.h"

enum { SHA256_SIZE = 32, SHA256_HEX_SIZE = 65, SHA256_DIGEST_TEXT_SIZE = 72 };

struct sha256; // streaming

struct sha256 *sha256_new(void);
void sha256_update(struct sha256 *state, const void *bytes, size_t len);
/// May be called once; the state is still to be freed.
void sha256_final(struct sha256 *state, unsigned char out[SHA256_SIZE]);
void sha256_free(struct sha256 *state);
void sha256_freep(struct sha256 **state);

void sha256_of(struct str bytes, unsigned char out[SHA256_SIZE]);
void sha256_hex(struct str bytes, char out[SHA256_HEX_SIZE]);
/// "sha256:<hex>" (OCI image spec, descriptor digests).
void sha256_digest_text(const unsigned char hash[SHA256_SIZE], char out[SHA256_DIGEST_TEXT_SIZE]);
void hmac_sha256(struct str key, struct str message, unsigned char out[SHA256_SIZE]);
void sha1_hex(struct str bytes, char out[41]); // AWS SSO cache file names only

void hex_encode(const void *bytes, size_t len, char *out); // lower case, 2 * len + 1
void base64_encode(struct str bytes, struct buf *out);     // RFC 4648 §4
void base64url_encode(struct str bytes, struct buf *out);  // RFC 4648 §5, no padding
/// Strict; ERROR_INPUT on anything else.
NODISCARD struct error *base64_decode(struct str text, struct buf *out);
NODISCARD struct error *base64url_decode(struct str text, struct buf *out);
void base32_encode_lower(
    struct str bytes, struct buf *out); // RFC 4648 §6 alphabet in lower case, no padding
/// Constant time for equal lengths.
bool digest_equal(const void *a, const void *b, size_t len);
