// /_sandbox: what happened so far, what shall break, and start again. Never touched by faults.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "sandbox_internal.h"

enum { RECORDS_MAX = 200000 };

void
sandbox_control_record(struct sandbox *sandbox, const struct sandbox_record *record)
{
    size_t count = sandbox->record_count;
    sandbox_github_count(sandbox, record);
    if (count >= RECORDS_MAX) {
        struct sandbox_record dropped = *record;
        free(dropped.method);
        free(dropped.target);
        free(dropped.action);
        free(dropped.version);
        free(dropped.agent);
        free(dropped.condition);
        free(dropped.fault);
        return;
    }
    if ((count & (count - 1)) == 0) { // grows by doubling
        size_t room = count == 0 ? 1 : 2 * count;
        sandbox->records = xrealloc(sandbox->records, room * sizeof(*sandbox->records));
    }
    sandbox->records[sandbox->record_count++] = *record;
}

static void
forget_records(struct sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->record_count; i++) {
        struct sandbox_record *record = &sandbox->records[i];
        free(record->method);
        free(record->target);
        free(record->action);
        free(record->version);
        free(record->agent);
        free(record->condition);
        free(record->fault);
    }
    free(sandbox->records);
    sandbox->records = NULL;
    sandbox->record_count = 0;
}

void
sandbox_control_done(struct sandbox *sandbox)
{
    forget_records(sandbox);
    fault_set_done(&sandbox->faults);
}

static bool
is_own(const struct sandbox_record *record)
{
    return strncmp(record->target, "/_sandbox", strlen("/_sandbox")) == 0;
}

static struct json *
record_json(const struct sandbox_record *record)
{
    struct json *item = json_make_object();
    char at[21];
    clock_format_rfc3339(record->at_ms, at);
    json_set_str(item, "time", at);
    json_set_int(item, "time_ms", record->at_ms);
    json_set_str(item, "method", record->method);
    json_set_str(item, "path", record->target);
    json_set_str(item, "action", record->action);
    json_set_str(item, "api_version", record->version);
    json_set_str(item, "user_agent", record->agent);
    json_set_str(item, "if_none_match", record->condition);
    json_set_int(item, "status", record->status);
    json_set_int(item, "elapsed_ms", record->elapsed_ms);
    json_set_bool(item, "counted", record->counted);
    json_set_int(item, "connection", (int64_t)record->connection);
    json_set_str(item, "fault", record->fault);
    return item;
}

// ?path=GLOB and ?method= narrow it; the sandbox's own requests are left out.
static void
show_requests(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const char *path = sandbox_request_query(request, "path"),
               *method = sandbox_request_query(request, "method");
    struct json *list = json_make_array(), *body = json_make_object();
    for (size_t i = 0; i < sandbox->record_count; i++) {
        const struct sandbox_record *record = &sandbox->records[i];
        if (!is_own(record) && (path == NULL || fault_glob(path, record->target)) &&
            (method == NULL || strcmp(method, record->method) == 0)) {
            json_append(list, record_json(record));
        }
    }
    json_set(body, "requests", list);
    sandbox_reply_json(response, 200, body);
}

static void
count_up(struct json *object, const char *key)
{
    json_set_int(object, key, json_int(json_get(object, key), 0) + 1);
}

static void
show_counters(struct sandbox *sandbox, struct sandbox_response *response)
{
    struct json *body = json_make_object(), *statuses = json_make_object();
    struct json *services = json_make_object();
    uint64_t last = 0;
    for (size_t i = 0; i < sandbox->record_count; i++) {
        const struct sandbox_record *record = &sandbox->records[i];
        if (is_own(record)) {
            continue;
        }
        char *status CLEANUP(xfreep) = xasprintf("%d", record->status);
        struct str service = {0}, rest = str_skip(str_of(record->target), 1);
        (void)str_cut(rest, '/', &service, &rest);
        (void)str_cut(service, '?', &service, &rest);
        char *name CLEANUP(xfreep) = str_dup(service);
        count_up(body, "requests");
        count_up(statuses, status);
        count_up(services, name);
        if (record->counted) {
            count_up(body, "counted");
        }
        if (strcmp(record->method, "POST") == 0 && fault_glob("*/dispatches", record->target)) {
            count_up(body, "dispatches");
        }
        if (record->connection != last) {
            count_up(body, "connection_changes");
            last = record->connection;
        }
    }
    const char *const always[] = {"requests", "counted", "dispatches"};
    for (size_t i = 0; i < ARRAY_LENGTH(always); i++) {
        json_set_int(body, always[i], json_int(json_get(body, always[i]), 0));
    }
    json_set(body, "by_status", statuses);
    json_set(body, "by_service", services);
    sandbox_reply_json(response, 200, body);
}

static void
show_state(struct sandbox *sandbox, struct sandbox_response *response)
{
    struct json *body = json_make_object();
    json_set_str(body, "origin", sandbox->origin);
    json_set_str(body, "data_directory", sandbox->data);
    json_set(body, "github", sandbox_github_state_json(sandbox));
    json_set(body, "aws", sandbox_aws_state_json(sandbox));
    json_set(body, "registry", sandbox_registry_state_json(sandbox));
    json_set(body, "vault", sandbox_vault_state_json(sandbox));
    json_set(body, "faults", fault_set_json(&sandbox->faults));
    sandbox_reply_json(response, 200, body);
}

