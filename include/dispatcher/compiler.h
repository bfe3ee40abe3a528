// The attributes the house style asks for, spelled once. No state, no functions.
#pragma once

#define NODISCARD __attribute__((warn_unused_result))
#define CLEANUP(function) __attribute__((cleanup(function)))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define NONNULL __attribute__((nonnull))
#define NORETURN __attribute__((noreturn))

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
