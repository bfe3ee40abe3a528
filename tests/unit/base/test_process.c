// Programs run without a shell, with real children: exact outcomes, limits, and nothing left over.
#include "dispatcher/process.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "aws_fixture.h" // assert_success, assert_failure
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "temp_dir.h"

static const char *const usual[] = {"PATH=/usr/bin:/bin", "MARK=outer", "KEPT=yes", NULL};

// `sh -c script` with everything collected.
static struct error *
run_script(const struct platform *platform, struct process_order order, const char *script,
    struct process_exit *end)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    order.argv = argv;
    order.kind = ERROR_INPUT;
    return process_run(platform, &order, end);
}

static void
both_outputs_are_taken(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(usual);
    struct buf out CLEANUP(buf_done) = BUF_INIT(64), errors CLEANUP(buf_done) = BUF_INIT(64);
    struct process_exit end = {0};
    assert_success(
        run_script(&fake->platform, (struct process_order){.out = &out, .errors = &errors},
            "printf a; printf b >&2; printf c; exit 3", &end));
    assert_string_equal(buf_cstr(&out), "ac");
    assert_string_equal(buf_cstr(&errors), "b");
    assert_int_equal(end.status, 3);
    assert_int_equal(end.signal, 0);
    assert_failure(process_check(&end, ERROR_CREDENTIALS, STR(" no \033[31mway\n")),
        ERROR_CREDENTIALS, "it ended with status 3: no way", NULL);
    assert_failure(
        process_check(&end, ERROR_INPUT, STR("")), ERROR_INPUT, "it ended with status 3", NULL);
}

static void
a_signal_is_told(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(usual);
    struct process_exit end = {0};
    assert_success(run_script(&fake->platform, (struct process_order){0}, "kill -TERM $$", &end));
    assert_int_equal(end.signal, SIGTERM);
    assert_failure(
        process_check(&end, ERROR_INPUT, STR("")), ERROR_INPUT, "it was ended by signal 15", NULL);
    assert_success(run_script(&fake->platform, (struct process_order){0}, "exit 0", &end));
    assert_int_equal(end.signal, 0);
    assert_null(process_check(&end, ERROR_INPUT, STR("noise")));
}

static void
what_cannot_be_started_is_named(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *broken CLEANUP(xfreep) = temp_dir_path(dir, "broken");
    char *folder CLEANUP(xfreep) = temp_dir_path(dir, "no-such-program");
    char *path CLEANUP(xfreep) = xasprintf("PATH=:.:relative:%s:/usr/bin", dir);
    char *problem CLEANUP(xfreep) = xasprintf("run '%s': No such file or directory", broken);
    char *bad_place CLEANUP(xfreep) = xasprintf("run '/bin/true': No such file or directory");
    struct fake_platform *fake CLEANUP(fake_platform_freep) =
        fake_platform_new((const char *[]){path, NULL});
    struct process_exit end = {0};
    assert_success(file_write(broken, STR("#!/nowhere/interpreter\n"), 0700));
    assert_int_equal(mkdir(folder, 0700), 0); // a directory is no program
    assert_failure(process_run(&fake->platform,
                       &(struct process_order){.argv = (const char *[]){"no-such-program", NULL},
                           .kind = ERROR_CREDENTIALS},
                       &end),
        ERROR_CREDENTIALS, "there is no program 'no-such-program' in PATH", NULL);
    assert_failure(
        process_run(&fake->platform,
            &(struct process_order){.argv = (const char *[]){"broken", NULL}, .kind = ERROR_INPUT},
            &end),
        ERROR_INPUT, problem, NULL);
    assert_failure(process_run(&fake->platform,
                       &(struct process_order){.argv = (const char *[]){"/bin/true", NULL},
                           .directory = "/nowhere",
                           .kind = ERROR_INPUT},
                       &end),
        ERROR_INPUT, bad_place, NULL);
    char *found CLEANUP(xfreep) = process_find(&fake->platform, "sh");
    assert_string_equal(found, "/usr/bin/sh");
    assert_null(process_find(&fake->platform, "no-such-program"));
}

