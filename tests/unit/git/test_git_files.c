// Files of a repository at a ref: over the local transports and over HTTP(S) from git's own
// backend, and everything that must stop, refuse or not leak on the way.
#include "dispatcher/git.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "git_fixture.h"
#include "git_http.h"

enum { CAP = 1000 };

struct world {
    struct git_fixture *git;
    struct platform platform;
    struct environment *env;
    struct cancel *cancel;
    struct arena *arena;
    char *first, *second, *branch, *cache, *local;
};

static void
world_done(struct world *world)
{
    free(world->first);
    free(world->second);
    free(world->branch);
    free(world->cache);
    free(world->local);
    environment_free(world->env);
    cancel_free(world->cancel);
    arena_free(world->arena);
    git_fixture_free(world->git);
}

// infra.git: main has two commits, v1 (annotated) is the first, "release/1" a commit of its own.
static void
world_init(struct world *world)
{
    world->git = git_fixture_new();
    world->env = environment_new((char *const[]){NULL});
    world->cancel = cancel_new();
    world->arena = arena_new();
    world->platform = (struct platform){.clock = &clock_system,
        .random = &random_system,
        .env = world->env,
        .cancel = world->cancel};
    git_fixture_init(world->git, "work");
    git_fixture_write(world->git, "work/appspecs/shop.yaml", "name: old\n");
    git_fixture_commit(world->git, "work", "dispatcher.yaml", "a: 1\n", "First");
    world->first = git_fixture_id(world->git, "work", "HEAD");
    git_run(world->git, "work", "tag", "-a", "v1", "-m", "one");
    git_fixture_write(world->git, "work/appspecs/api.yaml", "name: api\n");
    git_fixture_commit(world->git, "work", "appspecs/shop.yaml", "name: new\n", "Second");
    world->second = git_fixture_id(world->git, "work", "HEAD");
    git_run(world->git, "work", "checkout", "-q", "-b", "release/1", "HEAD~1");
    git_fixture_commit(world->git, "work", "appspecs/shop.yaml", "name: release\n", "Release");
    world->branch = git_fixture_id(world->git, "work", "HEAD");
    git_run(world->git, "work", "checkout", "-q", "main");
    git_run(world->git, ".", "clone", "-q", "--bare", "work", "infra.git");
    world->cache = git_fixture_path(world->git, "cache/git");
    world->local = git_fixture_path(world->git, "infra.git");
}

static struct git_files *
open_with(struct world *world, const char *url, const char *ref, const struct git_access *access,
    struct error **err)
{
    struct git_location location = {.url = url, .path = "", .ref = ref};
    struct git_access plain = {.platform = &world->platform};
    struct git_files *files = NULL;
    *err = git_files_open(&location, world->cache, access != NULL ? access : &plain, &files);
    return files;
}

static struct git_files *
open_at(struct world *world, const char *url, const char *ref)
{
    struct error *err CLEANUP(error_freep) = NULL;
    struct git_files *files = open_with(world, url, ref, NULL, &err);
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        fail_msg("%s", text);
    }
    return files;
}

static void
assert_file(struct git_files *files, const char *path, const char *want)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(CAP);
    bool found = false;
    assert_null(git_files_read(files, path, CAP, &text, &found));
    assert_int_equal(found, want != NULL);
    assert_string_equal(buf_cstr(&text), want != NULL ? want : "");
}

static void
assert_open_fails(struct world *world, const char *url, const char *ref,
    const struct git_access *access, enum error_kind kind, const char *message)
{
    struct error *err CLEANUP(error_freep) = NULL;
    struct git_files *files CLEANUP(git_files_closep) = open_with(world, url, ref, access, &err);
    assert_null(files);
    assert_non_null(err);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_string_equal(text, message);
    assert_int_equal(error_kind(err), kind);
}

static void
check_refs(struct world *w, const char *url)
{
    const struct {
        const char *ref, *commit, *shop;
    } rows[] = {
        {NULL, w->second, "name: new\n"}, {"main", w->second, "name: new\n"},
        {"refs/heads/main", w->second, "name: new\n"}, {"v1", w->first, "name: old\n"},
        {"refs/tags/v1", w->first, "name: old\n"}, {"release/1", w->branch, "name: release\n"},
        {w->second, w->second, "name: new\n"},
        {w->first, w->first, "name: old\n"}, // no branch points there
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct git_files *files CLEANUP(git_files_closep) = open_at(w, url, rows[i].ref);
        assert_string_equal(git_files_commit(files), rows[i].commit);
        assert_file(files, "appspecs/shop.yaml", rows[i].shop);
        assert_file(files, "dispatcher.yaml", "a: 1\n");
    }
}

