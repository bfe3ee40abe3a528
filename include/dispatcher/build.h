// Builds an image with the builder that is there, and hands it over as an image source.
//
//     TRY(build_find(platform, &tool));
//     TRY(build_run(platform, tool, &order, arena, &result));
//     ... image_source_parse(result.source, …), push it ...
//     build_remove(result.leftovers);
//
// docker (with buildx and a daemon that answers), else buildah, else podman; DISPATCHER_BUILDER
// names one. No shell. What the builder says is handed over line by line, cleaned and masked. A
// secret reaches the build as a secret only: a name of a variable or a path is all that is ever on
// a command line. Errors are ERROR_INPUT, ERROR_USAGE or ERROR_CREDENTIALS: nothing was changed
// anywhere but in the builder's own store, where the image stays, as after `docker build`.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/error.h"
#include "dispatcher/field.h"
#include "dispatcher/platform.h"

enum build_tool { BUILD_DOCKER, BUILD_BUILDAH, BUILD_PODMAN };

const char *build_tool_name(enum build_tool tool);
/// ERROR_USAGE, with what is lacking, when there is none that works.
NODISCARD struct error *build_find(const struct platform *platform, enum build_tool *out);

struct build_order {
    const char *directory; // of the app checkout: relative paths start here
    const char *root;      // the work tree: Dockerfile and context are inside
    const char *dockerfile, *context;
    const char *platform;                      // NULL: the builder's own
    struct pair_list args;                     // NAME to value; shown by the image
    struct pair_list secrets;                  // id to "env:VAR" or "file:PATH"
    void (*line)(void *ctx, const char *line); // may be NULL
    void *ctx;
};

struct build_result {
    const char *source;    // "docker-daemon:sha256:…" or "docker-archive:FILE"
    const char *leftovers; // directory to remove once it is pushed, or NULL
};

/// Is all there that the build needs: Dockerfile, context, secrets? Starts nothing.
NODISCARD struct error *build_check(
    const struct platform *platform, const struct build_order *order);
NODISCARD struct error *build_run(const struct platform *platform, enum build_tool tool,
    const struct build_order *order, struct arena *arena, struct build_result *out);
/// Removes what build_run left; NULL does nothing.
void build_remove(const char *leftovers);
