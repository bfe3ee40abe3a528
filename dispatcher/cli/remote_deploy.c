// A deployment through a service. The image is pushed from here, with the job's own credentials or
// with those that the service lends for it; everything else the service does.
#include "remote_deploy.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "push_run.h"

enum { NAME_MAX_BYTES = 200 };

struct asking {
    struct remote *remote;
    const struct remote_deploy *deploy;
    const char *what; // "deploy 'shop' to 'staging'"
    const char *version;
    struct json *digests; // service to digest, of what was pushed
};

struct remote_deploy
remote_deploy_read(const struct cli_arguments *arguments, const char *verb)
{
    return (struct remote_deploy){
        .verb = verb,
        .app = cli_positional(arguments, 0),
        .env = cli_value(arguments, "env"),
        .reason = cli_value(arguments, "reason"),
        .no_wait = cli_flag(arguments, "no-wait"),
        .json = cli_flag(arguments, "json"),
        .timeout_ms = cli_duration_ms(arguments, "timeout", 0),
        .cancel_on_signal = cstr_equal(cli_value(arguments, "on-cancel"), "cancel"),
        .cancel_on_timeout = cstr_equal(cli_value(arguments, "on-timeout"), "cancel"),
    };
}

struct error *
remote_refuse(const struct cli_arguments *arguments, const char *const *names)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (cli_flag(arguments, names[i])) {
            return error_hint(error_new(ERROR_USAGE, "--%s does not go with --server", names[i]),
                "The service decides by the spec and the job's token; leave it out.");
        }
    }
    return NULL;
}

// --- the push
// -------------------------------------------------------------------------------------

