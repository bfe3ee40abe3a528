// What every fuzz target shares: its entry point and a check that ends the process.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dispatcher/memory.h"
#include "dispatcher/str.h"

/// libFuzzer's entry point; always returns 0.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A property that must hold for every input.
#define FUZZ_CHECK(condition) BUG_ON(!(condition))

/// The input as a heap C string that ends at its first NUL; free().
static inline char *
fuzz_text(const uint8_t *data, size_t size)
{
    return str_dup((struct str){(const char *)data, size});
}
