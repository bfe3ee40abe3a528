// What operations of 'logs' take that the sandbox serves: written by scripts/aws-models
// from botocore's service model (botocore 1.43.11, Apache-2.0). Run that; change nothing here.
// clang-format off
#include "aws_model_internal.h"

enum {
    S_CreateLogGroupRequest, S_LogGroupName, S_KmsKeyId, S_Tags, S_LogGroupClass, S_AnyBoolean,
        S_CreateLogStreamRequest, S_PutLogEventsRequest, S_InputLogEvents, S_InputLogEvent,
        S_AnyLong, S_EventMessage, S_Entity, S_EntityKeyAttributes, S_EntityAttributes,
        S_DescribeLogGroupsRequest, S_AccountIds, S_AccountId, S_LogGroupNamePattern,
        S_DescribeLimit, S_DescribeLogGroupsLogGroupIdentifiers, S_LogGroupIdentifier,
        S_DescribeLogStreamsRequest, S_OrderBy, S_GetLogEventsRequest, S_EventsLimit,
        S_FilterLogEventsRequest, S_InputLogStreamNames, S_FilterPattern,
};

static const struct aws_shape shapes[] = {
    STRUCTURE(CreateLogGroupRequest, NEEDS("logGroupName", LogGroupName), HAS("kmsKeyId", KmsKeyId),
        HAS("tags", Tags), HAS("logGroupClass", LogGroupClass),
        HAS("deletionProtectionEnabled", AnyBoolean)),
    [S_LogGroupName] = {.kind = AWS_STRING, .min = 1, .max = 512},
    [S_KmsKeyId] = {.kind = AWS_STRING, .max = 256},
    [S_Tags] = {.kind = AWS_MAP, .min = 1, .max = 50, .element = S_KmsKeyId},
    [S_LogGroupClass] = {.kind = AWS_STRING, .choices = CHOICES("STANDARD", "INFREQUENT_ACCESS",
        "DELIVERY")},
    [S_AnyBoolean] = {.kind = AWS_BOOLEAN},
    STRUCTURE(CreateLogStreamRequest, NEEDS("logGroupName", LogGroupName),
        NEEDS("logStreamName", LogGroupName)),
    STRUCTURE(PutLogEventsRequest, NEEDS("logGroupName", LogGroupName),
        NEEDS("logStreamName", LogGroupName), NEEDS("logEvents", InputLogEvents),
        HAS("sequenceToken", EventMessage), HAS("entity", Entity)),
    [S_InputLogEvents] = {.kind = AWS_LIST, .min = 1, .max = 10000, .element = S_InputLogEvent},
    STRUCTURE(InputLogEvent, NEEDS("timestamp", AnyLong), NEEDS("message", EventMessage)),
    [S_AnyLong] = {.kind = AWS_INTEGER},
    [S_EventMessage] = {.kind = AWS_STRING, .min = 1},
    STRUCTURE(Entity, HAS("keyAttributes", EntityKeyAttributes),
        HAS("attributes", EntityAttributes)),
    [S_EntityKeyAttributes] = {.kind = AWS_MAP, .min = 2, .max = 4, .element = S_LogGroupName},
    [S_EntityAttributes] = {.kind = AWS_MAP, .max = 10, .element = S_LogGroupName},
    STRUCTURE(DescribeLogGroupsRequest, HAS("accountIdentifiers", AccountIds),
        HAS("logGroupNamePrefix", LogGroupName), HAS("logGroupNamePattern", LogGroupNamePattern),
        HAS("nextToken", EventMessage), HAS("limit", DescribeLimit),
        HAS("includeLinkedAccounts", AnyBoolean), HAS("logGroupClass", LogGroupClass),
        HAS("logGroupIdentifiers", DescribeLogGroupsLogGroupIdentifiers)),
    [S_AccountIds] = {.kind = AWS_LIST, .max = 20, .element = S_AccountId},
    [S_AccountId] = {.kind = AWS_STRING, .min = 12, .max = 12},
    [S_LogGroupNamePattern] = {.kind = AWS_STRING, .max = 512},
    [S_DescribeLimit] = {.kind = AWS_INTEGER, .min = 1, .max = 50},
    [S_DescribeLogGroupsLogGroupIdentifiers] = {.kind = AWS_LIST, .min = 1, .max = 50, .element =
        S_LogGroupIdentifier},
    [S_LogGroupIdentifier] = {.kind = AWS_STRING, .min = 1, .max = 2048},
    STRUCTURE(DescribeLogStreamsRequest, HAS("logGroupName", LogGroupName),
        HAS("logGroupIdentifier", LogGroupIdentifier), HAS("logStreamNamePrefix", LogGroupName),
        HAS("orderBy", OrderBy), HAS("descending", AnyBoolean), HAS("nextToken", EventMessage),
        HAS("limit", DescribeLimit)),
    [S_OrderBy] = {.kind = AWS_STRING, .choices = CHOICES("LogStreamName", "LastEventTime")},
    STRUCTURE(GetLogEventsRequest, HAS("logGroupName", LogGroupName),
        HAS("logGroupIdentifier", LogGroupIdentifier), NEEDS("logStreamName", LogGroupName),
        HAS("startTime", AnyLong), HAS("endTime", AnyLong), HAS("nextToken", EventMessage),
        HAS("limit", EventsLimit), HAS("startFromHead", AnyBoolean), HAS("unmask", AnyBoolean)),
    [S_EventsLimit] = {.kind = AWS_INTEGER, .min = 1, .max = 10000},
    STRUCTURE(FilterLogEventsRequest, HAS("logGroupName", LogGroupName),
        HAS("logGroupIdentifier", LogGroupIdentifier), HAS("logStreamNames", InputLogStreamNames),
        HAS("logStreamNamePrefix", LogGroupName), HAS("startTime", AnyLong),
        HAS("endTime", AnyLong), HAS("filterPattern", FilterPattern),
        HAS("nextToken", EventMessage), HAS("limit", EventsLimit), HAS("interleaved", AnyBoolean),
        HAS("unmask", AnyBoolean)),
    [S_InputLogStreamNames] = {.kind = AWS_LIST, .min = 1, .max = 100, .element = S_LogGroupName},
    [S_FilterPattern] = {.kind = AWS_STRING, .max = 1024},
};

static const struct aws_input inputs[] = {
    {"CreateLogGroup", S_CreateLogGroupRequest}, {"CreateLogStream", S_CreateLogStreamRequest},
        {"PutLogEvents", S_PutLogEventsRequest}, {"DescribeLogGroups", S_DescribeLogGroupsRequest},
        {"DescribeLogStreams", S_DescribeLogStreamsRequest},
        {"GetLogEvents", S_GetLogEventsRequest}, {"FilterLogEvents", S_FilterLogEventsRequest},
};

const struct aws_model sandbox_aws_model_logs = {
    shapes, inputs, ARRAY_LENGTH(inputs)};
