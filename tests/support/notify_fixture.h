// Clients of notify/ against a scripted transport.
//
//     struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(steps, 2);
//     ... calls with &n->fake->platform, n->http, n->arena ...
//     assert_result(&result, NOTIFY_LIMITED, 7000, "slack.com: too many requests", NULL);
//     notify_fixture_finish(n); // every step was used
#pragma once

#include "dispatcher/notify.h"
#include "fake_platform.h"
#include "script_transport.h"

struct notify_fixture {
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *http;
    struct arena *arena;
};

struct notify_fixture *notify_fixture_new(const struct script_step *steps, size_t count);
void notify_fixture_free(struct notify_fixture *notify);
void notify_fixture_freep(struct notify_fixture **notify);
/// Every step was used; each request had ten seconds at most, and a cap for its answer.
void notify_fixture_finish(const struct notify_fixture *notify);

/// Fails the test unless the result is that one.
void assert_result(const struct notify_result *result, enum notify_verdict verdict,
    int64_t retry_after_ms, const char *problem, const char *hint);
