// The images of a deployment through a service: built here when asked for, pushed from here, to
// where the service says.
#pragma once

#include "remote.h"

struct remote_push {
    struct remote *remote;
    const char *app, *env;
    struct str_list images; // "[SERVICE=]SOURCE"
    bool build;             // what has no image and is not in the registry
    const char *checkout;   // of what is built; NULL: "."
    bool json;
    const char *version;  // NULL: the service says it; set then
    struct json *digests; // service to what the registry has in the end; added to
};
NODISCARD struct error *remote_push(struct remote_push *push);
