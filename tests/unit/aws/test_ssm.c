// Parameter Store: exact requests, absence as a value, and what a lost or odd answer leaves behind.
#include "dispatcher/ssm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

#define URL "https://ssm.eu-west-1.amazonaws.com"
#define NOT_FOUND "{\"__type\":\"ParameterNotFound\"}"

static const char *const keys[] = {
    "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env", "AWS_REGION=eu-west-1", NULL};
static const char *const to_get[] = {"X-Amz-Target: AmazonSSM.GetParameter", NULL};
static const char *const to_put[] = {"X-Amz-Target: AmazonSSM.PutParameter", NULL};
static const char *const to_history[] = {"X-Amz-Target: AmazonSSM.GetParameterHistory", NULL};
static const char *const to_label[] = {"X-Amz-Target: AmazonSSM.LabelParameterVersion", NULL};
static const char *const to_unlabel[] = {"X-Amz-Target: AmazonSSM.UnlabelParameterVersion", NULL};

struct scene {
    struct aws_fixture *aws;
    struct arena *arena;
};

static void
scene_done(struct scene *scene)
{
    aws_fixture_free(scene->aws);
    arena_free(scene->arena);
}

static void
scene_open(struct scene *scene, const struct script_step *steps, size_t count)
{
    scene->aws = aws_fixture_new();
    scene->arena = arena_new();
    aws_fixture_start(scene->aws, keys, steps, count, NULL);
}

static void
gets_a_parameter(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_get,
            .body = "{\"Name\":\"/a/b\",\"WithDecryption\":true}",
            .reply = "{\"Parameter\":{\"Name\":\"/a/b\",\"Type\":\"SecureString\",\"Value\":\"v\","
                     "\"Version\":9007199254740993,\"LastModifiedDate\":1795247280.25,"
                     "\"ARN\":\"arn\"}}"},
        {.method = HTTP_POST, .url = URL, .headers = to_get, .status = 400, .reply = NOT_FOUND},
    };
    struct scene scene CLEANUP(scene_done) = {0};
    struct ssm_parameter *found = NULL;
    scene_open(&scene, steps, 2);
    assert_success(ssm_get(scene.aws->session, "/a/b", scene.arena, &found));
    assert_string_equal(found->value, "v");
    assert_string_equal(found->type, "SecureString");
    assert_int_equal(found->version, INT64_C(9007199254740993));
    assert_int_equal(found->last_modified_ms, FAKE_WALL_START + 250);
    assert_success(ssm_get(scene.aws->session, "/a/b", scene.arena, &found));
    assert_null(found);
    aws_fixture_finish(scene.aws);
}

static void
refuses_half_a_parameter(void **state)
{
    (void)state;
    static const char *const replies[] = {"{}", "{\"Parameter\":{\"Name\":\"/a\",\"Version\":1}}",
        "{\"Parameter\":{\"Name\":\"/a\",\"Value\":\"v\",\"Version\":0}}",
        "{\"Parameter\":{\"Name\":\"/a\",\"Value\":\"v\",\"Version\":\"1\"}}"};
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        const struct script_step steps[] = {{.method = HTTP_POST, .url = URL, .reply = replies[i]}};
        struct scene scene CLEANUP(scene_done) = {0};
        struct ssm_parameter *found = NULL;
        scene_open(&scene, steps, 1);
        assert_failure(ssm_get(scene.aws->session, "/a", scene.arena, &found), ERROR_UNAVAILABLE,
            "read parameter '/a': unusable answer: a parameter without name, value or version "
            "(HTTP "
            "200)",
            NULL);
        assert_null(found);
    }
}

static const struct ssm_put put = {
    .name = "/a/b", .value = "v2", .description = "dispatcher d-1", .overwrite = true};

