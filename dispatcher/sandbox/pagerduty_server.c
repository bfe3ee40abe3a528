// The sandbox's PagerDuty: Events API v2 with its keys, its rate and its alerts; what an event must
// have is pagerduty_event.c. One integration key is known from the beginning; the key is not kept
// with what came by it.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "inbox_internal.h"
#include "pagerduty_event_internal.h"

enum { KEY_LENGTH = PAGERDUTY_EVENT_KEY_LENGTH, RATE = 120, BODY_MAX = 512 * 1024 };

struct pagerduty_key {
    char *text;
    bool is_revoked;
    struct inbox_window window;
};

// One alert from its first trigger to its resolution; the next trigger opens another.
struct pagerduty_alert {
    char *dedup_key;
    const struct pagerduty_key *key;
    const char *status; // "triggered", "acknowledged", "resolved"
    int64_t triggers, acknowledges, resolves;
    struct json *events;
};

struct pagerduty_state {
    struct pagerduty_key **keys; // the first is the one of the ready file
    size_t key_count;
    char *good_key;
    int64_t rate; // events a minute and key; 0: any
    struct pagerduty_alert **alerts;
    size_t alert_count;
    struct json *changes, *dropped;
    struct inbox_failure failure;
    struct inbox_counts counts;
};

// --- the state
// ------------------------------------------------------------------------------------

static struct pagerduty_key *
find_key(const struct pagerduty_state *state, const char *text)
{
    for (size_t i = 0; text != NULL && i < state->key_count; i++) {
        if (strcmp(state->keys[i]->text, text) == 0) {
            return state->keys[i];
        }
    }
    return NULL;
}

static void
add_key(struct pagerduty_state *state, const char *text)
{
    struct pagerduty_key *known = find_key(state, text);
    if (known != NULL) {
        known->is_revoked = false;
        return;
    }
    struct pagerduty_key *key = xcalloc(1, sizeof(*key));
    key->text = xstrdup(text);
    state->keys = xrealloc(state->keys, (state->key_count + 1) * sizeof(struct pagerduty_key *));
    state->keys[state->key_count++] = key;
}

static void
forget(struct pagerduty_state *state)
{
    for (size_t i = 0; i < state->key_count; i++) {
        sandbox_inbox_forget_window(&state->keys[i]->window);
        free(state->keys[i]->text);
        free(state->keys[i]);
    }
    for (size_t i = 0; i < state->alert_count; i++) {
        json_free(state->alerts[i]->events);
        free(state->alerts[i]->dedup_key);
        free(state->alerts[i]);
    }
    free(state->keys);
    free(state->alerts);
    json_free(state->changes);
    json_free(state->dropped);
    sandbox_inbox_forget_failure(&state->failure);
    sandbox_inbox_forget_counts(&state->counts);
}

void
sandbox_pagerduty_reset(struct sandbox *sandbox)
{
    struct pagerduty_state *state = sandbox->pagerduty;
    char *good = state->good_key;
    forget(state);
    *state = (struct pagerduty_state){
        .good_key = good, .rate = RATE, .changes = json_make_array(), .dropped = json_make_array()};
    add_key(state, good);
}

struct error *
sandbox_pagerduty_start(struct sandbox *sandbox)
{
    char random[KEY_LENGTH + 1];
    random_hex(sandbox->platform->random, KEY_LENGTH / 2, random);
    sandbox->pagerduty = xcalloc(1, sizeof(*sandbox->pagerduty));
    sandbox->pagerduty->good_key = xstrdup(random);
    sandbox_pagerduty_reset(sandbox);
    return NULL;
}

void
sandbox_pagerduty_stop(struct sandbox *sandbox)
{
    if (sandbox->pagerduty != NULL) {
        forget(sandbox->pagerduty);
        free(sandbox->pagerduty->good_key);
        free(sandbox->pagerduty);
        sandbox->pagerduty = NULL;
    }
}

const char *
sandbox_pagerduty_routing_key(const struct sandbox *sandbox)
{
    return sandbox->pagerduty->good_key;
}

// --- taking an event
// ------------------------------------------------------------------------------

static void
copy_member(void *ctx, const char *key, const struct json *value)
{
    if (strcmp(key, "routing_key") != 0) {
        json_set(ctx, key, json_clone(value));
    }
}

static struct json *
keep(const struct sandbox_request *request, const struct json *event)
{
    struct json *kept = json_make_object();
    sandbox_inbox_set_time(kept, request->received_ms);
    json_each(event, copy_member, kept);
    return kept;
}

