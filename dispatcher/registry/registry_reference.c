// "host/repository[:tag][@digest]" taken apart, by the grammar of OCI distribution 1.1. Knows no
// default host and no short names.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/url.h"
#include "image_internal.h"
#include "registry_internal.h"

enum { REPOSITORY_MAX = 255 };

static bool
is_lower_or_digit(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
}

// [a-z0-9]+ ( ( "." | "_" | "__" | "-"+ ) [a-z0-9]+ )*
static bool
component_is_valid(struct str part)
{
    size_t i = 0;
    while (i < part.len) {
        size_t start = i;
        while (i < part.len && is_lower_or_digit(part.ptr[i])) {
            i++;
        }
        if (i == start) {
            return false;
        }
        if (i == part.len) {
            return true;
        }
        char separator = part.ptr[i];
        size_t run = 0;
        while (i < part.len && part.ptr[i] == separator) {
            run++;
            i++;
        }
        bool fine =
            (separator == '.' && run == 1) || (separator == '_' && run <= 2) || separator == '-';
        if (!fine) {
            return false;
        }
    }
    return false; // empty, or it ends in a separator
}

struct error *
registry_check_repository(const char *repository)
{
    struct str rest = str_of(repository), part = {0};
    bool valid = rest.len > 0 && rest.len <= REPOSITORY_MAX && rest.ptr[rest.len - 1] != '/';
    while (valid && str_cut(rest, '/', &part, &rest)) {
        valid = component_is_valid(part);
    }
    if (valid) {
        return NULL;
    }
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    return error_hint(error_new(ERROR_INPUT, "repository %s is not a valid name",
                          image_quote(arena, repository != NULL ? repository : "")),
        "Use lower-case letters and digits, with '.', '_', '-' or '/' between them.");
}

static struct error *
refuse(struct arena *arena, const char *text, const char *problem)
{
    return error_hint(
        error_new(ERROR_USAGE, "image reference %s %s", image_quote(arena, text), problem),
        "Write it as HOST/REPOSITORY:TAG, for example registry.example.org/team/app:1.0.");
}

bool
registry_host_is_valid(struct str host)
{
    static const char marks[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ.:-_[]";
    for (size_t i = 0; i < host.len; i++) {
        char byte = host.ptr[i];
        if (!is_lower_or_digit(byte) && (byte == '\0' || strchr(marks, byte) == NULL)) {
            return false; // '#', '?' or '@' would make another URL of what follows
        }
    }
    char *text CLEANUP(xfreep) = xasprintf("https://%.*s/", STR_FMT(host));
    struct url url CLEANUP(url_done) = {0};
    struct error *err CLEANUP(error_freep) = url_parse(text, &url);
    return err == NULL;
}

// A host has a dot or a port, or is localhost: otherwise it is the first part of a repository.
static bool
is_host(struct str text)
{
    bool marked = str_contains(text, STR(".")) || str_contains(text, STR(":")) ||
                  str_equal(text, STR("localhost"));
    return marked && registry_host_is_valid(text);
}

// Cuts "@digest" and ":tag" off the end of `rest`.
static const char *
cut_tail(struct str *rest, struct arena *arena, struct registry_reference *out)
{
    struct str head = {0}, tail = {0};
    if (str_contains(*rest, STR("@"))) {
        (void)str_cut(*rest, '@', &head, &tail);
        if (!digest_is_valid(tail)) {
            return "has an invalid digest after '@'";
        }
        out->digest = arena_str(arena, tail);
        *rest = head;
    }
    if (str_contains(*rest, STR(":"))) {
        (void)str_cut(*rest, ':', &head, &tail);
        if (!tag_is_valid(tail)) {
            return "has an invalid tag after ':'";
        }
        out->tag = arena_str(arena, tail);
        *rest = head;
    }
    return NULL;
}

struct error *
registry_reference_parse(const char *text, struct arena *arena, struct registry_reference **out)
{
    struct registry_reference reference = {0};
    struct str host = {0}, rest = {0};
    if (strstr(text, "://") != NULL) {
        return refuse(arena, text, "has a scheme, which does not belong there");
    }
    bool whole = str_contains(str_of(text), STR("/"));
    if (!whole || !str_cut(str_of(text), '/', &host, &rest) || !is_host(host)) {
        return refuse(arena, text, "does not start with a registry's host");
    }
    const char *problem = cut_tail(&rest, arena, &reference);
    if (problem != NULL) {
        return refuse(arena, text, problem);
    }
    reference.host = arena_str(arena, host);
    reference.repository = arena_str(arena, rest);
    struct error *err = registry_check_repository(reference.repository);
    if (err != NULL) {
        error_free(err);
        return refuse(arena, text, "has no valid repository after the host");
    }
    struct registry_reference *made = arena_alloc(arena, sizeof(*made));
    *made = reference;
    *out = made;
    return NULL;
}
