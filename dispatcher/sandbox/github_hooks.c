// Webhooks out: the queue. Events become deliveries here, faults have their way, and deliveries are
// kept for the API that lists them. Sending is github_hooks_send.c, payloads github_hooks_shape.c.
#include "github_hooks_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum {
    DELIVERIES_MAX = 200000,
    PAYLOADS_KEPT = 2000, // of deliveries that went well
    SECRET_BYTES = 24,
    STACK_BYTES = 512 * 1024,
};

static void
free_delivery(struct hook_delivery *delivery)
{
    free(delivery->guid);
    free(delivery->event);
    free(delivery->action);
    free(delivery->payload);
    free(delivery->url);
    free(delivery->status);
    free(delivery->response_body);
    json_free(delivery->request_headers);
    json_free(delivery->response_headers);
    free(delivery);
}

// --- start, reset, stop --------------------------------------------------------------------------

// Given, or made up: the place is told, so that whoever checks signatures can read it.
static struct error *
read_secret(struct sandbox *sandbox, struct github_hooks *hooks)
{
    const char *given = sandbox->options->webhook_secret_file;
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(4096);
    bool found = false;
    if (given != NULL) {
        TRY(file_read(given, &text, &found));
        struct str secret = str_trim(buf_str(&text));
        if (!found || secret.len == 0) {
            return error_new(ERROR_USAGE, "webhook secret '%s' is not there or empty", given);
        }
        hooks->secret = secret_new(secret);
        hooks->secret_path = xstrdup(given);
        return NULL;
    }
    char random[2 * SECRET_BYTES + 1];
    random_hex(sandbox->platform->random, SECRET_BYTES, random);
    hooks->secret = secret_new(str_of(random));
    hooks->secret_path = xasprintf("%s/webhook-secret", sandbox->data);
    return file_write(hooks->secret_path, str_of(random), 0600);
}

struct error *
sandbox_webhook_start(struct sandbox *sandbox)
{
    struct github_hooks *hooks = xcalloc(1, sizeof(*hooks));
    sandbox->github->hooks = hooks;
    hooks->tips = json_make_object();
    TRY(read_secret(sandbox, hooks));
    if (sandbox->options->webhook_url == NULL) {
        return NULL;
    }
    hooks->urls = json_make_array();
    json_append(hooks->urls, json_make_string(sandbox->options->webhook_url));
    sandbox_webhook_ping(sandbox); // first: nobody has the lock yet
    return sandbox_webhook_hire(sandbox);
}

// Deliveries that a hand is at stay; who listens stays, too.
void
sandbox_webhook_reset(struct sandbox *sandbox)
{
    struct github_hooks *hooks = sandbox->github->hooks;
    size_t kept = 0;
    for (size_t i = 0; i < hooks->count; i++) {
        if (hooks->list[i]->state == DELIVERY_SENDING) {
            hooks->list[kept++] = hooks->list[i];
        } else {
            free_delivery(hooks->list[i]);
        }
    }
    hooks->count = kept;
    hooks->oldest_open = 0;
    hooks->oldest_kept = 0;
    hooks->faults = (struct hook_faults){0};
    hooks->counts = (struct hook_counts){0};
}

void
sandbox_webhook_stop(struct sandbox *sandbox)
{
    struct github_hooks *hooks = sandbox->github->hooks;
    if (hooks == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&sandbox->lock);
    hooks->is_stopping = true; // nobody is hired any more
    sandbox_webhook_wake(hooks);
    (void)pthread_mutex_unlock(&sandbox->lock);
    for (size_t i = 0; i < GITHUB_HOOK_HANDS; i++) {
        if (hooks->hands[i].runs) {
            (void)pthread_join(hooks->hands[i].thread, NULL);
            hooks->hands[i].runs = false;
        }
    }
}

void
sandbox_webhook_free(struct github_state *github)
{
    struct github_hooks *hooks = github->hooks;
    if (hooks == NULL) {
        return;
    }
    for (size_t i = 0; i < hooks->count; i++) {
        free_delivery(hooks->list[i]);
    }
    for (size_t i = 0; i < GITHUB_HOOK_HANDS; i++) {
        cancel_free(hooks->hands[i].wake);
    }
    free(hooks->list);
    free(hooks->secret_path);
    secret_free(hooks->secret);
    json_free(hooks->urls);
    json_free(hooks->events);
    json_free(hooks->tips);
    free(hooks);
    github->hooks = NULL;
}

// --- hands ---------------------------------------------------------------------------------------

void
sandbox_webhook_wake(struct github_hooks *hooks)
{
    for (size_t i = 0; i < GITHUB_HOOK_HANDS; i++) {
        if (hooks->hands[i].wake != NULL) {
            cancel_raise(hooks->hands[i].wake, 1);
        }
    }
}

static bool
hire_one(struct sandbox *sandbox, struct hook_hand *hand)
{
    pthread_attr_t attributes;
    hand->sandbox = sandbox;
    hand->platform = *sandbox->platform;
    hand->platform.cancel = sandbox->stop;
    hand->wake = cancel_new();
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    hand->runs = pthread_create(&hand->thread, &attributes, sandbox_webhook_hand, hand) == 0;
    (void)pthread_attr_destroy(&attributes);
    return hand->runs;
}

