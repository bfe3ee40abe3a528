// URLs: RFC 3986 as far as http and https need it. Knows nothing of other schemes, IDNA or
// defaults: what is not plainly an absolute http(s) URL is refused.
#include "dispatcher/url.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum { URL_MAX = 16 * 1024, QUOTED_MAX = 200, HOST_MAX = 253 };

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool
is_hex(char byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

static char
to_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

static char *
lower_dup(struct str text)
{
    char *copy = str_dup(text);
    for (char *at = copy; *at != '\0'; at++) {
        *at = to_lower(*at);
    }
    return copy;
}

// The URL as it may be shown: no user part, no query, cut.
static struct error *
refuse(const char *text, const char *reason)
{
    struct str shown = str_of(text);
    size_t end = strcspn(text, "?#");
    shown.len = end < QUOTED_MAX ? end : QUOTED_MAX;
    bool secretive = memchr(shown.ptr, '@', shown.len) != NULL;
    for (size_t i = 0; i < shown.len && !secretive; i++) {
        secretive = (unsigned char)shown.ptr[i] < 0x20 || (unsigned char)shown.ptr[i] >= 0x7f;
    }
    struct error *err =
        secretive ? error_new(ERROR_INPUT, "a URL is invalid: %s", reason)
                  : error_new(ERROR_INPUT, "URL '%.*s' is invalid: %s", STR_FMT(shown), reason);
    return error_hint(err, "Write it as https://host/path.");
}

// Bytes that no part of a URL may hold unencoded (RFC 3986 §2), controls and spaces among them.
static bool
is_url_text(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at <= 0x20 || *at >= 0x7f || strchr("\"<>\\^`{|}", *at) != NULL) {
            return false;
        }
    }
    return true;
}

static const char *
host_problem(struct str host, bool bracketed)
{
    if (host.len == 0) {
        return "it has no host";
    }
    if (host.len > HOST_MAX) {
        return "its host is too long";
    }
    if (bracketed && !str_contains(host, STR(":"))) {
        return "its host has brackets but is no IPv6 address";
    }
    for (size_t i = 0; i < host.len; i++) {
        char byte = host.ptr[i];
        bool fine = bracketed ? is_hex(byte) || byte == ':' || byte == '.'
                              : is_letter(byte) || is_digit(byte) || byte == '-' || byte == '.' ||
                                    byte == '_';
        if (!fine) {
            return "its host holds a character that is not allowed";
        }
    }
    return NULL;
}

static const char *
read_port(struct str text, unsigned *port)
{
    int64_t number = 0;
    if (text.len == 0) {
        return NULL; // "host:" means the scheme's port (RFC 3986 §3.2.3)
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i])) {
            return "its port is not a number";
        }
    }
    if (!str_to_int64(text, &number) || number < 1 || number > 65535) {
        return "its port is not between 1 and 65535";
    }
    *port = (unsigned)number;
    return NULL;
}

// authority = [ userinfo "@" ] host [ ":" port ] (RFC 3986 §3.2)
static const char *
read_authority(struct str authority, struct url *url)
{
    for (size_t i = authority.len; i > 0; i--) {
        if (authority.ptr[i - 1] == '@') {
            url->has_user = true;
            authority = str_skip(authority, i);
            break;
        }
    }
    struct str host = authority, port = {0};
    bool bracketed = authority.len > 0 && authority.ptr[0] == '[';
    if (bracketed) {
        struct str rest = {0};
        if (!str_contains(authority, STR("]"))) {
            return "its host has no closing bracket";
        }
        (void)str_cut(str_skip(authority, 1), ']', &host, &rest);
        if (rest.len > 0 && rest.ptr[0] != ':') {
            return "its host is followed by something that is no port";
        }
        port = rest.len > 0 ? str_skip(rest, 1) : rest;
    } else if (authority.len > 0) {
        (void)str_cut(authority, ':', &host, &port);
    }
    const char *problem = host_problem(host, bracketed);
    if (problem == NULL) {
        problem = read_port(port, &url->port);
    }
    if (problem == NULL) {
        url->host = lower_dup(host);
    }
    return problem;
}

static void
read_path(const char *text, struct url *url)
{
    size_t whole = strcspn(text, "#"); // a fragment is never sent (RFC 9110 §7.1)
    size_t path = strcspn(text, "?#");
    if (path == 0) {
        url->path = xstrdup("/");
    } else {
        url->path = xstrndup(text, path);
    }
    if (path < whole) {
        url->query = xstrndup(text + path + 1, whole - path - 1);
    }
}

struct error *
url_parse(const char *text, struct url *out)
{
    text = text != NULL ? text : "";
    struct url url CLEANUP(url_done) = {0};
    const char *colon = strstr(text, "://");
    if (strlen(text) > URL_MAX) {
        return refuse(text, "it is longer than 16 KiB");
    }
    if (!is_url_text(text)) {
        return refuse(text, "it holds a character that must be encoded");
    }
    if (colon == NULL) {
        return refuse(text, "it does not start with https://");
    }
    url.scheme = lower_dup((struct str){text, (size_t)(colon - text)});
    bool secure = strcmp(url.scheme, "https") == 0;
    if (!secure && strcmp(url.scheme, "http") != 0) {
        return refuse(text, "only http and https are supported");
    }
    url.port = secure ? 443 : 80;
    const char *start = colon + 3;
    size_t len = strcspn(start, "/?#");
    const char *problem = read_authority((struct str){start, len}, &url);
    if (problem != NULL) {
        return refuse(text, problem);
    }
    read_path(start + len, &url);
    url_done(out);
    *out = url;
    url = (struct url){0};
    return NULL;
}

