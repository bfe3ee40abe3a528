// The INI dialect of the shared files: what is read, what is passed over, what is refused.
#include "aws_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

static const char *
profile(const struct aws_ini *ini, const char *name, const char *key)
{
    return aws_ini_get(ini, AWS_SECTION_PROFILE, name, NULL, key);
}

static struct aws_ini *
parsed(const char *text, bool is_credentials)
{
    struct aws_ini *ini = aws_ini_new();
    assert_success(aws_ini_parse(ini, str_of(text), is_credentials, "config"));
    return ini;
}

static void
reads_each_kind_of_section(void **state)
{
    (void)state;
    struct aws_ini *ini CLEANUP(aws_ini_freep) =
        parsed("\xef\xbb\xbf# first a comment\r\n"
               "[default]\r\n"
               "REGION = us-east-1 # where we are\r\n"
               "; another comment\n"
               "[ profile   \"my dev\" ] # trailing\n"
               "region=eu-west-1\n"
               "[profile plain]\n"
               "credential_process = /bin/h --x=1 a#b;c ; d\n"
               "empty =\n"
               "[sso-session corp]\n"
               "sso_region = eu-west-1\n"
               "[services local]\n"
               "ssm =\n"
               "  endpoint_url = http://127.0.0.1:4566\n"
               "\n"
               "  Other = x\n"
               "sts = \n"
               "\tendpoint_url = http://127.0.0.1:4567\n"
               "[preview]\n"
               "nor is this line of any interest\n"
               "[profile plain]\n"
               "output = text\n",
            false);
    assert_string_equal(profile(ini, "default", "region"), "us-east-1");
    assert_string_equal(profile(ini, "my dev", "region"), "eu-west-1");
    assert_string_equal(profile(ini, "plain", "credential_process"), "/bin/h --x=1 a#b;c");
    assert_string_equal(profile(ini, "plain", "output"), "text");
    assert_null(profile(ini, "plain", "empty"));
    assert_null(profile(ini, "plain", "endpoint_url"));
    assert_null(profile(ini, "corp", "sso_region"));
    assert_string_equal(
        aws_ini_get(ini, AWS_SECTION_SSO_SESSION, "corp", NULL, "sso_region"), "eu-west-1");
    assert_string_equal(aws_ini_get(ini, AWS_SECTION_SERVICES, "local", "SSM", "endpoint_url"),
        "http://127.0.0.1:4566");
    assert_string_equal(aws_ini_get(ini, AWS_SECTION_SERVICES, "local", "sts", "endpoint_url"),
        "http://127.0.0.1:4567");
    assert_null(aws_ini_get(ini, AWS_SECTION_SERVICES, "local", NULL, "endpoint_url"));
    assert_true(aws_ini_has(ini, AWS_SECTION_PROFILE, "plain"));
    assert_false(aws_ini_has(ini, AWS_SECTION_PROFILE, "preview"));
}

static void
credentials_sections_have_no_prefix(void **state)
{
    (void)state;
    struct aws_ini *ini CLEANUP(aws_ini_freep) = parsed("[dev]\n"
                                                        "aws_access_key_id = AKID\n"
                                                        "aws_secret_access_key = a/b+c=d\n"
                                                        "aws_access_key_id = LATER\n"
                                                        "[profile other]\nregion = r\n",
        true);
    assert_string_equal(profile(ini, "dev", "aws_access_key_id"), "LATER");
    assert_string_equal(profile(ini, "dev", "aws_secret_access_key"), "a/b+c=d");
    assert_null(profile(ini, "other", "region"));
}

static void
prefixed_default_hides_the_bare_one(void **state)
{
    (void)state;
    struct aws_ini *ini CLEANUP(aws_ini_freep) =
        parsed("[profile default]\nregion = a\n[default]\nregion = b\noutput = c\n", false);
    assert_string_equal(profile(ini, "default", "region"), "a");
    assert_null(profile(ini, "default", "output"));
}

static void
values_may_go_on(void **state)
{
    (void)state;
    struct aws_ini *ini CLEANUP(aws_ini_freep) =
        parsed("[default]\nkey = one\n  two\n\tthree\nnext = x\n", false);
    assert_string_equal(profile(ini, "default", "key"), "one\ntwo\nthree");
    assert_string_equal(profile(ini, "default", "next"), "x");
}

