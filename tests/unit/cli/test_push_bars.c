// The bars of an upload: golden frames at several sizes, and that no frame is ever too large.
#include "push_bars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "golden.h"

#define MIB INT64_C(1048576)

static void
digest_of(unsigned number, char out[PUSH_DIGEST_SIZE])
{
    (void)snprintf(out, PUSH_DIGEST_SIZE, "sha256:%08x%056u", number * 0x9e3779b9U, number);
}

// `plain`: it is to be compressed.
static void
add(struct push_layers *layers, unsigned number, int64_t size, bool plain)
{
    char digest[PUSH_DIGEST_SIZE];
    digest_of(number, digest);
    struct image_part part = {
        .descriptor = {"type", plain ? NULL : digest, plain ? -1 : size, NULL},
        .diff_id = plain ? digest : NULL,
        .plain_size = plain ? size : 0};
    push_layers_add(layers, &part);
}

static void
note(struct push_layers *layers, size_t part, enum registry_progress_kind what, int64_t done,
    int64_t sent, int64_t now_ms)
{
    const struct push_layer before = layers->items[part], *layer = &before;
    const struct registry_progress progress = {.what = what,
        .part = part,
        .digest = layer->digest[0] != '\0' ? layer->digest : NULL,
        .diff_id = layer->diff_id[0] != '\0' ? layer->diff_id : NULL,
        .done = done,
        .total = layer->total,
        .sent = sent};
    assert_non_null(push_layers_note(layers, &progress, now_ms));
}

static void
assert_fits(struct str lines, const struct live_view *view)
{
    struct str line = {0};
    size_t count = 0;
    while (str_cut(lines, '\n', &line, &lines)) {
        struct buf cut CLEANUP(buf_done) = BUF_INIT(4096);
        struct buf plain CLEANUP(buf_done) = BUF_INIT(4096);
        text_clean(line, 2048, &plain); // colours gone
        assert_true(text_width(buf_str(&plain)) <= view->width);
        count++;
    }
    assert_true(count <= view->rows);
}

static void
draw(
    const struct push_layers *layers, const struct live_view *view, int64_t now_ms, struct buf *out)
{
    struct buf frame CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    push_bars_draw(layers, view, now_ms, &frame);
    assert_fits(buf_str(&frame), view);
    buf_printf(out, "--- %zux%zu%s%s\n", view->width, view->rows, view->utf8 ? "" : ", ascii",
        view->color ? ", colours" : "");
    buf_add(out, buf_str(&frame));
}

// A bit of everything: plain and ready layers in every state.
static void
make_mixed(struct push_layers *layers)
{
    push_layers_init(layers, NULL, 0);
    add(layers, 1, 128 * MIB, true);
    add(layers, 2, 900 * MIB, true);
    add(layers, 3, 28 * MIB + MIB / 2, true);
    add(layers, 4, 3 * MIB, false);
    add(layers, 5, 700, false);
    add(layers, 6, 40 * MIB, false);
    add(layers, 7, 5 * MIB, true);
    add(layers, 8, 6 * MIB, false);
    note(layers, 3, REGISTRY_PART_PRESENT, 3 * MIB, 0, 100);
    note(layers, 6, REGISTRY_PART_REUSED, 5 * MIB, 0, 100);
    note(layers, 7, REGISTRY_PART_MOUNTED, 6 * MIB, 0, 100);
    note(layers, 0, REGISTRY_PART_SENDING, 0, 0, 1000);
    note(layers, 4, REGISTRY_PART_SENDING, 0, 0, 1000);
    note(layers, 4, REGISTRY_PART_SENT, 700, 700, 1100);
    note(layers, 5, REGISTRY_PART_SENDING, 8 * MIB, 8 * MIB, 2000);
    note(layers, 5, REGISTRY_PART_AGAIN, 0, 0, 2500);
    note(layers, 0, REGISTRY_PART_SENDING, 112 * MIB + MIB * 4 / 10, 41 * MIB + MIB / 5, 4000);
    note(layers, 1, REGISTRY_PART_SENDING, 9 * MIB, 3 * MIB, 4000);
}

static void
frames_of_every_size(void **state)
{
    (void)state;
    static const struct live_view views[] = {{120, 20, true, false}, {79, 20, true, false},
        {79, 20, true, true}, {79, 20, false, false}, {60, 20, true, false}, {39, 11, true, false},
        {39, 4, false, false}, {19, 20, true, false}, {79, 3, true, false}, {79, 2, true, false},
        {79, 1, true, false}, {79, 0, true, false}};
    struct buf frames CLEANUP(buf_done) = BUF_INIT(256 * 1024);
    struct push_layers layers;
    make_mixed(&layers);
    for (size_t i = 0; i < ARRAY_LENGTH(views); i++) {
        draw(&layers, &views[i], 5000, &frames);
    }
    push_layers_done(&layers);
    golden_assert("push/mixed.txt", buf_str(&frames));
}

