// WWW-Authenticate fields (RFC 9110 §11.6.1): several challenges a field, several fields an answer.
// Decides nothing but which one we can answer.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "registry_internal.h"

enum { PARAMETERS_MAX = 32 };

void
challenge_done(struct challenge *challenge)
{
    free(challenge->scheme);
    free(challenge->realm);
    free(challenge->service);
    free(challenge->scope);
    free(challenge->error);
    *challenge = (struct challenge){0};
}

static bool
is_token_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static void
skip_blanks(struct str *text)
{
    while (text->len > 0 && (text->ptr[0] == ' ' || text->ptr[0] == '\t')) {
        *text = str_skip(*text, 1);
    }
}

static struct str
take_token(struct str *text)
{
    size_t len = 0;
    while (len < text->len && is_token_byte(text->ptr[len])) {
        len++;
    }
    struct str token = {text->ptr, len};
    *text = str_skip(*text, len);
    return token;
}

// A quoted string or a token; false when a quote is not closed.
static bool
take_value(struct str *text, struct buf *out)
{
    if (text->len == 0 || text->ptr[0] != '"') {
        buf_add(out, take_token(text));
        return true;
    }
    for (size_t i = 1; i < text->len; i++) {
        if (text->ptr[i] == '"') {
            *text = str_skip(*text, i + 1);
            return true;
        }
        if (text->ptr[i] == '\\' && i + 1 < text->len) {
            i++;
        }
        buf_putc(out, text->ptr[i]);
    }
    return false;
}

static void
set_parameter(struct challenge *challenge, struct str name, const struct buf *value)
{
    const struct {
        const char *name;
        char **slot;
    } known[] = {
        {"realm", &challenge->realm},
        {"service", &challenge->service},
        {"scope", &challenge->scope},
        {"error", &challenge->error},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (str_equal_nocase(name, str_of(known[i].name)) && *known[i].slot == NULL) {
            *known[i].slot = xstrdup(buf_cstr(value));
        }
    }
}

// One "name=value" (blanks around "=" are allowed). False, with `text` unmoved, when what follows
// is something else: the next challenge or a token68.
static bool
take_parameter(struct str *text, struct challenge *challenge)
{
    struct str rest = *text;
    struct str name = take_token(&rest);
    skip_blanks(&rest);
    if (name.len == 0 || rest.len == 0 || rest.ptr[0] != '=') {
        return false;
    }
    rest = str_skip(rest, 1);
    skip_blanks(&rest);
    struct buf value CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    if (!take_value(&rest, &value)) {
        return false;
    }
    set_parameter(challenge, name, &value);
    *text = rest;
    return true;
}

// The next challenge of the field; false at its end or where it stops making sense.
static bool
take_challenge(struct str *text, struct challenge *out)
{
    while (text->len > 0 && (text->ptr[0] == ',' || text->ptr[0] == ' ' || text->ptr[0] == '\t')) {
        *text = str_skip(*text, 1);
    }
    struct str scheme = take_token(text);
    if (scheme.len == 0) {
        return false;
    }
    out->scheme = str_dup(scheme);
    for (int count = 0; count < PARAMETERS_MAX; count++) {
        struct str before = *text;
        while (
            text->len > 0 && (text->ptr[0] == ',' || text->ptr[0] == ' ' || text->ptr[0] == '\t')) {
            *text = str_skip(*text, 1);
        }
        if (!take_parameter(text, out)) {
            *text = before;
            break;
        }
    }
    return true;
}

static int
rank(const struct challenge *challenge)
{
    struct str scheme = str_of(challenge->scheme);
    if (str_equal_nocase(scheme, STR("Bearer")) && challenge->realm != NULL) {
        return 2;
    }
    return str_equal_nocase(scheme, STR("Basic")) ? 1 : 0;
}

static void
keep_better(struct challenge *best, struct challenge *candidate)
{
    if (rank(candidate) > (best->scheme != NULL ? rank(best) : 0)) {
        challenge_done(best);
        *best = *candidate;
        *candidate = (struct challenge){0};
    }
}

bool
challenge_find(const struct http_headers *headers, struct challenge *out)
{
    struct challenge best = {0};
    for (size_t i = 0; i < headers->count; i++) {
        if (!str_equal_nocase(str_of(headers->list[i].name), STR("WWW-Authenticate"))) {
            continue;
        }
        struct str rest = str_of(headers->list[i].value);
        for (;;) {
            struct challenge candidate CLEANUP(challenge_done) = {0};
            if (!take_challenge(&rest, &candidate)) {
                break;
            }
            keep_better(&best, &candidate);
        }
    }
    *out = best;
    return best.scheme != NULL;
}
