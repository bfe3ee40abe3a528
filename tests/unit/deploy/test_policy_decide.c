// Who may deploy what: every cell of repository × app × environment × event × ref × runner against
// a simple oracle of its own (protocols.md T01 to T03, T48, G14), then rule by rule.
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/policy.h"

static const char config[] =
    "version: 1\n"
    "environments: [development, staging, production]\n"
    "workflow: {repo: acme/infra}\n"
    "policy:\n"
    "  owners: [7, 8]\n"
    "  staging: {events: [push, workflow_dispatch, pull_request]}\n"
    "  production: {events: [push, workflow_dispatch, release], runner: github-hosted}\n";

#define HEAD(name) "name: " name "\nrepo: acme/" name "\nservices: {web: {}}\ndeploy:\n"

static const struct {
    const char *name, *text;
} specs[] = {
    {"shop",
        HEAD(
            "shop") "  repository_id: 42\n"
                    "  owner_id: 7\n"
                    "  environments:\n"
                    "    development: {allow: [{id: any, refs: [\"refs/heads/**\"]}]}\n"
                    "    staging:\n"
                    "      allow:\n"
                    "        - {id: main, refs: [refs/heads/main, \"refs/heads/release/*\"],\n"
                    "           events: [push, pull_request]}\n"
                    "    production:\n"
                    "      allow:\n"
                    "        - {id: tag, refs: [\"refs/tags/v*\"], events: [push, release]}\n"
                    "        - {id: hand, refs: [refs/heads/main], events: [workflow_dispatch]}\n"},
    {"pay", HEAD("pay") "  repository_id: 43\n"
                        "  owner_id: 7\n"
                        "  environments:\n"
                        "    development: {branch: main}\n"
                        "    staging: {branch: main}\n"
                        "    production: {allow: []}\n"},
    {"tools", HEAD("tools") "  repository_id: 44\n"
                            "  owner_id: 8\n"
                            "  mode: audit\n"
                            "  environments:\n"
                            "    development: {branch: main}\n"
                            "    production: {branch: main}\n"},
    {"unpinned", HEAD("unpinned") "  environments: {development: {branch: main}}\n"},
    {"half", HEAD("half") "  repository_id: 42\n"
                          "  environments: {development: {branch: main}}\n"},
};

static const char *const environments[] = {"development", "staging", "production"};

static const struct repository {
    const char *name;
    int64_t id, owner;
} repositories[] = {
    {"acme/shop", 42, 7},
    {"acme/renamed", 42, 7}, // the name is no key
    {"acme/shop", 99, 7},    // the name was taken by another
    {"evil/shop", 42, 66},   // moved to somebody else
    {"acme/pay", 43, 7},
    {"tools/tools", 44, 8},
    {"evil/evil", 666, 66},
    {"acme/zero", 0, 0},
};
static const char *const events[] = {"push", "workflow_dispatch", "release", "schedule",
    "pull_request", "pull_request_target", "issue_comment", "workflow_run", "repository_dispatch"};
static const char *const refs[] = {"refs/heads/main", "refs/heads/Main", "refs/heads/main2",
    "refs/heads/x/main", "refs/heads/release/1", "refs/heads/release/1/2", "refs/tags/v1.0",
    "refs/tags/w1", "refs/tags/x/v1", "refs/pull/1/merge", "main", "refs/heads/"};
static const char *const runners[] = {"github-hosted", "self-hosted", NULL};

// The oracle: what the specs above say, by regular expressions and by hand.
static const struct {
    const char *app, *env, *ref, *events, *runner;
} oracle[] = {
    {"shop", "development", "^refs/heads/.*$", "push workflow_dispatch", NULL},
    {"shop", "staging", "^refs/heads/(main|release/[^/]*)$", "push pull_request", NULL},
    {"shop", "production", "^refs/tags/v[^/]*$", "push release", "github-hosted"},
    {"shop", "production", "^refs/heads/main$", "workflow_dispatch", "github-hosted"},
    {"pay", "development", "^refs/heads/main$", "push workflow_dispatch", NULL},
    {"pay", "staging", "^refs/heads/main$", "push workflow_dispatch", NULL},
    // audit: whatever the organisation lets pass
    {"tools", "development", "^refs/(heads|tags)/",
        "push workflow_dispatch release schedule "
        "repository_dispatch",
        NULL},
    {"tools", "production", "^refs/(heads|tags)/", "push workflow_dispatch release",
        "github-hosted"},
};
enum { ROWS = ARRAY_LENGTH(oracle) };
static regex_t patterns[ROWS];

