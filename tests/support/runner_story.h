// Stories about App Runner: one service 'shop-staging' that runs an image of before, rolled out to
// from a deployment of 'v2' (deploy_story.h).
#pragma once

#include "deploy_story.h"

#define RUNNER_OLD_DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define RUNNER_REPOSITORY "127.0.0.1:5000/shop-staging-web"
#define RUNNER_OLD_IMAGE RUNNER_REPOSITORY "@" RUNNER_OLD_DIGEST
#define RUNNER_NEW_IMAGE RUNNER_REPOSITORY "@" STORY_DIGEST
#define RUNNER_ROLE "arn:aws:iam::012345678901:role/pull"
#define RUNNER_ARN                                                                                 \
    "arn:aws:apprunner:us-east-1:012345678901:service/shop-staging/"                               \
    "00000000000000000000000000000001"
#define RUNNER_CANARY "canary-of-variables"

/// Up to the target's keys, indented by four blanks.
#define RUNNER_SPEC                                                                                \
    "title: Shop\nname: shop\nrepo: octo/shop\n"                                                   \
    "services:\n  web:\n    expose: 8080\n"                                                        \
    "deploy:\n"                                                                                    \
    "  via: direct\n"                                                                              \
    "  target:\n"                                                                                  \
    "    kind: apprunner\n"                                                                        \
    "    service: \"{name}-{env}\"\n"

/// SourceConfiguration of an image.
#define RUNNER_SOURCE(image, automatic)                                                            \
    "{\"ImageRepository\":{\"ImageIdentifier\":\"" image "\",\"ImageRepositoryType\":\"ECR\","     \
    "\"ImageConfiguration\":{\"Port\":\"8080\",\"RuntimeEnvironmentVariables\":{\"KEPT\":"         \
    "\"" RUNNER_CANARY "\"}}},\"AutoDeploymentsEnabled\":" automatic                               \
    ",\"AuthenticationConfiguration\":{\"AccessRoleArn\":\"" RUNNER_ROLE "\"}}"

/// The story, with the service as it was; NULL `source`: the old image, pinned.
struct story *runner_story(const char *spec, const char *source);
struct world_runner *runner_of(const struct story *story);
const struct deployment_target *runner_target(const struct story *story);
/// Deployed, exit 0, and proven by the digest.
void runner_expect_green(const struct story *story);
/// No text of the story, nor its journal, may hold the value of a variable.
void runner_expect_no_canary(struct story *story);
