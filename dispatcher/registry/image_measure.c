// Finds out what compressing makes of an image's plain layers without keeping it: for whoever wants
// digests before anything is sent, and for registries that take no body of unknown length.
#include <stdlib.h>

#include "compressor_internal.h"
#include "dispatcher/memory.h"
#include "image_internal.h"

static void
compressor_freep(struct compressor **compressor)
{
    compressor_free(*compressor);
}

static void
layer_freep(struct compressor_layer **layer)
{
    compressor_layer_free(*layer);
}

struct error *
image_measure_part(struct image *image, size_t index, struct compressor *compressor,
    enum image_compression compression)
{
    enum { PIECE = 64 * 1024 };
    struct image_file file CLEANUP(image_file_close) = IMAGE_FILE_NONE;
    TRY(image_plain_open(image, index, &file));
    struct compressor_layer *layer CLEANUP(layer_freep) = compressor_add(compressor, &file);
    struct http_reader reader = compressor_layer_reader(layer);
    char *piece CLEANUP(xfreep) = xmalloc(PIECE);
    int64_t got = 1;
    while (got > 0) {
        struct error *err = NULL;
        got = reader.read(reader.ctx, piece, PIECE, &err);
        TRY(err);
    }
    const struct compressor_result *result = compressor_layer_result(layer);
    TRY(image_check_plain(image, index, result->diff_id));
    const struct image_descriptor made = {
        image_layer_type(compression), result->digest, result->size, NULL};
    image_settle(image, index, &made);
    return NULL;
}

const char *
image_layer_type(enum image_compression compression)
{
    return compression == IMAGE_COMPRESSION_ZSTD ? MEDIA_OCI_LAYER_ZSTD : MEDIA_OCI_LAYER_GZIP;
}

struct error *
image_measure(struct image *image, enum image_compression compression)
{
    if (image_is_settled(image)) {
        return NULL;
    }
    TRY(image_fetch(image));
    const struct compressor_options options = {.compression = compression};
    struct compressor *compressor CLEANUP(compressor_freep) = compressor_new(&options);
    for (size_t i = 0; i < image->item_count; i++) {
        if (image->items[i].part.descriptor.digest == NULL) {
            TRY(image_measure_part(image, i, compressor, compression));
        }
    }
    return NULL;
}
