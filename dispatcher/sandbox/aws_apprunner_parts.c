// What App Runner services are connected with: source connections, VPC connectors, scaling
// configurations, tags. Only what services need of them: none can be deleted.
#include <string.h>

#include "aws_apprunner_internal.h"
#include "dispatcher/memory.h"

enum { PAGE_MAX = 100 };

static const char *
make_arn(struct sandbox *sandbox, const char *what, const char *name, const char *rest)
{
    struct arena *arena = sandbox_apprunner_state(sandbox)->arena;
    return arena_printf(arena, "arn:aws:apprunner:%s:%s:%s/%s/%s%s", sandbox_aws_region(sandbox),
        sandbox_aws_account(sandbox), what, name, rest, sandbox_random(sandbox, arena, 16));
}

static const struct json *
find(const struct json *list, const char *key, const char *value)
{
    for (size_t i = json_count(list); i > 0; i--) {
        if (cstr_equal(json_str(json_get(json_at(list, i - 1), key)), value)) {
            return json_at(list, i - 1);
        }
    }
    return NULL;
}

static const char *
text(const struct aws_exchange *exchange, const char *member)
{
    return json_str(json_get(exchange->body, member));
}

static void
reply_one(struct aws_exchange *exchange, const char *key, const struct json *item)
{
    struct json *body = json_make_object();
    json_set(body, key, json_clone(item));
    sandbox_reply_json(exchange->response, 200, body);
}

// --- connections
// ----------------------------------------------------------------------------------

bool
sandbox_apprunner_is_connected(struct sandbox *sandbox, const char *arn)
{
    const struct json *one =
        find(sandbox_apprunner_state(sandbox)->connections, "ConnectionArn", arn);
    return cstr_equal(json_str(json_get(one, "Status")), "AVAILABLE");
}

void
sandbox_apprunner_connection_add(struct sandbox *sandbox, const char *name, const char *arn,
    const char *provider, const char *status)
{
    struct json *item = json_make_object();
    json_set_str(item, "ConnectionName", name);
    json_set_str(
        item, "ConnectionArn", arn != NULL ? arn : make_arn(sandbox, "connection", name, ""));
    json_set_str(item, "ProviderType", provider);
    json_set_str(item, "Status", status);
    sandbox_apprunner_set_time(item, "CreatedAt", sandbox_now(sandbox));
    json_append(sandbox_apprunner_state(sandbox)->connections, item);
}

// Somebody has to shake hands in the console; here a seed makes connections that are AVAILABLE.
void
sandbox_apprunner_create_connection(struct aws_exchange *exchange)
{
    struct apprunner_state *state = sandbox_apprunner_state(exchange->sandbox);
    const char *name = text(exchange, "ConnectionName");
    if (find(state->connections, "ConnectionName", name) != NULL) {
        sandbox_aws_problem(exchange, "InvalidRequestException",
            "A connection with the name '%s' already exists.", name);
        return;
    }
    sandbox_apprunner_connection_add(
        exchange->sandbox, name, NULL, text(exchange, "ProviderType"), "PENDING_HANDSHAKE");
    reply_one(exchange, "Connection", find(state->connections, "ConnectionName", name));
}

void
sandbox_apprunner_list_connections(struct aws_exchange *exchange)
{
    const struct json *all = sandbox_apprunner_state(exchange->sandbox)->connections;
    const char *name = text(exchange, "ConnectionName");
    struct json *list = json_make_array();
    for (size_t i = 0; i < json_count(all); i++) {
        const struct json *item = json_at(all, i);
        if (name == NULL || cstr_equal(json_str(json_get(item, "ConnectionName")), name)) {
            json_append(list, json_clone(item));
        }
    }
    sandbox_apprunner_reply_page(exchange, "ConnectionSummaryList", list, PAGE_MAX);
}

// --- revisions: VPC connectors and scaling configurations
// -----------------------------------------

static int64_t
next_revision(const struct json *list, const char *name_key, const char *name)
{
    int64_t revision = 1;
    for (size_t i = 0; i < json_count(list); i++) {
        revision += cstr_equal(json_str(json_get(json_at(list, i), name_key)), name);
    }
    return revision;
}

void
sandbox_apprunner_create_vpc_connector(struct aws_exchange *exchange)
{
    struct apprunner_state *state = sandbox_apprunner_state(exchange->sandbox);
    const char *name = text(exchange, "VpcConnectorName");
    int64_t revision = next_revision(state->vpc_connectors, "VpcConnectorName", name);
    const struct json *groups = json_get(exchange->body, "SecurityGroups");
    struct json *item = json_make_object();
    json_set_str(item, "VpcConnectorName", name);
    json_set_str(item, "VpcConnectorArn",
        make_arn(exchange->sandbox, "vpcconnector", name,
            arena_printf(exchange->request->arena, "%lld/", (long long)revision)));
    json_set_int(item, "VpcConnectorRevision", revision);
    json_set(item, "Subnets", json_clone(json_get(exchange->body, "Subnets")));
    json_set(
        item, "SecurityGroups", json_is_array(groups) ? json_clone(groups) : json_make_array());
    json_set_str(item, "Status", "ACTIVE");
    sandbox_apprunner_set_time(item, "CreatedAt", sandbox_now(exchange->sandbox));
    json_append(state->vpc_connectors, item);
    reply_one(exchange, "VpcConnector", item);
}

