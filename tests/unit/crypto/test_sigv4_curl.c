// SigV4 against a second implementation: libcurl signs a request and sends it to a loopback socket,
// and ours must give the same Authorization for the time libcurl chose. libcurl 7.88 signs only
// POSTs to "/" correctly, so only those are compared.
#include "dispatcher/sigv4.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/clock.h"

// Takes one request and answers 200.
struct catcher {
    int listener;
    unsigned port;
    struct buf head;
};

static void
catcher_open(struct catcher *catcher)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    catcher->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(catcher->listener >= 0);
    assert_int_equal(bind(catcher->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(catcher->listener, 1), 0);
    assert_int_equal(getsockname(catcher->listener, (struct sockaddr *)&address, &size), 0);
    catcher->port = ntohs(address.sin_port);
    buf_init(&catcher->head, 64 * 1024);
}

static void *
catcher_run(void *ctx)
{
    struct catcher *catcher = ctx;
    int peer = accept(catcher->listener, NULL, NULL);
    char chunk[4096];
    while (!str_contains(buf_str(&catcher->head), STR("\r\n\r\n"))) {
        ssize_t got = read(peer, chunk, sizeof(chunk));
        if (got <= 0) {
            break;
        }
        buf_append(&catcher->head, chunk, (size_t)got);
    }
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    ssize_t sent = write(peer, answer, sizeof(answer) - 1);
    (void)sent;
    (void)shutdown(peer, SHUT_WR);
    while (read(peer, chunk, sizeof(chunk)) > 0) {
    }
    (void)close(peer);
    return NULL;
}

static void
header_of(const struct catcher *catcher, const char *name, struct buf *out)
{
    struct str line = {0}, rest = buf_str(&catcher->head), key = {0};
    while (str_cut(rest, '\n', &line, &rest)) {
        if (str_cut(line, ':', &key, &line) && str_equal_nocase(key, str_of(name))) {
            buf_add(out, str_trim(line));
            return;
        }
    }
    fail_msg("libcurl sent no '%s'", name);
}

static void
curl_sends(const char *url, const char *provider, const char *const *lines, struct str body)
{
    CURL *curl = curl_easy_init();
    assert_non_null(curl);
    struct curl_slist *list = NULL;
    for (; *lines != NULL; lines++) {
        list = curl_slist_append(list, *lines);
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, provider);
    curl_easy_setopt(curl, CURLOPT_USERPWD, "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body.len);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.ptr);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
}

static int64_t
time_of(const char *date)
{
    char text[32];
    assert_int_equal(strlen(date), 16);
    (void)snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", date, date + 4, date + 6,
        date + 9, date + 11, date + 13);
    int64_t time_ms = 0;
    assert_true(clock_parse_rfc3339(text, &time_ms));
    return time_ms;
}

struct exchange {
    const char *service, *content_type, *target, *token;
    struct str body;
};

static void
our_authorization(
    const struct exchange *exchange, const char *url, int64_t time_ms, struct http_headers *headers)
{
    struct secret *key CLEANUP(secret_freep) =
        secret_new(STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"));
    struct secret *token CLEANUP(secret_freep) =
        exchange->token != NULL ? secret_new(str_of(exchange->token)) : NULL;
    struct sigv4_scope scope = {.access_key = "AKIDEXAMPLE",
        .secret_key = key,
        .session_token = token,
        .region = "eu-west-1",
        .service = exchange->service,
        .time_ms = time_ms};
    http_headers_add(headers, "Content-Type", exchange->content_type);
    if (exchange->target != NULL) {
        http_headers_add(headers, "X-Amz-Target", exchange->target);
    }
    struct sigv4_request request = {
        .method = HTTP_POST, .url = url, .headers = headers, .body = exchange->body};
    assert_null(sigv4_sign(&request, &scope, headers));
}

static void
assert_same_signature(const struct exchange *exchange)
{
    struct catcher catcher = {0};
    catcher_open(&catcher);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, catcher_run, &catcher), 0);

    char url[64], provider[64], type[128], target[128], token[512];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", catcher.port);
    (void)snprintf(provider, sizeof(provider), "aws:amz:eu-west-1:%s", exchange->service);
    (void)snprintf(type, sizeof(type), "Content-Type: %s", exchange->content_type);
    const char *lines[4] = {type};
    size_t count = 1;
    if (exchange->target != NULL) {
        (void)snprintf(target, sizeof(target), "X-Amz-Target: %s", exchange->target);
        lines[count++] = target;
    }
    if (exchange->token != NULL) {
        (void)snprintf(token, sizeof(token), "X-Amz-Security-Token: %s", exchange->token);
        lines[count++] = token;
    }
    curl_sends(url, provider, lines, exchange->body);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)close(catcher.listener);

    struct buf date CLEANUP(buf_done) = BUF_INIT(100);
    struct buf theirs CLEANUP(buf_done) = BUF_INIT(2000);
    header_of(&catcher, "X-Amz-Date", &date);
    header_of(&catcher, "Authorization", &theirs);
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    our_authorization(exchange, url, time_of(buf_cstr(&date)), &headers);
    assert_string_equal(http_headers_get(&headers, "X-Amz-Date"), buf_cstr(&date));
    assert_string_equal(http_headers_get(&headers, "Authorization"), buf_cstr(&theirs));
    buf_done(&catcher.head);
}

static void
json_with_a_target_is_signed_alike(void **state)
{
    (void)state;
    assert_same_signature(&(struct exchange){.service = "ssm",
        .content_type = "application/x-amz-json-1.1",
        .target = "AmazonSSM.GetParameter",
        .body = STR("{\"Name\":\"/apps/caf\xc3\xa9/image-tag\"}")});
}

static void
a_session_token_is_signed_alike(void **state)
{
    (void)state;
    assert_same_signature(&(struct exchange){.service = "ecr",
        .content_type = "application/x-amz-json-1.1",
        .target = "AmazonEC2ContainerRegistry_V20150921.DescribeImages",
        .token =
            "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqw==",
        .body = STR("{}")});
}

static void
a_form_and_an_empty_body_are_signed_alike(void **state)
{
    (void)state;
    assert_same_signature(&(struct exchange){.service = "sts",
        .content_type = "application/x-www-form-urlencoded; charset=utf-8",
        .body = STR("Action=GetCallerIdentity&Version=2011-06-15")});
    assert_same_signature(
        &(struct exchange){.service = "sts", .content_type = "text/plain", .body = STR("")});
}

static void
a_binary_body_is_signed_alike(void **state)
{
    (void)state;
    assert_same_signature(&(struct exchange){.service = "lambda",
        .content_type = "application/octet-stream",
        .body = STR("\x00\xff\x01\r\n\x80 binary \x00")});
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_with_a_target_is_signed_alike),
        cmocka_unit_test(a_session_token_is_signed_alike),
        cmocka_unit_test(a_form_and_an_empty_body_are_signed_alike),
        cmocka_unit_test(a_binary_body_is_signed_alike),
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
