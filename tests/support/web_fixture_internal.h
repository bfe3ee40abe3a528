// Between the sources of web_fixture.h.
#pragma once

#include "dispatcher/arena.h"
#include "web_fixture.h"

// What is foreign, what is an address, what is a word of ours; `f` is the fixture.
#define T(x) web_fixture_text(f, (x))
#define U(x) web_fixture_url(f, (x))
#define S(x) web_fixture_state(f, (x))

const char *web_fixture_text(const struct web_fixture *f, const char *text);
const char *web_fixture_url(const struct web_fixture *f, const char *url);
const char *web_fixture_state(const struct web_fixture *f, const char *state);
struct web_frame web_fixture_frame(
    const struct web_fixture *f, const char *title, const char *path);
struct queue_lock *web_fixture_lock(
    const struct web_fixture *f, const char *scope, const char *level);
struct queue_job *web_fixture_job(const struct web_fixture *f, int64_t number, const char *state);

void web_fixture_running(const struct web_fixture *f, struct buf *out);
void web_fixture_failed(const struct web_fixture *f, struct buf *out);
void web_fixture_waiting(const struct web_fixture *f, struct buf *out);
void web_fixture_done(const struct web_fixture *f, struct buf *out);
void web_fixture_app(const struct web_fixture *f, struct buf *out);