static void
the_story_of_one_plain_layer(void **state)
{
    (void)state;
    static const struct live_view view = {79, 20, true, false};
    struct buf frames CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    struct push_layers layers;
    push_layers_init(&layers, NULL, 0);
    add(&layers, 1, 128 * MIB, true);
    draw(&layers, &view, 0, &frames);
    note(&layers, 0, REGISTRY_PART_SENDING, 0, 65536, 1000);
    draw(&layers, &view, 1000, &frames);
    note(&layers, 0, REGISTRY_PART_SENDING, 64 * MIB, 20 * MIB, 3000);
    draw(&layers, &view, 3000, &frames);
    note(&layers, 0, REGISTRY_PART_AGAIN, 0, 20 * MIB, 3100);
    draw(&layers, &view, 3100, &frames);
    note(&layers, 0, REGISTRY_PART_SENDING, 32 * MIB, 10 * MIB, 4000);
    draw(&layers, &view, 4000, &frames);
    note(&layers, 0, REGISTRY_PART_SENDING, 128 * MIB, 41 * MIB, 6000);
    draw(&layers, &view, 6000, &frames);  // all read, the registry has not answered
    draw(&layers, &view, 60000, &frames); // and does not
    note(&layers, 0, REGISTRY_PART_SENT, 128 * MIB, 41 * MIB, 60100);
    draw(&layers, &view, 60100, &frames);
    push_layers_done(&layers);
    golden_assert("push/one-layer.txt", buf_str(&frames));
}

static void
many_layers_leave_the_largest_in_sight(void **state)
{
    (void)state;
    static const struct live_view views[] = {{79, 23, true, false}, {79, 8, true, false}};
    struct buf frames CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    struct push_layers layers;
    push_layers_init(&layers, NULL, 0);
    for (unsigned i = 0; i < 60; i++) {
        add(&layers, i, (i % 7) * 100000 + i, false);
    }
    for (size_t i = 0; i < 14; i++) { // small ones under way stand before large ones that wait
        note(&layers, i, REGISTRY_PART_SENDING, (int64_t)i, (int64_t)i, 10);
    }
    draw(&layers, &views[0], 20, &frames);
    draw(&layers, &views[1], 20, &frames);
    for (size_t i = 0; i < 50; i++) {
        note(&layers, i, REGISTRY_PART_PRESENT, layers.items[i].total, 0, 30);
    }
    draw(&layers, &views[0], 40, &frames);
    push_layers_done(&layers);
    golden_assert("push/many.txt", buf_str(&frames));
}

static void
an_image_without_parts_shows_nothing(void **state)
{
    (void)state;
    struct buf frame CLEANUP(buf_done) = BUF_INIT(1024);
    struct push_layers layers;
    push_layers_init(&layers, NULL, 0);
    push_bars_draw(&layers, &(struct live_view){79, 20, true, false}, 5000, &frame);
    assert_int_equal(frame.len, 0);
    push_layers_done(&layers);
}

static void
frames_fit_whatever_the_terminal(void **state)
{
    (void)state;
    struct push_layers layers;
    make_mixed(&layers);
    for (size_t width = 19; width <= 200; width++) {
        for (size_t rows = 0; rows < 14; rows++) {
            struct buf frame CLEANUP(buf_done) = BUF_INIT(64 * 1024);
            struct live_view view = {width, rows, width % 2 == 0, width % 3 == 0};
            draw(&layers, &view, 5000, &frame);
        }
    }
    push_layers_done(&layers);
}

// Digests are checked before, but this goes to a terminal.
static void
nothing_foreign_is_drawn(void **state)
{
    (void)state;
    struct buf frame CLEANUP(buf_done) = BUF_INIT(4096);
    struct push_layers layers;
    push_layers_init(&layers, NULL, 0);
    const struct image_part part = {
        .descriptor = {"type", "sha256:\x1b[2J\x1b]0;title\a", 1000, NULL},
        .diff_id = "\n::error::x",
        .plain_size = 1000};
    push_layers_add(&layers, &part);
    push_bars_draw(&layers, &(struct live_view){79, 20, true, false}, 0, &frame);
    assert_string_equal(buf_cstr(&frame), "               waiting  1000 B\n  1 waiting\n");
    push_layers_done(&layers);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_every_size),
        cmocka_unit_test(the_story_of_one_plain_layer),
        cmocka_unit_test(many_layers_leave_the_largest_in_sight),
        cmocka_unit_test(an_image_without_parts_shows_nothing),
        cmocka_unit_test(frames_fit_whatever_the_terminal),
        cmocka_unit_test(nothing_foreign_is_drawn),
    };
    return cmocka_run_group_tests_name("push_bars", tests, NULL, NULL);
}
