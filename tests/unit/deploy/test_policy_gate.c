// May it begin now: locks of five scopes, windows over changes of the clock, order of versions,
// approvals, and what an emergency and a rollback pass.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/clock.h"
#include "dispatcher/memory.h"
#include "dispatcher/policy.h"

enum { MINUTE = 60000, HOUR = 60 * MINUTE };

static int64_t
at(const char *rfc3339)
{
    int64_t ms = 0;
    assert_true(clock_parse_rfc3339(rfc3339, &ms));
    return ms;
}

struct fixture {
    struct arena *arena;
    struct settings settings;
    struct policy_facts facts;
    struct policy_gate gate;
};

// Nothing holds it: a newer commit, asked for by octocat, on a Wednesday noon.
static struct fixture
fresh(void)
{
    struct fixture f = {.arena = arena_new()};
    f.settings = (struct settings){.app = "shop",
        .env = "production",
        .program = "checkout",
        .stale = "reject",
        .enabled = true};
    f.facts = (struct policy_facts){.now_ms = at("2026-11-25T12:00:00Z"),
        .accepted_ms = at("2026-11-25T11:59:00Z"),
        .verb = "deploy",
        .version = "v2",
        .diff = "v1..v2",
        .requester = "octocat",
        .requester_id = 1,
        .ancestry = POLICY_ANCESTRY_NEWER,
        .deployed_version = "v1"};
    return f;
}

static void
gate(struct fixture *f, int answer, enum reason_code code)
{
    policy_gate(&f->settings, &f->facts, f->arena, &f->gate);
    if ((int)f->gate.answer != answer || f->gate.code != code) {
        fail_msg("answer %d, %s: %s", (int)f->gate.answer, reason_code_name(f->gate.code),
            f->gate.sentence);
    }
    assert_non_null(f->gate.sentence);
    assert_true(answer != POLICY_WAIT || f->gate.on_release != NULL);
}

static void
go(struct fixture *f, size_t warnings)
{
    gate(f, POLICY_GO, REASON_ALLOWED);
    assert_int_equal(f->gate.warnings.count, warnings);
}

static void
done(struct fixture *f)
{
    arena_free(f->arena);
}

static void
test_nothing_holds(void **state)
{
    (void)state;
    struct fixture f = fresh();
    go(&f, 0);
    assert_string_equal(f.gate.sentence, "nothing holds 'shop' back in 'production'");
    assert_int_equal(f.gate.approvals_needed, 0);
    done(&f);
}

// --- locks ---------------------------------------------------------------------------------------

