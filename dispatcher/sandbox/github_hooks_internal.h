// The App's webhook: what is to be delivered, what was, and the threads that do it.
#pragma once

#include "github_people_internal.h"

enum { GITHUB_HOOK_ID = 373737, GITHUB_HOOK_HANDS = 6 };

enum delivery_state { DELIVERY_WAITING, DELIVERY_SENDING, DELIVERY_DONE };

struct hook_delivery {
    int64_t id, repository_id;
    char *guid, *event, *action; // action NULL: the event has none
    char *payload;               // NULL: forgotten
    char *url;                   // where it was sent
    enum delivery_state state;
    bool is_redelivery;
    int64_t due_ms; // mono
    int64_t delivered_ms, duration_ms;
    int status_code;
    char *status; // "OK", or what went wrong
    struct json *request_headers, *response_headers;
    char *response_body;
};

struct hook_faults {
    double lose, vanish, twice;
    int64_t shuffle_ms;
    uint64_t random;
};

struct hook_counts {
    int64_t events, sent, good, failed, lost, vanished, doubled, redelivered;
};

struct hook_hand {
    struct sandbox *sandbox;
    struct platform platform; // stops with the sandbox
    struct cancel *wake;
    pthread_t thread;
    bool runs, watches;
    int64_t watched_ms;
};

struct github_hooks {
    struct json *urls;   // array; NULL: nobody listens
    size_t next_url;     // they take turns
    struct json *events; // names; NULL: all
    struct secret *secret;
    char *secret_path;
    struct hook_faults faults;
    struct hook_counts counts;
    struct hook_delivery **list;
    size_t count;
    size_t oldest_open; // all before it are done
    size_t oldest_kept; // all before it have no payload, unless they failed
    struct hook_hand hands[GITHUB_HOOK_HANDS];
    bool is_stopping, has_hands;
    struct json *tips; // repository → commit that its trunk was seen at
};

/// Puts an event into the queue, faults included; takes the payload. Nothing when nobody listens.
void sandbox_webhook_emit(struct sandbox *sandbox, const struct github_repo *repo,
    const char *event, const char *action, struct json *payload);
/// Would somebody hear of that event?
bool sandbox_webhook_wants(const struct sandbox *sandbox, const char *event);
/// The same delivery once more, by hand.
void sandbox_webhook_redeliver(struct sandbox *sandbox, const struct hook_delivery *delivery);
NODISCARD struct error *sandbox_webhook_hire(struct sandbox *sandbox);
void sandbox_webhook_wake(struct github_hooks *hooks);
/// Uniform in [0, 1), the same row for the same seed.
double sandbox_webhook_random(struct hook_faults *faults);
/// The thread of a hand.
void *sandbox_webhook_hand(void *hand);
/// Pushes to repositories of this machine that happened by git itself.
void sandbox_webhook_watch(struct sandbox *sandbox);
void sandbox_webhook_ping(struct sandbox *sandbox);

// A push, as an order says it; NULL texts have defaults.
struct hook_push {
    struct github_repo *repo;
    const char *ref, *before, *after;
    const struct json *commits; // [{id, message, author: {name, email}, added, modified, removed}]
    const char *login;
};
void sandbox_webhook_push(struct sandbox *sandbox, const struct hook_push *push);
