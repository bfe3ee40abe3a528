// A lane's head: may it begin now? Collects the facts, asks the policy, and writes down what it
// says: held with a code, a sentence and a name, refused for good, or begun. The order of the rules
// is the policy's; here is only when GitHub is worth asking, and what is done when it cannot say.
#include "worker_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum {
    SPECS_AGAIN_MS = 15 * 1000,
    SPEC_INVALID_AGAIN_MS = 5 * 60 * 1000, // new specs stir all that are held
    GITHUB_AGAIN_MS = 30 * 1000,
    GITHUB_PATIENCE_MS = 5 * 60 * 1000,
    HELD_AGAIN_MS = 5 * 60 * 1000, // locks that go and approvals that come stir what they held
    HELD_MAX_MS = 60 * 60 * 1000,
    TURN_AGAIN_MS = 1000,
};

// --- held ----------------------------------------------------------------------------------------

struct holding {
    enum reason_code code;
    const char *sentence, *who;
    int64_t until_ms, due_ms;
};

struct held_write {
    struct beginning *b;
    bool is_new; // it waits for something else than before: the audit log says so
};

static struct error *
write_held(struct store *store, void *ctx)
{
    const struct held_write *write = ctx;
    const struct beginning *b = write->b;
    TRY(queue_hold(store, b->job));
    if (!write->is_new) {
        return NULL;
    }
    const struct audit_entry entry = {
        .kind = "decision",
        .verdict = "wait",
        .code = b->job->code,
        .reason = b->job->reason,
        .request_id = b->ask.request_id,
        .app = b->job->app,
        .env = b->job->env,
        .deployment = b->job->id,
        .version = b->job->version,
        .actor = b->job->requester,
        .actor_id = ask_requester_id(&b->ask),
        .repository_id = b->job->repository_id,
        .spec_commit = b->set != NULL ? spec_set_commit(b->set) : NULL,
        .floor_commit = b->set != NULL ? spec_set_commit(b->set) : NULL,
    };
    return audit_add(store, &entry, worker_wall(b->worker));
}

// What is decided while we stop may be decided by an answer that was cut off: nobody is refused for
// that, or told so. Whoever comes next decides anew.
static bool
is_cut_short(const struct beginning *b)
{
    return atomic_load(&b->worker->pool->stopped);
}

static struct error *
hold(struct beginning *b, const struct holding *holding)
{
    struct queue_job *job = b->job;
    if (is_cut_short(b)) {
        return worker_give_back(b->worker, job);
    }
    const char *code = reason_code_name(holding->code);
    struct held_write write = {b, !cstr_equal(job->code, code)};
    bool is_other = write.is_new || !cstr_equal(job->reason, holding->sentence);
    job->code = code;
    job->reason = holding->sentence;
    job->who = holding->who;
    job->until_ms = holding->until_ms;
    job->due_ms = holding->due_ms;
    worker_let_go(b->worker, job->id);
    struct store_op op = {.run = write_held, .ctx = &write};
    struct error *err = store_group(b->worker->store, &op, 1);
    if (err != NULL) {
        error_free(op.err);
        return err;
    }
    TRY(worker_forgive(b->worker, job, op.err));
    worker_note_due(b->worker->pool, job->due_ms);
    if (is_other) {
        streams_wake(b->worker->service, job->id);
    }
    return NULL;
}

static struct error *
hold_for(struct beginning *b, enum reason_code code, const char *sentence, int64_t wait_ms)
{
    const struct holding holding = {
        .code = code, .sentence = sentence, .due_ms = worker_wall(b->worker) + wait_ms};
    return hold(b, &holding);
}

static struct error *
refuse(struct beginning *b, enum reason_code code, const char *sentence, const char *who)
{
    const struct worker_ending ending = {
        .result = "refused", .code = code, .sentence = sentence, .who = who};
    return is_cut_short(b) ? worker_give_back(b->worker, b->job)
                           : worker_end(b->worker, b->job, &ending, &b->ask);
}

// --- the specs of this moment --------------------------------------------------------------------

