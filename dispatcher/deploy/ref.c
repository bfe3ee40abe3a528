// What starts a deployment, a branch or a tag, and to which environment that leads when nobody has
// named one: the spec's `branch` and `allow` say it.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/actions.h"
#include "dispatcher/memory.h"

struct ref_triggers
ref_triggers(struct deploy_context *context, const struct preparation *p)
{
    const char *ref = env_get(context->platform, "GITHUB_REF");
    const struct str_list *tags = &p->git->tags;
    size_t room = tags->count > 0 ? tags->count : 1;
    struct setting_trigger *items = arena_array(p->arena, room, sizeof(*items));
    if (actions_is_active(context->platform) && ref != NULL) {
        items[0] = (struct setting_trigger){
            arena_dup(p->arena, ref), env_get(context->platform, "GITHUB_EVENT_NAME")};
        return (struct ref_triggers){items, 1};
    }
    if (p->git->branch != NULL || tags->count == 0) {
        const char *branch = p->git->branch != NULL ? p->git->branch : "";
        items[0].ref = arena_printf(p->arena, "refs/heads/%s", branch);
        return (struct ref_triggers){items, 1};
    }
    for (size_t i = 0; i < tags->count; i++) {
        items[i].ref = arena_printf(p->arena, "refs/tags/%s", tags->items[i]);
    }
    return (struct ref_triggers){items, tags->count};
}

// "branch 'main'", "tag 'v1.2.3'", "this commit".
static const char *
name_of(struct arena *arena, const char *ref)
{
    struct str text = str_of(ref), branch = STR("refs/heads/"), tag = STR("refs/tags/");
    if (str_equal(text, branch)) {
        return "this commit";
    }
    if (str_starts(text, branch)) {
        return arena_printf(arena, "branch '%s'", ref + branch.len);
    }
    return str_starts(text, tag) ? arena_printf(arena, "tag '%s'", ref + tag.len)
                                 : arena_printf(arena, "'%s'", ref);
}

static const char *
listed(struct arena *arena, const struct str_list *names)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < names->count; i++) {
        buf_printf(&text, "%s'%s'", i > 0 ? ", " : "", names->items[i]);
    }
    return arena_str(arena, buf_str(&text));
}

static void
add_new(struct str_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], name) == 0) {
            return;
        }
    }
    list->items[list->count++] = name;
}

// The environments that any of the triggers leads to, and one that did.
static struct error *
find(const struct preparation *p, const struct spec_files *files,
    const struct ref_triggers *triggers, struct diagnostics *diagnostics, struct str_list *out,
    const struct setting_trigger **by)
{
    *by = &triggers->items[0];
    for (size_t i = 0; i < triggers->count; i++) {
        struct str_list names = {0};
        settings_environments_for_ref(
            &files->config, &files->app, &triggers->items[i], p->arena, diagnostics, &names);
        TRY(diagnostics_error(diagnostics));
        if (names.count == 0) {
            continue;
        }
        *by = &triggers->items[i];
        const char **both = arena_array(p->arena, out->count + names.count, sizeof(*both));
        for (size_t k = 0; k < out->count; k++) {
            both[k] = out->items[k];
        }
        out->items = both;
        for (size_t k = 0; k < names.count; k++) {
            add_new(out, names.items[k]);
        }
    }
    return NULL;
}

static struct error *
none(const struct preparation *p, const struct spec_files *files,
    const struct setting_trigger *trigger, struct diagnostics *diagnostics)
{
    struct str_list all = {0};
    const char *event = trigger->event;
    config_environments(&files->config, p->arena, diagnostics, &all);
    TRY(diagnostics_error(diagnostics));
    return error_hint(
        error_new(ERROR_USAGE, "no environment was given, and %s%s%s%s deploys '%s' to none",
            name_of(p->arena, trigger->ref), event != NULL ? " by event '" : "",
            event != NULL ? event : "", event != NULL ? "'" : "", p->request->app),
        "Say which with --env%s%s; 'branch' and 'allow' of an environment in the spec say what "
        "deploys there by itself.",
        all.count > 0 ? ": " : "", listed(p->arena, &all));
}

struct error *
ref_choose_environment(struct deploy_context *context, const struct preparation *p,
    const struct spec_files *files, struct diagnostics *diagnostics, const char **out)
{
    const struct ref_triggers triggers = ref_triggers(context, p);
    const struct setting_trigger *by = NULL;
    struct str_list found = {0};
    TRY(find(p, files, &triggers, diagnostics, &found, &by));
    if (found.count == 0) {
        return none(p, files, by, diagnostics);
    }
    if (found.count > 1) {
        return error_hint(
            error_new(ERROR_USAGE, "no environment was given, and %s deploys '%s' to %zu: %s",
                name_of(p->arena, by->ref), p->request->app, found.count, listed(p->arena, &found)),
            "Say which with --env.");
    }
    *out = found.items[0];
    deployment_note(p->deployment, p->arena,
        context_clean(p->arena,
            arena_printf(p->arena, "environment '%s': %s deploys there", found.items[0],
                name_of(p->arena, by->ref)),
            300));
    return NULL;
}
