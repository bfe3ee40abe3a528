// Shared inside web/: writing HTML (html.c), what all pages look like (layout.c), and the parts
// that several of them have (parts.c).
#pragma once

#include "dispatcher/web.h"

// --- html.c --------------------------------------------------------------------------------------

/// Markup from `format`; every `%s` is foreign text and escaped (NULL: nothing), `%d`, `%zu` and
/// "%" PRId64 are numbers, `%%` is one. Nothing else. The only way into `out` for what is not ours.
void html_add(struct buf *out, const char *format, ...) PRINTF_LIKE(2, 3);
/// Escapes for text and for values between quotes; bad UTF-8 and control characters become U+FFFD.
void html_text(struct buf *out, const char *text);
/// ` name="path"` of this site; every `%s` is one segment or value and percent-encoded, `%d` and
/// "%" PRId64 as they are.
void html_path(struct buf *out, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
/// ` name="url"` when `url` is https or a path of ours, else nothing and false.
bool html_url(struct buf *out, const char *name, const char *url);
/// A link to foreign `url` around `text`; the text alone when it may not be a link.
void html_link(struct buf *out, const char *url, const char *text);
/// May it be one? For words that say nothing without their link.
bool html_is_link(const char *url);

// --- parts.c -------------------------------------------------------------------------------------

enum {
    PART_VERSION_DIGITS = 9, // of a commit as version
    PART_SHORT_DIGITS = 7,   // of one in the matrix
};
/// A version or commit as people read it: the first digits of a SHA, else all of it (cut).
void part_version(struct buf *out, const char *version);
/// The same without markup, and without the whole of a SHA on hover, where there are thousands.
void part_version_short(struct buf *out, const char *version);
/// "3m", "2h", "5d", "7w": how long ago, as <time> with the absolute time on hover.
void part_age(struct buf *out, int64_t at_ms, int64_t now_ms);
/// The same to the minute, where there are thousands.
void part_age_short(struct buf *out, int64_t at_ms, int64_t now_ms);
/// The absolute time for people, as <time>: "21 Nov 2026, 07:48 UTC".
void part_time(struct buf *out, int64_t at_ms);
void part_time_text(int64_t at_ms, char out[32]);
/// "2m 3s" of a duration, "–" for less than nothing.
void part_duration(struct buf *out, int64_t ms);
/// An icon and a word; both say the same. `kind` is one of the classes of assets/web.css.
void part_badge(struct buf *out, const char *kind, const char *word);
/// Class and word of how a job stands.
const char *part_job_kind(const struct queue_job *job);
const char *part_job_word(const struct queue_job *job);
/// The beginning of a form that posts to an own path (format as html_path's), with the CSRF field.
void part_form(struct buf *out, const struct web_frame *frame, const char *path);
/// What cannot be done: a disabled button with its reason beside it.
void part_refused(struct buf *out, const char *label, const struct web_action *action);
/// A command to copy.
void part_command(struct buf *out, const char *command);
/// "organisation", "environment production", "app shop in production".
void part_lock_scope(struct buf *out, const struct queue_lock *lock);
/// One sentence of the lock: level, reason, owner, since, until, what then.
void part_lock_sentence(struct buf *out, const struct queue_lock *lock, int64_t now_ms);
const char *part_lock_kind(const struct queue_lock *lock);
/// A list of commits with authors, at most `max` of them.
void part_commits(
    struct buf *out, const struct object_list *commits, const char *repository_url, size_t max);
void part_person(struct buf *out, const char *login);
/// Who can change what the job waits for or ended by: "Can be approved by <b>devops</b>".
void part_who(struct buf *out, const struct queue_job *job);

// --- layout.c ------------------------------------------------------------------------------------

/// Everything before and after the content of <main>.
void layout_begin(struct buf *out, const struct web_frame *frame);
void layout_end(struct buf *out, const struct web_frame *frame);

// --- actions.c: forms for what a reader may do, or why not ---------------------------------------

void action_cancel(struct buf *out, const struct web_frame *frame, const struct queue_job *job,
    const struct web_action *action);
void action_hurry(struct buf *out, const struct web_frame *frame, const struct queue_job *job,
    const struct web_action *action);
/// `diff` is what the page shows: the approval holds for it alone.
void action_approve(struct buf *out, const struct web_frame *frame, const struct queue_job *job,
    const char *diff, const struct web_action *action);
struct action_place {
    const char *app, *env, *label;
    bool locks; // roll_back: the environment, then
};
void action_roll_back(struct buf *out, const struct web_frame *frame,
    const struct action_place *place, const struct web_good *good, size_t good_count,
    const struct web_action *action);
void action_promote(struct buf *out, const struct web_frame *frame, const struct action_place *from,
    const char *to, const char *version, const struct web_action *action);
void action_deploy(struct buf *out, const struct web_frame *frame, const struct action_place *place,
    const char *version, const struct web_action *action);

// --- commands.c: what the command line would do --------------------------------------------------

/// A command whose `%s` are one word of a shell each, quoted where need be.
void command_put(struct buf *out, const char *format, ...) PRINTF_LIKE(2, 3);
