// Remote URLs: which owner and repository they name, with user info taken out before anybody sees
// them. Pure text; nothing is resolved or contacted.
#include <string.h>

#include "dispatcher/git.h"
#include "dispatcher/text.h"

enum { URL_MAX = 2048 };

struct remote {
    struct str scheme; // "https://", or empty for host:path
    struct str host;
    struct str path; // without a slash in front
};

// User info ends at the last '@': names on a forge have none, and a password that was pasted in
// without encoding may hold '/' and '@'. Queries and fragments can carry tokens as well.
static struct str
without_secrets(struct str text)
{
    for (size_t i = text.len; i > 0; i--) {
        char byte = text.ptr[i - 1];
        if (byte == '@') {
            return str_skip(text, i);
        }
        if (byte == '?' || byte == '#') {
            text.len = i - 1;
        }
    }
    return text;
}

// "scheme://[user@]host[:port]/path"
static bool
split_url(struct str text, struct remote *out)
{
    static const char *const schemes[] = {"https://", "http://", "ssh://", "git://", "git+ssh://"};
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        struct str scheme = str_of(schemes[i]);
        if (str_starts(text, scheme)) {
            out->scheme = scheme;
            text = without_secrets(str_skip(text, scheme.len));
            return str_cut(text, '/', &out->host, &out->path);
        }
    }
    return false;
}

// "[user@]host:path" (git-clone(1): only when no slash comes before the colon)
static bool
split_scp(struct str text, struct remote *out)
{
    text = without_secrets(text);
    return !str_contains(text, STR("://")) && str_cut(text, ':', &out->host, &out->path) &&
           out->host.len > 0 && out->path.len > 0 && !str_contains(out->host, STR("/"));
}

static bool
is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        bool fine = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                    (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.';
        if (!fine) {
            return false;
        }
    }
    return name.len > 0 && name.len <= 100 && !str_equal(name, STR(".")) &&
           !str_equal(name, STR(".."));
}

// Exactly two names; one slash before them (ssh's absolute form) and after them is forgiven.
static const char *
repository_of(struct str path, struct arena *arena)
{
    struct str owner = {0}, name = {0};
    path = str_starts(path, STR("/")) ? str_skip(path, 1) : path;
    path.len -= str_ends(path, STR("/"));
    if (str_ends(path, STR(".git"))) {
        path.len -= strlen(".git");
    }
    if (!str_cut(path, '/', &owner, &name) || !is_name(owner) || !is_name(name)) {
        return NULL;
    }
    return arena_printf(arena, "%.*s/%.*s", STR_FMT(owner), STR_FMT(name));
}

void
git_remote_describe(
    const char *remote, struct arena *arena, const char **url, const char **repository)
{
    struct str text = str_of(remote);
    struct remote parts = {0};
    struct buf shown CLEANUP(buf_done) = BUF_INIT(URL_MAX + 8);
    struct buf whole CLEANUP(buf_done) = BUF_INIT(URL_MAX);
    bool is_url = split_url(text, &parts), is_scp = !is_url && split_scp(text, &parts);
    *repository = is_url || is_scp ? repository_of(parts.path, arena) : NULL;
    if (is_url || is_scp) {
        buf_add(&whole, parts.scheme);
        buf_add(&whole, parts.host);
        buf_putc(&whole, is_url ? '/' : ':');
        buf_add(&whole, parts.path);
    } else {
        bool is_path = str_starts(text, STR("/")) || str_starts(text, STR("."));
        buf_add(&whole, is_path ? text : without_secrets(text));
    }
    text_clean(buf_str(&whole), URL_MAX, &shown);
    *url = arena_str(arena, buf_str(&shown));
}
