// Secrets Manager: secrets by name or ARN, versions by id or staging label. No rotation, no
// replicas, no policies; a secret that was marked for deletion stays until the reset.
#include "aws_secrets_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum { PAGE_MAX = 100, START_MAX = 1000000, VERSIONS_MAX = 100 };
enum { SUFFIX_LEN = 7 }; // a dash and six characters

// --- memory
// ---------------------------------------------------------------------------------------

static struct secrets_state *
state_of(struct sandbox *sandbox)
{
    struct aws_state *aws = sandbox->aws;
    if (aws->secrets == NULL) {
        aws->secrets = xcalloc(1, sizeof(*aws->secrets));
    }
    return aws->secrets;
}

static void
free_version(struct secrets_version *version)
{
    free(version->id);
    free(version->text);
    free(version->binary);
    json_free(version->stages);
}

static void
free_entry(struct secrets_entry *entry)
{
    for (size_t i = 0; i < entry->version_count; i++) {
        free_version(&entry->versions[i]);
    }
    free(entry->versions);
    free(entry->name);
    free(entry->arn);
    free(entry->description);
    free(entry->key_id);
    json_free(entry->tags);
    free(entry);
}

void
sandbox_secrets_forget(struct aws_state *aws)
{
    for (size_t i = 0; aws->secrets != NULL && i < aws->secrets->count; i++) {
        free_entry(aws->secrets->entries[i]);
    }
    if (aws->secrets != NULL) {
        free(aws->secrets->entries);
    }
    free(aws->secrets);
    aws->secrets = NULL;
}

static const char *
text(const struct aws_exchange *exchange, const char *member)
{
    return json_str(json_get(exchange->body, member));
}

static char *
copy(const char *value)
{
    return value != NULL ? xstrdup(value) : NULL;
}

// --- finding
// --------------------------------------------------------------------------------------

// A name, an ARN, or an ARN without the six characters that AWS adds.
static bool
is_named(const struct secrets_entry *entry, const char *id)
{
    size_t length = strlen(entry->arn) - SUFFIX_LEN;
    return strcmp(entry->name, id) == 0 || strcmp(entry->arn, id) == 0 ||
           (strlen(id) == length && strncmp(entry->arn, id, length) == 0);
}

static struct secrets_entry *
find(struct sandbox *sandbox, const char *id)
{
    const struct secrets_state *state = state_of(sandbox);
    for (size_t i = 0; i < state->count; i++) {
        if (is_named(state->entries[i], id)) {
            return state->entries[i];
        }
    }
    return NULL;
}

// The secret of the call, which is not marked for deletion; NULL and an answer when there is none.
static struct secrets_entry *
entry_of(struct aws_exchange *exchange)
{
    struct secrets_entry *entry = find(exchange->sandbox, text(exchange, "SecretId"));
    if (entry == NULL) {
        sandbox_aws_problem(exchange, "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.");
    } else if (entry->deleted_ms != 0) {
        sandbox_aws_problem(exchange, "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.");
        entry = NULL;
    }
    return entry;
}

static bool
has_stage(const struct secrets_version *version, const char *stage)
{
    for (size_t i = 0; i < json_count(version->stages); i++) {
        if (cstr_equal(json_str(json_at(version->stages, i)), stage)) {
            return true;
        }
    }
    return false;
}

static struct secrets_version *
find_version(const struct secrets_entry *entry, const char *id, const char *stage)
{
    for (size_t i = 0; i < entry->version_count; i++) {
        struct secrets_version *version = &entry->versions[i];
        if ((id == NULL || strcmp(version->id, id) == 0) &&
            (stage == NULL || has_stage(version, stage))) {
            return version;
        }
    }
    return NULL;
}

// --- writing
// --------------------------------------------------------------------------------------

static void
drop_stage(struct secrets_entry *entry, const char *stage)
{
    for (size_t i = 0; i < entry->version_count; i++) {
        struct secrets_version *version = &entry->versions[i];
        struct json *kept = json_make_array();
        for (size_t k = 0; k < json_count(version->stages); k++) {
            const char *one = json_str(json_at(version->stages, k));
            if (!cstr_equal(one, stage)) {
                json_append(kept, json_make_string(one));
            }
        }
        json_free(version->stages);
        version->stages = kept;
    }
}

