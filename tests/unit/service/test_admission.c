// A request for a deployment: who may, what is written down of it, and that it is written once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "ask_internal.h"
#include "dispatcher/json.h"
#include "service_world.h"

#define OTHER_HEX "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
#define SHA "1111111111111111111111111111111111111111"
#define OTHER_DIGEST "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define DIGEST "sha256:2222222222222222222222222222222222222222222222222222222222222222"

#define CONFIG                                                                                     \
    "version: 1\nspecs: appspecs\nenvironments: [staging, production]\n"                           \
    "aws: {region: us-east-1, account: \"012345678901\"}\n"                                        \
    "registry: \"{account}.dkr.ecr.{region}.amazonaws.com\"\n"                                     \
    "workflow: {repo: acme/infra, file: deploy.yaml, ref: main}\n"
#define SPEC(more)                                                                                 \
    "name: payments\nrepo: acme/payments\nservices:\n  web:\n    expose: 8080\n"                   \
    "deploy:\n  repository_id: 7\n  owner_id: 9919\n" more "  environments:\n"                     \
    "    staging:\n      queue: latest\n"                                                          \
    "      allow: [{id: main, refs: [refs/heads/main]}]\n"                                         \
    "    production:\n      allow: [{id: releases, refs: [refs/tags/v*]}]\n"                       \
    "      version: tag\n"                                                                         \
    "      emergency: {teams: [oncall]}\n"                                                         \
    "      rollback: {lock: true}\n"                                                               \
    "      promote_from: {environment: staging}\n"

struct world {
    struct service *service;
    struct arena *arena;
    char *specs;
};

static void
world_begin(struct world *world, const char *spec)
{
    world->service = world_new();
    world->arena = arena_new();
    world_write(world->service, "infra/dispatcher.yaml", CONFIG);
    world_write(world->service, "infra/appspecs/payments.yaml", spec);
    world->specs = temp_dir_path(world->service->directory, "infra");
    world->service->settings.specs = world->specs;
    world->service->settings.specs_every_ms = 3600 * 1000;
    assert_null(specs_start(world->service));
}

static void
world_end(struct world *world)
{
    specs_stop(world->service);
    world_freep(&world->service);
    arena_free(world->arena);
    free(world->specs);
}

static struct policy_claims
claims_of(const char *jti)
{
    return (struct policy_claims){
        .jti = jti,
        .subject = "repo:acme/payments:ref:refs/heads/main",
        .issued_s = 1795247280,
        .expires_s = 1795247580,
        .repository = "acme/payments",
        .repository_owner = "acme",
        .repository_id = 7,
        .owner_id = 9919,
        .ref = "refs/heads/main",
        .ref_type = "branch",
        .sha = SHA,
        .event = "push",
        .workflow_ref = "acme/payments/.github/workflows/deploy.yaml@refs/heads/main",
        .runner = "github-hosted",
        .actor = "octocat",
        .actor_id = 583231,
        .run_id = 4711,
        .run_attempt = 1,
        .check_run_id = 99,
        .token_hash = "aGFzaA==",
    };
}

