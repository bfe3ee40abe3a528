// What holds the queue's transactions together: groups of requests in one commit, the fence of a
// handle. Knows no rule of the queue.
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "queue_internal.h"

static struct error *
undo(struct store *store)
{
    TRY(store_run(store, "ROLLBACK TO SAVEPOINT part"));
    return store_run(store, "RELEASE SAVEPOINT part");
}

static struct error *
run_op(struct store *store, struct store_op *op)
{
    const struct store_audit_head audit = store->audit;
    TRY(store_check(store)); // a handle that broke takes all of them along
    TRY(store_run_ahead(store, "SAVEPOINT part"));
    op->err = op->run(store, op->ctx);
    if (op->err == NULL && store->part_failed) {
        op->err = error_new(ERROR_STORAGE, "a part of the request failed");
    }
    if (op->err == NULL) {
        op->err = store_run(store, "RELEASE SAVEPOINT part"); // PostgreSQL knows what was forgotten
    }
    if (op->err == NULL) {
        return NULL;
    }
    store->part_failed = false;
    store->audit = audit;
    return undo(store);
}

// Groups lock several lanes in the order of their requests, and the audit's head. Two of them at a
// time would wait for each other, so that whoever has the head goes first.
static struct error *
run_ops(struct store *store, struct store_op *ops, size_t count)
{
    TRY(audit_lock_head(store));
    for (size_t i = 0; i < count; i++) {
        TRY(run_op(store, &ops[i]));
    }
    return NULL;
}

// *failed: one of them did, or may have.
static struct error *
run_plain(struct store *store, struct store_op *ops, size_t count, bool *failed)
{
    TRY(audit_lock_head(store));
    for (size_t i = 0; i < count && !*failed; i++) {
        struct error *err = ops[i].run(store, ops[i].ctx);
        *failed = err != NULL || store->part_failed;
        error_free(err);
    }
    return *failed ? NULL : audit_flush(store); // what was sent ahead is answered by now
}

// Without savepoints: on a shared database they are two statements and a round trip for each
// operation, and most groups have none that fails. One that has is undone as a whole, before
// anything of it is final. *again: that is so, and which one it was is not known.
static struct error *
group_plain(struct store *store, struct store_op *ops, size_t count, bool *again)
{
    bool failed = false;
    *again = false;
    TRY(store_begin(store));
    struct error *err = run_plain(store, ops, count, &failed);
    if (err == NULL && !failed) {
        return store_end(store, NULL);
    }
    err = store_end(store, err != NULL ? err : error_new(ERROR_STORAGE, "one of a group failed"));
    *again = store_is_usable(store);
    if (*again) {
        error_free(err);
    }
    return *again ? NULL : err;
}

static struct error *
group_in_parts(struct store *store, struct store_op *ops, size_t count)
{
    TRY(store_begin(store));
    return store_end(store, run_ops(store, ops, count));
}

struct error *
store_group(struct store *store, struct store_op *ops, size_t count)
{
    bool again = true;
    for (size_t i = 0; i < count; i++) {
        ops[i].err = NULL;
    }
    if (store_is_shared(store)) {
        TRY(group_plain(store, ops, count, &again));
    }
    return again ? group_in_parts(store, ops, count) : NULL;
}

void
store_set_fence(struct store *store, const char *id, int64_t fence)
{
    free(store->fenced);
    store->fenced = id != NULL ? xstrdup(id) : NULL;
    store->fence = fence;
}

struct error *
store_check_fence(struct store *store, const char *id)
{
    if (store->fenced == NULL || !cstr_equal(store->fenced, id)) {
        return NULL;
    }
    struct query query CLEANUP(query_done);
    // The row's lock holds whoever would take it over until this transaction has ended.
    query_init(&query, store, "SELECT fence FROM jobs WHERE id = ? FOR UPDATE");
    query_text(&query, id);
    int64_t fence = query_row(&query) ? query_get_int(&query, 0) : -1;
    TRY(query_finish(&query));
    return fence == store->fence ? NULL : queue_taken_over(id);
}
