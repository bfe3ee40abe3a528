// Verdicts from errors and statuses alone.
#include "dispatcher/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "notify_fixture.h"

static void
errors(void **state)
{
    (void)state;
    static const char tls_hint[] =
        "Check the host's certificate; a private CA is named by SSL_CERT_FILE.";
    static const char address_hint[] =
        "Only hosts under 'notify.private_hosts' of dispatcher.yaml may be on a private network.";
    static const struct {
        enum error_kind kind;
        const char *code;
        bool left;
        enum notify_verdict verdict;
        const char *problem, *hint;
    } rows[] = {
        {ERROR_UNAVAILABLE, "dns", false, NOTIFY_LATER, "the name of its host cannot be resolved",
            NULL},
        {ERROR_UNAVAILABLE, "connect", false, NOTIFY_LATER, "no connection can be made", NULL},
        {ERROR_UNAVAILABLE, "proxy", false, NOTIFY_LATER, "the proxy does not let it through",
            NULL},
        {ERROR_UNAVAILABLE, "proxy", true, NOTIFY_DOUBT, "the proxy does not let it through", NULL},
        {ERROR_UNAVAILABLE, "tls", false, NOTIFY_BLOCKED, "its certificate or its TLS is refused",
            tls_hint},
        {ERROR_UNAVAILABLE, "timeout", false, NOTIFY_LATER, "no answer came in time", NULL},
        {ERROR_UNAVAILABLE, "timeout", true, NOTIFY_DOUBT, "no answer came in time", NULL},
        {ERROR_UNAVAILABLE, "reset", false, NOTIFY_LATER, "the connection broke", NULL},
        {ERROR_UNAVAILABLE, "reset", true, NOTIFY_DOUBT, "the connection broke", NULL},
        {ERROR_UNAVAILABLE, "cap", true, NOTIFY_DOUBT, "its answer is too long", NULL},
        {ERROR_DENIED, "address", false, NOTIFY_BLOCKED, "it is at an address that is not public",
            address_hint},
        {ERROR_CANCELLED, "cancelled", false, NOTIFY_LATER, "interrupted", NULL},
        {ERROR_CANCELLED, "cancelled", true, NOTIFY_DOUBT, "interrupted", NULL},
        {ERROR_CANCELLED, NULL, false, NOTIFY_LATER, "no answer came", NULL},
        {ERROR_UNAVAILABLE, "odd", true, NOTIFY_DOUBT, "no answer came", NULL},
        {ERROR_INPUT, NULL, false, NOTIFY_BLOCKED, "the request cannot be sent",
            "Check the address and the credentials."},
    };
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct notify_result result = {0};
        struct error *err CLEANUP(error_freep) =
            error_new(rows[i].kind, "POST https://hooks.example/canary: what happened");
        error_remote(err, 0, rows[i].code, NULL, rows[i].left);
        notify_judge_error(err, arena, &result);
        assert_result(&result, rows[i].verdict, -1, rows[i].problem, rows[i].hint);
    }
}

static enum notify_verdict
expected_of(int status)
{
    switch (status) {
    case 401:
    case 403:
    case 404:
    case 410:
        return NOTIFY_BLOCKED;
    case 408:
    case 425:
        return NOTIFY_LATER;
    case 429:
        return NOTIFY_LIMITED;
    default:
        return status >= 200 && status < 300   ? NOTIFY_DELIVERED
               : status >= 300 && status < 400 ? NOTIFY_BLOCKED
               : status >= 400 && status < 500 ? NOTIFY_REFUSED
                                               : NOTIFY_DOUBT;
    }
}

static void
statuses(void **state)
{
    (void)state;
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
    for (int status = 100; status < 1000; status++) {
        struct http_response response = {.status = status};
        struct notify_result result = {0};
        notify_judge_status(&n->fake->platform, &response, n->arena, &result);
        assert_int_equal(result.verdict, expected_of(status));
        assert_int_equal(result.retry_after_ms, -1);
        assert_int_equal(result.problem == NULL, result.verdict == NOTIFY_DELIVERED);
    }
}

static void
sentences(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *problem, *hint;
    } rows[] = {
        {202, NULL, NULL},
        {301, "it sends elsewhere, which is not followed (HTTP 301)",
            "Write the address that it leads to."},
        {400, "the message is refused (HTTP 400)", NULL},
        {401, "access is refused (HTTP 401)", "Check the credentials."},
        {404, "there is nothing at the address (HTTP 404)", "Check the address."},
        {408, "it did not wait for the request (HTTP 408)", NULL},
        {410, "there is nothing at the address any more (HTTP 410)", "Check the address."},
        {413, "the message is refused (HTTP 413)", NULL},
        {425, "it is not ready yet (HTTP 425)", NULL},
        {429, "too many requests (HTTP 429)", NULL},
        {503, "it failed (HTTP 503)", NULL},
        {199, "an answer without a meaning (HTTP 199)", NULL},
    };
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct http_response response = {.status = rows[i].status};
        struct notify_result result = {0};
        notify_judge_status(&n->fake->platform, &response, n->arena, &result);
        assert_result(&result, expected_of(rows[i].status), -1, rows[i].problem, rows[i].hint);
    }
}

// What is asked for is obeyed, up to a day: a sink is not given up for a year.
static void
retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t ms;
    } rows[] = {
        {"7", 7000},
        {"0", 0},
        {"-1", 0},
        {"86400", 86400000},
        {"86401", 86400000},
        {"99999999999999999999", 86400000},
        {"Sat, 21 Nov 2026 07:48:30 GMT", 30000},
        {"soon", -1},
        {"", -1},
    };
    struct notify_fixture *n CLEANUP(notify_fixture_freep) = notify_fixture_new(NULL, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct http_response response CLEANUP(http_response_done) = {.status = 429};
        struct notify_result result = {0};
        http_headers_add(&response.headers, "Retry-After", rows[i].value);
        notify_judge_status(&n->fake->platform, &response, n->arena, &result);
        assert_result(&result, NOTIFY_LIMITED, rows[i].ms, "too many requests (HTTP 429)", NULL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),
        cmocka_unit_test(statuses),
        cmocka_unit_test(sentences),
        cmocka_unit_test(retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
