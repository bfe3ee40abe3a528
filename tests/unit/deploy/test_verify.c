// The HTTP checks after a rollout: what passes, what is asked again and how often, what is never
// followed or shown.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"
#include "script_transport.h"
#include "temp_dir.h"

#define URL "https://shop.example.org/health"
#define OTHER "https://shop.example.org/version?full=1"
#define DIGEST "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b"

struct rig {
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *http;
    struct deploy_context *context;
    struct deploy_observer observer;
    struct arena *arena;
    struct deployment *d;
    struct buf notes;
    char *dir, *state_path;
    struct error *err;
};

static void
on_event(void *ctx, const struct deploy_event *event)
{
    struct rig *rig = ctx;
    if (event->kind == DEPLOY_EVENT_NOTE) {
        buf_printf(&rig->notes, "%s\n", event->text);
    }
}

// A deployment that has nothing left to do but its checks.
static struct deployment *
deployment_to_check(struct arena *arena, struct deployment_check *checks, size_t count)
{
    struct deployment *d = deployment_new(arena);
    struct deployment_step *step = arena_alloc(arena, sizeof(*step));
    struct deployment_service *service = arena_alloc(arena, sizeof(*service));
    *step = (struct deployment_step){
        .name = "verify", .kind = "verify", .service = -1, .reason = "what answers must be well"};
    *service = (struct deployment_service){.name = "web", .digest = DIGEST};
    d->id = "d-1";
    d->verb = "deploy";
    d->app = "shop";
    d->env = "staging";
    d->version = "v2";
    d->claim_key = "k";
    d->services = (struct object_list){service, 1};
    d->steps = (struct object_list){step, 1};
    d->verify = (struct object_list){checks, count};
    return d;
}

static struct rig *
rig_new_with(const char *const *env, const struct script_step *steps, size_t step_count,
    struct deployment_check *checks, size_t count)
{
    struct rig *rig = xcalloc(1, sizeof(*rig));
    rig->fake = fake_platform_new(env);
    rig->script = script_transport_new(rig->fake, steps, step_count);
    rig->arena = arena_new();
    rig->dir = temp_dir_new();
    rig->state_path = temp_dir_path(rig->dir, "state.db");
    rig->observer = (struct deploy_observer){on_event, rig};
    buf_init(&rig->notes, 64 * 1024);
    assert_null(http_client_new(&rig->fake->platform, NULL, &rig->http));
    rig->context =
        deploy_context_new(&(struct deploy_context_options){.platform = &rig->fake->platform,
            .http = rig->http,
            .state_path = rig->state_path,
            .observer = &rig->observer});
    rig->d = deployment_to_check(rig->arena, checks, count);
    rig->err = deploy_run(rig->context, rig->d, rig->arena);
    return rig;
}

static struct rig *
rig_new(const struct script_step *steps, size_t step_count, struct deployment_check *checks,
    size_t count)
{
    return rig_new_with(NULL, steps, step_count, checks, count);
}

static void
rig_freep(struct rig **slot)
{
    struct rig *rig = *slot;
    script_transport_finish(rig->script);
    error_free(rig->err);
    deploy_context_free(rig->context);
    http_client_free(rig->http);
    script_transport_free(rig->script);
    fake_platform_free(rig->fake);
    buf_done(&rig->notes);
    arena_free(rig->arena);
    temp_dir_removep(&rig->dir);
    free(rig->state_path);
    free(rig);
}

static struct pair_list
body_of(struct pair *pairs, size_t count)
{
    return (struct pair_list){pairs, count};
}

static void
expect_passed(const struct rig *rig, const char *notes)
{
    assert_null(rig->err);
    assert_string_equal(rig->d->result, "deployed");
    assert_string_equal(buf_cstr(&rig->notes), notes);
}

static void
expect_failed(const struct rig *rig, const char *message)
{
    assert_null(rig->err);
    assert_string_equal(rig->d->result, "failed");
    assert_string_equal(rig->d->message, message);
}

static void
test_passes_at_once(void **state)
{
    (void)state;
    static const char *const no_secrets[] = {"!Authorization", "!Cookie", NULL};
    static const struct script_step steps[] = {
        {.method = HTTP_GET, .url = URL, .headers = no_secrets, .reply = "fine"}};
    struct deployment_check checks[] = {{.url = URL, .expect = 200, .within_ms = 60000}};
    struct rig *rig CLEANUP(rig_freep) = rig_new(steps, 1, checks, 1);
    expect_passed(rig, "check '" URL "' passed: HTTP 200\n");
    assert_string_equal(deployment_step_at(rig->d, 0)->note, "1 check passed");
    assert_int_equal(rig->fake->sleep_count, 0);
    assert_int_equal(script_transport_request(rig->script, 0)->max_response, 1024 * 1024);
    assert_string_equal(deployment_check_at(rig->d, 0)->state, "passed");
}

