// Draws an upload. Columns are laid out for all layers together, from what they will have in the
// end, so that nothing jumps while numbers grow.
#include "push_bars.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "human.h"

enum {
    INDENT = 2,
    LABEL = 12, // digits of a digest
    PERCENT = 4,
    SENT_VALUE = 5,
    SENT_UNIT = 3,
    WORDS_LEAST = 7, // "waiting"
    WORDS_MOST = 21, // "failed, try 2 follows"
    CELLS_LEAST = 8,
    CELLS_MOST = 30,
    LINES_CALM = 8, // layers that only wait do not fill a screen
    TEXT_MAX = 512,
};

// What stands right of a bar; each holds what the ones before it do.
enum detail { DETAIL_PERCENT, DETAIL_SIZES, DETAIL_SENT, DETAIL_NOTE, DETAILS };

struct layout {
    const struct live_view *view;
    enum detail detail;
    size_t cells;              // 0: no bar
    size_t value, unit, notes; // columns of a number, of its unit, of a remark
    size_t words;              // and of what stands in place of a bar
    bool compressed;
};

static const char *
arrow(const struct live_view *view)
{
    return view->utf8 ? "→" : "->";
}

static bool
is_active(const struct push_layer *layer)
{
    return layer->state == PUSH_LAYER_SENDING || layer->state == PUSH_LAYER_AGAIN;
}

// Which try it is, or what it is busy with.
static void
put_note(const struct push_layer *layer, struct buf *out)
{
    if (layer->state != PUSH_LAYER_SENDING) {
        return;
    }
    if (layer->tries > 1) {
        buf_printf(out, "try %u", layer->tries);
    } else if (layer->done >= layer->total) {
        buf_puts(out, "finishing"); // what is left is the registry's
    } else if (layer->digest[0] == '\0') {
        buf_puts(out, "compressing");
    }
}

static size_t
note_width(const struct push_layer *layer)
{
    struct buf note CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    put_note(layer, &note);
    return note.len;
}

static void
widen(struct layout *layout, int64_t total)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    size_t unit = human_unit(total), unit_len = strlen(human_unit_name(unit));
    human_in_unit(total, unit, &text);
    layout->value = text.len > layout->value ? text.len : layout->value;
    layout->unit = unit_len > layout->unit ? unit_len : layout->unit;
}

static size_t
detail_width(const struct layout *layout, enum detail detail)
{
    size_t width = PERCENT;
    if (detail >= DETAIL_SIZES) { // " 80.1 of 128.0 MiB"
        width += 1 + layout->value + 4 + layout->value + 1 + layout->unit;
    }
    if (detail >= DETAIL_SENT && layout->compressed) { // " → 30.4 MiB sent"
        size_t arrow_width = layout->view->utf8 ? 1 : 2;
        width += 1 + arrow_width + 1 + SENT_VALUE + 1 + SENT_UNIT + 5;
    }
    if (detail >= DETAIL_NOTE && layout->notes > 0) {
        width += 2 + layout->notes;
    }
    return width;
}

// As much as leaves a bar that can be read.
static struct layout
lay_out(
    const struct push_layers *layers, const struct push_sums *sums, const struct live_view *view)
{
    struct layout layout = {.view = view, .compressed = sums->compressed, .words = WORDS_LEAST};
    size_t fixed = INDENT + LABEL + 1;
    size_t room = view->width > fixed ? view->width - fixed : 0;
    widen(&layout, sums->total);
    for (size_t i = 0; i < layers->count; i++) {
        size_t note = is_active(&layers->items[i]) ? note_width(&layers->items[i]) : 0;
        widen(&layout, layers->items[i].total);
        layout.notes = note > layout.notes ? note : layout.notes;
        layout.words = layers->items[i].state == PUSH_LAYER_AGAIN ? WORDS_MOST : layout.words;
    }
    for (int detail = DETAILS - 1; detail >= 0; detail--) {
        size_t used = detail_width(&layout, (enum detail)detail) + 3; // brackets and a blank
        layout.detail = (enum detail)detail;
        if (used + CELLS_LEAST <= room) {
            layout.cells = room - used < CELLS_MOST ? room - used : CELLS_MOST;
            return layout;
        }
    }
    return layout;
}