static void
input_environment_and_place_are_given(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(usual);
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096), input CLEANUP(buf_done) = BUF_INIT(300000);
    char *wanted CLEANUP(xfreep) = xasprintf("inner yes new 0027 200000 %s\n", dir);
    struct process_exit end = {0};
    for (int i = 0; i < 200000; i++) { // more than a pipe holds
        buf_putc(&input, 'x');
    }
    const char *variables[] = {"MARK=inner", "EXTRA=new", NULL};
    assert_success(run_script(&fake->platform,
        (struct process_order){.out = &out,
            .input = buf_str(&input),
            .directory = dir,
            .variables = variables,
            .umask = 0027},
        "echo $MARK $KEPT $EXTRA $(umask) $(cat | wc -c) $(pwd)", &end));
    assert_string_equal(buf_cstr(&out), wanted);
    buf_reset(&out);
    assert_success(run_script(
        &fake->platform, (struct process_order){.out = &out}, "read line && exit 9; pwd -P", &end));
    assert_int_equal(end.status, 0); // nothing to read: /dev/null
    assert_success(run_script(&fake->platform, (struct process_order){.input = STR("unread")},
        "exec 0<&-; exit 4", &end));
    assert_int_equal(end.status, 4);
}

static void
nothing_else_is_inherited(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(usual);
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    struct process_exit end = {0};
    sigset_t blocked, before;
    int left_open = open("/dev/null", O_RDONLY); // without close-on-exec, as a library may do
    assert_true(left_open > 2);
    assert_true(dup2(left_open, 200) == 200);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    (void)signal(SIGPIPE, SIG_IGN);
    const char *argv[] = {"sh", "-c",
        "for fd in /proc/self/fd/*; do n=${fd##*/}; [ -e $fd ] && [ $n -lt 10 ] || [ $n -ge 100 ] "
        "&& printf '%s ' $n; done; grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2",
        NULL};
    assert_success(
        process_run(&fake->platform, &(struct process_order){.argv = argv, .out = &out}, &end));
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)close(200);
    (void)close(left_open);
    // The shell's own glob has the directory open at 3, and that is gone when it is looked at.
    assert_string_equal(buf_cstr(&out), "0 1 2 0000000000000000\n0000000000000000\n");
}

static void
too_much_output_is_refused(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(usual);
    struct buf out CLEANUP(buf_done) = BUF_INIT(1000), errors CLEANUP(buf_done) = BUF_INIT(10);
    struct process_exit end = {0};
    assert_failure(run_script(&fake->platform, (struct process_order){.out = &out},
                       "while :; do echo secret; done", &end),
        ERROR_INPUT, "it printed more than 1000 bytes", NULL);
    buf_reset(&out);
    assert_success(
        run_script(&fake->platform, (struct process_order){.out = &out, .errors = &errors},
            "printf %01000d 7; printf abcdefghijklm >&2", &end));
    assert_int_equal(out.len, 1000); // to the brim
    assert_string_equal(buf_cstr(&errors), "abcdefghij");
    assert_success(run_script(
        &fake->platform, (struct process_order){0}, "head -c 1000000 /dev/zero; exit 5", &end));
    assert_int_equal(end.status, 5); // nobody wants it: it is read all the same
}

struct lines {
    struct buf text;
    size_t longest;
};

static void
on_line(void *ctx, bool is_error, struct str line)
{
    struct lines *lines = ctx;
    lines->longest = line.len > lines->longest ? line.len : lines->longest;
    buf_printf(&lines->text, "%s[%.*s]", is_error ? "!" : "", (int)(line.len < 9 ? line.len : 9),
        line.ptr);
}

static void
lines_come_as_lines(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(usual);
    struct lines lines = {.text = BUF_INIT(4096)};
    struct process_exit end = {0};
    const struct process_order order = {.line = on_line, .ctx = &lines};
    assert_success(run_script(&fake->platform, order,
        "printf 'one\\r\\n\\ntw'; sleep 0.2; echo oh >&2; sleep 0.2; printf 'o\\nlast'", &end));
    assert_string_equal(buf_cstr(&lines.text), "[one][]![oh][two][last]");
    buf_reset(&lines.text);
    assert_success(run_script(&fake->platform, order, "head -c 40000 /dev/zero", &end));
    assert_int_equal(lines.longest, PROCESS_LINE_MAX);
    buf_done(&lines.text);
}

