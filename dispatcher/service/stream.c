// Server-sent events of deployments: one thread reads what is new for whoever looks at a
// deployment, and gives it to each of them. A client has a cursor and no queue: while it has not
// taken what it was given, it is given nothing else. A comment every 15 s finds those that are
// gone.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "listen_internal.h"
#include "view_internal.h"

enum {
    TOPICS = 1024,          // hash slots
    GIVEN_MAX = 256 * 1024, // of what a client is given at once; more follows
    HEARTBEAT_MS = 15 * 1000,
    LOOK_MS = 15 * 1000,   // at a deployment that nobody spoke of
    LOOK_SHARED_MS = 1000, // the same where other replicas write, ...
    LOOK_HEARD_MS = 5000,  // ... and tell us so
    TICK_MS = 500,
    LAST_WORDS_MS = 3000, // after it is final, for what is still to be written down
    PIECE_BYTES = 1024,   // of HTTP/1.0; else it is read into the connection's own memory
    ID_MAX = 64,
    ADDRESS_FACTOR = 4, // an address may be a whole office
};

struct stream {
    struct stream *previous, *next; // of its topic
    struct topic *topic;
    struct streams *streams;
    struct stream_holder *caller, *address; // who holds it
    struct MHD_Connection *mhd;
    int64_t after;               // the last event that it was given
    int64_t spoken_ms;           // mono, when it was last given something
    char state[SHA256_HEX_SIZE]; // of the state that it was told last
    struct buf given;
    size_t taken;
    bool resting; // suspended
    bool ending;  // after what it was given
};

struct topic {
    struct topic *next; // in its slot
    char deployment[ID_MAX];
    struct stream *first;
    bool dirty, said, finished; // said: an event told that it is over
    int64_t looked_ms, final_ms;
};

struct streams {
    struct service *service;
    struct store *store;
    pthread_mutex_t lock;
    struct topic *topics[TOPICS];
    struct stream_holders *holders;
    size_t count, max;
    bool ended;
    struct cancel *wake; // raised: something is to be looked at, or it is the end
    bool stopping, runs;
    pthread_t thread;
};

// --- topics; all under the lock ------------------------------------------------------------------

static size_t
slot_of(const char *deployment)
{
    return (size_t)(stream_hash(deployment) % TOPICS);
}

static struct topic *
find_topic(struct streams *streams, const char *deployment)
{
    struct topic *topic = streams->topics[slot_of(deployment)];
    while (topic != NULL && strcmp(topic->deployment, deployment) != 0) {
        topic = topic->next;
    }
    return topic;
}

static struct topic *
make_topic(struct streams *streams, const char *deployment)
{
    struct topic *topic = find_topic(streams, deployment);
    if (topic == NULL) {
        struct topic **slot = &streams->topics[slot_of(deployment)];
        topic = xcalloc(1, sizeof(*topic));
        memcpy(topic->deployment, deployment, strnlen(deployment, ID_MAX - 1));
        topic->next = *slot;
        *slot = topic;
    }
    return topic;
}

static void
drop_topic(struct streams *streams, struct topic *topic)
{
    struct topic **at = &streams->topics[slot_of(topic->deployment)];
    while (*at != topic) {
        at = &(*at)->next;
    }
    *at = topic->next;
    free(topic);
}

static void
link_stream(struct streams *streams, struct stream *stream, const char *deployment)
{
    struct topic *topic = make_topic(streams, deployment);
    stream->topic = topic;
    stream->next = topic->first;
    if (stream->next != NULL) {
        stream->next->previous = stream;
    }
    topic->first = stream;
    topic->dirty = true;
    streams->count++;
}

static void
unlink_stream(struct streams *streams, struct stream *stream)
{
    struct topic *topic = stream->topic;
    if (stream->previous != NULL) {
        stream->previous->next = stream->next;
    } else {
        topic->first = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->previous = stream->previous;
    }
    stream_holders_give(streams->holders, stream->caller);
    stream_holders_give(streams->holders, stream->address);
    streams->count--;
}

// NULL: it has its place, else why it has none.
static const char *
take_place(struct streams *streams, struct stream *stream, const struct stream_opening *opening)
{
    size_t max = (size_t)service_settings(streams->service)->streams;
    if (streams->count >= streams->max || streams->ended) {
        return "too many event streams are open";
    }
    stream->address = stream_holders_take(streams->holders, opening->address, ADDRESS_FACTOR * max);
    if (stream->address == NULL) {
        return "too many event streams are open from this address";
    }
    stream->caller = stream_holders_take(streams->holders, opening->caller, max);
    if (stream->caller == NULL) {
        stream_holders_give(streams->holders, stream->address);
        return "too many event streams of this repository or person are open";
    }
    link_stream(streams, stream, opening->deployment);
    return NULL;
}

