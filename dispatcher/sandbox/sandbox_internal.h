// What the sandbox's parts share: one request, one response, and the state behind one big lock.
//
// Handlers run with `lock` held and never wait; server.c does the waiting (faults, spooling)
// without it. Each run has a thread of its own that takes the lock whenever it touches a run.
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "dispatcher/http.h"
#include "dispatcher/json.h"
#include "dispatcher/platform.h"
#include "dispatcher/sandbox.h"
#include "faults_internal.h"

struct sandbox_request {
    struct arena *arena; // everything below lives here
    const char *method;
    const char *target;       // path and query as sent
    const char *path;         // as sent, without the query
    const char *query;        // as sent, "" when there is none
    const char *const *parts; // decoded segments of the path, without empty ones
    size_t part_count;
    struct http_headers headers;
    struct buf body;
    char *spool; // file with the body instead (registry uploads), or NULL
    int64_t body_size;
    char body_sha256[65]; // of a spooled body, hex
    uint64_t connection;
    int64_t received_ms; // wall
};

struct sandbox_response {
    int status;
    struct http_headers headers;
    struct buf body;
    char *file; // body from a file instead, or NULL
    int64_t file_size;
    bool is_free;    // costs no quota
    bool is_cut;     // no answer: the connection ends instead
    int64_t wait_ms; // before it is sent
};

// One line of GET /_sandbox/requests.
struct sandbox_record {
    int64_t at_ms, elapsed_ms;
    uint64_t connection;
    int status; // 0: no answer was sent
    bool counted;
    char *method, *target, *action, *version, *agent, *condition, *fault;
};

struct github_state;
struct aws_state;
struct registry_state;
struct oidc_state;
struct vault_state;
struct slack_state;
struct pagerduty_state;
struct hooks_state;

struct sandbox {
    const struct platform *platform;
    const struct sandbox_options *options;
    pthread_mutex_t lock;
    char *origin; // "http://127.0.0.1:40123"
    char *host;   // "127.0.0.1:40123"
    char *data;   // directory
    struct cancel *stop;
    struct fault_set faults;
    struct sandbox_record *records;
    size_t record_count;
    uint64_t connections;
    int64_t spools;
    struct github_state *github;
    struct aws_state *aws;
    struct registry_state *registry;
    struct oidc_state *oidc;
    struct vault_state *vault;
    struct slack_state *slack;
    struct pagerduty_state *pagerduty;
    struct hooks_state *hooks;
};

int64_t sandbox_now(const struct sandbox *sandbox); // wall ms
/// `count` random bytes in hex, in the arena.
char *sandbox_random(const struct sandbox *sandbox, struct arena *arena, size_t count);

// --- request and response ------------------------------------------------------------------------

const char *sandbox_request_header(const struct sandbox_request *request, const char *name);
/// Decoded value of a query parameter, in the arena; NULL when it is not there.
const char *sandbox_request_query(const struct sandbox_request *request, const char *name);
/// Decoded value of a field of a form body or query text; NULL when it is not there.
const char *sandbox_form_value(struct arena *arena, struct str form, const char *name);
/// Decoded rest of the path from part `from` on, joined with '/'.
const char *sandbox_request_rest(const struct sandbox_request *request, size_t from);
bool sandbox_request_is(const struct sandbox_request *request, const char *method);
/// Parts from `from` on match the pattern "a/:/c" (":" any part); all of them must.
bool sandbox_request_match(const struct sandbox_request *request, size_t from, const char *pattern);
/// What follows "Bearer " or "token " (any case) in Authorization, or NULL.
const char *sandbox_request_bearer(const struct sandbox_request *request);
/// The body as an object; NULL when it is none. Release with json_free.
struct json *sandbox_request_json(const struct sandbox_request *request);
/// Fills path, query and parts from the target.
void sandbox_request_split(struct sandbox_request *request);
void sandbox_request_done(struct sandbox_request *request);

/// Takes ownership of `body`.
void sandbox_reply_json(struct sandbox_response *response, int status, struct json *body);
void sandbox_reply_text(
    struct sandbox_response *response, int status, const char *type, struct str text);
/// {"message": ...}
void sandbox_reply_problem(struct sandbox_response *response, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);
void sandbox_reply_header(struct sandbox_response *response, const char *name, const char *value);
void sandbox_reply_reset(struct sandbox_response *response); // nothing answered yet
void sandbox_response_done(struct sandbox_response *response);
/// "Sat, 21 Nov 2026 07:48:00 GMT"; out holds at least 30 bytes.
void sandbox_format_http_date(int64_t wall_ms, char out[30]);

