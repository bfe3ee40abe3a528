// Parameter Store: versions, labels, history, overwrite rules and the errors of each. Kept in
// memory.
#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"

enum { VERSIONS_MAX = 100, VALUE_MAX = 4096, LABELS_MAX = 10, NAME_MAX_BYTES = 1011 };

static struct ssm_entry *
find_entry(struct aws_state *aws, const char *name)
{
    for (size_t i = 0; name != NULL && i < aws->entry_count; i++) {
        if (strcmp(aws->entries[i].name, name) == 0) {
            return &aws->entries[i];
        }
    }
    return NULL;
}

static void
free_version(struct ssm_version *version)
{
    free(version->value);
    free(version->type);
    free(version->description);
    free(version->user);
    free(version->key_id);
    json_free(version->labels);
}

static void
free_entry(struct ssm_entry *entry)
{
    for (size_t i = 0; i < entry->version_count; i++) {
        free_version(&entry->versions[i]);
    }
    free(entry->versions);
    free(entry->name);
}

void
sandbox_ssm_forget(struct aws_state *aws)
{
    for (size_t i = 0; i < aws->entry_count; i++) {
        free_entry(&aws->entries[i]);
    }
    free(aws->entries);
    aws->entries = NULL;
    aws->entry_count = 0;
}

static bool
has_label(const struct ssm_version *version, const char *label)
{
    for (size_t i = 0; i < json_count(version->labels); i++) {
        if (cstr_equal(json_str(json_at(version->labels, i)), label)) {
            return true;
        }
    }
    return false;
}

static struct ssm_version *
latest(const struct ssm_entry *entry)
{
    return &entry->versions[entry->version_count - 1];
}

static const char *
arn_of(const struct aws_exchange *exchange, const char *name)
{
    return arena_printf(exchange->request->arena, "arn:aws:ssm:%s:%s:parameter%s%s",
        exchange->region, sandbox_aws_account(exchange->sandbox), name[0] == '/' ? "" : "/", name);
}

// The protocol wants seconds as a number; whole ones, since our JSON writer knows no fractions.
static void
set_date(struct json *object, int64_t ms)
{
    json_set_int(object, "LastModifiedDate", ms / 1000);
}

static struct json *
parameter_json(const struct aws_exchange *exchange, const struct ssm_entry *entry,
    const struct ssm_version *version)
{
    bool decrypts = json_bool(json_get(exchange->body, "WithDecryption"), false);
    bool hides = strcmp(version->type, "SecureString") == 0 && !decrypts;
    struct json *item = json_make_object();
    json_set_str(item, "Name", entry->name);
    json_set_str(item, "Type", version->type);
    json_set_str(item, "Value", hides ? "AQICAHsandboxciphertext" : version->value);
    json_set_int(item, "Version", version->number);
    set_date(item, version->modified_ms);
    json_set_str(item, "ARN", arn_of(exchange, entry->name));
    json_set_str(item, "DataType", "text");
    return item;
}

// "name", "name:3" or "name:label"; NULL when there is none, with *is_version saying what is
// missing.
static const struct ssm_version *
select_version(const struct aws_exchange *exchange, const char *text, struct ssm_entry **entry,
    bool *is_version)
{
    struct aws_state *aws = exchange->sandbox->aws;
    const char *colon = strrchr(text, ':');
    int64_t number = 0;
    *is_version = false;
    *entry = find_entry(aws, text);
    if (*entry != NULL) {
        return latest(*entry);
    }
    if (colon == NULL) {
        return NULL;
    }
    *entry = find_entry(
        aws, arena_str(exchange->request->arena, (struct str){text, (size_t)(colon - text)}));
    *is_version = *entry != NULL;
    bool is_number = str_to_int64(str_of(colon + 1), &number);
    for (size_t i = 0; *entry != NULL && i < (*entry)->version_count; i++) {
        const struct ssm_version *version = &(*entry)->versions[i];
        if (is_number ? version->number == number : has_label(version, colon + 1)) {
            return version;
        }
    }
    return NULL;
}

