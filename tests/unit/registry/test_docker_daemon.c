// Images of a daemon: what opening asks, what a fetch takes from each shape of archive, what an
// unusual daemon is told, and how little a push asks when a registry has it all.
#include <fcntl.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/registry.h"
#include "image_spool_internal.h"
#include "script_transport.h"
#include "temp_dir.h"

#define GRAPH_DIGEST "sha256:e83544a19a047e5d21af89d327a03b253fa4f62a7f717653654825061f5f4e61"
#define INSPECT "http://docker/images/app:1/json"
#define HERE "image 'docker-daemon:app:1': "
#define ASK HERE "ask the daemon at '/run/lab.sock': "
#define LOG_HINT "Try again; if that does not help, the daemon's log may say more."
#define CHANGED_HINT "The image may have been removed or replaced meanwhile; try again."

static char *corpus;

static int
make_corpus(void **state)
{
    (void)state;
    corpus = temp_dir_new();
    char script[] = TEST_SOURCE_DIR "/vectors/daemon/make.py";
    char python[] = "python3", no_cache[] = "-B";
    char *argv[] = {python, no_cache, script, corpus, NULL};
    char *envp[] = {NULL};
    pid_t pid = 0;
    int status = -1;
    assert_int_equal(posix_spawn(&pid, "/usr/bin/python3", NULL, NULL, argv, envp), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return 0;
}

static int
remove_corpus(void **state)
{
    (void)state;
    temp_dir_removep(&corpus);
    return 0;
}

// A platform whose daemon and registry play a script.
struct lab {
    char *tmp; // TMPDIR
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *http;
    struct arena *arena;
    struct image_access access;
    struct image *image;
    struct registry_client *client;
    char *told; // fetching: "0 1048576 …"
};

static void
lab_init(struct lab *lab, const struct script_step *steps, size_t count)
{
    *lab = (struct lab){.tmp = temp_dir_new(), .arena = arena_new(), .told = xstrdup("")};
    char *tmp CLEANUP(xfreep) = xasprintf("TMPDIR=%s", lab->tmp);
    const char *const env[] = {"DOCKER_HOST=unix:///run/lab.sock", tmp, NULL};
    lab->fake = fake_platform_new(env);
    lab->script = script_transport_new(lab->fake, steps, count);
    assert_null(http_client_new(&lab->fake->platform, NULL, &lab->http));
    lab->access = (struct image_access){&lab->fake->platform, lab->http, NULL, NULL};
}

static void
lab_done(struct lab *lab)
{
    image_close(lab->image);
    registry_client_free(lab->client);
    http_client_free(lab->http);
    script_transport_free(lab->script);
    fake_platform_free(lab->fake);
    arena_free(lab->arena);
    free(lab->told);
    temp_dir_removep(&lab->tmp); // fails the test unless it is empty but for what a test made
}

#define RUN(lab, steps)                                                                            \
    struct lab lab CLEANUP(lab_done);                                                              \
    lab_init(&lab, steps, ARRAY_LENGTH(steps))

static struct error *
open_daemon(struct lab *lab)
{
    struct image_source *source = NULL;
    assert_null(image_source_parse("docker-daemon:app:1", lab->arena, &source));
    return image_open(source, &lab->access, &lab->image);
}

static void
expect(struct lab *lab, struct error *err, enum error_kind kind, const char *text, const char *hint)
{
    assert_non_null(err);
    char *actual CLEANUP(xfreep) = error_text(err);
    assert_string_equal(actual, text);
    if (hint == NULL) {
        assert_null(error_hint_of(err));
    } else {
        assert_non_null(error_hint_of(err));
        assert_string_equal(error_hint_of(err), hint);
    }
    assert_int_equal(error_kind(err), kind);
    error_free(err);
    script_transport_finish(lab->script);
}

static void
succeeds(struct error *err)
{
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        fail_msg("failed: %s", text);
    }
}

// One recorded image: what the daemon answers to both questions.
struct recorded {
    struct buf inspect, archive, digest;
    char *get_url;
};

static void
recorded_read(struct recorded *recorded, const char *name)
{
    static const char *const suffixes[] = {"json", "tar", "digest"};
    *recorded = (struct recorded){BUF_INIT(64 * 1024), BUF_INIT(1024 * 1024), BUF_INIT(1024), NULL};
    struct buf *const parts[] = {&recorded->inspect, &recorded->archive, &recorded->digest};
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++) {
        char *path CLEANUP(xfreep) = xasprintf("%s/%s.%s", corpus, name, suffixes[i]);
        bool found = false;
        assert_null(file_read(path, parts[i], i == 2 ? &found : NULL));
    }
    // {"Id":"sha256:…", …
    const char *id = buf_cstr(&recorded->inspect) + strlen("{\"Id\":\"");
    recorded->get_url = xasprintf("http://docker/images/%.71s/get", id);
}

