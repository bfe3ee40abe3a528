// Worker threads that turn plain layers into compressed ones, block by block, and hash both sides
// in order as they go (facts: registry-push §4.5 to §4.8). Sends nothing; what a block becomes is
// block_codec.c.
//
// A worker takes the next block of the first layer that may have one: it reads and hashes it while
// nobody else reads that layer, compresses it beside the others, and puts the result into its slot.
// Whoever fills the slot that is due hashes and publishes it, and those that follow. Chunks are
// reserved before a block is begun, so that a finished block always has a place and a layer whose
// reader is slow holds back its own blocks only: one block of each layer may always be under way,
// whatever the others hold.
#include "compressor_internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block_codec_internal.h"
#include "dispatcher/memory.h"

enum {
    THREADS_MAX = 8, // facts §4.8
    CHUNK_BYTES = 64 * 1024,
    RESERVE = (COMPRESSOR_BLOCK + 64 * 1024) / CHUNK_BYTES, // chunks of one block at the worst
    QUEUE_CHUNKS = 32,                                      // 2 MiB beside the threads' own
    SLOTS = 2 * THREADS_MAX, // blocks of one layer that may be under way
};

struct chunk {
    struct chunk *next;
    size_t len;
    size_t plain; // bytes before compression, told by the last chunk of a block
    unsigned char bytes[CHUNK_BYTES];
};

struct block {
    struct chunk *first, *last;
    size_t chunks;
    bool full;
};

struct compressor_layer {
    struct compressor *compressor;
    struct compressor_layer *next;
    struct image_file file;

    // Under the compressor's lock.
    int64_t assigned;        // bytes given to workers
    size_t begun, published; // blocks
    struct block slots[SLOTS];
    struct chunk *head, *tail; // published, to be read
    size_t held;               // chunks reserved or filled
    unsigned busy;             // workers inside
    bool whole;                // no block is left to begin
    bool reading, publishing;  // by one worker at a time
    bool ended, dropped;
    struct error *error;

    // Of the worker that reads, of the one that publishes, and of the reader.
    struct sha256 *plain_hash, *packed_hash;
    size_t offset; // in head
    int64_t done;
    bool read_to_end;
    struct compressor_result result;
};

struct compressor {
    struct compressor_options options;
    const struct block_codec *codec;
    pthread_mutex_t lock;
    pthread_cond_t work, readable, idle; // for workers, readers, and those who free a layer
    pthread_t threads[THREADS_MAX];
    unsigned thread_count, threads_max;
    bool stop;
    struct compressor_layer *layers;
    size_t layer_count;
    struct chunk *spare;
    size_t chunks_held, chunks_max; // reserved or filled, and that may be
};

// A worker's own.
struct bench {
    void *state;
    unsigned char *plain, *packed;
};

struct job {
    struct compressor_layer *layer;
    size_t number; // of the block in its layer
    int64_t offset;
    size_t len;
};

static bool
may_begin(const struct compressor *compressor, const struct compressor_layer *layer)
{
    if (layer->whole || layer->reading || layer->dropped || layer->error != NULL) {
        return false;
    }
    if (layer->begun - layer->published == SLOTS) {
        return false;
    }
    if (layer->held == 0) { // or whoever waits for it alone would wait for ever
        return true;
    }
    size_t share = compressor->chunks_max / compressor->layer_count;
    return layer->held + RESERVE <= share &&
           compressor->chunks_held + RESERVE <= compressor->chunks_max;
}

static bool
next_job(struct compressor *compressor, struct job *out)
{
    struct compressor_layer *layer = compressor->layers;
    while (layer != NULL && !may_begin(compressor, layer)) {
        layer = layer->next;
    }
    if (layer == NULL) {
        return false;
    }
    int64_t left = layer->file.size - layer->assigned;
    size_t len = left < COMPRESSOR_BLOCK ? (size_t)left : COMPRESSOR_BLOCK;
    *out = (struct job){layer, layer->begun++, layer->assigned, len};
    layer->assigned += (int64_t)len;
    layer->whole = layer->assigned == layer->file.size;
    layer->reading = true;
    layer->busy++;
    layer->held += RESERVE;
    compressor->chunks_held += RESERVE;
    return true;
}

