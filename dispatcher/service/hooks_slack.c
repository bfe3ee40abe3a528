// POST /hooks/slack: buttons of our messages. Signed by Slack, or nothing is read; and a press
// counts only when dispatcher.yaml says whose GitHub login the Slack user is: everybody else is
// told where to do it instead, in words that only they see. A press is about what its message
// showed, which the button carries: when that is not what waits any more, nothing is done.
#include <string.h>

#include "api_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/slack.h"
#include "dispatcher/url.h"
#include "service_state_internal.h"

enum { TELL_MS = 2000 }; // Slack waits three seconds for our answer

static const struct press {
    const char *action;
    bool approves, rejects;
} presses[] = {
    {"dispatcher-approve", true, false},
    {"dispatcher-reject", false, true},
    {"dispatcher-cancel", false, false},
};

// One press: what Slack sent, and what its button says of the message.
struct pressed {
    const struct press *press;
    struct slack_interaction given;
    struct slack_shown shown;
};

static const struct press *
press_of(const char *action)
{
    for (size_t i = 0; i < ARRAY_LENGTH(presses); i++) {
        if (cstr_equal(presses[i].action, action)) {
            return &presses[i];
        }
    }
    return NULL;
}

// --- telling whoever pressed ---------------------------------------------------------------------

// The address came with a signed message; it must still be Slack's, or this machine's in a
// rehearsal.
static bool
is_slack_address(const char *text)
{
    struct url url = {0};
    if (text == NULL) {
        return false;
    }
    struct error *err CLEANUP(error_freep) = url_parse(text, &url);
    bool is =
        err == NULL && !url.has_user &&
        ((strcmp(url.scheme, "https") == 0 && (strcmp(url.host, "hooks.slack.com") == 0 ||
                                                  strcmp(url.host, "hooks.slack-gov.com") == 0)) ||
            url_host_is_loopback(url.host));
    url_done(&url);
    return is;
}

static struct error *
post_text(struct request *request, const char *address, const char *text)
{
    const struct platform *platform = service_request_platform(request->service);
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct buf bytes CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct http_response response CLEANUP(http_response_done) = {0};
    json_set_str(body, "response_type", "ephemeral");
    json_set_bool(body, "replace_original", false);
    json_set_str(body, "text", text);
    json_print(body, false, &bytes);
    http_headers_add(&headers, "Content-Type", "application/json");
    const struct http_request post = {
        .method = HTTP_POST,
        .url = address,
        .headers = &headers,
        .body = buf_str(&bytes),
        .deadline_ms = clock_mono(platform->clock) + TELL_MS,
        .max_response = 64 * 1024,
    };
    TRY(http_client_new(platform, service_http_options(request->service), &http));
    return http_send(http, &post, &response);
}

static void
tell(struct request *request, const struct pressed *pressed, const char *text)
{
    const struct slack_interaction *press = &pressed->given;
    struct buf escaped CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    slack_escape(text, 2000, &escaped);
    log_info(service_platform(request->service)->log, "a button in Slack was not obeyed",
        F_STR("id", request->id), F_STR("user", press->user_id), F_STR("action", press->action),
        F_STR("deployment", pressed->shown.deployment), F_STR("said", text));
    if (!is_slack_address(press->response_url)) {
        return;
    }
    struct error *err CLEANUP(error_freep) =
        post_text(request, press->response_url, buf_cstr(&escaped));
    if (err != NULL) {
        log_warn(service_platform(request->service)->log, "Slack could not be told",
            F_STR("id", request->id), F_STR("error", error_message(err)));
    }
}

static const char *
page_of(struct request *request, const struct pressed *pressed)
{
    const char *url = service_settings(request->service)->url;
    return arena_printf(request->arena, "%s/deployments/%s", url, pressed->shown.deployment);
}

// --- doing it ------------------------------------------------------------------------------------

// Who pressed, as a caller like any other when it is somebody that we know.
static enum people_found
become(struct request *request, const struct slack_interaction *press)
{
    struct caller *caller = &request->caller;
    const char *login = people_of_slack(request->service, press->user_id, request->arena);
    if (login == NULL) {
        return PEOPLE_UNKNOWN;
    }
    enum people_found found =
        people_of_login(request->service, login, request->arena, &caller->person);
    if (found != PEOPLE_KNOWN) {
        return found;
    }
    caller->kind = CALLER_PERSON;
    caller->admin = people_is_admin(service_settings(request->service), &caller->person);
    caller->scope = arena_printf(request->arena, "user/%s", login);
    caller->actor = login;
    caller->actor_id = caller->person.id;
    return PEOPLE_KNOWN;
}

