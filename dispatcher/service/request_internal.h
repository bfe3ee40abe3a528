// One request as data, from the listener to a handler and back, and the table of routes.
//
//     static struct error *
//     show_lock(struct request *request, struct response *response)
//     {
//         const char *id = request_param(request, "id");
//         ...
//         response_json(response, 200, object);
//         return NULL;
//     }
//
// A handler runs on a thread of its own pool with a store handle that is lent to it: it may block
// on the writer and, within its deadline, on GitHub. It answers by filling `response`; what it
// refuses it refuses by response_refuse, and an error that it returns is ours (503 for storage,
// else 500). Everything that it is given lives until the answer is sent; `arena` is the request's.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/http.h"
#include "dispatcher/json.h"
#include "service_internal.h"

// --- who asks ------------------------------------------------------------------------------------

enum caller_kind { CALLER_NOBODY, CALLER_JOB, CALLER_PERSON };
struct caller {
    enum caller_kind kind;
    const struct policy_claims *claims; // JOB
    struct policy_person person;        // PERSON
    const char *name;                   // PERSON: full name to show, or NULL
    bool admin;                         // PERSON: in a team of server.admins
    bool by_session;                    // PERSON: by cookie; what changes something was checked
    bool unproven;     // PERSON by session: GitHub could not be asked for a while; may look only
    bool busy;         // NOBODY: GitHub would have to be asked, and is asked about too many already
    const char *csrf;  // PERSON by session: for its forms
    const char *scope; // "repository/123", "user/octocat": keys, rates; or NULL
    const char *actor; // for audits: login
    int64_t actor_id;
};

// --- the request ---------------------------------------------------------------------------------

struct route;
struct request {
    struct service *service;
    struct store *store; // lent for the route's run; NULL in routes that are ROUTE_INLINE
    struct arena *arena;
    const struct route *route;
    const char *method;
    const char *path; // as it came, without query
    struct pair_list params, query, headers;
    struct str body;         // as it came
    struct str form;         // the body when it is application/x-www-form-urlencoded, else empty
    struct caller caller;    // as the route asks for
    const char *id;          // X-Request-Id, ours or theirs
    const char *connected;   // address of the connection itself
    const char *peer;        // address; of the client when a trusted proxy says so
    const char *traceparent; // W3C, as it came and well-formed; or NULL
    int64_t wall_ms, mono_ms;
    void *own; // the handler's, where it goes on later
};
/// Of the route's pattern; never NULL for a name that it has.
const char *request_param(const struct request *request, const char *name);
/// NULL: not there. Names of headers in any case; of a query the first one.
const char *request_query(const struct request *request, const char *name);
const char *request_header(const struct request *request, const char *name);
size_t request_header_count(const struct request *request, const char *name);
/// All of that name as one list, as they came; NULL: none.
const char *request_header_list(const struct request *request, const char *name);
/// What makes the request another one for another reader, a sentence; NULL: nothing.
const char *request_framing_problem(const struct request *request);
/// A cookie's value, in the arena; NULL.
const char *request_cookie(struct request *request, const char *name);
/// A field of `form`, decoded, in the arena; NULL when it is not there or no UTF-8.
const char *request_field(struct request *request, const char *name);
/// Does the caller rather want `type` ("text/csv") than JSON, by its Accept header?
bool request_accepts(const struct request *request, const char *type);
/// The body as one JSON object (NULL body: an empty one). False: it was refused in `response`.
bool request_json(struct request *request, struct response *response, struct json **out);

/// RFC 3986 §2.1, strictly; `plus`: "+" is a blank (forms, queries). NULL: malformed, NUL, no
/// UTF-8.
const char *request_decode(struct str text, bool plus, struct arena *arena);
/// "a=1&b=2"; false: malformed, or more than 64.
bool request_pairs(struct str text, struct arena *arena, struct pair_list *out);
/// A target of origin form: the path as it came, the query decoded.
bool request_split(
    const char *target, struct arena *arena, const char **path, struct pair_list *query);
bool request_id_is_valid(const char *text);
bool request_traceparent_is_valid(const char *text);
/// A request that is answered later: its connection rests until request_answer, from any thread.
/// The handler returns NULL at once after it has handed itself on, and touches nothing of it.
void request_defer(struct request *request);
void request_answer(struct request *request);
/// An error of ours, as if the handler had returned it; consumes it. Before request_answer.
void request_fail(struct request *request, struct error *err);
struct response *request_response(struct request *request);
/// Of ROUTE_INLINE, too: the rest of it is done by `run` on a handler's thread, which may defer
/// it once more.
void request_hand_on(struct request *request,
    struct error *(*run)(struct request *request, struct response *response));
/// The same of one that was deferred, from any thread. Its store may be NULL.
void request_go_on(struct request *request,
    struct error *(*run)(struct request *request, struct response *response));
/// A store handle for what comes before its route runs; false: the database is not there.
bool request_borrow(struct request *request);
/// Gives it back early: whoever waits for somebody else than the database does so without it, and
/// does not look at request->store afterwards, or borrows it again.
void request_rest(struct request *request);

// --- the response --------------------------------------------------------------------------------

