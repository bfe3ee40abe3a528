// A GitHub client before Prism, which holds every request against GitHub's own description.
//
// Between client and Prism sits a transport that keeps the rest true: it plays the answer that an
// older server gives to an API version it does not know (Prism refuses such a request, but in words
// of its own), serves the log that the 302 points to, and fails the test when Prism refuses
// anything. Run by with_prism.py, which says where Prism is. One per test; cmocka's set-up and
// tear-down make and free it.
#pragma once

#include "dispatcher/github.h"

#define GITHUB_PRISM_REPOSITORY "octo-org/octo-repo" // that of GitHub's examples

struct github_prism_filter {
    struct http_transport base; // first: cast back
    struct http_client *wire;
    const char *endpoint, *version; // the one version of a strict contract, or NULL
    bool knows_details;             // return_run_details
    const char *prefer;             // which example Prism is to answer with
    bool may_refuse;                // a request that is wrong on purpose
    bool may_be_undeclared;         // the description may lack the operation
    bool undeclared;                // and it did
    const char *grants;             // permissions of the sample installation, JSON; NULL: as sent
    /// Must this request be sent once?
    bool (*is_once)(const struct http_request *request);
    int posts, last_status; // posts: dispatches
};

struct github_prism {
    struct platform wire_platform, platform;
    struct github_prism_filter filter;
    struct http_client *http;
    struct github_client *client; // with a plain token
    struct arena *arena;
    const char *contract;
    enum github_purpose purpose;
};

/// Set-up: for a client that dispatches, and for one that reports.
int github_prism_dispatching(void **state);
int github_prism_reporting(void **state);
int github_prism_tear_down(void **state);
struct github_client *github_prism_client(struct github_prism *prism, bool app);
/// Fails the test with the text of the error when there is one.
void github_prism_succeed(struct error *err);
/// Fails the test unless there is one whose text holds `says`.
void github_prism_fail(struct error *err, const char *says);
