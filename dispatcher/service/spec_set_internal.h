// A commit's documents as specs.c makes them; spec_set.c. What everybody may ask of them stands in
// service_internal.h.
#pragma once

#include "service_internal.h"

// One appspecs/<app>.yaml.
struct spec_app {
    const char *name; // the file stem
    struct spec_document document;
    const char *unreadable; // why there is no document, or NULL
    const char *problem;    // set by spec_set_new: why nobody may deploy it anywhere, or NULL
};

// What was read. Texts and lists live in `arena`, which goes with it.
struct spec_reading {
    struct arena *arena;
    const char *commit;
    struct spec_document config;
    struct spec_app *apps; // sorted by name
    size_t app_count;
};

/// Why the reading's dispatcher.yaml cannot be used, in its arena; NULL: it can.
const char *spec_set_refuse(
    const struct spec_reading *reading, const struct setting_secrets *secrets);
/// Takes the reading's arena. `before` (may be NULL, and is of the same `secrets`) spares looking
/// at specs that have not changed. One reference, the caller's.
struct spec_set *spec_set_new(struct spec_reading *reading, const struct setting_secrets *secrets,
    const struct spec_set *before);
const struct spec_set *spec_set_ref(const struct spec_set *set);
/// The app's entry, or NULL.
const struct spec_app *spec_set_find(const struct spec_set *set, const char *app);
size_t spec_set_broken(const struct spec_set *set);
