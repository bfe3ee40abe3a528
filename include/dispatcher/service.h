// `dispatcher serve`: the service in a process of its own, until it is told to stop.
//
// Reads its own settings from the `server:` and `state:` blocks of the file it is given, and specs
// and policy from the infra repository. Listens, runs workers, and follows what replicas left
// behind. SIGTERM and SIGINT: no new requests, workers put down what they hold, streams are told to
// come again; a second signal ends it at once. SIGHUP: settings, keys and certificates anew.
#pragma once

#include "dispatcher/diagnostic.h"
#include "dispatcher/platform.h"

struct service_options {
    const char *config;                     // path of dispatcher.yaml
    const char *listen;                     // in place of server.listen; NULL
    const char *ready_file;                 // gets the address once it listens; NULL
    const char *ca_file, *proxy, *no_proxy; // used when server.proxy says so; ca_file always
    const int *reload; // raised by the front end on SIGHUP (sig_atomic_t semantics)
};
/// Returns when it was cancelled and everything is put down.
NODISCARD struct error *service_run(const struct platform *platform,
    const struct service_options *options, struct diagnostics *diagnostics);
