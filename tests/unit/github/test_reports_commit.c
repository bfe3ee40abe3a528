// What is reported on a commit and on its pull requests: statuses, check runs, the one comment.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/github_reports.h"
#include "github_fixture.h"

#define NOT_FOUND "{\"message\":\"Not Found\"}"
#define CHECKS_URL                                                                                 \
    GITHUB_REPO "/commits/abc/check-runs?check_name=deploy%20shop&filter=all&per_page=100"
#define PULLS_URL GITHUB_REPO "/commits/abc/pulls?per_page=100"
#define COMMENTS_URL GITHUB_REPO "/issues/4/comments?per_page=100"
#define MARK "<!-- dispatcher: shop -->"
#define COMMENT(id, who, body)                                                                     \
    "{\"id\":" #id ",\"body\":\"" body "\",\"user\":{\"type\":\"User\"},\"author_association\":"   \
    "\"" who "\"}"
#define PULL(number, state, merged, ref)                                                           \
    "{\"number\":" #number ",\"state\":\"" state "\",\"merged_at\":" merged ",\"base\":{\"ref\":"  \
    "\"" ref "\",\"repo\":{\"full_name\":\"Octo/Infra\",\"default_branch\":\"main\"}}}"

static void
assert_failure(struct error *err, enum error_kind kind, const char *says)
{
    assert_non_null(err);
    char *text = error_text(err);
    if (strstr(text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", text, says);
    }
    free(text);
    assert_int_equal(error_kind(err), kind);
    error_free(err);
}

static void
succeed(struct error *err)
{
    if (err != NULL) {
        fail_msg("%s", error_text(err));
    }
}

// --- commit statuses -----------------------------------------------------------------------------

static void
a_commit_status_is_set(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = GITHUB_REPO "/statuses/a%2F..%3Fb",
            .body = "{\"state\":\"pending\",\"context\":\"c\"}",
            .status = 201,
            .reply = "{}"},
        {.method = HTTP_POST,
            .url = GITHUB_REPO "/statuses/abc",
            .status = 422,
            .reply = "{\"message\":\"No commit found for SHA: abc\"}"},
        {.method = HTTP_POST,
            .url = GITHUB_REPO "/statuses/abc",
            .status = 404,
            .reply = NOT_FOUND},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        github_fixture_reports(steps, 3, false);
    const struct github_commit_status pending = {.state = "pending", .context = "c"};
    succeed(github_commit_status_set(f->client, "a/..?b", &pending));
    assert_failure(github_commit_status_set(f->client, "abc", &pending), ERROR_REFUSED,
        "status 'c' of commit 'abc' of 'octo/infra': POST https://api.github.com/repos/octo/infra/"
        "statuses/abc: No commit found for SHA: abc (HTTP 422");
    assert_failure(github_commit_status_set(f->client, "abc", &pending), ERROR_REFUSED,
        "status 'c' of commit 'abc' of 'octo/infra': it is not there (HTTP 404");
    github_fixture_finish(f);
}

// --- check runs ----------------------------------------------------------------------------------

static void
a_check_run_is_found_by_its_mark(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        int64_t id;
    } cases[] = {
        {"{\"total_count\":0,\"check_runs\":[]}", 0},
        {"{\"check_runs\":[{\"id\":5,\"name\":\"deploy shop\",\"external_id\":\"d-2\"},"
         "{\"id\":6,\"name\":\"deploy shop\",\"external_id\":\"d-1\"},"
         "{\"id\":9,\"name\":\"deploy shop\",\"external_id\":\"d-1\"},"
         "{\"id\":8,\"name\":\"deploy shop\",\"external_id\":\"d-1\"},"
         "{\"id\":10,\"name\":\"other\",\"external_id\":\"d-1\"},"
         "{\"id\":11,\"name\":\"deploy shop\",\"external_id\":null},"
         "{\"id\":12,\"name\":\"deploy shop\"}]}",
            9},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {{.url = CHECKS_URL, .reply = cases[i].reply}};
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_reports(steps, 1, false);
        int64_t id = -1;
        succeed(github_check_find(f->client, "abc", "deploy shop", "d-1", f->arena, &id));
        assert_int_equal(id, cases[i].id);
        github_fixture_finish(f);
    }
}

