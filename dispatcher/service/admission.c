// A request for a deployment: may it ever be, by the spec set of this moment, and then the queue.
// Whether it may be *now* is begin.c's question. Every decision, allow and deny (of strangers so
// many a minute: auth.c), goes into the audit log in the same commit as what follows from it. Looks
// at no token and asks GitHub nothing itself; for teams people.c does.
//
// Who may: a job, what the spec's rules allow its repository. A person of the organisation (the API
// has checked that) may roll back and promote any app, and deploy again what was deployed before in
// one of its environments: bringing something new is for the app's own jobs, whose commit a token
// proves. Locks, windows, promotion order and approvals hold for all of them alike. The emergency
// path needs a reason, and a person, or a job's actor, who is in one of the spec's emergency teams.
#include "admission_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"

enum {
    REASON_MAX = 1000, // bytes of a reason that a person gave
    DIGESTS_MAX = 64,
    WHO_MAX = 8 * 1024,
    QUEUE_LIMIT = 100,             // where the settings do not say
    JTI_LEEWAY_MS = 2 * 60 * 1000, // more than tokens have, for clocks of replicas that differ
    ID_BYTES = 8,
    TRACE_BYTES = 16,
};

void
admission_refuse(struct admitting *a, enum reason_code code, const char *sentence, const char *who)
{
    a->out->verdict.allowed = false;
    a->out->verdict.code = code;
    a->out->verdict.sentence = sentence;
    a->out->verdict.who = who;
}

static bool
is_verb(const struct admitting *a, const char *verb)
{
    return cstr_equal(a->ask.verb, verb);
}

// --- the request itself --------------------------------------------------------------------------

static const char *
bad_digests(const struct admitting *a)
{
    const struct pair_list *digests = &a->given->digests;
    if (digests->count > DIGESTS_MAX) {
        return "it names more digests than an app can have services";
    }
    for (size_t i = 0; i < digests->count; i++) {
        const struct pair *one = &digests->items[i];
        if (!name_is_valid(str_of(one->key)) || !digest_is_valid(str_of(one->value))) {
            return arena_printf(a->arena, "'%.80s' of digests is no digest of a service", one->key);
        }
    }
    return NULL;
}

static const char *
bad_reason(const struct admitting *a)
{
    const char *reason = a->given->reason;
    bool needed = a->given->emergency || is_verb(a, "rollback");
    if (needed && str_trim(str_of(reason)).len == 0) {
        return a->given->emergency ? "an emergency needs a reason" : "a rollback needs a reason";
    }
    return reason != NULL && (strlen(reason) > REASON_MAX || !str_is_utf8(str_of(reason)))
               ? "the reason is longer than it may be, or no text"
               : NULL;
}

static const char *
bad_words(const struct admitting *a)
{
    const struct admission *given = a->given;
    if (!is_verb(a, "deploy") && !is_verb(a, "rollback") && !is_verb(a, "promote")) {
        return "verb is one of deploy, rollback, promote";
    }
    if (!name_is_valid(str_of(given->app)) || !name_is_valid(str_of(given->env))) {
        return "app and env are names: small letters, digits and '-'";
    }
    if (given->version != NULL && !tag_is_valid(str_of(given->version))) {
        return "the version cannot be an image tag";
    }
    if (given->to != NULL && !tag_is_valid(str_of(given->to))) {
        return "'to' cannot be an image tag";
    }
    if (is_verb(a, "promote") && !name_is_valid(str_of(given->from))) {
        return "a promotion names the environment that it comes from";
    }
    return is_verb(a, "promote") && cstr_equal(given->from, given->env)
               ? "a promotion leads to another environment than it comes from"
               : NULL;
}

static bool
check_words(struct admitting *a)
{
    const char *bad = bad_words(a);
    bad = bad == NULL ? bad_reason(a) : bad;
    bad = bad == NULL ? bad_digests(a) : bad;
    if (bad != NULL) {
        admission_refuse(a, REASON_REQUEST, bad, NULL);
    }
    return bad == NULL;
}

// --- may it ever ---------------------------------------------------------------------------------

// False: GitHub would have to be asked, and is asked about too many already.
static bool
actor_of(struct admitting *a, struct policy_actor *out)
{
    const char *login = a->given->claims->actor;
    *out = (struct policy_actor){.is_bot = str_ends(str_of(login), STR("[bot]"))};
    bool asked = policy_needs_teams(a->settings) || a->given->emergency;
    if (login == NULL || out->is_bot || !asked) {
        return true;
    }
    return people_teams_now(a->service, login, a->arena, out);
}

