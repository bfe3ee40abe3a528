// What the calls of github_reports.h have in common: making something once, changing it, walking a
// list. Knows no endpoint, and makes no text.
#include "dispatcher/github_reports.h"

#include <stdlib.h>

#include "dispatcher/memory.h"
#include "github_internal.h"

enum {
    PAGE_ITEMS_MAX = 100, // what we ask for, and GitHub's own limit
    LIST_BYTES = 32 * 1024 * 1024,
};

// Only an id is taken from what was made.
struct made_answer {
    int64_t id;
};
static const struct field made_fields[] = {
    FIELD(struct made_answer, id, "id", FIELD_INT, .required = true),
};
static const struct field_table made_table = FIELD_TABLE("answer", struct made_answer, made_fields);

static struct error *
absent(void)
{
    struct error *err = error_new(ERROR_REFUSED, "it is not there");
    error_remote(err, 404, NULL, NULL, true);
    return error_hint(
        err, "Or the credentials may not see or change it: GitHub answers 404 to both.");
}

struct error *
github_report_check_id(int64_t id, const char *of)
{
    return id > 0 ? NULL
                  : error_new(ERROR_UNAVAILABLE, "unusable answer: 'id' of %s is not above 0", of);
}

static struct error *
read_made(const struct json *body, struct arena *arena, int64_t *id)
{
    struct made_answer answer = {0};
    TRY(json_decode(body, &made_table, arena, &answer));
    TRY(github_report_check_id(answer.id, "what was made"));
    *id = answer.id;
    return NULL;
}

struct error *
github_report_create(
    struct github_client *client, const struct github_call *call, struct arena *arena, int64_t *id)
{
    TRY(github_pace(client));
    struct github_call once = *call;
    once.method = HTTP_POST;
    once.once = true;
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    TRY(github_fetch(client, &once, &response, &body));
    if (body == NULL) {
        return absent();
    }
    if (response.status == 202) { // of a deployment: the answer to a merge that we did not ask for
        return error_remote(error_new(ERROR_REFUSED, "GitHub did something else and made nothing"),
            202, NULL, NULL, true);
    }
    struct error *err = read_made(body, arena, id);
    return err != NULL ? error_remote(err, response.status, NULL, NULL, true) : NULL;
}

struct error *
github_report_send(struct github_client *client, const struct github_call *call)
{
    TRY(github_pace(client));
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(github_send(client, call, &response));
    return response.status == 404 ? absent() : NULL;
}

// A page of its own arena: a thousand comments are never in memory together.
static struct error *
walk_page(const struct github_walk *walk, const struct json *body, bool *enough)
{
    const struct json *items = walk->list != NULL ? json_get(body, walk->list) : body;
    size_t count = json_count(items);
    if (!json_is_array(items) || count > PAGE_ITEMS_MAX) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: no list of at most %d%s%s",
            PAGE_ITEMS_MAX, walk->list != NULL ? " " : "", walk->list != NULL ? walk->list : "");
    }
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    for (size_t i = 0; i < count && !*enough; i++) {
        struct error *err = walk->visit(walk->ctx, json_at(items, i), arena, enough);
        if (err != NULL) {
            return error_wrap(err, "item %zu", i);
        }
    }
    return NULL;
}

static struct error *
walk_on(struct github_client *client, const struct github_walk *walk,
    const struct github_call *call, char **next, bool *enough)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    TRY(github_fetch(client, call, &response, &body));
    if (body == NULL) {
        return absent();
    }
    TRY(walk_page(walk, body, enough));
    return github_next_page(client, &response, next);
}

struct error *
github_report_walk(struct github_client *client, const struct github_walk *walk)
{
    struct github_call call = walk->call;
    call.in_repository = true;
    call.max_response = LIST_BYTES;
    char *url CLEANUP(xfreep) = NULL;
    bool enough = false;
    for (unsigned page = 0; page < walk->pages_max && !enough; page++) {
        char *next = NULL;
        TRY(walk_on(client, walk, &call, &next, &enough));
        free(url);
        url = next;
        if (url == NULL) {
            break;
        }
        call.url = url;
    }
    return NULL;
}
