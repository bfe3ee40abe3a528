// What a reader may do to a deployment or a lane, as forms that need no script: a <details> that
// opens to ask for a reason. What may not be done says why and who could. Does nothing itself.
#include "web_internal.h"

// Opens the form of an action that is possible; false: there is nothing more to write.
static bool
begin(struct buf *out, const char *label, const char *class, const struct web_action *action)
{
    if (!action->possible) {
        part_refused(out, label, action);
        return false;
    }
    html_add(out, "<details class=do><summary class=\"button %s\">%s…</summary>", class, label);
    return true;
}

static void
end(struct buf *out)
{
    buf_puts(out, "</form></details>");
}

static void
put_job_form(
    struct buf *out, const struct web_frame *frame, const struct queue_job *job, const char *action)
{
    buf_puts(out, "<form method=post");
    html_path(out, "action", "/deployments/%s/%s", job->id, action);
    html_add(out,
        "><input type=hidden name=csrf value=\"%s\"><input type=hidden name=back value=\"%s\">",
        frame->csrf, frame->path);
}

static void
put_app_form(struct buf *out, const struct web_frame *frame, const char *app, const char *action)
{
    buf_puts(out, "<form method=post");
    html_path(out, "action", "/apps/%s/%s", app, action);
    html_add(out,
        "><input type=hidden name=csrf value=\"%s\"><input type=hidden name=back value=\"%s\">"
        "<input type=hidden name=once value=\"%s\">",
        frame->csrf, frame->path, frame->once);
}

static void
put_reason(struct buf *out, const char *label, bool required)
{
    html_add(out, "<label>%s <input name=reason maxlength=500 autocomplete=off%s></label>", label,
        required ? " required" : "");
}

void
action_cancel(struct buf *out, const struct web_frame *frame, const struct queue_job *job,
    const struct web_action *action)
{
    if (!begin(out, "Cancel", "danger", action)) {
        return;
    }
    put_job_form(out, frame, job, "cancel");
    buf_puts(
        out, cstr_equal(job->state, "running")
                 ? "<p>The run at GitHub is asked to stop. What it changed by then is reported.</p>"
                 : "<p>It leaves the queue; nothing has been changed.</p>");
    put_reason(out, "Reason", false);
    buf_puts(out, "<button class=danger>Cancel this deployment</button>");
    end(out);
}

void
action_hurry(struct buf *out, const struct web_frame *frame, const struct queue_job *job,
    const struct web_action *action)
{
    if (!begin(out, "Move first", "", action)) {
        return;
    }
    put_job_form(out, frame, job, "hurry");
    buf_puts(out, "<p>It goes before all others that wait in this lane. This is written to the "
                  "audit log.</p>");
    put_reason(out, "Reason", true);
    buf_puts(out, "<button class=primary>Move it first</button>");
    end(out);
}

void
action_approve(struct buf *out, const struct web_frame *frame, const struct queue_job *job,
    const char *diff, const struct web_action *action)
{
    if (!begin(out, "Approve", "primary", action)) {
        return;
    }
    put_job_form(out, frame, job, "approve");
    html_add(out, "<input type=hidden name=version value=\"%s\">", job->version);
    html_add(out, "<input type=hidden name=diff value=\"%s\"><p>Approves ", diff);
    part_version(out, job->version);
    html_add(out, " for <b>%s</b> in <b>%s</b>, and nothing else.</p>", job->app, job->env);
    buf_puts(out, "<label>Note <input name=note maxlength=500 autocomplete=off></label>"
                  "<div class=row><button class=primary name=reject value=0>Approve</button>"
                  "<button class=danger name=reject value=1>Reject</button></div>");
    end(out);
}

void
action_roll_back(struct buf *out, const struct web_frame *frame, const struct action_place *place,
    const struct web_good *good, size_t good_count, const struct web_action *action)
{
    if (!begin(out, place->label, "danger", action)) {
        return;
    }
    put_app_form(out, frame, place->app, "rollback");
    html_add(
        out, "<input type=hidden name=env value=\"%s\"><label>To <select name=to>", place->env);
    for (size_t i = 0; i < good_count; i++) {
        if (!good[i].current) {
            char since[32];
            part_time_text(good[i].since_ms, since);
            html_add(out, "<option value=\"%s\">", good[i].version);
            part_version_short(out, good[i].version);
            html_add(out, "%s%s</option>", good[i].since_ms > 0 ? ", since " : "",
                good[i].since_ms > 0 ? since : "");
        }
    }
    buf_puts(out, "</select></label>");
    put_reason(out, "Reason", true);
    html_add(out, "<p>%s</p><button class=danger>Roll back %s in %s</button>",
        place->locks
            ? "The environment is locked then, so that nothing undoes it."
            : "The spec does not lock the environment then: a later deployment may undo it.",
        place->app, place->env);
    end(out);
}

void
action_promote(struct buf *out, const struct web_frame *frame, const struct action_place *from,
    const char *to, const char *version, const struct web_action *action)
{
    if (!begin(out, from->label, "primary", action)) {
        return;
    }
    put_app_form(out, frame, from->app, "promote");
    html_add(out,
        "<input type=hidden name=from value=\"%s\"><input type=hidden name=env value=\"%s\">"
        "<input type=hidden name=version value=\"%s\"><p>",
        from->env, to, version);
    part_version(out, version);
    html_add(out, " goes from <b>%s</b> to <b>%s</b>, the same image.</p>", from->env, to);
    html_add(out, "<button class=primary>Promote to %s</button>", to);
    end(out);
}

void
action_deploy(struct buf *out, const struct web_frame *frame, const struct action_place *place,
    const char *version, const struct web_action *action)
{
    if (!begin(out, place->label, "", action)) {
        return;
    }
    put_app_form(out, frame, place->app, "deploy");
    html_add(out,
        "<input type=hidden name=env value=\"%s\"><input type=hidden name=version value=\"%s\"><p>",
        place->env, version);
    part_version(out, version);
    html_add(out, " is asked for anew in <b>%s</b>, by all the same rules.</p>", place->env);
    buf_puts(out, "<button class=primary>Deploy it again</button>");
    end(out);
}
