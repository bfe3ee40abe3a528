// Tags of App Runner services: what is asked, what comes back, what is refused.
#include "dispatcher/apprunner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_dialog.h"
#include "dispatcher/memory.h"

#define ARN "arn:aws:apprunner:eu-west-1:012345678901:service/shop/0a1b"
#define ASKED "{\"ResourceArn\":\"" ARN "\"}"

static void
tags_are_listed(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        APPRUNNER("ListTagsForResource", ASKED,
            "{\"Tags\":[{\"Key\":\"a\",\"Value\":\"1\\n2\"},{\"Key\":\"b\"}]}"),
        APPRUNNER("ListTagsForResource", ASKED, "{}")};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct pair_list tags = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(apprunner_tags_list(aws.session, ARN, aws.arena, &tags));
    assert_int_equal(tags.count, 2);
    assert_string_equal(tags.items[0].key, "a");
    assert_string_equal(tags.items[0].value, "1 2"); // fit for one line
    assert_null(tags.items[1].value);
    assert_success(apprunner_tags_list(aws.session, ARN, aws.arena, &tags));
    assert_int_equal(tags.count, 0);
}

static void
odd_tags_are_refused(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        APPRUNNER("ListTagsForResource", NULL, "{\"Tags\":{}}"),
        APPRUNNER("ListTagsForResource", NULL, "{\"Tags\":[{\"Value\":\"1\"}]}")};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct pair_list tags = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct error *err = apprunner_tags_list(aws.session, ARN, aws.arena, &tags);
        assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
        assert_string_equal(error_message(err), "list the tags of App Runner service '" ARN "'");
        error_free(err);
    }
}

static void
tags_are_set(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {APPRUNNER("TagResource",
        "{\"ResourceArn\":\"" ARN
        "\",\"Tags\":[{\"Key\":\"dispatcher:version\",\"Value\":\"v2\"}]}",
        "{}")};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct pair pairs[] = {{"dispatcher:version", "v2"}};
    aws_dialog_open(&aws, lines, 1);
    assert_success(apprunner_tag(aws.session, ARN, &(struct pair_list){pairs, 1}));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_listed),
        cmocka_unit_test(odd_tags_are_refused),
        cmocka_unit_test(tags_are_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
