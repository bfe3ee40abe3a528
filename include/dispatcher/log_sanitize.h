// Remote log lines made harmless for the log of our own job (protocols.md T40, D11).
//
// After leading blanks `::` becomes `: :`; `##[` becomes `## [` anywhere; CR, U+2028, U+2029 and
// NEL end a line; escapes, controls and code points without weight go; lines are cut at 8 KiB.
// Timestamps of GitHub's logs are taken off. Pure.
#pragma once

#include "dispatcher/buf.h"

void log_sanitize(struct str text, struct buf *out);
/// One line, without its end.
void log_sanitize_line(struct str line, struct buf *out);
/// The same as log_sanitize for lines that are not GitHub's: a timestamp in front is the program's
/// own and stays. The last line has no end.
void log_sanitize_text(struct str text, struct buf *out);