// The body is a rule as text, or {"rule": "..."}.
static void
add_fault(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    struct json *body CLEANUP(json_freep) = sandbox_request_json(request);
    const char *text = body != NULL ? json_str(json_get(body, "rule"))
                                    : arena_str(request->arena, str_trim(buf_str(&request->body)));
    struct fault_rule *rule = NULL;
    struct error *err CLEANUP(error_freep) = fault_rule_parse(text != NULL ? text : "", &rule);
    if (err != NULL) {
        sandbox_reply_problem(response, 422, "%s", error_message(err));
        return;
    }
    struct json *answer = json_make_object();
    json_set_int(answer, "id", fault_set_add(&sandbox->faults, rule));
    sandbox_reply_json(response, 201, answer);
}

static void
handle_faults(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    int64_t id = 0;
    if (sandbox_request_is(request, "GET")) {
        sandbox_reply_json(response, 200, fault_set_json(&sandbox->faults));
    } else if (sandbox_request_is(request, "POST") && request->part_count == 2) {
        add_fault(sandbox, request, response);
    } else if (sandbox_request_is(request, "DELETE") && request->part_count == 2) {
        (void)fault_set_remove(&sandbox->faults, 0);
        response->status = 204;
    } else if (sandbox_request_is(request, "DELETE") &&
               str_to_int64(str_of(request->parts[2]), &id) && id > 0 &&
               fault_set_remove(&sandbox->faults, id)) {
        response->status = 204;
    } else {
        sandbox_reply_problem(response, 404, "no such fault");
    }
}

// ?what=one of these, or requests or faults; without it: all.
static void
reset(struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    static const struct {
        const char *what;
        void (*reset)(struct sandbox *sandbox);
    } parts[] = {{"aws", sandbox_aws_reset}, {"registry", sandbox_registry_reset},
        {"vault", sandbox_vault_reset}, {"slack", sandbox_slack_reset},
        {"pagerduty", sandbox_pagerduty_reset}, {"hooks", sandbox_hooks_reset},
        {"github", sandbox_github_reset}};
    const char *what = sandbox_request_query(request, "what");
    if (what == NULL || strcmp(what, "requests") == 0) {
        forget_records(sandbox);
    }
    if (what == NULL || strcmp(what, "faults") == 0) {
        (void)fault_set_remove(&sandbox->faults, 0);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        if (what == NULL || strcmp(what, parts[i].what) == 0) {
            parts[i].reset(sandbox);
        }
    }
    response->status = 204;
}

// Orders of which there is one path.
static bool
take_order(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    static const struct {
        const char *path;
        void (*take)(struct sandbox *sandbox, const struct sandbox_request *request,
            struct sandbox_response *response);
    } orders[] = {{"vault", sandbox_vault_control}, {"slack", sandbox_slack_control},
        {"slack/press", sandbox_slack_press}, {"pagerduty", sandbox_pagerduty_control},
        {"hooks", sandbox_hooks_control}, {"oidc/token", sandbox_oidc_control_token},
        {"oidc/rotate", sandbox_oidc_control_rotate}};
    for (size_t i = 0; i < ARRAY_LENGTH(orders); i++) {
        if (sandbox_request_match(request, 1, orders[i].path)) {
            orders[i].take(sandbox, request, response);
            return true;
        }
    }
    return false;
}

void
sandbox_control_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    bool reads = sandbox_request_is(request, "GET"), posts = sandbox_request_is(request, "POST");
    if (reads && sandbox_request_match(request, 1, "requests")) {
        show_requests(sandbox, request, response);
    } else if (reads && sandbox_request_match(request, 1, "counters")) {
        show_counters(sandbox, response);
    } else if (reads && sandbox_request_match(request, 1, "state")) {
        show_state(sandbox, response);
    } else if (reads && (sandbox_request_match(request, 1, "ready") || request->part_count == 1)) {
        sandbox_reply_json(response, 200, sandbox_ready_addresses(sandbox));
    } else if (reads && sandbox_request_match(request, 1, "environment")) {
        struct json *addresses CLEANUP(json_freep) = sandbox_ready_addresses(sandbox);
        struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        sandbox_ready_environment(addresses, &text);
        sandbox_reply_text(response, 200, "text/plain; charset=utf-8", buf_str(&text));
    } else if (reads && sandbox_request_match(request, 1, "github/reports")) {
        sandbox_reply_json(response, 200, sandbox_github_reports_json(sandbox));
    } else if (reads && sandbox_request_match(request, 1, "aws/sessions")) {
        sandbox_reply_json(response, 200, sandbox_aws_sessions_json(sandbox));
    } else if (reads && sandbox_request_match(request, 1, "github/counters")) {
        sandbox_reply_json(response, 200, sandbox_github_counters_json(sandbox));
    } else if (reads && sandbox_request_match(request, 1, "github/hooks")) {
        sandbox_reply_json(response, 200, sandbox_webhook_state_json(sandbox));
    } else if (request->part_count >= 2 && strcmp(request->parts[1], "faults") == 0) {
        handle_faults(sandbox, request, response);
    } else if (posts && sandbox_request_match(request, 1, "reset")) {
        reset(sandbox, request, response);
    } else if (reads && sandbox_request_match(request, 1, "inbox")) {
        sandbox_inbox_show(sandbox, false, response);
    } else if (reads && sandbox_request_match(request, 1, "inbox.txt")) {
        sandbox_inbox_show(sandbox, true, response);
    } else if (posts && take_order(sandbox, request, response)) {
        return;
    } else if (!posts || request->part_count < 3 ||
               !((strcmp(request->parts[1], "github") == 0 &&
                     sandbox_github_control(sandbox, request, response)) ||
                   (strcmp(request->parts[1], "aws") == 0 &&
                       sandbox_aws_control(sandbox, request, response)))) {
        sandbox_reply_problem(response, 404, "no such page of the sandbox");
    }
}