// --- on libmicrohttpd's threads ------------------------------------------------------------------

static ssize_t
read_stream(void *cls, uint64_t at, char *out, size_t max)
{
    struct stream *stream = cls;
    struct streams *streams = stream->streams;
    ssize_t result = 0;
    (void)at;
    (void)pthread_mutex_lock(&streams->lock);
    size_t left = stream->given.len - stream->taken;
    if (left > 0) {
        size_t count = left < max ? left : max;
        memcpy(out, stream->given.ptr + stream->taken, count);
        stream->taken += count;
        result = (ssize_t)count;
    } else if (stream->ending || streams->ended) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        buf_done(&stream->given); // nothing is kept for one that has nothing to say
        buf_init(&stream->given, GIVEN_MAX * 2);
        stream->taken = 0;
        stream->resting = true;
        MHD_suspend_connection(stream->mhd);
        if (stream->topic->dirty) {
            cancel_raise(streams->wake, 1);
        }
    }
    (void)pthread_mutex_unlock(&streams->lock);
    return result;
}

static void
free_stream(void *cls)
{
    struct stream *stream = cls;
    struct streams *streams = stream->streams;
    (void)pthread_mutex_lock(&streams->lock);
    unlink_stream(streams, stream);
    (void)pthread_mutex_unlock(&streams->lock);
    buf_done(&stream->given);
    free(stream);
}

struct MHD_Response *
stream_body(struct service *service, struct MHD_Connection *mhd,
    const struct stream_opening *opening, const char **why)
{
    struct streams *streams = service->streams;
    struct stream *stream = xcalloc(1, sizeof(*stream));
    // The highest number there is says that nobody waits (cursor_of).
    int64_t after = opening->after < INT64_MAX ? opening->after : INT64_MAX - 1;
    *stream = (struct stream){.streams = streams, .mhd = mhd, .after = after};
    buf_init(&stream->given, GIVEN_MAX * 2);
    // Proxies and clients see at once that it has begun.
    buf_puts(&stream->given, "retry: 2000\n\n");
    stream->spoken_ms = clock_mono(service->platform.clock);
    (void)pthread_mutex_lock(&streams->lock);
    *why = take_place(streams, stream, opening);
    (void)pthread_mutex_unlock(&streams->lock);
    if (*why != NULL) {
        buf_done(&stream->given);
        free(stream);
        return NULL;
    }
    return MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, PIECE_BYTES, read_stream, stream, free_stream);
}

// --- on the thread of the streams ----------------------------------------------------------------

// What there is to tell of a deployment, read outside the lock.
struct news {
    struct arena *arena;
    int64_t after; // the events are those that follow it
    struct store_event *events;
    size_t count;
    struct buf state; // the whole "event: state", or empty
    char hash[SHA256_HEX_SIZE];
    bool gone, final;
    int64_t started_ms;
};

static struct error *
read_state(struct streams *streams, const char *deployment, struct news *news)
{
    struct queue_job *job = NULL;
    struct view view = {0};
    TRY(queue_get(streams->store, deployment, news->arena, &job));
    if (job == NULL) {
        news->gone = true;
        return NULL;
    }
    news->final = strcmp(job->state, "final") == 0;
    news->started_ms = job->started_ms;
    struct error *err = view_read(streams->service, streams->store, job, news->arena, &view);
    if (err == NULL) {
        struct json *object CLEANUP(json_freep) = view_json(streams->service, &view);
        struct buf text CLEANUP(buf_done) = BUF_INIT(GIVEN_MAX);
        json_print(object, false, &text);
        sha256_hex(buf_str(&text), news->hash);
        stream_put_event(&news->state, "state", 0, buf_str(&text));
    }
    view_done(&view);
    return err;
}

static struct error *
read_news(struct streams *streams, const char *deployment, int64_t after, struct news *news)
{
    buf_init(&news->state, GIVEN_MAX);
    news->after = after;
    news->arena = arena_new();
    TRY(read_state(streams, deployment, news));
    return store_events(
        streams->store, deployment, after, news->arena, &news->events, &news->count);
}

static void
news_done(struct news *news)
{
    buf_done(&news->state);
    arena_free(news->arena);
}

// True: there is more than fits.
static bool
give_events(struct stream *stream, const struct news *news, const char *const *kinds)
{
    for (size_t i = 0; i < news->count; i++) {
        const struct store_event *event = &news->events[i];
        if (event->sequence <= stream->after) {
            continue;
        }
        if (stream->given.len >= GIVEN_MAX) {
            return true;
        }
        size_t before = stream->given.len;
        stream_put_event(&stream->given, kinds[i], event->sequence, str_of(event->json));
        if (stream->given.failed) { // one event larger than all that may be given: left out
            stream->given.failed = false;
            buf_cut(&stream->given, before);
        }
        stream->after = event->sequence;
    }
    return false;
}

