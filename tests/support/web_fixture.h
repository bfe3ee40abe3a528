// Pages of web/ as they look on an ordinary day, for goldens, screenshots and hostile texts.
#pragma once

#include "dispatcher/web.h"

// The instant of the fixture: 2026-11-21 07:48 UTC.
#define WEB_FIXTURE_NOW INT64_C(1795247280000)

// Every text of a fixture passes through `text` (NULL: as it is), so that a test can put something
// hostile in its place.
struct web_fixture {
    struct arena *arena;
    const char *(*text)(void *ctx, const char *text);
    const char *(*url)(void *ctx, const char *url);
    void *ctx;
    bool states;        // also words that are ours: states, results, levels
    bool nothing_known; // of no cell is it known whether it has drifted
};

struct web_page {
    const char *name;
    void (*put)(const struct web_fixture *fixture, struct buf *out);
};
extern const struct web_page web_fixture_pages[];
extern const size_t web_fixture_page_count;

/// A matrix of `apps` × 4 environments with every kind of badge.
void web_fixture_matrix(const struct web_fixture *fixture, size_t apps, struct buf *out);
