// Shared by the files of build/.
#pragma once

#include "dispatcher/build.h"
#include "dispatcher/process.h"

// The build with its paths made absolute and checked, and a private directory for what comes out.
struct build_place {
    const char *dockerfile, *context;
    const char *scratch; // NULL while nothing is to be run
    const char *id_file, *archive;
};

/// Paths that exist and lie in the work tree (build_paths.c). ERROR_INPUT.
NODISCARD struct error *build_place_find(
    const struct build_order *order, struct arena *arena, struct build_place *out);
/// "id=ID,src=PATH" or "id=ID,env=VAR" for a secret that is there, and its bytes into the mask
/// table. ERROR_CREDENTIALS.
NODISCARD struct error *build_secret_option(const struct platform *platform,
    const struct build_order *order, const struct pair *secret, struct arena *arena,
    const char **out);

/// The command that builds, NULL-terminated, in the arena. Pure but for the secrets.
NODISCARD struct error *build_command(const struct platform *platform, enum build_tool tool,
    const struct build_order *order, const struct build_place *place, struct arena *arena,
    const char *const **out);
/// The command that writes image `id` to place->archive; NULL for a builder whose daemon has it.
const char *const *build_export_command(
    enum build_tool tool, const char *id, const struct build_place *place, struct arena *arena);
