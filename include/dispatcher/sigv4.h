// AWS Signature Version 4, as pure functions of (request, credentials, time), one per named stage
// ("Signature Version 4 signing process", stages 1 to 4), so that a reader can lay them beside the
// vendor's page and the vectors test each. Nothing is sent here; Vault's IAM login signs this way too.
#pragma once

#include "dispatcher/http.h"

struct sigv4_request {
    enum http_method method;
    const char *url;                    // absolute
    const struct http_headers *headers; // those to be signed besides host; may be NULL
    struct str body;
    const char *body_sha256;            // hex, or "UNSIGNED-PAYLOAD"; NULL: hash `body`
    bool sign_body_header;              // add x-amz-content-sha256 (S3)
    bool keep_path;                     // no dot-segment normalisation, single encoding (S3)
};

struct sigv4_scope {
    const char *access_key;
    const struct secret *secret_key;
    const struct secret *session_token; // may be NULL
    const char *region, *service;
    int64_t time_ms; // wall
};

NODISCARD struct error *sigv4_canonical_request(const struct sigv4_request *request,
    const struct sigv4_scope *scope, struct buf *out, struct buf *signed_headers);
void sigv4_string_to_sign(const struct sigv4_scope *scope, struct str canonical_request,
    struct buf *out);
void sigv4_signature(const struct sigv4_scope *scope, struct str string_to_sign, char out[65]);
/// All stages: adds X-Amz-Date, X-Amz-Security-Token (if any) and Authorization to `headers`, which
/// already hold what request->headers points to (usually the same object).
NODISCARD struct error *sigv4_sign(const struct sigv4_request *request,
    const struct sigv4_scope *scope, struct http_headers *headers);