static bool
has_word(const char *words, const char *word)
{
    char *both = xasprintf(" %s ", words), *one = xasprintf(" %s ", word);
    bool found = strstr(both, one) != NULL;
    xfreep(&both);
    xfreep(&one);
    return found;
}

static bool
is_owner_of(const struct repository *repository, const char *app)
{
    return (strcmp(app, "shop") == 0 && repository->id == 42 && repository->owner == 7) ||
           (strcmp(app, "pay") == 0 && repository->id == 43 && repository->owner == 7) ||
           (strcmp(app, "tools") == 0 && repository->id == 44 && repository->owner == 8);
}

static bool
by_oracle(const struct policy_claims *claims, const char *app, const char *env)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(oracle[i].app, app) == 0 && strcmp(oracle[i].env, env) == 0 &&
            regexec(&patterns[i], claims->ref, 0, NULL, 0) == 0 &&
            has_word(oracle[i].events, claims->event) &&
            (oracle[i].runner == NULL || cstr_equal(oracle[i].runner, claims->runner))) {
            return true;
        }
    }
    return false;
}

static struct settings *
resolve_with(
    const char *with, const char *text, const char *name, const char *env, struct arena *arena)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct spec_document config_document = {"dispatcher.yaml", str_of(with)};
    struct spec_document document = {"appspecs/app.yaml", str_of(text)};
    struct settings *settings = NULL;
    settings_resolve(&config_document, &document, name, env, arena, diagnostics, &settings);
    struct buf said CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    diagnostics_print_text(diagnostics, false, &said);
    assert_string_equal(buf_cstr(&said), "");
    assert_non_null(settings);
    return settings;
}

static struct policy_claims
claims_of(const struct repository *repository)
{
    return (struct policy_claims){.repository = repository->name,
        .repository_owner = "acme",
        .repository_id = repository->id,
        .owner_id = repository->owner,
        .actor = "octocat",
        .ref = "refs/heads/main",
        .event = "push",
        .runner = "github-hosted"};
}

static size_t
try_cell(const struct policy_claims *claims, const struct settings *settings, bool owns)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct policy_verdict verdict = {0}, nobodys = {0};
    const char *app = settings != NULL ? settings->app : "nothing";
    bool expected = owns && by_oracle(claims, app, settings->env);
    policy_decide(claims, settings, NULL, arena, &verdict);
    if (verdict.allowed != expected) {
        fail_msg("%s (%lld) %s %s %s %s %s: %s", claims->repository,
            (long long)claims->repository_id, app, settings != NULL ? settings->env : "-",
            claims->event, claims->ref, claims->runner != NULL ? claims->runner : "-",
            verdict.sentence);
    }
    assert_int_equal(verdict.allowed, verdict.code == REASON_ALLOWED);
    assert_non_null(verdict.sentence);
    if (!owns) { // word for word what is said when there is no such app
        policy_decide(claims, NULL, NULL, arena, &nobodys);
        assert_int_equal(verdict.code, REASON_NOT_AUTHORIZED);
        assert_int_equal(nobodys.code, REASON_NOT_AUTHORIZED);
        assert_string_equal(verdict.sentence, nobodys.sentence);
        assert_null(verdict.who);
        assert_null(verdict.rule);
        assert_int_equal(verdict.failures.count + nobodys.failures.count, 0);
    }
    return 1;
}

static size_t
try_cells(const struct repository *repository, const struct settings *settings, bool owns)
{
    size_t cells = 0;
    struct policy_claims claims = claims_of(repository);
    for (size_t e = 0; e < ARRAY_LENGTH(events); e++) {
        for (size_t r = 0; r < ARRAY_LENGTH(refs); r++) {
            for (size_t n = 0; n < ARRAY_LENGTH(runners); n++) {
                claims.event = events[e];
                claims.ref = refs[r];
                claims.runner = runners[n];
                cells += try_cell(&claims, settings, owns);
            }
        }
    }
    return cells;
}

