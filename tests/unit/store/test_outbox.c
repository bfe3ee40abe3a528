// The outbox: nothing is lost or doubled by writing twice, a card is delivered as it says last, a
// lane rests, and what is in doubt stays so until somebody has looked.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/outbox.h"
#include "store_lab.h"
#include "temp_dir.h"

struct fixture {
    char *dir, *path;
    struct store *store;
    struct arena *arena;
};

static int
set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    fixture->dir = temp_dir_new();
    fixture->path = store_lab_place(fixture->dir);
    fixture->arena = arena_new();
    assert_null(store_open(fixture->path, &fixture->store));
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    arena_free(fixture->arena);
    temp_dir_removep(&fixture->dir);
    free(fixture->path);
    free(fixture);
    return 0;
}

static struct store_notice
event(const char *key, const char *lane, int priority)
{
    return (struct store_notice){.key = key,
        .deployment = "d-0123456789",
        .sink = "audit",
        .lane = lane,
        .kind = "webhook-event",
        .target = "{}",
        .body = "{\"first\":1}",
        .priority = priority};
}

static struct store_notice
card(const char *key, const char *body, int64_t rest_ms)
{
    struct store_notice notice = event(key, "slack:#deploys", 0);
    notice.kind = "slack-card";
    notice.body = body;
    notice.replaces = true;
    notice.rest_ms = rest_ms;
    return notice;
}

static void
add(struct fixture *fixture, struct store_notice notice, int64_t now)
{
    assert_null(store_outbox_add(fixture->store, &notice, 1, false, now));
}

static struct store_outbox_row *
next(struct fixture *fixture, const char *lane, int64_t now)
{
    struct store_outbox_row *row = NULL;
    assert_null(store_outbox_next(fixture->store, lane, now, fixture->arena, &row));
    return row;
}

static struct store_lane
lane_of(struct fixture *fixture, const char *name)
{
    struct store_lane lane = {0};
    assert_null(store_lane_get(fixture->store, name, fixture->arena, &lane));
    return lane;
}

static void
begin(struct fixture *fixture, const struct store_outbox_row *row, int64_t now)
{
    struct store_lane lane = lane_of(fixture, row->notice.lane);
    assert_null(store_outbox_begin(fixture->store, row, &lane, now));
}

static void
end(struct fixture *fixture, const struct store_outbox_row *row, struct store_outbox_end how,
    int64_t now)
{
    struct store_lane lane = lane_of(fixture, row->notice.lane);
    assert_null(store_outbox_end(fixture->store, row, &how, &lane, now));
}

static void
assert_due(struct fixture *fixture, int64_t now, int64_t expected)
{
    int64_t due = 0;
    assert_null(store_outbox_due(fixture->store, now, &due));
    assert_int_equal(due, expected);
}

static void
an_event_written_twice_is_there_once_as_it_was_first(void **state)
{
    struct fixture *fixture = *state;
    struct store_notice notice = event("d/audit/started", "webhook:a", 0);
    add(fixture, notice, 1000);
    notice.body = "{\"second\":2}";
    add(fixture, notice, 2000);
    struct store_outbox_row *row = next(fixture, "webhook:a", 2000);
    assert_string_equal(row->notice.body, "{\"first\":1}");
    assert_int_equal(row->revision, 1);
    assert_int_equal(row->created_ms, 1000);
    begin(fixture, row, 2000);
    end(fixture, row, (struct store_outbox_end){.ending = STORE_OUTBOX_DELIVERED}, 2100);
    add(fixture, notice, 3000);
    assert_null(next(fixture, "webhook:a", 9000));
    assert_due(fixture, 9000, INT64_MAX);
}

