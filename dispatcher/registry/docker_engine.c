// Asks a daemon of this machine about an image. Its answers are foreign text: decoded by table,
// digests and counts checked, capped. Knows nothing of archives; that is docker_daemon.c.
#include "docker_engine_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/text.h"

enum {
    INSPECT_TIMEOUT_MS = 60 * 1000,
    EXPORT_TIMEOUT_MS = 60 * 60 * 1000, // the daemon writes it all to its own disk first
    MESSAGE_MAX = 300,
};

#define DOCKER_SOCKET "/var/run/docker.sock"

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

// Docker's own when there is none at all: the error is about what people expect.
static const char *
usual_socket(const struct platform *platform, struct arena *arena)
{
    const char *runtime = env_get(platform, "XDG_RUNTIME_DIR");
    const char *const candidates[] = {
        DOCKER_SOCKET,
        runtime != NULL ? arena_printf(arena, "%s/podman/podman.sock", runtime) : NULL,
        "/run/podman/podman.sock",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(candidates); i++) {
        if (candidates[i] != NULL && exists(candidates[i])) {
            return candidates[i];
        }
    }
    return DOCKER_SOCKET;
}

struct error *
docker_engine_find(
    const struct image_access *access, struct arena *arena, struct docker_engine *out)
{
    static const struct str scheme = {"unix://", 7};
    const char *host = env_get(access->platform, "DOCKER_HOST");
    const char *path = NULL;
    if (host == NULL) {
        path = usual_socket(access->platform, arena);
    } else if (str_starts(str_of(host), scheme) && host[scheme.len] == '/') {
        path = host + scheme.len;
    } else {
        return error_hint(error_new(ERROR_INPUT,
                              "DOCKER_HOST %s is not a unix socket of this "
                              "machine",
                              image_quote(arena, host)),
            "Set DOCKER_HOST to unix:///PATH, or fetch the image from there first: docker save -o "
            "image.tar NAME:TAG, then use docker-archive:image.tar.");
    }
    *out = (struct docker_engine){access, arena_dup(arena, path)};
    return NULL;
}

// Why nobody answers, as far as the socket shows.
static struct error *
explain_silence(const struct docker_engine *engine)
{
    struct stat info;
    if (stat(engine->socket, &info) != 0 && errno != EACCES) {
        return error_hint(
            error_new(ERROR_UNAVAILABLE, "no daemon is there: '%s' does not exist", engine->socket),
            "Start the daemon (systemctl start docker, or systemctl --user start podman.socket), "
            "or name its socket by DOCKER_HOST=unix:///PATH.");
    }
    if (faccessat(AT_FDCWD, engine->socket, R_OK | W_OK, AT_EACCESS) != 0 && errno == EACCES) {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "permission to use '%s' is denied", engine->socket),
            "Become a member of the group that owns it (usually docker), or name a daemon of your "
            "own by DOCKER_HOST=unix:///PATH.");
    }
    return NULL;
}

static struct error *
explain_failure(const struct docker_engine *engine, struct error *err)
{
    const char *code = error_remote_of(err)->code;
    if (cstr_equal(code, "connect")) {
        struct error *better = explain_silence(engine);
        if (better != NULL) {
            error_free(err);
            return better;
        }
        err = error_hint(err, "The daemon behind the socket does not run: systemctl start docker.");
    } else if (cstr_equal(code, "timeout")) {
        err = error_hint(err, "The daemon hangs, or is very busy; look at its log.");
    } else if (cstr_equal(code, "reset")) {
        err = error_hint(err, "The daemon stopped on the way; look at its log.");
    }
    bool ours = error_kind(err) != ERROR_UNAVAILABLE; // cancelled, or our disk is full
    return ours ? err : error_wrap(err, "ask the daemon at '%s'", engine->socket);
}

static struct error *
status_error(
    const struct docker_engine *engine, const char *name, const struct http_response *response)
{
    static const struct json_limits limits = {64 * 1024, 16};
    struct json *json CLEANUP(json_freep) = NULL;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf said CLEANUP(buf_done) = BUF_INIT(4 * MESSAGE_MAX);
    bool podman = http_headers_get(&response->headers, "Libpod-API-Version") != NULL;
    if (response->status == 404) {
        return error_hint(error_new(ERROR_INPUT, "the daemon at '%s' has no image %s",
                              engine->socket, image_quote(arena, name)),
            "List what it has: %s images.", podman ? "podman" : "docker");
    }
    error_free(json_parse(buf_str(&response->body), &limits, &json)); // a text of its own will do
    text_clean(str_of(json_str(json_get(json, "message"))), MESSAGE_MAX, &said);
    bool failed = response->status >= 500;
    struct error *err = error_new(failed ? ERROR_UNAVAILABLE : ERROR_REFUSED,
        "the daemon at '%s' %s image %s%s%s", engine->socket, failed ? "failed with" : "refuses",
        image_quote(arena, name), said.len > 0 ? ": " : "", buf_cstr(&said));
    return error_remote(err, response->status, NULL, NULL, true);
}

