// Which addresses are public (IANA's registries of special-purpose addresses, RFC 6890), and how
// hosts of URLs spell addresses. Looks no name up and opens nothing; the guard that asks here is
// curl_guard.c.
#include "dispatcher/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "dispatcher/compiler.h"
#include "dispatcher/str.h"

enum { IPV6_SIZE = 16, LABEL_MAX = 63 };

struct block_v4 {
    uint32_t network; // host byte order
    int bits;
};

struct block_v6 {
    unsigned char network[IPV6_SIZE];
    int bits;
};

static const struct block_v4 not_public_v4[] = {
    {0x00000000, 8},  // this network
    {0x0a000000, 8},  // private
    {0x64400000, 10}, // between a provider and its customers; metadata of one cloud
    {0x7f000000, 8},  // this machine
    {0xa83f8110, 32}, // 168.63.129.16: Azure's own services, as seen from its machines
    {0xa9fe0000, 16}, // link-local: metadata of the clouds
    {0xac100000, 12}, // private
    {0xc0000000, 24}, // protocol assignments
    {0xc0000200, 24}, // documentation
    {0xc0586300, 24}, // relays of 6to4, given up
    {0xc0a80000, 16}, // private
    {0xc6120000, 15}, // benchmarks
    {0xc6336400, 24}, // documentation
    {0xcb007100, 24}, // documentation
    {0xe0000000, 4},  // multicast
    {0xf0000000, 4},  // reserved, and the broadcast
};

// What is no unicast of the internet within 2000::/3; outside of it nothing is, but for the two
// wrappers that are looked into below.
static const struct block_v6 not_public_v6[] = {
    {{0x20, 0x01, 0x00}, 23},       // protocol assignments: Teredo, benchmarks, ORCHID
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, // documentation
    {{0x3f, 0xff}, 20},             // documentation
};

// Prefixes that an IPv4 address follows.
static const struct wrapper {
    struct block_v6 block;
    size_t at;
} wrappers[] = {
    {{{[10] = 0xff, [11] = 0xff}, 96}, 12}, // ::ffff:a.b.c.d
    {{{0x00, 0x64, 0xff, 0x9b}, 96}, 12},   // NAT64 (RFC 6052)
    {{{0x20, 0x02}, 16}, 2},                // 6to4 (RFC 3056)
};

static bool
v4_is_public(uint32_t address)
{
    for (size_t i = 0; i < ARRAY_LENGTH(not_public_v4); i++) {
        uint32_t mask = UINT32_MAX << (32 - not_public_v4[i].bits);
        if ((address & mask) == not_public_v4[i].network) {
            return false;
        }
    }
    return true;
}

static uint32_t
read_v4(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool
is_within(const unsigned char *address, const struct block_v6 *block)
{
    size_t whole = (size_t)block->bits / 8;
    unsigned rest = (unsigned)block->bits % 8;
    unsigned mask = 0xffU << (8 - rest) & 0xffU;
    return memcmp(address, block->network, whole) == 0 &&
           (rest == 0 || (address[whole] & mask) == block->network[whole]);
}

static bool
v6_is_public(const unsigned char *address)
{
    static const struct block_v6 unicast = {{0x20}, 3};
    for (size_t i = 0; i < ARRAY_LENGTH(wrappers); i++) {
        if (is_within(address, &wrappers[i].block)) {
            return v4_is_public(read_v4(address + wrappers[i].at));
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(not_public_v6); i++) {
        if (is_within(address, &not_public_v6[i])) {
            return false;
        }
    }
    return is_within(address, &unicast);
}

bool
address_is_public(const struct sockaddr *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4)); // whoever gave it may have aligned it for bytes
        return v4_is_public(ntohl(v4.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof(v6));
        return v6_is_public(v6.sin6_addr.s6_addr);
    }
    return false;
}

static bool
is_number(struct str label)
{
    bool hex = str_starts(label, STR("0x")) || str_starts(label, STR("0X"));
    struct str digits = str_skip(label, hex ? 2 : 0);
    for (size_t i = 0; i < digits.len; i++) {
        char byte = digits.ptr[i];
        bool letter = (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
        if (!(byte >= '0' && byte <= '9') && !(hex && letter)) {
            return false;
        }
    }
    return label.len > 0;
}

bool
address_is_literal(const char *host)
{
    struct str rest = str_of(host), label = {0}, last = {0};
    if (strchr(host, ':') != NULL) {
        return true;
    }
    while (str_cut(rest, '.', &label, &rest)) {
        last = label.len > 0 || rest.len > 0 ? label : last; // "127.0.0.1." is one, too
    }
    return is_number(last);
}

bool
address_literal_is_public(const char *host)
{
    unsigned char v6[IPV6_SIZE];
    if (strchr(host, ':') != NULL) {
        return inet_pton(AF_INET6, host, v6) == 1 && v6_is_public(v6);
    }
    // inet_addr knows the spellings that libcurl and resolvers know; the broadcast, its word for a
    // failure, is not public either.
    return v4_is_public(ntohl(inet_addr(host)));
}

bool
address_name_is_local(const char *host)
{
    static const char *const suffixes[] = {".localhost", ".local", ".internal", ".home.arpa"};
    bool local = strchr(host, '.') == NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++) {
        local = local || str_ends(str_of(host), str_of(suffixes[i]));
    }
    return local;
}

bool
address_name_is_proper(const char *host)
{
    struct str rest = str_of(host), label = {0};
    bool proper = rest.len > 0 && !str_ends(rest, STR("."));
    while (proper && str_cut(rest, '.', &label, &rest)) {
        proper = label.len > 0 && label.len <= LABEL_MAX;
    }
    return proper;
}
