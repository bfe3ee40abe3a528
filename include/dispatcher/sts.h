// Who am I, and becoming a role with a web identity token. Thread rule as aws.h.
#pragma once

#include "dispatcher/aws.h"

struct sts_identity {
    const char *account, *arn, *user_id;
};
NODISCARD struct error *sts_caller_identity(
    struct aws_session *session, struct arena *arena, struct sts_identity *out);

// A role taken on with less than the role itself may, for somebody else to use.
struct sts_narrowed {
    const char *role;         // ARN
    const char *session_name; // [\w+=,.@-]{2,64}: who it is, in CloudTrail
    const char *policy;       // session policy, JSON: what it may of what the role may
    int seconds;              // 900 to 43200; 3600 when this is a role already (role chaining)
};
/// AssumeRole, signed by the session's own credentials. aws_credentials_done on *out.
NODISCARD struct error *sts_narrowed_credentials(
    struct aws_session *session, const struct sts_narrowed *narrowed, struct aws_credentials *out);
