// Services that were workers of this app and have no entry point any more. They cost money and eat
// from queues that nobody expects them at, so they are reported; they are deleted only when the
// spec says so, after the rollout was proven, and only with our tags on them: a name alone may be
// somebody else's.
#include <string.h>

#include "dispatcher/memory.h"
#include "target_apprunner_internal.h"

enum { TEXT_MAX = 300, GONE_MS = 15 * 60 * 1000 };

#define MARK "\x1f" // stands for the worker in the template

enum belonging { OTHER, BY_NAME, BY_TAG };

struct template
{
    struct str head, tail;
};

static void
warn(const struct step_run *run, const char *what, struct error *err)
{
    char *text CLEANUP(xfreep) = error_text(err);
    const char *hint = error_hint_of(err);
    const char *line = arena_printf(
        run->arena, "%s: %s%s%s", what, text, hint != NULL ? ". " : "", hint != NULL ? hint : "");
    context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
        context_clean(run->arena, line, TEXT_MAX));
    error_free(err);
}

// --- which ones --------------------------------------------------------------------------------

static struct error *
read_template(const struct preparation *p, struct template *out)
{
    const struct deployment *d = p->deployment;
    const struct spec_context known = {.version = d->version,
        .sha = d->sha,
        .tag = d->tag,
        .account = d->account,
        .region = d->region,
        .worker = MARK,
        .worker_file = MARK};
    const char *name = NULL;
    TRY(spec_expand(p->settings, &known, p->settings->workers.target.service, p->arena, &name));
    if (!str_cut(str_of(name), MARK[0], &out->head, &out->tail) || out->head.len == strlen(name)) {
        *out = (struct template){STR(""), STR("")}; // one worker, or an ARN: nothing to compare
    }
    return NULL;
}

static bool
matches(const struct template *template, const char *name)
{
    struct str text = str_of(name);
    return template->head.len > 0 && text.len > template->head.len + template->tail.len &&
           str_starts(text, template->head) && str_ends(text, template->tail);
}

// Of this deployment, or of the app beside it.
static bool
is_wanted(const struct preparation *p, const char *name, const char *arn)
{
    for (size_t i = 0; i < p->deployment->targets.count; i++) {
        const char *service = deployment_target_at(p->deployment, i)->want.service;
        if (cstr_equal(service, name) || cstr_equal(service, arn)) {
            return true;
        }
    }
    for (size_t i = 0; i < p->settings->service_count; i++) {
        const struct setting_service *service = &p->settings->services[i];
        if (service->has_target && (cstr_equal(service->target.service, name) ||
                                       cstr_equal(service->target.service, arn))) {
            return true;
        }
    }
    return false;
}

static const char *
value_of(const struct pair_list *tags, const char *key)
{
    for (size_t i = 0; i < tags->count; i++) {
        if (strcmp(tags->items[i].key, key) == 0) {
            return tags->items[i].value;
        }
    }
    return NULL;
}

static struct error *
read_belonging(const struct step_run *run, const char *arn, bool by_name, enum belonging *out)
{
    const struct deployment *d = run->deployment;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct pair_list tags = {0};
    *out = by_name ? BY_NAME : OTHER;
    TRY(apprunner_turn(run, &aws));
    TRY(apprunner_tags_list(aws, arn, scratch, &tags));
    const char *app = value_of(&tags, "dispatcher:app");
    if (app != NULL) {
        bool ours = strcmp(app, d->app) == 0 &&
                    cstr_equal(value_of(&tags, "dispatcher:environment"), d->env) &&
                    value_of(&tags, "dispatcher:worker") != NULL;
        *out = ours ? BY_TAG : OTHER;
    }
    return NULL;
}

static void
add_orphan(const struct step_run *run, const char *name, enum belonging belonging)
{
    struct deployment *d = run->deployment;
    const char **longer = arena_array(run->arena, d->orphans.count + 1, sizeof(*longer));
    for (size_t i = 0; i < d->orphans.count; i++) {
        longer[i] = d->orphans.items[i];
    }
    longer[d->orphans.count] = arena_dup(run->arena, name);
    d->orphans = (struct str_list){longer, d->orphans.count + 1};
    const char *fate =
        belonging == BY_NAME ? "it is taken for one by its name only and is left alone"
        : d->remove_orphans  ? "it is deleted once the rollout is proven"
                             : "it is left alone ('workers.remove_orphans: true' deletes it)";
    deployment_note(d, run->arena,
        arena_printf(run->arena, "App Runner service '%s' has no worker any more: %s", name, fate));
}

static struct error *
look_at_all(const struct step_run *run, const struct preparation *p)
{
    struct template template = {0};
    struct apprunner_summary *list = NULL;
    size_t count = 0;
    char *family CLEANUP(xfreep) = xasprintf("%s-", p->settings->name);
    TRY(read_template(p, &template));
    TRY(apprunner_listed(run, &list, &count));
    for (size_t i = 0; i < count; i++) {
        enum belonging belonging = OTHER;
        bool by_name = matches(&template, list[i].name);
        // The template may have changed: what is called like the app is looked at, too.
        bool may_be = by_name || str_starts(str_of(list[i].name), str_of(family));
        if (!may_be || list[i].state == APPRUNNER_SERVICE_DELETED ||
            is_wanted(p, list[i].name, list[i].arn)) {
            continue;
        }
        struct error *err = read_belonging(run, list[i].arn, by_name, &belonging);
        if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
            return err;
        }
        if (err != NULL) { // by its name, then
            warn(run, "services without a worker", err);
        }
        if (belonging != OTHER) {
            add_orphan(run, list[i].name, belonging);
        }
    }
    return NULL;
}

