// What differs, as rows: when a lane is due, one difference from its first sight to its end with
// its two entries in the audit log, and what a look says that came too late.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/audit.h"
#include "dispatcher/memory.h"
#include "dispatcher/queue_drift.h"
#include "queue_fixture.h"
#include "store_lab.h"

static void
deployed(struct queue_fixture *f, const char *id, const char *app, int64_t at_ms)
{
    struct queue_job job = queue_fixture_job(id, app, "staging");
    (void)queue_fixture_accept(f, &job, at_ms - 2);
    struct queue_job *started = queue_fixture_start(f, at_ms - 1);
    queue_fixture_end(f, started, "deployed", at_ms);
    const struct queue_release release = {.app = app,
        .env = "staging",
        .version = arena_printf(f->arena, "v%s", id),
        .deployment = id,
        .since_ms = at_ms};
    assert_null(queue_release_add(f->store, &release));
}

static struct queue_drift_thing
parameter(enum queue_drift_verdict verdict, const char *found)
{
    return (struct queue_drift_thing){.service = "web",
        .what = "parameter",
        .verdict = verdict,
        .expected = "v1",
        .found = found,
        .sentence = found != NULL ? found : "nobody knows"};
}

// A look at `app` for release `id`; the next one is due 1,000 ms later.
static bool
look(struct queue_fixture *f, const char *app, const char *id,
    const struct queue_drift_thing *things, size_t count, int64_t at_ms)
{
    bool recorded = false;
    const struct queue_drift_look seen = {.app = app,
        .env = "staging",
        .deployment = id,
        .version = "v1",
        .things = things,
        .count = count,
        .looked_ms = at_ms,
        .due_ms = at_ms + 1000};
    assert_null(queue_drift_record(f->store, &seen, f->arena, &recorded));
    return recorded;
}

static bool
sees(struct queue_fixture *f, enum queue_drift_verdict verdict, const char *found, int64_t at_ms)
{
    const struct queue_drift_thing thing = parameter(verdict, found);
    return look(f, "shop", "d-1", &thing, 1, at_ms);
}

static const struct queue_drift_lane *
lane(struct queue_fixture *f)
{
    struct queue_drift_lane *lanes = NULL;
    size_t count = 0;
    assert_null(queue_drift_lanes(f->store, "shop", f->arena, &lanes, &count));
    assert_int_equal(count, 1);
    return lanes;
}

// "appeared v9;ended v9;" of the audit log, oldest first.
static const char *
audited(struct queue_fixture *f)
{
    struct audit_entry *entries = NULL;
    size_t count = 0;
    const struct audit_filter filter = {.kind = "drift", .oldest_first = true};
    const char *text = "";
    assert_null(audit_list(f->store, &filter, f->arena, &entries, &count));
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(entries[i].app, "shop");
        assert_string_equal(entries[i].env, "staging");
        text = arena_printf(f->arena, "%s%s;", text, entries[i].reason);
    }
    return text;
}

static void
is_due_in_turn(void **state)
{
    struct queue_fixture *f = *state;
    struct queue_release *due = NULL;
    size_t count = 9;
    assert_null(queue_drift_due(f->store, 5000, 10, f->arena, &due, &count));
    assert_int_equal(count, 0); // nothing was ever deployed
    deployed(f, "d-1", "shop", 100);
    deployed(f, "d-2", "cart", 200);
    deployed(f, "d-3", "mail", 300);
    assert_null(queue_drift_due(f->store, 5000, 2, f->arena, &due, &count));
    assert_int_equal(count, 2);
    assert_string_equal(due[0].app, "cart");
    assert_string_equal(due[0].deployment, "d-2");
    assert_string_equal(due[1].app, "mail");
    assert_null(queue_drift_wait(f->store, "cart", "staging", 6000));
    assert_true(sees(f, QUEUE_DRIFT_SAME, "v1", 4500)); // due at 5500
    assert_null(queue_drift_due(f->store, 5000, 10, f->arena, &due, &count));
    assert_int_equal(count, 1);
    assert_string_equal(due[0].app, "mail");
    // Of one that runs nothing is to be seen.
    struct queue_job job = queue_fixture_job("d-4", "mail", "staging");
    (void)queue_fixture_accept(f, &job, 5000);
    struct queue_job *started = queue_fixture_start(f, 5001);
    assert_null(queue_drift_due(f->store, 7000, 10, f->arena, &due, &count));
    assert_int_equal(count, 2);
    assert_string_equal(due[0].app, "shop"); // overdue for longer
    assert_string_equal(due[1].app, "cart");
    bool busy = false;
    assert_null(queue_drift_is_busy(f->store, "mail", "staging", 9000, &busy));
    assert_true(busy);
    queue_fixture_end(f, started, "failed", 5500);
    assert_null(queue_drift_is_busy(f->store, "mail", "staging", 5499, &busy));
    assert_true(busy);
    assert_null(queue_drift_is_busy(f->store, "mail", "staging", 5500, &busy));
    assert_false(busy);
}

