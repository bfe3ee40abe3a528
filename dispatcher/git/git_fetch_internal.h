// Between git_files.c (cache and reading), git_fetch.c (the conversation) and git_stream.c (sockets
// that know when to stop).
#pragma once

#include "git_internal.h"

struct git_peer {
    char *host, *port; // host NULL: none
};

// Whom a fetch may talk to, how long, and why it was ended. One a fetch; used by one thread.
struct git_patience {
    const struct platform *platform;
    struct git_peer server, proxy;
    bool led_astray;     // a connection to anybody else was wanted
    int64_t deadline_ms; // absolute mono time
    struct error *ended; // ERROR_CANCELLED or ERROR_UNAVAILABLE; owned by the fetch
};

/// False, and the reason kept, once the deadline has passed or the caller has given up.
bool git_patience_lasts(struct git_patience *patience);
/// Makes libgit2 open sockets here; once a process, from git_start.
void git_stream_register_sockets(void);
/// What connections opened by this thread from now on obey; NULL: none may be opened.
void git_stream_use(struct git_patience *patience);

/// Finds `location->ref` at the remote and brings what it needs into `cache`.
NODISCARD struct error *git_fetch(const struct git_location *location,
    const struct git_access *access, git_repository *cache, git_oid *commit);
