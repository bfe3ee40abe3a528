// The parts of SigV4's canonical request (stage 1), each the vendor's "Canonical…" function of that
// name. Pure; appended to `out`.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/sigv4.h"

enum { SIGV4_TIME_SIZE = 17 }; // "20150830T123600Z"

void sigv4_time(const struct sigv4_scope *scope, char out[SIGV4_TIME_SIZE]);
/// "20150830/us-east-1/service/aws4_request"
void sigv4_credential_scope(const struct sigv4_scope *scope, struct buf *out);

void sigv4_canonical_uri(struct str path, bool keep, struct buf *out);
void sigv4_canonical_query(struct str query, struct buf *out);

// Names in any case and values as they will be sent; borrowed.
struct sigv4_field {
    const char *name;
    struct str value;
    size_t position; // filled in by the function below
};
/// Sorts `fields` (names become lower case in `arena`); merges values of one name.
void sigv4_canonical_headers(struct sigv4_field *fields, size_t count, struct arena *arena,
    struct buf *out, struct buf *signed_headers);