static void
recorded_done(struct recorded *recorded)
{
    buf_done(&recorded->inspect);
    buf_done(&recorded->archive);
    buf_done(&recorded->digest);
    free(recorded->get_url);
}

#define STEP_INSPECT(recorded)                                                                     \
    {                                                                                              \
        .method = HTTP_GET, .url = INSPECT, .reply = buf_cstr(&(recorded).inspect)                 \
    }
#define STEP_GET(recorded)                                                                         \
    {                                                                                              \
        .method = HTTP_GET, .url = (recorded).get_url, .reply = buf_cstr(&(recorded).archive),     \
        .reply_len = (recorded).archive.len                                                        \
    }

static void
opening_asks_once_and_tells_the_parts(void **state)
{
    (void)state;
    struct recorded old CLEANUP(recorded_done);
    recorded_read(&old, "old");
    const struct script_step steps[] = {STEP_INSPECT(old)};
    RUN(lab, steps);
    succeeds(open_daemon(&lab));
    script_transport_finish(lab.script);
    const struct script_request *request = script_transport_request(lab.script, 0);
    assert_string_equal(request->unix_socket, "/run/lab.sock");
    assert_int_equal(request->deadline_ms - request->sent_mono_ms, 60000);
    assert_int_equal(request->headers.count, 0);
    assert_int_equal(image_part_count(lab.image), 3);
    const struct image_part *config = image_part_at(lab.image, 0);
    assert_memory_equal(
        buf_cstr(&old.inspect) + strlen("{\"Id\":\""), config->descriptor.digest, 71);
    assert_int_equal(config->descriptor.size, -1);
    assert_null(config->diff_id);
    for (size_t i = 1; i < 3; i++) {
        const struct image_part *layer = image_part_at(lab.image, i);
        assert_null(layer->descriptor.digest);
        assert_int_equal(layer->descriptor.size, -1);
        assert_int_equal(layer->plain_size, -1);
        assert_true(str_contains(buf_str(&old.inspect), str_of(layer->diff_id)));
    }
    assert_string_equal(image_platforms(lab.image), "linux/amd64");
    assert_false(image_is_settled(lab.image));
}

static void
every_shape_of_archive_is_the_image_that_was_told(void **state)
{
    (void)state;
    static const char *const names[] = {"old", "new", "podman", "kept", "kept-named", "kept-silent",
        "kept-index", "kept-index-whole", "kept-plain"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct recorded recorded CLEANUP(recorded_done);
        recorded_read(&recorded, names[i]);
        const struct script_step steps[] = {STEP_INSPECT(recorded), STEP_GET(recorded)};
        RUN(lab, steps);
        const char *digest = NULL;
        succeeds(open_daemon(&lab));
        succeeds(image_measure(lab.image, IMAGE_COMPRESSION_FAST));
        script_transport_finish(lab.script);
        const struct script_request *request = script_transport_request(lab.script, 1);
        assert_string_equal(request->unix_socket, "/run/lab.sock");
        assert_int_equal(request->deadline_ms - request->sent_mono_ms, 3600000);
        succeeds(image_digest(lab.image, &digest));
        assert_string_equal(digest, buf_cstr(&recorded.digest));
        assert_int_equal(image_part_count(lab.image), 3);
        for (size_t k = 0; k < 3; k++) {
            assert_true(image_part_at(lab.image, k)->descriptor.size > 0);
        }
        succeeds(image_part_verify(lab.image, 0));
        succeeds(image_fetch(lab.image));    // once is enough
        assert_int_equal(rmdir(lab.tmp), 0); // nothing is left in it
    }
}

#define OTHER "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
what_was_settled_stays_settled(void **state)
{
    (void)state;
    static const char *const names[] = {"old", "kept"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct recorded recorded CLEANUP(recorded_done);
        recorded_read(&recorded, names[i]);
        const struct script_step steps[] = {STEP_INSPECT(recorded), STEP_GET(recorded)};
        RUN(lab, steps);
        const struct image_descriptor known = {
            "application/vnd.oci.image.layer.v1.tar+gzip", OTHER, 5, NULL};
        const char *digest = NULL;
        succeeds(open_daemon(&lab));
        image_settle(lab.image, 1, &known);
        succeeds(image_measure(lab.image, IMAGE_COMPRESSION_FAST));
        assert_string_equal(image_part_at(lab.image, 1)->descriptor.digest, OTHER);
        succeeds(image_digest(lab.image, &digest));
        assert_string_not_equal(digest, buf_cstr(&recorded.digest));
        // A registry that did not have it after all gets what there is.
        image_unsettle(lab.image, 1);
        succeeds(image_measure(lab.image, IMAGE_COMPRESSION_FAST));
        succeeds(image_digest(lab.image, &digest));
        assert_string_equal(digest, buf_cstr(&recorded.digest));
    }
}

