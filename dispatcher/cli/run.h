// One run of the program, from arguments to exit code.
#pragma once

struct environment;

/// `argv` without the program's name, NULL-terminated. Returns the exit code.
int cli_main(const struct environment *env, char *const *argv);
