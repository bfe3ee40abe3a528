// Keeps count of an upload. Knows nothing of terminals.
#include "push_layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"

enum { SAMPLE_EVERY_MS = 250, WINDOW_MS = 7000, WINDOW_LEAST_MS = 1000 };

void
push_layers_lock(struct push_layers *layers)
{
    (void)pthread_mutex_lock(&layers->lock);
}

void
push_layers_unlock(struct push_layers *layers)
{
    (void)pthread_mutex_unlock(&layers->lock);
}

// Only what is a digest: it goes to a terminal.
static void
keep_digest(char out[PUSH_DIGEST_SIZE], const char *digest)
{
    if (digest != NULL && digest_is_valid(str_of(digest))) {
        (void)snprintf(out, PUSH_DIGEST_SIZE, "%s", digest);
    }
}

static void
append(struct push_layers *layers, const struct image_part *part)
{
    layers->items = xrealloc(layers->items, (layers->count + 1) * sizeof(*layers->items));
    struct push_layer *layer = &layers->items[layers->count++];
    int64_t size = image_part_size(part);
    *layer = (struct push_layer){.total = size > 0 ? size : 0, .tries = 1};
    layers->sizes_unknown = layers->sizes_unknown || size < 0;
    keep_digest(layer->digest, part->descriptor.digest);
    keep_digest(layer->diff_id, part->diff_id);
}

void
push_layers_add(struct push_layers *layers, const struct image_part *part)
{
    push_layers_lock(layers);
    append(layers, part);
    push_layers_unlock(layers);
}

void
push_layers_init(struct push_layers *layers, const struct image *image, int64_t now_ms)
{
    *layers = (struct push_layers){0};
    (void)pthread_mutex_init(&layers->lock, NULL);
    push_layers_reset(layers, image, now_ms);
}

void
push_layers_reset(struct push_layers *layers, const struct image *image, int64_t now_ms)
{
    push_layers_lock(layers);
    layers->count = layers->sample_count = layers->sample_next = 0;
    layers->started_ms = layers->told_ms = now_ms;
    layers->sizes_unknown = false;
    layers->moved = (struct push_sample){.at_ms = now_ms};
    for (size_t i = 0; image != NULL && i < image_part_count(image); i++) {
        append(layers, image_part_at(image, i));
    }
    push_layers_unlock(layers);
}

void
push_layers_done(struct push_layers *layers)
{
    free(layers->items);
    layers->items = NULL;
    layers->count = 0;
    (void)pthread_mutex_destroy(&layers->lock);
}

static enum push_layer_state
state_of(enum registry_progress_kind what)
{
    switch (what) {
    case REGISTRY_PART_PRESENT:
        return PUSH_LAYER_PRESENT;
    case REGISTRY_PART_REUSED:
        return PUSH_LAYER_REUSED;
    case REGISTRY_PART_MOUNTED:
        return PUSH_LAYER_MOUNTED;
    case REGISTRY_PART_AGAIN:
        return PUSH_LAYER_AGAIN;
    case REGISTRY_PART_SENT:
        return PUSH_LAYER_SENT;
    case REGISTRY_PART_SENDING:
    case REGISTRY_MANIFEST_SENT:
        break;
    }
    return PUSH_LAYER_SENDING;
}

static void
take_sample(struct push_layers *layers, int64_t now_ms)
{
    size_t last = (layers->sample_next + PUSH_SAMPLES - 1) % PUSH_SAMPLES;
    if (layers->sample_count > 0 && now_ms - layers->samples[last].at_ms < SAMPLE_EVERY_MS) {
        return;
    }
    layers->samples[layers->sample_next] = layers->moved;
    layers->samples[layers->sample_next].at_ms = now_ms;
    layers->sample_next = (layers->sample_next + 1) % PUSH_SAMPLES;
    layers->sample_count += layers->sample_count < PUSH_SAMPLES;
}

