// The builders' command lines. Each option value is one argument of its own, so that nothing in it
// can be taken for another option.
#include <string.h>

#include "build_internal.h"
#include "dispatcher/memory.h"

struct words {
    struct arena *arena;
    const char **items;
    size_t count, capacity;
};

static void
add(struct words *words, const char *word)
{
    BUG_ON(words->count + 1 >= words->capacity);
    words->items[words->count++] = word;
}

static void
add_pair(struct words *words, const char *option, const char *value)
{
    add(words, option);
    add(words, value);
}

static struct words
words_new(struct arena *arena, size_t capacity)
{
    return (struct words){arena, arena_array(arena, capacity, sizeof(char *)), 0, capacity};
}

// One image and no index around it: provenance would be a second one. The daemon keeps the result.
static void
add_docker(struct words *words)
{
    add_pair(words, "docker", "buildx");
    add_pair(words, "build", "--load");
    add_pair(words, "--provenance=false", "--progress=plain");
}

// The archive is of docker's format, and only that keeps a HEALTHCHECK.
static void
add_other(struct words *words, const char *program)
{
    add_pair(words, program, "build");
    add_pair(words, "--format", "docker");
}

struct error *
build_command(const struct platform *platform, enum build_tool tool,
    const struct build_order *order, const struct build_place *place, struct arena *arena,
    const char *const **out)
{
    struct words words = words_new(arena, 16 + 2 * (order->args.count + order->secrets.count));
    if (tool == BUILD_DOCKER) {
        add_docker(&words);
    } else {
        add_other(&words, build_tool_name(tool));
    }
    add_pair(&words, "--iidfile", place->id_file);
    if (order->platform != NULL) {
        add_pair(&words, "--platform", order->platform);
    }
    add_pair(&words, "--file", place->dockerfile);
    for (size_t i = 0; i < order->args.count; i++) {
        const struct pair *arg = &order->args.items[i];
        add_pair(&words, "--build-arg", arena_printf(arena, "%s=%s", arg->key, arg->value));
    }
    for (size_t i = 0; i < order->secrets.count; i++) {
        const char *option = NULL;
        TRY(build_secret_option(platform, order, &order->secrets.items[i], arena, &option));
        add_pair(&words, "--secret", option);
    }
    add(&words, place->context); // absolute: never an option
    *out = words.items;
    return NULL;
}

const char *const *
build_export_command(
    enum build_tool tool, const char *id, const struct build_place *place, struct arena *arena)
{
    struct words words = words_new(arena, 16);
    if (tool == BUILD_DOCKER) {
        return NULL;
    }
    if (tool == BUILD_BUILDAH) {
        add_pair(&words, "buildah", "push");
        add_pair(&words, id, arena_printf(arena, "docker-archive:%s", place->archive));
    } else {
        add_pair(&words, "podman", "save");
        add_pair(&words, "--format", "docker-archive");
        add_pair(&words, "--output", place->archive);
        add(&words, id);
    }
    return words.items;
}
