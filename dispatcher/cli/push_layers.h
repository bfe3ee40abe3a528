// What is known of an upload, layer by layer, and how fast it goes.
//
//     push_layers_init(&layers, image, now);       // all of them wait
//     push_layers_note(&layers, &progress, now);   // as the push tells
//     push_layers_sum(&layers)                     // for lines (push_lines.h)
//     push_layers_lock(&layers); push_bars_draw(&layers, …); push_layers_unlock(&layers);
//
// One thread writes, and may read without the lock; the live area, which draws from a thread of its
// own, reads under it. Draws and prints nothing.
#pragma once

#include <pthread.h>

#include "dispatcher/registry.h"

enum push_layer_state {
    PUSH_LAYER_WAITING, // until something is known of it
    PUSH_LAYER_SENDING,
    PUSH_LAYER_AGAIN, // a try failed; the next one has not begun
    PUSH_LAYER_PRESENT,
    PUSH_LAYER_REUSED,
    PUSH_LAYER_MOUNTED,
    PUSH_LAYER_SENT,
};
enum { PUSH_LAYER_STATES = PUSH_LAYER_SENT + 1, PUSH_DIGEST_SIZE = 72, PUSH_SAMPLES = 32 };

// A layer, or a configuration.
struct push_layer {
    enum push_layer_state state;
    char digest[PUSH_DIGEST_SIZE];  // "" until it is known
    char diff_id[PUSH_DIGEST_SIZE]; // "" of what is sent as it is; else bytes count before gzip
    int64_t done, total;
    int64_t sent; // on the wire
    unsigned tries;
    int64_t started_ms, ended_ms; // of the try at hand; mono, 0: not yet
    int64_t told_ms;              // for who tells of it at most so often
};

// What had moved at a moment, failed tries included.
struct push_sample {
    int64_t at_ms, done, sent;
};

struct push_layers {
    pthread_mutex_t lock;
    struct push_layer *items;
    size_t count;
    bool sizes_unknown; // of an image that a daemon has not sent yet
    int64_t started_ms;
    int64_t told_ms;                                 // as above, of the whole
    struct push_sample moved, samples[PUSH_SAMPLES]; // a ring
    size_t sample_count, sample_next;
};

/// `image` may be NULL: no layers yet. The image is not kept.
void push_layers_init(struct push_layers *layers, const struct image *image, int64_t now_ms);
void push_layers_done(struct push_layers *layers);
/// Starts anew with the layers of `image`.
void push_layers_reset(struct push_layers *layers, const struct image *image, int64_t now_ms);
/// Adds one that waits.
void push_layers_add(struct push_layers *layers, const struct image_part *part);
/// The layer that it is about; NULL for a manifest.
struct push_layer *push_layers_note(
    struct push_layers *layers, const struct registry_progress *progress, int64_t now_ms);
void push_layers_lock(struct push_layers *layers);
void push_layers_unlock(struct push_layers *layers);

struct push_sums {
    int64_t done, total, sent;
    bool compressed; // for some, `sent` is another count than `done`
    size_t states[PUSH_LAYER_STATES];
};
struct push_sums push_layers_sum(const struct push_layers *layers);

// Bytes a second over the last seconds, not since the start.
struct push_rate {
    int64_t done, sent;
    int64_t window_ms; // that it was taken over; 0: nothing can be said
};
struct push_rate push_layers_rate(const struct push_layers *layers, int64_t now_ms);
/// Milliseconds until all is sent at that rate; -1 when nothing can be said.
int64_t push_layers_left_ms(const struct push_sums *sums, const struct push_rate *rate);

/// It needs nothing more.
bool push_layer_is_over(const struct push_layer *layer);
/// Digest, or diff_id as long as there is none; "" when there is neither.
const char *push_layer_name(const struct push_layer *layer);
/// Of SENT: how long its last try took.
int64_t push_layer_took_ms(const struct push_layer *layer);
