// The end of a log: where it is fetched from, with what, and which lines remain.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "github_fixture.h"
#include "github_internal.h"

#define MESSAGE(text) "{\"message\":\"" text "\"}"
#define LOG_URL GITHUB_REPO "/actions/jobs/3/logs"
#define STORE_URL "https://results.blob.core.windows.net/log.txt?sig=s3cr3t"

static const char *const to_store[] = {"Location: " STORE_URL, NULL};
static const struct github_log_part five_lines = {.lines = 5};
static const char *const bare[] = {
    "!Authorization", "!X-GitHub-Api-Version", "!Cookie", "User-Agent: dispatcher/*", NULL};

static void
assert_failure(struct error *err, enum error_kind kind, const char *says)
{
    assert_non_null(err);
    char *text = error_text(err);
    if (strstr(text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", text, says);
    }
    assert_null(strstr(text, "s3cr3t"));
    free(text);
    assert_int_equal(error_kind(err), kind);
    error_free(err);
}

// The tail that a log gives; `seconds` are of the window, after 07:48:00.
static const char *
tail_of(struct github_fixture *f, int64_t from_s, int64_t to_s, size_t lines)
{
    const char *text = NULL;
    bool window = to_s > 0;
    const struct github_log_part part = {window ? FAKE_WALL_START + from_s * 1000 : 0,
        window ? FAKE_WALL_START + to_s * 1000 : 0, lines};
    assert_null(github_job_log_tail(f->client, 3, &part, f->arena, &text));
    github_fixture_finish(f);
    return text;
}

static void
the_last_lines_without_credentials(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = LOG_URL, .status = 302, .reply_headers = to_store},
        {.url = STORE_URL, .headers = bare, .reply = "1\n2\r\n3\n\n::error::4"},
    };
    static const struct {
        size_t lines;
        const char *text;
    } cases[] = {{3, "3\n\n::error::4\n"}, {1, "::error::4\n"}, {0, "::error::4\n"},
        {100, "1\n2\n3\n\n::error::4\n"}, {SIZE_MAX, "1\n2\n3\n\n::error::4\n"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
        assert_string_equal(tail_of(f, 0, 0, cases[i].lines), cases[i].text);
        assert_int_equal(github_client_counters(f->client).sent, 2);
        assert_int_equal(github_client_counters(f->client).counted, 1);
    }
}

