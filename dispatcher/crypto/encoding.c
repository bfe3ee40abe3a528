// Hex, base64 (RFC 4648 §4, §5) and base32 (§6). Decoding is strict: exactly one text decodes to
// given bytes, so white space, missing or surplus padding and non-zero spare bits (§3.5) are
// refused. Texts are never quoted in errors, because what is encoded is often a credential.
#include "dispatcher/digest.h"

#include <openssl/crypto.h>
#include <string.h>

enum { NOT_A_DIGIT = 255, BLOCK_BYTES = 768 };

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";

void
hex_encode(const void *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * len] = '\0';
}

// Appends the digits of up to `group` bytes, `bits` bits each, most significant first.
static size_t
encode_group(const unsigned char *in, size_t count, unsigned bits, const char *digits, char *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        value = value << 8 | in[i];
    }
    size_t used = (count * 8 + bits - 1) / bits;
    value <<= used * bits - count * 8; // spare bits are zero
    for (size_t i = used; i-- > 0;) {
        out[i] = digits[value & ((1U << bits) - 1)];
        value >>= bits;
    }
    return used;
}

static void
encode(struct str bytes, size_t group, unsigned bits, const char *digits, struct buf *out)
{
    char text[8] = {0}; // the longest group: 5 bytes are 8 base32 digits
    const unsigned char *in = (const unsigned char *)bytes.ptr;
    for (size_t at = 0; at < bytes.len; at += group) {
        size_t count = bytes.len - at < group ? bytes.len - at : group;
        buf_append(out, text, encode_group(in + at, count, bits, digits, text));
    }
    OPENSSL_cleanse(text, sizeof(text));
}

void
base64_encode(struct str bytes, struct buf *out)
{
    encode(bytes, 3, 6, base64_digits, out);
    for (size_t rest = bytes.len % 3; rest > 0 && rest < 3; rest++) {
        buf_putc(out, '=');
    }
}

void
base64url_encode(struct str bytes, struct buf *out)
{
    encode(bytes, 3, 6, base64url_digits, out);
}

void
base32_encode_lower(struct str bytes, struct buf *out)
{
    encode(bytes, 5, 5, base32_digits, out);
}

static void
values_of(const char digits[65], unsigned char values[256])
{
    memset(values, NOT_A_DIGIT, 256);
    for (unsigned char i = 0; i < 64; i++) {
        values[(unsigned char)digits[i]] = i;
    }
}

// All of `text` are digits, and the bits that stand for no byte are zero.
static bool
digits_are_valid(struct str text, const unsigned char values[256])
{
    if (text.len % 4 == 1) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (values[(unsigned char)text.ptr[i]] == NOT_A_DIGIT) {
            return false;
        }
    }
    unsigned char last = text.len > 0 ? values[(unsigned char)text.ptr[text.len - 1]] : 0;
    unsigned spare = text.len % 4 == 2 ? 15 : text.len % 4 == 3 ? 3 : 0;
    return (last & spare) == 0;
}

// In blocks: what is decoded for each request of the service goes through here.
static void
decode_digits(struct str text, const unsigned char values[256], struct buf *out)
{
    char block[BLOCK_BYTES];
    unsigned value = 0, bits = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        value = (value << 6 | values[(unsigned char)text.ptr[i]]) & 0xFFFFU;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            block[len++] = (char)(unsigned char)(value >> bits & 0xFF);
        }
        if (len == sizeof(block)) {
            buf_append(out, block, len);
            len = 0;
        }
    }
    if (len > 0) {
        buf_append(out, block, len);
    }
    OPENSSL_cleanse(block, sizeof(block));
}

static struct error *
decode(struct str text, const char digits[65], const char *what, struct buf *out)
{
    unsigned char values[256];
    values_of(digits, values);
    if (!digits_are_valid(text, values)) {
        return error_new(ERROR_INPUT, "not valid %s", what);
    }
    if (out->failed || text.len / 4 * 3 + text.len % 4 * 3 / 4 > out->max - out->len) {
        return error_new(ERROR_INPUT, "%s text decodes to more than %zu bytes", what, out->max);
    }
    decode_digits(text, values, out);
    return NULL;
}

struct error *
base64_decode(struct str text, struct buf *out)
{
    if (text.len % 4 != 0) {
        return error_new(ERROR_INPUT, "not valid base64");
    }
    for (int padding = 0; padding < 2 && str_ends(text, STR("=")); padding++) {
        text.len--;
    }
    return decode(text, base64_digits, "base64", out);
}

struct error *
base64url_decode(struct str text, struct buf *out)
{
    return decode(text, base64url_digits, "base64url", out);
}
