// The writer while its database is away: nobody who waits for it keeps the service from ending.
// wraps: service_store_open store_is_shared store_close store_group
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum { PATIENCE_MS = 30 * 1000 };

static atomic_int opened, told;

struct error *__wrap_service_store_open(struct service *service, struct store **out);
bool __wrap_store_is_shared(const struct store *store);
void __wrap_store_close(struct store *store);
struct error *__wrap_store_group(struct store *store, struct store_op *ops, size_t count);

struct error *
__wrap_service_store_open(struct service *service, struct store **out)
{
    bool first = atomic_fetch_add(&opened, 1) == 0;
    *out = first ? (struct store *)(void *)service : NULL; // never looked into
    return first ? NULL : error_new(ERROR_STORAGE, "no server is there");
}

bool
__wrap_store_is_shared(const struct store *store)
{
    (void)store;
    return true;
}

void
__wrap_store_close(struct store *store)
{
    (void)store;
}

struct error *
__wrap_store_group(struct store *store, struct store_op *ops, size_t count)
{
    (void)store, (void)ops, (void)count;
    return error_new(ERROR_STORAGE, "the connection broke");
}

static struct error *
write_nothing(struct store *store, void *ctx)
{
    (void)store, (void)ctx;
    return NULL;
}

static void
hear(void *ctx, struct error *err)
{
    (void)ctx;
    assert_non_null(err);
    error_free(err);
    (void)atomic_fetch_add(&told, 1);
}

static void
until(atomic_int *count, int least)
{
    int64_t end = clock_mono(&clock_system) + PATIENCE_MS;
    while (atomic_load(count) < least) {
        assert_true(clock_mono(&clock_system) < end);
        assert_null(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 5, NULL));
    }
}

static void
who_waits_while_the_database_is_away_is_told_at_the_end(void **state)
{
    (void)state;
    struct service service = {.platform = {.clock = &clock_system},
        .request_platform = {.clock = &clock_system},
        .request_stop = cancel_new()};
    struct store_op op = {.run = write_nothing};
    service.request_platform.cancel = service.request_stop;
    (void)pthread_mutex_init(&service.lock, NULL);
    assert_null(writer_start(&service));
    writer_post(&service, &op, hear, NULL);
    until(&opened, 2); // it looks for its server again
    writer_post(&service, &op, hear, NULL);
    assert_int_equal(told, 1); // the second one may still be written
    cancel_raise(service.request_stop, 15);
    until(&told, 2);
    assert_true(atomic_load(&service.failed));
    writer_stop(&service);
    free(service.failure);
    (void)pthread_mutex_destroy(&service.lock);
    cancel_free(service.request_stop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_while_the_database_is_away_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
