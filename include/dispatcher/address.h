// Addresses of the internet: which of them somebody else's word may send us to, and hosts of URLs
// that are addresses in disguise. Pure; resolves nothing.
#pragma once

#include <stdbool.h>

struct sockaddr;

/// A unicast address of the public internet: nothing of this machine, of a private or a
/// provider's network, of documentation or tests, and nothing that only wraps one of these in IPv6.
/// False for everything that is neither IPv4 nor IPv6.
bool address_is_public(const struct sockaddr *address);

/// Is the host of a URL (without brackets) an address instead of a name, in any spelling that a
/// resolver takes: "127.0.0.1", "127.1", "0x7f.1", "017700000001", "2130706433", "::1"? The rule is
/// that of the URL standard of browsers: the last label is a number.
bool address_is_literal(const char *host);
/// address_is_public of such a host; false when no address can be read from it.
bool address_literal_is_public(const char *host);

/// Does the name (lower case) mean something within a machine or a network only: "metadata",
/// "x.localhost", "printer.local" (RFC 6761, 6762, 8375, and the private-use "internal")?
bool address_name_is_local(const char *host);
/// Every resolver takes it for the same name: no label is empty or over 63 bytes, no dot ends it.
bool address_name_is_proper(const char *host);
