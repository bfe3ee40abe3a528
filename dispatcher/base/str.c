// Borrowed text views: comparing, cutting, reading numbers. Knows no locale.
#include "dispatcher/str.h"

#include <string.h>

#include "dispatcher/memory.h"

struct str
str_of(const char *text)
{
    return (struct str){text, text != NULL ? strlen(text) : 0};
}

bool
str_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static char
lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

bool
str_equal_nocase(struct str a, struct str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

bool
str_starts(struct str text, struct str prefix)
{
    return text.len >= prefix.len && str_equal((struct str){text.ptr, prefix.len}, prefix);
}

bool
str_ends(struct str text, struct str suffix)
{
    return text.len >= suffix.len && str_equal(str_skip(text, text.len - suffix.len), suffix);
}

bool
str_contains(struct str text, struct str needle)
{
    for (size_t i = 0; i + needle.len <= text.len; i++) {
        if (str_starts(str_skip(text, i), needle)) {
            return true;
        }
    }
    return false;
}

static bool
is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

struct str
str_trim(struct str text)
{
    while (text.len > 0 && is_blank(text.ptr[0])) {
        text = str_skip(text, 1);
    }
    while (text.len > 0 && is_blank(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}

struct str
str_skip(struct str text, size_t count)
{
    if (count >= text.len) {
        return (struct str){text.ptr == NULL ? NULL : text.ptr + text.len, 0};
    }
    return (struct str){text.ptr + count, text.len - count};
}

bool
str_cut(struct str text, char separator, struct str *head, struct str *tail)
{
    if (text.len == 0) {
        return false;
    }
    const char *found = memchr(text.ptr, separator, text.len);
    size_t len = found != NULL ? (size_t)(found - text.ptr) : text.len;
    *head = (struct str){text.ptr, len};
    *tail = str_skip(text, found != NULL ? len + 1 : len);
    return true;
}

bool
str_to_int64(struct str text, int64_t *out)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    if (negative) {
        text = str_skip(text, 1);
    }
    if (text.len == 0) {
        return false;
    }
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        int digit = text.ptr[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) {
            return false;
        }
    }
    if (!negative && value == INT64_MIN) {
        return false;
    }
    *out = negative ? value : -value;
    return true;
}

// Length of the UTF-8 sequence at `bytes`, 0 when it is not one (RFC 3629 §4).
static size_t
utf8_sequence(const unsigned char *bytes, size_t len)
{
    unsigned char first = bytes[0];
    size_t need = first < 0x80                     ? 1
                  : first >= 0xc2 && first <= 0xdf ? 2
                  : (first & 0xf0) == 0xe0         ? 3
                  : first >= 0xf0 && first <= 0xf4 ? 4
                                                   : 0;
    if (need == 0 || need > len) {
        return 0;
    }
    for (size_t i = 1; i < need; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (first == 0xe0 && bytes[1] < 0xa0) || (first == 0xf0 && bytes[1] < 0x90);
    bool beyond = (first == 0xed && bytes[1] > 0x9f) || (first == 0xf4 && bytes[1] > 0x8f);
    return overlong || beyond ? 0 : need;
}

bool
str_is_utf8(struct str text)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    for (size_t i = 0; i < text.len;) {
        size_t step = utf8_sequence(bytes + i, text.len - i);
        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}

char *
str_dup(struct str text)
{
    return xstrndup(text.ptr, text.len);
}

bool
cstr_equal(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

enum { DISTANCE_MAX = 64 }; // names longer than this are never "meant"

static size_t
smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

// Optimal string alignment: Levenshtein with swaps of neighbours.
size_t
str_distance(struct str a, struct str b)
{
    if (a.len > DISTANCE_MAX || b.len > DISTANCE_MAX) {
        return a.len > b.len ? a.len : b.len;
    }
    size_t row[3][DISTANCE_MAX + 1];
    for (size_t j = 0; j <= b.len; j++) {
        row[0][j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t cost = lower(a.ptr[i - 1]) == lower(b.ptr[j - 1]) ? 0 : 1;
            now[j] = smallest(last[j] + 1, now[j - 1] + 1, last[j - 1] + cost);
            bool swapped = i > 1 && j > 1 && lower(a.ptr[i - 1]) == lower(b.ptr[j - 2]) &&
                           lower(a.ptr[i - 2]) == lower(b.ptr[j - 1]);
            if (swapped && before[j - 2] + 1 < now[j]) {
                now[j] = before[j - 2] + 1;
            }
        }
    }
    return row[a.len % 3][b.len];
}

const char *
str_closest(struct str text, const char *const *candidates)
{
    const char *best = NULL;
    size_t best_distance = text.len / 3 + 1;
    for (size_t i = 0; candidates != NULL && candidates[i] != NULL; i++) {
        size_t distance = str_distance(text, str_of(candidates[i]));
        if (distance <= best_distance && (best == NULL || distance < best_distance)) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}
