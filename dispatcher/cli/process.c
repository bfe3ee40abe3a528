// The fences around the process (protocols.md §7.2, T43): what libraries may read from the
// environment, which descriptors stay open, what a crash leaves behind. LD_* variables and library
// constructors act before main and are out of reach here.
#include "process.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatcher/compiler.h"
#include "dispatcher/memory.h"
#include "dispatcher/platform.h"
#include "dispatcher/process.h"
#include "dispatcher/str.h"

enum { FIRST_FREE_FD = 3 };

bool
process_keeps(const char *entry)
{
    // Nothing here names a file that a library would load, a host, a log or a credential.
    static const char *const names[] = {"PATH", "HOME", "USER", "LANG", "TERM", "TZ", "TMPDIR",
        "CI", "GITHUB_ACTIONS", "GITHUB_JOB", "GITHUB_REPOSITORY", "GITHUB_RUN_ID",
        "GITHUB_RUN_NUMBER", "GITHUB_RUN_ATTEMPT", "GITHUB_WORKFLOW", "RUNNER_ARCH", "RUNNER_OS",
        "RUNNER_TEMP", "RUNNER_DEBUG"};
    static const char *const families[] = {"LC_", "XDG_"};
    struct str name = {0}, value = {0};
    if (strchr(entry, '=') == NULL || !str_cut(str_of(entry), '=', &name, &value)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (str_equal(name, str_of(names[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
        if (str_starts(name, str_of(families[i]))) {
            return true;
        }
    }
    return false;
}

static char **
allowed(const struct environment *env)
{
    char *const *all = environment_list(env);
    size_t count = 0, kept = 0;
    while (all[count] != NULL) {
        count++;
    }
    char **list = xcalloc(count + 1, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        if (process_keeps(all[i])) {
            list[kept++] = xstrdup(all[i]); // the captured list may be gone before the process
        }
    }
    return list;
}

int
process_passed_descriptors(const struct environment *env, long pid)
{
    int64_t count = 0, owner = 0;
    if (!str_to_int64(str_of(environment_get(env, "LISTEN_PID")), &owner) || owner != pid ||
        !str_to_int64(str_of(environment_get(env, "LISTEN_FDS")), &count)) {
        return 0;
    }
    return count > 0 && count <= 64 ? (int)count : 0;
}

// A process started with 0, 1 or 2 closed would open its database as "standard output". What is
// missing becomes /dev/null opened for the wrong direction, so that using it still fails.
static void
fill_standard_descriptors(void)
{
    for (int fd = 0; fd < FIRST_FREE_FD; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            int opened = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
            BUG_ON(opened >= 0 && opened != fd);
        }
    }
}

static void
ignore(int signal)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    (void)sigaction(signal, &action, NULL);
}

void
process_forbid_privileges(void)
{
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

struct environment *
process_start(char ***environ_slot)
{
    fill_standard_descriptors();
    struct environment *env = environment_new(*environ_slot);
    *environ_slot = allowed(env);
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    process_close_from(FIRST_FREE_FD + (unsigned)process_passed_descriptors(env, (long)getpid()));
    // Second lines of defence: where a kernel or a container refuses one, we go on without it.
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
#ifndef __SANITIZE_ADDRESS__ // the leak checker attaches to its own process
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    ignore(SIGPIPE);
    ignore(SIGXFSZ);
    (void)umask(077);
    return env;
}
