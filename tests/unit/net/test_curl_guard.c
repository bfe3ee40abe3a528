// Requests to public addresses only, over the real transport: what is not public sees no
// connection, and with a proxy in between the host itself is looked at.
#include "dispatcher/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include "curl_internal.h"
#include "dispatcher/memory.h"
#include "http_lab.h"

// Sends a guarded GET; it must be refused for that host, before anything was sent.
static void
assert_refused(struct http_client *client, const char *url, const char *shown, const char *host)
{
    struct http_response response CLEANUP(http_response_done) = {.status = 99};
    const struct http_request request = {.method = HTTP_GET, .url = url, .public_only = true};
    struct error *err CLEANUP(error_freep) = http_send(client, &request, &response);
    char *expected CLEANUP(xfreep) =
        xasprintf("GET %s: '%s' is at an address that is not public", shown, host);
    assert_non_null(err);
    assert_string_equal(error_message(err), expected);
    assert_int_equal(error_kind(err), ERROR_DENIED);
    assert_string_equal(error_remote_of(err)->code, "address");
    assert_false(error_remote_of(err)->request_left);
    assert_int_equal(response.status, 99);
}

// However the host is spelled: libcurl resolves the names below "localhost" by itself, and reads
// numbers as resolvers do.
static void
this_machine_is_refused_without_a_connection(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "http://127.0.0.1:%u/a",
        "http://localhost:%u/a",
        "https://localhost:%u/a",
        "https://deep.localhost:%u/a",
        "https://127.1:%u/a",
        "https://2130706433:%u/a",
        "https://0x7f.1:%u/a",
        "https://0:%u/a",
        "https://[::ffff:127.0.0.1]:%u/a",
        "https://[::]:%u/a",
    };
    static const char *const hosts[] = {"127.0.0.1", "localhost", "localhost", "deep.localhost",
        "127.1", "2130706433", "0x7f.1", "0", "::ffff:127.0.0.1", "::"};
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        struct buf url CLEANUP(buf_done) = BUF_INIT(200);
        const char *port = strstr(forms[i], "%u");
        buf_append(&url, forms[i], (size_t)(port - forms[i]));
        buf_printf(&url, "%u%s?sig=canary", loopback_server_port(lab.server), port + 2);
        char *shown CLEANUP(xfreep) = xstrndup(buf_cstr(&url), strcspn(buf_cstr(&url), "?"));
        assert_refused(lab.client, buf_cstr(&url), shown, hosts[i]);
    }
    assert_int_equal(loopback_server_connections(lab.server), 0);
    // The same client may go there when the URL is our own word.
    assert_answered(http_send(lab.client,
                        &(struct http_request){.method = HTTP_GET, .url = http_lab_url(&lab, "/")},
                        &lab.response),
        &lab, 200, "ok");
    assert_int_equal(loopback_server_connections(lab.server), 1);
}

// A kept connection has passed no guard.
static void
a_kept_connection_is_not_used(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    assert_answered(http_lab_send(&lab, HTTP_GET, "/"), &lab, 200, "ok");
    char *url CLEANUP(xfreep) = xstrdup(http_lab_url(&lab, "/a"));
    assert_refused(lab.client, url, url, "127.0.0.1");
    assert_int_equal(loopback_server_requests(lab.server), 1);
}

static void
a_unix_socket_is_refused(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    struct error *err CLEANUP(error_freep) = http_send(lab.client,
        &(struct http_request){.method = HTTP_GET,
            .url = "http://docker.example/",
            .unix_socket = "/nonexistent/socket",
            .public_only = true},
        &lab.response);
    assert_non_null(err);
    assert_string_equal(error_remote_of(err)->code, "address");
}

