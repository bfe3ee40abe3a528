// Who holds how many event streams.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "listen_internal.h"

enum { NAMES = 3000 }; // more than there are slots

static void
each_name_has_its_own_count(void **state)
{
    (void)state;
    struct stream_holders *holders = stream_holders_new();
    struct stream_holder *one = stream_holders_take(holders, "user/a", 2);
    assert_non_null(one);
    assert_ptr_equal(stream_holders_take(holders, "user/a", 2), one);
    assert_null(stream_holders_take(holders, "user/a", 2));
    struct stream_holder *other = stream_holders_take(holders, "user/A", 1);
    assert_non_null(other);
    assert_null(stream_holders_take(holders, "user/A", 1));
    stream_holders_give(holders, one);
    assert_ptr_equal(stream_holders_take(holders, "user/a", 2), one);
    stream_holders_give(holders, one);
    stream_holders_give(holders, one);
    stream_holders_give(holders, NULL);
    assert_null(stream_holders_take(holders, "user/b", 0));
    stream_holders_give(holders, other);
    stream_holders_free(holders); // ends the program when one was not given back
}

static void
many_names_share_slots(void **state)
{
    (void)state;
    static struct stream_holder *held[NAMES];
    struct stream_holders *holders = stream_holders_new();
    char name[32];
    for (int i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof(name), "repository/%d", i);
        held[i] = stream_holders_take(holders, name, 1);
        assert_non_null(held[i]);
    }
    for (int i = 0; i < NAMES; i += 2) {
        stream_holders_give(holders, held[i]);
    }
    for (int i = 0; i < NAMES; i++) {
        (void)snprintf(name, sizeof(name), "repository/%d", i);
        struct stream_holder *again = stream_holders_take(holders, name, 1);
        assert_int_equal(again != NULL, i % 2 == 0);
        stream_holders_give(holders, again);
    }
    for (int i = 1; i < NAMES; i += 2) {
        stream_holders_give(holders, held[i]);
    }
    stream_holders_free(holders);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_has_its_own_count),
        cmocka_unit_test(many_names_share_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
