// News of runs, between those who hear of them and those who look: feed.c.
#pragma once

#include "service_internal.h"

/// What the engine of any worker asks; lives until feed_stop.
const struct deploy_run_feed *feed_for_engine(struct service *service);
/// There is news of the run, or may be: its next look is worth a request.
void feed_expect(struct service *service, const char *repository, int64_t run_id);
/// Is there news that nobody has looked at?
bool feed_is_expected(struct service *service, const char *repository, int64_t run_id);
/// The run is over for us.
void feed_forget(struct service *service, const char *repository, int64_t run_id);
/// Webhooks were written down: handle them now.
void feed_wake(struct service *service);
/// Ends the feed's thread; what it knows can still be asked for.
void feed_quiet(struct service *service);
/// May a run be looked at without any news, in case all of it was lost? A few a minute, whatever
/// their number.
bool feed_may_glance(struct service *service);
