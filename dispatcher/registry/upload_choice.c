// Which upload goes on next: order and limits, nothing else.
#include "upload_internal.h"

// Questions first, since they decide about the rest; then sessions that are open, then new ones.
static unsigned
rank(enum upload_state state)
{
    static const unsigned ranks[] = {[UPLOAD_HELD] = 0,
        [UPLOAD_DONE] = 0,
        [UPLOAD_SESSION] = 1,
        [UPLOAD_BODY] = 2,
        [UPLOAD_COMMIT] = 3,
        [UPLOAD_CHECK] = 4,
        [UPLOAD_RECHECK] = 4};
    return ranks[state];
}

static bool
has_session(const struct upload *upload)
{
    bool asking = upload->state == UPLOAD_CHECK && upload->location != NULL;
    return upload->state == UPLOAD_BODY || upload->state == UPLOAD_COMMIT || asking ||
           (upload->active && upload->state == UPLOAD_SESSION);
}

static size_t
large_sessions(const struct uploads *uploads)
{
    size_t count = 0;
    for (size_t i = 0; i < uploads->count; i++) {
        count += has_session(&uploads->list[i]) && upload_is_large(&uploads->list[i]);
    }
    return count;
}

struct upload *
upload_choose(struct uploads *uploads, int64_t *again_ms)
{
    struct upload *best = NULL;
    int64_t now = clock_mono(uploads->client->platform->clock);
    bool bodies_full = large_sessions(uploads) >= uploads->client->parallel_bodies;
    for (size_t i = 0; i < uploads->count; i++) {
        struct upload *upload = &uploads->list[i];
        if (upload->active || rank(upload->state) == 0) {
            continue;
        }
        if (upload->not_before_ms > now) {
            *again_ms = upload->not_before_ms < *again_ms ? upload->not_before_ms : *again_ms;
            continue;
        }
        if (upload->state == UPLOAD_SESSION && upload_is_large(upload) && bodies_full) {
            continue;
        }
        if (best == NULL || rank(upload->state) > rank(best->state)) {
            best = upload;
        }
    }
    return best;
}
