// Reads the options that several commands share.
#include "deploy_options.h"

const char *const deploy_leave_or_cancel[] = {"leave", "cancel", NULL};
const char *const deploy_restore_or_keep[] = {"restore", "keep", NULL};

struct error *
deploy_request_read(
    const struct cli_arguments *arguments, bool env_required, struct deploy_request *out)
{
    const char *env = cli_value(arguments, "env");
    if (env_required && env == NULL) {
        return error_hint(error_new(ERROR_USAGE, "no environment was given"),
            "Say which with --env, for example --env staging.");
    }
    *out = (struct deploy_request){
        .app = cli_positional(arguments, 0),
        .env = env,
        .specs = cli_value(arguments, "specs"),
        .config = cli_value(arguments, "config"),
    };
    return NULL;
}

void
deploy_request_limits(const struct cli_arguments *arguments, struct deploy_request *out)
{
    out->on_failure = cli_value(arguments, "on-failure");
    out->on_cancel = cli_value(arguments, "on-cancel");
    out->on_timeout = cli_value(arguments, "on-timeout");
    out->timeout_ms = cli_duration_ms(arguments, "timeout", 0);
}