// A label is on one version only. What loses AWSCURRENT becomes AWSPREVIOUS.
static void
move_stage(struct secrets_entry *entry, struct secrets_version *to, const char *stage)
{
    struct secrets_version *from = find_version(entry, NULL, stage);
    bool was_current = from != NULL && from != to && strcmp(stage, "AWSCURRENT") == 0;
    drop_stage(entry, stage);
    json_append(to->stages, json_make_string(stage));
    if (was_current) {
        drop_stage(entry, "AWSPREVIOUS");
        json_append(from->stages, json_make_string("AWSPREVIOUS"));
    }
}

// Versions without a label are what AWS drops, too.
static void
drop_unlabelled(struct secrets_entry *entry)
{
    size_t kept = 0;
    for (size_t i = 0; i < entry->version_count; i++) {
        if (entry->version_count > VERSIONS_MAX && json_count(entry->versions[i].stages) == 0) {
            free_version(&entry->versions[i]);
        } else {
            entry->versions[kept++] = entry->versions[i];
        }
    }
    entry->version_count = kept;
}

static const char *
add_version(struct aws_exchange *exchange, struct secrets_entry *entry)
{
    const char *token = text(exchange, "ClientRequestToken");
    const struct json *stages = json_get(exchange->body, "VersionStages");
    drop_unlabelled(entry);
    entry->versions =
        xrealloc(entry->versions, (entry->version_count + 1) * sizeof(*entry->versions));
    struct secrets_version *version = &entry->versions[entry->version_count++];
    *version = (struct secrets_version){
        .id = xstrdup(token != NULL
                          ? token
                          : sandbox_random(exchange->sandbox, exchange->request->arena, 16)),
        .text = copy(text(exchange, "SecretString")),
        .binary = copy(text(exchange, "SecretBinary")),
        .stages = json_make_array(),
        .created_ms = sandbox_now(exchange->sandbox)};
    entry->changed_ms = version->created_ms;
    for (size_t i = 0; i < json_count(stages); i++) {
        move_stage(entry, version, json_str(json_at(stages, i)));
    }
    if (json_count(stages) == 0) {
        move_stage(entry, version, "AWSCURRENT");
    }
    return version->id;
}

// One value of both kinds at most; `needs`: and one at least.
static bool
check_value(struct aws_exchange *exchange, bool needs)
{
    bool has_text = text(exchange, "SecretString") != NULL;
    bool has_binary = text(exchange, "SecretBinary") != NULL;
    if (has_text && has_binary) {
        sandbox_aws_problem(exchange, "InvalidParameterException",
            "You can't specify both a binary secret value and a string secret value in the same "
            "secret.");
    } else if (needs && !has_text && !has_binary) {
        sandbox_aws_problem(exchange, "InvalidParameterException",
            "You must provide either SecretString or SecretBinary.");
    } else {
        return true;
    }
    return false;
}

static void
reply_version(struct aws_exchange *exchange, const struct secrets_entry *entry,
    const struct secrets_version *version)
{
    struct json *body = json_make_object();
    json_set_str(body, "ARN", entry->arn);
    json_set_str(body, "Name", entry->name);
    if (version != NULL) {
        json_set_str(body, "VersionId", version->id);
    }
    if (version != NULL && strcmp(exchange->operation, "CreateSecret") != 0) {
        json_set(body, "VersionStages", json_clone(version->stages));
    }
    sandbox_reply_json(exchange->response, 200, body);
}

static void
create_secret(struct aws_exchange *exchange)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_+=.@-";
    struct secrets_state *state = state_of(exchange->sandbox);
    const char *name = text(exchange, "Name");
    const struct json *tags = json_get(exchange->body, "Tags");
    const struct secrets_entry *old = find(exchange->sandbox, name);
    if (!check_value(exchange, false)) {
        return;
    }
    if (strspn(name, legal) != strlen(name)) {
        sandbox_aws_problem(exchange, "ValidationException",
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the "
            "following: -/_+=.@!");
        return;
    }
    if (old != NULL) {
        sandbox_aws_problem(exchange,
            old->deleted_ms != 0 ? "InvalidRequestException" : "ResourceExistsException",
            old->deleted_ms != 0
                ? "You can't create this secret because a secret with this name is already "
                  "scheduled for deletion."
                : "The operation failed because the secret %s already exists.",
            name);
        return;
    }
    struct secrets_entry *entry = xcalloc(1, sizeof(*entry));
    *entry = (struct secrets_entry){.name = xstrdup(name),
        .arn = xasprintf("arn:aws:secretsmanager:%s:%s:secret:%s-%s", exchange->region,
            sandbox_aws_account(exchange->sandbox), name,
            sandbox_random(exchange->sandbox, exchange->request->arena, 3)),
        .description = copy(text(exchange, "Description")),
        .key_id = copy(text(exchange, "KmsKeyId")),
        .tags = json_is_array(tags) ? json_clone(tags) : json_make_array(),
        .created_ms = sandbox_now(exchange->sandbox)};
    state->entries = xrealloc(state->entries, (state->count + 1) * sizeof(struct secrets_entry *));
    state->entries[state->count++] = entry;
    bool has_value =
        text(exchange, "SecretString") != NULL || text(exchange, "SecretBinary") != NULL;
    const char *id = has_value ? add_version(exchange, entry) : NULL;
    reply_version(exchange, entry, id != NULL ? find_version(entry, id, NULL) : NULL);
}

