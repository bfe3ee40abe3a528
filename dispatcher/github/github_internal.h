// Shared inside github/: one exchange with the API, and the loop around those that may be repeated.
//
//     struct github_call call = {.path = "/actions/runs/7", .in_repository = true};
//     struct http_response response CLEANUP(http_response_done) = {0};
//     TRY(github_send(client, &call, &response)); // 2xx, 304 or 404; the rest is an error
#pragma once

#include "dispatcher/github.h"

#define GITHUB_VERSION_NEW "2026-03-10"
#define GITHUB_VERSION_OLD "2022-11-28"

enum { GITHUB_ETAG_MAX = 64 };

struct github_etag {
    char *url, *etag;
};

struct github_client {
    const struct platform *platform;
    struct http_client *http;
    char *api;        // base URL without a slash at the end
    char *repository; // owner/repo; the new name once GitHub said that it moved
    const char *version;
    bool plain_dispatch; // the server knows neither the new version nor return_run_details

    struct secret *token; // plain, or of the installation
    int64_t renew_mono_ms, expires_mono_ms;
    char *app_id; // NULL: a plain token
    enum github_purpose purpose;
    struct jwt_key *app_key;
    int64_t installation_id, repository_id;
    struct json *granted; // permissions of the installation, then of its token

    struct github_counters counters;
    struct github_etag etags[GITHUB_ETAG_MAX];
    size_t etag_next;
    int64_t deadline_mono_ms;      // 0: none set
    int64_t not_before_mono_ms;    // GitHub asked not to be called until then
    unsigned strikes;              // secondary limits in a row
    int64_t mutated_mono_ms;       // last dispatch or cancel; 0: never
    bool is_paced;                 // the gap before the next dispatch was waited for already
    int64_t date_ms, date_mono_ms; // last Date header, and when it came; 0: never
};

enum github_auth { GITHUB_AUTH_TOKEN, GITHUB_AUTH_APP };

struct github_call {
    enum http_method method;
    const char *url;  // absolute, checked (a Link); wins over path
    const char *path; // below the repository, or below the API base
    bool in_repository;
    enum github_auth auth;
    const char *body;  // JSON text, or NULL
    bool once;         // creates something: http_request.once, and never repeated in doubt
    bool conditional;  // If-None-Match from the cache
    int accept;        // a further status that is an answer: 302, 409
    const char *needs; // "actions: write", for the hint of a 403
    size_t max_response;
};

// What an answer means, whatever was asked.
enum github_verdict {
    GITHUB_FINE,         // 2xx
    GITHUB_NOT_MODIFIED, // 304
    GITHUB_MOVED,        // 301, 302, 307, 308
    GITHUB_BAD_VERSION,  // 400, 410: perhaps only the API version is not known
    GITHUB_UNAUTHORIZED, // 401
    GITHUB_LIMITED_NOW,  // 429, or 403 with the marks of a limit
    GITHUB_FORBIDDEN,    // 403
    GITHUB_ABSENT,       // 404
    GITHUB_TRANSIENT,    // 408, 425, 5xx
    GITHUB_REFUSED,      // any other 4xx
    GITHUB_STRANGE,      // 1xx, other 3xx, beyond 599
};

// --- exchange.c: one request on the wire --------------------------------------------------------

struct github_exchange {
    char *url;
    struct http_headers headers;
    struct http_request request;
    struct http_response response;
};
void github_exchange_done(struct github_exchange *exchange);
/// URL, headers, authorisation (which may mint a token). Sends nothing of the call itself.
NODISCARD struct error *github_prepare(
    struct github_client *client, const struct github_call *call, struct github_exchange *out);
/// Puts it on the wire once; counts it, notes Date and limits.
NODISCARD struct error *github_transmit(
    struct github_client *client, struct github_exchange *exchange);

/// Waits until `mono_ms`, or fails at once with ERROR_UNAVAILABLE when that is past the deadline.
NODISCARD struct error *github_wait(
    struct github_client *client, int64_t mono_ms, int64_t deadline_mono_ms, const char *reason);

// --- answer.c: what it means --------------------------------------------------------------------

enum github_verdict github_judge(const struct http_response *response);
/// A header as a number; `fallback` when it is absent or none.
int64_t github_header_number(
    const struct http_response *response, const char *name, int64_t fallback);
/// GitHub's own words on an error, cleaned, never empty.
void github_words(const struct http_response *response, struct buf *out);
/// Did the answer come from GitHub: a JSON object with a message?
bool github_explains(const struct http_response *response);
/// The error that an answer which is none of FINE, NOT_MODIFIED stands for.
struct error *github_answer_error(
    const struct github_client *client, const struct github_exchange *exchange, const char *needs);

// --- send.c: calls that may be repeated ----------------------------------------------------------

/// Repeats what is transient or limited, renews once on 401, follows a moved repository.
NODISCARD struct error *github_send(
    struct github_client *client, const struct github_call *call, struct http_response *response);
/// github_send and the body as JSON; *out NULL on 304 and 404 (see the status).
NODISCARD struct error *github_fetch(struct github_client *client, const struct github_call *call,
    struct http_response *response, struct json **out);
/// Waits out the second between two mutations.
NODISCARD struct error *github_pace(struct github_client *client);
/// Remembers the ETag of a decoded answer. The URL is that of the call.
void github_etag_keep(struct github_client *client, const struct github_call *call,
    const struct http_response *response);
void github_etag_drop(struct github_client *client, const struct github_call *call);
/// The rel="next" page, checked to be the API's own; *out NULL on the last one.
NODISCARD struct error *github_next_page(
    const struct github_client *client, const struct http_response *response, char **out);
/// URL of a call; heap, free().
char *github_call_url(const struct github_client *client, const struct github_call *call);

// --- reports.c: what the calls of github_reports.h have in common -------------------------------

/// Makes something with one POST; *id is that of the answer. 404 is an error.
NODISCARD struct error *github_report_create(
    struct github_client *client, const struct github_call *call, struct arena *arena, int64_t *id);
/// A call whose answer says nothing more than its status; 404 is an error.
NODISCARD struct error *github_report_send(
    struct github_client *client, const struct github_call *call);

struct github_walk {
    struct github_call call; // of the first page
    const char *list;        // key of the array in the answer; NULL: the answer is the array
    unsigned pages_max;      // what comes after them is not looked at
    /// Takes one item; *enough ends the walk. What it keeps it copies: `arena` lasts for a page.
    struct error *(*visit)(void *ctx, const struct json *item, struct arena *arena, bool *enough);
    void *ctx;
};
/// 404 and pages that are no lists are errors.
NODISCARD struct error *github_report_walk(
    struct github_client *client, const struct github_walk *walk);
/// "unusable answer: 'id' …" unless it is above 0.
NODISCARD struct error *github_report_check_id(int64_t id, const char *of);

// --- auth.c --------------------------------------------------------------------------------------

/// Makes sure that `client->token` can be used: mints or renews it for an App.
NODISCARD struct error *github_token_ensure(struct github_client *client);
/// After a 401: true when another token (or a JWT by the server's clock) is worth a try.
bool github_token_renewable(struct github_client *client, enum github_auth auth);
NODISCARD struct error *github_app_jwt(const struct github_client *client, struct secret **out);

// --- redirect.c ----------------------------------------------------------------------------------

/// Takes a Location apart: *out is the URL to ask next, or NULL when the client has learnt the new
/// name of the repository and the call is to be built again.
NODISCARD struct error *github_redirect(struct github_client *client,
    const struct github_call *call, const struct github_exchange *exchange, char **out);
