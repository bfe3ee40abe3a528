// One AWS session and what it says and hears: a script of JSON operations in short.
//
//     static const struct aws_line_of dialog[] = {
//         ECS("StopTask", "{\"task\":\"t\"}", "{}"),
//     };
//     struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
//     aws_dialog_open(&aws, dialog, ARRAY_LENGTH(dialog));
//     assert_success(ecs_task_stop(aws.session, …));
//
// Region eu-west-1. Closing fails the test when something was not said.
#pragma once

#include "aws_fixture.h"
#include "dispatcher/arena.h"

struct aws_line_of {
    const char *service; // also the host; "logs@us-east-1" for another region
    const char *target;
    const char *body;   // exact; NULL: any
    const char *reply;  // NULL: "{}"
    int status;         // 0: 200
    bool once;          // it must be sent as a request that is never repeated
    unsigned times;     // 0: 1
    const char *header; // one more to expect
};

struct aws_dialog {
    struct aws_session *session;
    struct arena *arena;
    struct arena *script;
    struct aws_fixture *fixture;
};

void aws_dialog_open(struct aws_dialog *dialog, const struct aws_line_of *lines, size_t count);
void aws_dialog_close(struct aws_dialog *dialog);

// One line of a dialog: the operation, the body that must be asked, the reply, and the other
// members by name.
#define AWS_LINE_OF(host, name, ask, ...)                                                          \
    {                                                                                              \
        .service = (host), .target = (name), .body = (ask), .reply = __VA_ARGS__                   \
    }
#define ECS(name, ...) AWS_LINE_OF("ecs", "AmazonEC2ContainerServiceV20141113." name, __VA_ARGS__)
#define APPRUNNER(name, ...) AWS_LINE_OF("apprunner", "AppRunner." name, __VA_ARGS__)
#define LOGS(name, ...) AWS_LINE_OF("logs", "Logs_20140328." name, __VA_ARGS__)
/// What a permission that is missing looks like.
#define AWS_DENIED(action)                                                                         \
    "{\"__type\":\"AccessDeniedException\",\"message\":\"User: arn:aws:iam::012345678901:user/u "  \
    "is not authorized to perform: " action " on resource: *\"}"
#define AWS_DENIED_HINT(action)                                                                    \
    "Allow the action '" action "' to the role in use; 'dispatcher doctor' shows which one that "  \
    "is."