static void
unusable_lists_of_check_runs(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *says;
    } cases[] = {
        {"[]", "look for check run 'deploy shop' of commit 'abc' of 'octo/infra': unusable answer: "
               "no list of at most 100 check_runs"},
        {"{\"check_runs\":{}}", "no list of at most 100 check_runs"},
        {"{\"check_runs\":[{\"id\":5}]}", "item 0: unusable answer: 'name' "},
        {"{\"check_runs\":[{\"id\":5,\"name\":\"n\",\"external_id\":7}]}", "'external_id' "},
        {"{\"check_runs\":[{\"id\":-5,\"name\":\"n\"}]}", "'id' of a check run is not above 0"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {{.url = CHECKS_URL, .reply = cases[i].reply}};
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_reports(steps, 1, false);
        int64_t id = -1;
        assert_failure(github_check_find(f->client, "abc", "deploy shop", "d-1", f->arena, &id),
            ERROR_UNAVAILABLE, cases[i].says);
        assert_int_equal(id, -1);
        github_fixture_finish(f);
    }
}

#define CHECK_URL GITHUB_REPO "/check-runs/31"

static void
check_runs_are_made_and_changed(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = GITHUB_REPO "/check-runs",
            .must_be_once = true,
            .body = "{\"name\":\"n\",\"head_sha\":\"abc\"}",
            .status = 201,
            .reply = "{\"id\":31}"},
        {.method = HTTP_PATCH,
            .url = CHECK_URL,
            .body = "{\"name\":\"n\",\"status\":\"completed\",\"output\":{\"annotations\":[]}}",
            .reply = "{\"id\":31}"},
        {.method = HTTP_PATCH,
            .url = CHECK_URL,
            .status = 422,
            .reply = "{\"message\":\"Invalid request.\"}"},
        {.method = HTTP_PATCH, .url = CHECK_URL, .status = 404, .reply = NOT_FOUND},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        github_fixture_reports(steps, 4, false);
    int64_t id = 0;
    succeed(github_check_create(f->client, "{\"name\":\"n\",\"head_sha\":\"abc\"}", f->arena, &id));
    assert_int_equal(id, 31);
    succeed(github_check_update(f->client, 31,
        "{\"name\":\"n\",\"head_sha\":\"abc\",\"status\":\"completed\",\"output\":"
        "{\"annotations\":[]}}"));
    assert_failure(github_check_update(f->client, 31, "{}"), ERROR_REFUSED,
        "update check run 31 of 'octo/infra': PATCH ");
    struct error *err = github_check_update(f->client, 31, "{}");
    assert_int_equal(error_remote_of(err)->status, 404);
    assert_failure(err, ERROR_REFUSED, "update check run 31 of 'octo/infra': it is not there");
    github_fixture_finish(f);
}

// Sent twice, they would be there twice.
static void
annotations_are_sent_once(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_PATCH, .url = CHECK_URL, .status = 502},
        {.method = HTTP_PATCH, .url = CHECK_URL, .reply = "{\"id\":31}"},
        {.method = HTTP_PATCH, .url = CHECK_URL, .must_be_once = true, .status = 502},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        github_fixture_reports(steps, 3, false);
    succeed(github_check_update(f->client, 31, "{\"output\":{\"summary\":\"s\"}}"));
    assert_failure(github_check_update(f->client, 31,
                       "{\"output\":{\"summary\":\"s\",\"annotations\":[{\"path\":\"a\"}]}}"),
        ERROR_UNAVAILABLE, "update check run 31 of 'octo/infra': PATCH ");
    github_fixture_finish(f);
}

// --- pull requests -------------------------------------------------------------------------------