static struct pagerduty_alert *
open_alert(const struct pagerduty_state *state, const char *dedup, const struct pagerduty_key *key)
{
    for (size_t i = state->alert_count; i > 0; i--) {
        struct pagerduty_alert *alert = state->alerts[i - 1];
        if (alert->key == key && strcmp(alert->dedup_key, dedup) == 0) {
            return strcmp(alert->status, "resolved") != 0 ? alert : NULL;
        }
    }
    return NULL;
}

static struct pagerduty_alert *
add_alert(struct pagerduty_state *state, const char *dedup, const struct pagerduty_key *key)
{
    struct pagerduty_alert *alert = xcalloc(1, sizeof(*alert));
    alert->dedup_key = xstrdup(dedup);
    alert->key = key;
    alert->status = "triggered";
    alert->events = json_make_array();
    state->alerts =
        xrealloc(state->alerts, (state->alert_count + 1) * sizeof(struct pagerduty_alert *));
    state->alerts[state->alert_count++] = alert;
    return alert;
}

// An event for an alert that is not open is taken with 202, and nothing comes of it.
static void
take_alert(struct pagerduty_state *state, struct json *kept, const char *dedup,
    const struct pagerduty_key *key)
{
    const char *action = json_str(json_get(kept, "event_action"));
    struct pagerduty_alert *alert = open_alert(state, dedup, key);
    if (alert == NULL && strcmp(action, "trigger") != 0) {
        json_append(state->dropped, kept);
        return;
    }
    if (alert == NULL) {
        alert = add_alert(state, dedup, key);
    }
    if (strcmp(action, "trigger") == 0) {
        alert->triggers++;
    } else if (strcmp(action, "acknowledge") == 0) {
        alert->acknowledges++;
        alert->status = "acknowledged";
    } else {
        alert->resolves++;
        alert->status = "resolved";
    }
    json_append(alert->events, kept);
}

static void
reply(struct sandbox_response *response, int status, const char *word, const char *message,
    struct json *errors)
{
    struct json *body = json_make_object();
    json_set_str(body, "status", word);
    json_set_str(body, "message", message);
    if (errors != NULL) {
        json_set(body, "errors", errors);
    }
    sandbox_reply_json(response, status, body);
}

static void
accept(struct sandbox *sandbox, struct sandbox_request *request, const struct json *event,
    const struct pagerduty_key *key, struct sandbox_response *response)
{
    struct pagerduty_state *state = sandbox->pagerduty;
    struct json *kept = keep(request, event), *body = json_make_object();
    json_set_str(body, "status", "success");
    if (request->part_count == 4) {
        json_append(state->changes, kept);
        json_set_str(body, "message", "Change event processed");
    } else {
        const char *given = json_str(json_get(event, "dedup_key"));
        const char *dedup =
            given != NULL && given[0] != '\0' ? given : sandbox_random(sandbox, request->arena, 16);
        json_set_str(kept, "dedup_key", dedup);
        take_alert(state, kept, dedup, key);
        json_set_str(body, "message", "Event processed");
        json_set_str(body, "dedup_key", dedup);
    }
    sandbox_reply_json(response, 202, body);
}

static void
refuse(struct pagerduty_state *state, struct sandbox_response *response, struct json *errors)
{
    sandbox_inbox_refused(&state->counts, "invalid event");
    reply(response, 400, "invalid event", "Event object is invalid", errors);
}

static struct json *
one_error(const char *text)
{
    struct json *errors = json_make_array();
    json_append(errors, json_make_string(text));
    return errors;
}

// Is it one too many in this minute?
static bool
is_throttled(struct sandbox *sandbox, struct pagerduty_key *key, struct sandbox_response *response)
{
    struct pagerduty_state *state = sandbox->pagerduty;
    int64_t wait_ms = 0;
    if (key == NULL || key->is_revoked ||
        sandbox_inbox_window_takes(
            &key->window, clock_mono(sandbox->platform->clock), state->rate, &wait_ms)) {
        return false;
    }
    sandbox_inbox_refused(&state->counts, "throttle exceeded");
    reply(response, 429, "throttle exceeded",
        "Requests for this service are arriving too quickly.  Please retry later.", NULL);
    return true;
}

static bool
fails(struct pagerduty_state *state, bool is_change, struct sandbox_response *response)
{
    struct inbox_failure *failure = &state->failure;
    if (!sandbox_inbox_fails(failure, is_change ? "change" : "event")) {
        return false;
    }
    int status = failure->status != 0 ? failure->status : 500;
    sandbox_inbox_refused(&state->counts, "on order");
    if (failure->body != NULL) {
        sandbox_reply_text(response, status, "application/json", str_of(failure->body));
    } else {
        const char *word = failure->error != NULL ? failure->error : "internal error";
        reply(response, status, word, "failed on order", NULL);
    }
    if (failure->retry_after != NULL) {
        sandbox_reply_header(response, "Retry-After", failure->retry_after);
    }
    return true;
}

