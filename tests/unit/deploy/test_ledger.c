// Releases from the history of a version parameter: what is read, which one a rollback goes to, how
// many are kept.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../../../dispatcher/deploy/ledger.h"
#include "deploy_story.h"
#include "dispatcher/memory.h"

#define NAME "/shop/staging/web/version"
#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

struct rig {
    struct world *world;
    struct fake_platform *fake;
    struct http_client *http;
    struct aws_session *aws;
    struct arena *arena;
};

static void
rig_open(struct rig *rig)
{
    static const char *const env[] = {
        "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=" STORY_AWS_SECRET, NULL};
    static const struct aws_options options = {.region = "us-east-1"};
    rig->world = world_new();
    rig->fake = fake_platform_new(env);
    rig->arena = arena_new();
    world_attach(rig->world, rig->fake);
    assert_null(http_client_new(&rig->fake->platform, NULL, &rig->http));
    assert_null(aws_session_new(&rig->fake->platform, rig->http, &options, &rig->aws));
}

static void
rig_close(struct rig *rig)
{
    aws_session_free(rig->aws);
    http_client_free(rig->http);
    world_detach();
    world_free(rig->world);
    fake_platform_free(rig->fake);
    arena_free(rig->arena);
}

// A version of the parameter with its description and labels ("a,b").
static void
release(struct rig *rig, const char *value, const char *description, const char *labels)
{
    struct world_parameter *p = world_parameter(rig->world, NAME, value, labels);
    char *to = p->versions[p->count - 1].description;
    assert_true(strlen(description) < sizeof(p->versions[0].description));
    memcpy(to, description, strlen(description) + 1);
}

static struct ledger
read_ledger(struct rig *rig)
{
    struct ledger ledger = {0};
    assert_null(ledger_read(rig->aws, NAME, rig->arena, &ledger));
    return ledger;
}

static void
expect_before(struct rig *rig, const char *version)
{
    const struct ledger ledger = read_ledger(rig);
    const struct ledger_release *found = ledger_find_before(&ledger);
    if (version == NULL) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_string_equal(found->version, version);
}

static void
test_reads_what_deployments_wrote(void **state)
{
    (void)state;
    struct rig rig CLEANUP(rig_close) = {0};
    rig_open(&rig);
    release(&rig, "v0", "by hand", "");
    release(&rig, "v1", "dispatcher d-1 prev=1 digest=" D1, "proven-0");
    release(&rig, "v2", "dispatcher d-2 prev=2 digest=sha256:short", "pending");
    release(&rig, "v1", "dispatcher d-2 compensate n1=3", "");
    release(&rig, "v2", "dispatcher d-3 prev=4 digest=" D2 " rollback of=v1 reason='it's slow'",
        "deployed,proven,proven-1");
    const struct ledger ledger = read_ledger(&rig);
    assert_int_equal(ledger.count, 5);
    const struct ledger_release *last = &ledger.items[0], *back = &ledger.items[1];
    assert_string_equal(last->version, "v2");
    assert_int_equal(last->number, 5);
    assert_string_equal(last->digest, D2);
    assert_true(last->proven && last->deployed && !last->pending && !last->restored);
    assert_string_equal(last->deployment, "d-3");
    assert_string_equal(last->rollback_of, "v1");
    assert_string_equal(last->reason, "it's slow");
    assert_true(back->restored && !back->proven);
    assert_string_equal(back->digest, D1); // an older release of that version says it
    assert_null(ledger.items[2].digest);
    assert_true(ledger.items[2].pending);
    assert_true(ledger.items[3].proven && !ledger.items[3].deployed);
    assert_null(ledger.items[4].deployment);
    assert_string_equal(ledger.items[4].by, "arn:aws:iam::1:u/old");
}

static void
test_descriptions_of_others(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "dispatcher", "dispatcher ", "dispatcher d-1",
        "dispatchers d-1 digest=" D1, "terraform", "dispatcher  digest=" D1, "reason='"};
    struct rig rig CLEANUP(rig_close) = {0};
    rig_open(&rig);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        release(&rig, "v1", texts[i], "");
    }
    const struct ledger ledger = read_ledger(&rig);
    assert_int_equal(ledger.count, ARRAY_LENGTH(texts));
    assert_string_equal(ledger.items[4].deployment, "d-1");
    assert_null(ledger.items[3].digest);
    assert_null(ledger.items[0].reason);
    expect_before(&rig, NULL);
}

// Never simply the one before: one that was proven, and that nobody has gone away from since.
static void
test_which_one_to_go_back_to(void **state)
{
    (void)state;
    struct rig rig CLEANUP(rig_close) = {0};
    rig_open(&rig);
    expect_before(&rig, NULL);
    release(&rig, "v1", "dispatcher d-1 prev=0", "proven-0");
    expect_before(&rig, NULL);
    release(&rig, "v2", "dispatcher d-2 prev=1", "");
    release(&rig, "v3", "dispatcher d-3 prev=2", "proven,proven-1");
    expect_before(&rig, "v1");
    release(&rig, "v4", "dispatcher d-4 prev=3", "");
    expect_before(&rig, "v3");
    release(&rig, "v3", "dispatcher d-5 prev=4 rollback of=v4 reason='x'", "");
    expect_before(&rig, "v1");
    release(&rig, "v1", "dispatcher d-6 prev=5 rollback of=v3 reason='y'", "proven");
    expect_before(&rig, NULL);
    release(&rig, "v3", "dispatcher d-7 prev=6", "proven-1"); // deployed again: a release again
    release(&rig, "v5", "dispatcher d-8 prev=7", "");
    expect_before(&rig, "v3");
    const struct ledger ledger = read_ledger(&rig);
    assert_int_equal(ledger_find(&ledger, "v3")->number, 7);
    assert_int_equal(ledger_find(&ledger, "v4")->number, 4);
    assert_null(ledger_find(&ledger, "v9"));
}