// Were the rules changed since it was accepted? Then they are asked again, with the facts of the
// token: a repository that lost its right begins nothing any more. *unknown: GitHub could not say
// which teams its actor is in.
static struct error *
decide_again(struct beginning *b, struct policy_verdict *verdict, bool *unknown)
{
    const struct policy_claims *claims = &b->ask.claims;
    struct policy_actor actor = {.is_bot = str_ends(str_of(claims->actor), STR("[bot]"))};
    *verdict = (struct policy_verdict){.allowed = true};
    bool same = cstr_equal(b->ask.specs, spec_set_commit(b->set));
    if (same || claims->repository_id == 0) {
        return NULL;
    }
    if (policy_needs_teams(b->settings) && !actor.is_bot && claims->actor != NULL) {
        TRY(people_teams(
            b->worker->service, claims->actor, b->arena, &actor.teams, &actor.teams_known));
        *unknown = !actor.teams_known;
    }
    policy_decide(claims, b->settings, &actor, b->arena, verdict);
    return NULL;
}

// GitHub could not say something that matters: it may be back soon.
static struct error *
hold_for_github(struct beginning *b, const char *sentence)
{
    int64_t now = worker_wall(b->worker);
    bool waits = cstr_equal(b->job->code, reason_code_name(REASON_LIMITED));
    const struct holding holding = {
        .code = REASON_LIMITED,
        .sentence = sentence,
        .until_ms = waits && b->job->until_ms != 0 ? b->job->until_ms : now + GITHUB_PATIENCE_MS,
        .due_ms = now + GITHUB_AGAIN_MS,
    };
    return hold(b, &holding);
}

// One that waited for something else before has had no time for GitHub yet.
static bool
has_time_for_github(const struct beginning *b)
{
    bool waits = cstr_equal(b->job->code, reason_code_name(REASON_LIMITED));
    return !waits || worker_wall(b->worker) < b->job->until_ms;
}

// *ended: it was held or refused.
static struct error *
check_specs(struct beginning *b, bool *ended)
{
    const char *problem = NULL;
    struct policy_verdict verdict = {0};
    bool unknown = false;
    *ended = true;
    b->settings = spec_set_settings(b->set, b->job->app, b->job->env, &problem);
    if (b->settings == NULL && problem != NULL) {
        return hold_for(b, REASON_SPEC_INVALID,
            arena_printf(b->arena, "the spec of '%s' cannot be used: %s", b->job->app, problem),
            SPEC_INVALID_AGAIN_MS);
    }
    if (b->settings == NULL) {
        return refuse(b, REASON_NOT_AUTHORIZED,
            arena_printf(b->arena, "there is no '%s' in '%s' any more", b->job->app, b->job->env),
            NULL);
    }
    if (!b->settings->enabled) {
        return refuse(b, REASON_DISABLED,
            arena_printf(b->arena, "the spec of '%s' says 'enabled: false'", b->job->app), NULL);
    }
    TRY(decide_again(b, &verdict, &unknown));
    *ended = !verdict.allowed;
    if (verdict.allowed) {
        return NULL;
    }
    if (unknown && verdict.code == REASON_ACTOR && has_time_for_github(b)) {
        return hold_for_github(b,
            arena_printf(b->arena, "GitHub cannot say which teams '%s' is in", b->job->requester));
    }
    return refuse(b, verdict.code, verdict.sentence, verdict.who);
}

// --- the gate ------------------------------------------------------------------------------------

// One that the policy has let wait for GitHub has had its time.
static bool
is_patient(const struct beginning *b)
{
    bool waited = cstr_equal(b->job->code, reason_code_name(REASON_STALE));
    return b->ancestry_unknown && !waited && has_time_for_github(b);
}

static struct error *
hold_at_gate(struct beginning *b, const struct policy_gate *gate)
{
    int64_t now = worker_wall(b->worker), due = now + HELD_AGAIN_MS;
    if (gate->until_ms > now) {
        due = gate->until_ms < now + HELD_MAX_MS ? gate->until_ms : now + HELD_MAX_MS;
    }
    if (gate->code == REASON_STALE && b->ancestry_unknown) { // GitHub may be back any moment
        due = now + GITHUB_AGAIN_MS;
    }
    const struct holding holding = {.code = gate->code,
        .sentence = gate->sentence,
        .who = gate->who,
        .until_ms = gate->until_ms,
        .due_ms = due};
    return hold(b, &holding);
}