static void
get_parameter(struct aws_exchange *exchange)
{
    const char *name = json_str(json_get(exchange->body, "Name"));
    struct ssm_entry *entry = NULL;
    bool is_version = false;
    const struct ssm_version *version =
        name != NULL ? select_version(exchange, name, &entry, &is_version) : NULL;
    if (version == NULL) {
        sandbox_aws_json_problem(exchange->response,
            is_version ? "ParameterVersionNotFound" : "ParameterNotFound",
            is_version ? "Systems Manager could not find version %s of %s. Verify the version and "
                         "try again."
                       : "%.0s",
            is_version ? strrchr(name, ':') + 1 : "", entry != NULL ? entry->name : "");
        return;
    }
    struct json *body = json_make_object();
    json_set(body, "Parameter", parameter_json(exchange, entry, version));
    sandbox_reply_json(exchange->response, 200, body);
}

static void
get_parameters(struct aws_exchange *exchange)
{
    const struct json *names = json_get(exchange->body, "Names");
    struct json *found = json_make_array(), *invalid = json_make_array();
    struct json *body = json_make_object();
    for (size_t i = 0; i < json_count(names); i++) {
        const char *name = json_str(json_at(names, i));
        struct ssm_entry *entry = NULL;
        bool is_version = false;
        const struct ssm_version *version =
            name != NULL ? select_version(exchange, name, &entry, &is_version) : NULL;
        if (version != NULL) {
            json_append(found, parameter_json(exchange, entry, version));
        } else {
            json_append(invalid, json_make_string(name != NULL ? name : ""));
        }
    }
    json_set(body, "Parameters", found);
    json_set(body, "InvalidParameters", invalid);
    sandbox_reply_json(exchange->response, 200, body);
}

// NextToken is the number of the first item of the next page.
static size_t
page_start(const struct aws_exchange *exchange)
{
    const char *token = json_str(json_get(exchange->body, "NextToken"));
    int64_t start = 0;
    return token != NULL && str_to_int64(str_of(token), &start) && start > 0 ? (size_t)start : 0;
}

static size_t
page_size(const struct aws_exchange *exchange, int64_t most)
{
    int64_t size = json_int(json_get(exchange->body, "MaxResults"), most);
    return size > 0 && size < most ? (size_t)size : (size_t)most;
}

static void
reply_page(struct aws_exchange *exchange, struct json *list, size_t next, bool more)
{
    struct json *body = json_make_object();
    json_set(body, "Parameters", list);
    if (more) {
        json_set_str(body, "NextToken", arena_printf(exchange->request->arena, "%zu", next));
    }
    sandbox_reply_json(exchange->response, 200, body);
}

static void
get_by_path(struct aws_exchange *exchange)
{
    const struct aws_state *aws = exchange->sandbox->aws;
    const char *path = json_str(json_get(exchange->body, "Path"));
    bool recursive = json_bool(json_get(exchange->body, "Recursive"), false);
    struct str prefix = str_trim(str_of(path));
    struct json *list = json_make_array();
    size_t start = page_start(exchange), size = page_size(exchange, 10), seen = 0, taken = 0;
    while (str_ends(prefix, STR("/"))) {
        prefix.len--;
    }
    for (size_t i = 0; i < aws->entry_count; i++) {
        struct str name = str_of(aws->entries[i].name);
        struct str rest = str_starts(name, prefix) ? str_skip(name, prefix.len) : (struct str){0};
        bool below = rest.len > 1 && rest.ptr[0] == '/' &&
                     (recursive || memchr(rest.ptr + 1, '/', rest.len - 1) == NULL);
        if (below && seen++ >= start && taken < size) {
            json_append(list, parameter_json(exchange, &aws->entries[i], latest(&aws->entries[i])));
            taken++;
        }
    }
    reply_page(exchange, list, start + taken, seen > start + taken);
}

