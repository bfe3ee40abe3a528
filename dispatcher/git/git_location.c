// Git URLs as the command line takes them: HTTPS, file:// or a local repository, with a path inside
// and a ref. Pure text; no message repeats a URL that holds user info.
#include "git_internal.h"

#include <string.h>

#include "dispatcher/text.h"
#include "dispatcher/url.h"

enum { LOCATION_MAX = 4096 };

static const char hint[] =
    "Write it as https://github.com/OWNER/INFRA.git, optionally with //PATH and ?ref=BRANCH.";

static struct str
before_query(struct str text)
{
    struct str head = {0}, rest = {0};
    return str_cut(text, '?', &head, &rest) ? head : text;
}

// "/srv/infra.git", with or without "//path".
static bool
is_local(struct str text)
{
    text = before_query(text);
    text.len -= text.len > 1 && str_ends(text, STR("/"));
    return str_starts(text, STR("/")) &&
           (str_ends(text, STR(".git")) || str_contains(text, STR(".git//")));
}

// "git@host:owner/repo"
static bool
is_scp(struct str text)
{
    struct str host = {0}, path = {0};
    return str_cut(text, ':', &host, &path) && path.len > 0 && str_contains(host, STR("@")) &&
           !str_contains(host, STR("/"));
}

bool
git_location_is(const char *text)
{
    static const char *const schemes[] = {"https://", "http://", "file://", "ssh://", "git://"};
    struct str view = str_of(text);
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        if (str_starts(view, str_of(schemes[i]))) {
            return true;
        }
    }
    return is_local(view) || is_scp(view);
}

static struct error *
refuse(const char *text, const char *reason)
{
    struct buf shown CLEANUP(buf_done) = BUF_INIT(1024);
    text_clean(str_of(text), 200, &shown);
    bool may_hold_secret = strchr(text, '@') != NULL;
    return error_hint(error_new(ERROR_USAGE, "git URL '%s' cannot be used: %s",
                          may_hold_secret ? "…" : buf_cstr(&shown), reason),
        "%s", hint);
}

static bool
has_controls(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte < 0x20 || byte == 0x7f) {
            return true;
        }
    }
    return false;
}

// Names and single slashes, nothing that leaves the repository.
static bool
path_is_plain(struct str path)
{
    struct str name = {0};
    while (str_cut(path, '/', &name, &path)) {
        if (name.len == 0 || str_equal(name, STR(".")) || str_equal(name, STR(".."))) {
            return false;
        }
    }
    return true;
}

static struct error *
check_ref(const char *text, const char *ref, struct arena *arena)
{
    int valid = 0;
    const char *full =
        strncmp(ref, "refs/", 5) == 0 ? ref : arena_printf(arena, "refs/heads/%s", ref);
    TRY(git_start());
    bool good = git_reference_name_is_valid(&valid, full) == 0 && valid == 1;
    return good ? NULL : refuse(text, "its ref is not a valid name");
}

static struct error *
parse_query(const char *text, struct str query, struct arena *arena, struct git_location *out)
{
    struct str key = {0}, value = {0};
    if (query.len == 0) {
        return NULL;
    }
    if (!str_cut(query, '=', &key, &value) || !str_equal(key, STR("ref")) || value.len == 0 ||
        str_contains(value, STR("&"))) {
        return refuse(text, "only '?ref=' may follow it");
    }
    out->ref = arena_str(arena, value);
    return check_ref(text, out->ref, arena);
}

// Cuts "//path" off; `skip` bytes of scheme may hold slashes of their own.
static struct error *
parse_path(
    const char *text, struct str *url, size_t skip, struct arena *arena, struct git_location *out)
{
    out->path = "";
    for (size_t i = skip; i + 1 < url->len; i++) {
        if (url->ptr[i] == '/' && url->ptr[i + 1] == '/') {
            struct str path = str_skip(*url, i + 2);
            path.len -= str_ends(path, STR("/"));
            url->len = i;
            out->path = arena_str(arena, path);
            return path_is_plain(path) ? NULL : refuse(text, "the path in it is not plain");
        }
    }
    return NULL;
}

static struct error *
check_web(const char *text, const char *url)
{
    struct url parsed CLEANUP(url_done) = {0};
    struct error *err = url_parse(url, &parsed);
    if (err != NULL) {
        error_free(err); // it may quote user info
        return refuse(text, "it is not a well-formed URL");
    }
    if (parsed.has_user) {
        return error_hint(error_new(ERROR_USAGE, "git URL with user info cannot be used"),
            "Leave the user and password out; the token comes from the environment.");
    }
    if (strcmp(parsed.scheme, "https") != 0 && !url_host_is_loopback(parsed.host)) {
        return refuse(text, "only https is safe to another host");
    }
    return strcmp(parsed.path, "/") == 0 ? refuse(text, "it names no repository") : NULL;
}

struct error *
git_location_parse(const char *text, struct arena *arena, struct git_location **out)
{
    struct git_location *location = arena_alloc(arena, sizeof(*location));
    struct str view = str_of(text), url = before_query(view);
    bool web = str_starts(view, STR("https://")) || str_starts(view, STR("http://"));
    bool file = str_starts(view, STR("file:///"));
    if (view.len > LOCATION_MAX || has_controls(view)) {
        return refuse(text, view.len > LOCATION_MAX ? "it is too long" : "it holds control bytes");
    }
    if (!web && !file && !is_local(view)) {
        return refuse(text, is_scp(view) || str_starts(view, STR("ssh://"))
                                ? "ssh is not supported"
                                : "its form is not known");
    }
    size_t skip = web ? strlen("https://") : file ? strlen("file:///") : 1;
    struct str query = str_skip(view, url.len < view.len ? url.len + 1 : url.len);
    TRY(parse_query(text, query, arena, location));
    TRY(parse_path(text, &url, skip, arena, location));
    url.len -= url.len > 1 && str_ends(url, STR("/"));
    location->url = arena_str(arena, url);
    if (web) {
        TRY(check_web(text, location->url));
    }
    *out = location;
    return NULL;
}
