// What each sink gets to read of each way in which a deployment may stand, as golden files
// (tests/golden/notices/<sink>/<outcome>.json), and of a hostile one. DISPATCHER_GOLDEN=write makes
// them anew: read the difference before you keep it. That vendors would take them is for
// tests/integration/notice_bodies.bats.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "notice_internal.h"

enum { GOLDEN_MAX = 1024 * 1024 };

static const struct deployment_sink without_buttons = {.name = "deploys", .kind = "slack"};
static const struct deployment_sink with_buttons = {
    .name = "deploys", .kind = "slack", .buttons = true};

static struct deployment *
read_deployment(const char *name, struct arena *arena)
{
    char *path CLEANUP(xfreep) =
        xasprintf("%s/golden/notices/deployments/%s.json", TEST_SOURCE_DIR, name);
    struct buf text CLEANUP(buf_done) = BUF_INIT(GOLDEN_MAX);
    struct deployment *d = NULL;
    assert_null(file_read(path, &text, NULL));
    assert_null(deployment_decode(buf_str(&text), arena, &d));
    return d;
}

static void
check_golden(const char *sink, const char *file, const struct buf *text)
{
    char *path CLEANUP(xfreep) = xasprintf("%s/golden/notices/%s/%s", TEST_SOURCE_DIR, sink, file);
    struct buf expected CLEANUP(buf_done) = BUF_INIT(GOLDEN_MAX);
    const char *mode = getenv("DISPATCHER_GOLDEN"); // NOLINT(concurrency-mt-unsafe)
    if (mode != NULL && strcmp(mode, "write") == 0) {
        char *folder CLEANUP(xfreep) = xasprintf("%s/golden/notices/%s", TEST_SOURCE_DIR, sink);
        assert_null(file_make_directories(folder));
        assert_null(file_write(path, buf_str(text), 0644));
    }
    assert_null(file_read(path, &expected, NULL));
    if (!str_equal(buf_str(&expected), buf_str(text))) {
        print_error("%s/%s is\n%s", sink, file, buf_cstr(text));
        fail_msg("it differs from the golden file");
    }
}

// Takes `body`.
static void
check_body(const char *sink, const char *name, struct json *body)
{
    struct json *owned CLEANUP(json_freep) = body;
    struct buf text CLEANUP(buf_done) = BUF_INIT(GOLDEN_MAX);
    char *file CLEANUP(xfreep) = xasprintf("%s.json", name);
    assert_non_null(body);
    json_print(owned, true, &text);
    buf_putc(&text, '\n');
    check_golden(sink, file, &text);
}

// The comment once more as people read it.
static void
check_comment(const char *name, struct json *body)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(GOLDEN_MAX);
    char *file CLEANUP(xfreep) = xasprintf("%s.md", name);
    buf_puts(&text, json_str(json_get(body, "body")));
    check_golden("github-comment", file, &text);
    check_body("github-comment", name, body);
}

static void
check_alert(const char *name, const struct deployment *d, struct arena *arena)
{
    enum report_outcome outcome = report_outcome_of(d);
    if (report_outcome_is_bad(outcome)) {
        check_body("pagerduty-alert", name, notice_pagerduty_trigger(d, arena));
    } else if (report_outcome_is_good(outcome)) {
        check_body("pagerduty-alert", name, notice_pagerduty_resolve(d, arena));
    }
}

// Where there is something to press.
static void
check_buttons(const char *name, const struct deployment *d, struct arena *arena)
{
    struct json *card CLEANUP(json_freep) = notice_slack_card(d, &without_buttons, arena);
    struct deployment served = *d;
    served.diff = "bbbbbbbb0123..cccccccc0123";
    struct json *pressed = notice_slack_card(&served, &with_buttons, arena);
    char *a CLEANUP(xfreep) = json_text(card), *b CLEANUP(xfreep) = json_text(pressed);
    enum report_outcome outcome = report_outcome_of(d);
    bool any = outcome == REPORT_STARTED || outcome == REPORT_WAITING ||
               outcome == REPORT_DEPLOYED || outcome == REPORT_TIMED_OUT;
    assert_int_equal(any, strcmp(a, b) != 0);
    if (any) {
        check_body("slack-buttons", name, pressed);
    } else {
        json_free(pressed);
    }
}

