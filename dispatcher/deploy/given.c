// A deployment from the facts of a verified request, where a command reads its documents, the
// checkout of the app and the environment of a job. Whether the request may be done is policy's:
// here it is only made whole. Reads no file, no checkout, and nothing of the environment.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/semver.h"
#include "target_internal.h"

struct error *
given_documents(const struct preparation *p, struct spec_files **out)
{
    const struct deploy_given *given = p->request->given;
    struct spec_files *files = arena_alloc(p->arena, sizeof(*files));
    *files = (struct spec_files){.config = *given->config,
        .app = *given->app_spec,
        .where = arena_dup(p->arena, given->specs),
        .commit = arena_dup(p->arena, given->specs_commit)};
    *out = files;
    return NULL;
}

static struct error *
check_request(const struct preparation *p)
{
    static const char *const verbs[] = {"deploy", "promote", "rollback"};
    const struct deploy_request *r = p->request;
    const char *verb = r->verb != NULL ? r->verb : verbs[0];
    bool known = false;
    for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
        known = known || strcmp(verb, verbs[i]) == 0;
    }
    if (!known) {
        return error_new(ERROR_USAGE, "the service does not do '%.40s'", verb);
    }
    return r->images.count == 0 && !r->build
               ? NULL
               : error_new(ERROR_USAGE, "the service pushes no images: the app's job does");
}

// "refs/tags/v1" is tag v1, "refs/heads/main" is branch main.
static const char *
name_below(const struct preparation *p, const char *prefix)
{
    struct str ref = str_of(p->request->given->ref), start = str_of(prefix);
    return str_starts(ref, start) ? arena_str(p->arena, str_skip(ref, start.len)) : NULL;
}

const char *
given_tag(const struct preparation *p)
{
    return name_below(p, "refs/tags/");
}

struct error *
given_facts(const struct preparation *p)
{
    const struct deploy_given *given = p->request->given;
    struct deployment *d = p->deployment;
    TRY(check_request(p));
    d->verb = cstr_equal(d->verb, "promote") ? "deploy" : d->verb;
    d->served = true;
    d->accepted_ms = given->accepted_ms;
    d->sha = arena_dup(p->arena, given->sha);
    d->tag = given_tag(p);
    d->branch = name_below(p, "refs/heads/");
    d->actor = arena_dup(p->arena, given->actor);
    d->caller_url = arena_dup(p->arena, given->caller_url);
    d->claim_key = arena_dup(p->arena, given->claim_key);
    if (given->repository != NULL) { // as the token says it: a repository may have been renamed
        d->repository = arena_dup(p->arena, given->repository);
    }
    return NULL;
}

// --- which version -------------------------------------------------------------------------------

static struct error *
version_of_ref(const struct preparation *p, const char **out)
{
    const struct deployment *d = p->deployment;
    if (!cstr_equal(p->settings->version_from, "tag")) {
        *out = d->sha;
    } else if (d->tag != NULL && semver_is_valid(str_of(d->tag))) {
        *out = d->tag;
    }
    return *out != NULL
               ? NULL
               : error_hint(error_new(ERROR_USAGE, "no version was given for '%s'", d->app),
                     "Give it with the request; where the spec says 'version: tag', ask from a "
                     "version tag.");
}

static struct error *
check_digests(const struct preparation *p)
{
    const struct pair_list *digests = &p->request->given->digests;
    for (size_t i = 0; i < digests->count; i++) {
        const struct pair *pair = &digests->items[i];
        const struct setting_service *service = settings_service(p->settings, pair->key);
        bool deployed = service != NULL && service->deployable;
        if (!deployed && p->there != NULL) { // of the release there: this one may have fewer
            continue;
        }
        if (!deployed) {
            return error_new(ERROR_USAGE, "app '%s' has no service '%.80s' that is deployed",
                p->settings->app, pair->key);
        }
        if (!digest_is_valid(str_of(pair->value))) {
            return error_hint(error_new(ERROR_USAGE, "'%.120s' is no digest", pair->value),
                "It is what the registry said of the pushed image: sha256:…");
        }
    }
    return NULL;
}

struct error *
given_version(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    const char *version = p->request->version;
    TRY(check_digests(p));
    if (cstr_equal(d->verb, "rollback")) {
        return NULL; // the ledger says
    }
    if (version == NULL) {
        TRY(p->there != NULL ? promote_version(context, p, &version) : version_of_ref(p, &version));
    }
    TRY(prepare_check_version(version));
    d->version = arena_dup(p->arena, version);
    promote_note(p);
    if (d->sha == NULL && snapshot_is_commit(d->version)) {
        d->sha = d->version;
    }
    TRY(prepare_inputs(p));
    return targets_prepare(context, p);
}

// --- what was pushed -----------------------------------------------------------------------------

struct error *
given_image(const struct preparation *p, const struct deployment_service *service)
{
    const struct deploy_given *given = p->request->given;
    const struct pair_list *digests = given != NULL ? &given->digests : &(struct pair_list){0};
    const char *version = service->version != NULL ? service->version : p->deployment->version;
    for (size_t i = 0; i < digests->count; i++) {
        const struct pair *pair = &digests->items[i];
        if (strcmp(pair->key, service->name) != 0 || strcmp(pair->value, service->digest) == 0) {
            continue;
        }
        return error_hint(
            error_new(ERROR_CONFLICT, "image '%s/%s:%s' is %s, %s was pushed", service->registry,
                service->repository, version, service->digest, pair->value),
            "Somebody pushed another image under this version since. Push again, or deploy what is "
            "there now.");
    }
    return NULL;
}

// --- what the workflow is told -------------------------------------------------------------------

static bool
has_input(const struct pair_list *inputs, const char *name)
{
    for (size_t i = 0; i < inputs->count; i++) {
        if (strcmp(inputs->items[i].key, name) == 0) {
            return true;
        }
    }
    return false;
}

void
given_trace(const struct preparation *p, const struct github_workflow *workflow)
{
    static const char name[] = "traceparent";
    const struct deploy_given *given = p->request->given;
    struct pair_list *inputs = &p->deployment->inputs;
    bool declared = false;
    for (size_t i = 0; i < workflow->input_count; i++) {
        declared = declared || strcmp(workflow->inputs[i].name, name) == 0;
    }
    if (!declared || given == NULL || given->trace == NULL || has_input(inputs, name)) {
        return;
    }
    struct pair *longer = arena_array(p->arena, inputs->count + 1, sizeof(*longer));
    for (size_t i = 0; i < inputs->count; i++) {
        longer[i] = inputs->items[i];
    }
    longer[inputs->count] = (struct pair){name, arena_dup(p->arena, given->trace)};
    *inputs = (struct pair_list){longer, inputs->count + 1};
}