static void
a_difference_is_one_from_its_first_sight_to_its_end(void **state)
{
    struct queue_fixture *f = *state;
    struct queue_drift *drifts = NULL;
    size_t count = 9;
    deployed(f, "d-1", "shop", 100);
    assert_true(sees(f, QUEUE_DRIFT_SAME, "v1", 1000));
    assert_string_equal(lane(f)->state, "in-sync");
    assert_int_equal(lane(f)->parameters, 1);
    assert_int_equal(lane(f)->running, 0);
    for (int64_t at = 2000; at < 5000; at += 1000) {
        assert_true(sees(f, QUEUE_DRIFT_DIFFERS, "v9", at));
    }
    assert_string_equal(lane(f)->state, "drift");
    assert_null(queue_drift_list(f->store, NULL, 0, f->arena, &drifts, &count));
    assert_int_equal(count, 1);
    assert_string_equal(drifts[0].found, "v9");
    assert_int_equal(drifts[0].since_ms, 2000);
    assert_int_equal(drifts[0].until_ms, 0);
    assert_string_equal(audited(f), "v9;");
    assert_true(sees(f, QUEUE_DRIFT_SAME, "v1", 5000));
    assert_string_equal(lane(f)->state, "in-sync");
    assert_null(queue_drift_list(f->store, "shop", 0, f->arena, &drifts, &count));
    assert_int_equal(count, 0);
    assert_string_equal(audited(f), "v9;no longer: v9;");
    // Then it was there, and before and after it was not.
    for (int64_t at = 1999; at <= 5000; at += 1) {
        assert_null(queue_drift_list(f->store, "shop", at, f->arena, &drifts, &count));
        assert_int_equal(count, at >= 2000 && at < 5000);
        at = at == 2000 ? 4998 : at;
    }
}

static void
another_value_is_another_difference(void **state)
{
    struct queue_fixture *f = *state;
    deployed(f, "d-1", "shop", 100);
    assert_true(sees(f, QUEUE_DRIFT_DIFFERS, "v9", 1000));
    assert_true(sees(f, QUEUE_DRIFT_DIFFERS, "v8", 2000));
    struct queue_drift_thing gone = parameter(QUEUE_DRIFT_DIFFERS, NULL);
    gone.sentence = "gone";
    assert_true(look(f, "shop", "d-1", &gone, 1, 3000));
    assert_true(look(f, "shop", "d-1", &gone, 1, 4000));
    assert_string_equal(audited(f), "v9;no longer: v9;v8;no longer: v8;gone;");
}

static void
what_is_not_known_ends_nothing(void **state)
{
    struct queue_fixture *f = *state;
    struct queue_drift *drifts = NULL;
    size_t count = 0;
    deployed(f, "d-1", "shop", 100);
    assert_true(sees(f, QUEUE_DRIFT_UNKNOWN, NULL, 1000));
    assert_string_equal(lane(f)->state, "unknown");
    assert_string_equal(lane(f)->why, "nobody knows");
    assert_int_equal(lane(f)->unknown_ms, 1000);
    assert_int_equal(lane(f)->known_ms, 0);
    assert_true(sees(f, QUEUE_DRIFT_UNKNOWN, NULL, 2000));
    assert_int_equal(lane(f)->unknown_ms, 1000);
    assert_int_equal(lane(f)->failures, 2);
    assert_true(sees(f, QUEUE_DRIFT_DIFFERS, "v9", 3000));
    assert_int_equal(lane(f)->unknown_ms, 0);
    assert_int_equal(lane(f)->failures, 0);
    assert_int_equal(lane(f)->known_ms, 3000);
    assert_true(sees(f, QUEUE_DRIFT_UNKNOWN, NULL, 4000)); // it may still be there
    assert_string_equal(lane(f)->state, "drift");
    assert_int_equal(lane(f)->unknown_ms, 4000);
    assert_int_equal(lane(f)->known_ms, 3000);
    assert_true(sees(f, QUEUE_DRIFT_DIFFERS, "v9", 5000));
    assert_null(queue_drift_list(f->store, "shop", 0, f->arena, &drifts, &count));
    assert_int_equal(count, 1);
    assert_int_equal(drifts[0].since_ms, 3000);
    assert_string_equal(audited(f), "v9;");
}

