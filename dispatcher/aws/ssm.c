// Parameter Store over aws_call. What a version parameter means is deploy/'s.
#include "dispatcher/ssm.h"

#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"

enum { PAGE_SIZE = 50, PAGES_MAX = 100 };

static bool
has_code(const struct error *err, const char *code)
{
    const char *actual = error_remote_of(err)->code;
    return actual != NULL && strcmp(actual, code) == 0;
}

static struct error *
unusable(const char *what)
{
    // A 200 came: whatever was asked for is done.
    return error_remote(
        error_new(ERROR_UNAVAILABLE, "unusable answer: %s", what), 200, NULL, NULL, true);
}

static int64_t
time_of(const struct json *value)
{
    return (int64_t)(json_number(value, 0) * 1000.0); // epoch seconds with a fraction
}

static struct error *
read_parameter(const struct json *object, struct arena *arena, struct ssm_parameter *out)
{
    const struct json *labels = json_get(object, "Labels");
    *out = (struct ssm_parameter){
        .name = arena_dup(arena, json_str(json_get(object, "Name"))),
        .value = arena_dup(arena, json_str(json_get(object, "Value"))),
        .type = arena_dup(arena, json_str(json_get(object, "Type"))),
        .version = json_int(json_get(object, "Version"), 0),
        .description = arena_dup(arena, json_str(json_get(object, "Description"))),
        .last_modified_user = arena_dup(arena, json_str(json_get(object, "LastModifiedUser"))),
        .last_modified_ms = time_of(json_get(object, "LastModifiedDate")),
    };
    if (out->name == NULL || out->value == NULL || out->version < 1) {
        return unusable("a parameter without name, value or version");
    }
    out->labels.count = json_count(labels);
    out->labels.items = arena_array(arena, out->labels.count + 1, sizeof(*out->labels.items));
    for (size_t i = 0; i < out->labels.count; i++) {
        const char *label = json_str(json_at(labels, i));
        out->labels.items[i] = arena_dup(arena, label != NULL ? label : "");
    }
    return NULL;
}

static struct error *
get(struct aws_session *session, const char *name, struct json **answer)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    json_set_str(body, "Name", name);
    json_set_bool(body, "WithDecryption", true);
    const struct aws_call call = {
        .service = "ssm", .target = "AmazonSSM.GetParameter", .body = body, .read = true};
    return aws_call(session, &call, answer);
}

struct error *
ssm_get(
    struct aws_session *session, const char *name, struct arena *arena, struct ssm_parameter **out)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    struct error *err = get(session, name, &answer);
    if (err != NULL && has_code(err, "ParameterNotFound")) {
        error_free(err);
        *out = NULL;
        return NULL;
    }
    struct ssm_parameter *found = arena_alloc(arena, sizeof(*found));
    if (err == NULL) {
        err = read_parameter(json_get(answer, "Parameter"), arena, found);
    }
    if (err != NULL) {
        return error_wrap(err, "read parameter '%s'", name);
    }
    *out = found;
    return NULL;
}

static bool
lists_name(const struct json *list, const char *name)
{
    for (size_t i = 0; i < json_count(list); i++) {
        if (cstr_equal(json_str(json_at(list, i)), name)) {
            return true;
        }
    }
    return false;
}

// What is in neither list was not answered, which is not the same as not being there.
static struct error *
read_many(const struct json *answer, const char *const *names, size_t count, struct arena *arena,
    struct ssm_parameter **out)
{
    const struct json *list = json_get(answer, "Parameters");
    const struct json *absent = json_get(answer, "InvalidParameters");
    for (size_t i = 0; i < json_count(list); i++) {
        struct ssm_parameter *found = arena_alloc(arena, sizeof(*found));
        TRY(read_parameter(json_at(list, i), arena, found));
        for (size_t k = 0; k < count; k++) {
            out[k] = strcmp(names[k], found->name) == 0 ? found : out[k];
        }
    }
    for (size_t k = 0; k < count; k++) {
        if (out[k] == NULL && !lists_name(absent, names[k])) {
            return unusable("it does not tell of every parameter");
        }
    }
    return NULL;
}

