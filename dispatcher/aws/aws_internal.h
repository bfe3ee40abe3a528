// Shared by the files of aws/: the session's insides, the provider chain and the stages of a call.
#pragma once

#include <stddef.h>

#include "dispatcher/arena.h"
#include "dispatcher/aws.h"
#include "dispatcher/retry.h"

// ---- shared config and credentials files (profile.c)

enum aws_section_kind { AWS_SECTION_PROFILE, AWS_SECTION_SSO_SESSION, AWS_SECTION_SERVICES };

struct aws_ini; // one parsed file; empty when the file does not exist

struct aws_ini *aws_ini_new(void) __attribute__((returns_nonnull));
void aws_ini_free(struct aws_ini *ini);
void aws_ini_freep(struct aws_ini **ini);
/// In a credentials file every section is a profile; in a config file they have a prefix.
/// ERROR_CREDENTIALS with the line for anything that is not a "key = value" file within the caps.
NODISCARD struct error *aws_ini_parse(
    struct aws_ini *ini, struct str text, bool is_credentials, const char *path);
bool aws_ini_has(const struct aws_ini *ini, enum aws_section_kind kind, const char *name);
/// `parent` is the outer key of a nested block, or NULL. The last of several wins; NULL when absent
/// or empty.
const char *aws_ini_get(const struct aws_ini *ini, enum aws_section_kind kind, const char *name,
    const char *parent, const char *key);

// ---- session (session.c)

struct aws_provider;

struct aws_session {
    const struct platform *platform;
    struct http_client *http;
    char *region_option, *role_arn, *role_session_name, *account; // copies of the options
    struct aws_token_source oidc;
    bool has_oidc;

    char *config_path, *credentials_path; // NULL without HOME and override
    struct aws_ini *config, *shared;
    const char *profile;   // its name, "default" when none is named
    bool profile_is_named; // by the environment

    char *region; // once resolved
    bool region_is_missing;

    struct aws_credentials credentials;
    const struct aws_provider *provider; // where they came from; NULL before the first time
    int64_t fetched_ms, not_before_ms;   // wall; no advisory renewal before the latter
    bool account_is_checked;

    int64_t clock_offset_ms;
    int retry_tokens;
    unsigned max_attempts; // from AWS_MAX_ATTEMPTS or the profile; 0: by the kind of call
};

/// Value of a key in a profile: the credentials file wins over the config file, as in botocore.
const char *aws_profile_get(
    const struct aws_session *session, const char *profile, const char *key);
bool aws_profile_exists(const struct aws_session *session, const char *profile);
/// Environment variable, else key of the session's profile, says "true" (any case)?
bool aws_flag(const struct aws_session *session, const char *variable, const char *key);
int64_t aws_wall_ms(const struct aws_session *session);

// ---- credentials (chain.c and the provider files)

void aws_credentials_move(struct aws_credentials *to, struct aws_credentials *from);

// One look at a provider. `why` receives a clause when it has nothing to offer.
struct aws_load {
    struct aws_session *session;
    const char *profile;
    const struct aws_load *outer; // set while loading a source_profile; the environment is off then
    struct buf *why;
};

struct aws_provider {
    const char *name;
    /// Leaves out->access_key NULL when it has nothing; an error when it should have had.
    struct error *(*load)(const struct aws_load *load, struct aws_credentials *out);
};

/// The providers that belong to one profile, in order; for source_profile.
NODISCARD struct error *aws_load_profile(const struct aws_load *load, struct aws_credentials *out);
/// Fetches again from the provider that gave the current ones. `*changed`: they differ.
NODISCARD struct error *aws_credentials_renew(struct aws_session *session, bool *changed);

NODISCARD struct error *aws_load_oidc(const struct aws_load *load, struct aws_credentials *out);
NODISCARD struct error *aws_load_environment(
    const struct aws_load *load, struct aws_credentials *out);
NODISCARD struct error *aws_load_assume_role(
    const struct aws_load *load, struct aws_credentials *out);
NODISCARD struct error *aws_load_web_identity(
    const struct aws_load *load, struct aws_credentials *out);
