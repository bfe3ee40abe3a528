// An image in a registry as a source: its documents (remote_image.c), and its blobs on their way
// from there to where they are pushed (remote_blob.c).
#pragma once

#include "image_internal.h"
#include "registry_internal.h"

enum { REMOTE_REDIRECTS_MAX = 3 };

struct pull;

// An answer that was got before it was asked for, or bytes that were kept.
struct remote_answer {
    const char *digest;
    struct http_response response;
};
struct remote_bytes {
    const char *digest;
    struct str bytes;
};

struct remote_image {
    struct registry_client *client;
    const char *repository, *reference;
    char *scope;
    struct remote_answer *answers;
    size_t answer_count;
    int64_t manifest_bytes; // read so far
    struct remote_bytes *configs;
    size_t config_count;
    int64_t config_bytes;

    struct pull *pulls;
    struct pull *opened;   // whose body has not been handed out yet
    unsigned logins;       // credentials refused and renewed
    int64_t not_before_ms; // mono: the registry asked to wait
};

/// A reader of the blob's bytes, checked as they pass. They come while remote_run runs.
void remote_pull_open(struct remote_image *remote, const struct image_descriptor *descriptor,
    struct http_reader *out);
/// image_run of such an image: what fetches its blobs goes on beside the flow.
NODISCARD struct error *remote_run(
    struct image *image, struct http_client *http, const struct http_flow *flow);
/// A redirect that is followed?
bool remote_is_redirect(int status);