/// Routes by path prefix; the lock is held.
void sandbox_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// The answer for credentials that have expired, in the words of the service that was asked.
void sandbox_expired(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
/// "AmazonSSM.GetParameter" or "AssumeRole", else NULL.
const char *sandbox_action(const struct sandbox_request *request);

// --- the parts
// -------------------------------------------------------------------------------------

void sandbox_control_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// Takes `record`'s strings.
void sandbox_control_record(struct sandbox *sandbox, const struct sandbox_record *record);
void sandbox_control_done(struct sandbox *sandbox);

NODISCARD struct error *sandbox_oidc_start(struct sandbox *sandbox);
void sandbox_oidc_stop(struct sandbox *sandbox);
void sandbox_oidc_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// A request token for the endpoint, good for tokens with these claims (taken over).
const char *sandbox_oidc_grant(struct sandbox *sandbox, struct json *claims);
/// Claims of a token that this issuer signed for `audience` and that is valid now, else NULL and
/// *why. Release with json_free.
struct json *sandbox_oidc_verify(
    struct sandbox *sandbox, const char *token, const char *audience, const char **why);
char *sandbox_oidc_request_url(const struct sandbox *sandbox); // heap
const char *sandbox_oidc_issuer(const struct sandbox *sandbox);
/// The repository has other ids now: tokens that are asked for from now on say so.
void sandbox_oidc_regrant(
    struct sandbox *sandbox, const char *repository, const char *id, const char *owner_id);
/// POST /_sandbox/oidc/token, /_sandbox/oidc/rotate
void sandbox_oidc_control_token(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
void sandbox_oidc_control_rotate(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);

NODISCARD struct error *sandbox_aws_start(struct sandbox *sandbox);
void sandbox_aws_stop(struct sandbox *sandbox);
void sandbox_aws_reset(struct sandbox *sandbox);
void sandbox_aws_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
struct json *sandbox_aws_state_json(struct sandbox *sandbox);
/// POST /_sandbox/aws/...; false when there is no such action.
bool sandbox_aws_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
void sandbox_aws_expired(const struct sandbox_request *request, struct sandbox_response *response);
/// GET /apps/SERVICE/...: what a service of App Runner or ECS answers.
void sandbox_aws_apps_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// GET /apps/SERVICE/...: what the running tasks of a service answer.
void sandbox_ecs_apps_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// A tag of the registry stands for another image now: services that track it may deploy.
void sandbox_aws_pushed(struct sandbox *sandbox, const char *repository, const char *tag);
/// Is this the password of an ECR authorization token that is still valid?
bool sandbox_aws_ecr_password_valid(struct sandbox *sandbox, const char *password);
/// Why whoever got that password from ECR may not do this to the repository; NULL: may. In the
/// arena.
const char *sandbox_aws_ecr_denies(struct sandbox *sandbox, const char *password,
    const char *action, const char *repository, struct arena *arena);
/// {"sessions": […]}: roles that were assumed, their policies, and what those refused.
struct json *sandbox_aws_sessions_json(const struct sandbox *sandbox);
const char *sandbox_aws_access_key(const struct sandbox *sandbox);
const char *sandbox_aws_secret_key(const struct sandbox *sandbox);
const char *sandbox_aws_account(const struct sandbox *sandbox);
const char *sandbox_aws_region(const struct sandbox *sandbox);

NODISCARD struct error *sandbox_registry_start(struct sandbox *sandbox);
void sandbox_registry_stop(struct sandbox *sandbox);
void sandbox_registry_reset(struct sandbox *sandbox);
void sandbox_registry_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
struct json *sandbox_registry_state_json(struct sandbox *sandbox);
void sandbox_registry_expired(struct sandbox *sandbox, struct sandbox_response *response);
/// The body of an upload broke off.
void sandbox_registry_broke_off(struct sandbox *sandbox, const struct sandbox_request *request);
/// Would this request carry a blob (its body goes to a file)?
bool sandbox_registry_is_upload(const char *method, const char *path);
const char *sandbox_registry_password(const struct sandbox *sandbox);

NODISCARD struct error *sandbox_vault_start(struct sandbox *sandbox);
void sandbox_vault_stop(struct sandbox *sandbox);
void sandbox_vault_reset(struct sandbox *sandbox);
void sandbox_vault_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// POST /_sandbox/vault
void sandbox_vault_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
/// Paths and numbers, never values.
struct json *sandbox_vault_state_json(struct sandbox *sandbox);
void sandbox_vault_expired(struct sandbox *sandbox, struct sandbox_response *response);
const char *sandbox_vault_root_token(const struct sandbox *sandbox);

NODISCARD struct error *sandbox_slack_start(struct sandbox *sandbox);
void sandbox_slack_stop(struct sandbox *sandbox);
void sandbox_slack_reset(struct sandbox *sandbox);
/// /slack/api/METHOD, /slack/services/T…/B…/…
void sandbox_slack_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// POST /_sandbox/slack
void sandbox_slack_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
/// POST /_sandbox/slack/press
void sandbox_slack_press(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
void sandbox_slack_expired(
    const struct sandbox_request *request, struct sandbox_response *response);
void sandbox_slack_ready(const struct sandbox *sandbox, struct json *addresses);
struct json *sandbox_slack_inbox_json(struct sandbox *sandbox);

NODISCARD struct error *sandbox_pagerduty_start(struct sandbox *sandbox);
void sandbox_pagerduty_stop(struct sandbox *sandbox);
void sandbox_pagerduty_reset(struct sandbox *sandbox);
/// /pagerduty/v2/enqueue, /pagerduty/v2/change/enqueue
void sandbox_pagerduty_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// POST /_sandbox/pagerduty
void sandbox_pagerduty_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
void sandbox_pagerduty_expired(struct sandbox_response *response);
const char *sandbox_pagerduty_routing_key(const struct sandbox *sandbox);
struct json *sandbox_pagerduty_inbox_json(struct sandbox *sandbox);

NODISCARD struct error *sandbox_hooks_start(struct sandbox *sandbox);
void sandbox_hooks_stop(struct sandbox *sandbox);
void sandbox_hooks_reset(struct sandbox *sandbox);
/// /hooks/NAME
void sandbox_hooks_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// POST /_sandbox/hooks
void sandbox_hooks_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
void sandbox_hooks_expired(struct sandbox_response *response);
struct json *sandbox_hooks_inbox_json(struct sandbox *sandbox);

/// GET /inbox: what Slack, PagerDuty and the webhooks got, as a page.
void sandbox_inbox_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// GET /_sandbox/inbox, as JSON or as lines to read.
void sandbox_inbox_show(struct sandbox *sandbox, bool as_text, struct sandbox_response *response);

NODISCARD struct error *sandbox_github_start(struct sandbox *sandbox);
/// Ends every run, joins their threads.
void sandbox_github_stop(struct sandbox *sandbox);
/// Once nobody asks any more.
void sandbox_github_free(struct sandbox *sandbox);
void sandbox_github_reset(struct sandbox *sandbox);
void sandbox_github_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// Is it a request to the REST API, which costs quota?
bool sandbox_github_is_api(const struct sandbox_request *request);
/// /login/oauth/…
void sandbox_github_login_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
void sandbox_github_storage(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
bool sandbox_github_page(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response);
/// POST /_sandbox/github/...; false when there is no such action.
bool sandbox_github_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
struct json *sandbox_github_state_json(struct sandbox *sandbox);
/// What a token of GitHub Actions claims: what `given` says, and the rest as a push to main of the
/// repository it names (else of the caller's).
struct json *sandbox_github_claims(const struct sandbox *sandbox, const struct json *given);
/// {"owner/name": {"deployments": […], …}}: what was reported, and the pull requests.
struct json *sandbox_github_reports_json(const struct sandbox *sandbox);
/// Counts a request to the REST API, by its route; nothing when the target is none of its.
void sandbox_github_count(struct sandbox *sandbox, const struct sandbox_record *record);
/// {"requests", "counted", "not_modified", "routes": {"GET /repos/{owner}/{repo}/…": {…}}}
struct json *sandbox_github_counters_json(const struct sandbox *sandbox);
/// Whom the App's webhook goes to, and what became of its deliveries.
struct json *sandbox_webhook_state_json(const struct sandbox *sandbox);
void sandbox_github_expired(struct sandbox *sandbox, struct sandbox_response *response);
/// Adds what a GitHub client needs to the addresses.
void sandbox_github_ready(const struct sandbox *sandbox, struct json *addresses);

/// Addresses as an object, and as lines for a shell.
struct json *sandbox_ready_addresses(struct sandbox *sandbox);
void sandbox_ready_environment(const struct json *addresses, struct buf *out);
