// The outside world, passed explicitly from main to whoever needs it.
//
// Nobody else reads the clock, randomness or the environment (tests/checks/banned). A test builds
// one of its own. All members are borrowed and outlive every user; NULL members as noted.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dispatcher/clock.h"
#include "dispatcher/log.h"

struct http_transport; // net/http.h
struct environment;

struct random_source {
    /// Fills `out`; never fails (the process ends when the kernel has no randomness).
    void (*fill)(const struct random_source *source, void *out, size_t len);
};

struct platform {
    const struct clock *clock;
    const struct random_source *random;
    const struct environment *env;
    struct http_transport *transport; // NULL: libcurl
    struct log *log;                  // NULL: silent
    struct cancel *cancel;            // NULL: cannot be cancelled
};

extern const struct random_source random_system;

/// Uniform in [0, 1).
double random_unit(const struct random_source *source);
/// `count` random bytes as lower-case hex; out holds 2 * count + 1.
void random_hex(const struct random_source *source, size_t count, char *out);

/// Copies NAME=VALUE strings (NULL-terminated list); later lookups see this copy only.
struct environment *environment_new(char *const *envp);
void environment_free(struct environment *env);
/// NULL when unset or empty (AWS and GitHub tools treat the two alike).
const char *environment_get(const struct environment *env, const char *name);
/// The whole list, for a child process.
char *const *environment_list(const struct environment *env);
const char *env_get(const struct platform *platform, const char *name);