static struct admission
deploy_by(const struct policy_claims *claims)
{
    return (struct admission){.verb = "deploy",
        .app = "payments",
        .env = "staging",
        .claims = claims,
        .request_id = "r-1",
        .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
}

static struct admitted
ask_for(struct world *world, const struct admission *admission)
{
    struct admitted out = {0};
    assert_null(admission_request(world->service, admission, world->arena, &out));
    return out;
}

static struct queue_job *
job_of(struct world *world, const char *id)
{
    struct queue_job *job = NULL;
    assert_null(queue_get(world->service->store, id, world->arena, &job));
    assert_non_null(job);
    return job;
}

static struct audit_entry
last_entry(struct world *world, size_t expected)
{
    struct audit_entry *entries = NULL;
    size_t count = 0;
    const struct audit_filter filter = {.kind = "decision"};
    assert_null(audit_list(world->service->store, &filter, world->arena, &entries, &count));
    assert_int_equal(count, expected);
    return entries[0];
}

static void
assert_refused(
    struct world *world, const struct admission *admission, enum reason_code code, const char *says)
{
    struct admitted out = ask_for(world, admission);
    assert_null(out.id);
    assert_false(out.verdict.allowed);
    if (out.verdict.code != code) {
        fail_msg("%s: %s", reason_code_name(out.verdict.code), out.verdict.sentence);
    }
    if (strstr(out.verdict.sentence, says) == NULL) {
        fail_msg("'%s' does not say '%s'", out.verdict.sentence, says);
    }
}

// --- jobs ----------------------------------------------------------------------------------------

// With 'queue: latest': who looks at the one that goes is told at once.
static void
who_is_superseded_is_woken(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    const struct policy_claims first = claims_of("j-1");
    struct policy_claims second = claims_of("j-2");
    second.run_id = first.run_id + 1;
    struct admission admission = deploy_by(&first);
    const char *old = ask_for(&world, &admission).id;
    assert_int_equal(atomic_load(&world.service->streams), 1);
    admission = deploy_by(&second);
    const char *new = ask_for(&world, &admission).id;
    assert_string_equal(job_of(&world, old)->superseded_by, new);
    assert_int_equal(atomic_load(&world.service->streams), 3); // the new one's, and the old one's
    world_end(&world);
}

static void
a_jobs_request_is_queued_with_its_facts(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    const struct policy_claims claims = claims_of("j-1");
    struct admission admission = deploy_by(&claims);
    struct pair digests[] = {{"web", DIGEST}};
    admission.digests = (struct pair_list){digests, 1};
    struct admitted out = ask_for(&world, &admission);
    assert_non_null(out.id);
    assert_false(out.again);
    assert_string_equal(out.verdict.rule, "main");
    const struct queue_job *job = job_of(&world, out.id);
    assert_string_equal(job->state, "queued");
    assert_string_equal(job->version, SHA);
    assert_string_equal(job->requester, "octocat");
    assert_string_equal(job->repository, "acme/payments");
    assert_int_equal(job->repository_id, 7);
    assert_string_equal(job->trace, "0af7651916cd43dd8448eb211c80319c");
    assert_true(job->latest);
    assert_false(job->urgent);
    struct ask ask = {0};
    assert_null(ask_read(job->request, world.arena, &ask));
    assert_string_equal(ask.sha, SHA);
    assert_string_equal(ask.ref, "refs/heads/main");
    assert_string_equal(ask.rule, "main");
    assert_string_equal(ask.digests.items[0].value, DIGEST);
    assert_string_equal(
        ask.run_url, "https://github.com/acme/payments/actions/runs/4711/attempts/1");
    assert_int_equal(ask.claims.owner_id, 9919);
    assert_string_equal(ask.claims.workflow_ref, claims.workflow_ref);
    assert_null(strstr(job->request, "j-1")); // nothing of the token itself
    const struct audit_entry entry = last_entry(&world, 1);
    assert_string_equal(entry.verdict, "allow");
    assert_string_equal(entry.deployment, out.id);
    assert_string_equal(entry.digest, DIGEST);
    assert_string_equal(entry.jti, "j-1");
    assert_string_equal(entry.token_hash, "aGFzaA==");
    assert_string_equal(entry.rule, "main");
    assert_int_equal(strlen(entry.spec_commit), 40);
    assert_int_equal(world.service->counters[METRIC_ACCEPTED], 1);
    world_end(&world);
}

static void
the_same_attempt_asks_once(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    struct policy_claims claims = claims_of("j-1");
    struct admission admission = deploy_by(&claims);
    struct admitted first = ask_for(&world, &admission);
    struct admitted again = ask_for(&world, &admission); // the same token, the same words
    assert_true(again.again);
    assert_string_equal(again.id, first.id);
    claims.jti = "j-2"; // the answer was lost, and the job asked for another token
    again = ask_for(&world, &admission);
    assert_true(again.again);
    assert_string_equal(again.id, first.id);
    (void)last_entry(&world, 1); // decided once
    assert_int_equal(world.service->counters[METRIC_ACCEPTED], 1);
    admission.version = "v2"; // what the key stands for is another request now
    claims.jti = "j-3";
    assert_refused(&world, &admission, REASON_IDEMPOTENCY, "another request");
    admission.version = NULL;
    claims.jti = "j-4";
    claims.run_attempt = 2; // run again by somebody
    assert_false(ask_for(&world, &admission).again);
    world_end(&world);
}

static void
a_token_is_good_for_one_request(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    struct policy_claims claims = claims_of("j-1");
    struct admission admission = deploy_by(&claims);
    assert_non_null(ask_for(&world, &admission).id);
    claims.check_run_id = 100; // another job's key, by the first one's token
    assert_refused(&world, &admission, REASON_TOKEN_REPLAYED, "used before");
    assert_string_equal(last_entry(&world, 2).code, "token-replayed");
    world_end(&world);
}

static void
a_key_that_was_given_goes_before_the_default(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    struct policy_claims claims = claims_of("j-1");
    struct admission admission = deploy_by(&claims);
    admission.idempotency = (struct queue_idempotency){.key = "mine", .hash = "h"};
    struct admitted first = ask_for(&world, &admission);
    claims.jti = "j-2";
    claims.run_id = 4712;
    assert_string_equal(ask_for(&world, &admission).id, first.id);
    // The same words of a job of another commit ask for something else.
    claims.sha = "b94a6a51fa2e4a5a8b0f3a1d4d0f1e2d3c4b5a69";
    claims.jti = "j-3";
    assert_refused(&world, &admission, REASON_IDEMPOTENCY, "another request");
    world_end(&world);
}

static void
read_specs_again(struct world *world, const char *spec)
{
    specs_stop(world->service);
    world_write(world->service, "infra/appspecs/payments.yaml", spec);
    assert_null(specs_start(world->service));
}

static void
a_retry_is_answered_whatever_the_spec_says_by_now(void **state)
{
    (void)state;
    static const char *const later[] = {SPEC("  enabled: false\n"), SPEC("  repository_id: x\n"),
        "name: payments\nrepo: acme/other\nservices:\n  web:\n    expose: 8080\n"
        "deploy:\n  repository_id: 8\n  owner_id: 9919\n"
        "  environments: {production: {version: tag}}\n"};
    struct world world = {0};
    world_begin(&world, SPEC(""));
    struct policy_claims claims = claims_of("j-1"), stranger = claims_of("j-9");
    struct admission admission = deploy_by(&claims);
    struct admitted first = ask_for(&world, &admission);
    assert_non_null(first.id);
    for (size_t i = 0; i < ARRAY_LENGTH(later); i++) {
        read_specs_again(&world, later[i]);
        // The same token, and a fresh one of the same attempt.
        static const char *const tokens[] = {"j-1", "j-2"};
        for (size_t j = 0; j < ARRAY_LENGTH(tokens); j++) {
            claims.jti = tokens[j];
            struct admitted again = ask_for(&world, &admission);
            assert_non_null(again.id);
            assert_string_equal(again.id, first.id);
            assert_true(again.again);
            assert_true(again.verdict.allowed);
        }
        (void)last_entry(&world, 1 + 2 * i); // and nothing is decided twice
        admission.version = "v2";
        assert_refused(&world, &admission, REASON_IDEMPOTENCY, "another request");
        admission.version = NULL;
        stranger.repository_id = 77; // whose key is another one
        admission.claims = &stranger;
        assert_false(ask_for(&world, &admission).again);
        admission.claims = &claims;
    }
    world_end(&world);
}

static void
a_retry_is_answered_when_the_lane_is_full_and_without_specs(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    world.service->settings.queue_limit = 1;
    struct policy_claims claims = claims_of("j-1");
    claims.ref = "refs/tags/v1";
    claims.ref_type = "tag";
    struct admission admission = deploy_by(&claims);
    admission.env = "production"; // which keeps all that wait
    struct admitted first = ask_for(&world, &admission);
    assert_non_null(first.id);
    claims.jti = "j-2";
    assert_string_equal(ask_for(&world, &admission).id, first.id);
    specs_stop(world.service);
    world_write(world.service, "infra/dispatcher.yaml", "version: 1\nenvironments: [");
    assert_null(specs_start(world.service));
    struct admitted again = ask_for(&world, &admission);
    assert_non_null(again.id);
    assert_string_equal(again.id, first.id);
    claims.jti = "j-3";
    claims.run_attempt = 2;
    assert_refused(&world, &admission, REASON_SPECS_UNAVAILABLE, "");
    // The token that made it is spent, whatever else would be said.
    claims.jti = "j-1";
    assert_refused(&world, &admission, REASON_TOKEN_REPLAYED, "used before");
    world_end(&world);
}

static void
a_refusal_is_written_down(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    struct policy_claims claims = claims_of("j-1");
    claims.ref = "refs/heads/feature";
    struct admission admission = deploy_by(&claims);
    assert_refused(&world, &admission, REASON_REF, "refs/heads/feature");
    struct audit_entry entry = last_entry(&world, 1);
    assert_string_equal(entry.verdict, "deny");
    assert_string_equal(entry.code, "ref-not-allowed");
    assert_string_equal(entry.app, "payments");
    assert_null(entry.deployment);
    assert_non_null(strstr(entry.detail, "\"failures\""));
    claims = claims_of("j-2");
    claims.repository_id = 8; // somebody else's
    assert_refused(&world, &admission, REASON_NOT_AUTHORIZED, "no such app, or it is not that");
    admission.app = "nobody";
    assert_refused(&world, &admission, REASON_NOT_AUTHORIZED, "no such app, or it is not that");
    assert_string_equal(last_entry(&world, 3).code, "not-authorized");
    assert_int_equal(world.service->counters[METRIC_DENIED], 3);
    world_end(&world);
}

static void
an_unknown_environment_is_named_to_its_own_repository_only(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    struct policy_claims claims = claims_of("j-1");
    struct admission admission = deploy_by(&claims);
    admission.env = "nowhere";
    assert_refused(&world, &admission, REASON_ENVIRONMENT, "no environment 'nowhere'");
    claims.repository_id = 8;
    assert_refused(&world, &admission, REASON_NOT_AUTHORIZED, "no such app");
    world_end(&world);
}

static void
hostile_words_are_refused_before_anything_else(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *app, *env, *version, *from, *says;
    } cases[] = {
        {"rollout", "payments", "staging", NULL, NULL, "verb is one of"},
        {"deploy", "../payments", "staging", NULL, NULL, "app and env are names"},
        {"deploy", "payments", "Staging", NULL, NULL, "app and env are names"},
        {"deploy", NULL, "staging", NULL, NULL, "app and env are names"},
        {"deploy", "payments", "staging", "a b", NULL, "cannot be an image tag"},
        {"promote", "payments", "production", NULL, NULL, "comes from"},
        {"promote", "payments", "production", NULL, "production", "another environment"},
        {"rollback", "payments", "staging", "v1", NULL, "a rollback needs a reason"},
    };
    struct world world = {0};
    world_begin(&world, SPEC(""));
    const struct policy_claims claims = claims_of("j-1");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct admission admission = deploy_by(&claims);
        admission.verb = cases[i].verb;
        admission.app = cases[i].app;
        admission.env = cases[i].env;
        admission.version = cases[i].version;
        admission.from = cases[i].from;
        assert_refused(&world, &admission, REASON_REQUEST, cases[i].says);
    }
    struct admission admission = deploy_by(&claims);
    struct pair digests[] = {{"web", "sha256:zz"}};
    admission.digests = (struct pair_list){digests, 1};
    assert_refused(&world, &admission, REASON_REQUEST, "is no digest");
    const struct audit_entry entry = last_entry(&world, ARRAY_LENGTH(cases) + 1);
    assert_string_equal(entry.code, "bad-request");
    assert_null(entry.digest); // nothing that a caller made up
    world_end(&world);
}

