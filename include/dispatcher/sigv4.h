// AWS Signature Version 4, as pure functions of (request, credentials, time), one per named stage
// ("Signature Version 4 signing process", stages 1 to 4), so that a reader can lay them beside the
// vendor's page and the vectors test each. Nothing is sent here; Vault's IAM login signs this way
// too.
//
// Every header given is signed but those that proxies and transports rewrite (Authorization,
// Connection, Expect, Transfer-Encoding, User-Agent, X-Amzn-Trace-Id). Host comes from the URL
// unless the headers have one. A canonical request holds the session token: wipe its buffer.
#pragma once

#include "dispatcher/http.h"

struct sigv4_request {
    enum http_method method;
    const char *url;                    // absolute, as it will be sent
    const struct http_headers *headers; // those to be signed besides host; may be NULL
    struct str body;
    const char *body_sha256; // hex, or "UNSIGNED-PAYLOAD"; NULL: hash `body`
    bool sign_body_header;   // add x-amz-content-sha256 (S3)
    bool keep_path;          // no dot-segment normalisation, single encoding (S3)
};

struct sigv4_scope {
    const char *access_key;
    const struct secret *secret_key;
    const struct secret *session_token; // may be NULL
    const char *region, *service;
    int64_t time_ms; // wall
};

/// ERROR_INPUT for a URL that is not absolute or has user info; ERROR_BUG when the headers already
/// hold one that signing adds (sign a fresh list for each attempt).
NODISCARD struct error *sigv4_canonical_request(const struct sigv4_request *request,
    const struct sigv4_scope *scope, struct buf *out, struct buf *signed_headers);
void sigv4_string_to_sign(
    const struct sigv4_scope *scope, struct str canonical_request, struct buf *out);
void sigv4_signature(const struct sigv4_scope *scope, struct str string_to_sign, char out[65]);
/// The value of the Authorization header.
void sigv4_authorization(const struct sigv4_scope *scope, struct str signed_headers,
    const char *signature, struct buf *out);
/// All stages: adds X-Amz-Date, X-Amz-Security-Token (if any), X-Amz-Content-Sha256 (if asked for)
/// and Authorization to `headers`, which already hold what request->headers points to (usually the
/// same object).
NODISCARD struct error *sigv4_sign(const struct sigv4_request *request,
    const struct sigv4_scope *scope, struct http_headers *headers);
