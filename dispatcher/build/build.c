// One build: the builder is run, what it says is handed on, and what it made becomes a source.
#include "dispatcher/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_internal.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/secret.h"
#include "dispatcher/text.h"

enum {
    LINE_SHOWN = 2000,
    LAST_LINES = 3, // of an error
    LAST_SHOWN = 300,
    ID_MAX = 1024,
    BUILD_UMASK = 0022, // ours would take rights away from what the build creates
};

static const char id_name[] = "image-id", archive_name[] = "image.tar";

// What the builder says: the front end gets all of it, an error its end.
struct listener {
    const struct build_order *order;
    bool is_continued[2]; // by stream: a piece of a longer line was the last
    struct buf last[2][LAST_LINES];
    size_t count[2];
};

static void
listener_init(struct listener *listener, const struct build_order *order)
{
    *listener = (struct listener){.order = order};
    for (size_t i = 0; i < ARRAY_LENGTH(listener->last); i++) {
        for (size_t j = 0; j < LAST_LINES; j++) {
            buf_init(&listener->last[i][j], 2 * LAST_SHOWN);
        }
    }
}

static void
listener_done(struct listener *listener)
{
    for (size_t i = 0; i < ARRAY_LENGTH(listener->last); i++) {
        for (size_t j = 0; j < LAST_LINES; j++) {
            buf_done(&listener->last[i][j]);
        }
    }
}

// Builders like to say the same twice in a row.
static void
keep(struct listener *listener, bool is_error, struct str line)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(2 * LAST_SHOWN);
    size_t count = listener->count[is_error];
    struct buf *lines = listener->last[is_error];
    text_clean(line, LAST_SHOWN, &text);
    if (count > 0 && str_equal(buf_str(&lines[(count - 1) % LAST_LINES]), buf_str(&text))) {
        return;
    }
    buf_reset(&lines[count % LAST_LINES]);
    buf_add(&lines[count % LAST_LINES], buf_str(&text));
    listener->count[is_error]++;
}

static void
on_line(void *ctx, bool is_error, struct str line)
{
    struct listener *listener = ctx;
    struct buf masked CLEANUP(buf_wipe) = BUF_INIT(2 * PROCESS_LINE_MAX);
    struct buf shown CLEANUP(buf_done) = BUF_INIT(2 * LINE_SHOWN);
    bool continues = listener->is_continued[is_error];
    listener->is_continued[is_error] = line.len == PROCESS_LINE_MAX;
    if (continues) { // could begin with the second half of a secret
        return;
    }
    buf_add(&masked, line);
    secret_mask(&masked);
    text_clean(buf_str(&masked), LINE_SHOWN, &shown);
    if (str_trim(buf_str(&shown)).len == 0) {
        return;
    }
    keep(listener, is_error, str_trim(buf_str(&shown)));
    if (listener->order->line != NULL) {
        listener->order->line(listener->order->ctx, buf_cstr(&shown));
    }
}

// The end of stderr, or of stdout when nothing was said there.
static void
put_last(const struct listener *listener, struct buf *out)
{
    size_t stream = listener->count[1] > 0 ? 1 : 0, count = listener->count[stream];
    size_t from = count > LAST_LINES ? count - LAST_LINES : 0;
    for (size_t i = from; i < count; i++) {
        buf_printf(
            out, "%s%s", i > from ? " | " : "", buf_cstr(&listener->last[stream][i % LAST_LINES]));
    }
}

static struct error *
run(const struct platform *platform, const struct build_order *order, const char *const *argv)
{
    struct listener listener CLEANUP(listener_done);
    struct process_exit end = {0};
    listener_init(&listener, order);
    const struct process_order command = {
        .argv = argv,
        .directory = order->directory,
        .umask = BUILD_UMASK,
        .line = on_line,
        .ctx = &listener,
        .kind = ERROR_INPUT,
    };
    TRY(process_run(platform, &command, &end));
    if (end.signal == 0 && end.status == 0) {
        return NULL;
    }
    struct buf said CLEANUP(buf_done) = BUF_INIT(LAST_LINES * (2 * LAST_SHOWN + 3));
    put_last(&listener, &said);
    const char *colon = said.len > 0 ? ": " : "";
    return end.signal != 0 ? error_new(ERROR_INPUT, "'%s %s' was ended by signal %d%s%s", argv[0],
                                 argv[1], end.signal, colon, buf_cstr(&said))
                           : error_new(ERROR_INPUT, "'%s %s' ended with status %d%s%s", argv[0],
                                 argv[1], end.status, colon, buf_cstr(&said));
}

