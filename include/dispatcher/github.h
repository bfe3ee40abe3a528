// GitHub's REST API, as much of it as a deployment needs (facts/github-notify-credentials.md §1).
//
// A client speaks to one API host with one way of authenticating: a token, or an App whose
// installation token is minted for one repository with what the client's purpose needs: to
// dispatch, `actions: write` and, where the installation grants them, `contents: read` and `checks:
// read`; to report, `deployments`, `statuses`, `checks` and `pull_requests: write`, each where it
// is granted; to read specs or runs, that alone. It is renewed at 50 minutes or 80 % of its life
// and once on 401. It asks for API version 2026-03-10 and steps down to 2022-11-28 when the server
// refuses it. Every request counts itself. One thread.
//
// Reads, minting and cancelling repeat what is transient (reset, timeout, 408, 5xx) and wait out
// limits (Retry-After, x-ratelimit-reset, else a minute and doubling) until the deadline that was
// set, or for a minute when none was. Then: 401, 403 → ERROR_CREDENTIALS · 404 → a value where the
// header says so, else ERROR_REFUSED · other 4xx → ERROR_REFUSED with GitHub's words · the rest
// ERROR_UNAVAILABLE. What creates something is tried once: only refusals that create nothing (401,
// an unknown version, a limit) are answered by trying again. A renamed repository is followed.
// Strings are as GitHub sent them: text_clean what is shown.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/http.h"
#include "dispatcher/json.h"
#include "dispatcher/jwt.h"

enum github_purpose {
    GITHUB_FOR_DISPATCH,
    GITHUB_FOR_REPORTS, // github_reports.h
    GITHUB_FOR_SPECS,   // `contents: read` and nothing else: git over HTTPS, github_compare
    GITHUB_FOR_RUNS,    // `actions: read` and nothing else: looking at runs
    GITHUB_FOR_MEMBERS, // `members: read` and nothing else: who is in which team
};

struct github_options {
    const char *api;        // "https://api.github.com" or a GHES base with /api/v3
    const char *repository; // "owner/repo" that all calls are about
    struct secret *token;   // either this,
    const char *app_id;     // or an App:
    struct secret *app_key; // PEM
    enum github_purpose purpose;
};

struct github_client;

NODISCARD struct error *github_client_new(const struct platform *platform, struct http_client *http,
    const struct github_options *options, struct github_client **out);
void github_client_free(struct github_client *client);
void github_client_freep(struct github_client **client);

struct github_counters {
    int64_t sent;    // requests on the wire
    int64_t counted; // those that cost quota: everything but 304
};
struct github_counters github_client_counters(const struct github_client *client);
/// Until when calls may keep trying (absolute mono time); 0: a minute each. A call that would have
/// to wait longer fails at once with ERROR_UNAVAILABLE, so "now" makes every call a single try.
void github_client_set_deadline(struct github_client *client, int64_t deadline_mono_ms);
/// Mono time before which GitHub asked not to be called; 0 or past: free to call.
int64_t github_client_not_before(const struct github_client *client);
/// Our best knowledge of GitHub's clock (wall ms): the last Date header and the time since; our own
/// clock while no answer has come.
int64_t github_server_now(const struct github_client *client);
/// Drops what conditional requests remember, so that the next reads bring whole answers.
void github_client_forget(struct github_client *client);
/// owner/repo that calls are about; another one than was given once GitHub said that it moved.
const char *github_client_repository(const struct github_client *client);
/// Current installation or plain token (minted when due); for git over HTTPS.
NODISCARD struct error *github_client_token(struct github_client *client, struct secret **out);

// --- the repository ------------------------------------------------------------------------------

struct github_repository {
    const char *name; // owner/repo, as GitHub has it today
    int64_t id, owner_id;
};
/// *out NULL when it is not there, or not for these credentials.
NODISCARD struct error *github_repository_read(
    struct github_client *client, struct arena *arena, struct github_repository **out);

// --- workflows -------------------------------------------------------------------------------

