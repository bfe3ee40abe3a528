// The fences around the process (protocols.md §7.2, steps 1–5). Called once, first thing in main.
#pragma once

#include <stdbool.h>

struct environment;

/// Captures the environment for our own use, then gives the libraries one made from an allow-list
/// (*environ_slot) and raises the fences. The result lives as long as the process.
struct environment *process_start(char ***environ_slot);

/// The last fence: no program that is started from here on gains rights. Not before a builder,
/// whose helpers (newuidmap) and whose builds (sudo) need theirs.
void process_forbid_privileges(void);

/// May a library see this NAME=VALUE entry? Pure.
bool process_keeps(const char *entry);

/// How many descriptors from 3 on systemd has passed to this process (sd_listen_fds(3)). Pure.
int process_passed_descriptors(const struct environment *env, long pid);