static void
test_every_cell(void **state)
{
    (void)state;
    size_t writes = 0, reads = 0;
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(regcomp(&patterns[i], oracle[i].ref, REG_EXTENDED | REG_NOSUB), 0);
    }
    for (size_t a = 0; a < ARRAY_LENGTH(specs); a++) {
        for (size_t v = 0; v < ARRAY_LENGTH(environments); v++) {
            struct arena *arena CLEANUP(arena_freep) = arena_new();
            struct settings *settings =
                resolve_with(config, specs[a].text, specs[a].name, environments[v], arena);
            for (size_t p = 0; p < ARRAY_LENGTH(repositories); p++) {
                bool owns = is_owner_of(&repositories[p], specs[a].name);
                struct policy_claims claims = claims_of(&repositories[p]);
                assert_int_equal(policy_may_read(&claims, settings), owns);
                assert_false(policy_may_read(&claims, NULL));
                writes += try_cells(&repositories[p], settings, owns);
                reads += 2;
            }
        }
    }
    for (size_t p = 0; p < ARRAY_LENGTH(repositories); p++) {
        writes += try_cells(&repositories[p], NULL, false);
    }
    for (size_t i = 0; i < ROWS; i++) {
        regfree(&patterns[i]);
    }
    print_message("%zu cells written, %zu read\n", writes, reads);
    assert_true(writes >= 40000);
}

// --- rule by rule --------------------------------------------------------------------------------

struct fixture {
    struct arena *arena;
    struct settings *settings;
    struct policy_claims claims;
    struct policy_actor actor;
    struct policy_verdict verdict;
};

static struct fixture
given(const char *with, const char *deploy)
{
    struct fixture f = {.arena = arena_new(), .claims = claims_of(&repositories[0])};
    const char *text =
        arena_printf(f.arena, HEAD("shop") "  repository_id: 42\n  owner_id: 7\n%s", deploy);
    f.settings = resolve_with(with, text, "shop", "production", f.arena);
    f.claims.workflow_ref = "acme/shop/.github/workflows/deploy.yaml@refs/heads/main";
    f.claims.job_workflow_ref = "acme/infra/.github/workflows/app.yaml@refs/tags/v1";
    return f;
}

static void
decide(struct fixture *f, enum reason_code code)
{
    policy_decide(&f->claims, f->settings, &f->actor, f->arena, &f->verdict);
    if (f->verdict.code != code) {
        fail_msg("%s: %s", reason_code_name(f->verdict.code), f->verdict.sentence);
    }
}

static void
assert_failure(const struct fixture *f, size_t count, const char *first)
{
    assert_int_equal(f->verdict.failures.count, count);
    assert_string_equal(count > 0 ? f->verdict.failures.items[0] : "", first);
}

#define PLAIN "version: 1\nworkflow: {repo: acme/infra}\n"
#define BRANCH "  environments: {production: {branch: main}}\n"

static void
test_words(void **state)
{
    (void)state;
    struct fixture f = given(PLAIN,
        "  environments:\n"
        "    production:\n"
        "      allow:\n"
        "        - {id: release, refs: [\"refs/tags/v*\"], events: [release]}\n"
        "        - {id: hand, refs: [refs/heads/main], events: [workflow_dispatch]}\n");
    decide(&f, REASON_EVENT); // of the rule that came closest
    assert_string_equal(
        f.verdict.sentence, "no rule of 'shop' allows event 'push' to deploy to 'production'");
    assert_string_equal(f.verdict.who, "whoever owns the spec of 'shop'");
    assert_null(f.verdict.rule);
    assert_int_equal(f.verdict.failures.count, 3);
    const char *const said[] = {"event 'push' is none of 'release' of rule 'release'",
        "ref 'refs/heads/main' matches none of 'refs/tags/v*' of rule 'release'",
        "event 'push' is none of 'workflow_dispatch' of rule 'hand'"};
    for (size_t i = 0; i < ARRAY_LENGTH(said); i++) {
        assert_true(strcmp(f.verdict.failures.items[0], said[i]) == 0 ||
                    strcmp(f.verdict.failures.items[1], said[i]) == 0 ||
                    strcmp(f.verdict.failures.items[2], said[i]) == 0);
    }
    f.claims.event = "workflow_dispatch";
    decide(&f, REASON_ALLOWED);
    assert_string_equal(f.verdict.rule, "hand");
    assert_string_equal(f.verdict.sentence, "rule 'hand' of 'shop' allows it");
    assert_int_equal(f.verdict.failures.count, 0);
    f.claims.ref = "refs/heads/\xc3\xa9\x1b[31m\xe2\x80\xaex";
    decide(&f, REASON_REF);
    assert_null(strchr(f.verdict.sentence, '\033'));
    assert_null(strstr(f.verdict.sentence, "\xe2\x80\xae"));
    arena_free(f.arena);
}

