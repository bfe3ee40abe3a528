// Variables of a target: from the spec, from the infra side's outputs, and from a file of
// NAME=value lines, in this order of strength.
//
//     struct pair_list variables = {0};
//     TRY(environment_collect(d->files_root, &target->want, arena, &variables));
//
// Values come back in the arena, for one request: they are never journaled, planned or printed.
// What is called like a secret is masked from here on (secret.h). Errors are ERROR_INPUT with file
// and line, or the output's name; never with a value. Parsing is pure.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/error.h"
#include "dispatcher/field.h"
#include "dispatcher/json.h"
#include "dispatcher/spec.h"

enum { DOTENV_BYTES_MAX = 64 * 1024, DOTENV_ENTRIES_MAX = 500, OUTPUTS_BYTES_MAX = 1024 * 1024 };

/// NAME=value lines: `export ` in front, comments, values bare, in '…' (as they are) or "…" (with
/// \n \t \r \" \\ \$), which may go over lines. `${…}` outside '…' is refused: nothing is expanded
/// here. `path` is for messages.
NODISCARD struct error *dotenv_parse(
    struct str text, const char *path, struct arena *arena, struct pair_list *out);

/// What `tofu output -json` prints, or a flat object: the value of one output as text. Sensitive
/// ones are refused, and what is neither text, number nor truth.
NODISCARD struct error *outputs_value(const struct json *outputs, const char *name,
    const char *path, struct arena *arena, const char **out);

/// The real path of a file below `root`, for a path that a spec names: nothing outside of it, by no
/// way.
NODISCARD struct error *environment_path(
    const char *root, const char *relative, struct arena *arena, const char **out);
NODISCARD struct error *environment_collect(const char *root, const struct setting_target *want,
    struct arena *arena, struct pair_list *out);