void
sandbox_apprunner_describe_vpc_connector(struct aws_exchange *exchange)
{
    const char *arn = text(exchange, "VpcConnectorArn");
    const struct json *one =
        find(sandbox_apprunner_state(exchange->sandbox)->vpc_connectors, "VpcConnectorArn", arn);
    if (one == NULL) {
        sandbox_aws_problem(
            exchange, "ResourceNotFoundException", "The VPC connector '%s' does not exist.", arn);
        return;
    }
    reply_one(exchange, "VpcConnector", one);
}

void
sandbox_apprunner_list_vpc_connectors(struct aws_exchange *exchange)
{
    sandbox_apprunner_reply_page(exchange, "VpcConnectors",
        json_clone(sandbox_apprunner_state(exchange->sandbox)->vpc_connectors), PAGE_MAX);
}

static void
add_scaling(struct sandbox *sandbox, const char *name, const struct json *request)
{
    struct apprunner_state *state = sandbox_apprunner_state(sandbox);
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    int64_t revision = next_revision(state->scalings, "AutoScalingConfigurationName", name);
    bool is_default = json_count(state->scalings) == 0;
    struct json *item = json_make_object();
    json_set_str(item, "AutoScalingConfigurationArn",
        make_arn(sandbox, "autoscalingconfiguration", name,
            arena_printf(arena, "%lld/", (long long)revision)));
    json_set_str(item, "AutoScalingConfigurationName", name);
    json_set_int(item, "AutoScalingConfigurationRevision", revision);
    json_set_bool(item, "Latest", true);
    json_set_str(item, "Status", "active");
    json_set_int(item, "MaxConcurrency", json_int(json_get(request, "MaxConcurrency"), 100));
    json_set_int(item, "MinSize", json_int(json_get(request, "MinSize"), 1));
    json_set_int(item, "MaxSize", json_int(json_get(request, "MaxSize"), 25));
    sandbox_apprunner_set_time(item, "CreatedAt", sandbox_now(sandbox));
    json_set_bool(item, "HasAssociatedService", false);
    json_set_bool(item, "IsDefault", is_default);
    json_append(state->scalings, item);
}

const struct json *
sandbox_apprunner_scaling(struct sandbox *sandbox, const char *arn)
{
    struct apprunner_state *state = sandbox_apprunner_state(sandbox);
    if (json_count(state->scalings) == 0) {
        add_scaling(sandbox, "DefaultConfiguration", NULL);
    }
    return arn == NULL ? json_at(state->scalings, 0)
                       : find(state->scalings, "AutoScalingConfigurationArn", arn);
}

void
sandbox_apprunner_create_scaling(struct aws_exchange *exchange)
{
    struct apprunner_state *state = sandbox_apprunner_state(exchange->sandbox);
    int64_t least = json_int(json_get(exchange->body, "MinSize"), 1);
    if (least > json_int(json_get(exchange->body, "MaxSize"), 25)) {
        sandbox_aws_problem(
            exchange, "InvalidRequestException", "MinSize must be less than or equal to MaxSize.");
        return;
    }
    (void)sandbox_apprunner_scaling(exchange->sandbox, NULL); // the default one is the first
    add_scaling(exchange->sandbox, text(exchange, "AutoScalingConfigurationName"), exchange->body);
    reply_one(exchange, "AutoScalingConfiguration",
        json_at(state->scalings, json_count(state->scalings) - 1));
}

// --- tags
// -----------------------------------------------------------------------------------------

static struct apprunner_service *
tagged(struct aws_exchange *exchange)
{
    const struct apprunner_state *state = sandbox_apprunner_state(exchange->sandbox);
    const char *arn = text(exchange, "ResourceArn");
    for (size_t i = 0; i < state->service_count; i++) {
        if (strcmp(state->services[i]->arn, arn) == 0 &&
            !cstr_equal(state->services[i]->status, "DELETED")) {
            return state->services[i];
        }
    }
    sandbox_aws_problem(
        exchange, "ResourceNotFoundException", "The resource '%s' does not exist.", arn);
    return NULL;
}

void
sandbox_apprunner_list_tags(struct aws_exchange *exchange)
{
    const struct apprunner_service *service = tagged(exchange);
    if (service != NULL) {
        reply_one(exchange, "Tags", service->tags);
    }
}

// All tags but those whose keys are among `without`: strings, or objects with a "Key".
static struct json *
tags_without(const struct json *tags, const struct json *without)
{
    struct json *kept = json_make_array();
    for (size_t i = 0; i < json_count(tags); i++) {
        const char *key = json_str(json_get(json_at(tags, i), "Key"));
        bool stays = true;
        for (size_t k = 0; k < json_count(without); k++) {
            const struct json *other = json_at(without, k);
            stays =
                stays && !cstr_equal(key, json_is_object(other) ? json_str(json_get(other, "Key"))
                                                                : json_str(other));
        }
        if (stays) {
            json_append(kept, json_clone(json_at(tags, i)));
        }
    }
    return kept;
}

static void
change_tags(struct aws_exchange *exchange, const struct json *without, const struct json *added)
{
    struct apprunner_service *service = tagged(exchange);
    if (service == NULL) {
        return;
    }
    struct json *tags = tags_without(service->tags, without);
    for (size_t i = 0; i < json_count(added); i++) {
        json_append(tags, json_clone(json_at(added, i)));
    }
    json_free(service->tags);
    service->tags = tags;
    sandbox_reply_json(exchange->response, 200, json_make_object());
}

void
sandbox_apprunner_tag_resource(struct aws_exchange *exchange)
{
    const struct json *tags = json_get(exchange->body, "Tags");
    change_tags(exchange, tags, tags);
}

void
sandbox_apprunner_untag_resource(struct aws_exchange *exchange)
{
    change_tags(exchange, json_get(exchange->body, "TagKeys"), NULL);
}
