// A Vault client against a scripted transport.
//
//     struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(steps, 2);
//     vault_fixture_open(v, &(struct vault_options){.token = v->token});
//     ... calls with v->client ...
//     vault_fixture_finish(v); // every step was used
#pragma once

#include "dispatcher/vault.h"
#include "fake_platform.h"
#include "script_transport.h"

#define VAULT_ADDRESS "https://vault.example.org:8200"
#define VAULT_TOKEN_TEXT "hvs.canary-token-0123456789abcdef"

struct vault_fixture {
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *http;
    struct vault_client *client;
    struct secret *token;
    struct arena *arena;
    struct vault_jwt_source jwt;      // gives "jwt-1", "jwt-2", …
    struct vault_proof_source aws;    // gives what VAULT_AWS_BODY holds
    unsigned asked;                   // both sources
    const char *audience, *server_id; // of the last call
    const char *source_fails;         // what both say instead, or NULL
};

struct vault_fixture *vault_fixture_new(const struct script_step *steps, size_t count);
void vault_fixture_free(struct vault_fixture *vault);
void vault_fixture_freep(struct vault_fixture **vault);
/// With VAULT_ADDRESS and the fixture's sources where the options name none.
struct error *vault_fixture_try(struct vault_fixture *vault, const struct vault_options *options);
void vault_fixture_open(struct vault_fixture *vault, const struct vault_options *options);
void vault_fixture_finish(const struct vault_fixture *vault);

/// Login with the fixture's proof as role 'deploy'.
#define VAULT_AWS_BODY                                                                             \
    "{\"role\":\"deploy\",\"iam_http_request_method\":\"POST\",\"iam_request_url\":"               \
    "\"aHR0cHM6Ly9zdHMuYW1hem9uYXdzLmNvbS8=\",\"iam_request_body\":"                               \
    "\"QWN0aW9uPUdldENhbGxlcklkZW50aXR5JlZlcnNpb249MjAxMS0wNi0xNQ==\","                            \
    "\"iam_request_headers\":\"eyJIb3N0IjpbInN0cy5hbWF6b25hd3MuY29tIl19\"}"
#define VAULT_JWT_BODY(number) "{\"role\":\"deploy\",\"jwt\":\"jwt-" number "\"}"
/// What a login or a renewal answers.
#define VAULT_AUTH_ANSWER(token, lease, renewable)                                                 \
    "{\"request_id\":\"r\",\"data\":null,\"auth\":{\"client_token\":\"" token                      \
    "\",\"accessor\":\"a\",\"policies\":[\"default\",\"shop\"],\"lease_duration\":" lease          \
    ",\"renewable\":" renewable ",\"metadata\":{\"role\":\"deploy\"}}}"
/// What a read answers.
#define VAULT_KV_ANSWER(data)                                                                      \
    "{\"request_id\":\"r\",\"lease_duration\":0,\"data\":{\"data\":" data                          \
    ",\"metadata\":{\"version\":3,\"created_time\":\"2026-11-20T07:48:00Z\",\"deletion_time\":"    \
    "\"\",\"destroyed\":false,\"custom_metadata\":null}},\"auth\":null}"
