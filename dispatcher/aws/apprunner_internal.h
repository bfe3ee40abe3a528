// Shared by the apprunner_*.c files.
#pragma once

#include "aws_internal.h"
#include "dispatcher/apprunner.h"

// For struct aws_call: service, target and protocol of an App Runner operation (JSON 1.0, unlike
// the others).
#define APPRUNNER_OPERATION(name)                                                                  \
    .service = "apprunner", .target = "AppRunner." name, .json_1_0 = true

enum { APPRUNNER_A_PAGE = 20 };

/// The service of an answer's `Service`.
NODISCARD struct error *apprunner_read(
    const struct json *object, struct arena *arena, struct apprunner_service *out);

/// Sets variables and secrets in the object that holds RuntimeEnvironmentVariables and
/// RuntimeEnvironmentSecrets.
void apprunner_set_variables(
    struct json *object, const struct pair_list *environment, const struct pair_list *secrets);
