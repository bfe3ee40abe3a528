// An AWS session against a scripted transport, with a home directory of its own.
//
//     struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
//     aws_fixture_file(aws, ".aws/config", "[default]\nregion = eu-west-1\n");
//     aws_fixture_start(aws, (const char *[]){"AWS_ACCESS_KEY_ID=AKID", NULL}, steps, 2, NULL);
//     ... calls with aws->session ...
//     aws_fixture_finish(aws); // every step was used
//
// HOME is set to the directory; nothing else is in the environment but what start() is given.
#pragma once

#include "dispatcher/aws.h"
#include "fake_platform.h"
#include "script_transport.h"

struct aws_fixture {
    char home[64];
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *http;
    struct aws_session *session;
};

struct aws_fixture *aws_fixture_new(void);
void aws_fixture_free(struct aws_fixture *aws);
void aws_fixture_freep(struct aws_fixture **aws);
/// `path` is relative to the home directory.
void aws_fixture_file(const struct aws_fixture *aws, const char *path, const char *text);
/// Everything but the session; returns what aws_session_new says.
struct error *aws_fixture_try(struct aws_fixture *aws, const char *const *env,
    const struct script_step *steps, size_t count, const struct aws_options *options);
/// The same, and fails the test on an error.
void aws_fixture_start(struct aws_fixture *aws, const char *const *env,
    const struct script_step *steps, size_t count, const struct aws_options *options);
void aws_fixture_finish(struct aws_fixture *aws);

/// Fails the test unless `err` is NULL; shows its text.
void assert_success(struct error *err);
/// Fails the test unless kind, whole text and hint (NULL: none) are these. Frees the error.
void assert_failure(struct error *err, enum error_kind kind, const char *text, const char *hint);

/// What STS answers to `action` (AssumeRole, AssumeRoleWithWebIdentity).
#define AWS_STS_ANSWER(action, key, expiry)                                                        \
    "<" action "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <" action         \
    "Result>\n    <AssumedRoleUser>\n      <Arn>arn:aws:sts::012345678901:assumed-role/r/s</Arn>"  \
    "\n      <AssumedRoleId>AROA:s</AssumedRoleId>\n    </AssumedRoleUser>\n    <Credentials>\n"   \
    "      <AccessKeyId>" key "</AccessKeyId>\n      <SecretAccessKey>secret-" key                 \
    "</SecretAccessKey>\n      <SessionToken>token-" key                                           \
    "</SessionToken>\n      <Expiration>" expiry "</Expiration>\n    </Credentials>\n  </" action  \
    "Result>\n  <ResponseMetadata>"                                                                \
    "<RequestId>r-1</RequestId></ResponseMetadata>\n</" action "Response>"
/// What STS says when it refuses.
#define AWS_STS_ERROR(code, message)                                                               \
    "<ErrorResponse><Error><Type>Sender</Type><Code>" code "</Code><Message>" message              \
    "</Message></Error><RequestId>r-2</RequestId></ErrorResponse>"
/// What the container endpoint and the metadata service answer.
#define AWS_KEYS_ANSWER(key, expiry)                                                               \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"" key "\",\"SecretAccessKey\":\"secret-" key          \
    "\",\"Token\":\"token-" key "\",\"Expiration\":\"" expiry "\"}"
