// Files of an image that lies in a directory. Paths are walked one component at a time from the
// directory's descriptor and never through a link, which is what openat2 with RESOLVE_BENEATH and
// RESOLVE_NO_SYMLINKS would do, on every kernel (protocols.md T24). Callers build paths from
// constants and digests.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatcher/memory.h"
#include "image_internal.h"

void
image_store_free(struct image_store *store)
{
    if (store != NULL) {
        store->free(store);
    }
}

struct error *
image_store_read(struct image_store *store, const char *path, struct buf *out, bool *found)
{
    struct image_file file CLEANUP(image_file_close) = IMAGE_FILE_NONE;
    TRY(store->open(store, path, &file));
    *found = file.fd >= 0;
    if (!*found) {
        return NULL;
    }
    if ((uint64_t)file.size > out->max) {
        return error_new(ERROR_INPUT, "'%s' has %lld bytes, more than the %zu that are read", path,
            (long long)file.size, out->max);
    }
    char *bytes CLEANUP(xfreep) = xmalloc((size_t)file.size + 1);
    TRY(image_file_read(&file, 0, bytes, (size_t)file.size));
    buf_append(out, bytes, (size_t)file.size);
    return NULL;
}

struct directory_store {
    struct image_store base;
    int fd;
};

static void
close_fd(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

static struct error *
cannot_open(const char *path, int number)
{
    if (number == ELOOP || number == ENOTDIR || number == EMLINK) {
        return error_hint(error_new(ERROR_INPUT, "'%s' leads through a link or a file", path),
            "Links are not followed inside an image; copy it with: cp -rL DIR COPY.");
    }
    return error_new(ERROR_INPUT, "'%s' cannot be opened: %s", path, strerror(number));
}

// Descends to the directory that holds the last component; *name points at that component.
static struct error *
walk(int root, const char *path, int *directory, const char **name)
{
    int at CLEANUP(close_fd) = -1;
    const char *part = path;
    for (const char *slash = strchr(part, '/'); slash != NULL; slash = strchr(part, '/')) {
        char *component CLEANUP(xfreep) = xstrndup(part, (size_t)(slash - part));
        BUG_ON(component[0] == '\0' || strcmp(component, "..") == 0);
        int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        int next = openat(at >= 0 ? at : root, component, flags);
        if (next < 0 && errno == ENOENT) {
            *directory = -1;
            return NULL;
        }
        if (next < 0) {
            return cannot_open(path, errno);
        }
        close_fd(&at);
        at = next;
        part = slash + 1;
    }
    *directory = at >= 0 ? at : dup(root);
    *name = part;
    at = -1;
    return NULL;
}

static struct error *
directory_open(struct image_store *base, const char *path, struct image_file *out)
{
    struct directory_store *store = (struct directory_store *)base;
    int directory CLEANUP(close_fd) = -1;
    const char *name = NULL;
    TRY(walk(store->fd, path, &directory, &name));
    if (directory < 0) {
        return NULL;
    }
    // O_NONBLOCK: a FIFO must not hang; the check below refuses it.
    int fd CLEANUP(close_fd) =
        openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return NULL;
    }
    if (fd < 0) {
        return cannot_open(path, errno);
    }
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return error_new(ERROR_INPUT, "'%s' is not a regular file", path);
    }
    *out = (struct image_file){.fd = fd, .owns_fd = true, .size = info.st_size};
    fd = -1;
    return NULL;
}

static void
directory_free(struct image_store *base)
{
    struct directory_store *store = (struct directory_store *)base;
    close_fd(&store->fd);
    free(store);
}

struct error *
image_store_directory(const char *path, struct image_store **out)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOTDIR) {
        return error_hint(error_new(ERROR_INPUT, "it is a file, not a directory"),
            "A file is named by oci-archive:FILE or docker-archive:FILE.");
    }
    if (fd < 0) {
        return error_new(ERROR_INPUT, "it cannot be opened: %s", strerror(errno));
    }
    struct directory_store *store = xcalloc(1, sizeof(*store));
    store->base = (struct image_store){directory_open, directory_free};
    store->fd = fd;
    *out = &store->base;
    return NULL;
}