static void
gets_several(void **state)
{
    (void)state;
    static const char *const to_get_many[] = {"X-Amz-Target: AmazonSSM.GetParameters", NULL};
    static const char *const names[] = {"/a", "/b", "/c"};
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_get_many,
            .body = "{\"Names\":[\"/a\",\"/b\",\"/c\"],\"WithDecryption\":true}",
            .reply = "{\"Parameters\":[{\"Name\":\"/c\",\"Type\":\"String\",\"Value\":\"v3\","
                     "\"Version\":3},{\"Name\":\"/a\",\"Type\":\"SecureString\",\"Value\":\"v1\","
                     "\"Version\":1}],\"InvalidParameters\":[\"/b\"]}"},
        // One that is neither there nor not there was not answered.
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_get_many,
            .reply = "{\"Parameters\":[],\"InvalidParameters\":[\"/a\",\"/c\"]}"},
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_get_many,
            .reply = "{\"Parameters\":[{\"Name\":\"/a\",\"Version\":1}]}"},
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_get_many,
            .status = 400,
            .reply = "{\"__type\":\"AccessDeniedException\",\"message\":\"not you\"}"},
    };
    struct scene scene CLEANUP(scene_done) = {0};
    struct ssm_parameter *found[3] = {0};
    scene_open(&scene, steps, 4);
    assert_success(ssm_get_many(scene.aws->session, names, 3, scene.arena, found));
    assert_string_equal(found[0]->value, "v1");
    assert_string_equal(found[0]->type, "SecureString");
    assert_null(found[1]);
    assert_string_equal(found[2]->value, "v3");
    for (size_t i = 0; i < 3; i++) {
        static const enum error_kind kinds[] = {
            ERROR_UNAVAILABLE, ERROR_UNAVAILABLE, ERROR_CREDENTIALS};
        struct error *err CLEANUP(error_freep) =
            ssm_get_many(scene.aws->session, names, 3, scene.arena, found);
        assert_non_null(err);
        assert_int_equal(error_kind(err), kinds[i]);
        assert_string_equal(error_message(err), "read 3 parameters, '/a' the first of them");
    }
    aws_fixture_finish(scene.aws);
}

static void
puts_a_version(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = URL,
        .headers = to_put,
        .must_be_once = true,
        .body = "{\"Name\":\"/a/b\",\"Value\":\"v2\",\"Description\":\"dispatcher d-1\","
                "\"Type\":\"String\",\"Overwrite\":true}",
        .reply = "{\"Version\":8,\"Tier\":\"Standard\"}"}};
    struct scene scene CLEANUP(scene_done) = {0};
    int64_t version = 0;
    scene_open(&scene, steps, 1);
    assert_success(ssm_put(scene.aws->session, &put, &version));
    assert_int_equal(version, 8);
    aws_fixture_finish(scene.aws);
}

