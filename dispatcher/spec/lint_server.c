// The service's own settings: `server` and `state` of dispatcher.yaml resolved, what its keys mean
// together, and what an app lacks when there is a service that is to deploy it. Reads no secret and
// opens nothing.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

static bool
is_served(const struct spec_documents *documents)
{
    return documents->config.server.at.node != NULL;
}

// Host part of "host:port": this machine only, or any peer that can reach it?
static bool
is_local_listener(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    struct str host = {listen, colon != NULL ? (size_t)(colon - listen) : strlen(listen)};
    return spec_host_is_loopback(host);
}

static void
check_sign_in(const struct spec_documents *documents)
{
    const struct config_server *server = &documents->config.server;
    const struct spec_source *source = &documents->config_source;
    const struct yaml_node *at = server->oauth.at.node        ? server->oauth.at.node
                                 : server->proxy_auth.at.node ? server->proxy_auth.at.node
                                 : server->admins.count > 0   ? yaml_get(server->at.node, "admins")
                                                              : NULL;
    if (at != NULL && server->organization == NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "missing-key", at,
            "add 'organization': without it everybody on GitHub could sign in",
            "people and teams of 'server' need 'organization'");
    }
    const struct yaml_node *list = spec_node_at(server->at.node, "proxy_auth.addresses");
    if (list != NULL && list->kind == YAML_SEQUENCE && list->first == NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "empty-value", list, NULL,
            "'addresses' is empty: the header would count from nobody");
    }
}

static void
check_listener(const struct spec_documents *documents)
{
    const struct config_server *server = &documents->config.server;
    const struct yaml_node *at = spec_node_at(server->at.node, "listen");
    bool open = server->listen != NULL && !is_local_listener(server->listen);
    if (open && server->tls.at.node == NULL) {
        spec_complain(&documents->config_source, DIAGNOSTIC_WARNING, "plain-listener", at,
            "add 'tls', or listen on loopback behind a proxy that speaks TLS",
            "'%.80s' is reachable from other machines without TLS", server->listen);
    }
}

static void
check_repeated(const struct spec_documents *documents)
{
    const struct str_list *secrets = &documents->config.server.webhook_secrets;
    if (secrets->count == 2 && strcmp(secrets->items[0], secrets->items[1]) == 0) {
        spec_complain(&documents->config_source, DIAGNOSTIC_ERROR, "duplicate-value",
            spec_node_at(documents->config.server.at.node, "webhook_secrets"), NULL,
            "'webhook_secrets' names the same secret twice");
    }
}

void
lint_server(const struct spec_documents *documents)
{
    const struct config_server *server = &documents->config.server;
    if (!is_served(documents)) {
        return;
    }
    if (server->url == NULL && yaml_get(server->at.node, "url") == NULL) {
        spec_complain(&documents->config_source, DIAGNOSTIC_ERROR, "missing-key",
            spec_key_node(documents->config_root, "server"),
            "add 'url: https://…': tokens of jobs are made for it", "'server' needs 'url'");
    }
    check_sign_in(documents);
    check_listener(documents);
    check_repeated(documents);
}

static bool
rule_can_pass(const struct spec_allow *rule, const struct config_policy_env *floor)
{
    static const char *const usual[] = {"push", "workflow_dispatch"};
    const struct yaml_node *own = yaml_get(rule->at.node, "events");
    bool narrowed = floor != NULL && yaml_get(floor->at.node, "events") != NULL;
    bool by_event = false;
    for (size_t i = 0; own == NULL && i < ARRAY_LENGTH(usual); i++) {
        by_event = by_event || !narrowed || str_list_has(&floor->events, usual[i]);
    }
    for (size_t i = 0; own != NULL && i < rule->events.count; i++) {
        by_event = by_event || !narrowed || str_list_has(&floor->events, rule->events.items[i]);
    }
    return by_event && rule->refs.count > 0;
}

// "Nobody" may be meant (`allow: []`): a warning.
static void
check_deployable(const struct spec_documents *documents, const struct spec_environment *environment)
{
    const struct spec_allow *rules = environment->allow.items;
    const struct config_policy_env *floor = policy_of(documents, environment->at.key);
    const struct yaml_node *map = yaml_get(documents->app.deploy.at.node, "environments");
    bool can = environment->branch != NULL;
    for (size_t i = 0; i < environment->allow.count; i++) {
        can = can || rule_can_pass(&rules[i], floor);
    }
    const struct spec_via_workflow *via = &documents->app.deploy.via_workflow;
    bool via_nowhere = via->at.node != NULL && via->refs.count == 0;
    if (!can || via_nowhere) {
        spec_complain(&documents->app_source, DIAGNOSTIC_WARNING, "nobody-may-deploy",
            spec_key_node(map, environment->at.key),
            can ? "add 'refs' to 'via_workflow'" : "add a rule to 'allow', with refs and events",
            "nobody may deploy to '%.80s' through the service", environment->at.key);
    }
}

static void
check_team_list(const struct spec_documents *documents, const struct yaml_node *block)
{
    const struct yaml_node *teams = yaml_get(block, "teams");
    if (teams != NULL && teams->kind == YAML_SEQUENCE && teams->first != NULL &&
        documents->config.server.organization == NULL) {
        spec_complain(&documents->app_source, DIAGNOSTIC_WARNING, "teams-without-organization",
            teams->first,
            arena_printf(documents->app_source.arena, "add 'server.organization' to %s",
                documents->config_source.file),
            "whose team '%.80s' is, the service cannot know, so nobody is in it",
            teams->first->text != NULL ? teams->first->text : "");
    }
}