void
sandbox_pagerduty_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    struct pagerduty_state *state = sandbox->pagerduty;
    bool is_change = sandbox_request_match(request, 1, "v2/change/enqueue");
    if (!sandbox_request_is(request, "POST") ||
        (!is_change && !sandbox_request_match(request, 1, "v2/enqueue"))) {
        reply(response, 404, "not found", "nothing is served at this path", NULL);
        return;
    }
    state->counts.requests++;
    if (fails(state, is_change, response)) {
        return;
    }
    if (request->body.len > BODY_MAX) {
        sandbox_inbox_refused(&state->counts, "too large");
        reply(response, 413, "invalid event", "Event is larger than 512 KB", NULL);
        return;
    }
    struct json *event CLEANUP(json_freep) = sandbox_request_json(request);
    if (event == NULL) {
        refuse(state, response, one_error("Event is not a valid JSON object"));
        return;
    }
    struct pagerduty_key *key = find_key(state, json_str(json_get(event, "routing_key")));
    if (is_throttled(sandbox, key, response)) {
        return;
    }
    struct json *errors = pagerduty_event_check(event, is_change);
    if (json_count(errors) > 0) {
        refuse(state, response, errors);
        return;
    }
    json_free(errors);
    if (key == NULL || key->is_revoked) {
        refuse(state, response, one_error("Invalid routing key"));
    } else {
        accept(sandbox, request, event, key, response);
    }
}

// Answered by a fault rule: not counted, as nothing is that never came here.
void
sandbox_pagerduty_expired(struct sandbox_response *response)
{
    reply(response, 400, "invalid event", "Event object is invalid",
        one_error("Invalid routing key"));
}

// --- orders and what was got
// ----------------------------------------------------------------------

// {"keys": ["…"], "key": "revoked"|"good", "rate": 120 a minute or null, "fail": {…}}
void
sandbox_pagerduty_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct pagerduty_state *state = sandbox->pagerduty;
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const struct json *keys = json_get(order, "keys"), *key = json_get(order, "key"),
                      *rate = json_get(order, "rate"), *fail = json_get(order, "fail");
    const char *word = json_str(key), *problem = order == NULL ? "not a JSON object" : NULL;
    for (size_t i = 0; problem == NULL && i < json_count(keys); i++) {
        const char *text = json_str(json_at(keys, i));
        problem = text == NULL || strlen(text) != KEY_LENGTH ? "a key has 32 characters" : NULL;
    }
    if (problem == NULL && key != NULL && !cstr_equal(word, "revoked") &&
        !cstr_equal(word, "good")) {
        problem = "'key' is \"good\" or \"revoked\"";
    }
    if (problem == NULL && !json_is_null(rate) && json_int(rate, 0) < 1) {
        problem = "'rate' is a number of events a minute, or null";
    }
    if (problem == NULL && fail != NULL) {
        problem = sandbox_inbox_take_failure(fail, &state->failure);
    }
    if (problem != NULL) {
        sandbox_reply_problem(response, 422, "%s", problem);
        return;
    }
    for (size_t i = 0; i < json_count(keys); i++) {
        add_key(state, json_str(json_at(keys, i)));
    }
    if (key != NULL) {
        state->keys[0]->is_revoked = strcmp(word, "revoked") == 0;
    }
    if (rate != NULL) {
        state->rate = json_int(rate, 0);
    }
    response->status = 204;
}

static struct json *
alert_json(const struct pagerduty_alert *alert)
{
    struct json *item = json_make_object();
    json_set_str(item, "dedup_key", alert->dedup_key);
    json_set_str(item, "status", alert->status);
    json_set_int(item, "triggers", alert->triggers);
    json_set_int(item, "acknowledges", alert->acknowledges);
    json_set_int(item, "resolves", alert->resolves);
    json_set(item, "events", json_clone(alert->events));
    return item;
}

struct json *
sandbox_pagerduty_inbox_json(struct sandbox *sandbox)
{
    const struct pagerduty_state *state = sandbox->pagerduty;
    struct json *inbox = json_make_object(), *alerts = json_make_array();
    sandbox_inbox_show_counts(&state->counts, inbox);
    for (size_t i = 0; i < state->alert_count; i++) {
        json_append(alerts, alert_json(state->alerts[i]));
    }
    json_set(inbox, "alerts", alerts);
    json_set(inbox, "changes", json_clone(state->changes));
    json_set(inbox, "dropped", json_clone(state->dropped));
    return inbox;
}
