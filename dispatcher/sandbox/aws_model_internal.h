// What AWS operations take: tables that scripts/aws-models writes (aws_model_SERVICE.c), and the
// check of a request against them (aws_model.c). Tables are constants; threads may share them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "aws_internal.h"
#include "dispatcher/compiler.h"

enum aws_kind {
    AWS_ANY, // a "document": any JSON
    AWS_STRING,
    AWS_INTEGER,
    AWS_NUMBER, // also a timestamp: seconds, or milliseconds in CloudWatch Logs
    AWS_BOOLEAN,
    AWS_BLOB, // base64
    AWS_LIST,
    AWS_MAP,
    AWS_STRUCTURE,
};

struct aws_member {
    const char *name;
    uint16_t shape;
    bool is_required;
};

struct aws_shape {
    enum aws_kind kind;
    uint16_t element;                 // of a list or map: its shape
    int64_t min, max;                 // bytes, items or value; max 0: no limit
    const char *const *choices;       // of a string: all that it may be, then NULL; NULL: anything
    const struct aws_member *members; // of a structure, then one without a name; NULL: none
};

struct aws_input {
    const char *operation;
    uint16_t shape;
};

struct aws_model {
    const struct aws_shape *shapes;
    const struct aws_input *inputs;
    size_t input_count;
};

extern const struct aws_model sandbox_aws_model_apprunner, sandbox_aws_model_ecr,
    sandbox_aws_model_ecs, sandbox_aws_model_logs, sandbox_aws_model_secretsmanager,
    sandbox_aws_model_ssm;

enum aws_flaw {
    AWS_FLAW_NONE,
    AWS_FLAW_MISSING,
    AWS_FLAW_UNKNOWN, // a member that the shape does not have
    AWS_FLAW_TYPE,
    AWS_FLAW_VALUE, // not among the choices, too short, too long, out of range
};

/// The first thing in `body` that the operation does not take; *text says it in AWS's words, in
/// `arena`. `lenient` lets members and choices pass that the model does not know. An operation that
/// the model does not have takes anything.
enum aws_flaw sandbox_aws_model_check(const struct aws_model *model, const char *operation,
    const struct json *body, bool lenient, struct arena *arena, const char **text);

/// Holds the call against the model of its service. false: it was answered with the error that the
/// service has for what is wrong.
bool sandbox_aws_check(struct aws_exchange *exchange);

// What the tables are written with.
#define NEEDS(name, shape)                                                                         \
    {                                                                                              \
        name, S_##shape, true                                                                      \
    }
#define HAS(name, shape)                                                                           \
    {                                                                                              \
        name, S_##shape, false                                                                     \
    }
#define STRUCTURE(name, ...)                                                                       \
    [S_##name] = {.kind = AWS_STRUCTURE,                                                           \
        .members = (const struct aws_member[]){__VA_ARGS__, {NULL, 0, false}}}
#define CHOICES(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
