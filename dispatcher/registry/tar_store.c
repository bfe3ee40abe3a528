// Files of an image that lies in a tar archive: the archive is read once for names and offsets,
// then files are read in place. Only plain tar gives that; a compressed archive is refused with the
// way to unpack it. Nothing is extracted. libarchive reads tar and no other format, without
// filters.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_library.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "image_internal.h"

enum { MEMBERS_MAX = 65536, NAME_BYTES_MAX = 1024, HOPS_MAX = 8, READ_BLOCK = 64 * 1024 };

enum member_kind { MEMBER_FILE, MEMBER_SYMLINK, MEMBER_HARDLINK, MEMBER_OTHER };

struct member {
    const char *name;   // without "./" and final slashes
    const char *target; // of a link
    int64_t offset, size;
    enum member_kind kind;
    bool sparse;
};

struct tar_store {
    struct image_store base;
    struct archive_library library;
    struct arena *arena;
    int fd;
    int64_t file_size;
    struct member *members; // sorted by name
    size_t count, capacity;
};

static void
tar_free(struct image_store *base)
{
    struct tar_store *store = (struct tar_store *)base;
    if (store->fd >= 0) {
        (void)close(store->fd);
    }
    free(store->members);
    arena_free(store->arena);
    free(store);
}

static void
tar_freep(struct tar_store **store)
{
    if (*store != NULL) {
        tar_free(&(*store)->base);
    }
}

// Appends the components of `path` to the list of components in `out`; false when it climbs out.
static bool
append_path(struct buf *out, struct str path)
{
    struct str part = {0};
    while (str_cut(path, '/', &part, &path)) {
        if (part.len == 0 || str_equal(part, STR("."))) {
            continue;
        }
        if (!str_equal(part, STR(".."))) {
            buf_puts(out, out->len > 0 ? "/" : "");
            buf_add(out, part);
            continue;
        }
        if (out->len == 0) {
            return false;
        }
        while (out->len > 0 && out->ptr[--out->len] != '/') {
        }
        out->ptr[out->len] = '\0';
    }
    return true;
}

static bool
has_parent_component(struct str path)
{
    struct str part = {0};
    while (str_cut(path, '/', &part, &path)) {
        if (str_equal(part, STR(".."))) {
            return true;
        }
    }
    return false;
}

// "./a//b/" becomes "a/b"; names that leave the archive are refused, used or not.
static struct error *
normal_name(struct tar_store *store, const char *raw, const char **out)
{
    struct buf name CLEANUP(buf_done) = BUF_INIT(NAME_BYTES_MAX);
    if (raw[0] == '/' || has_parent_component(str_of(raw))) {
        return error_hint(error_new(ERROR_INPUT, "member %s leads out of the archive",
                              image_quote(store->arena, raw)),
            "No container tool writes such a name; do not use this archive.");
    }
    (void)append_path(&name, str_of(raw));
    if (name.failed) {
        return error_new(ERROR_INPUT, "member %s has a name of more than %d bytes",
            image_quote(store->arena, raw), NAME_BYTES_MAX);
    }
    *out = arena_str(store->arena, buf_str(&name));
    return NULL;
}

static const char *
entry_text(const char *native, const char *utf8)
{
    return native != NULL ? native : utf8; // native is NULL for UTF-8 names in the C locale
}

static void
classify(struct tar_store *store, struct archive_entry *entry, struct member *member)
{
    const char *hardlink =
        entry_text(store->library.entry_hardlink(entry), store->library.entry_hardlink_utf8(entry));
    const char *symlink =
        entry_text(store->library.entry_symlink(entry), store->library.entry_symlink_utf8(entry));
    member->kind = MEMBER_OTHER;
    if (hardlink != NULL) {
        member->kind = MEMBER_HARDLINK;
        member->target = arena_dup(store->arena, hardlink);
    } else if (store->library.entry_filetype(entry) == AE_IFLNK && symlink != NULL) {
        member->kind = MEMBER_SYMLINK;
        member->target = arena_dup(store->arena, symlink);
    } else if (store->library.entry_filetype(entry) == AE_IFREG) {
        member->kind = MEMBER_FILE;
        member->size = store->library.entry_size(entry);
        member->sparse = store->library.entry_sparse_count(entry) > 0;
    }
}

