// The frame around every page, how pages are sent and refused, and the routes of them all. Reads
// for the frame alone; what a page shows is its own file's.
#include "page_internal.h"

#include <inttypes.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"

enum {
    FLASH_MAX = 4000,
    ONCE_BYTES = 8,
    FILLER_MAX = 32, // bytes, before hexadecimal
    ADDRESS_MAX = 8 * 1024,
};

// --- the frame -----------------------------------------------------------------------------------

bool
page_lock_holds(const struct queue_lock *lock, int64_t at_ms)
{
    return lock->starts_ms <= at_ms && (lock->expires_ms == 0 || lock->expires_ms > at_ms) &&
           (lock->released_ms == 0 || lock->released_ms > at_ms);
}

bool
page_lock_touches(
    const struct queue_lock *lock, const char *app, const char *env, const char *program)
{
    return (lock->env == NULL || cstr_equal(lock->env, env)) &&
           (lock->app == NULL || cstr_equal(lock->app, app)) &&
           (lock->program == NULL || cstr_equal(lock->program, program));
}

const char *
page_admins(const struct request *request)
{
    const struct str_list *admins = &service_settings(request->service)->admins;
    struct buf text CLEANUP(buf_done) = BUF_INIT(ADDRESS_MAX);
    if (admins->count == 0) {
        return "an admin (server.admins names no team yet)";
    }
    buf_puts(&text, admins->count == 1 ? "the team " : "the teams ");
    for (size_t i = 0; i < admins->count; i++) {
        buf_printf(&text, "%s%s",
            i == 0                  ? ""
            : i + 1 < admins->count ? ", "
                                    : " and ",
            admins->items[i]);
    }
    return arena_dup(request->arena, buf_cstr(&text));
}

struct web_lock
page_lock(const struct request *request, const struct queue_lock *lock)
{
    const struct caller *caller = &request->caller;
    bool may = caller->admin || (caller->person.login != NULL && lock->owner != NULL &&
                                    strcmp(caller->person.login, lock->owner) == 0);
    return (struct web_lock){
        lock, may ? NULL
                  : arena_printf(request->arena, "%s and %s can lift it.",
                        lock->owner != NULL ? lock->owner : "Its owner", page_admins(request))};
}

static bool
is_wide(const struct queue_lock *lock)
{
    return strcmp(lock->scope, "organisation") == 0 || strcmp(lock->scope, "environment") == 0;
}

static struct error *
read_banners(struct page *page)
{
    struct request *request = page->request;
    struct queue_lock *locks = NULL;
    TRY(queue_locks(
        request->store, false, request->wall_ms, request->arena, &locks, &page->lock_count));
    page->locks = locks;
    struct web_lock *banners = arena_array(request->arena, page->lock_count + 1, sizeof(*banners));
    size_t count = 0;
    for (size_t i = 0; i < page->lock_count; i++) {
        if (is_wide(&locks[i]) && page_lock_holds(&locks[i], request->wall_ms)) {
            banners[count++] = page_lock(request, &locks[i]);
        }
    }
    page->frame.banners = banners;
    page->frame.banner_count = count;
    return NULL;
}

static const char *
path_of(const struct request *request)
{
    struct buf url CLEANUP(buf_done) = BUF_INIT(ADDRESS_MAX);
    buf_puts(&url, request->path);
    for (size_t i = 0; i < request->query.count; i++) {
        url_add_query(&url, request->query.items[i].key, request->query.items[i].value);
    }
    return url.failed ? "/" : arena_dup(request->arena, buf_cstr(&url));
}

static struct web_frame
frame_of(struct request *request, const char *title)
{
    const struct caller *caller = &request->caller;
    const struct setting_server *settings = service_settings(request->service);
    const char *theme = request_cookie(request, "theme");
    char once[2 * ONCE_BYTES + 1];
    random_hex(service_platform(request->service)->random, ONCE_BYTES, once);
    bool known = cstr_equal(theme, "dark") || cstr_equal(theme, "light");
    bool person = caller->kind == CALLER_PERSON;
    return (struct web_frame){
        .title = title,
        .path = path_of(request),
        .login = person ? caller->person.login : NULL,
        .csrf = person && caller->by_session ? caller->csrf : NULL,
        .once = arena_dup(request->arena, once),
        .theme = known ? theme : NULL,
        .url = settings->url != NULL ? settings->url : service_origin(request->service),
        .queued = -1,
        .running = -1,
        .now_ms = request->wall_ms,
    };
}