static void
get_history(struct aws_exchange *exchange)
{
    const struct ssm_entry *entry =
        find_entry(exchange->sandbox->aws, json_str(json_get(exchange->body, "Name")));
    if (entry == NULL) {
        sandbox_aws_json_problem(exchange->response, "ParameterNotFound", "%s", "");
        return;
    }
    size_t start = page_start(exchange), size = page_size(exchange, 50);
    size_t end = start + size < entry->version_count ? start + size : entry->version_count;
    struct json *list = json_make_array();
    for (size_t i = start; i < end; i++) {
        const struct ssm_version *version = &entry->versions[i];
        struct json *item = parameter_json(exchange, entry, version);
        json_set_str(item, "LastModifiedUser", version->user);
        json_set_str(item, "Description", version->description);
        json_set_str(item, "KeyId", version->key_id);
        json_set(item, "Labels", json_clone(version->labels));
        json_set_str(item, "Tier", "Standard");
        json_set(item, "Policies", json_make_array());
        json_append(list, item);
    }
    reply_page(exchange, list, end, end < entry->version_count);
}

static bool
check_put(struct aws_exchange *exchange, const char *name, const char *value, const char *type)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/";
    struct sandbox_response *response = exchange->response;
    if (name == NULL || value == NULL || value[0] == '\0') {
        sandbox_aws_json_problem(response, "ValidationException",
            "Value '' at 'value' failed to satisfy constraint: Member must have length greater "
            "than or equal to 1.");
    } else if (name[0] == '\0' || strspn(name, legal) != strlen(name) ||
               strlen(name) > NAME_MAX_BYTES) {
        sandbox_aws_json_problem(response, "ValidationException",
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a "
            "path, it can consist of sub-paths divided by slash symbol; each sub-path can be "
            "formed as a mix of letters, numbers and the following 3 symbols .-_");
    } else if (type != NULL && strcmp(type, "String") != 0 && strcmp(type, "SecureString") != 0 &&
               strcmp(type, "StringList") != 0) {
        sandbox_aws_json_problem(
            response, "ValidationException", "The type '%s' is not supported.", type);
    } else if (strlen(value) > VALUE_MAX) {
        sandbox_aws_json_problem(response, "ValidationException",
            "Standard tier parameters support a maximum parameter value of 4096 characters.");
    } else {
        return true;
    }
    return false;
}

// The oldest version makes room for the 101st, unless it has a label.
static bool
make_room(struct aws_exchange *exchange, struct ssm_entry *entry)
{
    if (entry->version_count < VERSIONS_MAX) {
        return true;
    }
    if (json_count(entry->versions[0].labels) > 0) {
        sandbox_aws_json_problem(exchange->response, "ParameterMaxVersionLimitExceeded",
            "You attempted to create a new version of %s by calling the PutParameter API with the "
            "overwrite flag. Version %lld, the oldest version, can't be deleted because it has a "
            "label associated with it. Move the label to another version of the parameter, and "
            "try again.",
            entry->name, (long long)entry->versions[0].number);
        return false;
    }
    free_version(&entry->versions[0]);
    memmove(&entry->versions[0], &entry->versions[1],
        (entry->version_count - 1) * sizeof(*entry->versions));
    entry->version_count--;
    return true;
}

static struct ssm_entry *
add_entry(struct aws_state *aws, const char *name)
{
    aws->entries = xrealloc(aws->entries, (aws->entry_count + 1) * sizeof(*aws->entries));
    aws->entries[aws->entry_count] = (struct ssm_entry){.name = xstrdup(name)};
    return &aws->entries[aws->entry_count++];
}

