// The GitHub Actions job we may be running in: its OIDC tokens and its facts. Thread rule as
// http.h.
#pragma once

#include "dispatcher/http.h"

/// true when GITHUB_ACTIONS=true.
bool actions_is_active(const struct platform *platform);
/// true when the job may ask for OIDC tokens (permissions: id-token: write).
bool actions_has_oidc(const struct platform *platform);
/// A fresh OIDC token for `audience`; retried on 5xx and connection errors. ERROR_CREDENTIALS.
NODISCARD struct error *actions_oidc_token(const struct platform *platform,
    struct http_client *http, const char *audience, struct secret **out);