static void
give_back(struct compressor *compressor, struct compressor_layer *layer, size_t chunks)
{
    layer->held -= chunks;
    compressor->chunks_held -= chunks;
    (void)pthread_cond_signal(&compressor->work);
}

static struct chunk *
chunk_take(struct compressor *compressor)
{
    struct chunk *chunk = compressor->spare;
    if (chunk != NULL) {
        compressor->spare = chunk->next;
    } else {
        chunk = xmalloc(sizeof(*chunk));
    }
    chunk->next = NULL;
    chunk->plain = 0;
    return chunk;
}

static void
chunk_put(struct compressor *compressor, struct chunk *chunk)
{
    chunk->next = compressor->spare;
    compressor->spare = chunk;
}

static void
append(struct block *block, struct chunk *chunk)
{
    *(block->first == NULL ? &block->first : &block->last->next) = chunk;
    block->last = chunk;
    block->chunks++;
}

// Chunks for `len` bytes out of the reserved ones; the rest is given back.
static void
take_chunks(
    struct compressor *compressor, struct compressor_layer *layer, size_t len, struct block *out)
{
    size_t count = (len + CHUNK_BYTES - 1) / CHUNK_BYTES;
    for (size_t i = 0; i < count; i++) {
        append(out, chunk_take(compressor));
    }
    give_back(compressor, layer, RESERVE - count);
}

static void
fill(struct block *block, const unsigned char *bytes, size_t len, size_t plain)
{
    for (struct chunk *chunk = block->first; chunk != NULL; chunk = chunk->next) {
        chunk->len = len < CHUNK_BYTES ? len : CHUNK_BYTES;
        memcpy(chunk->bytes, bytes, chunk->len);
        bytes += chunk->len;
        len -= chunk->len;
    }
    block->last->plain = plain;
    block->full = true;
}

static void
wake(struct compressor *compressor)
{
    (void)pthread_cond_broadcast(&compressor->readable);
    if (compressor->options.wake != NULL) {
        compressor->options.wake(compressor->options.wake_ctx);
    }
}

static void
finish(struct compressor_layer *layer)
{
    unsigned char hash[SHA256_SIZE];
    sha256_final(layer->plain_hash, hash);
    sha256_digest_text(hash, layer->result.diff_id);
    sha256_final(layer->packed_hash, hash);
    sha256_digest_text(hash, layer->result.digest);
    layer->ended = true;
}

// Hashes are of a stream, so blocks are published in their order; hashing is done unlocked.
static void
publish(struct compressor *compressor, struct compressor_layer *layer)
{
    struct block *due = &layer->slots[layer->published % SLOTS];
    while (!layer->publishing && due->full) {
        struct block block = *due;
        *due = (struct block){0};
        layer->publishing = true;
        (void)pthread_mutex_unlock(&compressor->lock);
        for (const struct chunk *chunk = block.first; chunk != NULL; chunk = chunk->next) {
            sha256_update(layer->packed_hash, chunk->bytes, chunk->len);
        }
        (void)pthread_mutex_lock(&compressor->lock);
        *(layer->head == NULL ? &layer->head : &layer->tail->next) = block.first;
        layer->tail = block.last;
        layer->publishing = false;
        layer->published++;
        if (layer->whole && layer->published == layer->begun) {
            finish(layer);
        }
        wake(compressor);
        due = &layer->slots[layer->published % SLOTS];
    }
}

static void
run_job(struct compressor *compressor, struct bench *bench, const struct job *job)
{
    struct compressor_layer *layer = job->layer;
    struct error *err = image_file_read(&layer->file, job->offset, (char *)bench->plain, job->len);
    if (err == NULL) {
        sha256_update(layer->plain_hash, bench->plain, job->len);
    }
    (void)pthread_mutex_lock(&compressor->lock);
    layer->reading = false;
    (void)pthread_cond_signal(&compressor->work);
    if (err != NULL) {
        layer->error = err; // nobody begins another block, so it is the only one
        give_back(compressor, layer, RESERVE);
        wake(compressor);
        return;
    }
    (void)pthread_mutex_unlock(&compressor->lock);
    struct block block = {0};
    size_t len = compressor->codec->compress(
        bench->state, bench->plain, job->len, bench->packed, block_codec_bound(COMPRESSOR_BLOCK));
    (void)pthread_mutex_lock(&compressor->lock);
    take_chunks(compressor, layer, len, &block);
    (void)pthread_mutex_unlock(&compressor->lock);
    fill(&block, bench->packed, len, job->len);
    (void)pthread_mutex_lock(&compressor->lock);
    layer->slots[job->number % SLOTS] = block;
    publish(compressor, layer);
}

