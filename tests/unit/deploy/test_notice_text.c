// What the bodies for all sinks are made of.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "notice_internal.h"

#define COMMIT "cccccccc0123456789abcdef0123456789abcdef"

static void
check_cut(const char *text, size_t max, const char *expected)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    assert_string_equal(notice_cut(arena, text, max), expected);
}

static void
test_cut(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    assert_null(notice_cut(arena, NULL, 10));
    check_cut("", 10, "");
    check_cut(" a\tb\r\nc ", 10, "a b  c");
    check_cut("0123456789", 10, "0123456789");
    check_cut("01234567890", 10, "012345678…");
    check_cut("012345 7890", 9, "012345…");   // at a word
    check_cut("01 34567890", 9, "01 34567…"); // unless it would lose too much
    check_cut("a\x1b[31mb\x07\xe2\x80\xae", 10, "ab");
    check_cut("ääää", 4, "ääää");
    check_cut("äääää", 4, "äää…");
    check_cut("🚀🚀", 4, "🚀🚀"); // two characters each, as JavaScript counts
    check_cut("🚀🚀🚀", 5, "🚀🚀…");
    check_cut("🚀🚀🚀", 4, "🚀…"); // never half of one
    check_cut("abc", 1, "…");
    check_cut("abc", 0, "");
}

static void
check_tail(const char *text, size_t max, const char *expected)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *tail = notice_tail(arena, text, max);
    if (expected == NULL) {
        assert_null(tail);
    } else {
        assert_string_equal(tail, expected);
    }
}

static void
test_tail(void **state)
{
    (void)state;
    check_tail(NULL, 10, NULL);
    check_tail("", 10, NULL);
    check_tail("a\nb\n", 10, "a\nb");
    check_tail("first\nsecond\nthird\n", 13, "second\nthird");
    check_tail("first\nsecond\nthird\n", 12, "third"); // whole lines
    check_tail("0123456789", 4, "6789");               // but of one line its end
    check_tail("äöü", 2, "öü");
    check_tail("a\x1b[1mb\r\n\x07"
               "c",
        20, "ab \nc");
}

static void
test_cut_lines(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    for (int i = 0; i < 30; i++) {
        buf_puts(&text, "0123456789\n");
    }
    assert_string_equal(notice_cut_lines(arena, STR("a\nb"), 100), "a\nb");
    const char *cut = notice_cut_lines(arena, buf_str(&text), 100);
    assert_int_equal(strlen(cut), 8 * 11 + strlen("…"));
    assert_true(str_ends(str_of(cut), STR("\n0123456789\n…")));
}