static void
check_all(const char *name, const struct deployment *d, struct arena *arena)
{
    struct json *thread = notice_slack_thread(d, &without_buttons, arena);
    check_body("slack-card", name, notice_slack_card(d, &without_buttons, arena));
    check_buttons(name, d, arena);
    check_body("slack-single", name, notice_slack_single(d, &without_buttons, arena));
    if (report_outcome_is_final(report_outcome_of(d))) {
        check_body("slack-thread", name, thread);
    } else {
        assert_null(thread);
    }
    check_body("pagerduty-change", name, notice_pagerduty_change(d, arena));
    check_alert(name, d, arena);
    check_body("webhook", name, notice_webhook_event(d, arena));
    check_body("github-deployment", name, notice_github_deployment(d, arena));
    check_body("github-status", name, notice_github_status(d, arena));
    check_body("github-check", name, notice_github_check(d, arena));
    check_comment(name, notice_github_comment(d, arena));
}

static void
test_every_outcome(void **state)
{
    (void)state;
    for (int i = 0; i < REPORT_OUTCOMES; i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const char *name = report_outcome_word((enum report_outcome)i);
        const struct deployment *d = read_deployment(name, arena);
        assert_int_equal(report_outcome_of(d), i);
        check_all(name, d, arena);
    }
}

// --- everything foreign at its worst -----------------------------------------------------------

enum { COMMITS = 500, LOG_SIZE = 200 * 1024 };

// The commits of the file again and again, and its log until it is large.
static struct deployment *
hostile_deployment(struct arena *arena)
{
    struct deployment *d = read_deployment("hostile", arena);
    const struct deployment_commit *few = d->commits.items;
    struct deployment_commit *many = arena_array(arena, COMMITS, sizeof(*many));
    for (size_t i = 0; i < COMMITS; i++) {
        many[i] = few[i % d->commits.count];
        many[i].author = arena_printf(arena, "%s %zu", many[i].author, i / 2);
    }
    d->commits = (struct object_list){many, COMMITS};
    struct buf log CLEANUP(buf_done) = BUF_INIT(2 * LOG_SIZE);
    while (log.len < LOG_SIZE) {
        buf_puts(&log, d->failure.log_tail);
    }
    d->failure.log_tail = arena_str(arena, buf_str(&log));
    return d;
}

static void
test_hostile(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    check_all("hostile", hostile_deployment(arena), arena);
}

static void
check_clean(struct json *body)
{
    struct json *owned CLEANUP(json_freep) = body;
    struct buf text CLEANUP(buf_done) = BUF_INIT(GOLDEN_MAX);
    json_print(owned, false, &text);
    // JSON writes controls as \u00XX; line ends of ours are \n.
    assert_false(str_contains(buf_str(&text), STR("\\u00")));
    assert_false(str_contains(buf_str(&text), STR("\\r")));
    assert_false(str_contains(buf_str(&text), STR("\xe2\x80\xae"))); // U+202E
    assert_false(str_contains(buf_str(&text), STR("\xe2\x81\xa6"))); // U+2066
    assert_false(str_contains(buf_str(&text), STR("user:secret@")));
}

// plain_text is shown as it stands; the header alone is one.
static void
check_no_mention(struct json *body)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(GOLDEN_MAX);
    const struct json *first = json_at(json_get(body, "blocks"), 0);
    if (cstr_equal(json_str(json_get(first, "type")), "header")) {
        json_set(body, "blocks", json_make_array());
    }
    json_print(body, false, &text);
    assert_false(str_contains(buf_str(&text), STR("<!")));
    assert_false(str_contains(buf_str(&text), STR(" @here ∗"))); // as it stands in all of them
    assert_false(str_contains(buf_str(&text), STR("<https://evil.example/|<")));
    check_clean(body);
}

static void
test_nothing_of_it_acts(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct deployment *d = hostile_deployment(arena);
    check_no_mention(notice_slack_card(d, &with_buttons, arena));
    check_no_mention(notice_slack_single(d, &without_buttons, arena));
    check_no_mention(notice_slack_thread(d, &without_buttons, arena));
    check_clean(notice_pagerduty_change(d, arena));
    check_clean(notice_pagerduty_trigger(d, arena));
    check_clean(notice_webhook_event(d, arena));
    check_clean(notice_github_deployment(d, arena));
    check_clean(notice_github_status(d, arena));
    check_clean(notice_github_check(d, arena));
    check_clean(notice_github_comment(d, arena));
}

// --- single facts ------------------------------------------------------------------------------

static void
check_mentions(const struct deployment *d, struct arena *arena, const char *expected)
{
    struct json *card CLEANUP(json_freep) = notice_slack_card(d, &without_buttons, arena);
    struct buf text CLEANUP(buf_done) = BUF_INIT(GOLDEN_MAX);
    json_print(card, false, &text);
    assert_true(str_contains(buf_str(&text), str_of(expected)));
}