static void
refuse_emergency(struct admitting *a, const char *login)
{
    const struct str_list *teams = &a->settings->emergency_teams;
    struct buf who CLEANUP(buf_done) = BUF_INIT(WHO_MAX);
    buf_puts(&who, teams->count > 0 ? "members of " : "whoever owns the spec");
    for (size_t i = 0; i < teams->count; i++) {
        buf_printf(&who, "%s%s", i > 0 ? " or " : "", teams->items[i]);
    }
    admission_refuse(a, REASON_NOT_ALLOWED,
        arena_printf(a->arena, "'%s' may not use the emergency path of '%s' in '%s'",
            login != NULL ? login : "", a->ask.app, a->ask.env),
        who.failed ? NULL : arena_dup(a->arena, buf_cstr(&who)));
}

static void
decide_job(struct admitting *a)
{
    struct policy_actor actor = {0};
    struct policy_verdict *verdict = &a->out->verdict;
    // Of a stranger nothing is asked: it would cost GitHub's patience, and time that tells.
    bool known = a->settings != NULL && policy_may_read(a->given->claims, a->settings);
    if (known && !actor_of(a, &actor)) {
        admission_refuse(a, REASON_PEOPLE_UNAVAILABLE, PEOPLE_TOO_MANY, NULL);
        return;
    }
    policy_decide(a->given->claims, a->settings, &actor, a->arena, verdict);
    const struct policy_person person = {
        a->given->claims->actor, a->given->claims->actor_id, actor.teams};
    if (verdict->allowed && a->given->emergency && !policy_may_hurry(a->settings, &person)) {
        refuse_emergency(a, person.login);
    }
}

static void
decide_person(struct admitting *a)
{
    const struct policy_person *person = a->given->person;
    if (a->settings == NULL) {
        bool broken = a->problem != NULL;
        admission_refuse(a, broken ? REASON_SPEC_INVALID : REASON_NOT_FOUND,
            broken ? arena_printf(
                         a->arena, "the spec of '%s' cannot be used: %s", a->ask.app, a->problem)
                   : arena_printf(a->arena, "there is no app '%s' in '%s'", a->ask.app, a->ask.env),
            NULL);
    } else if (!a->settings->enabled) {
        admission_refuse(a, REASON_DISABLED,
            arena_printf(a->arena, "the spec of '%s' says 'enabled: false'", a->ask.app), NULL);
    } else if (a->given->emergency && !policy_may_hurry(a->settings, person)) {
        refuse_emergency(a, person->login);
    } else {
        a->out->verdict =
            (struct policy_verdict){.allowed = true, .code = REASON_ALLOWED, .sentence = "allowed"};
    }
}

// An environment that does not exist is said to be unknown only to whom the app belongs.
static void
name_environment(struct admitting *a, const struct spec_set *set)
{
    const struct str_list *all = spec_set_environments(set);
    const char *problem = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const struct settings *other = spec_set_settings(set, a->ask.app, all->items[i], &problem);
        bool theirs =
            other != NULL && (a->given->person != NULL || policy_may_read(a->given->claims, other));
        if (theirs) {
            admission_refuse(a, REASON_ENVIRONMENT,
                arena_printf(
                    a->arena, "there is no environment '%s' for '%s'", a->ask.env, a->ask.app),
                NULL);
            return;
        }
    }
}

static void
decide(struct admitting *a)
{
    const char *why = NULL;
    const struct spec_set *set = specs_hold(a->service, &why);
    if (set == NULL) {
        admission_refuse(a, REASON_SPECS_UNAVAILABLE, arena_dup(a->arena, why), NULL);
        return;
    }
    a->set = set; // released with `a`: the settings are the set's
    a->ask.specs = arena_dup(a->arena, spec_set_commit(set));
    a->settings = spec_set_settings(set, a->ask.app, a->ask.env, &a->problem);
    if (a->given->claims != NULL) {
        decide_job(a);
    } else {
        decide_person(a);
    }
    if (a->settings == NULL && a->problem == NULL) {
        name_environment(a, set);
    }
}

// --- what is asked, as the queue keeps it --------------------------------------------------------

const char *
admission_version(
    const struct policy_claims *claims, const struct settings *settings, struct arena *arena)
{
    struct str ref = str_of(claims->ref), tags = STR("refs/tags/");
    if (!cstr_equal(settings->version_from, "tag")) {
        return claims->sha;
    }
    return str_starts(ref, tags) ? arena_str(arena, str_skip(ref, tags.len)) : NULL;
}

