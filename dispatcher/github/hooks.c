// What became of the events that GitHub sent to the App's webhook, and asking for one again. As the
// App itself: no installation is asked. Judges no event: that is whoever receives it.
#include "dispatcher/github_service.h"

#include <inttypes.h>

#include "dispatcher/memory.h"
#include "github_internal.h"

enum { PER_PAGE = 100, LIST_BYTES = 4 * 1024 * 1024 };

struct delivery_answer {
    int64_t id, status_code;
    const char *guid, *event, *delivered_at;
    bool redelivery;
};
static const struct field delivery_fields[] = {
    FIELD(struct delivery_answer, id, "id", FIELD_INT, .required = true),
    FIELD(struct delivery_answer, guid, "guid", FIELD_STR, .required = true),
    FIELD(struct delivery_answer, event, "event", FIELD_STR, .required = false),
    FIELD(struct delivery_answer, delivered_at, "delivered_at", FIELD_STR, .required = true),
    FIELD(struct delivery_answer, redelivery, "redelivery", FIELD_BOOL, .required = false),
    FIELD(struct delivery_answer, status_code, "status_code", FIELD_INT, .required = false),
};
static const struct field_table delivery_table =
    FIELD_TABLE("delivery", struct delivery_answer, delivery_fields);

static struct error *
decode_delivery(const struct json *item, struct arena *arena, struct github_delivery *out)
{
    struct delivery_answer answer = {0};
    int64_t at = 0;
    TRY(json_decode(item, &delivery_table, arena, &answer));
    if (answer.id <= 0 || !clock_parse_rfc3339(answer.delivered_at, &at)) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: 'id' or 'delivered_at'");
    }
    *out = (struct github_delivery){
        .id = answer.id,
        .guid = answer.guid,
        .event = answer.event != NULL ? answer.event : "",
        .at_ms = at,
        .redelivery = answer.redelivery,
        .ok = answer.status_code >= 200 && answer.status_code < 300,
    };
    return NULL;
}

static struct error *
decode_list(const struct json *body, struct arena *arena, struct github_deliveries *out)
{
    if (!json_is_array(body)) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: no list of deliveries");
    }
    out->items = arena_array(arena, json_count(body) + 1, sizeof(*out->items));
    for (; out->count < json_count(body); out->count++) {
        TRY(decode_delivery(json_at(body, out->count), arena, &out->items[out->count]));
    }
    return NULL;
}

static struct error *
check_app(const struct github_client *client)
{
    if (client->app_id != NULL) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_CREDENTIALS, "only an App may look at its webhook's deliveries"),
        "Give the service a GitHub App ('github.app_id', 'github.app_key').");
}

static struct error *
read_deliveries(struct github_client *client, const char *cursor, struct arena *arena,
    struct github_deliveries *out)
{
    char *path CLEANUP(xfreep) = xasprintf("/app/hook/deliveries?per_page=%d", PER_PAGE);
    const struct github_call call = {
        .url = cursor, // the API's own Link, checked when it was taken
        .path = path,
        .auth = GITHUB_AUTH_APP,
        .max_response = LIST_BYTES,
    };
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    struct github_deliveries found = {0};
    char *next CLEANUP(xfreep) = NULL;
    TRY(check_app(client));
    TRY(github_fetch(client, &call, &response, &body));
    if (body == NULL) {
        return error_hint(error_new(ERROR_REFUSED, "the App has no webhook"),
            "Turn it on in the App's settings; until then runs are only polled.");
    }
    TRY(decode_list(body, arena, &found));
    TRY(github_next_page(client, &response, &next));
    found.next = arena_dup(arena, next);
    *out = found;
    return NULL;
}

struct error *
github_hook_deliveries(struct github_client *client, const char *cursor, struct arena *arena,
    struct github_deliveries *out)
{
    struct error *err = read_deliveries(client, cursor, arena, out);
    return err != NULL ? error_wrap(err, "deliveries of the App's webhook") : NULL;
}

// Asking twice is harmless: the receiver knows an event by its guid.
static struct error *
redeliver(struct github_client *client, int64_t delivery, bool *gone)
{
    char *path CLEANUP(xfreep) = xasprintf("/app/hook/deliveries/%" PRId64 "/attempts", delivery);
    const struct github_call call = {
        .method = HTTP_POST,
        .path = path,
        .auth = GITHUB_AUTH_APP,
        .accept = 422, // too old
    };
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(check_app(client));
    TRY(github_pace(client));
    TRY(github_send(client, &call, &response));
    *gone = response.status == 404 || response.status == 422;
    return NULL;
}

struct error *
github_hook_redeliver(struct github_client *client, int64_t delivery, bool *gone)
{
    struct error *err = redeliver(client, delivery, gone);
    return err != NULL ? error_wrap(err, "redeliver %" PRId64, delivery) : NULL;
}
