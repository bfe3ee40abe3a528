// Shared by the image sources: where files come from, how a blob is read, what an opened image
// holds.
//
// Three small interfaces keep sources and uses apart:
//
//     image_store    a path gives a run of bytes in an open file (a directory, an indexed tar)
//     http_reader    a stream of bytes (a run, a run compressed, either of them verified)
//     image_item     a part and where its bytes are
//
// A new source fills manifests and items in its open function, or, where layers are not settled
// yet, items and `compose`, which makes the manifest once they are.
#pragma once

#include "dispatcher/digest.h"
#include "dispatcher/image.h"
#include "dispatcher/json.h"

enum {
    IMAGE_MANIFEST_MAX = 4 * 1024 * 1024, // OCI distribution 1.1, "Pushing Manifests"
    IMAGE_CONFIG_MAX = 8 * 1024 * 1024,
    IMAGE_MANIFESTS_MAX = 512,
    IMAGE_BLOBS_MAX = 4096,
    IMAGE_LAYERS_MAX = 1000, // of one manifest; Docker stops at 127
    IMAGE_NESTING_MAX = 8,   // indexes in indexes
};

#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define MEDIA_OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define MEDIA_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"

// A run of bytes in an open file.
struct image_file {
    int fd; // -1: there is no such file
    bool owns_fd;
    int64_t offset, size;
};
#define IMAGE_FILE_NONE                                                                            \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

void image_file_close(struct image_file *file);
/// Exactly `len` bytes from `at` on; ERROR_INPUT when the file has become shorter.
NODISCARD struct error *image_file_read(
    const struct image_file *file, int64_t at, char *out, size_t len);

struct image_store {
    /// Opens a file; absence is fd -1. Anything but a regular file is refused.
    struct error *(*open)(struct image_store *store, const char *path, struct image_file *out);
    void (*free)(struct image_store *store);
};

NODISCARD struct error *image_store_directory(const char *path, struct image_store **out);
NODISCARD struct error *image_store_tar(const char *path, struct image_store **out);
/// Takes the descriptor over, which stands at the start of the archive.
NODISCARD struct error *image_store_tar_fd(int *fd, struct image_store **out);
void image_store_free(struct image_store *store);
/// Whole file; *found false when it is not there.
NODISCARD struct error *image_store_read(
    struct image_store *store, const char *path, struct buf *out, bool *found);

struct image_item {
    struct image_part part;
    const char *path; // in the store
    /// What the store has compressed already of a part that was settled as something else; else
    /// NULL.
    const struct image_descriptor *stored;
};

struct image {
    struct arena *arena;
    struct image_source source;
    struct image_store *store;
    struct image_manifest *manifests; // children first
    size_t manifest_count;
    struct image_item *items;
    size_t item_count;
    struct str_list platforms;
    const struct image_access *access;
    /// See image_fetch; NULL: the bytes are at hand.
    struct error *(*fetch)(struct image *image);
    /// Opens a part that is not in the store; NULL: they all are.
    struct error *(*open)(struct image *image, size_t index, struct http_reader *out);
    /// See image_run; NULL: nothing goes on beside.
    struct error *(*run)(
        struct image *image, struct http_client *http, const struct http_flow *flow);
    /// Lets go of `remote`; NULL: nothing to let go of.
    void (*close)(struct image *image);
    void *remote; // of a source that is not a file
    /// Digest of the manifest or index that a daemon keeps for the image; NULL: it keeps none.
    const char *kept_digest;
    /// See image_on_fetch.
    void (*fetching)(void *ctx, int64_t done);
    void *fetching_ctx;
    /// Makes the manifest of settled parts; NULL for an image that has its own.
    struct error *(*compose)(struct image *image);
    void *document; // of compose, in the arena
};

// An image of Docker's, which has no manifest: `document` of compose. Indexes of items.
struct docker_image {
    size_t config;
    size_t *layers; // in order; the same one may repeat
    size_t layer_count;
    struct str_list diff_ids; // of the layers, as the configuration says
};
NODISCARD struct error *docker_image_compose(struct image *image);

NODISCARD struct error *image_open_oci(struct image *image);
NODISCARD struct error *image_open_docker_archive(struct image *image);
NODISCARD struct error *image_open_daemon(struct image *image);
NODISCARD struct error *image_open_remote(struct image *image);
/// http_run for a flow whose bodies are parts of the image: where they come from elsewhere, what
/// fetches them goes on beside.
NODISCARD struct error *image_run(
    struct image *image, struct http_client *http, const struct http_flow *flow);