// What the callback lets pass: a socket, closed on exec, that nobody has connected yet.
static void
a_public_address_gets_a_socket(void **state)
{
    (void)state;
    struct transfer transfer = {0};
    struct curl_sockaddr address = {
        .family = AF_INET, .socktype = SOCK_STREAM, .addrlen = sizeof(struct sockaddr_in)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(443)};
    assert_int_equal(inet_pton(AF_INET, "8.8.8.8", &v4.sin_addr), 1);
    memcpy(&address.addr, &v4, sizeof(v4));
    int fd = curl_guard_open(&transfer, CURLSOCKTYPE_IPCXN, &address);
    assert_true(fd >= 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true(transfer.admitted && !transfer.refused);
    (void)close(fd);
    assert_int_equal(inet_pton(AF_INET, "10.8.8.8", &v4.sin_addr), 1);
    memcpy(&address.addr, &v4, sizeof(v4));
    assert_int_equal(curl_guard_open(&transfer, CURLSOCKTYPE_IPCXN, &address), CURL_SOCKET_BAD);
    assert_true(transfer.refused);
}

static void
a_proxy_is_asked_for_names_but_not_for_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host;
    } refused[] = {
        {"https://10.0.0.1/", "10.0.0.1"},
        {"https://[fe80::1]/", "fe80::1"},
        {"https://0xa9fea9fe/latest", "0xa9fea9fe"},
        {"https://169.254.169.254./latest", "169.254.169.254."},
        {"https://deep.localhost/", "deep.localhost"},
        {"https://127.0.0.1/", "127.0.0.1"},
        {"https://localhost/", "localhost"},
    };
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    char *proxy CLEANUP(xfreep) =
        xasprintf("http://127.0.0.1:%u", loopback_server_port(lab.server));
    struct http_client_options options = {.proxy = proxy, .no_proxy = "other.example"};
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    assert_null(http_client_new(&lab.platform, &options, &client));
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        assert_refused(client, refused[i].url, refused[i].url, refused[i].host);
    }
    assert_int_equal(loopback_server_connections(lab.server), 0);
    const struct http_request request = {
        .method = HTTP_GET, .url = "https://hooks.example/x", .public_only = true, .once = true};
    assert_lost(http_send(client, &request, &lab.response), &lab, "proxy", false);
    assert_true(str_starts(http_lab_last(&lab), STR("CONNECT hooks.example:443 HTTP/1.1\r\n")));
    assert_int_equal(loopback_server_connections(lab.server), 1);
}

// libcurl reads more out of such a list than we do (blocks of addresses): what was looked at as
// going to the proxy goes there all the same.
static void
libcurl_does_not_choose_another_way(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    http_lab_answer(&lab, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    char *proxy CLEANUP(xfreep) =
        xasprintf("http://127.0.0.1:%u", loopback_server_port(lab.server));
    struct http_client_options options = {.proxy = proxy, .no_proxy = "8.8.0.0/16"};
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    assert_null(http_client_new(&lab.platform, &options, &client));
    const struct http_request request = {.method = HTTP_GET,
        .url = "https://8.8.8.8/",
        .public_only = true,
        .once = true,
        .deadline_ms = http_lab_in_ms(&lab, 2000)};
    assert_lost(http_send(client, &request, &lab.response), &lab, "proxy", false);
    assert_int_equal(loopback_server_connections(lab.server), 1);
}

// Around a proxy, the guard looks at the address again.
static void
what_goes_around_the_proxy_is_guarded(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    http_lab_init(&lab);
    char *proxy CLEANUP(xfreep) =
        xasprintf("http://127.0.0.1:%u", loopback_server_port(lab.server));
    struct http_client_options options = {.proxy = proxy, .no_proxy = ".localhost"};
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    assert_null(http_client_new(&lab.platform, &options, &client));
    struct error *err CLEANUP(error_freep) = http_send(client,
        &(struct http_request){
            .method = HTTP_GET, .url = "https://deep.localhost/", .public_only = true},
        &lab.response);
    assert_non_null(err);
    assert_string_equal(error_remote_of(err)->code, "address");
    assert_int_equal(loopback_server_connections(lab.server), 0);
}

static void
who_goes_around_the_proxy(void **state)
{
    (void)state;
    static const struct {
        const char *list, *host;
        bool direct;
    } rows[] = {
        {"example.org", "example.org", true},
        {"example.org", "EXAMPLE.ORG", true},
        {"example.org", "a.example.org", true},
        {".example.org", "a.example.org", true},
        {".example.org", "example.org", true},
        {"example.org.", "example.org", true},
        {"example.org", "example.org.", true},
        {"other, example.org", "example.org", true},
        {"other example.org", "example.org", true},
        {"other,\texample.org", "example.org", true},
        {"*", "example.org", true},
        {"example.org", "anexample.org", false},
        {"a.example.org", "example.org", false},
        {"", "example.org", false},
        {",, ,.", "example.org", false},
        {"*.org", "example.org", false},
        {"10.0.0.0/8", "10.0.0.1", false},
    };
    struct curl_transport transport = {.proxy = xstrdup("http://proxy.example")};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        transport.no_proxy = xstrdup(rows[i].list);
        if (curl_guard_goes_direct(&transport, rows[i].host) != rows[i].direct) {
            fail_msg("no_proxy '%s' and host '%s'", rows[i].list, rows[i].host);
        }
        free(transport.no_proxy);
        transport.no_proxy = NULL;
    }
    free(transport.proxy);
    transport.proxy = NULL;
    assert_true(curl_guard_goes_direct(&transport, "example.org"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machine_is_refused_without_a_connection),
        cmocka_unit_test(a_kept_connection_is_not_used),
        cmocka_unit_test(a_unix_socket_is_refused),
        cmocka_unit_test(a_public_address_gets_a_socket),
        cmocka_unit_test(a_proxy_is_asked_for_names_but_not_for_addresses),
        cmocka_unit_test(libcurl_does_not_choose_another_way),
        cmocka_unit_test(what_goes_around_the_proxy_is_guarded),
        cmocka_unit_test(who_goes_around_the_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
