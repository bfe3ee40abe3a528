// `--build` for a deployment through a service: the recipe is the service's, the checkout and the
// builder are this machine's.
#pragma once

#include "remote.h"

// An image that is to be pushed.
struct remote_image {
    const char *service, *source;
    char *leftovers; // of a build, removed with it; or NULL
};

/// Is this the commit that the version is a name for, and is all there that the builds of these
/// services need? Starts no build. `recipe` is `build` of the place.
NODISCARD struct error *remote_build_check(struct remote *remote, const struct json *recipe,
    const char *checkout, const struct remote_image *images, size_t count);
/// Builds one, telling what the builder says; source and leftovers are set.
NODISCARD struct error *remote_build(struct remote *remote, const struct json *recipe,
    const char *checkout, bool json, struct remote_image *image);