static void
resume(struct stream *stream, int64_t now)
{
    stream->spoken_ms = now;
    stream->resting = false;
    MHD_resume_connection(stream->mhd);
}

// Under the lock. True: it has not been told all yet.
static bool
give(struct stream *stream, const struct news *news, const char *const *kinds, int64_t now)
{
    if (!stream->resting) {
        return true; // it has not taken what it was given before
    }
    if (stream->after < news->after) {
        return true; // it came while these were read, and lacks what is before them
    }
    bool more = give_events(stream, news, kinds);
    if (!more && news->state.len > 0 && strcmp(stream->state, news->hash) != 0) {
        memcpy(stream->state, news->hash, sizeof(stream->state));
        buf_add(&stream->given, buf_str(&news->state));
    }
    stream->ending = !more && (news->gone || stream->topic->finished);
    if (stream->given.len > 0 || stream->ending) {
        resume(stream, now);
    }
    return more;
}

// It ends with the event "finished"; without one, as soon as nothing else can come.
static void
judge_end(struct topic *topic, const struct news *news, const char *const *kinds, int64_t now)
{
    for (size_t i = 0; i < news->count; i++) {
        topic->said = topic->said || strcmp(kinds[i], "finished") == 0;
    }
    topic->final_ms = news->final && topic->final_ms == 0 ? now : topic->final_ms;
    bool late = topic->final_ms > 0 && now - topic->final_ms >= LAST_WORDS_MS;
    topic->finished = news->final && (topic->said || news->started_ms == 0 || late);
    topic->dirty = topic->dirty || (news->final && !topic->finished);
}

static int64_t
cursor_of(const struct topic *topic)
{
    int64_t after = INT64_MAX;
    for (const struct stream *s = topic->first; s != NULL; s = s->next) {
        after = s->resting && s->after < after ? s->after : after;
    }
    return after;
}

// Looks at one deployment for all who stream it. Called with the lock held, which is released while
// the store is read.
static struct error *
serve_topic(struct streams *streams, const char *deployment, int64_t after)
{
    struct news news = {0};
    const struct clock *clock = streams->service->platform.clock;
    (void)pthread_mutex_unlock(&streams->lock);
    struct error *err = read_news(streams, deployment, after, &news);
    const char **kinds = arena_array(news.arena, news.count + 1, sizeof(*kinds));
    for (size_t i = 0; i < news.count; i++) {
        kinds[i] = stream_kind_of(&news.events[i], news.arena);
    }
    (void)pthread_mutex_lock(&streams->lock);
    struct topic *topic = find_topic(streams, deployment);
    if (topic != NULL && err != NULL) {
        topic->dirty = true; // what there is to tell is still to be read
    } else if (topic != NULL) {
        int64_t now = clock_mono(clock);
        judge_end(topic, &news, kinds, now);
        for (struct stream *s = topic->first; s != NULL; s = s->next) {
            topic->dirty = give(s, &news, kinds, now) || topic->dirty;
        }
    }
    news_done(&news);
    return err;
}

static bool
is_due(const struct streams *streams, const struct topic *topic, int64_t now)
{
    int64_t every = !store_is_shared(streams->store)      ? LOOK_MS
                    : wakeups_are_heard(streams->service) ? LOOK_HEARD_MS
                                                          : LOOK_SHARED_MS;
    bool someone = cursor_of(topic) != INT64_MAX;
    return someone && (topic->dirty || now - topic->looked_ms >= every);
}

// The next deployment to look at, by name: its topic may go away meanwhile.
static bool
next_topic(struct streams *streams, int64_t now, char deployment[ID_MAX], int64_t *after)
{
    for (size_t slot = 0; slot < TOPICS; slot++) {
        for (struct topic *topic = streams->topics[slot], *next = NULL; topic; topic = next) {
            next = topic->next;
            if (topic->first == NULL) {
                drop_topic(streams, topic);
            } else if (topic->looked_ms != now && is_due(streams, topic, now)) {
                topic->dirty = false;
                topic->looked_ms = now;
                memcpy(deployment, topic->deployment, ID_MAX);
                *after = cursor_of(topic);
                return true;
            }
        }
    }
    return false;
}