static void
add_version(struct aws_exchange *exchange, struct ssm_entry *entry, const char *type)
{
    const char *description = json_str(json_get(exchange->body, "Description"));
    const char *key_id = json_str(json_get(exchange->body, "KeyId"));
    bool secure = strcmp(type, "SecureString") == 0;
    entry->versions =
        xrealloc(entry->versions, (entry->version_count + 1) * sizeof(*entry->versions));
    entry->versions[entry->version_count++] = (struct ssm_version){.number = ++entry->last_number,
        .modified_ms = sandbox_now(exchange->sandbox),
        .value = xstrdup(json_str(json_get(exchange->body, "Value"))),
        .type = xstrdup(type),
        .description = description != NULL ? xstrdup(description) : NULL,
        .user = xstrdup(exchange->key->arn),
        .key_id = secure ? xstrdup(key_id != NULL ? key_id : "alias/aws/ssm") : NULL,
        .labels = json_make_array()};
}

static void
put_parameter(struct aws_exchange *exchange)
{
    const char *name = json_str(json_get(exchange->body, "Name"));
    const char *type = json_str(json_get(exchange->body, "Type"));
    struct ssm_entry *entry = find_entry(exchange->sandbox->aws, name);
    if (!check_put(exchange, name, json_str(json_get(exchange->body, "Value")), type)) {
        return;
    }
    if (entry == NULL && type == NULL) {
        sandbox_aws_json_problem(exchange->response, "ValidationException",
            "A parameter type is required when you create a parameter.");
        return;
    }
    if (entry != NULL && !json_bool(json_get(exchange->body, "Overwrite"), false)) {
        sandbox_aws_json_problem(exchange->response, "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in "
            "the request to true.");
        return;
    }
    if (entry == NULL) {
        entry = add_entry(exchange->sandbox->aws, name);
    } else if (!make_room(exchange, entry)) {
        return;
    }
    add_version(exchange, entry, type != NULL ? type : latest(entry)->type);
    struct json *body = json_make_object();
    json_set_int(body, "Version", entry->last_number);
    json_set_str(body, "Tier", "Standard");
    sandbox_reply_json(exchange->response, 200, body);
}

static bool
is_label(const char *label)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return label != NULL && label[0] != '\0' && strlen(label) <= 100 &&
           strspn(label, legal) == strlen(label) && !(label[0] >= '0' && label[0] <= '9') &&
           strncmp(label, "aws", 3) != 0 && strncmp(label, "ssm", 3) != 0;
}

static bool
take_label(struct ssm_version *version, const char *label)
{
    struct json *kept = json_make_array();
    bool found = false;
    for (size_t k = 0; k < json_count(version->labels); k++) {
        const char *one = json_str(json_at(version->labels, k));
        if (cstr_equal(one, label)) {
            found = true;
        } else {
            json_append(kept, json_make_string(one));
        }
    }
    json_free(version->labels);
    version->labels = kept;
    return found;
}

// A label is on one version at most: it moves.
static void
move_label(struct ssm_entry *entry, struct ssm_version *to, const char *label)
{
    for (size_t i = 0; i < entry->version_count; i++) {
        (void)take_label(&entry->versions[i], label);
    }
    json_append(to->labels, json_make_string(label));
}

// The version that a request about labels means, or NULL with the answer given.
static struct ssm_version *
version_of(struct aws_exchange *exchange, struct ssm_entry **out)
{
    struct ssm_entry *entry =
        find_entry(exchange->sandbox->aws, json_str(json_get(exchange->body, "Name")));
    if (entry == NULL) {
        sandbox_aws_json_problem(exchange->response, "ParameterNotFound", "%s", "");
        return NULL;
    }
    int64_t number = json_int(json_get(exchange->body, "ParameterVersion"), latest(entry)->number);
    *out = entry;
    for (size_t i = 0; i < entry->version_count; i++) {
        if (entry->versions[i].number == number) {
            return &entry->versions[i];
        }
    }
    sandbox_aws_json_problem(exchange->response, "ParameterVersionNotFound",
        "Systems Manager could not find version %lld of %s. Verify the version and try again.",
        (long long)number, entry->name);
    return NULL;
}

