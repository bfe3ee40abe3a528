// What operations of 'secretsmanager' take that the sandbox serves: written by scripts/aws-models
// from botocore's service model (botocore 1.43.11, Apache-2.0). Run that; change nothing here.
// clang-format off
#include "aws_model_internal.h"

enum {
    S_CreateSecretRequest, S_NameType, S_ClientRequestTokenType, S_DescriptionType,
        S_SecretBinaryType, S_SecretStringType, S_TagListType, S_Tag, S_TagKeyType, S_TagValueType,
        S_AddReplicaRegionListType, S_ReplicaRegionType, S_AnyBoolean, S_GetSecretValueRequest,
        S_SecretIdType, S_SecretVersionStageType, S_DescribeSecretRequest, S_PutSecretValueRequest,
        S_SecretVersionStagesType, S_RotationTokenType, S_ListSecretsRequest, S_MaxResultsType,
        S_NextTokenType, S_FiltersListType, S_Filter, S_FilterNameStringType,
        S_FilterValuesStringList, S_FilterValueStringType, S_SortOrderType, S_SortByType,
        S_DeleteSecretRequest, S_AnyLong,
};

static const struct aws_shape shapes[] = {
    STRUCTURE(CreateSecretRequest, NEEDS("Name", NameType),
        HAS("ClientRequestToken", ClientRequestTokenType), HAS("Description", DescriptionType),
        HAS("KmsKeyId", DescriptionType), HAS("SecretBinary", SecretBinaryType),
        HAS("SecretString", SecretStringType), HAS("Tags", TagListType),
        HAS("AddReplicaRegions", AddReplicaRegionListType),
        HAS("ForceOverwriteReplicaSecret", AnyBoolean), HAS("Type", TagValueType)),
    [S_NameType] = {.kind = AWS_STRING, .min = 1, .max = 512},
    [S_ClientRequestTokenType] = {.kind = AWS_STRING, .min = 32, .max = 64},
    [S_DescriptionType] = {.kind = AWS_STRING, .max = 2048},
    [S_SecretBinaryType] = {.kind = AWS_BLOB, .min = 1, .max = 65536},
    [S_SecretStringType] = {.kind = AWS_STRING, .min = 1, .max = 65536},
    [S_TagListType] = {.kind = AWS_LIST, .element = S_Tag},
    STRUCTURE(Tag, HAS("Key", TagKeyType), HAS("Value", TagValueType)),
    [S_TagKeyType] = {.kind = AWS_STRING, .min = 1, .max = 128},
    [S_TagValueType] = {.kind = AWS_STRING, .max = 256},
    [S_AddReplicaRegionListType] = {.kind = AWS_LIST, .min = 1, .element = S_ReplicaRegionType},
    STRUCTURE(ReplicaRegionType, HAS("Region", TagKeyType), HAS("KmsKeyId", DescriptionType)),
    [S_AnyBoolean] = {.kind = AWS_BOOLEAN},
    STRUCTURE(GetSecretValueRequest, NEEDS("SecretId", SecretIdType),
        HAS("VersionId", ClientRequestTokenType), HAS("VersionStage", SecretVersionStageType)),
    [S_SecretIdType] = {.kind = AWS_STRING, .min = 1, .max = 2048},
    [S_SecretVersionStageType] = {.kind = AWS_STRING, .min = 1, .max = 256},
    STRUCTURE(DescribeSecretRequest, NEEDS("SecretId", SecretIdType)),
    STRUCTURE(PutSecretValueRequest, NEEDS("SecretId", SecretIdType),
        HAS("ClientRequestToken", ClientRequestTokenType), HAS("SecretBinary", SecretBinaryType),
        HAS("SecretString", SecretStringType), HAS("VersionStages", SecretVersionStagesType),
        HAS("RotationToken", RotationTokenType)),
    [S_SecretVersionStagesType] = {.kind = AWS_LIST, .min = 1, .max = 20, .element =
        S_SecretVersionStageType},
    [S_RotationTokenType] = {.kind = AWS_STRING, .min = 36, .max = 256},
    STRUCTURE(ListSecretsRequest, HAS("IncludePlannedDeletion", AnyBoolean),
        HAS("MaxResults", MaxResultsType), HAS("NextToken", NextTokenType),
        HAS("Filters", FiltersListType), HAS("SortOrder", SortOrderType),
        HAS("SortBy", SortByType)),
    [S_MaxResultsType] = {.kind = AWS_INTEGER, .min = 1, .max = 100},
    [S_NextTokenType] = {.kind = AWS_STRING, .min = 1, .max = 4096},
    [S_FiltersListType] = {.kind = AWS_LIST, .max = 10, .element = S_Filter},
    STRUCTURE(Filter, HAS("Key", FilterNameStringType), HAS("Values", FilterValuesStringList)),
    [S_FilterNameStringType] = {.kind = AWS_STRING, .choices = CHOICES("description", "name",
        "tag-key", "tag-value", "primary-region", "owning-service", "all")},
    [S_FilterValuesStringList] = {.kind = AWS_LIST, .min = 1, .max = 10, .element =
        S_FilterValueStringType},
    [S_FilterValueStringType] = {.kind = AWS_STRING, .max = 512},
    [S_SortOrderType] = {.kind = AWS_STRING, .choices = CHOICES("asc", "desc")},
    [S_SortByType] = {.kind = AWS_STRING, .choices = CHOICES("created-date", "last-accessed-date",
        "last-changed-date", "name")},
    STRUCTURE(DeleteSecretRequest, NEEDS("SecretId", SecretIdType),
        HAS("RecoveryWindowInDays", AnyLong), HAS("ForceDeleteWithoutRecovery", AnyBoolean)),
    [S_AnyLong] = {.kind = AWS_INTEGER},
};

static const struct aws_input inputs[] = {
    {"CreateSecret", S_CreateSecretRequest}, {"GetSecretValue", S_GetSecretValueRequest},
        {"DescribeSecret", S_DescribeSecretRequest}, {"PutSecretValue", S_PutSecretValueRequest},
        {"ListSecrets", S_ListSecretsRequest}, {"DeleteSecret", S_DeleteSecretRequest},
};

const struct aws_model sandbox_aws_model_secretsmanager = {
    shapes, inputs, ARRAY_LENGTH(inputs)};
