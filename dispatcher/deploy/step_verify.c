// Step "verify": what was rolled out answers as the spec says: each check of `deploy.verify` is
// asked again until it holds or its time is over, all of them side by side. Redirects are not
// followed, and nothing of an answer's body is shown but the members that were asked for.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/http.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "target_internal.h"

enum {
    POLL_MS = 2000,
    POLL_FACTOR_MAX = 5, // the interval grows to 10 s
    ATTEMPT_MS = 10 * 1000,
    BODY_MAX = 1024 * 1024,
    PARALLEL = 4,
    VALUE_MAX = 80,
    SEEN_MAX = 200,
};

static int64_t
now_ms(const struct step_run *run)
{
    return clock_mono(run->context->platform->clock);
}

static void
put_expected(const struct deployment_check *check, struct buf *out)
{
    buf_printf(out, "HTTP %lld", (long long)check->expect);
    for (size_t i = 0; i < check->body.count; i++) {
        buf_printf(out, "%s %s '%s'", i == 0 ? " with" : " and", check->body.items[i].key,
            check->body.items[i].value);
    }
}

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    (void)step;
    for (size_t i = 0; i < d->verify.count; i++) {
        const struct deployment_check *check = deployment_check_at(d, i);
        char within[32];
        clock_format_duration(check->within_ms, within);
        buf_printf(out, "%scheck that '%s' answers ", i > 0 ? "\n     " : "", check->url);
        put_expected(check, out);
        buf_printf(out, " within %s", within);
    }
}

struct error *
verify_check_url(const char *text)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err = url_parse(text, &url);
    if (err != NULL) {
        return error_wrap_as(ERROR_SPEC, err, "a check of 'deploy.verify'");
    }
    if (url.has_user) { // the address goes to logs and reports
        return error_hint(
            error_new(ERROR_SPEC, "a check of '%s' has a user or a password in its URL", url.host),
            "Check an address that needs no credentials.");
    }
    if (strcmp(url.scheme, "http") == 0 && !url_host_is_loopback(url.host)) {
        return error_hint(error_new(ERROR_SPEC, "check '%s' is not encrypted", text),
            "Use https; plain http is accepted for this machine (localhost) only.");
    }
    return NULL;
}

// --- one answer --------------------------------------------------------------------------------

// What a member says, as the spec would write it; NULL for lists and blocks.
static const char *
text_of(const struct json *value, struct arena *arena)
{
    if (json_is_object(value) || json_is_array(value)) {
        return NULL;
    }
    if (json_str(value) != NULL) {
        return json_str(value);
    }
    char *text CLEANUP(xfreep) = json_text(value);
    return arena_dup(arena, text);
}

// {digest} is known after the push only, so the plan leaves it in place (targets.c).
static const char *
expected_of(const struct deployment *d, const char *value, struct arena *arena)
{
    static const char mark[] = "{digest}";
    const char *digest = d->services.count > 0 ? deployment_service_at(d, 0)->digest : NULL;
    const char *at = strstr(value, mark);
    return at == NULL || digest == NULL ? value
                                        : arena_printf(arena, "%.*s%s%s", (int)(at - value), value,
                                              digest, at + strlen(mark));
}

// NULL when the member says what it must.
static const char *
compare_member(
    const struct json *body, const struct pair *pair, const char *expected, struct arena *arena)
{
    const struct json *value = json_get(body, pair->key);
    value = value != NULL ? value : json_path(body, pair->key);
    if (value == NULL) {
        return arena_printf(arena, "'%s' is missing where '%s' was expected", pair->key, expected);
    }
    const char *text = text_of(value, arena);
    if (text == NULL) {
        return arena_printf(
            arena, "'%s' is a list or a block where '%s' was expected", pair->key, expected);
    }
    return strcmp(text, expected) == 0
               ? NULL
               : arena_printf(arena, "'%s' is '%s' where '%s' was expected", pair->key,
                     context_clean(arena, text, VALUE_MAX), expected);
}

static const char *
compare_body(const struct deployment *d, const struct deployment_check *check, struct str text,
    struct arena *arena)
{
    struct json *body CLEANUP(json_freep) = NULL;
    const struct json_limits limits = {BODY_MAX, json_limits_default.max_depth};
    struct error *err CLEANUP(error_freep) = json_parse(text, &limits, &body);
    if (err != NULL || !json_is_object(body)) {
        return "the answer is not a JSON object";
    }
    for (size_t i = 0; i < check->body.count; i++) {
        const struct pair *pair = &check->body.items[i];
        const char *wrong = compare_member(body, pair, expected_of(d, pair->value, arena), arena);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

// NULL when the answer is as it must be, else what is wrong with it.
static const char *
judge(const struct deployment *d, const struct deployment_check *check,
    const struct http_response *response, struct arena *arena)
{
    if (response->status != check->expect) {
        const char *location = http_headers_get(&response->headers, "Location");
        bool moved = response->status >= 300 && response->status < 400 && location != NULL;
        return arena_printf(arena, "HTTP %d where %lld was expected%s%s", response->status,
            (long long)check->expect, moved ? ", redirected to " : "",
            moved ? context_clean(arena, location, VALUE_MAX) : "");
    }
    return check->body.count > 0 ? compare_body(d, check, buf_str(&response->body), arena) : NULL;
}

// "no answer (connection refused)": without the URL, which stands beside it.
static const char *
no_answer(const struct deployment_check *check, const struct error *err, struct arena *arena)
{
    char *text CLEANUP(xfreep) = error_text(err);
    const char *head = arena_printf(arena, "GET %.*s: ", (int)strcspn(check->url, "?"), check->url);
    bool repeats = strncmp(text, head, strlen(head)) == 0;
    return arena_printf(arena, "no answer: %s", repeats ? text + strlen(head) : text);
}

static void
pass(const struct step_run *run, struct deployment_check *check)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    check->state = "passed";
    put_expected(check, &text);
    check->seen = context_clean(run->arena, buf_cstr(&text), SEEN_MAX);
    context_emit_text(run->context, run->deployment, DEPLOY_EVENT_NOTE,
        arena_printf(run->arena, "check '%s' passed: %s", check->url, check->seen));
}

static void
take_answer(const struct step_run *run, struct deployment_check *check,
    const struct http_exchange *exchange)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    check->attempts++;
    const char *wrong = exchange->error != NULL
                            ? no_answer(check, exchange->error, scratch)
                            : judge(run->deployment, check, &exchange->response, scratch);
    if (wrong == NULL) {
        pass(run, check);
        return;
    }
    (void)target_set_text(run->arena, &check->seen, context_clean(scratch, wrong, SEEN_MAX));
}