static const struct {
    struct script_step step;
    enum error_kind kind;
    const char *text, *hint;
} bad_inspects[] = {
    {{.status = 404, .reply = "{\"message\":\"no such image: app:1\"}"}, ERROR_INPUT,
        HERE "the daemon at '/run/lab.sock' has no image 'app:1'",
        "List what it has: docker images."},
    {{.status = 404, .reply_headers = (const char *const[]){"Libpod-Api-Version: 4.3.1", NULL}},
        ERROR_INPUT, HERE "the daemon at '/run/lab.sock' has no image 'app:1'",
        "List what it has: podman images."},
    {{.status = 500, .reply = "{\"message\":\"layer does\\u001b[31m not exist\"}"},
        ERROR_UNAVAILABLE,
        HERE "the daemon at '/run/lab.sock' failed with image 'app:1': layer does not exist "
             "(HTTP 500)",
        NULL},
    {{.status = 500, .reply = "<html>"}, ERROR_UNAVAILABLE,
        HERE "the daemon at '/run/lab.sock' failed with image 'app:1' (HTTP 500)", NULL},
    {{.status = 403, .reply = "{\"message\":\"authorization denied by plugin\"}"}, ERROR_REFUSED,
        HERE "the daemon at '/run/lab.sock' refuses image 'app:1': authorization denied by plugin "
             "(HTTP 403)",
        NULL},
    {{.reply = "<html>"}, ERROR_UNAVAILABLE,
        ASK "unusable answer: JSON, line 1 column 1: invalid token", NULL},
    {{.reply = "[]"}, ERROR_UNAVAILABLE, ASK "unusable answer: not a JSON object (image)", NULL},
    {{.reply = "{\"RootFS\":{}}"}, ERROR_UNAVAILABLE, ASK "unusable answer: 'Id' is missing", NULL},
    {{.reply = "{\"Id\":\"" OTHER "\"}"}, ERROR_UNAVAILABLE,
        ASK "unusable answer: 'RootFS' is missing", NULL},
    {{.reply = "{\"Id\":\"../../x\",\"RootFS\":{}}"}, ERROR_UNAVAILABLE,
        ASK "'Id' '../../x' is not a digest", NULL},
    {{.reply = "{\"Id\":\"" OTHER "\",\"RootFS\":{\"Layers\":[\"" OTHER "\",\"sha256:1\"]}}"},
        ERROR_UNAVAILABLE, ASK "'RootFS.Layers[1]' 'sha256:1' is not a digest", NULL},
    {{.takes_ms = 60001}, ERROR_UNAVAILABLE, ASK "GET " INSPECT ": timed out",
        "The daemon hangs, or is very busy; look at its log."},
    {{.failure = "connection reset", .request_left = true}, ERROR_UNAVAILABLE,
        ASK "GET " INSPECT ": connection reset", "The daemon stopped on the way; look at its log."},
    {{.failure = "refused"}, ERROR_UNAVAILABLE,
        HERE "no daemon is there: '/run/lab.sock' does not exist",
        "Start the daemon (systemctl start docker, or systemctl --user start podman.socket), or "
        "name its socket by DOCKER_HOST=unix:///PATH."},
    {{.failure = "interrupted", .failure_kind = ERROR_CANCELLED, .failure_code = "cancelled"},
        ERROR_CANCELLED, HERE "GET " INSPECT ": interrupted", NULL},
};

static void
answers_that_are_none_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad_inspects); i++) {
        struct script_step steps[] = {bad_inspects[i].step};
        steps[0].method = HTTP_GET;
        steps[0].url = INSPECT;
        RUN(lab, steps);
        expect(&lab, open_daemon(&lab), bad_inspects[i].kind, bad_inspects[i].text,
            bad_inspects[i].hint);
    }
}

static void
too_many_layers_are_refused(void **state)
{
    (void)state;
    struct buf reply CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    buf_puts(&reply, "{\"Id\":\"" OTHER "\",\"RootFS\":{\"Layers\":[\"" OTHER "\"");
    for (size_t i = 1; i < 1001; i++) {
        buf_puts(&reply, ",\"" OTHER "\"");
    }
    buf_puts(&reply, "]}}");
    const struct script_step steps[] = {
        {.method = HTTP_GET, .url = INSPECT, .reply = buf_cstr(&reply)}};
    RUN(lab, steps);
    expect(&lab, open_daemon(&lab), ERROR_UNAVAILABLE,
        ASK "'RootFS.Layers' has 1001 entries, more than 1000", NULL);
}

