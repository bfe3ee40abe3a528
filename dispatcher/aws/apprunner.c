// App Runner services as they are (DescribeService, ListServices). Changes nothing.
#include "dispatcher/apprunner.h"

#include <string.h>

#include "apprunner_internal.h"

enum apprunner_service_state
apprunner_service_state_of(const char *status)
{
    static const struct {
        const char *status;
        enum apprunner_service_state state;
    } states[] = {
        {"RUNNING", APPRUNNER_SERVICE_RUNNING},
        {"OPERATION_IN_PROGRESS", APPRUNNER_SERVICE_BUSY},
        {"PAUSED", APPRUNNER_SERVICE_PAUSED},
        {"CREATE_FAILED", APPRUNNER_SERVICE_CREATE_FAILED},
        {"DELETE_FAILED", APPRUNNER_SERVICE_DELETE_FAILED},
        {"DELETED", APPRUNNER_SERVICE_DELETED},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        if (cstr_equal(status, states[i].status)) {
            return states[i].state;
        }
    }
    return APPRUNNER_SERVICE_UNKNOWN;
}

// ---- one service

#define FIELD_OF(member, ...) AWS_FIELD(struct apprunner_service, member, __VA_ARGS__)
#define IMAGE "SourceConfiguration.ImageRepository."
#define CODE "SourceConfiguration.CodeRepository."
#define VALUES CODE "CodeConfiguration.CodeConfigurationValues."

static const struct aws_field service_fields[] = {
    FIELD_OF(arn, "ServiceArn", AWS_LINE, .required = true),
    FIELD_OF(id, "ServiceId", AWS_LINE, .required = true),
    FIELD_OF(name, "ServiceName", AWS_LINE, .required = true),
    FIELD_OF(url, "ServiceUrl", AWS_LINE),
    FIELD_OF(status, "Status", AWS_LINE, .required = true),
    FIELD_OF(auto_deploys, "SourceConfiguration.AutoDeploymentsEnabled", AWS_BOOL),
    FIELD_OF(
        access_role_arn, "SourceConfiguration.AuthenticationConfiguration.AccessRoleArn", AWS_LINE),
    FIELD_OF(
        connection_arn, "SourceConfiguration.AuthenticationConfiguration.ConnectionArn", AWS_LINE),
    FIELD_OF(image, IMAGE "ImageIdentifier", AWS_LINE),
    FIELD_OF(image_repository_type, IMAGE "ImageRepositoryType", AWS_LINE),
    FIELD_OF(port, IMAGE "ImageConfiguration.Port", AWS_LINE),
    FIELD_OF(start_command, IMAGE "ImageConfiguration.StartCommand", AWS_LINE),
    FIELD_OF(repository_url, CODE "RepositoryUrl", AWS_LINE),
    FIELD_OF(branch, CODE "SourceCodeVersion.Value", AWS_LINE),
    FIELD_OF(source_directory, CODE "SourceDirectory", AWS_LINE),
    FIELD_OF(configuration_source, CODE "CodeConfiguration.ConfigurationSource", AWS_LINE),
    FIELD_OF(runtime, VALUES "Runtime", AWS_LINE),
    FIELD_OF(build_command, VALUES "BuildCommand", AWS_LINE),
    FIELD_OF(port, VALUES "Port", AWS_LINE),
    FIELD_OF(start_command, VALUES "StartCommand", AWS_LINE),
    FIELD_OF(cpu, "InstanceConfiguration.Cpu", AWS_LINE),
    FIELD_OF(memory, "InstanceConfiguration.Memory", AWS_LINE),
    FIELD_OF(instance_role_arn, "InstanceConfiguration.InstanceRoleArn", AWS_LINE),
    FIELD_OF(
        vpc_connector_arn, "NetworkConfiguration.EgressConfiguration.VpcConnectorArn", AWS_LINE),
    FIELD_OF(is_public, "NetworkConfiguration.IngressConfiguration.IsPubliclyAccessible", AWS_BOOL),
    FIELD_OF(created_ms, "CreatedAt", AWS_TIME),
    FIELD_OF(updated_ms, "UpdatedAt", AWS_TIME),
    FIELD_OF(source_json, "SourceConfiguration", AWS_JSON, .required = true),
    FIELD_OF(instance_json, "InstanceConfiguration", AWS_JSON),
    FIELD_OF(health_json, "HealthCheckConfiguration", AWS_JSON),
    FIELD_OF(network_json, "NetworkConfiguration", AWS_JSON),
};
static const struct aws_table service_table = AWS_TABLE(struct apprunner_service, service_fields);

struct error *
apprunner_read(const struct json *object, struct arena *arena, struct apprunner_service *out)
{
    const struct json *source = json_get(object, "SourceConfiguration");
    // What App Runner takes for granted when it says nothing.
    struct apprunner_service service = {.auto_deploys = true, .is_public = true};
    TRY(aws_read(object, &service_table, arena, &service));
    bool has_image = json_is_object(json_get(source, "ImageRepository"));
    bool has_code = json_is_object(json_get(source, "CodeRepository"));
    if (has_image == has_code) {
        return aws_unusable("'SourceConfiguration' has %s",
            has_image ? "an image and code" : "neither 'ImageRepository' nor 'CodeRepository'");
    }
    if (has_image && service.image == NULL) {
        return aws_unusable("no '" IMAGE "ImageIdentifier'");
    }
    service.kind = has_image ? APPRUNNER_IMAGE : APPRUNNER_CODE;
    service.state = apprunner_service_state_of(service.status);
    *out = service;
    return NULL;
}

