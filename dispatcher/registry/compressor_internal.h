// Layers compressed on the way: worker threads fill a bounded queue for each layer, a reader of
// http.h empties it, and both sides' digests are known when the end has been read.
//
//     struct compressor *compressor = compressor_new(&options);
//     struct compressor_layer *layer = compressor_add(compressor, &file);
//     struct http_reader reader = compressor_layer_reader(layer); // unknown length, no rewind
//     ... read to the end ...
//     const struct compressor_result *result = compressor_layer_result(layer);
//     compressor_layer_free(layer);
//
// Every 1 MiB of a layer becomes a member of its own, so that the bytes depend on the content
// alone, whatever the number of threads and the size of reads, and so that one large layer keeps
// all threads busy. Memory is bounded whatever the sizes: two buffers a thread, the queues' chunks,
// and one block of each layer. All functions are called by one thread; `wake` is called by the
// workers.
#pragma once

#include "dispatcher/digest.h"
#include "image_internal.h"

enum { COMPRESSOR_BLOCK = 1024 * 1024 };

struct compressor_options {
    enum image_compression compression;
    unsigned threads;        // 0: one a processor, 8 at most
    void (*wake)(void *ctx); // a layer that rested may be ready now; may be NULL
    void *wake_ctx;
};

struct compressor;
struct compressor_layer;

struct compressor_result {
    char digest[SHA256_DIGEST_TEXT_SIZE];  // of what was read
    char diff_id[SHA256_DIGEST_TEXT_SIZE]; // of the layer before compression
    int64_t size;                          // of what was read
};

struct compressor *compressor_new(const struct compressor_options *options);
/// After every layer has been freed.
void compressor_free(struct compressor *compressor);

/// Takes the file over. Layers are served in the order in which they were added.
struct compressor_layer *compressor_add(struct compressor *compressor, struct image_file *file);
/// Also before the end: workers let go of it first.
void compressor_layer_free(struct compressor_layer *layer);
/// The reader belongs to the layer. Its `ready` is false while the next bytes are being made.
struct http_reader compressor_layer_reader(struct compressor_layer *layer);
/// Bytes of the layer, before compression, whose compressed form has been read.
int64_t compressor_layer_done(const struct compressor_layer *layer);
/// NULL until the end was read.
const struct compressor_result *compressor_layer_result(const struct compressor_layer *layer);

/// Compresses one layer without keeping it, and settles it. Waits for the workers.
NODISCARD struct error *image_measure_part(struct image *image, size_t index,
    struct compressor *compressor, enum image_compression compression);
/// Media type of what the compressor makes.
const char *image_layer_type(enum image_compression compression);
