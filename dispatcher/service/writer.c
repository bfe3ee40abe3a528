// The one thread that writes for requests: whatever has come together while the last commit was on
// its way to the disk goes into the next one, so that many requests share one fsync. Decides
// nothing; an operation that fails undoes only itself (store_group).
#include <pthread.h>
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum {
    GROUP_MAX = 512,
    BACKLOG_MAX = 16 * 1024, // more than that can only be a flood: refused at once
};

struct writer_item {
    struct store_op op;
    void (*done)(void *ctx, struct error *err);
    void *ctx;
    struct writer_item *next;
};

struct writer {
    struct service *service;
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t added;
    struct writer_item *first, *last;
    size_t count;
    bool stopping;
    pthread_t thread;
};

static void
add(struct writer *writer, struct writer_item *item)
{
    (void)pthread_mutex_lock(&writer->lock);
    bool full = writer->count >= BACKLOG_MAX || writer->stopping;
    if (!full) {
        if (writer->last != NULL) {
            writer->last->next = item;
        } else {
            writer->first = item;
        }
        writer->last = item;
        writer->count++;
        (void)pthread_cond_signal(&writer->added);
    }
    (void)pthread_mutex_unlock(&writer->lock);
    if (full) {
        item->done(item->ctx, error_new(ERROR_STORAGE, "too many writes wait"));
        free(item);
    }
}

// Waits for one, then takes all that are there.
static struct writer_item *
take(struct writer *writer, size_t *count)
{
    (void)pthread_mutex_lock(&writer->lock);
    while (writer->first == NULL && !writer->stopping) {
        (void)pthread_cond_wait(&writer->added, &writer->lock);
    }
    struct writer_item *first = writer->first, *last = first;
    size_t taken = first != NULL ? 1 : 0;
    while (last != NULL && last->next != NULL && taken < GROUP_MAX) {
        last = last->next;
        taken++;
    }
    if (last != NULL) {
        writer->first = last->next;
        writer->last = writer->first != NULL ? writer->last : NULL;
        last->next = NULL;
        writer->count -= taken;
    }
    (void)pthread_mutex_unlock(&writer->lock);
    *count = taken;
    return first;
}

static bool
stopping(struct writer *writer)
{
    (void)pthread_mutex_lock(&writer->lock);
    bool is = writer->stopping;
    (void)pthread_mutex_unlock(&writer->lock);
    return is;
}

static struct error *
copy_of(const struct error *err)
{
    char *text CLEANUP(xfreep) = error_text(err);
    return error_new(error_kind(err), "%s", text);
}

// A database that replicas share may come back; a file that failed leaves its content in doubt.
static void
recover(struct writer *writer, struct error *err)
{
    const struct platform *platform = &writer->service->request_platform;
    bool shared = writer->store != NULL && store_is_shared(writer->store);
    // Until requests are given up: then those that still wait are told, or nobody could go.
    while (shared && !stopping(writer) && cancel_signal(platform->cancel) == 0) {
        struct error *again CLEANUP(error_freep) = NULL;
        store_close(writer->store);
        writer->store = NULL;
        again = service_store_open(writer->service, &writer->store);
        if (again == NULL) {
            error_free(err);
            return;
        }
        struct error *cancelled CLEANUP(error_freep) =
            clock_sleep_until(platform->clock, clock_mono(platform->clock) + 500, platform->cancel);
    }
    service_fail(writer->service, err);
}

static void
commit(struct writer *writer, struct writer_item *first, size_t count)
{
    struct store_op *ops = xcalloc(count, sizeof(*ops));
    size_t i = 0;
    for (struct writer_item *item = first; item != NULL; item = item->next) {
        ops[i++] = item->op;
    }
    struct error *err = writer->store != NULL
                            ? store_group(writer->store, ops, count)
                            : error_new(ERROR_STORAGE, "the database is not there");
    i = 0;
    for (struct writer_item *item = first, *next = NULL; item != NULL; item = next, i++) {
        next = item->next;
        if (err != NULL) {
            error_free(ops[i].err); // undone with all the others
            ops[i].err = copy_of(err);
        }
        item->done(item->ctx, ops[i].err);
        free(item);
    }
    free(ops);
    if (err != NULL) {
        recover(writer, err);
    }
}

static void *
work(void *ctx)
{
    struct writer *writer = ctx;
    for (;;) {
        size_t count = 0;
        struct writer_item *first = take(writer, &count);
        if (first == NULL) {
            return NULL;
        }
        commit(writer, first, count);
    }
}

struct error *
writer_start(struct service *service)
{
    struct writer *writer = xcalloc(1, sizeof(*writer));
    writer->service = service;
    (void)pthread_mutex_init(&writer->lock, NULL);
    (void)pthread_cond_init(&writer->added, NULL);
    struct error *err = service_store_open(service, &writer->store);
    if (err == NULL && pthread_create(&writer->thread, NULL, work, writer) != 0) {
        err = error_new(ERROR_UNAVAILABLE, "cannot start a thread");
    }
    if (err != NULL) {
        store_close(writer->store);
        (void)pthread_cond_destroy(&writer->added);
        (void)pthread_mutex_destroy(&writer->lock);
        free(writer);
        return err;
    }
    service->writer = writer;
    return NULL;
}

void
writer_stop(struct service *service)
{
    struct writer *writer = service->writer;
    if (writer == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    (void)pthread_cond_signal(&writer->added);
    (void)pthread_mutex_unlock(&writer->lock);
    (void)pthread_join(writer->thread, NULL);
    store_close(writer->store);
    (void)pthread_cond_destroy(&writer->added);
    (void)pthread_mutex_destroy(&writer->lock);
    free(writer);
    service->writer = NULL;
}

size_t
writer_backlog(struct service *service)
{
    struct writer *writer = service->writer;
    (void)pthread_mutex_lock(&writer->lock);
    size_t count = writer->count;
    (void)pthread_mutex_unlock(&writer->lock);
    return count;
}

void
writer_post(struct service *service, struct store_op *op,
    void (*done)(void *ctx, struct error *err), void *ctx)
{
    struct writer_item *item = xcalloc(1, sizeof(*item));
    *item = (struct writer_item){.op = *op, .done = done, .ctx = ctx};
    add(service->writer, item);
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool over;
    struct error *err;
};

static void
wake(void *ctx, struct error *err)
{
    struct waiting *waiting = ctx;
    (void)pthread_mutex_lock(&waiting->lock);
    waiting->err = err;
    waiting->over = true;
    (void)pthread_cond_signal(&waiting->ended);
    (void)pthread_mutex_unlock(&waiting->lock);
}

static struct error *
nothing(struct store *store, void *ctx)
{
    (void)store, (void)ctx;
    return NULL;
}

void
writer_flush(struct service *service)
{
    struct store_op op = {.run = nothing};
    if (service->writer != NULL) {
        error_free(writer_do(service, &op));
    }
}

struct error *
writer_do(struct service *service, struct store_op *op)
{
    struct waiting waiting = {.over = false};
    (void)pthread_mutex_init(&waiting.lock, NULL);
    (void)pthread_cond_init(&waiting.ended, NULL);
    writer_post(service, op, wake, &waiting);
    (void)pthread_mutex_lock(&waiting.lock);
    while (!waiting.over) {
        (void)pthread_cond_wait(&waiting.ended, &waiting.lock);
    }
    (void)pthread_mutex_unlock(&waiting.lock);
    (void)pthread_cond_destroy(&waiting.ended);
    (void)pthread_mutex_destroy(&waiting.lock);
    return waiting.err;
}
