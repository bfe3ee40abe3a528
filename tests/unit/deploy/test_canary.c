// Secrets planted in every credential, and echoed by the other side, are found in no journal byte,
// event, report, summary, output or message (protocols.md G15).
#define _GNU_SOURCE // memmem
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

#define PASSWORD "canary-registry-password"
#define SPECS_TOKEN "canary-specs-token-0123456789"

static const char *const canaries[] = {
    STORY_TOKEN, STORY_AWS_SECRET, PASSWORD, SPECS_TOKEN, "canary-session-token-0123456789"};

static void
check_bytes(const char *where, const char *bytes, size_t len)
{
    for (size_t i = 0; i < ARRAY_LENGTH(canaries); i++) {
        if (len > 0 && memmem(bytes, len, canaries[i], strlen(canaries[i])) != NULL) {
            fail_msg("'%s' is in the %s", canaries[i], where);
        }
    }
}

static void
check_text(const char *where, const char *text)
{
    check_bytes(where, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

static void
check_journal(const struct story *s)
{
    static const char *const tails[] = {"", "-wal"};
    for (size_t i = 0; i < ARRAY_LENGTH(tails); i++) {
        char *path CLEANUP(xfreep) = xasprintf("%s%s", s->state_path, tails[i]);
        struct buf bytes CLEANUP(buf_done) = BUF_INIT(64 * 1024 * 1024);
        bool found = false;
        assert_null(file_read(path, &bytes, &found));
        check_bytes("journal", bytes.ptr, bytes.len);
    }
}

static void
check_reports(const struct story *s)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    report_text(s->d, false, &text);
    report_summary(s->d, &text);
    report_outputs(s->d, "00", &text);
    report_annotations(s->d, &text);
    check_text("report", buf_cstr(&text));
}

static void
check_all(const struct story *s)
{
    if (s->err != NULL) {
        char *text CLEANUP(xfreep) = error_text(s->err);
        struct buf masked CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        buf_puts(&masked, text); // what is printed passes the output's mask
        secret_mask(&masked);
        check_text("error", buf_cstr(&masked));
    }
    check_text("diagnostics", s->diagnostics);
    check_journal(s);
    if (s->d != NULL) {
        check_reports(s);
        check_text("message", s->d->message);
        check_text("hint", s->d->hint);
    }
}

static struct story *
story_with_canaries(void)
{
    struct story *s = story_new();
    story_env(s, "AWS_SESSION_TOKEN", "canary-session-token-0123456789");
    story_env(s, "DISPATCHER_REGISTRY_USER", "someone");
    story_env(s, "DISPATCHER_REGISTRY_PASSWORD", PASSWORD);
    story_env(s, "DISPATCHER_SPECS_TOKEN", SPECS_TOKEN);
    return s;
}

// Each request in turn is answered with every secret in the words of the refusal.
static void
test_echoed_everywhere(void **state)
{
    (void)state;
    static const char *const matches[] = {"GET */contents/*", "HEAD *", "ssm:GetParameter *",
        "ssm:PutParameter *", "POST */dispatches", "GET */actions/runs/*", "GET */jobs?*",
        "ssm:LabelParameterVersion *", "ssm:GetParameterHistory *"};
    static const int statuses[] = {400, 401, 403, 422, 500};
    for (size_t i = 0; i < ARRAY_LENGTH(matches); i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(statuses); k++) {
            struct story *s CLEANUP(story_freep) = story_with_canaries();
            const char *words = arena_printf(s->arena,
                "{\"__type\":\"X\",\"message\":\"bad %s and %s and %s and %s and %s\"}",
                canaries[0], canaries[1], canaries[2], canaries[3], canaries[4]);
            const struct world_fault faults[] = {{.match = matches[i],
                                                     .kind = FAULT_STATUS,
                                                     .status = statuses[k],
                                                     .times = 9,
                                                     .body = words},
                {0}};
            s->world->faults = faults;
            story_deploy(s);
            check_all(s);
        }
    }
}

// A secret of ours that the remote run printed.
static void
test_echoed_by_the_run(void **state)
{
    (void)state;
    static const char *const failing[] = {"completed:failure", NULL};
    struct story *s CLEANUP(story_freep) = story_with_canaries();
    s->world->life = failing;
    s->world->jobs = "{\"jobs\":[{\"id\":2,\"name\":\"" STORY_TOKEN "\",\"conclusion\":\"failure\","
                     "\"check_run_url\":\"https://x/77\",\"steps\":[{\"name\":\"" STORY_TOKEN
                     "\",\"conclusion\":\"failure\"}]}]}";
    s->world->annotations =
        "[{\"annotation_level\":\"failure\",\"message\":\"" STORY_AWS_SECRET "\"}]";
    s->world->log = "2026-11-21T07:48:01.0000000Z token=" STORY_TOKEN "\n";
    story_deploy(s);
    story_expect(s, 7, "failed", NULL);
    assert_string_equal(s->d->failure.job, "***");
    check_all(s);
    check_text("events", buf_cstr(&s->events));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echoed_everywhere),
        cmocka_unit_test(test_echoed_by_the_run),
    };
    return cmocka_run_group_tests_name("canary", tests, NULL, NULL);
}
