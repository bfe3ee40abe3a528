// URLs: taking apart, checking, encoding. Pure.
#pragma once

#include "dispatcher/buf.h"

struct url {
    char *scheme, *host, *path,
        *query;    // host without brackets, lower case; path at least "/"; query NULL if none
    unsigned port; // explicit or the scheme's
    bool has_user; // user or password present: refused by most callers
};

/// ERROR_INPUT when it is not an absolute http(s) URL.
NODISCARD struct error *url_parse(const char *text, struct url *out);
void url_done(struct url *url);
/// "localhost", 127.0.0.0/8, ::1.
bool url_host_is_loopback(const char *host);
/// Same scheme, host and port?
bool url_same_origin(const struct url *a, const struct url *b);
/// RFC 3986 §2.3: everything but unreserved becomes %XX. `keep` lists further bytes to pass ("/").
void url_encode(struct str text, const char *keep, struct buf *out);
/// Appends "?key=value" or "&key=value", both encoded.
void url_add_query(struct buf *url, const char *key, const char *value);
/// Resolves a Location (absolute or relative) against the URL it came from.
NODISCARD struct error *url_resolve(const char *base, const char *location, char **out);