void
url_done(struct url *url)
{
    free(url->scheme);
    free(url->host);
    free(url->path);
    free(url->query);
    *url = (struct url){0};
}

// Four decimal numbers below 256, without leading zeros or other spellings of inet_aton.
static bool
is_ipv4_loopback(const char *host)
{
    struct str rest = str_of(host), part = {0};
    int parts = 0;
    while (str_cut(rest, '.', &part, &rest)) {
        int64_t number = 0;
        bool plain = part.len >= 1 && part.len <= 3 && is_digit(part.ptr[0]) &&
                     (part.len == 1 || part.ptr[0] != '0');
        if (!plain || !str_to_int64(part, &number) || number < 0 || number > 255 ||
            (parts == 0 && number != 127)) {
            return false;
        }
        parts++;
    }
    return parts == 4 && host[strlen(host) - 1] != '.';
}

bool
url_host_is_loopback(const char *host)
{
    return host != NULL &&
           (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || is_ipv4_loopback(host));
}

bool
url_same_origin(const struct url *a, const struct url *b)
{
    return cstr_equal(a->scheme, b->scheme) && cstr_equal(a->host, b->host) && a->port == b->port;
}

void
url_encode(struct str text, const char *keep, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        bool unreserved = is_letter(byte) || is_digit(byte) || byte == '-' || byte == '.' ||
                          byte == '_' || byte == '~';
        if (unreserved || (byte != '\0' && keep != NULL && strchr(keep, byte) != NULL)) {
            buf_putc(out, byte);
        } else {
            buf_putc(out, '%');
            buf_putc(out, digits[(unsigned char)byte >> 4]);
            buf_putc(out, digits[(unsigned char)byte & 15]);
        }
    }
}

void
url_add_query(struct buf *url, const char *key, const char *value)
{
    buf_putc(url, str_contains(buf_str(url), STR("?")) ? '&' : '?');
    url_encode(str_of(key), NULL, url);
    buf_putc(url, '=');
    url_encode(str_of(value), NULL, url);
}

// Drops the last segment of what was written: "/a/b" becomes "/a".
static void
pop_segment(struct buf *out, size_t start)
{
    while (out->len > start && out->ptr[out->len - 1] != '/') {
        out->len--;
    }
    if (out->len > start) {
        out->len--;
    }
    out->ptr[out->len] = '\0';
}

// Remove dot segments (RFC 3986 §5.2.4) of an absolute path; appends the result.
static void
add_path(struct buf *out, struct str path)
{
    size_t start = out->len;
    struct str rest = str_skip(path, 1), segment = {0};
    bool open = true; // the path ends in "/", "/." or "/.."
    while (str_cut(rest, '/', &segment, &rest)) {
        bool dot = str_equal(segment, STR(".")), up = str_equal(segment, STR(".."));
        bool last = segment.ptr + segment.len == path.ptr + path.len;
        open = !last || dot || up;
        if (up) {
            pop_segment(out, start);
        } else if (!dot) {
            buf_putc(out, '/');
            buf_add(out, segment);
        }
    }
    if (open) {
        buf_putc(out, '/');
    }
}

static void
add_origin(struct buf *out, const struct url *base)
{
    bool bracketed = strchr(base->host, ':') != NULL;
    buf_printf(
        out, "%s://%s%s%s", base->scheme, bracketed ? "[" : "", base->host, bracketed ? "]" : "");
    if (base->port != (strcmp(base->scheme, "https") == 0 ? 443U : 80U)) {
        buf_printf(out, ":%u", base->port);
    }
}

static bool
has_scheme(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return is_letter(text[0]) && text[len] == ':';
}

// Transform references (RFC 3986 §5.2.2) for a reference without scheme and authority.
static void
add_reference(struct buf *out, const struct url *base, const char *location)
{
    size_t path = strcspn(location, "?#");
    struct buf merged CLEANUP(buf_done) = BUF_INIT(2 * URL_MAX);
    if (path == 0) {
        buf_puts(out, base->path);
    } else if (location[0] == '/') {
        add_path(out, (struct str){location, path});
    } else {
        const char *slash = strrchr(base->path, '/');
        buf_append(&merged, base->path, (size_t)(slash - base->path) + 1);
        buf_append(&merged, location, path);
        add_path(out, buf_str(&merged));
    }
    size_t whole = strcspn(location, "#");
    if (path < whole) {
        buf_append(out, location + path, whole - path);
    } else if (path == 0 && base->query != NULL) {
        buf_printf(out, "?%s", base->query);
    }
}

struct error *
url_resolve(const char *base, const char *location, char **out)
{
    struct url from CLEANUP(url_done) = {0}, target CLEANUP(url_done) = {0};
    struct buf text CLEANUP(buf_done) = BUF_INIT(2 * URL_MAX);
    TRY(url_parse(base, &from));
    if (location == NULL || !is_url_text(location) || strlen(location) > URL_MAX) {
        return refuse(location != NULL ? location : "", "it cannot be followed");
    }
    if (has_scheme(location)) {
        buf_append(&text, location, strcspn(location, "#"));
    } else if (strncmp(location, "//", 2) == 0) {
        buf_printf(&text, "%s:", from.scheme);
        buf_append(&text, location, strcspn(location, "#"));
    } else {
        add_origin(&text, &from);
        add_reference(&text, &from, location);
    }
    TRY(buf_finish(&text, "redirect target"));
    TRY(url_parse(buf_cstr(&text), &target));
    *out = buf_take(&text);
    return NULL;
}
