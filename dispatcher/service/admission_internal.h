// A request on its way into the queue: admission.c, admission_record.c, admission_post.c.
#pragma once

#include "ask_internal.h"

struct admitting {
    struct service *service;
    const struct admission *given;
    struct arena *arena;
    struct admitted *out;
    int64_t now_ms;
    const struct spec_set *set;
    const struct settings *settings; // NULL: refused already
    const char *problem;             // of the spec, when it is invalid
    struct ask ask;
    struct queue_job job;
    struct queue_idempotency key;
    // What was so before a->op ran, which may run twice.
    struct admitted decided;
    struct ask asked;
    bool unnoted;                // one of too many denials of a stranger
    bool due;                    // its lane has something to be decided now
    struct queue_ids superseded; // ids: those who look at them are told
    struct store_op op;
    struct admission_done done; // of admission_post
};

/// The verdict is no, from now on.
void admission_refuse(
    struct admitting *a, enum reason_code code, const char *sentence, const char *who);
/// What only the store knows: which release a promotion, a rollback or a person's deploy means.
/// Refuses one that is not there. On the writer's thread.
NODISCARD struct error *admission_look(struct store *store, struct admitting *a);
/// The decision, into the audit log.
NODISCARD struct error *admission_audit(struct store *store, struct admitting *a);

// The three parts of it, for who waits and for who does not: all that needs no transaction, a->op
// on the writer's thread, and what follows from how that went (consumes `err`).
void admission_begin(struct service *service, const struct admission *admission,
    struct arena *arena, struct admitted *out, struct admitting *a);
NODISCARD struct error *admission_prepare(struct admitting *a);
NODISCARD struct error *admission_conclude(struct admitting *a, struct error *err);
