// Opens a client of the service for a command: address, tokens, keys of idempotency. Prints
// nothing but what the service warns of.
#include "remote.h"

#include <string.h>

#include "dispatcher/actions.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"

enum { PATH_MAX_BYTES = 2048, TEXT_MAX = 1000, WARNINGS_MAX = 100 };

const char *
remote_url(const struct cli *cli, const struct cli_arguments *arguments)
{
    const char *given = cli_value(arguments, "server");
    return given != NULL ? given : env_get(&cli->platform, "DISPATCHER_URL");
}

static struct error *
fresh_token(void *ctx, struct secret **out)
{
    const struct remote *remote = ctx;
    const struct platform *platform = &remote->cli->platform;
    static const char *const names[] = {"DISPATCHER_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"};
    if (actions_has_oidc(platform)) {
        return actions_oidc_token(platform, remote->http, client_url(remote->client), out);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names) && !actions_is_active(platform); i++) {
        const char *value = env_get(platform, names[i]);
        if (value != NULL) {
            *out = secret_new(str_of(value));
            return NULL;
        }
    }
    struct error *err = error_new(ERROR_CREDENTIALS, "no token for the service");
    return actions_is_active(platform)
               ? error_hint(err, "Give the job (or the workflow) 'permissions: id-token: write'.")
               : error_hint(err, "Set GH_TOKEN to a token of yours ('gh auth token' prints one).");
}

struct error *
remote_open(struct cli *cli, const struct cli_arguments *arguments, struct remote *out)
{
    const char *url = remote_url(cli, arguments);
    *out = (struct remote){.cli = cli};
    if (url == NULL) {
        return error_hint(error_new(ERROR_USAGE, "no service is named"),
            "Give --server URL, or set DISPATCHER_URL.");
    }
    cli_mask_environment(cli);
    TRY(http_client_new(&cli->platform, &cli->http_options, &out->http));
    out->arena = arena_new();
    const struct client_options options = {.url = url, .token = fresh_token, .ctx = out};
    struct error *err = client_new(&cli->platform, out->http, &options, &out->client);
    if (err != NULL) {
        remote_close(out);
        return err;
    }
    out->url = client_url(out->client);
    return NULL;
}

void
remote_close(struct remote *remote)
{
    client_free(remote->client);
    http_client_free(remote->http);
    arena_free(remote->arena);
    *remote = (struct remote){0};
}

struct error *
remote_post(struct remote *remote, const char *path, const struct json *body, const char *key,
    struct json **out)
{
    const struct client_call call = {.method = HTTP_POST, .path = path, .body = body, .key = key};
    return client_send(remote->client, &call, out);
}

struct error *
remote_get(struct remote *remote, const char *path, struct json **out)
{
    const struct client_call call = {.method = HTTP_GET, .path = path};
    return client_send(remote->client, &call, out);
}

char *
remote_path(struct arena *arena, const char *const *parts)
{
    struct buf path CLEANUP(buf_done) = BUF_INIT(PATH_MAX_BYTES);
    buf_puts(&path, "/api/v1");
    for (size_t i = 0; parts[i] != NULL; i++) {
        buf_putc(&path, '/');
        url_encode(str_of(parts[i]), "", &path);
    }
    return arena_str(arena, buf_str(&path));
}

// A re-run of the job (another attempt) is another request.
char *
remote_key(const struct remote *remote, const char *what)
{
    const struct platform *platform = &remote->cli->platform;
    const char *run = env_get(platform, "GITHUB_RUN_ID");
    const char *attempt = env_get(platform, "GITHUB_RUN_ATTEMPT");
    const char *job = env_get(platform, "GITHUB_JOB");
    if (actions_is_active(platform) && run != NULL) {
        return arena_printf(remote->arena, "%s/%s/%s/%s", run, attempt != NULL ? attempt : "1",
            job != NULL ? job : "", what);
    }
    char hex[33];
    random_hex(platform->random, 16, hex);
    return arena_printf(remote->arena, "%s/%s", hex, what);
}

const char *
remote_clean(struct arena *arena, const struct json *value)
{
    const char *text = json_str(value);
    struct buf out CLEANUP(buf_done) = BUF_INIT(2 * TEXT_MAX);
    if (text == NULL) {
        return NULL;
    }
    text_clean(str_of(text), TEXT_MAX, &out);
    secret_mask(&out);
    return arena_str(arena, buf_str(&out));
}

// The runner reads '%25' of a workflow command as '%'; line ends are gone already.
static void
put_annotation(const char *text, struct buf *out)
{
    buf_puts(out, "::warning title=dispatcher::");
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '%') {
            buf_puts(out, "%25");
        } else {
            buf_putc(out, *at);
        }
    }
    buf_putc(out, '\n');
}

static bool
is_new(struct remote *remote, const char *text)
{
    struct str_list *warned = &remote->warned;
    if (warned->items == NULL) {
        warned->items = arena_array(remote->arena, WARNINGS_MAX, sizeof(*warned->items));
    }
    for (size_t i = 0; i < warned->count; i++) {
        if (strcmp(warned->items[i], text) == 0) {
            return false;
        }
    }
    if (warned->count == WARNINGS_MAX) {
        return false;
    }
    warned->items[warned->count++] = text;
    return true;
}

void
remote_warn(struct remote *remote, const struct json *deployment)
{
    const struct json *list = json_get(deployment, "warnings");
    for (size_t i = 0; json_is_array(list) && i < json_count(list); i++) {
        const char *text = remote_clean(remote->arena, json_at(list, i));
        struct buf line CLEANUP(buf_done) = BUF_INIT(8 * TEXT_MAX);
        if (text == NULL || !is_new(remote, text)) {
            continue;
        }
        if (remote->cli->in_actions) {
            put_annotation(text, &line);
        } else {
            buf_printf(&line, "  warning: %s\n", text);
        }
        cli_err(remote->cli, buf_str(&line));
    }
}
