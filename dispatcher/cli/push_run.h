// One image to one reference: finds the credentials, opens the source, pushes. Shared by `push` and
// by `deploy --server`. What is said meanwhile is push_report's.
#pragma once

#include "dispatcher/registry.h"
#include "push_report.h"

struct push_run {
    struct cli *cli;
    const struct platform *platform; // whose environment holds the AWS credentials; NULL: cli's
    const char *source, *reference;  // "oci:DIR", "HOST/REPOSITORY:TAG"
    enum image_compression compression;
    struct str_list previous;
    unsigned parallel; // 0: not given
};

/// What the tag names in the registry, NULL when it is not there; `source` is not needed.
NODISCARD struct error *push_run_look(
    const struct push_run *run, struct arena *arena, const char **digest);
/// *digest (may be NULL) is what the tag names now, in the arena.
NODISCARD struct error *push_run(const struct push_run *run, struct push_report *report,
    struct arena *arena, const char **digest);
