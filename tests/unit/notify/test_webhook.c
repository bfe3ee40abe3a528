// Anybody's webhook: which addresses may be sent to, how it is signed, what the answers mean.
#include "dispatcher/webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../spec/spec_internal.h"
#include "dispatcher/memory.h"
#include "http_lab.h"
#include "notify_fixture.h"

#define URL "https://hooks.example/deploys?canary=1"
#define WHO "hooks.example: "

// --- addresses -----------------------------------------------------------------------------------

#define HTTPS "must be https"
#define NO_URL "is no URL"
#define ADDRESS "names an address instead of a host"
#define USER "holds a user name or a password"
#define LOCAL "names a host that only a local network knows"
#define NO_HOST "names no proper host"
#define PORT "names a port other than 443"
#define FRAGMENT "has a fragment, which is never sent"

static const struct {
    const char *url, *problem, *private_problem;
} corpus[] = {
    // fine
    {"https://hooks.example/x", NULL, NULL},
    {"https://hooks.example", NULL, NULL},
    {"https://hooks.example:443/x?y=z", NULL, NULL},
    {"https://hooks.example:/x", NULL, NULL},
    {"HTTPS://HOOKS.EXAMPLE/X", NULL, NULL},
    {"https://a-b.c_d.example/", NULL, NULL},
    {"https://xn--bcher-kva.example/", NULL, NULL},
    {"https://1.1.1.1.nip.example/", NULL, NULL},
    {"https://127.0.0.1.example/", NULL, NULL},
    {"https://0x7f.example/", NULL, NULL},
    {"https://hooks.example/@user", NULL, NULL},
    {"https://hooks.example/?u=https://user:word@other.example/", NULL, NULL},
    {"https://hooks.example//..//%2e%2e/", NULL, NULL},
    {"https://hooks.localhost.example/", NULL, NULL},
    {"https://internal.example/", NULL, NULL},
    // another scheme, or none
    {"http://hooks.example/x", HTTPS, HTTPS},
    {"ftp://hooks.example/x", NO_URL, NO_URL},
    {"file:///etc/passwd", NO_URL, NO_URL},
    {"gopher://hooks.example/_x", NO_URL, NO_URL},
    {"javascript:alert(1)", NO_URL, NO_URL},
    {"dict://hooks.example:11211/", NO_URL, NO_URL},
    {"unix:///run/docker.sock", NO_URL, NO_URL},
    {"//hooks.example/x", NO_URL, NO_URL},
    {"hooks.example/x", NO_URL, NO_URL},
    {"https:hooks.example", NO_URL, NO_URL},
    {"https:/hooks.example", NO_URL, NO_URL},
    {"https:///x", NO_URL, NO_URL},
    {"https://", NO_URL, NO_URL},
    {"https", NO_URL, NO_URL},
    {"", "is missing", "is missing"},
    {NULL, "is missing", "is missing"},
    {" https://hooks.example/", NO_URL, NO_URL},
    {"https://hooks.example/ ", NO_URL, NO_URL},
    {"xhttps://hooks.example/", NO_URL, NO_URL},
    // addresses, however they are written
    {"https://127.0.0.1/", ADDRESS, NULL},
    {"https://127.0.0.1:8443/", ADDRESS, NULL},
    {"https://127.1/", ADDRESS, NULL},
    {"https://0/", ADDRESS, NULL},
    {"https://0.0.0.0/", ADDRESS, NULL},
    {"https://2130706433/", ADDRESS, NULL},
    {"https://017700000001/", ADDRESS, NULL},
    {"https://0177.0.0.1/", ADDRESS, NULL},
    {"https://0x7f000001/", ADDRESS, NULL},
    {"https://0x7F.0.0.1/", ADDRESS, NULL},
    {"https://0x7f.1/", ADDRESS, NULL},
    {"https://10.0.0.1/", ADDRESS, NULL},
    {"https://169.254.169.254/latest/meta-data/", ADDRESS, NULL},
    {"https://0xa9fea9fe/", ADDRESS, NULL},
    {"https://169.254.43518/", ADDRESS, NULL},
    {"https://8.8.8.8/", ADDRESS, NULL},
    {"https://127.0.0.1./", ADDRESS, NULL},
    {"https://256.256.256.256/", ADDRESS, NULL},
    {"https://1.2.3.4.5/", ADDRESS, NULL},
    {"https://hooks.1/", ADDRESS, NULL},
    {"https://[::]/", ADDRESS, NULL},
    {"https://[::1]/", ADDRESS, NULL},
    {"https://[::1]:443/", ADDRESS, NULL},
    {"https://[::ffff:127.0.0.1]/", ADDRESS, NULL},
    {"https://[fe80::1]/", ADDRESS, NULL},
    {"https://[fd00:ec2::254]/", ADDRESS, NULL},
    {"https://[2606:4700:4700::1111]/", ADDRESS, NULL},
    {"https://[64:ff9b::a9fe:a9fe]/", ADDRESS, NULL},
    {"https://[fe80::1%25eth0]/", NO_URL, NO_URL},
    {"https://[::1/", NO_URL, NO_URL},
    {"https://::1/", NO_URL, NO_URL},
    {"https://[]/", NO_URL, NO_URL},
    {"https://[hooks.example]/", NO_URL, NO_URL},
    {"https://[::1].hooks.example/", NO_URL, NO_URL},
    {"https://%31%32%37.0.0.1/", NO_URL, NO_URL},
    {"https://\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1/", NO_URL, NO_URL}, // circled digits
    // names of one network or machine
    {"https://localhost/", LOCAL, NULL},
    {"https://LOCALHOST/", LOCAL, NULL},
    {"https://a.localhost/", LOCAL, NULL},
    {"https://metadata/", LOCAL, NULL},
    {"https://metadata.google.internal/computeMetadata/v1/", LOCAL, NULL},
    {"https://printer.local/", LOCAL, NULL},
    {"https://router.home.arpa/", LOCAL, NULL},
    {"https://localhost./", NO_HOST, NULL},
    {"https://hooks.example./", NO_HOST, NULL},
    {"https://hooks..example/", NO_HOST, NULL},
    {"https://.hooks.example/", NO_HOST, NULL},
    {"https://./", NO_HOST, NULL},
    {"https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example/", NO_HOST,
        NULL},
    // users, and what looks like one
    {"https://user@hooks.example/", USER, USER},
    {"https://user:word@hooks.example/", USER, USER},
    {"https://:@hooks.example/", USER, USER},
    {"https://@hooks.example/", USER, USER},
    {"https://hooks.example@127.0.0.1/", USER, USER},
    {"https://hooks.example:443@127.0.0.1/", USER, USER},
    {"https://a@b@hooks.example/", USER, USER},
    {"https://hooks.example%40127.0.0.1/", NO_URL, NO_URL},
    {"https://127.0.0.1\\@hooks.example/", NO_URL, NO_URL},
    {"https://hooks.example\\.127.0.0.1/", NO_URL, NO_URL},
    {"https:\\\\hooks.example\\", NO_URL, NO_URL},
    // fragments
    {"https://hooks.example/#x", FRAGMENT, FRAGMENT},
    {"https://hooks.example#@127.0.0.1/", FRAGMENT, FRAGMENT},
    {"https://127.0.0.1#@hooks.example/", FRAGMENT, FRAGMENT},
    {"https://hooks.example/#", FRAGMENT, FRAGMENT},
    // ports
    {"https://hooks.example:80/", PORT, NULL},
    {"https://hooks.example:8443/", PORT, NULL},
    {"https://hooks.example:0443/", NULL, NULL},
    {"https://hooks.example:22/", PORT, NULL},
    {"https://hooks.example:0/", NO_URL, NO_URL},
    {"https://hooks.example:65536/", NO_URL, NO_URL},
    {"https://hooks.example:-1/", NO_URL, NO_URL},
    {"https://hooks.example:443:80/", NO_URL, NO_URL},
    {"https://hooks.example:4 43/", NO_URL, NO_URL},
    // bytes that do not belong
    {"https://hooks.example/a b", NO_URL, NO_URL},
    {"https://hooks.example/\r\nHost: evil.example", NO_URL, NO_URL},
    {"https://hooks.example/\t", NO_URL, NO_URL},
    {"https://hooks\x01.example/", NO_URL, NO_URL},
    {"https://hooks.example/\x7f", NO_URL, NO_URL},
    {"https://b\xc3\xbc"
     "cher.example/",
        NO_URL, NO_URL},
    {"https://hooks.example\xe3\x80\x82"
     "evil.example/",
        NO_URL, NO_URL}, // ideographic full stop
    {"https://hooks.example/\xff", NO_URL, NO_URL},
    {"https://hooks.example/<x>", NO_URL, NO_URL},
    {"https://hooks.example/|x", NO_URL, NO_URL},
    {"https://ho*ks.example/", NO_URL, NO_URL},
    // plain http, where the organisation lists the host
    {"http://127.0.0.1:8080/", HTTPS, NULL},
    {"http://localhost:8080/", HTTPS, NULL},
    {"http://[::1]:8080/", HTTPS, NULL},
    {"http://10.0.0.7/", HTTPS, HTTPS},
    {"http://127.0.0.1.example/", HTTPS, HTTPS},
};

