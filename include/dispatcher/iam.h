// IAM: one role and whom it trusts (API reference, GetRole; the query protocol, version
// 2010-05-08). Changes nothing. Thread rule as aws.h.
#pragma once

#include "dispatcher/aws.h"

struct iam_role {
    const char *arn; // NULL: there is none of that name
    const char *name, *path;
    const char *trust_json; // the trust policy, a JSON object
};
/// GetRole. `role` is a name, or an ARN, of which only the name is asked for: GetRole reads the
/// account of the credentials, so the caller compares out->arn with what it meant. Texts in the
/// arena. ERROR_SPEC when `role` can be neither; ERROR_CREDENTIALS with 'iam:GetRole' in the hint
/// when it may not be read.
NODISCARD struct error *iam_role_get(
    struct aws_session *session, const char *role, struct arena *arena, struct iam_role *out);

enum iam_trust {
    IAM_TRUST_NO,
    IAM_TRUST_YES,
    IAM_TRUST_CONDITIONAL, // as far as conditions hold, which are not evaluated
};
/// May the service ("ecs-tasks.amazonaws.com") assume a role with this trust policy? By the
/// statements on sts:AssumeRole that name it or everybody; a Deny without conditions wins. What is
/// not a trust policy trusts nobody. Pure.
enum iam_trust iam_trusts(const char *trust_json, const char *service);
