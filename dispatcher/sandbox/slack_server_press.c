// Somebody presses a button: POST /_sandbox/slack/press answers with the request that Slack would
// send, signed, for whoever tests a service to pass on; and what is sent to its response_url.
//
//     {"channel": "#deploys", "ts": "…", "action_id": "dispatcher-approve",
//      "user": "U0ADA", "name": "ada", "age": "6m"}
//
// The sandbox itself sends nothing to anybody.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "slack_server_internal.h"

enum { USES_MAX = 5, URL_LIFE_MS = 30 * 60 * 1000, BODY_MAX = 16 * 1024 * 1024 };

// --- the press
// ------------------------------------------------------------------------------------

// The button of that action_id in a list of blocks; *block is where it stands.
static const struct json *
find_button(const struct json *blocks, const char *action, const struct json **block)
{
    for (size_t i = 0; i < json_count(blocks); i++) {
        const struct json *elements = json_get(json_at(blocks, i), "elements"),
                          *beside = json_get(json_at(blocks, i), "accessory");
        *block = json_at(blocks, i);
        if (cstr_equal(json_str(json_get(beside, "action_id")), action)) {
            return beside;
        }
        for (size_t k = 0; k < json_count(elements); k++) {
            const struct json *element = json_at(elements, k);
            if (cstr_equal(json_str(json_get(element, "action_id")), action)) {
                return element;
            }
        }
    }
    return NULL;
}

static const struct json *
find_shown_button(
    const struct slack_message *message, const char *action, const struct json **block)
{
    const struct slack_revision *shown = sandbox_slack_shown(message);
    const struct json *found = find_button(shown->blocks, action, block);
    for (size_t i = 0; found == NULL && i < json_count(shown->attachments); i++) {
        found = find_button(json_get(json_at(shown->attachments, i), "blocks"), action, block);
    }
    return found;
}

static void
set_person(struct json *payload, const struct json *order)
{
    const char *id = json_str(json_get(order, "user")), *name = json_str(json_get(order, "name"));
    struct json *user = json_make_object(), *team = json_make_object();
    json_set_str(user, "id", id != NULL ? id : "U0SANDBOX01");
    json_set_str(user, "username", name != NULL ? name : "ada");
    json_set_str(user, "name", name != NULL ? name : "ada");
    json_set_str(user, "team_id", sandbox_slack_team);
    json_set(payload, "user", user);
    json_set_str(team, "id", sandbox_slack_team);
    json_set_str(team, "domain", "sandbox");
    json_set(payload, "team", team);
}

static void
set_place(
    struct json *payload, const struct slack_channel *channel, const struct slack_message *message)
{
    struct json *container = json_make_object(), *place = json_make_object();
    json_set_str(container, "type", "message");
    json_set_str(container, "message_ts", message->ts);
    json_set_str(container, "channel_id", channel->id);
    json_set_bool(container, "is_ephemeral", false);
    json_set(payload, "container", container);
    json_set_str(place, "id", channel->id);
    json_set_str(place, "name", channel->name);
    json_set(payload, "channel", place);
    json_set(payload, "message", sandbox_slack_message_json(channel, message, true));
}

static void
copy_member(void *ctx, const char *key, const struct json *value)
{
    json_set(ctx, key, json_clone(value));
}

static void
set_action(
    struct json *payload, const struct json *button, const struct json *block, const char *at)
{
    struct json *actions = json_make_array(), *action = json_make_object();
    const char *id = json_str(json_get(block, "block_id"));
    json_each(button, copy_member, action);
    json_set_str(action, "block_id", id != NULL ? id : "b0");
    json_set_str(action, "action_ts", at);
    json_append(actions, action);
    json_set(payload, "actions", actions);
}

static struct slack_press *
add_press(struct sandbox *sandbox, const struct slack_channel *channel,
    const struct slack_message *message)
{
    struct slack_state *slack = sandbox->slack;
    struct slack_press *press = xcalloc(1, sizeof(*press));
    char random[25];
    random_hex(sandbox->platform->random, 12, random);
    *press = (struct slack_press){.key = xstrdup(random),
        .channel = xstrdup(channel->id),
        .ts = xstrdup(message->ts),
        .at_ms = sandbox_now(sandbox)};
    slack->presses =
        xrealloc(slack->presses, (slack->press_count + 1) * sizeof(struct slack_press *));
    slack->presses[slack->press_count++] = press;
    return press;
}

void
sandbox_slack_free_press(struct slack_press *press)
{
    free(press->key);
    free(press->channel);
    free(press->ts);
    free(press);
}

// X-Slack-Signature over "v0:<timestamp>:<body>".
static void
sign(const char *secret, const char *timestamp, const char *body, struct buf *out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    unsigned char hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    buf_printf(&text, "v0:%s:%s", timestamp, body);
    hmac_sha256(str_of(secret), buf_str(&text), hash);
    hex_encode(hash, sizeof(hash), hex);
    buf_printf(out, "v0=%s", hex);
}