static struct error *
add_member(struct tar_store *store, struct archive *reader, struct archive_entry *entry)
{
    const char *raw =
        entry_text(store->library.entry_pathname(entry), store->library.entry_pathname_utf8(entry));
    if (raw == NULL || store->library.entry_filetype(entry) == AE_IFDIR) {
        return NULL; // a name in no known encoding is none that we look for
    }
    if (store->count == MEMBERS_MAX) {
        return error_new(ERROR_INPUT, "the archive has more than %d members", MEMBERS_MAX);
    }
    struct member member = {.offset = store->library.filter_bytes(reader, 0)};
    TRY(normal_name(store, raw, &member.name));
    classify(store, entry, &member);
    if (member.kind == MEMBER_FILE && !member.sparse &&
        (member.size < 0 || member.size > store->file_size - member.offset)) {
        return error_hint(error_new(ERROR_INPUT, "the archive is cut off in member %s",
                              image_quote(store->arena, member.name)),
            "Write the archive again; the disk may have been full.");
    }
    if (store->count == store->capacity) {
        store->capacity = store->capacity > 0 ? 2 * store->capacity : 64;
        store->members = xrealloc(store->members, store->capacity * sizeof(*store->members));
    }
    store->members[store->count++] = member;
    return NULL;
}

struct reader {
    const struct archive_library *library;
    struct archive *archive;
};

static void
free_reader(struct reader *reader)
{
    (void)reader->library->read_free(reader->archive);
}

static struct error *
unreadable(struct tar_store *store, struct archive *reader)
{
    const char *problem = store->library.error_string(reader);
    return error_hint(error_new(ERROR_INPUT, "it is not a readable tar archive: %s",
                          image_quote(store->arena, problem != NULL ? problem : "unknown")),
        "Write it again with: skopeo copy SOURCE oci-archive:FILE, or docker save -o FILE NAME.");
}

static struct error *
index_members(struct tar_store *store)
{
    const struct archive_library *library = &store->library;
    struct reader reader CLEANUP(free_reader) = {library, library->read_new()};
    BUG_ON(reader.archive == NULL);
    BUG_ON(library->read_support_format_tar(reader.archive) != ARCHIVE_OK);
    if (library->read_open_fd(reader.archive, store->fd, READ_BLOCK) != ARCHIVE_OK) {
        return unreadable(store, reader.archive);
    }
    for (;;) {
        struct archive_entry *entry = NULL;
        int code = library->read_next_header(reader.archive, &entry);
        if (code == ARCHIVE_EOF) {
            return NULL;
        }
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN) {
            return unreadable(store, reader.archive);
        }
        TRY(add_member(store, reader.archive, entry));
    }
}

