// credential_process with real children: no shell, the given environment, limits on output and
// time, and no orphan. Word splitting by table.
#include "aws_internal.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

static void
splits_as_a_shell_does(void **state)
{
    (void)state;
    static const struct {
        const char *command, *words; // joined by '|'
    } rows[] = {
        {"a", "a"},
        {"  a\tb  c ", "a|b|c"},
        {"/opt/my\\ tool --x='a b' \"c d\"e", "/opt/my tool|--x=a b|c de"},
        {"a '' \"\" b", "a|||b"},
        {"a 'x\\y' \"x\\y\\\"z\\\\\"", "a|x\\y|x\\y\"z\\"},
        {"a ; rm -rf $HOME `x` | b > c", "a|;|rm|-rf|$HOME|`x`|\x01|b|>|c"},
        {"a\nb", "a|b"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct buf joined CLEANUP(buf_done) = BUF_INIT(4096);
        char *words[AWS_PROCESS_ARGUMENTS];
        size_t count = 0;
        assert_success(aws_split_words(rows[i].command, arena, words, &count));
        for (size_t k = 0; k < count; k++) {
            buf_printf(
                &joined, "%s%s", k > 0 ? "|" : "", strcmp(words[k], "|") == 0 ? "\x01" : words[k]);
        }
        assert_string_equal(buf_cstr(&joined), rows[i].words);
        assert_null(words[count]);
    }
}

static void
refuses_what_cannot_be_split(void **state)
{
    (void)state;
    struct buf many CLEANUP(buf_done) = BUF_INIT(1024);
    for (int i = 0; i < 64; i++) {
        buf_puts(&many, "x ");
    }
    const struct {
        const char *command, *error;
    } rows[] = {
        {"a 'b", "a quote that is not closed"},
        {"a \"b", "a quote that is not closed"},
        {"a \\", "a quote that is not closed"},
        {"   ", "no command"},
        {buf_cstr(&many), "more than 63 words"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        char *words[AWS_PROCESS_ARGUMENTS];
        size_t count = 0;
        assert_failure(aws_split_words(rows[i].command, arena, words, &count), ERROR_CREDENTIALS,
            rows[i].error, NULL);
    }
}

// A helper program in the home directory, and a profile that runs it.
static struct error *
run_helper(struct aws_fixture *aws, const char *script, const char *arguments,
    const struct aws_credentials **out)
{
    char *path CLEANUP(xfreep) = xasprintf("%s/helper", aws->home);
    char *config CLEANUP(xfreep) =
        xasprintf("[default]\ncredential_process = %s%s\n", path, arguments);
    aws_fixture_file(aws, "helper", script);
    assert_int_equal(chmod(path, 0700), 0);
    aws_fixture_file(aws, ".aws/config", config);
    aws_fixture_start(aws,
        (const char *[]){"MARK=from-the-environment", "PATH=/usr/bin:/bin", NULL}, NULL, 0, NULL);
    return aws_credentials_get(aws->session, out);
}

static void
takes_what_it_prints(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    assert_success(run_helper(aws,
        "#!/bin/sh\nread line && exit 9\n"
        "printf '{\"Version\":1,\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"%s\",\"SessionToken\":"
        "\"%s\",\"Expiration\":\"2026-11-21T08:48:00+00:00\",\"AccountId\":\"012345678901\"}' "
        "\"$1\" \"$MARK\" \"$2$#\"\n",
        " 'KEY ID' $HOME", &found));
    assert_string_equal(found->provider, "process");
    assert_string_equal(found->access_key, "KEY ID");
    assert_string_equal(secret_expose(found->secret_key).ptr, "from-the-environment");
    assert_string_equal(secret_expose(found->session_token).ptr, "$HOME2"); // no shell in between
    assert_string_equal(found->account, "012345678901");
    assert_int_equal(found->expires_ms, FAKE_WALL_START + 3600 * 1000);
}

static void
tells_what_went_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *script, *error;
    } rows[] = {
        {"#!/bin/sh\necho 'token \033[31mexpired' >&2; exit 3\n",
            "it ended with status 3: token expired"},
        {"#!/bin/sh\nkill -TERM $$\n", "it was ended by signal 15"},
        {"#!/bin/sh\necho secret-in-the-output\n", "it printed no JSON"},
        {"#!/bin/sh\necho '{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"secret\"}'\n",
            "its answer is not of \"Version\": 1"},
        {"#!/bin/sh\necho '{\"Version\":2,\"AccessKeyId\":\"a\"}'\n",
            "its answer is not of \"Version\": 1"},
        {"#!/bin/sh\nhead -c 70000 /dev/zero\n", "it printed more than 65536 bytes"},
        {"#!/nowhere/interpreter\n", "run '%s/helper': No such file or directory"},
        {"#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":\"a\"}'\n",
            "%s/helper gave no usable credentials: 'AccessKeyId' or 'SecretAccessKey' is missing"},
        {"#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"secret\","
         "\"Expiration\":7}'\n",
            "%s/helper gave no usable credentials: 'Expiration' is not a time"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        const char *mark = strstr(rows[i].error, "%s");
        char *detail CLEANUP(xfreep) = mark == NULL
                                           ? xstrdup(rows[i].error)
                                           : xasprintf("%.*s%s%s", (int)(mark - rows[i].error),
                                                 rows[i].error, aws->home, mark + 2);
        char *text CLEANUP(xfreep) = xasprintf(
            "AWS credentials from 'process': credential_process of profile 'default': %s", detail);
        assert_failure(run_helper(aws, rows[i].script, "", &found), ERROR_CREDENTIALS, text, NULL);
    }
}

static void
names_a_missing_program(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    aws_fixture_file(aws, ".aws/config", "[default]\ncredential_process = no-such-helper-here\n");
    aws_fixture_start(aws, (const char *[]){"PATH=/usr/bin:/bin", NULL}, NULL, 0, NULL);
    assert_failure(aws_credentials_get(aws->session, &found), ERROR_CREDENTIALS,
        "AWS credentials from 'process': credential_process of profile 'default': there is no "
        "program 'no-such-helper-here' in PATH",
        NULL);
}

// A clock that has moved by a second whenever somebody looks.
static struct fake_platform *hurried;

static int64_t
hurried_mono(const struct clock *clock)
{
    (void)clock;
    hurried->mono_ms += 1000;
    return hurried->mono_ms;
}

static bool
process_is_alive(const char *pid_file)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64);
    int64_t pid = 0;
    assert_success(file_read(pid_file, &text, NULL));
    assert_true(str_to_int64(str_trim(buf_str(&text)), &pid));
    return kill((pid_t)pid, 0) == 0;
}

