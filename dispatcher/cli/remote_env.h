// Which environment a deployment through a service goes to, when nobody says it.
#pragma once

#include "remote.h"

/// The only environment of the app where the service lets this caller deploy; it is said.
/// ERROR_USAGE with all there are when there is none, or more than one.
NODISCARD struct error *remote_env_choose(
    struct remote *remote, const char *app, bool json, const char **out);