// Archives are large: not where memory is the disk, unless somebody says so.
static struct error *
make_scratch(const struct platform *platform, struct arena *arena, struct build_place *place)
{
    const char *wanted = env_get(platform, "TMPDIR");
    const char *base = wanted != NULL && wanted[0] == '/' ? wanted
                       : access("/var/tmp", W_OK) == 0    ? "/var/tmp"
                                                          : "/tmp";
    char *path = arena_printf(arena, "%s/dispatcher-build-XXXXXX", base);
    if (mkdtemp(path) == NULL) { // mode 0700
        return error_hint(
            error_new(ERROR_STORAGE, "make a directory in '%s': %s", base, strerror(errno)),
            "TMPDIR says where; the image is kept there until it is pushed.");
    }
    place->scratch = path;
    place->id_file = arena_printf(arena, "%s/%s", path, id_name);
    place->archive = arena_printf(arena, "%s/%s", path, archive_name);
    return NULL;
}

// "sha256:…"; some versions leave the algorithm out.
static struct error *
read_id(const struct build_place *place, struct arena *arena, const char **out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(ID_MAX);
    TRY(file_read(place->id_file, &text, NULL));
    struct str id = str_trim(buf_str(&text));
    const char *digest =
        arena_printf(arena, "%s%.*s", str_starts(id, STR("sha256:")) ? "" : "sha256:", STR_FMT(id));
    if (!digest_is_valid(str_of(digest))) {
        return error_new(ERROR_INPUT, "the builder did not say which image it made");
    }
    *out = digest;
    return NULL;
}

static struct error *
build_in(const struct platform *platform, enum build_tool tool, const struct build_order *order,
    const struct build_place *place, struct arena *arena, struct build_result *out)
{
    const char *const *argv = NULL;
    const char *id = NULL;
    TRY(build_command(platform, tool, order, place, arena, &argv));
    TRY(run(platform, order, argv));
    TRY(read_id(place, arena, &id));
    const char *const *export = build_export_command(tool, id, place, arena);
    if (export == NULL) {
        out->source = arena_printf(arena, "docker-daemon:%s", id);
        return NULL;
    }
    TRY(run(platform, order, export));
    out->source = arena_printf(arena, "docker-archive:%s", place->archive);
    return NULL;
}

struct error *
build_check(const struct platform *platform, const struct build_order *order)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct build_place place = {0};
    const char *option = NULL;
    TRY(build_place_find(order, arena, &place));
    for (size_t i = 0; i < order->secrets.count; i++) {
        TRY(build_secret_option(platform, order, &order->secrets.items[i], arena, &option));
    }
    return NULL;
}

struct error *
build_run(const struct platform *platform, enum build_tool tool, const struct build_order *order,
    struct arena *arena, struct build_result *out)
{
    struct build_place place = {0};
    struct build_result result = {0};
    TRY(build_place_find(order, arena, &place));
    TRY(make_scratch(platform, arena, &place));
    struct error *err = build_in(platform, tool, order, &place, arena, &result);
    if (err != NULL || tool == BUILD_DOCKER) {
        build_remove(place.scratch);
    } else {
        result.leftovers = place.scratch;
    }
    TRY(err);
    *out = result;
    return NULL;
}

void
build_remove(const char *leftovers)
{
    if (leftovers == NULL) {
        return;
    }
    static const char *const files[] = {id_name, archive_name};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        char *path CLEANUP(xfreep) = xasprintf("%s/%s", leftovers, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(leftovers);
}
