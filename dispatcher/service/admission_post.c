// A request for a deployment that no thread waits for: it is handed to the writer, and its answer
// is given once the commit is durable. What is decided is admission.c's.
#include "admission_internal.h"

static void
written(void *ctx, struct error *err)
{
    struct admitting *a = ctx;
    a->done.run(a->done.ctx, admission_conclude(a, err));
}

void
admission_post(struct service *service, const struct admission *admission, struct arena *arena,
    struct admitted *out, const struct admission_done *done)
{
    struct admitting *a = arena_alloc(arena, sizeof(*a));
    admission_begin(service, admission, arena, out, a);
    a->done = *done;
    struct error *err = admission_prepare(a);
    if (err != NULL) {
        written(a, err);
        return;
    }
    writer_post(service, &a->op, written, a);
}
