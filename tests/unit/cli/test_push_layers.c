// Counting an upload: states, sums, the sliding rate, and what is left.
#include "push_layers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

#define DIGEST "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b"
#define DIFF_ID "sha256:77b80b2c4ca0d177b42e19392b5fcf0a7846db4c6c2bfa5665032cadc6d7a544"

static void
add_plain(struct push_layers *layers, int64_t size)
{
    const struct image_part part = {
        .descriptor = {"type", NULL, -1, NULL}, .diff_id = DIFF_ID, .plain_size = size};
    push_layers_add(layers, &part);
}

static struct push_layer *
note(struct push_layers *layers, enum registry_progress_kind what, int64_t done, int64_t sent,
    int64_t now_ms)
{
    const struct registry_progress progress = {.what = what,
        .digest = what == REGISTRY_PART_SENT ? DIGEST : NULL,
        .diff_id = DIFF_ID,
        .done = done,
        .total = 1000000,
        .sent = sent};
    return push_layers_note(layers, &progress, now_ms);
}

static void
a_layer_is_followed_to_its_end(void **state)
{
    (void)state;
    struct push_layers layers;
    push_layers_init(&layers, NULL, 500);
    add_plain(&layers, 1000000);
    struct push_layer *layer = &layers.items[0];
    assert_int_equal(layer->state, PUSH_LAYER_WAITING);
    assert_string_equal(push_layer_name(layer), DIFF_ID);
    assert_ptr_equal(note(&layers, REGISTRY_PART_SENDING, 400000, 100000, 1000), layer);
    assert_int_equal(layer->state, PUSH_LAYER_SENDING);
    assert_false(push_layer_is_over(layer));
    note(&layers, REGISTRY_PART_AGAIN, 0, 100000, 1500);
    assert_int_equal(layer->tries, 2);
    assert_int_equal(push_layers_sum(&layers).done, 0);
    assert_int_equal(push_layers_sum(&layers).sent, 0);
    note(&layers, REGISTRY_PART_SENDING, 10, 10, 2000);
    note(&layers, REGISTRY_PART_SENT, 1000000, 300000, 3200);
    assert_true(push_layer_is_over(layer));
    assert_int_equal(push_layer_took_ms(layer), 1200); // of the try that went well
    assert_string_equal(push_layer_name(layer), DIGEST);
    struct push_sums sums = push_layers_sum(&layers);
    assert_int_equal(sums.done, 1000000);
    assert_int_equal(sums.total, 1000000);
    assert_int_equal(sums.sent, 300000);
    assert_true(sums.compressed);
    assert_int_equal(sums.states[PUSH_LAYER_SENT], 1);
    push_layers_done(&layers);
}

// libcurl sends a body again by itself on a kept connection that was dead.
static void
a_body_that_begins_again_is_another_try(void **state)
{
    (void)state;
    struct push_layers layers;
    push_layers_init(&layers, NULL, 0);
    add_plain(&layers, 1000000);
    note(&layers, REGISTRY_PART_SENDING, 4000, 4000, 10);
    note(&layers, REGISTRY_PART_SENDING, 100, 100, 20);
    note(&layers, REGISTRY_PART_SENDING, 200, 200, 30);
    assert_int_equal(layers.items[0].tries, 2);
    push_layers_done(&layers);
}

static void
manifests_and_unknown_parts_change_nothing(void **state)
{
    (void)state;
    struct push_layers layers;
    push_layers_init(&layers, NULL, 0);
    assert_null(note(&layers, REGISTRY_PART_SENDING, 1, 1, 1)); // there is no part 0
    add_plain(&layers, 1000000);
    assert_null(note(&layers, REGISTRY_MANIFEST_SENT, 5, 5, 1));
    assert_int_equal(layers.items[0].state, PUSH_LAYER_WAITING);
    push_layers_reset(&layers, NULL, 7);
    assert_int_equal(layers.count, 0);
    assert_int_equal(layers.started_ms, 7);
    push_layers_done(&layers);
}

static void
the_rate_is_that_of_the_last_seconds(void **state)
{
    (void)state;
    struct push_layers layers;
    push_layers_init(&layers, NULL, 0);
    add_plain(&layers, 1000000);
    assert_int_equal(push_layers_rate(&layers, 100).window_ms, 0);
    note(&layers, REGISTRY_PART_SENDING, 0, 0, 1000);
    assert_int_equal(push_layers_rate(&layers, 1999).window_ms, 0); // too early to say
    // A fast minute, then a slow one: 2000 and 100 bytes a second.
    int64_t done = 0, now = 1000;
    for (; now < 61000; now += 100) {
        done += 200;
        note(&layers, REGISTRY_PART_SENDING, done, done / 2, now);
    }
    struct push_rate fast = push_layers_rate(&layers, now);
    assert_in_range(fast.done, 1950, 2050);
    assert_in_range(fast.sent, 970, 1030);
    for (; now < 121000; now += 100) {
        done += 10;
        note(&layers, REGISTRY_PART_SENDING, done, done / 2, now);
    }
    struct push_rate slow = push_layers_rate(&layers, now);
    assert_in_range(slow.done, 95, 105);
    assert_in_range(slow.window_ms, 6000, 7000);
    // Standing still shows within the window, and ends at nothing.
    assert_in_range(push_layers_rate(&layers, now + 3500).done, 30, 70);
    struct push_rate still = push_layers_rate(&layers, now + 60000);
    assert_int_equal(still.done, 0);
    assert_true(still.window_ms > 0);
    push_layers_done(&layers);
}

static void
what_is_there_says_nothing_about_the_line(void **state)
{
    (void)state;
    struct push_layers layers;
    push_layers_init(&layers, NULL, 0);
    add_plain(&layers, 1000000);
    note(&layers, REGISTRY_PART_PRESENT, 1000000, 0, 10);
    assert_int_equal(push_layers_rate(&layers, 5000).window_ms, 0);
    assert_int_equal(push_layers_sum(&layers).done, 1000000);
    push_layers_done(&layers);
}

static void
what_is_left_follows_from_the_rate(void **state)
{
    (void)state;
    const struct push_sums sums = {.done = 400, .total = 1000};
    const struct push_rate rate = {.done = 200, .window_ms = 5000};
    const struct push_rate still = {.window_ms = 5000}, unknown = {.done = 200};
    assert_int_equal(push_layers_left_ms(&sums, &rate), 3000);
    assert_int_equal(push_layers_left_ms(&sums, &still), -1);
    assert_int_equal(push_layers_left_ms(&sums, &unknown), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_is_followed_to_its_end),
        cmocka_unit_test(a_body_that_begins_again_is_another_try),
        cmocka_unit_test(manifests_and_unknown_parts_change_nothing),
        cmocka_unit_test(the_rate_is_that_of_the_last_seconds),
        cmocka_unit_test(what_is_there_says_nothing_about_the_line),
        cmocka_unit_test(what_is_left_follows_from_the_rate),
    };
    return cmocka_run_group_tests_name("push_layers", tests, NULL, NULL);
}
