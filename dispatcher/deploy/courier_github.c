// GitHub's notices, each a card: the deployment with its statuses, the commit status, the check run
// and the comment on the pull request. What is made once is looked for when an earlier attempt may
// have made it; what is set again is the same.
#include "notice_internal.h"

#include "dispatcher/github_reports.h"
#include "dispatcher/memory.h"

enum { PATIENCE_MS = 15 * 1000 };

// At most 80 creations a minute and 500 an hour (facts: secondary limits).
#define QUOTA                                                                                      \
    .short_rate = {.every_ms = 1000, .burst = 10}, .long_rate = {.every_ms = 9000, .burst = 90}

static int64_t
retry_after(const struct delivery *delivery, const struct github_client *client)
{
    int64_t until = github_client_not_before(client);
    int64_t now = clock_mono(delivery->context->platform->clock);
    return until > now ? until - now : -1;
}

static enum notify_verdict
verdict_of(
    const struct delivery *delivery, const struct github_client *client, const struct error *err)
{
    const struct error_remote *remote = error_remote_of(err);
    if (error_kind(err) == ERROR_REFUSED) {
        return remote->status == 404 ? NOTIFY_BLOCKED : NOTIFY_REFUSED;
    }
    if (error_kind(err) != ERROR_UNAVAILABLE && error_kind(err) != ERROR_CANCELLED &&
        error_kind(err) != ERROR_UNKNOWN) {
        return NOTIFY_BLOCKED;
    }
    bool limited = retry_after(delivery, client) >= 0;
    return limited ? NOTIFY_LIMITED : remote->request_left ? NOTIFY_DOUBT : NOTIFY_LATER;
}

// Takes `err`; true when there was none.
static bool
is_fine(const struct delivery *delivery, const struct github_client *client, struct error *err,
    struct delivered *out)
{
    if (err == NULL) {
        return true;
    }
    char *text CLEANUP(xfreep) = error_text(err);
    const char *hint = error_hint_of(err);
    out->result = (struct notify_result){.verdict = verdict_of(delivery, client, err),
        .retry_after_ms = retry_after(delivery, client),
        .problem = context_clean(delivery->arena, text, 1000),
        .hint = hint != NULL ? context_clean(delivery->arena, hint, 1000) : NULL};
    error_free(err);
    return false;
}

static bool
open_client(const struct delivery *delivery, struct github_client **client, struct delivered *out)
{
    struct deploy_context *context = delivery->context;
    if (delivery->target->repository == NULL) {
        out->result = (struct notify_result){.verdict = NOTIFY_REFUSED,
            .problem = "the spec does not say which repository the app has ('repo')"};
        return false;
    }
    struct error *err = provider_reports(context, delivery->target, delivery->sink->token, client);
    if (err != NULL) {
        courier_blocked(delivery, err, out);
        return false;
    }
    github_client_set_deadline(*client, clock_mono(context->platform->clock) + PATIENCE_MS);
    return true;
}

static struct json *
body_of(const struct delivery *delivery)
{
    struct json *body = NULL;
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(delivery->row->notice.body), &json_limits_default, &body);
    BUG_ON(err != NULL); // we wrote it
    return body;
}

static const char *
text_of(const struct json *body, const char *name)
{
    return json_str(json_get(body, name));
}

static const char *
print_reference(const struct delivery *delivery, struct json *object)
{
    struct json *owned CLEANUP(json_freep) = object;
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    json_print(owned, false, &text);
    return arena_str(delivery->arena, buf_str(&text));
}

static void
delivered_fine(struct delivered *out)
{
    out->result = (struct notify_result){.verdict = NOTIFY_DELIVERED};
}

// --- the deployment ------------------------------------------------------------------------------

// What is remembered of it: its id, and the status that it was given last.
static void
remember_id(const struct delivery *delivery, int64_t id, const char *state, struct delivered *out)
{
    struct json *object = json_make_object();
    json_set_int(object, "id", id);
    json_set_str(object, "state", state);
    out->reference = print_reference(delivery, object);
}

static bool
find_or_create(const struct delivery *delivery, struct github_client *client,
    const struct github_deployment *wanted, int64_t *id, struct delivered *out)
{
    struct error *err = NULL;
    if (delivery->row->began) {
        err = github_deployment_find(client, wanted, delivery->arena, id);
        out->looked = err == NULL;
    }
    if (err == NULL && *id == 0) {
        err = github_deployment_create(client, wanted, delivery->arena, id);
    }
    return is_fine(delivery, client, err, out);
}