// What is there without being sent says nothing about the line.
static void
count_moved(struct push_layers *layers, const struct push_layer *layer,
    const struct registry_progress *progress, int64_t now_ms)
{
    bool on_the_wire =
        progress->what == REGISTRY_PART_SENDING || progress->what == REGISTRY_PART_SENT;
    if (!on_the_wire) {
        return;
    }
    take_sample(layers, now_ms); // before: the first one is where it began
    layers->moved.done += progress->done > layer->done ? progress->done - layer->done : 0;
    layers->moved.sent += progress->sent > layer->sent ? progress->sent - layer->sent : 0;
}

static void
update(struct push_layer *layer, const struct registry_progress *progress, int64_t now_ms)
{
    enum push_layer_state before = layer->state;
    // libcurl sends a body again by itself when a kept connection turns out to be dead.
    bool restarted = progress->what == REGISTRY_PART_SENDING && progress->sent < layer->sent &&
                     before == PUSH_LAYER_SENDING;
    layer->tries += restarted;
    layer->state = state_of(progress->what);
    layer->done = progress->done;
    layer->total = progress->total;
    layer->sent = progress->sent;
    keep_digest(layer->digest, progress->digest);
    keep_digest(layer->diff_id, progress->diff_id);
    if (layer->state == PUSH_LAYER_AGAIN) {
        layer->tries++;
        layer->done = layer->sent = layer->started_ms = 0;
    } else if (layer->state == PUSH_LAYER_SENDING && before != PUSH_LAYER_SENDING) {
        layer->started_ms = now_ms;
    } else if (push_layer_is_over(layer)) {
        layer->ended_ms = now_ms;
    }
}

struct push_layer *
push_layers_note(
    struct push_layers *layers, const struct registry_progress *progress, int64_t now_ms)
{
    if (progress->what == REGISTRY_MANIFEST_SENT || progress->part >= layers->count) {
        return NULL;
    }
    struct push_layer *layer = &layers->items[progress->part];
    push_layers_lock(layers);
    count_moved(layers, layer, progress, now_ms);
    update(layer, progress, now_ms);
    push_layers_unlock(layers);
    return layer;
}

struct push_sums
push_layers_sum(const struct push_layers *layers)
{
    struct push_sums sums = {0};
    for (size_t i = 0; i < layers->count; i++) {
        const struct push_layer *layer = &layers->items[i];
        sums.done += push_layer_is_over(layer) ? layer->total : layer->done;
        sums.total += layer->total;
        sums.sent += layer->sent;
        sums.compressed = sums.compressed || (layer->diff_id[0] != '\0' && layer->sent > 0);
        sums.states[layer->state]++;
    }
    return sums;
}

struct push_rate
push_layers_rate(const struct push_layers *layers, int64_t now_ms)
{
    const struct push_sample *oldest = NULL;
    for (size_t i = 0; i < layers->sample_count; i++) {
        const struct push_sample *sample = &layers->samples[i];
        bool counts = now_ms - sample->at_ms <= WINDOW_MS;
        oldest = counts && (oldest == NULL || sample->at_ms < oldest->at_ms) ? sample : oldest;
    }
    if (layers->sample_count > 0 && oldest == NULL) { // it stands still
        return (struct push_rate){.window_ms = WINDOW_MS};
    }
    if (oldest == NULL || now_ms - oldest->at_ms < WINDOW_LEAST_MS) {
        return (struct push_rate){0};
    }
    int64_t window = now_ms - oldest->at_ms;
    return (struct push_rate){
        .done = (layers->moved.done - oldest->done) * 1000 / window,
        .sent = (layers->moved.sent - oldest->sent) * 1000 / window,
        .window_ms = window,
    };
}

int64_t
push_layers_left_ms(const struct push_sums *sums, const struct push_rate *rate)
{
    if (rate->window_ms == 0 || rate->done <= 0) {
        return -1;
    }
    return (int64_t)((double)(sums->total - sums->done) * 1000 / (double)rate->done);
}

bool
push_layer_is_over(const struct push_layer *layer)
{
    return layer->state >= PUSH_LAYER_PRESENT;
}

const char *
push_layer_name(const struct push_layer *layer)
{
    return layer->digest[0] != '\0' ? layer->digest : layer->diff_id;
}

int64_t
push_layer_took_ms(const struct push_layer *layer)
{
    return layer->started_ms > 0 && layer->ended_ms > layer->started_ms
               ? layer->ended_ms - layer->started_ms
               : 0;
}
