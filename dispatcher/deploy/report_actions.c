// The result for the job that we run in: $GITHUB_OUTPUT lines and annotations
// (GitHub's workflow commands; escaping as in actions/toolkit command.ts).
#include "dispatcher/memory.h"
#include "notice_internal.h"
#include "report_internal.h"

enum { NOTES_MAX = 32 * 1024 }; // of a megabyte that a job's outputs may have

static void
put_output(struct buf *out, const char *random_hex, const char *name, const char *value)
{
    if (value != NULL) {
        buf_printf(
            out, "%s<<dispatcher_%s\n%s\ndispatcher_%s\n", name, random_hex, value, random_hex);
    }
}

static void
put_number(struct buf *out, const char *random_hex, const char *name, int64_t number)
{
    if (number != 0) {
        char *text CLEANUP(xfreep) = xasprintf("%lld", (long long)number);
        put_output(out, random_hex, name, text);
    }
}

void
report_outputs(const struct deployment *d, const char *random_hex, struct buf *out)
{
    const struct deployment_service *first =
        d->services.count > 0 ? deployment_service_at(d, 0) : NULL;
    int64_t took = d->finished_ms > 0 ? (d->finished_ms - d->created_ms + 500) / 1000 : 0;
    put_output(out, random_hex, "deployment-id", d->id);
    put_number(out, random_hex, "run-id", d->run_id);
    put_output(out, random_hex, "run-url", d->run_url);
    put_output(out, random_hex, "version", d->version);
    put_output(out, random_hex, "digest", first != NULL ? first->digest : NULL);
    put_output(out, random_hex, "previous-version", first != NULL ? first->previous : NULL);
    const struct deployment_target *target =
        d->targets.count > 0 ? deployment_target_at(d, 0) : NULL;
    put_output(out, random_hex, "proven", d->proven ? "true" : "false");
    if (target != NULL) {
        put_output(out, random_hex, "running-digest", target->running_digest);
        put_output(out, random_hex, "revision", target->forward.revision);
    }
    put_output(out, random_hex, "result",
        d->result != NULL       ? d->result
        : d->unfinished != NULL ? d->unfinished
                                : "running");
    put_number(out, random_hex, "duration", took);
    struct buf notes CLEANUP(buf_done) = BUF_INIT(2 * NOTES_MAX);
    release_notes(d, NOTES_MAX, &notes);
    put_output(out, random_hex, "release-notes", notes.len > 0 ? buf_cstr(&notes) : NULL);
}

// Message of a workflow command: %, CR and LF are the only bytes that need care.
void
report_command_text(const char *text, struct buf *out)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '%') {
            buf_puts(out, "%25");
        } else if (*at == '\r') {
            buf_puts(out, "%0D");
        } else if (*at == '\n') {
            buf_puts(out, "%0A");
        } else {
            buf_putc(out, *at);
        }
    }
}

// The best of what the platforms say of each target that failed.
static void
put_evidence(const struct deployment *d, struct buf *out)
{
    enum { TOLD_MAX = 3, TARGETS_TOLD_MAX = 5 };
    size_t told = 0;
    for (size_t i = 0; i < d->targets.count && told < TARGETS_TOLD_MAX; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        bool failed = !target->proven && target->evidence.count > 0;
        told += failed ? 1 : 0;
        for (size_t k = 0; failed && k < target->evidence.count && k < TOLD_MAX; k++) {
            buf_puts(out, "::error title=dispatcher::");
            report_command_text(target->name, out);
            buf_puts(out, ": ");
            report_command_text(target->evidence.items[k], out);
            buf_putc(out, '\n');
        }
    }
}

void
report_annotations(const struct deployment *d, struct buf *out)
{
    bool good = cstr_equal(d->result, "deployed");
    bool open = d->result == NULL;
    buf_printf(out, "::%s title=dispatcher::", good ? "notice" : open ? "warning" : "error");
    report_command_text(d->message != NULL ? d->message : "", out);
    if (d->run_url != NULL && !str_contains(str_of(d->message), str_of(d->run_url))) {
        buf_puts(out, " (");
        report_command_text(d->run_url, out);
        buf_putc(out, ')');
    }
    buf_putc(out, '\n');
    put_evidence(d, out);
    for (size_t i = 0; i < d->failure.annotations.count; i++) {
        buf_puts(out, "::error title=infra run::");
        report_command_text(d->failure.annotations.items[i], out);
        buf_putc(out, '\n');
    }
}
