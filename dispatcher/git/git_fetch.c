// One fetch of one ref: connect, look the ref up, bring its objects. Redirects are not followed,
// and a token goes to the URL's own host, once: libgit2 asks again and again when a token is
// refused.
#include "git_fetch_internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"

enum {
    PATIENCE_MS = 120 * 1000,
    REFSPEC_MAX = 1024,
};
static const size_t received_max = (size_t)1024 * 1024 * 1024; // of one fetch

struct fetch {
    const struct git_location *location;
    const struct git_access *access;
    struct git_patience patience;
    bool asked;   // the server wanted credentials
    bool refused; // and did not take ours
    bool too_large;
};

static void
remote_freep(git_remote **remote)
{
    git_remote_free(*remote);
}

static void
peer_done(struct git_peer *peer)
{
    free(peer->host);
    free(peer->port);
}

// No peer for a URL that names none (file://, a path).
static void
peer_of(const char *url, struct git_peer *out)
{
    struct url parsed CLEANUP(url_done) = {0};
    struct error *err CLEANUP(error_freep) = url_parse(url, &parsed);
    if (err == NULL) {
        out->host = xstrdup(parsed.host);
        out->port = xasprintf("%u", parsed.port);
    }
}

static void
fetch_done(struct fetch *fetch)
{
    git_stream_use(NULL);
    error_free(fetch->patience.ended);
    peer_done(&fetch->patience.server);
    peer_done(&fetch->patience.proxy);
}

static bool
is_own_host(const struct fetch *fetch, const char *url)
{
    struct url asked CLEANUP(url_done) = {0}, own CLEANUP(url_done) = {0};
    struct error *first CLEANUP(error_freep) = url_parse(url, &asked);
    struct error *second CLEANUP(error_freep) = url_parse(fetch->location->url, &own);
    return first == NULL && second == NULL && url_same_origin(&asked, &own);
}

static int
give_credentials(
    git_credential **out, const char *url, const char *user, unsigned allowed, void *payload)
{
    struct fetch *fetch = payload;
    (void)user;
    fetch->refused = fetch->asked;
    fetch->asked = true;
    if (fetch->refused || fetch->access->token == NULL || !is_own_host(fetch, url) ||
        (allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) == 0) {
        return GIT_EAUTH;
    }
    // GitHub's form for every kind of token; other forges ignore the name.
    return git_credential_userpass_plaintext_new(
        out, "x-access-token", secret_expose(fetch->access->token).ptr);
}

static int
watch_transfer(const git_indexer_progress *progress, void *payload)
{
    struct fetch *fetch = payload;
    fetch->too_large = progress->received_bytes > received_max;
    return git_patience_lasts(&fetch->patience) && !fetch->too_large ? 0 : GIT_EUSER;
}

static int
watch_messages(const char *text, int len, void *payload)
{
    struct fetch *fetch = payload;
    (void)text;
    (void)len;
    return git_patience_lasts(&fetch->patience) ? 0 : GIT_EUSER;
}

// libgit2 keeps one list of authorities for the process, so the first file that is given counts.
static struct error *
trust_authorities(const char *ca_file)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool given = false;
    int status = 0;
    (void)pthread_mutex_lock(&lock);
    if (ca_file != NULL && !given) {
        status = git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, ca_file, NULL);
        given = status == 0;
    }
    (void)pthread_mutex_unlock(&lock);
    return status == 0 ? NULL
                       : git_failed(ERROR_INPUT, "certificates in '%s' cannot be used", ca_file);
}

// The list as curl reads NO_PROXY: names, with or without a dot in front, cover their subdomains.
static bool
goes_direct(const char *url, const char *no_proxy)
{
    struct url parsed CLEANUP(url_done) = {0};
    struct error *err CLEANUP(error_freep) = url_parse(url, &parsed);
    if (err != NULL || url_host_is_loopback(parsed.host)) {
        return true;
    }
    struct str host = str_of(parsed.host), entry = {0}, rest = str_of(no_proxy);
    while (str_cut(rest, ',', &entry, &rest)) {
        entry = str_trim(entry);
        entry = str_starts(entry, STR(".")) ? str_skip(entry, 1) : entry;
        if (str_equal(entry, STR("*"))) {
            return true;
        }
        if (entry.len == 0 || entry.len > host.len ||
            !str_equal_nocase(str_skip(host, host.len - entry.len), entry)) {
            continue;
        }
        if (entry.len == host.len || host.ptr[host.len - entry.len - 1] == '.') {
            return true;
        }
    }
    return false;
}

static void
set_up(struct fetch *fetch, git_fetch_options *options)
{
    const struct git_access *access = fetch->access;
    BUG_ON(git_fetch_options_init(options, GIT_FETCH_OPTIONS_VERSION) != 0);
    options->callbacks.credentials = give_credentials;
    options->callbacks.transfer_progress = watch_transfer;
    options->callbacks.sideband_progress = watch_messages;
    options->callbacks.payload = fetch;
    options->download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options->follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    options->proxy_opts.type = GIT_PROXY_NONE;
    if (access->proxy != NULL && !goes_direct(fetch->location->url, access->no_proxy)) {
        options->proxy_opts.type = GIT_PROXY_SPECIFIED;
        options->proxy_opts.url = access->proxy;
        peer_of(access->proxy, &fetch->patience.proxy);
    }
}

