// An empty directory for one test, gone with everything in it afterwards.
//
//     char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
//     char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
#pragma once

#include "dispatcher/compiler.h"

char *temp_dir_new(void) __attribute__((returns_nonnull));
void temp_dir_removep(char **dir);
/// "<dir>/<name>"; heap, free().
char *temp_dir_path(const char *dir, const char *name) __attribute__((returns_nonnull));
