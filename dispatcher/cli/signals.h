// SIGINT and SIGTERM. The first raises the cancel flag, and the command winds up in order. The
// second raises it again, for a command that has lowered it to tidy up: it then only journals. The
// third ends the process at once with 128 + signal; the journal makes that safe.
#pragma once

struct cancel;

/// Installs the handlers. `cancel` must live until signals_stop.
void signals_start(struct cancel *cancel);
void signals_stop(void);
/// While the cursor is hidden, the third signal shows it again before it ends the process.
/// `fd` is the terminal; -1: the cursor is visible.
void signals_cursor_hidden(int fd);
/// From now on SIGHUP ends nothing but is counted there (sig_atomic_t's rules), until signals_stop.
const int *signals_reloads(void);
