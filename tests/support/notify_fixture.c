// See the header.
#include "notify_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

enum { DEADLINE_MS = 10000 };

struct notify_fixture *
notify_fixture_new(const struct script_step *steps, size_t count)
{
    struct notify_fixture *notify = xcalloc(1, sizeof(*notify));
    notify->arena = arena_new();
    notify->fake = fake_platform_new(NULL);
    notify->script = script_transport_new(notify->fake, steps, count);
    assert_success(http_client_new(&notify->fake->platform, NULL, &notify->http));
    return notify;
}

void
notify_fixture_free(struct notify_fixture *notify)
{
    if (notify == NULL) {
        return;
    }
    http_client_free(notify->http);
    script_transport_free(notify->script);
    fake_platform_free(notify->fake);
    arena_free(notify->arena);
    free(notify);
}

void
notify_fixture_freep(struct notify_fixture **notify)
{
    notify_fixture_free(*notify);
    *notify = NULL;
}

void
notify_fixture_finish(const struct notify_fixture *notify)
{
    script_transport_finish(notify->script);
    for (size_t i = 0; i < script_transport_request_count(notify->script); i++) {
        const struct script_request *request = script_transport_request(notify->script, i);
        assert_true(request->deadline_ms > 0 &&
                    request->deadline_ms <= request->sent_mono_ms + DEADLINE_MS);
        assert_true(request->max_response > 0 && request->max_response <= 4 * 1024 * 1024);
    }
}

static void
assert_text(const char *text, const char *expected)
{
    assert_int_equal(text == NULL, expected == NULL);
    if (text != NULL) {
        assert_string_equal(text, expected);
    }
}

void
assert_result(const struct notify_result *result, enum notify_verdict verdict,
    int64_t retry_after_ms, const char *problem, const char *hint)
{
    assert_text(result->problem, problem);
    assert_text(result->hint, hint);
    assert_int_equal(result->verdict, verdict);
    assert_int_equal(result->retry_after_ms, retry_after_ms);
}
