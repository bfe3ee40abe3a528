// Semantic versions by semver.org 2.0.0: the grammar of §2, 9 and 10, the order of §11.
#include "dispatcher/semver.h"

#include <string.h>

#include "dispatcher/memory.h"

// The parts behind the 'v'; absent ones are empty.
struct version {
    struct str core, pre, build;
    bool has_pre, has_build;
};

static struct version
split(struct str text)
{
    struct version version = {0};
    if (str_starts(text, STR("v"))) {
        text = str_skip(text, 1);
    }
    const char *plus = text.len > 0 ? memchr(text.ptr, '+', text.len) : NULL;
    if (plus != NULL) {
        size_t at = (size_t)(plus - text.ptr);
        version.has_build = true;
        version.build = str_skip(text, at + 1);
        text.len = at;
    }
    const char *minus = text.len > 0 ? memchr(text.ptr, '-', text.len) : NULL;
    if (minus != NULL) {
        size_t at = (size_t)(minus - text.ptr);
        version.has_pre = true;
        version.pre = str_skip(text, at + 1);
        text.len = at;
    }
    version.core = text;
    return version;
}

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_number(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i])) {
            return false;
        }
    }
    return text.len > 0;
}

static bool
has_leading_zero(struct str number)
{
    return number.len > 1 && number.ptr[0] == '0';
}

static bool
is_identifier(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (!letter && !is_digit(byte) && byte != '-') {
            return false;
        }
    }
    return text.len > 0;
}

static size_t
count_dots(struct str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += text.ptr[i] == '.' ? 1 : 0;
    }
    return count;
}

// Dot-separated identifiers, none empty; `numbers_are_plain`: those of digits have no leading zero.
static bool
are_identifiers(struct str text, bool numbers_are_plain)
{
    struct str part = {0}, rest = text;
    size_t count = 0;
    while (str_cut(rest, '.', &part, &rest)) {
        count++;
        if (!is_identifier(part) ||
            (numbers_are_plain && is_number(part) && has_leading_zero(part))) {
            return false;
        }
    }
    return count == count_dots(text) + 1; // a trailing dot ends the cutting early
}

static bool
is_core(struct str text)
{
    struct str part = {0}, rest = text;
    size_t count = 0;
    while (str_cut(rest, '.', &part, &rest)) {
        count++;
        if (!is_number(part) || has_leading_zero(part)) {
            return false;
        }
    }
    return count == 3 && count_dots(text) == 2;
}

bool
semver_is_valid(struct str text)
{
    struct version version = split(text);
    return is_core(version.core) && (!version.has_pre || are_identifiers(version.pre, true)) &&
           (!version.has_build || are_identifiers(version.build, false));
}

static int
compare_bytes(struct str a, struct str b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared > 0 ? memcmp(a.ptr, b.ptr, shared) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

// Of any length: without leading zeros the longer one is the larger.
static int
compare_numbers(struct str a, struct str b)
{
    return a.len != b.len ? (a.len > b.len) - (a.len < b.len) : compare_bytes(a, b);
}

// §11.4.1 to 11.4.3
static int
compare_identifiers(struct str a, struct str b)
{
    bool a_is_number = is_number(a), b_is_number = is_number(b);
    if (a_is_number && b_is_number) {
        return compare_numbers(a, b);
    }
    return a_is_number != b_is_number ? (a_is_number ? -1 : 1) : compare_bytes(a, b);
}

// Field by field; of two that agree so far the one with more fields is the larger (§11.4.4).
static int
compare_fields(struct str a, struct str b)
{
    struct str left = {0}, right = {0};
    for (;;) {
        bool more_left = str_cut(a, '.', &left, &a), more_right = str_cut(b, '.', &right, &b);
        if (!more_left || !more_right) {
            return (int)more_left - (int)more_right;
        }
        int order = compare_identifiers(left, right);
        if (order != 0) {
            return order;
        }
    }
}

int
semver_compare(struct str a, struct str b)
{
    struct version left = split(a), right = split(b);
    int order = compare_fields(left.core, right.core);
    if (order != 0) {
        return order;
    }
    if (left.has_pre != right.has_pre) {
        return left.has_pre ? -1 : 1;
    }
    return compare_fields(left.pre, right.pre);
}
