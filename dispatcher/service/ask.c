// A request for a deployment as JSON, there and back. Judges nothing.
#include "ask_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/json.h"
#include "dispatcher/memory.h"

enum { RELEASES_MAX = 200, ASK_MAX = 256 * 1024 };

#define CLAIM(member, key, kind) FIELD(struct policy_claims, member, key, kind, .required = false)
static const struct field claim_fields[] = {
    CLAIM(subject, "sub", FIELD_STR),
    CLAIM(issuer, "iss", FIELD_STR),
    CLAIM(issued_s, "iat", FIELD_INT),
    CLAIM(expires_s, "exp", FIELD_INT),
    CLAIM(repository, "repository", FIELD_STR),
    CLAIM(repository_owner, "repository_owner", FIELD_STR),
    CLAIM(visibility, "repository_visibility", FIELD_STR),
    CLAIM(repository_id, "repository_id", FIELD_INT),
    CLAIM(owner_id, "repository_owner_id", FIELD_INT),
    CLAIM(ref, "ref", FIELD_STR),
    CLAIM(ref_type, "ref_type", FIELD_STR),
    CLAIM(sha, "sha", FIELD_STR),
    CLAIM(event, "event_name", FIELD_STR),
    CLAIM(environment, "environment", FIELD_STR),
    CLAIM(workflow_ref, "workflow_ref", FIELD_STR),
    CLAIM(job_workflow_ref, "job_workflow_ref", FIELD_STR),
    CLAIM(job_workflow_sha, "job_workflow_sha", FIELD_STR),
    CLAIM(runner, "runner_environment", FIELD_STR),
    CLAIM(actor, "actor", FIELD_STR),
    CLAIM(actor_id, "actor_id", FIELD_INT),
    CLAIM(run_id, "run_id", FIELD_INT),
    CLAIM(run_number, "run_number", FIELD_INT),
    CLAIM(run_attempt, "run_attempt", FIELD_INT),
    CLAIM(check_run_id, "check_run_id", FIELD_INT),
};
static const struct field_table claim_table =
    FIELD_TABLE("claims", struct policy_claims, claim_fields);

static const struct field person_fields[] = {
    FIELD(struct policy_person, login, "login", FIELD_STR, .required = false),
    FIELD(struct policy_person, id, "id", FIELD_INT, .required = false),
    FIELD(struct policy_person, teams, "teams", FIELD_LIST_STR, .required = false),
};
static const struct field_table person_table =
    FIELD_TABLE("person", struct policy_person, person_fields);

#define ASK(member, key, kind) FIELD(struct ask, member, key, kind, .required = false)
static const struct field ask_fields[] = {
    ASK(verb, "verb", FIELD_STR),
    ASK(app, "app", FIELD_STR),
    ASK(env, "env", FIELD_STR),
    ASK(version, "version", FIELD_STR),
    ASK(from, "from", FIELD_STR),
    ASK(to, "to", FIELD_STR),
    ASK(reason, "reason", FIELD_STR),
    ASK(emergency, "emergency", FIELD_BOOL),
    ASK(digests, "digests", FIELD_MAP_STR),
    FIELD(struct ask, claims, "claims", FIELD_OBJECT, .table = &claim_table),
    FIELD(struct ask, person, "person", FIELD_OBJECT, .table = &person_table),
    ASK(sha, "sha", FIELD_STR),
    ASK(ref, "ref", FIELD_STR),
    ASK(event, "event", FIELD_STR),
    ASK(repository, "repository", FIELD_STR),
    ASK(run_url, "run_url", FIELD_STR),
    ASK(rule, "rule", FIELD_STR),
    ASK(specs, "specs_commit", FIELD_STR),
    ASK(request_id, "request_id", FIELD_STR),
    ASK(traceparent, "traceparent", FIELD_STR),
    ASK(promoted, "promoted", FIELD_STR),
    ASK(rollback_lock, "rollback_lock", FIELD_BOOL),
    ASK(warnings, "warnings", FIELD_LIST_STR),
    ASK(accepted_ms, "accepted_ms", FIELD_INT),
};
static const struct field_table ask_table = FIELD_TABLE("request", struct ask, ask_fields);

char *
ask_text(const struct ask *ask)
{
    struct json *object CLEANUP(json_freep) = json_encode(&ask_table, ask);
    return json_text(object);
}

struct error *
ask_read(const char *text, struct arena *arena, struct ask *out)
{
    static const struct json_limits limits = {ASK_MAX, 8};
    struct json *object CLEANUP(json_freep) = NULL;
    struct ask found = {0};
    struct error *err = json_parse(str_of(text), &limits, &object);
    err = err == NULL ? json_decode(object, &ask_table, arena, &found) : err;
    if (err != NULL) {
        return error_wrap_as(ERROR_STORAGE, err, "the request of a job");
    }
    *out = found;
    return NULL;
}

const char *
ask_requester(const struct ask *ask)
{
    return ask->person.login != NULL ? ask->person.login : ask->claims.actor;
}

bool
ask_is_automatic(const struct ask *ask)
{
    bool job = ask->claims.repository_id != 0;
    return job &&
           (!cstr_equal(ask->claims.event, "workflow_dispatch") || ask->claims.run_attempt > 1);
}

int64_t
ask_requester_id(const struct ask *ask)
{
    return ask->person.login != NULL ? ask->person.id : ask->claims.actor_id;
}

static int
compare_pairs(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

const char *
ask_digests(const struct pair_list *digests, struct arena *arena)
{
    if (digests->count == 0) {
        return NULL;
    }
    struct pair *sorted = arena_array(arena, digests->count, sizeof(*sorted));
    memcpy(sorted, digests->items, digests->count * sizeof(*sorted));
    if (digests->count > 1) {
        qsort(sorted, digests->count, sizeof(*sorted), compare_pairs);
    }
    struct json *object CLEANUP(json_freep) = json_make_object();
    for (size_t i = 0; i < digests->count; i++) {
        json_set_str(object, sorted[i].key, sorted[i].value);
    }
    char *text CLEANUP(xfreep) = json_text(object);
    return arena_dup(arena, text);
}

struct reading {
    struct arena *arena;
    struct pair_list *out;
};

static void
add_digest(void *ctx, const char *key, const struct json *value)
{
    struct reading *reading = ctx;
    const char *digest = json_str(value);
    if (digest != NULL) {
        reading->out->items[reading->out->count++] =
            (struct pair){arena_dup(reading->arena, key), arena_dup(reading->arena, digest)};
    }
}

void
ask_digests_read(const char *text, struct arena *arena, struct pair_list *out)
{
    struct json *object CLEANUP(json_freep) = NULL;
    struct error *err =
        text != NULL ? json_parse(str_of(text), &json_limits_default, &object) : NULL;
    *out = (struct pair_list){arena_array(arena, json_count(object) + 1, sizeof(*out->items)), 0};
    json_each(object, add_digest, &(struct reading){arena, out});
    error_free(err); // ours, and only a hint: the registry is asked for what is there
}

struct error *
ask_release(struct store *store, const char *app, const char *env, const char *version,
    struct arena *arena, struct queue_release **out)
{
    struct queue_release *list = NULL;
    size_t count = 0;
    if (version == NULL) {
        return queue_release_at(store, app, env, 0, arena, out);
    }
    TRY(queue_releases(store, app, env, RELEASES_MAX, arena, &list, &count));
    *out = NULL;
    for (size_t i = 0; i < count && *out == NULL; i++) {
        *out = cstr_equal(list[i].version, version) ? &list[i] : NULL;
    }
    return NULL;
}