// Statuses are only ever added: the same one twice would be noise.
static bool
is_there(const struct delivery *delivery, struct github_client *client, int64_t id,
    const struct github_deployment_status *wanted)
{
    struct github_deployment_status *last = NULL;
    if (!delivery->row->began) {
        return false;
    }
    struct error *err CLEANUP(error_freep) =
        github_deployment_status_last(client, id, delivery->arena, &last);
    return err == NULL && last != NULL && cstr_equal(last->state, wanted->state) &&
           cstr_equal(last->description, wanted->description);
}

static void
set_state(const struct delivery *delivery, struct github_client *client,
    const struct github_deployment *deployment, int64_t id, const struct json *state,
    struct delivered *out)
{
    const struct github_deployment_status wanted = {.state = text_of(state, "state"),
        .description = text_of(state, "description"),
        .log_url = text_of(state, "log_url"),
        .environment_url = text_of(state, "environment_url"),
        .environment = deployment->environment};
    const char *mark = arena_printf(delivery->arena, "%s: %s", wanted.state, wanted.description);
    size_t retired = 0;
    if (cstr_equal(courier_member(delivery, delivery->row->reference, "state"), mark)) {
        delivered_fine(out);
        return;
    }
    struct error *err = NULL;
    if (!is_there(delivery, client, id, &wanted)) {
        err = github_deployment_status_add(client, id, &wanted);
        out->cost++;
    }
    if (err == NULL && cstr_equal(wanted.state, "success")) {
        err = github_deployment_retire(client, deployment, id, delivery->arena, &retired);
        out->cost += (int64_t)retired;
    }
    if (is_fine(delivery, client, err, out)) {
        remember_id(delivery, id, mark, out);
        delivered_fine(out);
    }
}

static void
deliver_deployment(const struct delivery *delivery, struct delivered *out)
{
    struct github_client *client = NULL;
    struct json *body CLEANUP(json_freep) = body_of(delivery);
    int64_t id = courier_number(delivery->row->reference, "id");
    const struct github_deployment deployment = {.ref = text_of(body, "ref"),
        .task = text_of(body, "task"),
        .environment = text_of(body, "environment"),
        .description = text_of(body, "description"),
        .payload_id = text_of(body, "payload_id"),
        .app = text_of(body, "app"),
        .is_production = json_bool(json_get(body, "is_production"), false)};
    if (!open_client(delivery, &client, out) ||
        (id == 0 && !find_or_create(delivery, client, &deployment, &id, out))) {
        return;
    }
    if (delivery->row->reference == NULL) {
        remember_id(delivery, id, NULL, out); // also when its status fails
    }
    set_state(delivery, client, &deployment, id, json_get(body, "state"), out);
}

// --- the commit status, the check run ------------------------------------------------------------

static void
deliver_status(const struct delivery *delivery, struct delivered *out)
{
    struct github_client *client = NULL;
    struct json *body CLEANUP(json_freep) = body_of(delivery);
    const struct github_commit_status status = {.state = text_of(body, "state"),
        .context = text_of(body, "context"),
        .description = text_of(body, "description"),
        .target_url = text_of(body, "target_url")};
    if (open_client(delivery, &client, out) &&
        is_fine(delivery, client, github_commit_status_set(client, text_of(body, "sha"), &status),
            out)) {
        delivered_fine(out);
    }
}

static bool
check_id(const struct delivery *delivery, struct github_client *client, const struct json *body,
    int64_t *id, struct delivered *out)
{
    *id = courier_number(delivery->row->reference, "id");
    if (*id != 0 || !delivery->row->began) {
        return true;
    }
    struct error *err = github_check_find(client, text_of(body, "head_sha"), text_of(body, "name"),
        text_of(body, "external_id"), delivery->arena, id);
    out->looked = err == NULL;
    return is_fine(delivery, client, err, out);
}

static bool
has_annotations(const struct json *body)
{
    return json_count(json_path(body, "output.annotations")) > 0;
}