// connect() needs the right to write; root has it always, so the test gives that up.
static void
a_socket_of_others_names_the_group(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        {.method = HTTP_GET, .url = INSPECT, .failure = "permission denied"},
        {.method = HTTP_GET, .url = INSPECT, .failure = "connection refused"}};
    RUN(lab, steps);
    char *path CLEANUP(xfreep) = temp_dir_path(lab.tmp, "docker.sock");
    char *text CLEANUP(xfreep) = xasprintf(HERE "permission to use '%s' is denied", path);
    char *dead CLEANUP(xfreep) =
        xasprintf(HERE "ask the daemon at '%s': GET " INSPECT ": connection refused", path);
    char *host CLEANUP(xfreep) = xasprintf("DOCKER_HOST=unix://%s", path);
    const char *const env[] = {host, NULL};
    assert_null(file_write(path, STR(""), 0600));
    assert_int_equal(chmod(lab.tmp, 0755), 0);
    fake_platform_set_env(lab.fake, env);
    uid_t self = geteuid();
    if (self == 0) {
        assert_int_equal(seteuid(65534), 0);
    } else {
        assert_int_equal(chmod(path, 0), 0);
    }
    struct error *err = open_daemon(&lab);
    assert_int_equal(seteuid(self), 0);
    assert_non_null(err);
    char *actual CLEANUP(xfreep) = error_text(err);
    assert_string_equal(actual, text);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    assert_string_equal(error_hint_of(err),
        "Become a member of the group that owns it (usually docker), or name a daemon of your own "
        "by DOCKER_HOST=unix:///PATH.");
    error_free(err);
    assert_int_equal(chmod(path, 0600), 0);
    expect(&lab, open_daemon(&lab), ERROR_UNAVAILABLE, dead,
        "The daemon behind the socket does not run: systemctl start docker.");
}

static void
only_unix_sockets_are_daemons(void **state)
{
    (void)state;
    static const char *const hosts[] = {"tcp://127.0.0.1:2375", "ssh://user@host",
        "unix://relative", "unix://", "/var/run/docker.sock"};
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        struct lab lab CLEANUP(lab_done);
        lab_init(&lab, NULL, 0);
        char *host CLEANUP(xfreep) = xasprintf("DOCKER_HOST=%s", hosts[i]);
        char *text CLEANUP(xfreep) =
            xasprintf(HERE "DOCKER_HOST '%s' is not a unix socket of this machine", hosts[i]);
        const char *const env[] = {host, NULL};
        fake_platform_set_env(lab.fake, env);
        expect(&lab, open_daemon(&lab), ERROR_INPUT, text,
            "Set DOCKER_HOST to unix:///PATH, or fetch the image from there first: docker save -o "
            "image.tar NAME:TAG, then use docker-archive:image.tar.");
    }
}

static void
without_docker_podman_is_asked(void **state)
{
    (void)state;
    if (access("/var/run/docker.sock", F_OK) == 0) {
        skip();
    }
    struct recorded old CLEANUP(recorded_done);
    recorded_read(&old, "old");
    const struct script_step steps[] = {STEP_INSPECT(old)};
    RUN(lab, steps);
    char *directory CLEANUP(xfreep) = temp_dir_path(lab.tmp, "podman");
    char *path CLEANUP(xfreep) = temp_dir_path(lab.tmp, "podman/podman.sock");
    char *runtime CLEANUP(xfreep) = xasprintf("XDG_RUNTIME_DIR=%s", lab.tmp);
    const char *const env[] = {runtime, NULL};
    assert_null(file_make_directories(directory));
    assert_null(file_write(path, STR(""), 0600));
    fake_platform_set_env(lab.fake, env);
    succeeds(open_daemon(&lab));
    assert_string_equal(script_transport_request(lab.script, 0)->unix_socket, path);
}

static void
files_can_be_read_without_a_daemon_only(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct image_source *source = NULL;
    struct image *image = NULL;
    assert_null(image_source_parse("docker-daemon:app:1", arena, &source));
    struct error *err CLEANUP(error_freep) = image_open(source, NULL, &image);
    assert_non_null(err);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_string_equal(text, HERE "no daemon can be asked here, only files be read");
}

