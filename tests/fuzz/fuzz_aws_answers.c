// What ECS, App Runner, CloudWatch Logs and IAM answer: the input is the body of every answer.
// Nothing crashes or hangs; what is read has its names, and is fit for one line but for log
// messages.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/apprunner.h"
#include "dispatcher/ecs.h"
#include "dispatcher/iam.h"
#include "dispatcher/logs.h"
#include "dispatcher/memory.h"
#include "fuzz.h"

// ---- a world in which every answer is the input and no time is lost

static struct str input;
static int status;
static int64_t now_ms = 1795247280000;

static int64_t
read_clock(const struct clock *clock)
{
    (void)clock;
    return now_ms;
}

static struct error *
jump(const struct clock *clock, int64_t mono_ms, struct cancel *cancel)
{
    (void)clock;
    (void)cancel;
    now_ms = mono_ms > now_ms ? mono_ms : now_ms;
    return NULL;
}

static void
fill(const struct random_source *source, void *out, size_t len)
{
    (void)source;
    memset(out, 0x5a, len);
}

static struct error *
answer(struct http_transport *transport, const struct http_flow *flow)
{
    (void)transport;
    int64_t again_ms = INT64_MAX;
    struct http_exchange *exchange = NULL;
    while ((exchange = flow->next(flow->ctx, &again_ms)) != NULL) {
        exchange->response = (struct http_response){
            .status = status, .body = BUF_INIT(SIZE_MAX / 2), .received_wall_ms = now_ms};
        buf_add(&exchange->response.body, input);
        flow->ended(flow->ctx, exchange);
    }
    return NULL;
}

static void
keep(struct http_transport *transport)
{
    (void)transport;
}

static struct aws_session *
session(void)
{
    static const struct clock clock = {read_clock, read_clock, jump};
    static const struct random_source random = {fill};
    static struct http_transport transport = {answer, keep, NULL};
    static struct platform platform = {.clock = &clock, .random = &random, .transport = &transport};
    static struct aws_session *one;
    if (one == NULL) {
        char *env[] = {(char[]){"AWS_ACCESS_KEY_ID=AKID"}, (char[]){"AWS_SECRET_ACCESS_KEY=secret"},
            (char[]){"AWS_REGION=eu-west-1"}, NULL};
        struct http_client *http = NULL;
        platform.env = environment_new(env);
        FUZZ_CHECK(http_client_new(&platform, NULL, &http) == NULL);
        FUZZ_CHECK(aws_session_new(&platform, http, NULL, &one) == NULL);
    }
    return one;
}

// ---- what must hold