/// The repository that the image is copied from, when that is in the registry of this host; else
/// NULL.
const char *image_repository_at(const struct image *image, const char *host);

/// Foreign text in quotes for a message: one clean line, cut; from the arena.
const char *image_quote(struct arena *arena, const char *text);
/// "blobs/sha256/<hex>" of a checked digest.
const char *image_blob_path(struct arena *arena, const char *digest);
/// Turns a complaint of json.h about `subject` into ERROR_INPUT.
NODISCARD struct error *image_json_error(struct error *err, const char *subject);
NODISCARD struct error *image_add_manifest(
    struct image *image, const struct image_manifest *manifest);
/// The same digest twice is one part; with two sizes it is refused.
NODISCARD struct error *image_add_item(struct image *image, const struct image_item *item);
/// The uncompressed bytes of a plain layer.
NODISCARD struct error *image_plain_open(struct image *image, size_t index, struct image_file *out);
/// ERROR_INPUT when the layer turned out to be another than the configuration says.
NODISCARD struct error *image_check_plain(
    const struct image *image, size_t index, const char *diff_id);
bool image_media_is_zstd(const char *media_type);
const struct image_manifest *image_find_manifest(const struct image *image, const char *digest);
void image_add_platform(struct image *image, const char *platform);

// What a manifest or an index says (OCI image spec 1.1; Docker schema 2).
struct platform_document {
    const char *os, *architecture, *variant;
};
struct descriptor_document {
    const char *media_type, *digest;
    int64_t size;
    struct platform_document platform;
    struct pair_list annotations;
};
struct manifest_document {
    int64_t schema_version;
    const char *media_type;
    struct descriptor_document config;
    struct object_list layers, manifests; // struct descriptor_document
    bool has_config, has_layers, has_manifests;
};
struct config_document {
    const char *os, *architecture, *variant;
    struct str_list diff_ids;
};

/// Is it one of the four media types that can be pushed under a tag?
bool manifest_type_is_known(const char *media_type);
bool manifest_type_is_index(const char *media_type);
/// Parses and checks form, media types, digests and counts; `subject` starts the messages.
NODISCARD struct error *manifest_parse(struct str bytes, const char *media_type,
    const char *subject, struct arena *arena, struct manifest_document *out);
/// index.json of a layout: an index without a media type of its own is accepted.
NODISCARD struct error *manifest_parse_root(
    struct str bytes, struct arena *arena, struct manifest_document *out);
NODISCARD struct error *config_parse(
    struct str bytes, const char *subject, struct arena *arena, struct config_document *out);
/// "linux/arm64/v8", NULL when unknown.
const char *platform_text(struct arena *arena, const struct platform_document *platform);

// How a walk from a manifest down finds what it names.
struct image_walk {
    struct image *image;
    /// The content of a manifest, index or configuration (`what`); the walk checks size and digest.
    struct error *(*read)(const struct image_walk *walk, const char *what,
        const struct descriptor_document *descriptor, struct buf *out);
    /// Is the layer there, and how large is it? NULL: that shows when its bytes come.
    struct error *(*measure)(
        const struct image_walk *walk, const struct descriptor_document *descriptor, int64_t *size);
    /// Told what will be read next, so that it can be got at once. NULL: of no use.
    struct error *(*announce)(
        const struct image_walk *walk, const struct descriptor_document *descriptors, size_t count);
    bool skips_configs; // image_walk_config comes later
};
/// Adds the manifest or index, and everything below it.
NODISCARD struct error *image_walk(
    const struct image_walk *walk, const struct descriptor_document *root);
/// Reads and checks the configuration of a manifest; *platform becomes what it says, if it does.
NODISCARD struct error *image_walk_config(const struct image_walk *walk,
    const struct manifest_document *document, const char *subject, struct buf *bytes,
    const char **platform);

// Readers. Each owns what it was given, also when opening fails.

/// Bytes that outlive the reader.
void reader_of_bytes(struct str bytes, struct http_reader *out);
/// The bytes of the run.
void reader_of_file(struct image_file *file, struct http_reader *out);
/// `inner`, which must turn out to have this size and digest: the last bytes are only handed out
/// once they do.
void reader_verified(
    struct http_reader *inner, const char *digest, int64_t size, struct http_reader *out);
void reader_close(struct http_reader *reader);
