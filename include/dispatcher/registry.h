// OCI distribution 1.1 client: is it there, and push (facts/registry-push.md).
//
// Basic (ECR) or Bearer (RFC 6750 challenge) as the registry asks. https, or plain http on
// loopback. One thread per client.
#pragma once

#include "dispatcher/image.h"
#include "dispatcher/platform.h"
#include "dispatcher/secret.h"

struct registry_options {
    const char *host; // "registry.example.org:5000", without scheme
    const char *user; // NULL: anonymous
    const struct secret *password;
    /// Renews user and password when they are refused or about to expire; may be NULL.
    struct error *(*renew)(void *ctx, char **user, struct secret **password);
    void *renew_ctx;
    bool is_ecr; // its quirks: 201 to PATCH, EOF for a missing repository, immutable tags
    unsigned parallel_bodies; // large ones sent at once; 0: four
};

struct registry_client;

NODISCARD struct error *registry_client_new(const struct platform *platform,
    struct http_client *http, const struct registry_options *options, struct registry_client **out);
void registry_client_free(struct registry_client *client);
void registry_client_freep(struct registry_client **client);

/// Digest of repository:reference by HEAD (GET where HEAD gives none); *out NULL when it is not
/// there.
NODISCARD struct error *registry_manifest_digest(struct registry_client *client,
    const char *repository, const char *reference, struct arena *arena, const char **out);

/// Is `child` one of the manifests that the index `digest` of the repository lists (one of its
/// platforms)? False too when `digest` is not an index or is not there. Held to its digest.
NODISCARD struct error *registry_index_holds(struct registry_client *client, const char *repository,
    const char *digest, const char *child, bool *out);

enum registry_progress_kind {
    REGISTRY_PART_PRESENT, // asked for, and there
    REGISTRY_PART_REUSED,  // an earlier image holds the layer, known by its diff_id
    REGISTRY_PART_MOUNTED, // taken from another repository of the registry
    REGISTRY_PART_SENDING,
    REGISTRY_PART_AGAIN, // that try failed; another follows
    REGISTRY_PART_SENT,
    REGISTRY_MANIFEST_SENT,
};
struct registry_progress {
    enum registry_progress_kind what;
    size_t part;         // index in the image; of a manifest nothing
    const char *digest;  // NULL while a layer is being compressed
    const char *diff_id; // of a layer that is or was compressed, else NULL
    int64_t done, total; // bytes of the part; of a plain layer before compression
    int64_t sent;        // bytes of it sent so far
};
struct registry_push {
    const char *repository, *tag;
    struct image *image;
    enum image_compression compression;
    unsigned threads; // that compress; 0: one a processor
    /// Tags or digests of earlier images that may share layers, likeliest first. Where none is
    /// there, the repository's own tags are looked through.
    struct str_list previous;
    const char *mount_from; // repository of this registry that has the blobs, or NULL
    void (*progress)(void *ctx, const struct registry_progress *progress); // may be NULL
    /// Told while a daemon exports the image, before anything is sent: 0 at once, then the bytes so
    /// far about once a MiB. How many there will be nobody knows. May be NULL.
    void (*fetching)(void *ctx, int64_t done);
    void *progress_ctx; // of both
};
struct registry_push_result {
    const char *digest; // computed by us and confirmed by the registry
    bool already_there; // the whole image was; at most the tag is new
    int64_t bytes_sent, blobs_sent, blobs_present, requests;
    int64_t blobs_mounted; // of those present: taken from another repository
};
/// Blobs, then manifests children first, the tag last; the registry must confirm the digest.
/// ERROR_CONFLICT when an immutable tag holds another digest (both are named).
NODISCARD struct error *registry_push_image(struct registry_client *client,
    const struct registry_push *push, struct arena *arena, struct registry_push_result *result);

// "host/repository[:tag][@digest]" taken apart.
struct registry_reference {
    const char *host, *repository, *tag, *digest;
};
NODISCARD struct error *registry_reference_parse(
    const char *text, struct arena *arena, struct registry_reference **out);
/// Credentials for a host as docker and then podman keep them: from the helper that 'credHelpers'
/// or 'credsStore' names, else from 'auths' (DOCKER_CONFIG or ~/.docker, REGISTRY_AUTH_FILE or
/// $XDG_RUNTIME_DIR/containers). *user NULL when there are none; "<token>" when *password is an
/// identity token, which registry_client_new takes as it is.
NODISCARD struct error *registry_docker_credentials(
    const struct platform *platform, const char *host, char **user, struct secret **password);
