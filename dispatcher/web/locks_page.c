// `/locks`: all of them in one list, with who may lift each, and the form for a new one.
#include <inttypes.h>

#include "web_internal.h"

static void
put_release(struct buf *out, const struct web_frame *frame, const struct web_lock *lock)
{
    if (frame->csrf == NULL) {
        return;
    }
    if (lock->why_not != NULL) {
        html_add(out, "<p class=dim>%s</p>", lock->why_not);
        return;
    }
    buf_puts(out, "<form method=post");
    html_path(out, "action", "/locks/%s/release", lock->lock->id);
    html_add(out,
        "><input type=hidden name=csrf value=\"%s\"><input type=hidden name=back value=\"%s\">"
        "<input type=hidden name=epoch value=%" PRId64 "><button>Lift it<span class=vh>: ",
        frame->csrf, frame->path, lock->lock->epoch);
    part_lock_scope(out, lock->lock);
    buf_puts(out, "</span></button></form>");
}

static void
put_lock(struct buf *out, const struct web_frame *frame, const struct web_lock *lock, bool past)
{
    const struct queue_lock *row = lock->lock;
    html_add(out, "<tr id=\"%s\"><th scope=row>", row->id);
    part_lock_scope(out, row);
    buf_puts(out, "<td>");
    part_badge(out, part_lock_kind(row),
        cstr_equal(row->level, "warning")  ? "warning"
        : cstr_equal(row->level, "freeze") ? "freeze"
                                           : "lock");
    html_add(out, "<td class=wide>%s<td>", row->reason);
    part_person(out, row->owner);
    buf_puts(out, "<td>");
    if (row->starts_ms > frame->now_ms) {
        buf_puts(out, "from ");
        part_time(out, row->starts_ms);
    } else {
        part_age(out, row->starts_ms > 0 ? row->starts_ms : row->created_ms, frame->now_ms);
    }
    buf_puts(out, "<td>");
    if (past) {
        part_age(out, row->released_ms, frame->now_ms);
        buf_puts(out, " by ");
        part_person(out, row->released_by);
        return;
    }
    if (row->expires_ms > 0) {
        part_time(out, row->expires_ms);
    } else {
        buf_puts(out, "lifted by hand");
    }
    buf_puts(out, "<td>");
    buf_puts(out, cstr_equal(row->level, "warning")     ? "nothing waits for it"
                  : cstr_equal(row->on_release, "drop") ? "what waits is dropped"
                                                        : "what waits runs");
    buf_puts(out, "<td class=does>");
    put_release(out, frame, lock);
}

static void
put_list(struct buf *out, const struct web_frame *frame, const struct web_lock *locks, size_t count,
    bool past)
{
    html_add(out,
        "<div class=scroll tabindex=0><table><caption class=vh>%s</caption><thead><tr>"
        "<th scope=col>Where<th scope=col>Level<th scope=col>Reason<th scope=col>By<th scope=col>"
        "Since<th scope=col>%s",
        past ? "Locks that were lifted" : "Locks that hold", past ? "Lifted" : "Until");
    buf_puts(
        out, past ? "</thead><tbody>" : "<th scope=col>Then<th scope=col>Actions</thead><tbody>");
    for (size_t i = 0; i < count; i++) {
        put_lock(out, frame, &locks[i], past);
    }
    buf_puts(out, "</table></div>");
}

static void
put_options(struct buf *out, const char *label, const char *name, const struct str_list *values,
    const char *chosen)
{
    html_add(out, "<label>%s <select name=\"%s\"><option value=\"\">–</option>", label, name);
    for (size_t i = 0; values != NULL && i < values->count; i++) {
        html_add(out, "<option%s>%s</option>",
            cstr_equal(values->items[i], chosen) ? " selected" : "", values->items[i]);
    }
    buf_puts(out, "</select></label>");
}

struct choice {
    const char *value, *name, *note;
};