static void
a_tag_is_the_version_where_the_spec_says_so(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    struct policy_claims claims = claims_of("j-1");
    claims.ref = "refs/tags/v1.4.2";
    claims.ref_type = "tag";
    struct admission admission = deploy_by(&claims);
    admission.env = "production";
    struct admitted out = ask_for(&world, &admission);
    assert_non_null(out.id);
    assert_string_equal(job_of(&world, out.id)->version, "v1.4.2");
    world_end(&world);
}

static void
an_invalid_spec_denies(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC("  replica: 3\n"));
    const struct policy_claims claims = claims_of("j-1");
    const struct policy_person person = {.login = "hubot", .id = 2};
    struct admission admission = deploy_by(&claims);
    assert_refused(&world, &admission, REASON_NOT_AUTHORIZED, "no such app, or it is not that");
    assert_non_null(strstr(last_entry(&world, 1).detail, "replica"));
    admission.claims = NULL;
    admission.person = &person; // of the organisation: may know why
    admission.version = "v1";
    assert_refused(&world, &admission, REASON_SPEC_INVALID, "replica");
    world_end(&world);
}

static void
without_specs_nothing_is_allowed(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    world.service->settings.specs_max_age_ms = 1;
    error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 20, NULL));
    const struct policy_claims claims = claims_of("j-1");
    const struct admission admission = deploy_by(&claims);
    assert_refused(&world, &admission, REASON_SPECS_UNAVAILABLE, "for too long");
    assert_string_equal(last_entry(&world, 1).code, "specs-unavailable");
    world_end(&world);
}

