// What the pages of the service share: the frame around a page of web/, how it is sent, and what
// several of them read. Each page_*.c reads the store and the specs and fills the structs of web.h.
#pragma once

#include "api_internal.h"
#include "dispatcher/web.h"

enum {
    PAGE_MAX = 6 * 1024 * 1024,
    PAGE_BODY_MAX = 16 * 1024, // of a form
    PAGE_COMMITS_MAX = 200,
};

// --- page.c --------------------------------------------------------------------------------------

struct page {
    struct request *request;
    const struct spec_set *set;     // held; NULL: specs cannot be read
    const char *why;                // they cannot
    const struct queue_lock *locks; // that hold now or will
    size_t lock_count;
    struct web_frame frame;
};
/// The frame for who asks, with banners and counts. `title` lives as long as the request.
NODISCARD struct error *page_begin(struct request *request, const char *title, struct page *out);
void page_done(struct page *page);
/// Sends what `html` holds: packed when the browser takes that, with the pages' own policy.
void page_send(
    struct request *request, struct response *response, const struct page *page, struct buf *html);
void page_not_found(struct request *request, struct response *response, const char *sentence);

/// Does the lock hold at `at_ms`?
bool page_lock_holds(const struct queue_lock *lock, int64_t at_ms);
/// Does it touch (app, env)? `program` of the app, may be NULL.
bool page_lock_touches(
    const struct queue_lock *lock, const char *app, const char *env, const char *program);
/// With whether the reader may lift it.
struct web_lock page_lock(const struct request *request, const struct queue_lock *lock);
/// Settings of (app, env), or NULL.
const struct settings *page_settings(const struct page *page, const char *app, const char *env);
/// "https://github.com" for "https://api.github.com", and the like.
const char *page_github_web(const struct request *request);
/// The compare page of two commits, or NULL where it is not known.
const char *page_compare(
    const struct request *request, const char *repository, const char *base, const char *head);
/// `path` of the infra repository at the specs' commit, or NULL when specs are not on GitHub.
const char *page_spec_url(const struct page *page, const char *path, int line);
/// Is the reader in one of the teams that the settings name for anything?
bool page_is_concerned(const struct request *request, const struct settings *settings);
/// "the team devops", "the teams devops or on-call", "an admin".
const char *page_admins(const struct request *request);

/// The journal's document of a deployment; NULL when there is none, or it cannot be read.
NODISCARD struct error *page_document(
    struct request *request, const char *id, struct deployment **out);

/// Of one that failed: what its parameter says and what runs (`runs`), when they differ; else NULL.
const char *page_drift(
    const struct request *request, const struct deployment *document, const char *runs);

/// Does the last look tell more than a deployment that failed (NULL: none)?
bool page_drift_is_seen(const struct queue_drift_lane *lane, const struct queue_job *failure);

// What may be done to a job by this reader, as the API would judge.
struct page_actions {
    struct web_action cancel, approve, hurry;
};
void page_job_actions(
    const struct page *page, const struct queue_job *job, struct page_actions *out);

// --- page_behind.c -------------------------------------------------------------------------------

struct page_memory; // of how far environments are apart: what is past does not change
struct page_memory *page_memory_new(void);
void page_memory_free(struct page_memory *memory);
struct page_behind {
    int64_t releases; // of the other environment since then; -1: it was never there, or long ago
    int64_t commits;  // -1: not known
    struct object_list list; // struct deployment_commit, newest first; when asked for
};
/// How far `version` is behind the newest release of another environment; with the commits
/// themselves when `list`. Remembered.
NODISCARD struct error *page_behind_of(struct request *request, const struct queue_release *newest,
    const char *version, bool list, struct page_behind *out);
/// Is that remembered, so that it costs nothing?
bool page_behind_known(
    struct request *request, const struct queue_release *newest, const char *version);

// --- the pages -----------------------------------------------------------------------------------

struct error *page_matrix(struct request *request, struct response *response);
struct error *page_deployment(struct request *request, struct response *response);
struct error *page_queue(struct request *request, struct response *response);
struct error *page_app(struct request *request, struct response *response);
struct error *page_audit(struct request *request, struct response *response);
struct error *page_audit_csv(struct request *request, struct response *response);
struct error *page_audit_jsonl(struct request *request, struct response *response);
struct error *page_locks(struct request *request, struct response *response);

/// The four keys of (app, env) over `days`.
NODISCARD struct error *page_keys(
    struct request *request, const char *app, const char *env, int64_t days, struct web_keys *out);
/// What holds in (app, env), in plain words.
void page_rules(const struct page *page, const struct settings *settings,
    const struct web_rule **out, size_t *count);

// --- forms.c -------------------------------------------------------------------------------------

struct error *form_cancel(struct request *request, struct response *response);
struct error *form_approve(struct request *request, struct response *response);
struct error *form_hurry(struct request *request, struct response *response);
struct error *form_roll_back(struct request *request, struct response *response);
struct error *form_promote(struct request *request, struct response *response);
struct error *form_deploy(struct request *request, struct response *response);
struct error *form_lock(struct request *request, struct response *response);
struct error *form_release(struct request *request, struct response *response);
struct error *form_theme(struct request *request, struct response *response);
/// To where the form was (its field `back`), with a sentence for the next page.
void form_go_back(
    struct request *request, struct response *response, bool refused, const char *sentence);
/// Own path to come back to, never NULL.
const char *form_back(struct request *request);

// --- session.c -----------------------------------------------------------------------------------

/// A cookie of ours; `value` NULL takes it away. Bound to this host where the service has TLS.
void session_cookie(struct request *request, struct response *response, const char *name,
    const char *value, int64_t max_age_s);
/// Its value, or NULL.
const char *session_cookie_value(struct request *request, const char *name);
/// Begins a session for `person` and sets its cookie.
NODISCARD struct error *session_begin(struct request *request, struct response *response,
    const struct policy_person *person, const char *name);
/// Ends the session of the request's cookie, if there is one.
NODISCARD struct error *session_end(struct request *request, struct response *response);
/// What pages remember.
struct page_memory *session_memory(struct service *service);
