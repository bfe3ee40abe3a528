// "{app}-{env}": finding and replacing placeholders (spec-format.md, head).
// Only "{" + lower-case word + "}" counts; other braces are plain text, as in "${HOME}".
#include "spec_internal.h"

#include <string.h>

enum { EXPANDED_MAX = 64 * 1024 };

const char *const placeholder_names[] = {"app", "name", "env", "service", "version", "digest",
    "sha", "tag", "prefix", "account", "region", "subdomain", "worker", "worker_file", NULL};

bool
placeholder_next(const char *text, size_t *at, struct str *word)
{
    for (const char *open = strchr(text + *at, '{'); open != NULL; open = strchr(open + 1, '{')) {
        size_t len = strspn(open + 1, "abcdefghijklmnopqrstuvwxyz_");
        if (len > 0 && open[1 + len] == '}') {
            *word = (struct str){open + 1, len};
            *at = (size_t)(open - text) + len + 2;
            return true;
        }
    }
    return false;
}

bool
text_has_placeholder(const char *text)
{
    size_t at = 0;
    struct str word = {0};
    return placeholder_next(text, &at, &word);
}

bool
placeholder_is_known(struct str word)
{
    for (size_t i = 0; placeholder_names[i] != NULL; i++) {
        if (str_equal(word, str_of(placeholder_names[i]))) {
            return true;
        }
    }
    return false;
}

char *
placeholder_expand(
    const char *text, struct arena *arena, placeholder_lookup lookup, const void *ctx)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(EXPANDED_MAX);
    size_t at = 0, done = 0;
    struct str word = {0};
    while (placeholder_next(text, &at, &word)) {
        const char *value = lookup(ctx, word);
        if (value == NULL) {
            continue;
        }
        size_t start = at - word.len - 2;
        buf_append(&out, text + done, start - done);
        buf_puts(&out, value);
        done = at;
    }
    buf_puts(&out, text + done);
    return out.failed ? NULL : arena_dup(arena, buf_cstr(&out));
}

const char *
spec_worker_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

const char *
spec_worker_name(const char *path, struct arena *arena)
{
    const char *file = spec_worker_file(path);
    size_t len = strcspn(file, ".");
    return len > 0 ? arena_str(arena, (struct str){file, len}) : NULL;
}