static struct error *
start(struct beginning *b, const struct str_list *warnings)
{
    struct worker *worker = b->worker;
    int64_t now = worker_wall(worker);
    bool started = false, ready = false;
    if (is_cut_short(b)) {
        return worker_give_back(worker, b->job);
    }
    struct error *err = queue_start(worker->store, b->job, now, &started);
    if (err != NULL) {
        return worker_forgive(worker, b->job, err);
    }
    if (!started) {
        return hold_for(b, REASON_TURN,
            "another deployment of the lane goes before it, or something was changed while it was "
            "decided: it is decided again",
            TURN_AGAIN_MS);
    }
    b->job->state = "running";
    b->job->started_ms = now;
    b->job->code = NULL;
    b->job->reason = NULL;
    b->job->who = NULL;
    if (b->job->trace != NULL) {
        const struct trace_span span = {.trace = b->job->trace,
            .name = "wait",
            .deployment = b->job->id,
            .start_ms = b->job->created_ms,
            .end_ms = now};
        trace_add(worker->service, &span);
    }
    streams_wake(worker->service, b->job->id);
    TRY(begin_prepare(worker, b->job, warnings, b->arena, &ready));
    return ready ? worker_look(worker, b->job, b->arena) : NULL;
}

// What the policy asks before it asks how the commits stand.
static bool
is_before_ancestry(const struct policy_gate *gate)
{
    static const enum reason_code first[] = {REASON_LOCKED, REASON_FROZEN, REASON_WINDOW,
        REASON_SOAK, REASON_NOT_PROMOTED, REASON_OTHER_DIGEST, REASON_NOT_KNOWN_GOOD};
    for (size_t i = 0; i < ARRAY_LENGTH(first); i++) {
        if (gate->answer != POLICY_GO && gate->code == first[i]) {
            return true;
        }
    }
    return false;
}

// As if the commit were newer, and once more when that is what the answer hangs on: a job that a
// lock holds asks GitHub nothing.
static struct error *
ask_gate(struct beginning *b, struct policy_gate *gate)
{
    b->facts.ancestry = POLICY_ANCESTRY_NEWER;
    policy_gate(b->settings, &b->facts, b->arena, gate);
    if (is_before_ancestry(gate)) {
        return NULL;
    }
    TRY(begin_ancestry(b));
    if (b->facts.ancestry != POLICY_ANCESTRY_NEWER) {
        *gate = (struct policy_gate){.answer = POLICY_GO};
        policy_gate(b->settings, &b->facts, b->arena, gate);
    }
    return NULL;
}

static struct error *
pass_gate(struct beginning *b)
{
    struct policy_gate gate = {.answer = POLICY_GO};
    TRY(begin_facts(b));
    if (b->dropper != NULL) {
        const struct worker_ending ending = {
            .result = "cancelled",
            .code = REASON_DROPPED,
            .sentence = arena_printf(b->arena,
                "the %s that held it ('%s', by %s) is over, and drops what waited",
                cstr_equal(b->dropper->level, "freeze") ? "freeze" : "lock", b->dropper->reason,
                b->dropper->owner),
            .who = b->dropper->owner,
        };
        return worker_end(b->worker, b->job, &ending, &b->ask);
    }
    TRY(ask_gate(b, &gate));
    if (gate.answer == POLICY_REFUSE && gate.code == REASON_STALE && is_patient(b)) {
        return hold_for_github(
            b, "GitHub cannot say how the commit stands to the one that is deployed");
    }
    switch (gate.answer) {
    case POLICY_GO:
        return start(b, &gate.warnings);
    case POLICY_WAIT:
        return hold_at_gate(b, &gate);
    case POLICY_REFUSE:
        return refuse(b, gate.code, gate.sentence, gate.who);
    }
    BUG_ON(true);
}

struct error *
begin_head(struct worker *worker, struct queue_job *job, struct arena *arena)
{
    struct beginning b = {.worker = worker, .job = job, .arena = arena};
    const char *why = NULL;
    bool ended = false;
    TRY(ask_read(job->request, arena, &b.ask));
    b.set = specs_hold(worker->service, &why);
    if (b.set == NULL) {
        return hold_for(&b, REASON_SPECS_UNAVAILABLE, why, SPECS_AGAIN_MS);
    }
    struct error *err = check_specs(&b, &ended);
    if (err == NULL && !ended) {
        err = pass_gate(&b);
    }
    specs_release(b.set);
    return err;
}