// An environment with the lent credentials in place of our own.
static struct environment *
lent_environment(const struct asking *asking, const struct json *credentials, const char *region)
{
    const struct {
        const char *name, *value;
    } ours[] = {
        {"AWS_ACCESS_KEY_ID", json_str(json_get(credentials, "access_key_id"))},
        {"AWS_SECRET_ACCESS_KEY", json_str(json_get(credentials, "secret_access_key"))},
        {"AWS_SESSION_TOKEN", json_str(json_get(credentials, "session_token"))},
        {"AWS_REGION", region},
    };
    struct arena *arena = asking->remote->arena;
    char *const *list = environment_list(asking->remote->cli->platform.env);
    size_t count = 0, kept = 0;
    while (list[count] != NULL) {
        count++;
    }
    char **all = arena_array(arena, count + ARRAY_LENGTH(ours) + 1, sizeof(*all));
    for (size_t i = 0; i < count; i++) {
        if (strncmp(list[i], "AWS_ACCESS_", 11) != 0 && strncmp(list[i], "AWS_SECRET_", 11) != 0 &&
            strncmp(list[i], "AWS_SESSION_", 12) != 0 &&
            strncmp(list[i], "AWS_PROFILE=", 12) != 0) {
            all[kept++] = list[i];
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(ours); i++) {
        if (ours[i].value != NULL) {
            all[kept++] = arena_printf(arena, "%s=%s", ours[i].name, ours[i].value);
        }
    }
    return environment_new(all);
}

static void
mask_lent(const struct json *credentials)
{
    static const char *const names[] = {"secret_access_key", "session_token"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *value = json_str(json_get(credentials, names[i]));
        if (value != NULL) {
            secret_free(secret_new(str_of(value))); // the mask stays
        }
    }
}

// Splits "[SERVICE=]SOURCE" by the services that there are.
static struct error *
choose_service(const struct asking *asking, const struct json *repositories, const char *image,
    const char **service, const char **source)
{
    struct arena *arena = asking->remote->arena;
    const char *equals = strchr(image, '='), *colon = strchr(image, ':');
    bool named = equals != NULL && (colon == NULL || equals < colon);
    *source = named ? equals + 1 : image;
    if (named) {
        *service = arena_str(arena, (struct str){image, (size_t)(equals - image)});
        if (json_get(repositories, *service) == NULL) {
            return error_new(ERROR_USAGE, "app '%s' has no service '%.*s' that can be deployed",
                asking->deploy->app, NAME_MAX_BYTES, *service);
        }
        return NULL;
    }
    if (json_count(repositories) != 1) {
        return error_hint(
            error_new(ERROR_USAGE, "app '%s' has %zu services: '%.200s' is for which?",
                asking->deploy->app, json_count(repositories), image),
            "Write --image SERVICE=SOURCE.");
    }
    return NULL; // *service is the only one
}

struct only {
    const char *name;
};

static void
take_name(void *ctx, const char *key, const struct json *value)
{
    (void)value;
    ((struct only *)ctx)->name = key;
}

static struct error *
push_one(struct asking *asking, const struct json *place, const struct platform *platform,
    const char *image)
{
    struct arena *arena = asking->remote->arena;
    const struct json *repositories = json_get(place, "repositories");
    struct only only = {0};
    const char *source = NULL, *digest = NULL;
    json_each(repositories, take_name, &only);
    const char *service = only.name;
    TRY(choose_service(asking, repositories, image, &service, &source));
    const char *registry = json_str(json_get(place, "registry"));
    const char *repository = json_str(json_get(repositories, service));
    if (registry == NULL || repository == NULL) {
        return error_new(ERROR_UNAVAILABLE, "the service did not say where '%s' goes", service);
    }
    struct push_report *report CLEANUP(push_report_freep) =
        push_report_new(asking->remote->cli, asking->deploy->json);
    const struct push_run run = {
        .cli = asking->remote->cli,
        .platform = platform,
        .source = source,
        .reference = arena_printf(arena, "%s/%s:%s", registry, repository, asking->version),
    };
    TRY(push_run(&run, report, arena, &digest));
    json_set_str(asking->digests, service, digest);
    return NULL;
}

static struct error *
push_all(struct asking *asking, const struct json *place)
{
    struct platform platform = asking->remote->cli->platform;
    const struct json *credentials = json_get(place, "credentials");
    struct environment *lent = NULL;
    struct error *err = NULL;
    if (json_is_object(credentials)) {
        mask_lent(credentials);
        lent = lent_environment(asking, credentials, json_str(json_get(place, "region")));
        platform.env = lent;
    }
    for (size_t i = 0; err == NULL && i < asking->deploy->images.count; i++) {
        err = push_one(asking, place, &platform, asking->deploy->images.items[i]);
    }
    environment_free(lent);
    return err;
}

static struct error *
push(struct asking *asking)
{
    const struct remote_deploy *deploy = asking->deploy;
    struct remote *remote = asking->remote;
    struct json *place CLEANUP(json_freep) = NULL;
    const char *const parts[] = {"apps", deploy->app, "environments", deploy->env, "push", NULL};
    const char *path = remote_path(remote->arena, parts);
    TRY(remote_post(remote, path, NULL, remote_key(remote, "push"), &place));
    if (asking->version == NULL) {
        asking->version = remote_clean(remote->arena, json_get(place, "version"));
    }
    if (asking->version == NULL) {
        return error_hint(error_new(ERROR_USAGE, "it is not said which version this is"),
            "The spec says 'version: tag' and the job runs for no tag; give --version.");
    }
    return push_all(asking, place);
}

// --- the request
// ----------------------------------------------------------------------------------

static struct error *
request(struct asking *asking, struct json **out)
{
    const struct remote_deploy *deploy = asking->deploy;
    struct remote *remote = asking->remote;
    struct json *body CLEANUP(json_freep) = json_make_object();
    json_set_str(body, "verb", deploy->verb);
    json_set_str(body, "app", deploy->app);
    json_set_str(body, "env", deploy->env);
    json_set_str(body, "version", asking->version);
    json_set_str(body, "to", deploy->to);
    json_set_str(body, "from", deploy->from);
    json_set_str(body, "reason", deploy->reason);
    if (deploy->emergency) {
        json_set_bool(body, "emergency", true);
    }
    if (json_count(asking->digests) > 0) {
        json_set(body, "digests", json_clone(asking->digests));
    }
    const char *what =
        arena_printf(remote->arena, "%s/%s/%s", deploy->verb, deploy->app, deploy->env);
    return remote_post(remote, "/api/v1/deployments", body, remote_key(remote, what), out);
}

static void
say_accepted(const struct asking *asking, const struct json *d, const char *id)
{
    struct cli *cli = asking->remote->cli;
    const char *url = remote_clean(asking->remote->arena, json_get(d, "url"));
    struct buf line CLEANUP(buf_done) = BUF_INIT(8192);
    buf_printf(&line, "accepted as %s (#%lld)%s%s\n", id,
        (long long)json_int(json_get(d, "number"), 0), url != NULL ? ": " : "",
        url != NULL ? url : "");
    if (asking->deploy->json) {
        cli_err(cli, buf_str(&line));
    } else {
        cli_out(cli, buf_str(&line));
    }
    cli->changed = true;
}

static struct error *
ask_and_follow(struct asking *asking, int *exit_code)
{
    const struct remote_deploy *deploy = asking->deploy;
    struct remote *remote = asking->remote;
    struct json *accepted CLEANUP(json_freep) = NULL;
    if (deploy->images.count > 0) {
        TRY(push(asking));
    }
    TRY(request(asking, &accepted));
    const char *id = remote_clean(remote->arena, json_get(accepted, "id"));
    if (id == NULL) {
        return error_hint(error_new(ERROR_UNKNOWN, "the service's answer names no deployment"),
            "'dispatcher history %s --server %s' shows whether it was accepted.", deploy->app,
            remote->url);
    }
    say_accepted(asking, accepted, id);
    remote_warn(remote, accepted);
    if (deploy->no_wait) {
        cli_errf(remote->cli, "next: dispatcher watch %s --server %s\n", id, remote->url);
        *exit_code = error_kind_exit_code(ERROR_STILL_RUNNING);
        return NULL;
    }
    const struct remote_follow follow = {
        .id = id,
        .what = asking->what,
        .json = deploy->json,
        .timeout_ms = deploy->timeout_ms,
        .cancel_on_signal = deploy->cancel_on_signal,
        .cancel_on_timeout = deploy->cancel_on_timeout,
    };
    return remote_follow(remote, &follow, exit_code);
}

struct error *
remote_deploy(struct cli *cli, const struct cli_arguments *arguments,
    const struct remote_deploy *deploy, int *exit_code)
{
    struct remote remote CLEANUP(remote_close) = {0};
    if (deploy->env == NULL) {
        return error_hint(error_new(ERROR_USAGE, "no environment is named"),
            "Give --env ENV: the service does not guess it from the branch.");
    }
    TRY(remote_open(cli, arguments, &remote));
    struct asking asking = {.remote = &remote, .deploy = deploy, .version = deploy->version};
    asking.what =
        strcmp(deploy->verb, "rollback") == 0
            ? arena_printf(remote.arena, "roll back '%s' in '%s'", deploy->app, deploy->env)
            : arena_printf(remote.arena, "%s '%s' to '%s'", deploy->verb, deploy->app, deploy->env);
    asking.digests = json_make_object();
    struct error *err = ask_and_follow(&asking, exit_code);
    json_free(asking.digests);
    bool named = err != NULL && str_starts(str_of(error_message(err)), str_of(asking.what));
    return err != NULL && !named ? error_wrap(err, "%s", asking.what) : err;
}