static void
pull_requests_of_a_commit(void **state)
{
    (void)state;
    static const char *const next[] = {
        "Link: <https://api.github.com/repositories/9/pulls?page=2>; rel=\"next\"", NULL};
    static const struct script_step steps[] = {
        {.url = PULLS_URL,
            .reply_headers = next,                              // a hundred are more than enough
            .reply = "[" PULL(7, "open", "null", "release") "," //
            PULL(8, "closed", "null", "main") ","               // given up
            PULL(9, "closed", "\"2026-11-21T07:48:00Z\"", "main") "," //
            PULL(10, "open", "null", "main") ","                      //
            PULL(11, "closed", "\"2026-11-21T07:48:00Z\"",
                "release") ","
                           // of another repository, which shares the commit
                           "{\"number\":3,\"state\":\"open\",\"base\":{\"ref\":\"main\",\"repo\":"
                           "{\"full_name\":\"upstream/infra\",\"default_branch\":\"main\"}}}]"},
        {.url = PULLS_URL, .reply = "[]"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        github_fixture_reports(steps, 2, false);
    int64_t *numbers = NULL;
    size_t count = 0;
    succeed(github_commit_pulls(f->client, "abc", f->arena, &numbers, &count));
    static const int64_t expected[] = {9, 10, 7, 11};
    assert_int_equal(count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(numbers[i], expected[i]);
    }
    succeed(github_commit_pulls(f->client, "abc", f->arena, &numbers, &count));
    assert_int_equal(count, 0);
    github_fixture_finish(f);
}

static void
no_usable_pull_requests(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply;
        enum error_kind kind;
        const char *says;
    } cases[] = {
        {422, "{\"message\":\"No commit found for SHA: abc\"}", ERROR_REFUSED,
            "pull requests of commit 'abc' of 'octo/infra': GET "},
        {404, NOT_FOUND, ERROR_REFUSED, "it is not there"},
        {200, "{}", ERROR_UNAVAILABLE, "no list of at most 100"},
        {200, "[" PULL(0, "open", "null", "main") "]", ERROR_UNAVAILABLE,
            "'number' is not above 0"},
        {200, "[" PULL(1, "open", "7", "main") "]", ERROR_UNAVAILABLE, "'merged_at' "},
        {200, "[{\"number\":1,\"state\":\"open\"}]", ERROR_UNAVAILABLE, "'base' "},
        {200, "[{\"number\":1,\"state\":\"open\",\"base\":{\"ref\":\"main\",\"repo\":{}}}]",
            ERROR_UNAVAILABLE, "'base.repo.full_name' "},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {
            {.url = PULLS_URL, .status = cases[i].status, .reply = cases[i].reply}};
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_reports(steps, 1, false);
        int64_t *numbers = NULL;
        size_t count = 9;
        assert_failure(github_commit_pulls(f->client, "abc", f->arena, &numbers, &count),
            cases[i].kind, cases[i].says);
        assert_null(numbers);
        assert_int_equal(count, 9);
        github_fixture_finish(f);
    }
}

// --- comments ------------------------------------------------------------------------------------

static void
the_first_comment_with_our_mark_is_found(void **state)
{
    (void)state;
    static const char *const next[] = {
        "Link: <https://api.github.com/repositories/9/comments?page=2>; rel=\"next\"", NULL};
    static const struct script_step steps[] = {
        {.url = COMMENTS_URL,
            .reply_headers = next,
            .reply = "[{\"id\":1,\"body\":null,\"user\":null}," //
            COMMENT(2, "OWNER", "> " MARK) ","                  // a quotation
            COMMENT(3, "MEMBER", "<!-- dispatcher: sho") "]"},
        {.url = GITHUB_API "/repositories/9/comments?page=2",
            .reply_headers = next,
            .reply = "[" COMMENT(4, "OWNER", MARK "\\nfine") "," //
            COMMENT(5, "OWNER", MARK) "]"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        github_fixture_reports(steps, 2, false);
    int64_t id = -1;
    succeed(github_comment_find(f->client, 4, MARK, f->arena, &id));
    assert_int_equal(id, 4);
    github_fixture_finish(f);
}

// Who writes our mark first is not to be spoken through: he may change it after us.
static void
comments_of_strangers_are_not_ours(void **state)
{
    (void)state;
    static const struct {
        const char *comment;
        int64_t id;
    } cases[] = {
        {COMMENT(6, "NONE", MARK), 0},
        {COMMENT(6, "CONTRIBUTOR", MARK), 0},
        {COMMENT(6, "FIRST_TIME_CONTRIBUTOR", MARK), 0},
        {COMMENT(6, "OWNER", MARK), 6},
        {COMMENT(6, "MEMBER", MARK), 6},
        {COMMENT(6, "COLLABORATOR", MARK), 6},
        {"{\"id\":6,\"body\":\"" MARK "\",\"user\":{\"type\":\"Bot\"},\"author_association\":"
         "\"NONE\"}",
            6},
        {"{\"id\":6,\"body\":\"" MARK "\",\"user\":null}", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char reply[512];
        (void)snprintf(reply, sizeof(reply), "[%s]", cases[i].comment);
        const struct script_step steps[] = {{.url = COMMENTS_URL, .reply = reply}};
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_reports(steps, 1, false);
        int64_t id = -1;
        succeed(github_comment_find(f->client, 4, MARK, f->arena, &id));
        assert_int_equal(id, cases[i].id);
        github_fixture_finish(f);
    }
}

static void
no_usable_comments(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply;
        enum error_kind kind;
        const char *says;
    } cases[] = {
        {404, NOT_FOUND, ERROR_REFUSED,
            "comments of pull request 4 of 'octo/infra': it is not there"},
        {200, "{}", ERROR_UNAVAILABLE, "no list of at most 100"},
        {200, "[{\"id\":1,\"body\":[]}]", ERROR_UNAVAILABLE, "item 0: unusable answer: 'body' "},
        {200, "[{\"id\":1,\"user\":\"me\"}]", ERROR_UNAVAILABLE, "'user' "},
        {200, "[{\"id\":0}]", ERROR_UNAVAILABLE, "'id' of a comment is not above 0"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {
            {.url = COMMENTS_URL, .status = cases[i].status, .reply = cases[i].reply}};
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_reports(steps, 1, false);
        int64_t id = -1;
        assert_failure(
            github_comment_find(f->client, 4, MARK, f->arena, &id), cases[i].kind, cases[i].says);
        assert_int_equal(id, -1);
        github_fixture_finish(f);
    }
}

static void
a_thousand_comments_are_enough(void **state)
{
    (void)state;
    static const char *const next[] = {
        "Link: <https://api.github.com/repositories/9/comments?page=2>; rel=\"next\"", NULL};
    static const struct script_step steps[] = {
        {.url = COMMENTS_URL, .reply_headers = next, .reply = "[]"},
        {.url = GITHUB_API "/repositories/9/comments?page=2",
            .reply_headers = next,
            .reply = "[]",
            .times = 9},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        github_fixture_reports(steps, 2, false);
    int64_t id = -1;
    succeed(github_comment_find(f->client, 4, MARK, f->arena, &id));
    assert_int_equal(id, 0);
    github_fixture_finish(f);
}

static void
comments_are_made_and_changed(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = GITHUB_REPO "/issues/4/comments",
            .must_be_once = true,
            .body = "{\"body\":\"" MARK "\\n\\\"fine\\\" \xe2\x9c\x85\"}",
            .status = 201,
            .reply = "{\"id\":55}"},
        {.method = HTTP_PATCH,
            .url = GITHUB_REPO "/issues/comments/55",
            .body = "{\"body\":\"other\"}",
            .reply = "{\"id\":55}"},
        {.method = HTTP_PATCH,
            .url = GITHUB_REPO "/issues/comments/55",
            .status = 404,
            .reply = NOT_FOUND},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        github_fixture_reports(steps, 3, false);
    int64_t id = 0;
    succeed(github_comment_create(f->client, 4, MARK "\n\"fine\" \xe2\x9c\x85", f->arena, &id));
    assert_int_equal(id, 55);
    succeed(github_comment_update(f->client, 55, "other"));
    struct error *err = github_comment_update(f->client, 55, "other");
    assert_int_equal(error_remote_of(err)->status, 404);
    assert_failure(err, ERROR_REFUSED, "update comment 55 of 'octo/infra': it is not there");
    github_fixture_finish(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_status_is_set),
        cmocka_unit_test(a_check_run_is_found_by_its_mark),
        cmocka_unit_test(unusable_lists_of_check_runs),
        cmocka_unit_test(check_runs_are_made_and_changed),
        cmocka_unit_test(annotations_are_sent_once),
        cmocka_unit_test(pull_requests_of_a_commit),
        cmocka_unit_test(no_usable_pull_requests),
        cmocka_unit_test(the_first_comment_with_our_mark_is_found),
        cmocka_unit_test(comments_of_strangers_are_not_ours),
        cmocka_unit_test(no_usable_comments),
        cmocka_unit_test(a_thousand_comments_are_enough),
        cmocka_unit_test(comments_are_made_and_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
