// What sessions of roles may do by their session policies, and what they were refused: at AWS's
// door, and at the registry's, where they come with a password that they got from ECR.
#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"

enum { DENIALS_MAX = 10000 };

const char *
sandbox_session_denies(struct sandbox *sandbox, const struct aws_key *key, const char *action,
    const char *resource, struct arena *arena)
{
    struct aws_state *aws = sandbox->aws;
    if (key == NULL || key->policy == NULL || strcmp(action, "sts:GetCallerIdentity") == 0 ||
        sandbox_policy_allows(key->policy, action, resource)) {
        return NULL;
    }
    if (json_count(aws->denials) < DENIALS_MAX) {
        struct json *item = json_make_object();
        json_set_str(item, "arn", key->arn);
        json_set_str(item, "action", action);
        json_set_str(item, "resource", resource);
        json_append(aws->denials, item);
    }
    return arena_printf(arena,
        "User: %s is not authorized to perform: %s on resource: %s because no session policy "
        "allows "
        "the %s action",
        key->arn, action, resource, action);
}

const struct aws_key *
sandbox_ecr_token_key(const struct sandbox *sandbox, const char *password)
{
    const struct aws_state *aws = sandbox->aws;
    for (size_t i = 0; i < aws->token_count; i++) {
        const char *known = aws->tokens[i].password;
        if (strlen(known) == strlen(password) && digest_equal(known, password, strlen(known))) {
            return aws->tokens[i].key;
        }
    }
    return NULL;
}

const char *
sandbox_aws_ecr_denies(struct sandbox *sandbox, const char *password, const char *action,
    const char *repository, struct arena *arena)
{
    const struct aws_key *key = password != NULL ? sandbox_ecr_token_key(sandbox, password) : NULL;
    return sandbox_session_denies(sandbox, key, action,
        arena_printf(arena, "arn:aws:ecr:%s:%s:repository/%s", sandbox_aws_region(sandbox),
            sandbox_aws_account(sandbox), repository),
        arena);
}

static struct json *
denials_of(const struct aws_state *aws, const char *arn)
{
    struct json *list = json_make_array();
    for (size_t i = 0; i < json_count(aws->denials); i++) {
        const struct json *item = json_at(aws->denials, i);
        if (cstr_equal(json_str(json_get(item, "arn")), arn)) {
            json_append(list, json_clone(item));
        }
    }
    return list;
}

struct json *
sandbox_aws_sessions_json(const struct sandbox *sandbox)
{
    const struct aws_state *aws = sandbox->aws;
    struct json *body = json_make_object(), *list = json_make_array();
    for (size_t i = 0; i < aws->key_count; i++) {
        const struct aws_key *key = aws->keys[i];
        if (key->token == NULL) {
            continue;
        }
        struct json *item = json_make_object();
        char expires[21];
        clock_format_rfc3339(key->expires_ms, expires);
        json_set_str(item, "arn", key->arn);
        json_set_str(item, "access_key_id", key->id);
        json_set_str(item, "expires_at", expires);
        json_set_int(item, "duration_s", key->duration_s);
        json_set(item, "policy", key->policy != NULL ? json_clone(key->policy) : json_make_null());
        json_set(item, "denied", denials_of(aws, key->arn));
        json_append(list, item);
    }
    json_set(body, "sessions", list);
    return body;
}
