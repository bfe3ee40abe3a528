// Shared by the ecs_*.c files: a call, and describing many things by name.
#pragma once

#include "aws_internal.h"
#include "dispatcher/ecs.h"

// For struct aws_call: service and target of an ECS operation.
#define ECS_OPERATION(name) .service = "ecs", .target = "AmazonEC2ContainerServiceV20141113." name

// Describe… operations: names go in, objects come out in any order, with `failures` for the rest.
struct ecs_batch {
    struct aws_call call; // without its body
    const char *cluster;  // NULL: not sent
    const char *key;      // of the names in the request: "serviceDeploymentArns"
    const char *list;     // of the objects in the answer: "serviceDeployments"
    const char *what;     // for errors: "service deployment"
    size_t most;          // names a call
    /// Of the struct that comes out; its first member is its ARN.
    const struct aws_table *table;
    bool forgetful; // what is neither described nor a failure counts as missing (tasks)
};
/// out[i] for names[i], left zeroed when it is MISSING. Any other failure is ERROR_REFUSED.
NODISCARD struct error *ecs_describe(struct aws_session *session, const struct ecs_batch *batch,
    const char *const *names, size_t count, struct arena *arena, void *out);
/// Does the ARN belong to what was asked for, by ARN or by the last part of it?
bool ecs_arn_is(const char *arn, const char *asked);
/// After the last slash.
const char *ecs_last_part(const char *arn);
/// "'a'", "'a' and 2 more" for errors.
char *ecs_subject(struct arena *arena, const char *const *names, size_t count);
/// ERROR_REFUSED for the first failure of a 200 that is not MISSING; NULL when there is none.
NODISCARD struct error *ecs_failure(const struct json *answer, size_t *missing);

extern const struct aws_table ecs_service_table; // ecs_services.c
extern const struct aws_table ecs_task_table;    // ecs_tasks.c
/// What no table can say of a task: its id.
void ecs_task_settle(struct ecs_task *task);

/// [{name_key: …, value_key: …}] of pairs.
struct json *ecs_pairs(const struct pair_list *pairs, const char *name_key, const char *value_key);
