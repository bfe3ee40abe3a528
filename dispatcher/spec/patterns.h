// Regular expressions for the JSON Schema: each accepts at least what the check of the same name in
// checks.c accepts (tests/unit/spec/test_checks.c compares them). ECMA 262 and POSIX extended
// alike.
#pragma once

#define PATTERN_NAME "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
#define PATTERN_REPO "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$"
#define PATTERN_IMAGE "^[A-Za-z0-9._:/-]+$"
#define PATTERN_TAG "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
#define PATTERN_ARN "^arn:.+:.*$"
#define PATTERN_SECRET_ARN "^arn:[a-z-]+:(secretsmanager|ssm):.+$"
#define PATTERN_SOME "^.+$"
#define PATTERN_OUTPUT_NAME "^[A-Za-z_][A-Za-z0-9_.-]*$"
#define PATTERN_ENV_NAME "^[A-Za-z_][A-Za-z0-9_]*$"
#define PATTERN_KEY_NAME "^[A-Za-z0-9_-]+$"
#define PATTERN_ACCOUNT "^[0-9]{12}$"
#define PATTERN_REGION "^[a-z][a-z0-9-]*-[a-z0-9-]*[0-9]$"
#define PATTERN_URL "^https?://.+$"
#define PATTERN_WORKFLOW_FILE "^[A-Za-z0-9_-][A-Za-z0-9._-]*[.]ya?ml$"
#define PATTERN_WORKFLOW_PATH "^[.]github/workflows/[A-Za-z0-9_-][A-Za-z0-9._-]*[.]ya?ml$"
#define PATTERN_BRANCH "^[^ ~^:?*\\[]+$"
#define PATTERN_REF "^refs/(heads|tags)/.+$"
#define PATTERN_REF_TO "^[^/]+/[^/]+/[.]github/workflows/[^/]+[.]ya?ml$"
#define PATTERN_WINDOW                                                                             \
    "^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [0-2][0-9]:[0-5][0-9] - "                                      \
    "(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [0-2][0-9]:[0-5][0-9]$"
#define PATTERN_TIMEZONE "^[A-Za-z0-9_+/-]+$"
#define PATTERN_SECRET_REF                                                                         \
    "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|ssm:/.+|secretsmanager:[^#]+(#.+)?|"                     \
    "vault:[^#/][^#]*/data/[^#]+#.+)$"
#define PATTERN_VAULT_MOUNT "^[^ ]+$"
#define PATTERN_VISIBLE "^[^ ]+$"
#define PATTERN_BUILD_SECRET "^(env|file):.+$"
#define PATTERN_SECRET_ID "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$"
#define PATTERN_PLATFORM "^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$"
#define PATTERN_APP_ID "^[A-Za-z0-9.]+$"
#define PATTERN_INPUT_NAME "^[A-Za-z_][A-Za-z0-9_-]*$"
#define PATTERN_STATE_URL "^(sqlite:|postgresql://)"
#define PATTERN_LISTEN "^.+:[0-9]+$"
#define PATTERN_DOMAIN "^[A-Za-z0-9][A-Za-z0-9.-]*$"
#define PATTERN_DURATION "^[0-9]+[smhd]$"
#define PATTERN_CHANNEL "^(#[a-z0-9_-]{1,80}|[CGD][A-Z0-9]{8,31})$"
#define PATTERN_MEMBER_ID "^[UW][A-Z0-9]{8,31}$"
#define PATTERN_AUTHOR "^.+$"
#define PATTERN_APP_PATTERN "^[a-z0-9*-]{1,63}$"
#define PATTERN_PRIVATE_HOST "^([*][.])?[A-Za-z0-9][A-Za-z0-9.-]*$"
#define PATTERN_HOOK_URL "^[A-Za-z]+://[^#]+$"