static void
put_value(const struct layout *layout, int64_t bytes, size_t unit, struct buf *out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    human_in_unit(bytes, unit, &text);
    buf_printf(out, "%*s", (int)layout->value, buf_cstr(&text));
}

// In a unit of its own, since it may be a small part of a large layer; "1000.0 KiB" is one column
// too many and becomes "1.0 MiB".
static void
put_sent(int64_t sent, struct buf *out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    size_t unit = human_unit(sent);
    human_in_unit(sent, unit, &text);
    if (text.len > SENT_VALUE) {
        buf_reset(&text);
        human_in_unit(sent, ++unit, &text);
    }
    buf_printf(out, "%*s %-*s sent", SENT_VALUE, buf_cstr(&text), SENT_UNIT, human_unit_name(unit));
}

static void
put_label(const char *label, struct buf *out)
{
    const char *colon = strchr(label, ':');
    buf_printf(out, "%*s%-*.*s ", INDENT, "", LABEL, LABEL, colon != NULL ? colon + 1 : label);
}

static void
put_progress(const struct layout *layout, int64_t done, int64_t total, int64_t sent, bool arrows,
    struct buf *out)
{
    size_t unit = human_unit(total);
    if (layout->cells > 0) {
        human_bar(done, total, layout->cells, layout->view->utf8, out);
        buf_putc(out, ' ');
    }
    int percent = human_percent(done, total);
    buf_printf(out, "%3d%%", percent == 100 ? 99 : percent); // it is not over
    if (layout->detail >= DETAIL_SIZES) {
        buf_putc(out, ' ');
        put_value(layout, done, unit, out);
        buf_puts(out, " of ");
        put_value(layout, total, unit, out);
        buf_printf(out, " %-*s", (int)layout->unit, human_unit_name(unit));
    }
    if (layout->detail >= DETAIL_SENT && arrows) {
        buf_printf(out, " %s ", arrow(layout->view));
        put_sent(sent, out);
    }
}

// Without blanks at the end.
static void
end_line(size_t start, struct buf *out)
{
    size_t len = out->len;
    while (len > start && out->ptr[len - 1] == ' ') {
        len--;
    }
    buf_cut(out, len);
    buf_putc(out, '\n');
}

// Words in place of a bar, and the size where it stands in every such line.
static void
put_words(const struct layout *layout, const struct push_layer *layer, const char *words,
    const char *tint, struct buf *out)
{
    bool color = layout->view->color;
    size_t fixed = INDENT + LABEL + 1, size_width = layout->value + 1 + layout->unit + 2;
    size_t room = layout->view->width > fixed ? layout->view->width - fixed : 0;
    size_t wanted = strlen(words) > layout->words ? strlen(words) : layout->words;
    buf_printf(out, "%s%.*s%s", color ? tint : "", (int)room, words, color ? "\x1b[0m" : "");
    if (wanted + size_width <= room) {
        size_t unit = human_unit(layer->total);
        buf_printf(out, "%*s", (int)(wanted - strlen(words) + 2), "");
        put_value(layout, layer->total, unit, out);
        buf_printf(out, " %-*s", (int)layout->unit, human_unit_name(unit));
    }
}

static void
put_layer(const struct layout *layout, const struct push_layer *layer, struct buf *out)
{
    struct buf note CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    size_t start = out->len;
    put_label(push_layer_name(layer), out);
    if (layer->state == PUSH_LAYER_WAITING) {
        put_words(layout, layer, "waiting", "\x1b[2m", out);
    } else if (layer->state == PUSH_LAYER_AGAIN) {
        buf_printf(&note, "failed, try %u follows", layer->tries);
        put_words(layout, layer, buf_cstr(&note), "\x1b[33m", out);
    } else {
        bool arrows = layout->compressed && layer->diff_id[0] != '\0';
        put_progress(layout, layer->done, layer->total, layer->sent, arrows, out);
        put_note(layer, &note);
        if (layout->detail >= DETAIL_NOTE && note.len > 0) {
            buf_printf(out, "  %s", buf_cstr(&note));
        }
    }
    end_line(start, out);
}