static void
which_addresses_may_be_sent_to(void **state)
{
    (void)state;
    assert_true(ARRAY_LENGTH(corpus) >= 80);
    for (size_t i = 0; i < ARRAY_LENGTH(corpus); i++) {
        const char *problem = webhook_url_problem(corpus[i].url, false);
        const char *in_private = webhook_url_problem(corpus[i].url, true);
        if (!cstr_equal(problem, corpus[i].problem) ||
            !cstr_equal(in_private, corpus[i].private_problem)) {
            fail_msg("'%s' %s, and if listed %s", corpus[i].url, problem, in_private);
        }
    }
}

// Lint is there so that nobody finds out by a report that is missing.
static void
lint_refuses_what_sending_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus); i++) {
        const char *url = corpus[i].url != NULL ? corpus[i].url : "";
        for (int to_private = 0; to_private <= 1; to_private++) {
            bool sent = webhook_url_problem(url, to_private != 0) == NULL;
            const char *problem = spec_hook_problem(url, to_private != 0);
            if (sent != (problem == NULL)) {
                fail_msg("'%s' (%d): lint says %s", url, to_private, problem);
            }
        }
    }
}

static void
the_key_is_masked_without_its_prefix(void **state)
{
    (void)state;
    static const char *const secrets[] = {"whsec_Y2FuYXJ5LWtleS1vbmU=", "canary-key-two"};
    static const char *const masked[] = {"***, whsec, ***", "whsec_***"};
    static const char *const texts[] = {
        "Y2FuYXJ5LWtleS1vbmU=, whsec, whsec_Y2FuYXJ5LWtleS1vbmU=", "whsec_canary-key-two"};
    for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++) {
        struct secret *secret CLEANUP(secret_freep) = secret_new(str_of(secrets[i]));
        struct buf text CLEANUP(buf_done) = BUF_INIT(1024);
        webhook_mask(secret);
        buf_puts(&text, texts[i]);
        secret_mask(&text);
        assert_string_equal(buf_cstr(&text), masked[i]);
    }
}

