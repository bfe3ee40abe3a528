// Why an operation of App Runner failed: its summary has no reason, only the service's own log
// group has one (aws-rollout.md §2 row 12). And what a proven release leaves on the service. Both
// are best effort.
#include <string.h>

#include "dispatcher/logs.h"
#include "dispatcher/memory.h"
#include "target_apprunner_internal.h"

enum {
    LINES_READ = 400,
    LINES_SHOWN = 4,
    LINE_MAX_BYTES = 300,
    BEFORE_MS = 60 * 1000, // clocks differ, and an intent is older than what it caused
};

// arn:…:service/NAME/ID
static bool
split_arn(const char *arn, struct arena *arena, const char **name, const char **id)
{
    const char *head = strstr(arn, ":service/");
    struct str first = {0}, second = {0}, rest = {0};
    if (head == NULL || !str_cut(str_of(head + strlen(":service/")), '/', &first, &rest) ||
        !str_cut(rest, '/', &second, &rest)) {
        return false;
    }
    *name = arena_str(arena, first);
    *id = arena_str(arena, second);
    return true;
}

static struct error *
read_log(const struct step_run *run, const struct target_move *at, bool of_program,
    struct arena *arena, struct logs_page *out)
{
    struct aws_session *aws = NULL;
    const char *name = NULL, *id = NULL;
    if (at->target->arn == NULL || !split_arn(at->target->arn, arena, &name, &id)) {
        return NULL;
    }
    const struct logs_query query = {
        .group = apprunner_log_group(name, id, of_program, arena),
        .start_ms = at->move->asked_ms > BEFORE_MS ? at->move->asked_ms - BEFORE_MS : 0,
        .max_events = LINES_READ,
        .newest = true,
    };
    TRY(provider_aws(run->context, run->deployment, &aws));
    return logs_filter(aws, &query, arena, out);
}

static bool
tells_of_failure(const char *message)
{
    static const char *const words[] = {"fail", "error", "unable", "could not", "cannot", "invalid",
        "denied", "timed out", "timeout", "exited", "unhealthy", "not found", "panic", "fatal",
        "exception", "refused", "missing"};
    char lower[1024] = {0};
    for (size_t i = 0; i + 1 < sizeof(lower) && message[i] != '\0'; i++) {
        bool upper = message[i] >= 'A' && message[i] <= 'Z';
        lower[i] = (char)(upper ? message[i] + ('a' - 'A') : message[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (strstr(lower, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

// "09-21-2026 10:14:03 AM [AppRunner] Health check failed …": the time is the report's business.
static const char *
without_prefix(const char *message)
{
    static const char who[] = "[AppRunner] ";
    const char *tag = strstr(message, who);
    return tag != NULL && tag - message < 40 ? tag + strlen(who) : message;
}

// "Deployment with ID : … failed. Failure reason : …": what it says after all, or NULL.
static const char *
stated_reason(const char *message)
{
    static const char words[] = "Failure reason : ";
    const char *at = strstr(message, words);
    return at != NULL && at[strlen(words)] != '\0' ? at + strlen(words) : NULL;
}

// These say that it failed, or what came of it; why stands before them.
static bool
is_summary(const char *message)
{
    static const char *const words[] = {"with ID", "roll back", "rolled back", "rolling back",
        "Roll back", "Rolling back", "ollback"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (strstr(message, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

// What App Runner states; else the last line that tells of a failure and is no summary of it.
static const char *
pick_reason(const struct logs_page *page)
{
    const char *reason = NULL, *summary = NULL;
    for (size_t i = page->count; i > 0; i--) {
        const char *line = without_prefix(page->events[i - 1].message);
        if (stated_reason(line) != NULL) {
            return stated_reason(line);
        }
        if (tells_of_failure(line) && is_summary(line)) {
            summary = summary != NULL ? summary : line;
        } else if (tells_of_failure(line)) {
            reason = reason != NULL ? reason : line;
        }
    }
    return reason != NULL ? reason : summary;
}

// A reason is the middle of a sentence of ours.
static const char *
without_stop(const char *line, struct arena *arena)
{
    struct str text = str_trim(str_of(line));
    if (str_ends(text, STR("."))) {
        text.len--;
    }
    return arena_str(arena, text);
}

static void
cannot_read(const struct step_run *run, const struct target_move *at, struct error *err)
{
    char *text CLEANUP(xfreep) = error_text(err);
    const char *hint = error_hint_of(err);
    target_add_evidence(run, at->target,
        arena_printf(run->arena, "its log could not be read: %s%s%s", text,
            hint != NULL ? ". " : "", hint != NULL ? hint : ""));
    error_free(err);
}

void
apprunner_read_reason(const struct step_run *run, const struct target_move *at)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct logs_page page = {0};
    struct error *err = read_log(run, at, false, scratch, &page);
    if (err != NULL) {
        cannot_read(run, at, err);
        return;
    }
    const char *reason = pick_reason(&page);
    if (reason != NULL) {
        (void)target_set_text(run->arena, &at->move->reason, without_stop(reason, scratch));
    }
}

static void
add_line(
    const struct step_run *run, const struct target_move *at, const char *who, const char *line)
{
    target_add_evidence(run, at->target,
        arena_printf(run->arena, "%s: %s", who, context_clean(run->arena, line, LINE_MAX_BYTES)));
}

// The newest lines first, since the end of a log is where it went wrong.
static void
add_failures(const struct step_run *run, const struct target_move *at, const struct logs_page *page,
    const char *who)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    size_t shown = 0;
    for (size_t i = page->count; i > 0 && shown < LINES_SHOWN; i--) {
        const char *line = without_stop(without_prefix(page->events[i - 1].message), scratch);
        bool told =
            is_summary(line) || cstr_equal(line, at->move->reason) ||
            (stated_reason(line) != NULL && cstr_equal(stated_reason(line), at->move->reason));
        if (!told && tells_of_failure(line)) {
            add_line(run, at, who, line);
            shown++;
        }
    }
}

void
apprunner_explain(const struct step_run *run, const struct target_move *at)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct logs_page service = {0}, program = {0};
    // Where one cannot be read the reason is missing as well, and that was said.
    error_free(read_log(run, at, true, scratch, &program));
    error_free(read_log(run, at, false, scratch, &service));
    add_failures(run, at, &program, "the program");
    add_failures(run, at, &service, "App Runner");
    if (program.count > 0) {
        add_line(run, at, "the program's last words", program.events[program.count - 1].message);
    }
}

// The image is pinned to a digest: people read the version from a tag.
void
apprunner_record(const struct step_run *run, struct deployment_target *target)
{
    const struct deployment *d = run->deployment;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct pair_list tags = {0};
    apprunner_tags_make(run, target, scratch, &tags);
    struct error *err = apprunner_turn(run, &aws);
    if (err == NULL) {
        err = apprunner_tag(aws, target->arn, &tags);
    }
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        context_emit_text(run->context, d, DEPLOY_EVENT_WARNING,
            context_clean(run->arena,
                arena_printf(
                    run->arena, "'%s' does not carry its version as a tag: %s", target->name, text),
                LINE_MAX_BYTES));
        error_free(err);
    }
}
