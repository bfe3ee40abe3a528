// Step "scan": ECR has scanned the image of one service, and found nothing that the spec blocks.
// Before anything is written or triggered; there is nothing to take back.
#include "deploy_internal.h"
#include "dispatcher/ecr.h"
#include "dispatcher/memory.h"

enum { POLL_MS = 5000, TEXT_MAX = 4096 };

static const struct deployment_service *
service_of(const struct deployment *d, const struct deployment_step *step)
{
    return deployment_service_at(d, (size_t)step->service);
}

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    const struct deployment_service *service = service_of(d, step);
    char limit[32];
    clock_format_duration(d->scan_wait_ms, limit);
    buf_printf(out, "read the scan findings of %s/%s:%s, waiting %s at most", service->registry,
        service->repository, d->version, limit);
}

static int64_t
now_ms(const struct step_run *run)
{
    return clock_mono(run->context->platform->clock);
}

// --- what was found ----------------------------------------------------------------------------

static enum ecr_severity
limit_of(const struct deployment *d)
{
    enum ecr_severity limit = ECR_LOW; // of a word that a newer version wrote: the strictest
    (void)ecr_severity_parse(d->scan_block, &limit);
    return limit;
}

/// "1 critical, 2 high" of the severities from..to; returns how many that are.
static int64_t
put_counts(const struct ecr_scan *scan, int from, int to, struct buf *out)
{
    int64_t sum = 0;
    for (int i = from; i <= to; i++) {
        if (scan->counts[i] > 0) {
            buf_printf(out, "%s%lld %s", sum > 0 ? ", " : "", (long long)scan->counts[i],
                ecr_severity_name((enum ecr_severity)i));
            sum += scan->counts[i];
        }
    }
    return sum;
}

static const char *
passed_note(const struct step_run *run, const struct ecr_scan *scan)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    char day[21];
    if (put_counts(scan, ECR_CRITICAL, ECR_OTHER, &text) == 0) {
        buf_puts(&text, "no findings");
    }
    if (scan->completed_ms > 0) {
        clock_format_rfc3339(scan->completed_ms, day);
        buf_printf(&text, ", scanned %.10s", day);
    }
    return arena_str(run->arena, buf_str(&text));
}

static void
put_names(const struct ecr_scan *scan, enum ecr_severity limit, struct buf *out)
{
    for (size_t i = 0; i < scan->worst_count && scan->worst[i].severity <= limit; i++) {
        buf_printf(out, "%s%s (%s)", i == 0 ? ": " : ", ", scan->worst[i].name,
            ecr_severity_name(scan->worst[i].severity));
    }
}

static struct error *
judge(const struct step_run *run, const struct ecr_image *image, const struct ecr_scan *scan,
    struct step_result *out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    enum ecr_severity limit = limit_of(run->deployment);
    int64_t bad = put_counts(scan, ECR_CRITICAL, (int)limit, &text);
    if (bad == 0) {
        out->outcome = STEP_DONE;
        out->note = passed_note(run, scan);
        return NULL;
    }
    buf_printf(&text, " finding%s, '%s'%s blocked", bad == 1 ? "" : "s", ecr_severity_name(limit),
        limit == ECR_CRITICAL ? " is" : " and above are");
    put_names(scan, limit, &text);
    return error_hint(error_new(ERROR_DENIED, "%s", buf_cstr(&text)),
        "Nothing was written or triggered. Mend the image, or see all findings with: aws ecr "
        "describe-image-scan-findings --region %s --repository-name %s --image-id imageDigest=%s",
        image->repository.region, image->repository.name, image->digest);
}

// --- when nothing can be found out -------------------------------------------------------------

// There is no result and none will come: 'on_missing' decides. `kind` says whether trying again
// may help.
static struct error *
without_result(
    const struct step_run *run, enum error_kind kind, const char *why, struct step_result *out)
{
    struct deployment *d = run->deployment;
    if (!cstr_equal(d->scan_on_missing, "warn")) {
        return error_hint(error_new(kind, "no scan result: %s", why),
            "Nothing was written or triggered. 'image_scan: {on_missing: warn}' deploys without a "
            "result.");
    }
    const char *warning =
        arena_printf(run->arena, "the image of '%s' is deployed without a scan result: %s",
            service_of(d, run->step)->name, why);
    deployment_note(d, run->arena, warning);
    context_emit_text(run->context, d, DEPLOY_EVENT_WARNING, warning);
    out->outcome = STEP_DONE;
    out->note = arena_printf(run->arena, "no result: %s", why);
    return NULL;
}

