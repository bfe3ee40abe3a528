// The end of a job's log: one redirect by hand to the storage, without credentials (protocols.md
// T45, D9), streamed so that only the last lines are ever held. Sanitizes nothing: log_sanitize
// does.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/retry.h"
#include "dispatcher/url.h"
#include "github_internal.h"

enum {
    LINES_MAX = 2000,
    LINE_KEPT = 16 * 1024, // of a longer line the rest is dropped
    FETCH_TRIES = 3,
    FETCH_MS = 120 * 1000,
    STAMP_MAX = 40, // "2026-11-21T07:48:00.1234567Z"
};

// The last lines seen, oldest overwritten.
struct ring {
    char **lines;
    size_t capacity, total;
};

struct tail {
    struct ring all, window;
    struct buf line;
    int64_t from_s, to_s; // seconds since the epoch, inclusive; 0: no window
    bool is_inside;       // the last stamped line was; unstamped ones belong to it
};

static void
ring_init(struct ring *ring, size_t capacity)
{
    *ring = (struct ring){.lines = xcalloc(capacity, sizeof(char *)), .capacity = capacity};
}

static void
ring_clear(struct ring *ring)
{
    for (size_t i = 0; i < ring->capacity; i++) {
        free(ring->lines[i]);
        ring->lines[i] = NULL;
    }
    ring->total = 0;
}

static void
ring_push(struct ring *ring, struct str line)
{
    char **slot = &ring->lines[ring->total++ % ring->capacity];
    free(*slot);
    *slot = str_dup(line);
}

static void
tail_init(struct tail *tail, const struct github_log_part *part)
{
    size_t capacity = part->lines < 1 ? 1 : part->lines > LINES_MAX ? LINES_MAX : part->lines;
    bool windowed = part->started_ms > 0 && part->completed_ms > 0;
    *tail = (struct tail){
        .from_s = windowed ? part->started_ms / 1000 : 0,
        .to_s = windowed ? part->completed_ms / 1000 : 0,
    };
    ring_init(&tail->all, capacity);
    ring_init(&tail->window, capacity);
    buf_init(&tail->line, LINE_KEPT);
}

static void
tail_restart(struct tail *tail)
{
    ring_clear(&tail->all);
    ring_clear(&tail->window);
    buf_reset(&tail->line);
    tail->is_inside = false;
}

static void
tail_done(struct tail *tail)
{
    ring_clear(&tail->all);
    ring_clear(&tail->window);
    free(tail->all.lines);
    free(tail->window.lines);
    buf_done(&tail->line);
}

// The stamp at the start of a line of GitHub's logs; the first one has a byte order mark before it.
static bool
stamp_of(struct str line, int64_t *seconds)
{
    struct str stamp = {0}, rest = {0};
    line = str_starts(line, STR("\xef\xbb\xbf")) ? str_skip(line, 3) : line;
    if (!str_cut(line, ' ', &stamp, &rest) || stamp.len > STAMP_MAX) {
        return false;
    }
    char text[STAMP_MAX + 1] = {0};
    memcpy(text, stamp.ptr, stamp.len);
    int64_t ms = 0;
    if (!clock_parse_rfc3339(text, &ms)) {
        return false;
    }
    *seconds = ms / 1000;
    return true;
}

static void
tail_end_line(struct tail *tail)
{
    struct str line = buf_str(&tail->line);
    line.len -= str_ends(line, STR("\r")) ? 1 : 0;
    int64_t seconds = 0;
    if (tail->to_s != 0 && stamp_of(line, &seconds)) {
        tail->is_inside = seconds >= tail->from_s && seconds <= tail->to_s;
    }
    ring_push(&tail->all, line);
    if (tail->is_inside) {
        ring_push(&tail->window, line);
    }
    buf_reset(&tail->line);
}

static void
tail_add(struct tail *tail, struct str text)
{
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
        size_t room = LINE_KEPT - tail->line.len;
        buf_append(&tail->line, text.ptr, len < room ? len : room);
        if (end != NULL) {
            tail_end_line(tail);
        }
        text = str_skip(text, end != NULL ? len + 1 : len);
    }
}

static struct error *
tail_write(void *ctx, const char *bytes, size_t len)
{
    tail_add(ctx, (struct str){bytes, len});
    return NULL;
}

static const char *
tail_text(struct tail *tail, struct arena *arena)
{
    if (tail->line.len > 0) {
        tail_end_line(tail);
    }
    const struct ring *ring = tail->window.total > 0 ? &tail->window : &tail->all;
    size_t count = ring->total < ring->capacity ? ring->total : ring->capacity;
    struct buf text CLEANUP(buf_done) = BUF_INIT((LINE_KEPT + 1) * ring->capacity);
    for (size_t i = ring->total - count; i < ring->total; i++) {
        buf_puts(&text, ring->lines[i % ring->capacity]);
        buf_putc(&text, '\n');
    }
    return arena_str(arena, buf_str(&text));
}

