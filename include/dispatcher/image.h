// Image sources: what `--image` names, opened for reading (OCI image spec 1.1; docker archive).
//
//     oci:DIR[:REF]   oci-archive:FILE[:REF]   docker-archive:FILE[:REF]
//     docker-daemon:NAME[:TAG]   docker-daemon:NAME@DIGEST   docker-daemon:ID
//     docker://HOST/REPOSITORY[:TAG][@DIGEST]
//
// REF is a tag or a digest of index.json, a name of the docker archive, or "@N" for its N-th image;
// it may be left out when there is one image. Nothing is unpacked to disk, and nothing is believed:
// paths are derived from digests and opened beneath the layout without following links, sizes and
// digests of manifests and configurations are checked, counts and sizes are capped (protocols.md
// T24). The bytes of ready-made layers are held to their digests by the registry (decision 7).
// Nothing is decompressed either: archives must be plain tars, and layers that are compressed stay
// as they are. An image of a daemon is spooled into a file without a name (decision 11).
//
// A docker archive has no manifest: one of Docker's schema 2 is made (an OCI one where a layer is
// zstd), and plain layers are compressed to bytes that depend on their content alone. An archive of
// Docker 25 or newer is a layout too; as oci-archive: it keeps its own manifest.
//
// docker:// copies from another registry, or within one: opening it reads the manifests, and blobs
// pass from there to where they are pushed without being kept. Without TAG and DIGEST it is
// "latest"; DIGEST wins over TAG. docker.io is Docker Hub; there is no default host. One thread per
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

// How plain layers are compressed; the bytes depend on the content and this choice alone.
enum image_compression {
    IMAGE_COMPRESSION_FAST,  // gzip, least time and CPU
    IMAGE_COMPRESSION_SMALL, // gzip, fewer bytes
    IMAGE_COMPRESSION_ZSTD,  // for runtimes that take zstd layers (OCI image spec 1.1)
};
/// "fast", "small" or "zstd"; NULL is fast. False (output untouched) for any other word.
bool image_compression_of(const char *word, enum image_compression *out);

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

// How sources that are not files are reached; borrowed for the life of the image.
struct image_access {
    const struct platform *platform;
    struct http_client *http;
    /// Credentials for the registry of a docker:// source; *user NULL: none. May be NULL.
    struct error *(*login)(void *ctx, const char *host, char **user, struct secret **password);
    void *ctx;
};

/// Opens, checks every manifest down to its blobs' presence and size. ERROR_INPUT says what is
/// wrong. `access` may be NULL for files.
NODISCARD struct error *image_open(
    const struct image_source *source, const struct image_access *access, struct image **out);
void image_close(struct image *image);
void image_closep(struct image **image);

// A configuration or a layer. A plain layer of an image without a manifest has a diff_id but no
// digest until somebody settles what it becomes: it is found in a registry, or compressed.
struct image_part {
    /// Digest NULL and size -1 until it is settled; a daemon's configuration has a digest before it
    /// has a size.
    struct image_descriptor descriptor;
    const char *diff_id; // before compression; NULL for what is sent as it is
    int64_t plain_size;  // before compression; -1 until a daemon has sent it
};

/// Configurations and layers without repeats, in an order that stays.
size_t image_part_count(const struct image *image);
const struct image_part *image_part_at(const struct image *image, size_t index);
/// Gets the bytes of a source that has told its parts only so far (docker-daemon); others have
/// nothing to do. Parts keep their order and what was settled.
NODISCARD struct error *image_fetch(struct image *image);
/// Is told how many bytes have come while a fetch goes on: 0 when it begins, then from time to
/// time. How many there will be nobody knows.
void image_on_fetch(struct image *image, void (*progress)(void *ctx, int64_t done), void *ctx);
/// Bytes that are read for it; -1 until a daemon has told.
int64_t image_part_size(const struct image_part *part);
/// What the plain layer becomes; media type, digest and size are copied.
void image_settle(struct image *image, size_t index, const struct image_descriptor *descriptor);
/// Takes it back, when the registry did not have it after all.
void image_unsettle(struct image *image, size_t index);
/// No digest and no size is missing, so that the manifests are known.
bool image_is_settled(const struct image *image);
/// Takes a manifest that somebody made of this very image (same configuration) for its own.
void image_adopt(struct image *image, const struct image_manifest *manifest);
/// Takes that back: the manifest is made of the parts again.
void image_disown(struct image *image);
/// Settles everything by compressing it once, without keeping it; layers are held to their
/// diff_ids. What a push would find out on the way.
NODISCARD struct error *image_measure(struct image *image, enum image_compression compression);

/// Digest of what will be tagged; only once everything is settled.
NODISCARD struct error *image_digest(struct image *image, const char **out);
/// All manifests in the order they must be pushed: children first, the tagged one last; only once
/// everything is settled.
NODISCARD struct error *image_manifests(
    struct image *image, const struct image_manifest **out, size_t *count);
/// The bytes of a part that is sent as it is, of the length that it has. Whether they match the
/// digest is for the registry to check, which has to.
NODISCARD struct error *image_part_open(struct image *image, size_t index, struct http_reader *out);
void image_part_close(struct http_reader *reader);
/// Reads such a part whole: ERROR_INPUT when size or digest lie.
NODISCARD struct error *image_part_verify(struct image *image, size_t index);
/// "linux/amd64, linux/arm64"; "" when nobody says.
const char *image_platforms(const struct image *image);
