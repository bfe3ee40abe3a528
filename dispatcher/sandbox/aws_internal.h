// The sandbox's AWS: credentials it knows, parameters, ECR tokens. All under the sandbox's lock.
#pragma once

#include "sandbox_internal.h"

struct aws_key {
    char *id, *secret, *token; // token NULL: the account's own user
    char *arn, *user_id;
    int64_t expires_ms; // 0: never
    int64_t duration_s;
    struct json *policy; // of the session; NULL: none
};

struct ssm_version {
    int64_t number, modified_ms;
    char *value, *type, *description, *user, *key_id;
    struct json *labels; // array
};

struct ssm_entry {
    char *name;
    struct ssm_version *versions;
    size_t version_count;
    int64_t last_number;
};

struct ecr_token {
    char *password;
    const struct aws_key *key; // who got it
    int64_t expires_ms;
};

struct ecs_state; // aws_ecs_internal.h

struct aws_state {
    struct aws_key *own; // the account's user; never changes, so runs read it without the lock
    struct aws_key **keys;
    size_t key_count;
    struct ssm_entry *entries;
    size_t entry_count;
    struct ecr_token *tokens;
    size_t token_count;
    struct ecs_state *ecs;
    struct json *denied;       // globs of actions that nobody may do (aws_deny.c), or NULL
    struct json *scan_results; // repository, or "*" → what its scans say (aws_ecr_scan.c)
    struct json *denials;      // what session policies refused (aws_sessions.c)
    struct json *roles;        // name → what CreateRole was given (aws_iam.c)
    struct logs_state *logs;   // NULL: nothing was ever written
    bool is_lenient;           // members and choices that the models do not know pass (aws_model.c)
    struct apprunner_state *apprunner; // NULL: nobody asked for it yet
    struct secrets_state *secrets;     // NULL: there was never one
};

struct aws_exchange;
struct aws_model;

// One service of the JSON protocol, found by what stands before the dot in X-Amz-Target.
struct aws_service {
    const char *target;            // "AmazonSSM"
    const char *type;              // of answers: "application/x-amz-json-1.1"
    const char *message;           // key of an error's text: "message"
    const struct aws_model *model; // NULL: the handler checks all by itself
    const char *invalid;           // error code for what the model does not allow
    void (*handle)(struct aws_exchange *exchange);
};

struct aws_exchange { // one authenticated call
    struct sandbox *sandbox;
    struct sandbox_request *request;
    struct sandbox_response *response;
    const struct aws_service *service; // JSON protocol
    const char *operation;             // "GetParameter"
    const struct json *body;           // JSON protocol
    const struct aws_key *key;
    const char *region;
};

/// {"__type": code, "message": ...} with the service's status.
void sandbox_aws_json_problem(
    struct sandbox_response *response, const char *code, const char *format, ...) PRINTF_LIKE(3, 4);
/// The same in the shape of the exchange's service.
void sandbox_aws_problem(struct aws_exchange *exchange, const char *code, const char *format, ...)
    PRINTF_LIKE(3, 4);
/// The query protocol's <ErrorResponse>.
void sandbox_aws_xml_problem(
    struct sandbox_response *response, int status, const char *code, const char *message);
void sandbox_aws_xml_escape(const char *text, struct buf *out);
void sandbox_aws_xml_element(struct buf *out, const char *name, const char *value);
/// The query protocol's answer to the exchange's operation.
void sandbox_aws_xml_result(
    struct aws_exchange *exchange, const char *xmlns, const struct buf *inner);
struct aws_key *sandbox_aws_key_add(
    struct sandbox *sandbox, const char *arn, const char *user_id, int64_t lifetime_ms);

struct aws_operation {
    const char *name;
    void (*run)(struct aws_exchange *exchange);
};
/// Runs the one that was asked for; UnknownOperationException when it is not among them.
void sandbox_aws_run(
    struct aws_exchange *exchange, const struct aws_operation *operations, size_t count);

void sandbox_ssm_handle(struct aws_exchange *exchange);
void sandbox_ssm_forget(struct aws_state *aws);
struct json *sandbox_ssm_state(const struct aws_state *aws);
void sandbox_ecr_handle(struct aws_exchange *exchange);
/// The repository of the call; NULL and an answer when there is none.
struct registry_repo;
struct registry_repo *sandbox_ecr_repository(struct aws_exchange *exchange);
/// Digest that an imageId stands for, NULL when it is not there.
const char *sandbox_ecr_digest(const struct registry_repo *repo, const struct json *image_id);
void sandbox_ecr_no_image(
    struct aws_exchange *exchange, const struct registry_repo *repo, const struct json *image_id);
void sandbox_ecr_start_scan(struct aws_exchange *exchange);
void sandbox_ecr_scan_findings(struct aws_exchange *exchange);
/// POST /_sandbox/aws/scan
void sandbox_ecr_control_scan(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
/// `key` is NULL for AssumeRoleWithWebIdentity, which is not signed.
void sandbox_sts_handle(struct aws_exchange *exchange);

void sandbox_iam_handle(struct aws_exchange *exchange);
/// A role that trusts the service, unless there is one of that name.
void sandbox_iam_ensure(struct sandbox *sandbox, const char *name, const char *service);
/// POST /_sandbox/aws/iam
void sandbox_iam_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);

// --- aws_policy.c, aws_sessions.c
/// NULL, or what is wrong with the text.
const char *sandbox_policy_read(const char *text, struct json **out);
bool sandbox_policy_allows(const struct json *policy, const char *action, const char *resource);
/// IAM's sentence when the session's policy does not allow it, in the arena; else NULL. It is
/// noted.
const char *sandbox_session_denies(struct sandbox *sandbox, const struct aws_key *key,
    const char *action, const char *resource, struct arena *arena);
/// Who got that password from ECR, or NULL.
const struct aws_key *sandbox_ecr_token_key(const struct sandbox *sandbox, const char *password);

/// The service that the request is signed for ("ecs"), as IAM names it; NULL when it is unsigned.
const char *sandbox_aws_signing_service(const struct sandbox_request *request);
/// May nobody do that? Then it was answered.
bool sandbox_aws_denies(struct aws_exchange *exchange);
/// POST /_sandbox/aws/deny
void sandbox_aws_control_deny(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
/// Checks the signature (SigV4) of a request; NULL and an answer when it does not hold.
const struct aws_key *sandbox_aws_authenticate(struct sandbox *sandbox,
    struct sandbox_request *request, struct sandbox_response *response, const char **region);