// GitHub adds annotations to those that are there: they are sent once, and not again after a doubt.
static const char *
without_annotations(const struct delivery *delivery, struct json *body)
{
    struct json *output = json_clone(json_get(body, "output"));
    json_set(output, "annotations", json_make_array());
    json_set(body, "output", output);
    char *text CLEANUP(xfreep) = json_text(body);
    return arena_dup(delivery->arena, text);
}

static void
remember_check(const struct delivery *delivery, int64_t id, bool annotated, struct delivered *out)
{
    struct json *object = json_make_object();
    json_set_int(object, "id", id);
    json_set_int(object, "annotated", annotated ? 1 : 0);
    out->reference = print_reference(delivery, object);
}

static void
deliver_check(const struct delivery *delivery, struct delivered *out)
{
    struct github_client *client = NULL;
    struct json *body CLEANUP(json_freep) = body_of(delivery);
    const char *text = delivery->row->notice.body;
    bool annotated = courier_number(delivery->row->reference, "annotated") != 0;
    int64_t id = 0;
    if (!open_client(delivery, &client, out) || !check_id(delivery, client, body, &id, out)) {
        return;
    }
    if (has_annotations(body) && id != 0 && (annotated || delivery->row->began)) {
        text = without_annotations(delivery, body);
        annotated = true;
    }
    struct error *err = id != 0 ? github_check_update(client, id, text)
                                : github_check_create(client, text, delivery->arena, &id);
    if (is_fine(delivery, client, err, out)) {
        remember_check(delivery, id, annotated || has_annotations(body), out);
        delivered_fine(out);
    }
}

// --- the comment ---------------------------------------------------------------------------------

static void
remember_comment(const struct delivery *delivery, int64_t pull, int64_t id, struct delivered *out)
{
    struct json *object = json_make_object();
    json_set_int(object, "pull", pull);
    json_set_int(object, "id", id);
    out->reference = print_reference(delivery, object);
}

// The comment of an earlier deployment to the same environment is taken over: one for each pull
// request and environment.
static bool
find_comment(const struct delivery *delivery, struct github_client *client, const struct json *body,
    int64_t *pull, int64_t *id, struct delivered *out)
{
    int64_t *numbers = NULL;
    size_t count = 0;
    *pull = courier_number(delivery->row->reference, "pull");
    *id = courier_number(delivery->row->reference, "id");
    if (*id != 0) {
        return true;
    }
    struct error *err = NULL;
    if (*pull == 0) {
        err = github_commit_pulls(client, text_of(body, "sha"), delivery->arena, &numbers, &count);
        *pull = err == NULL && count > 0 ? numbers[0] : 0;
    }
    if (err == NULL && *pull != 0) {
        err = github_comment_find(client, *pull, text_of(body, "mark"), delivery->arena, id);
        out->looked = err == NULL;
    }
    return is_fine(delivery, client, err, out);
}

static void
deliver_comment(const struct delivery *delivery, struct delivered *out)
{
    struct github_client *client = NULL;
    struct json *body CLEANUP(json_freep) = body_of(delivery);
    int64_t pull = 0, id = 0;
    if (!open_client(delivery, &client, out) ||
        !find_comment(delivery, client, body, &pull, &id, out)) {
        return;
    }
    if (pull == 0) { // of no pull request: there is nobody to tell
        delivered_fine(out);
        return;
    }
    const char *text = text_of(body, "body");
    struct error *err = id != 0 ? github_comment_update(client, id, text)
                                : github_comment_create(client, pull, text, delivery->arena, &id);
    if (err != NULL && id != 0 && error_remote_of(err)->status == 404) {
        out->result =
            (struct notify_result){.verdict = NOTIFY_ABSENT, .problem = "the comment was deleted"};
        error_free(err);
    } else if (is_fine(delivery, client, err, out)) {
        remember_comment(delivery, pull, id, out);
        delivered_fine(out);
    }
}

const struct sink_ops sink_github_deployment = {
    .kind = "github-deployment", QUOTA, .deliver = deliver_deployment};
const struct sink_ops sink_github_status = {
    .kind = "github-status", QUOTA, .deliver = deliver_status};
const struct sink_ops sink_github_check = {.kind = "github-check", QUOTA, .deliver = deliver_check};
const struct sink_ops sink_github_comment = {
    .kind = "github-comment", QUOTA, .deliver = deliver_comment};
