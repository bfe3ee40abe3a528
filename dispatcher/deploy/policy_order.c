// The order of versions: was it where it must be first, long enough and the very same image; is it
// newer than what is deployed; was it ever good here? Rollbacks are asked only the last.
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "policy_internal.h"

// For so long after a request GitHub may be asked again how two commits stand to each other.
static const int64_t patience_ms = INT64_C(900000);

static const char *
version_of(struct arena *arena, const struct policy_facts *facts)
{
    return facts->version != NULL ? policy_word(arena, facts->version, POLICY_WORD_MAX)
                                  : "not known yet";
}

static void
refuse(struct policy_gate *out, enum reason_code code, const char *sentence, const char *who)
{
    out->answer = POLICY_REFUSE;
    out->code = code;
    out->sentence = sentence;
    out->who = who;
}

// Each image that the deployment is about must be there, and the same: what is not known is not the
// same.
static const char *
different_service(
    const struct settings *settings, const struct policy_facts *facts, bool *has_images)
{
    struct json *now CLEANUP(json_freep) = NULL;
    struct json *then CLEANUP(json_freep) = NULL;
    struct error *of_now CLEANUP(error_freep) =
        json_parse(str_of(facts->digests), &json_limits_default, &now);
    struct error *of_then CLEANUP(error_freep) =
        json_parse(str_of(facts->promoted_digests), &json_limits_default, &then);
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct setting_service *service = &settings->services[i];
        if (!service->deployable || !service->has_image) {
            continue;
        }
        const char *mine = of_now == NULL ? json_str(json_get(now, service->key)) : NULL;
        const char *theirs = of_then == NULL ? json_str(json_get(then, service->key)) : NULL;
        *has_images = true;
        if (mine == NULL || !cstr_equal(mine, theirs)) {
            return service->key;
        }
    }
    return NULL;
}

static void
check_promotion(const struct settings *settings, const struct policy_facts *facts,
    struct arena *arena, struct policy_gate *out)
{
    const struct setting_promote *promote = &settings->promote_from;
    const char *version = version_of(arena, facts);
    if (facts->promoted_since_ms <= 0) {
        refuse(out, REASON_NOT_PROMOTED,
            arena_printf(arena, "version '%s' was never in '%s', where it must be before '%s'",
                version, promote->environment, settings->env),
            arena_printf(arena, "a deployment to '%s'", promote->environment));
        return;
    }
    bool has_images = false;
    const char *service =
        promote->same_digest ? different_service(settings, facts, &has_images) : NULL;
    if (service != NULL) {
        refuse(out, REASON_OTHER_DIGEST,
            arena_printf(arena,
                "the image of '%s' in version '%s' is not known to be the one in '%s'", service,
                version, promote->environment),
            arena_printf(arena, "a deployment of that image to '%s'", promote->environment));
        return;
    }
    int64_t ready_ms = facts->promoted_since_ms + promote->soak_ms;
    if (facts->promoted_until_ms != 0 && facts->promoted_until_ms < ready_ms) {
        refuse(out, REASON_NOT_PROMOTED,
            arena_printf(arena,
                "version '%s' was not long enough in '%s': another one took its place there%s",
                version, promote->environment, policy_at(arena, facts->promoted_until_ms)),
            arena_printf(arena, "a deployment of it to '%s'", promote->environment));
    } else if (facts->now_ms < ready_ms) {
        out->answer = POLICY_WAIT;
        out->code = REASON_SOAK;
        out->until_ms = ready_ms;
        out->on_release = "will run";
        out->sentence = arena_printf(arena, "version '%s' stays in '%s'%s before it may go to '%s'",
            version, promote->environment, policy_until(arena, ready_ms), settings->env);
    }
}

static const char *
stands(enum policy_ancestry ancestry)
{
    switch (ancestry) {
    case POLICY_ANCESTRY_OLDER:
        return "is older than";
    case POLICY_ANCESTRY_DIVERGED:
        return "has diverged from";
    case POLICY_ANCESTRY_NEWER:
    case POLICY_ANCESTRY_SAME:
    case POLICY_ANCESTRY_FIRST:
        return NULL;
    case POLICY_ANCESTRY_UNKNOWN:
        break;
    }
    return "is not known to be newer than";
}

// What is not known never passes silently: `reject` waits while GitHub may just be slow to answer,
// and then refuses; the others say it.
static void
check_stale(const struct settings *settings, const struct policy_facts *facts, struct arena *arena,
    struct policy_gate *out)
{
    const char *how = stands(facts->ancestry);
    bool rejects = !cstr_equal(settings->stale, "warn") && !cstr_equal(settings->stale, "allow");
    bool unknown = how != NULL && facts->ancestry != POLICY_ANCESTRY_OLDER &&
                   facts->ancestry != POLICY_ANCESTRY_DIVERGED;
    if (how == NULL || (cstr_equal(settings->stale, "allow") && !unknown)) {
        return;
    }
    const char *sentence = arena_printf(arena, "version '%s' %s '%s', which is deployed to '%s'",
        version_of(arena, facts), how,
        facts->deployed_version != NULL
            ? policy_word(arena, facts->deployed_version, POLICY_WORD_MAX)
            : "what",
        settings->env);
    if (!rejects) {
        policy_warn(arena, out, sentence);
    } else if (unknown && facts->now_ms < facts->accepted_ms + patience_ms) {
        out->answer = POLICY_WAIT;
        out->code = REASON_STALE;
        out->sentence = arena_printf(arena, "%s: GitHub is asked again", sentence);
        out->until_ms = facts->accepted_ms + patience_ms;
        out->on_release = "will be refused";
        out->who = "GitHub";
    } else {
        refuse(out, REASON_STALE, sentence, "a deployment of a newer commit, or a rollback");
    }
}

void
policy_gate_order(const struct settings *settings, const struct policy_facts *facts,
    struct arena *arena, struct policy_gate *out)
{
    if (cstr_equal(facts->verb, "rollback")) {
        if (!facts->known_good) {
            refuse(out, REASON_NOT_KNOWN_GOOD,
                arena_printf(arena,
                    "version '%s' was never deployed to '%s', so there is no way back to it",
                    version_of(arena, facts), settings->env),
                NULL);
        }
        return;
    }
    if (settings->promote_from.environment != NULL) {
        check_promotion(settings, facts, arena, out);
    }
    if (out->answer == POLICY_GO) {
        check_stale(settings, facts, arena, out);
    }
}