void
lint_pins(const struct spec_documents *documents)
{
    const struct spec_deploy *deploy = &documents->app.deploy;
    const char *missing = deploy->repository_id == 0 ? "repository_id"
                          : deploy->owner_id == 0    ? "owner_id"
                                                     : NULL;
    bool wrong = missing != NULL && yaml_get(deploy->at.node, missing) != NULL; // said already
    if (is_served(documents) && missing != NULL && !wrong && deploy->environments.count > 0) {
        spec_complain(&documents->app_source, DIAGNOSTIC_WARNING, "not-pinned",
            spec_key_node(documents->app_root, "deploy"),
            "`dispatcher spec pin` fills it in from GitHub",
            "'deploy' has no '%s', so the service refuses everybody", missing);
    }
}

void
lint_served(const struct spec_documents *documents, const struct spec_environment *environment)
{
    if (!is_served(documents)) {
        return;
    }
    check_deployable(documents, environment);
    const struct spec_allow *rules = environment->allow.items;
    for (size_t i = 0; i < environment->allow.count; i++) {
        check_team_list(documents, rules[i].actors.at.node);
    }
    check_team_list(documents, environment->approvals.at.node);
    check_team_list(documents, environment->emergency.at.node);
}

static const char *
or_else(const char *text, const char *fallback)
{
    return text != NULL ? text : fallback;
}

static void
fill_people(const struct config_server *server, struct setting_server *out)
{
    out->organization = server->organization;
    out->admins = server->admins;
    out->webhook_secrets = server->webhook_secrets;
    out->slack_signing_secret = server->slack_signing_secret;
    out->oauth_client_id = server->oauth.client_id;
    out->oauth_client_secret = server->oauth.client_secret;
    out->proxy_header = server->proxy_auth.header;
    out->proxy_addresses = server->proxy_auth.addresses;
}

static void
fill_limits(const struct config_server *server, struct setting_server *out)
{
    out->specs_every_ms = server->specs_every_ms;
    out->specs_max_age_ms = server->specs_max_age_ms;
    out->workers = server->workers;
    out->connections = server->connections;
    out->streams = server->streams;
    out->rate = server->rate;
    out->people_every_ms = server->people_every_ms;
    out->queue_limit = server->queue_limit;
    out->queue_max_age_ms = server->queue_max_age_ms;
    out->poll_ms = server->poll_ms;
    out->drift_interval_ms = server->drift_interval_ms;
    out->keep_events_ms = server->retention.events_ms;
    out->keep_deliveries_ms = server->retention.deliveries_ms;
}

static void
add_own(struct str_list *own, const char *reference)
{
    if (reference != NULL) {
        own->items[own->count++] = reference;
    }
}

static void
fill_secrets(const struct config *config, struct arena *arena, struct setting_secrets *out)
{
    const struct config_server *server = &config->server;
    const struct str_list *hooks = &server->webhook_secrets;
    out->files = server->secrets.files;
    out->env = server->secrets.env;
    out->own.items = arena_array(arena, hooks->count + 4, sizeof(*out->own.items));
    for (size_t i = 0; i < hooks->count; i++) {
        add_own(&out->own, hooks->items[i]);
    }
    add_own(&out->own, server->slack_signing_secret);
    add_own(&out->own, server->oauth.client_secret);
    add_own(&out->own, config->github.app_key);
    if (server->tls.key != NULL) {
        add_own(&out->own, arena_printf(arena, "file:%s", server->tls.key));
    }
}

static void
fill(const struct config *config, struct arena *arena, struct setting_server *out)
{
    const struct config_server *server = &config->server;
    out->listen = or_else(server->listen, "127.0.0.1:8080");
    out->url = server->url;
    out->tls_certificate = server->tls.certificate;
    out->tls_key = server->tls.key;
    out->state = or_else(config->state.url, "sqlite:");
    out->state_connections = config->state.connections;
    out->specs = server->specs;
    out->issuer = or_else(server->issuer, "https://token.actions.githubusercontent.com");
    out->audience = or_else(server->audience, server->url);
    out->jwks = or_else(server->jwks, arena_printf(arena, "%s/.well-known/jwks", out->issuer));
    out->otlp = server->otlp;
    out->push_role = server->push_role;
    out->proxy = server->proxy;
    out->github_api = or_else(config->github.api, "https://api.github.com");
    out->github_app_id = config->github.app_id;
    out->github_app_key = config->github.app_key;
    out->workflow_repo = config->workflow.repo;
    fill_people(server, out);
    fill_limits(server, out);
    fill_secrets(config, arena, &out->secrets);
}

void
settings_server(const struct spec_document *config, struct arena *arena,
    struct diagnostics *diagnostics, struct setting_server **out)
{
    *out = NULL;
    size_t before = diagnostics_count(diagnostics, DIAGNOSTIC_ERROR);
    struct spec_documents *documents = arena_alloc(arena, sizeof(*documents));
    documents_load_config(documents, config, arena, diagnostics);
    lint_config(documents);
    if (!is_served(documents)) {
        spec_complain(&documents->config_source, DIAGNOSTIC_ERROR, "missing-key", NULL,
            "add 'server: {url: https://…}'", "the service needs 'server'");
    }
    if (diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) == before) {
        *out = arena_alloc(arena, sizeof(**out));
        fill(&documents->config, arena, *out);
    }
}
