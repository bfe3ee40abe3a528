// struct service itself, for the listening half of the room: service.c and what it starts.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "request_internal.h"

struct service {
    const struct platform *outer; // of the front end; its cancel flag is the signal
    struct platform platform;     // workers': cancel is `stop`
    struct platform request_platform;
    struct cancel *stop, *request_stop;
    const struct service_options *options;
    struct http_client_options http_options;
    _Atomic(const struct setting_server *) settings;
    _Atomic(const struct spec_document *) config;
    struct service_reading *readings; // every generation of the settings, newest first
    char *replica, *origin, *state;

    pthread_mutex_t lock; // secrets, failure
    struct secret *secrets[SERVICE_SECRET_COUNT];
    char *failure; // why nothing more is accepted, or NULL
    atomic_bool draining, failed, verifying;

    struct service_parts parts;
    struct listener *listener;
    struct handlers *handlers;
    struct writer *writer;
    _Atomic(struct streams *) streams; // workers ask for it before it is there
    struct keys *keys;
    struct people *people;
    struct people_again *people_again;
    struct limiter *limiter;
    struct metrics *metrics;
    struct tracer *tracer;
};

// --- service_settings.c --------------------------------------------------------------------------

/// Reads the file, its settings and secrets anew; what there was stays in force when that fails.
NODISCARD struct error *service_read_settings(
    struct service *service, struct diagnostics *diagnostics);
void service_forget_settings(struct service *service);
/// PEM files of the TLS listener; *certificate NULL: plain.
NODISCARD struct error *service_read_tls(
    struct service *service, struct secret **certificate, struct secret **key);
/// Why nothing is accepted, copied; NULL: all is well. free().
char *service_failure(struct service *service);

// --- listen.c ------------------------------------------------------------------------------------

NODISCARD struct error *listen_start(struct service *service);
/// TLS anew: connections that stand keep their certificate until they end.
NODISCARD struct error *listen_reload(struct service *service);
/// No new connections; returns once all requests are answered, or at `deadline_ms` (mono), or
/// when the front end's flag is raised again.
void listen_drain(struct service *service, int64_t deadline_ms);
/// From here on no request is run: those that come are refused. Returns when the last one that was
/// run has been answered, so that what runs them can be stopped.
void listen_close(struct service *service);
void listen_stop(struct service *service);
size_t listen_connections(const struct service *service);

// --- handlers.c ----------------------------------------------------------------------------------

struct handler_task {
    void (*run)(struct handler_task *task); // which may free it
    struct handler_task *next;
};
NODISCARD struct error *handlers_start(struct service *service);
/// What was added is run to its end first.
void handlers_stop(struct service *service);
void handlers_add(struct service *service, struct handler_task *task);
/// A store handle for as long as the database is needed, and no longer: on a shared database there
/// are few (state.connections), and one is waited for. NULL: the database is not there.
struct store *handlers_lend(struct service *service);
/// NULL is taken as well. One that is not usable any more is closed.
void handlers_take_back(struct service *service, struct store *store);

// --- writer.c ------------------------------------------------------------------------------------

NODISCARD struct error *writer_start(struct service *service);
void writer_stop(struct service *service);
/// Returns once all that was given to it before is written and told.
void writer_flush(struct service *service);
/// Operations that wait for the next commit.
size_t writer_backlog(struct service *service);

// --- limiter.c -----------------------------------------------------------------------------------

struct limiter_rule {
    int64_t per_minute, burst;
};
struct limiter *limiter_new(void);
void limiter_free(struct limiter *limiter);
/// May `key` have one more now? Else *retry_s says when.
bool limiter_take(struct limiter *limiter, const char *key, const struct limiter_rule *rule,
    int64_t mono_ms, int64_t *retry_s);
/// The same question, without taking any.
bool limiter_has(struct limiter *limiter, const char *key, const struct limiter_rule *rule,
    int64_t mono_ms, int64_t *retry_s);

// --- auth.c --------------------------------------------------------------------------------------

/// Who asks, as the route wants it; false: refused in `response`.
bool auth_caller(struct request *request, struct response *response);
/// The address of the client: the peer's, or what a trusted proxy says.
const char *auth_peer(const struct setting_server *settings, const char *peer,
    const char *forwarded, struct arena *arena);