static void
every_kind_of_ref_is_fetched_from_a_path(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    check_refs(&w, w.local);
}

static void
every_kind_of_ref_is_fetched_from_a_file_url(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    char *url CLEANUP(xfreep) = xasprintf("file://%s", w.local);
    check_refs(&w, url);
}

static void
every_kind_of_ref_is_fetched_over_http(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_run(w.git, "infra.git", "config", "uploadpack.allowReachableSHA1InWant", "true");
    struct git_http *server CLEANUP(git_http_freep) = git_http_new(w.git, NULL, NULL);
    char *url CLEANUP(xfreep) = git_http_url(server, "infra.git");
    check_refs(&w, url);
}

static void
a_commit_that_the_server_keeps_back_is_an_error(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    struct git_http *server CLEANUP(git_http_freep) = git_http_new(w.git, NULL, NULL);
    char *url CLEANUP(xfreep) = git_http_url(server, "infra.git");
    char *kept CLEANUP(xfreep) = xasprintf("'%s' does not give commit '%s'", url, w.first);
    git_run(w.git, "infra.git", "tag", "-d", "v1");
    assert_open_fails(&w, url, w.first, NULL, ERROR_USAGE, kept);
    static const char nowhere[] = "0123456789012345678901234567890123456789";
    char *message CLEANUP(xfreep) = xasprintf("'%s' does not give commit '%s'", w.local, nowhere);
    assert_open_fails(&w, w.local, nowhere, NULL, ERROR_USAGE, message);
}

static void
only_what_is_new_is_asked_for(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    struct git_http *server CLEANUP(git_http_freep) = git_http_new(w.git, NULL, NULL);
    char *url CLEANUP(xfreep) = git_http_url(server, "infra.git");
    git_files_close(open_at(&w, url, "main"));
    int first = git_http_count(server);
    git_files_close(open_at(&w, url, "main")); // the refs, and nothing more
    assert_int_equal(git_http_count(server), first + 1);
    git_files_close(open_at(&w, url, w.first)); // known: no request at all
    assert_int_equal(git_http_count(server), first + 1);

    git_fixture_commit(w.git, "work", "appspecs/shop.yaml", "name: newer\n", "Third");
    git_run(w.git, "work", "push", "-q", "../infra.git", "main");
    struct git_files *files CLEANUP(git_files_closep) = open_at(&w, url, "main");
    assert_file(files, "appspecs/shop.yaml", "name: newer\n");
}

static void
names_that_are_not_there_are_refused(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    static const char *const refs[] = {"nope", "refs/heads/nope", "0123456", "mai", "heads/main"};
    for (size_t i = 0; i < ARRAY_LENGTH(refs); i++) {
        char *message CLEANUP(xfreep) = xasprintf("there is no '%s' in '%s'", refs[i], w.local);
        assert_open_fails(&w, w.local, refs[i], NULL, ERROR_USAGE, message);
    }
    git_run(w.git, "infra.git", "tag", "main", w.first);
    char *both CLEANUP(xfreep) = xasprintf("'main' is both a branch and a tag of '%s'", w.local);
    assert_open_fails(&w, w.local, "main", NULL, ERROR_USAGE, both);
    struct git_files *files CLEANUP(git_files_closep) = open_at(&w, w.local, "refs/tags/main");
    assert_string_equal(git_files_commit(files), w.first);
}

static void
reading_has_caps_and_follows_no_links(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    char large[CAP + 2];
    memset(large, 'x', CAP + 1);
    large[CAP + 1] = '\0';
    char *link CLEANUP(xfreep) = git_fixture_path(w.git, "work/appspecs/link.yaml");
    assert_int_equal(symlink("/etc/passwd", link), 0);
    git_fixture_write(w.git, "work/appspecs/sub/deep.yaml", "x");
    git_fixture_commit(w.git, "work", "appspecs/large.yaml", large, "Odd");
    struct git_files *files CLEANUP(git_files_closep) = NULL;
    char *url CLEANUP(xfreep) = git_fixture_path(w.git, "work/.git");
    files = open_at(&w, url, NULL);

    static const struct {
        const char *path, *message;
    } bad[] = {
        {"appspecs/link.yaml", "'appspecs/link.yaml' is a symbolic link"},
        {"appspecs", "'appspecs' is a directory, not a file"},
        {"appspecs/large.yaml", "'appspecs/large.yaml' is larger than 1000 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct buf text CLEANUP(buf_done) = BUF_INIT(CAP);
        bool found = true;
        struct error *err CLEANUP(error_freep) =
            git_files_read(files, bad[i].path, CAP, &text, &found);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_INPUT);
        assert_string_equal(error_message(err), bad[i].message);
        assert_int_equal(text.len, 0);
    }
    static const char *const missing[] = {"", "no.yaml", "appspecs/no.yaml", "../dispatcher.yaml",
        "appspecs/../dispatcher.yaml", "appspecs/link.yaml/x", "dispatcher.yaml/x", ".git/config"};
    for (size_t i = 0; i < ARRAY_LENGTH(missing); i++) {
        assert_file(files, missing[i], NULL);
    }
}