static void
a_put_says_whether_it_may_have_happened(void **state)
{
    (void)state;
    static const struct {
        struct script_step step;
        enum error_kind kind;
        bool request_left;
        const char *error, *hint;
    } rows[] = {
        {{.method = HTTP_POST,
             .url = URL,
             .must_be_once = true,
             .failure = "timed out",
             .request_left = true},
            ERROR_UNAVAILABLE, true,
            "write parameter '/a/b': ssm PutParameter: POST " URL ": timed out", NULL},
        {{.method = HTTP_POST, .url = URL, .must_be_once = true, .status = 503}, ERROR_UNAVAILABLE,
            true,
            "write parameter '/a/b': ssm PutParameter: no error code in the answer (HTTP 503)",
            NULL},
        {{.method = HTTP_POST, .url = URL, .must_be_once = true, .reply = "{}"}, ERROR_UNAVAILABLE,
            true, "write parameter '/a/b': unusable answer: no 'Version' (HTTP 200)", NULL},
        {{.method = HTTP_POST,
             .url = URL,
             .must_be_once = true,
             .failure = "connection refused",
             .times = 3},
            ERROR_UNAVAILABLE, false,
            "write parameter '/a/b': ssm PutParameter, after 3 attempts in 0.1s: POST " URL
            ": connection refused",
            NULL},
        {{.method = HTTP_POST,
             .url = URL,
             .must_be_once = true,
             .status = 400,
             .reply = "{\"__type\":\"ParameterAlreadyExists\",\"message\":\"It exists.\"}"},
            ERROR_CONFLICT, false,
            "create parameter '/a/b': ssm PutParameter: ParameterAlreadyExists: It exists (HTTP "
            "400)",
            NULL},
        {{.method = HTTP_POST,
             .url = URL,
             .must_be_once = true,
             .status = 400,
             .reply = "{\"__type\":\"ParameterMaxVersionLimitExceeded\"}"},
            ERROR_REFUSED, false,
            "write parameter '/a/b': ssm PutParameter: ParameterMaxVersionLimitExceeded (HTTP 400)",
            "The oldest of its 100 versions carries a label: move that label to a newer version."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct scene scene CLEANUP(scene_done) = {0};
        int64_t version = 77;
        scene_open(&scene, &rows[i].step, 1);
        struct error *err = ssm_put(scene.aws->session, &put, &version);
        assert_non_null(err);
        assert_int_equal(error_remote_of(err)->request_left, rows[i].request_left);
        assert_failure(err, rows[i].kind, rows[i].error, rows[i].hint);
        assert_int_equal(version, 77);
        aws_fixture_finish(scene.aws);
    }
}

#define VERSION(number, more)                                                                      \
    "{\"Name\":\"/a\",\"Type\":\"String\",\"Value\":\"v" number "\",\"Version\":" number           \
    ",\"LastModifiedUser\":\"arn:aws:iam::1:user/u\"" more "}"

static void
reads_all_pages_of_the_history(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_history,
            .body = "{\"Name\":\"/a\",\"WithDecryption\":true,\"MaxResults\":50}",
            .reply =
                "{\"Parameters\":[" VERSION("1", "") "," VERSION("4", "") "],"
                                                                          "\"NextToken\":\"p2\"}"},
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_history,
            .body =
                "{\"Name\":\"/a\",\"WithDecryption\":true,\"MaxResults\":50,\"NextToken\":\"p2\"}",
            .reply = "{\"Parameters\":[],\"NextToken\":\"p3\"}"},
        {.method = HTTP_POST,
            .url = URL,
            .body_pattern = "*p3*",
            .reply = "{\"Parameters\":[" VERSION("3", ",\"Description\":\"d\"") "," VERSION(
                "2", ",\"Labels\":[\"deployed\",\"x\"]") "]}"},
    };
    struct scene scene CLEANUP(scene_done) = {0};
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    scene_open(&scene, steps, 3);
    assert_success(ssm_history(scene.aws->session, "/a", 1, scene.arena, &list, &count));
    assert_int_equal(count, 3);
    assert_int_equal(list[0].version, 2);
    assert_int_equal(list[0].labels.count, 2);
    assert_string_equal(list[0].labels.items[0], "deployed");
    assert_string_equal(list[1].description, "d");
    assert_string_equal(list[2].value, "v4");
    assert_string_equal(list[2].last_modified_user, "arn:aws:iam::1:user/u");
    aws_fixture_finish(scene.aws);
}

static void
history_of_nothing_is_empty(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .status = 400, .reply = NOT_FOUND}};
    struct scene scene CLEANUP(scene_done) = {0};
    struct ssm_parameter *list = NULL;
    size_t count = 5;
    scene_open(&scene, steps, 1);
    assert_success(ssm_history(scene.aws->session, "/a", 0, scene.arena, &list, &count));
    assert_int_equal(count, 0);
}

static void
history_ends_though_the_pages_do_not(void **state)
{
    (void)state;
    static const struct script_step same[] = {{.method = HTTP_POST,
        .url = URL,
        .reply = "{\"Parameters\":[],\"NextToken\":\"p\"}",
        .times = 2}};
    struct scene scene CLEANUP(scene_done) = {0};
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    scene_open(&scene, same, 1);
    assert_failure(ssm_history(scene.aws->session, "/a", 0, scene.arena, &list, &count),
        ERROR_UNAVAILABLE,
        "read the history of parameter '/a': unusable answer: the same page twice (HTTP 200)",
        NULL);
    aws_fixture_finish(scene.aws);
}

