// Reading a commit's documents: specs_read.c, for specs.c.
#pragma once

#include "dispatcher/http.h"
#include "spec_set_internal.h"

// Where the documents are read, and what one reading leaves for the next.
struct specs_reader {
    struct service *service;
    const struct platform *platform;
    struct http_client *http;
    struct github_client *github; // whose token git gets; NULL until it is needed
    char *github_of;              // repository that it is for
    struct secret *github_key;    // that it has
};
void specs_reader_done(struct specs_reader *reader);
/// Reads all documents; with `known` (a commit, may be NULL) nothing is read when that is still the
/// newest, and out->arena stays NULL. Else out->arena is the caller's, or spec_set_new's.
NODISCARD struct error *specs_read(
    struct specs_reader *reader, const char *known, struct spec_reading *out);
