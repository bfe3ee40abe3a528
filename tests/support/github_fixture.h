// A GitHub client on a fake platform whose transport plays a script.
//
//     static const struct script_step steps[] = {{.url = GITHUB_API "/repos/octo/infra/…"}};
//     struct github_fixture *f CLEANUP(github_fixture_freep) =
//         github_fixture_token(steps, ARRAY_LENGTH(steps));
//     ... calls with f->client ...
//     github_fixture_finish(f); // fails the test when steps are left
#pragma once

#include "dispatcher/github.h"
#include "script_transport.h"

#define GITHUB_API "https://api.github.com"
#define GITHUB_REPO GITHUB_API "/repos/octo/infra"

struct github_fixture {
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *http;
    struct github_client *client;
    struct arena *arena;
};

/// With the plain token "ghp_testtoken" for octo/infra.
struct github_fixture *github_fixture_token(const struct script_step *steps, size_t count);
/// With an App, id "Iv1.app", and a fresh key.
struct github_fixture *github_fixture_app(const struct script_step *steps, size_t count);
/// For reports: with an App, or with the plain token.
struct github_fixture *github_fixture_reports(
    const struct script_step *steps, size_t count, bool app);
void github_fixture_finish(struct github_fixture *fixture);
void github_fixture_freep(struct github_fixture **fixture);