static void
put_value(struct aws_exchange *exchange)
{
    struct secrets_entry *entry = entry_of(exchange);
    if (entry == NULL || !check_value(exchange, true)) {
        return;
    }
    const char *token = text(exchange, "ClientRequestToken");
    const struct secrets_version *same = token != NULL ? find_version(entry, token, NULL) : NULL;
    if (same == NULL) {
        const char *id = add_version(exchange, entry);
        reply_version(exchange, entry, find_version(entry, id, NULL));
    } else if (cstr_equal(same->text, text(exchange, "SecretString")) &&
               cstr_equal(same->binary, text(exchange, "SecretBinary"))) {
        reply_version(exchange, entry, same); // a retry
    } else {
        sandbox_aws_problem(exchange, "ResourceExistsException",
            "You can't use ClientRequestToken %s because that value is already in use for a "
            "version of secret %s.",
            token, entry->arn);
    }
}

// --- reading
// --------------------------------------------------------------------------------------

static void
set_time(struct json *object, const char *key, int64_t wall_ms)
{
    if (wall_ms > 0) {
        json_set_number(object, key, (double)wall_ms / 1000.0);
    }
}

static void
get_value(struct aws_exchange *exchange)
{
    struct secrets_entry *entry = entry_of(exchange);
    const char *id = text(exchange, "VersionId"), *stage = text(exchange, "VersionStage");
    if (entry == NULL) {
        return;
    }
    stage = stage == NULL && id == NULL ? "AWSCURRENT" : stage;
    const struct secrets_version *version = find_version(entry, id, stage);
    if (version == NULL) {
        sandbox_aws_problem(exchange, "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for %s: %s",
            id != NULL ? "VersionId" : "staging label", id != NULL ? id : stage);
        return;
    }
    entry->accessed_ms = sandbox_now(exchange->sandbox);
    struct json *body = json_make_object();
    json_set_str(body, "ARN", entry->arn);
    json_set_str(body, "Name", entry->name);
    json_set_str(body, "VersionId", version->id);
    json_set_str(body, "SecretString", version->text);
    json_set_str(body, "SecretBinary", version->binary);
    json_set(body, "VersionStages", json_clone(version->stages));
    set_time(body, "CreatedDate", version->created_ms);
    sandbox_reply_json(exchange->response, 200, body);
}

// `stages_key`: "VersionIdsToStages" or, in lists, "SecretVersionsToStages".
static struct json *
entry_json(const struct secrets_entry *entry, const char *stages_key)
{
    struct json *item = json_make_object(), *versions = json_make_object();
    json_set_str(item, "ARN", entry->arn);
    json_set_str(item, "Name", entry->name);
    json_set_str(item, "Description", entry->description);
    json_set_str(item, "KmsKeyId", entry->key_id);
    set_time(item, "CreatedDate", entry->created_ms);
    set_time(item, "LastChangedDate", entry->changed_ms);
    set_time(item, "LastAccessedDate", entry->accessed_ms);
    set_time(item, "DeletedDate", entry->deleted_ms);
    json_set(item, "Tags", json_clone(entry->tags));
    for (size_t i = 0; i < entry->version_count; i++) {
        if (json_count(entry->versions[i].stages) > 0) {
            json_set(versions, entry->versions[i].id, json_clone(entry->versions[i].stages));
        }
    }
    json_set(item, stages_key, versions);
    return item;
}

// Also of one that was marked for deletion.
static void
describe_secret(struct aws_exchange *exchange)
{
    const struct secrets_entry *entry = find(exchange->sandbox, text(exchange, "SecretId"));
    if (entry == NULL) {
        (void)entry_of(exchange);
        return;
    }
    sandbox_reply_json(exchange->response, 200, entry_json(entry, "VersionIdsToStages"));
}