NODISCARD struct error *aws_load_sso(const struct aws_load *load, struct aws_credentials *out);
NODISCARD struct error *aws_load_credentials_file(
    const struct aws_load *load, struct aws_credentials *out);
NODISCARD struct error *aws_load_login(const struct aws_load *load, struct aws_credentials *out);
NODISCARD struct error *aws_load_process(const struct aws_load *load, struct aws_credentials *out);
NODISCARD struct error *aws_load_config_file(
    const struct aws_load *load, struct aws_credentials *out);
NODISCARD struct error *aws_load_container(
    const struct aws_load *load, struct aws_credentials *out);
NODISCARD struct error *aws_load_instance(const struct aws_load *load, struct aws_credentials *out);

/// {"AccessKeyId", "SecretAccessKey", <token_key>, "Expiration", "AccountId"} as the container, the
/// instance and the process speak it. `source` names it in errors.
NODISCARD struct error *aws_credentials_from_json(
    struct str text, const char *token_key, const char *source, struct aws_credentials *out);
/// Instance metadata under /latest/meta-data/; *out NULL with a clause in `why` when there is none.
NODISCARD struct error *aws_instance_metadata(
    struct aws_session *session, const char *path, struct buf *why, char **out);

enum { AWS_PROCESS_ARGUMENTS = 64 };
/// Splits as a POSIX shell splits words (quotes and backslash, nothing else), into the arena.
NODISCARD struct error *aws_split_words(
    const char *command, struct arena *arena, char **out, size_t *count);
/// Runs `argv` without a shell; ERROR_CREDENTIALS with what it wrote to stderr unless it exits 0.
NODISCARD struct error *aws_run_process(
    const struct platform *platform, char *const *argv, struct buf *out);

struct aws_role_request {
    const char *role_arn, *session_name, *external_id;
    const char *duration_seconds;         // as configured, or NULL
    const struct secret *web_identity;    // unsigned call; else
    const struct aws_credentials *source; // who signs
    const char *policy;                   // JSON that narrows what the role may, or NULL
};
/// STS AssumeRoleWithWebIdentity or AssumeRole (sts.c).
NODISCARD struct error *aws_assume_role(struct aws_session *session,
    const struct aws_role_request *request, struct aws_credentials *out);

// ---- endpoints (endpoint.c)

NODISCARD struct error *aws_region_check(const char *region, const char *source);
NODISCARD struct error *aws_endpoint_in(
    struct aws_session *session, const char *service, const char *region, char **out);
/// The vendor's own, whatever is configured here: for requests that somebody else sends. free().
char *aws_endpoint_public(const char *service, const char *region) __attribute__((returns_nonnull));

/// Region that a request is signed for: where the service's one endpoint is (IAM), else `region`.
/// Static text, or `region` itself.
const char *aws_signing_region(
    const struct aws_session *session, const char *service, const char *region);

// ---- one exchange (send.c), its failures (fault.c), XML (xml.c)

struct aws_request {
    const char *service, *operation; // "ssm", "GetParameter"
    const char *region;              // NULL: the session's
    const char *content_type;
    const char *target; // X-Amz-Target, NULL for the query protocol
    struct str body;
    const struct aws_credentials *credentials; // NULL: the session's
    bool is_unsigned;
    bool idempotent, read;  // aws.h
    const char *final_code; // aws.h
    struct json **refusal;  // aws.h
};
/// Returns with a 2xx answer, or an error that says everything.
NODISCARD struct error *aws_send(
    struct aws_session *session, const struct aws_request *request, struct http_response *response);

struct aws_fault {
    int status;
    char *code, *message, *request_id; // any may be NULL; message is clean and has no stop
};
void aws_fault_read(const struct http_response *response, struct aws_fault *out);
void aws_fault_done(struct aws_fault *fault);
enum retry_outcome aws_fault_outcome(const struct aws_fault *fault);
bool aws_fault_is_skew(const struct aws_fault *fault);
bool aws_fault_is_expiry(const struct aws_fault *fault);
/// Did the service turn the request away for certain, without doing it?
bool aws_fault_is_refusal(const struct aws_fault *fault);
/// "ParameterNotFound: Parameter /x not found" with kind, hint and remote.
struct error *aws_fault_error(const struct aws_fault *fault, const struct aws_request *request)
    __attribute__((returns_nonnull));

