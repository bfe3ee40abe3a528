// The pages that people look at: structs in, HTML out. Pure: nothing here reads a store, a clock or
// a network, and nothing decides; who fills the structs (service/page_*.c) has done so.
//
//     struct web_queue queue = {…};
//     web_queue_page(&frame, &queue, &out);
//
// Every text is foreign: it is escaped where it is written, by one function, and an address becomes
// a link only when it is `https:` or one of our own paths. No page holds a script or a style of its
// own (web_content_policy). All pages work without JavaScript: what can be done is a form that
// posts to the actions of docs/service.md with the session's CSRF field.
//
// Pointers are borrowed for the call. NULL strings are "not known" and leave out what they would
// say. Times are wall milliseconds, 0: not known. `out` is capped by whoever made it. Thread-safe.
#pragma once

#include "dispatcher/audit.h"
#include "dispatcher/deployment.h"
#include "dispatcher/queue.h"
#include "dispatcher/queue_drift.h"

// --- what all pages share ------------------------------------------------------------------------

// A lock, and whether this reader may lift it.
struct web_lock {
    const struct queue_lock *lock;
    const char *why_not; // NULL: may; else who can, as a sentence
};

// How things stand, at a glance: favicon and title.
enum web_state {
    WEB_STATE_GOOD,
    WEB_STATE_RUNNING,
    WEB_STATE_WAITING,
    WEB_STATE_FAILED,
};

struct web_frame {
    const char *title; // of the page: "Queue"
    const char *path;  // of this request with its query, where sign-in and theme come back to
    const char *login; // NULL: nobody is signed in, and no form is shown
    const char *csrf;  // of the session
    const char *once;  // of this page: a form that begins something is taken once
    const char *theme; // light | dark; NULL: as the browser prefers
    const char *flash; // what became of the form before; NULL
    bool flash_refused;
    enum web_state state;
    const char *url;                // of the service, for commands to copy
    const char *stream;             // own path of server-sent events that tell of changes, or NULL
    const struct web_lock *banners; // locks of the organisation and of environments that hold now
    size_t banner_count;
    int64_t queued, running; // in all, for the navigation; -1: not known
    int64_t now_ms;
    bool bare; // TV: neither navigation nor controls
};

/// Value of Content-Security-Policy for every page.
extern const char web_content_policy[];

// Something a reader might do here. Not shown when `possible` is false and no reason is given.
struct web_action {
    bool possible;
    const char *why_not; // why it cannot be done, and who could, as a sentence
};

// --- `/`: what runs where ------------------------------------------------------------------------

struct web_cell {
    const char *version;    // NULL: nothing was deployed there
    const char *deployment; // id of what put it there, or NULL
    const char *actor;
    int64_t since_ms;
    const char *running; // id of the one that runs
    const char *running_version;
    int64_t running_percent; // of its usual duration; -1: not known
    int64_t queued;
    const char *waits;      // sentence: what the first queued one waits for
    const char *failed;     // id of the last one when it ended badly
    const char *failed_how; // "failed", "unknown", "failed, previous restored"
    int64_t failed_ms;
    const struct queue_lock *lock; // the strictest of this app or target alone
    const char *drift;             // sentence: what is recorded and what was seen differ
    const char *drift_unknown;     // sentence: why nobody can say
    int64_t behind;                // the column before
    bool behind_releases;          // `behind` counts deployments, since commits are not known
};
struct web_row {
    const char *app, *title, *program;
    const struct web_cell *cells; // one an environment
};
struct web_matrix {
    const struct str_list *environments;    // in promotion order
    const struct queue_lock **column_locks; // one an environment, NULL where there is none
    const struct web_row *rows;             // that passed the filter, sorted by program
    size_t count, total;                    // total: of all apps
    int64_t failing, behind, locked, mine;  // how many apps each filter would show
    const char *q;                          // filters as they were asked for
    bool only_failing, only_behind, only_locked, only_mine, only_drift;
    int64_t at_ms;                        // time travel; 0: now
    const struct queue_lock *const *then; // time travel: locks of the organisation that held
    size_t then_count;
    int64_t drift;           // how many apps have drift
    int64_t drift_unknown;   // of how many cells nobody can say
    int64_t drift_looked_ms; // when something was looked at last; 0: never, or nobody looks
    bool tv;
};
void web_matrix_page(
    const struct web_frame *frame, const struct web_matrix *matrix, struct buf *out);

// --- `/deployments/{id}` -------------------------------------------------------------------------

struct web_deployment {
    const struct queue_job *job;         // NULL: made without the service
    const struct deployment *deployment; // NULL: it has not begun
    const struct queue_approval *approvals;
    size_t approval_count;
    int64_t approvals_needed;
    int64_t position, eta_ms, usual_ms; // 0: not known
    const char *behind_id;              // the one that runs before it
    int64_t behind_number;
    const char *from; // version that is left
    const char *diff; // "base..head", what an approval is bound to
    const char *compare_url;
    const char *rule, *spec_commit, *spec_url;
    const char *on_release;          // sentence
    struct str_list warnings;
    const struct audit_entry *audit; // of this deployment, oldest first
    size_t audit_count;
    struct web_action cancel, approve, hurry, roll_back, retry;
    bool rollback_locks; // a rollback locks the environment
};
void web_deployment_page(
    const struct web_frame *frame, const struct web_deployment *shown, struct buf *out);

// --- `/queue` ------------------------------------------------------------------------------------