static void
mark(struct rig *rig, int64_t number, bool proven, int64_t keep, const char *effect)
{
    rig->world->effects[0] = '\0';
    assert_null(ledger_mark(rig->aws, NAME, number, proven, keep));
    assert_string_equal(rig->world->effects, effect);
}

static void
test_slots_go_round(void **state)
{
    (void)state;
    struct rig rig CLEANUP(rig_close) = {0};
    rig_open(&rig);
    static const char *const values[] = {"v1", "v2", "v3", "v4", "v2"};
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        release(&rig, values[i], "", "");
    }
    mark(&rig, 1, true, 2, "label " NAME ":1 deployed,proven,proven-0\n");
    mark(&rig, 1, true, 2, "label " NAME ":1 deployed,proven,proven-0\n"); // resumed
    mark(&rig, 2, true, 2, "label " NAME ":2 deployed,proven,proven-1\n");
    mark(&rig, 3, false, 2, "label " NAME ":3 deployed\n");
    mark(&rig, 4, true, 2, "label " NAME ":4 deployed,proven,proven-0\n"); // v1's
    mark(&rig, 5, true, 2, "label " NAME ":5 deployed,proven,proven-1\n"); // v2 has one
    mark(&rig, 3, true, 0, "label " NAME ":3 deployed,proven,proven-2\n");
    const struct ledger ledger = read_ledger(&rig);
    assert_false(ledger.items[4].proven); // v1 is not kept any more
    assert_true(ledger.items[0].proven && ledger.items[1].proven && ledger.items[2].proven);
}

static void
test_room_for_one_more(void **state)
{
    (void)state;
    bool made = true;
    const char *lost = NULL;
    struct rig rig CLEANUP(rig_close) = {0};
    rig_open(&rig);
    assert_null(ledger_make_room(rig.aws, NAME, rig.arena, &made, &lost));
    assert_false(made);
    release(&rig, "v1", "", "deployed,proven-0");
    release(&rig, "v2", "", "");
    release(&rig, "v1", "", "");
    assert_null(ledger_make_room(rig.aws, NAME, rig.arena, &made, &lost));
    assert_true(made);
    assert_null(lost);
    assert_string_equal(rig.world->effects, "label " NAME ":3 deployed,proven-0\n");
    assert_null(ledger_make_room(rig.aws, NAME, rig.arena, &made, &lost));
    assert_false(made); // no label stands in the way
}

static void
test_the_oldest_is_given_up(void **state)
{
    (void)state;
    bool made = false;
    const char *lost = NULL;
    struct rig rig CLEANUP(rig_close) = {0};
    rig_open(&rig);
    release(&rig, "v1", "", "proven-3");
    release(&rig, "v2", "", "");
    assert_null(ledger_make_room(rig.aws, NAME, rig.arena, &made, &lost));
    assert_true(made);
    assert_string_equal(lost, "v1");
    assert_string_equal(rig.world->effects, "unlabel " NAME ":1 proven-3\n");
}

static void
test_labels_of_others_stay(void **state)
{
    (void)state;
    bool made = true;
    const char *lost = NULL;
    struct rig rig CLEANUP(rig_close) = {0};
    rig_open(&rig);
    release(&rig, "v1", "", "proven-3,golden");
    assert_null(ledger_make_room(rig.aws, NAME, rig.arena, &made, &lost));
    assert_false(made);
    assert_string_equal(rig.world->effects, "");
}

// --- in a deployment ---------------------------------------------------------------------------

static const char full[] =
    "{\"__type\":\"ParameterMaxVersionLimitExceeded\",\"message\":\"the oldest has a label\"}";

static void
test_put_after_making_room(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:PutParameter *", .kind = FAULT_STATUS, .status = 400, .body = full}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    s->world->parameter_count = 0;
    (void)world_parameter(s->world, STORY_PARAMETER, "v1", "deployed,proven-0");
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging'");
    assert_int_equal(
        strncmp(s->world->effects,
            "unlabel " STORY_PARAMETER ":1 deployed,proven-0\nput " STORY_PARAMETER "=v2\npost ",
            strlen("unlabel " STORY_PARAMETER ":1 deployed,proven-0\nput " STORY_PARAMETER
                   "=v2\npost ")),
        0);
    assert_non_null(strstr(buf_cstr(&s->events),
        "proven release 'v1' cannot be gone back to any more: Parameter Store keeps 100 versions"));
    assert_string_equal(world_parameter_find(s->world, STORY_PARAMETER)->versions[1].description,
        arena_printf(s->arena, "dispatcher %s prev=1 digest=" STORY_DIGEST, s->d->id));
}

static void
test_put_that_stays_refused(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = "ssm:PutParameter *",
                                                    .kind = FAULT_STATUS,
                                                    .status = 400,
                                                    .body = full,
                                                    .times = 99},
        {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 12, "failed",
        "deploy 'shop' to 'staging': write version parameter '" STORY_PARAMETER
        "': write parameter '" STORY_PARAMETER
        "': ssm PutParameter: ParameterMaxVersionLimitExceeded: the oldest has a label (HTTP 400)");
    assert_int_equal(s->world->hits[0], 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_deployments_wrote),
        cmocka_unit_test(test_descriptions_of_others),
        cmocka_unit_test(test_which_one_to_go_back_to),
        cmocka_unit_test(test_slots_go_round),
        cmocka_unit_test(test_room_for_one_more),
        cmocka_unit_test(test_the_oldest_is_given_up),
        cmocka_unit_test(test_labels_of_others_stay),
        cmocka_unit_test(test_put_after_making_room),
        cmocka_unit_test(test_put_that_stays_refused),
    };
    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