static void *
work(void *ctx)
{
    struct compressor *compressor = ctx;
    struct bench bench = {
        .state = compressor->codec->state_new(),
        .plain = xmalloc(COMPRESSOR_BLOCK),
        .packed = xmalloc(block_codec_bound(COMPRESSOR_BLOCK)),
    };
    struct job job;
    (void)pthread_mutex_lock(&compressor->lock);
    while (!compressor->stop) {
        if (!next_job(compressor, &job)) {
            (void)pthread_cond_wait(&compressor->work, &compressor->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&compressor->lock);
        run_job(compressor, &bench, &job); // comes back locked
        job.layer->busy--;
        (void)pthread_cond_broadcast(&compressor->idle);
    }
    (void)pthread_mutex_unlock(&compressor->lock);
    compressor->codec->state_free(bench.state);
    free(bench.plain);
    free(bench.packed);
    return NULL;
}

static unsigned
threads_by_default(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : processors > THREADS_MAX ? THREADS_MAX : (unsigned)processors;
}

// As many as there are blocks to work on. Signals stay with the thread that waits for them.
static void
start_threads(struct compressor *compressor, int64_t blocks)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    BUG_ON(pthread_sigmask(SIG_SETMASK, &all, &before) != 0);
    for (; blocks > 0 && compressor->thread_count < compressor->threads_max; blocks--) {
        pthread_t *thread = &compressor->threads[compressor->thread_count];
        if (pthread_create(thread, NULL, work, compressor) != 0) {
            break;
        }
        compressor->thread_count++;
    }
    BUG_ON(compressor->thread_count == 0); // as out of memory: one is all that is needed
    BUG_ON(pthread_sigmask(SIG_SETMASK, &before, NULL) != 0);
}

struct compressor *
compressor_new(const struct compressor_options *options)
{
    struct compressor *compressor = xcalloc(1, sizeof(*compressor));
    unsigned threads = options->threads > 0 ? options->threads : threads_by_default();
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    compressor->options = *options;
    compressor->codec = block_codec_of(options->compression);
    compressor->chunks_max = QUEUE_CHUNKS + (size_t)threads * RESERVE;
    BUG_ON(pthread_mutex_init(&compressor->lock, NULL) != 0);
    BUG_ON(pthread_cond_init(&compressor->work, NULL) != 0);
    BUG_ON(pthread_cond_init(&compressor->readable, NULL) != 0);
    BUG_ON(pthread_cond_init(&compressor->idle, NULL) != 0);
    compressor->threads_max = threads;
    return compressor;
}

void
compressor_free(struct compressor *compressor)
{
    if (compressor == NULL) {
        return;
    }
    BUG_ON(compressor->layers != NULL);
    (void)pthread_mutex_lock(&compressor->lock);
    compressor->stop = true;
    (void)pthread_cond_broadcast(&compressor->work);
    (void)pthread_mutex_unlock(&compressor->lock);
    for (unsigned i = 0; i < compressor->thread_count; i++) {
        (void)pthread_join(compressor->threads[i], NULL);
    }
    while (compressor->spare != NULL) {
        free(chunk_take(compressor));
    }
    (void)pthread_mutex_destroy(&compressor->lock);
    (void)pthread_cond_destroy(&compressor->work);
    (void)pthread_cond_destroy(&compressor->readable);
    (void)pthread_cond_destroy(&compressor->idle);
    free(compressor);
}

struct compressor_layer *
compressor_add(struct compressor *compressor, struct image_file *file)
{
    struct compressor_layer *layer = xcalloc(1, sizeof(*layer));
    layer->compressor = compressor;
    layer->file = *file;
    *file = (struct image_file)IMAGE_FILE_NONE;
    layer->plain_hash = sha256_new();
    layer->packed_hash = sha256_new();
    (void)pthread_mutex_lock(&compressor->lock);
    struct compressor_layer **end = &compressor->layers;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = layer;
    compressor->layer_count++;
    (void)pthread_cond_broadcast(&compressor->work);
    (void)pthread_mutex_unlock(&compressor->lock);
    start_threads(compressor, layer->file.size / COMPRESSOR_BLOCK + 1);
    return layer;
}