// What happens as soon as the child is ready for it: its time is up, or a signal comes.
static struct fake_platform *watched;
static const char *ready_file;
static bool is_cancelled;

static int64_t
watching_mono(const struct clock *clock)
{
    (void)clock;
    if (!file_exists(ready_file)) {
        return watched->mono_ms;
    }
    if (is_cancelled) {
        cancel_raise(watched->cancel, SIGINT);
    } else {
        watched->mono_ms += 1000;
    }
    return watched->mono_ms;
}

static void
watch(struct fake_platform *fake, const char *file, bool cancel)
{
    watched = fake;
    ready_file = file;
    is_cancelled = cancel;
    fake->clock.base.mono_ms = watching_mono;
}

// An orphan that nobody has waited for yet is dead, too.
static bool
is_alive(const char *pid_file)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64);
    struct str first = {0}, rest = {0};
    assert_success(file_read(pid_file, &text, NULL));
    assert_true(str_cut(buf_str(&text), '\n', &first, &rest) && first.len > 0);
    char *path CLEANUP(xfreep) = xasprintf("/proc/%.*s/stat", STR_FMT(first));
    bool found = true;
    for (int i = 0; i < 100 && found; i++) { // a busy machine takes its time to kill
        struct buf stat CLEANUP(buf_done) = BUF_INIT(4096);
        (void)poll(NULL, 0, i > 0 ? 50 : 0);
        error_free(file_read(path, &stat, &found)); // it may go while it is read
        found = found && !str_contains(buf_str(&stat), STR(") Z "));
    }
    return found;
}

// The child that `script` leaves writes its number to $PID.
static struct error *
run_hanging(struct fake_platform *fake, const char *dir, const char *script)
{
    char *pid CLEANUP(xfreep) = xasprintf("PID=%s/pid", dir);
    struct process_exit end = {0};
    return run_script(&fake->platform,
        (struct process_order){.limit_ms = 10000, .variables = (const char *[]){pid, NULL}}, script,
        &end);
}

static void
the_whole_group_ends_when_time_is_up(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "sleep 1000 & echo $! > $PID; wait",
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > $PID; while :; do sleep 1; done' & wait; "
        "while :; do sleep 1; done",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(scripts); i++) {
        char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
        char *pid CLEANUP(xfreep) = temp_dir_path(dir, "pid");
        struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(usual);
        watch(fake, pid, false);
        assert_failure(
            run_hanging(fake, dir, scripts[i]), ERROR_INPUT, "it did not end within 10 s", NULL);
        assert_false(is_alive(pid));
    }
}

static void
cancelling_asks_it_to_end(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *pid CLEANUP(xfreep) = temp_dir_path(dir, "pid");
    char *asked CLEANUP(xfreep) = temp_dir_path(dir, "pid.asked");
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(usual);
    watch(fake, pid, true);
    struct error *err = run_hanging(
        fake, dir, "trap 'echo yes > $PID.asked; exit' TERM; echo $$ > $PID; sleep 1000 & wait");
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    error_free(err);
    assert_true(file_exists(asked)); // SIGTERM, and time to tidy up
    assert_false(is_alive(pid));
}

static void
background_children_may_stay(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(usual);
    struct buf out CLEANUP(buf_done) = BUF_INIT(64);
    struct process_exit end = {0};
    int64_t pid = 0;
    assert_success(run_script(
        &fake->platform, (struct process_order){.out = &out}, "sleep 1000 & echo $!", &end));
    assert_true(str_to_int64(str_trim(buf_str(&out)), &pid));
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0); // it keeps the pipe, and we did not wait
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_outputs_are_taken),
        cmocka_unit_test(a_signal_is_told),
        cmocka_unit_test(what_cannot_be_started_is_named),
        cmocka_unit_test(input_environment_and_place_are_given),
        cmocka_unit_test(nothing_else_is_inherited),
        cmocka_unit_test(too_much_output_is_refused),
        cmocka_unit_test(lines_come_as_lines),
        cmocka_unit_test(the_whole_group_ends_when_time_is_up),
        cmocka_unit_test(cancelling_asks_it_to_end),
        cmocka_unit_test(background_children_may_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
