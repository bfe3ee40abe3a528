// Which addresses are public, as a table with both sides of every border, and hosts that are
// addresses in disguise.
#include "dispatcher/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "dispatcher/memory.h"

static const char *const not_public[] = {
    // IPv4, the first and the last of each block
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.0",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.192",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "192.88.99.0",
    "192.88.99.255",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "198.51.100.255",
    "203.0.113.0",
    "203.0.113.255",
    "224.0.0.0",
    "224.0.0.251",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.254",
    "255.255.255.255",
    // IPv6 that is none of the internet
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:0:8.8.8.8",
    "100::",
    "100::1",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:0:0:1::808:808",
    "1fff:ffff::1",
    "4000::",
    "5f00::1",
    "fc00::",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fdff:ffff::1",
    "fe00::1",
    "fe80::",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "feff::1",
    "ff00::",
    "ff02::1",
    "ff0e::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    // within 2000::/3
    "2001::",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2001:db8::",
    "2001:db8:ffff:ffff::1",
    "3fff::1",
    "3fff:fff::1",
    // an IPv4 address inside
    "::ffff:0.0.0.0",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "::ffff:7f00:1",
    "::ffff:a9fe:a9fe",
    "::ffff:192.168.1.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1",
    "64:ff9b::",
    "2002::",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::1",
    "2002:c0a8:101::ffff",
    "2002:e000:1::1",
};

static const char *const is_public[] = {
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2000::",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7:ffff::1",
    "2001:db9::",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "3ffe:ffff::1",
    "3fff:1000::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
};

static bool
answer(const char *text)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(443)};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        return address_is_public((const struct sockaddr *)&v4);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return address_is_public((const struct sockaddr *)&v6);
}

static void
the_table(void **state)
{
    (void)state;
    assert_true(ARRAY_LENGTH(not_public) + ARRAY_LENGTH(is_public) >= 80);
    for (size_t i = 0; i < ARRAY_LENGTH(not_public); i++) {
        if (answer(not_public[i])) {
            fail_msg("%s counts as public", not_public[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(is_public); i++) {
        if (!answer(is_public[i])) {
            fail_msg("%s does not count as public", is_public[i]);
        }
    }
}

// Whatever an IPv4 address counts as, its wrappers count as the same.
static void
wrappers_follow_what_they_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(not_public) + ARRAY_LENGTH(is_public); i++) {
        size_t n = ARRAY_LENGTH(not_public);
        const char *text = i < n ? not_public[i] : is_public[i - n];
        struct in_addr v4 = {0};
        if (inet_pton(AF_INET, text, &v4) != 1) {
            continue;
        }
        uint32_t bits = ntohl(v4.s_addr);
        char *mapped CLEANUP(xfreep) = xasprintf("::ffff:%s", text);
        char *nat CLEANUP(xfreep) = xasprintf("64:ff9b::%s", text);
        char *six CLEANUP(xfreep) =
            xasprintf("2002:%x:%x::1", (unsigned)(bits >> 16), (unsigned)(bits & 0xffff));
        assert_int_equal(answer(mapped), answer(text));
        assert_int_equal(answer(nat), answer(text));
        assert_int_equal(answer(six), answer(text));
    }
}

static void
other_families_are_not_public(void **state)
{
    (void)state;
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/docker.sock"};
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    assert_false(address_is_public((const struct sockaddr *)&local));
    assert_false(address_is_public(&none));
}

static void
hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool literal, is_public;
    } rows[] = {
        {"127.0.0.1", true, false},
        {"127.1", true, false},
        {"127.0.1", true, false},
        {"0", true, false},
        {"0x7f000001", true, false},
        {"0X7F.1", true, false},
        {"0x7f.0.0.0x1", true, false},
        {"017700000001", true, false},
        {"0177.0.0.01", true, false},
        {"2130706433", true, false},
        {"3232235777", true, false}, // 192.168.1.1
        {"10.0.0.1", true, false},
        {"169.254.169.254", true, false},
        {"0xa9fea9fe", true, false},
        {"255.255.255.255", true, false},
        {"8.8.8.8", true, true},
        {"134744072", true, true}, // 8.8.8.8
        {"8.8.2056", true, true},
        {"0x8.0x8.0x8.0x8", true, true},
        {"127.0.0.1.", true, false},
        {"8.8.8.8.", true, false}, // nothing that an address can be read from
        {"8.8.8.8..", true, false},
        {"256.1.1.1", true, false},
        {"1.2.3.4.5", true, false},
        {"example.0x", true, false},
        {"example.42", true, false},
        {"09.1.1.1", true, false},
        {"99999999999", true, false},
        {"::1", true, false},
        {"::ffff:127.0.0.1", true, false},
        {"fe80::1", true, false},
        {"2001:4860:4860::8888", true, true},
        {"1::2::3", true, false},
        {":", true, false},
        {"example.org", false, false},
        {"127.0.0.1.example.org", false, false},
        {"1.1.1.1.nip.io", false, false},
        {"0xample", false, false},
        {"deadbeef", false, false},
        {"1a", false, false},
        {"", false, false},
        {".", false, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        bool literal = address_is_literal(rows[i].host);
        if (literal != rows[i].literal ||
            (literal && address_literal_is_public(rows[i].host) != rows[i].is_public)) {
            fail_msg("'%s' is taken for something else", rows[i].host);
        }
    }
}

static void
names(void **state)
{
    (void)state;
    static const char label63[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const struct {
        const char *host;
        bool local, proper;
    } rows[] = {
        {"example.org", false, true},
        {"a.b.c.example.org", false, true},
        {"internal.example.org", false, true},
        {"localhost.example.org", false, true},
        {"notlocal.notinternal", false, true},
        {"localhost", true, true},
        {"metadata", true, true},
        {"a.localhost", true, true},
        {"printer.local", true, true},
        {"metadata.google.internal", true, true},
        {"router.home.arpa", true, true},
        {"home.arpa", false, true},
        {"", true, false},
        {".", false, false},
        {"example.org.", false, false},
        {".example.org", false, false},
        {"example..org", false, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (address_name_is_local(rows[i].host) != rows[i].local ||
            address_name_is_proper(rows[i].host) != rows[i].proper) {
            fail_msg("'%s' is taken for something else", rows[i].host);
        }
    }
    char longest[2 + 2 * sizeof(label63)];
    (void)snprintf(longest, sizeof(longest), "%s.org", label63);
    assert_true(address_name_is_proper(longest));
    (void)snprintf(longest, sizeof(longest), "a%s.org", label63);
    assert_false(address_name_is_proper(longest));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(the_table),
        cmocka_unit_test(wrappers_follow_what_they_hold),
        cmocka_unit_test(other_families_are_not_public),
        cmocka_unit_test(hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
