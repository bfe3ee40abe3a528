// Lines about an upload. Decides nothing about where they go.
#include "push_lines.h"

#include <stdio.h>
#include <string.h>

#include "dispatcher/clock.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "human.h"
#include "live.h"

enum {
    EVERY_MS = 10000,
    SHORT_DIGEST = 19,
    SOURCE_MAX = 1024,
    TEXT_MAX = 64,
    LINE_MAX_BYTES = 512
};

static void
put_sent(const struct push_layer *layer, struct buf *out)
{
    char took[32];
    clock_format_duration(push_layer_took_ms(layer), took);
    buf_puts(out, "sent");
    if (layer->diff_id[0] != '\0' && layer->sent > 0) {
        buf_puts(out, " as ");
        human_size(layer->sent, out);
    }
    buf_printf(out, " in %s", took);
    if (layer->tries > 1) {
        buf_printf(out, " (try %u)", layer->tries);
    }
}

static void
put_layer(const struct push_layer *layer, const char *name, struct buf *out)
{
    struct buf size CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    human_size(layer->total, &size);
    buf_printf(out, "  %s %10s  ", name, buf_cstr(&size));
    if (layer->state == PUSH_LAYER_SENT) {
        put_sent(layer, out);
    } else if (layer->state == PUSH_LAYER_AGAIN) {
        buf_printf(out, "failed, try %u follows", layer->tries);
    } else if (layer->state == PUSH_LAYER_REUSED) {
        buf_puts(out, "reused from an earlier image");
    } else if (layer->state == PUSH_LAYER_MOUNTED) {
        buf_puts(out, "mounted from another repository");
    } else {
        buf_puts(out, "already there");
    }
}

void
push_lines_layer(const struct push_layer *layer, size_t width, struct buf *out)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(LINE_MAX_BYTES);
    char name[SHORT_DIGEST + 1];
    if (layer->state == PUSH_LAYER_WAITING || layer->state == PUSH_LAYER_SENDING) {
        return;
    }
    (void)snprintf(name, sizeof(name), "%s", push_layer_name(layer));
    put_layer(layer, name, &line);
    if (width > 0 && line.len > width) { // the digits alone say enough where room is short
        const char *colon = strchr(name, ':');
        buf_reset(&line);
        put_layer(layer, colon != NULL ? colon + 1 : name, &line);
    }
    live_cut(buf_str(&line), width > 0 ? width : line.len, out);
    buf_putc(out, '\n');
}

void
push_lines_progress(struct push_layers *layers, int64_t now_ms, struct buf *out)
{
    if (now_ms - layers->told_ms < EVERY_MS) {
        return;
    }
    layers->told_ms = now_ms;
    struct push_sums sums = push_layers_sum(layers);
    struct push_rate rate = push_layers_rate(layers, now_ms);
    int64_t left_ms = push_layers_left_ms(&sums, &rate);
    buf_printf(out, "  %d%%, ", human_percent(sums.done, sums.total));
    human_size(sums.done, out);
    buf_puts(out, " of ");
    human_size(sums.total, out);
    if (sums.compressed) {
        buf_puts(out, ", sent ");
        human_size(sums.sent, out);
    }
    if (rate.window_ms > 0) {
        buf_puts(out, ", ");
        human_size(rate.sent, out);
        buf_puts(out, "/s");
    }
    if (left_ms > 0) {
        buf_puts(out, ", ");
        human_seconds(left_ms + 999, out);
        buf_puts(out, " left");
    }
    buf_putc(out, '\n');
}

void
push_lines_image(
    const char *source, const char *platforms, const struct push_layers *layers, struct buf *out)
{
    struct push_sums sums = push_layers_sum(layers);
    text_clean(str_of(source), SOURCE_MAX, out);
    if (platforms[0] != '\0') {
        buf_puts(out, ", ");
        text_clean(str_of(platforms), SOURCE_MAX, out);
    }
    buf_printf(out, ": %zu blob%s", layers->count, layers->count == 1 ? "" : "s");
    if (!layers->sizes_unknown) {
        buf_puts(out, ", ");
        human_size(sums.total, out);
    }
    buf_putc(out, '\n');
}

void
push_lines_counts(const struct push_layers *layers, struct buf *out)
{
    struct push_sums sums = push_layers_sum(layers);
    const size_t *states = sums.states;
    buf_printf(out, "%zu sent", states[PUSH_LAYER_SENT]);
    if (states[PUSH_LAYER_PRESENT] > 0) {
        buf_printf(out, ", %zu already there", states[PUSH_LAYER_PRESENT]);
    }
    if (states[PUSH_LAYER_REUSED] > 0) {
        buf_printf(out, ", %zu reused", states[PUSH_LAYER_REUSED]);
    }
    if (states[PUSH_LAYER_MOUNTED] > 0) {
        buf_printf(out, ", %zu mounted", states[PUSH_LAYER_MOUNTED]);
    }
}