// Those under way first, then the largest.
static int
by_interest(const void *a, const void *b)
{
    const struct push_layer *left = *(const struct push_layer *const *)a;
    const struct push_layer *right = *(const struct push_layer *const *)b;
    if (is_active(left) != is_active(right)) {
        return is_active(left) ? -1 : 1;
    }
    if (left->total != right->total) {
        return left->total > right->total ? -1 : 1;
    }
    return left < right ? -1 : left > right;
}

static void
put_layers(
    const struct push_layers *layers, const struct layout *layout, size_t rows, struct buf *out)
{
    const struct push_layer **open = xcalloc(layers->count + 1, sizeof(*open));
    size_t count = 0, active = 0;
    for (size_t i = 0; i < layers->count; i++) {
        if (!push_layer_is_over(&layers->items[i])) {
            open[count++] = &layers->items[i];
            active += is_active(&layers->items[i]);
        }
    }
    qsort(open, count, sizeof(*open), by_interest);
    size_t calm = active > LINES_CALM ? active : LINES_CALM;
    size_t room = rows < calm + 1 ? rows : calm + 1;
    size_t shown = count <= room ? count : room > 0 ? room - 1 : 0;
    for (size_t i = 0; i < shown; i++) {
        put_layer(layout, open[i], out);
    }
    if (room > 0 && count > shown) {
        buf_printf(out, "%*s+%zu more\n", INDENT, "", count - shown);
    }
    free(open);
}

// Parts of a line, as many as fit.
struct line {
    size_t width, used;
    bool full;
    struct buf *out;
};

static void
put_part(struct line *line, const char *text)
{
    size_t len = text_width(str_of(text)) + (line->used > 0 ? 2 : INDENT);
    line->full = line->full || line->used + len > line->width;
    if (!line->full) {
        buf_printf(line->out, "%s%s", line->used > 0 ? ", " : "  ", text);
        line->used += len;
    }
}

static void
put_rate(struct line *line, const struct push_sums *sums, const struct push_rate *rate)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    int64_t left_ms = push_layers_left_ms(sums, rate);
    if (rate->window_ms == 0) {
        return;
    }
    human_size(rate->sent, &text);
    buf_puts(&text, "/s");
    put_part(line, buf_cstr(&text));
    if (left_ms > 0) {
        buf_reset(&text);
        human_seconds(left_ms + 999, &text); // never "0s" while something is left
        buf_puts(&text, " left");
        put_part(line, buf_cstr(&text));
    }
}

static void
put_status(const struct live_view *view, const struct push_sums *sums, const struct push_rate *rate,
    struct buf *out)
{
    static const struct {
        enum push_layer_state state;
        const char *word;
    } words[] = {{PUSH_LAYER_SENT, "sent"}, {PUSH_LAYER_PRESENT, "already there"},
        {PUSH_LAYER_REUSED, "reused"}, {PUSH_LAYER_MOUNTED, "mounted"},
        {PUSH_LAYER_WAITING, "waiting"}};
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct line line = {.width = view->width, .out = out};
    put_rate(&line, sums, rate);
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        size_t count = sums->states[words[i].state];
        if (count > 0) {
            buf_reset(&text);
            buf_printf(&text, "%zu %s", count, words[i].word);
            put_part(&line, buf_cstr(&text));
        }
    }
    if (line.used > 0) {
        buf_putc(out, '\n');
    }
}

void
push_bars_draw(
    const struct push_layers *layers, const struct live_view *view, int64_t now_ms, struct buf *out)
{
    struct push_sums sums = push_layers_sum(layers);
    struct push_rate rate = push_layers_rate(layers, now_ms);
    struct layout layout = lay_out(layers, &sums, view);
    bool total = layers->count > 1 && view->rows > 0;
    bool status = view->rows > (total ? 1U : 0U);
    put_layers(layers, &layout, view->rows - total - status, out);
    if (total) {
        size_t start = out->len;
        put_label("total", out);
        put_progress(&layout, sums.done, sums.total, sums.sent, sums.compressed, out);
        end_line(start, out);
    }
    if (status) {
        put_status(view, &sums, &rate, out);
    }
}

void
push_bars_live(void *ctx, const struct live_view *view, int64_t now_ms, struct buf *out)
{
    struct push_layers *layers = ctx;
    push_layers_lock(layers);
    push_bars_draw(layers, view, now_ms, out);
    push_layers_unlock(layers);
}
