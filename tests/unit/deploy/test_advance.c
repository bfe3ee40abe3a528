// deploy_begin and deploy_advance: a deployment in many calls, each by a new process, and not one
// of them sleeps.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define PUT "put " STORY_PARAMETER "=v2\n"
#define BACK "put " STORY_PARAMETER "=v1\nlabel " STORY_PARAMETER ":3 deployed\n"
#define LABEL "label " STORY_PARAMETER ":2 deployed\n"
#define SAYS "deploy 'shop' to 'staging': "
#define RESTORED "parameter " STORY_PARAMETER " is restored ('v1' is back as version 3)"

enum { CALLS_MAX = 200 };

static void
pace_freep(struct deploy_pace **pace)
{
    deploy_pace_free(*pace);
}

// Comes when it is told to, with a new context each time. With `forgets` the pace is lost, too.
static size_t
advance_to_the_end(struct story *s, bool forgets)
{
    struct deploy_pace *pace CLEANUP(pace_freep) = deploy_pace_new();
    size_t calls = 0;
    do {
        assert_true(calls++ < CALLS_MAX);
        if (forgets) {
            deploy_pace_free(pace);
            pace = deploy_pace_new();
        }
        story_advance(s, pace);
        if (s->err != NULL) {
            story_expect(s, 0, "no error", NULL);
        }
        if (!s->advanced.ended) {
            assert_true(s->advanced.until_ms > s->fake->mono_ms);
            fake_platform_advance(s->fake, s->advanced.until_ms - s->fake->mono_ms);
        }
    } while (!s->advanced.ended);
    assert_int_equal(s->fake->sleep_count, 0);
    return calls;
}

// The effects but for the dispatches, which world->posts counts.
static void
expect_effects(struct story *s, const char *expected)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(WORLD_EFFECTS);
    struct str line = {0}, rest = str_of(s->world->effects);
    while (rest.len > 0) {
        (void)str_cut(rest, '\n', &line, &rest);
        if (!str_starts(line, STR("post "))) {
            buf_add(&text, line);
            buf_putc(&text, '\n');
        }
    }
    assert_string_equal(buf_cstr(&text), expected);
}

static void
begin(struct story *s)
{
    story_begin(s);
    assert_null(s->err);
    story_expect_effects(s, "");
    assert_int_equal(s->world->posts, 0);
}

// The same effects as deploy_run, the same looks at the run, one POST. What a new process asks
// once more is the workflow's state, for GitHub's clock.
static void
test_whole_deployment(void **state)
{
    (void)state;
    static const char *const life[] = {
        "queued", "queued", "in_progress", "in_progress", "in_progress", "completed:success", NULL};
    struct story *run CLEANUP(story_freep) = story_new();
    run->world->life = life;
    story_deploy(run);
    story_expect(run, 0, "deployed", NULL);
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = life;
    begin(s);
    size_t calls = advance_to_the_end(s, false);
    story_expect(s, 0, "deployed", run->d->message);
    story_expect_effects(s, run->world->effects);
    assert_int_equal(s->world->posts, 1);
    assert_int_equal(s->world->runs[0].looks, run->world->runs[0].looks);
    assert_int_equal(s->world->requests, run->world->requests + 1);
    assert_int_equal(calls, 1 + run->world->runs[0].looks);
}

// Not even the pace is left: what waits begins anew, and the end is the same.
static void
test_nothing_but_the_journal(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    begin(s);
    (void)advance_to_the_end(s, true);
    story_expect(s, 0, "deployed", NULL);
    expect_effects(s, PUT LABEL);
    assert_int_equal(s->world->posts, 1);
}

static void
test_failure_is_taken_back(void **state)
{
    (void)state;
    static const char *const failing[] = {"in_progress", "completed:failure", NULL};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = failing;
    begin(s);
    (void)advance_to_the_end(s, false);
    story_expect(s, 7, "failed", SAYS "run 29020317001 ended as 'failure'; " RESTORED);
    expect_effects(s, PUT BACK);
}

// The end is only told again: no request, and nothing is written.
static void
test_what_is_over(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    begin(s);
    (void)advance_to_the_end(s, false);
    unsigned requests = s->world->requests;
    assert_int_equal(advance_to_the_end(s, true), 1);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->requests, requests);
}

// --- waits return ------------------------------------------------------------------------------

struct wait_case {
    const char *name;
    struct world_fault faults[3];
    const char *reply; // of the dispatch
    const char *const *life;
    int exit_code;
    const char *effects;
    unsigned posts;
};

static const char *const green[] = {"completed:success", NULL};
static const char *const red[] = {"completed:failure", NULL};
static const char *const limit[] = {"Retry-After: 90", NULL};

static const struct wait_case wait_cases[] = {
    {"the answer to the write is lost", {{.match = "ssm:PutParameter *", .kind = FAULT_LOST}},
        .life = green, .effects = PUT LABEL, .posts = 1},
    {"the write is lost", {{.match = "ssm:PutParameter *", .kind = FAULT_RESET}}, .life = green,
        .effects = PUT LABEL, .posts = 1},
    {"the answer to the write back is lost",
        {{.match = "ssm:PutParameter *", .from = 2, .kind = FAULT_LOST}}, .life = red,
        .exit_code = 7, .effects = PUT BACK, .posts = 1},
    {"the write back is lost", {{.match = "ssm:PutParameter *", .from = 2, .kind = FAULT_RESET}},
        .life = red, .exit_code = 7, .effects = PUT BACK, .posts = 1},
    {"the answer to the dispatch is lost", {{.match = "POST */dispatches", .kind = FAULT_LOST}},
        .life = green, .effects = PUT LABEL, .posts = 1},
    {"the dispatch is lost", {{.match = "POST */dispatches", .kind = FAULT_RESET}}, .life = green,
        .exit_code = 9, .effects = PUT "label " STORY_PARAMETER ":2 pending\n"},
    {"accepted without identity", {{0}}, .reply = "204", .life = green, .effects = PUT LABEL,
        .posts = 1},
    {"a rate limit refuses the dispatch",
        {{.match = "POST */dispatches", .kind = FAULT_STATUS, .status = 429, .headers = limit}},
        .life = green, .effects = PUT LABEL, .posts = 1},
};

static void
run_wait_case(const struct wait_case *c, bool forgets)
{
    struct story *s CLEANUP(story_freep) = story_new();
    print_message("%s%s\n", c->name, forgets ? ", the pace too" : "");
    s->world->faults = c->faults;
    s->world->dispatch_reply = c->reply;
    s->world->life = c->life;
    begin(s);
    size_t calls = advance_to_the_end(s, forgets);
    print_message("%zu calls\n", calls);
    assert_int_equal(s->d->exit_code, c->exit_code);
    expect_effects(s, c->effects);
    assert_int_equal(s->world->posts, c->posts);
}

static void
test_waits_return(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(wait_cases); i++) {
        run_wait_case(&wait_cases[i], false);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_deployment),
        cmocka_unit_test(test_nothing_but_the_journal),
        cmocka_unit_test(test_failure_is_taken_back),
        cmocka_unit_test(test_what_is_over),
        cmocka_unit_test(test_waits_return),
    };
    return cmocka_run_group_tests_name("advance", tests, NULL, NULL);
}
