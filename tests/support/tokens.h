// Tokens to check, made while testing: keys of all kinds, good signatures and every trick that a
// verifier has ever fallen for. Nothing of it is the code under test: OpenSSL and an own base64url.
#pragma once

#include "dispatcher/buf.h"

struct tokens; // the keys

struct tokens *tokens_new(void);
void tokens_free(struct tokens *tokens);
/// The issuer's JWK set: "a" and "b" are good; "small", "e3", "even-e", "enc", "rs512", "private",
/// "ec", "oct", "long-n" and a second "a" are there as well, and never to be used.
const char *tokens_set(const struct tokens *tokens);
/// PEM of the public half of "a" or "b".
const char *tokens_public_pem(const struct tokens *tokens, const char *kid);

struct token_recipe {
    const char *signer; // a key, or a trick: see tokens.c
    struct str header, claims;
    const char *changes; // "h=pad,s=flip7": see tokens.c; NULL: none
};
/// Appends the token.
void tokens_make(const struct tokens *tokens, const struct token_recipe *recipe, struct buf *out);
/// "a%00b" to bytes, "@x3" to "xxx"; for vectors in files, whose lines end with a line end.
void tokens_unescape(struct str text, struct buf *out);
