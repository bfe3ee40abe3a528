// The text of image sources: the forms, and what is said about others.
#include "dispatcher/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

#define ID "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define NO_DAEMON(name)                                                                            \
    {                                                                                              \
        "docker-daemon:" name, "image source 'docker-daemon:" name "' names no image of a daemon", \
            FORMS                                                                                  \
    }

static const struct {
    const char *text;
    enum image_kind kind;
    const char *path, *reference;
} good[] = {
    {"oci:dir", IMAGE_OCI_LAYOUT, "dir", NULL},
    {"oci:/a/b c:1.0", IMAGE_OCI_LAYOUT, "/a/b c", "1.0"},
    {"oci:dir:host/app:1.0", IMAGE_OCI_LAYOUT, "dir", "host/app:1.0"},
    {"oci-archive:file.tar", IMAGE_OCI_ARCHIVE, "file.tar", NULL},
    {"oci-archive:file.tar:sha256:ab", IMAGE_OCI_ARCHIVE, "file.tar", "sha256:ab"},
    {"docker-archive:f", IMAGE_DOCKER_ARCHIVE, "f", NULL},
    {"docker-archive:f:app:1", IMAGE_DOCKER_ARCHIVE, "f", "app:1"},
    {"docker-archive:f:@1", IMAGE_DOCKER_ARCHIVE, "f", "@1"},
    {"docker-daemon:app", IMAGE_DOCKER_DAEMON, "app", NULL},
    {"docker-daemon:app:1.0", IMAGE_DOCKER_DAEMON, "app:1.0", NULL},
    {"docker-daemon:localhost:5000/team/app:1", IMAGE_DOCKER_DAEMON, "localhost:5000/team/app:1",
        NULL},
    {"docker-daemon:localhost:5000/app", IMAGE_DOCKER_DAEMON, "localhost:5000/app", NULL},
    {"docker-daemon:app@" ID, IMAGE_DOCKER_DAEMON, "app@" ID, NULL},
    {"docker-daemon:h.io/app:1@" ID, IMAGE_DOCKER_DAEMON, "h.io/app:1@" ID, NULL},
    {"docker-daemon:" ID, IMAGE_DOCKER_DAEMON, ID, NULL},
    {"docker-daemon:2cf24dba5fb0", IMAGE_DOCKER_DAEMON, "2cf24dba5fb0", NULL},
    {"docker://host.org/app", IMAGE_REGISTRY, "host.org/app", NULL},
    {"docker://localhost:5000/team/app:1", IMAGE_REGISTRY, "localhost:5000/team/app:1", NULL},
};

#define FORMS                                                                                      \
    "Write oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF], "                     \
    "docker-daemon:NAME[:TAG] or docker://HOST/REPOSITORY[:TAG]."
#define HUB(name) "There is no default one; Docker Hub's is docker://docker.io/" name "."

static const struct {
    const char *text, *message, *hint;
} bad[] = {
    {"", "image source '' has none of the known forms", FORMS},
    {"image.tar", "image source 'image.tar' has none of the known forms", FORMS},
    {"oci", "image source 'oci' has none of the known forms", FORMS},
    {"OCI:dir", "image source 'OCI:dir' has none of the known forms", FORMS},
    {"ocidir:x", "image source 'ocidir:x' has none of the known forms", FORMS},
    {"oci:", "image source 'oci:' names no path", FORMS},
    {"oci::1.0", "image source 'oci::1.0' names no path", FORMS},
    {"oci:dir:", "image source 'oci:dir:' ends in ':' without a reference", FORMS},
    {"oci:dir\n::error::x", "image source 'oci:dir ::error::x' holds a control character", FORMS},
    {"docker-daemon:", "image source 'docker-daemon:' names no image of a daemon", FORMS},
    NO_DAEMON(":1"),
    NO_DAEMON("app:"),
    NO_DAEMON("app:1:2"),
    NO_DAEMON("/app"),
    NO_DAEMON("app/"),
    NO_DAEMON("a//b"),
    NO_DAEMON("a/../b"),
    NO_DAEMON("../app"),
    NO_DAEMON("app?x=1"),
    NO_DAEMON("app#1"),
    NO_DAEMON("app%2f"),
    NO_DAEMON("my app"),
    NO_DAEMON("app@"),
    NO_DAEMON("app@sha256:12"),
    NO_DAEMON("app@x@" ID),
    {"docker://alpine", "image source 'docker://alpine' names no registry", HUB("library/alpine")},
    {"docker://alpine:3", "image source 'docker://alpine:3' names no registry",
        HUB("library/alpine:3")},
    {"docker://team/app:1", "image source 'docker://team/app:1' names no registry",
        HUB("team/app:1")},
    {"docker://", "image source 'docker://'", FORMS},
    {"docker://host.org/App", "image source 'docker://host.org/App'", FORMS},
    {"docker://host.org/app:", "image source 'docker://host.org/app:'", FORMS},
    {"docker://https://host.org/app", "image source 'docker://https://host.org/app'", FORMS},
    {"docker://host.org/app\n", "image source 'docker://host.org/app ' holds a control character",
        FORMS},
    {"dir:x", "image source 'dir:x' cannot be read directly",
        "Convert it first: skopeo copy --all dir:DIR oci:image, then use oci:image."},
    {"containers-storage:x", "image source 'containers-storage:x' cannot be read directly",
        "Save it first: podman save -o image.tar NAME:TAG, then use docker-archive:image.tar."},
};

static void
the_forms_are_taken_apart(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        struct image_source *source = NULL;
        assert_null(image_source_parse(good[i].text, arena, &source));
        assert_int_equal(source->kind, good[i].kind);
        assert_string_equal(source->text, good[i].text);
        assert_string_equal(source->path, good[i].path);
        assert_true(cstr_equal(source->reference, good[i].reference));
    }
}

static void
other_texts_are_refused(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct image_source *source = NULL;
        struct error *err = image_source_parse(bad[i].text, arena, &source);
        assert_non_null(err);
        assert_null(source);
        assert_int_equal(error_kind(err), ERROR_USAGE);
        assert_string_equal(error_message(err), bad[i].message);
        assert_string_equal(error_hint_of(err), bad[i].hint);
        error_free(err);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_forms_are_taken_apart),
        cmocka_unit_test(other_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
