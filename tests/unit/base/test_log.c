// Log lines, to the byte.
#include "dispatcher/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/clock.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/secret.h"

// A stream into memory.
struct sink {
    FILE *stream;
    char *text;
    size_t len;
    struct log *log;
};

static void
sink_open(struct sink *sink, enum log_level level, enum log_format format)
{
    *sink = (struct sink){0};
    sink->stream = open_memstream(&sink->text, &sink->len);
    assert_non_null(sink->stream);
    sink->log = log_new(sink->stream, level, format);
}

static void
sink_close(struct sink *sink)
{
    log_free(sink->log);
    (void)fclose(sink->stream);
    free(sink->text);
}

static void
text_lines(void **state)
{
    (void)state;
    struct sink sink CLEANUP(sink_close);
    sink_open(&sink, LOG_DEBUG, LOG_TEXT);
    log_error(sink.log, "broken");
    log_warn(sink.log, "careful", F_INT("attempt", -3));
    log_info(sink.log, "step started", F_STR("step", "push"), F_INT("n", INT64_MAX));
    log_debug(sink.log, "http", F_STR("url", NULL));
    assert_string_equal(sink.text, "error: broken\n"
                                   "warn: careful attempt=-3\n"
                                   "info: step started step=push n=9223372036854775807\n"
                                   "debug: http url=\"\"\n");
}

static void
less_important_levels_are_dropped(void **state)
{
    (void)state;
    struct sink sink CLEANUP(sink_close);
    sink_open(&sink, LOG_WARN, LOG_TEXT);
    log_debug(sink.log, "no");
    log_info(sink.log, "no");
    log_warn(sink.log, "yes");
    log_error(sink.log, "yes");
    assert_string_equal(sink.text, "warn: yes\nerror: yes\n");
    log_error(NULL, "nowhere");
}

static void
a_value_never_starts_a_line_or_another_field(void **state)
{
    (void)state;
    struct sink sink CLEANUP(sink_close);
    sink_open(&sink, LOG_INFO, LOG_TEXT);
    log_info(sink.log, "x", F_STR("a", "1\nerror: forged"), F_STR("b", "\x1b[31mred\xff"),
        F_STR("c", "say \"hi\" \\"), F_STR("d", "k=v"));
    assert_string_equal(sink.text, "info: x a=\"1 error: forged\" b=red\xef\xbf\xbd "
                                   "c=\"say \\\"hi\\\" \\\\\" d=\"k=v\"\n");
}

static void
json_lines(void **state)
{
    (void)state;
    struct sink sink CLEANUP(sink_close);
    sink_open(&sink, LOG_INFO, LOG_JSON);
    log_info(sink.log, "step \"x\"", F_STR("a", "1\n\"2"), F_INT("n", 7));
    assert_int_equal(sink.text[sink.len - 1], '\n');
    struct json *object CLEANUP(json_freep) = NULL;
    assert_null(json_parse((struct str){sink.text, sink.len}, &json_limits_default, &object));
    assert_int_equal(json_count(object), 5);
    int64_t when = 0;
    assert_true(clock_parse_rfc3339(json_str(json_get(object, "time")), &when));
    assert_string_equal(json_str(json_get(object, "level")), "info");
    assert_string_equal(json_str(json_get(object, "message")), "step \"x\"");
    assert_string_equal(json_str(json_get(object, "a")), "1 \"2");
    assert_int_equal(json_int(json_get(object, "n"), 0), 7);
}

static void
secrets_are_masked_in_both_formats(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("canary \"log\""));
    struct sink text CLEANUP(sink_close);
    sink_open(&text, LOG_INFO, LOG_TEXT);
    log_info(text.log, "x", F_STR("token", "a canary \"log\" b"));
    assert_string_equal(text.text, "info: x token=\"a *** b\"\n");
    struct sink json CLEANUP(sink_close);
    sink_open(&json, LOG_INFO, LOG_JSON); // masked before the quotes are escaped
    log_info(json.log, "x", F_STR("token", "a canary \"log\" b"));
    assert_non_null(strstr(json.text, "\"token\":\"a *** b\""));
}

static void
a_secret_at_the_cut_is_masked_whole(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("canary-at-the-cut"));
    char value[8192 + 16] = {0};
    memset(value, 'x', sizeof(value) - 1);
    memcpy(value + 8192 - 10, "canary-at-the-cut", 17);
    struct sink sink CLEANUP(sink_close);
    sink_open(&sink, LOG_INFO, LOG_TEXT);
    log_info(sink.log, "x", F_STR("v", value));
    assert_null(strstr(sink.text, "canary"));
    assert_true(sink.len < 8192 + 20);
}

static void
a_line_that_does_not_fit_loses_its_fields(void **state)
{
    (void)state;
    char *value CLEANUP(xfreep) = xmalloc(8193);
    memset(value, '"', 8192); // doubled by the quoting
    value[8192] = '\0';
    struct sink text CLEANUP(sink_close);
    sink_open(&text, LOG_INFO, LOG_TEXT);
    log_info(text.log, "many", F_STR("a", value), F_STR("b", value), F_STR("c", value),
        F_STR("d", value));
    assert_string_equal(text.text, "info: many (fields left out: too long)\n");
    struct sink json CLEANUP(sink_close);
    sink_open(&json, LOG_INFO, LOG_JSON);
    log_info(json.log, "many", F_STR("a", value), F_STR("b", value), F_STR("c", value),
        F_STR("d", value));
    assert_non_null(strstr(json.text, "\"message\":\"many\",\"fields_left_out\":true}\n"));
}

static void
a_value_of_megabytes_is_named_not_shown(void **state)
{
    (void)state;
    char *value CLEANUP(xfreep) = xmalloc((1 << 20) + 1);
    memset(value, 'x', 1 << 20);
    value[1 << 20] = '\0';
    struct sink sink CLEANUP(sink_close);
    sink_open(&sink, LOG_INFO, LOG_TEXT);
    log_info(sink.log, "big", F_STR("v", value));
    assert_string_equal(sink.text, "info: big v=\"(too long)\"\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines),
        cmocka_unit_test(less_important_levels_are_dropped),
        cmocka_unit_test(a_value_never_starts_a_line_or_another_field),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(secrets_are_masked_in_both_formats),
        cmocka_unit_test(a_secret_at_the_cut_is_masked_whole),
        cmocka_unit_test(a_line_that_does_not_fit_loses_its_fields),
        cmocka_unit_test(a_value_of_megabytes_is_named_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
