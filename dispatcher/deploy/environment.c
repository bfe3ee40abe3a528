// The variables of a target from their three places, and the files that hold two of them.
#define _XOPEN_SOURCE 700 // realpath
#include "environment_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/secret.h"

struct error *
environment_path(const char *root, const char *relative, struct arena *arena, const char **out)
{
    char *base CLEANUP(xfreep) = realpath(root, NULL);
    if (base == NULL) {
        return error_new(ERROR_INPUT, "directory '%s': %s", root, strerror(errno));
    }
    char *joined CLEANUP(xfreep) = xasprintf("%s/%s", base, relative);
    char *real CLEANUP(xfreep) = realpath(joined, NULL);
    if (real == NULL) {
        return error_hint(error_new(ERROR_INPUT, "file '%s': %s", relative, strerror(errno)),
            "It is looked for in '%s'.", base);
    }
    size_t length = strlen(base);
    bool inside = strncmp(real, base, length) == 0 && (real[length] == '/' || length == 1);
    if (relative[0] == '/' || !inside) {
        return error_new(ERROR_INPUT, "file '%s' is not in '%s'", relative, base);
    }
    *out = arena_dup(arena, real);
    return NULL;
}

static struct error *
read_below(const char *root, const char *relative, struct arena *arena, struct buf *out)
{
    const char *path = NULL;
    TRY(environment_path(root, relative, arena, &path));
    return file_read(path, out, NULL);
}

// --- outputs -----------------------------------------------------------------------------------

static const char *
what_is(const struct json *value)
{
    return json_is_null(value)     ? "has no value"
           : json_is_array(value)  ? "is a list"
           : json_is_object(value) ? "is an object"
                                   : NULL;
}

struct error *
outputs_value(const struct json *outputs, const char *name, const char *path, struct arena *arena,
    const char **out)
{
    const struct json *found = json_get(outputs, name), *value = found;
    if (found == NULL) {
        return error_new(ERROR_INPUT, "%s: there is no output '%s'", path, name);
    }
    if (json_is_object(found) && json_get(found, "value") != NULL) {
        value = json_get(found, "value");
        if (json_bool(json_get(found, "sensitive"), false)) {
            return error_hint(error_new(ERROR_INPUT, "%s: output '%s' is sensitive", path, name),
                "Whoever may look at the service sees a plain variable: keep it in Secrets Manager "
                "or Parameter Store and name its ARN under 'secrets'.");
        }
    }
    if (what_is(value) != NULL) {
        return error_hint(error_new(ERROR_INPUT, "%s: output '%s' %s", path, name, what_is(value)),
            "A text, a number or a truth can be a variable.");
    }
    if (json_str(value) != NULL) {
        *out = arena_dup(arena, json_str(value));
        return NULL;
    }
    char *text CLEANUP(xfreep) = json_text(value);
    *out = arena_dup(arena, text);
    return NULL;
}

static struct error *
read_outputs(const char *root, const char *relative, struct arena *arena, struct json **out)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(OUTPUTS_BYTES_MAX);
    TRY(read_below(root, relative, arena, &text));
    struct error *err = json_parse(buf_str(&text), &json_limits_default, out);
    if (err != NULL) {
        return error_wrap_as(ERROR_INPUT, err, "read '%s'", relative);
    }
    return json_is_object(*out)
               ? NULL
               : error_new(ERROR_INPUT, "'%s' is not an object of outputs", relative);
}

// --- all of them -------------------------------------------------------------------------------

struct collection {
    struct pair *pairs;
    size_t count;
    const struct pair_list *secrets;
};

static bool
has_name(const struct pair *pairs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(pairs[i].key, name) == 0) {
            return true;
        }
    }
    return false;
}

// The strongest come first; a secret of that name is stronger than all of them.
static void
add(struct collection *to, const char *name, const char *value)
{
    if (!has_name(to->pairs, to->count, name) &&
        !has_name(to->secrets->items, to->secrets->count, name)) {
        to->pairs[to->count++] = (struct pair){name, value};
    }
}

// A file that was not meant for secrets may hold some: what is called like one is not shown.
static void
mask(const char *name, const char *value)
{
    static const char *const words[] = {"SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE",
        "CREDENTIAL", "PRIVATE", "_KEY", "APIKEY", "_DSN", "_URL", "_URI"};
    char upper[128] = {0};
    for (size_t i = 0; i + 1 < sizeof(upper) && name[i] != '\0'; i++) {
        upper[i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - ('a' - 'A') : name[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        bool is_address = strncmp(words[i], "_UR", 3) == 0 || strcmp(words[i], "_DSN") == 0;
        // An address is one only with a password in it.
        if (strstr(upper, words[i]) != NULL && (!is_address || strchr(value, '@') != NULL)) {
            secret_free(secret_new(str_of(value)));
            return;
        }
    }
}

struct error *
environment_collect(
    const char *root, const struct setting_target *want, struct arena *arena, struct pair_list *out)
{
    const struct pair_list *plain = &want->environment, *named = &want->environment_from_outputs;
    struct json *outputs CLEANUP(json_freep) = NULL;
    struct pair_list file = {0};
    if (want->environment_file != NULL) {
        struct buf text CLEANUP(buf_wipe) = BUF_INIT(DOTENV_BYTES_MAX);
        TRY(read_below(root, want->environment_file, arena, &text));
        TRY(dotenv_parse(buf_str(&text), want->environment_file, arena, &file));
    }
    if (named->count > 0) {
        TRY(read_outputs(root, want->outputs_file, arena, &outputs));
    }
    struct collection all = {
        .pairs = arena_array(arena, plain->count + named->count + file.count, sizeof(struct pair)),
        .secrets = &want->secrets};
    for (size_t i = 0; i < plain->count; i++) {
        add(&all, plain->items[i].key, plain->items[i].value);
    }
    for (size_t i = 0; i < named->count; i++) {
        const char *value = NULL;
        TRY(outputs_value(outputs, named->items[i].value, want->outputs_file, arena, &value));
        mask(named->items[i].key, value);
        add(&all, named->items[i].key, value);
    }
    for (size_t i = 0; i < file.count; i++) {
        mask(file.items[i].key, file.items[i].value);
        add(&all, file.items[i].key, file.items[i].value);
    }
    *out = (struct pair_list){all.pairs, all.count};
    return NULL;
}
