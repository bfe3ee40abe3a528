// Writing to the outside: the two streams behind cli_out and cli_err, and the masks for the runner.
#pragma once

#include "cli_internal.h"

/// In Actions, tells the runner each secret as it becomes known, before anything can print it. The
/// lines go to standard output, or to stderr when standard output is data (`data`, or a file): the
/// runner reads both.
void cli_mask_start(struct cli *cli, bool data);
void cli_mask_stop(void);
/// One secret as `::add-mask::` lines: one for each of its lines, % and CR escaped.
void cli_mask_lines(struct str secret, struct buf *out);
