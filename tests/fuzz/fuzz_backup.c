// A file that somebody calls a backup: whatever it is, it is read to its end or refused, and what
// is called whole can be restored and is whole there.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dispatcher/file.h"
#include "dispatcher/store.h"
#include "fuzz.h"

static char *
temporary(const char *name)
{
    const char *directory = getenv("TMPDIR");
    return xasprintf(
        "%s/fuzz-%ld-%s", directory != NULL ? directory : "/tmp", (long)getpid(), name);
}

static void
restore(const char *from, const struct store_verification *seen)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store_verification again = {0};
    char *to CLEANUP(xfreep) = temporary("restored.db");
    struct error *err CLEANUP(error_freep) = store_restore(from, to);
    if (err == NULL) {
        FUZZ_CHECK(store_verify(to, arena, &again) == NULL);
        FUZZ_CHECK(again.problem == NULL && again.jobs == seen->jobs);
        FUZZ_CHECK(again.audit_entries == seen->audit_entries);
        (void)unlink(to);
    }
    FUZZ_CHECK(!file_exists(to));
}

// Copying syncs to the disk: one of some, always the same ones.
static bool
is_chosen(const uint8_t *data, size_t size)
{
    uint32_t hash = 2166136261U; // FNV-1a
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ data[i]) * 16777619U;
    }
    return hash % 64 == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store_verification seen = {0};
    char *path CLEANUP(xfreep) = temporary("backup.db");
    FUZZ_CHECK(file_write(path, (struct str){(const char *)data, size}, 0600) == NULL);
    struct error *err CLEANUP(error_freep) = store_verify(path, arena, &seen);
    if (err == NULL && seen.problem == NULL && is_chosen(data, size)) {
        restore(path, &seen);
    }
    (void)unlink(path);
    return 0;
}
