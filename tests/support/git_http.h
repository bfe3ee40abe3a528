// Git's own HTTP backend on a loopback port, with a token, TLS or redirects as a test wants them.
//
//     struct git_http *server CLEANUP(git_http_freep) = git_http_new(git, "--token", "secret");
//     git_http_url(server, "infra.git")  // http://127.0.0.1:PORT/infra.git
//
// The repositories are those of the fixture. Any failure fails the running test.
#pragma once

#include <stdbool.h>

#include "git_fixture.h"

struct git_http;

/// At most one option of git_http_server.py with its value, or NULL.
struct git_http *git_http_new(const struct git_fixture *git, const char *option, const char *value);
void git_http_free(struct git_http *server);
void git_http_freep(struct git_http **server);
/// free().
char *git_http_url(const struct git_http *server, const char *repository);
/// Has any request so far had `text` in its line (method, path, Authorization)?
bool git_http_saw(const struct git_http *server, const char *text);
int git_http_count(const struct git_http *server);
/// A key and a certificate for 127.0.0.1 in one PEM file; its path, free().
char *git_http_certificate(const struct git_fixture *git);
