// The Docker Engine API as far as an image needs it: what is it made of, and its archive. Docker's
// daemon and podman's service speak it on a unix socket.
//
//     struct docker_engine engine;
//     TRY(docker_engine_find(access, arena, &engine));
//     TRY(docker_engine_inspect(&engine, "app:1", arena, &seen));
//     TRY(docker_engine_export(&engine, seen.id, &writer));
//
// The socket is DOCKER_HOST's, else Docker's own, else podman's. Paths have no version in front:
// every daemon answers those with what it knows, while old versions are refused by new daemons.
#pragma once

#include "image_internal.h"

struct docker_engine {
    const struct image_access *access;
    const char *socket; // path
};

struct docker_inspect {
    const char *id; // digest: the configuration's, or that of a manifest or index which is kept
    bool id_is_manifest;
    const char *manifest_type; // media type of what is kept, or NULL
    const char *platform;      // NULL when it does not say
    struct str_list diff_ids;
};

/// ERROR_INPUT for a DOCKER_HOST that is no unix socket. Asks nobody yet.
NODISCARD struct error *docker_engine_find(
    const struct image_access *access, struct arena *arena, struct docker_engine *out);
/// `name` as image_source_parse lets it pass. ERROR_INPUT when there is no such image.
NODISCARD struct error *docker_engine_inspect(const struct docker_engine *engine, const char *name,
    struct arena *arena, struct docker_inspect *out);
/// The image as `docker save` writes it; may take minutes before the first byte.
NODISCARD struct error *docker_engine_export(
    const struct docker_engine *engine, const char *id, const struct http_writer *writer);
