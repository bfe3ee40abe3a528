// Starts git_http_server.py and talks to it through two pipes: its port comes out, and it ends when
// its input is closed.
#include "git_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"

struct git_http {
    pid_t child;
    int input; // ours to close
    int port;
    bool tls;
    char *log;
};

static void
execute(char *const *command, int input, int output)
{
    (void)dup2(input, STDIN_FILENO);
    (void)dup2(output, STDOUT_FILENO);
    for (int fd = 3; fd < 64; fd++) {
        (void)close(fd);
    }
    (void)execvp(command[0], command);
    _exit(127);
}

struct git_http *
git_http_new(const struct git_fixture *git, const char *option, const char *value)
{
    struct git_http *server = xcalloc(1, sizeof(*server));
    int input[2], output[2];
    assert_int_equal(pipe(input), 0);
    assert_int_equal(pipe(output), 0);
    server->log = xasprintf("%s/http-%d.log", git->root, output[0]);
    server->tls = option != NULL && strcmp(option, "--certificate") == 0;
    char *script CLEANUP(xfreep) = xstrdup(TEST_SOURCE_DIR "/support/git_http_server.py");
    char *given CLEANUP(xfreep) = xstrdup(option != NULL ? option : "");
    char *with CLEANUP(xfreep) = xstrdup(value != NULL ? value : "");
    char python[] = "python3";
    char *const command[] = {
        python, script, git->root, server->log, option != NULL ? given : NULL, with, NULL};
    server->child = fork();
    if (server->child == 0) {
        execute(command, input[0], output[1]);
    }
    assert_true(server->child > 0);
    (void)close(input[0]);
    (void)close(output[1]);
    server->input = input[1];
    char line[16] = {0};
    for (size_t len = 0; strchr(line, '\n') == NULL; len++) { // it may come in pieces
        assert_true(len < sizeof(line) - 1);
        assert_int_equal(read(output[0], line + len, 1), 1);
    }
    (void)close(output[0]);
    server->port = (int)strtol(line, NULL, 10);
    return server;
}

void
git_http_free(struct git_http *server)
{
    if (server != NULL) {
        (void)close(server->input);
        (void)waitpid(server->child, NULL, 0);
        free(server->log);
        free(server);
    }
}

void
git_http_freep(struct git_http **server)
{
    git_http_free(*server);
    *server = NULL;
}

char *
git_http_url(const struct git_http *server, const char *repository)
{
    return xasprintf(
        "%s://127.0.0.1:%d/%s", server->tls ? "https" : "http", server->port, repository);
}

static void
read_log(const struct git_http *server, struct buf *out)
{
    bool found = false;
    assert_null(file_read(server->log, out, &found));
}

bool
git_http_saw(const struct git_http *server, const char *text)
{
    struct buf log CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    read_log(server, &log);
    return str_contains(buf_str(&log), str_of(text));
}

int
git_http_count(const struct git_http *server)
{
    struct buf log CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    read_log(server, &log);
    struct str line = {0}, rest = buf_str(&log);
    int count = 0;
    while (str_cut(rest, '\n', &line, &rest)) {
        count++;
    }
    return count;
}

char *
git_http_certificate(const struct git_fixture *git)
{
    char *path = git_fixture_path(git, "certificate.pem");
    char *key CLEANUP(xfreep) = git_fixture_path(git, "key.pem");
    pid_t child = fork();
    if (child == 0) {
        (void)freopen("/dev/null", "w", stderr);
        (void)execlp("openssl", "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
            "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:127.0.0.1",
            "-keyout", key, "-out", path, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct buf both CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    bool found = false;
    assert_null(file_read(path, &both, &found));
    assert_null(file_read(key, &both, &found));
    assert_null(file_write(path, buf_str(&both), 0600));
    return path;
}
