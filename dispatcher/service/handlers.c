// Threads that run requests, and the store handles that they share: each thread has one at a file's
// database, where that costs nothing, and on a shared one, where it is a connection, few are lent
// to those that read at the moment. Knows nothing of HTTP.
#include <pthread.h>
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "service_state_internal.h"

// Requests that wait for the writer share its commits, so more threads mean larger groups.
enum { THREADS = 16, STACK_BYTES = 512 * 1024 };

struct handlers {
    struct service *service;
    pthread_mutex_t lock;
    pthread_cond_t added, returned;
    struct handler_task *first, *last;
    bool stopping;
    pthread_t threads[THREADS];
    size_t count;
    // Handles that nobody has; the one that was used last is lent first.
    struct store *stores[THREADS];
    size_t idle, open, most;
};

static struct handler_task *
take(struct handlers *handlers)
{
    (void)pthread_mutex_lock(&handlers->lock);
    while (handlers->first == NULL && !handlers->stopping) {
        (void)pthread_cond_wait(&handlers->added, &handlers->lock);
    }
    struct handler_task *task = handlers->first;
    if (task != NULL) {
        handlers->first = task->next;
        handlers->last = handlers->first != NULL ? handlers->last : NULL;
    }
    (void)pthread_mutex_unlock(&handlers->lock);
    return task;
}

static void *
work(void *ctx)
{
    struct handlers *handlers = ctx;
    for (;;) {
        struct handler_task *task = take(handlers);
        if (task == NULL) {
            return NULL;
        }
        task->run(task);
    }
}

// --- store handles -------------------------------------------------------------------------------

static struct store *
open_store(struct service *service)
{
    struct store *store = NULL;
    struct error *err CLEANUP(error_freep) = service_store_open(service, &store);
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_error(service->platform.log, "storage cannot be opened", F_STR("error", text));
        return NULL;
    }
    return store;
}

// One that is idle, or NULL: there may be one more, which is counted already.
static struct store *
wait_for_store(struct handlers *handlers)
{
    struct store *store = NULL;
    (void)pthread_mutex_lock(&handlers->lock);
    while (handlers->idle == 0 && handlers->open >= handlers->most) {
        (void)pthread_cond_wait(&handlers->returned, &handlers->lock);
    }
    if (handlers->idle > 0) {
        store = handlers->stores[--handlers->idle];
    } else {
        handlers->open++;
    }
    (void)pthread_mutex_unlock(&handlers->lock);
    return store;
}

static void
put_back(struct handlers *handlers, struct store *store)
{
    (void)pthread_mutex_lock(&handlers->lock);
    if (store != NULL) {
        handlers->stores[handlers->idle++] = store;
    } else {
        handlers->open--;
    }
    (void)pthread_cond_signal(&handlers->returned);
    (void)pthread_mutex_unlock(&handlers->lock);
}

struct store *
handlers_lend(struct service *service)
{
    struct store *store = wait_for_store(service->handlers);
    if (store == NULL) {
        store = open_store(service);
        if (store == NULL) {
            put_back(service->handlers, NULL);
        }
    }
    return store;
}

void
handlers_take_back(struct service *service, struct store *store)
{
    if (store == NULL) {
        return;
    }
    bool usable = store_is_usable(store);
    if (!usable) {
        store_close(store);
    }
    put_back(service->handlers, usable ? store : NULL);
}

// --- their life ----------------------------------------------------------------------------------

static size_t
stores_of(const struct setting_server *settings)
{
    int64_t wanted = settings->state_connections;
    bool few = store_path_is_shared(settings->state) && wanted > 0 && wanted < THREADS;
    return few ? (size_t)wanted : THREADS;
}

struct error *
handlers_start(struct service *service)
{
    struct handlers *handlers = xcalloc(1, sizeof(*handlers));
    pthread_attr_t attributes;
    handlers->service = service;
    handlers->most = stores_of(service_settings(service));
    (void)pthread_mutex_init(&handlers->lock, NULL);
    (void)pthread_cond_init(&handlers->added, NULL);
    (void)pthread_cond_init(&handlers->returned, NULL);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    service->handlers = handlers;
    int failed = 0;
    while (handlers->count < THREADS && failed == 0) {
        failed = pthread_create(&handlers->threads[handlers->count], &attributes, work, handlers);
        handlers->count += failed == 0;
    }
    (void)pthread_attr_destroy(&attributes);
    return failed == 0 ? NULL : error_new(ERROR_UNAVAILABLE, "cannot start a thread");
}

void
handlers_add(struct service *service, struct handler_task *task)
{
    struct handlers *handlers = service->handlers;
    task->next = NULL;
    (void)pthread_mutex_lock(&handlers->lock);
    if (handlers->last != NULL) {
        handlers->last->next = task;
    } else {
        handlers->first = task;
    }
    handlers->last = task;
    (void)pthread_cond_signal(&handlers->added);
    (void)pthread_mutex_unlock(&handlers->lock);
}

void
handlers_stop(struct service *service)
{
    struct handlers *handlers = service->handlers;
    if (handlers == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&handlers->lock);
    handlers->stopping = true;
    (void)pthread_cond_broadcast(&handlers->added);
    (void)pthread_mutex_unlock(&handlers->lock);
    for (size_t i = 0; i < handlers->count; i++) {
        (void)pthread_join(handlers->threads[i], NULL);
    }
    for (size_t i = 0; i < handlers->idle; i++) {
        store_close(handlers->stores[i]);
    }
    (void)pthread_cond_destroy(&handlers->returned);
    (void)pthread_cond_destroy(&handlers->added);
    (void)pthread_mutex_destroy(&handlers->lock);
    free(handlers);
    service->handlers = NULL;
}
