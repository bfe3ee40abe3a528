// One value out of a JSON object that holds secrets, as Secrets Manager and Vault keep them.
#pragma once

#include "dispatcher/json.h"
#include "dispatcher/secret.h"

/// Text as it is, a number or a boolean as JSON writes it. ERROR_CREDENTIALS when there is no such
/// key, or when it holds nothing or no text; no error quotes a value.
NODISCARD struct error *secret_json_take(
    const struct json *object, const char *key, struct secret **out);
