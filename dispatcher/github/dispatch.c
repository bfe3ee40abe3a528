// Starting the run: exactly one POST per accepted or ambiguous outcome (protocols.md §3.6, G8).
//
// A POST is repeated only after an answer that proves that nothing was created: a connection that
// never opened, a 400 or 410 to the API version, a 422 that names return_run_details, a 401. It
// does not look for runs: reconciling is the caller's.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "github_internal.h"

enum { UNSENT_TRIES = 3, UNSENT_BASE_MS = 500, ANSWER_MS = 30 * 1000 };

struct dispatching {
    struct github_client *client;
    const struct github_dispatch *dispatch;
    struct arena *arena;
    struct github_dispatch_result *out;
    struct github_exchange exchange;
    char *path, *body;
    bool renewed;
    unsigned unsent;
};

static void
dispatching_done(struct dispatching *self)
{
    github_exchange_done(&self->exchange);
    free(self->path);
    free(self->body);
}

// Ends it; the error is handed to the caller. Always false: no further try.
static bool
conclude(struct dispatching *self, enum github_dispatch_class class, struct error *err)
{
    self->out->class = class;
    self->out->error = err;
    return false;
}

static bool
ambiguous(struct dispatching *self, struct error *err)
{
    return conclude(self, GITHUB_AMBIGUOUS,
        error_wrap_as(ERROR_UNKNOWN, err, "the dispatch may have taken effect"));
}

static char *
body_of(const struct github_client *client, const struct github_dispatch *dispatch)
{
    struct json *body CLEANUP(json_freep) = json_make_object(), *inputs = json_make_object();
    json_set_str(body, "ref", dispatch->ref);
    for (size_t i = 0; i < dispatch->inputs.count; i++) {
        json_set_str(inputs, dispatch->inputs.items[i].key, dispatch->inputs.items[i].value);
    }
    json_set(body, "inputs", inputs);
    bool old = cstr_equal(client->version, GITHUB_VERSION_OLD);
    if (old && !client->plain_dispatch) {
        json_set_bool(body, "return_run_details", true); // 2026-03-10 knows no such key
    }
    return json_text(body);
}

// Does `url` end in `expected` (names compared without case), with http(s) and no query?
static bool
url_ends_with(const char *url, const char *expected)
{
    struct url parts CLEANUP(url_done) = {0};
    struct error *err = url_parse(url != NULL ? url : "", &parts);
    if (err != NULL) {
        error_free(err);
        return false;
    }
    size_t len = strlen(parts.path), want = strlen(expected);
    return parts.query == NULL && !parts.has_user && len >= want &&
           str_equal_nocase(str_of(parts.path + len - want), str_of(expected));
}

// 200: known only if id and both URLs agree, with each other and with the repository asked.
static struct error *
read_identity(struct dispatching *self, const struct json *answer)
{
    const struct github_client *client = self->client;
    int64_t id = json_int(json_get(answer, "workflow_run_id"), 0);
    if (!json_is_int(json_get(answer, "workflow_run_id")) || id <= 0) {
        return error_new(ERROR_UNKNOWN, "the answer to the dispatch holds no run id");
    }
    const char *html = json_str(json_get(answer, "html_url"));
    char *page CLEANUP(xfreep) =
        xasprintf("/%s/actions/runs/%lld", client->repository, (long long)id);
    char *resource CLEANUP(xfreep) = xasprintf("/repos%s", page);
    if (!url_ends_with(json_str(json_get(answer, "run_url")), resource) ||
        !url_ends_with(html, page)) {
        return error_new(ERROR_UNKNOWN,
            "the answer to the dispatch names run %lld, but its addresses are not of '%s'",
            (long long)id, client->repository);
    }
    self->out->run_id = id;
    self->out->html_url = arena_dup(self->arena, html);
    return NULL;
}