/// What stands for the address where limits count: itself, of IPv6 its network of 64 bits.
const char *auth_network(const char *peer, struct arena *arena);
/// SHA-256 of method, path and body: what "the same request" means.
const char *auth_hash(struct request *request);
/// A job's token counts once for what changes something: the same request again is let through,
/// another one refused in `response` (protocols.md T05).
bool auth_spend(struct request *request, struct response *response);
/// The same as part of a group of the writer, so that a token is spent when, and only when, what it
/// is spent on is done. False: it is no job that asks.
struct auth_spending {
    const char *jti, *hash;
    int64_t until_ms;
    enum queue_accepted outcome; // NEW | SAME: it was done before | REPLAY
};
bool auth_spending(struct request *request, struct auth_spending *out);
NODISCARD struct error *auth_spend_in(struct store *store, struct auth_spending *spending);
/// False: it was used for another request, which is refused.
bool auth_spent(
    struct request *request, struct response *response, const struct auth_spending *spending);

// --- keys.c --------------------------------------------------------------------------------------

struct keys *keys_new(const struct platform *platform, const struct http_client_options *options,
    const char *address);
void keys_free(struct keys *keys);
/// Another address of the set, from the next fetch on.
void keys_set_address(struct keys *keys, const char *address);
enum keys_found { KEYS_CHECKED, KEYS_NONE };
/// policy_token_check with the issuer's keys, which are fetched when there are none, are old, or do
/// not have the token's: once a minute at most. KEYS_NONE: there are none, or none younger than a
/// day.
enum keys_found keys_check(struct keys *keys, struct str token,
    const struct policy_token_rules *rules, struct arena *arena, struct policy_claims **claims,
    struct policy_verdict *verdict);
/// Wall time of the last good fetch; 0: never.
int64_t keys_fetched_ms(struct keys *keys);
/// Fetches when there are none or they are older than 15 min.
void keys_freshen(struct keys *keys);

// --- people.c ------------------------------------------------------------------------------------

struct people *people_new(void);
void people_free(struct people *people);
/// What is kept was said for other settings.
void people_forget(struct people *people);
/// One of the four places for asking GitHub about people on a request's thread, so that the others
/// stay free while GitHub hangs; false: all are taken, and nobody waits for one.
bool people_begin_asking(struct people *people);
void people_end_asking(struct people *people);
/// Somebody who is not here, asked about by the App on a request's thread: number and teams.
enum people_found people_of_login(
    struct service *service, const char *login, struct arena *arena, struct policy_person *out);

/// Slugs of teams that any spec or the settings speak of.
void people_teams_that_matter(struct service *service, struct arena *arena, struct str_list *out);

// --- people_again.c ------------------------------------------------------------------------------

struct people_again *people_again_new(void);
void people_again_free(struct people_again *again);
/// Does somebody still belong whom GitHub named `age_ms` ago (signed_in), and to which of the teams
/// of then? KNOWN: yes, in *teams. UNKNOWN: not any more. UNAVAILABLE: GitHub cannot be asked, and
/// its last answer (*teams) is too old to change anything by. Asked every server.people_every.
enum people_found people_still(struct service *service, const struct policy_person *signed_in,
    int64_t age_ms, struct arena *arena, struct str_list *teams);

// --- stream.c ------------------------------------------------------------------------------------

NODISCARD struct error *streams_start(struct service *service);
/// Each ends with "retry:", so that its client comes again, to another replica perhaps.
void streams_end(struct service *service);
/// Ends its thread; the listener, which stops after it, still frees streams: then streams_free.
void streams_stop(struct service *service);
void streams_free(struct service *service);
size_t streams_count(struct service *service);

// --- hooks_github.c, hooks_slack.c ---------------------------------------------------------------

/// X-Hub-Signature-256 of a body, in constant time. NULL secret: never.
bool hooks_signature_is_valid(const struct secret *secret, const char *header, struct str body);
enum { HOOKS_SLACK_MAX = 256 * 1024 };
NODISCARD struct error *hooks_slack(struct request *request, struct response *response);

// --- metrics.c, health.c, trace.c ----------------------------------------------------------------

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);
/// One answered request: its status and how long it took.
void metrics_observe(struct metrics *metrics, int status, int64_t took_us);
void metrics_count_code(struct metrics *metrics, enum reason_code code);
void metrics_print(struct service *service, struct store *store, struct buf *out);

NODISCARD struct error *trace_start(struct service *service);
/// Sends what is left, within two seconds.
void trace_stop(struct service *service);
int64_t trace_dropped(const struct service *service);

// --- generated from docs/openapi.yaml ------------------------------------------------------------

extern const struct str health_description;
