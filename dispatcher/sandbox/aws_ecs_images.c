// What an image reference of a task definition stands for. Images of the sandbox's own registry
// must be there; of all others it is believed that they are, with a digest that is made up.
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/ecr.h"
#include "dispatcher/memory.h"
#include "registry_internal.h"

struct reference { // of an image, taken apart
    struct str host, repository;
    const char *what; // tag or digest, in the arena
    bool is_digest;
};

const char *
sandbox_ecs_made_digest(struct ecs_state *ecs, const char *text)
{
    unsigned char hash[SHA256_SIZE];
    char digest[SHA256_DIGEST_TEXT_SIZE];
    sha256_of(str_of(text), hash);
    sha256_digest_text(hash, digest);
    return arena_dup(ecs->arena, digest);
}

// "host/repository:tag@digest": the first part is a host when it has a dot or a port.
static void
split(struct arena *arena, const char *image, struct reference *out)
{
    struct str first = {0}, rest = {0}, text = str_of(image), digest = {0};
    (void)str_cut(text, '@', &text, &digest);
    (void)str_cut(text, '/', &first, &rest);
    bool has_host = rest.len > 0 && (memchr(first.ptr, '.', first.len) != NULL ||
                                        memchr(first.ptr, ':', first.len) != NULL ||
                                        str_equal(first, STR("localhost")));
    *out = (struct reference){.host = has_host ? first : STR("docker.io"),
        .repository = has_host ? rest : text,
        .is_digest = digest.len > 0};
    struct str tag = STR("latest");
    for (size_t i = out->repository.len; i > 0; i--) {
        if (out->repository.ptr[i - 1] == ':') {
            tag = str_skip(out->repository, i);
            out->repository.len = i - 1;
            break;
        }
        if (out->repository.ptr[i - 1] == '/') {
            break;
        }
    }
    out->what = arena_str(arena, digest.len > 0 ? digest : tag);
}

// Its own address by any name of loopback, or the ECR host of its account.
static bool
is_own(const struct sandbox *sandbox, struct arena *arena, struct str host)
{
    const char *account = NULL, *port = strrchr(sandbox->host, ':');
    if (str_equal(host, str_of(sandbox->host))) {
        return true;
    }
    if (port != NULL && str_equal(host, str_of(arena_printf(arena, "localhost%s", port)))) {
        return true;
    }
    return ecr_host_parse(arena_str(arena, host), arena, &account, NULL) &&
           cstr_equal(account, sandbox_aws_account(sandbox));
}

static const char *
resolve(struct sandbox *sandbox, struct arena *arena, const char *image, const char **problem)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    const struct json *told = json_get(ecs->images, image);
    struct reference parts = {0};
    split(arena, image, &parts);
    if (json_str(told) != NULL) {
        return json_str(told);
    }
    const char *name = arena_str(arena, parts.repository), *digest = NULL;
    if (told == NULL && !is_own(sandbox, arena, parts.host)) {
        return parts.is_digest ? parts.what : sandbox_ecs_made_digest(ecs, image);
    }
    const struct registry_repo *repo = sandbox_registry_find(sandbox->registry, name);
    digest = told == NULL && repo != NULL ? sandbox_registry_resolve(repo, parts.what) : NULL;
    if (digest == NULL) {
        *problem = arena_printf(ecs->arena,
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to "
            "resolve ref %s: %s: not found",
            image, image);
    }
    return digest;
}

struct json *
sandbox_ecs_images(
    struct sandbox *sandbox, const struct ecs_definition *definition, const char **problem)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct json *containers = json_get(definition->document, "containerDefinitions");
    struct json *images = sandbox_ecs_keep(sandbox->aws->ecs, json_make_array());
    *problem = NULL;
    for (size_t i = 0; i < json_count(containers); i++) {
        const struct json *container = json_at(containers, i);
        const char *image = json_str(json_get(container, "image"));
        struct json *item = json_make_object();
        json_set_str(item, "containerName", json_str(json_get(container, "name")));
        json_set_str(
            item, "imageDigest", resolve(sandbox, arena, image != NULL ? image : "", problem));
        json_set_str(item, "image", image);
        json_append(images, item);
    }
    return images;
}
