// deploy, rollback and promote through a service: ask for it, then follow it.
#pragma once

#include "remote.h"

struct remote_deploy {
    const char *verb;      // deploy | rollback | promote
    const char *app, *env; // env NULL, to deploy: the only one that the service allows
    const char *version, *to, *from, *reason; // NULL: not given
    struct str_list images;                   // "[SERVICE=]SOURCE", pushed from here first
    bool build;                               // what has none and is not there is built before
    const char *checkout;                     // of what is built; NULL: "."
    bool emergency, no_wait, json;
    int64_t timeout_ms;
    bool cancel_on_signal, cancel_on_timeout;
};
/// What deploy, rollback and promote are told alike: APP, --reason, --timeout, --json and the like.
struct remote_deploy remote_deploy_read(const struct cli_arguments *arguments, const char *verb);
NODISCARD struct error *remote_deploy(struct cli *cli, const struct cli_arguments *arguments,
    const struct remote_deploy *deploy, int *exit_code);
/// What a service cannot be asked for ("--allow-stale"), as ERROR_USAGE; NULL-terminated names.
NODISCARD struct error *remote_refuse(
    const struct cli_arguments *arguments, const char *const *names);
