// A deployment through a service. What goes before it is done from here (remote_push.c,
// remote_env.c); everything else the service does.
#include "remote_deploy.h"

#include <string.h>

#include "dispatcher/memory.h"
#include "remote_env.h"
#include "remote_push.h"

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
        if (cli_flag(arguments, names[i])) { // given, whatever it takes
            return error_hint(error_new(ERROR_USAGE, "--%s does not go with --server", names[i]),
                "The service decides by the spec and the job's token; leave it out.");
        }
    }
    return NULL;
}

// --- the request ---------------------------------------------------------------------------------

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
    if (deploy->images.count > 0 || deploy->build) {
        struct remote_push push = {.remote = remote,
            .app = deploy->app,
            .env = deploy->env,
            .images = deploy->images,
            .build = deploy->build,
            .checkout = deploy->checkout,
            .json = deploy->json,
            .version = asking->version,
            .digests = asking->digests};
        TRY(remote_push(&push));
        asking->version = push.version;
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

static struct error *
ask(struct remote *remote, const struct remote_deploy *deploy, int *exit_code)
{
    struct asking asking = {.remote = remote, .deploy = deploy, .version = deploy->version};
    asking.what =
        strcmp(deploy->verb, "rollback") == 0
            ? arena_printf(remote->arena, "roll back '%s' in '%s'", deploy->app, deploy->env)
            : arena_printf(
                  remote->arena, "%s '%s' to '%s'", deploy->verb, deploy->app, deploy->env);
    asking.digests = json_make_object();
    struct error *err = ask_and_follow(&asking, exit_code);
    json_free(asking.digests);
    bool named = err != NULL && str_starts(str_of(error_message(err)), str_of(asking.what));
    return err != NULL && !named ? error_wrap(err, "%s", asking.what) : err;
}

struct error *
remote_deploy(struct cli *cli, const struct cli_arguments *arguments,
    const struct remote_deploy *deploy, int *exit_code)
{
    struct remote remote CLEANUP(remote_close) = {0};
    struct remote_deploy here = *deploy;
    bool chosen = here.env == NULL && strcmp(here.verb, "deploy") == 0;
    if (here.env == NULL && !chosen) {
        return error_hint(error_new(ERROR_USAGE, "no environment was given"),
            "Say which with --env, for example --env staging.");
    }
    TRY(remote_open(cli, arguments, &remote));
    if (chosen) {
        struct error *err = remote_env_choose(&remote, here.app, here.json, &here.env);
        if (err != NULL) {
            return error_wrap(err, "deploy '%s'", here.app);
        }
    }
    return ask(&remote, &here, exit_code);
}
