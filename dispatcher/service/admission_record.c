// What admission.c reads and writes in the store, on the writer's thread: the release that is
// meant, and the audit entry of the decision.
#include "admission_internal.h"

#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"

static const char *
digest_in(const struct pair_list *digests, const char *service)
{
    for (size_t i = 0; i < digests->count; i++) {
        if (cstr_equal(digests->items[i].key, service)) {
            return digests->items[i].value;
        }
    }
    return NULL;
}

// Whoever names images means those that were there: what is under the version at the registry now
// may be another one, and only a job of the app's repository brings a new one.
static bool
names_others(struct admitting *a, const struct pair_list *known, const char *env)
{
    const struct pair_list *given = &a->ask.digests;
    for (size_t i = 0; i < given->count; i++) {
        const char *digest = digest_in(known, given->items[i].key);
        bool a_new_one = digest == NULL && a->given->person == NULL;
        if (!a_new_one && !cstr_equal(digest, given->items[i].value)) {
            admission_refuse(a, REASON_OTHER_DIGEST,
                arena_printf(a->arena, "the image of '%s' in version '%s' ran in '%s' as %s",
                    given->items[i].key, a->ask.version, env,
                    digest != NULL ? digest : "nothing that is known"),
                a->settings->repo);
            return true;
        }
    }
    return false;
}

// Images are brought along by digest (deploy/promote.c): those that ran there, and no others that a
// request names.
static void
take_release(struct admitting *a, const struct queue_release *release, const char *env)
{
    struct pair_list known = {0};
    ask_digests_read(release->digests, a->arena, &known);
    a->ask.version = release->version;
    if (names_others(a, &known, env)) {
        return;
    }
    a->ask.promoted = release->deployment;
    a->ask.sha = release->sha;
    if (known.count > 0 || a->given->person != NULL) {
        a->ask.digests = known;
    }
}

static struct error *
look_for_promotion(struct store *store, struct admitting *a)
{
    struct queue_release *release = NULL;
    TRY(ask_release(store, a->ask.app, a->ask.from, a->ask.version, a->arena, &release));
    if (release != NULL) {
        take_release(a, release, a->ask.from);
        return NULL;
    }
    admission_refuse(a, REASON_NOT_PROMOTED,
        a->ask.version != NULL
            ? arena_printf(a->arena, "version '%s' of '%s' was never in '%s'", a->ask.version,
                  a->ask.app, a->ask.from)
            : arena_printf(a->arena, "nothing of '%s' is in '%s' yet", a->ask.app, a->ask.from),
        NULL);
    return NULL;
}

// A person brings nothing new: its commit is one that a job's token has proven.
static struct error *
look_for_known(struct store *store, struct admitting *a)
{
    const struct str_list *all = spec_set_environments(a->set);
    struct queue_release *release = NULL;
    const char *env = a->ask.env;
    TRY(ask_release(store, a->ask.app, env, a->ask.version, a->arena, &release));
    for (size_t i = 0; i < all->count && release == NULL; i++) {
        env = a->ask.from = arena_dup(a->arena, all->items[i]);
        TRY(ask_release(store, a->ask.app, env, a->ask.version, a->arena, &release));
    }
    if (release != NULL) {
        take_release(a, release, env);
        return NULL;
    }
    admission_refuse(a, REASON_NOT_ALLOWED,
        arena_printf(a->arena,
            "version '%s' of '%s' was never deployed; only a job of its repository brings a new "
            "one",
            a->ask.version, a->ask.app),
        a->settings->repo);
    return NULL;
}

struct error *
admission_look(struct store *store, struct admitting *a)
{
    struct queue_release *release = NULL;
    if (cstr_equal(a->ask.verb, "promote")) {
        return look_for_promotion(store, a);
    }
    if (cstr_equal(a->ask.verb, "deploy")) {
        return a->given->person != NULL ? look_for_known(store, a) : NULL;
    }
    if (a->ask.to != NULL) { // a rollback: unknown versions are the gate's, and the ledger's
        TRY(ask_release(store, a->ask.app, a->ask.env, a->ask.to, a->arena, &release));
    }
    if (release != NULL) {
        a->ask.sha = release->sha;
    }
    return NULL;
}

// --- the audit log -------------------------------------------------------------------------------

static void
set_list(struct json *object, const char *key, const struct str_list *list)
{
    struct json *array = list->count > 0 ? json_make_array() : NULL;
    for (size_t i = 0; i < list->count; i++) {
        json_append(array, json_make_string(list->items[i]));
    }
    if (array != NULL) {
        json_set(object, key, array);
    }
}

static char *
detail_of(const struct admitting *a)
{
    const struct policy_claims *claims = a->given->claims;
    const struct policy_verdict *verdict = &a->out->verdict;
    struct json *detail CLEANUP(json_freep) = json_make_object();
    json_set_str(detail, "verb", a->ask.verb);
    json_set_str(detail, "from", a->ask.from);
    json_set_str(detail, "to", a->ask.to);
    json_set_str(detail, "because", a->ask.reason);
    json_set_str(detail, "spec_problem", a->problem);
    if (a->ask.emergency) {
        json_set_bool(detail, "emergency", true);
    }
    if (verdict->audit_only) { // `mode: audit`: enforced, it would have been refused
        json_set_bool(detail, "audit_only", true);
    }
    set_list(detail, "failures", &verdict->failures);
    if (claims != NULL) {
        json_set_str(detail, "repository", claims->repository);
        json_set_str(detail, "ref", claims->ref);
        json_set_str(detail, "sha", claims->sha);
        json_set_str(detail, "event", claims->event);
        json_set_str(detail, "workflow_ref", claims->workflow_ref);
    }
    return json_text(detail);
}

// One digest as it is, several as an object.
static const char *
digest_of(struct admitting *a)
{
    const struct pair_list *digests = &a->ask.digests;
    return digests->count == 1 ? digests->items[0].value : ask_digests(digests, a->arena);
}

static void
fill_claims(struct audit_entry *entry, const struct policy_claims *claims)
{
    entry->actor = claims->actor;
    entry->actor_id = claims->actor_id;
    entry->repository_id = claims->repository_id;
    entry->run_id = claims->run_id;
    entry->run_attempt = claims->run_attempt;
    entry->check_run_id = claims->check_run_id;
    entry->jti = claims->jti;
    entry->token_hash = claims->token_hash;
}

// What a caller made up is not written down as a name.
static const char *
name_or_null(const char *text)
{
    return name_is_valid(str_of(text)) ? text : NULL;
}

struct error *
admission_audit(struct store *store, struct admitting *a)
{
    const struct policy_verdict *verdict = &a->out->verdict;
    char *detail CLEANUP(xfreep) = detail_of(a);
    bool words = verdict->code != REASON_REQUEST;
    struct audit_entry entry = {
        .kind = "decision",
        .verdict = verdict->allowed ? "allow" : "deny",
        .code = reason_code_name(verdict->code),
        .reason = verdict->sentence,
        .request_id = a->given->request_id,
        .app = name_or_null(a->ask.app),
        .env = name_or_null(a->ask.env),
        .deployment = a->out->id,
        .version = words ? a->ask.version : NULL,
        .digest = words ? digest_of(a) : NULL,
        .rule = verdict->rule,
        .spec_commit = a->ask.specs,
        .floor_commit = a->ask.specs, // the floor is dispatcher.yaml of that commit
        .detail = detail,
    };
    if (a->given->claims != NULL) {
        fill_claims(&entry, a->given->claims);
    } else {
        entry.actor = a->given->person->login;
        entry.actor_id = a->given->person->id;
    }
    return audit_add(store, &entry, a->now_ms);
}
