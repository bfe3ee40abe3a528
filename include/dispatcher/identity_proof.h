// Proof of who our AWS credentials are, for somebody who is no part of AWS: an STS
// GetCallerIdentity that is signed here and sent by them (Vault's "iam" login, facts §8).
//
//     struct aws_identity_proof proof CLEANUP(aws_identity_proof_done) = {0};
//     TRY(aws_sign_caller_identity(aws, "vault.example.org", NULL, &proof));
//
// Whoever holds it can learn that identity, and nothing else, for about a quarter of an hour: its
// headers are a secret. Thread rule as aws.h.
#pragma once

#include "dispatcher/aws.h"

struct aws_identity_proof {
    const char *method; // static: "POST"
    char *url, *body;
    struct secret *headers; // JSON: name to list of one value, all of them signed but the last
};
void aws_identity_proof_done(struct aws_identity_proof *proof);

/// `server_id` becomes X-Vault-AWS-IAM-Server-ID, so that the proof is of no use to another server;
/// NULL: without. `region` NULL signs for the global endpoint, which is what a Vault that was not
/// told otherwise asks. Sends nothing but what getting credentials takes.
NODISCARD struct error *aws_sign_caller_identity(struct aws_session *session, const char *server_id,
    const char *region, struct aws_identity_proof *out);
