// What the forms of pages do: read the fields, then ask the same functions as the API, and go back
// to where the form was with one sentence about what came of it (POST, redirect, GET). Who may do
// what is judged by those functions.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"
#include "page_internal.h"
#include "service_state_internal.h"

enum {
    REASON_BYTES = 1000,
    FLASH_BYTES = 900,
    FLASH_S = 60,
    KEY_MAX = 64,
    ADDRESS_MAX = 8 * 1024,
    EXPIRES_MAX_DAYS = 400,
};

// --- there and back ------------------------------------------------------------------------------

const char *
form_back(struct request *request)
{
    const char *back = request_field(request, "back");
    return web_is_own_path(back) && strlen(back) < ADDRESS_MAX ? back : "/";
}

static void
keep_sentence(
    struct request *request, struct response *response, bool refused, const char *sentence)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(4 * FLASH_BYTES);
    struct buf value CLEANUP(buf_done) = BUF_INIT(16 * FLASH_BYTES);
    text_clean(str_of(sentence), FLASH_BYTES, &clean);
    buf_puts(&value, refused ? "-" : "%2B");
    url_encode(buf_str(&clean), "", &value);
    buf_reset(&response->body);
    response->type = NULL;
    session_cookie(request, response, "flash", buf_cstr(&value), FLASH_S);
}

void
form_go_back(struct request *request, struct response *response, bool refused, const char *sentence)
{
    keep_sentence(request, response, refused, sentence);
    response_redirect(response, 303, form_back(request));
}

// Beside token and Origin (auth.c): a browser says itself where a request was made (Fetch
// Metadata).
static bool
is_from_here(struct request *request, struct response *response)
{
    const char *site = request_header(request, "Sec-Fetch-Site");
    bool own = site == NULL || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
    if (!own) {
        response_refuse_code(request, response, REASON_CSRF);
    }
    return own;
}

// One clean line, NULL when the field is empty. False: refused.
static bool
read_line(struct request *request, struct response *response, const char *field, const char **out)
{
    const char *text = request_field(request, field);
    struct buf clean CLEANUP(buf_done) = BUF_INIT(4 * REASON_BYTES);
    *out = NULL;
    if (text != NULL && strlen(text) > REASON_BYTES) {
        response_refusef(request, response, REASON_REQUEST, "the %s is longer than %d bytes", field,
            REASON_BYTES);
        return false;
    }
    text_clean(str_trim(str_of(text)), REASON_BYTES, &clean);
    if (clean.len > 0) {
        *out = arena_dup(request->arena, buf_cstr(&clean));
    }
    return true;
}

static struct error *
finish(struct request *request, struct response *response, struct error *err, const char *sentence)
{
    if (err == NULL && response->code == NULL) {
        http_headers_done(&response->headers);
        response->headers = (struct http_headers){0};
        form_go_back(request, response, false, sentence);
    }
    return err;
}

// --- deployments ---------------------------------------------------------------------------------

// The job of {id} and a reason; *job NULL: refused.
static struct error *
read_change(
    struct request *request, struct response *response, struct queue_job **job, const char **reason)
{
    *job = NULL;
    if (!is_from_here(request, response) || !read_line(request, response, "reason", reason)) {
        return NULL;
    }
    return api_job(request, response, job);
}

struct error *
form_cancel(struct request *request, struct response *response)
{
    struct queue_job *job = NULL;
    const char *reason = NULL;
    TRY(read_change(request, response, &job, &reason));
    if (job == NULL) {
        return NULL;
    }
    bool runs = strcmp(job->state, "running") == 0;
    return finish(request, response, api_changes_stop(request, response, job, reason),
        arena_printf(request->arena,
            runs ? "#%lld is asked to stop. What it changed by then is reported here."
                 : "#%lld was taken out of the queue; nothing was changed.",
            (long long)job->number));
}

struct error *
form_hurry(struct request *request, struct response *response)
{
    struct queue_job *job = NULL;
    const char *reason = NULL;
    TRY(read_change(request, response, &job, &reason));
    if (job == NULL) {
        return NULL;
    }
    return finish(request, response, api_changes_put_first(request, response, job, reason),
        arena_printf(request->arena, "#%lld goes first in its lane now.", (long long)job->number));
}

struct error *
form_approve(struct request *request, struct response *response)
{
    struct queue_job *job = NULL;
    const char *note = NULL;
    struct queue_approval approval = {0};
    if (!is_from_here(request, response) || !read_line(request, response, "note", &note)) {
        return NULL;
    }
    TRY(api_job(request, response, &job));
    if (job == NULL) {
        return NULL;
    }
    const char *version = request_field(request, "version");
    const char *diff = request_field(request, "diff");
    approval = (struct queue_approval){
        .by = request->caller.person.login,
        .by_id = request->caller.person.id,
        .version = version != NULL && version[0] != '\0' ? version : NULL,
        .diff = diff != NULL && diff[0] != '\0' ? diff : NULL,
        .note = note,
        .rejected = cstr_equal(request_field(request, "reject"), "1"),
        .at_ms = request->wall_ms,
    };
    return finish(request, response, api_changes_record(request, response, job, &approval),
        arena_printf(request->arena,
            approval.rejected ? "You rejected #%lld." : "You approved #%lld.",
            (long long)job->number));
}

// --- new ones ------------------------------------------------------------------------------------

