// Elastic Container Registry's control API: login token, what is there, create.
//
// Names are borrowed for the call; what comes back lives in the arena that was given, texts of the
// service made fit for one line. Errors are aws_call's, with what was asked in front; absence is a
// value where a function says so. Thread rule as aws.h.
#pragma once

#include "dispatcher/aws.h"

struct ecr_repository {
    const char *account; // registryId; NULL: the credentials' own
    const char *region;  // NULL: the session's
    const char *name;
};

struct ecr_login {
    char *user;
    struct secret *password;
    int64_t expires_ms; // wall
};
void ecr_login_done(struct ecr_login *login);
/// GetAuthorizationToken. `registry` is the host: "012345678901.dkr.ecr.us-east-1.amazonaws.com".
NODISCARD struct error *ecr_login(
    struct aws_session *session, const char *registry, struct ecr_login *out);
/// Does the host look like a private ECR registry? account and region (may be NULL) into the arena.
bool ecr_host_parse(
    const char *host, struct arena *arena, const char **account, const char **region);
/// DescribeImages: digest of repository:tag, NULL when tag or repository is not there
/// (`repository_found` tells, may be NULL).
NODISCARD struct error *ecr_image_digest(struct aws_session *session,
    const struct ecr_repository *repository, const char *tag, struct arena *arena,
    const char **digest, bool *repository_found);

struct ecr_create_options {
    bool scan_on_push; // imageScanningConfiguration; false: the registry's own default
};
/// CreateRepository: created, or there already (then as it is). Tags stay as changeable as the
/// registry's default says.
NODISCARD struct error *ecr_create_repository(struct aws_session *session,
    const struct ecr_repository *repository, const struct ecr_create_options *options);
