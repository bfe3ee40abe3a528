// Whole files with caps: read, replace atomically, append. Follows no policy about which paths.
#include "dispatcher/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatcher/memory.h"

static void
close_fd(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

static struct error *
read_all(int fd, const char *path, struct buf *out)
{
    char chunk[16 * 1024];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_new(ERROR_INPUT, "read '%s': %s", path, strerror(errno));
        }
        if (got == 0) {
            return NULL;
        }
        buf_append(out, chunk, (size_t)got);
        if (out->failed) {
            return error_new(ERROR_INPUT, "'%s' is larger than %zu bytes", path, out->max);
        }
    }
}

struct error *
file_read(const char *path, struct buf *out, bool *found)
{
    // O_NONBLOCK: opening a FIFO must not hang; the check below refuses it.
    int fd CLEANUP(close_fd) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && found != NULL && (errno == ENOENT || errno == ENOTDIR)) {
        *found = false;
        return NULL;
    }
    if (fd < 0) {
        return error_new(ERROR_INPUT, "open '%s': %s", path, strerror(errno));
    }
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return error_new(ERROR_INPUT, "'%s' is not a regular file", path);
    }
    if (info.st_size > 0 && (unsigned long long)info.st_size > out->max) {
        return error_new(ERROR_INPUT, "'%s' has %lld bytes, more than the %zu allowed", path,
            (long long)info.st_size, out->max);
    }
    TRY(read_all(fd, path, out));
    if (found != NULL) {
        *found = true;
    }
    return NULL;
}

static struct error *
write_all(int fd, const char *path, struct str content)
{
    while (content.len > 0) {
        ssize_t put = write(fd, content.ptr, content.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return error_new(ERROR_STORAGE, "write '%s': %s", path, strerror(errno));
        }
        content = str_skip(content, (size_t)put);
    }
    return NULL;
}

// The name is durable only once its directory is. Some file systems cannot; the content is safe
// then.
static void
sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory CLEANUP(xfreep) =
        slash == NULL ? xstrdup(".") : xstrndup(path, slash > path ? (size_t)(slash - path) : 1);
    int fd CLEANUP(close_fd) = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
    }
}

static struct error *
write_durably(int fd, const char *path, struct str content)
{
    TRY(write_all(fd, path, content));
    if (fsync(fd) != 0) {
        return error_new(ERROR_STORAGE, "sync '%s': %s", path, strerror(errno));
    }
    return NULL;
}

struct error *
file_write(const char *path, struct str content, mode_t mode)
{
    char *temporary CLEANUP(xfreep) = xasprintf("%s.XXXXXX", path);
    int fd CLEANUP(close_fd) = mkstemp(temporary);
    if (fd < 0) {
        return error_new(ERROR_STORAGE, "create '%s': %s", path, strerror(errno));
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    struct error *err = write_durably(fd, path, content);
    if (err == NULL && (fchmod(fd, mode) != 0 || rename(temporary, path) != 0)) {
        err = error_new(ERROR_STORAGE, "replace '%s': %s", path, strerror(errno));
    }
    if (err != NULL) {
        (void)unlink(temporary);
        return err;
    }
    sync_directory_of(path);
    return NULL;
}

struct error *
file_append(const char *path, struct str content)
{
    int fd CLEANUP(close_fd) = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return error_new(ERROR_STORAGE, "open '%s': %s", path, strerror(errno));
    }
    return write_all(fd, path, content);
}

static bool
is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

// One level; `path` may end with slashes.
static struct error *
make_directory(const char *path)
{
    if (mkdir(path, 0700) == 0 || (errno == EEXIST && is_directory(path))) {
        return NULL;
    }
    return error_new(ERROR_STORAGE, "create directory '%s': %s", path,
        errno == EEXIST ? "a file has this name" : strerror(errno));
}

struct error *
file_make_directories(const char *path)
{
    if (path[0] == '\0') {
        return error_new(ERROR_STORAGE, "create directory '': the name is empty");
    }
    char *copy CLEANUP(xfreep) = xstrdup(path);
    for (char *at = copy + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            TRY(make_directory(copy));
            *at = '/';
        }
    }
    return make_directory(copy);
}

bool
file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}