static void
test_identity(void **state)
{
    (void)state;
    struct fixture f = given(PLAIN "policy: {owners: [7]}\n", BRANCH);
    decide(&f, REASON_ALLOWED);
    f.settings->identity.owners.items[0] = "8"; // the list has changed since
    decide(&f, REASON_OWNER);
    assert_false(policy_may_read(&f.claims, f.settings));
    f.claims.owner_id = 8; // listed, and not the spec's
    decide(&f, REASON_NOT_AUTHORIZED);
    f.claims.owner_id = 7;
    f.settings->identity.owners.items[0] = "";
    decide(&f, REASON_OWNER);
    f.settings->identity.owners.count = 0; // nobody's, unless there is no list
    decide(&f, REASON_OWNER);
    f.settings->identity.has_owners = false;
    decide(&f, REASON_ALLOWED);
    f.settings->identity.owner_id = 0;
    decide(&f, REASON_NOT_AUTHORIZED);
    f.claims.owner_id = 0; // zero is nobody
    decide(&f, REASON_NOT_AUTHORIZED);
    arena_free(f.arena);
}

static void
test_disabled(void **state)
{
    (void)state;
    struct fixture f = given(PLAIN, BRANCH);
    f.settings->enabled = false;
    decide(&f, REASON_DISABLED);
    f.claims.repository_id = 1;
    decide(&f, REASON_NOT_AUTHORIZED); // strangers do not learn even that
    arena_free(f.arena);
}

static void
test_github_environment(void **state)
{
    (void)state;
    struct fixture f =
        given(PLAIN, "  environments: {production: {branch: main, github_environment: Prod}}\n");
    static const struct {
        const char *claim;
        enum reason_code code;
    } cases[] = {{"Prod", REASON_ALLOWED}, {"prod", REASON_ALLOWED}, {"PROD", REASON_ALLOWED},
        {NULL, REASON_GITHUB_ENVIRONMENT}, {"", REASON_GITHUB_ENVIRONMENT},
        {"production", REASON_GITHUB_ENVIRONMENT}, {"Prod ", REASON_GITHUB_ENVIRONMENT},
        {"Pro", REASON_GITHUB_ENVIRONMENT}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        f.claims.environment = cases[i].claim;
        decide(&f, cases[i].code);
    }
    assert_failure(&f, 1, "the job's environment 'Pro' is not 'Prod', which the spec asks for");
    arena_free(f.arena);
}

// Rule 7: split at the last '@'; the file exact; its ref by the same patterns.
static void
test_workflow(void **state)
{
    (void)state;
    struct fixture f = given(PLAIN, "  workflow: .github/workflows/deploy.yaml\n" BRANCH);
    static const struct {
        const char *claim;
        enum reason_code code;
    } cases[] = {
        {"acme/shop/.github/workflows/deploy.yaml@refs/heads/main", REASON_ALLOWED},
        {"acme/shop/.github/workflows/deploy.yaml@refs/heads/other", REASON_WORKFLOW},
        {"acme/shop/.github/workflows/other.yaml@refs/heads/main", REASON_WORKFLOW},
        {"acme/shop/.github/workflows/Deploy.yaml@refs/heads/main", REASON_WORKFLOW},
        {"acme/shop/.github/workflows/deploy.yaml", REASON_WORKFLOW},
        {"acme/shop/.github/workflows/deploy.yaml@", REASON_WORKFLOW},
        {"@refs/heads/main", REASON_WORKFLOW},
        {"", REASON_WORKFLOW},
        {NULL, REASON_WORKFLOW},
        {"evil/shop/.github/workflows/deploy.yaml@refs/heads/main", REASON_WORKFLOW},
        {"acme/shop/.github/workflows/deploy.yaml@x@refs/heads/main", REASON_WORKFLOW},
        {"acme/shop/.github/workflows/deploy.yaml@refs/heads/main@x", REASON_WORKFLOW},
        {"acme/shop/.github/workflows/deploy.yaml@0123456789012345678901234567890123456789",
            REASON_WORKFLOW},
        {"acme/shop/x/.github/workflows/deploy.yaml@refs/heads/main", REASON_WORKFLOW},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        f.claims.workflow_ref = cases[i].claim;
        decide(&f, cases[i].code);
    }
    f.claims.repository = "acme/renamed"; // the token is consistent, the spec's `repo` is no key
    f.claims.workflow_ref = "acme/renamed/.github/workflows/deploy.yaml@refs/heads/main";
    decide(&f, REASON_ALLOWED);
    arena_free(f.arena);
}