static void
a_card_is_delivered_as_it_says_last(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, card("d/deploys/card", "{\"n\":1}", 3000), 1000);
    add(fixture, card("d/deploys/card", "{\"n\":1}", 3000), 1100); // the same: nothing new
    struct store_outbox_row *row = next(fixture, "slack:#deploys", 1200);
    assert_int_equal(row->revision, 1);
    begin(fixture, row, 1200);
    add(fixture, card("d/deploys/card", "{\"n\":2}", 3000), 1300); // while it is under way
    end(fixture, row,
        (struct store_outbox_end){.ending = STORE_OUTBOX_DELIVERED, .reference = "{\"ts\":\"1\"}"},
        1400);
    add(fixture, card("d/deploys/card", "{\"n\":3}", 3000), 1500);
    assert_null(next(fixture, "slack:#deploys", 4399)); // it rests
    assert_due(fixture, 1500, 4400);
    row = next(fixture, "slack:#deploys", 4400);
    assert_string_equal(row->notice.body, "{\"n\":3}");
    assert_string_equal(row->reference, "{\"ts\":\"1\"}");
    assert_false(row->began);
    add(fixture, card("d/deploys/card", "{\"n\":4}", 0), 1600); // its end does not rest
    row = next(fixture, "slack:#deploys", 1600);
    assert_string_equal(row->notice.body, "{\"n\":4}");
    begin(fixture, row, 1600);
    end(fixture, row, (struct store_outbox_end){.ending = STORE_OUTBOX_DELIVERED}, 1700);
    assert_null(next(fixture, "slack:#deploys", 9000));
}

static void
what_only_updates_makes_no_card(void **state)
{
    struct fixture *fixture = *state;
    struct store_notice notice = card("d/deploys/card", "{\"n\":1}", 0);
    notice.update_only = true;
    add(fixture, notice, 1000);
    assert_due(fixture, 1000, INT64_MAX);
    add(fixture, card("d/deploys/card", "{\"n\":2}", 0), 1000);
    notice.body = "{\"n\":3}";
    add(fixture, notice, 1000);
    assert_string_equal(next(fixture, "slack:#deploys", 1000)->notice.body, "{\"n\":3}");
}

static void
an_attempt_whose_end_is_not_known_stays_in_doubt(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, event("d/audit/started", "webhook:a", 0), 1000);
    struct store_outbox_row *row = next(fixture, "webhook:a", 1000);
    assert_false(row->began);
    begin(fixture, row, 1100); // and the courier died
    row = next(fixture, "webhook:a", 5000);
    assert_true(row->began);
    assert_int_equal(row->state, STORE_NOTICE_BEGUN);
    assert_int_equal(row->begun_ms, 1100);
    begin(fixture, row, 5000);
    end(fixture, row,
        (struct store_outbox_end){
            .ending = STORE_OUTBOX_FAILED, .problem = "no answer", .in_doubt = true},
        5100);
    row = next(fixture, "webhook:a", 6000);
    assert_true(row->began);
    assert_int_equal(row->begun_ms, 1100); // since the first that may have arrived
    assert_int_equal(row->attempts, 2);
    assert_string_equal(row->problem, "no answer");
    begin(fixture, row, 6000);
    end(fixture, row,
        (struct store_outbox_end){.ending = STORE_OUTBOX_FAILED, .problem = "not there"}, 6100);
    row = next(fixture, "webhook:a", 7000);
    assert_false(row->began);
    begin(fixture, row, 7000);
    assert_int_equal(next(fixture, "webhook:a", 7100)->begun_ms, 7000);
}

static void
higher_priority_goes_first_then_the_older(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, event("a", "webhook:a", 0), 1000);
    add(fixture, event("b", "webhook:a", 3), 1000);
    add(fixture, event("c", "webhook:a", 3), 1000);
    static const char *const expected[] = {"b", "c", "a"};
    for (size_t i = 0; i < 3; i++) {
        struct store_outbox_row *row = next(fixture, "webhook:a", 1000);
        assert_string_equal(row->notice.key, expected[i]);
        begin(fixture, row, 1000);
        end(fixture, row, (struct store_outbox_end){.ending = STORE_OUTBOX_DELIVERED}, 1000);
    }
}

