// Secrets Manager of the sandbox: secrets with versions and their staging labels. Under the
// sandbox's lock; values leave memory only as answers to GetSecretValue.
#pragma once

#include "aws_internal.h"

struct secrets_version {
    char *id;
    char *text, *binary; // binary in base64; one of both
    struct json *stages; // array: "AWSCURRENT", …
    int64_t created_ms;
};

struct secrets_entry {
    char *name, *arn, *description, *key_id;
    struct json *tags; // array
    struct secrets_version *versions;
    size_t version_count;
    int64_t created_ms, changed_ms, accessed_ms;
    int64_t deleted_ms; // when it was marked, 0: it was not
};

struct secrets_state {
    struct secrets_entry **entries; // in the order of their making
    size_t count;
};

void sandbox_secrets_handle(struct aws_exchange *exchange);
void sandbox_secrets_forget(struct aws_state *aws);
/// Names, versions and labels, never values.
struct json *sandbox_secrets_state(const struct aws_state *aws);