static void
test_urls(void **state)
{
    (void)state;
    static const char *const good[] = {"https://shop.example.com", "http://localhost:8080/a?b=c#d",
        "https://github.com/octo/shop/compare/a...b"};
    static const char *const bad[] = {"", "ftp://x/", "javascript:alert(1)", "https://",
        "https:///path", "https://user:secret@host/", "https://user@host", "https://host/a b",
        "https://host/\n::x", "https://host/|<!channel>", "https://host/\"x", "https://höst/",
        "//host/"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_ptr_equal(notice_url(good[i]), good[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_null(notice_url(bad[i]));
    }
    assert_null(notice_url(NULL));
    char longest[2002] = "https://host/";
    memset(longest + 13, 'a', 2000 - 13);
    assert_non_null(notice_url(longest));
    longest[2000] = 'a';
    assert_null(notice_url(longest));
}

static void
test_times(void **state)
{
    (void)state;
    struct deployment_step steps[2] = {{.started_ms = 20, .ended_ms = 30}, {.started_ms = 30}};
    struct deployment d = {.created_ms = 10, .steps = {steps, 2}};
    assert_int_equal(notice_time(&d), 10); // it began then, whatever has happened since
    d.run_status = "waiting";
    assert_int_equal(notice_time(&d), 30);
    d.unfinished = "timeout";
    d.wait_started_ms = 40;
    assert_int_equal(notice_time(&d), 40);
    d.result = "deployed";
    d.finished_ms = 50;
    assert_int_equal(notice_time(&d), 50);
}

static void
check_sentence(const struct deployment *d, const char *expected)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    assert_string_equal(notice_sentence(d, arena, 200), expected);
}

static void
test_sentences(void **state)
{
    (void)state;
    struct deployment d = {
        .verb = "deploy", .app = "shop", .env = "staging", .version = COMMIT, .run_id = 12};
    check_sentence(&d, "'shop' cccccccc0123 is being deployed to 'staging'");
    d.verb = "rollout";
    check_sentence(&d, "'shop' cccccccc0123 is being rolled out to 'staging'");
    d.verb = "rollback";
    d.version = "v1";
    check_sentence(&d, "'shop' v1 is being put back in 'staging'");
    d.verb = "prove";
    check_sentence(&d, "'shop' v1 is being proven in 'staging'");
    d.run_status = "waiting";
    check_sentence(&d, "'shop' v1 waits until run 12 is approved for 'staging'");
    d.run_status = "in_progress";
    struct deployment_target target = {.name = "web", .forward = {.hook = "h"}};
    d.targets = (struct object_list){&target, 1};
    check_sentence(&d, "'shop' v1 waits in 'staging': target 'web' stands at a hook until somebody "
                       "says that it may go on");
    target.forward.hook = NULL;
    d.ending_kind = 1;
    check_sentence(&d, "'shop' v1 in 'staging' has come to an end; what it changed is being put "
                       "back");
    d.unfinished = "triggered";
    d.message = "'shop' to 'staging': run 12 was triggered and goes on; nothing is proven yet";
    check_sentence(&d, d.message);
}

static void
test_reasons(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deployment d = {.verb = "deploy",
        .app = "shop",
        .env = "staging",
        .version = COMMIT,
        .result = "failed",
        .exit_code = 7,
        .message = "deploy 'shop' to 'staging': run 12 failed; all is restored"};
    assert_string_equal(notice_reason(&d, arena, 100), d.message);
    d.ending_text = "run 12 of " COMMIT " failed";
    assert_string_equal(notice_reason(&d, arena, 100), "run 12 of cccccccc0123 failed");
}

static void
test_progress(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deployment_step steps[4] = {{.name = "push web", .kind = "push", .skip = true},
        {.name = "write web", .kind = "write"}, {.name = "follow", .kind = "follow"},
        {.name = "rollout", .kind = "rollout"}};
    struct deployment_target targets[2] = {
        {.name = "web", .forward = {.progress = "2 of 4 tasks run"}},
        {.name = "worker", .forward = {.status = "PENDING"}}};
    struct deployment d = {.steps = {steps, 4}, .targets = {targets, 2}};
    assert_null(notice_progress(&d, arena));
    steps[1].state = "done";
    assert_string_equal(notice_progress(&d, arena), "step 1 of 3: write web");
    steps[2].state = "waiting";
    d.run_status = "queued";
    assert_string_equal(notice_progress(&d, arena), "step 2 of 3: follow, run is queued");
    steps[2].state = "done";
    steps[3].state = "waiting";
    assert_string_equal(notice_progress(&d, arena),
        "step 3 of 3: rollout: 'web' 2 of 4 tasks run, 'worker' PENDING");
}

static void
test_standing(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deployment_target targets[2] = {
        {.name = "web", .restore = "failed", .restore_note = "why"}, {.name = "worker"}};
    struct deployment_service services[3] = {
        {.parameter = "/a", .restore = "restored", .restore_note = "'v1' is back"},
        {.parameter = "/b", .restore = "kept"}, {.parameter = "/c", .restore = "unknown"}};
    const struct deployment d = {.targets = {targets, 2}, .services = {services, 3}};
    struct str_list standing = {0};
    notice_standing(&d, arena, &standing);
    assert_int_equal(standing.count, 4);
    assert_string_equal(standing.items[0], "'web' could NOT be restored: why");
    assert_string_equal(standing.items[1], "parameter /a is restored: 'v1' is back");
    assert_string_equal(standing.items[2], "parameter /b is NOT restored (on_failure: keep)");
    assert_string_equal(standing.items[3], "parameter /c is in an unknown state");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_cut_lines),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_standing),
    };
    return cmocka_run_group_tests_name("notice_text", tests, NULL, NULL);
}