static struct error *
useless(const struct step_run *run, const struct ecr_scan *scan, struct step_result *out)
{
    const char *why = arena_printf(run->arena, "the scan is %s%s%s", scan->status,
        scan->description != NULL ? ": " : "", scan->description != NULL ? scan->description : "");
    return without_result(run, ERROR_REFUSED, why, out);
}

static struct error *
wait_more(const struct step_run *run, const char *status, struct step_result *out)
{
    int64_t end = run->context->pace->scan_mono_ms + run->deployment->scan_wait_ms,
            now = now_ms(run);
    if (now >= end) {
        char limit[32];
        clock_format_duration(run->deployment->scan_wait_ms, limit);
        const char *why = arena_printf(
            run->arena, "%s after %s", status != NULL ? status : "there is no scan", limit);
        return without_result(run, ERROR_UNAVAILABLE, why, out);
    }
    int64_t next = now + context_tuning_ms(run->context, "DISPATCHER_POLL_MS", POLL_MS);
    out->outcome = STEP_WAIT;
    out->until_ms = next < end ? next : end;
    return NULL;
}

// --- looking -----------------------------------------------------------------------------------

// Where no scan runs by itself, one is asked for, once. Asking again after a crash does no harm: it
// is refused.
static struct error *
ask(const struct step_run *run, struct aws_session *aws, const struct ecr_image *image,
    const struct ecr_scan *scan, struct step_result *out)
{
    enum ecr_scan_start answer = ECR_START_DONE;
    run->context->pace->scan_asked = true;
    TRY(ecr_start_scan(aws, image, &answer));
    if (answer == ECR_START_UNSUPPORTED) {
        return without_result(run, ERROR_REFUSED,
            "ECR cannot scan an image of this type (its basic scans take no index of several "
            "platforms)",
            out);
    }
    if (answer != ECR_START_DONE && scan->state == ECR_SCAN_UNUSABLE) {
        return useless(run, scan, out);
    }
    return wait_more(run, NULL, out);
}

static struct error *
look(const struct step_run *run, const struct ecr_image *image, struct step_result *out)
{
    struct aws_session *aws = NULL;
    struct ecr_scan scan = {0};
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    TRY(provider_aws(run->context, run->deployment, &aws));
    struct error *err = ecr_scan_findings(aws, image, scratch, &scan);
    if (err != NULL && error_kind(err) == ERROR_UNAVAILABLE) {
        char *text CLEANUP(xfreep) = error_text(err);
        const char *why = arena_printf(scratch, "it cannot be read (%s)", text);
        error_free(err);
        return wait_more(run, why, out);
    }
    TRY(err);
    bool failed = cstr_equal(scan.status, "FAILED");
    if ((scan.state == ECR_SCAN_NONE || failed) && !run->context->pace->scan_asked) {
        return ask(run, aws, image, &scan, out);
    }
    switch (scan.state) {
    case ECR_SCAN_NONE:
        return wait_more(run, NULL, out);
    case ECR_SCAN_RUNNING:
        return wait_more(run, arena_printf(scratch, "it is still %s", scan.status), out);
    case ECR_SCAN_UNUSABLE:
        return useless(run, &scan, out);
    case ECR_SCAN_DONE:
        break;
    }
    return judge(run, image, &scan, out);
}

static struct error *
run_scan(const struct step_run *run, struct step_result *out)
{
    const struct deployment_service *service = service_of(run->deployment, run->step);
    struct deploy_context *context = run->context;
    struct ecr_image image = {.digest = service->digest};
    bool is_ecr = provider_ecr_repository(service, run->arena, &image.repository);
    BUG_ON(!is_ecr || image.digest == NULL); // planned for ECR, after the push
    if (context->pace->scan_mono_ms == 0) {
        context->pace->scan_mono_ms = now_ms(run);
    }
    struct error *err = look(run, &image, out);
    if (err == NULL && out->outcome == STEP_WAIT) {
        return NULL;
    }
    context->pace->scan_mono_ms = 0; // the next service's step begins anew
    context->pace->scan_asked = false;
    if (err != NULL) {
        return error_wrap(err, "scan image '%s/%s:%s'", service->registry, service->repository,
            run->deployment->version);
    }
    return NULL;
}

const struct step_ops step_scan = {"scan", describe, run_scan, NULL};
