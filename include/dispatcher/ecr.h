// Elastic Container Registry's control API: login token, what is there, create. Thread rule as
// aws.h.
#pragma once

#include "dispatcher/aws.h"

struct ecr_login {
    char *user;
    struct secret *password;
    int64_t expires_ms; // wall
};
void ecr_login_done(struct ecr_login *login);
/// `registry` is the host: "012345678901.dkr.ecr.us-east-1.amazonaws.com".
NODISCARD struct error *ecr_login(
    struct aws_session *session, const char *registry, struct ecr_login *out);
/// Does the host look like a private ECR registry? account and region (may be NULL) into the arena.
bool ecr_host_parse(
    const char *host, struct arena *arena, const char **account, const char **region);
/// Digest of repository:tag, NULL when tag or repository is not there (`repository_found` tells,
/// may be NULL).
NODISCARD struct error *ecr_image_digest(struct aws_session *session, const char *account,
    const char *repository, const char *tag, struct arena *arena, const char **digest,
    bool *repository_found);
/// Created, or there already.
NODISCARD struct error *ecr_create_repository(struct aws_session *session, const char *repository);