static struct error *
explain_web(const struct fetch *fetch, int status)
{
    const char *url = fetch->location->url;
    const git_error *last = git_error_last();
    struct str words = str_of(last != NULL ? last->message : NULL);
    if (fetch->refused) {
        return error_hint(error_new(ERROR_CREDENTIALS, "'%s' refused the token", url),
            "The token may have expired; it needs to read this repository's contents.");
    }
    if (fetch->asked && fetch->access->token == NULL) {
        return error_hint(error_new(ERROR_CREDENTIALS, "'%s' wants a token", url),
            "Set GITHUB_TOKEN to a token that may read this repository's contents.");
    }
    if (str_contains(words, STR("status code: 404")) ||
        str_contains(words, STR("status code: 403"))) {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "'%s' does not exist or may not be read", url),
            "Check the URL; the token needs to read this repository's contents.");
    }
    struct error *err = git_failed(ERROR_UNAVAILABLE, "fetch from '%s'", url);
    if (status == GIT_ECERTIFICATE ||
        str_contains(str_of(error_message(err)), STR("certificate"))) {
        return error_hint(err, "Set SSL_CERT_FILE to the certificate of the authority that signed "
                               "the server's.");
    }
    if (fetch->patience.led_astray || str_contains(str_of(error_message(err)), STR("redirect"))) {
        return error_hint(err, "The repository may have moved; use its new URL.");
    }
    return err;
}

static struct error *
explain(struct fetch *fetch, int status)
{
    const char *url = fetch->location->url;
    if (fetch->patience.ended != NULL) {
        struct error *ended = fetch->patience.ended;
        fetch->patience.ended = NULL;
        git_error_clear();
        return error_wrap(ended, "fetch from '%s'", url);
    }
    if (fetch->too_large) {
        git_error_clear();
        return error_hint(error_new(ERROR_INPUT, "fetch from '%s': larger than 1 GiB", url),
            "Keep the specs in a repository of their own.");
    }
    if (strncmp(url, "http", 4) == 0) {
        return explain_web(fetch, status);
    }
    return error_hint(git_failed(ERROR_USAGE, "fetch from '%s'", url),
        "It has to be a git repository that this user may read.");
}

struct wanted {
    char refspec[REFSPEC_MAX];
    git_oid id;
    bool found;
};

static void
take(struct wanted *wanted, const char *name, const git_oid *id)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(REFSPEC_MAX - 1);
    buf_puts(&text, name);
    if (!text.failed) {
        memcpy(wanted->refspec, buf_cstr(&text), text.len + 1);
        wanted->id = *id;
        wanted->found = true;
    }
}

static const git_remote_head *
find_head(const git_remote_head **heads, size_t count, const char *prefix, const char *name)
{
    size_t len = strlen(prefix);
    for (size_t i = 0; i < count; i++) {
        if (strncmp(heads[i]->name, prefix, len) == 0 && strcmp(heads[i]->name + len, name) == 0) {
            return heads[i];
        }
    }
    return NULL;
}

static struct error *
find_name(
    const struct fetch *fetch, const git_remote_head **heads, size_t count, struct wanted *out)
{
    const char *ref = fetch->location->ref != NULL ? fetch->location->ref : "HEAD";
    bool exact = fetch->location->ref == NULL || strncmp(ref, "refs/", 5) == 0;
    const git_remote_head *branch = find_head(heads, count, exact ? "" : "refs/heads/", ref);
    const git_remote_head *tag = exact ? NULL : find_head(heads, count, "refs/tags/", ref);
    if (branch != NULL && tag != NULL && !git_oid_equal(&branch->oid, &tag->oid)) {
        return error_hint(error_new(ERROR_USAGE, "'%s' is both a branch and a tag of '%s'", ref,
                              fetch->location->url),
            "Write 'refs/heads/%s' or 'refs/tags/%s'.", ref, ref);
    }
    const git_remote_head *head = branch != NULL ? branch : tag;
    if (head != NULL) {
        take(out, head->name, &head->oid);
        return NULL;
    }
    return error_hint(error_new(ERROR_USAGE, "there is no '%s' in '%s'", ref, fetch->location->url),
        "Name a branch, a tag or a full commit id after '?ref='.");
}

static bool
is_full_id(const char *ref, git_oid *out)
{
    return ref != NULL && strlen(ref) == GIT_OID_HEXSZ &&
           strspn(ref, "0123456789abcdef") == GIT_OID_HEXSZ && git_oid_fromstr(out, ref) == 0;
}

