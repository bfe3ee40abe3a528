// Asks the service where the caller may deploy. As without a service the spec's `branch` and
// `allow` decide; they are the service's to read.
#include "remote_env.h"

#include "dispatcher/actions.h"
#include "dispatcher/memory.h"

enum { LIST_MAX = 64 * 1024 };

// Allowed by a rule: what `mode: audit` lets pass has none.
static bool
is_allowed(const struct json *one)
{
    return json_bool(json_get(one, "allowed"), false) &&
           !json_bool(json_get(one, "audit_only"), false);
}

static const char *
listed(struct remote *remote, const struct json *list, bool allowed)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(LIST_MAX);
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *one = json_at(list, i);
        const char *env = remote_clean(remote->arena, json_get(one, "env"));
        if (env != NULL && (!allowed || is_allowed(one))) {
            buf_printf(&text, "%s'%s'", text.len > 0 ? ", " : "", env);
        }
    }
    return arena_str(remote->arena, buf_str(&text));
}

// "'refs/heads/main' deploys", of a job; a person has no ref.
static const char *
subject(const struct remote *remote)
{
    const struct platform *platform = &remote->cli->platform;
    const char *ref = env_get(platform, "GITHUB_REF");
    return actions_is_active(platform) && ref != NULL ? arena_printf(remote->arena, "'%s'", ref)
           : actions_is_active(platform)              ? "this job"
                                                      : "the service";
}

static struct error *
refuse(struct remote *remote, const char *app, const struct json *list, size_t allowed)
{
    if (json_count(list) == 0) {
        return error_hint(
            error_new(ERROR_DENIED, "the service has no app '%s' that this caller may see", app),
            "Its spec is at the service's infra repository; say --env to be told more.");
    }
    if (allowed == 0) {
        return error_hint(
            error_new(ERROR_USAGE, "no environment was given, and %s deploys '%s' to none",
                subject(remote), app),
            "Say which with --env: %s; 'branch' and 'allow' of an environment in the spec say what "
            "deploys there by itself.",
            listed(remote, list, false));
    }
    return error_hint(
        error_new(ERROR_USAGE, "no environment was given, and %s deploys '%s' to %zu: %s",
            subject(remote), app, allowed, listed(remote, list, true)),
        "Say which with --env.");
}

struct error *
remote_env_choose(struct remote *remote, const char *app, bool json, const char **out)
{
    struct json *body CLEANUP(json_freep) = json_make_object(), *answer CLEANUP(json_freep) = NULL;
    const char *found = NULL;
    size_t allowed = 0;
    json_set_str(body, "app", app);
    TRY(remote_post(remote, "/api/v1/explain", body, remote_key(remote, "environments"), &answer));
    const struct json *list = json_get(answer, "environments");
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *one = json_at(list, i);
        if (is_allowed(one) && json_str(json_get(one, "env")) != NULL) {
            found = remote_clean(remote->arena, json_get(one, "env"));
            allowed++;
        }
    }
    if (allowed != 1) {
        return refuse(remote, app, list, allowed);
    }
    const char *line = arena_printf(
        remote->arena, "environment '%s': %s deploys nowhere else\n", found, subject(remote));
    if (json) {
        cli_err(remote->cli, str_of(line));
    } else {
        cli_out(remote->cli, str_of(line));
    }
    *out = found;
    return NULL;
}
