// Chooses between the three ways of telling and keeps them from mixing. How bars and lines look is
// push_bars.c's and push_lines.c's.
#include "push_report.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "human.h"
#include "live.h"
#include "push_bars.h"
#include "push_lines.h"

enum { EVENT_EVERY_MS = 1000, TEXT_MAX = 8192 };

struct push_report {
    struct cli *cli;
    bool json;
    struct live *live;
    struct push_layers layers;
    const char *reference; // borrowed
    bool fetching;         // the head says so
    int64_t started_ms;
};

static int64_t
now_of(const struct push_report *report)
{
    return clock_mono(report->cli->platform.clock);
}

struct push_report *
push_report_new(struct cli *cli, bool json)
{
    struct push_report *report = xcalloc(1, sizeof(*report));
    report->cli = cli;
    report->json = json;
    report->started_ms = now_of(report);
    push_layers_init(&report->layers, NULL, report->started_ms);
    return report;
}

void
push_report_free(struct push_report *report)
{
    if (report != NULL) {
        live_free(report->live); // first: it draws the layers
        push_layers_done(&report->layers);
        free(report);
    }
}

void
push_report_freep(struct push_report **report)
{
    push_report_free(*report);
    *report = NULL;
}

static struct json *
event(const struct push_report *report, const char *name)
{
    char stamp[21];
    struct json *object = json_make_object();
    clock_format_rfc3339(clock_wall(report->cli->platform.clock), stamp);
    json_set_str(object, "event", name);
    json_set_str(object, "time", stamp);
    return object;
}

static void
print_event(const struct push_report *report, struct json *object)
{
    char *text CLEANUP(xfreep) = json_text(object);
    cli_outf(report->cli, "%s\n", text);
    json_free(object);
}

static void
show_head(struct push_report *report)
{
    struct buf head CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    buf_printf(&head, LIVE_SPINNER " pushing %s, ", report->reference);
    live_elapsed(report->started_ms, &head);
    buf_putc(&head, '\n');
    live_update(report->live, buf_str(&head));
}

static void
start_bars(struct push_report *report, const char *reference)
{
    report->live = live_new(report->cli, report->json);
    report->reference = reference;
    show_head(report);
    live_follow(report->live, &(struct live_drawer){push_bars_live, &report->layers});
}

struct error *
push_report_image(
    struct push_report *report, const char *source, const char *reference, struct image *image)
{
    const char *digest = NULL, *platforms = image_platforms(image);
    push_layers_reset(&report->layers, image, now_of(report));
    if (image_is_settled(image)) {
        TRY(image_digest(image, &digest));
    }
    if (report->json) {
        struct push_sums sums = push_layers_sum(&report->layers);
        struct json *object = event(report, "image");
        json_set_str(object, "source", source);
        json_set_str(object, "digest", digest);
        json_set_str(object, "platforms", platforms);
        json_set_int(object, "blobs", (int64_t)report->layers.count);
        if (!report->layers.sizes_unknown) {
            json_set_int(object, "bytes", sums.total);
        }
        print_event(report, object);
    } else {
        struct buf line CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        push_lines_image(source, platforms, &report->layers, &line);
        cli_out(report->cli, buf_str(&line));
    }
    start_bars(report, reference);
    return NULL;
}

// The daemon packs the image up first, which takes its time and tells no total.
void
push_report_fetching(void *ctx, int64_t done)
{
    struct push_report *report = ctx;
    int64_t now = now_of(report);
    bool first = done == 0;
    if (!first && now - report->layers.told_ms < EVENT_EVERY_MS) {
        return;
    }
    report->layers.told_ms = now;
    report->fetching = true;
    if (report->json) {
        struct json *object = event(report, "fetching");
        json_set_int(object, "done", done);
        print_event(report, object);
    } else if (first && !live_is_on(report->live)) {
        cli_outf(report->cli, "  getting the image from the daemon\n");
    } else {
        struct buf head CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        buf_puts(&head, LIVE_SPINNER " getting the image from the daemon, ");
        human_size(done, &head);
        buf_puts(&head, ", ");
        live_elapsed(report->started_ms, &head);
        buf_putc(&head, '\n');
        live_update(report->live, buf_str(&head));
    }
}

static const char *
state_name(enum push_layer_state state)
{
    static const char *const names[] = {[PUSH_LAYER_WAITING] = "waiting",
        [PUSH_LAYER_SENDING] = "sending",
        [PUSH_LAYER_AGAIN] = "again",
        [PUSH_LAYER_PRESENT] = "present",
        [PUSH_LAYER_REUSED] = "reused",
        [PUSH_LAYER_MOUNTED] = "mounted",
        [PUSH_LAYER_SENT] = "sent"};
    return names[state];
}

