// Reading the chain anew: each entry is what was hashed, follows the one before it, and the last
// one is the head's. Changes nothing, and holds nobody up.
#include <string.h>

#include "audit_internal.h"
#include "dispatcher/digest.h"

enum { BATCH = 1000 };

struct chain {
    struct store *store;
    int64_t sequence; // of the last entry that fits
    char hash[SHA256_HEX_SIZE];
    int64_t head_sequence;
    char head[SHA256_HEX_SIZE];
    int64_t broken_at;
    const char *why;
};

static struct error *
read_head(struct chain *chain)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct query query CLEANUP(query_done);
    query_init(&query, chain->store, "SELECT sequence, hash FROM audit_head WHERE one = 1");
    if (query_row(&query)) {
        chain->head_sequence = query_get_int(&query, 0);
        audit_keep_hash(chain->head, query_get_text(&query, 1, arena));
    }
    return query_finish(&query);
}

static void
break_chain(struct chain *chain, int64_t sequence, const char *why)
{
    chain->broken_at = sequence;
    chain->why = why;
}

static struct error *
check_entry(struct chain *chain, const struct audit_entry *entry)
{
    char hash[SHA256_HEX_SIZE] = "";
    if (entry->sequence != chain->sequence + 1) {
        break_chain(chain, chain->sequence + 1, "it is missing");
        return NULL;
    }
    if (strcmp(entry->previous, chain->hash) != 0) {
        break_chain(chain, entry->sequence, "it does not follow the entry before it");
        return NULL;
    }
    TRY(audit_hash(entry, hash));
    // A detail that goes on behind its end would make the same text of other columns.
    bool whole = entry->detail == NULL || audit_is_object(entry->detail);
    if (!whole || strcmp(entry->hash, hash) != 0) {
        break_chain(chain, entry->sequence, "it is not what was written");
        return NULL;
    }
    chain->sequence = entry->sequence;
    audit_keep_hash(chain->hash, hash);
    return NULL;
}

static struct error *
check_batch(struct chain *chain, size_t *read)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct audit_filter next = {
        .after = chain->sequence, .limit = BATCH, .oldest_first = true};
    struct audit_entry *entries = NULL;
    size_t count = 0;
    TRY(audit_list(chain->store, &next, arena, &entries, &count));
    for (size_t i = 0; i < count && chain->broken_at == 0; i++) {
        TRY(check_entry(chain, &entries[i]));
        *read += chain->broken_at == 0 ? 1 : 0;
        if (chain->sequence == chain->head_sequence && strcmp(chain->hash, chain->head) != 0) {
            break_chain(chain, chain->sequence, "it is not the newest that was written");
        }
    }
    return NULL;
}

static struct error *
check_end(struct chain *chain)
{
    if (chain->sequence < chain->head_sequence) {
        break_chain(chain, chain->sequence + 1, "it is missing, and all after it");
        return NULL;
    }
    chain->head[0] = '\0';
    TRY(read_head(chain));
    if (chain->head[0] == '\0' || chain->head_sequence < chain->sequence) {
        break_chain(chain, chain->sequence > 0 ? chain->sequence : 1,
            chain->sequence > 0 ? "the log's head does not know of it" : "the log's head is gone");
    }
    return NULL;
}

struct error *
audit_verify(struct store *store, struct arena *arena, struct audit_verdict *out)
{
    // The head is read before and after: what is written meanwhile moves it on.
    struct chain chain = {.store = store, .hash = AUDIT_NO_HASH};
    size_t read = 0, before = 0;
    TRY(store_check(store));
    TRY(read_head(&chain));
    do {
        before = read;
        TRY(check_batch(&chain, &read));
    } while (chain.broken_at == 0 && read > before);
    if (chain.broken_at == 0) {
        TRY(check_end(&chain));
    }
    *out = (struct audit_verdict){
        .entries = (int64_t)read,
        .broken_at = chain.broken_at,
        .why = chain.why,
        .head = arena_dup(arena, chain.hash),
    };
    return NULL;
}