// The answer that the API gives to the same person, in a response of its own.
static struct error *
act(struct request *request, const struct pressed *pressed, const struct queue_job *job,
    struct response *answer)
{
    const struct press *press = pressed->press;
    if (!press->approves && !press->rejects) {
        return api_changes_stop(request, answer, job, "cancelled in Slack");
    }
    struct queue_approval approval = {
        .by = request->caller.person.login,
        .by_id = request->caller.person.id,
        .version = pressed->shown.version,
        .diff = pressed->shown.diff,
        .note = "in Slack",
        .rejected = press->rejects,
        .at_ms = request->wall_ms,
    };
    if (approval.diff == NULL) {
        response_refusef(request, answer, REASON_STATE,
            "the message does not say what would be deployed, so it cannot be approved by it");
        return NULL;
    }
    return api_changes_record(request, answer, job, &approval);
}

static const char *
problem_of(struct request *request, const struct response *answer)
{
    struct json *problem CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) =
        json_parse(buf_str(&answer->body), &json_limits_default, &problem);
    const char *detail = err == NULL ? json_str(json_get(problem, "detail")) : NULL;
    return arena_dup(request->arena, detail != NULL ? detail : "it could not be done");
}

static struct error *
press_button(struct request *request, const struct pressed *pressed)
{
    struct response answer = {.status = 200};
    struct queue_job *job = NULL;
    buf_init(&answer.body, 1024 * 1024);
    struct error *err = queue_get(request->store, pressed->shown.deployment, request->arena, &job);
    if (err == NULL && job == NULL) {
        tell(request, pressed, "That deployment is not known here.");
    } else if (err == NULL) {
        err = act(request, pressed, job, &answer);
    }
    if (err == NULL && answer.code != NULL) {
        tell(request, pressed,
            arena_printf(request->arena, "Not done: %s. %s", problem_of(request, &answer),
                page_of(request, pressed)));
    }
    buf_done(&answer.body);
    http_headers_done(&answer.headers);
    return err;
}

static bool
is_signed(struct request *request)
{
    struct secret *secret CLEANUP(secret_freep) =
        service_secret(request->service, SERVICE_SECRET_SLACK);
    return secret != NULL &&
           slack_signature_is_valid(secret, NULL, request_header(request, "X-Slack-Signature"),
               request_header(request, "X-Slack-Request-Timestamp"), request->body,
               request->wall_ms);
}

struct error *
hooks_slack(struct request *request, struct response *response)
{
    struct pressed pressed = {0};
    const struct slack_interaction *given = &pressed.given;
    if (!is_signed(request)) {
        metric_add(request->service, METRIC_HOOKS_REFUSED, 1);
        response_refusef(
            request, response, REASON_TOKEN_SIGNATURE, "the message is not signed by Slack");
        return NULL;
    }
    metric_add(request->service, METRIC_HOOKS, 1);
    struct error *err CLEANUP(error_freep) =
        slack_interaction_parse(request->body, request->arena, &pressed.given);
    response_text(response, 200, "text/plain; charset=utf-8", (struct str){0});
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_warn(service_platform(request->service)->log, "a message of Slack is not understood",
            F_STR("id", request->id), F_STR("error", text));
    }
    if (err != NULL || given->user_id == NULL ||
        !slack_shown_read(given->value, request->arena, &pressed.shown)) {
        return NULL; // none of ours
    }
    pressed.press = press_of(given->action);
    if (pressed.press == NULL) {
        if (str_starts(str_of(given->action), STR("dispatcher-"))) {
            tell(request, &pressed,
                arena_printf(request->arena, "Not done: that is not done from Slack. %s",
                    page_of(request, &pressed)));
        }
        return NULL;
    }
    enum people_found found = become(request, given);
    if (found != PEOPLE_KNOWN) {
        const char *why =
            found == PEOPLE_UNKNOWN
                ? "Your Slack account is not tied to a GitHub login here, so please do that on the "
                  "dashboard:"
                : "Not done: GitHub could not be asked who you are. Please try again in a minute:";
        tell(request, &pressed,
            arena_printf(request->arena, "%s %s", why, page_of(request, &pressed)));
        return NULL;
    }
    return press_button(request, &pressed);
}