static void
a_long_address(void **state)
{
    (void)state;
    struct buf url CLEANUP(buf_done) = BUF_INIT(100 * 1000);
    buf_puts(&url, "https://hooks.example/");
    while (url.len < 2048) {
        buf_putc(&url, 'x');
    }
    assert_null(webhook_url_problem(buf_cstr(&url), false));
    buf_putc(&url, 'x');
    assert_string_equal(
        webhook_url_problem(buf_cstr(&url), false), "is longer than 2,048 characters");
    while (url.len < 50 * 1000) {
        buf_putc(&url, 'x');
    }
    assert_string_equal(
        webhook_url_problem(buf_cstr(&url), true), "is longer than 2,048 characters");
}

// --- signatures ----------------------------------------------------------------------------------

static void
signatures(void **state)
{
    (void)state;
    static const struct {
        const char *secret, *signature;
    } rows[] = {
        // the vector of the Standard Webhooks libraries
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", // its bytes as they are
            "v1,ELhqG0Ku1gwOc1f4jyKdp3SFGFLAOdJ9bvpWLciCakI="},
        {"whsec_", ""},
        {"whsec_not/base64!", ""},
        {"whsec_YWJj=", ""},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct secret *secret CLEANUP(secret_freep) = secret_new(str_of(rows[i].secret));
        struct buf out CLEANUP(buf_done) = BUF_INIT(1000);
        webhook_sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
            STR("{\"test\": 2432232314}"), &out);
        assert_string_equal(buf_cstr(&out), rows[i].signature);
    }
}

// --- sending -------------------------------------------------------------------------------------

static void
send_it(const struct webhook_delivery *delivery, const struct script_step *steps, size_t count,
    struct notify_fixture **out, struct notify_result *result)
{
    *out = notify_fixture_new(steps, count);
    webhook_send(&(*out)->fake->platform, (*out)->http, delivery, (*out)->arena, result);
    notify_fixture_finish(*out);
}