/// Text of the first element at `path` ("Root/Child/Leaf"), entities decoded; *out NULL when
/// absent.
NODISCARD struct error *aws_xml_text(struct str xml, const char *path, char **out);

// ---- reading answers (answer.c), pages (pages.c)

/// ERROR_UNAVAILABLE "unusable answer: …" of an answer with HTTP 200: whatever was asked for is
/// done.
struct error *aws_unusable(const char *format, ...) PRINTF_LIKE(1, 2)
    __attribute__((returns_nonnull));
/// The text as one clean line (text.h) in the arena; NULL when it is no string, or empty.
const char *aws_line(struct arena *arena, const struct json *text);

// Like struct field (field.h) for answers: texts become clean lines, times milliseconds, lists
// arrays of the struct they are, and a path may lead into objects.
enum aws_kind {
    AWS_LINE,   // const char *
    AWS_LINES,  // struct str_list
    AWS_INT,    // int64_t
    AWS_BOOL,   // bool
    AWS_NUMBER, // double
    AWS_TIME,   // int64_t ms, from epoch seconds with a fraction
    AWS_JSON,   // const char *: the text of an object or a list; NULL when absent or empty
    AWS_LIST,   // pointer to the first of `table`'s structs; their number at count_offset
};
struct aws_table;
struct aws_field {
    const char *path; // "deploymentConfiguration.strategy"
    enum aws_kind kind;
    size_t offset;
    const struct aws_table *table; // LIST
    size_t count_offset;           // LIST: a size_t
    bool required;
    size_t present_offset; // 0: none; else of a bool that is set when it was said
    double absent;         // NUMBER: what an absent one reads as
};
struct aws_table {
    size_t size;
    const struct aws_field *fields;
    size_t count;
};
// AWS_FIELD(struct, member, "path", AWS_KIND, .required = true, …): the two come first in struct
// aws_field.
#define AWS_FIELD(type, member, ...)                                                               \
    {                                                                                              \
        __VA_ARGS__, .offset = offsetof(type, member)                                              \
    }
#define AWS_TABLE(type, list)                                                                      \
    {                                                                                              \
        .size = sizeof(type), .fields = (list), .count = ARRAY_LENGTH(list)                        \
    }
/// Fills the struct from an object. An absent member leaves its slot alone (but for NUMBER); one of
/// another type, or a required one that is absent, is aws_unusable with its path.
NODISCARD struct error *aws_read(
    const struct json *object, const struct aws_table *table, struct arena *arena, void *out);
/// The JSON text of an object or a list into the arena; NULL when absent or empty.
const char *aws_json_text(const struct json *value, struct arena *arena);
/// JSON text of ours back into a tree, as a member; NULL sets nothing. `what` names it in errors.
NODISCARD struct error *aws_set_json(
    struct json *object, const char *key, const char *text, const char *what);
void aws_set_strings(struct json *object, const char *key, const char *const *items, size_t count);

// An array that grows in an arena.
struct aws_list {
    struct arena *arena;
    size_t size; // of an element
    void *items;
    size_t count, room;
};
/// A new zeroed element at the end.
void *aws_list_add(struct aws_list *list) __attribute__((returns_nonnull));

// The pages of a list operation: `call` again and again, with the token of the page before.
struct aws_pages {
    struct aws_call call; // its body is `body`
    struct json *body;    // owned; gets the token
    const char *token_key;
    unsigned count, max; // pages read, and how many are too many (an error); 0: AWS_PAGES_MAX
    bool over;
};
enum { AWS_PAGES_MAX = 100 };
void aws_pages_done(struct aws_pages *pages);
/// The next page; `over` tells whether it is the last. The same token twice is aws_unusable.
NODISCARD struct error *aws_pages_next(
    struct aws_session *session, struct aws_pages *pages, struct json **answer);

// ---- ECR (ecr.c, ecr_scan.c)

#define ECR_TARGET "AmazonEC2ContainerRegistry_V20150921." // X-Amz-Target of its operations
