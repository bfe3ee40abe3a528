// Parameter Store of the world: values, versions, descriptions and labels, as the API gives them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_world.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"

static void
copy(char *to, size_t size, const char *from)
{
    int length = snprintf(to, size, "%s", from != NULL ? from : "");
    assert_true(length >= 0 && (size_t)length < size);
}

struct world_parameter *
world_parameter_find(struct world *world, const char *name)
{
    for (size_t i = 0; i < world->parameter_count; i++) {
        if (strcmp(world->parameters[i].name, name) == 0) {
            return &world->parameters[i];
        }
    }
    return NULL;
}

static struct world_version *
add_version(struct world *world, const char *name, const char *value, const char *description,
    const char *user)
{
    struct world_parameter *parameter = world_parameter_find(world, name);
    if (parameter == NULL) {
        assert_true(world->parameter_count < WORLD_PARAMETERS);
        parameter = &world->parameters[world->parameter_count++];
        memset(parameter, 0, sizeof(*parameter));
        copy(parameter->name, sizeof(parameter->name), name);
    }
    assert_true(parameter->count < WORLD_VERSIONS);
    struct world_version *version = &parameter->versions[parameter->count++];
    copy(version->value, sizeof(version->value), value);
    copy(version->description, sizeof(version->description), description);
    copy(version->user, sizeof(version->user), user);
    return version;
}

static void
take_label(struct world_version *version, const char *text)
{
    for (size_t k = 0; k < WORLD_LABELS; k++) {
        char *slot = version->labels[k];
        if (strcmp(slot, text) == 0) {
            memmove(slot, slot + sizeof(version->labels[0]),
                (WORLD_LABELS - 1 - k) * sizeof(version->labels[0]));
            version->labels[WORLD_LABELS - 1][0] = '\0';
        }
    }
}

static void
give_label(struct world_version *version, const char *text)
{
    size_t slot = 0;
    while (version->labels[slot][0] != '\0') {
        assert_true(++slot < WORLD_LABELS);
    }
    copy(version->labels[slot], sizeof(version->labels[slot]), text);
}

struct world_parameter *
world_parameter(struct world *world, const char *name, const char *value, const char *label)
{
    struct world_version *version =
        add_version(world, name, value, "before", "arn:aws:iam::1:u/old");
    for (struct str one = {0}, rest = str_of(label); str_cut(rest, ',', &one, &rest);) {
        char *text CLEANUP(xfreep) = str_dup(one);
        give_label(version, text);
    }
    return world_parameter_find(world, name);
}

void
world_foreign_write(struct world *world, const char *name, const char *value)
{
    (void)add_version(world, name, value, "by hand", "arn:aws:iam::1:user/mallory");
}

void
world_late_write(struct world *world, const char *name, const char *value)
{
    assert_string_not_equal(world->reset_description, "");
    (void)add_version(
        world, name, value, world->reset_description, "arn:aws:sts::1:assumed-role/deploy");
}

void
world_note_reset(struct world *world, const char *body)
{
    struct json *in CLEANUP(json_freep) = NULL;
    assert_null(json_parse(str_of(body), &json_limits_default, &in));
    copy(world->reset_description, sizeof(world->reset_description),
        json_str(json_get(in, "Description")));
}

const char *
world_value(struct world *world, const char *name)
{
    const struct world_parameter *parameter = world_parameter_find(world, name);
    return parameter != NULL ? parameter->versions[parameter->count - 1].value : NULL;
}

static void
refuse(struct world_reply *reply, const char *code)
{
    reply->status = 400;
    buf_printf(&reply->body, "{\"__type\":\"%s\",\"message\":\"it says no\"}", code);
}

static struct json *
version_json(const struct world_parameter *parameter, size_t index)
{
    const struct world_version *version = &parameter->versions[index];
    struct json *object = json_make_object(), *labels = json_make_array();
    json_set_str(object, "Name", parameter->name);
    json_set_str(object, "Type", "String");
    json_set_str(object, "Value", version->value);
    json_set_int(object, "Version", (int64_t)index + 1);
    json_set_str(object, "Description", version->description);
    json_set_str(object, "LastModifiedUser", version->user);
    json_set_int(object, "LastModifiedDate", 1795247000 + (int64_t)index);
    for (size_t i = 0; i < WORLD_LABELS && version->labels[i][0] != '\0'; i++) {
        json_append(labels, json_make_string(version->labels[i]));
    }
    json_set(object, "Labels", labels);
    return object;
}