static void
what_is_not_compared_any_more_ends(void **state)
{
    struct queue_fixture *f = *state;
    bool recorded = false;
    deployed(f, "d-1", "shop", 100);
    assert_true(sees(f, QUEUE_DRIFT_DIFFERS, "v9", 1000));
    struct queue_drift_look seen = {.app = "shop",
        .env = "staging",
        .deployment = "d-1",
        .version = "v1",
        .why = "nothing could be read",
        .looked_ms = 2000};
    assert_null(queue_drift_record(f->store, &seen, f->arena, &recorded));
    assert_string_equal(lane(f)->state, "drift");
    assert_string_equal(lane(f)->why, "nothing could be read");
    seen.why = "it is not in the specs any more";
    seen.nothing = true;
    seen.looked_ms = 3000;
    assert_null(queue_drift_record(f->store, &seen, f->arena, &recorded));
    assert_string_equal(lane(f)->state, "nothing");
    assert_int_equal(lane(f)->unknown_ms, 0);
    assert_string_equal(audited(f), "v9;no longer: v9;");
}

// A deployment begins, or ends, while somebody looks.
static void
a_look_that_was_overtaken_says_nothing(void **state)
{
    struct queue_fixture *f = *state;
    struct queue_drift_counts counts = {0};
    struct queue_release *due = NULL;
    size_t count = 0;
    deployed(f, "d-1", "shop", 100);
    assert_true(sees(f, QUEUE_DRIFT_DIFFERS, "v9", 1000));
    struct queue_job job = queue_fixture_job("d-2", "shop", "staging");
    (void)queue_fixture_accept(f, &job, 1500);
    struct queue_job *started = queue_fixture_start(f, 1501);
    assert_false(sees(f, QUEUE_DRIFT_SAME, "v1", 2000));
    assert_string_equal(lane(f)->state, "drift");
    queue_fixture_end(f, started, "deployed", 2500);
    const struct queue_release release = {
        .app = "shop", .env = "staging", .version = "v2", .deployment = "d-2", .since_ms = 2500};
    assert_null(queue_release_add(f->store, &release));
    assert_false(sees(f, QUEUE_DRIFT_DIFFERS, "v8", 2600)); // of the release before
    assert_string_equal(audited(f), "v9;");
    assert_null(queue_drift_count(f->store, &counts));
    assert_int_equal(counts.unseen, 1);
    assert_int_equal(counts.drift, 0);
    assert_null(queue_drift_due(f->store, 3600, 10, f->arena, &due, &count));
    assert_int_equal(count, 1); // not forgotten
    const struct queue_drift_thing same = parameter(QUEUE_DRIFT_SAME, "v2");
    assert_true(look(f, "shop", "d-2", &same, 1, 3600));
    assert_string_equal(audited(f), "v9;no longer: v9;");
    assert_null(queue_drift_count(f->store, &counts));
    assert_int_equal(counts.in_sync, 1);
    assert_int_equal(counts.unseen, 0);
    assert_int_equal(counts.looked_ms, 3600);
    // Drift from the next release is another one, also with the same words.
    const struct queue_drift_thing differs = parameter(QUEUE_DRIFT_DIFFERS, "v9");
    assert_true(look(f, "shop", "d-2", &differs, 1, 4600));
    assert_string_equal(audited(f), "v9;no longer: v9;v9;");
}

static void
the_chain_holds(void **state)
{
    struct queue_fixture *f = *state;
    struct audit_verdict verdict = {0};
    deployed(f, "d-1", "shop", 100);
    for (int64_t at = 1000; at < 9000; at += 1000) {
        assert_true(sees(f, at % 2000 == 0 ? QUEUE_DRIFT_SAME : QUEUE_DRIFT_DIFFERS, "v9", at));
    }
    assert_null(audit_verify(f->store, f->arena, &verdict));
    assert_int_equal(verdict.entries, 8);
    assert_int_equal(verdict.broken_at, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(is_due_in_turn),
        QUEUE_TEST(a_difference_is_one_from_its_first_sight_to_its_end),
        QUEUE_TEST(another_value_is_another_difference),
        QUEUE_TEST(what_is_not_known_ends_nothing),
        QUEUE_TEST(what_is_not_compared_any_more_ends),
        QUEUE_TEST(a_look_that_was_overtaken_says_nothing),
        QUEUE_TEST(the_chain_holds),
    };
    return store_lab_run(tests, ARRAY_LENGTH(tests));
}