// Replies to GET …/get of the image "old" that give no image.
static void
an_export_that_fails_says_how(void **state)
{
    (void)state;
    struct recorded old CLEANUP(recorded_done);
    recorded_read(&old, "old");
    const char *archive = buf_cstr(&old.archive);
    char *id CLEANUP(xfreep) = xasprintf("%.71s", old.get_url + strlen("http://docker/images/"));
    char *none CLEANUP(xfreep) =
        xasprintf(HERE "the daemon at '/run/lab.sock' has no image '%s'", id);
    char *full CLEANUP(xfreep) = xasprintf(HERE
        "the daemon at '/run/lab.sock' failed with image '%s': write: no space left on device "
        "(HTTP 500)",
        id);
    char *late CLEANUP(xfreep) = xasprintf(ASK "GET %s: timed out", old.get_url);
    char *reset CLEANUP(xfreep) = xasprintf(ASK "GET %s: connection reset", old.get_url);
#define ARCHIVE HERE "archive of the daemon at '/run/lab.sock': "
    const struct {
        struct script_step step;
        enum error_kind kind;
        const char *text, *hint;
    } cases[] = {
        {{.status = 404}, ERROR_INPUT, none, "List what it has: docker images."},
        {{.status = 500, .reply = "{\"message\":\"write: no space left on device\"}"},
            ERROR_UNAVAILABLE, full, NULL},
        {{.takes_ms = 3600001}, ERROR_UNAVAILABLE, late,
            "The daemon hangs, or is very busy; look at its log."},
        {{.failure = "connection reset", .request_left = true}, ERROR_UNAVAILABLE, reset,
            "The daemon stopped on the way; look at its log."},
        {{.reply = ""}, ERROR_INPUT, ARCHIVE "the archive is empty", LOG_HINT},
        {{.reply = "{\"message\":\"something\"}"}, ERROR_INPUT,
            ARCHIVE "it is not a readable tar archive: 'Unrecognized archive format'", LOG_HINT},
        {{.reply = "\x1f\x8b\x08 gzip"}, ERROR_INPUT,
            ARCHIVE "it is compressed with gzip, and only plain tar can be read", LOG_HINT},
        {{.reply = archive, .reply_len = 1024}, ERROR_INPUT,
            ARCHIVE "it is not a Docker archive: no 'manifest.json'", LOG_HINT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct script_step steps[] = {STEP_INSPECT(old), cases[i].step};
        steps[1].method = HTTP_GET;
        steps[1].url = old.get_url;
        RUN(lab, steps);
        succeeds(open_daemon(&lab));
        expect(&lab, image_fetch(lab.image), cases[i].kind, cases[i].text, cases[i].hint);
        assert_int_equal(rmdir(lab.tmp), 0); // nothing is left in it
    }
}

// Cut anywhere, an archive is refused or whole: never half an image.
static void
a_cut_archive_is_never_an_image(void **state)
{
    (void)state;
    struct recorded old CLEANUP(recorded_done);
    recorded_read(&old, "new");
    size_t refused = 0;
    for (size_t len = 512; len < old.archive.len; len += 512) {
        const struct script_step steps[] = {STEP_INSPECT(old), {.method = HTTP_GET,
                                                                   .url = old.get_url,
                                                                   .reply = buf_cstr(&old.archive),
                                                                   .reply_len = len}};
        RUN(lab, steps);
        succeeds(open_daemon(&lab));
        struct error *err = image_fetch(lab.image);
        if (err == NULL) { // only the end mark of the tar is missing
            const char *digest = NULL;
            succeeds(image_measure(lab.image, IMAGE_COMPRESSION_FAST));
            succeeds(image_digest(lab.image, &digest));
            assert_string_equal(digest, GRAPH_DIGEST);
            continue;
        }
        refused++;
        assert_int_equal(error_kind(err), ERROR_INPUT);
        error_free(err);
    }
    assert_true(refused >= 10);
}

static void
an_archive_of_something_else_is_a_conflict(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"other-config", HERE "the daemon's archive has configuration '*' where '*' was told"},
        {"other-layers", HERE "the daemon's archive has layer '*' where '*' was told"},
        {"more-layers", HERE "the daemon's archive has 2 layers where 1 were told"},
        {"kept-other", HERE "the daemon's archive has configuration '*' where '*' was told"},
        {"kept-corrupt", HERE "the daemon's archive has content '*' where '*' was told"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct recorded recorded CLEANUP(recorded_done);
        recorded_read(&recorded, cases[i].name);
        const struct script_step steps[] = {STEP_INSPECT(recorded), STEP_GET(recorded)};
        RUN(lab, steps);
        succeeds(open_daemon(&lab));
        struct error *err CLEANUP(error_freep) = image_fetch(lab.image);
        assert_non_null(err);
        char *text CLEANUP(xfreep) = error_text(err);
        if (fnmatch(cases[i].text, text, 0) != 0) {
            fail_msg("%s: %s", cases[i].name, text);
        }
        assert_int_equal(error_kind(err), ERROR_CONFLICT);
        assert_string_equal(error_hint_of(err), CHANGED_HINT);
    }
}

