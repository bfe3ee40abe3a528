// Tells what a process looks like behind process_start(), for cli.bats. Not installed.
//
//     fence_probe state                 one line for each fence
//     fence_probe get URL CA_FILE       an HTTPS request behind the fences; prints the status
//     fence_probe bare URL CA_FILE      the same without them: the control of the experiment
#define _GNU_SOURCE // environ
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/process.h"
#include "dispatcher/http.h"
#include "dispatcher/memory.h"

static bool
is_ignored(int signal)
{
    struct sigaction action = {0};
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void
print_state(void)
{
    struct rlimit core = {1, 1};
    (void)getrlimit(RLIMIT_CORE, &core);
    mode_t mask = umask(0);
    printf("core %lu %lu\n", (unsigned long)core.rlim_cur, (unsigned long)core.rlim_max);
    printf("dumpable %d\n", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    printf("no_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    printf("sigpipe %s\n", is_ignored(SIGPIPE) ? "ignored" : "default");
    printf("sigxfsz %s\n", is_ignored(SIGXFSZ) ? "ignored" : "default");
    printf("umask %03o\n", (unsigned)mask);
    for (int fd = 0; fd < 256; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            printf("fd %d\n", fd);
        }
    }
    for (char **entry = environ; *entry != NULL; entry++) {
        printf("env %s\n", *entry);
    }
}

static int
get(const struct environment *env, const char *url, const char *ca_file)
{
    struct platform platform = {.clock = &clock_system, .random = &random_system, .env = env};
    struct http_client_options options = {.ca_file = ca_file};
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    struct http_response response CLEANUP(http_response_done) = {0};
    struct http_request request = {.method = HTTP_GET, .url = url};
    struct error *err = http_client_new(&platform, &options, &client);
    err = err == NULL ? http_send(client, &request, &response) : err;
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        printf("error %s\n", text);
        error_free(err);
        return 1;
    }
    printf("status %d\n", response.status);
    return 0;
}

int
main(int argc, char **argv)
{
    bool bare = argc == 4 && strcmp(argv[1], "bare") == 0;
    struct environment *env = bare ? environment_new(environ) : process_start(&environ);
    int status = 0;
    if (!bare) {
        process_forbid_privileges(); // as before every command that starts no builder
    }
    if (argc == 4) {
        status = get(env, argv[2], argv[3]);
    } else {
        print_state();
    }
    environment_free(env);
    return status;
}
