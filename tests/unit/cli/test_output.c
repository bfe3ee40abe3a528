// What leaves the process: masked, in one line where it is an error, and the runner's masks.
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct captured {
    struct cli cli;
    struct buf out, err;
};

static void
capture(struct captured *captured)
{
    *captured = (struct captured){.out = BUF_INIT(1 << 20), .err = BUF_INIT(1 << 20)};
    captured->cli.capture_out = &captured->out;
    captured->cli.capture_err = &captured->err;
}

static void
release(struct captured *captured)
{
    buf_done(&captured->out);
    buf_done(&captured->err);
}

static void
both_streams_mask_secrets(void **state)
{
    (void)state;
    struct captured captured CLEANUP(release);
    capture(&captured);
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("canary-one"));
    cli_outf(&captured.cli, "a %s b\n", "canary-one");
    cli_err(&captured.cli, STR("x canary-one canary-one"));
    assert_string_equal(buf_cstr(&captured.out), "a *** b\n");
    assert_string_equal(buf_cstr(&captured.err), "x *** ***");
}

static void
an_error_is_sentences_and_a_hint(void **state)
{
    (void)state;
    struct captured captured CLEANUP(release);
    capture(&captured);
    struct error *err CLEANUP(error_freep) = error_new(ERROR_DENIED, "denied");
    err = error_remote(err, 403, "Denied", "7f3a", true);
    err = error_hint(err, "The token allows 'pull' only.");
    err = error_wrap(err, "push image '%s'", "web");
    cli_print_error(&captured.cli, err);
    assert_string_equal(buf_cstr(&captured.err),
        "dispatcher: push image 'web': denied (HTTP 403, request 7f3a)\n"
        "  hint: The token allows 'pull' only.\n");
    assert_string_equal(buf_cstr(&captured.out), "");
}

static void
foreign_text_in_an_error_stays_on_its_line(void **state)
{
    (void)state;
    struct captured captured CLEANUP(release);
    capture(&captured);
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("canary-two"));
    struct error *err CLEANUP(error_freep) =
        error_new(ERROR_INPUT, "bad\n::error::x \x1b[31mcanary-two");
    err = error_hint(err, "one\r\ntwo canary-two");
    cli_print_error(&captured.cli, err);
    assert_string_equal(
        buf_cstr(&captured.err), "dispatcher: bad ::error::x ***\n  hint: one  two ***\n");
}

static void
masks_are_lines_that_the_runner_reads(void **state)
{
    (void)state;
    struct buf lines CLEANUP(buf_done) = BUF_INIT(4096);
    cli_mask_lines(STR("50%\r\n\n  \nlast::line"), &lines);
    assert_string_equal(buf_cstr(&lines), "::add-mask::50%25%0D\n::add-mask::last::line\n");
}

static void
masks_come_first_and_only_in_actions(void **state)
{
    (void)state;
    struct captured captured CLEANUP(release);
    capture(&captured);
    cli_mask_start(&captured.cli, false);
    struct secret *before CLEANUP(secret_freep) = secret_new(STR("canary-three"));
    assert_string_equal(buf_cstr(&captured.out), "");

    captured.cli.in_actions = true;
    cli_mask_start(&captured.cli, false);
    struct secret *four CLEANUP(secret_freep) = secret_new(STR("canary-four"));
    cli_outf(&captured.cli, "canary-four\n");
    assert_string_equal(buf_cstr(&captured.out), "::add-mask::canary-four\n***\n");
    assert_string_equal(buf_cstr(&captured.err), "");

    cli_mask_start(&captured.cli, true); // --json: standard output is data
    struct secret *five CLEANUP(secret_freep) = secret_new(STR("canary-five"));
    assert_string_equal(buf_cstr(&captured.err), "::add-mask::canary-five\n");
    cli_mask_stop();
    struct secret *six CLEANUP(secret_freep) = secret_new(STR("canary-six"));
    assert_null(strstr(buf_cstr(&captured.err), "canary-six"));
}

// Runs with standard output replaced by `fd`; returns what cli_out remembered.
static int
write_to(int fd)
{
    struct cli cli = {0};
    int saved = dup(STDOUT_FILENO);
    assert_true(saved >= 0);
    assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    cli_out(&cli, STR("text\n"));
    cli_out(&cli, STR("more\n"));
    assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    (void)close(saved);
    return cli.write_error;
}

static void
a_failing_standard_output_is_remembered(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_int_equal(write_to(full), ENOSPC);
    (void)close(full);
}

static void
whole_texts_arrive(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write_to(ends[1]), 0);
    char got[32] = {0};
    assert_int_equal(read(ends[0], got, sizeof(got) - 1), 10);
    assert_string_equal(got, "text\nmore\n");
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_streams_mask_secrets),
        cmocka_unit_test(an_error_is_sentences_and_a_hint),
        cmocka_unit_test(foreign_text_in_an_error_stays_on_its_line),
        cmocka_unit_test(masks_are_lines_that_the_runner_reads),
        cmocka_unit_test(masks_come_first_and_only_in_actions),
        cmocka_unit_test(a_failing_standard_output_is_remembered),
        cmocka_unit_test(whole_texts_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