static void
test_via_workflow(void **state)
{
    (void)state;
    struct fixture f = given(PLAIN,
        "  via_workflow:\n"
        "    {ref_to: acme/infra/.github/workflows/app.yaml, refs: [\"refs/tags/v1*\"]}\n" BRANCH);
    static const struct {
        const char *claim;
        enum reason_code code;
    } cases[] = {
        {"acme/infra/.github/workflows/app.yaml@refs/tags/v1", REASON_ALLOWED},
        {"acme/infra/.github/workflows/app.yaml@refs/tags/v1.2", REASON_ALLOWED},
        {"acme/infra/.github/workflows/app.yaml@refs/tags/v2", REASON_VIA_WORKFLOW},
        {"acme/infra/.github/workflows/app.yaml@refs/heads/main", REASON_VIA_WORKFLOW},
        {"acme/infra/.github/workflows/app.yaml@refs/heads/x@refs/tags/v1", REASON_VIA_WORKFLOW},
        {"acme/infra/.github/workflows/other.yaml@refs/tags/v1", REASON_VIA_WORKFLOW},
        {"evil/infra/.github/workflows/app.yaml@refs/tags/v1", REASON_VIA_WORKFLOW},
        {"acme/infra/.github/workflows/app.yaml", REASON_VIA_WORKFLOW},
        {NULL, REASON_VIA_WORKFLOW},
        {"", REASON_VIA_WORKFLOW},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        f.claims.job_workflow_ref = cases[i].claim;
        decide(&f, cases[i].code);
    }
    f.claims.job_workflow_ref = cases[0].claim;
    f.settings->identity.via_refs.count = 0; // closed, not open
    decide(&f, REASON_VIA_WORKFLOW);
    arena_free(f.arena);
}

static void
test_actors(void **state)
{
    (void)state;
    static const char *teams[] = {"devops", "Deployers"};
    struct fixture f = given(PLAIN, "  environments:\n"
                                    "    production:\n"
                                    "      allow:\n"
                                    "        - {id: a, refs: [refs/heads/main],\n"
                                    "           actors: {teams: [deployers], deny_bots: true}}\n");
    assert_true(policy_needs_teams(f.settings));
    decide(&f, REASON_ACTOR);
    assert_failure(&f, 1, "the teams of actor 'octocat', which rule 'a' asks for, are not known");
    f.actor.teams = (struct str_list){teams, 2};
    decide(&f, REASON_ACTOR); // not known is not in
    f.actor.teams_known = true;
    decide(&f, REASON_ALLOWED);
    f.actor.teams.count = 1;
    decide(&f, REASON_ACTOR);
    assert_failure(&f, 1, "actor 'octocat' is in none of the teams 'deployers' of rule 'a'");
    f.actor.teams.count = 2;
    f.actor.is_bot = true;
    decide(&f, REASON_ACTOR);
    assert_failure(&f, 1, "actor 'octocat' is a bot, and rule 'a' denies bots");
    f.actor.is_bot = false;
    f.claims.actor = "renovate[bot]"; // by its name alone
    decide(&f, REASON_ACTOR);
    policy_decide(&f.claims, f.settings, NULL, f.arena, &f.verdict);
    assert_int_equal(f.verdict.code, REASON_ACTOR);
    arena_free(f.arena);
    f = given(PLAIN, BRANCH);
    assert_false(policy_needs_teams(f.settings));
    f.claims.actor = "renovate[bot]";
    decide(&f, REASON_ALLOWED);
    arena_free(f.arena);
}

static void
test_runner(void **state)
{
    (void)state;
    struct fixture f = given(PLAIN, BRANCH); // in production: GitHub's own, unless said
    f.claims.runner = "self-hosted";
    decide(&f, REASON_RUNNER);
    f.claims.runner = NULL;
    decide(&f, REASON_RUNNER);
    assert_failure(&f, 1, "runner 'not said' is not 'github-hosted', which rule 'branch' asks for");
    arena_free(f.arena);
}