static void
test_asks_until_it_holds(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_GET, .url = URL, .failure = "connection refused"},
        {.method = HTTP_GET, .url = URL, .status = 503, .reply = "<html>no</html>"},
        {.method = HTTP_GET, .url = URL, .reply = "{\"version\":\"v1\",\"db\":{\"ok\":true}}"},
        {.method = HTTP_GET, .url = URL, .reply = "{\"version\":\"v2\",\"db\":{\"ok\":false}}"},
        {.method = HTTP_GET, .url = URL, .reply = "{\"version\":\"v2\",\"db\":{\"ok\":true}}"},
    };
    struct pair body[] = {{"version", "v2"}, {"db.ok", "true"}};
    struct deployment_check checks[] = {
        {.url = URL, .expect = 200, .within_ms = 60000, .body = body_of(body, 2)}};
    struct rig *rig CLEANUP(rig_freep) = rig_new(steps, ARRAY_LENGTH(steps), checks, 1);
    expect_passed(rig, "check '" URL "' passed: HTTP 200 with version 'v2' and db.ok 'true'\n");
    assert_int_equal(deployment_check_at(rig->d, 0)->attempts, 5);
    static const int64_t sleeps[] = {2000, 2000, 4000, 4000};
    assert_int_equal(rig->fake->sleep_count, ARRAY_LENGTH(sleeps));
    assert_memory_equal(rig->fake->sleeps, sleeps, sizeof(sleeps));
}

static void
test_fails_when_its_time_is_over(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_GET, .url = URL, .status = 503, .times = 13}};
    struct deployment_check checks[] = {{.url = URL, .expect = 200, .within_ms = 60000}};
    struct rig *rig CLEANUP(rig_freep) = rig_new(steps, 1, checks, 1);
    expect_failed(rig, "deploy 'shop' to 'staging': check '" URL "' failed: HTTP 503 where 200 was "
                       "expected (13 attempts in 1m 0s)");
    assert_string_equal(deployment_check_at(rig->d, 0)->state, "failed");
    assert_string_equal(
        rig->d->hint, "'deploy.verify' of the spec says what is expected, and within which time.");
}

static void
test_time_of_a_rehearsal(void **state)
{
    (void)state;
    static const char *const shorter[] = {"DISPATCHER_VERIFY_MS=5000", NULL};
    static const char *const longer[] = {"DISPATCHER_VERIFY_MS=90000", NULL};
    static const struct script_step few[] = {
        {.method = HTTP_GET, .url = URL, .status = 503, .times = 4}};
    static const struct script_step many[] = {
        {.method = HTTP_GET, .url = URL, .status = 503, .times = 13}};
    struct deployment_check checks[] = {{.url = URL, .expect = 200, .within_ms = 60000}};
    struct rig *rig CLEANUP(rig_freep) = rig_new_with(shorter, few, 1, checks, 1);
    expect_failed(rig, "deploy 'shop' to 'staging': check '" URL "' failed: HTTP 503 where 200 was "
                       "expected (4 attempts in 5.0s)");
    struct rig *other CLEANUP(rig_freep) = rig_new_with(longer, many, 1, checks, 1);
    expect_failed(other, "deploy 'shop' to 'staging': check '" URL "' failed: HTTP 503 where 200 "
                         "was expected (13 attempts in 1m 0s)");
}

static void
test_several_side_by_side(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_GET, .url = URL, .reply = "{}"},
        {.method = HTTP_GET, .url = OTHER, .reply = "{\"digest\":\"old\"}"},
        {.method = HTTP_GET, .url = OTHER, .reply = "{\"digest\":\"" DIGEST "\",\"up\":12.5}"},
    };
    struct pair body[] = {{"digest", "{digest}"}, {"up", "12.5"}};
    struct deployment_check checks[] = {{.url = URL, .expect = 200, .within_ms = 60000},
        {.url = OTHER, .expect = 200, .within_ms = 60000, .body = body_of(body, 2)}};
    struct rig *rig CLEANUP(rig_freep) = rig_new(steps, ARRAY_LENGTH(steps), checks, 2);
    assert_string_equal(deployment_step_at(rig->d, 0)->note, "2 checks passed");
    assert_int_equal(deployment_check_at(rig->d, 0)->attempts, 1);
    assert_int_equal(deployment_check_at(rig->d, 1)->attempts, 2);
}