struct error *
apprunner_describe(struct aws_session *session, const char *arn, struct arena *arena,
    struct apprunner_service *out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    json_set_str(body, "ServiceArn", arn);
    const struct aws_call call = {
        APPRUNNER_OPERATION("DescribeService"), .body = body, .read = true};
    struct error *err = aws_call(session, &call, &answer);
    if (aws_has_code(err, "ResourceNotFoundException")) {
        error_free(err);
        *out = (struct apprunner_service){0};
        return NULL;
    }
    if (err == NULL) {
        const struct json *service = json_get(answer, "Service");
        err = service != NULL ? apprunner_read(service, arena, out) : aws_unusable("no 'Service'");
    }
    return err != NULL ? error_wrap(err, "describe App Runner service '%s'", arn) : NULL;
}

const char *
apprunner_log_group(const char *name, const char *id, bool of_application, struct arena *arena)
{
    return arena_printf(
        arena, "/aws/apprunner/%s/%s/%s", name, id, of_application ? "application" : "service");
}

// ---- all of them

struct summaries {
    struct apprunner_summary *items;
    size_t count;
};

static const struct aws_field summary_fields[] = {
    AWS_FIELD(struct apprunner_summary, arn, "ServiceArn", AWS_LINE, .required = true),
    AWS_FIELD(struct apprunner_summary, id, "ServiceId", AWS_LINE),
    AWS_FIELD(struct apprunner_summary, name, "ServiceName", AWS_LINE, .required = true),
    AWS_FIELD(struct apprunner_summary, url, "ServiceUrl", AWS_LINE),
    AWS_FIELD(struct apprunner_summary, status, "Status", AWS_LINE),
    AWS_FIELD(struct apprunner_summary, created_ms, "CreatedAt", AWS_TIME),
    AWS_FIELD(struct apprunner_summary, updated_ms, "UpdatedAt", AWS_TIME),
};
static const struct aws_table summary_table = AWS_TABLE(struct apprunner_summary, summary_fields);
static const struct aws_field summaries_fields[] = {
    AWS_FIELD(struct summaries, items, "ServiceSummaryList", AWS_LIST, .table = &summary_table,
        .count_offset = offsetof(struct summaries, count), .required = true),
};
static const struct aws_table summaries_table = AWS_TABLE(struct summaries, summaries_fields);

static struct aws_pages
list_pages(void)
{
    struct aws_pages pages = {.call = {APPRUNNER_OPERATION("ListServices"), .read = true},
        .body = json_make_object(),
        .token_key = "NextToken"};
    json_set_int(pages.body, "MaxResults", APPRUNNER_A_PAGE);
    return pages;
}

static struct error *
next_page(struct aws_session *session, struct aws_pages *pages, struct arena *arena,
    struct summaries *out)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    struct summaries page = {0};
    TRY(aws_pages_next(session, pages, &answer));
    TRY(aws_read(answer, &summaries_table, arena, &page));
    for (size_t i = 0; i < page.count; i++) {
        page.items[i].state = apprunner_service_state_of(page.items[i].status);
    }
    *out = page;
    return NULL;
}

struct error *
apprunner_list(
    struct aws_session *session, struct arena *arena, struct apprunner_summary **out, size_t *count)
{
    struct aws_list list = {.arena = arena, .size = sizeof(struct apprunner_summary)};
    struct aws_pages pages CLEANUP(aws_pages_done) = list_pages();
    while (!pages.over) {
        struct summaries page = {0};
        struct error *err = next_page(session, &pages, arena, &page);
        if (err != NULL) {
            return error_wrap(err, "list the App Runner services");
        }
        for (size_t i = 0; i < page.count; i++) {
            *(struct apprunner_summary *)aws_list_add(&list) = page.items[i];
        }
    }
    *out = list.items;
    *count = list.count;
    return NULL;
}

// A name is free again once its service is deleted, and App Runner lists that one for a while.
static const char *
find_in(const struct summaries *page, const char *name)
{
    for (size_t i = 0; i < page->count; i++) {
        if (strcmp(page->items[i].name, name) == 0 &&
            page->items[i].state != APPRUNNER_SERVICE_DELETED) {
            return page->items[i].arn;
        }
    }
    return NULL;
}

struct error *
apprunner_find(struct aws_session *session, const char *name, struct arena *arena, const char **arn)
{
    struct aws_pages pages CLEANUP(aws_pages_done) = list_pages();
    const char *found = NULL;
    while (!pages.over && found == NULL) {
        struct summaries page = {0};
        struct error *err = next_page(session, &pages, arena, &page);
        if (err != NULL) {
            return error_wrap(err, "look for App Runner service '%s'", name);
        }
        found = find_in(&page, name);
    }
    *arn = found;
    return NULL;
}
