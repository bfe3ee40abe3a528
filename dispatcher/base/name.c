// The one place that says which names may become part of a path, URL or parameter.
#include "dispatcher/name.h"

static bool
is_lower_or_digit(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
}

static bool
is_alphanumeric(char byte)
{
    return is_lower_or_digit(byte) || (byte >= 'A' && byte <= 'Z');
}

bool
name_is_valid(struct str text)
{
    if (text.len == 0 || text.len > 63 || !is_lower_or_digit(text.ptr[0]) ||
        !is_lower_or_digit(text.ptr[text.len - 1])) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!is_lower_or_digit(text.ptr[i]) && text.ptr[i] != '-') {
            return false;
        }
    }
    return true;
}

struct error *
name_check(const char *what, const char *text)
{
    text = text != NULL ? text : "";
    if (name_is_valid(str_of(text))) {
        return NULL;
    }
    return error_hint(error_new(ERROR_USAGE, "%s '%.80s' is not a valid name", what, text),
        "Use lower-case letters, digits and '-', starting and ending with a letter or digit, "
        "63 at most.");
}

static bool
repository_part_is_valid(struct str part)
{
    if (part.len == 0 || part.len > 100 || str_equal(part, STR(".")) ||
        str_equal(part, STR(".."))) {
        return false;
    }
    for (size_t i = 0; i < part.len; i++) {
        char byte = part.ptr[i];
        if (!is_alphanumeric(byte) && byte != '_' && byte != '.' && byte != '-') {
            return false;
        }
    }
    return true;
}

bool
repository_name_is_valid(struct str text)
{
    struct str owner = {0}, rest = {0};
    return str_cut(text, '/', &owner, &rest) && repository_part_is_valid(owner) &&
           repository_part_is_valid(rest);
}

bool
tag_is_valid(struct str text)
{
    if (text.len == 0 || text.len > 128) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        bool inner = byte == '.' || byte == '-';
        if (!is_alphanumeric(byte) && byte != '_' && !(inner && i > 0)) {
            return false;
        }
    }
    return true;
}

bool
digest_is_valid(struct str text)
{
    if (text.len != 71 || !str_starts(text, STR("sha256:"))) {
        return false;
    }
    for (size_t i = 7; i < text.len; i++) {
        char byte = text.ptr[i];
        if (!(byte >= '0' && byte <= '9') && !(byte >= 'a' && byte <= 'f')) {
            return false;
        }
    }
    return true;
}
