// Which builder is there. A docker that has no buildx or no daemon is none.
#include <string.h>

#include "build_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum { PROBE_MS = 20 * 1000, SAID_MAX = 8 * 1024, SHOWN_MAX = 200 };

static const char *const names[] = {
    [BUILD_DOCKER] = "docker", [BUILD_BUILDAH] = "buildah", [BUILD_PODMAN] = "podman"};

const char *
build_tool_name(enum build_tool tool)
{
    return names[tool];
}

// Does this command end well? Why not: what it says.
static struct error *
probe(const struct platform *platform, const char *const *argv, const char *lacks)
{
    struct buf errors CLEANUP(buf_done) = BUF_INIT(SAID_MAX);
    struct process_exit end = {0};
    const struct process_order order = {
        .argv = argv, .errors = &errors, .limit_ms = PROBE_MS, .kind = ERROR_USAGE};
    struct error *err = process_run(platform, &order, &end);
    if (err == NULL) {
        err = process_check(&end, ERROR_USAGE, buf_str(&errors));
    }
    return err != NULL && error_kind(err) != ERROR_CANCELLED ? error_wrap(err, "%s", lacks) : err;
}

static struct error *
check_tool(const struct platform *platform, enum build_tool tool)
{
    char *path CLEANUP(xfreep) = process_find(platform, names[tool]);
    if (path == NULL) {
        return error_new(ERROR_USAGE, "there is no program '%s' in PATH", names[tool]);
    }
    if (tool != BUILD_DOCKER) {
        return NULL;
    }
    TRY(probe(platform, (const char *const[]){"docker", "buildx", "version", NULL},
        "docker has no buildx"));
    return probe(platform,
        (const char *const[]){"docker", "version", "--format", "{{.Server.Version}}", NULL},
        "docker's daemon does not answer");
}

static struct error *
check_named(const struct platform *platform, const char *wanted, enum build_tool *out)
{
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strcmp(wanted, names[i]) == 0) {
            struct error *err = check_tool(platform, (enum build_tool)i);
            *out = err == NULL ? (enum build_tool)i : *out;
            return err != NULL ? error_wrap(err, "builder '%s' (DISPATCHER_BUILDER)", wanted)
                               : NULL;
        }
    }
    struct buf shown CLEANUP(buf_done) = BUF_INIT(SHOWN_MAX + 8);
    text_clean(str_of(wanted), SHOWN_MAX, &shown);
    return error_hint(error_new(ERROR_USAGE, "there is no builder '%s'", buf_cstr(&shown)),
        "DISPATCHER_BUILDER takes docker, buildah or podman.");
}

struct error *
build_find(const struct platform *platform, enum build_tool *out)
{
    const char *wanted = env_get(platform, "DISPATCHER_BUILDER");
    struct buf lacking CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    if (wanted != NULL) {
        return check_named(platform, wanted, out);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct error *err = check_tool(platform, (enum build_tool)i);
        if (err == NULL) {
            *out = (enum build_tool)i;
            return NULL;
        }
        if (error_kind(err) == ERROR_CANCELLED) {
            return err;
        }
        char *text CLEANUP(xfreep) = error_text(err);
        buf_printf(&lacking, "%s%s", i > 0 ? "; " : "", text);
        error_free(err);
    }
    return error_hint(error_new(ERROR_USAGE, "no builder was found: %s", buf_cstr(&lacking)),
        "Install docker with buildx, buildah or podman here, or build elsewhere and pass --image.");
}