static void
what_is_on_the_wire(void **state)
{
    (void)state;
    static const char *const is_signed[] = {
        "Content-Type: application/cloudevents+json; charset=utf-8", "webhook-id: d-1/deployed",
        "webhook-timestamp: 1795247280",
        "webhook-signature: v1,Ysgd8w/OQRwaV7QApvPhrXBKTVP1Na1C7ntiXjntPrA=", "!Authorization",
        NULL};
    static const char *const is_plain[] = {
        "Content-Type: application/cloudevents+json; charset=utf-8", "webhook-id: d-1/deployed",
        "webhook-timestamp: 1795247280", "!webhook-signature", NULL};
    struct secret *secret CLEANUP(secret_freep) =
        secret_new(STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    for (int i = 0; i < 4; i++) {
        bool with_secret = i % 2 == 0, to_private = i >= 2;
        const struct script_step step = {.method = HTTP_POST,
            .url = URL,
            .headers = with_secret ? is_signed : is_plain,
            .body = "{\"specversion\":\"1.0\"}",
            .must_be_once = true,
            .status = 204};
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = NULL;
        struct notify_result result = {0};
        send_it(&(struct webhook_delivery){URL, to_private, with_secret ? secret : NULL,
                    "d-1/deployed", "{\"specversion\":\"1.0\"}"},
            &step, 1, &n, &result);
        assert_result(&result, NOTIFY_DELIVERED, -1, NULL, NULL);
        const struct script_request *sent = script_transport_request(n->script, 0);
        assert_int_equal(sent->headers.count, with_secret ? 4 : 3);
        assert_int_equal(sent->public_only, !to_private);
        assert_false(sent->allow_plain);
        assert_int_equal(sent->deadline_ms, FAKE_MONO_START + 10000);
        assert_int_equal(sent->max_response, 64 * 1024);
    }
}

static const char *const after_7[] = {"Retry-After: 7", NULL};

static void
answers(void **state)
{
    (void)state;
    static const struct {
        struct script_step step;
        enum notify_verdict verdict;
        int64_t after;
        const char *problem, *hint;
    } rows[] = {
        {{.status = 200, .reply = "whatever"}, NOTIFY_DELIVERED, -1, NULL, NULL},
        {{.status = 202}, NOTIFY_DELIVERED, -1, NULL, NULL},
        {{.status = 429, .reply_headers = after_7, .reply = "canary"}, NOTIFY_LIMITED, 7000,
            WHO "too many requests (HTTP 429)", NULL},
        {{.status = 400, .reply = "canary"}, NOTIFY_REFUSED, -1,
            WHO "the message is refused (HTTP 400)", NULL},
        {{.status = 401, .reply = "canary"}, NOTIFY_BLOCKED, -1, WHO "access is refused (HTTP 401)",
            "Check the credentials."},
        {{.status = 410}, NOTIFY_BLOCKED, -1,
            WHO "there is nothing at the address any more (HTTP 410)", "Check the address."},
        {{.status = 308}, NOTIFY_BLOCKED, -1,
            WHO "it sends elsewhere, which is not followed (HTTP 308)",
            "Write the address that it leads to."},
        {{.status = 503, .reply_headers = after_7}, NOTIFY_DOUBT, -1, WHO "it failed (HTTP 503)",
            NULL},
        {{.failure = "refused"}, NOTIFY_LATER, -1, WHO "no connection can be made", NULL},
        {{.failure = "reset", .request_left = true}, NOTIFY_DOUBT, -1, WHO "the connection broke",
            NULL},
        {{.failure = "10.0.0.1 is not public",
             .failure_kind = ERROR_DENIED,
             .failure_code = "address"},
            NOTIFY_BLOCKED, -1, WHO "it is at an address that is not public",
            "Only hosts under 'notify.private_hosts' of dispatcher.yaml may be on a private "
            "network."},
        {{.takes_ms = 10001}, NOTIFY_DOUBT, -1, WHO "no answer came in time", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct script_step step = rows[i].step;
        step.method = HTTP_POST;
        step.url = URL;
        step.must_be_once = true;
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = NULL;
        struct notify_result result = {0};
        send_it(&(struct webhook_delivery){.url = URL, .id = "d-1", .body = "{}"}, &step, 1, &n,
            &result);
        assert_result(&result, rows[i].verdict, rows[i].after, rows[i].problem, rows[i].hint);
    }
}

static void
what_is_not_sent(void **state)
{
    (void)state;
    static const char hint[] =
        "Write it as https://host/path; a host of a private network has to stand under "
        "'notify.private_hosts' of dispatcher.yaml.";
    struct secret *bad CLEANUP(secret_freep) = secret_new(STR("whsec_canary!"));
    struct secret *empty CLEANUP(secret_freep) = secret_new(STR(""));
    const struct {
        struct webhook_delivery delivery;
        const char *problem, *hint;
    } rows[] = {
        {{.url = "http://hooks.example/canary"}, "a webhook: its address must be https", hint},
        {{.url = "https://10.0.0.1/canary"},
            "a webhook: its address names an address instead of a host", hint},
        {{.url = NULL}, "a webhook: its address is missing", hint},
        {{.url = "https://canary@10.0.0.1/", .to_private = true},
            "a webhook: its address holds a user name or a password",
            "Write it as https://host/path."},
        {{.url = URL, .secret = bad}, WHO "its signing secret cannot be used",
            "Store it as 'whsec_' and base64, or as any other text of at most 4,096 bytes."},
        {{.url = URL, .secret = empty}, WHO "its signing secret cannot be used",
            "Store it as 'whsec_' and base64, or as any other text of at most 4,096 bytes."},
        {{.url = URL, .id = "d\r\nX-A: b"}, WHO "the request cannot be sent",
            "Check the address and the credentials."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct webhook_delivery delivery = rows[i].delivery;
        struct notify_fixture *n CLEANUP(notify_fixture_freep) = NULL;
        struct notify_result result = {0};
        delivery.id = delivery.id != NULL ? delivery.id : "d-1";
        delivery.body = "{}";
        send_it(&delivery, NULL, 0, &n, &result);
        assert_result(&result, NOTIFY_BLOCKED, -1, rows[i].problem, rows[i].hint);
    }
}

static void
an_event_too_large_is_refused(void **state)
{
    (void)state;
    char *body CLEANUP(xfreep) = xmalloc(1024 * 1024 + 2);
    memset(body, ' ', 1024 * 1024 + 1);
    body[1024 * 1024 + 1] = '\0';
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = NULL;
    struct notify_result result = {0};
    send_it(
        &(struct webhook_delivery){.url = URL, .id = "d-1", .body = body}, NULL, 0, &n, &result);
    assert_result(&result, NOTIFY_REFUSED, -1, WHO "the event is over 1 MiB", NULL);
}

// Over the real transport: what is listed is reached on this machine, and signed as it arrives.
static void
to_this_machine_when_it_is_listed(void **state)
{
    (void)state;
    struct http_lab lab CLEANUP(http_lab_done);
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct secret *secret CLEANUP(secret_freep) = secret_new(STR("any other text"));
    struct notify_result result = {0};
    http_lab_init(&lab);
    struct webhook_delivery delivery = {
        http_lab_url(&lab, "/in"), true, secret, "d-1/deployed", "{\"a\":1}"};
    webhook_send(&lab.platform, lab.client, &delivery, arena, &result);
    assert_result(&result, NOTIFY_DELIVERED, -1, NULL, NULL);
    struct str got = http_lab_last(&lab);
    assert_true(str_starts(got, STR("POST /in HTTP/1.1\r\n")));
    assert_true(str_contains(got, STR("\r\nwebhook-id: d-1/deployed\r\nwebhook-timestamp: ")));
    assert_true(str_contains(got, STR("\r\nwebhook-signature: v1,")));
    assert_true(str_ends(got, STR("\r\n\r\n{\"a\":1}")));
    delivery.to_private = false;
    webhook_send(&lab.platform, lab.client, &delivery, arena, &result);
    assert_int_equal(result.verdict, NOTIFY_BLOCKED);
    assert_int_equal(loopback_server_connections(lab.server), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_addresses_may_be_sent_to),
        cmocka_unit_test(lint_refuses_what_sending_refuses),
        cmocka_unit_test(the_key_is_masked_without_its_prefix),
        cmocka_unit_test(a_long_address),
        cmocka_unit_test(signatures),
        cmocka_unit_test(what_is_on_the_wire),
        cmocka_unit_test(answers),
        cmocka_unit_test(what_is_not_sent),
        cmocka_unit_test(an_event_too_large_is_refused),
        cmocka_unit_test(to_this_machine_when_it_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
