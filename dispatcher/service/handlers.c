// Threads that run requests, each with a store handle of its own. Knows nothing of HTTP.
#include <pthread.h>
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "service_state_internal.h"

// Requests that wait for the writer share its commits, so more threads mean larger groups.
enum { THREADS = 16, STACK_BYTES = 512 * 1024 };

struct handlers {
    struct service *service;
    pthread_mutex_t lock;
    pthread_cond_t added;
    struct handler_task *first, *last;
    bool stopping;
    pthread_t threads[THREADS];
    size_t count;
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

static void
open_store(struct service *service, struct store **store)
{
    struct error *err CLEANUP(error_freep) = service_store_open(service, store);
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_error(service->platform.log, "storage cannot be opened", F_STR("error", text));
        *store = NULL;
    }
}

static void *
work(void *ctx)
{
    struct handlers *handlers = ctx;
    struct store *store CLEANUP(store_closep) = NULL;
    for (;;) {
        struct handler_task *task = take(handlers);
        if (task == NULL) {
            return NULL;
        }
        if (store == NULL) {
            open_store(handlers->service, &store);
        }
        bool failed = false;
        task->store_failed = &failed;
        task->run(task, store); // which may free the task
        if (failed) {
            store_close(store);
            store = NULL;
        }
    }
}

struct error *
handlers_start(struct service *service)
{
    struct handlers *handlers = xcalloc(1, sizeof(*handlers));
    pthread_attr_t attributes;
    handlers->service = service;
    (void)pthread_mutex_init(&handlers->lock, NULL);
    (void)pthread_cond_init(&handlers->added, NULL);
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
    (void)pthread_cond_destroy(&handlers->added);
    (void)pthread_mutex_destroy(&handlers->lock);
    free(handlers);
    service->handlers = NULL;
}
