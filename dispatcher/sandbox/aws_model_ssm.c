// What operations of 'ssm' take that the sandbox serves: written by scripts/aws-models
// from botocore's service model (botocore 1.43.11, Apache-2.0). Run that; change nothing here.
// clang-format off
#include "aws_model_internal.h"

enum {
    S_GetParameterRequest, S_PSParameterName, S_AnyBoolean, S_GetParametersRequest,
        S_ParameterNameList, S_GetParametersByPathRequest, S_ParameterStringFilterList,
        S_ParameterStringFilter, S_ParameterStringFilterKey, S_ParameterStringQueryOption,
        S_ParameterStringFilterValueList, S_ParameterStringFilterValue,
        S_GetParametersByPathMaxResults, S_AnyString, S_GetParameterHistoryRequest, S_MaxResults,
        S_PutParameterRequest, S_ParameterDescription, S_ParameterType, S_ParameterKeyId, S_TagList,
        S_Tag, S_TagKey, S_TagValue, S_ParameterTier, S_ParameterPolicies, S_ParameterDataType,
        S_LabelParameterVersionRequest, S_AnyLong, S_ParameterLabelList, S_ParameterLabel,
        S_DeleteParameterRequest,
};

static const struct aws_shape shapes[] = {
    STRUCTURE(GetParameterRequest, NEEDS("Name", PSParameterName),
        HAS("WithDecryption", AnyBoolean)),
    [S_PSParameterName] = {.kind = AWS_STRING, .min = 1, .max = 2048},
    [S_AnyBoolean] = {.kind = AWS_BOOLEAN},
    STRUCTURE(GetParametersRequest, NEEDS("Names", ParameterNameList),
        HAS("WithDecryption", AnyBoolean)),
    [S_ParameterNameList] = {.kind = AWS_LIST, .min = 1, .max = 10, .element = S_PSParameterName},
    STRUCTURE(GetParametersByPathRequest, NEEDS("Path", PSParameterName),
        HAS("Recursive", AnyBoolean), HAS("ParameterFilters", ParameterStringFilterList),
        HAS("WithDecryption", AnyBoolean), HAS("MaxResults", GetParametersByPathMaxResults),
        HAS("NextToken", AnyString)),
    [S_ParameterStringFilterList] = {.kind = AWS_LIST, .element = S_ParameterStringFilter},
    STRUCTURE(ParameterStringFilter, NEEDS("Key", ParameterStringFilterKey),
        HAS("Option", ParameterStringQueryOption), HAS("Values", ParameterStringFilterValueList)),
    [S_ParameterStringFilterKey] = {.kind = AWS_STRING, .min = 1, .max = 132},
    [S_ParameterStringQueryOption] = {.kind = AWS_STRING, .min = 1, .max = 10},
    [S_ParameterStringFilterValueList] = {.kind = AWS_LIST, .min = 1, .max = 50, .element =
        S_ParameterStringFilterValue},
    [S_ParameterStringFilterValue] = {.kind = AWS_STRING, .min = 1, .max = 1024},
    [S_GetParametersByPathMaxResults] = {.kind = AWS_INTEGER, .min = 1, .max = 10},
    [S_AnyString] = {.kind = AWS_STRING},
    STRUCTURE(GetParameterHistoryRequest, NEEDS("Name", PSParameterName),
        HAS("WithDecryption", AnyBoolean), HAS("MaxResults", MaxResults),
        HAS("NextToken", AnyString)),
    [S_MaxResults] = {.kind = AWS_INTEGER, .min = 1, .max = 50},
    STRUCTURE(PutParameterRequest, NEEDS("Name", PSParameterName),
        HAS("Description", ParameterDescription), NEEDS("Value", AnyString),
        HAS("Type", ParameterType), HAS("KeyId", ParameterKeyId), HAS("Overwrite", AnyBoolean),
        HAS("AllowedPattern", ParameterDescription), HAS("Tags", TagList),
        HAS("Tier", ParameterTier), HAS("Policies", ParameterPolicies),
        HAS("DataType", ParameterDataType)),
    [S_ParameterDescription] = {.kind = AWS_STRING, .max = 1024},
    [S_ParameterType] = {.kind = AWS_STRING, .choices = CHOICES("String", "StringList",
        "SecureString")},
    [S_ParameterKeyId] = {.kind = AWS_STRING, .min = 1, .max = 256},
    [S_TagList] = {.kind = AWS_LIST, .max = 1000, .element = S_Tag},
    STRUCTURE(Tag, NEEDS("Key", TagKey), NEEDS("Value", TagValue)),
    [S_TagKey] = {.kind = AWS_STRING, .min = 1, .max = 128},
    [S_TagValue] = {.kind = AWS_STRING, .max = 256},
    [S_ParameterTier] = {.kind = AWS_STRING, .choices = CHOICES("Standard", "Advanced",
        "Intelligent-Tiering")},
    [S_ParameterPolicies] = {.kind = AWS_STRING, .min = 1, .max = 4096},
    [S_ParameterDataType] = {.kind = AWS_STRING, .max = 128},
    STRUCTURE(LabelParameterVersionRequest, NEEDS("Name", PSParameterName),
        HAS("ParameterVersion", AnyLong), NEEDS("Labels", ParameterLabelList)),
    [S_AnyLong] = {.kind = AWS_INTEGER},
    [S_ParameterLabelList] = {.kind = AWS_LIST, .min = 1, .max = 10, .element = S_ParameterLabel},
    [S_ParameterLabel] = {.kind = AWS_STRING, .min = 1, .max = 100},
    STRUCTURE(DeleteParameterRequest, NEEDS("Name", PSParameterName)),
};

static const struct aws_input inputs[] = {
    {"GetParameter", S_GetParameterRequest}, {"GetParameters", S_GetParametersRequest},
        {"GetParametersByPath", S_GetParametersByPathRequest},
        {"GetParameterHistory", S_GetParameterHistoryRequest},
        {"PutParameter", S_PutParameterRequest},
        {"LabelParameterVersion", S_LabelParameterVersionRequest},
        {"DeleteParameter", S_DeleteParameterRequest},
};

const struct aws_model sandbox_aws_model_ssm = {
    shapes, inputs, ARRAY_LENGTH(inputs)};