static void
take_flash(struct request *request, struct web_frame *frame)
{
    const char *flash = session_cookie_value(request, "flash");
    const char *text = flash != NULL && strlen(flash) < FLASH_MAX
                           ? request_decode(str_of(flash), false, request->arena)
                           : NULL;
    if (text != NULL && (text[0] == '+' || text[0] == '-')) {
        frame->flash = text + 1;
        frame->flash_refused = text[0] == '-';
    }
}

struct error *
page_begin(struct request *request, const char *title, struct page *out)
{
    struct queue_counts counts = {0};
    struct page page = {.request = request, .frame = frame_of(request, title)};
    take_flash(request, &page.frame);
    TRY(queue_count(request->store, &counts));
    page.frame.queued = counts.queued;
    page.frame.running = counts.running;
    page.frame.state = counts.running > 0  ? WEB_STATE_RUNNING
                       : counts.queued > 0 ? WEB_STATE_WAITING
                                           : WEB_STATE_GOOD;
    TRY(read_banners(&page));
    page.set = specs_hold(request->service, &page.why);
    page.why = page.set == NULL ? arena_dup(request->arena, page.why) : NULL;
    *out = page;
    return NULL;
}

void
page_done(struct page *page)
{
    specs_release(page->set);
    page->set = NULL;
}

// --- sending -------------------------------------------------------------------------------------

// A page holds the session's token and, sometimes, what a stranger has put into its address: how
// well the two pack together must not tell of either, so its length is blurred.
static void
add_filler(struct request *request, struct buf *html)
{
    char filler[2 * FILLER_MAX + 1];
    const struct random_source *random = service_platform(request->service)->random;
    random_hex(random, FILLER_MAX, filler);
    size_t shown = (size_t)(random_unit(random) * (2 * FILLER_MAX));
    buf_printf(html, "<!--%.*s-->", (int)shown, filler);
}

void
page_send(
    struct request *request, struct response *response, const struct page *page, struct buf *html)
{
    add_filler(request, html);
    response->policy = web_content_policy;
    response->type = "text/html; charset=utf-8";
    buf_reset(&response->body);
    response_header(response, "Vary", "Accept-Encoding, Cookie");
    if (page != NULL && page->frame.flash != NULL) {
        session_cookie(request, response, "flash", NULL, 0);
    }
    if (html->failed) {
        response->status = 500;
        buf_puts(&response->body, "<!doctype html><title>Too large</title><p>This page is larger "
                                  "than pages may be. Filter it.");
        return;
    }
    if (web_takes_gzip(request_header(request, "Accept-Encoding")) &&
        web_gzip(buf_str(html), &response->body)) {
        response_header(response, "Content-Encoding", "gzip");
        return;
    }
    buf_add(&response->body, buf_str(html));
}

// --- refusing ------------------------------------------------------------------------------------

static const char *
title_of(int status)
{
    switch (status) {
    case 401:
        return "Sign in";
    case 403:
        return "Not allowed";
    case 404:
        return "Not found";
    case 429:
        return "Too many requests";
    case 500:
    case 503:
        return "Not available";
    default:
        return "Not done";
    }
}

static void
put_problem(struct request *request, struct response *response, const struct refusal *refusal)
{
    struct buf html CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    const char *meaning = reason_code_meaning(refusal->code);
    struct web_frame frame = frame_of(request, title_of(response->status));
    const struct web_problem problem = {
        .status = response->status,
        .sentence = refusal->sentence != NULL ? refusal->sentence : meaning,
        .hint = refusal->hint,
        .who = refusal->who,
        .code = reason_code_name(refusal->code),
        .request_id = request->id,
    };
    frame.state = WEB_STATE_FAILED;
    web_problem_page(&frame, &problem, &html);
    page_send(request, response, NULL, &html);
}

static void
send_to_sign_in(struct request *request, struct response *response)
{
    struct buf url CLEANUP(buf_done) = BUF_INIT(ADDRESS_MAX);
    bool looks = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    const char *next = looks ? path_of(request) : form_back(request);
    buf_puts(&url, "/sign-in");
    if (strcmp(next, "/") != 0) {
        url_add_query(&url, "next", next);
    }
    response_redirect(response, 303, url.failed ? "/sign-in" : buf_cstr(&url));
}