static void
listing_names_files_only(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    char *link CLEANUP(xfreep) = git_fixture_path(w.git, "work/appspecs/zz.yaml");
    assert_int_equal(symlink("shop.yaml", link), 0);
    git_fixture_write(w.git, "work/appspecs/dir.yaml/inner", "x");
    git_fixture_commit(w.git, "work", "appspecs/README.md", "x", "More");
    char *url CLEANUP(xfreep) = git_fixture_path(w.git, "work/.git");
    struct git_files *files CLEANUP(git_files_closep) = open_at(&w, url, "main");
    struct str_list list = {0};
    assert_null(git_files_list(files, "appspecs", ".yaml", w.arena, &list));
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0], "api.yaml");
    assert_string_equal(list.items[1], "shop.yaml");
    assert_null(git_files_list(files, "", ".yaml", w.arena, &list));
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0], "dispatcher.yaml");
    static const char *const none[] = {"nope", "dispatcher.yaml", "..", "appspecs/nope"};
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++) {
        assert_null(git_files_list(files, none[i], "", w.arena, &list));
        assert_int_equal(list.count, 0);
    }
}

static void
a_token_is_sent_as_github_wants_it(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    struct git_http *server CLEANUP(git_http_freep) =
        git_http_new(w.git, "--token", "ghs_canary_right");
    char *url CLEANUP(xfreep) = git_http_url(server, "infra.git");
    struct secret *right CLEANUP(secret_freep) = secret_new(STR("ghs_canary_right"));
    struct git_access access = {.platform = &w.platform, .token = right};
    struct error *err CLEANUP(error_freep) = NULL;
    struct git_files *files CLEANUP(git_files_closep) = open_with(&w, url, NULL, &access, &err);
    assert_null(err);
    assert_file(files, "dispatcher.yaml", "a: 1\n");
    // Nothing of it stays behind in the cache.
    char *grep CLEANUP(xfreep) = xasprintf("! grep -rq canary %s", w.cache);
    git_run(w.git, ".", "-c", "alias.x=!f() { eval \"$1\"; }; f", "x", grep);
}

static void
refused_and_missing_tokens_are_told_apart(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    struct git_http *server CLEANUP(git_http_freep) = git_http_new(w.git, "--token", "right-one");
    char *url CLEANUP(xfreep) = git_http_url(server, "infra.git");
    struct secret *wrong CLEANUP(secret_freep) = secret_new(STR("ghs_canary_wrong"));
    struct git_access access = {.platform = &w.platform, .token = wrong};
    char *refused CLEANUP(xfreep) = xasprintf("'%s' refused the token", url);
    char *wanted CLEANUP(xfreep) = xasprintf("'%s' wants a token", url);
    assert_open_fails(&w, url, NULL, &access, ERROR_CREDENTIALS, refused);
    assert_true(git_http_count(server) <= 3); // not for ever
    assert_open_fails(&w, url, NULL, NULL, ERROR_CREDENTIALS, wanted);
}

static void
a_repository_that_is_not_there_is_said_so(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    struct git_http *server CLEANUP(git_http_freep) = git_http_new(w.git, NULL, NULL);
    char *url CLEANUP(xfreep) = git_http_url(server, "nope.git");
    char *message CLEANUP(xfreep) = xasprintf("'%s' does not exist or may not be read", url);
    assert_open_fails(&w, url, NULL, NULL, ERROR_CREDENTIALS, message);

    struct error *err CLEANUP(error_freep) = NULL;
    char *missing CLEANUP(xfreep) = git_fixture_path(w.git, "nope.git");
    assert_null(open_with(&w, missing, NULL, NULL, &err));
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_USAGE);
}