static void
check_line(const char *text)
{
    for (size_t i = 0; text != NULL && text[i] != '\0'; i++) {
        FUZZ_CHECK((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
    }
    FUZZ_CHECK(text == NULL || str_is_utf8(str_of(text)));
}

/// True when there was no error. An error is one of those that an answer can cause.
static bool
settle(struct error *err)
{
    if (err == NULL) {
        return true;
    }
    enum error_kind kind = error_kind(err);
    char *text CLEANUP(xfreep) = error_text(err);
    FUZZ_CHECK(kind == ERROR_UNAVAILABLE || kind == ERROR_REFUSED || kind == ERROR_CONFLICT ||
               kind == ERROR_CREDENTIALS || kind == ERROR_SPEC);
    check_line(text);
    error_free(err);
    return false;
}

static const char *const names[] = {"web", "arn:aws:ecs:eu-west-1:012345678901:service/prod/api"};

static void
try_services(struct arena *arena)
{
    struct ecs_service found[2] = {0};
    struct ecs_cluster cluster = {0};
    if (settle(ecs_services_describe(session(), "prod", names, 2, arena, found))) {
        for (size_t i = 0; i < 2; i++) {
            FUZZ_CHECK(found[i].arn == NULL || (found[i].name != NULL && found[i].status != NULL));
            check_line(found[i].status);
            for (size_t k = 0; k < found[i].event_count; k++) {
                check_line(found[i].events[k].message);
            }
        }
    }
    (void)settle(ecs_cluster_describe(session(), "web", arena, &cluster));
    const struct ecs_service_change change = {"prod", "web", "web:1", true};
    (void)settle(ecs_service_update(session(), &change, arena, found));
}

static void
try_deployments(struct arena *arena)
{
    struct ecs_deployment found[2] = {0};
    struct ecs_revision revisions[2] = {0};
    struct ecs_deployment_summary *list = NULL;
    size_t count = 0;
    const struct ecs_deployment_query query = {.service = "web"};
    if (settle(ecs_deployments_describe(session(), names, 2, arena, found))) {
        for (size_t i = 0; i < 2; i++) {
            FUZZ_CHECK((found[i].state == ECS_STATE_SUCCEEDED) ==
                       cstr_equal(found[i].status, "SUCCESSFUL"));
            check_line(found[i].reason);
        }
    }
    (void)settle(ecs_revisions_describe(session(), names, 2, arena, revisions));
    if (settle(ecs_deployments_list(session(), &query, arena, &list, &count))) {
        for (size_t i = 1; i < count; i++) {
            FUZZ_CHECK(list[i - 1].created_ms >= list[i].created_ms);
        }
    }
}

static void
try_tasks(struct arena *arena)
{
    struct ecs_task found[2] = {0};
    struct str_list arns = {0};
    struct ecs_task_start start = {0};
    const struct ecs_task_filter filter = {.service = "web"};
    const struct ecs_task_request request = {.task_definition = "web:1", .client_token = "t"};
    if (settle(ecs_tasks_describe(session(), "prod", names, 2, arena, found))) {
        FUZZ_CHECK((found[0].arn == NULL) == (found[0].id == NULL));
    }
    (void)settle(ecs_tasks_list(session(), &filter, arena, &arns));
    if (settle(ecs_task_run(session(), &request, arena, &start))) {
        FUZZ_CHECK((start.task.arn != NULL) == (start.earlier.count == 0));
    }
}

static void
try_task_definitions(struct arena *arena)
{
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    struct str_list list = {0};
    struct pair_list tags = {0};
    struct ecs_log_target *targets = NULL;
    struct ecs_log_stream stream = {0};
    const char *image = NULL;
    size_t count = 0;
    (void)settle(ecs_task_definition_list(session(), "web", 10, arena, &list));
    (void)settle(ecs_tags_get(session(), "arn", arena, &tags));
    if (!settle(ecs_task_definition_get(session(), "web", arena, &definition)) ||
        definition.arn == NULL) {
        return;
    }
    ecs_task_definition_log_targets(definition.document, arena, &targets, &count);
    (void)ecs_task_log_stream(definition.document, "web", "t", arena, &stream);
    const struct ecs_copy copy = {.from = &definition, .image = "new:1"};
    if (settle(ecs_task_definition_copy(&copy, &body))) {
        FUZZ_CHECK(json_get(body, "revision") == NULL);
        if (settle(ecs_task_definition_image(body, NULL, NULL, &image))) {
            FUZZ_CHECK(strcmp(image, "new:1") == 0);
        }
    }
}

static void
try_express(struct arena *arena)
{
    struct ecs_express service = {0}, after = {0};
    if (settle(ecs_express_describe(session(), "arn", arena, &service)) && service.arn != NULL) {
        (void)settle(ecs_express_update(session(), &service, "new:1", arena, &after));
    }
}

static void
try_apprunner(struct arena *arena)
{
    struct apprunner_service service = {0};
    struct apprunner_operation *operations = NULL;
    struct apprunner_start start = {0};
    size_t count = 0;
    const char *arn = NULL, *source = NULL;
    const struct apprunner_operation_query query = {.service_arn = "a"};
    static struct pair pairs[] = {{"A", "1"}};
    const struct apprunner_source_change change = {
        .image = "new:1", .branch = "main", .port = "80", .environment = {pairs, 1}};
    if (settle(apprunner_describe(session(), "a", arena, &service)) && service.arn != NULL) {
        check_line(service.status);
        (void)settle(apprunner_source_with_image(service.source_json, &change, arena, &source));
        (void)settle(apprunner_source_with_code(service.source_json, &change, arena, &source));
        const struct apprunner_update update = {
            .current = &service, .source_json = source, .cpu = "512"};
        (void)settle(apprunner_update(session(), &update, arena, &start));
    }
    (void)settle(apprunner_find(session(), "web", arena, &arn));
    (void)settle(apprunner_start_deployment(session(), "a", arena, &start));
    (void)settle(apprunner_operations_list(session(), &query, arena, &operations, &count));
}

static void
try_logs(struct arena *arena)
{
    struct logs_page page = {0};
    const struct logs_stream stream = {.group = "g", .name = "s", .max_events = 3};
    const struct logs_query query = {.group = "g", .max_events = 3, .newest = true};
    if (settle(logs_stream_read(session(), &stream, arena, &page))) {
        FUZZ_CHECK(page.count <= 3 && (page.token != NULL) == page.found);
    }
    if (settle(logs_filter(session(), &query, arena, &page))) {
        FUZZ_CHECK(page.count <= 3);
    }
}

static void
try_ecs(struct arena *arena)
{
    try_services(arena);
    try_deployments(arena);
    try_express(arena);
}

static void
try_ecs_tasks(struct arena *arena)
{
    try_tasks(arena);
    try_task_definitions(arena);
}

// The answer, and the input as a trust policy: a policy that trusts has to name somebody.
static void
try_iam(struct arena *arena)
{
    struct iam_role role = {0};
    if (settle(iam_role_get(session(), "pull", arena, &role)) && role.arn != NULL) {
        FUZZ_CHECK(role.name != NULL && role.path != NULL && role.trust_json[0] != '\0');
        (void)iam_trusts(role.trust_json, "ecs-tasks.amazonaws.com");
    }
    const char *policy = arena_str(arena, input);
    if (iam_trusts(policy, "ecs-tasks.amazonaws.com") != IAM_TRUST_NO) {
        FUZZ_CHECK(strstr(policy, "rincipal") != NULL || strchr(policy, '\\') != NULL);
    }
}

static void
try_others(struct arena *arena)
{
    try_iam(arena);
    try_apprunner(arena);
    try_logs(arena);
}

// Each input goes to one service at one status, whichever its bytes add up to: signing twenty
// requests for every input would leave little time for inputs.
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(struct arena * arena) = {try_ecs, try_ecs_tasks, try_others};
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum += data[i];
    }
    input = (struct str){(const char *)data, size};
    status = sum % 8 == 0 ? 400 : 200;
    tries[sum % ARRAY_LENGTH(tries)](arena);
    return 0;
}
