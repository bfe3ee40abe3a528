// `/apps/{app}`: its environments side by side with what lies between them, what holds there in
// plain words, the four keys, and the history with its rollbacks.
#include <inttypes.h>
#include <string.h>

#include "web_internal.h"

enum { COMMITS_SHOWN = 12 };

// --- environments --------------------------------------------------------------------------------

static void
put_cell_badges(struct buf *out, const struct web_cell *cell)
{
    buf_puts(out, "<p class=badges>");
    if (cell->running != NULL) {
        buf_puts(out, "<a class=\"b run\"");
        html_path(out, "href", "/deployments/%s", cell->running);
        buf_puts(out, ">running ");
        part_version(out, cell->running_version);
        buf_puts(out, "</a> ");
    }
    if (cell->failed != NULL) {
        buf_puts(out, "<a class=\"b bad\"");
        html_path(out, "href", "/deployments/%s", cell->failed);
        html_add(out, ">%s</a> ", cell->failed_how);
    }
    if (cell->queued > 0) {
        html_add(out, "<a class=\"b wait\" href=\"/queue\">queued %" PRId64 "</a> ", cell->queued);
    }
    if (cell->lock != NULL) {
        part_badge(out, part_lock_kind(cell->lock), "locked");
        buf_puts(out, " ");
    }
    if (cell->behind > 0) {
        html_add(out, "<span class=\"b behind\">%" PRId64 " %s behind</span> ", cell->behind,
            cell->behind_releases ? (cell->behind == 1 ? "release" : "releases")
                                  : (cell->behind == 1 ? "commit" : "commits"));
    }
    buf_puts(out, "</p>");
    if (cell->waits != NULL) {
        html_add(out, "<p class=note>%s</p>", cell->waits);
    }
    if (cell->drift != NULL) {
        html_add(out, "<p class=note><span class=\"b drift\">drift</span> %s</p>", cell->drift);
    }
}

// --- drift ---------------------------------------------------------------------------------------

// What the looks compare, in words: a column without a target has only its parameter.
static void
put_in_sync(struct buf *out, const struct web_frame *frame, const struct queue_drift_lane *lane)
{
    buf_puts(out, "<p class=note>");
    buf_puts(out, lane->running == 0 ? "The version parameter says so; what runs is not compared"
                  : lane->parameters == 0 ? "It is what runs"
                                          : "The version parameter says so, and it is what runs");
    buf_puts(out, ": looked at ");
    part_age(out, lane->looked_ms, frame->now_ms);
    buf_puts(out, " ago.</p>");
}

static void
put_unknown(struct buf *out, const struct web_frame *frame, const struct queue_drift_lane *lane)
{
    buf_puts(out, "<p class=note><span class=\"b unk\">drift not known</span> Since ");
    part_age(out, lane->unknown_ms, frame->now_ms);
    html_add(out, ": %s</p>", lane->why);
}

// What was here before may be brought back by people; anything else comes from a job alone.
static bool
was_here(const struct web_app_column *column, const char *version)
{
    for (size_t i = 0; i < column->good_count; i++) {
        if (cstr_equal(column->good[i].version, version)) {
            return true;
        }
    }
    return false;
}

static void
put_taking_over(struct buf *out, const struct web_frame *frame, const struct web_app *app,
    const struct web_app_column *column)
{
    const struct queue_drift *first = &column->drift.items[0];
    bool is_version =
        strcmp(first->what, "parameter") == 0 && first->found != NULL && first->found[0] != '(';
    if (is_version && was_here(column, first->found)) {
        buf_puts(out, "<p>Or deploy what was found, so that it is proven and recorded:</p>");
        command_put(out, "dispatcher deploy %s --env %s --version %s --server %s", app->app,
            column->env, first->found, frame->url);
    } else if (is_version) {
        html_add(out,
            "<p>Or let a job of the app deploy <code>%s</code>, so that it is proven and "
            "recorded.</p>",
            first->found);
    }
}