static void
test_scopes(void **state)
{
    (void)state;
    static const struct {
        struct policy_lock lock;
        bool holds;
    } cases[] = {
        {{.scope = "organisation"}, true},
        {{.scope = "environment", .env = "production"}, true},
        {{.scope = "environment", .env = "staging"}, false},
        {{.scope = "environment"}, false},
        {{.scope = "program", .program = "checkout"}, true},
        {{.scope = "program", .program = "shop"}, false},
        {{.scope = "app", .app = "shop"}, true},
        {{.scope = "app", .app = "pay"}, false},
        {{.scope = "target", .app = "shop", .env = "production"}, true},
        {{.scope = "target", .app = "shop", .env = "staging"}, false},
        {{.scope = "target", .app = "pay", .env = "production"}, false},
        {{.scope = "galaxy"}, true}, // what nobody knows holds
        {{.scope = NULL}, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fixture f = fresh();
        struct policy_lock lock = cases[i].lock;
        lock.owner = "hubot";
        lock.level = "lock";
        f.facts.locks = &lock;
        f.facts.lock_count = 1;
        policy_gate(&f.settings, &f.facts, f.arena, &f.gate);
        assert_int_equal(f.gate.answer, cases[i].holds ? POLICY_WAIT : POLICY_GO);
        assert_int_equal(f.gate.code, cases[i].holds ? REASON_LOCKED : REASON_ALLOWED);
        done(&f);
    }
}

static void
test_one_lock(void **state)
{
    (void)state;
    struct fixture f = fresh();
    struct policy_lock lock = {.scope = "target",
        .app = "shop",
        .env = "production",
        .level = "lock",
        .owner = "hubot",
        .reason = "incident \x1b[31m412",
        .on_release = "run",
        .expires_ms = f.facts.now_ms + HOUR};
    f.facts.locks = &lock;
    f.facts.lock_count = 1;
    gate(&f, POLICY_WAIT, REASON_LOCKED);
    assert_string_equal(f.gate.sentence,
        "'shop' in 'production' is locked by hubot until 2026-11-25T13:00:00Z: incident 412");
    assert_string_equal(f.gate.who, "hubot, or an admin");
    assert_string_equal(f.gate.on_release, "will run");
    assert_int_equal(f.gate.until_ms, f.facts.now_ms + HOUR);
    f.facts.emergency = true; // never locks
    gate(&f, POLICY_WAIT, REASON_LOCKED);
    f.facts.verb = "rollback";
    f.facts.known_good = true;
    gate(&f, POLICY_WAIT, REASON_LOCKED);
    lock.on_release = "drop";
    lock.expires_ms = 0;
    gate(&f, POLICY_WAIT, REASON_LOCKED);
    assert_string_equal(f.gate.on_release, "will be dropped");
    assert_int_equal(f.gate.until_ms, 0);
    lock.owner = "Octocat"; // its owner keeps others out
    go(&f, 1);
    assert_string_equal(f.gate.warnings.items[0],
        "its own lock lets Octocat pass: 'shop' in 'production' is "
        "locked by Octocat: incident 412");
    f.facts.automatic = true; // not their next push
    gate(&f, POLICY_WAIT, REASON_LOCKED);
    assert_string_equal(f.gate.who, "Octocat, or an admin");
    f.facts.automatic = false;
    f.facts.requester = NULL;
    gate(&f, POLICY_WAIT, REASON_LOCKED);
    lock.owner = NULL;
    gate(&f, POLICY_WAIT, REASON_LOCKED); // nobody is not nobody
    assert_string_equal(f.gate.who, "somebody, or an admin");
    done(&f);
}

static void
test_every_reason_names_somebody(void **state)
{
    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        assert_true(strlen(reason_code_who((enum reason_code)i)) > 0);
    }
}

static void
test_when_locks_hold(void **state)
{
    (void)state;
    struct fixture f = fresh();
    struct policy_lock lock = {.scope = "organisation", .level = "lock", .owner = "hubot"};
    f.facts.locks = &lock;
    f.facts.lock_count = 1;
    lock.starts_ms = f.facts.now_ms + 1;
    go(&f, 0);
    lock.starts_ms = f.facts.now_ms;
    gate(&f, POLICY_WAIT, REASON_LOCKED);
    lock.expires_ms = f.facts.now_ms;
    go(&f, 0);
    lock.expires_ms = f.facts.now_ms + 1;
    gate(&f, POLICY_WAIT, REASON_LOCKED);
    done(&f);
}

static void
test_several_locks(void **state)
{
    (void)state;
    struct fixture f = fresh();
    struct policy_lock locks[] = {
        {.scope = "app", .app = "shop", .level = "warning", .owner = "monalisa", .reason = "slow"},
        {.scope = "app",
            .app = "shop",
            .level = "lock",
            .owner = "hubot",
            .reason = "a",
            .expires_ms = f.facts.now_ms + HOUR},
        {.scope = "organisation", .level = "lock", .owner = "octocat", .reason = "own"},
        {.scope = "environment",
            .env = "production",
            .level = "lock",
            .owner = "monalisa",
            .reason = "b",
            .expires_ms = f.facts.now_ms + 2 * HOUR,
            .on_release = "drop"},
        {.scope = "app",
            .app = "shop",
            .level = "lock",
            .owner = "hub",
            .reason = "c",
            .expires_ms = f.facts.now_ms + MINUTE},
    };
    f.facts.locks = locks;
    f.facts.lock_count = ARRAY_LENGTH(locks);
    gate(&f, POLICY_WAIT, REASON_LOCKED);
    assert_string_equal(
        f.gate.sentence, "'shop' is locked by hubot until 2026-11-25T13:00:00Z: a, and 2 more");
    assert_string_equal(f.gate.who, "hubot, monalisa, hub, or an admin");
    assert_int_equal(f.gate.until_ms, f.facts.now_ms + 2 * HOUR);
    assert_string_equal(f.gate.on_release, "will be dropped");
    assert_int_equal(f.gate.warnings.count, 2); // the warning, and the own lock
    assert_string_equal(f.gate.warnings.items[0], "'shop' has a warning of monalisa: slow");
    locks[3].expires_ms = 0;
    gate(&f, POLICY_WAIT, REASON_LOCKED);
    assert_int_equal(f.gate.until_ms, 0);
    f.facts.lock_count = 1;
    go(&f, 1);
    done(&f);
}

