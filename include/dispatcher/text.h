// Foreign text made fit for a line of ours (protocols.md T41).
//
// Terminal escapes, C0/C1 controls and BiDi controls never pass. Workflow commands in job logs are
// github/log_sanitize's job. Pure but for the table of masks.
#pragma once

#include "dispatcher/buf.h"

/// Appends `text` as one line: escapes removed, line ends and tabs to spaces, bad UTF-8 to U+FFFD,
/// cut at `max` bytes with "…". What is cut is masked before (secret.h).
void text_clean(struct str text, size_t max, struct buf *out);
/// Columns that `text` (clean UTF-8) takes on a terminal.
size_t text_width(struct str text);