// Who made the difference knows whether it is to stay; all ways end in a release that is recorded.
static void
put_ways(struct buf *out, const struct web_frame *frame, const struct web_app *app,
    const struct web_app_column *column)
{
    buf_puts(out,
        "<details class=ways><summary>What to do</summary><p>Nothing mends this by itself. "
        "Put back what was deployed:</p>");
    command_put(out, "dispatcher deploy %s --env %s --version %s --server %s", app->app,
        column->env, column->cell.version, frame->url);
    put_taking_over(out, frame, app, column);
    if (column->good_count > 1) {
        buf_puts(out, "<p>Or go back to the release before:</p>");
        command_put(out, "dispatcher rollback %s --env %s --reason '…' --server %s", app->app,
            column->env, frame->url);
    }
    buf_puts(out, "</details>");
}

static void
put_drift(struct buf *out, const struct web_frame *frame, const struct web_app *app,
    const struct web_app_column *column)
{
    const struct web_drift *drift = &column->drift;
    if (!drift->on) {
        return;
    }
    for (size_t i = 0; i < drift->count; i++) {
        html_add(out, "<p class=note><span class=\"b drift\">drift</span> %s Seen first ",
            drift->items[i].sentence);
        part_age(out, drift->items[i].since_ms, frame->now_ms);
        buf_puts(out, " ago.</p>");
    }
    if (drift->count > 0) {
        put_ways(out, frame, app, column);
    }
    if (drift->lane == NULL) {
        buf_puts(out, "<p class=note>Not looked at for drift since this deployment.</p>");
    } else if (drift->lane->unknown_ms > 0) {
        put_unknown(out, frame, drift->lane);
    } else if (strcmp(drift->lane->state, "nothing") == 0) {
        html_add(out, "<p class=note>Drift: %s.</p>", drift->lane->why);
    } else if (drift->count == 0) {
        put_in_sync(out, frame, drift->lane);
    }
}

static void
put_version(struct buf *out, const struct web_frame *frame, const struct web_cell *cell)
{
    if (cell->version == NULL) {
        buf_puts(out, "<p class=bigv>–</p><p class=dim>Nothing was deployed here yet.</p>");
        return;
    }
    buf_puts(out, "<p class=bigv>");
    if (cell->deployment != NULL) {
        buf_puts(out, "<a");
        html_path(out, "href", "/deployments/%s", cell->deployment);
        buf_puts(out, ">");
        part_version(out, cell->version);
        buf_puts(out, "</a>");
    } else {
        part_version(out, cell->version);
    }
    buf_puts(out, "</p><p class=dim>");
    part_age(out, cell->since_ms, frame->now_ms);
    buf_puts(out, cell->actor != NULL ? " by " : "");
    part_person(out, cell->actor);
    buf_puts(out, "</p>");
}

static void
put_rules(struct buf *out, const struct web_app_column *column)
{
    if (column->rule_count == 0) {
        return;
    }
    buf_puts(out, "<ul class=rules>");
    for (size_t i = 0; i < column->rule_count; i++) {
        const struct web_rule *rule = &column->rules[i];
        html_add(out, "<li>%s", rule->text);
        if (rule->place != NULL) {
            buf_puts(out, " <span class=place>");
            html_link(out, rule->url, rule->place);
            buf_puts(out, "</span>");
        }
        buf_puts(out, "</li>");
    }
    buf_puts(out, "</ul>");
}

static void
put_column(struct buf *out, const struct web_frame *frame, const struct web_app *app,
    const struct web_app_column *column)
{
    bool here = cstr_equal(app->env, column->env);
    html_add(out, "<section class=\"card env%s\" id=\"%s\" aria-label=\"%s\"><h2>%s</h2>",
        here ? " here" : "", column->env, column->env, column->env);
    put_version(out, frame, &column->cell);
    put_cell_badges(out, &column->cell);
    put_drift(out, frame, app, column);
    struct action_place place = {app->app, column->env, "Roll back", column->rollback_locks};
    if (frame->csrf != NULL) {
        action_roll_back(out, frame, &place, column->good, column->good_count, &column->roll_back);
    }
    put_rules(out, column);
    buf_puts(out, "</section>");
}

static void
put_between(struct buf *out, const struct web_frame *frame, const struct web_app *app,
    const struct web_app_column *column)
{
    struct action_place from = {app->app, column->env, "Promote", false};
    html_add(out, "<div class=between><span class=arrow role=img aria-label=\"to %s\"></span>",
        column->next);
    if (column->commits != NULL && column->commits->count > 0) {
        html_add(out, "<details><summary>%zu commit%s</summary>", column->commits->count,
            column->commits->count == 1 ? "" : "s");
        part_commits(out, column->commits, app->repository_url, COMMITS_SHOWN);
        buf_puts(out, "</details>");
    }
    if (html_is_link(column->compare_url)) {
        html_link(out, column->compare_url, "Compare");
    }
    if (frame->csrf != NULL) {
        action_promote(out, frame, &from, column->next, column->cell.version, &column->promote);
    }
    buf_puts(out, "</div>");
}