// One answer, and what is said about it.
static void
check_seen(const struct script_step *step, struct pair_list body, const char *seen)
{
    struct deployment_check checks[] = {{.url = URL, .expect = 200, .within_ms = 1, .body = body}};
    struct script_step steps[] = {*step, *step};
    steps[0].method = steps[1].method = HTTP_GET;
    steps[0].url = steps[1].url = URL;
    struct rig *rig CLEANUP(rig_freep) = rig_new(steps, 2, checks, 1);
    assert_string_equal(deployment_check_at(rig->d, 0)->seen, seen);
    assert_string_equal(rig->d->result, "failed");
}

static void
test_what_is_said(void **state)
{
    (void)state;
    static const char *const moved[] = {"Location: https://login.example.org/##[x", NULL};
    struct pair body[] = {{"version", "v2"}};
    const struct pair_list expected = body_of(body, 1);
    check_seen(&(struct script_step){.status = 302, .reply_headers = moved}, expected,
        "HTTP 302 where 200 was expected, redirected to https://login.example.org/## [x");
    check_seen(&(struct script_step){.status = 301}, expected, "HTTP 301 where 200 was expected");
    check_seen(&(struct script_step){.reply = "ok"}, expected, "the answer is not a JSON object");
    check_seen(
        &(struct script_step){.reply = "[\"v2\"]"}, expected, "the answer is not a JSON object");
    check_seen(&(struct script_step){.reply = "{}"}, expected,
        "'version' is missing where 'v2' was expected");
    check_seen(&(struct script_step){.reply = "{\"version\":null}"}, expected,
        "'version' is 'null' where 'v2' was expected");
    check_seen(&(struct script_step){.reply = "{\"version\":[\"v2\"]}"}, expected,
        "'version' is a list or a block where 'v2' was expected");
    check_seen(&(struct script_step){.reply = "{\"version\":\"\\u001b[31m##[error]x\"}"}, expected,
        "'version' is '## [error]x' where 'v2' was expected");
    check_seen(&(struct script_step){.failure = "the answer is larger than 1048576 "
                                                "bytes",
                   .failure_code = "cap",
                   .request_left = true},
        expected, "no answer: the answer is larger than 1048576 bytes");
}

static void
test_interrupted(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_GET, .url = URL, .status = 503}};
    struct deployment_check checks[] = {{.url = URL, .expect = 200, .within_ms = 60000}};
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(fake, steps, 1);
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    assert_null(http_client_new(&fake->platform, NULL, &http));
    struct deploy_context *context CLEANUP(deploy_context_freep) =
        deploy_context_new(&(struct deploy_context_options){
            .platform = &fake->platform, .http = http, .state_path = path});
    struct deployment *d = deployment_to_check(arena, checks, 1);
    fake->cancel_at_ms = fake->mono_ms + 1000;
    assert_null(deploy_run(context, d, arena));
    assert_int_equal(d->exit_code, 143);
    assert_string_equal(d->message, "deploy 'shop' to 'staging': interrupted by signal 15");
    script_transport_finish(script);
}

static void
test_addresses(void **state)
{
    (void)state;
    assert_null(verify_check_url(URL));
    assert_null(verify_check_url("http://localhost:8080/health"));
    assert_null(verify_check_url("http://127.0.0.1/"));
    static const struct {
        const char *url, *text;
    } bad[] = {
        {"https://me:geheim@shop.example.org/",
            "a check of 'shop.example.org' has a user or a password in its URL"},
        {"http://shop.example.org/", "check 'http://shop.example.org/' is not encrypted"},
        {"http://169.254.169.254/latest/",
            "check 'http://169.254.169.254/latest/' is not encrypted"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct error *err CLEANUP(error_freep) = verify_check_url(bad[i].url);
        assert_non_null(err);
        char *text CLEANUP(xfreep) = error_text(err);
        assert_string_equal(text, bad[i].text);
        assert_int_equal(error_kind(err), ERROR_SPEC);
        assert_null(strstr(text, "geheim"));
    }
    struct error *err CLEANUP(error_freep) = verify_check_url("ftp://shop.example.org/");
    assert_int_equal(error_kind(err), ERROR_SPEC);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes_at_once),
        cmocka_unit_test(test_asks_until_it_holds),
        cmocka_unit_test(test_fails_when_its_time_is_over),
        cmocka_unit_test(test_time_of_a_rehearsal),
        cmocka_unit_test(test_several_side_by_side),
        cmocka_unit_test(test_what_is_said),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