static void
choose_version(struct admitting *a)
{
    if (is_verb(a, "rollback")) {
        a->ask.to = a->given->to != NULL ? a->given->to : a->given->version;
        a->ask.version = a->ask.to;
        return;
    }
    if (a->ask.version == NULL && is_verb(a, "deploy") && a->given->claims != NULL) {
        a->ask.version = admission_version(a->given->claims, a->settings, a->arena);
    }
    if (is_verb(a, "deploy") && !tag_is_valid(str_of(a->ask.version))) {
        admission_refuse(a, REASON_REQUEST,
            a->given->claims != NULL
                ? "it is not said which version: the spec wants a tag, and the job runs for none"
                : "it is not said which version",
            NULL);
    }
}

// "https://github.com/acme/payments/actions/runs/7/attempts/1" of the token's issuer's GitHub.
static const char *
run_url_of(struct admitting *a, const struct policy_claims *claims)
{
    const char *api = a->settings->github_api;
    const char *web = "https://github.com";
    struct str text = str_of(api), tail = STR("/api/v3");
    if (str_ends(text, tail)) {
        web = arena_str(a->arena, (struct str){text.ptr, text.len - tail.len});
    } else if (api != NULL && !str_starts(text, STR("https://api."))) {
        web = api;
    }
    return arena_printf(a->arena, "%s/%s/actions/runs/%lld/attempts/%lld", web, claims->repository,
        (long long)claims->run_id, (long long)claims->run_attempt);
}

// `mode: audit`: what would have been refused, were it enforced, is for whoever asked, too.
static void
note_audit_only(struct admitting *a)
{
    if (a->out->verdict.audit_only) {
        a->ask.warnings.items = arena_array(a->arena, 1, sizeof(*a->ask.warnings.items));
        a->ask.warnings.items[a->ask.warnings.count++] =
            arena_dup(a->arena, a->out->verdict.sentence);
    }
}

static void
fill_ask(struct admitting *a)
{
    struct ask *ask = &a->ask;
    const struct policy_claims *claims = a->given->claims;
    if (claims != NULL) {
        ask->claims = *claims;
        ask->sha = claims->sha;
        ask->ref = claims->ref;
        ask->event = claims->event;
        ask->repository = claims->repository;
        ask->run_url = run_url_of(a, claims);
    } else {
        ask->person = *a->given->person;
        ask->repository = a->settings->repo;
    }
    ask->rule = a->out->verdict.rule;
    note_audit_only(a);
    ask->rollback_lock = a->settings->rollback_lock;
    choose_version(a);
}

// The middle part of "00-<trace>-<span>-01", or `fresh`.
static const char *
trace_of(struct admitting *a, const char *fresh)
{
    struct str version = {0}, trace = {0}, rest = str_of(a->given->traceparent);
    if (str_cut(rest, '-', &version, &rest) && str_cut(rest, '-', &trace, &rest) &&
        trace.len == 32) {
        return arena_str(a->arena, trace);
    }
    return arena_dup(a->arena, fresh);
}

static void
fill_job(struct admitting *a)
{
    char hex[2 * (ID_BYTES + TRACE_BYTES) + 1]; // of both at once: each time costs a system call
    const struct policy_claims *claims = a->given->claims;
    random_hex(service_platform(a->service)->random, ID_BYTES + TRACE_BYTES, hex);
    a->job = (struct queue_job){
        .id = arena_printf(a->arena, "d-%.*s", 2 * ID_BYTES, hex),
        .app = a->ask.app,
        .env = a->ask.env,
        .verb = a->ask.verb,
        .state = "queued",
        .latest = a->settings->queue_latest && is_verb(a, "deploy"),
        .emergency = a->given->emergency,
        // Before what waits, never beside what runs: who takes something back, or is in an
        // emergency, cannot wait for approvals or freezes of others.
        .urgent = is_verb(a, "rollback") || a->given->emergency,
        .requester = ask_requester(&a->ask),
        .repository = a->ask.repository,
        .repository_id =
            claims != NULL ? claims->repository_id : a->settings->identity.repository_id,
        .asked_run = claims != NULL ? claims->run_id : 0,
        .trace = trace_of(a, hex + 2 * (size_t)ID_BYTES),
        .created_ms = a->now_ms,
    };
}

// --- once ----------------------------------------------------------------------------------------

