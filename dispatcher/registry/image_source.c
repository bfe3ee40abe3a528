// The text of an image source taken apart. Opens nothing and looks at no file.
#include <string.h>

#include "image_internal.h"

#define FORMS "Write oci:DIR[:REF], oci-archive:FILE[:REF] or docker-archive:FILE[:REF]."

static const struct {
    struct str prefix;
    enum image_kind kind;
} kinds[] = {
    {{"oci:", 4}, IMAGE_OCI_LAYOUT},
    {{"oci-archive:", 12}, IMAGE_OCI_ARCHIVE},
    {{"docker-archive:", 15}, IMAGE_DOCKER_ARCHIVE},
};

// Sources that other tools know and this one does not read, with the way round.
static const struct {
    struct str prefix;
    const char *hint;
} others[] = {
    {{"docker-daemon:", 14}, "Save it first: docker save -o image.tar NAME:TAG, then use "
                             "docker-archive:image.tar."},
    {{"docker://", 9}, "Copy it first: skopeo copy --all docker://NAME:TAG oci:image, then use "
                       "oci:image."},
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