static void
put_radios(struct buf *out, const char *legend, const char *name, const struct choice *choices,
    size_t count)
{
    html_add(out, "<fieldset><legend>%s</legend>", legend);
    for (size_t i = 0; i < count; i++) {
        html_add(out,
            "<label class=radio><input type=radio name=\"%s\" value=\"%s\"%s> <span><b>%s</b> "
            "<span class=dim>%s</span></span></label>",
            name, choices[i].value, i == 0 ? " checked" : "", choices[i].name, choices[i].note);
    }
    buf_puts(out, "</fieldset>");
}

static void
put_scope(struct buf *out, const struct web_locks *locks)
{
    static const struct choice scopes[] = {
        {"target", "An app in an environment", ""},
        {"app", "An app everywhere", ""},
        {"program", "A program", "all of its apps"},
        {"environment", "An environment", "all apps"},
        {"organisation", "Everything", ""},
    };
    buf_puts(out, "<fieldset><legend>Where</legend><label>Scope <select name=scope>");
    for (size_t i = 0; i < ARRAY_LENGTH(scopes); i++) {
        html_add(out, "<option value=\"%s\">%s</option>", scopes[i].value, scopes[i].name);
    }
    buf_puts(out, "</select></label>");
    put_options(out, "App", "app", locks->apps, locks->app);
    put_options(out, "Environment", "env", locks->environments, locks->env);
    put_options(out, "Program", "program", locks->programs, NULL);
    buf_puts(out, "<p class=dim>Only what the scope needs is used.</p></fieldset>");
}

static void
put_form(struct buf *out, const struct web_frame *frame, const struct web_locks *locks)
{
    static const struct choice levels[] = {
        {"lock", "Lock", "nothing begins"},
        {"freeze", "Freeze", "nothing but emergencies begins"},
        {"warning", "Warning", "deployments go on and say so"},
    };
    static const struct choice endings[] = {
        {"run", "Run", "what waits then runs, in its order"},
        {"drop", "Drop", "what waits is then dropped"},
    };
    if (!locks->add.possible) {
        part_refused(out, "Lock", &locks->add);
        return;
    }
    buf_puts(out, "<section class=card aria-labelledby=new><h2 id=new>New lock</h2>");
    part_form(out, frame, "/locks");
    buf_puts(out, "<div class=fields>");
    put_scope(out, locks);
    put_radios(out, "Level", "level", levels, ARRAY_LENGTH(levels));
    put_radios(out, "When it is lifted", "on_release", endings, ARRAY_LENGTH(endings));
    buf_puts(out,
        "<fieldset><legend>Until</legend><label>Ends by itself <select name=expires_in>"
        "<option value=1h>in 1 hour</option><option value=4h selected>in 4 hours</option>"
        "<option value=1d>in 1 day</option><option value=3d>in 3 days</option>"
        "<option value=7d>in 7 days</option><option value=\"\">when it is lifted</option>"
        "</select></label></fieldset></div>"
        "<div class=row><label class=grow>Reason <input name=reason maxlength=500 required "
        "autocomplete=off></label><button class=primary>Lock</button></div>"
        "</form></section>");
}

void
web_locks_page(const struct web_frame *frame, const struct web_locks *locks, struct buf *out)
{
    layout_begin(out, frame);
    buf_puts(out, "<h1>Locks</h1><section class=space aria-label=\"Locks that hold\">");
    if (locks->count > 0) {
        put_list(out, frame, locks->locks, locks->count, false);
    } else {
        buf_puts(out, "<p class=empty>Nothing is locked.</p>");
    }
    buf_puts(out, "</section>");
    if (frame->csrf != NULL) {
        put_form(out, frame, locks);
    }
    if (locks->past_count > 0) {
        buf_puts(out, "<section class=space aria-labelledby=past><h2 id=past>Lifted</h2>");
        put_list(out, frame, locks->past, locks->past_count, true);
        buf_puts(out, "</section>");
    }
    layout_end(out, frame);
}
