// What could not be told, said once: after the result, which it does not change.
#include "report_internal.h"

static void
put_sentence(const struct deploy_untold *one, struct buf *out)
{
    buf_printf(out, "'%s' has not got its report", one->sink);
    if (one->count > 1) {
        buf_printf(out, "s (%zu)", one->count);
    }
    buf_printf(out, ": %s%s", one->problem, one->is_refused ? "" : "; it waits in the outbox");
}

static const char outbox_hint[] =
    "'dispatcher notify --flush' sends what waits, and so does the next deployment from here.";

void
report_untold_text(const struct deploy_untold *list, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, "! ");
        put_sentence(&list[i], out);
        buf_putc(out, '\n');
        if (list[i].hint != NULL) {
            buf_printf(out, "  hint: %s\n", list[i].hint);
        }
    }
    if (count > 0) {
        buf_printf(out, "  %s\n", outbox_hint);
    }
}

void
report_untold_summary(const struct deploy_untold *list, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        struct buf words CLEANUP(buf_done) = BUF_INIT(8192);
        put_sentence(&list[i], &words);
        buf_puts(out, i == 0 ? "\n> ⚠️ " : "> ⚠️ ");
        report_markdown_escape(buf_cstr(&words), 1000, out);
        buf_putc(out, '\n');
    }
}

void
report_untold_annotations(const struct deploy_untold *list, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        struct buf words CLEANUP(buf_done) = BUF_INIT(8192);
        put_sentence(&list[i], &words);
        buf_puts(out, "::warning title=dispatcher::");
        report_command_text(buf_cstr(&words), out);
        buf_putc(out, '\n');
    }
}

struct json *
report_untold_event(const struct deploy_untold *one, const struct deployment *d, int64_t wall_ms)
{
    struct json *object = json_make_object();
    char stamp[21];
    clock_format_rfc3339(wall_ms, stamp);
    json_set_str(object, "event", "report");
    json_set_str(object, "time", stamp);
    json_set_str(object, "deployment", d->id);
    json_set_str(object, "app", d->app);
    json_set_str(object, "environment", d->env);
    json_set_str(object, "sink", one->sink);
    json_set_str(object, "state", one->is_refused ? "refused" : "waiting");
    json_set_int(object, "count", (int64_t)one->count);
    json_set_str(object, "problem", one->problem);
    json_set_str(object, "hint", one->hint);
    return object;
}