static void
audit_mode_lets_pass_and_says_so(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC("  mode: audit\n"));
    struct policy_claims claims = claims_of("j-1");
    claims.ref = "refs/heads/feature";
    const struct admission admission = deploy_by(&claims);
    struct admitted out = ask_for(&world, &admission);
    assert_non_null(out.id);
    assert_true(out.verdict.audit_only);
    const struct audit_entry entry = last_entry(&world, 1);
    assert_string_equal(entry.verdict, "allow");
    assert_non_null(strstr(entry.detail, "\"audit_only\":true"));
    // Whoever asked hears it, too, for as long as the deployment is shown.
    struct ask ask = {0};
    assert_null(ask_read(job_of(&world, out.id)->request, world.arena, &ask));
    assert_int_equal(ask.warnings.count, 1);
    assert_non_null(strstr(ask.warnings.items[0], "'mode: audit' lets it pass"));
    assert_non_null(strstr(ask.warnings.items[0], "refs/heads/feature"));
    assert_string_equal(out.warnings.items[0], ask.warnings.items[0]);
    world_end(&world);
}

static void
a_full_lane_takes_no_more(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    world.service->settings.queue_limit = 2;
    struct policy_claims claims = claims_of("j");
    struct admission admission = deploy_by(&claims);
    admission.env = "production";
    claims.ref = "refs/tags/v1";
    for (int i = 0; i < 2; i++) {
        claims.jti = arena_printf(world.arena, "j-%d", i);
        claims.check_run_id = i;
        assert_non_null(ask_for(&world, &admission).id);
    }
    claims.jti = "j-9";
    claims.check_run_id = 9;
    assert_refused(&world, &admission, REASON_QUEUE_FULL, "too many deployments");
    assert_string_equal(last_entry(&world, 3).code, "queue-full");
    admission.verb = "rollback"; // what takes it back finds room
    admission.reason = "checkout is down";
    for (int i = 0; i < 2; i++) {
        claims.jti = arena_printf(world.arena, "j-back-%d", i);
        claims.check_run_id = 10 + i;
        assert_non_null(ask_for(&world, &admission).id);
    }
    claims.jti = "j-back-9";
    claims.check_run_id = 19;
    assert_refused(&world, &admission, REASON_QUEUE_FULL, "too many deployments");
    world_end(&world);
}