static void
ends_a_helper_that_hangs(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    char *path CLEANUP(xfreep) = xasprintf("%s/helper", aws->home);
    char *pid CLEANUP(xfreep) = xasprintf("%s/pid", aws->home);
    char *config CLEANUP(xfreep) = xasprintf("[default]\ncredential_process = %s %s\n", path, pid);
    aws_fixture_file(aws, "helper", "#!/bin/sh\necho $$ > \"$1\"; exec sleep 1000\n");
    assert_int_equal(chmod(path, 0700), 0);
    aws_fixture_file(aws, ".aws/config", config);
    aws_fixture_start(aws, (const char *[]){"PATH=/usr/bin:/bin", NULL}, NULL, 0, NULL);
    hurried = aws->fake;
    aws->fake->clock.base.mono_ms = hurried_mono;
    assert_failure(aws_credentials_get(aws->session, &found), ERROR_CREDENTIALS,
        "AWS credentials from 'process': credential_process of profile 'default': it did not end "
        "within 60 s",
        NULL);
    assert_false(process_is_alive(pid));
}

static void
a_grandchild_may_keep_the_pipe(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct buf out CLEANUP(buf_done) = BUF_INIT(64);
    char shell[] = "/bin/sh", flag[] = "-c", script[] = "sleep 8 & echo done";
    char *argv[] = {shell, flag, script, NULL};
    aws_fixture_start(aws, (const char *[]){"PATH=/usr/bin:/bin", NULL}, NULL, 0, NULL);
    hurried = aws->fake; // its minute is over before the sleep
    aws->fake->clock.base.mono_ms = hurried_mono;
    assert_success(aws_run_process(&aws->fake->platform, argv, &out));
    assert_string_equal(buf_cstr(&out), "done\n");
}

static void
is_cancelled(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    char *path CLEANUP(xfreep) = xasprintf("%s/helper", aws->home);
    char *config CLEANUP(xfreep) = xasprintf("[default]\ncredential_process = %s\n", path);
    aws_fixture_file(aws, "helper", "#!/bin/sh\nexec sleep 1000\n");
    assert_int_equal(chmod(path, 0700), 0);
    aws_fixture_file(aws, ".aws/config", config);
    aws_fixture_start(aws, (const char *[]){"PATH=/usr/bin:/bin", NULL}, NULL, 0, NULL);
    cancel_raise(aws->fake->cancel, SIGTERM);
    struct error *err = aws_credentials_get(aws->session, &found);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    error_free(err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_as_a_shell_does),
        cmocka_unit_test(refuses_what_cannot_be_split),
        cmocka_unit_test(takes_what_it_prints),
        cmocka_unit_test(tells_what_went_wrong),
        cmocka_unit_test(names_a_missing_program),
        cmocka_unit_test(ends_a_helper_that_hangs),
        cmocka_unit_test(a_grandchild_may_keep_the_pipe),
        cmocka_unit_test(is_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