// --- the four keys -------------------------------------------------------------------------------

static void
put_key(struct buf *out, const struct web_app *app, const char *name, const char *what,
    void (*value)(struct buf *out, const struct web_keys *keys))
{
    html_add(out, "<tr><th scope=row>%s<p class=note>%s</p>", name, what);
    for (size_t i = 0; i < ARRAY_LENGTH(app->keys); i++) {
        buf_puts(out, "<td>");
        value(out, &app->keys[i]);
    }
}

static void
put_frequency(struct buf *out, const struct web_keys *keys)
{
    html_add(out, "<b>%" PRId64 ".%" PRId64 "</b> a week <span class=dim>(%" PRId64 ")</span>",
        keys->per_week_tenths / 10, keys->per_week_tenths % 10, keys->deployments);
}

static void
put_lead(struct buf *out, const struct web_keys *keys)
{
    buf_puts(out, "<b>");
    part_duration(out, keys->lead_ms);
    buf_puts(out, "</b>");
    if (keys->lead_ms >= 0 && !keys->lead_from_commit) {
        buf_puts(out, " <span class=dim>from acceptance: commit times are not known</span>");
    }
}

static void
put_failures(struct buf *out, const struct web_keys *keys)
{
    if (keys->ended <= 0) {
        buf_puts(out, "<b>–</b>");
        return;
    }
    html_add(out, "<b>%" PRId64 " %%</b> <span class=dim>(%" PRId64 " of %" PRId64 ")</span>",
        (keys->failed * 100 + keys->ended / 2) / keys->ended, keys->failed, keys->ended);
}

static void
put_restore(struct buf *out, const struct web_keys *keys)
{
    buf_puts(out, "<b>");
    part_duration(out, keys->restore_ms);
    buf_puts(out, "</b>");
}

static void
put_keys(struct buf *out, const struct web_app *app)
{
    html_add(out,
        "<section aria-labelledby=keys4><h2 id=keys4>Four keys</h2><table class=keys><thead><tr>"
        "<th scope=col>In production<th scope=col>%" PRId64 " days<th scope=col>%" PRId64
        " days</thead><tbody>",
        app->keys[0].days, app->keys[1].days);
    put_key(out, app, "Deployment frequency", "how often", put_frequency);
    put_key(out, app, "Lead time for changes", "median, from commit to deployed", put_lead);
    put_key(out, app, "Change failure rate", "failed or rolled back", put_failures);
    put_key(out, app, "Time to restore", "median, from failure to the next good one", put_restore);
    buf_puts(out, "</table></section>");
}

// --- history -------------------------------------------------------------------------------------

static void
put_past(struct buf *out, const struct web_frame *frame, const struct web_past *past)
{
    const struct queue_job *job = past->job;
    buf_puts(out, "<tr><th scope=row><a");
    html_path(out, "href", "/deployments/%s", job->id);
    html_add(out, ">#%" PRId64 "</a><td>%s<td>", job->number, job->env);
    part_version(out, job->version);
    buf_puts(out, "<td>");
    part_badge(out, part_job_kind(job), part_job_word(job));
    if (cstr_equal(job->verb, "rollback")) {
        buf_puts(out, " ");
        part_badge(out, "back", "rollback");
        if (past->rollback_of != NULL) {
            buf_puts(out, " <span class=dim>of</span> ");
            part_version(out, past->rollback_of);
        }
    } else if (cstr_equal(job->verb, "promote")) {
        buf_puts(out, " <span class=dim>promoted</span>");
    }
    bool plain = cstr_equal(job->result, "deployed"); // its sentence says what the row says
    const char *why = past->because != NULL ? past->because : plain ? NULL : job->reason;
    if (why != NULL) {
        html_add(out, "<p class=note>%s</p>", why);
    }
    buf_puts(out, "<td>");
    part_person(out, job->requester);
    buf_puts(out, "<td class=short>");
    part_duration(out, past->took_ms);
    buf_puts(out, "<td>");
    part_age(out, job->created_ms, frame->now_ms);
}