static void
layer_event(const struct push_report *report, const struct push_layer *layer)
{
    struct json *object = event(report, "blob");
    json_set_str(object, "state", state_name(layer->state));
    json_set_str(object, "digest", layer->digest[0] != '\0' ? layer->digest : NULL);
    json_set_str(object, "diff_id", layer->diff_id[0] != '\0' ? layer->diff_id : NULL);
    json_set_int(object, "bytes", layer->total);
    json_set_int(object, "sent", layer->sent);
    if (layer->state == PUSH_LAYER_SENT) {
        json_set_int(object, "duration_ms", push_layer_took_ms(layer));
    }
    print_event(report, object);
}

static void
progress_event(struct push_report *report, int64_t now_ms)
{
    if (now_ms - report->layers.told_ms < EVENT_EVERY_MS) {
        return;
    }
    report->layers.told_ms = now_ms;
    struct push_sums sums = push_layers_sum(&report->layers);
    struct push_rate rate = push_layers_rate(&report->layers, now_ms);
    struct json *object = event(report, "progress");
    json_set_int(object, "done", sums.done);
    json_set_int(object, "total", sums.total);
    json_set_int(object, "sent", sums.sent);
    json_set_int(object, "bytes_per_second", rate.sent);
    print_event(report, object);
}

static void
manifest_event(const struct push_report *report, const struct registry_progress *progress)
{
    struct json *object = event(report, "manifest");
    json_set_str(object, "digest", progress->digest);
    json_set_int(object, "bytes", progress->total);
    print_event(report, object);
}

static void
say_layer(struct push_report *report, const struct push_layer *layer, int64_t now_ms)
{
    struct buf line CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    bool live = live_is_on(report->live);
    push_lines_layer(layer, live ? (size_t)report->cli->width - 1 : 0, &line);
    if (layer->state == PUSH_LAYER_SENDING && !live) {
        push_lines_progress(&report->layers, now_ms, &line);
    }
    if (line.len > 0) {
        cli_out(report->cli, buf_str(&line));
    }
}

void
push_report_progress(void *ctx, const struct registry_progress *progress)
{
    struct push_report *report = ctx;
    int64_t now = now_of(report);
    const struct push_layer *layer = push_layers_note(&report->layers, progress, now);
    bool manifest = progress->what == REGISTRY_MANIFEST_SENT;
    if (report->fetching) {
        report->fetching = false;
        show_head(report);
    }
    if (manifest || progress->what == REGISTRY_PART_SENT) {
        report->cli->changed = true;
    }
    if (manifest && report->json) {
        manifest_event(report, progress);
    }
    if (layer == NULL) {
        return;
    }
    if (!report->json) {
        say_layer(report, layer, now);
    } else if (layer->state == PUSH_LAYER_SENDING) {
        progress_event(report, now);
    } else {
        layer_event(report, layer);
    }
}

static void
result_event(const struct push_report *report, const char *reference,
    const struct registry_push_result *result, int64_t took_ms)
{
    struct json *object = event(report, "pushed");
    json_set_str(object, "reference", reference);
    json_set_str(object, "digest", result->digest);
    json_set_bool(object, "already_there", result->already_there);
    json_set_int(object, "blobs_sent", result->blobs_sent);
    json_set_int(object, "blobs_present", result->blobs_present);
    json_set_int(object, "bytes_sent", result->bytes_sent);
    json_set_int(object, "requests", result->requests);
    json_set_int(object, "duration_ms", took_ms);
    print_event(report, object);
}

void
push_report_result(
    struct push_report *report, const char *reference, const struct registry_push_result *result)
{
    int64_t took_ms = now_of(report) - report->started_ms;
    live_finish(report->live, (struct str){0});
    if (report->json) {
        result_event(report, reference, result, took_ms);
        return;
    }
    if (result->already_there) {
        cli_outf(report->cli, "%s: everything was there already\n%s\n", reference, result->digest);
        return;
    }
    struct buf line CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    char took[32];
    clock_format_duration(took_ms, took);
    buf_printf(&line, "pushed %s: ", reference);
    human_size(result->bytes_sent, &line);
    buf_printf(&line, " in %s (", took);
    push_lines_counts(&report->layers, &line);
    buf_printf(&line, ", %lld request%s)\n%s\n", (long long)result->requests,
        result->requests == 1 ? "" : "s", result->digest);
    cli_out(report->cli, buf_str(&line));
}