static void
drop_chunks(struct compressor *compressor, struct compressor_layer *layer, struct chunk *chunk)
{
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        chunk_put(compressor, chunk);
        give_back(compressor, layer, 1);
        chunk = next;
    }
}

void
compressor_layer_free(struct compressor_layer *layer)
{
    if (layer == NULL) {
        return;
    }
    struct compressor *compressor = layer->compressor;
    (void)pthread_mutex_lock(&compressor->lock);
    layer->dropped = true;
    while (layer->busy > 0) {
        (void)pthread_cond_wait(&compressor->idle, &compressor->lock);
    }
    drop_chunks(compressor, layer, layer->head);
    for (size_t i = 0; i < SLOTS; i++) {
        drop_chunks(compressor, layer, layer->slots[i].first);
    }
    BUG_ON(layer->held != 0);
    struct compressor_layer **link = &compressor->layers;
    while (*link != layer) {
        link = &(*link)->next;
    }
    *link = layer->next;
    compressor->layer_count--;
    (void)pthread_cond_broadcast(&compressor->work); // the others' shares have grown
    (void)pthread_mutex_unlock(&compressor->lock);
    image_file_close(&layer->file);
    sha256_free(layer->plain_hash);
    sha256_free(layer->packed_hash);
    error_free(layer->error);
    free(layer);
}

static bool
layer_ready(void *ctx)
{
    struct compressor_layer *layer = ctx;
    struct compressor *compressor = layer->compressor;
    (void)pthread_mutex_lock(&compressor->lock);
    bool ready = layer->head != NULL || layer->ended || layer->error != NULL;
    (void)pthread_mutex_unlock(&compressor->lock);
    return ready;
}

// The chunk to read from, waiting for it; NULL at the end and after a failure.
static struct chunk *
current_chunk(struct compressor_layer *layer, struct error **err)
{
    struct compressor *compressor = layer->compressor;
    (void)pthread_mutex_lock(&compressor->lock);
    while (layer->head == NULL && !layer->ended && layer->error == NULL) {
        (void)pthread_cond_wait(&compressor->readable, &compressor->lock);
    }
    struct chunk *chunk = layer->error == NULL ? layer->head : NULL;
    if (layer->error != NULL) {
        *err = error_new(error_kind(layer->error), "%s", error_message(layer->error));
    }
    (void)pthread_mutex_unlock(&compressor->lock);
    return chunk;
}

static void
release_head(struct compressor_layer *layer)
{
    struct compressor *compressor = layer->compressor;
    (void)pthread_mutex_lock(&compressor->lock);
    struct chunk *chunk = layer->head;
    layer->head = chunk->next;
    layer->done += (int64_t)chunk->plain;
    layer->offset = 0;
    chunk_put(compressor, chunk);
    give_back(compressor, layer, 1);
    (void)pthread_mutex_unlock(&compressor->lock);
}

static int64_t
layer_read(void *ctx, char *out, size_t size, struct error **err)
{
    struct compressor_layer *layer = ctx;
    size_t got = 0;
    while (got < size && (got == 0 || layer_ready(layer))) {
        struct chunk *chunk = current_chunk(layer, err);
        if (chunk == NULL) {
            break;
        }
        size_t left = chunk->len - layer->offset;
        size_t len = left < size - got ? left : size - got;
        memcpy(out + got, chunk->bytes + layer->offset, len);
        got += len;
        layer->offset += len;
        if (layer->offset == chunk->len) {
            release_head(layer);
        }
    }
    if (*err != NULL) {
        return -1;
    }
    layer->result.size += (int64_t)got;
    layer->read_to_end = got == 0;
    return (int64_t)got;
}

struct http_reader
compressor_layer_reader(struct compressor_layer *layer)
{
    return (struct http_reader){layer_read, NULL, layer, -1, layer_ready};
}

int64_t
compressor_layer_done(const struct compressor_layer *layer)
{
    return layer->done;
}

const struct compressor_result *
compressor_layer_result(const struct compressor_layer *layer)
{
    return layer->read_to_end ? &layer->result : NULL;
}