struct github_input {
    const char *name, *type; // type: string | choice | boolean | number | environment
    bool required;
    const char *fallback;    // `default:`, or NULL
    struct str_list options; // of a choice
};
struct github_workflow {
    const char *file;  // exact file name
    bool dispatchable; // declares workflow_dispatch
    struct github_input *inputs;
    size_t input_count;
    const char *run_name; // `run-name:` template, or NULL
};
/// Reads .github/workflows/<file> at `ref` through the contents API (one request) and takes its
/// `on.workflow_dispatch` apart. *out NULL when the file (or the repository) is not there.
NODISCARD struct error *github_workflow_read(struct github_client *client, const char *file,
    const char *ref, struct arena *arena, struct github_workflow **out);
/// The same from a text, for tests and `doctor`.
NODISCARD struct error *github_workflow_parse(
    const char *file, struct str text, struct arena *arena, struct github_workflow **out);
/// `state` of the workflow ("active", "disabled_manually"); NULL when it is not there.
NODISCARD struct error *github_workflow_state(
    struct github_client *client, const char *file, struct arena *arena, const char **state);

// --- dispatch (protocols.md §3.6, dispatch-peers.md §4) -----------------------------------------

enum github_dispatch_class {
    GITHUB_SENT_KNOWN, // run id known
    GITHUB_SENT_ANON,  // accepted, no identity: reconcile
    GITHUB_NOT_SENT,   // no byte left this machine, after 3 tries; `error` says why
    GITHUB_REJECTED,   // definite refusal; `error` holds GitHub's words
    GITHUB_LIMITED,    // refused by a rate limit: wait until `not_before_ms`, reconcile, and only
                       // if no run is found call github_dispatch_send again with the same inputs
    GITHUB_AMBIGUOUS,  // may have taken effect: reconcile, never send again; `error` says why
};
struct github_dispatch {
    const char *file, *ref;
    struct pair_list inputs;
};
struct github_dispatch_result {
    enum github_dispatch_class class;
    int64_t run_id;        // KNOWN
    const char *html_url;  // KNOWN
    int64_t sent_at_ms;    // server's clock just before (Date of an earlier answer), wall ms
    int64_t not_before_ms; // LIMITED: mono time
    struct error *error;   // owned by the caller
    int posts;             // POSTs on the wire; > 1 only after refusals that create nothing
};
/// Waits and asks for whatever the next github_dispatch_send would wait and ask for before its
/// POST: GitHub's clock, a token, the second between two changes. For a caller that writes down
/// that it is about to send: whoever dies between that and the POST leaves doubt.
NODISCARD struct error *github_dispatch_ready(struct github_client *client);
/// Steps down 2026-03-10 → 2022-11-28 + return_run_details → plain, each only after a refusal that
/// comes before a run exists (and remembers for the next one). A 401 renews an App's token once: it
/// is a definite refusal, so sending again is safe. `once` is set on every POST, and each has 30 s
/// for its answer, whatever the deadline; past the deadline nothing is sent (NOT_SENT). Nor is it
/// while GitHub wants to be left alone (LIMITED with posts 0). Without any earlier Date it reads
/// /rate_limit (free) first, so that sent_at_ms is GitHub's clock. Never fails itself: the class
/// tells; AMBIGUOUS errors are ERROR_UNKNOWN.
void github_dispatch_send(struct github_client *client, const struct github_dispatch *dispatch,
    struct arena *arena, struct github_dispatch_result *out);

// --- runs --------------------------------------------------------------------------------------

struct github_run {
    int64_t id, run_attempt;
    const char *status, *conclusion; // conclusion NULL until completed
    const char *html_url, *display_title, *path, *head_branch, *event, *actor, *head_sha;
    int64_t created_ms, started_ms, updated_ms;
};
bool github_run_is_complete(const struct github_run *run);

/// Conditional GET: *changed false (and *out untouched) on 304; *out NULL, *changed true on 404.
NODISCARD struct error *github_run_get(struct github_client *client, int64_t id,
    struct arena *arena, struct github_run **out, bool *changed);