// github.com keeps its logs in known places; an Enterprise Server's administrator chooses theirs.
static bool
is_storage_host(const char *api_host, const char *host)
{
    static const char *const known[] = {
        ".blob.core.windows.net", ".githubusercontent.com", ".github.com", ".ghe.com"};
    bool cloud =
        cstr_equal(api_host, "api.github.com") || str_ends(str_of(api_host), STR(".ghe.com"));
    bool found = !cloud || cstr_equal(api_host, host);
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        found = found || str_ends(str_of(host), str_of(known[i]));
    }
    return found;
}

static struct error *
check_storage(const struct github_client *client, const char *target)
{
    struct url api CLEANUP(url_done) = {0}, url CLEANUP(url_done) = {0};
    TRY(url_parse(client->api, &api));
    TRY(url_parse(target, &url));
    if (url.has_user || !is_storage_host(api.host, url.host)) {
        return error_new(
            ERROR_UNAVAILABLE, "log storage '%s' is not one of GitHub's; not fetched", url.host);
    }
    return NULL;
}

static struct error *
fetch_once(struct github_client *client, const char *url, struct tail *tail,
    struct http_response *response)
{
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    http_headers_add(&headers, "User-Agent", "dispatcher/" DISPATCHER_VERSION);
    int64_t deadline = clock_mono(client->platform->clock) + FETCH_MS;
    bool sooner = client->deadline_mono_ms != 0 && client->deadline_mono_ms < deadline;
    struct http_writer writer = {tail_write, tail, NULL};
    struct http_request request = {
        .method = HTTP_GET,
        .url = url,
        .headers = &headers, // no Authorization: the storage rejects it, and must not learn it
        .writer = &writer,
        .deadline_ms = sooner ? client->deadline_mono_ms : deadline,
    };
    tail_restart(tail);
    struct error *err = http_send(client->http, &request, response);
    client->counters.sent += err == NULL || error_remote_of(err)->request_left ? 1 : 0;
    return err;
}

static struct error *
fetch(struct github_client *client, const char *url, struct tail *tail, bool *found)
{
    for (unsigned attempt = 1;; attempt++) {
        struct http_response response CLEANUP(http_response_done) = {0};
        struct error *err = fetch_once(client, url, tail, &response);
        bool lost = err != NULL && error_kind(err) == ERROR_UNAVAILABLE;
        enum retry_outcome outcome = err == NULL ? retry_outcome_of_status(response.status)
                                     : lost      ? RETRY_TRANSIENT
                                                 : RETRY_FATAL;
        struct retry_decision decision = retry_decide(
            &(struct retry_policy){FETCH_TRIES, 200, 1000, 5000, 10000}, attempt, outcome,
            err == NULL ? retry_after_ms(&response.headers, github_server_now(client)) : -1,
            random_unit(client->platform->random));
        if (!decision.again) {
            *found = err == NULL && response.status == 200;
            bool absent = err == NULL && (response.status == 404 || response.status == 410);
            return err != NULL || *found || absent
                       ? err
                       : error_remote(error_new(ERROR_UNAVAILABLE, "log storage refused it"),
                             response.status, NULL, NULL, true);
        }
        error_free(err);
        int64_t next = clock_mono(client->platform->clock) + decision.wait_ms;
        TRY(clock_sleep_until(client->platform->clock, next, client->platform->cancel));
    }
}

// *location NULL when there is no log; the log itself goes to `tail` where a server gives it at
// once.
static struct error *
locate(struct github_client *client, const char *path, struct tail *tail, char **location)
{
    struct github_call call = {
        .path = path, .in_repository = true, .accept = 302, .needs = "actions: read"};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct error *err = github_send(client, &call, &response);
    if (err != NULL && error_remote_of(err)->status == 410) {
        error_free(err); // expired
        return NULL;
    }
    if (err != NULL || response.status == 404) {
        return err;
    }
    const char *target = http_headers_get(&response.headers, "Location");
    if (response.status == 302 && target != NULL) {
        char *base CLEANUP(xfreep) = github_call_url(client, &call);
        return url_resolve(base, target, location);
    }
    if (response.status != 200) {
        return error_new(
            ERROR_UNAVAILABLE, "HTTP %d without a place to fetch the log from", response.status);
    }
    tail_add(tail, buf_str(&response.body));
    return NULL;
}

static struct error *
read_log(struct github_client *client, int64_t job_id, struct tail *tail)
{
    char *path CLEANUP(xfreep) = xasprintf("/actions/jobs/%" PRId64 "/logs", job_id);
    char *location CLEANUP(xfreep) = NULL;
    TRY(locate(client, path, tail, &location));
    if (location == NULL) {
        return NULL;
    }
    TRY(check_storage(client, location));
    bool found = false;
    TRY(fetch(client, location, tail, &found));
    if (!found) {
        tail_restart(tail);
    }
    return NULL;
}

struct error *
github_job_log_tail(struct github_client *client, int64_t job_id,
    const struct github_log_part *part, struct arena *arena, const char **out)
{
    struct tail tail CLEANUP(tail_done);
    tail_init(&tail, part);
    struct error *err = read_log(client, job_id, &tail);
    if (err != NULL) {
        return error_wrap(err, "log of job %" PRId64, job_id);
    }
    bool any = tail.all.total > 0 || tail.line.len > 0;
    *out = any ? tail_text(&tail, arena) : NULL;
    return NULL;
}