struct error *
ssm_get_many(struct aws_session *session, const char *const *names, size_t count,
    struct arena *arena, struct ssm_parameter **out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    struct json *list = json_make_array();
    BUG_ON(count == 0 || count > SSM_MANY);
    for (size_t i = 0; i < count; i++) {
        json_append(list, json_make_string(names[i]));
        out[i] = NULL;
    }
    json_set(body, "Names", list);
    json_set_bool(body, "WithDecryption", true);
    const struct aws_call call = {
        .service = "ssm", .target = "AmazonSSM.GetParameters", .body = body, .read = true};
    struct error *err = aws_call(session, &call, &answer);
    err = err == NULL ? read_many(answer, names, count, arena, out) : err;
    return err != NULL
               ? error_wrap(err, "read %zu parameters, '%s' the first of them", count, names[0])
               : NULL;
}

struct error *
ssm_exists(struct aws_session *session, const char *name, const char *region, bool *out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    json_set_str(body, "Name", name);
    json_set_bool(body, "WithDecryption", false);
    const struct aws_call call = {.service = "ssm",
        .target = "AmazonSSM.GetParameter",
        .body = body,
        .region = region,
        .read = true};
    struct error *err = aws_call(session, &call, &answer);
    if (err != NULL && has_code(err, "ParameterNotFound")) {
        error_free(err);
        *out = false;
        return NULL;
    }
    if (err != NULL) {
        return error_wrap(err, "look for parameter '%s'", name);
    }
    *out = true;
    return NULL;
}

static struct error *
explain_put(struct error *err, const struct ssm_put *put)
{
    if (has_code(err, "ParameterAlreadyExists")) {
        return error_wrap_as(ERROR_CONFLICT, err, "create parameter '%s'", put->name);
    }
    err = error_wrap(err, "write parameter '%s'", put->name);
    if (has_code(err, "ParameterMaxVersionLimitExceeded")) {
        return error_hint(err,
            "The oldest of its 100 versions carries a label: move that label to a "
            "newer version.");
    }
    if (has_code(err, "HierarchyTypeMismatch")) {
        return error_hint(err, "A parameter cannot change between String and SecureString.");
    }
    return err;
}

struct error *
ssm_put(struct aws_session *session, const struct ssm_put *put, int64_t *version)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    json_set_str(body, "Name", put->name);
    json_set_str(body, "Value", put->value);
    json_set_str(body, "Description", put->description);
    json_set_str(body, "Type", put->type != NULL ? put->type : "String");
    json_set_bool(body, "Overwrite", put->overwrite);
    const struct aws_call call = {
        .service = "ssm", .target = "AmazonSSM.PutParameter", .body = body};
    struct error *err = aws_call(session, &call, &answer);
    int64_t written = json_int(json_get(answer, "Version"), 0);
    if (err == NULL && written < 1) {
        err = unusable("no 'Version'");
    }
    if (err != NULL) {
        return explain_put(err, put);
    }
    *version = written;
    return NULL;
}

// ---- history

struct history {
    struct arena *arena;
    int64_t after;
    struct ssm_parameter *items;
    size_t count, room;
    char *token; // of the next page, in the arena; NULL: that was the last
};

static struct error *
get_page(struct aws_session *session, const char *name, const char *token, struct json **answer)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    json_set_str(body, "Name", name);
    json_set_bool(body, "WithDecryption", true);
    json_set_int(body, "MaxResults", PAGE_SIZE);
    json_set_str(body, "NextToken", token);
    const struct aws_call call = {
        .service = "ssm", .target = "AmazonSSM.GetParameterHistory", .body = body, .read = true};
    return aws_call(session, &call, answer);
}

static struct ssm_parameter *
history_slot(struct history *history)
{
    if (history->count == history->room) {
        size_t room = history->room > 0 ? 2 * history->room : PAGE_SIZE;
        struct ssm_parameter *items = arena_array(history->arena, room, sizeof(*items));
        for (size_t i = 0; i < history->count; i++) {
            items[i] = history->items[i];
        }
        history->items = items;
        history->room = room;
    }
    return &history->items[history->count];
}

// Pages come oldest first, but nothing promises it: insert by version.
static void
history_settle(struct history *history)
{
    struct ssm_parameter last = history->items[history->count];
    size_t at = history->count++;
    while (at > 0 && history->items[at - 1].version > last.version) {
        history->items[at] = history->items[at - 1];
        at--;
    }
    history->items[at] = last;
}