static void
test_floor(void **state)
{
    (void)state;
    struct fixture f =
        given(PLAIN "policy: {production: {events: [push, pull_request], runner: github-hosted}}\n",
            BRANCH);
    decide(&f, REASON_ALLOWED);
    f.claims.event = "workflow_dispatch";
    decide(&f, REASON_FLOOR);
    assert_string_equal(f.verdict.who, "the owners of dispatcher.yaml");
    f.claims.event = "pull_request"; // the floor lists it, the rule does not
    decide(&f, REASON_EVENT);
    f.claims.event = "pull_request_target";
    decide(&f, REASON_EVENT);
    f.claims.event = "push";
    f.claims.runner = "self-hosted";
    decide(&f, REASON_FLOOR);
    arena_free(f.arena);
}

// `mode: audit` says what it would refuse, and lets pass the spec's own rules alone.
static void
test_audit(void **state)
{
    (void)state;
    struct fixture f = given(PLAIN "policy: {production: {runner: github-hosted}}\n",
        "  mode: audit\n"
        "  workflow: .github/workflows/other.yaml\n"
        "  environments: {production: {branch: main, github_environment: prod}}\n");
    decide(&f, REASON_ALLOWED);
    assert_true(f.verdict.allowed && f.verdict.audit_only);
    assert_null(f.verdict.rule);
    assert_string_equal(f.verdict.sentence,
        "'mode: audit' lets it pass; refused would be: the job's environment 'not said' is not "
        "'prod', which the spec asks for");
    assert_int_equal(f.verdict.failures.count, 2);
    f.claims.environment = "prod";
    f.settings->identity.workflow = NULL;
    decide(&f, REASON_ALLOWED);
    assert_false(f.verdict.audit_only);
    assert_string_equal(f.verdict.rule, "branch");
    f.claims.runner = "self-hosted";
    decide(&f, REASON_FLOOR);
    f.claims.runner = "github-hosted";
    f.claims.event = "issue_comment";
    decide(&f, REASON_EVENT);
    f.claims.event = "push";
    f.claims.ref = "refs/pull/1/merge";
    decide(&f, REASON_REF);
    f.claims.ref = "refs/heads/x";
    decide(&f, REASON_ALLOWED);
    assert_true(f.verdict.audit_only);
    f.settings->allow_count = 0;
    decide(&f, REASON_NO_RULE);
    f.claims.repository_id = 1;
    decide(&f, REASON_NOT_AUTHORIZED);
    arena_free(f.arena);
    f = given(PLAIN "policy: {production: {events: []}}\n", // a floor that lets nothing pass
        "  mode: audit\n"
        "  environments: {production: {branch: main}}\n");
    decide(&f, REASON_FLOOR);
    assert_string_equal(
        f.verdict.sentence, "the organisation lets no event deploy here");
    arena_free(f.arena);
}

static void
test_reason_codes(void **state)
{
    (void)state;
    // A COMMIT whose answer did not come may have been one.
    assert_non_null(strstr(reason_code_meaning(REASON_STORAGE), "not known whether"));
    for (int i = 0; i < REASON_COUNT; i++) {
        const char *name = reason_code_name((enum reason_code)i);
        assert_int_equal(reason_code_of(name), i);
        assert_true(strspn(name, "abcdefghijklmnopqrstuvwxyz-") == strlen(name));
        int http = reason_code_http((enum reason_code)i);
        assert_true(http == 200 || http == 202 || (http >= 400 && http <= 503));
        int exit_code = reason_code_exit((enum reason_code)i);
        assert_true(exit_code <= 13 || exit_code == 70);
        assert_non_null(reason_code_meaning((enum reason_code)i));
    }
    assert_int_equal(reason_code_of("no-such-code"), REASON_COUNT);
    assert_string_equal(reason_code_name(REASON_REF), "ref-not-allowed");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cell),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_disabled),
        cmocka_unit_test(test_github_environment),
        cmocka_unit_test(test_workflow),
        cmocka_unit_test(test_via_workflow),
        cmocka_unit_test(test_actors),
        cmocka_unit_test(test_runner),
        cmocka_unit_test(test_floor),
        cmocka_unit_test(test_audit),
        cmocka_unit_test(test_reason_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
