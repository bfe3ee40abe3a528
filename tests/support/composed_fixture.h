// A Docker archive whose layers are plain tars, what a push makes of it, and the steps of a script
// in which it is pushed to team/app.
//
//     struct composed composed CLEANUP(composed_done);
//     composed_init(&composed, (const size_t[]){3 * 1024 * 1024}, 1);
//     const struct script_step steps[] = {composed_session(&composed, "1"), …};
//     registry_fixture_init(&fixture, steps, ARRAY_LENGTH(steps));
//     registry_fixture_open_source(&fixture, composed.source);
//
// Steps borrow from the composed image. Its configuration names linux/amd64 and, as images do, the
// diff_ids of its layers.
#pragma once

#include "registry_fixture.h"

enum { COMPOSED_LAYERS_MAX = 8 };

struct composed {
    char *dir;
    struct arena *arena;
    const char *path, *source; // of the archive: "docker-archive:<path>"
    size_t layer_count;
    struct str config_bytes;
    struct image_descriptor config;
    const char *diff_ids[COMPOSED_LAYERS_MAX];
    struct image_descriptor layers[COMPOSED_LAYERS_MAX]; // compressed, `fast`
    struct image_manifest manifest;
};

/// Layer i is a text of sizes[i] bytes.
void composed_init(struct composed *composed, const size_t *sizes, size_t count);
/// The same with layers that are gzip already.
void composed_init_gzip(struct composed *composed, const size_t *sizes, size_t count);
void composed_done(struct composed *composed);
/// Overwrites a byte of the (first) layer in the archive.
void composed_spoil(struct composed *composed);
/// Cuts the archive's file in the middle of its last layer.
void composed_cut(struct composed *composed);

/// "sha256:…" of bytes, from the arena.
const char *composed_digest(const struct composed *composed, struct str bytes);
/// A manifest of `media_type` with that configuration and those layers.
const char *composed_manifest(const struct composed *composed, const char *media_type,
    const struct image_descriptor *config, const struct image_descriptor *layers, size_t count);
/// A configuration that lists those diff_ids.
const char *composed_config(
    const struct composed *composed, const char *const *diff_ids, size_t count);

#define COMPOSED_TAGS_URL FIXTURE_BASE "/tags/list?n=500"

struct script_step composed_tags(int status, const char *reply);
/// GET manifests/<reference>; `media_type` NULL: 404.
struct script_step composed_get(const struct composed *composed, const char *reference,
    const char *media_type, const char *bytes);
struct script_step composed_get_blob(
    const struct composed *composed, const char *digest, const char *bytes);
struct script_step composed_head(const struct composed *composed, const char *digest, int status);
/// POST that opens .../blobs/uploads/<name>.
struct script_step composed_session(const struct composed *composed, const char *name);
/// PUT of a body to the session.
struct script_step composed_put(
    const struct composed *composed, const char *name, const char *digest, int status);
/// PATCH of the session; `next` NULL: no Location.
struct script_step composed_patch(
    const struct composed *composed, const char *name, int status, const char *next);
/// The PUT that ends a session whose body was sent: empty.
struct script_step composed_commit(
    const struct composed *composed, const char *name, const char *digest, int status);
/// PUT of a manifest under the tag, confirmed.
struct script_step composed_tag(const struct composed *composed, const char *bytes);
#define COMPOSED_CONFIG_SENT(composed)                                                             \
    composed_session(composed, "config"),                                                          \
        composed_put(composed, "config", (composed)->config.digest, 201)

/// Every body that a digest was given for has that digest, whether by PUT or by PATCH.
void composed_assert_bodies(const struct registry_fixture *fixture);
