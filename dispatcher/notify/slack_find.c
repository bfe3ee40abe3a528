// Was a message posted whose answer was lost? Looks for its metadata in the channel, or in a thread
// of it; with a channel's name only, its id is looked up first, since Slack's history takes ids.
// Posts nothing.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "notify_internal.h"

enum {
    PAGES_MAX = 5,
    HISTORY_PAGE = 100,
    CHANNELS_PAGE = 200,
    QUERY_MAX = 4 * 1024,
    LONG_ANSWER_MAX = 4 * 1024 * 1024, // a page of messages with their blocks
    SKEW_MS = 5 * 60 * 1000, // between Slack's clock and ours: looking further back does no harm
};

// What is looked for, and what was found so far.
struct search {
    struct slack_client *client;
    const struct notify_case *at;
    struct slack_search wanted;
    int64_t deadline_ms;
    const char *ts; // the newest so far, in the arena
};

// One page of a list that goes on with a cursor.
struct page {
    const char *method;
    size_t limit;
    const char *cursor; // NULL: the first; in the arena
};

static void
add_number(struct buf *query, const char *key, size_t number)
{
    char text[32];
    struct buf out CLEANUP(buf_done) = BUF_INIT(sizeof(text));
    buf_printf(&out, "%zu", number);
    url_add_query(query, key, buf_cstr(&out));
}

// Asks for the page; *more: another one follows, and `page` is turned to it.
static struct json *
turn(const struct search *search, struct page *page, const char *query, bool *more,
    const char **word)
{
    struct buf full CLEANUP(buf_done) = BUF_INIT(QUERY_MAX);
    buf_puts(&full, query);
    add_number(&full, "limit", page->limit);
    if (page->cursor != NULL) {
        url_add_query(&full, "cursor", page->cursor);
    }
    if (full.failed) {
        notify_settle(search->at, NOTIFY_DOUBT, NULL, "what it answers is too long to ask on with");
        return NULL;
    }
    const struct slack_call call = {.method = page->method,
        .query = buf_cstr(&full) + 1, // url_add_query begins with a '?'
        .max_response = LONG_ANSWER_MAX,
        .deadline_ms = search->deadline_ms};
    struct json *answer = slack_call(search->client, search->at, &call, word);
    const char *next = json_str(json_path(answer, "response_metadata.next_cursor"));
    *more = next != NULL && next[0] != '\0';
    page->cursor = *more ? arena_dup(search->at->arena, next) : NULL;
    return answer;
}

// --- messages ------------------------------------------------------------------------------------

static bool
is_ours(const struct search *search, const struct json *message)
{
    const struct json *metadata = json_get(message, "metadata");
    return json_str(json_get(message, "bot_id")) != NULL &&
           cstr_equal(json_str(json_get(metadata, "event_type")), search->wanted.event_type) &&
           cstr_equal(json_str(json_path(metadata, "event_payload.id")), search->wanted.id) &&
           slack_id_is_plausible(json_str(json_get(message, "ts")));
}

// Seconds and microseconds, as many digits in each: later ones sort behind.
static bool
is_newer(const char *ts, const char *than)
{
    return than == NULL || strlen(ts) > strlen(than) ||
           (strlen(ts) == strlen(than) && strcmp(ts, than) > 0);
}

static void
look_at_page(struct search *search, const struct json *answer)
{
    const struct json *messages = json_get(answer, "messages");
    for (size_t i = 0; i < json_count(messages); i++) {
        const struct json *message = json_at(messages, i);
        if (is_ours(search, message) && is_newer(json_str(json_get(message, "ts")), search->ts)) {
            search->ts = arena_dup(search->at->arena, json_str(json_get(message, "ts")));
        }
    }
}

static void
add_oldest(struct buf *query, int64_t oldest_ms)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64);
    int64_t from = oldest_ms > SKEW_MS ? oldest_ms - SKEW_MS : 0;
    buf_printf(&text, "%lld.%06lld", (long long)(from / 1000), (long long)(from % 1000) * 1000);
    url_add_query(query, "oldest", buf_cstr(&text));
}