/// Every workflow_dispatch run of `file` created at or after `since_ms`, all pages. A page that
/// cannot be read fails the whole listing.
NODISCARD struct error *github_runs_list(struct github_client *client, const char *file,
    int64_t since_ms, struct arena *arena, struct github_run **out, size_t *count);
NODISCARD struct error *github_run_cancel(struct github_client *client, int64_t id);

struct github_step {
    const char *name, *status, *conclusion;
    int64_t number, started_ms, completed_ms;
};
struct github_job {
    int64_t id;
    const char *name, *status, *conclusion, *html_url;
    int64_t check_run_id; // 0 when unknown
    int64_t started_ms, completed_ms;
    struct github_step *steps;
    size_t step_count;
};
/// Jobs of the latest attempt. Conditional like github_run_get.
NODISCARD struct error *github_jobs_list(struct github_client *client, int64_t run_id,
    struct arena *arena, struct github_job **out, size_t *count, bool *changed);

struct github_annotation {
    const char *path, *level, *title, *message;
    int64_t line;
};
/// Best effort: count 0 when the token may not read checks.
NODISCARD struct error *github_annotations(struct github_client *client, int64_t check_run_id,
    struct arena *arena, struct github_annotation **out, size_t *count);
struct github_log_part {
    int64_t started_ms, completed_ms; // only lines stamped within these seconds; 0: any line
    size_t lines;                     // the last so many, at most 2,000
};
/// The end of a job's log, following the one redirect without credentials. When no line is stamped
/// within the times, the log's last lines. Only what is to be returned is ever in memory. Text as
/// GitHub sent it: show it through log_sanitize. *out NULL when there is no log (404, or 410 when
/// it expired).
NODISCARD struct error *github_job_log_tail(struct github_client *client, int64_t job_id,
    const struct github_log_part *part, struct arena *arena, const char **out);

// --- history -------------------------------------------------------------------------------------

// How head stands to base.
enum github_relation { GITHUB_IDENTICAL, GITHUB_AHEAD, GITHUB_BEHIND, GITHUB_DIVERGED };
struct github_commit {
    const char *sha;
    const char *author; // login where GitHub knows one, else the name in the commit; or NULL
    const char *email;
    const char *subject; // first line of the message
    int64_t time_ms;     // of the author; 0: not said
};
struct github_comparison {
    enum github_relation relation;
    int64_t ahead_by, behind_by;
    struct github_commit *commits; // of head that base does not have, newest first
    size_t count;                  // at most as many as were asked for
    bool complete;                 // those are all
};
/// `base` and `head`: commits, branches or tags. `commits_max` 0: only how they stand, in one small
/// answer; else in one to three. *out NULL when the repository does not show one of them.
NODISCARD struct error *github_compare(struct github_client *client, const char *base,
    const char *head, size_t commits_max, struct arena *arena, struct github_comparison **out);

/// For `doctor`: permissions of the installation token, quota left, server's Date.
struct github_self {
    const char *kind;  // "app" | "token"
    const char *login; // app slug or user, when it can be read
    struct pair_list permissions;
    int64_t quota_limit, quota_remaining, quota_reset_ms;
    int64_t server_time_ms;
};
NODISCARD struct error *github_self(
    struct github_client *client, struct arena *arena, struct github_self *out);

// --- people (members.c) --------------------------------------------------------------------------

/// Is the login an active member of the organisation's team? False, too, when there is no such
/// team.
NODISCARD struct error *github_team_has(struct github_client *client, const char *organization,
    const char *team, const char *login, bool *out);
/// Is the login an active member of the organisation?
NODISCARD struct error *github_organization_has(
    struct github_client *client, const char *organization, const char *login, bool *out);
/// The number of a login; 0 when there is nobody of that name.
NODISCARD struct error *github_user_id(
    struct github_client *client, const char *login, int64_t *out);
