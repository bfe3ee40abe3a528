// Manual pages and reference pages, made from the tables. Pure: text into a buffer.
#pragma once

#include "cli_internal.h"

/// roff (man(7) macros) of dispatcher-<command>.1; NULL: of dispatcher.1.
void manual_page(const struct cli_command *command, struct buf *out);
/// docs/cli-reference.md: every command, every option.
void reference_markdown(struct buf *out);
/// docs/errors.md: every exit code and what it says.
void exit_codes_markdown(struct buf *out);
/// The same for `dispatcher help exit-codes`.
void exit_codes_text(struct buf *out);
/// docs/reason-codes.md, and `dispatcher help reason-codes`.
void reasons_markdown(struct buf *out);
void reasons_text(struct buf *out);