static void
one_that_fails_again_and_again_stands_back(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, event("a", "webhook:a", 0), 1000);
    add(fixture, event("b", "webhook:a", 0), 1000);
    for (int i = 0; i < 5; i++) {
        struct store_outbox_row *row = next(fixture, "webhook:a", 1000);
        assert_string_equal(row->notice.key, "a");
        begin(fixture, row, 1000);
        end(fixture, row,
            (struct store_outbox_end){.ending = STORE_OUTBOX_FAILED, .problem = "odd"}, 1000);
    }
    assert_string_equal(next(fixture, "webhook:a", 1000)->notice.key, "b");
}

static void
an_answer_waits_for_what_it_answers(void **state)
{
    struct fixture *fixture = *state;
    struct store_notice answer = event("d/deploys/thread", "slack:#deploys", 9);
    answer.after = "d/deploys/card";
    add(fixture, card("d/deploys/card", "{\"n\":1}", 0), 1000);
    add(fixture, answer, 1000);
    struct store_outbox_row *row = next(fixture, "slack:#deploys", 1000);
    assert_string_equal(row->notice.key, "d/deploys/card");
    begin(fixture, row, 1000);
    end(fixture, row,
        (struct store_outbox_end){.ending = STORE_OUTBOX_DELIVERED, .reference = "{\"ts\":\"1\"}"},
        1000);
    row = next(fixture, "slack:#deploys", 1000);
    assert_string_equal(row->notice.key, "d/deploys/thread");
    assert_string_equal(row->after_reference, "{\"ts\":\"1\"}");
}

static void
a_refused_event_waits_no_more_and_a_refused_card_for_news(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, card("d/deploys/card", "{\"n\":1}", 0), 1000);
    struct store_outbox_row *row = next(fixture, "slack:#deploys", 1000);
    begin(fixture, row, 1000);
    end(fixture, row,
        (struct store_outbox_end){.ending = STORE_OUTBOX_REFUSED, .problem = "invalid_blocks"},
        1000);
    assert_null(next(fixture, "slack:#deploys", 1000));
    struct store_outbox_row *rows = NULL;
    size_t count = 0;
    const struct store_outbox_filter undelivered = {.undelivered = true};
    assert_null(store_outbox_list(fixture->store, &undelivered, fixture->arena, &rows, &count));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].state, STORE_NOTICE_REFUSED);
    assert_string_equal(rows[0].problem, "invalid_blocks");
    add(fixture, card("d/deploys/card", "{\"n\":2}", 0), 1000);
    assert_string_equal(next(fixture, "slack:#deploys", 1000)->notice.body, "{\"n\":2}");
}

static void
what_is_gone_there_is_made_anew(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, card("d/deploys/card", "{\"n\":1}", 0), 1000);
    struct store_outbox_row *row = next(fixture, "slack:#deploys", 1000);
    begin(fixture, row, 1000);
    end(fixture, row,
        (struct store_outbox_end){.ending = STORE_OUTBOX_DELIVERED, .reference = "{\"ts\":\"1\"}"},
        1000);
    add(fixture, card("d/deploys/card", "{\"n\":2}", 0), 1000);
    row = next(fixture, "slack:#deploys", 1000);
    begin(fixture, row, 1000);
    end(fixture, row,
        (struct store_outbox_end){.ending = STORE_OUTBOX_DETACHED, .problem = "deleted"}, 1000);
    row = next(fixture, "slack:#deploys", 1000);
    assert_null(row->reference);
    assert_false(row->began);
}

