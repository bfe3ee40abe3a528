// Telling people: what a deployment means in a word, what each sink is to hear of it, and the
// courier that brings it there.
//
//     report_outcome.c   how it stands, as a word, a sentence, a colour
//     notices.c          pure: a deployment → its notices, by the routes of the spec
//     notice_*.c         pure: a deployment → the body for one kind of sink (JSON)
//     release_notes.c    pure: commits, pull requests and authors since the deployment before
//     courier.c          outbox → sinks: lanes, rates, rests; knows no vendor
//     courier_*.c        one kind of sink: a notice → calls of its provider (struct sink_ops)
//     courier_thread.c   the courier beside a deployment, in a thread and with handles of its own
//
// Notices are made anew from the deployment at every save: the same state makes the same notices,
// and the outbox drops what it has already. Nothing in here may fail or delay a deployment.
#pragma once

#include "deploy_internal.h"
#include "dispatcher/notify.h"
#include "dispatcher/outbox.h"

// --- report_outcome.c ----------------------------------------------------------------------------

enum report_outcome {
    REPORT_STARTED,
    REPORT_WAITING, // for somebody's approval
    REPORT_DEPLOYED,
    REPORT_ROLLED_BACK,  // asked for by a person: `rollback`
    REPORT_FAILED,       // and nothing was changed
    REPORT_RESTORED,     // failed, what ran before runs again
    REPORT_NOT_RESTORED, // failed, and it does not
    REPORT_UNKNOWN,
    REPORT_TIMED_OUT,   // waiting ended, it still runs
    REPORT_INTERRUPTED, // our process was; `resume` goes on
    REPORT_CANCELLED,
    REPORT_SUPERSEDED,
};
enum { REPORT_OUTCOMES = REPORT_SUPERSEDED + 1 };

enum report_outcome report_outcome_of(const struct deployment *d);
/// The word of specs and events: spec_outcomes[outcome].
const char *report_outcome_word(enum report_outcome outcome);
/// "deployed", "failed, previous version restored", "waiting for approval": after the app's name.
const char *report_outcome_text(enum report_outcome outcome);
/// Is it over, as far as anybody will find out without being asked?
bool report_outcome_is_final(enum report_outcome outcome);
bool report_outcome_is_good(enum report_outcome outcome); // deployed, rolled back
bool report_outcome_is_bad(enum report_outcome outcome);  // failed … unknown, timed out
/// "✅", "❌", …: one character for people.
const char *report_outcome_mark(enum report_outcome outcome);
/// "#2eb67d": of a Slack attachment and a badge.
const char *report_outcome_color(enum report_outcome outcome);
/// Where a reader should look first: the infra run, the CI job, else NULL.
const char *report_link(const struct deployment *d);
/// The step at work, or the last one that was: NULL before the first.
const struct deployment_step *report_current_step(const struct deployment *d);
/// "a1b2c3d4e5f6" for a commit, the version itself otherwise.
const char *report_version(const struct deployment *d, struct arena *arena);

// --- release_notes.c -----------------------------------------------------------------------------

/// The number in "Fix it (#12)" and "Merge pull request #12 from …"; 0: none.
int64_t release_pull_of(const char *subject);
/// Markdown: pull requests and commits with links, then the authors. Nothing when there are no
/// commits. At most about `max` bytes, the newest first.
void release_notes(const struct deployment *d, size_t max, struct buf *out);
/// Each author once, by name, in order of their first commit.
void release_authors(const struct deployment *d, struct arena *arena, struct str_list *out);
/// Where they can be seen; NULL without a repository, or for what is no commit. The second: from
/// the version before to this one.
const char *release_commit_url(const struct deployment *d, const char *sha, struct arena *arena);
const char *release_compare_url(const struct deployment *d, struct arena *arena);

// --- notice_text.c: what bodies are made of ------------------------------------------------------

/// One clean line of at most `max` characters (as JavaScript counts them), cut at a word with "…".
/// NULL stays NULL.
const char *notice_cut(struct arena *arena, const char *text, size_t max);
/// The last lines of a log, clean, at most `max` characters; NULL when there are none.
const char *notice_tail(struct arena *arena, const char *text, size_t max);
/// The first lines of a text of ours, at most `max` characters (100 at least), "…" when there are
/// more.
const char *notice_cut_lines(struct arena *arena, struct str text, size_t max);
/// The same URL when it is http(s), has no user, no blank and nothing that ends a link; else NULL.
const char *notice_url(const char *url);
/// When it came to stand as it does, wall ms, as far as the deployment says.
int64_t notice_time(const struct deployment *d);
/// "Shop → production: deployed".
const char *notice_headline(const struct deployment *d, struct arena *arena);
/// What happened, one sentence: the message, or what is under way. Commits are short in it.
const char *notice_sentence(const struct deployment *d, struct arena *arena, size_t max);
/// Why it ended as it did, without what was tried and how things stand; of a good one, and where
/// that is all there is, the sentence.
const char *notice_reason(const struct deployment *d, struct arena *arena, size_t max);
/// "step 3 of 5: follow, run is in_progress"; NULL before the first step.
const char *notice_progress(const struct deployment *d, struct arena *arena);
/// The title for people, or the name.
const char *notice_title(const struct deployment *d);
/// What the first service was on before; NULL: nothing, or not known.
const char *notice_previous(const struct deployment *d, struct arena *arena);
/// Digest of the first service that has one, or NULL.
const char *notice_digest(const struct deployment *d);
/// How one service's parameter, or one target, stands after a failure: "parameter /x is restored:
/// …". Nothing for what was not taken back.
void notice_standing(const struct deployment *d, struct arena *arena, struct str_list *out);

