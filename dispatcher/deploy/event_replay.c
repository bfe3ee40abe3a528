// Event objects back to events (docs/events.md): `started` brings the whole deployment, the others
// are applied to it as JSON, by the names that deployment_encode uses. Asks nobody.
#include <stdlib.h>
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"

struct deploy_replay {
    struct json *document; // of the deployment, NULL before `started`
    struct arena *arena;   // of the event at hand
};

struct deploy_replay *
deploy_replay_new(void)
{
    return xcalloc(1, sizeof(struct deploy_replay));
}

void
deploy_replay_free(struct deploy_replay *replay)
{
    if (replay != NULL) {
        json_free(replay->document);
        arena_free(replay->arena);
        free(replay);
    }
}

void
deploy_replay_freep(struct deploy_replay **replay)
{
    deploy_replay_free(*replay);
    *replay = NULL;
}

static void
copy(struct json *to, const char *key, const struct json *from, const char *name)
{
    const struct json *value = json_get(from, name);
    if (!json_is_null(value)) {
        json_set(to, key, json_clone(value));
    }
}

// The list with the members `keys` of its element called `name` taken from the event; *index: which
// one that is, -1 for none.
static void
patch_list(struct json *document, const char *list, const struct json *event, const char *by,
    const char *const *keys, int64_t *index)
{
    const struct json *old = json_get(document, list);
    const char *name = json_str(json_get(event, by));
    struct json *fresh = json_make_array();
    *index = -1;
    for (size_t i = 0; i < json_count(old); i++) {
        struct json *item = json_clone(json_at(old, i));
        if (*index < 0 && name != NULL && cstr_equal(json_str(json_get(item, "name")), name)) {
            *index = (int64_t)i;
            for (size_t k = 0; keys[k] != NULL; k++) {
                copy(item, keys[k], event, keys[k]);
            }
        }
        json_append(fresh, item);
    }
    json_set(document, list, fresh);
}

static void
apply_run(struct json *document, const struct json *event)
{
    copy(document, "run_id", event, "run_id");
    copy(document, "run_url", event, "run_url");
    copy(document, "run_status", event, "status");
    copy(document, "run_conclusion", event, "conclusion");
}

static void
apply_move(struct json *document, const struct json *event, int64_t index)
{
    static const char *const keys[] = {"id", "revision", "digest", "status", "stage", "progress",
        "rolling_back", "hook", "outcome", "reason"};
    const char *direction = json_str(json_get(event, "direction"));
    const char *side = cstr_equal(direction, "back") ? "back" : "forward";
    const struct json *old = json_get(document, "targets");
    struct json *fresh = json_make_array();
    for (size_t i = 0; i < json_count(old); i++) {
        struct json *target = json_clone(json_at(old, i));
        const struct json *had = json_get(target, side);
        struct json *move = json_is_object(had) ? json_clone(had) : json_make_object();
        for (size_t k = 0; (int64_t)i == index && k < ARRAY_LENGTH(keys); k++) {
            copy(move, keys[k], event, keys[k]);
        }
        json_set(target, side, move);
        json_append(fresh, target);
    }
    json_set(document, "targets", fresh);
}

static void
apply_end(struct json *document, const struct json *event)
{
    static const char *const keys[] = {
        "exit_code", "message", "hint", "version", "proven", "proof", "quota_requests", NULL};
    const char *result = json_str(json_get(event, "result"));
    static const char *const open[] = {"triggered", "interrupted", "timeout", NULL};
    bool is_open = false;
    for (size_t i = 0; open[i] != NULL; i++) {
        is_open = is_open || cstr_equal(result, open[i]);
    }
    json_set_str(document, is_open ? "unfinished" : "result", result);
    for (size_t i = 0; keys[i] != NULL; i++) {
        copy(document, keys[i], event, keys[i]);
    }
    apply_run(document, event);
}

// From then on a run is waited for; the events themselves carry no such time.
static void
apply_dispatch(struct json *document, const struct json *event)
{
    int64_t sent_ms = 0;
    const char *time = json_str(json_get(event, "time"));
    json_set_str(document, "dispatch_state", "sent");
    if (time != NULL && clock_parse_rfc3339(time, &sent_ms)) {
        json_set_int(document, "wait_started_ms", sent_ms);
    }
}

