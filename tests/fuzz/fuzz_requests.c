// What strangers send to the service: targets, forms, cookies and headers, presses of buttons, and
// the request that a row of the queue keeps. The first byte says which.
#include <string.h>

#include "dispatcher/slack.h"
#include "fuzz.h"
#include "service/ask_internal.h"
#include "service/request_internal.h"
#include "service/service_internal.h"

static void
check_pairs(const struct pair_list *pairs)
{
    FUZZ_CHECK(pairs->count <= 64);
    for (size_t i = 0; i < pairs->count; i++) {
        FUZZ_CHECK(str_is_utf8(str_of(pairs->items[i].key)));
        FUZZ_CHECK(str_is_utf8(str_of(pairs->items[i].value)));
    }
}

static void
check_target(const char *text, struct arena *arena)
{
    const char *path = NULL;
    struct pair_list query = {0};
    if (request_split(text, arena, &path, &query)) {
        FUZZ_CHECK(path != NULL && path[0] == '/');
        check_pairs(&query);
    }
}

static void
check_form(struct str body, struct arena *arena)
{
    struct pair_list fields = {0};
    struct request request = {.arena = arena, .form = body};
    bool fine = request_pairs(body, arena, &fields);
    const char *reason = request_field(&request, "reason");
    FUZZ_CHECK(fine || reason == NULL);
    if (fine) {
        check_pairs(&fields);
    }
}

// "Name: value" lines.
static void
check_headers(struct str text, struct arena *arena)
{
    struct pair headers[64];
    struct request request = {.arena = arena, .headers = {headers, 0}};
    struct str line = {0};
    while (request.headers.count < 64 && str_cut(text, '\n', &line, &text)) {
        struct str name = {0}, value = {0};
        if (str_cut(line, ':', &name, &value)) {
            headers[request.headers.count++] =
                (struct pair){arena_str(arena, name), arena_str(arena, str_trim(value))};
        }
    }
    const char *problem = request_framing_problem(&request);
    const char *session = request_cookie(&request, "__Host-session");
    const char *trace = request_header(&request, "traceparent");
    FUZZ_CHECK(session == NULL || strchr(session, ';') == NULL);
    FUZZ_CHECK(problem != NULL || request_header_count(&request, "Idempotency-Key") <= 1);
    FUZZ_CHECK(!request_traceparent_is_valid(trace) || strlen(trace) == 55);
    FUZZ_CHECK(!request_id_is_valid(session) || strlen(session) <= 64);
    (void)request_accepts(&request, "text/csv");
    (void)request_header_list(&request, "X-Forwarded-For");
}

static void
check_press(struct str body, struct arena *arena)
{
    struct slack_interaction press = {0};
    struct error *err CLEANUP(error_freep) = slack_interaction_parse(body, arena, &press);
    FUZZ_CHECK(
        err != NULL || (press.action != NULL && press.value != NULL && press.user_id != NULL));
    FUZZ_CHECK(err == NULL || error_kind(err) == ERROR_INPUT);
}

static void
check_ask(const char *text, struct arena *arena)
{
    struct ask ask = {0}, again = {0};
    struct error *err CLEANUP(error_freep) = ask_read(text, arena, &ask);
    if (err != NULL) {
        return;
    }
    char *written CLEANUP(xfreep) = ask_text(&ask);
    struct error *second CLEANUP(error_freep) = ask_read(written, arena, &again);
    FUZZ_CHECK(second == NULL);
    char *twice CLEANUP(xfreep) = ask_text(&again);
    FUZZ_CHECK(strcmp(written, twice) == 0);
    (void)ask_digests(&ask.digests, arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    if (size == 0) {
        return 0;
    }
    struct str rest = {(const char *)data + 1, size - 1};
    char *text CLEANUP(xfreep) = fuzz_text(data + 1, size - 1);
    switch (data[0]) {
    case 't':
        check_target(text, arena);
        break;
    case 'f':
        check_form(rest, arena);
        break;
    case 'h':
        check_headers(rest, arena);
        break;
    case 's':
        check_press(rest, arena);
        break;
    default:
        check_ask(text, arena);
        break;
    }
    return 0;
}
