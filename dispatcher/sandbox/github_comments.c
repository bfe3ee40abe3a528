// Comments on pull requests over REST, and the pull requests of a commit, which only orders make.
#include <ctype.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "github_report_internal.h"

enum { BODY_MAX_CHARACTERS = 65536 };

static bool
is_blank(const char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    return *text == '\0';
}

static bool
check_body(const struct report_call *call)
{
    static const struct report_rule rules[] = {
        {.key = "body", .type = REPORT_TEXT, .required = true}};
    struct report_flaws flaws = {.resource = "IssueComment"};
    sandbox_flaws_check(&flaws, call->body, rules, ARRAY_LENGTH(rules));
    const char *text = json_str(json_get(call->body, "body"));
    if (text != NULL && is_blank(text)) {
        sandbox_flaw_add(&flaws, "data", "unprocessable", "Body cannot be blank");
    } else if (sandbox_report_length(text) > BODY_MAX_CHARACTERS) {
        sandbox_flaw_add(
            &flaws, "data", "unprocessable", "Body is too long (maximum is 65536 characters)");
    }
    return !sandbox_flaws_answer(&flaws, call->response);
}

static const struct json *
pull_of(const struct report_call *call, int64_t number)
{
    for (size_t i = 0; i < call->reports->pulls.count; i++) {
        const struct json *pull = call->reports->pulls.items[i];
        if (json_int(json_get(pull, "number"), 0) == number) {
            return pull;
        }
    }
    sandbox_github_problem(call->response, 404, "Not Found");
    return NULL;
}

void
sandbox_comment_create(const struct report_call *call)
{
    int64_t number = sandbox_report_number(call, 1);
    if (pull_of(call, number) == NULL || !check_body(call)) {
        return;
    }
    struct json *record = sandbox_report_new(call, "user");
    json_set_int(record, "number", number);
    json_set_str(record, "body", json_str(json_get(call->body, "body")));
    json_set_str(
        record, "author_association", sandbox_github_is_person(call->token) ? "MEMBER" : "NONE");
    sandbox_report_add(&call->reports->comments, record);
    sandbox_reply_json(call->response, 201, sandbox_shape_comment(call, record));
}

static bool
is_of_pull(const struct report_call *call, const struct json *record)
{
    return json_int(json_get(record, "number"), 0) == sandbox_report_number(call, 1);
}

void
sandbox_comment_list(const struct report_call *call)
{
    const struct report_view view = {.list = &call->reports->comments,
        .oldest_first = true,
        .fits = is_of_pull,
        .shape = sandbox_shape_comment};
    if (pull_of(call, sandbox_report_number(call, 1)) != NULL) {
        sandbox_report_list(call, &view);
    }
}

// NULL when it has answered with 404.
static struct json *
comment_of(const struct report_call *call)
{
    struct json *record =
        sandbox_report_find(&call->reports->comments, sandbox_report_number(call, 2));
    if (record == NULL) {
        sandbox_github_problem(call->response, 404, "Not Found");
    }
    return record;
}

void
sandbox_comment_show(const struct report_call *call)
{
    const struct json *record = comment_of(call);
    if (record != NULL) {
        sandbox_reply_json(call->response, 200, sandbox_shape_comment(call, record));
    }
}

void
sandbox_comment_update(const struct report_call *call)
{
    struct json *record = comment_of(call);
    if (record == NULL || !check_body(call)) {
        return;
    }
    json_set_str(record, "body", json_str(json_get(call->body, "body")));
    sandbox_shape_time(record, "updated_at", call->now);
    sandbox_reply_json(call->response, 200, sandbox_shape_comment(call, record));
}

void
sandbox_comment_delete(const struct report_call *call)
{
    const struct json *record = comment_of(call);
    if (record != NULL) {
        sandbox_report_remove(&call->reports->comments, record);
        call->response->status = 204;
    }
}

static bool
holds_commit(const struct report_call *call, const struct json *pull)
{
    const struct json *shas = json_get(pull, "shas");
    for (size_t i = 0; i < json_count(shas); i++) {
        if (cstr_equal(json_str(json_at(shas, i)), call->parts[1])) {
            return true;
        }
    }
    return false;
}

void
sandbox_commit_pulls(const struct report_call *call)
{
    const struct report_view view = {
        .list = &call->reports->pulls, .fits = holds_commit, .shape = sandbox_shape_pull};
    if (sandbox_report_is_sha(call->parts[1])) {
        sandbox_report_list(call, &view);
    } else {
        sandbox_github_problem(call->response, 422, "No commit found for SHA: %s", call->parts[1]);
    }
}