struct web_waiting {
    const struct queue_job *job;
    int64_t position, eta_ms;
    int64_t percent;        // running: of the usual duration; -1: not known
    const char *on_release; // sentence
    int64_t approvals_needed, approvals_given;
    const char *diff; // "base..head", what an approval is bound to
    struct web_action cancel, hurry, approve;
};
struct web_lane {
    const char *app, *env;
    const struct web_waiting *items; // the running one first, then in order
    size_t count;
    int64_t usual_ms;
};
struct web_queue {
    const struct web_lane *lanes;
    size_t count;
    int64_t left_out; // lanes that are not shown
};
void web_queue_page(const struct web_frame *frame, const struct web_queue *queue, struct buf *out);

// --- `/apps/{app}` -------------------------------------------------------------------------------

// One sentence in plain words, and where the spec says so.
struct web_rule {
    const char *text;
    const char *place; // "appspecs/payments.yaml:14"
    const char *url;
};
struct web_good { // a version that an environment can go back to
    const char *version;
    int64_t since_ms;
    bool current;
};
// How what is there stands to what was deployed.
struct web_drift {
    bool on;                             // else nobody looks
    const struct queue_drift_lane *lane; // NULL: not looked at since the deployment
    const struct queue_drift *items;     // what differs
    size_t count;
};
struct web_app_column {
    const char *env;
    struct web_cell cell;
    struct web_drift drift;
    int64_t usual_ms;
    const struct web_rule *rules;
    size_t rule_count;
    const struct web_good *good; // newest first
    size_t good_count;
    struct web_action roll_back;
    bool rollback_locks; // a rollback locks the environment
    // To the next environment:
    const char *next;                  // NULL: this is the last
    const struct object_list *commits; // struct deployment_commit, in between; NULL: not known
    const char *compare_url;
    struct web_action promote;
};
struct web_past { // a row of the history
    const struct queue_job *job;
    const char *rollback_of; // version that was left, of a rollback
    const char *because;
    int64_t took_ms;
};
// The four keys of DORA; what is not known is -1.
struct web_keys {
    int64_t days;
    int64_t deployments;
    int64_t per_week_tenths; // deployments a week, times ten
    int64_t lead_ms;         // median
    bool lead_from_commit;   // else from when it was accepted
    int64_t failed, ended;   // change failure rate
    int64_t restore_ms;      // median
};
struct web_app {
    const char *app, *title, *program, *repository, *repository_url;
    const char *spec_url, *spec_commit;
    const char *problem; // the spec cannot be used: why
    const struct web_app_column *columns;
    size_t count;
    const char *env; // that the reader came for, or NULL
    const struct web_past *past;
    size_t past_count;
    const char *next; // own path of the older ones, or NULL
    const struct web_lock *locks;
    size_t lock_count;
    struct web_keys keys[2];
};
void web_app_page(const struct web_frame *frame, const struct web_app *app, struct buf *out);

// --- `/audit` ------------------------------------------------------------------------------------

struct web_audit {
    const struct audit_entry *entries; // newest first
    size_t count;
    struct audit_filter filter; // as it was asked for
    const char *view;          // of the saved ones: bypasses | denials | locks | approvals, or NULL
    const char *since, *until; // as they were typed
    const struct audit_verdict *verdict; // NULL: not looked at now
    int64_t next;                        // `before` of the older ones; 0: these were the last
};
void web_audit_page(const struct web_frame *frame, const struct web_audit *audit, struct buf *out);

// --- `/locks` ------------------------------------------------------------------------------------

struct web_locks {
    const struct web_lock *locks; // that hold or will
    size_t count;
    const struct web_lock *past;
    size_t past_count;
    const struct str_list *apps, *environments, *programs; // to choose from
    const char *app, *env;                                 // chosen before
    struct web_action add;
};
void web_locks_page(const struct web_frame *frame, const struct web_locks *locks, struct buf *out);

// --- `/sign-in`, errors --------------------------------------------------------------------------

struct web_sign_in {
    bool github;         // GitHub's OAuth is set up
    const char *proxy;   // header of the proxy that signs people in, or NULL
    const char *problem; // why the last try failed, or NULL
    const char *next;    // own path to go to then
    const char *organization;
};
void web_sign_in_page(
    const struct web_frame *frame, const struct web_sign_in *sign_in, struct buf *out);

struct web_problem {
    int status;
    const char *sentence, *hint, *who, *code, *request_id;
};
void web_problem_page(
    const struct web_frame *frame, const struct web_problem *problem, struct buf *out);

// --- badges, assets, compression -----------------------------------------------------------------

/// An SVG of "production | v1.2.3" in the colour of `state`.
void web_badge(const char *label, const char *text, enum web_state state, struct buf *out);

struct web_asset {
    const char *name; // "web.css"
    const char *path; // "/assets/web.0123456789abcdef.css": the content's hash
    const char *type; // Content-Type
    const unsigned char *bytes;
    size_t len;
};
/// By path; NULL when there is none. Answers may be kept for ever ("immutable").
const struct web_asset *web_asset_at(const char *path);
/// By name; one of dispatcher/web/assets, else it is a bug.
const struct web_asset *web_asset_named(const char *name);

/// `text` as one gzip member (RFC 1952). False when `out` cannot take it; it is as before then.
bool web_gzip(struct str text, struct buf *out);
/// Does an Accept-Encoding value take gzip (RFC 9110 §12.5.3)? NULL: no.
bool web_takes_gzip(const char *accept_encoding);

/// Is it a path of this site: "/x", no other host ("//x", "/\x"), no control characters?
bool web_is_own_path(const char *text);
