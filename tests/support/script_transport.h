// A transport that plays a script: each expected request and the reply it gets.
//
//     static const char *const auth[] = {"Authorization: Bearer *", "!Cookie", NULL};
//     static const struct script_step steps[] = {
//         {.method = HTTP_POST, .url = "https://api.github.com/app/installations/7/access_tokens",
//             .headers = auth,
//             .status = 201, .reply = "{\"token\":\"t\"}"},
//         {.method = HTTP_GET, .url = "https://api.github.com/meta", .failure = "connection reset",
//             .request_left = true},
//     };
//     struct script_transport *script CLEANUP(script_transport_freep) =
//         script_transport_new(fake, steps, ARRAY_LENGTH(steps));
//     ... code that uses http_send with &fake->platform ...
//     script_transport_finish(script); // fails the test when steps are left
//
// The script sets itself as the platform's transport. A request that differs from its step, or
// comes after the last one, fails the running cmocka test with both sides shown. A step that takes
// longer than the request's deadline ends as a time-out. Not thread-safe.
#pragma once

#include "dispatcher/http.h"
#include "fake_platform.h"

struct script_step {
    // What must be asked.
    enum http_method method;
    const char *url;         // exact
    const char *url_pattern; // or: shell wildcards (fnmatch), where * also matches slashes
    // "Name: value" with wildcards in the value; "!Name" must be absent. NULL-terminated, NULL:
    // any.
    const char *const *headers;
    const char *body;         // exact; NULL: any
    size_t body_len;          // of a body with NUL bytes; 0: its length as a C string
    const char *body_pattern; // shell wildcards
    bool no_body;             // must be empty
    bool must_be_once;        // request.once must be set (and must not be on any other step)
    bool any_once;            // do not look at request.once
    bool any_order; // this step and its neighbours with the same mark may come in any order
    unsigned times; // how often; 0 means once

    // What happens. `failure` wins over `status`.
    const char *failure;              // sentence of the transport error
    enum error_kind failure_kind;     // 0: ERROR_UNAVAILABLE
    const char *failure_code;         // NULL: "reset" when the request left, else "connect"
    bool request_left;                // of the failure
    int status;                       // 0: 200
    const char *const *reply_headers; // "Name: value", NULL-terminated
    const char *reply;                // body
    size_t reply_len;                 // 0: its length as a C string
    int64_t takes_ms;                 // by which both fake clocks move
    void (*hook)(void *ctx);          // called when the request has come, before the reply
    void *hook_ctx;
};

// One request as it was sent.
struct script_request {
    enum http_method method;
    char *url;
    struct http_headers headers;
    struct buf body;
    bool once, allow_plain, public_only;
    char *unix_socket;
    int64_t deadline_ms, sent_mono_ms;
    size_t max_response;
};

struct script_transport;

/// Steps are borrowed. `fake` is the platform that gets the transport.
struct script_transport *script_transport_new(
    struct fake_platform *fake, const struct script_step *steps, size_t count);
void script_transport_free(struct script_transport *script);
void script_transport_freep(struct script_transport **script);
/// Fails the test unless every step was used.
void script_transport_finish(struct script_transport *script);
size_t script_transport_request_count(const struct script_transport *script);
/// Fails the test when there are not that many.
const struct script_request *script_transport_request(
    const struct script_transport *script, size_t index);