static struct error *
choose(const struct fetch *fetch, git_remote *remote, struct wanted *out)
{
    const git_remote_head **heads = NULL;
    size_t count = 0;
    git_oid id;
    if (git_remote_ls(&heads, &count, remote) != 0) {
        return git_failed(ERROR_UNAVAILABLE, "refs of '%s'", fetch->location->url);
    }
    if (!is_full_id(fetch->location->ref, &id)) {
        return find_name(fetch, heads, count, out);
    }
    for (size_t i = 0; i < count && !out->found; i++) {
        if (git_oid_equal(&heads[i]->oid, &id) && strstr(heads[i]->name, "^{}") == NULL) {
            take(out, heads[i]->name, &id);
        }
    }
    if (!out->found) {
        take(out, fetch->location->ref, &id); // servers like GitHub's give any commit of a branch
    }
    return NULL;
}

// A ref of our own keeps what we have known to the next fetch, which then asks only for what is
// new.
static void
remember(git_repository *cache, const struct wanted *wanted)
{
    struct buf name CLEANUP(buf_done) = BUF_INIT(REFSPEC_MAX + 64);
    git_reference *reference CLEANUP(git_reference_freep) = NULL;
    const char *stem =
        strncmp(wanted->refspec, "refs/", 5) == 0 ? wanted->refspec + 5 : wanted->refspec;
    buf_printf(&name, "refs/fetched/%s", stem);
    // Another process may do the same just now: either outcome is fine.
    (void)git_reference_create(&reference, cache, buf_cstr(&name), &wanted->id, 1, "fetched");
    git_error_clear();
}

static bool
cache_has(git_repository *cache, const git_oid *id, git_oid *commit)
{
    git_object *object CLEANUP(git_object_freep) = NULL, *peeled CLEANUP(git_object_freep) = NULL;
    git_object *tree CLEANUP(git_object_freep) = NULL;
    bool has = git_object_lookup(&object, cache, id, GIT_OBJECT_ANY) == 0 &&
               git_object_peel(&peeled, object, GIT_OBJECT_COMMIT) == 0 &&
               git_object_peel(&tree, peeled, GIT_OBJECT_TREE) == 0;
    git_error_clear();
    if (has) {
        *commit = *git_object_id(peeled);
    }
    return has;
}

// Servers may give the tips of branches and tags only (uploadpack.allowReachableSHA1InWant).
static bool
was_kept_back(void)
{
    const git_error *last = git_error_last();
    return last != NULL &&
           str_contains(str_of(last->message), STR("cannot fetch a specific object"));
}

static struct error *
converse(struct fetch *fetch, git_repository *cache, git_remote *remote, git_oid *commit)
{
    git_fetch_options options;
    git_remote_connect_options connection;
    struct wanted wanted = {0};
    set_up(fetch, &options);
    BUG_ON(git_remote_connect_options_init(&connection, GIT_REMOTE_CONNECT_OPTIONS_VERSION) != 0);
    connection.callbacks = options.callbacks;
    connection.proxy_opts = options.proxy_opts;
    connection.follow_redirects = options.follow_redirects;
    int status = git_remote_connect_ext(remote, GIT_DIRECTION_FETCH, &connection);
    if (status != 0) {
        return explain(fetch, status);
    }
    TRY(choose(fetch, remote, &wanted));
    if (!cache_has(cache, &wanted.id, commit)) {
        char *refspec = wanted.refspec;
        status = git_remote_download(remote, &(git_strarray){&refspec, 1}, &options);
        if (status != 0 && !was_kept_back()) {
            return explain(fetch, status);
        }
    }
    if (!cache_has(cache, &wanted.id, commit)) {
        return error_hint(error_new(ERROR_USAGE, "'%s' does not give commit '%s'",
                              fetch->location->url, wanted.refspec),
            "Name a branch or a tag after '?ref=' instead.");
    }
    remember(cache, &wanted);
    return NULL;
}

struct error *
git_fetch(const struct git_location *location, const struct git_access *access,
    git_repository *cache, git_oid *commit)
{
    git_oid id;
    if (is_full_id(location->ref, &id) && cache_has(cache, &id, commit)) {
        return NULL;
    }
    int64_t now = clock_mono(access->platform->clock);
    struct fetch fetch CLEANUP(fetch_done) = {.location = location,
        .access = access,
        .patience = {.platform = access->platform,
            .deadline_ms = access->deadline_ms > 0 ? access->deadline_ms : now + PATIENCE_MS}};
    git_remote *remote CLEANUP(remote_freep) = NULL; // goes first, with its connection
    TRY(trust_authorities(access->ca_file));
    if (!git_patience_lasts(&fetch.patience)) {
        return explain(&fetch, GIT_EUSER);
    }
    peer_of(location->url, &fetch.patience.server);
    git_stream_use(&fetch.patience);
    if (git_remote_create_anonymous(&remote, cache, location->url) != 0) {
        return git_failed(ERROR_USAGE, "git URL '%s' cannot be used", location->url);
    }
    return converse(&fetch, cache, remote, commit);
}
