// A deployment in which everything foreign is the same text that nobody trusts, for every sink:
// what comes out is clean, keeps to the vendor's lengths, mentions nobody who is not in the map and
// makes no tag in Markdown. The first byte chooses how the deployment stands.
#include "deploy/notice_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/github_reports.h"
#include "dispatcher/pagerduty.h"
#include "dispatcher/slack.h"
#include "fuzz.h"

enum { BODY_MAX = 4 * 1024 * 1024, COMMITS = 4, MESSAGES = 3 };

#define COMMIT "cccccccc0123456789abcdef0123456789abcdef"

static size_t
units_of(const char *text)
{
    size_t units = 0;
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        units += ((byte & 0xc0) != 0x80 ? 1U : 0U) + (byte >= 0xf0 ? 1U : 0U);
    }
    return units;
}

static void
check_clean(const char *text)
{
    FUZZ_CHECK(str_is_utf8(str_of(text)));
    for (; *text != '\0'; text++) {
        FUZZ_CHECK(((unsigned char)*text >= 0x20 && *text != 0x7f) || *text == '\n');
    }
}

static void visit(void *ctx, const char *key, const struct json *value);

// Every text of a body; what Slack reads as markup is looked at closer.
static void
check_texts(const struct json *value)
{
    if (json_str(value) != NULL) {
        check_clean(json_str(value));
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_count(value); i++) {
            check_texts(json_at(value, i));
        }
    } else if (json_is_object(value)) {
        json_each(value, visit, NULL);
    }
    if (cstr_equal(json_str(json_get(value, "type")), "mrkdwn")) {
        const char *text = json_str(json_get(value, "text"));
        FUZZ_CHECK(units_of(text) >= 1 && units_of(text) <= SLACK_SECTION_MAX);
        for (const char *at = strchr(text, '<'); at != NULL; at = strchr(at + 1, '<')) {
            struct str rest = str_of(at);
            FUZZ_CHECK(str_starts(rest, STR("<http")) || str_starts(rest, STR("<@U0ANN0001>")));
        }
    }
}

static void
visit(void *ctx, const char *key, const struct json *value)
{
    (void)ctx;
    (void)key;
    check_texts(value);
}

// Takes `body`.
static void
check_body(struct json *body, size_t bytes_max)
{
    struct json *owned CLEANUP(json_freep) = body;
    char *text = json_text(owned);
    FUZZ_CHECK(strlen(text) <= bytes_max);
    check_texts(owned);
    free(text);
}

static void
check_at_most(const struct json *body, const char *path, size_t max)
{
    const char *text = json_str(json_path(body, path));
    FUZZ_CHECK(text != NULL && units_of(text) <= max);
}

// Markdown: a tag can only be one of ours.
static void
check_markdown(const char *text)
{
    static const char *const ours[] = {"<!-- dispatcher:shop:staging -->\n", "<details>",
        "<details open>", "<summary>", "</summary>", "</details>"};
    for (const char *at = strchr(text, '<'); at != NULL; at = strchr(at + 1, '<')) {
        bool known = false;
        for (size_t i = 0; i < ARRAY_LENGTH(ours); i++) {
            known = known || str_starts(str_of(at), str_of(ours[i]));
        }
        bool in_log = at >= text + 4 && memchr(at - 4, '\n', 4) == NULL; // an indented block
        FUZZ_CHECK(known || in_log);
    }
}