static void
beat(struct streams *streams, int64_t now)
{
    for (size_t slot = 0; slot < TOPICS; slot++) {
        for (struct topic *topic = streams->topics[slot]; topic != NULL; topic = topic->next) {
            for (struct stream *s = topic->first; s != NULL; s = s->next) {
                s->ending = s->ending || streams->ended;
                if (s->resting && (streams->ended || now - s->spoken_ms >= HEARTBEAT_MS)) {
                    buf_puts(&s->given, streams->ended ? "retry: 1000\n\n" : ":\n\n");
                    resume(s, now);
                }
            }
        }
    }
}

static void
look_round(struct streams *streams)
{
    char deployment[ID_MAX];
    int64_t after = 0, now = clock_mono(streams->service->platform.clock);
    (void)pthread_mutex_lock(&streams->lock);
    struct error *err = NULL;
    while (err == NULL && !streams->ended && next_topic(streams, now, deployment, &after)) {
        err = serve_topic(streams, deployment, after);
    }
    beat(streams, now);
    (void)pthread_mutex_unlock(&streams->lock);
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_warn(streams->service->platform.log, "events cannot be read", F_STR("error", text));
        error_free(err);
        store_close(streams->store); // perhaps it was the connection
        streams->store = NULL;
    }
}

static void *
work(void *ctx)
{
    struct streams *streams = ctx;
    const struct clock *clock = streams->service->platform.clock;
    for (;;) {
        struct error *err CLEANUP(error_freep) =
            clock_sleep_until(clock, clock_mono(clock) + TICK_MS, streams->wake);
        cancel_clear(streams->wake);
        (void)pthread_mutex_lock(&streams->lock);
        bool stopping = streams->stopping;
        (void)pthread_mutex_unlock(&streams->lock);
        if (stopping) {
            return NULL;
        }
        if (streams->store == NULL) {
            error_free(service_store_open(streams->service, &streams->store));
        }
        if (streams->store != NULL) {
            look_round(streams);
        }
    }
}

// --- what others ask -----------------------------------------------------------------------------

struct error *
streams_start(struct service *service)
{
    struct streams *streams = xcalloc(1, sizeof(*streams));
    streams->service = service;
    streams->max = (size_t)service_settings(service)->connections * 3 / 4;
    streams->holders = stream_holders_new();
    streams->wake = cancel_new();
    (void)pthread_mutex_init(&streams->lock, NULL);
    service->streams = streams;
    TRY(service_store_open(service, &streams->store));
    streams->runs = pthread_create(&streams->thread, NULL, work, streams) == 0;
    return streams->runs ? NULL : error_new(ERROR_UNAVAILABLE, "cannot start a thread");
}

void
streams_wake(struct service *service, const char *deployment)
{
    streams_hear(service, deployment);
    wakeups_tell(service, deployment);
}

void
streams_hear(struct service *service, const char *deployment)
{
    struct streams *streams = service->streams;
    if (streams == NULL) {
        return; // rooms that start before have nothing to tell
    }
    (void)pthread_mutex_lock(&streams->lock);
    struct topic *topic = find_topic(streams, deployment);
    if (topic != NULL) {
        topic->dirty = true;
        cancel_raise(streams->wake, 1);
    }
    (void)pthread_mutex_unlock(&streams->lock);
}

static void
end_all(struct streams *streams, bool for_good)
{
    (void)pthread_mutex_lock(&streams->lock);
    streams->ended = true;
    beat(streams, clock_mono(streams->service->platform.clock));
    streams->ended = for_good;
    (void)pthread_mutex_unlock(&streams->lock);
}

void
streams_end(struct service *service)
{
    if (service->streams != NULL) {
        end_all(service->streams, service_is_draining(service));
    }
}

void
streams_stop(struct service *service)
{
    struct streams *streams = service->streams;
    if (streams == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&streams->lock);
    streams->stopping = true;
    cancel_raise(streams->wake, 1);
    (void)pthread_mutex_unlock(&streams->lock);
    if (streams->runs) {
        (void)pthread_join(streams->thread, NULL);
    }
    store_close(streams->store);
    streams->store = NULL;
}

void
streams_free(struct service *service)
{
    struct streams *streams = service->streams;
    if (streams == NULL) {
        return;
    }
    for (size_t slot = 0; slot < TOPICS; slot++) {
        while (streams->topics[slot] != NULL) {
            drop_topic(streams, streams->topics[slot]);
        }
    }
    stream_holders_free(streams->holders);
    cancel_free(streams->wake);
    (void)pthread_mutex_destroy(&streams->lock);
    free(streams);
    service->streams = NULL;
}

size_t
streams_count(struct service *service)
{
    (void)pthread_mutex_lock(&service->streams->lock);
    size_t count = service->streams->count;
    (void)pthread_mutex_unlock(&service->streams->lock);
    return count;
}