// A channel's history comes newest first, so that its first hit is the one; a thread comes oldest
// first. False: the case is settled, *word is why.
static bool
look_through(struct search *search, const char **word)
{
    struct buf query CLEANUP(buf_done) = BUF_INIT(QUERY_MAX);
    bool thread = search->wanted.thread != NULL, more = true;
    struct page page = {
        thread ? "conversations.replies" : "conversations.history", HISTORY_PAGE, NULL};
    url_add_query(&query, "channel", search->wanted.channel);
    if (thread) {
        url_add_query(&query, "ts", search->wanted.thread);
    }
    add_oldest(&query, search->wanted.oldest_ms);
    url_add_query(&query, "inclusive", "true");
    url_add_query(&query, "include_all_metadata", "true"); // without it, no payload comes
    for (int i = 0; more && i < PAGES_MAX; i++) {
        struct json *answer CLEANUP(json_freep) =
            turn(search, &page, buf_cstr(&query), &more, word);
        if (answer == NULL) {
            return false;
        }
        look_at_page(search, answer);
        more = more && (thread || search->ts == NULL);
    }
    if (more) {
        notify_settle(
            search->at, NOTIFY_DOUBT, NULL, "there are too many messages since then to find it");
    }
    return !more;
}

// --- a channel's name ----------------------------------------------------------------------------

static const char *
without_hash(const char *name)
{
    return name[0] == '#' ? name + 1 : name;
}

static const char *
find_name(const struct search *search, const struct json *answer)
{
    const struct json *channels = json_get(answer, "channels");
    for (size_t i = 0; i < json_count(channels); i++) {
        const struct json *channel = json_at(channels, i);
        const char *id = json_str(json_get(channel, "id"));
        const char *name = json_str(json_get(channel, "name"));
        if (cstr_equal(name, without_hash(search->wanted.channel)) && slack_id_is_plausible(id)) {
            return arena_dup(search->at->arena, id);
        }
    }
    return NULL;
}

// The id of a channel that the bot is in: only there it may read. NULL: the case is settled.
static const char *
resolve(struct search *search)
{
    struct buf query CLEANUP(buf_done) = BUF_INIT(QUERY_MAX);
    struct page page = {"users.conversations", CHANNELS_PAGE, NULL};
    const char *id = NULL, *word = NULL;
    bool more = true;
    url_add_query(&query, "types", "public_channel,private_channel");
    url_add_query(&query, "exclude_archived", "true");
    for (int i = 0; more && id == NULL && i < PAGES_MAX; i++) {
        struct json *answer CLEANUP(json_freep) =
            turn(search, &page, buf_cstr(&query), &more, &word);
        if (answer == NULL) {
            return NULL;
        }
        id = find_name(search, answer);
    }
    if (id == NULL) {
        notify_settle(search->at, NOTIFY_BLOCKED,
            "Name the channel by its id (C…), or '/invite' the bot to it.",
            "the bot is in no channel of that name, so that nothing can be looked up there");
    }
    return id;
}

// Ids are of capitals and digits, names of small letters.
static bool
is_name(const char *channel)
{
    return strpbrk(channel, "#abcdefghijklmnopqrstuvwxyz") != NULL;
}

void
slack_find(struct slack_client *client, const struct slack_search *wanted, struct arena *arena,
    struct slack_posted *out)
{
    *out = (struct slack_posted){0};
    const struct notify_case at = {client->platform, client->http, arena,
        slack_place(client, wanted->channel, arena), &out->result};
    struct search search = {.client = client,
        .at = &at,
        .wanted = *wanted,
        .deadline_ms = clock_mono(client->platform->clock) + NOTIFY_DEADLINE_MS};
    const char *word = "";
    bool looked = look_through(&search, &word);
    if (!looked && cstr_equal(word, "channel_not_found") && is_name(wanted->channel)) {
        search.wanted.channel = resolve(&search);
        looked = search.wanted.channel != NULL && look_through(&search, &word);
    }
    if (looked) {
        notify_delivered(&at);
        out->ts = search.ts;
        out->channel = search.ts != NULL ? arena_dup(arena, search.wanted.channel) : NULL;
    }
}