// What two requests have in common when they ask for the same, whatever token they come with.
static const char *
hash_of(struct admitting *a)
{
    char hex[SHA256_HEX_SIZE];
    const char *digests = ask_digests(&a->given->digests, a->arena);
    const char *parts[] = {a->given->verb, a->given->app, a->given->env, a->given->version,
        a->given->from, a->given->to, a->given->reason, a->given->emergency ? "!" : NULL, digests};
    struct json *list CLEANUP(json_freep) = json_make_array();
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        json_append(list, parts[i] != NULL ? json_make_string(parts[i]) : json_make_null());
    }
    char *text CLEANUP(xfreep) = json_text(list);
    sha256_hex(str_of(text), hex);
    return arena_dup(a->arena, hex);
}

// A job that gives no key asks once an attempt for (app, env, verb), however often it has to send.
static struct queue_idempotency
idempotency_of(struct admitting *a)
{
    struct queue_idempotency key = a->given->idempotency;
    const struct policy_claims *claims = a->given->claims;
    if (key.key == NULL && claims != NULL) {
        key.key =
            arena_printf(a->arena, "%lld/%lld/%lld/%lld/%s/%s/%s", (long long)claims->repository_id,
                (long long)claims->run_id, (long long)claims->run_attempt,
                (long long)claims->check_run_id, a->ask.app, a->ask.env, a->ask.verb);
        key.hash = NULL;
    }
    if (key.scope == NULL && claims != NULL) {
        key.scope = arena_printf(a->arena, "repository/%lld", (long long)claims->repository_id);
    } else if (key.scope == NULL) {
        key.scope = arena_printf(a->arena, "user/%s", a->given->person->login);
    }
    if (key.key != NULL && key.hash == NULL) {
        key.hash = hash_of(a);
    }
    if (key.hash != NULL && claims != NULL && a->given->version == NULL && is_verb(a, "deploy")) {
        // The commit or tag of the token is what is asked for, though the body does not say so.
        // Which of them is the spec's word, which may be another one when the request is repeated.
        key.hash = arena_printf(a->arena, "%s/%s/%s", key.hash, claims->sha, claims->ref);
    }
    return key;
}

static void
take_outcome(struct admitting *a, enum queue_accepted outcome, const char *id)
{
    switch (outcome) {
    case QUEUE_NEW:
    case QUEUE_SAME:
        a->out->id = arena_dup(a->arena, id);
        a->out->again = outcome == QUEUE_SAME;
        return;
    case QUEUE_OTHER:
        admission_refuse(
            a, REASON_IDEMPOTENCY, "this idempotency key came with another request before", NULL);
        return;
    case QUEUE_FULL:
        admission_refuse(a, REASON_QUEUE_FULL,
            arena_printf(
                a->arena, "too many deployments of '%s' wait for '%s'", a->ask.app, a->ask.env),
            NULL);
        return;
    case QUEUE_REPLAY:
        admission_refuse(
            a, REASON_TOKEN_REPLAYED, "this token was used before, for another request", NULL);
        return;
    }
    BUG_ON(true);
}

// A lane is full of what an incident holds up: the way back, and an emergency, have as much room
// again.
static int64_t
limit_of(const struct admitting *a)
{
    int64_t limit = service_settings(a->service)->queue_limit;
    limit = limit > 0 ? limit : QUEUE_LIMIT;
    return a->job.urgent || a->job.emergency ? 2 * limit : limit;
}

// A request that was accepted is answered alike when it comes again, though by now the spec would
// refuse it, or could not be read: the caller may have lost the first answer.
static struct error *
find_earlier(struct store *store, struct admitting *a)
{
    const struct policy_claims *claims = a->given->claims;
    enum queue_accepted outcome = QUEUE_NEW;
    const char *id = NULL;
    if (a->key.scope == NULL) { // its words are no request
        return NULL;
    }
    TRY(queue_accepted_before(
        store, &a->key, claims != NULL ? claims->jti : NULL, a->arena, &outcome, &id));
    if (outcome == QUEUE_SAME) {
        a->out->verdict =
            (struct policy_verdict){.allowed = true, .code = REASON_ALLOWED, .sentence = "allowed"};
    } else if (outcome != QUEUE_NEW) {
        a->out->verdict.failures = (struct str_list){0};
    }
    if (outcome != QUEUE_NEW) {
        take_outcome(a, outcome, id);
    }
    return NULL;
}