// A body that is made while it is sent, in pieces. `more` runs like a handler, with a store handle;
// it appends the next piece, and says when there is no other. `done` frees ctx.
struct response_pages {
    struct error *(*more)(void *ctx, struct store *store, struct buf *out, bool *last);
    void (*done)(void *ctx);
    void *ctx;
};
struct response {
    int status; // 200 unless said
    struct http_headers headers;
    const char *type; // Content-Type
    struct buf body;
    struct str fixed; // in place of body: bytes that outlive every request (assets)
    struct response_pages pages;
    const char *stream; // id of the deployment whose events follow; see stream.c
    int64_t stream_after;
    const char *code;   // refusals: reason code, for logs and metrics
    const char *policy; // Content-Security-Policy in place of the closed one; or NULL
    bool close;         // no other request on this connection
};
void response_header(struct response *response, const char *name, const char *value);
void response_json(struct response *response, int status, const struct json *value);
void response_text(struct response *response, int status, const char *type, struct str text);
/// Bytes that never go away. With an ETag: 304 when the caller has them.
void response_fixed(struct request *request, struct response *response, const char *type,
    struct str bytes, const char *etag);
void response_redirect(struct response *response, int status, const char *location);

struct refusal {
    enum reason_code code;
    const char *sentence; // NULL: the code's meaning
    const char *hint, *who;
    const struct str_list *failures; // or NULL
    int64_t retry_after_s;           // 0: none
};
/// A problem document (RFC 9457); for pages, page_refuse.
void response_refuse(
    struct request *request, struct response *response, const struct refusal *refusal);
/// The same with a sentence and nothing else.
void response_refusef(struct request *request, struct response *response, enum reason_code code,
    const char *format, ...) PRINTF_LIKE(4, 5);
/// The same with the code's meaning.
void response_refuse_code(
    struct request *request, struct response *response, enum reason_code code);
/// Of a decision that did not allow it.
void response_verdict(
    struct request *request, struct response *response, const struct policy_verdict *verdict);

/// What the caller is told of an error that a handler met; its words stand in the log alone.
enum reason_code response_code_of(enum error_kind kind);

// --- routes --------------------------------------------------------------------------------------

enum route_who {
    ROUTE_ANYBODY,  // no credentials are looked at
    ROUTE_OPTIONAL, // a person when there is a session, else nobody; never refused
    ROUTE_PERSON,   // a person: session (with CSRF for all but GET), or GitHub user token
    ROUTE_JOB,      // a token of GitHub Actions
    ROUTE_EITHER,   // a job or a person
};
enum {
    ROUTE_INLINE = 1,   // runs on the listener's thread: must not block, has no store
    ROUTE_PAGE = 2,     // refusals are pages (page_refuse), nobody is sent to /sign-in
    ROUTE_FORM = 4,     // takes a form: its field `csrf` counts as the header X-CSRF-Token
    ROUTE_QUIET = 16,   // logged at debug only, unless it goes wrong
    ROUTE_LEAVING = 32, // open also to whom GitHub could not be asked about for a while
    ROUTE_CHEAP = 8,    // not rate limited (assets, health, metrics)
};
struct route {
    const char *method; // GET also answers HEAD
    const char *path; // "/api/v1/deployments/{id}/events"; {name} is one segment, {name*} the rest
    enum route_who who;
    unsigned flags;
    size_t body_max; // 0: takes no body
    struct error *(*run)(struct request *request, struct response *response);
};
struct route_table {
    const struct route *routes;
    size_t count;
};
// Each in the file that has the handlers; route.c lists the tables.
extern const struct route_table api_routes, hook_routes, health_routes, page_routes, sign_in_routes;

struct route_match {
    const struct route *route; // NULL: none
    bool other_method;         // the path is known, the method is not
    const char *allow;         // of the path: "GET, HEAD, POST"
    struct pair_list params;   // in the arena
};
void route_find(const char *method, const char *path, struct arena *arena, struct route_match *out);

// --- what pages and sessions lend to the listener (page_*.c, session.c) --------------------------

/// Who has this request's session cookie, or is named by a trusted proxy's header (checked there
/// against server.proxy_addresses and the peer); caller->kind NOBODY: nobody.
NODISCARD struct error *session_find(struct request *request, struct caller *caller);
/// A refusal as a page; for SIGN_IN a redirect to /sign-in that comes back.
void page_refuse(struct request *request, struct response *response, const struct refusal *refusal);

// --- people.c ------------------------------------------------------------------------------------

enum people_found {
    PEOPLE_KNOWN,       // a member of server.organization
    PEOPLE_UNKNOWN,     // nobody, or not a member
    PEOPLE_BUSY,        // too many are asked about at once: come again in a second
    PEOPLE_UNAVAILABLE, // GitHub did not say
    PEOPLE_NOT_ASKED,   // not known, and `ask` was false
};
/// Whose GitHub user token it is; `*name` may be NULL. Answers are kept: five minutes, a minute
/// where it is nobody. Blocks on GitHub for at most ten seconds, when `ask`.
enum people_found people_of_token(struct service *service, struct str token, bool ask,
    struct arena *arena, struct policy_person *out, const char **name);
/// Whose GitHub login the Slack user `id` stands for, by `members` of the configuration's
/// `notify`: in the arena, NULL when it is nobody's.
const char *people_of_slack(struct service *service, const char *id, struct arena *arena);
/// Is the person in a team of server.admins?
bool people_is_admin(const struct setting_server *settings, const struct policy_person *person);
