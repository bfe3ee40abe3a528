// The kinds of target there are. Alone in its file, so that a test of the loop can bring its own.
#include "dispatcher/memory.h"
#include "target_internal.h"

const struct target_ops *const target_all_ops[] = {
    &target_ecs, &target_express, &target_apprunner, NULL};

const struct target_ops *
target_ops_find(const char *kind)
{
    for (size_t i = 0; target_all_ops[i] != NULL; i++) {
        if (cstr_equal(target_all_ops[i]->kind, kind)) {
            return target_all_ops[i];
        }
    }
    BUG_ON(true); // `kind` is checked by the spec's tables
}
