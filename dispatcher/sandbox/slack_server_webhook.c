// The sandbox's incoming webhook of Slack: one URL for one channel. Answers are texts with statuses
// (Slack's changelog of 2016-05-17); on order they come with 200, as proxies and old integrations
// do it.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "slack_server_internal.h"

struct hook_call {
    struct sandbox *sandbox;
    struct sandbox_request *request;
    struct sandbox_response *response;
};

static void
refuse(const struct hook_call *call, int status, const char *word)
{
    struct slack_state *slack = call->sandbox->slack;
    sandbox_inbox_refused(&slack->counts, word);
    sandbox_reply_text(call->response, slack->hook_errors_as_200 && status != 429 ? 200 : status,
        "text/html", str_of(word));
}

static bool
fails(const struct hook_call *call)
{
    struct slack_state *slack = call->sandbox->slack;
    const struct inbox_failure *failure = &slack->failure;
    if (!sandbox_inbox_fails(&slack->failure, "webhook")) {
        return false;
    }
    const char *word = failure->body != NULL    ? failure->body
                       : failure->error != NULL ? failure->error
                                                : "rollup_error";
    sandbox_inbox_refused(&slack->counts, "on order");
    sandbox_reply_text(
        call->response, failure->status != 0 ? failure->status : 500, "text/html", str_of(word));
    if (failure->retry_after != NULL) {
        sandbox_reply_header(call->response, "Retry-After", failure->retry_after);
    }
    return true;
}

// The payload: the body itself, or the field "payload" of a form.
static struct json *
read_payload(const struct sandbox_request *request)
{
    const char *type = sandbox_request_header(request, "Content-Type");
    struct str body = buf_str(&request->body);
    if (type != NULL && str_starts(str_of(type), STR("application/x-www-form-urlencoded"))) {
        body = str_of(sandbox_form_value(request->arena, body, "payload"));
    }
    struct json *payload = NULL;
    struct error *err CLEANUP(error_freep) = json_parse(body, &json_limits_default, &payload);
    if (err != NULL || !json_is_object(payload)) {
        json_free(payload);
        return NULL;
    }
    return payload;
}

// The channel that the URL leads to, if it takes messages; NULL once it was answered why not.
static struct slack_channel *
find_channel(const struct hook_call *call)
{
    const struct slack_state *slack = call->sandbox->slack;
    const char *const *parts = call->request->parts;
    struct slack_channel *channel = sandbox_slack_channel(slack, slack->hook_channel);
    if (strcmp(parts[2], sandbox_slack_team) != 0) {
        refuse(call, 404, "no_team");
    } else if (strcmp(parts[3], sandbox_slack_bot) != 0 || slack->hook_removed) {
        refuse(call, 404, "no_service");
    } else if (strcmp(parts[4], slack->hook_key) != 0) {
        refuse(call, 403, "invalid_token");
    } else if (slack->hook_prohibited) {
        refuse(call, 403, "action_prohibited");
    } else if (channel == NULL || channel->is_deleted) {
        refuse(call, 404, "channel_not_found");
    } else if (channel->is_archived) {
        refuse(call, 410, "channel_is_archived");
    } else {
        return channel;
    }
    return NULL;
}

static void
post(const struct hook_call *call, struct slack_channel *channel, const struct json *payload)
{
    struct slack_content content CLEANUP(sandbox_slack_content_done) = {0};
    struct json *more CLEANUP(json_freep) = NULL;
    const char *word = sandbox_slack_read_content(payload, &content, &more);
    bool is_empty = (content.text == NULL || content.text[0] == '\0') &&
                    json_count(content.blocks) == 0 && json_count(content.attachments) == 0;
    if (word != NULL || is_empty) {
        refuse(call, 400, word != NULL ? word : "no_text");
        return;
    }
    struct slack_message *message = sandbox_slack_add_message(call->sandbox, channel);
    const char *thread = json_str(json_get(payload, "thread_ts"));
    message->by_webhook = true;
    message->thread_ts = sandbox_slack_message(channel, thread) != NULL ? xstrdup(thread) : NULL;
    sandbox_slack_fill(sandbox_slack_add_revision(message, sandbox_now(call->sandbox)), &content);
    sandbox_reply_text(call->response, 200, "text/html", STR("ok"));
}

void
sandbox_slack_webhook(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const struct hook_call call = {sandbox, request, response};
    int64_t wait_ms = 0;
    sandbox->slack->counts.requests++;
    if (fails(&call)) {
        return;
    }
    struct slack_channel *channel = find_channel(&call);
    if (channel == NULL) {
        return;
    }
    if (!sandbox_slack_channel_takes(sandbox, channel, &wait_ms)) {
        refuse(&call, 429, "rate_limited");
        sandbox_reply_header(
            response, "Retry-After", sandbox_inbox_seconds(request->arena, wait_ms));
        return;
    }
    struct json *payload CLEANUP(json_freep) = read_payload(request);
    if (!sandbox_request_is(request, "POST") || payload == NULL) {
        refuse(&call, 400, "invalid_payload");
    } else {
        post(&call, channel, payload);
    }
}