static bool
on_success(struct dispatching *self)
{
    const struct http_response *response = &self->exchange.response;
    if (response->status == 204) {
        return conclude(self, GITHUB_SENT_ANON, NULL);
    }
    struct json *answer CLEANUP(json_freep) = NULL;
    struct error *err = NULL;
    if (response->status != 200) {
        err = error_new(ERROR_UNKNOWN, "HTTP %d is no answer to a dispatch", response->status);
    } else {
        err = json_parse(buf_str(&response->body), &json_limits_default, &answer);
        err = err != NULL ? err : read_identity(self, answer);
    }
    if (err != NULL) {
        error_remote(err, response->status, NULL,
            http_headers_get(&response->headers, "X-GitHub-Request-Id"), true);
        return ambiguous(self, err);
    }
    return conclude(self, GITHUB_SENT_KNOWN, NULL);
}

// After a refusal that names what the server does not know: true when there is a plainer way to
// ask.
static bool
step_down(struct dispatching *self)
{
    struct github_client *client = self->client;
    const struct http_response *response = &self->exchange.response;
    bool version = response->status == 400 || response->status == 410;
    if (version && cstr_equal(client->version, GITHUB_VERSION_NEW)) {
        client->version = GITHUB_VERSION_OLD;
        return true;
    }
    struct buf words CLEANUP(buf_done) = BUF_INIT(4096);
    github_words(response, &words);
    bool named = (response->status == 422 || response->status == 400) &&
                 str_contains(buf_str(&words), STR("return_run_details"));
    if (named && cstr_equal(client->version, GITHUB_VERSION_OLD) && !client->plain_dispatch) {
        client->plain_dispatch = true;
        return true;
    }
    return false;
}

static bool
limited(struct dispatching *self, struct error *err)
{
    self->out->not_before_ms = self->client->not_before_mono_ms;
    return conclude(self, GITHUB_LIMITED, err);
}

static struct error *
refusal(const struct dispatching *self)
{
    struct error *err =
        github_answer_error(self->client, &self->exchange, "Actions: read and write");
    return error_wrap(err, "dispatch of '%s' at '%s' in '%s'", self->dispatch->file,
        self->dispatch->ref, self->client->repository);
}

static bool
on_answer(struct dispatching *self)
{
    const struct http_response *response = &self->exchange.response;
    enum github_verdict verdict = github_judge(response);
    if (verdict == GITHUB_FINE) {
        return on_success(self);
    }
    if (verdict == GITHUB_LIMITED_NOW) {
        return limited(self, refusal(self));
    }
    static const int definite[] = {400, 401, 403, 404, 410, 422};
    bool is_definite = false;
    for (size_t i = 0; i < ARRAY_LENGTH(definite); i++) {
        is_definite = is_definite || definite[i] == response->status;
    }
    if (!is_definite || !github_explains(response)) {
        return ambiguous(self, refusal(self));
    }
    if (step_down(self)) {
        return true;
    }
    if (response->status == 401 && !self->renewed &&
        github_token_renewable(self->client, GITHUB_AUTH_TOKEN)) {
        self->renewed = true;
        return true;
    }
    return conclude(self, GITHUB_REJECTED, refusal(self));
}

// The connection failed: nothing left (may be repeated), or something may have (never).
static bool
on_failure(struct dispatching *self, struct error *err)
{
    struct github_client *client = self->client;
    if (error_remote_of(err)->request_left) {
        return ambiguous(self, err);
    }
    self->unsent++;
    if (error_kind(err) != ERROR_UNAVAILABLE || self->unsent >= UNSENT_TRIES) {
        return conclude(self, GITHUB_NOT_SENT,
            error_wrap(err, "dispatch of '%s' not sent", self->dispatch->file));
    }
    double part = 0.5 + random_unit(client->platform->random) / 2;
    double wait = (double)(UNSENT_BASE_MS << (self->unsent - 1)) * part;
    int64_t next = clock_mono(client->platform->clock) + (int64_t)wait;
    struct error *late = github_wait(client, next,
        client->deadline_mono_ms != 0 ? client->deadline_mono_ms : next, "dispatch not sent");
    if (late != NULL) {
        err = error_wrap_as(error_kind(late), err, "%s", error_message(late));
        error_free(late);
        return conclude(self, GITHUB_NOT_SENT, err);
    }
    error_free(err);
    return true;
}

