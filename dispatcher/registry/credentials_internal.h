// Credential helpers (credential_helper.c), for docker_credentials.c.
#pragma once

#include "dispatcher/platform.h"
#include "dispatcher/secret.h"

/// Asks `docker-credential-NAME get` for `server`; *user stays NULL when it has none. Errors are
/// ERROR_CREDENTIALS and never quote what it printed.
NODISCARD struct error *credential_helper_get(const struct platform *platform, const char *name,
    const char *server, char **user, struct secret **password);