static struct error *
accept(struct store *store, struct admitting *a)
{
    const struct policy_claims *claims = a->given->claims;
    enum queue_accepted outcome = QUEUE_NEW;
    const char *id = NULL;
    char *text CLEANUP(xfreep) = ask_text(&a->ask);
    a->job.request = text;
    a->job.version = a->ask.version;
    const struct queue_acceptance acceptance = {
        .job = &a->job,
        .idempotency = a->key,
        .jti = claims != NULL ? claims->jti : NULL,
        .jti_until_ms = claims != NULL ? claims->expires_s * 1000 + JTI_LEEWAY_MS : 0,
        .limit = limit_of(a),
        .due = &a->due,
        .superseded = &a->superseded,
    };
    a->superseded = (struct queue_ids){0};
    TRY(queue_accept(store, &acceptance, a->now_ms, a->arena, &outcome, &id));
    take_outcome(a, outcome, id);
    a->job.request = NULL;
    return NULL;
}

// On the writer's thread, in its transaction.
static struct error *
write_down(struct store *store, void *ctx)
{
    struct admitting *a = ctx;
    *a->out = a->decided;
    a->ask = a->asked;
    if (a->out->verdict.allowed) {
        TRY(admission_look(store, a));
    }
    TRY(a->out->verdict.allowed ? accept(store, a) : find_earlier(store, a));
    a->out->sha = a->out->again ? NULL : a->ask.sha;
    a->out->warnings = a->ask.warnings;
    if (a->out->id != NULL && a->given->look != NULL) {
        TRY(a->given->look(a->given->look_ctx, store, a->out->id));
    }
    bool noted = a->out->again || a->unnoted; // the first time, or too often
    return noted ? NULL : admission_audit(store, a);
}

struct error *
admission_prepare(struct admitting *a)
{
    bool allowed = check_words(a);
    if (allowed) {
        a->key = idempotency_of(a);
        decide(a);
    }
    a->unnoted = a->out->verdict.code == REASON_NOT_AUTHORIZED && a->given->claims != NULL &&
                 !auth_may_note(a->service, a->given->claims);
    if (a->out->verdict.allowed) {
        fill_ask(a);
    }
    if (a->out->verdict.allowed) {
        fill_job(a);
    }
    a->decided = *a->out;
    a->asked = a->ask;
    a->op = (struct store_op){.run = write_down, .ctx = a};
    return NULL;
}

// Its words may be the spec set's, which is let go.
static void
keep_verdict(struct admitting *a)
{
    struct policy_verdict *verdict = &a->out->verdict;
    verdict->sentence = arena_dup(a->arena, verdict->sentence);
    verdict->who = arena_dup(a->arena, verdict->who);
    verdict->rule = arena_dup(a->arena, verdict->rule);
}

struct error *
admission_conclude(struct admitting *a, struct error *err)
{
    const struct admitted *out = a->out;
    keep_verdict(a);
    specs_release(a->set);
    if (err != NULL) {
        *a->out = (struct admitted){0};
        return error_wrap(err, "accept a deployment of '%.80s'", a->given->app);
    }
    metric_add(a->service, out->id != NULL ? METRIC_ACCEPTED : METRIC_DENIED, out->again ? 0 : 1);
    if (out->id != NULL && !out->again) {
        streams_wake(a->service, out->id);
        for (size_t i = 0; i < a->superseded.count; i++) {
            streams_wake(a->service, a->superseded.items[i]);
        }
    }
    if (a->due) { // behind others there is nothing to be decided yet
        workers_wake(a->service);
    }
    return NULL;
}

void
admission_begin(struct service *service, const struct admission *admission, struct arena *arena,
    struct admitted *out, struct admitting *a)
{
    *out = (struct admitted){0};
    *a = (struct admitting){
        .service = service,
        .given = admission,
        .arena = arena,
        .out = out,
        .now_ms = clock_wall(service_platform(service)->clock),
        .ask = {.verb = admission->verb,
            .app = admission->app,
            .env = admission->env,
            .version = admission->version,
            .from = cstr_equal(admission->verb, "promote") ? admission->from : NULL,
            .to = admission->to,
            .reason = admission->reason,
            .emergency = admission->emergency,
            .digests = admission->digests,
            .request_id = admission->request_id,
            .traceparent = admission->traceparent},
    };
    a->ask.accepted_ms = a->now_ms;
}

struct error *
admission_request(struct service *service, const struct admission *admission, struct arena *arena,
    struct admitted *out)
{
    struct admitting a;
    admission_begin(service, admission, arena, out, &a);
    struct error *err = admission_prepare(&a);
    return admission_conclude(&a, err == NULL ? writer_do(service, &a.op) : err);
}