// `name` is of the form that may stand in a path.
static struct error *
get(const struct docker_engine *engine, const char *name, const char *what,
    const struct http_writer *writer, struct http_response *response)
{
    const struct platform *platform = engine->access->platform;
    char *url CLEANUP(xfreep) = xasprintf("http://docker/images/%s/%s", name, what);
    int64_t timeout_ms = writer != NULL ? EXPORT_TIMEOUT_MS : INSPECT_TIMEOUT_MS;
    const struct http_request request = {
        .method = HTTP_GET,
        .url = url,
        .writer = writer,
        .deadline_ms = clock_mono(platform->clock) + timeout_ms,
        .unix_socket = engine->socket,
    };
    struct error *err = http_send(engine->access->http, &request, response);
    if (err != NULL) {
        return explain_failure(engine, err);
    }
    return response->status == 200 ? NULL : status_error(engine, name, response);
}

struct rootfs_answer {
    struct str_list layers;
};
static const struct field rootfs_fields[] = {
    FIELD(struct rootfs_answer, layers, "Layers", FIELD_LIST_STR),
};
static const struct field_table rootfs_table =
    FIELD_TABLE("RootFS", struct rootfs_answer, rootfs_fields);

struct kept_answer {
    const char *media_type, *digest;
};
static const struct field kept_fields[] = {
    FIELD(struct kept_answer, media_type, "mediaType", FIELD_STR),
    FIELD(struct kept_answer, digest, "digest", FIELD_STR),
};
static const struct field_table kept_table =
    FIELD_TABLE("Descriptor", struct kept_answer, kept_fields);

struct inspect_answer {
    const char *id;
    struct platform_document platform;
    struct str_list names;
    struct rootfs_answer rootfs;
    struct kept_answer kept;
};
static const struct field inspect_fields[] = {
    FIELD(struct inspect_answer, id, "Id", FIELD_STR, .required = true),
    FIELD(struct inspect_answer, platform.os, "Os", FIELD_STR),
    FIELD(struct inspect_answer, platform.architecture, "Architecture", FIELD_STR),
    FIELD(struct inspect_answer, platform.variant, "Variant", FIELD_STR),
    FIELD(struct inspect_answer, names, "RepoDigests", FIELD_LIST_STR),
    FIELD(struct inspect_answer, rootfs, "RootFS", FIELD_OBJECT, .required = true,
        .table = &rootfs_table),
    FIELD(struct inspect_answer, kept, "Descriptor", FIELD_OBJECT, .table = &kept_table),
};
static const struct field_table inspect_table =
    FIELD_TABLE("image", struct inspect_answer, inspect_fields);

static struct error *
check_answer(const struct inspect_answer *answer, struct arena *arena)
{
    const struct str_list *layers = &answer->rootfs.layers;
    if (!digest_is_valid(str_of(answer->id))) {
        return error_new(
            ERROR_UNAVAILABLE, "'Id' %s is not a digest", image_quote(arena, answer->id));
    }
    if (layers->count > IMAGE_LAYERS_MAX) {
        return error_new(ERROR_UNAVAILABLE, "'RootFS.Layers' has %zu entries, more than %d",
            layers->count, IMAGE_LAYERS_MAX);
    }
    for (size_t i = 0; i < layers->count; i++) {
        if (!digest_is_valid(str_of(layers->items[i]))) {
            return error_new(ERROR_UNAVAILABLE, "'RootFS.Layers[%zu]' %s is not a digest", i,
                image_quote(arena, layers->items[i]));
        }
    }
    return NULL;
}

// The containerd store keeps manifests, and calls an image by the manifest's digest. It says so in
// Descriptor (API 1.48); before that, the names by which the image can be pulled say it, since a
// registry knows no configuration by name.
static bool
id_is_manifest(const struct inspect_answer *answer, struct arena *arena)
{
    const char *tail = arena_printf(arena, "@%s", answer->id);
    bool found = cstr_equal(answer->kept.digest, answer->id);
    for (size_t i = 0; i < answer->names.count && !found; i++) {
        found = str_ends(str_of(answer->names.items[i]), str_of(tail));
    }
    return found;
}

static struct error *
decode(struct str body, struct arena *arena, struct docker_inspect *out)
{
    struct json *json CLEANUP(json_freep) = NULL;
    struct inspect_answer answer = {0};
    TRY(json_parse(body, &json_limits_default, &json));
    TRY(json_decode(json, &inspect_table, arena, &answer));
    TRY(check_answer(&answer, arena));
    *out = (struct docker_inspect){
        .id = answer.id,
        .id_is_manifest = id_is_manifest(&answer, arena),
        .manifest_type = answer.kept.media_type,
        .platform = platform_text(arena, &answer.platform),
        .diff_ids = answer.rootfs.layers,
    };
    return NULL;
}

struct error *
docker_engine_inspect(const struct docker_engine *engine, const char *name, struct arena *arena,
    struct docker_inspect *out)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(get(engine, name, "json", NULL, &response));
    struct error *err = decode(buf_str(&response.body), arena, out);
    return err != NULL ? error_wrap(err, "ask the daemon at '%s'", engine->socket) : NULL;
}

struct error *
docker_engine_export(
    const struct docker_engine *engine, const char *id, const struct http_writer *writer)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    return get(engine, id, "get", writer, &response);
}
