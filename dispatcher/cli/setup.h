// What the environment says about how to run: streams, proxy, log level. Reads, changes nothing.
#pragma once

#include "cli_internal.h"

/// Fills everything but the log and the cancel flag.
void cli_setup(struct cli *cli, const struct environment *env);
/// Columns of the terminal behind `fd`, 80 when unknown, 20 at least.
int cli_terminal_width(int fd);
/// The level that DISPATCHER_LOG asks for, or RUNNER_DEBUG=1; LOG_WARN without either. ERROR_USAGE
/// for a word that is no level (*level is LOG_WARN then).
NODISCARD struct error *cli_log_level(const struct environment *env, enum log_level *level);