static void
a_redirect_is_not_followed(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    struct git_http *other CLEANUP(git_http_freep) = git_http_new(w.git, "--token", "x");
    char *there CLEANUP(xfreep) = git_http_url(other, "elsewhere");
    struct git_http *server CLEANUP(git_http_freep) = git_http_new(w.git, "--redirect", there);
    char *url CLEANUP(xfreep) = git_http_url(server, "infra.git");
    struct secret *token CLEANUP(secret_freep) = secret_new(STR("ghs_canary"));
    struct git_access access = {.platform = &w.platform, .token = token};
    struct error *err CLEANUP(error_freep) = NULL;
    assert_null(open_with(&w, url, NULL, &access, &err));
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    assert_non_null(error_hint_of(err));
    assert_string_equal(error_hint_of(err), "The repository may have moved; use its new URL.");
    assert_int_equal(git_http_count(other), 0);
    assert_false(git_http_saw(server, "Basic"));
}

static void
tls_is_verified_and_a_given_authority_is_trusted(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    char *certificate CLEANUP(xfreep) = git_http_certificate(w.git);
    struct git_http *server CLEANUP(git_http_freep) =
        git_http_new(w.git, "--certificate", certificate);
    char *url CLEANUP(xfreep) = git_http_url(server, "infra.git");
    struct error *err CLEANUP(error_freep) = NULL;
    assert_null(open_with(&w, url, "main", NULL, &err));
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    assert_true(str_contains(str_of(error_hint_of(err)), STR("SSL_CERT_FILE")));
    assert_int_equal(git_http_count(server), 0);

    struct git_access access = {.platform = &w.platform, .ca_file = certificate};
    error_free(err);
    err = NULL;
    struct git_files *files CLEANUP(git_files_closep) = open_with(&w, url, "main", &access, &err);
    assert_null(err);
    assert_file(files, "appspecs/shop.yaml", "name: new\n");
}

// Accepts connections (the kernel does) and never says a word.
static int
open_silent_server(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void
a_silent_server_is_given_up_at_the_deadline(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    unsigned port = 0;
    int server = open_silent_server(&port);
    static const char *const schemes[] = {"http", "https"};
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        char *url CLEANUP(xfreep) = xasprintf("%s://127.0.0.1:%u/infra.git", schemes[i], port);
        struct git_access access = {
            .platform = &w.platform, .deadline_ms = clock_mono(&clock_system) + 100};
        char *message CLEANUP(xfreep) = xasprintf("fetch from '%s': no answer in time", url);
        assert_open_fails(&w, url, NULL, &access, ERROR_UNAVAILABLE, message);
    }
    (void)close(server);
}

struct canceller {
    int server;
    struct cancel *cancel;
};

static void *
cancel_once_connected(void *ctx)
{
    struct canceller *canceller = ctx;
    char request[512];
    int peer = accept(canceller->server, NULL, NULL);
    ssize_t got = read(peer, request, sizeof(request)); // it is waiting for us now
    cancel_raise(canceller->cancel, SIGTERM);
    got += read(peer, request, sizeof(request)); // until it hangs up
    (void)close(peer);
    return got > 0 ? canceller : NULL;
}

static void
cancelling_ends_a_wait(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    unsigned port = 0;
    struct canceller canceller = {open_silent_server(&port), w.cancel};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_once_connected, &canceller), 0);
    char *url CLEANUP(xfreep) = xasprintf("http://127.0.0.1:%u/infra.git", port);
    struct error *err CLEANUP(error_freep) = NULL;
    assert_null(open_with(&w, url, NULL, NULL, &err));
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)close(canceller.server);

    error_free(err); // still raised: nothing is even tried
    err = NULL;
    assert_null(open_with(&w, w.local, NULL, NULL, &err));
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
}

static void
a_closed_port_is_unavailable(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    unsigned port = 0;
    (void)close(open_silent_server(&port));
    char *url CLEANUP(xfreep) = xasprintf("http://127.0.0.1:%u/infra.git", port);
    char *message CLEANUP(xfreep) = xasprintf("fetch from '%s': Connection refused", url);
    assert_open_fails(&w, url, NULL, NULL, ERROR_UNAVAILABLE, message);
}