// People are called for what went wrong, by address or name; a bad id in the map calls nobody.
static void
test_mentions(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deployment *bad = read_deployment("restored", arena);
    check_mentions(bad, arena, " by <@U0ANN0001>, Bob Builder");
    check_mentions(read_deployment("deployed", arena), arena, " by Ann Example, Bob Builder");
    struct pair members[] = {{"ANN@EXAMPLE.COM", "W0ANN0002"}, {"Bob Builder", "U0BOB0001"}};
    bad->members = (struct pair_list){members, 2};
    check_mentions(bad, arena, " by <@W0ANN0002>, <@U0BOB0001>");
    members[0].value = "!channel";
    members[1].value = "U0BOB|x";
    check_mentions(bad, arena, " by Ann Example, Bob Builder");
}

static void
test_plain(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct deployment *d = read_deployment("deployed", arena);
    struct json *card CLEANUP(json_freep) = notice_slack_card(d, &without_buttons, arena);
    struct json *plain CLEANUP(json_freep) = notice_slack_plain(card);
    char *text CLEANUP(xfreep) = json_text(plain);
    assert_string_equal(text,
        "{\"text\":\"✅ Shop → production: deployed\\n'shop' cccccccc0123 is deployed to "
        "'production' and proven to run\",\"metadata\":{\"event_type\":\"dispatcher_deployment\","
        "\"event_payload\":{\"id\":\"d-3f9a0c1b2d4e5f60\"}},\"unfurl_links\":false,"
        "\"unfurl_media\":false}");
}

static void
check_texts_fit(const struct json *blocks)
{
    for (size_t i = 0; i < json_count(blocks); i++) {
        const struct json *block = json_at(blocks, i);
        const char *text = json_str(json_path(block, "text.text"));
        const char *small = json_str(json_get(json_at(json_get(block, "elements"), 0), "text"));
        assert_true(text == NULL || strlen(text) <= 3000);
        assert_true(small == NULL || strlen(small) <= 3000);
    }
}

// Several addresses in one text: long ones are left out, else Slack would refuse the message.
static void
test_long_addresses(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deployment *d = read_deployment("restored", arena);
    char address[1900] = "https://ci.example.com/";
    memset(address + 23, 'a', sizeof(address) - 24);
    d->run_url = address;
    d->caller_url = address;
    d->environment_url = address;
    d->failure.job_url = address;
    struct json *single CLEANUP(json_freep) = notice_slack_single(d, &without_buttons, arena);
    struct json *thread CLEANUP(json_freep) = notice_slack_thread(d, &without_buttons, arena);
    struct json *card CLEANUP(json_freep) = notice_slack_card(d, &without_buttons, arena);
    char *text CLEANUP(xfreep) = json_text(card);
    check_texts_fit(json_get(single, "blocks"));
    check_texts_fit(json_get(thread, "blocks"));
    assert_false(str_contains(str_of(text), STR("ci.example.com")));
    assert_true(str_contains(str_of(text), STR("*Infra run*\\n29020317001")));
}

// A version that is no commit of a repository has no place on GitHub.
static void
test_no_commit(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deployment *d = read_deployment("rolled-back", arena);
    d->sha = NULL;
    assert_null(notice_github_deployment(d, arena));
    assert_null(notice_github_status(d, arena));
    assert_null(notice_github_check(d, arena));
    assert_null(notice_github_comment(d, arena));
}

// The same state makes the same body: the outbox goes by that.
static void
test_pure(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct deployment *d = read_deployment("restored", arena);
    struct json *first CLEANUP(json_freep) = notice_webhook_event(d, arena);
    struct json *second CLEANUP(json_freep) = notice_webhook_event(d, arena);
    char *a CLEANUP(xfreep) = json_text(first), *b CLEANUP(xfreep) = json_text(second);
    assert_string_equal(a, b);
    assert_string_equal(json_str(json_get(first, "id")), "d-3f9a0c1b2d4e5f60/restored");
    assert_string_equal(json_str(json_get(first, "time")), "2026-11-21T07:51:05Z");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_outcome),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_nothing_of_it_acts),
        cmocka_unit_test(test_mentions),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_long_addresses),
        cmocka_unit_test(test_no_commit),
        cmocka_unit_test(test_pure),
    };
    return cmocka_run_group_tests_name("notices_bodies", tests, NULL, NULL);
}