static void
a_corrupt_layer_is_found_when_it_is_read(void **state)
{
    (void)state;
    struct recorded recorded CLEANUP(recorded_done);
    recorded_read(&recorded, "corrupt-layer");
    const struct script_step steps[] = {STEP_INSPECT(recorded), STEP_GET(recorded)};
    RUN(lab, steps);
    succeeds(open_daemon(&lab));
    struct error *err CLEANUP(error_freep) = image_measure(lab.image, IMAGE_COMPRESSION_FAST);
    assert_non_null(err);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_int_equal(fnmatch(HERE "layer '*1/layer.tar' has digest '*' but the configuration says "
                                  "'*'",
                         text, 0),
        0);
}

static void
a_directory_that_takes_nothing_is_named(void **state)
{
    (void)state;
    struct recorded old CLEANUP(recorded_done);
    recorded_read(&old, "old");
    const struct script_step steps[] = {STEP_INSPECT(old)};
    RUN(lab, steps);
    static const char *const env[] = {
        "DOCKER_HOST=unix:///run/lab.sock", "TMPDIR=/nonexistent/tmp", NULL};
    fake_platform_set_env(lab.fake, env);
    succeeds(open_daemon(&lab));
    expect(&lab, image_fetch(lab.image), ERROR_STORAGE,
        HERE "no temporary file for the image can be made in '/nonexistent/tmp': No such file or "
             "directory",
        "Name a directory with room for the whole image by TMPDIR.");
}

static void
a_full_disk_is_named(void **state)
{
    (void)state;
    struct recorded old CLEANUP(recorded_done);
    recorded_read(&old, "old");
    const struct script_step steps[] = {STEP_INSPECT(old), STEP_GET(old)};
    RUN(lab, steps);
    struct rlimit before;
    char *text CLEANUP(xfreep) =
        xasprintf(HERE "the image does not fit into '%s': File too large after 0.0 MiB", lab.tmp);
    succeeds(open_daemon(&lab));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {4096, before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct error *err = image_fetch(lab.image);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    expect(&lab, err, ERROR_STORAGE, text,
        "Name a directory with room for the whole image by TMPDIR.");
}

static void
tell(void *ctx, int64_t done)
{
    struct lab *lab = ctx;
    char *longer = xasprintf("%s%lld ", lab->told, (long long)done);
    free(lab->told);
    lab->told = longer;
}

static void
a_spool_tells_and_caps(void **state)
{
    (void)state;
    enum { PIECE = 700 * 1024, MAX = 4 * PIECE };
    struct lab lab CLEANUP(lab_done);
    lab_init(&lab, NULL, 0);
    struct image_spool *spool CLEANUP(image_spool_freep) = NULL;
    char *piece CLEANUP(xfreep) = xcalloc(1, PIECE);
    int fd = -1;
    succeeds(image_spool_new(&lab.fake->platform, MAX, &spool));
    image_spool_watch(spool, tell, &lab);
    for (size_t i = 0; i < 4; i++) {
        succeeds(image_spool_write(spool, piece, PIECE));
    }
    assert_string_equal(lab.told, "0 1433600 2867200 ");
    struct error *err = image_spool_write(spool, "x", 1);
    expect(&lab, err, ERROR_INPUT, "the daemon sends an archive of more than 2867200 bytes", NULL);
    succeeds(image_spool_take(spool, &fd));
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), MAX);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(close(fd), 0);
}

// Pushes.

#define BASE "https://registry.example.org/v2/team/app"
#define MANIFEST_TYPE "application/vnd.docker.distribution.manifest.v2+json"

static struct error *
push(struct lab *lab, struct registry_push_result *result)
{
    const struct registry_options options = {.host = "registry.example.org"};
    const struct registry_push order = {.repository = "team/app",
        .tag = "v2",
        .image = lab->image,
        .fetching = tell,
        .progress_ctx = lab};
    assert_null(registry_client_new(&lab->fake->platform, lab->http, &options, &lab->client));
    return registry_push_image(lab->client, &order, lab->arena, result);
}

// What a push of the recorded image leaves in a registry.
struct earlier {
    struct buf manifest, config;
    const char *config_url, *header;
};

