// The words that specs and command lines use for a way to compress.
#include <string.h>

#include "dispatcher/image.h"

bool
image_compression_of(const char *word, enum image_compression *out)
{
    static const char *const words[] = {[IMAGE_COMPRESSION_FAST] = "fast",
        [IMAGE_COMPRESSION_SMALL] = "small",
        [IMAGE_COMPRESSION_ZSTD] = "zstd"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (word == NULL || strcmp(word, words[i]) == 0) {
            *out = (enum image_compression)i;
            return true;
        }
    }
    return false;
}
