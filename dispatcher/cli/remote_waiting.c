// What is said of a deployment of the service that does not run yet, or never did. On a terminal a
// clock shows that it is still waited for.
#include "remote_waiting.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "live.h"

enum { LINES_MAX = 16 * 1024 };

static const char *
of_reason(struct arena *arena, const struct json *deployment, const char *name)
{
    return remote_clean(arena, json_get(json_get(deployment, "reason"), name));
}

static void
put_clock(struct remote_waiting *waiting)
{
    struct cli *cli = waiting->remote->cli;
    struct buf line CLEANUP(buf_done) = BUF_INIT(1024);
    if (waiting->live == NULL) {
        waiting->live = live_new(cli, waiting->follow->json);
        waiting->since_ms = clock_mono(cli->platform.clock);
    }
    buf_puts(&line, LIVE_SPINNER " waiting, ");
    live_elapsed(waiting->since_ms, &line);
    buf_puts(&line, waiting->follow->cancel_on_signal
                        ? "; Ctrl-C cancels it\n"
                        : "; Ctrl-C stops looking, the service goes on\n");
    live_update(waiting->live, buf_str(&line));
}

// The command that whoever can do something about it types.
static void
put_next(const struct remote_waiting *waiting, const char *code, struct buf *out)
{
    const char *url = waiting->remote->url;
    if (cstr_equal(code, "approval-needed")) {
        buf_printf(out, "    next, for who may: dispatcher approve %s --server %s\n",
            waiting->follow->id, url);
    } else if (cstr_equal(code, "locked") || cstr_equal(code, "frozen")) {
        buf_printf(out, "    next, for who may: dispatcher locks --server %s\n", url);
    }
}

// "    can be changed by octocat, or an admin; until 2026-…Z; then it will run"
static void
put_way_out(struct arena *arena, const struct json *deployment, struct buf *out)
{
    const char *who = of_reason(arena, deployment, "who");
    const char *until = of_reason(arena, deployment, "until");
    const char *sentence = of_reason(arena, deployment, "sentence");
    until = until != NULL && strstr(sentence, until) != NULL ? NULL : until; // it was said
    const char *then = of_reason(arena, deployment, "on_release");
    const struct {
        const char *words, *value;
    } parts[] = {{"can be changed by ", who}, {"until ", until}, {"then it ", then}};
    const char *separator = "    ";
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        if (parts[i].value != NULL) {
            buf_printf(out, "%s%s%s", separator, parts[i].words, parts[i].value);
            separator = "; ";
        }
    }
    buf_puts(out, who != NULL || until != NULL || then != NULL ? "\n" : "");
}

void
remote_waiting_say(struct remote_waiting *waiting, const struct json *deployment)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf lines CLEANUP(buf_done) = BUF_INIT(LINES_MAX);
    struct cli *cli = waiting->remote->cli;
    const char *sentence = of_reason(arena, deployment, "sentence");
    int64_t number = json_int(json_get(deployment, "number"), 0);
    if (sentence == NULL) { // it was accepted this moment: nobody has looked at it yet
        return;
    }
    buf_printf(&lines, "  #%lld waits: %s\n", (long long)number, sentence);
    put_way_out(arena, deployment, &lines);
    put_next(waiting, of_reason(arena, deployment, "code"), &lines);
    if (waiting->said == NULL || strcmp(waiting->said, buf_cstr(&lines)) != 0) {
        free(waiting->said);
        waiting->said = xstrdup(buf_cstr(&lines));
        if (waiting->follow->json) {
            cli_err(cli, buf_str(&lines));
        } else {
            cli_out(cli, buf_str(&lines));
        }
    }
    put_clock(waiting);
}

void
remote_waiting_done(struct remote_waiting *waiting)
{
    live_free(waiting->live);
    waiting->live = NULL;
    free(waiting->said);
    waiting->said = NULL;
}

// --- it never ran --------------------------------------------------------------------------------

static void
put_hint(struct remote *remote, const struct json *d)
{
    const char *code = of_reason(remote->arena, d, "code"),
               *who = of_reason(remote->arena, d, "who");
    const char *newer = remote_clean(remote->arena, json_get(d, "superseded_by"));
    bool done = cstr_equal(code, "cancelled") || cstr_equal(code, "rejected") ||
                cstr_equal(code, "dropped");
    if (newer != NULL) {
        cli_errf(remote->cli, "  next: dispatcher watch %s --server %s\n", newer, remote->url);
    } else if (who != NULL) {
        cli_errf(remote->cli, "  %s: %s\n", done ? "by" : "who can change that", who);
    }
}

void
remote_waiting_never_ran(
    struct remote *remote, const struct remote_follow *follow, const struct json *d, int *exit_code)
{
    struct arena *arena = remote->arena;
    const char *sentence = of_reason(arena, d, "sentence");
    const char *code = of_reason(arena, d, "code");
    const char *message = remote_clean(arena, json_get(d, "message"));
    const char *result = remote_clean(arena, json_get(d, "result"));
    const char *said = sentence != NULL ? sentence : message != NULL ? message : result;
    said = said != NULL ? said : "it ended without a word";
    cli_errf(remote->cli, "dispatcher: %s: not begun: %s%s%s%s\n", follow->what, said,
        code != NULL ? " (" : "", code != NULL ? code : "", code != NULL ? ")" : "");
    put_hint(remote, d);
    if (remote->cli->in_actions) {
        cli_outf(remote->cli, "::error title=dispatcher::%s\n", said);
    }
    *exit_code = (int)json_int(json_get(d, "exit_code"), error_kind_exit_code(ERROR_UNKNOWN));
}