// --- the emergency path --------------------------------------------------------------------------

static void
an_emergency_needs_a_reason_and_somebody_who_may(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    const char *oncall[] = {"oncall"};
    struct policy_claims claims = claims_of("j-1");
    claims.ref = "refs/tags/v1";
    struct admission admission = deploy_by(&claims);
    admission.env = "production";
    admission.emergency = true;
    assert_refused(&world, &admission, REASON_REQUEST, "an emergency needs a reason");
    admission.reason = "checkout is down";
    const struct policy_verdict refused = ask_for(&world, &admission).verdict;
    assert_int_equal(refused.code, REASON_NOT_ALLOWED);
    assert_non_null(strstr(refused.sentence, "'octocat' may not use the emergency"));
    assert_string_equal(refused.who, "members of oncall");
    world.service->teams = (struct str_list){oncall, 1};
    struct admitted out = ask_for(&world, &admission);
    assert_non_null(out.id);
    const struct queue_job *job = job_of(&world, out.id);
    assert_true(job->emergency);
    assert_true(job->urgent); // else what waits for a freeze to end would hold it as well
    assert_non_null(strstr(last_entry(&world, 3).detail, "checkout is down"));
    assert_int_equal(world.service->asked_teams, 2);
    world_end(&world);
}

static void
teams_are_asked_for_only_when_a_rule_needs_them(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    const struct policy_claims claims = claims_of("j-1");
    const struct admission admission = deploy_by(&claims);
    assert_non_null(ask_for(&world, &admission).id);
    assert_int_equal(world.service->asked_teams, 0);
    world_end(&world);
}

