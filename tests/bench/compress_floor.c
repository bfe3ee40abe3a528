// The least that layers cost which must be compressed: isa-l level 1 in members of 1 MiB and the
// SHA-256 of what comes out, one thread, nothing overlapped. The sum with push_floor is a bound of
// CPU; of wall only where one core works, which is why tests/bench/push says "one after the other".
//
// usage: compress_floor FILE {OFFSET LENGTH OUT}...
// Prints a line for each: digest, size, OUT.
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, ROOM = BLOCK + (64 << 10) };

static void
fail(const char *what)
{
    perror(what);
    exit(1);
}

static size_t
deflate_block(const uint8_t *data, size_t len, uint8_t *out)
{
    static uint8_t level_buffer[ISAL_DEF_LVL1_DEFAULT];
    struct isal_zstream stream;
    isal_deflate_stateless_init(&stream);
    stream.level = 1;
    stream.level_buf = level_buffer;
    stream.level_buf_size = sizeof(level_buffer);
    stream.gzip_flag = IGZIP_GZIP;
    stream.end_of_stream = 1;
    stream.flush = NO_FLUSH;
    stream.next_in = (uint8_t *)(uintptr_t)data;
    stream.avail_in = (uint32_t)len;
    stream.next_out = out;
    stream.avail_out = ROOM;
    if (isal_deflate_stateless(&stream) != COMP_OK) {
        fail("isal_deflate_stateless");
    }
    return ROOM - stream.avail_out;
}

static void
compress_layer(int in, off_t at, size_t left, const char *path)
{
    static uint8_t data[BLOCK];
    static uint8_t room[ROOM];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    if (fd < 0 || hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1) {
        fail(path);
    }
    size_t total = 0;
    while (left > 0) {
        size_t len = left < BLOCK ? left : BLOCK;
        if (pread(in, data, len, at) != (ssize_t)len) {
            fail("the source is shorter than said");
        }
        size_t out = deflate_block(data, len, room);
        if (EVP_DigestUpdate(hash, room, out) != 1 || write(fd, room, out) != (ssize_t)out) {
            fail(path);
        }
        total += out;
        at += (off_t)len;
        left -= len;
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int count = 0;
    EVP_DigestFinal_ex(hash, digest, &count);
    EVP_MD_CTX_free(hash);
    close(fd);
    fputs("sha256:", stdout);
    for (unsigned int i = 0; i < count; i++) {
        printf("%02x", digest[i]);
    }
    printf(" %zu %s\n", total, path);
}

int
main(int argc, char **argv)
{
    if (argc < 5 || (argc - 2) % 3 != 0) {
        fputs("usage: compress_floor FILE {OFFSET LENGTH OUT}...\n", stderr);
        return 2;
    }
    int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fail(argv[1]);
    }
    for (int i = 2; i < argc; i += 3) {
        off_t offset = (off_t)strtoull(argv[i], NULL, 10);
        compress_layer(fd, offset, strtoull(argv[i + 1], NULL, 10), argv[i + 2]);
    }
    return 0;
}
