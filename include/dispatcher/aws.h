// AWS: credentials, endpoints, and one signed call (facts/github-notify-credentials.md §9).
//
// A session resolves region and credentials once and renews them before they expire; a call signs,
// retries by the 2026 standard numbers, corrects clock skew once, and turns AWS errors into
// `struct error` with code and request id. One thread per session.
#pragma once

#include "dispatcher/http.h"
#include "dispatcher/json.h"
#include "dispatcher/secret.h"

// An OIDC token for AssumeRoleWithWebIdentity, from whoever can mint one (github/actions in a job).
struct aws_token_source {
    struct error *(*token)(void *ctx, const char *audience, struct secret **out);
    void *ctx;
};

struct aws_options {
    const char *region;                  // from the spec; NULL: the SDK chain
    const char *role_arn;                // assumed with `oidc` when both are set
    const char *role_session_name;       // [\w+=,.@-]{2,64}
    const struct aws_token_source *oidc; // NULL outside Actions
    const char *account;                 // expected account id, or NULL
};

struct aws_credentials {
    char *access_key;
    struct secret *secret_key, *session_token; // token may be NULL
    int64_t expires_ms;                        // wall; 0: never
    char *account;                             // NULL when the provider does not say
    /// Static text: oidc, environment, assume-role, web-identity, sso, credentials-file, login,
    /// process, config-file, container or instance; that is also the order of the chain.
    const char *provider;
};

void aws_credentials_done(struct aws_credentials *credentials);

struct aws_session;

NODISCARD struct error *aws_session_new(const struct platform *platform, struct http_client *http,
    const struct aws_options *options, struct aws_session **out);
void aws_session_free(struct aws_session *session);
void aws_session_freep(struct aws_session **session);

/// Region in use, owned by the session; ERROR_CREDENTIALS with a hint when none can be found.
NODISCARD struct error *aws_region(struct aws_session *session, const char **out);
/// Current credentials, renewed if due; borrowed until the next call.
NODISCARD struct error *aws_credentials_get(
    struct aws_session *session, const struct aws_credentials **out);
/// For `doctor`: one line per provider of the chain, what it found or why it passed.
NODISCARD struct error *aws_credentials_explain(struct aws_session *session, struct buf *out);
/// Base URL of a service ("ssm", "sts", "ecr"), with AWS_ENDPOINT_URL[_SERVICE] and profile rules.
NODISCARD struct error *aws_endpoint(struct aws_session *session, const char *service, char **out);
/// Milliseconds to add to our wall clock to get the service's; 0 until a skew was seen.
int64_t aws_clock_offset_ms(const struct aws_session *session);

struct aws_call {
    const char *service; // "ssm"
    const char *target;  // X-Amz-Target, "AmazonSSM.GetParameter"
    const struct json *body;
    const char *region; // NULL: the session's
    bool idempotent;    // repeated by the policy (3 attempts); else only when it was not done
    bool read;          // changes nothing: 5 attempts
    /// A code that is an answer to this call, never a reason to ask again: "LimitExceededException"
    /// means throttling to most. NULL: none.
    const char *final_code;
    bool json_1_0; // the protocol's version: 1.0, else 1.1
    /// The answer quotes others (log lines): what JSON cannot hold of it reads as U+FFFD instead of
    /// making the whole answer unusable.
    bool quotes;
    struct json **refusal; // where the body of a final 4xx goes, for its details; NULL: nowhere
};
/// JSON protocols. On an AWS error: kind by meaning (CREDENTIALS, DENIED is never used here,
/// REFUSED, UNAVAILABLE), error_remote_of()->code is the short name ("ParameterNotFound"), and
/// ->request_left says whether the service may have done it: false after a refusal (4xx), true
/// after a lost answer, a 5xx or an answer that cannot be read.
NODISCARD struct error *aws_call(
    struct aws_session *session, const struct aws_call *call, struct json **out);

/// Is `code` what the service answered ("ServiceNotFoundException")? False for NULL.
bool aws_has_code(const struct error *err, const char *code);
/// Did the service refuse for lack of a permission? The hint names the action, as AWS does:
/// "ecs:ListServiceDeployments". False for NULL.
bool aws_is_denied(const struct error *err);