static void
labels_a_version(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_label,
            .body = "{\"Name\":\"/a\",\"ParameterVersion\":3,\"Labels\":[\"deployed\"]}",
            .status = 500},
        {.method = HTTP_POST, .url = URL, .headers = to_label, .reply = "{\"ParameterVersion\":3}"},
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_label,
            .reply = "{\"InvalidLabels\":[\"7up\"],\"ParameterVersion\":3}"},
    };
    struct scene scene CLEANUP(scene_done) = {0};
    scene_open(&scene, steps, 3);
    assert_success(ssm_label(scene.aws->session, "/a", 3, "deployed"));
    assert_failure(ssm_label(scene.aws->session, "/a", 3, "7up"), ERROR_REFUSED,
        "label version 3 of parameter '/a' as '7up': Parameter Store does not take this label",
        "A label starts with a letter and neither with 'aws' nor with 'ssm'.");
    aws_fixture_finish(scene.aws);
}

static void
labels_and_unlabels_several(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_label,
            .body = "{\"Name\":\"/a\",\"ParameterVersion\":3,\"Labels\":[\"deployed\","
                    "\"proven\",\"proven-4\"]}",
            .reply = "{\"InvalidLabels\":[],\"ParameterVersion\":3}"},
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_unlabel,
            .body = "{\"Name\":\"/a\",\"ParameterVersion\":1,\"Labels\":[\"proven-4\"]}",
            .reply = "{\"RemovedLabels\":[],\"InvalidLabels\":[\"proven-4\"]}"},
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_unlabel,
            .status = 400,
            .reply = "{\"__type\":\"ParameterVersionNotFound\",\"message\":\"none\"}"},
    };
    struct scene scene CLEANUP(scene_done) = {0};
    const char *names[] = {"deployed", "proven", "proven-4"};
    const struct str_list three = {names, 3}, last = {names + 2, 1};
    scene_open(&scene, steps, 3);
    assert_success(ssm_labels(scene.aws->session, "/a", 3, &three));
    assert_success(ssm_unlabel(scene.aws->session, "/a", 1, &last));
    assert_failure(ssm_unlabel(scene.aws->session, "/a", 1, &last), ERROR_REFUSED,
        "take label 'proven-4' from version 1 of parameter '/a': ssm UnlabelParameterVersion: "
        "ParameterVersionNotFound: none (HTTP 400)",
        NULL);
    aws_fixture_finish(scene.aws);
}

static void
looks_for_a_parameter(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .body = "{\"Name\":\"/a\",\"WithDecryption\":false}",
            .reply = "{\"Parameter\":{}}"},
        {.method = HTTP_POST,
            .url = "https://ssm.eu-west-1.amazonaws.com",
            .status = 400,
            .reply = "{\"__type\":\"ParameterNotFound\"}"},
        {.method = HTTP_POST,
            .url = URL,
            .status = 400,
            .reply = "{\"__type\":\"AccessDeniedException\",\"message\":\"not you\"}"},
    };
    struct scene scene CLEANUP(scene_done) = {0};
    bool found = false;
    scene_open(&scene, steps, 3);
    assert_success(ssm_exists(scene.aws->session, "/a", NULL, &found));
    assert_true(found);
    assert_success(ssm_exists(scene.aws->session, "/b", "eu-west-1", &found));
    assert_false(found);
    assert_failure(ssm_exists(scene.aws->session, "/c", NULL, &found), ERROR_CREDENTIALS,
        "look for parameter '/c': ssm GetParameter: AccessDeniedException: not you (HTTP 400)",
        "Allow the action 'ssm:GetParameter' to the role in use; 'dispatcher doctor' shows which "
        "one that is.");
    aws_fixture_finish(scene.aws);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gets_a_parameter),
        cmocka_unit_test(refuses_half_a_parameter),
        cmocka_unit_test(gets_several),
        cmocka_unit_test(puts_a_version),
        cmocka_unit_test(a_put_says_whether_it_may_have_happened),
        cmocka_unit_test(reads_all_pages_of_the_history),
        cmocka_unit_test(history_of_nothing_is_empty),
        cmocka_unit_test(history_ends_though_the_pages_do_not),
        cmocka_unit_test(labels_a_version),
        cmocka_unit_test(labels_and_unlabels_several),
        cmocka_unit_test(looks_for_a_parameter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