static void
earlier_make(struct earlier *earlier, const char *name, struct arena *arena)
{
    struct recorded recorded CLEANUP(recorded_done);
    recorded_read(&recorded, name);
    const struct script_step steps[] = {STEP_INSPECT(recorded), STEP_GET(recorded)};
    RUN(lab, steps);
    const struct image_manifest *manifests = NULL;
    size_t count = 0;
    struct http_reader reader = {0};
    struct error *err = NULL;
    char bytes[4096];
    *earlier = (struct earlier){BUF_INIT(64 * 1024), BUF_INIT(64 * 1024), NULL, NULL};
    succeeds(open_daemon(&lab));
    succeeds(image_measure(lab.image, IMAGE_COMPRESSION_FAST));
    succeeds(image_manifests(lab.image, &manifests, &count));
    buf_add(&earlier->manifest, manifests[count - 1].bytes);
    succeeds(image_part_open(lab.image, 0, &reader));
    int64_t got = reader.read(reader.ctx, bytes, sizeof(bytes), &err);
    assert_true(got > 0 && got < (int64_t)sizeof(bytes));
    buf_append(&earlier->config, bytes, (size_t)got);
    image_part_close(&reader);
    earlier->config_url =
        arena_printf(arena, BASE "/blobs/%s", image_part_at(lab.image, 0)->descriptor.digest);
    earlier->header =
        arena_printf(arena, "Content-Type: %s", manifests[count - 1].descriptor.media_type);
}

static void
earlier_done(struct earlier *earlier)
{
    buf_done(&earlier->manifest);
    buf_done(&earlier->config);
}

#define STEP_TAGS(names)                                                                           \
    {                                                                                              \
        .method = HTTP_GET, .url = BASE "/tags/list?n=500", .reply = "{\"tags\":[" names "]}"      \
    }

static void
what_is_there_is_not_exported(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct recorded old CLEANUP(recorded_done);
    struct earlier earlier CLEANUP(earlier_done);
    recorded_read(&old, "old");
    earlier_make(&earlier, "old", arena);
    const char *const types[] = {earlier.header, NULL};
    const struct script_step steps[] = {
        STEP_INSPECT(old),
        STEP_TAGS("\"v1\""),
        {.method = HTTP_GET,
            .url = BASE "/manifests/v1",
            .reply_headers = types,
            .reply = buf_cstr(&earlier.manifest)},
        {.method = HTTP_PUT,
            .url = BASE "/manifests/v2",
            .body = buf_cstr(&earlier.manifest),
            .status = 201,
            .reply_headers = (const char *const[]){"Docker-Content-Digest: " GRAPH_DIGEST, NULL}},
    };
    RUN(lab, steps);
    struct registry_push_result result = {0};
    succeeds(open_daemon(&lab));
    succeeds(push(&lab, &result));
    script_transport_finish(lab.script);
    assert_string_equal(result.digest, GRAPH_DIGEST);
    assert_true(result.already_there);
    assert_int_equal(result.requests, 3);
    assert_string_equal(lab.told, "");
}

static void
a_kept_manifest_that_is_there_costs_two_requests(void **state)
{
    (void)state;
    static const char *const names[] = {"kept", "kept-named"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct recorded kept CLEANUP(recorded_done);
        struct earlier earlier CLEANUP(earlier_done);
        recorded_read(&kept, names[i]);
        earlier_make(&earlier, names[i], arena);
        const char *const types[] = {earlier.header, NULL};
        const char *digest = buf_cstr(&kept.digest);
        char *url CLEANUP(xfreep) = xasprintf(BASE "/manifests/%s", digest);
        char *confirmed CLEANUP(xfreep) = xasprintf("Docker-Content-Digest: %s", digest);
        const char *const stored[] = {confirmed, NULL};
        const struct script_step steps[] = {
            STEP_INSPECT(kept),
            {.method = HTTP_GET,
                .url = url,
                .reply_headers = types,
                .reply = buf_cstr(&earlier.manifest)},
            {.method = HTTP_PUT,
                .url = BASE "/manifests/v2",
                .body = buf_cstr(&earlier.manifest),
                .status = 201,
                .reply_headers = stored},
        };
        RUN(lab, steps);
        struct registry_push_result result = {0};
        succeeds(open_daemon(&lab));
        succeeds(push(&lab, &result));
        script_transport_finish(lab.script);
        assert_string_equal(result.digest, digest);
        assert_true(result.already_there);
        assert_int_equal(result.requests, 2);
        assert_string_equal(lab.told, "");
    }
}