void
page_refuse(struct request *request, struct response *response, const struct refusal *refusal)
{
    if (refusal->code == REASON_SIGN_IN || refusal->code == REASON_PERSON_UNKNOWN) {
        send_to_sign_in(request, response);
        return;
    }
    // A form of ours is answered where it stands; what may have come from elsewhere is not.
    bool own = (request->route->flags & ROUTE_FORM) != 0 && request->form.len > 0 &&
               request->caller.kind == CALLER_PERSON && refusal->code != REASON_CSRF;
    if (own) {
        const char *sentence =
            refusal->sentence != NULL ? refusal->sentence : reason_code_meaning(refusal->code);
        form_go_back(request, response, true,
            refusal->hint != NULL ? arena_printf(request->arena, "%s. %s", sentence, refusal->hint)
            : refusal->who != NULL
                ? arena_printf(request->arena, "%s (%s can change that)", sentence, refusal->who)
                : sentence);
        return;
    }
    put_problem(request, response, refusal);
}

void
page_not_found(struct request *request, struct response *response, const char *sentence)
{
    const struct refusal refusal = {.code = REASON_NOT_FOUND, .sentence = sentence};
    response_refuse(request, response, &refusal);
}

// --- assets --------------------------------------------------------------------------------------

static struct error *
send_asset(struct request *request, struct response *response)
{
    const struct web_asset *asset = web_asset_at(request->path);
    if (asset == NULL) {
        response_refuse_code(request, response, REASON_NOT_FOUND);
        return NULL;
    }
    struct str bytes = {(const char *)asset->bytes, asset->len};
    response->status = 200;
    response->type = asset->type;
    response_header(response, "Cache-Control", "public, max-age=31536000, immutable");
    response_header(response, "Vary", "Accept-Encoding");
    if (web_takes_gzip(request_header(request, "Accept-Encoding")) &&
        web_gzip(bytes, &response->body)) {
        response_header(response, "Content-Encoding", "gzip");
    } else {
        response->fixed = bytes;
    }
    return NULL;
}

static struct error *
send_favicon(struct request *request, struct response *response)
{
    (void)request;
    response_redirect(response, 302, web_asset_named("good.svg")->path);
    return NULL;
}

// --- routes --------------------------------------------------------------------------------------

enum { LOOK = ROUTE_PAGE, FORM = ROUTE_PAGE | ROUTE_FORM };

static const struct route routes[] = {
    {"GET", "/", ROUTE_PERSON, LOOK, 0, page_matrix},
    {"GET", "/deployments/{id}", ROUTE_PERSON, LOOK, 0, page_deployment},
    {"GET", "/queue", ROUTE_PERSON, LOOK, 0, page_queue},
    {"GET", "/apps/{app}", ROUTE_PERSON, LOOK, 0, page_app},
    {"GET", "/audit", ROUTE_PERSON, LOOK, 0, page_audit},
    {"GET", "/audit.csv", ROUTE_PERSON, LOOK, 0, page_audit_csv},
    {"GET", "/audit.jsonl", ROUTE_PERSON, LOOK, 0, page_audit_jsonl},
    {"GET", "/locks", ROUTE_PERSON, LOOK, 0, page_locks},
    {"POST", "/deployments/{id}/cancel", ROUTE_PERSON, FORM, PAGE_BODY_MAX, form_cancel},
    {"POST", "/deployments/{id}/approve", ROUTE_PERSON, FORM, PAGE_BODY_MAX, form_approve},
    {"POST", "/deployments/{id}/hurry", ROUTE_PERSON, FORM, PAGE_BODY_MAX, form_hurry},
    {"POST", "/apps/{app}/rollback", ROUTE_PERSON, FORM, PAGE_BODY_MAX, form_roll_back},
    {"POST", "/apps/{app}/promote", ROUTE_PERSON, FORM, PAGE_BODY_MAX, form_promote},
    {"POST", "/apps/{app}/deploy", ROUTE_PERSON, FORM, PAGE_BODY_MAX, form_deploy},
    {"POST", "/locks", ROUTE_PERSON, FORM, PAGE_BODY_MAX, form_lock},
    {"POST", "/locks/{id}/release", ROUTE_PERSON, FORM, PAGE_BODY_MAX, form_release},
    {"POST", "/theme", ROUTE_ANYBODY, FORM | ROUTE_CHEAP, PAGE_BODY_MAX, form_theme},
    {"GET", "/assets/{file}", ROUTE_ANYBODY, ROUTE_INLINE | ROUTE_CHEAP | ROUTE_QUIET, 0,
        send_asset},
    {"GET", "/favicon.ico", ROUTE_ANYBODY, ROUTE_INLINE | ROUTE_CHEAP | ROUTE_QUIET, 0,
        send_favicon},
};
const struct route_table page_routes = {routes, ARRAY_LENGTH(routes)};