static void
put(struct world *world, const struct json *in, struct world_reply *reply)
{
    const char *name = json_str(json_get(in, "Name")), *value = json_str(json_get(in, "Value"));
    if (!json_bool(json_get(in, "Overwrite"), false) && world_parameter_find(world, name) != NULL) {
        refuse(reply, "ParameterAlreadyExists");
        return;
    }
    (void)add_version(world, name, value, json_str(json_get(in, "Description")),
        "arn:aws:sts::1:assumed-role/deploy");
    world_effect(world, "put %s=%s\n", name, value);
    buf_printf(&reply->body, "{\"Version\":%zu,\"Tier\":\"Standard\"}",
        world_parameter_find(world, name)->count);
}

// A label stands at one version only: it moves.
static void
label(struct world *world, const struct json *in, struct world_parameter *parameter, bool gives)
{
    const struct json *labels = json_get(in, "Labels");
    int64_t number = json_int(json_get(in, "ParameterVersion"), 0);
    assert_true(number >= 1 && (size_t)number <= parameter->count);
    world_effect(
        world, "%s %s:%lld", gives ? "label" : "unlabel", parameter->name, (long long)number);
    for (size_t n = 0; n < json_count(labels); n++) {
        const char *text = json_str(json_at(labels, n));
        for (size_t i = 0; gives && i < parameter->count; i++) {
            take_label(&parameter->versions[i], text);
        }
        if (gives) {
            give_label(&parameter->versions[number - 1], text);
        } else {
            take_label(&parameter->versions[number - 1], text);
        }
        world_effect(world, "%c%s", n > 0 ? ',' : ' ', text);
    }
    world_effect(world, "\n");
}

// GetParameters: those that there are, and the names of the others.
static void
get_many(struct world *world, const struct json *in, struct json *out)
{
    struct json *found = json_make_array(), *absent = json_make_array();
    const struct json *names = json_get(in, "Names");
    assert_in_range(json_count(names), 1, 10);
    for (size_t i = 0; i < json_count(names); i++) {
        const char *name = json_str(json_at(names, i));
        const struct world_parameter *parameter = world_parameter_find(world, name);
        if (parameter != NULL) {
            json_append(found, version_json(parameter, parameter->count - 1));
        } else {
            json_append(absent, json_make_string(name));
        }
    }
    json_set(out, "Parameters", found);
    json_set(out, "InvalidParameters", absent);
}

char *
world_ssm_subject(const char *operation, const char *body)
{
    struct json *in CLEANUP(json_freep) = NULL;
    assert_null(json_parse(str_of(body), &json_limits_default, &in));
    const char *name = json_str(json_get(in, "Name"));
    return xasprintf("ssm:%s %s", operation, name != NULL ? name : "/");
}

void
world_ssm(struct world *world, const char *operation, const char *body, struct world_reply *reply)
{
    struct json *in CLEANUP(json_freep) = NULL;
    struct json *out CLEANUP(json_freep) = json_make_object();
    assert_null(json_parse(str_of(body), &json_limits_default, &in));
    const char *name = json_str(json_get(in, "Name"));
    struct world_parameter *parameter = name != NULL ? world_parameter_find(world, name) : NULL;
    reply->status = 200;
    if (strcmp(operation, "PutParameter") == 0) {
        put(world, in, reply);
        return;
    }
    if (parameter == NULL && strcmp(operation, "GetParameters") != 0) {
        refuse(reply, "ParameterNotFound");
        return;
    }
    if (strcmp(operation, "GetParameters") == 0) {
        get_many(world, in, out);
    } else if (strcmp(operation, "GetParameter") == 0) {
        json_set(out, "Parameter", version_json(parameter, parameter->count - 1));
    } else if (strcmp(operation, "GetParameterHistory") == 0) {
        struct json *list = json_make_array();
        for (size_t i = 0; i < parameter->count; i++) {
            json_append(list, version_json(parameter, i));
        }
        json_set(out, "Parameters", list);
    } else {
        bool gives = strcmp(operation, "LabelParameterVersion") == 0;
        assert_true(gives || strcmp(operation, "UnlabelParameterVersion") == 0);
        label(world, in, parameter, gives);
        json_set(out, "InvalidLabels", json_make_array());
    }
    char *text CLEANUP(xfreep) = json_text(out);
    buf_puts(&reply->body, text);
}
