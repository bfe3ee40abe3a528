// Image sources: what `--image` names, opened for reading (OCI image spec 1.1; docker archive).
//
//     oci:DIR[:REF]   oci-archive:FILE[:REF]   docker-archive:FILE[:REF]
//
// REF is a tag or a digest of index.json, a name of the docker archive, or "@N" for its N-th image;
// it may be left out when there is one image. Nothing is unpacked to disk, and nothing is believed:
// paths are derived from digests and opened beneath the layout without following links, sizes and
// digests are checked as bytes are read, counts and sizes are capped (protocols.md T24). Nothing is
// decompressed either: archives must be plain tars, and layers that are compressed stay as they
// are.
//
// A docker archive has no manifest: one of Docker's schema 2 is made (an OCI one where a layer is
// zstd), and plain layers are compressed to bytes that depend on their content alone. An archive of
// Docker 25 or newer is a layout too; as oci-archive: it keeps its own manifest. One thread per
// image.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/error.h"
#include "dispatcher/field.h"
#include "dispatcher/http.h"

enum image_kind {
    IMAGE_OCI_LAYOUT,
    IMAGE_OCI_ARCHIVE,
    IMAGE_DOCKER_ARCHIVE,
    IMAGE_DOCKER_DAEMON,
    IMAGE_REGISTRY
};

struct image_source {
    enum image_kind kind;
    const char *text;      // as written
    const char *path;      // file or directory; for DAEMON and REGISTRY the reference
    const char *reference; // tag or digest inside, or NULL
};
/// Checks the form only. ERROR_USAGE names the forms that exist.
NODISCARD struct error *image_source_parse(
    const char *text, struct arena *arena, struct image_source **out);

// A content descriptor (OCI image spec "descriptor").
struct image_descriptor {
    const char *media_type, *digest;
    int64_t size;
    const char *platform; // "linux/amd64" when the index says so, else NULL
};

// A manifest or index with its exact bytes; children come before parents in the list of an image.
struct image_manifest {
    struct image_descriptor descriptor;
    struct str bytes;
    bool is_index;
};

struct image; // opened

/// Opens, checks every manifest down to its blobs' presence and size. ERROR_INPUT says what is
/// wrong.
NODISCARD struct error *image_open(const struct image_source *source, struct image **out);
void image_close(struct image *image);
void image_closep(struct image **image);

/// Digest of what will be tagged: known on opening for ready-made layers. For a docker-archive
/// (layers to be compressed) this compresses once to find out, deterministically.
NODISCARD struct error *image_digest(struct image *image, const char **out);
/// All manifests in the order they must be pushed: children first, the tagged one last.
NODISCARD struct error *image_manifests(
    struct image *image, const struct image_manifest **out, size_t *count);
/// All blobs (configs and layers) without repeats.
NODISCARD struct error *image_blobs(
    struct image *image, const struct image_descriptor **out, size_t *count);
/// A reader for one blob; it verifies size and digest as it goes and fails at the end if they lie.
NODISCARD struct error *image_blob_open(
    struct image *image, const struct image_descriptor *blob, struct http_reader *out);
void image_blob_close(struct http_reader *reader);
/// "linux/amd64, linux/arm64"; "" when nobody says.
const char *image_platforms(const struct image *image);
