// Finding and reading spec files for the `spec` commands. Says nothing of what is in them.
#include "spec_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/yaml.h"

enum { FILES_MAX = 10000 };

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool
spec_file_is_config(const char *path)
{
    return strcmp(base_name(path), "dispatcher.yaml") == 0 ||
           strcmp(base_name(path), "dispatcher.yml") == 0;
}

const char *
spec_file_stem(const char *path, struct arena *arena)
{
    struct str name = str_of(base_name(path));
    static const char *const ends[] = {".yaml", ".yml"};
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        if (str_ends(name, str_of(ends[i]))) {
            name.len -= strlen(ends[i]);
            break;
        }
    }
    return arena_str(arena, name);
}

static const char *
directory_name(const char *path, struct arena *arena)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return ".";
    }
    return slash == path ? "/" : arena_str(arena, (struct str){path, (size_t)(slash - path)});
}

static const char *
join(struct arena *arena, const char *directory, const char *name)
{
    if (strcmp(directory, ".") == 0) {
        return arena_dup(arena, name);
    }
    bool ends = directory[0] != '\0' && directory[strlen(directory) - 1] == '/';
    return arena_printf(arena, "%s%s%s", directory, ends ? "" : "/", name);
}

bool
spec_file_read(const char *path, struct arena *arena, struct diagnostics *diagnostics,
    struct spec_document *out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(yaml_limits_spec.max_bytes);
    struct error *err CLEANUP(error_freep) = file_read(path, &text, NULL);
    if (err != NULL) {
        char *sentence CLEANUP(xfreep) = error_text(err);
        diagnostics_add(diagnostics, DIAGNOSTIC_ERROR, "unreadable", path, (struct str){0},
            (struct source_span){0}, NULL, "%s", sentence);
        return false;
    }
    *out = (struct spec_document){
        .path = arena_dup(arena, path), .text = {arena_str(arena, buf_str(&text)), text.len}};
    return true;
}

static bool
is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int
compare(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

struct listing {
    struct arena *arena;
    const char **items; // heap
    size_t count;
};

static struct error *
add_file(struct listing *listing, const char *path)
{
    if (listing->count == FILES_MAX) {
        return error_new(ERROR_USAGE, "more than %d files", FILES_MAX);
    }
    listing->items[listing->count++] = arena_dup(listing->arena, path);
    return NULL;
}

static struct error *
add_directory(struct listing *listing, const char *path)
{
    DIR *stream = opendir(path);
    if (stream == NULL) {
        return error_new(ERROR_INPUT, "open directory '%s': %s", path, strerror(errno));
    }
    size_t first = listing->count;
    struct error *err = NULL;
    for (struct dirent *entry = readdir(stream); entry != NULL && err == NULL;
         entry = readdir(stream)) {
        struct str name = str_of(entry->d_name);
        bool yaml = str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml"));
        if (yaml && name.ptr[0] != '.') {
            err = add_file(listing, join(listing->arena, path, entry->d_name));
        }
    }
    (void)closedir(stream);
    qsort(listing->items + first, listing->count - first, sizeof(*listing->items), compare);
    return err;
}

// dispatcher.yaml here, and the directory that it points to.
static struct error *
add_default(struct listing *listing)
{
    if (!file_exists("dispatcher.yaml")) {
        return error_hint(
            error_new(ERROR_USAGE, "no files given, and there is no 'dispatcher.yaml' here"),
            "Name spec files or directories: 'dispatcher spec lint appspecs'.");
    }
    TRY(add_file(listing, "dispatcher.yaml"));
    struct diagnostics *ignored CLEANUP(diagnostics_freep) = diagnostics_new();
    struct spec_document config = {0};
    const char *specs = "appspecs";
    if (spec_file_read("dispatcher.yaml", listing->arena, ignored, &config)) {
        config_specs_directory(&config, listing->arena, ignored, &specs);
    }
    return is_directory(specs) ? add_directory(listing, specs) : NULL;
}

static struct error *
list_into(struct listing *listing, const struct str_list *paths)
{
    if (paths->count == 0) {
        return add_default(listing);
    }
    for (size_t i = 0; i < paths->count; i++) {
        const char *path = paths->items[i];
        if (is_directory(path)) {
            TRY(add_directory(listing, path));
        } else if (file_exists(path)) {
            TRY(add_file(listing, path));
        } else {
            return error_new(ERROR_USAGE, "'%s' does not exist", path);
        }
    }
    return NULL;
}

struct error *
spec_files_list(const struct str_list *paths, struct arena *arena, struct str_list *out)
{
    struct listing listing = {
        .arena = arena, .items = arena_array(arena, FILES_MAX, sizeof(*listing.items))};
    TRY(list_into(&listing, paths));
    if (listing.count == 0) {
        return error_new(ERROR_USAGE, "there are no spec files in '%s'", paths->items[0]);
    }
    *out = (struct str_list){listing.items, listing.count};
    return NULL;
}

static const char *
config_beside(const char *directory, struct arena *arena)
{
    bool plain = strchr(directory, '/') == NULL && directory[0] != '.'; // its parent is here
    const char *above = plain ? "dispatcher.yaml"
                        : strcmp(directory, ".") == 0
                            ? "../dispatcher.yaml"
                            : join(arena, directory, "../dispatcher.yaml");
    const char *inside = join(arena, directory, "dispatcher.yaml");
    return file_exists(above) ? above : file_exists(inside) ? inside : NULL;
}

const char *
spec_file_config_of(const char *path, struct arena *arena)
{
    return config_beside(directory_name(path, arena), arena);
}