// One POST. True: it was refused in a way that allows another.
static bool
post(struct dispatching *self)
{
    struct github_client *client = self->client;
    free(self->body);
    self->body = body_of(client, self->dispatch);
    struct github_call call = {
        .method = HTTP_POST,
        .path = self->path,
        .in_repository = true,
        .body = self->body,
        .once = true,
    };
    struct error *err = github_prepare(client, &call, &self->exchange);
    if (err != NULL) { // no token: of this dispatch nothing left, unless an earlier one was refused
        return conclude(self, self->out->posts > 0 ? GITHUB_REJECTED : GITHUB_NOT_SENT,
            error_wrap(err, "dispatch of '%s' not sent", self->dispatch->file));
    }
    // A POST that may take effect gets all the time for its answer: a deadline that cuts it short
    // would only make it ambiguous.
    self->exchange.request.deadline_ms = clock_mono(client->platform->clock) + ANSWER_MS;
    err = github_transmit(client, &self->exchange);
    bool reached = err == NULL || error_remote_of(err)->request_left;
    self->out->posts += reached ? 1 : 0;
    return err != NULL ? on_failure(self, err) : on_answer(self);
}

// GitHub's clock before the POST: a lost answer is looked for from there (protocols.md §3.7).
static struct error *
learn_time(struct github_client *client)
{
    if (client->date_ms != 0) {
        return NULL;
    }
    struct github_call call = {.path = "/rate_limit"};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct error *err = github_send(client, &call, &response);
    if (err != NULL && error_kind(err) != ERROR_CREDENTIALS && client->date_ms != 0) {
        error_free(err); // refused, but with a Date
        return NULL;
    }
    return err;
}

static struct error *
check_deadline(const struct github_client *client)
{
    int64_t deadline = client->deadline_mono_ms;
    if (deadline == 0 || clock_mono(client->platform->clock) < deadline) {
        return NULL;
    }
    return error_new(ERROR_UNAVAILABLE, "no time was left to dispatch; nothing was sent");
}

// Makes sure of a token by preparing a call that is not sent.
static struct error *
make_token(struct github_client *client)
{
    const struct github_call call = {.path = "/rate_limit"};
    struct github_exchange unsent CLEANUP(github_exchange_done) = {0};
    return github_prepare(client, &call, &unsent);
}

struct error *
github_dispatch_ready(struct github_client *client)
{
    if (client->not_before_mono_ms > clock_mono(client->platform->clock)) {
        return NULL; // nothing will be sent
    }
    TRY(learn_time(client));
    TRY(make_token(client));
    TRY(github_pace(client));
    client->is_paced = true;
    return NULL;
}

void
github_dispatch_send(struct github_client *client, const struct github_dispatch *dispatch,
    struct arena *arena, struct github_dispatch_result *out)
{
    *out = (struct github_dispatch_result){.class = GITHUB_NOT_SENT};
    struct buf file CLEANUP(buf_done) = BUF_INIT(4096);
    url_encode(str_of(dispatch->file), "", &file);
    struct dispatching self CLEANUP(dispatching_done) = {
        .client = client,
        .dispatch = dispatch,
        .arena = arena,
        .out = out,
        .path = xasprintf("/actions/workflows/%s/dispatches", buf_cstr(&file)),
    };
    out->error = buf_finish(&file, "workflow file name");
    out->error = out->error != NULL ? out->error : learn_time(client);
    if (out->error != NULL) {
        return;
    }
    if (client->not_before_mono_ms > clock_mono(client->platform->clock)) {
        (void)limited(&self,
            error_new(ERROR_UNAVAILABLE, "GitHub limits the rate of requests; nothing was sent"));
        return;
    }
    out->error = client->is_paced ? NULL : github_pace(client);
    client->is_paced = false;
    out->error = out->error != NULL ? out->error : check_deadline(client);
    if (out->error != NULL) {
        return;
    }
    out->sent_at_ms = github_server_now(client);
    while (post(&self)) {
    }
}