static void
of_a_stranger_nothing_is_asked(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    struct policy_claims claims = claims_of("j-1");
    claims.repository_id++;
    claims.repository = "mallory/payments";
    struct admission admission = deploy_by(&claims);
    admission.emergency = true;
    admission.reason = "let me see who is there";
    assert_refused(&world, &admission, REASON_NOT_AUTHORIZED, "");
    assert_int_equal(world.service->asked_teams, 0);
    assert_string_equal(last_entry(&world, 1).code, "not-authorized");
    // Beyond what the log takes of strangers they are refused all the same.
    world.service->strangers_are_many = true;
    assert_refused(&world, &admission, REASON_NOT_AUTHORIZED, "");
    (void)last_entry(&world, 1);
    claims.repository_id--;
    claims.ref = "refs/heads/x"; // its own job is no stranger
    admission.emergency = false;
    assert_false(ask_for(&world, &admission).verdict.allowed);
    (void)last_entry(&world, 2);
    world_end(&world);
}

// --- people --------------------------------------------------------------------------------------

static const struct policy_person hubot = {.login = "hubot", .id = 2};

static void
put_release(struct world *world, const char *env, const char *version)
{
    const struct queue_release release = {.app = "payments",
        .env = env,
        .version = version,
        .digests = "{\"web\":\"" DIGEST "\"}",
        .sha = SHA,
        .deployment = arena_printf(world->arena, "d-%s", version),
        .since_ms = 1000 * (version[1] - '0')};
    assert_null(queue_release_add(world->service->store, &release));
}

static void
a_person_brings_nothing_new(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    struct admission admission = {
        .verb = "deploy", .app = "payments", .env = "production", .person = &hubot};
    assert_refused(&world, &admission, REASON_REQUEST, "which version");
    admission.version = "v7";
    assert_refused(&world, &admission, REASON_NOT_ALLOWED, "only a job of its repository");
    put_release(&world, "staging", "v7");
    // Neither an image that was put under the version since, nor one of a service that it had not.
    static struct pair images[] = {{"web", "sha256:" OTHER_HEX}, {"worker", DIGEST}};
    for (size_t i = 0; i < ARRAY_LENGTH(images); i++) {
        admission.digests = (struct pair_list){&images[i], 1};
        assert_refused(
            &world, &admission, REASON_OTHER_DIGEST, " in version 'v7' ran in 'staging' as ");
    }
    static struct pair same = {"web", DIGEST};
    admission.digests = (struct pair_list){&same, 1};
    struct admitted out = ask_for(&world, &admission);
    assert_non_null(out.id);
    struct ask ask = {0};
    const struct queue_job *job = job_of(&world, out.id);
    assert_null(ask_read(job->request, world.arena, &ask));
    assert_string_equal(ask.sha, SHA); // the commit that a token has proven
    assert_string_equal(ask.digests.items[0].value, DIGEST);
    assert_string_equal(ask.promoted, "d-v7");
    assert_string_equal(ask.from, "staging"); // its image is brought along from there
    assert_string_equal(ask.repository, "acme/payments");
    assert_string_equal(ask_requester(&ask), "hubot");
    assert_int_equal(job->repository_id, 7);
    world_end(&world);
}

static void
a_promotion_takes_what_is_there(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    struct admission admission = {.verb = "promote",
        .app = "payments",
        .env = "production",
        .from = "staging",
        .person = &hubot};
    assert_refused(
        &world, &admission, REASON_NOT_PROMOTED, "nothing of 'payments' is in 'staging'");
    put_release(&world, "staging", "v7");
    put_release(&world, "staging", "v8");
    struct admitted out = ask_for(&world, &admission);
    assert_string_equal(job_of(&world, out.id)->version, "v8");
    assert_string_equal(job_of(&world, out.id)->verb, "promote");
    admission.version = "v7";
    assert_string_equal(job_of(&world, ask_for(&world, &admission).id)->version, "v7");
    admission.version = "v9";
    assert_refused(&world, &admission, REASON_NOT_PROMOTED, "was never in 'staging'");
    world_end(&world);
}

// Images are copied by the digests of the release: whoever asks cannot have another one copied.
static void
the_images_are_those_that_ran(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    struct pair digests[] = {{"web", OTHER_DIGEST}};
    const struct policy_claims claims = claims_of("j-1");
    struct admission admission = {.verb = "promote",
        .app = "payments",
        .env = "production",
        .from = "staging",
        .digests = {digests, 1},
        .person = &hubot};
    put_release(&world, "staging", "v7");
    assert_refused(&world, &admission, REASON_OTHER_DIGEST,
        "the image of 'web' in version 'v7' ran in 'staging' as " DIGEST);
    digests[0].key = "worker";
    assert_refused(&world, &admission, REASON_OTHER_DIGEST,
        "the image of 'worker' in version 'v7' ran in 'staging' as nothing that is known");
    digests[0] = (struct pair){"web", DIGEST};
    struct ask ask = {0};
    assert_null(
        ask_read(job_of(&world, ask_for(&world, &admission).id)->request, world.arena, &ask));
    assert_string_equal(ask.from, "staging");
    assert_string_equal(ask.digests.items[0].value, DIGEST);
    // A job brings what it pushed itself: nothing is taken from elsewhere, whatever it writes.
    admission = deploy_by(&claims);
    admission.from = "production";
    assert_null(
        ask_read(job_of(&world, ask_for(&world, &admission).id)->request, world.arena, &ask));
    assert_null(ask.from);
    world_end(&world);
}