// --- all of them -------------------------------------------------------------------------------

// One request for each check that has not passed yet.
static struct error *
ask_open(const struct step_run *run)
{
    const struct deployment *d = run->deployment;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    size_t count = d->verify.count, asked = 0;
    struct http_request *requests = arena_array(scratch, count, sizeof(*requests));
    struct http_exchange *exchanges = arena_array(scratch, count, sizeof(*exchanges));
    struct deployment_check **which =
        arena_array(scratch, count, sizeof(struct deployment_check *));
    for (size_t i = 0; i < count; i++) {
        struct deployment_check *check = deployment_check_at(d, i);
        if (check->state == NULL) {
            requests[asked] = (struct http_request){.method = HTTP_GET,
                .url = check->url,
                .deadline_ms = now_ms(run) + ATTEMPT_MS,
                .max_response = BODY_MAX};
            exchanges[asked].request = &requests[asked];
            which[asked++] = check;
        }
    }
    struct error *err = http_send_all(run->context->http, exchanges, asked, PARALLEL);
    for (size_t i = 0; i < asked; i++) {
        if (err == NULL) {
            take_answer(run, which[i], &exchanges[i]);
        }
        error_free(exchanges[i].error);
        http_response_done(&exchanges[i].response);
    }
    return err;
}

static struct error *
failure_of(const struct step_run *run, const struct deployment_check *check)
{
    char waited[32];
    clock_format_duration(now_ms(run) - run->context->pace->verify_mono_ms, waited);
    struct error *err =
        error_new(ERROR_REFUSED, "check '%s' failed: %s (%lld attempt%s in %s)", check->url,
            check->seen, (long long)check->attempts, check->attempts == 1 ? "" : "s", waited);
    return error_hint(err, "'deploy.verify' of the spec says what is expected, and within which "
                           "time.");
}

// How long a check is asked; DISPATCHER_VERIFY_MS shortens what the spec says, for rehearsals.
static int64_t
within_ms(const struct step_run *run, const struct deployment_check *check)
{
    int64_t most = context_tuning_ms(run->context, "DISPATCHER_VERIFY_MS", check->within_ms);
    return most < check->within_ms ? most : check->within_ms;
}

// Time is over for those whose `within` has passed; the first of them is the failure.
static const struct deployment_check *
find_late(const struct step_run *run, int64_t *next_end)
{
    const struct deployment *d = run->deployment;
    const struct deployment_check *late = NULL;
    *next_end = INT64_MAX;
    for (size_t i = 0; i < d->verify.count; i++) {
        struct deployment_check *check = deployment_check_at(d, i);
        int64_t end = run->context->pace->verify_mono_ms + within_ms(run, check);
        if (check->state != NULL) {
            continue;
        }
        if (now_ms(run) >= end) {
            check->state = "failed";
            late = late == NULL ? check : late;
        } else if (end < *next_end) {
            *next_end = end;
        }
    }
    return late;
}

static int64_t
interval_ms(const struct step_run *run)
{
    int64_t base = context_tuning_ms(run->context, "DISPATCHER_POLL_MS", POLL_MS);
    int64_t factor = 1 + run->context->pace->verify_rounds / 3;
    return base * (factor < POLL_FACTOR_MAX ? factor : POLL_FACTOR_MAX);
}

// Each process waits anew: what an earlier one saw was another moment.
static void
begin(const struct step_run *run)
{
    if (run->context->pace->verify_mono_ms != 0) {
        return;
    }
    run->context->pace->verify_mono_ms = now_ms(run);
    run->context->pace->verify_rounds = 0;
    for (size_t i = 0; i < run->deployment->verify.count; i++) {
        struct deployment_check *check = deployment_check_at(run->deployment, i);
        check->state = NULL;
        check->attempts = 0;
    }
}

static struct error *
run_verify(const struct step_run *run, struct step_result *out)
{
    const struct deployment *d = run->deployment;
    int64_t end = 0;
    begin(run);
    TRY(ask_open(run));
    run->context->pace->verify_rounds++;
    const struct deployment_check *late = find_late(run, &end);
    if (late != NULL) {
        return failure_of(run, late);
    }
    if (end == INT64_MAX) {
        out->outcome = STEP_DONE;
        out->note = arena_printf(
            run->arena, "%zu check%s passed", d->verify.count, d->verify.count == 1 ? "" : "s");
        return NULL;
    }
    int64_t next = now_ms(run) + interval_ms(run);
    out->outcome = STEP_WAIT;
    out->until_ms = next < end ? next : end;
    return engine_save(run, "waiting", NULL);
}

const struct step_ops step_verify = {"verify", describe, run_verify, NULL};
