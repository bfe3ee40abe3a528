// What App Runner did and does to a service (ListOperations). There is no way to ask for one
// operation by its id, and none says why it failed: that stands in the service's log.
#include <string.h>

#include "apprunner_internal.h"

enum { PAGES_READ = 5 };

// OperationStatus of the API model; what is not here is unknown.
static const struct {
    const char *status;
    enum apprunner_operation_state state;
    bool final;
} states[] = {
    {"PENDING", APPRUNNER_OPERATION_PENDING, false},
    {"IN_PROGRESS", APPRUNNER_OPERATION_RUNNING, false},
    {"SUCCEEDED", APPRUNNER_OPERATION_SUCCEEDED, true},
    {"FAILED", APPRUNNER_OPERATION_FAILED, true},
    {"ROLLBACK_IN_PROGRESS", APPRUNNER_OPERATION_ROLLING_BACK, false},
    {"ROLLBACK_SUCCEEDED", APPRUNNER_OPERATION_ROLLED_BACK, true},
    {"ROLLBACK_FAILED", APPRUNNER_OPERATION_ROLLBACK_FAILED, true},
};

enum apprunner_operation_state
apprunner_operation_state_of(const char *status)
{
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        if (cstr_equal(status, states[i].status)) {
            return states[i].state;
        }
    }
    return APPRUNNER_OPERATION_UNKNOWN;
}

bool
apprunner_operation_is_final(enum apprunner_operation_state state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        if (states[i].state == state) {
            return states[i].final;
        }
    }
    return false;
}

struct operations {
    struct apprunner_operation *items;
    size_t count;
};

static const struct aws_field operation_fields[] = {
    AWS_FIELD(struct apprunner_operation, id, "Id", AWS_LINE, .required = true),
    AWS_FIELD(struct apprunner_operation, type, "Type", AWS_LINE),
    AWS_FIELD(struct apprunner_operation, status, "Status", AWS_LINE, .required = true),
    AWS_FIELD(struct apprunner_operation, started_ms, "StartedAt", AWS_TIME),
    AWS_FIELD(struct apprunner_operation, ended_ms, "EndedAt", AWS_TIME),
    AWS_FIELD(struct apprunner_operation, updated_ms, "UpdatedAt", AWS_TIME),
};
static const struct aws_table operation_table =
    AWS_TABLE(struct apprunner_operation, operation_fields);
static const struct aws_field operations_fields[] = {
    AWS_FIELD(struct operations, items, "OperationSummaryList", AWS_LIST, .table = &operation_table,
        .count_offset = offsetof(struct operations, count)),
};
static const struct aws_table operations_table = AWS_TABLE(struct operations, operations_fields);

static struct error *
next_page(struct aws_session *session, struct aws_pages *pages, struct aws_list *list,
    const char *until_id, bool *found)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    struct operations page = {0};
    TRY(aws_pages_next(session, pages, &answer));
    TRY(aws_read(answer, &operations_table, list->arena, &page));
    for (size_t i = 0; i < page.count; i++) {
        struct apprunner_operation *slot = aws_list_add(list);
        *slot = page.items[i];
        slot->state = apprunner_operation_state_of(slot->status);
        *found = *found || cstr_equal(slot->id, until_id);
    }
    return NULL;
}

struct error *
apprunner_operations_list(struct aws_session *session,
    const struct apprunner_operation_query *query, struct arena *arena,
    struct apprunner_operation **out, size_t *count)
{
    size_t max = query->max_pages > 0 ? query->max_pages : PAGES_READ;
    bool found = false;
    struct aws_list list = {.arena = arena, .size = sizeof(struct apprunner_operation)};
    struct aws_pages pages CLEANUP(aws_pages_done) = {
        .call = {APPRUNNER_OPERATION("ListOperations"), .read = true},
        .body = json_make_object(),
        .token_key = "NextToken"};
    json_set_str(pages.body, "ServiceArn", query->service_arn);
    json_set_int(pages.body, "MaxResults", APPRUNNER_A_PAGE);
    while (!pages.over && !found && pages.count < max) {
        struct error *err = next_page(session, &pages, &list, query->until_id, &found);
        if (err != NULL) {
            return error_wrap(
                err, "list the operations of App Runner service '%s'", query->service_arn);
        }
    }
    *out = list.items;
    *count = list.count;
    return NULL;
}