static void
refuses_what_is_no_ini(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"[default]\nregion us-east-1\n", "'config' line 2: expected 'key = value'"},
        {"region = us-east-1\n", "'config' line 1: a key before the first section"},
        {"[default\n", "'config' line 1: a section without ']'"},
        {"[]\n", "'config' line 1: a section without a name"},
        {"[default] x\n", "'config' line 1: text after the section's name"},
        {"[default]\n= x\n", "'config' line 2: a value without a key"},
        {"[default]\n  x = y\n", "'config' line 2: an indented line that belongs to nothing"},
        {"[default]\na =\n  b\n", "'config' line 3: expected 'key = value'"},
        {"[default]\na = \xff\n", "'config' line 2: not a line of UTF-8 text"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_ini *ini CLEANUP(aws_ini_freep) = aws_ini_new();
        assert_failure(aws_ini_parse(ini, str_of(rows[i].text), false, "config"), ERROR_CREDENTIALS,
            rows[i].message, "Correct the line, or name another file with AWS_CONFIG_FILE.");
    }
    struct aws_ini *ini CLEANUP(aws_ini_freep) = aws_ini_new();
    assert_failure(aws_ini_parse(ini, (struct str){"[a]\nb = \0c", 10}, true, "keys"),
        ERROR_CREDENTIALS, "'keys' line 2: not a line of UTF-8 text",
        "Correct the line, or name another file with AWS_SHARED_CREDENTIALS_FILE.");
}

static void
repeat(struct buf *out, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, text);
    }
}

static void
bounds_hostile_files(void **state)
{
    (void)state;
    static const struct {
        const char *start, *repeated;
        size_t count;
        const char *message;
    } rows[] = {
        {"[a]\n", "k = v\n", 8192, "'config' line 8193: too many sections and keys"},
        {"", "[profile x]\n", 8193, "'config' line 8193: too many sections and keys"},
        {"[default]\nk = v\n", " x\n", 65, "'config' line 67: a value of too many lines"},
        {"[default]\nk = ", "x", 16 * 1024, "'config' line 2: the line is too long"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
        struct aws_ini *ini CLEANUP(aws_ini_freep) = aws_ini_new();
        buf_puts(&text, i == 0 ? "[default]\n" : rows[i].start);
        repeat(&text, rows[i].repeated, rows[i].count);
        assert_failure(aws_ini_parse(ini, buf_str(&text), false, "config"), ERROR_CREDENTIALS,
            rows[i].message, "Correct the line, or name another file with AWS_CONFIG_FILE.");
    }
}

static void
names_an_unusable_file(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_file(aws, ".aws/config", "nonsense\n");
    char *text CLEANUP(xfreep) =
        xasprintf("'%s/.aws/config' line 1: a key before the first section", aws->home);
    assert_failure(aws_fixture_try(aws, NULL, NULL, 0, NULL), ERROR_CREDENTIALS, text,
        "Correct the line, or name another file with AWS_CONFIG_FILE.");
}

static void
refuses_a_file_that_is_too_large(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    char *large CLEANUP(xfreep) = xmalloc(256 * 1024 + 2);
    memset(large, '#', 256 * 1024 + 1);
    large[256 * 1024 + 1] = '\0';
    aws_fixture_file(aws, ".aws/credentials", large);
    char *text CLEANUP(xfreep) = xasprintf("read the AWS profile file: '%s/.aws/credentials' has "
                                           "262145 bytes, more than the 262144 allowed",
        aws->home);
    assert_failure(aws_fixture_try(aws, NULL, NULL, 0, NULL), ERROR_CREDENTIALS, text, NULL);
}

static void
paths_can_be_overridden(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_file(aws, "elsewhere/c", "[profile p]\nregion = eu-north-1\n");
    const char *region = NULL;
    aws_fixture_start(aws, (const char *[]){"AWS_CONFIG_FILE=~/elsewhere/c", "AWS_PROFILE=p", NULL},
        NULL, 0, NULL);
    assert_success(aws_region(aws->session, &region));
    assert_string_equal(region, "eu-north-1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_kind_of_section),
        cmocka_unit_test(credentials_sections_have_no_prefix),
        cmocka_unit_test(prefixed_default_hides_the_bare_one),
        cmocka_unit_test(values_may_go_on),
        cmocka_unit_test(refuses_what_is_no_ini),
        cmocka_unit_test(bounds_hostile_files),
        cmocka_unit_test(names_an_unusable_file),
        cmocka_unit_test(refuses_a_file_that_is_too_large),
        cmocka_unit_test(paths_can_be_overridden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
