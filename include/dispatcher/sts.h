// Who am I, and becoming a role with a web identity token. Thread rule as aws.h.
#pragma once

#include "dispatcher/aws.h"

struct sts_identity {
    const char *account, *arn, *user_id;
};
NODISCARD struct error *sts_caller_identity(
    struct aws_session *session, struct arena *arena, struct sts_identity *out);
