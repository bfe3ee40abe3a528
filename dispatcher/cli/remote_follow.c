// A deployment of the service on this terminal: its queue first, then the same lines, live area,
// summary, outputs and annotations as one that this process drives. Decides nothing: the exit code
// is the service's.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "remote.h"

struct following {
    struct remote *remote;
    const struct remote_follow *follow;
    struct deploy_ui *ui;
    struct deploy_observer observer;
    struct deploy_replay *replay;
    char *said;    // of the queue, last
    bool is_final; // the service said so
    bool ran;      // there was a deployment, not only a place in the queue
    struct error *err;
};

// A line about the queue, once.
static void
say(struct following *f, const char *place, const char *sentence, const char *more)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    buf_printf(&line, "  %s%s%s%s\n", place, sentence != NULL ? ": " : "",
        sentence != NULL ? sentence : "", more != NULL ? more : "");
    if (f->said != NULL && strcmp(f->said, buf_cstr(&line)) == 0) {
        return;
    }
    free(f->said);
    f->said = xstrdup(buf_cstr(&line));
    if (f->follow->json) {
        cli_err(f->remote->cli, buf_str(&line));
    } else {
        cli_out(f->remote->cli, buf_str(&line));
    }
}

// "queued, 2nd in its lane: behind #412 …; octocat can lift it"
static void
say_state(struct following *f, const struct json *d)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct json *reason = json_get(d, "reason");
    const char *state = json_str(json_get(d, "state"));
    const char *sentence = remote_clean(arena, json_get(reason, "sentence"));
    const char *who = remote_clean(arena, json_get(reason, "who"));
    const char *until = remote_clean(arena, json_get(reason, "until"));
    int64_t number = json_int(json_get(d, "number"), 0);
    int64_t position = json_int(json_get(d, "position"), 0);
    if (cstr_equal(state, "queued")) {
        const char *place = position > 1 ? arena_printf(arena, "#%lld is number %lld in its queue",
                                               (long long)number, (long long)position)
                                         : arena_printf(arena, "#%lld waits", (long long)number);
        const char *more = until != NULL ? arena_printf(arena, " (until %s)", until)
                           : who != NULL ? arena_printf(arena, " (%s)", who)
                                         : NULL;
        say(f, place, sentence, more);
    }
}

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
    say_state(f, whole);
    remote_warn(f->remote, whole);
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

// It never ran: it was refused, superseded or cancelled while it waited.
static struct error *
never_ran(struct following *f, const struct json *d, int *exit_code)
{
    const struct json *reason = json_get(d, "reason");
    struct arena *arena = f->remote->arena;
    const char *sentence = remote_clean(arena, json_get(reason, "sentence"));
    const char *message = remote_clean(arena, json_get(d, "message"));
    const char *result = remote_clean(arena, json_get(d, "result"));
    const char *who = remote_clean(arena, json_get(reason, "who"));
    const char *said = sentence != NULL ? sentence : message != NULL ? message : result;
    cli_errf(f->remote->cli, "dispatcher: %s: %s\n", f->follow->what,
        said != NULL ? said : "it ended without a word");
    if (who != NULL) {
        cli_errf(f->remote->cli, "  hint: %s can change that.\n", who);
    }
    if (f->remote->cli->in_actions) {
        cli_outf(f->remote->cli, "::error title=dispatcher::%s\n", said != NULL ? said : "");
    }
    *exit_code = (int)json_int(json_get(d, "exit_code"), error_kind_exit_code(ERROR_UNKNOWN));
    return NULL;
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
        return never_ran(f, d, exit_code);
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
    if (err == NULL) {
        err = f->err;
        f->err = NULL;
    }
    return err != NULL ? give_up(f, err) : report(f, exit_code);
}

struct error *
remote_follow(struct remote *remote, const struct remote_follow *follow, int *exit_code)
{
    struct following f = {.remote = remote, .follow = follow};
    // Event lines are printed as they come; the rest goes where it goes beside them.
    f.ui = deploy_ui_new(remote->cli, follow->json);
    f.observer = deploy_ui_observer(f.ui);
    f.replay = deploy_replay_new();
    if (follow->json) {
        f.observer = (struct deploy_observer){deploy_ui_quiet, f.ui};
    }
    struct error *err = listen_and_report(&f, exit_code);
    error_free(f.err);
    free(f.said);
    deploy_replay_free(f.replay);
    deploy_ui_free(f.ui);
    return err;
}