static int
compare_members(const void *a, const void *b)
{
    const struct member *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static struct error *
sort_members(struct tar_store *store)
{
    if (store->count > 0) {
        qsort(store->members, store->count, sizeof(*store->members), compare_members);
    }
    for (size_t i = 1; i < store->count; i++) {
        if (strcmp(store->members[i - 1].name, store->members[i].name) == 0) {
            return error_hint(error_new(ERROR_INPUT, "member %s is in the archive twice",
                                  image_quote(store->arena, store->members[i].name)),
                "Which of the two counts depends on the reader; write the archive again.");
        }
    }
    return NULL;
}

static const struct member *
find_member(const struct tar_store *store, const char *name)
{
    struct member key = {.name = name};
    if (store->count == 0) {
        return NULL;
    }
    return bsearch(&key, store->members, store->count, sizeof(*store->members), compare_members);
}

// Where a link points, seen from the root of the archive; false when that is outside.
static bool
link_target(const struct member *member, struct buf *out)
{
    const char *slash = strrchr(member->name, '/');
    if (member->target[0] == '/') {
        return false;
    }
    if (member->kind == MEMBER_SYMLINK && slash != NULL) {
        buf_append(out, member->name, (size_t)(slash - member->name));
    }
    return append_path(out, str_of(member->target)) && !out->failed;
}

static struct error *
follow(struct tar_store *store, const char *path, const struct member **out)
{
    char *name CLEANUP(xfreep) = xstrdup(path);
    for (unsigned hop = 0; hop <= HOPS_MAX; hop++) {
        const struct member *member = find_member(store, name);
        if (member == NULL && hop > 0) {
            return error_new(ERROR_INPUT, "%s is a link to %s, which is not in the archive",
                image_quote(store->arena, path), image_quote(store->arena, name));
        }
        if (member == NULL || member->kind == MEMBER_FILE || member->kind == MEMBER_OTHER) {
            *out = member;
            return NULL;
        }
        struct buf target CLEANUP(buf_done) = BUF_INIT(4 * NAME_BYTES_MAX);
        if (!link_target(member, &target)) {
            return error_new(ERROR_INPUT, "%s is a link to %s, which leads out of the archive",
                image_quote(store->arena, path), image_quote(store->arena, member->target));
        }
        free(name);
        name = buf_take(&target);
    }
    return error_new(ERROR_INPUT, "%s is a chain of more than %d links",
        image_quote(store->arena, path), HOPS_MAX);
}

static struct error *
tar_open(struct image_store *base, const char *path, struct image_file *out)
{
    struct tar_store *store = (struct tar_store *)base;
    const char *name = NULL;
    const struct member *member = NULL;
    TRY(normal_name(store, path, &name)); // docker-archive paths come from manifest.json
    TRY(follow(store, name, &member));
    if (member == NULL) {
        return NULL;
    }
    if (member->kind != MEMBER_FILE) {
        return error_new(ERROR_INPUT, "%s is not a regular file", image_quote(store->arena, path));
    }
    if (member->sparse) {
        return error_hint(error_new(ERROR_INPUT, "%s is stored as a sparse file",
                              image_quote(store->arena, path)),
            "Write the archive without tar's --sparse.");
    }
    *out = (struct image_file){.fd = store->fd, .offset = member->offset, .size = member->size};
    return NULL;
}

static const struct {
    struct str magic;
    const char *name, *command;
} compressions[] = {
    {{"\x1f\x8b", 2}, "gzip", "gzip -d < FILE > image.tar"},
    {{"\x28\xb5\x2f\xfd", 4}, "zstd", "zstd -d FILE -o image.tar"},
    {{"\xfd"
      "7zXZ",
         5},
        "xz", "xz -d < FILE > image.tar"},
    {{"BZh", 3}, "bzip2", "bzip2 -d < FILE > image.tar"},
};

static struct error *
refuse_compressed(int fd)
{
    char start[8];
    ssize_t got = pread(fd, start, sizeof(start), 0);
    struct str head = {start, got > 0 ? (size_t)got : 0};
    for (size_t i = 0; i < ARRAY_LENGTH(compressions); i++) {
        if (str_starts(head, compressions[i].magic)) {
            return error_hint(
                error_new(ERROR_INPUT, "it is compressed with %s, and only plain tar can be read",
                    compressions[i].name),
                "Unpack it first: %s.", compressions[i].command);
        }
    }
    return NULL;
}

static struct error *
check_archive(struct tar_store *store)
{
    struct stat info;
    if (fstat(store->fd, &info) != 0 || S_ISDIR(info.st_mode)) {
        return error_hint(error_new(ERROR_INPUT, "it is a directory, not a file"),
            "A layout in a directory is named by oci:DIR.");
    }
    if (!S_ISREG(info.st_mode)) {
        return error_hint(error_new(ERROR_INPUT, "it is not a regular file"),
            "Write the archive to a file first; it is read more than once.");
    }
    if (info.st_size == 0) {
        return error_new(ERROR_INPUT, "the archive is empty");
    }
    store->file_size = info.st_size;
    return refuse_compressed(store->fd);
}

struct error *
image_store_tar_fd(int *fd, struct image_store **out)
{
    struct tar_store *store CLEANUP(tar_freep) = xcalloc(1, sizeof(*store));
    store->base = (struct image_store){tar_open, tar_free};
    store->arena = arena_new();
    store->fd = *fd;
    *fd = -1;
    TRY(check_archive(store));
    TRY(archive_library_load(&store->library));
    struct error *err = index_members(store);
    archive_library_close(&store->library);
    TRY(err);
    TRY(sort_members(store));
    *out = &store->base;
    store = NULL;
    return NULL;
}

struct error *
image_store_tar(const char *path, struct image_store **out)
{
    // O_NONBLOCK: a FIFO must not hang; check_archive refuses it.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return error_new(ERROR_INPUT, "it cannot be opened: %s", strerror(errno));
    }
    return image_store_tar_fd(&fd, out);
}
