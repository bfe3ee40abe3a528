// What `serve` was told: its file, the settings and the secrets that they name. Every generation
// stays until the end, since threads still hold the one before. Decides nothing of requests.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum { CONFIG_MAX = 1024 * 1024, PEM_MAX = 256 * 1024 };

struct service_reading {
    struct service_reading *next;
    struct arena *arena;
    struct spec_document config;
    struct setting_server *settings;
    struct secret *secrets[SERVICE_SECRET_COUNT];
};

static void
free_reading(struct service_reading *reading)
{
    if (reading != NULL) {
        for (size_t i = 0; i < SERVICE_SECRET_COUNT; i++) {
            secret_free(reading->secrets[i]);
        }
        arena_free(reading->arena);
        free(reading);
    }
}

static void
free_readingp(struct service_reading **reading)
{
    free_reading(*reading);
}

static struct error *
read_file(const char *path, struct service_reading *reading, struct diagnostics *diagnostics)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(CONFIG_MAX);
    TRY(file_read(path, &text, NULL));
    reading->config.path = arena_dup(reading->arena, path);
    reading->config.text =
        (struct str){arena_str(reading->arena, buf_str(&text)), buf_str(&text).len};
    settings_server(&reading->config, reading->arena, diagnostics, &reading->settings);
    TRY(diagnostics_error(diagnostics));
    if (reading->settings == NULL) {
        return error_hint(error_new(ERROR_SPEC, "'%s' has no 'server' block", path),
            "docs/service.md shows the smallest one.");
    }
    if (reading->settings->webhook_secrets.count == 0) {
        return error_hint(error_new(ERROR_SPEC, "'%s' names no webhook secret", path),
            "Set 'server.webhook_secrets' to the secret of the GitHub App's webhook: without it "
            "anybody could send hints.");
    }
    return NULL;
}

static struct error *
read_secrets(struct service *service, struct service_reading *reading)
{
    const struct setting_server *settings = reading->settings;
    const char *references[SERVICE_SECRET_COUNT] = {
        [SERVICE_SECRET_WEBHOOK] = settings->webhook_secrets.items[0],
        [SERVICE_SECRET_WEBHOOK_NEXT] =
            settings->webhook_secrets.count > 1 ? settings->webhook_secrets.items[1] : NULL,
        [SERVICE_SECRET_SLACK] = settings->slack_signing_secret,
        [SERVICE_SECRET_OAUTH] = settings->oauth_client_secret,
        [SERVICE_SECRET_APP_KEY] = settings->github_app_key,
    };
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    // The front end's flag: being told to end is heard while a vault keeps us waiting.
    TRY(http_client_new(service->outer, &service->http_options, &http));
    const struct deploy_context_options options = {
        .platform = service->outer,
        .http = http,
        .ca_file = service->http_options.ca_file,
    };
    struct deploy_context *context CLEANUP(deploy_context_freep) = deploy_context_new(&options);
    for (size_t i = 0; i < SERVICE_SECRET_COUNT; i++) {
        if (references[i] != NULL) {
            TRY(deploy_secret(context, references[i], &reading->secrets[i]));
            if (secret_expose(reading->secrets[i]).len == 0) {
                return error_new(ERROR_CREDENTIALS, "'%s' is empty", references[i]);
            }
        }
    }
    return NULL;
}

static void
warn_of(struct service *service, const char *key, const char *before, const char *after)
{
    if (!cstr_equal(before, after)) {
        log_warn(service->platform.log, "a setting changed that counts from the next start on",
            F_STR("key", key));
    }
}

static void
warn_of_restarts(struct service *service, const struct setting_server *after)
{
    const struct setting_server *before = service_settings(service);
    warn_of(service, "listen", before->listen, after->listen);
    warn_of(service, "state", before->state, after->state);
    warn_of(service, "otlp", before->otlp, after->otlp);
    if ((before->tls_certificate == NULL) != (after->tls_certificate == NULL)) {
        warn_of(service, "tls", "", NULL);
    }
    if (before->workers != after->workers || before->connections != after->connections) {
        warn_of(service, "workers, connections", "", NULL);
    }
}

static void
publish(struct service *service, struct service_reading *reading)
{
    (void)pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < SERVICE_SECRET_COUNT; i++) {
        secret_free(service->secrets[i]);
        service->secrets[i] = secret_ref(reading->secrets[i]);
    }
    reading->next = service->readings;
    service->readings = reading;
    atomic_store(&service->settings, reading->settings);
    atomic_store(&service->config, &reading->config);
    (void)pthread_mutex_unlock(&service->lock);
}

struct error *
service_read_settings(struct service *service, struct diagnostics *diagnostics)
{
    struct service_reading *reading CLEANUP(free_readingp) = xcalloc(1, sizeof(*reading));
    reading->arena = arena_new();
    TRY(read_file(service->options->config, reading, diagnostics));
    if (service->readings == NULL && reading->settings->proxy) {
        service->http_options.proxy = service->options->proxy;
        service->http_options.no_proxy = service->options->no_proxy;
    }
    TRY(read_secrets(service, reading));
    if (service->readings != NULL) {
        warn_of_restarts(service, reading->settings);
    }
    publish(service, reading);
    reading = NULL;
    return NULL;
}

void
service_forget_settings(struct service *service)
{
    for (size_t i = 0; i < SERVICE_SECRET_COUNT; i++) {
        secret_free(service->secrets[i]);
        service->secrets[i] = NULL;
    }
    while (service->readings != NULL) {
        struct service_reading *next = service->readings->next;
        free_reading(service->readings);
        service->readings = next;
    }
}

static struct error *
read_pem(const char *path, struct secret **out)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(PEM_MAX);
    TRY(file_read(path, &text, NULL));
    *out = secret_new(buf_str(&text));
    return NULL;
}

struct error *
service_read_tls(struct service *service, struct secret **certificate, struct secret **key)
{
    const struct setting_server *settings = service_settings(service);
    struct secret *read CLEANUP(secret_freep) = NULL;
    if (settings->tls_certificate == NULL) {
        return NULL;
    }
    TRY(read_pem(settings->tls_certificate, &read));
    TRY(read_pem(settings->tls_key, key));
    *certificate = secret_ref(read);
    return NULL;
}

// --- what others ask -----------------------------------------------------------------------------

const struct setting_server *
service_settings(const struct service *service)
{
    return atomic_load(&service->settings);
}

const struct spec_document *
service_config(const struct service *service)
{
    return atomic_load(&service->config);
}

struct secret *
service_secret(struct service *service, enum service_secret which)
{
    (void)pthread_mutex_lock(&service->lock);
    struct secret *secret = secret_ref(service->secrets[which]);
    (void)pthread_mutex_unlock(&service->lock);
    return secret;
}

struct secret *
service_app_key(struct service *service)
{
    return service_secret(service, SERVICE_SECRET_APP_KEY);
}