static void
a_proxy_is_used_unless_excepted(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    unsigned port = 0;
    (void)close(open_silent_server(&port));
    char *proxy CLEANUP(xfreep) = xasprintf("http://127.0.0.1:%u", port);
    struct git_http *server CLEANUP(git_http_freep) = git_http_new(w.git, NULL, NULL);
    char *url CLEANUP(xfreep) = git_http_url(server, "infra.git");
    struct git_access access = {.platform = &w.platform, .proxy = proxy};
    struct error *err CLEANUP(error_freep) = NULL;
    struct git_files *files CLEANUP(git_files_closep) = open_with(&w, url, NULL, &access, &err);
    assert_null(err); // loopback never goes through a proxy
    struct error *away CLEANUP(error_freep) = NULL;
    assert_null(open_with(&w, "https://git.invalid/acme/infra.git", NULL, &access, &away));
    assert_int_equal(error_kind(away), ERROR_UNAVAILABLE);
    assert_true(str_ends(str_of(error_message(away)), STR("Connection refused")));
    access.no_proxy = "example.com, .invalid";
    struct error *direct CLEANUP(error_freep) = NULL;
    assert_null(open_with(&w, "https://git.invalid/acme/infra.git", NULL, &access, &direct));
    assert_true(str_ends(str_of(error_message(direct)), STR("the server's name has no address")));
}

static void
a_cache_of_somebody_else_is_not_used(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    git_files_close(open_at(&w, w.local, NULL));
    assert_int_equal(lchown(w.cache, 12345, 12345), 0);
    char *message CLEANUP(xfreep) = xasprintf("cache '%s' belongs to another user", w.cache);
    assert_open_fails(&w, w.local, NULL, NULL, ERROR_STORAGE, message);
}

static void
a_damaged_cache_is_mended_or_named(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    char hash[SHA256_HEX_SIZE];
    sha256_hex(str_of(w.local), hash);
    char *head CLEANUP(xfreep) = xasprintf("cache/git/%.32s.git/HEAD", hash);
    char *path CLEANUP(xfreep) = git_fixture_path(w.git, head);
    git_files_close(open_at(&w, w.local, NULL));
    assert_int_equal(unlink(path), 0);
    struct git_files *files CLEANUP(git_files_closep) = open_at(&w, w.local, NULL);
    assert_file(files, "appspecs/shop.yaml", "name: new\n");

    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    struct error *err CLEANUP(error_freep) = NULL;
    assert_null(open_with(&w, w.local, NULL, NULL, &err));
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    assert_string_equal(error_hint_of(err), "It can be removed safely; it is made again.");
}

static void
damage_to_cached_objects_is_noticed(void **state)
{
    (void)state;
    struct world w CLEANUP(world_done) = {0};
    world_init(&w);
    struct git_files *files CLEANUP(git_files_closep) = open_at(&w, w.local, NULL);
    git_run(w.git, "cache/git", "-c",
        "alias.x=!f() { for p in *.git/objects/pack/*.pack; do chmod u+w \"$p\"; "
        "printf xxxxxxxxxxxxxxxx | dd of=\"$p\" bs=1 seek=40 conv=notrunc 2>/dev/null; done; }; f",
        "x");
    git_files_close(files);
    struct error *err CLEANUP(error_freep) = NULL;
    files = open_with(&w, w.local, NULL, NULL, &err);
    if (files != NULL) { // fetched again, or the damage is in a blob
        struct buf text CLEANUP(buf_done) = BUF_INIT(CAP);
        bool found = false;
        err = git_files_read(files, "appspecs/shop.yaml", CAP, &text, &found);
        assert_true(err != NULL || strcmp(buf_cstr(&text), "name: new\n") == 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_ref_is_fetched_from_a_path),
        cmocka_unit_test(every_kind_of_ref_is_fetched_from_a_file_url),
        cmocka_unit_test(every_kind_of_ref_is_fetched_over_http),
        cmocka_unit_test(a_commit_that_the_server_keeps_back_is_an_error),
        cmocka_unit_test(only_what_is_new_is_asked_for),
        cmocka_unit_test(names_that_are_not_there_are_refused),
        cmocka_unit_test(reading_has_caps_and_follows_no_links),
        cmocka_unit_test(listing_names_files_only),
        cmocka_unit_test(a_token_is_sent_as_github_wants_it),
        cmocka_unit_test(refused_and_missing_tokens_are_told_apart),
        cmocka_unit_test(a_repository_that_is_not_there_is_said_so),
        cmocka_unit_test(a_redirect_is_not_followed),
        cmocka_unit_test(tls_is_verified_and_a_given_authority_is_trusted),
        cmocka_unit_test(a_silent_server_is_given_up_at_the_deadline),
        cmocka_unit_test(cancelling_ends_a_wait),
        cmocka_unit_test(a_closed_port_is_unavailable),
        cmocka_unit_test(a_proxy_is_used_unless_excepted),
        cmocka_unit_test(a_cache_of_somebody_else_is_not_used),
        cmocka_unit_test(a_damaged_cache_is_mended_or_named),
        cmocka_unit_test(damage_to_cached_objects_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