static void
only_the_lines_of_the_step(void **state)
{
    (void)state;
    static const char log[] = "\xef\xbb\xbf"
                              "2026-11-21T07:48:01.0000000Z before\n"
                              "unstamped of before\n"
                              "2026-11-21T07:48:10.0000001Z first\n"
                              "2026-11-21T07:48:15.9999999Z middle\n"
                              "of the middle\n"
                              "2026-11-21T07:48:20.9999999Z last\n"
                              "2026-11-21T07:48:21.0000000Z after\n"
                              "unstamped of after\n";
    static const struct script_step steps[] = {
        {.url = LOG_URL, .status = 302, .reply_headers = to_store},
        {.url = STORE_URL, .reply = log},
    };
    static const struct {
        int64_t from, to;
        size_t lines;
        const char *text;
    } cases[] = {
        {10, 20, 100,
            "2026-11-21T07:48:10.0000001Z first\n2026-11-21T07:48:15.9999999Z middle\nof the "
            "middle\n2026-11-21T07:48:20.9999999Z last\n"},
        {10, 20, 1, "2026-11-21T07:48:20.9999999Z last\n"},
        {1, 1, 9,
            "\xef\xbb\xbf"
            "2026-11-21T07:48:01.0000000Z before\nunstamped of before\n"},
        // nothing in the window: better the end of the log than nothing
        {50, 60, 2, "2026-11-21T07:48:21.0000000Z after\nunstamped of after\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
        assert_string_equal(tail_of(f, cases[i].from, cases[i].to, cases[i].lines), cases[i].text);
    }
}

static void
a_huge_log_leaves_its_end(void **state)
{
    (void)state;
    struct buf log CLEANUP(buf_done) = BUF_INIT(64 * 1024 * 1024);
    for (int i = 0; i < 300000; i++) {
        buf_printf(&log, "line %d of a very long log that nobody wants to read at night\n", i);
    }
    assert_true(log.len > 16 * 1024 * 1024); // past every body cap
    const struct script_step steps[] = {
        {.url = LOG_URL, .status = 302, .reply_headers = to_store},
        {.url = STORE_URL, .reply = buf_cstr(&log), .reply_len = log.len},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    const char *text = tail_of(f, 0, 0, 2);
    assert_string_equal(text,
        "line 299998 of a very long log that nobody wants to read at night\n"
        "line 299999 of a very long log that nobody wants to read at night\n");
}

static void
a_huge_line_is_cut(void **state)
{
    (void)state;
    struct buf log CLEANUP(buf_done) = BUF_INIT(64 * 1024 * 1024);
    for (int i = 0; i < 1024 * 1024; i++) {
        buf_putc(&log, 'x');
    }
    buf_puts(&log, "\nend\n");
    const struct script_step steps[] = {
        {.url = LOG_URL, .status = 302, .reply_headers = to_store},
        {.url = STORE_URL, .reply = buf_cstr(&log), .reply_len = log.len},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    const char *text = tail_of(f, 0, 0, 5);
    assert_int_equal(strlen(text), 16 * 1024 + 1 + 4);
    assert_string_equal(text + 16 * 1024, "\nend\n");
}

static void
no_log_is_no_error(void **state)
{
    (void)state;
    static const struct {
        struct script_step steps[3];
        size_t count;
    } cases[] = {
        {{{.url = LOG_URL, .status = 404, .reply = MESSAGE("Not Found")}}, 1},
        {{{.url = LOG_URL, .status = 410, .reply = MESSAGE("expired"), .times = 2}}, 1},
        {{{.url = LOG_URL, .status = 302, .reply_headers = to_store},
             {.url = STORE_URL, .status = 404, .reply = "<?xml?>"}},
            2},
        {{{.url = LOG_URL, .status = 302, .reply_headers = to_store}, {.url = STORE_URL}}, 2},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_token(cases[i].steps, cases[i].count);
        assert_null(tail_of(f, 0, 0, 10));
    }
}

static void
storage_hiccups_are_tried_again_from_the_start(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = LOG_URL, .status = 302, .reply_headers = to_store},
        {.url = STORE_URL, .status = 503},
        {.url = STORE_URL, .failure = "reset", .request_left = true},
        {.url = STORE_URL, .headers = bare, .reply = "once\n"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 4);
    assert_string_equal(tail_of(f, 0, 0, 10), "once\n");
}

static void
what_storage_refuses_is_told(void **state)
{
    (void)state;
    static const struct script_step cases[] = {
        {.url = STORE_URL, .status = 403},
        {.url = STORE_URL, .status = 302, .reply_headers = to_store}, // one hop only
        {.url = STORE_URL, .status = 503, .times = 3},
        {.url = STORE_URL, .failure = "reset", .request_left = true, .times = 3},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {
            {.url = LOG_URL, .status = 302, .reply_headers = to_store}, cases[i]};
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
        const char *text = NULL;
        assert_failure(github_job_log_tail(f->client, 3, &five_lines, f->arena, &text),
            ERROR_UNAVAILABLE, "log of job 3");
        assert_null(text);
        github_fixture_finish(f);
    }
}

static void
logs_come_from_githubs_storage_only(void **state)
{
    (void)state;
    static const char *const places[][2] = {
        {"Location: https://evil.example/log", NULL},
        {"Location: https://blob.core.windows.net.evil.example/log", NULL},
        {"Location: https://evilblob.core.windows.net@evil.example/log", NULL},
        {"Location: https://169.254.169.254/latest/meta-data", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        const struct script_step steps[] = {
            {.url = LOG_URL, .status = 302, .reply_headers = places[i]}};
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
        const char *text = NULL;
        assert_failure(github_job_log_tail(f->client, 3, &five_lines, f->arena, &text),
            ERROR_UNAVAILABLE, "is not one of GitHub's; not fetched");
        github_fixture_finish(f);
    }
}

static void
a_redirect_without_a_place_is_no_answer(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.url = LOG_URL, .status = 302}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    const char *text = NULL;
    assert_failure(github_job_log_tail(f->client, 3, &five_lines, f->arena, &text),
        ERROR_UNAVAILABLE, "HTTP 302 without a place");
}

static void
a_log_given_at_once_is_taken(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.url = LOG_URL, .reply = "a\nb\nc"}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    assert_string_equal(tail_of(f, 0, 0, 2), "b\nc\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_lines_without_credentials),
        cmocka_unit_test(only_the_lines_of_the_step),
        cmocka_unit_test(a_huge_log_leaves_its_end),
        cmocka_unit_test(a_huge_line_is_cut),
        cmocka_unit_test(no_log_is_no_error),
        cmocka_unit_test(storage_hiccups_are_tried_again_from_the_start),
        cmocka_unit_test(what_storage_refuses_is_told),
        cmocka_unit_test(logs_come_from_githubs_storage_only),
        cmocka_unit_test(a_redirect_without_a_place_is_no_answer),
        cmocka_unit_test(a_log_given_at_once_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