static bool
has_workers(const struct deployment *d)
{
    for (size_t i = 0; i < d->targets.count; i++) {
        if (deployment_target_at(d, i)->worker != NULL) {
            return true;
        }
    }
    return false;
}

struct error *
workers_look_for_orphans(struct deploy_context *context, const struct preparation *p)
{
    const struct step_run run = {
        .context = context, .deployment = p->deployment, .arena = p->arena};
    // Without the entry points every worker's service would look like one.
    if (!cstr_equal(p->settings->workers.target.kind, "apprunner") || !has_workers(p->deployment)) {
        return NULL;
    }
    struct error *err = look_at_all(&run, p);
    if (err == NULL || error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    warn(&run, "services without a worker", err);
    return NULL;
}

// --- removing them -----------------------------------------------------------------------------

static const char *
arn_of(const struct apprunner_summary *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0 && list[i].state != APPRUNNER_SERVICE_DELETED) {
            return list[i].arn;
        }
    }
    return NULL;
}

// *asked: App Runner deletes it now.
static struct error *
delete_one(const struct step_run *run, const char *arn, bool *asked)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct apprunner_start started = {0};
    enum belonging belonging = OTHER;
    *asked = false;
    TRY(read_belonging(run, arn, true, &belonging));
    if (belonging != BY_TAG) {
        return NULL;
    }
    TRY(apprunner_turn(run, &aws));
    TRY(apprunner_delete(aws, arn, scratch, &started));
    *asked = true;
    return NULL;
}

// Deletion takes minutes, and one that fails leaves a service that still runs: *gone false while it
// goes on.
static struct error *
look_at_deletion(const struct step_run *run, const char *arn, bool *gone)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct apprunner_service service = {0};
    TRY(apprunner_turn(run, &aws));
    TRY(apprunner_describe(aws, arn, scratch, &service));
    *gone = service.arn == NULL || service.state == APPRUNNER_SERVICE_DELETED;
    if (*gone) {
        return NULL;
    }
    if (service.state == APPRUNNER_SERVICE_DELETE_FAILED) {
        return error_new(ERROR_REFUSED, "App Runner could not delete it (DELETE_FAILED)");
    }
    bool late =
        clock_mono(run->context->platform->clock) >= run->context->pace->orphan_mono_ms + GONE_MS;
    return late ? error_new(ERROR_STILL_RUNNING, "it is still %s", service.status) : NULL;
}

// One look at the orphan at work: asks for its end, or sees it. *over: nothing more is to be done.
static struct error *
remove_one(const struct step_run *run, const char *arn, bool *over)
{
    struct deploy_pace *pace = run->context->pace;
    if (!pace->orphan_asked) {
        TRY(delete_one(run, arn, &pace->orphan_asked));
        pace->orphan_mono_ms = clock_mono(run->context->platform->clock);
    }
    *over = !pace->orphan_asked;
    return *over ? NULL : look_at_deletion(run, arn, over);
}

static void
tell_removed(const struct step_run *run, const char *name)
{
    const char *text = arena_printf(
        run->arena, "App Runner service '%s', which had no worker any more, is deleted", name);
    deployment_note(run->deployment, run->arena, text);
    context_emit_text(run->context, run->deployment, DEPLOY_EVENT_NOTE, text);
}

static struct error *
go_on(const struct step_run *run, const char *name, const char *arn, bool *over)
{
    struct deploy_pace *pace = run->context->pace;
    struct error *err = arn != NULL ? remove_one(run, arn, over) : NULL;
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    *over = *over || err != NULL || arn == NULL;
    if (err != NULL) {
        warn(run, arena_printf(run->arena, "remove App Runner service '%s'", name), err);
    } else if (*over && pace->orphan_asked) {
        tell_removed(run, name);
    }
    pace->orphan_asked = pace->orphan_asked && !*over;
    return NULL;
}

struct error *
workers_remove_orphans(const struct step_run *run, struct step_result *result)
{
    const struct deployment *d = run->deployment;
    struct deploy_pace *pace = run->context->pace;
    struct apprunner_summary *list = NULL;
    size_t count = 0;
    if (!d->remove_orphans || pace->orphan >= d->orphans.count) {
        return NULL;
    }
    struct error *err = apprunner_listed(run, &list, &count);
    if (err != NULL && error_kind(err) != ERROR_CANCELLED) {
        warn(run, "remove services without a worker", err);
        return NULL;
    }
    TRY(err);
    while (pace->orphan < d->orphans.count) {
        const char *name = d->orphans.items[pace->orphan];
        bool over = false;
        TRY(go_on(run, name, arn_of(list, count, name), &over));
        if (!over) {
            result->outcome = STEP_WAIT;
            result->until_ms = clock_mono(run->context->platform->clock) + rollout_poll_ms(run);
            return NULL;
        }
        pace->orphan++;
    }
    return NULL;
}
