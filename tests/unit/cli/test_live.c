// The live area: its frames as bytes, and one run on a real pseudo-terminal.
#define _GNU_SOURCE // posix_openpt, ptsname
#include "live.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

static void
assert_cut(const char *line, size_t width, const char *expected)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024);
    live_cut(str_of(line), width, &text);
    assert_string_equal(buf_cstr(&text), expected);
}

static void
lines_are_cut_by_columns_not_bytes(void **state)
{
    (void)state;
    assert_cut("", 5, "");
    assert_cut("abcde", 5, "abcde");
    assert_cut("abcdef", 5, "abcd…");
    assert_cut("äöüßé", 5, "äöüßé");
    assert_cut("äöüßéx", 5, "äöüß…");
    assert_cut("日本語", 6, "日本語");
    assert_cut("日本語", 5, "日本…");
    assert_cut("日本語", 4, "日…"); // a wide one does not fit in half
    assert_cut("abc", 1, "…");
    assert_cut("abc", 0, "");
}

static void
colours_count_nothing_and_end_with_the_line(void **state)
{
    (void)state;
    assert_cut("\x1b[1;32mok\x1b[0m", 2, "\x1b[1;32mok\x1b[0m\x1b[0m");
    assert_cut("\x1b[32mgreen text\x1b[0m", 6, "\x1b[32mgreen…\x1b[0m");
}

static void
nothing_else_moves_the_cursor(void **state)
{
    (void)state;
    assert_cut("a\x1b[2Jb\rc\td", 20, "a?[2Jb?c?d");
    assert_cut("\x1b", 5, "?");
    assert_cut("\x1b[31", 9, "?[31");
}

static void
assert_frame(
    const char *lines, size_t height, size_t rows_before, const char *expected, size_t rows_after)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    size_t rows = rows_before;
    live_frame(str_of(lines), 10, height, &rows, &text);
    assert_string_equal(buf_cstr(&text), expected);
    assert_int_equal(rows, rows_after);
}

static void
a_frame_overwrites_the_one_before(void **state)
{
    (void)state;
    assert_frame("one\ntwo\n", 24, 0, "\rone\x1b[K\ntwo\x1b[K\n\x1b[J", 2);
    assert_frame("three", 24, 2, "\x1b[2A\rthree\x1b[K\n\x1b[J", 1);
    assert_frame("", 24, 1, "\x1b[1A\r\x1b[J", 0);
}

static void
a_frame_never_grows_over_the_top_of_the_terminal(void **state)
{
    (void)state;
    assert_frame("1\n2\n3\n", 4, 0, "\r1\x1b[K\n2\x1b[K\n3\x1b[K\n\x1b[J", 3);
    assert_frame("1\n2\n3\n4\n", 4, 0, "\r1\x1b[K\n2\x1b[K\n… 2 more lines\x1b[K\n\x1b[J", 3);
    assert_frame("1\n2\n", 1, 0, "\r… 2 more lines\x1b[K\n\x1b[J", 1);
}

static void
marks_are_replaced_when_drawn(void **state)
{
    (void)state;
    struct buf lines CLEANUP(buf_done) = BUF_INIT(256);
    struct buf text CLEANUP(buf_done) = BUF_INIT(256);
    buf_puts(&lines, LIVE_SPINNER " run, ");
    live_elapsed(5000, &lines);
    buf_puts(&lines, " so far");
    live_expand(buf_str(&lines), 5100 + 9000, true, &text);
    assert_string_equal(buf_cstr(&text), "⠙ run, 9s so far");
    buf_reset(&text);
    live_expand(buf_str(&lines), 5000 + 192000, false, &text);
    assert_string_equal(buf_cstr(&text), "- run, 3m 12s so far");
    buf_reset(&text);
    live_expand(buf_str(&lines), 0, false, &text); // a clock before the start
    assert_string_equal(buf_cstr(&text), "| run, 0s so far");
    buf_reset(&text);
    live_expand(STR("a\002x\002b\0025"), 0, false, &text); // damaged marks vanish
    assert_string_equal(buf_cstr(&text), "axb5");
}

static void
without_a_terminal_nothing_is_drawn(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(1024);
    struct cli cli = {.capture_out = &out};
    cli.platform.clock = &clock_system;
    struct live *live CLEANUP(live_freep) = live_new(&cli, false);
    assert_false(live_is_on(live));
    assert_null(cli.live);
    live_update(live, STR("waiting\n"));
    cli_out(&cli, STR("line\n"));
    live_finish(live, STR("done\n"));
    assert_string_equal(buf_cstr(&out), "line\ndone\n");
}

// Reads from the terminal until `wanted` has come; fails after ten seconds without it.
static void
read_until(int fd, struct buf *got, const char *wanted)
{
    while (strstr(buf_cstr(got), wanted) == NULL) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 10000), 1);
        char chunk[4096];
        ssize_t len = read(fd, chunk, sizeof(chunk));
        assert_true(len > 0);
        buf_append(got, chunk, (size_t)len);
    }
}

static void
draw_size(void *ctx, const struct live_view *view, int64_t now_ms, struct buf *out)
{
    (void)now_ms;
    buf_printf(out, "%s %zux%zu\n", (const char *)ctx, view->width, view->rows);
}

static void
on_a_terminal_texts_go_above_and_the_cursor_comes_back(void **state)
{
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    int saved = dup(STDOUT_FILENO);
    assert_int_equal(dup2(slave, STDOUT_FILENO), STDOUT_FILENO);

    struct buf got CLEANUP(buf_done) = BUF_INIT(1 << 20);
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("canary-live"));
    struct cli cli = {.terminal = true, .utf8 = true, .width = 80};
    cli.platform.clock = &clock_system;
    struct live *live CLEANUP(live_freep) = live_new(&cli, false);
    live_update(live, STR("area canary-live\n"));
    read_until(master, &got, "\x1b[?25l\rarea ***\x1b[K\r\n\x1b[J");
    cli_out(&cli, STR("above\n"));
    read_until(master, &got, "\x1b[1A\r\x1b[Jabove\r\n\rarea ***\x1b[K\r\n\x1b[J");
    // Lines that are drawn at each moment stand below, and know what room there is.
    const struct winsize size = {.ws_col = 40, .ws_row = 12};
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
    char name[] = "bars";
    live_follow(live, &(struct live_drawer){draw_size, name});
    read_until(master, &got, "\x1b[1A\rarea ***\x1b[K\r\nbars 39x10\x1b[K\r\n\x1b[J");
    live_follow(live, NULL);
    read_until(master, &got, "\x1b[2A\rarea ***\x1b[K\r\n\x1b[J");
    live_finish(live, STR("done\n"));
    read_until(master, &got, "\x1b[1A\r\x1b[J\x1b[?25hdone\r\n");
    assert_null(cli.live);
    assert_false(live_is_on(live));

    assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    (void)close(saved);
    (void)close(slave);
    (void)close(master);
    assert_null(strstr(buf_cstr(&got), "canary"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_by_columns_not_bytes),
        cmocka_unit_test(colours_count_nothing_and_end_with_the_line),
        cmocka_unit_test(nothing_else_moves_the_cursor),
        cmocka_unit_test(a_frame_overwrites_the_one_before),
        cmocka_unit_test(a_frame_never_grows_over_the_top_of_the_terminal),
        cmocka_unit_test(marks_are_replaced_when_drawn),
        cmocka_unit_test(without_a_terminal_nothing_is_drawn),
        cmocka_unit_test(on_a_terminal_texts_go_above_and_the_cursor_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
