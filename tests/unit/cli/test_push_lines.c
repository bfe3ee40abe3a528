// An upload in lines, to the character.
#include "push_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

#define DIGEST "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b"
#define DIFF_ID "sha256:77b80b2c4ca0d177b42e19392b5fcf0a7846db4c6c2bfa5665032cadc6d7a544"

static void
assert_line(struct push_layer layer, const char *expected)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(1024);
    push_lines_layer(&layer, 0, &line);
    assert_string_equal(buf_cstr(&line), expected);
}

static void
each_layer_has_its_line(void **state)
{
    (void)state;
    assert_line((struct push_layer){.state = PUSH_LAYER_SENT,
                    .digest = DIGEST,
                    .diff_id = DIFF_ID,
                    .total = 135895449,
                    .sent = 43201331,
                    .tries = 1,
                    .started_ms = 1000,
                    .ended_ms = 2200},
        "  sha256:6c3c624b58db  129.6 MiB  sent as 41.2 MiB in 1.2s\n");
    assert_line((struct push_layer){.state = PUSH_LAYER_SENT,
                    .digest = DIGEST,
                    .total = 568,
                    .sent = 568,
                    .tries = 3,
                    .started_ms = 1000,
                    .ended_ms = 193000},
        "  sha256:6c3c624b58db      568 B  sent in 3m 12s (try 3)\n");
    assert_line(
        (struct push_layer){.state = PUSH_LAYER_PRESENT, .digest = DIGEST, .total = 1048576},
        "  sha256:6c3c624b58db    1.0 MiB  already there\n");
    assert_line((struct push_layer){.state = PUSH_LAYER_REUSED, .digest = DIGEST, .total = 1048576},
        "  sha256:6c3c624b58db    1.0 MiB  reused from an earlier image\n");
    assert_line(
        (struct push_layer){.state = PUSH_LAYER_MOUNTED, .digest = DIGEST, .total = 1048576},
        "  sha256:6c3c624b58db    1.0 MiB  mounted from another repository\n");
    assert_line(
        (struct push_layer){
            .state = PUSH_LAYER_AGAIN, .diff_id = DIFF_ID, .total = 1048576, .tries = 2},
        "  sha256:77b80b2c4ca0    1.0 MiB  failed, try 2 follows\n");
    assert_line((struct push_layer){.state = PUSH_LAYER_SENDING, .digest = DIGEST}, "");
    assert_line((struct push_layer){.state = PUSH_LAYER_WAITING, .digest = DIGEST}, "");
}

static void
a_narrow_terminal_gets_the_digits_alone(void **state)
{
    (void)state;
    const struct push_layer layer = {.state = PUSH_LAYER_SENT,
        .digest = DIGEST,
        .diff_id = DIFF_ID,
        .total = 135895449,
        .sent = 43201331,
        .tries = 1,
        .started_ms = 1000,
        .ended_ms = 2200};
    static const struct {
        size_t width;
        const char *expected;
    } cases[] = {{58, "  sha256:6c3c624b58db  129.6 MiB  sent as 41.2 MiB in 1.2s\n"},
        {57, "  6c3c624b58db  129.6 MiB  sent as 41.2 MiB in 1.2s\n"},
        {39, "  6c3c624b58db  129.6 MiB  sent as 41.…\n"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf line CLEANUP(buf_done) = BUF_INIT(1024);
        push_lines_layer(&layer, cases[i].width, &line);
        assert_string_equal(buf_cstr(&line), cases[i].expected);
    }
}

static void
note(struct push_layers *layers, int64_t done, int64_t sent, int64_t now_ms)
{
    const struct registry_progress progress = {.what = REGISTRY_PART_SENDING,
        .diff_id = DIFF_ID,
        .done = done,
        .total = layers->items[0].total,
        .sent = sent};
    push_layers_note(layers, &progress, now_ms);
}

static void
assert_progress(struct push_layers *layers, int64_t now_ms, const char *expected)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(1024);
    push_lines_progress(layers, now_ms, &line);
    assert_string_equal(buf_cstr(&line), expected);
}

static void
what_takes_long_is_told_every_ten_seconds(void **state)
{
    (void)state;
    struct push_layers layers;
    const struct image_part part = {
        .descriptor = {"type", NULL, -1, NULL}, .diff_id = DIFF_ID, .plain_size = 104857600};
    push_layers_init(&layers, NULL, 5000);
    push_layers_add(&layers, &part);
    note(&layers, 1048576, 524288, 10000);
    assert_progress(&layers, 14999, "");
    note(&layers, 11534336, 5767168, 15000);
    assert_progress(
        &layers, 15000, "  11%, 11.0 MiB of 100.0 MiB, sent 5.5 MiB, 1.1 MiB/s, 41s left\n");
    assert_progress(&layers, 15001, "");
    assert_progress(&layers, 24999, "");
    assert_progress(&layers, 25000, "  11%, 11.0 MiB of 100.0 MiB, sent 5.5 MiB, 0 B/s\n");
    push_layers_done(&layers);
}

static void
an_image_and_what_became_of_it(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    struct push_layers layers;
    const struct image_part part = {.descriptor = {"type", DIGEST, 1048576, NULL}};
    push_layers_init(&layers, NULL, 0);
    push_layers_add(&layers, &part);
    push_lines_image("oci:dir", "linux/amd64", &layers, &text);
    assert_string_equal(buf_cstr(&text), "oci:dir, linux/amd64: 1 blob, 1.0 MiB\n");
    buf_reset(&text);
    push_layers_add(&layers, &part);
    push_lines_image("oci:\x1b[2Jx\n::error::y", "", &layers, &text);
    assert_string_equal(buf_cstr(&text), "oci:x ::error::y: 2 blobs, 2.0 MiB\n");
    buf_reset(&text);
    push_lines_counts(&layers, &text);
    assert_string_equal(buf_cstr(&text), "0 sent");
    buf_reset(&text);
    push_layers_add(&layers, &part);
    push_layers_add(&layers, &part);
    static const enum push_layer_state states[] = {
        PUSH_LAYER_SENT, PUSH_LAYER_PRESENT, PUSH_LAYER_REUSED, PUSH_LAYER_MOUNTED};
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        layers.items[i].state = states[i];
    }
    push_lines_counts(&layers, &text);
    assert_string_equal(buf_cstr(&text), "1 sent, 1 already there, 1 reused, 1 mounted");
    push_layers_done(&layers);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_layer_has_its_line),
        cmocka_unit_test(a_narrow_terminal_gets_the_digits_alone),
        cmocka_unit_test(what_takes_long_is_told_every_ten_seconds),
        cmocka_unit_test(an_image_and_what_became_of_it),
    };
    return cmocka_run_group_tests_name("push_lines", tests, NULL, NULL);
}
