// Runs groups of tests twice, and talks with tests/support/postgres through two pipes.
#include "store_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/str.h"
#include "temp_dir.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

static struct {
    bool postgres;
    FILE *to, *from; // the server's script
    char *dir, *port;
    unsigned databases;
} lab;

static void
run_script(const int in[2], const int out[2])
{
    (void)dup2(in[0], STDIN_FILENO);
    (void)dup2(out[1], STDOUT_FILENO);
    (void)close(in[0]), (void)close(in[1]), (void)close(out[0]), (void)close(out[1]);
    (void)execl(TEST_SOURCE_DIR "/support/postgres", "postgres", (char *)NULL);
    _exit(127);
}

static char *
hear(void)
{
    char *line = xmalloc(LINE_MAX_BYTES);
    char *got = fgets(line, LINE_MAX_BYTES, lab.from);
    if (got == NULL) {
        line[0] = '\0';
    }
    line[strcspn(line, "\n")] = '\0';
    return line;
}

// False, after saying why, when there is no server to be had.
static bool
server_start(void)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    (void)fflush(NULL);
    if (fork() == 0) {
        run_script(in, out);
    }
    (void)close(in[0]), (void)close(out[1]);
    lab.to = fdopen(in[1], "w");
    lab.from = fdopen(out[0], "r");
    char *line CLEANUP(xfreep) = hear();
    struct str word = {0}, dir = {0}, port = {0}, rest = str_of(line);
    (void)str_cut(rest, ' ', &word, &rest);
    (void)str_cut(rest, ' ', &dir, &port);
    if (!str_equal(word, STR("ready"))) {
        (void)printf("skipped: %s\n", line);
        return false;
    }
    lab.dir = str_dup(dir);
    lab.port = str_dup(port);
    return true;
}

// The script ends with its standard input, and takes the server with it.
static void
server_end(void)
{
    (void)fclose(lab.to);
    char *line CLEANUP(xfreep) = hear();
    (void)fclose(lab.from);
    free(lab.dir);
    free(lab.port);
}

static void
skip_it(void **state)
{
    (void)state;
    skip();
}

int
store_lab_run_postgres(const struct CMUnitTest *tests, size_t count)
{
    struct CMUnitTest *copies CLEANUP(xfreep) = xcalloc(count, sizeof(*copies));
    bool there = server_start();
    for (size_t i = 0; i < count; i++) {
        copies[i] = there ? tests[i] : (struct CMUnitTest){.test_func = skip_it};
        copies[i].name = xasprintf("postgresql_%s", tests[i].name);
    }
    lab.postgres = true;
    int failed = _cmocka_run_group_tests("postgresql", copies, count, NULL, NULL);
    lab.postgres = false;
    server_end();
    for (size_t i = 0; i < count; i++) {
        char *name = (char *)(uintptr_t)copies[i].name;
        free(name);
    }
    return failed;
}

int
store_lab_run(const struct CMUnitTest *tests, size_t count)
{
    int failed = _cmocka_run_group_tests("sqlite", tests, count, NULL, NULL);
    return failed + store_lab_run_postgres(tests, count);
}

bool
store_lab_is_postgres(void)
{
    return lab.postgres;
}

static char *
ask(const char *line)
{
    (void)fprintf(lab.to, "%s\n", line);
    (void)fflush(lab.to);
    return hear();
}

char *
store_lab_place(const char *dir)
{
    if (!lab.postgres) {
        return xasprintf("%s/deep/er/state%u.db", dir, ++lab.databases);
    }
    char *name CLEANUP(xfreep) = xasprintf("j%u", ++lab.databases);
    char *place = xasprintf("postgresql:///%s?host=%s&port=%s&user=lab", name, lab.dir, lab.port);
    char *line CLEANUP(xfreep) = xasprintf("create %s", name);
    char *answer CLEANUP(xfreep) = ask(line);
    assert_string_equal(answer, "done");
    return place;
}

static char *
database_of(const char *place)
{
    const char *name = strstr(place, ":///") + strlen(":///");
    return xstrndup(name, strcspn(name, "?"));
}

char *
store_lab_url(const char *place, const char *host, const char *query)
{
    char *name CLEANUP(xfreep) = database_of(place);
    return xasprintf("postgresql://lab:lab-password@%s:%s/%s%s", host, lab.port, name, query);
}

char *
store_lab_authority(void)
{
    return temp_dir_path(lab.dir, "ca.crt");
}

void
store_lab_server(const char *command)
{
    char *answer CLEANUP(xfreep) = ask(command);
    assert_string_equal(answer, "done");
}

char *
store_lab_sql(const char *place, const char *sql)
{
    char *name CLEANUP(xfreep) = database_of(place);
    char *line CLEANUP(xfreep) = xasprintf("sql %s %s", name, sql);
    return ask(line);
}
