// What the renderings of a result say alike, as plain text: each cleans or escapes it in its own
// way.
#pragma once

#include "deploy_internal.h"

enum { REPORT_TARGETS_MAX = 8 }; // of those that went well; the others are all told

/// "service 'shop' of cluster 'blue', shop:42".
void report_target_place(const struct deployment_target *target, struct buf *out);
/// How it ended, in one sentence, and what became of it since.
void report_target_state(const struct deployment_target *target, struct buf *out);
/// Is there anything to say? What an infra workflow moved is not ours, unless we looked.
bool report_target_is_told(const struct deployment *d, const struct deployment_target *target);
/// Did it end as asked?
bool report_target_is_good(const struct deployment_target *target);
/// "exit code 0, 12s"; nothing when there was no migration.
void report_migration(const struct deployment *d, struct buf *out);
/// "passed: HTTP 200 (3 attempts)".
void report_check(const struct deployment_check *check, struct buf *out);
/// The message of a workflow command (`::error::`), escaped.
void report_command_text(const char *text, struct buf *out);
/// The command that goes back, where there is something to go back to; else nothing.
void report_way_back(const struct deployment *d, struct buf *out);

// --- report_markdown.c: foreign text in Markdown -------------------------------------------------

/// Cleaned as one line (text.h) and escaped: neither markup, HTML nor a mention. At most `max`
/// characters before escaping.
void report_markdown_escape(const char *text, size_t max, struct buf *out);
/// The target of a link.
void report_markdown_url(const char *url, struct buf *out);
/// The first `shown` digits of a commit, as a link where the repository is known.
void report_markdown_commit(
    const struct deployment *d, const char *sha, int shown, struct buf *out);
/// A version, a digest, or what a parameter says: as code where it is a tag or a digest; NULL:
/// "nothing".
void report_markdown_value(const char *text, struct buf *out);
