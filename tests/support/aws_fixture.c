// See the header. The home directory is removed at the end.
#define _XOPEN_SOURCE 700 // nftw
#include "aws_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum { ENV_MAX = 64 };

struct aws_fixture *
aws_fixture_new(void)
{
    struct aws_fixture *aws = xcalloc(1, sizeof(*aws));
    (void)snprintf(aws->home, sizeof(aws->home), "/tmp/dispatcher-aws.XXXXXX");
    assert_non_null(mkdtemp(aws->home));
    return aws;
}

static int
remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void
aws_fixture_free(struct aws_fixture *aws)
{
    if (aws == NULL) {
        return;
    }
    aws_session_free(aws->session);
    http_client_free(aws->http);
    script_transport_free(aws->script);
    fake_platform_free(aws->fake);
    (void)nftw(aws->home, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(aws);
}

void
aws_fixture_freep(struct aws_fixture **aws)
{
    aws_fixture_free(*aws);
    *aws = NULL;
}

void
aws_fixture_file(const struct aws_fixture *aws, const char *path, const char *text)
{
    char *full CLEANUP(xfreep) = xasprintf("%s/%s", aws->home, path);
    char *directory CLEANUP(xfreep) = xstrdup(full);
    *strrchr(directory, '/') = '\0';
    assert_success(file_make_directories(directory));
    assert_success(file_write(full, str_of(text), 0600));
}

struct error *
aws_fixture_try(struct aws_fixture *aws, const char *const *env, const struct script_step *steps,
    size_t count, const struct aws_options *options)
{
    char *home CLEANUP(xfreep) = xasprintf("HOME=%s", aws->home);
    const char *list[ENV_MAX] = {home};
    for (size_t i = 0; env != NULL && env[i] != NULL; i++) {
        assert_true(i + 2 < ENV_MAX);
        list[i + 1] = env[i];
    }
    aws->fake = fake_platform_new(list);
    fake_platform_fix_random(aws->fake, 0.5);
    aws->script = script_transport_new(aws->fake, steps, count);
    assert_success(http_client_new(&aws->fake->platform, NULL, &aws->http));
    return aws_session_new(&aws->fake->platform, aws->http, options, &aws->session);
}

void
aws_fixture_start(struct aws_fixture *aws, const char *const *env, const struct script_step *steps,
    size_t count, const struct aws_options *options)
{
    assert_success(aws_fixture_try(aws, env, steps, count, options));
}

void
aws_fixture_finish(struct aws_fixture *aws)
{
    script_transport_finish(aws->script);
}

void
assert_success(struct error *err)
{
    if (err != NULL) {
        char *text = error_text(err);
        fail_msg("unexpected error: %s", text);
    }
}

void
assert_failure(struct error *err, enum error_kind kind, const char *text, const char *hint)
{
    if (err == NULL) {
        fail_msg("success instead of: %s", text);
        return;
    }
    char *actual CLEANUP(xfreep) = error_text(err);
    assert_string_equal(actual, text);
    assert_string_equal(error_kind_name(error_kind(err)), error_kind_name(kind));
    if (hint == NULL) {
        assert_null(error_hint_of(err));
    } else {
        assert_non_null(error_hint_of(err));
        assert_string_equal(error_hint_of(err), hint);
    }
    error_free(err);
}