static void
a_rollback_goes_first_in_its_lane(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    const struct admission admission = {.verb = "rollback",
        .app = "payments",
        .env = "production",
        .to = "v6",
        .reason = "checkout is slow",
        .person = &hubot};
    struct admitted out = ask_for(&world, &admission);
    const struct queue_job *job = job_of(&world, out.id);
    struct ask ask = {0};
    assert_true(job->urgent);
    assert_string_equal(job->version, "v6");
    assert_null(ask_read(job->request, world.arena, &ask));
    assert_string_equal(ask.to, "v6");
    assert_string_equal(ask.reason, "checkout is slow");
    assert_true(ask.rollback_lock);
    world_end(&world);
}

static void
a_persons_key_is_their_own(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    put_release(&world, "staging", "v7");
    const struct policy_person other = {.login = "octocat", .id = 1};
    struct admission admission = {.verb = "promote",
        .app = "payments",
        .env = "production",
        .from = "staging",
        .person = &hubot,
        .idempotency = {.key = "k"}};
    struct admitted first = ask_for(&world, &admission);
    assert_string_equal(ask_for(&world, &admission).id, first.id);
    admission.person = &other;
    assert_string_not_equal(ask_for(&world, &admission).id, first.id);
    world_end(&world);
}

static void
a_promotion_asked_with_a_used_key_is_another_request(void **state)
{
    (void)state;
    struct world world = {0};
    world_begin(&world, SPEC(""));
    put_release(&world, "staging", "v7");
    struct admission admission = {.verb = "promote",
        .app = "payments",
        .env = "production",
        .from = "staging",
        .version = "v7",
        .person = &hubot,
        .idempotency = {.key = "k"}};
    struct admitted first = ask_for(&world, &admission);
    assert_non_null(first.id);
    admission.env = "staging"; // another request, which could not be accepted anyway
    admission.from = "production";
    assert_refused(&world, &admission, REASON_IDEMPOTENCY, "another request");
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jobs_request_is_queued_with_its_facts),
        cmocka_unit_test(who_is_superseded_is_woken),
        cmocka_unit_test(the_same_attempt_asks_once),
        cmocka_unit_test(a_token_is_good_for_one_request),
        cmocka_unit_test(a_key_that_was_given_goes_before_the_default),
        cmocka_unit_test(a_retry_is_answered_whatever_the_spec_says_by_now),
        cmocka_unit_test(a_retry_is_answered_when_the_lane_is_full_and_without_specs),
        cmocka_unit_test(a_promotion_asked_with_a_used_key_is_another_request),
        cmocka_unit_test(a_refusal_is_written_down),
        cmocka_unit_test(an_unknown_environment_is_named_to_its_own_repository_only),
        cmocka_unit_test(hostile_words_are_refused_before_anything_else),
        cmocka_unit_test(a_tag_is_the_version_where_the_spec_says_so),
        cmocka_unit_test(an_invalid_spec_denies),
        cmocka_unit_test(without_specs_nothing_is_allowed),
        cmocka_unit_test(audit_mode_lets_pass_and_says_so),
        cmocka_unit_test(a_full_lane_takes_no_more),
        cmocka_unit_test(an_emergency_needs_a_reason_and_somebody_who_may),
        cmocka_unit_test(teams_are_asked_for_only_when_a_rule_needs_them),
        cmocka_unit_test(of_a_stranger_nothing_is_asked),
        cmocka_unit_test(a_person_brings_nothing_new),
        cmocka_unit_test(a_promotion_takes_what_is_there),
        cmocka_unit_test(the_images_are_those_that_ran),
        cmocka_unit_test(a_rollback_goes_first_in_its_lane),
        cmocka_unit_test(a_persons_key_is_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