// A page's form is sent once: the same form again, by a double click or a reload, is the same
// request.
static struct queue_idempotency
key_of(struct request *request)
{
    const char *once = request_field(request, "once");
    bool given = once != NULL && once[0] != '\0' && strlen(once) <= KEY_MAX;
    return (struct queue_idempotency){
        .scope = request->caller.scope,
        .key = given ? arena_printf(request->arena, "form/%s", once) : NULL,
        .hash = auth_hash(request),
    };
}

static struct error *
admit(struct request *request, struct response *response, struct admission *admission)
{
    struct admitted admitted = {0};
    admission->person = &request->caller.person;
    admission->request_id = request->id;
    admission->traceparent = request->traceparent;
    admission->idempotency = key_of(request);
    TRY(admission_request(request->service, admission, request->arena, &admitted));
    if (admitted.id == NULL) {
        response_verdict(request, response, &admitted.verdict);
        return NULL;
    }
    keep_sentence(request, response, false,
        admitted.again ? "That was asked for already: this is it." : "It is in the queue.");
    response_redirect(response, 303, arena_printf(request->arena, "/deployments/%s", admitted.id));
    return NULL;
}

static const char *
field_or_null(struct request *request, const char *name)
{
    const char *value = request_field(request, name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

struct error *
form_roll_back(struct request *request, struct response *response)
{
    struct admission admission = {
        .verb = "rollback",
        .app = request_param(request, "app"),
        .env = field_or_null(request, "env"),
        .to = field_or_null(request, "to"),
    };
    if (!is_from_here(request, response) ||
        !read_line(request, response, "reason", &admission.reason)) {
        return NULL;
    }
    return admit(request, response, &admission);
}

struct error *
form_promote(struct request *request, struct response *response)
{
    struct admission admission = {
        .verb = "promote",
        .app = request_param(request, "app"),
        .env = field_or_null(request, "env"),
        .from = field_or_null(request, "from"),
        .version = field_or_null(request, "version"),
    };
    return is_from_here(request, response) ? admit(request, response, &admission) : NULL;
}

struct error *
form_deploy(struct request *request, struct response *response)
{
    struct admission admission = {
        .verb = "deploy",
        .app = request_param(request, "app"),
        .env = field_or_null(request, "env"),
        .version = field_or_null(request, "version"),
    };
    return is_from_here(request, response) ? admit(request, response, &admission) : NULL;
}

// --- locks ---------------------------------------------------------------------------------------

static bool
read_end(struct request *request, struct response *response, int64_t *out)
{
    const char *text = field_or_null(request, "expires_in");
    int64_t max = INT64_C(24) * 3600 * 1000 * EXPIRES_MAX_DAYS;
    *out = 0;
    if (text != NULL && (!clock_parse_duration(str_of(text), out) || *out <= 0 || *out > max)) {
        response_refusef(request, response, REASON_REQUEST,
            "'expires_in' is to be a duration like 4h or 7d, of at most %d days", EXPIRES_MAX_DAYS);
        return false;
    }
    return true;
}

// Of the names in the form only those that the scope needs count: the page says so.
static void
take_names(struct request *request, struct queue_lock *lock)
{
    const char *scope = lock->scope;
    bool target = cstr_equal(scope, "target");
    lock->app = target || cstr_equal(scope, "app") ? field_or_null(request, "app") : NULL;
    lock->env = target || cstr_equal(scope, "environment") ? field_or_null(request, "env") : NULL;
    lock->program = cstr_equal(scope, "program") ? field_or_null(request, "program") : NULL;
}

struct error *
form_lock(struct request *request, struct response *response)
{
    int64_t expires = 0;
    struct queue_lock lock = {
        .scope = request_field(request, "scope"),
        .level = request_field(request, "level"),
        .on_release = request_field(request, "on_release"),
        .owner = request->caller.person.login,
        .starts_ms = request->wall_ms,
    };
    if (!is_from_here(request, response) || !read_line(request, response, "reason", &lock.reason) ||
        !read_end(request, response, &expires)) {
        return NULL;
    }
    lock.level = lock.level != NULL ? lock.level : "lock";
    take_names(request, &lock);
    lock.expires_ms = expires > 0 ? request->wall_ms + expires : 0;
    return finish(request, response, api_locks_make(request, response, &lock), "It is locked.");
}

struct error *
form_release(struct request *request, struct response *response)
{
    int64_t epoch = -1;
    const char *text = request_field(request, "epoch");
    if (!is_from_here(request, response)) {
        return NULL;
    }
    if (!str_to_int64(str_of(text), &epoch) || epoch < 0) {
        response_refusef(request, response, REASON_REQUEST, "'epoch' is no number");
        return NULL;
    }
    return finish(request, response,
        api_locks_lift(request, response, request_param(request, "id"), epoch), "It is lifted.");
}

// --- theme ---------------------------------------------------------------------------------------

struct error *
form_theme(struct request *request, struct response *response)
{
    const char *theme = request_field(request, "theme");
    bool known = cstr_equal(theme, "dark") || cstr_equal(theme, "light");
    // Not bound to this host, and open to the script, which changes it without a request.
    http_headers_addf(&response->headers, "Set-Cookie",
        "theme=%s; Path=/; Max-Age=31536000; SameSite=Lax", known ? theme : "auto");
    response_redirect(response, 303, form_back(request));
    return NULL;
}
