// The forms of what `notify` holds: channels, members, patterns, and where a webhook may lead.
// Pure, as checks.c is; whether an address is public is found out when it is connected to.
#include <string.h>

#include "dispatcher/address.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "spec_internal.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum {
    URL_MAX = 2048,
    CHANNEL_MAX = 80,
    ID_MAX = 32,
    AUTHOR_MAX = 320,
    HOST_MAX = 253,
    HTTPS_PORT = 443
};

// An id of Slack: a letter of `kinds`, then at least eight of its alphabet.
static bool
is_slack_id(const char *value, const char *kinds)
{
    size_t len = strlen(value);
    return len >= 9 && len <= ID_MAX && strchr(kinds, value[0]) != NULL &&
           strspn(value + 1, UPPER DIGITS) == len - 1;
}

const char *
check_channel(const char *value)
{
    size_t len = strlen(value);
    bool named = value[0] == '#' && len >= 2 && len <= 1 + CHANNEL_MAX &&
                 strspn(value + 1, LOWER DIGITS "-_") == len - 1;
    return named || is_slack_id(value, "CGD")
               ? NULL
               : "must be '#' and up to 80 lower-case letters, digits, '-' and '_', or a channel's "
                 "id, like C012AB3CD";
}

const char *
check_member_id(const char *value)
{
    return is_slack_id(value, "UW") ? NULL : "must be a Slack member id, like U012AB3CD";
}

const char *
check_author(const char *value)
{
    size_t len = strlen(value);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)value[i] < ' ' || value[i] == 0x7f) {
            return "must be an e-mail address or a name, without control characters";
        }
    }
    return len > 0 && len <= AUTHOR_MAX ? NULL : "must have 1 to 320 bytes";
}

const char *
check_app_pattern(const char *value)
{
    size_t len = strlen(value);
    return len > 0 && len <= 63 && strspn(value, LOWER DIGITS "-*") == len &&
                   strstr(value, "**") == NULL
               ? NULL
               : "must be the name of an app, with '*' as the only wildcard";
}

const char *
check_private_host(const char *value)
{
    const char *host = strncmp(value, "*.", 2) == 0 ? value + 2 : value;
    return strlen(value) <= HOST_MAX && check_domain(host) == NULL
               ? NULL
               : "must be a host without scheme and port, or '*.' and a domain";
}

bool
spec_host_is_listed(const struct str_list *hosts, const char *url_text)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err CLEANUP(error_freep) = url_parse(url_text, &url);
    struct str host = str_of(url.host);
    for (size_t i = 0; err == NULL && i < hosts->count; i++) {
        struct str entry = str_of(hosts->items[i]);
        struct str tail = str_skip(entry, 1); // ".example.org" of "*.example.org"
        bool below = entry.ptr[0] == '*' && host.len > tail.len &&
                     str_equal_nocase(str_skip(host, host.len - tail.len), tail);
        if (below || str_equal_nocase(entry, host)) {
            return true;
        }
    }
    return false;
}

static const char *
form_problem(const char *value, const struct error *err, const struct url *url)
{
    if (err != NULL || strlen(value) > URL_MAX) {
        return "must be an https URL";
    }
    if (url->has_user) {
        return "must be an https URL without user name";
    }
    return strchr(value, '#') != NULL ? "must be an https URL without a fragment" : NULL;
}

const char *
check_hook_url(const char *value)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err CLEANUP(error_freep) = url_parse(value, &url);
    return form_problem(value, err, &url);
}

// What sending would refuse as well (webhook.h), but for what a name resolves to.
static const char *
public_problem(const struct url *url)
{
    if (address_is_literal(url->host)) {
        return "must name a host, not an address";
    }
    if (url_host_is_loopback(url->host)) {
        return "must lead to another machine";
    }
    if (!address_name_is_proper(url->host)) {
        return "must name a host, without an empty part";
    }
    if (address_name_is_local(url->host)) {
        return "must name a host of the public internet";
    }
    return url->port == HTTPS_PORT ? NULL : "must be on port 443";
}

const char *
spec_hook_problem(const char *value, bool to_private)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err CLEANUP(error_freep) = url_parse(value, &url);
    const char *problem = form_problem(value, err, &url);
    if (problem != NULL) {
        return problem;
    }
    if (strcmp(url.scheme, "https") != 0 && !(to_private && url_host_is_loopback(url.host))) {
        return to_private ? "must be https (plain http only on loopback)" : "must be https";
    }
    return to_private ? NULL : public_problem(&url);
}