static void
check_all(const struct deployment *d, struct arena *arena)
{
    static const struct deployment_sink sink = {.name = "s", .kind = "slack", .buttons = true};
    struct json *thread = notice_slack_thread(d, &sink, arena);
    check_body(notice_slack_card(d, &sink, arena), BODY_MAX);
    check_body(notice_slack_single(d, &sink, arena), BODY_MAX);
    if (thread != NULL) {
        check_body(thread, BODY_MAX);
    }
    struct json *change = notice_pagerduty_change(d, arena);
    struct json *alert = notice_pagerduty_trigger(d, arena);
    check_at_most(change, "payload.summary", PAGERDUTY_SUMMARY_MAX);
    check_at_most(alert, "payload.summary", PAGERDUTY_SUMMARY_MAX);
    check_at_most(alert, "dedup_key", PAGERDUTY_DEDUP_MAX);
    check_body(change, PAGERDUTY_EVENT_MAX);
    check_body(alert, PAGERDUTY_EVENT_MAX);
    check_body(notice_webhook_event(d, arena), BODY_MAX);
    struct json *deployment = notice_github_deployment(d, arena);
    struct json *check = notice_github_check(d, arena);
    struct json *comment = notice_github_comment(d, arena);
    check_at_most(deployment, "description", GITHUB_STATUS_TEXT_MAX);
    check_at_most(deployment, "state.description", GITHUB_STATUS_TEXT_MAX);
    check_at_most(check, "output.text", GITHUB_OUTPUT_MAX);
    check_at_most(check, "output.summary", GITHUB_OUTPUT_MAX);
    check_at_most(comment, "body", GITHUB_COMMENT_MAX);
    check_markdown(json_str(json_path(comment, "body")));
    FUZZ_CHECK(json_count(json_path(check, "output.annotations")) <= GITHUB_ANNOTATIONS_MAX);
    check_body(deployment, BODY_MAX);
    check_body(check, BODY_MAX);
    check_body(comment, BODY_MAX);
    check_body(notice_github_status(d, arena), BODY_MAX);
}

// How it stands; what the outcome goes by.
static void
set_outcome(struct deployment *d, uint8_t choice)
{
    static const struct {
        const char *result, *unfinished, *status;
        int64_t exit_code;
    } ways[] = {{NULL, NULL, NULL, 0}, {NULL, NULL, "waiting", 0}, {"deployed", NULL, NULL, 0},
        {"failed", NULL, NULL, 12}, {"failed", NULL, NULL, 7}, {"failed", NULL, NULL, 8},
        {"unknown", NULL, NULL, 9}, {NULL, "timeout", NULL, 10}, {NULL, "interrupted", NULL, 143},
        {"cancelled", NULL, NULL, 130}};
    const size_t way = choice % ARRAY_LENGTH(ways);
    d->result = ways[way].result;
    d->unfinished = ways[way].unfinished;
    d->run_status = ways[way].status;
    d->exit_code = ways[way].exit_code;
    d->finished_ms = d->result != NULL ? 2000 : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *text = arena_str(arena, (struct str){(const char *)data + 1, size - 1});
    const char *messages[MESSAGES];
    struct deployment_commit commits[COMMITS];
    for (size_t i = 0; i < COMMITS; i++) {
        const char *author = arena_printf(arena, "%zu%s", i, text);
        commits[i] = (struct deployment_commit){
            .sha = COMMIT, .author = author, .email = text, .subject = text, .pull = (int64_t)i};
        messages[i % MESSAGES] = text;
    }
    struct pair member = {text, "U0ANN0001"};
    struct deployment_service service = {.name = "web",
        .parameter = "/p",
        .previous = text,
        .digest = text,
        .restore = "failed",
        .restore_note = text};
    struct deployment_target target = {.name = "web",
        .want = {.kind = "ecs", .service = text, .cluster = text},
        .forward = {.state = "sent", .status = text, .progress = text},
        .evidence = {messages, MESSAGES},
        .proof = text,
        .restore = "failed",
        .restore_note = text};
    struct deployment_step step = {
        .name = "rollout", .kind = "rollout", .state = "waiting", .note = text};
    struct deployment d = {.id = "d-0123456789abcdef",
        .verb = "deploy",
        .via = "direct",
        .app = "shop",
        .title = text,
        .env = "staging",
        .version = COMMIT,
        .sha = COMMIT,
        .repository = "octo/shop",
        .github_web = "https://github.com",
        .because = text,
        .actor = text,
        .caller_url = text,
        .run_url = text,
        .run_id = 1,
        .environment_url = text,
        .created_ms = 1000,
        .message = text,
        .hint = text,
        .ending_text = text,
        .proof = text,
        .branch = text,
        .tag = text,
        .services = {&service, 1},
        .targets = {&target, 1},
        .steps = {&step, 1},
        .commits = {commits, COMMITS},
        .members = {&member, 1},
        .notes = {messages, MESSAGES},
        .failure = {.job = text,
            .job_url = text,
            .step = text,
            .log_tail = text,
            .annotations = {messages, MESSAGES}}};
    set_outcome(&d, data[0]);
    check_all(&d, arena);
    return 0;
}
