// Secrets Manager: reading one secret (API reference, GetSecretValue and DescribeSecret). Thread
// rule as aws.h.
#pragma once

#include "dispatcher/aws.h"

/// The value of the secret `id`, a name or an ARN; an ARN is asked for in its own region. `stage`
/// NULL: AWSCURRENT. Binary secrets come decoded. ERROR_CREDENTIALS when it is not there, cannot be
/// decrypted or may not be read; no error quotes what the answer holds.
NODISCARD struct error *secrets_manager_get(
    struct aws_session *session, const char *id, const char *stage, struct secret **out);

/// DescribeSecret: is there such a secret, and is it not scheduled for deletion? Reads no value.
NODISCARD struct error *secrets_manager_exists(
    struct aws_session *session, const char *id, bool *out);
