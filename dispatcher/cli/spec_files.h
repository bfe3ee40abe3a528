// Spec files on disk, for the `spec` commands: which ones are meant, and reading them. For `lint`
// and `fmt`, which work on files that somebody is writing; `show` reads as a deployment does.
#pragma once

#include "cli_internal.h"
#include "dispatcher/arena.h"
#include "dispatcher/spec.h"

/// Is it the organisation's file (dispatcher.yaml), not an app's?
bool spec_file_is_config(const char *path);
/// "payments" of "appspecs/payments.yaml": the app's name.
const char *spec_file_stem(const char *path, struct arena *arena);
/// One file, at most as large as a spec may be; anything else becomes a diagnostic.
bool spec_file_read(const char *path, struct arena *arena, struct diagnostics *diagnostics,
    struct spec_document *out);
/// Files as they are, directories as the YAML files in them; none given: dispatcher.yaml here and
/// the app specs that it points to. ERROR_USAGE for a path that does not exist.
NODISCARD struct error *spec_files_list(
    const struct str_list *paths, struct arena *arena, struct str_list *out);
/// The dispatcher.yaml that belongs to an app's file: beside its directory, else in it; or NULL.
const char *spec_file_config_of(const char *path, struct arena *arena);