// Another image with the same layers was looked at, and the configuration is there as well.
static void
layers_and_configuration_that_are_there_are_not_exported(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct recorded old CLEANUP(recorded_done);
    struct earlier earlier CLEANUP(earlier_done);
    recorded_read(&old, "old");
    earlier_make(&earlier, "old", arena);
    const char *const types[] = {earlier.header, NULL};
    // Of the same layers, with a configuration that says a little more.
    struct buf other_config CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    struct buf other_manifest CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    char digest[SHA256_DIGEST_TEXT_SIZE];
    unsigned char hash[SHA256_SIZE];
    buf_add(&other_config, buf_str(&earlier.config));
    buf_cut(&other_config, other_config.len - 1);
    buf_puts(&other_config, ",\"author\":\"x\"}");
    sha256_of(buf_str(&other_config), hash);
    sha256_digest_text(hash, digest);
    const char *own = strrchr(earlier.config_url, '/') + 1;
    const char *at = strstr(buf_cstr(&earlier.manifest), own);
    assert_non_null(at);
    buf_append(
        &other_manifest, buf_cstr(&earlier.manifest), (size_t)(at - buf_cstr(&earlier.manifest)));
    buf_puts(&other_manifest, digest);
    buf_puts(&other_manifest, at + strlen(own));
    char *other_url CLEANUP(xfreep) = xasprintf(BASE "/blobs/%s", digest);
    const struct script_step steps[] = {
        STEP_INSPECT(old),
        STEP_TAGS("\"v1\""),
        {.method = HTTP_GET,
            .url = BASE "/manifests/v1",
            .reply_headers = types,
            .reply = buf_cstr(&other_manifest)},
        {.method = HTTP_GET, .url = other_url, .reply = buf_cstr(&other_config)},
        {.method = HTTP_GET, .url = earlier.config_url, .reply = buf_cstr(&earlier.config)},
        {.method = HTTP_PUT,
            .url = BASE "/manifests/v2",
            .body = buf_cstr(&earlier.manifest),
            .status = 201,
            .reply_headers = (const char *const[]){"Docker-Content-Digest: " GRAPH_DIGEST, NULL}},
    };
    RUN(lab, steps);
    struct registry_push_result result = {0};
    succeeds(open_daemon(&lab));
    succeeds(push(&lab, &result));
    script_transport_finish(lab.script);
    assert_string_equal(result.digest, GRAPH_DIGEST);
    assert_int_equal(result.blobs_present, 3);
    assert_int_equal(result.blobs_sent, 0);
    assert_string_equal(lab.told, "");
}

// The export begins when the registry has been asked, and is told of.
static void
what_is_not_there_is_exported(void **state)
{
    (void)state;
    struct recorded old CLEANUP(recorded_done);
    recorded_read(&old, "old");
    const struct script_step steps[] = {
        STEP_INSPECT(old),
        {.method = HTTP_GET, .url = BASE "/tags/list?n=500", .status = 404},
        {.method = HTTP_GET, .url = old.get_url, .status = 500},
    };
    RUN(lab, steps);
    char *text CLEANUP(xfreep) =
        xasprintf("push 'registry.example.org/team/app:v2': " HERE "the daemon at '/run/lab.sock' "
                  "failed with image '%.71s' (HTTP 500)",
            old.get_url + strlen("http://docker/images/"));
    struct registry_push_result result = {0};
    succeeds(open_daemon(&lab));
    expect(&lab, push(&lab, &result), ERROR_UNAVAILABLE, text, NULL);
    assert_string_equal(lab.told, "0 ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_asks_once_and_tells_the_parts),
        cmocka_unit_test(every_shape_of_archive_is_the_image_that_was_told),
        cmocka_unit_test(what_was_settled_stays_settled),
        cmocka_unit_test(answers_that_are_none_are_refused),
        cmocka_unit_test(too_many_layers_are_refused),
        cmocka_unit_test(a_socket_of_others_names_the_group),
        cmocka_unit_test(only_unix_sockets_are_daemons),
        cmocka_unit_test(without_docker_podman_is_asked),
        cmocka_unit_test(files_can_be_read_without_a_daemon_only),
        cmocka_unit_test(an_export_that_fails_says_how),
        cmocka_unit_test(a_cut_archive_is_never_an_image),
        cmocka_unit_test(an_archive_of_something_else_is_a_conflict),
        cmocka_unit_test(a_corrupt_layer_is_found_when_it_is_read),
        cmocka_unit_test(a_directory_that_takes_nothing_is_named),
        cmocka_unit_test(a_full_disk_is_named),
        cmocka_unit_test(a_spool_tells_and_caps),
        cmocka_unit_test(what_is_there_is_not_exported),
        cmocka_unit_test(a_kept_manifest_that_is_there_costs_two_requests),
        cmocka_unit_test(layers_and_configuration_that_are_there_are_not_exported),
        cmocka_unit_test(what_is_not_there_is_exported),
    };
    return cmocka_run_group_tests(tests, make_corpus, remove_corpus);
}