// Only by name: one of the values of each filter is a prefix ("!" in front: is not).
static bool
passes(const struct aws_exchange *exchange, const struct secrets_entry *entry)
{
    const struct json *filters = json_get(exchange->body, "Filters");
    for (size_t i = 0; i < json_count(filters); i++) {
        const struct json *values = json_get(json_at(filters, i), "Values");
        bool any = false;
        for (size_t k = 0; k < json_count(values); k++) {
            const char *value = json_str(json_at(values, k));
            bool negated = value[0] == '!';
            value += negated;
            any = any || (strncmp(entry->name, value, strlen(value)) == 0) != negated;
        }
        if (!any) {
            return false;
        }
    }
    return true;
}

static bool
filters_are_known(struct aws_exchange *exchange)
{
    const struct json *filters = json_get(exchange->body, "Filters");
    for (size_t i = 0; i < json_count(filters); i++) {
        if (!cstr_equal(json_str(json_get(json_at(filters, i), "Key")), "name")) {
            sandbox_aws_problem(
                exchange, "InvalidParameterException", "the sandbox filters by 'name' only");
            return false;
        }
    }
    return true;
}

static void
list_secrets(struct aws_exchange *exchange)
{
    const struct secrets_state *state = state_of(exchange->sandbox);
    const char *token = text(exchange, "NextToken");
    bool with_deleted = json_bool(json_get(exchange->body, "IncludePlannedDeletion"), false);
    int64_t size = json_int(json_get(exchange->body, "MaxResults"), PAGE_MAX), start = 0, seen = 0;
    if (token != NULL && (!str_to_int64(str_of(token), &start) || start < 1 || start > START_MAX)) {
        sandbox_aws_problem(exchange, "InvalidNextTokenException", "Invalid NextToken");
        return;
    }
    if (!filters_are_known(exchange)) {
        return;
    }
    struct json *list = json_make_array(), *body = json_make_object();
    for (size_t i = 0; i < state->count; i++) {
        const struct secrets_entry *entry = state->entries[i];
        if ((entry->deleted_ms == 0 || with_deleted) && passes(exchange, entry)) {
            if (seen >= start && seen < start + size) {
                json_append(list, entry_json(entry, "SecretVersionsToStages"));
            }
            seen++;
        }
    }
    json_set(body, "SecretList", list);
    if (seen > start + size) {
        json_set_str(body, "NextToken",
            arena_printf(exchange->request->arena, "%lld", (long long)(start + size)));
    }
    sandbox_reply_json(exchange->response, 200, body);
}

static void
delete_secret(struct aws_exchange *exchange)
{
    struct secrets_state *state = state_of(exchange->sandbox);
    bool forced = json_bool(json_get(exchange->body, "ForceDeleteWithoutRecovery"), false);
    const struct json *window = json_get(exchange->body, "RecoveryWindowInDays");
    int64_t days = json_int(window, 30);
    if ((forced && !json_is_null(window)) || days < 7 || days > 30) {
        sandbox_aws_problem(exchange, "InvalidParameterException", "%s",
            forced ? "You can't use ForceDeleteWithoutRecovery in conjunction with "
                     "RecoveryWindowInDays."
                   : "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).");
        return;
    }
    struct secrets_entry *entry = entry_of(exchange);
    if (entry == NULL) {
        return;
    }
    entry->deleted_ms = sandbox_now(exchange->sandbox);
    struct json *body = json_make_object();
    json_set_str(body, "ARN", entry->arn);
    json_set_str(body, "Name", entry->name);
    set_time(body, "DeletionDate", entry->deleted_ms + (forced ? 0 : days * 24 * 60 * 60 * 1000));
    sandbox_reply_json(exchange->response, 200, body);
    for (size_t i = 0; forced && i < state->count; i++) {
        if (state->entries[i] == entry) {
            free_entry(entry);
            memmove(&state->entries[i], &state->entries[i + 1],
                (state->count - i - 1) * sizeof(struct secrets_entry *));
            state->count--;
            return;
        }
    }
}

void
sandbox_secrets_handle(struct aws_exchange *exchange)
{
    static const struct aws_operation operations[] = {
        {"CreateSecret", create_secret},
        {"GetSecretValue", get_value},
        {"PutSecretValue", put_value},
        {"DescribeSecret", describe_secret},
        {"ListSecrets", list_secrets},
        {"DeleteSecret", delete_secret},
    };
    sandbox_aws_run(exchange, operations, ARRAY_LENGTH(operations));
}

struct json *
sandbox_secrets_state(const struct aws_state *aws)
{
    struct json *list = json_make_array();
    for (size_t i = 0; aws->secrets != NULL && i < aws->secrets->count; i++) {
        json_append(list, entry_json(aws->secrets->entries[i], "VersionIdsToStages"));
    }
    return list;
}