static void
label_version(struct aws_exchange *exchange)
{
    const struct json *labels = json_get(exchange->body, "Labels");
    struct ssm_entry *entry = NULL;
    struct ssm_version *version = version_of(exchange, &entry);
    if (version == NULL) {
        return;
    }
    if (json_count(version->labels) + json_count(labels) > LABELS_MAX) {
        sandbox_aws_json_problem(exchange->response, "ParameterVersionLabelLimitExceeded",
            "A parameter version can have maximum 10 labels.");
        return;
    }
    struct json *invalid = json_make_array(), *body = json_make_object();
    for (size_t i = 0; i < json_count(labels); i++) {
        const char *label = json_str(json_at(labels, i));
        if (is_label(label)) {
            move_label(entry, version, label);
        } else {
            json_append(invalid, json_make_string(label != NULL ? label : ""));
        }
    }
    json_set(body, "InvalidLabels", invalid);
    json_set_int(body, "ParameterVersion", version->number);
    sandbox_reply_json(exchange->response, 200, body);
}

static void
unlabel_version(struct aws_exchange *exchange)
{
    const struct json *labels = json_get(exchange->body, "Labels");
    struct ssm_entry *entry = NULL;
    struct ssm_version *version = version_of(exchange, &entry);
    if (version == NULL) {
        return;
    }
    struct json *removed = json_make_array(), *invalid = json_make_array();
    for (size_t i = 0; i < json_count(labels); i++) {
        const char *label = json_str(json_at(labels, i));
        bool found = take_label(version, label);
        json_append(found ? removed : invalid, json_make_string(label != NULL ? label : ""));
    }
    struct json *body = json_make_object();
    json_set(body, "RemovedLabels", removed);
    json_set(body, "InvalidLabels", invalid);
    sandbox_reply_json(exchange->response, 200, body);
}

static void
delete_parameter(struct aws_exchange *exchange)
{
    struct aws_state *aws = exchange->sandbox->aws;
    struct ssm_entry *entry = find_entry(aws, json_str(json_get(exchange->body, "Name")));
    if (entry == NULL) {
        sandbox_aws_json_problem(exchange->response, "ParameterNotFound", "%s", "");
        return;
    }
    free_entry(entry);
    size_t after = aws->entry_count - (size_t)(entry - aws->entries) - 1;
    memmove(entry, entry + 1, after * sizeof(*entry));
    aws->entry_count--;
    sandbox_reply_json(exchange->response, 200, json_make_object());
}

void
sandbox_ssm_handle(struct aws_exchange *exchange)
{
    static const struct aws_operation operations[] = {
        {"GetParameter", get_parameter},
        {"GetParameters", get_parameters},
        {"GetParametersByPath", get_by_path},
        {"GetParameterHistory", get_history},
        {"PutParameter", put_parameter},
        {"LabelParameterVersion", label_version},
        {"UnlabelParameterVersion", unlabel_version},
        {"DeleteParameter", delete_parameter},
    };
    sandbox_aws_run(exchange, operations, ARRAY_LENGTH(operations));
}

struct json *
sandbox_ssm_state(const struct aws_state *aws)
{
    struct json *list = json_make_array();
    for (size_t i = 0; i < aws->entry_count; i++) {
        const struct ssm_entry *entry = &aws->entries[i];
        struct json *item = json_make_object(), *versions = json_make_array();
        for (size_t k = 0; k < entry->version_count; k++) {
            const struct ssm_version *version = &entry->versions[k];
            struct json *one = json_make_object();
            json_set_int(one, "version", version->number);
            json_set_str(one, "type", version->type);
            bool secure = strcmp(version->type, "SecureString") == 0;
            json_set_str(one, "value", secure ? "***" : version->value);
            json_set_str(one, "description", version->description);
            json_set_str(one, "user", version->user);
            json_set(one, "labels", json_clone(version->labels));
            json_append(versions, one);
        }
        json_set_str(item, "name", entry->name);
        json_set(item, "versions", versions);
        json_append(list, item);
    }
    return list;
}
