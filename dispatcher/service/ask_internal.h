// What a job was asked for, as queue_job.request holds it: who asked and by which facts, so that
// any replica can decide and begin it later without the token. No secrets, no token.
#pragma once

#include "service_internal.h"

struct ask {
    const char *verb; // deploy | rollback | promote
    const char *app, *env, *version;
    const char *from; // promote, and a person's deploy of what ran elsewhere: that environment
    const char *to, *reason;
    bool emergency;
    struct pair_list digests;    // service to digest
    struct policy_claims claims; // of a job: repository_id is not 0
    struct policy_person person; // of a person: login is not NULL
    // Of the app repository: the token's, or those of the release that is meant.
    const char *sha, *ref, *event;
    const char *repository;
    const char *run_url; // of the job that asked
    const char *rule;    // that let it pass
    const char *specs;   // commit that it was decided by
    const char *request_id, *traceparent;
    const char *promoted; // promote, and a person's deploy: the deployment that brought the version
    bool rollback_lock;   // what the settings said then, for when they cannot be read any more
    struct str_list warnings; // of its acceptance
    int64_t accepted_ms;
};

char *ask_text(const struct ask *ask); // JSON; heap, free()
NODISCARD struct error *ask_read(const char *text, struct arena *arena, struct ask *out);
/// Login of whoever asked.
const char *ask_requester(const struct ask *ask);
int64_t ask_requester_id(const struct ask *ask);
/// Nobody asked by hand: a push, a schedule, the same run once more, whose actor is still the
/// first.
bool ask_is_automatic(const struct ask *ask);
/// {"web":"sha256:…"} in the order of services; NULL when there are none.
const char *ask_digests(const struct pair_list *digests, struct arena *arena);
/// The reverse, of what queue_release.digests holds.
void ask_digests_read(const char *text, struct arena *arena, struct pair_list *out);

/// The release of `version` in (app, env), or what is there now when it is NULL; *out NULL: none.
NODISCARD struct error *ask_release(struct store *store, const char *app, const char *env,
    const char *version, struct arena *arena, struct queue_release **out);