static struct error *
history_add(struct history *history, const struct json *answer)
{
    const struct json *list = json_get(answer, "Parameters");
    const char *token = json_str(json_get(answer, "NextToken"));
    for (size_t i = 0; i < json_count(list); i++) {
        struct ssm_parameter *slot = history_slot(history);
        TRY(read_parameter(json_at(list, i), history->arena, slot));
        if (slot->version > history->after) {
            history_settle(history);
        }
    }
    if (token != NULL && history->token != NULL && strcmp(token, history->token) == 0) {
        return unusable("the same page twice");
    }
    history->token = token != NULL && token[0] != '\0' ? arena_dup(history->arena, token) : NULL;
    return NULL;
}

static struct error *
read_pages(struct aws_session *session, const char *name, struct history *history)
{
    for (unsigned page = 0; page < PAGES_MAX; page++) {
        struct json *answer CLEANUP(json_freep) = NULL;
        struct error *err = get_page(session, name, history->token, &answer);
        if (err != NULL && has_code(err, "ParameterNotFound")) {
            error_free(err);
            return NULL;
        }
        if (err != NULL) {
            return err;
        }
        TRY(history_add(history, answer));
        if (history->token == NULL) {
            return NULL;
        }
    }
    return unusable("too many pages");
}

struct error *
ssm_history(struct aws_session *session, const char *name, int64_t after, struct arena *arena,
    struct ssm_parameter **out, size_t *count)
{
    struct history history = {.arena = arena, .after = after};
    struct error *err = read_pages(session, name, &history);
    if (err != NULL) {
        return error_wrap(err, "read the history of parameter '%s'", name);
    }
    *out = history.items;
    *count = history.count;
    return NULL;
}

// Which labels of which version: the body of both operations.
static struct json *
label_body(const char *name, int64_t version, const struct str_list *labels)
{
    struct json *body = json_make_object(), *list = json_make_array();
    for (size_t i = 0; i < labels->count; i++) {
        json_append(list, json_make_string(labels->items[i]));
    }
    json_set_str(body, "Name", name);
    json_set_int(body, "ParameterVersion", version);
    json_set(body, "Labels", list);
    return body;
}

static const char *
names_of(const struct str_list *labels, struct buf *out)
{
    for (size_t i = 0; i < labels->count; i++) {
        buf_printf(out, "%s'%s'", i > 0 ? ", " : "", labels->items[i]);
    }
    return buf_cstr(out);
}

struct error *
ssm_labels(
    struct aws_session *session, const char *name, int64_t version, const struct str_list *labels)
{
    struct json *body CLEANUP(json_freep) = label_body(name, version, labels);
    struct json *answer CLEANUP(json_freep) = NULL;
    struct buf names CLEANUP(buf_done) = BUF_INIT(4096);
    const struct aws_call call = {.service = "ssm",
        .target = "AmazonSSM.LabelParameterVersion",
        .body = body,
        .idempotent = true};
    struct error *err = aws_call(session, &call, &answer);
    // The labels that it does not take come back in a 200 answer.
    if (err == NULL && json_count(json_get(answer, "InvalidLabels")) > 0) {
        err = error_hint(error_new(ERROR_REFUSED, "Parameter Store does not take this label"),
            "A label starts with a letter and neither with 'aws' nor with 'ssm'.");
    }
    return err != NULL ? error_wrap(err, "label version %lld of parameter '%s' as %s",
                             (long long)version, name, names_of(labels, &names))
                       : NULL;
}

struct error *
ssm_label(struct aws_session *session, const char *name, int64_t version, const char *label)
{
    const char *one[] = {label};
    const struct str_list labels = {one, 1};
    return ssm_labels(session, name, version, &labels);
}

struct error *
ssm_unlabel(
    struct aws_session *session, const char *name, int64_t version, const struct str_list *labels)
{
    struct json *body CLEANUP(json_freep) = label_body(name, version, labels);
    struct json *answer CLEANUP(json_freep) = NULL;
    struct buf names CLEANUP(buf_done) = BUF_INIT(4096);
    const struct aws_call call = {.service = "ssm",
        .target = "AmazonSSM.UnlabelParameterVersion",
        .body = body,
        .idempotent = true};
    struct error *err = aws_call(session, &call, &answer);
    return err != NULL ? error_wrap(err, "take label %s from version %lld of parameter '%s'",
                             names_of(labels, &names), (long long)version, name)
                       : NULL;
}

bool
ssm_has_label(const struct ssm_parameter *parameter, const char *label)
{
    for (size_t i = 0; i < parameter->labels.count; i++) {
        if (strcmp(parameter->labels.items[i], label) == 0) {
            return true;
        }
    }
    return false;
}