static void
a_lane_rests_and_tells_what_is_wrong(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, event("a", "webhook:a", 0), 1000);
    add(fixture, event("b", "webhook:b", 0), 1000);
    struct store_outbox_row *row = next(fixture, "webhook:a", 1000);
    struct store_lane lane = lane_of(fixture, "webhook:a");
    assert_int_equal(lane.rest_until_ms, 0);
    assert_null(store_outbox_begin(fixture->store, row, &lane, 1000));
    lane.rest_until_ms = 31000;
    lane.failures = 1;
    lane.problem = "HTTP 410";
    lane.hint = "Mend it.";
    lane.sink = "audit";
    lane.trouble_since_ms = 1000;
    const struct store_outbox_end failed = {.ending = STORE_OUTBOX_FAILED, .problem = "HTTP 410"};
    assert_null(store_outbox_end(fixture->store, row, &failed, &lane, 1000));
    const char **names = NULL;
    size_t count = 0;
    assert_null(store_outbox_lanes(fixture->store, 2000, fixture->arena, &names, &count));
    assert_int_equal(count, 1);
    assert_string_equal(names[0], "webhook:b");
    assert_null(store_outbox_lanes(fixture->store, 31000, fixture->arena, &names, &count));
    assert_int_equal(count, 2);
    // A clock that went back by more than a day does not keep a lane resting.
    assert_null(
        store_outbox_lanes(fixture->store, 31000 - 86400000 - 1, fixture->arena, &names, &count));
    assert_int_equal(count, 0); // nothing is due that early
    struct store_lane *troubled = NULL;
    assert_null(store_lanes_in_trouble(fixture->store, fixture->arena, &troubled, &count));
    assert_int_equal(count, 1);
    assert_string_equal(troubled[0].problem, "HTTP 410");
    assert_string_equal(troubled[0].hint, "Mend it.");
    assert_string_equal(troubled[0].sink, "audit");
}

static void
a_report_by_hand_sends_again_what_was_sent(void **state)
{
    struct fixture *fixture = *state;
    struct store_notice notice = event("d/audit/deployed", "webhook:a", 0);
    add(fixture, notice, 1000);
    struct store_outbox_row *row = next(fixture, "webhook:a", 1000);
    begin(fixture, row, 1000);
    end(fixture, row, (struct store_outbox_end){.ending = STORE_OUTBOX_DELIVERED}, 1000);
    assert_null(store_outbox_add(fixture->store, &notice, 1, true, 2000));
    row = next(fixture, "webhook:a", 2000);
    assert_non_null(row);
    assert_int_equal(row->revision, 2);
    size_t dropped = 0;
    assert_null(store_outbox_discard(fixture->store, "d-other", &dropped));
    assert_int_equal(dropped, 0);
    assert_null(store_outbox_discard(fixture->store, NULL, &dropped));
    assert_int_equal(dropped, 1);
    assert_due(fixture, 3000, INT64_MAX);
}

// The notice and the state that it reports are there together, or not at all.
static void
a_notice_shares_the_fate_of_its_deployment(void **state)
{
    struct fixture *fixture = *state;
    const struct store_notice notice = event("d/audit/started", "webhook:a", 0);
    struct store_deployment row = {.id = "d-0123456789",
        .app = "shop",
        .env = "staging",
        .version = "v1",
        .state = "running",
        .created_ms = 1000,
        .updated_ms = 1000,
        .document = "{}"};
    struct error *err = store_save_telling(fixture->store, &row, NULL, &notice, 1, 1000);
    assert_non_null(err); // no such deployment
    error_free(err);
    assert_due(fixture, 1000, INT64_MAX);
    assert_null(store_insert_telling(fixture->store, &row, &notice, 1, 1000));
    assert_due(fixture, 1000, 1000);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_event_written_twice_is_there_once_as_it_was_first),
        TEST(a_card_is_delivered_as_it_says_last),
        TEST(what_only_updates_makes_no_card),
        TEST(an_attempt_whose_end_is_not_known_stays_in_doubt),
        TEST(higher_priority_goes_first_then_the_older),
        TEST(one_that_fails_again_and_again_stands_back),
        TEST(an_answer_waits_for_what_it_answers),
        TEST(a_refused_event_waits_no_more_and_a_refused_card_for_news),
        TEST(what_is_gone_there_is_made_anew),
        TEST(a_lane_rests_and_tells_what_is_wrong),
        TEST(a_report_by_hand_sends_again_what_was_sent),
        TEST(a_notice_shares_the_fate_of_its_deployment),
    };
    return store_lab_run(tests, ARRAY_LENGTH(tests));
}
