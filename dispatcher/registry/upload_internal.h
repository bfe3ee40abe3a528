// Parts of a push on their way: shared by the state machine (upload.c) and what it asks of the
// registry (upload_request.c).
#pragma once

#include "compressor_internal.h"
#include "registry_internal.h"

enum upload_state {
    UPLOAD_HELD,    // until the base layer's question is answered
    UPLOAD_CHECK,   // HEAD: is it there?
    UPLOAD_SESSION, // POST: where to send it
    UPLOAD_BODY,    // PUT of known length, or PATCH of unknown length
    UPLOAD_COMMIT,  // PUT that names the digest, after a PATCH
    UPLOAD_RECHECK, // HEAD: the answer may have been lost, not the blob
    UPLOAD_DONE,
};

struct uploads;

struct upload {
    struct uploads *owner;
    size_t part; // in the image
    enum upload_state state;
    unsigned attempts, refusals;
    int64_t not_before_ms; // mono
    char *location;        // of the session
    bool foreign;          // the session is at another origin
    bool streams;          // the session's body has no known length
    bool asked;            // whether it is there

    // The request at hand.
    bool active;
    char *url;
    struct http_headers headers;
    struct http_request request;
    struct http_exchange exchange;
    struct http_reader source, body; // body counts what source gives
    struct compressor_layer *layer;  // that source reads, of a plain layer
    int64_t sent;
};

struct uploads {
    struct registry_client *client;
    const struct registry_push *push;
    struct registry_push_result *result;
    char *scope;
    struct compressor *compressor; // NULL until a layer needs it
    struct upload *list;           // largest first
    size_t count, left, active;
    const struct upload *base; // whose question decides about the held ones
    bool explained;            // a dropped connection was asked about
    bool refreshed;            // credentials, since the last answer that was not a 401
    struct error *failure;     // the first one ends the push
};

const struct image_part *upload_part(const struct upload *upload);
/// Bytes that are read for it: of a plain layer before compression.
int64_t upload_size(const struct upload *upload);
bool upload_is_large(const struct upload *upload);
/// "digest 'sha256:…'" or, before it is known, "layer 'sha256:…'"; heap.
char *upload_name(const struct upload *upload);
void upload_report(const struct upload *upload, enum registry_progress_kind what, int64_t done);

/// The one that is to go on now, or NULL; *again_ms is lowered to when another will be due.
struct upload *upload_choose(struct uploads *uploads, int64_t *again_ms);
/// Fills upload->request for the state it is in.
NODISCARD struct error *upload_prepare(struct upload *upload);
/// Lets go of what belongs to the request at hand.
void upload_release(struct upload *upload);
/// The compressor of this push, made when first asked for.
struct compressor *uploads_compressor(struct uploads *uploads);
