// How far one environment is behind another: the releases of the earlier one since the version of
// the later one, and the commits that they brought, by their documents in the journal. What is past
// does not change, so each answer is remembered for good. Asks GitHub nothing.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "page_internal.h"

enum {
    RELEASES_MAX = 20,  // that are looked back at
    MEMORY_SIZE = 8192, // a power of two
};

// Open addressing by the hash of "deployment version"; a taken place is overwritten.
struct page_memory {
    pthread_mutex_t lock;
    struct remembered {
        uint64_t key;
        int64_t releases, commits;
    } items[MEMORY_SIZE];
};

struct page_memory *
page_memory_new(void)
{
    struct page_memory *memory = xcalloc(1, sizeof(*memory));
    (void)pthread_mutex_init(&memory->lock, NULL);
    return memory;
}

void
page_memory_free(struct page_memory *memory)
{
    if (memory != NULL) {
        (void)pthread_mutex_destroy(&memory->lock);
        free(memory);
    }
}

static void
mix(uint64_t *hash, const char *text)
{
    for (; *text != '\0'; text++) { // FNV-1a
        *hash = (*hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    }
    *hash = (*hash ^ 0xffu) * UINT64_C(1099511628211);
}

static uint64_t
key_of(const struct queue_release *newest, const char *version)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    mix(&hash, newest->app);
    mix(&hash, newest->env);
    mix(&hash, newest->deployment);
    mix(&hash, version);
    return hash != 0 ? hash : 1;
}

static bool
recall(struct page_memory *memory, uint64_t key, struct page_behind *out)
{
    (void)pthread_mutex_lock(&memory->lock);
    const struct remembered *item = &memory->items[key % MEMORY_SIZE];
    bool found = item->key == key;
    if (found) {
        out->releases = item->releases;
        out->commits = item->commits;
    }
    (void)pthread_mutex_unlock(&memory->lock);
    return found;
}

static void
remember(struct page_memory *memory, uint64_t key, const struct page_behind *what)
{
    (void)pthread_mutex_lock(&memory->lock);
    memory->items[key % MEMORY_SIZE] = (struct remembered){key, what->releases, what->commits};
    (void)pthread_mutex_unlock(&memory->lock);
}

// --- looking back --------------------------------------------------------------------------------

struct looking {
    struct request *request;
    struct deployment_commit *commits;
    size_t count;
    bool complete;
};

static bool
is_there(const struct looking *looking, const char *sha)
{
    for (size_t i = 0; i < looking->count; i++) {
        if (cstr_equal(looking->commits[i].sha, sha)) {
            return true;
        }
    }
    return false;
}

static struct error *
add_commits(struct looking *looking, const char *deployment)
{
    struct deployment *document = NULL;
    TRY(page_document(looking->request, deployment, &document));
    if (document == NULL || document->commits.count == 0 || !document->commits_complete) {
        looking->complete = false; // a promotion has no checkout, a shallow one no history
        return NULL;
    }
    const struct deployment_commit *commits = document->commits.items;
    for (size_t i = 0; i < document->commits.count && looking->complete; i++) {
        if (looking->count == PAGE_COMMITS_MAX) {
            looking->complete = false;
        } else if (!is_there(looking, commits[i].sha)) {
            looking->commits[looking->count++] = commits[i];
        }
    }
    return NULL;
}

static struct error *
look(struct request *request, const struct queue_release *newest, const char *version,
    struct page_behind *out)
{
    struct queue_release *releases = NULL;
    size_t count = 0, since = 0;
    struct looking looking = {.request = request,
        .commits = arena_array(request->arena, PAGE_COMMITS_MAX, sizeof(*looking.commits)),
        .complete = true};
    TRY(queue_releases(
        request->store, newest->app, newest->env, RELEASES_MAX, request->arena, &releases, &count));
    while (since < count && !cstr_equal(releases[since].version, version)) {
        since++;
    }
    bool found = since < count;
    for (size_t i = 0; i < since && found && looking.complete; i++) {
        TRY(add_commits(&looking, releases[i].deployment));
    }
    bool known = found && looking.complete;
    *out = (struct page_behind){
        .releases = found ? (int64_t)since : -1, .commits = known ? (int64_t)looking.count : -1};
    if (known) {
        out->list = (struct object_list){looking.commits, looking.count};
    }
    return NULL;
}

struct error *
page_behind_of(struct request *request, const struct queue_release *newest, const char *version,
    bool list, struct page_behind *out)
{
    struct page_memory *memory = session_memory(request->service);
    uint64_t key = key_of(newest, version);
    *out = (struct page_behind){.releases = -1, .commits = -1};
    if (!list && recall(memory, key, out)) {
        return NULL;
    }
    TRY(look(request, newest, version, out));
    remember(memory, key, out);
    return NULL;
}

bool
page_behind_known(struct request *request, const struct queue_release *newest, const char *version)
{
    struct page_behind ignored = {0};
    return recall(session_memory(request->service), key_of(newest, version), &ignored);
}
