// What `push` says while it goes on: bars on a terminal, a line a layer in a log, one JSON event a
// line with --json (docs/events.md). Prints through struct cli; decides nothing.
//
//     struct push_report *report CLEANUP(push_report_freep) = push_report_new(cli, json);
//     push_report_image(report, source, reference, image);
//     ... push_report_progress is the push's callback ...
//     push_report_result(report, reference, &result);
#pragma once

#include "cli_internal.h"
#include "dispatcher/registry.h"

struct push_report;

struct push_report *push_report_new(struct cli *cli, bool json);
void push_report_free(struct push_report *report);
void push_report_freep(struct push_report **report);

/// The image as it was read; from now on a terminal shows bars. `reference` is borrowed.
NODISCARD struct error *push_report_image(
    struct push_report *report, const char *source, const char *reference, struct image *image);
/// For struct registry_push; ctx is the report.
void push_report_fetching(void *ctx, int64_t done);
void push_report_progress(void *ctx, const struct registry_progress *progress);
void push_report_result(
    struct push_report *report, const char *reference, const struct registry_push_result *result);
