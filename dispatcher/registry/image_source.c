// The text of an image source taken apart. Opens nothing and looks at no file.
#include <string.h>

#include "dispatcher/name.h"
#include "dispatcher/registry.h"
#include "image_internal.h"

#define FORMS                                                                                      \
    "Write oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF], "                     \
    "docker-daemon:NAME[:TAG] or docker://HOST/REPOSITORY[:TAG]."
#define HUB "docker.io/"

static const struct {
    struct str prefix;
    enum image_kind kind;
} kinds[] = {
    {{"oci:", 4}, IMAGE_OCI_LAYOUT},
    {{"oci-archive:", 12}, IMAGE_OCI_ARCHIVE},
    {{"docker-archive:", 15}, IMAGE_DOCKER_ARCHIVE},
    {{"docker-daemon:", 14}, IMAGE_DOCKER_DAEMON},
    {{"docker://", 9}, IMAGE_REGISTRY},
};

// Sources that other tools know and this one does not read, with the way round.
static const struct {
    struct str prefix;
    const char *hint;
} others[] = {
    {{"dir:", 4}, "Convert it first: skopeo copy --all dir:DIR oci:image, then use oci:image."},
    {{"containers-storage:", 19}, "Save it first: podman save -o image.tar NAME:TAG, then use "
                                  "docker-archive:image.tar."},
};

static struct error *
refuse(struct arena *arena, const char *text, const char *problem)
{
    return error_hint(
        error_new(ERROR_USAGE, "image source %s %s", image_quote(arena, text), problem), FORMS);
}

static struct error *
unknown_form(struct arena *arena, const char *text)
{
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        if (str_starts(str_of(text), others[i].prefix)) {
            return error_hint(error_new(ERROR_USAGE, "image source %s cannot be read directly",
                                  image_quote(arena, text)),
                "%s", others[i].hint);
        }
    }
    return refuse(arena, text, "has none of the known forms");
}

static bool
is_clean(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at < 0x20 || *at == 0x7f) {
            return false;
        }
    }
    return true;
}

// "[HOST[:PORT]/]PATH", of what may stand in a URL as it is.
static bool
is_daemon_name(struct str name)
{
    static const char marks[] = "._-:";
    struct str part = {0};
    if (name.len == 0 || name.ptr[name.len - 1] == '/') {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || strchr(marks, byte) != NULL;
        if (!plain && byte != '/') {
            return false;
        }
    }
    while (str_cut(name, '/', &part, &name)) {
        if (part.len == 0 || strchr(marks, part.ptr[0]) != NULL) {
            return false; // "..", among others
        }
    }
    return true;
}

// NAME, NAME:TAG, NAME@DIGEST or an id: the daemon knows which it is.
static struct error *
parse_daemon(const char *text, const char *name, struct arena *arena, struct image_source **out)
{
    enum { NAME_MAX_BYTES = 512 };
    struct str head = str_of(name), digest = {0}, tag = {0};
    bool fine = head.len <= NAME_MAX_BYTES;
    if (str_contains(head, STR("@"))) {
        (void)str_cut(head, '@', &head, &digest);
        fine = fine && digest_is_valid(digest);
    }
    const char *slash = strrchr(name, '/');
    const char *colon = strchr(slash != NULL ? slash : name, ':');
    if (colon != NULL && colon < name + head.len) {
        tag = str_skip(head, (size_t)(colon + 1 - name));
        head.len -= tag.len + 1;
        fine = fine && tag_is_valid(tag);
    }
    if (!fine || !is_daemon_name(head)) {
        return refuse(arena, text, "names no image of a daemon");
    }
    struct image_source *source = arena_alloc(arena, sizeof(*source));
    *source = (struct image_source){
        IMAGE_DOCKER_DAEMON, arena_dup(arena, text), arena_dup(arena, name), NULL};
    *out = source;
    return NULL;
}

// A name without a host means Docker Hub to Docker; here it has to be said.
static const char *
full_form(struct arena *arena, const char *name)
{
    struct registry_reference *reference = NULL;
    const char *library = strchr(name, '/') == NULL ? "library/" : "";
    const char *full = arena_printf(arena, HUB "%s%s", library, name);
    struct error *err = registry_reference_parse(full, arena, &reference);
    error_free(err);
    return err == NULL ? full : NULL;
}

static struct error *
parse_remote(const char *text, const char *name, struct arena *arena, struct image_source **out)
{
    struct registry_reference *reference = NULL;
    struct error *err = registry_reference_parse(name, arena, &reference);
    const char *full = err != NULL ? full_form(arena, name) : NULL;
    if (err != NULL && full != NULL) {
        error_free(err);
        return error_hint(
            error_new(ERROR_USAGE, "image source %s names no registry", image_quote(arena, text)),
            "There is no default one; Docker Hub's is docker://%s.", full);
    }
    if (err != NULL) {
        return error_hint(error_wrap(err, "image source %s", image_quote(arena, text)), FORMS);
    }
    struct image_source *source = arena_alloc(arena, sizeof(*source));
    *source =
        (struct image_source){IMAGE_REGISTRY, arena_dup(arena, text), arena_dup(arena, name), NULL};
    *out = source;
    return NULL;
}

struct error *
image_source_parse(const char *text, struct arena *arena, struct image_source **out)
{
    size_t at = 0;
    while (at < ARRAY_LENGTH(kinds) && !str_starts(str_of(text), kinds[at].prefix)) {
        at++;
    }
    if (at == ARRAY_LENGTH(kinds)) {
        return unknown_form(arena, text);
    }
    if (!is_clean(text)) {
        return refuse(arena, text, "holds a control character");
    }
    if (kinds[at].kind == IMAGE_DOCKER_DAEMON) {
        return parse_daemon(text, text + kinds[at].prefix.len, arena, out);
    }
    if (kinds[at].kind == IMAGE_REGISTRY) {
        return parse_remote(text, text + kinds[at].prefix.len, arena, out);
    }
    struct str path = {0}, reference = {0};
    struct str rest = str_skip(str_of(text), kinds[at].prefix.len);
    bool has_reference = str_contains(rest, STR(":"));
    (void)str_cut(rest, ':', &path, &reference);
    if (path.len == 0) {
        return refuse(arena, text, "names no path");
    }
    if (has_reference && reference.len == 0) {
        return refuse(arena, text, "ends in ':' without a reference");
    }
    struct image_source *source = arena_alloc(arena, sizeof(*source));
    source->kind = kinds[at].kind;
    source->text = arena_dup(arena, text);
    source->path = arena_str(arena, path);
    source->reference = has_reference ? arena_str(arena, reference) : NULL;
    *out = source;
    return NULL;
}
