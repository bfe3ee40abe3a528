// Starts one program and writes what it cost: tests/bench/push starts everything by this, since an
// interpreter that forks would count its own memory as the child's. With a ROOT the program is
// started in that folder by chroot, so that a program of another system costs no wrapper.
//
// usage: measure REPORT ROOT|- PROGRAM [ARGUMENT...]
// REPORT becomes one line: wall s, user s, system s, peak KiB of the largest process, exit status.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
seconds(struct timeval value)
{
    return (double)value.tv_sec + (double)value.tv_usec / 1e6;
}

static double
now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void
become(const char *root, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (strcmp(root, "-") != 0 && (chroot(root) != 0 || chdir("/") != 0)) {
        fprintf(stderr, "measure: chroot '%s': %s\n", root, strerror(errno));
        _exit(126);
    }
    execvp(argv[0], argv);
    fprintf(stderr, "measure: '%s': %s\n", argv[0], strerror(errno));
    _exit(127);
}

int
main(int argc, char **argv)
{
    if (argc < 4) {
        fputs("usage: measure REPORT ROOT|- PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    FILE *report = fopen(argv[1], "we");
    if (report == NULL) {
        perror(argv[1]);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); // an interrupted benchmark leaves nothing running
    double start = now();
    pid_t child = fork();
    if (child == 0) {
        become(argv[2], argv + 3);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("measure");
        return 2;
    }
    double wall = now() - start;
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(report, "%.6f %.6f %.6f %ld %d\n", wall, seconds(usage.ru_utime),
        seconds(usage.ru_stime), usage.ru_maxrss, code);
    return fclose(report) == 0 ? 0 : 2;
}