static void
test_freeze(void **state)
{
    (void)state;
    struct fixture f = fresh();
    struct policy_lock lock = {.scope = "organisation",
        .level = "freeze",
        .owner = "octocat",
        .reason = "holidays",
        .expires_ms = f.facts.now_ms + HOUR};
    f.facts.locks = &lock;
    f.facts.lock_count = 1;
    gate(&f, POLICY_WAIT, REASON_FROZEN); // of its owner as well
    assert_string_equal(f.gate.sentence,
        "the organisation is frozen by octocat until 2026-11-25T13:00:00Z: holidays");
    f.facts.emergency = true;
    go(&f, 1);
    assert_string_equal(f.gate.warnings.items[0],
        "the emergency passes: the organisation is frozen by octocat until 2026-11-25T13:00:00Z: "
        "holidays");
    done(&f);
}

// --- windows -------------------------------------------------------------------------------------

static void
test_windows(void **state)
{
    (void)state;
    static const struct {
        const char *deny, *zone, *now, *until; // until NULL: it does not hold
    } cases[] = {
        {"Fri 15:00 - Mon 07:00", "UTC", "2026-11-27T14:59:59Z", NULL},
        {"Fri 15:00 - Mon 07:00", "UTC", "2026-11-27T15:00:00Z", "2026-11-30T07:00:00Z"},
        {"Fri 15:00 - Mon 07:00", "UTC", "2026-11-30T06:59:59Z", "2026-11-30T07:00:00Z"},
        {"Fri 15:00 - Mon 07:00", "UTC", "2026-11-30T07:00:00Z", NULL},
        {"Fri 15:00 - Mon 07:00", "America/New_York", "2026-11-27T19:59:59Z", NULL},
        {"Fri 15:00 - Mon 07:00", "America/New_York", "2026-11-27T20:00:00Z",
            "2026-11-30T12:00:00Z"},
        // summer time ends within it: the weekend has an hour more
        {"Fri 15:00 - Mon 07:00", "America/New_York", "2026-10-30T19:00:00Z",
            "2026-11-02T12:00:00Z"},
        // and begins within it: an hour less
        {"Fri 15:00 - Mon 07:00", "America/New_York", "2026-03-06T20:00:00Z",
            "2026-03-09T11:00:00Z"},
        {"Fri 15:00 - Mon 07:00", "Europe/Berlin", "2026-03-27T14:00:00Z", "2026-03-30T05:00:00Z"},
        {"Fri 15:00 - Mon 07:00", "Europe/Berlin", "2026-10-23T13:00:00Z", "2026-10-26T06:00:00Z"},
        // its end is in the hour that is skipped: it ends with the skip
        {"Sat 00:00 - Sun 02:30", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
        // its end comes twice: it ends, and holds again from 02:00 to 02:30
        {"Sat 00:00 - Sun 02:30", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
        {"Sat 00:00 - Sun 02:30", "Europe/Berlin", "2026-10-25T00:45:00Z", NULL},
        {"Sat 00:00 - Sun 02:30", "Europe/Berlin", "2026-10-25T01:15:00Z", "2026-10-25T01:30:00Z"},
        // half an hour, and no summer time; south of the equator
        {"Sun 22:00 - Mon 06:00", "Asia/Kolkata", "2026-11-29T16:30:00Z", "2026-11-30T00:30:00Z"},
        {"Sat 00:00 - Mon 00:00", "Australia/Lord_Howe", "2026-04-04T00:00:00Z",
            "2026-04-05T13:30:00Z"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fixture f = fresh();
        struct setting_window window = {.deny = cases[i].deny, .tz = cases[i].zone};
        f.settings.windows = &window;
        f.settings.window_count = 1;
        f.facts.now_ms = at(cases[i].now);
        if (cases[i].until == NULL) {
            go(&f, 0);
        } else {
            gate(&f, POLICY_WAIT, REASON_WINDOW);
            char text[21];
            clock_format_rfc3339(f.gate.until_ms, text);
            assert_string_equal(text, cases[i].until);
        }
        done(&f);
    }
}

// Until none of them holds: they overlap, or follow one another.
static void
test_several_windows(void **state)
{
    (void)state;
    struct fixture f = fresh();
    struct setting_window windows[] = {{.deny = "Fri 15:00 - Sat 00:00", .tz = "UTC"},
        {.deny = "Sat 00:00 - Sun 12:00", .tz = "UTC"},
        {.deny = "Sun 06:00 - Mon 07:00", .tz = "Europe/Berlin", .reason = "weekend"},
        {.deny = "Tue 00:00 - Tue 01:00", .tz = "UTC"}};
    f.settings.windows = windows;
    f.settings.window_count = ARRAY_LENGTH(windows);
    f.facts.now_ms = at("2026-11-27T15:00:00Z");
    gate(&f, POLICY_WAIT, REASON_WINDOW);
    assert_int_equal(f.gate.until_ms, at("2026-11-30T06:00:00Z"));
    assert_string_equal(f.gate.sentence,
        "nothing is deployed to 'production' now: window 'Fri 15:00 - Sat 00:00' (UTC) until "
        "2026-11-30T06:00:00Z");
    f.facts.now_ms = at("2026-11-29T20:00:00Z");
    gate(&f, POLICY_WAIT, REASON_WINDOW);
    assert_string_equal(f.gate.sentence,
        "nothing is deployed to 'production' now: window 'Sun 06:00 - Mon 07:00' (Europe/Berlin), "
        "weekend until 2026-11-30T06:00:00Z");
    assert_string_equal(f.gate.who, "whoever owns the spec of 'shop'");
    // there is always one
    struct setting_window always[] = {{.deny = "Mon 00:00 - Thu 00:00", .tz = "UTC"},
        {.deny = "Thu 00:00 - Mon 00:00", .tz = "UTC"}};
    f.settings.windows = always;
    f.settings.window_count = 2;
    gate(&f, POLICY_WAIT, REASON_WINDOW);
    assert_int_equal(f.gate.until_ms, 0);
    done(&f);
}

static void
test_unreadable_windows_hold(void **state)
{
    (void)state;
    static const struct setting_window unreadable[] = {{.deny = "sometimes", .tz = "UTC"},
        {.deny = "Fri 15:00 - Mon 07:00", .tz = "Mars/Olympus"}, {.deny = NULL, .tz = "UTC"},
        {.deny = "Mon 00:00 - Mon 00:00", .tz = "UTC"}};
    for (size_t i = 0; i < ARRAY_LENGTH(unreadable); i++) {
        struct fixture f = fresh();
        struct setting_window window = unreadable[i];
        f.settings.windows = &window;
        f.settings.window_count = 1;
        gate(&f, POLICY_WAIT, REASON_WINDOW);
        assert_int_equal(f.gate.until_ms, 0);
        assert_non_null(strstr(f.gate.sentence, "cannot be placed in time"));
        done(&f);
    }
}

static void
test_emergencies_and_windows(void **state)
{
    (void)state;
    static const char *teams[] = {"devops", "sre"};
    struct fixture f = fresh();
    struct setting_window windows[] = {
        {.deny = "Wed 00:00 - Thu 00:00", .tz = "UTC", .manual = "emergency"},
        {.deny = "Wed 13:00 - Wed 14:00", .tz = "UTC"}};
    f.settings.windows = windows;
    f.settings.window_count = 2;
    f.settings.emergency_teams = (struct str_list){teams, 2};
    gate(&f, POLICY_WAIT, REASON_WINDOW);
    assert_string_equal(f.gate.who, "the emergency path: 'devops', 'sre'");
    f.facts.emergency = true;
    go(&f, 1);
    assert_string_equal(
        f.gate.warnings.items[0], "the emergency passes window 'Wed 00:00 - Thu 00:00'");
    f.facts.now_ms = at("2026-11-25T13:30:00Z"); // the second does not let it pass
    gate(&f, POLICY_WAIT, REASON_WINDOW);
    assert_int_equal(f.gate.until_ms, at("2026-11-25T14:00:00Z"));
    done(&f);
}

// --- order ---------------------------------------------------------------------------------------

static void
test_promotion(void **state)
{
    (void)state;
    struct fixture f = fresh();
    struct setting_service services[] = {{.key = "web", .deployable = true, .has_image = true},
        {.key = "db", .deployable = false, .has_image = true},
        {.key = "code", .deployable = true, .has_image = false}};
    f.settings.services = services;
    f.settings.service_count = 3;
    f.settings.promote_from =
        (struct setting_promote){.environment = "staging", .soak_ms = 30 * MINUTE};
    gate(&f, POLICY_REFUSE, REASON_NOT_PROMOTED);
    assert_string_equal(f.gate.sentence,
        "version 'v2' was never in 'staging', where it must be before 'production'");
    f.facts.promoted_since_ms = f.facts.now_ms - 29 * MINUTE;
    gate(&f, POLICY_WAIT, REASON_SOAK);
    assert_int_equal(f.gate.until_ms, f.facts.now_ms + MINUTE);
    assert_string_equal(f.gate.sentence,
        "version 'v2' stays in 'staging' until 2026-11-25T12:01:00Z before it may go to "
        "'production'");
    f.facts.emergency = true; // passes no order
    gate(&f, POLICY_WAIT, REASON_SOAK);
    f.facts.promoted_since_ms = f.facts.now_ms - 30 * MINUTE;
    f.facts.promoted_until_ms = f.facts.now_ms - MINUTE; // what is gone ripens no more
    f.facts.emergency = false;
    gate(&f, POLICY_REFUSE, REASON_NOT_PROMOTED);
    assert_string_equal(f.gate.sentence,
        "version 'v2' was not long enough in 'staging': another one took its place there at "
        "2026-11-25T11:59:00Z");
    f.facts.promoted_until_ms = f.facts.now_ms;
    go(&f, 0);
    f.facts.promoted_until_ms = 0;
    go(&f, 0);
    f.settings.promote_from.same_digest = true;
    static const struct {
        const char *now, *then;
        bool fine;
    } cases[] = {
        {"{\"web\":\"sha256:a\"}", "{\"web\":\"sha256:a\"}", true},
        {"{\"web\":\"sha256:a\"}", "{\"db\":\"sha256:x\",\"web\":\"sha256:a\"}", true},
        {"{\"web\":\"sha256:a\"}", "{\"web\":\"sha256:b\"}", false},
        {"{\"web\":\"sha256:a\"}", "{\"db\":\"sha256:a\"}", false},
        {"{\"web\":\"sha256:a\"}", "{}", false},
        {"{}", "{}", false},
        {NULL, NULL, false},
        {"{\"web\":\"sha256:a\"}", NULL, false},
        {NULL, "{\"web\":\"sha256:a\"}", false},
        {"{\"web\":null}", "{\"web\":null}", false},
        {"[", "[", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        f.facts.digests = cases[i].now;
        f.facts.promoted_digests = cases[i].then;
        gate(&f, cases[i].fine ? POLICY_GO : POLICY_REFUSE,
            cases[i].fine ? REASON_ALLOWED : REASON_OTHER_DIGEST);
    }
    services[0].has_image = false; // nothing of it is an image
    go(&f, 0);
    f.facts.verb = "rollback";
    f.facts.known_good = true;
    f.facts.promoted_since_ms = 0;
    go(&f, 0);
    done(&f);
}

static void
test_stale(void **state)
{
    (void)state;
    static const struct {
        const char *stale;
        enum policy_ancestry ancestry;
        int answer;
        size_t warnings;
    } cases[] = {
        {"reject", POLICY_ANCESTRY_NEWER, POLICY_GO, 0},
        {"reject", POLICY_ANCESTRY_SAME, POLICY_GO, 0},
        {"reject", POLICY_ANCESTRY_FIRST, POLICY_GO, 0},
        {"reject", POLICY_ANCESTRY_OLDER, POLICY_REFUSE, 0},
        {"reject", POLICY_ANCESTRY_DIVERGED, POLICY_REFUSE, 0},
        {"reject", POLICY_ANCESTRY_UNKNOWN, POLICY_WAIT, 0},
        {"warn", POLICY_ANCESTRY_NEWER, POLICY_GO, 0},
        {"warn", POLICY_ANCESTRY_OLDER, POLICY_GO, 1},
        {"warn", POLICY_ANCESTRY_DIVERGED, POLICY_GO, 1},
        {"warn", POLICY_ANCESTRY_UNKNOWN, POLICY_GO, 1},
        {"allow", POLICY_ANCESTRY_OLDER, POLICY_GO, 0},
        {"allow", POLICY_ANCESTRY_DIVERGED, POLICY_GO, 0},
        {"allow", POLICY_ANCESTRY_UNKNOWN, POLICY_GO, 1}, // never in silence
        {NULL, POLICY_ANCESTRY_OLDER, POLICY_REFUSE, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fixture f = fresh();
        f.settings.stale = cases[i].stale;
        f.facts.ancestry = cases[i].ancestry;
        gate(&f, cases[i].answer, cases[i].answer == POLICY_GO ? REASON_ALLOWED : REASON_STALE);
        assert_int_equal(f.gate.warnings.count, cases[i].warnings);
        f.facts.emergency = true;
        gate(&f, cases[i].answer, cases[i].answer == POLICY_GO ? REASON_ALLOWED : REASON_STALE);
        f.facts.verb = "rollback";
        f.facts.known_good = true;
        go(&f, 0);
        done(&f);
    }
}

static void
test_unknown_ancestry(void **state)
{
    (void)state;
    struct fixture f = fresh();
    f.facts.ancestry = POLICY_ANCESTRY_UNKNOWN;
    gate(&f, POLICY_WAIT, REASON_STALE);
    assert_string_equal(f.gate.sentence,
        "version 'v2' is not known to be newer than 'v1', which is deployed to 'production': "
        "GitHub is asked again");
    assert_int_equal(f.gate.until_ms, f.facts.accepted_ms + 15 * MINUTE);
    assert_string_equal(f.gate.who, "GitHub");
    f.facts.now_ms = f.facts.accepted_ms + 15 * MINUTE - 1;
    gate(&f, POLICY_WAIT, REASON_STALE);
    f.facts.now_ms = f.facts.accepted_ms + 15 * MINUTE;
    gate(&f, POLICY_REFUSE, REASON_STALE);
    done(&f);
}

static void
test_known_good(void **state)
{
    (void)state;
    struct fixture f = fresh();
    f.facts.verb = "rollback";
    gate(&f, POLICY_REFUSE, REASON_NOT_KNOWN_GOOD);
    assert_string_equal(f.gate.sentence,
        "version 'v2' was never deployed to 'production', so there is no way back to it");
    f.facts.emergency = true;
    gate(&f, POLICY_REFUSE, REASON_NOT_KNOWN_GOOD);
    f.facts.known_good = true;
    go(&f, 0);
    done(&f);
}

// --- approvals -----------------------------------------------------------------------------------

static const char *devops[] = {"DevOps"};

static struct fixture
with_approvals(int64_t count)
{
    static const char *teams[] = {"devops"};
    struct fixture f = fresh();
    f.settings.approvals =
        (struct setting_approvals){.count = count, .valid_for_ms = 4 * HOUR, .teams = {teams, 1}};
    return f;
}

static struct policy_approval
approval(const struct fixture *f, const char *login, int64_t id)
{
    return (struct policy_approval){.by = {.login = login, .id = id, .teams = {devops, 1}},
        .version = "v2",
        .diff = "v1..v2",
        .at_ms = f->facts.now_ms - MINUTE};
}

static void
test_who_may_approve(void **state)
{
    (void)state;
    struct fixture f = with_approvals(1);
    const char *why = NULL;
    struct policy_person person = {.login = "hubot", .id = 2, .teams = {devops, 1}};
    assert_true(policy_may_approve(&f.settings, &person, "octocat", f.arena, &why));
    person.teams.count = 0;
    assert_false(policy_may_approve(&f.settings, &person, "octocat", f.arena, &why));
    assert_string_equal(why, "only members of 'devops' may approve it");
    f.settings.approvals.teams.count = 0; // whoever may sign in
    assert_true(policy_may_approve(&f.settings, &person, "octocat", f.arena, &why));
    person.login = "OctoCat";
    assert_false(policy_may_approve(&f.settings, &person, "octocat", f.arena, &why));
    assert_string_equal(why, "whoever asks for a deployment may not approve it");
    f.settings.approvals.self = true;
    assert_true(policy_may_approve(&f.settings, &person, "octocat", f.arena, &why));
    person.login = NULL;
    assert_false(policy_may_approve(&f.settings, &person, "octocat", f.arena, &why));
    done(&f);
}

static void
test_who_may_hurry(void **state)
{
    (void)state;
    static const char *teams[] = {"sre", "devops"};
    struct fixture f = fresh();
    struct policy_person person = {.login = "hubot", .teams = {devops, 1}};
    assert_false(policy_may_hurry(&f.settings, &person)); // no team is nobody
    f.settings.emergency_teams = (struct str_list){teams, 2};
    assert_true(policy_may_hurry(&f.settings, &person));
    f.settings.emergency_teams.count = 1;
    assert_false(policy_may_hurry(&f.settings, &person));
    person.login = NULL;
    f.settings.emergency_teams.count = 2;
    assert_false(policy_may_hurry(&f.settings, &person));
    done(&f);
}

static void
test_n_of_m(void **state)
{
    (void)state;
    struct fixture f = with_approvals(2);
    struct policy_approval given[] = {approval(&f, "hubot", 2), approval(&f, "hubot", 2),
        approval(&f, "HUBOT-new", 2), approval(&f, "monalisa", 3)};
    f.facts.approvals = given;
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    assert_string_equal(
        f.gate.sentence, "it needs 2 approvals of team 'devops', other than octocat; 0 given");
    assert_string_equal(f.gate.who, "team 'devops', other than octocat");
    f.facts.approval_count = 3; // one person, whatever the login
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    assert_int_equal(f.gate.approvals_given, 1);
    f.facts.approval_count = 4;
    go(&f, 0);
    assert_int_equal(f.gate.approvals_given, 2);
    assert_int_equal(f.gate.approvals_needed, 2);
    given[3].by.id = 1; // the requester by another login
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    given[3].by.id = 0;
    go(&f, 0); // without numbers the logins decide
    given[3].by.login = "Hubot";
    given[0].by.id = given[1].by.id = given[2].by.id = 0;
    given[2].by.login = "hubot";
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    done(&f);
}

static void
test_what_counts(void **state)
{
    (void)state;
    struct fixture f = with_approvals(1);
    struct policy_approval given = approval(&f, "hubot", 2), whole = given;
    f.facts.approvals = &given;
    f.facts.approval_count = 1;
    go(&f, 0);
    given.version = "v3";
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    given.version = NULL;
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    given = whole;
    given.diff = "v0..v2"; // another one was deployed in between
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    given.diff = NULL;
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    given = whole;
    given.at_ms = f.facts.now_ms - 4 * HOUR + 1;
    go(&f, 0);
    given.at_ms = f.facts.now_ms - 4 * HOUR;
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    given.at_ms = f.facts.now_ms + MINUTE;
    go(&f, 0);
    given.at_ms = f.facts.now_ms + MINUTE + 1;
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    given = whole;
    given.by.teams.count = 0;
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    given = whole;
    f.settings.approvals.valid_for_ms = 0; // not said is not forever
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    done(&f);
}

static void
test_rejections(void **state)
{
    (void)state;
    struct fixture f = with_approvals(1);
    struct policy_approval given[] = {approval(&f, "hubot", 2), approval(&f, "monalisa", 3)};
    f.facts.approvals = given;
    f.facts.approval_count = 2;
    given[1].rejected = true;
    gate(&f, POLICY_REFUSE, REASON_REJECTED);
    assert_string_equal(f.gate.sentence, "monalisa rejected it");
    given[1].note = "not on\nFridays";
    gate(&f, POLICY_REFUSE, REASON_REJECTED);
    assert_non_null(strstr(f.gate.sentence, "monalisa rejected it: not on"));
    assert_null(strchr(f.gate.sentence, '\n'));
    assert_string_equal(f.gate.who, "monalisa");
    given[1].diff = "v0..v2"; // it is the version that is rejected
    gate(&f, POLICY_REFUSE, REASON_REJECTED);
    given[1].version = "v1";
    go(&f, 0);
    given[1].version = "v2";
    given[1].by.teams.count = 0; // of nobody who may approve
    go(&f, 0);
    given[1] = approval(&f, "octocat", 1);
    given[1].rejected = true;
    go(&f, 0);
    done(&f);
}

static void
test_exempt(void **state)
{
    (void)state;
    struct fixture f = with_approvals(2);
    f.facts.verb = "rollback";
    f.facts.known_good = true;
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    f.settings.approvals.rollback_exempt = true;
    go(&f, 0);
    assert_int_equal(f.gate.approvals_needed, 0);
    f.facts.verb = "deploy";
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    f.facts.emergency = true;
    go(&f, 1);
    assert_string_equal(f.gate.warnings.items[0], "the emergency passes 2 approvals");
    done(&f);
}

// Locks, then windows, then freezes, then order, then approvals.
static void
test_order_of_gates(void **state)
{
    (void)state;
    struct fixture f = with_approvals(1);
    struct policy_lock locks[] = {{.scope = "organisation", .level = "freeze", .owner = "hubot"},
        {.scope = "organisation", .level = "lock", .owner = "hubot"}};
    struct setting_window window = {.deny = "Wed 00:00 - Thu 00:00", .tz = "UTC"};
    f.facts.locks = locks;
    f.facts.lock_count = 2;
    f.settings.windows = &window;
    f.settings.window_count = 1;
    f.settings.promote_from.environment = "staging";
    f.facts.ancestry = POLICY_ANCESTRY_OLDER;
    gate(&f, POLICY_WAIT, REASON_LOCKED);
    assert_int_equal(f.gate.approvals_needed, 1); // shown, whatever holds it
    f.facts.lock_count = 1;
    gate(&f, POLICY_WAIT, REASON_WINDOW);
    f.settings.window_count = 0;
    gate(&f, POLICY_WAIT, REASON_FROZEN);
    f.facts.lock_count = 0;
    gate(&f, POLICY_REFUSE, REASON_NOT_PROMOTED);
    f.facts.promoted_since_ms = 1;
    gate(&f, POLICY_REFUSE, REASON_STALE);
    f.facts.ancestry = POLICY_ANCESTRY_NEWER;
    gate(&f, POLICY_WAIT, REASON_APPROVAL);
    f.settings.approvals.count = 0;
    go(&f, 0);
    done(&f);
}

// --- what goes with it, whatever holds it --------------------------------------------------------

static void
warnings_are_known_before_it_begins(void **state)
{
    (void)state;
    struct fixture f = fresh();
    struct str_list found = {0};
    const struct policy_lock locks[] = {
        {.id = "l-1",
            .scope = "app",
            .level = "warning",
            .reason = "slow",
            .owner = "monalisa",
            .app = "shop",
            .expires_ms = at("2026-11-25T13:00:00Z")},
        {.id = "l-2",
            .scope = "app",
            .level = "warning",
            .reason = "over",
            .owner = "monalisa",
            .app = "shop",
            .expires_ms = at("2026-11-25T11:00:00Z")},
        {.id = "l-3",
            .scope = "app",
            .level = "warning",
            .reason = "other",
            .owner = "monalisa",
            .app = "till"},
        {.id = "l-4",
            .scope = "target",
            .level = "lock",
            .reason = "migration",
            .owner = "hubot",
            .app = "shop",
            .env = "production"},
    };
    policy_warnings(&f.settings, &f.facts, f.arena, &found);
    assert_int_equal(found.count, 0);
    f.facts.locks = locks;
    f.facts.lock_count = ARRAY_LENGTH(locks);
    policy_warnings(&f.settings, &f.facts, f.arena, &found); // the lock holds it all the while
    assert_int_equal(found.count, 1);
    assert_string_equal(
        found.items[0], "'shop' has a warning of monalisa until 2026-11-25T13:00:00Z: slow");
    // Services that are deployed, and nothing to look at afterwards.
    struct setting_service services[] = {{.key = "web", .deployable = true}, {.key = "docs"}};
    f.settings.services = services;
    f.settings.service_count = 2;
    f.settings.approvals.count = 2;
    f.facts.emergency = true;
    policy_warnings(&f.settings, &f.facts, f.arena, &found);
    assert_int_equal(found.count, 3);
    assert_string_equal(found.items[1], "the emergency passes 2 approvals");
    assert_string_equal(found.items[2],
        "the spec describes no target of 'shop' in 'production': nothing proves what runs there");
    services[0].has_target = true;
    policy_warnings(&f.settings, &f.facts, f.arena, &found);
    assert_int_equal(found.count, 2);
    arena_free(f.arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warnings_are_known_before_it_begins),
        cmocka_unit_test(test_nothing_holds),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_one_lock),
        cmocka_unit_test(test_every_reason_names_somebody),
        cmocka_unit_test(test_when_locks_hold),
        cmocka_unit_test(test_several_locks),
        cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_several_windows),
        cmocka_unit_test(test_unreadable_windows_hold),
        cmocka_unit_test(test_emergencies_and_windows),
        cmocka_unit_test(test_promotion),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_unknown_ancestry),
        cmocka_unit_test(test_known_good),
        cmocka_unit_test(test_who_may_approve),
        cmocka_unit_test(test_who_may_hurry),
        cmocka_unit_test(test_n_of_m),
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_rejections),
        cmocka_unit_test(test_exempt),
        cmocka_unit_test(test_order_of_gates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
