// Parameter Store: the operations that a version parameter needs. Thread rule as aws.h.
#pragma once

#include "dispatcher/aws.h"

struct ssm_parameter {
    const char *name, *value, *type; // type: String | SecureString
    int64_t version;
    const char *description;        // history only
    const char *last_modified_user; // history only, ARN
    int64_t last_modified_ms;
    struct str_list labels; // history only
};

/// *out NULL when it does not exist. Strings live in the arena.
NODISCARD struct error *ssm_get(
    struct aws_session *session, const char *name, struct arena *arena, struct ssm_parameter **out);

/// GetParameters: several different names at once, SSM_MANY at most; out[i] NULL when names[i] does
/// not exist. One that may not be read fails all of them.
enum { SSM_MANY = 10 };
NODISCARD struct error *ssm_get_many(struct aws_session *session, const char *const *names,
    size_t count, struct arena *arena, struct ssm_parameter **out);

/// Is there a parameter of that name or ARN? A secret one stays encrypted. `region` NULL: the
/// session's.
NODISCARD struct error *ssm_exists(
    struct aws_session *session, const char *name, const char *region, bool *out);

struct ssm_put {
    const char *name, *value, *description;
    const char *type; // NULL: String
    bool overwrite;   // false: create only; ParameterAlreadyExists is ERROR_CONFLICT
};
/// One attempt chain that is *not* repeated blindly: after a lost answer, a 5xx or an answer that
/// cannot be read the error has request_left set and the caller reads the history (protocols.md
/// §4.1 step 3'). Clear means that nothing was written: it never left, or was refused.
NODISCARD struct error *ssm_put(
    struct aws_session *session, const struct ssm_put *put, int64_t *version);
/// Versions greater than `after`, oldest first. All pages.
NODISCARD struct error *ssm_history(struct aws_session *session, const char *name, int64_t after,
    struct arena *arena, struct ssm_parameter **out, size_t *count);
/// Does this version of a history carry the label?
bool ssm_has_label(const struct ssm_parameter *parameter, const char *label);
NODISCARD struct error *ssm_label(
    struct aws_session *session, const char *name, int64_t version, const char *label);
/// LabelParameterVersion with several at once, ten at most. A label stands at one version only:
/// each moves here from where it stood.
NODISCARD struct error *ssm_labels(
    struct aws_session *session, const char *name, int64_t version, const struct str_list *labels);
/// UnlabelParameterVersion. One that does not stand there is no error.
NODISCARD struct error *ssm_unlabel(
    struct aws_session *session, const char *name, int64_t version, const struct str_list *labels);
