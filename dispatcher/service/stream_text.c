// An event as it is written to a stream (WHATWG HTML, server-sent events). Knows no stream.
#include <string.h>

#include "dispatcher/memory.h"
#include "listen_internal.h"

void
stream_put_event(struct buf *out, const char *event, int64_t id, struct str data)
{
    struct str line = {0}, rest = data;
    if (id > 0) {
        buf_printf(out, "id: %lld\n", (long long)id);
    }
    buf_printf(out, "event: %s\n", event);
    while (str_cut(rest, '\n', &line, &rest)) {
        buf_puts(out, "data: ");
        buf_add(out, line);
        buf_putc(out, '\n');
    }
    buf_putc(out, '\n');
}

const char *
stream_kind_of(const struct store_event *event, struct arena *arena)
{
    struct json *object CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(event->json), &json_limits_default, &object);
    const char *kind = err == NULL ? json_str(json_get(object, "event")) : NULL;
    size_t len = kind != NULL ? strlen(kind) : 0;
    bool word = len > 0 && strspn(kind, "abcdefghijklmnopqrstuvwxyz-") == len;
    return word ? arena_dup(arena, kind) : "note";
}
