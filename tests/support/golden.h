// Golden files: a text that the code makes is compared with a committed one.
//
// With GOLDEN_UPDATE=1 in the environment the files are written instead; look at the diff then.
#pragma once

#include "dispatcher/buf.h"

/// Path below tests/golden, heap.
char *golden_path(const char *name);
/// The content of tests/golden/<name>; fails the test when it cannot be read.
void golden_read(const char *name, struct buf *out);
/// Fails the test when `actual` differs from tests/golden/<name>.
void golden_assert(const char *name, struct str actual);
/// Names in tests/golden/<directory> that end with `suffix`, sorted; heap strings, NULL-terminated.
char **golden_list(const char *directory, const char *suffix);
void golden_list_free(char **names);
