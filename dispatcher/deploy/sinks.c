// Whom this deployment tells: the sinks of the settings with their placeholders expanded, and what
// a report says of the environment. Reads no secret and opens nothing; never a reason to fail.
#include <stdlib.h>
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/actions.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"

static bool
is_listed(const struct str_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0) {
            return true;
        }
    }
    return false;
}

// Only Apps may make check runs, and a job's own token is one's. Whose a token of the spec is,
// nobody knows.
static bool
makes_checks(
    struct deploy_context *context, const struct deployment *d, const struct setting_sink *setting)
{
    if (strcmp(setting->check, "auto") != 0) {
        return strcmp(setting->check, "always") == 0;
    }
    bool app = d->github_app_id != NULL || env_get(context->platform, "DEPLOYMENT_APP_ID") != NULL;
    return setting->token == NULL && (app || actions_is_active(context->platform));
}

// What may stand in an address, host included, without changing where it leads: a git tag may hold
// slashes and more.
static const char *
harmless(const char *text)
{
    return text != NULL && tag_is_valid(str_of(text)) ? text : NULL;
}

// False when a placeholder has no value in this deployment: *text is NULL then, which is noted.
static bool
expand(const struct preparation *p, const char *what, const char **text)
{
    const struct deployment *d = p->deployment;
    const struct spec_context known = {.version = harmless(d->version),
        .sha = harmless(d->sha),
        .tag = harmless(d->tag),
        .account = d->account,
        .region = d->region};
    if (*text == NULL) {
        return true;
    }
    struct error *err CLEANUP(error_freep) =
        spec_expand(p->settings, &known, *text, p->arena, text);
    if (err != NULL) {
        *text = NULL;
        deployment_note(p->deployment, p->arena,
            arena_printf(p->arena, "%s is left out: %s", what, error_message(err)));
    }
    return err == NULL;
}

static bool
make_sink(struct deploy_context *context, const struct preparation *p, size_t index,
    struct deployment_sink *out)
{
    const struct setting_sink *setting = &p->settings->notify.sinks[index];
    const char *what = arena_printf(p->arena, "sink '%s'", setting->name);
    bool github = strcmp(setting->kind, "github") == 0;
    *out = (struct deployment_sink){.name = setting->name,
        .kind = setting->kind,
        .outcomes = p->settings->notify.outcomes[index],
        .token = setting->token,
        .channel = setting->channel,
        .url = setting->webhook != NULL ? setting->webhook : setting->url,
        .secret = setting->secret,
        .routing_key = setting->routing_key,
        .region = setting->region,
        .private_hosts = p->settings->notify.private_hosts,
        .to_private = setting->to_private,
        .deployment = setting->deployment,
        .status = setting->status,
        .check = github && makes_checks(context, p->deployment, setting),
        .comment = setting->comment};
    if (is_listed(&setting->incident_environments, p->deployment->env)) {
        out->incidents = setting->incident_outcomes;
    }
    return expand(p, what, &out->channel) &&
           (setting->webhook != NULL || expand(p, what, &out->url));
}

static void
fill(struct deploy_context *context, const struct preparation *p, bool tells)
{
    const struct setting_notify *notify = &p->settings->notify;
    struct deployment *d = p->deployment;
    struct deployment_sink *sinks = arena_array(p->arena, notify->sink_count, sizeof(*sinks));
    size_t count = 0;
    // A rollback knows no checkout, but GitHub is to show what runs now: its version may be a
    // commit.
    if (d->sha == NULL && d->version != NULL && snapshot_is_commit(d->version)) {
        d->sha = d->version;
    }
    d->members = notify->members;
    d->is_production = p->settings->is_production;
    d->environment_url = notify->environment_url;
    (void)expand(p, "'notify.environment_url'", &d->environment_url);
    for (size_t i = 0; tells && i < notify->sink_count; i++) {
        count += make_sink(context, p, i, &sinks[count]) ? 1 : 0;
    }
    d->sinks = (struct object_list){sinks, count};
}

void
sinks_resolve(struct deploy_context *context, const struct preparation *p)
{
    fill(context, p, true);
}

void
sinks_prepare(struct deploy_context *context, const struct preparation *p)
{
    fill(context, p, is_listed(&p->settings->notify.verbs, p->deployment->verb));
}
