// The guard of requests whose URL is somebody else's word (http_request.public_only): which way
// they take, and which sockets are opened for them. What is looked at is the very address that
// libcurl connects to, so a name that resolves to another one a moment later gains nothing.
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "curl_internal.h"
#include "dispatcher/address.h"
#include "dispatcher/url.h"

struct error *
curl_guard_error(const struct http_request *request)
{
    struct url url CLEANUP(url_done) = {0};
    struct buf what CLEANUP(buf_done) = BUF_INIT(8192);
    struct error *unreadable CLEANUP(error_freep) = url_parse(request->url, &url);
    http_describe(request, &what);
    // A policy of ours, not a trouble of theirs: nobody tries again.
    struct error *err = error_new(ERROR_DENIED, "%s: '%s' is at an address that is not public",
        buf_cstr(&what), unreadable == NULL ? url.host : "");
    return error_remote(err, 0, "address", NULL, false);
}

struct error *
curl_guard_check(const struct http_request *request, const char *host)
{
    bool fine = !address_is_literal(host) || address_literal_is_public(host);
    return fine ? NULL : curl_guard_error(request); // "localhost" never goes to a proxy
}

static struct str
without_dot(struct str host)
{
    host.len -= str_ends(host, STR(".")) ? 1 : 0;
    return host;
}

/// "example.org" and ".example.org" in a no_proxy list stand for the host and all below it.
static bool
is_listed(struct str host, struct str entry)
{
    entry = without_dot(str_skip(entry, str_starts(entry, STR(".")) ? 1 : 0));
    if (entry.len == 0 || entry.len > host.len) {
        return false;
    }
    struct str tail = str_skip(host, host.len - entry.len);
    return str_equal_nocase(tail, entry) && (tail.ptr == host.ptr || tail.ptr[-1] == '.');
}

bool
curl_guard_goes_direct(const struct curl_transport *transport, const char *host)
{
    struct str rest = str_of(transport->no_proxy), part = {0}, entry = {0};
    if (transport->proxy == NULL) {
        return true;
    }
    while (str_cut(rest, ',', &part, &rest)) {
        while (str_cut(part, ' ', &entry, &part)) {
            if (str_equal(entry, STR("*")) ||
                is_listed(without_dot(str_of(host)), str_trim(entry))) {
                return true;
            }
        }
    }
    return false;
}

curl_socket_t
curl_guard_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = ctx;
    if (purpose != CURLSOCKTYPE_IPCXN || !address_is_public(&address->addr)) {
        transfer->refused = true;
        return CURL_SOCKET_BAD;
    }
    transfer->admitted = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}