// --- notice_*.c: bodies --------------------------------------------------------------------------
// All are JSON objects, new, owned by the caller. `arena` for scratch.

// notice_slack.c, notice_slack_thread.c
struct json *notice_slack_card(
    const struct deployment *d, const struct deployment_sink *sink, struct arena *arena);
/// The answer in the card's thread once it is over: details, or the tail of the failure, which the
/// channel sees as well (`reply_broadcast`). NULL as long as it is not over. The id in its metadata
/// is "<deployment>/<outcome>".
struct json *notice_slack_thread(
    const struct deployment *d, const struct deployment_sink *sink, struct arena *arena);
/// For an incoming webhook, which cannot be updated: the least.
struct json *notice_slack_single(
    const struct deployment *d, const struct deployment_sink *sink, struct arena *arena);
/// For a message whose blocks were refused: the text alone.
struct json *notice_slack_plain(const struct json *body);
#define NOTICE_SLACK_EVENT "dispatcher_deployment" // event_type of a message's metadata

// notice_pagerduty.c
struct json *notice_pagerduty_change(const struct deployment *d, struct arena *arena);
struct json *notice_pagerduty_trigger(const struct deployment *d, struct arena *arena);
struct json *notice_pagerduty_resolve(const struct deployment *d, struct arena *arena);

// notice_webhook.c: a CloudEvent. Its id is "<deployment>/<outcome>".
struct json *notice_webhook_event(const struct deployment *d, struct arena *arena);

// notice_github.c, notice_github_comment.c: what courier_github.c sends. All are NULL for what is
// no commit of a repository.
bool notice_is_of_commit(const struct deployment *d);
/// {"ref","task","environment","description","app","payload_id","is_production","state":{…}}
struct json *notice_github_deployment(const struct deployment *d, struct arena *arena);
/// {"sha","state","context","description","target_url"}
struct json *notice_github_status(const struct deployment *d, struct arena *arena);
/// The request's body: name, head_sha, external_id, status, conclusion, output with annotations
struct json *notice_github_check(const struct deployment *d, struct arena *arena);
/// {"sha","mark","body"}
struct json *notice_github_comment(const struct deployment *d, struct arena *arena);

// --- notices.c -----------------------------------------------------------------------------------

struct notices {
    struct store_notice *items;
    size_t count;
};
/// What all sinks of the deployment are to have been told by now.
void notices_of(const struct deployment *d, struct arena *arena, struct notices *out);
/// For one sink, whatever its routes say: `notify` by hand and `--test`.
void notices_for(const struct deployment *d, const struct deployment_sink *sink,
    struct arena *arena, struct notices *out);

// sample.c
/// Fills a deployment that was stated by hand with what a real one would have.
void sample_fill(struct deployment *d, enum report_outcome outcome, struct arena *arena);

// --- the courier ---------------------------------------------------------------------------------

// What a delivery is made with.
struct delivery {
    struct deploy_context *context; // the courier's own
    const struct store_outbox_row *row;
    const struct deployment *target;    // empty but for what secrets and clients are opened with
    const struct deployment_sink *sink; // its only one
    struct arena *arena;
};
struct delivered {
    struct notify_result result;
    const char *reference; // JSON, NULL: as it was
    int64_t cost;          // requests that count against the lane's rate
    bool looked;           // row->began: the sink was asked, and no earlier attempt is there
};
// The rates of a lane: a burst, then one each `every_ms`.
struct lane_rate {
    int64_t every_ms, burst;
};
struct sink_ops {
    const char *kind;                       // of notices: "slack-card"
    struct lane_rate short_rate, long_rate; // long_rate.every_ms 0: none
    /// `row->began`: asks the sink first whether an earlier attempt arrived.
    void (*deliver)(const struct delivery *delivery, struct delivered *out);
};
extern const struct sink_ops sink_slack_card, sink_slack_thread, sink_slack_single;
extern const struct sink_ops sink_pagerduty_change, sink_pagerduty_alert;
extern const struct sink_ops sink_webhook_event;
extern const struct sink_ops sink_github_deployment, sink_github_status, sink_github_check;
extern const struct sink_ops sink_github_comment;
const struct sink_ops *sink_ops_find(const char *kind);

// courier_access.c
/// Drops clients and secrets: the next delivery opens and reads them anew.
void courier_forget(struct deploy_context *context);
/// The same, unless `target` is in the place that they were opened for.
void courier_scope(struct deploy_context *context, const struct deployment *target);
/// BLOCKED, or LATER for what passes; takes `err`.
void courier_blocked(const struct delivery *delivery, struct error *err, struct delivered *out);
/// False: it cannot be read, and `out` says why.
bool courier_secret(const struct delivery *delivery, const char *reference, struct secret **secret,
    struct delivered *out);
/// A text, a number of a reference or body (JSON, may be NULL).
const char *courier_member(const struct delivery *delivery, const char *json, const char *name);
int64_t courier_number(const char *json, const char *name);

/// Delivers what is due now, at most one notice a lane; *next_ms: wall time of what is due next,
/// INT64_MAX for nothing. Errors: storage only.
NODISCARD struct error *courier_round(struct deploy_context *context, int64_t *next_ms);