static void
put_history(struct buf *out, const struct web_frame *frame, const struct web_app *app)
{
    buf_puts(out, "<section aria-labelledby=history><h2 id=history>History</h2>");
    if (app->past_count == 0) {
        buf_puts(out, "<p class=empty>No deployment was asked for yet.</p></section>");
        return;
    }
    buf_puts(out, "<div class=scroll tabindex=0><table><thead><tr>"
                  "<th scope=col>Deployment<th scope=col>Environment<th scope=col>Version"
                  "<th scope=col>Result<th scope=col>By<th scope=col>Took<th scope=col>Asked"
                  "</thead><tbody>");
    for (size_t i = 0; i < app->past_count; i++) {
        put_past(out, frame, &app->past[i]);
    }
    buf_puts(out, "</table></div>");
    if (app->next != NULL) {
        buf_puts(out, "<p class=more><a");
        html_url(out, "href", app->next);
        buf_puts(out, ">Older</a></p>");
    }
    buf_puts(out, "</section>");
}

// --- the page ------------------------------------------------------------------------------------

static void
put_header(struct buf *out, const struct web_app *app)
{
    html_add(out, "<div class=head><h1>%s</h1><p class=dim>%s", app->app, app->title);
    if (app->program != NULL && !cstr_equal(app->program, app->app)) {
        html_add(out, " · program %s", app->program);
    }
    if (app->repository != NULL) {
        buf_puts(out, " · ");
        html_link(out, app->repository_url, app->repository);
    }
    if (html_is_link(app->spec_url)) {
        buf_puts(out, " · ");
        html_link(out, app->spec_url, "spec");
    }
    buf_puts(out, "</p></div>");
    if (app->problem != NULL) {
        html_add(out,
            "<p class=\"banner bad\"><span class=\"b bad\">spec not usable</span> <span>Nobody may "
            "deploy this app until its spec is mended. %s</span></p>",
            app->problem);
    }
}

static void
put_locks(struct buf *out, const struct web_frame *frame, const struct web_app *app)
{
    for (size_t i = 0; i < app->lock_count; i++) {
        html_add(out, "<p class=\"banner %s\">", part_lock_kind(app->locks[i].lock));
        part_lock_sentence(out, app->locks[i].lock, frame->now_ms);
        if (app->locks[i].why_not != NULL) {
            html_add(out, " <span class=dim>%s</span>", app->locks[i].why_not);
        } else {
            buf_puts(out, " <a href=\"/locks\">Lift it</a>");
        }
        buf_puts(out, "</p>");
    }
}

static void
put_badge_text(struct buf *out, const struct web_frame *frame, const struct web_app *app)
{
    buf_puts(out, "<section aria-labelledby=badge><h2 id=badge>Badge</h2>");
    for (size_t i = 0; i < app->count; i++) {
        const char *env = app->columns[i].env;
        buf_puts(out, "<p class=badgeline><img alt=\"\" height=20");
        // Another address for another version: what was fetched before is not shown again.
        const char *version = app->columns[i].cell.version;
        html_path(out, "src", "/badges/%s/%s.svg?at=%s", app->app, env,
            version != NULL ? version : "nothing");
        buf_puts(out, "></p><div class=copy data-copy><code tabindex=0>");
        html_add(out, "[![%s](%s/badges/%s/%s.svg)](%s/apps/%s)</code></div>", env, frame->url,
            app->app, env, frame->url, app->app);
    }
    buf_puts(out, "</section>");
}

void
web_app_page(const struct web_frame *frame, const struct web_app *app, struct buf *out)
{
    layout_begin(out, frame);
    put_header(out, app);
    put_locks(out, frame, app);
    buf_puts(out, "<div class=envs>");
    for (size_t i = 0; i < app->count; i++) {
        put_column(out, frame, app, &app->columns[i]);
        if (app->columns[i].next != NULL) {
            put_between(out, frame, app, &app->columns[i]);
        }
    }
    buf_puts(out, "</div>");
    put_history(out, frame, app);
    buf_puts(out, "<div class=pair>");
    put_keys(out, app);
    put_badge_text(out, frame, app);
    buf_puts(out, "</div>");
    layout_end(out, frame);
}
