// A deployment of the service on this terminal: its queue first, then the same lines, live area,
// summary, outputs and annotations as one that this process drives. Decides nothing: the exit code
// is the service's.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "remote_waiting.h"

struct following {
    struct remote *remote;
    const struct remote_follow *follow;
    struct deploy_ui *ui;
    struct deploy_observer observer;
    struct deploy_replay *replay;
    struct remote_waiting waiting;
    bool is_final; // the service said so
    bool ran;      // there was a deployment, not only a place in the queue
    struct error *err;
};

static void
print_line(struct following *f, const struct client_event *event)
{
    if (f->follow->json) {
        struct buf line CLEANUP(buf_done) = BUF_INIT(16 * 1024 * 1024);
        buf_add(&line, event->data);
        buf_putc(&line, '\n');
        cli_out(f->remote->cli, buf_str(&line));
    }
}

static bool
hear_state(struct following *f, const struct client_event *event)
{
    struct json *d CLEANUP(json_freep) = NULL;
    f->err = json_parse(event->data, &json_limits_default, &d);
    if (f->err != NULL) {
        return false;
    }
    const struct json *inner = json_get(d, "state");
    const struct json *whole = json_is_object(inner) ? inner : d;
    f->is_final = cstr_equal(json_str(json_get(whole, "state")), "final");
    remote_warn(f->remote, whole);
    if (cstr_equal(json_str(json_get(whole, "state")), "queued")) {
        remote_waiting_say(&f->waiting, whole);
    } else {
        remote_waiting_done(&f->waiting);
    }
    return !f->is_final;
}

static bool
hear(void *ctx, const struct client_event *event)
{
    struct following *f = ctx;
    struct deploy_event shown = {0};
    bool known = false;
    print_line(f, event);
    if (strcmp(event->kind, "state") == 0) {
        return hear_state(f, event);
    }
    f->err = deploy_replay_line(f->replay, event->data, &shown, &known);
    if (f->err != NULL) {
        return false;
    }
    f->ran = f->ran || known;
    remote_waiting_done(&f->waiting); // two areas cannot be on one terminal
    if (known && shown.kind != DEPLOY_EVENT_FINISHED) {
        f->observer.event(f->observer.ctx, &shown);
    }
    return strcmp(event->kind, "finished") != 0;
}

static void
hear_again(void *ctx, const char *why)
{
    struct following *f = ctx;
    log_info(f->remote->cli->platform.log, "the stream is taken up again", F_STR("why", why));
}

static struct error *
ask_to_cancel(struct following *f, const char *why)
{
    struct remote *remote = f->remote;
    struct json *body CLEANUP(json_freep) = json_make_object(), *answer CLEANUP(json_freep) = NULL;
    const char *const parts[] = {"deployments", f->follow->id, "cancel", NULL};
    json_set_str(body, "reason", why);
    cancel_clear(remote->cli->platform.cancel);
    char *path = remote_path(remote->arena, parts);
    return remote_post(remote, path, body, remote_key(remote, "cancel"), &answer);
}

// We stop listening; the deployment goes on unless it is cancelled as well.
static struct error *
give_up(struct following *f, struct error *err)
{
    bool late = error_kind(err) == ERROR_STILL_RUNNING;
    bool interrupted = error_kind(err) == ERROR_CANCELLED;
    bool cancel =
        (late && f->follow->cancel_on_timeout) || (interrupted && f->follow->cancel_on_signal);
    if (cancel) {
        struct error *refused =
            ask_to_cancel(f, late ? "out of time" : "its caller was interrupted");
        if (refused != NULL) {
            char *text CLEANUP(xfreep) = error_text(refused);
            cli_errf(f->remote->cli, "dispatcher: warning: not cancelled: %s\n", text);
            error_free(refused);
        }
    }
    if (interrupted) {
        err = error_hint(err, "%s in the service; 'dispatcher watch %s --server %s' follows it.",
            cancel ? "It was asked to end" : "It goes on", f->follow->id, f->remote->url);
    }
    return error_wrap(err, "%s", f->follow->what);
}

static struct error *
report(struct following *f, int *exit_code)
{
    struct remote *remote = f->remote;
    struct json *d CLEANUP(json_freep) = NULL;
    struct deployment *deployment = NULL;
    const char *const parts[] = {"deployments", f->follow->id, NULL};
    char *path = remote_path(remote->arena, parts);
    TRY(remote_get(remote, arena_printf(remote->arena, "%s?document=1", path), &d));
    const struct json *document = json_get(d, "document");
    if (!json_is_object(document)) {
        remote_waiting_never_ran(remote, f->follow, d, exit_code);
        return NULL;
    }
    char *text CLEANUP(xfreep) = json_text(document);
    TRY(deployment_decode(str_of(text), remote->arena, &deployment));
    deploy_ui_result(f->ui, deployment);
    *exit_code = (int)json_int(json_get(d, "exit_code"), deployment->exit_code);
    return NULL;
}

static struct error *
listen_and_report(struct following *f, int *exit_code)
{
    const struct remote_follow *follow = f->follow;
    const struct clock *clock = f->remote->cli->platform.clock;
    const struct client_listener listener = {.event = hear, .again = hear_again, .ctx = f};
    int64_t deadline = follow->timeout_ms > 0 ? clock_mono(clock) + follow->timeout_ms : 0;
    struct error *err = client_listen(f->remote->client, follow->id, deadline, &listener);
    remote_waiting_done(&f->waiting);
    if (err == NULL) {
        err = f->err;
        f->err = NULL;
    }
    return err != NULL ? give_up(f, err) : report(f, exit_code);
}

struct error *
remote_follow(struct remote *remote, const struct remote_follow *follow, int *exit_code)
{
    struct following f = {
        .remote = remote, .follow = follow, .waiting = {.remote = remote, .follow = follow}};
    // Event lines are printed as they come; the rest goes where it goes beside them.
    f.ui = deploy_ui_new(remote->cli, follow->json);
    f.observer = deploy_ui_observer(f.ui);
    f.replay = deploy_replay_new();
    if (follow->json) {
        f.observer = (struct deploy_observer){deploy_ui_quiet, f.ui};
    }
    struct error *err = listen_and_report(&f, exit_code);
    error_free(f.err);
    deploy_replay_free(f.replay);
    deploy_ui_free(f.ui);
    return err;
}
