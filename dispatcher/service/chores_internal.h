// What one replica does for all: poll.c, sweep.c, drift.c, chores.c.
#pragma once

#include "dispatcher/http.h"
#include "service_internal.h"

// --- poll.c: one look at the runs of an infra repository, for all that wait ----------------------

struct poller;
struct poller *poll_new(struct service *service, struct http_client *http, struct store *store);
void poll_free(struct poller *poller);
/// Polls the infra repositories whose time has come and whose lease is ours. *next_ms (mono): when
/// to come again. Errors: ERROR_STORAGE only.
NODISCARD struct error *poll_round(struct poller *poller, int64_t *next_ms);

// --- untold.c: ends of what never began ----------------------------------------------------------

/// Tells the sinks of what has ended since the last time without a deployment in the journal.
/// Errors: ERROR_STORAGE only.
NODISCARD struct error *untold_round(struct service *service, struct store *store);

// --- sweep.c: webhooks that did not arrive -------------------------------------------------------

struct sweeper;
struct sweeper *sweep_new(struct service *service, struct http_client *http, struct store *store);
void sweep_free(struct sweeper *sweeper);
NODISCARD struct error *sweep_round(struct sweeper *sweeper, int64_t *next_ms);

// --- drift.c: what is not as the last proven release left it -------------------------------------

struct drifter;
struct drifter *drift_new(struct service *service, struct http_client *http, struct store *store);
void drift_free(struct drifter *drifter);
/// Looks at a few of the lanes that are due, where the lease is ours. *next_ms (mono): when to come
/// again. Errors: ERROR_STORAGE only.
NODISCARD struct error *drift_round(struct drifter *drifter, int64_t *next_ms);
