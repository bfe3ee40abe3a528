// Deploying, for the service: the same engine as deploy.h, with the facts of a verified request in
// place of a checkout, and without a thread that sleeps.
//
//     deploy_given → deploy_prepare → deploy_begin → deploy_advance … deploy_advance → final
//
// deploy_advance goes on with a deployment until it has to wait for something, and says when to
// come again; between two calls it needs its row in the journal and a few bytes of pace. All of it
// may happen in another process, or after a crash: without its pace, waits begin anew.
#pragma once

#include "dispatcher/deploy.h"

// Facts in place of the checkout and the environment (deploy_request.given). All borrowed. The verb
// is deploy, promote (a deploy of the version that another environment has) or rollback. Nothing
// new is pushed: the images must be in the registry already, here or where request->from has them,
// from where they are copied. What policy decides (who, when, stale) is not asked again.
struct deploy_given {
    const char *id; // of the deployment
    const struct spec_document *config, *app_spec;
    const char *specs, *specs_commit; // where they were read
    // Where GitHub is and as which App, in place of what the specs say: whoever may write specs
    // must not choose where the App's signature is sent. github_api NULL: the specs'.
    const char *github_api, *github_app_id, *github_app_key;
    const char *sha, *ref, *event; // of the app repository, as its token said
    const char *repository;        // "owner/name"
    const char *actor, *caller_url;
    const char *claim_key;    // what the dispatch id is made of
    struct pair_list digests; // service to the digest that was pushed, or that ran where it comes
                              // from; the registry is asked for it
    const char *trace;        // W3C traceparent, for the workflow's `traceparent` input; or NULL
    int64_t accepted_ms;
};

// News of remote runs, where somebody else looks for all deployments at once.
struct deploy_run_feed {
    /// Is there news of the run since it was asked for last? Then it is looked at, which costs a
    /// request. Else `*until_ms` (mono): when to ask again at the latest.
    bool (*has_news)(void *ctx, const char *repository, int64_t run_id, int64_t *until_ms);
    void *ctx;
};

struct deploy_pace; // limits that count on this process's clock
struct deploy_pace *deploy_pace_new(void);
void deploy_pace_free(struct deploy_pace *pace);

/// Journals what deploy_prepare made. No effect yet.
NODISCARD struct error *deploy_begin(
    struct deploy_context *context, struct deployment *deployment, struct arena *arena);

struct deploy_advanced {
    bool ended;       // result is final, or it cannot be followed any more (`unfinished`)
    int64_t until_ms; // mono: when to come again; INT64_MAX: when the run feed has news
    struct deployment *deployment;
};
/// Loads `id` and goes on until it waits or ends. Never sleeps for longer than it takes to send a
/// request again. ERROR_CONFLICT: somebody else works on it, or has taken it over.
NODISCARD struct error *deploy_advance(struct deploy_context *context, const char *id,
    struct deploy_pace *pace, struct arena *arena, struct deploy_advanced *out);

/// Ends `id` as unknown (exit code 9) without going on with it, because of `why`: its message says
/// what was sent, and what one look at its run by number showed. One that has ended stays as it is;
/// *out NULL: there is no such deployment, so nothing was done.
NODISCARD struct error *deploy_set_aside(struct deploy_context *context, const char *id,
    const char *why, struct arena *arena, struct deployment **out);

// How a request ended that was accepted and never began.
struct deploy_unbegun {
    const char *verb, *version;
    const char *result;   // refused | cancelled | failed
    bool superseded;      // cancelled: by a newer one
    const char *sentence; // why
    int64_t exit_code, created_ms, ended_ms;
};
/// Tells the sinks of its spec, by the routes for `cancelled`, `superseded` and `failed`; of a
/// superseded one only those whose routes name outcomes. Into the outbox, each once however often
/// it is called. ERROR_SPEC: its spec says nothing that can be used.
NODISCARD struct error *deploy_tell_unbegun(struct deploy_context *context,
    const struct deploy_request *request, const struct deploy_unbegun *end, struct arena *arena);

/// How the commit stands to the one that is deployed, by GitHub's compare (protocols: stale).
enum deploy_ancestry {
    DEPLOY_ANCESTRY_UNKNOWN,
    DEPLOY_ANCESTRY_NEWER,
    DEPLOY_ANCESTRY_SAME,
    DEPLOY_ANCESTRY_OLDER,
    DEPLOY_ANCESTRY_DIVERGED,
};
struct deploy_range {
    const char *repository;  // of the app, "owner/name"; NULL: the spec's
    const char *base, *head; // commits, or tags
};
/// UNKNOWN with a sentence in *why when GitHub cannot tell.
NODISCARD struct error *deploy_ancestry(struct deploy_context *context,
    const struct deploy_request *request, const struct deploy_range *range, struct arena *arena,
    enum deploy_ancestry *out, const char **why);

/// How a service's image is built, as the spec says.
struct deploy_recipe {
    const char *service, *dockerfile, *context;
};
/// Where the images of (app, env) go, for a caller that builds and pushes them itself.
struct deploy_place {
    const char *registry, *region, *account;
    struct pair_list repositories; // service to repository
    const char *role;              // that the caller may assume with its own token, or NULL
    struct deploy_recipe *recipes; // one a repository
    size_t recipe_count;
    const char *platform;                       // NULL: the builder's own
    struct pair_list build_args, build_secrets; // of request->version; secrets are references
};
NODISCARD struct error *deploy_place(struct deploy_context *context,
    const struct deploy_request *request, struct arena *arena, struct diagnostics *diagnostics,
    struct deploy_place *out);