static void
answer(struct sandbox *sandbox, const struct json *payload, int64_t age_ms,
    struct sandbox_response *response)
{
    struct json *answer = json_make_object(), *headers = json_make_object();
    struct buf body CLEANUP(buf_done) = BUF_INIT(BODY_MAX),
                    signature CLEANUP(buf_done) = BUF_INIT(256);
    char *text CLEANUP(xfreep) = json_text(payload);
    char *at CLEANUP(xfreep) =
        xasprintf("%lld", (long long)((sandbox_now(sandbox) - age_ms) / 1000));
    buf_puts(&body, "payload=");
    url_encode(str_of(text), NULL, &body);
    sign(sandbox->slack->signing_secret, at, buf_cstr(&body), &signature);
    json_set_str(headers, "Content-Type", "application/x-www-form-urlencoded");
    json_set_str(headers, "X-Slack-Request-Timestamp", at);
    json_set_str(headers, "X-Slack-Signature", buf_cstr(&signature));
    json_set(answer, "headers", headers);
    json_set_str(answer, "body", buf_cstr(&body));
    sandbox_reply_json(response, 200, answer);
}

void
sandbox_slack_press(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const struct slack_channel *channel =
        sandbox_slack_channel_named(sandbox->slack, json_str(json_get(order, "channel")));
    const struct slack_message *message =
        channel != NULL ? sandbox_slack_message(channel, json_str(json_get(order, "ts"))) : NULL;
    const char *action = json_str(json_get(order, "action_id"));
    const struct json *block = NULL;
    const struct json *button =
        message != NULL && action != NULL ? find_shown_button(message, action, &block) : NULL;
    int64_t age_ms = 0;
    if (button == NULL) {
        sandbox_reply_problem(response, 422,
            "no message of that 'channel' and 'ts' has a button of that 'action_id'");
        return;
    }
    if (json_get(order, "age") != NULL && !sandbox_inbox_read_ms(json_get(order, "age"), &age_ms)) {
        sandbox_reply_problem(response, 422, "'age' is a duration, as in \"6m\", or milliseconds");
        return;
    }
    struct json *payload CLEANUP(json_freep) = json_make_object();
    const struct slack_press *press = add_press(sandbox, channel, message);
    char *url CLEANUP(xfreep) =
        xasprintf("%s/slack/actions/%s/%s", sandbox->origin, sandbox_slack_team, press->key);
    json_set_str(payload, "type", "block_actions");
    json_set_str(payload, "api_app_id", "A0SANDBOX00");
    json_set_str(payload, "response_url", url);
    set_person(payload, order);
    set_place(payload, channel, message);
    set_action(payload, button, block, message->ts);
    answer(sandbox, payload, age_ms, response);
}

// --- what is answered to the response_url
// ---------------------------------------------------------

static struct slack_press *
find_press(const struct slack_state *slack, const char *key)
{
    for (size_t i = 0; i < slack->press_count; i++) {
        if (strcmp(slack->presses[i]->key, key) == 0) {
            return slack->presses[i];
        }
    }
    return NULL;
}

static void
refuse(struct sandbox *sandbox, struct sandbox_response *response, const char *word)
{
    struct json *body = json_make_object();
    sandbox_inbox_refused(&sandbox->slack->counts, word);
    json_set_bool(body, "ok", false);
    json_set_str(body, "error", word);
    sandbox_reply_json(response, 404, body);
}

// Kept beside the channels; "replace_original" also updates the message that had the button.
static void
take_response(struct sandbox *sandbox, const struct slack_press *press, const struct json *body,
    const struct slack_content *content)
{
    const struct slack_channel *channel = sandbox_slack_channel(sandbox->slack, press->channel);
    struct slack_message *message =
        channel != NULL ? sandbox_slack_message(channel, press->ts) : NULL;
    struct json *kept = json_make_object();
    sandbox_inbox_set_time(kept, sandbox_now(sandbox));
    json_set_str(kept, "channel", press->channel);
    json_set_str(kept, "ts", press->ts);
    json_set(kept, "response", json_clone(body));
    json_append(sandbox->slack->responses, kept);
    if (message != NULL && json_bool(json_get(body, "replace_original"), false)) {
        sandbox_slack_fill(sandbox_slack_add_revision(message, sandbox_now(sandbox)), content);
    }
}

void
sandbox_slack_respond(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    struct slack_press *press = find_press(sandbox->slack, request->parts[3]);
    struct json *body CLEANUP(json_freep) = sandbox_request_json(request);
    struct slack_content content CLEANUP(sandbox_slack_content_done) = {0};
    struct json *more CLEANUP(json_freep) = NULL;
    sandbox->slack->counts.requests++;
    if (press == NULL || sandbox_now(sandbox) - press->at_ms > URL_LIFE_MS) {
        refuse(sandbox, response, "expired_url");
        return;
    }
    if (press->uses >= USES_MAX) {
        refuse(sandbox, response, "used_url");
        return;
    }
    const char *word =
        body == NULL ? "invalid_payload" : sandbox_slack_read_content(body, &content, &more);
    if (word != NULL) {
        refuse(sandbox, response, word);
        response->status = 400;
        return;
    }
    press->uses++;
    take_response(sandbox, press, body, &content);
    sandbox_reply_text(response, 200, "application/json", STR("{\"ok\":true}"));
}