struct error *
sandbox_webhook_hire(struct sandbox *sandbox)
{
    struct github_hooks *hooks = sandbox->github->hooks;
    if (hooks->has_hands || hooks->is_stopping) {
        return NULL;
    }
    hooks->has_hands = true;
    for (size_t i = 0; i < GITHUB_HOOK_HANDS; i++) {
        hooks->hands[i].watches = i == 0;
        if (!hire_one(sandbox, &hooks->hands[i])) {
            return error_new(ERROR_STORAGE, "start a thread for webhooks");
        }
    }
    return NULL;
}

// --- events --------------------------------------------------------------------------------------

double
sandbox_webhook_random(struct hook_faults *faults)
{
    uint64_t mixed = faults->random += 0x9E3779B97F4A7C15U; // splitmix64
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
    mixed ^= mixed >> 31;
    return (double)(mixed >> 11) / 9007199254740992.0;
}

bool
sandbox_webhook_wants(const struct sandbox *sandbox, const char *event)
{
    const struct github_hooks *hooks = sandbox->github->hooks;
    if (hooks == NULL || json_count(hooks->urls) == 0 || hooks->is_stopping) {
        return false;
    }
    bool wanted = hooks->events == NULL || strcmp(event, "ping") == 0;
    for (size_t i = 0; i < json_count(hooks->events); i++) {
        wanted = wanted || cstr_equal(json_str(json_at(hooks->events, i)), event);
    }
    return wanted && hooks->count < DELIVERIES_MAX;
}

static void
forget_old_payloads(struct github_hooks *hooks)
{
    while (hooks->oldest_kept + PAYLOADS_KEPT < hooks->oldest_open) {
        struct hook_delivery *delivery = hooks->list[hooks->oldest_kept++];
        if (delivery->status_code < 300) {
            free(delivery->payload);
            delivery->payload = NULL;
        }
    }
}

static struct hook_delivery *
add(struct sandbox *sandbox, const struct hook_delivery *from, int64_t delay_ms)
{
    struct github_hooks *hooks = sandbox->github->hooks;
    struct hook_delivery *delivery = xcalloc(1, sizeof(*delivery));
    *delivery = (struct hook_delivery){.id = sandbox_github_next_id(sandbox->github),
        .repository_id = from->repository_id,
        .guid = xstrdup(from->guid),
        .event = xstrdup(from->event),
        .action = from->action != NULL ? xstrdup(from->action) : NULL,
        .payload = xstrdup(from->payload),
        .due_ms = clock_mono(sandbox->platform->clock) + delay_ms};
    if ((hooks->count & (hooks->count - 1)) == 0) { // grows by doubling
        size_t room = hooks->count == 0 ? 1 : 2 * hooks->count;
        hooks->list = xrealloc(hooks->list, room * sizeof(*hooks->list));
    }
    hooks->list[hooks->count++] = delivery;
    forget_old_payloads(hooks);
    return delivery;
}

// As far as GitHub knows it was sent, and nobody answered in time.
static void
lose(struct sandbox *sandbox, struct hook_delivery *delivery)
{
    delivery->state = DELIVERY_DONE;
    delivery->delivered_ms = sandbox_now(sandbox);
    delivery->duration_ms = 10000;
    delivery->status_code = 504;
    delivery->status = xstrdup("timed out");
    delivery->url = xstrdup(json_str(json_at(sandbox->github->hooks->urls, 0)));
    sandbox->github->hooks->counts.lost++;
}

// One number of the row for each question, whether it is asked or not: the same seed gives the same
// fate to the same event, whatever the other faults are.
static void
enqueue(struct sandbox *sandbox, const struct hook_delivery *delivery)
{
    struct github_hooks *hooks = sandbox->github->hooks;
    struct hook_faults *faults = &hooks->faults;
    double lost = sandbox_webhook_random(faults), vanished = sandbox_webhook_random(faults),
           doubled = sandbox_webhook_random(faults), first = sandbox_webhook_random(faults),
           second = sandbox_webhook_random(faults), span = (double)faults->shuffle_ms;
    hooks->counts.events++;
    if (vanished < faults->vanish) {
        hooks->counts.vanished++;
        return;
    }
    struct hook_delivery *added = add(sandbox, delivery, (int64_t)(first * span));
    if (lost < faults->lose) {
        lose(sandbox, added);
        return;
    }
    if (doubled < faults->twice) {
        hooks->counts.doubled++;
        (void)add(sandbox, delivery, (int64_t)(second * span));
    }
    sandbox_webhook_wake(hooks);
}

static char *
new_guid(const struct sandbox *sandbox)
{
    char hex[33];
    random_hex(sandbox->platform->random, 16, hex);
    return xasprintf("%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

void
sandbox_webhook_emit(struct sandbox *sandbox, const struct github_repo *repo, const char *event,
    const char *action, struct json *payload)
{
    if (!sandbox_webhook_wants(sandbox, event)) {
        json_free(payload);
        return;
    }
    char *guid CLEANUP(xfreep) = new_guid(sandbox), *name CLEANUP(xfreep) = xstrdup(event);
    char *verb CLEANUP(xfreep) = action != NULL ? xstrdup(action) : NULL;
    char *text CLEANUP(xfreep) = json_text(payload);
    const struct hook_delivery delivery = {.guid = guid,
        .event = name,
        .action = verb,
        .payload = text,
        .repository_id = repo != NULL ? repo->id : 0};
    json_free(payload);
    enqueue(sandbox, &delivery);
}

void
sandbox_webhook_redeliver(struct sandbox *sandbox, const struct hook_delivery *delivery)
{
    struct hook_delivery *added = add(sandbox, delivery, 0);
    added->is_redelivery = true;
    sandbox->github->hooks->counts.redelivered++;
    sandbox_webhook_wake(sandbox->github->hooks);
}
