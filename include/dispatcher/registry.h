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

enum registry_progress_kind {
    REGISTRY_BLOB_PRESENT,
    REGISTRY_BLOB_SENDING,
    REGISTRY_BLOB_SENT,
    REGISTRY_MANIFEST_SENT,
};
struct registry_progress {
    const char *digest;  // of the blob or manifest
    int64_t done, total; // bytes
    enum registry_progress_kind what;
};
struct registry_push {
    const char *repository, *tag;
    struct image *image;
    void (*progress)(void *ctx, const struct registry_progress *progress); // may be NULL
    void *progress_ctx;
};
struct registry_push_result {
    const char *digest; // computed by us and confirmed by the registry
    bool already_there; // tag pointed at that digest before
    int64_t bytes_sent, blobs_sent, blobs_present, requests;
};
/// Blobs, then manifests children first, the tag last; then HEAD of the tag must answer the digest.
/// ERROR_CONFLICT when an immutable tag holds another digest (both are named).
NODISCARD struct error *registry_push_image(struct registry_client *client,
    const struct registry_push *push, struct arena *arena, struct registry_push_result *out);

// "host/repository[:tag][@digest]" taken apart.
struct registry_reference {
    const char *host, *repository, *tag, *digest;
};
NODISCARD struct error *registry_reference_parse(
    const char *text, struct arena *arena, struct registry_reference **out);
/// Credentials for a host from ~/.docker/config.json (auths only here; helpers with the push
/// issue); *user NULL when there are none.
NODISCARD struct error *registry_docker_credentials(
    const struct platform *platform, const char *host, char **user, struct secret **password);
