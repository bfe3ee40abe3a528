// What operations of 'ecr' take that the sandbox serves: written by scripts/aws-models
// from botocore's service model (botocore 1.43.11, Apache-2.0). Run that; change nothing here.
// clang-format off
#include "aws_model_internal.h"

enum {
    S_GetAuthorizationTokenRequest, S_GetAuthorizationTokenRegistryIdList, S_AnyString,
        S_DescribeRepositoriesRequest, S_RepositoryNameList, S_RepositoryName, S_MaxResults,
        S_CreateRepositoryRequest, S_TagList, S_Tag, S_ImageTagMutability,
        S_ImageTagMutabilityExclusionFilters, S_ImageTagMutabilityExclusionFilter,
        S_ImageTagMutabilityExclusionFilterType, S_ImageTagMutabilityExclusionFilterValue,
        S_ImageScanningConfiguration, S_AnyBoolean, S_EncryptionConfiguration, S_EncryptionType,
        S_KmsKey, S_DescribeImagesRequest, S_ImageIdentifierList, S_ImageIdentifier, S_ImageTag,
        S_DescribeImagesFilter, S_TagStatus, S_ImageStatusFilter, S_BatchGetImageRequest,
        S_MediaTypeList, S_StartImageScanRequest, S_DescribeImageScanFindingsRequest,
        S_PutAccountSettingRequest, S_AccountSettingName,
};

static const struct aws_shape shapes[] = {
    STRUCTURE(GetAuthorizationTokenRequest,
        HAS("registryIds", GetAuthorizationTokenRegistryIdList)),
    [S_GetAuthorizationTokenRegistryIdList] = {.kind = AWS_LIST, .min = 1, .max = 10, .element =
        S_AnyString},
    [S_AnyString] = {.kind = AWS_STRING},
    STRUCTURE(DescribeRepositoriesRequest, HAS("registryId", AnyString),
        HAS("repositoryNames", RepositoryNameList), HAS("nextToken", AnyString),
        HAS("maxResults", MaxResults)),
    [S_RepositoryNameList] = {.kind = AWS_LIST, .min = 1, .max = 100, .element = S_RepositoryName},
    [S_RepositoryName] = {.kind = AWS_STRING, .min = 2, .max = 256},
    [S_MaxResults] = {.kind = AWS_INTEGER, .min = 1, .max = 1000},
    STRUCTURE(CreateRepositoryRequest, HAS("registryId", AnyString),
        NEEDS("repositoryName", RepositoryName), HAS("tags", TagList),
        HAS("imageTagMutability", ImageTagMutability),
        HAS("imageTagMutabilityExclusionFilters", ImageTagMutabilityExclusionFilters),
        HAS("imageScanningConfiguration", ImageScanningConfiguration),
        HAS("encryptionConfiguration", EncryptionConfiguration)),
    [S_TagList] = {.kind = AWS_LIST, .element = S_Tag},
    STRUCTURE(Tag, NEEDS("Key", AnyString), NEEDS("Value", AnyString)),
    [S_ImageTagMutability] = {.kind = AWS_STRING, .choices = CHOICES("MUTABLE", "IMMUTABLE",
        "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")},
    [S_ImageTagMutabilityExclusionFilters] = {.kind = AWS_LIST, .min = 1, .max = 5, .element =
        S_ImageTagMutabilityExclusionFilter},
    STRUCTURE(ImageTagMutabilityExclusionFilter,
        NEEDS("filterType", ImageTagMutabilityExclusionFilterType),
        NEEDS("filter", ImageTagMutabilityExclusionFilterValue)),
    [S_ImageTagMutabilityExclusionFilterType] = {.kind = AWS_STRING, .choices =
        CHOICES("WILDCARD")},
    [S_ImageTagMutabilityExclusionFilterValue] = {.kind = AWS_STRING, .min = 1, .max = 128},
    STRUCTURE(ImageScanningConfiguration, HAS("scanOnPush", AnyBoolean)),
    [S_AnyBoolean] = {.kind = AWS_BOOLEAN},
    STRUCTURE(EncryptionConfiguration, NEEDS("encryptionType", EncryptionType),
        HAS("kmsKey", KmsKey)),
    [S_EncryptionType] = {.kind = AWS_STRING, .choices = CHOICES("AES256", "KMS", "KMS_DSSE")},
    [S_KmsKey] = {.kind = AWS_STRING, .min = 1, .max = 2048},
    STRUCTURE(DescribeImagesRequest, HAS("registryId", AnyString),
        NEEDS("repositoryName", RepositoryName), HAS("imageIds", ImageIdentifierList),
        HAS("nextToken", AnyString), HAS("maxResults", MaxResults),
        HAS("filter", DescribeImagesFilter)),
    [S_ImageIdentifierList] = {.kind = AWS_LIST, .min = 1, .max = 100, .element =
        S_ImageIdentifier},
    STRUCTURE(ImageIdentifier, HAS("imageDigest", AnyString), HAS("imageTag", ImageTag)),
    [S_ImageTag] = {.kind = AWS_STRING, .min = 1, .max = 300},
    STRUCTURE(DescribeImagesFilter, HAS("tagStatus", TagStatus),
        HAS("imageStatus", ImageStatusFilter)),
    [S_TagStatus] = {.kind = AWS_STRING, .choices = CHOICES("TAGGED", "UNTAGGED", "ANY")},
    [S_ImageStatusFilter] = {.kind = AWS_STRING, .choices = CHOICES("ACTIVE", "ARCHIVED",
        "ACTIVATING", "ANY")},
    STRUCTURE(BatchGetImageRequest, HAS("registryId", AnyString),
        NEEDS("repositoryName", RepositoryName), NEEDS("imageIds", ImageIdentifierList),
        HAS("acceptedMediaTypes", MediaTypeList)),
    [S_MediaTypeList] = {.kind = AWS_LIST, .min = 1, .max = 100, .element = S_AnyString},
    STRUCTURE(StartImageScanRequest, HAS("registryId", AnyString),
        NEEDS("repositoryName", RepositoryName), NEEDS("imageId", ImageIdentifier)),
    STRUCTURE(DescribeImageScanFindingsRequest, HAS("registryId", AnyString),
        NEEDS("repositoryName", RepositoryName), NEEDS("imageId", ImageIdentifier),
        HAS("nextToken", AnyString), HAS("maxResults", MaxResults)),
    STRUCTURE(PutAccountSettingRequest, NEEDS("name", AccountSettingName),
        NEEDS("value", AnyString)),
    [S_AccountSettingName] = {.kind = AWS_STRING, .min = 1, .max = 64},
};

static const struct aws_input inputs[] = {
    {"GetAuthorizationToken", S_GetAuthorizationTokenRequest},
        {"DescribeRepositories", S_DescribeRepositoriesRequest},
        {"CreateRepository", S_CreateRepositoryRequest},
        {"DescribeImages", S_DescribeImagesRequest}, {"BatchGetImage", S_BatchGetImageRequest},
        {"StartImageScan", S_StartImageScanRequest},
        {"DescribeImageScanFindings", S_DescribeImageScanFindingsRequest},
        {"PutAccountSetting", S_PutAccountSettingRequest},
};

const struct aws_model sandbox_aws_model_ecr = {
    shapes, inputs, ARRAY_LENGTH(inputs)};