// What the event changes in the document, and what of it the event is about.
static void
apply(struct json *document, const struct json *event, const char *kind, int64_t *index)
{
    static const char *const step_keys[] = {"state", "note", NULL};
    static const char *const target_keys[] = {"proven", "running_digest", NULL};
    *index = -1;
    if (strcmp(kind, "step") == 0) {
        patch_list(document, "steps", event, "step", step_keys, index);
        const char *state = json_str(json_get(event, "state"));
        if (cstr_equal(state, "done") && cstr_equal(json_str(json_get(event, "kind")), "trigger")) {
            apply_dispatch(document, event);
        }
    } else if (strcmp(kind, "run") == 0) {
        apply_run(document, event);
    } else if (strcmp(kind, "jobs") == 0) {
        copy(document, "jobs", event, "jobs");
    } else if (strcmp(kind, "target") == 0) {
        patch_list(document, "targets", event, "target", target_keys, index);
        apply_move(document, event, *index);
    } else if (strcmp(kind, "finished") == 0) {
        apply_end(document, event);
    }
}

static const struct {
    const char *name;
    enum deploy_event_kind kind;
} kinds[] = {
    {"started", DEPLOY_EVENT_STARTED},
    {"step", DEPLOY_EVENT_STEP},
    {"run", DEPLOY_EVENT_RUN},
    {"jobs", DEPLOY_EVENT_JOBS},
    {"target", DEPLOY_EVENT_TARGET},
    {"note", DEPLOY_EVENT_NOTE},
    {"warning", DEPLOY_EVENT_WARNING},
    {"finished", DEPLOY_EVENT_FINISHED},
};

static struct error *
decode(struct deploy_replay *replay, struct deployment **out)
{
    char *text CLEANUP(xfreep) = json_text(replay->document);
    return deployment_decode(str_of(text), replay->arena, out);
}

// False: it is about a step or a target that the deployment does not have.
static bool
point(const struct json *event, int64_t index, struct deploy_event *out)
{
    const struct deployment *d = out->deployment;
    if (out->kind == DEPLOY_EVENT_STEP) {
        out->step = index >= 0 ? deployment_step_at(d, (size_t)index) : NULL;
        return out->step != NULL;
    }
    if (out->kind == DEPLOY_EVENT_TARGET) {
        out->target = index >= 0 ? deployment_target_at(d, (size_t)index) : NULL;
        bool back = cstr_equal(json_str(json_get(event, "direction")), "back");
        out->move = out->target == NULL ? NULL : back ? &out->target->back : &out->target->forward;
        return out->target != NULL;
    }
    return true;
}

struct error *
deploy_replay_line(
    struct deploy_replay *replay, struct str line, struct deploy_event *out, bool *known)
{
    struct json *event CLEANUP(json_freep) = NULL;
    struct deployment *d = NULL;
    int64_t index = -1;
    TRY(json_parse(line, &json_limits_default, &event));
    const char *kind = json_str(json_get(event, "event"));
    size_t i = 0;
    while (i < ARRAY_LENGTH(kinds) && !cstr_equal(kind, kinds[i].name)) {
        i++;
    }
    *known = false;
    if (i < ARRAY_LENGTH(kinds) && kinds[i].kind == DEPLOY_EVENT_STARTED &&
        json_is_object(json_get(event, "plan"))) {
        json_free(replay->document);
        replay->document = json_clone(json_get(event, "plan"));
    }
    if (i == ARRAY_LENGTH(kinds) || replay->document == NULL) {
        return NULL;
    }
    apply(replay->document, event, kind, &index);
    arena_free(replay->arena);
    replay->arena = arena_new();
    TRY(decode(replay, &d));
    *out = (struct deploy_event){.kind = kinds[i].kind, .deployment = d};
    out->text = arena_dup(replay->arena, json_str(json_get(event, "text")));
    *known = point(event, index, out);
    return NULL;
}
