// A deployment as PagerDuty's events: a change event when it is over, an alert when it failed where
// that opens an incident, and the alert's end at the next good one
// (facts/github-notify-credentials.md §7). The routing key is added by pagerduty_send.
#include "dispatcher/pagerduty.h"
#include "notice_internal.h"
#include "report_internal.h"

enum {
    WORD_MAX = 255,
    TEXT_MAX = 2000,
    TAIL_MAX = 4000,
    COMMITS_MAX = 20,
    SUBJECT_MAX = 100,
    EVIDENCE_MAX = 10,
};

static const char *
dedup_key(const struct deployment *d, struct arena *arena)
{
    const char *key = arena_printf(arena, "dispatcher/%s/%s", d->app, d->env);
    return notice_cut(arena, key, PAGERDUTY_DEDUP_MAX);
}

static void
set_word(struct json *object, const char *key, struct arena *arena, const char *text)
{
    json_set_str(object, key, notice_cut(arena, text, WORD_MAX));
}

static void
add_link(struct json *links, const char *url, const char *text)
{
    if (notice_url(url) != NULL) {
        struct json *link = json_make_object();
        json_set_str(link, "href", url);
        json_set_str(link, "text", text);
        json_append(links, link);
    }
}

static struct json *
make_links(const struct deployment *d, struct arena *arena)
{
    struct json *links = json_make_array();
    const char *compare = release_compare_url(d, arena);
    add_link(links, d->run_url, "Infra run");
    add_link(links, d->failure.job_url, "Failed job");
    add_link(links, d->caller_url, "CI job");
    if (compare != NULL) {
        add_link(links, compare, "What is new");
    } else {
        add_link(links, release_commit_url(d, d->sha, arena), "Commit");
    }
    add_link(links, d->environment_url, "Environment");
    return links;
}

static struct json *
make_commits(const struct deployment *d, struct arena *arena)
{
    struct json *list = json_make_array();
    for (size_t i = 0; i < d->commits.count && i < COMMITS_MAX; i++) {
        const struct deployment_commit *commit =
            (const struct deployment_commit *)d->commits.items + i;
        const char *subject = notice_cut(arena, commit->subject, SUBJECT_MAX);
        const char *author = notice_cut(arena, commit->author, SUBJECT_MAX);
        json_append(list, json_make_string(arena_printf(arena, "%.7s %s (%s)", commit->sha,
                              subject != NULL ? subject : "", author != NULL ? author : "?")));
    }
    if (d->commits.count > COMMITS_MAX || !d->commits_complete) {
        json_append(list,
            json_make_string(d->commits.count > COMMITS_MAX ? arena_printf(arena, "and %zu more",
                                                                  d->commits.count - COMMITS_MAX)
                                                            : "and more"));
    }
    return list;
}

static struct json *
make_details(const struct deployment *d, struct arena *arena)
{
    char took[32];
    struct json *details = json_make_object();
    set_word(details, "app", arena, d->app);
    set_word(details, "environment", arena, d->env);
    set_word(details, "outcome", arena, report_outcome_word(report_outcome_of(d)));
    set_word(details, "version", arena, d->version);
    set_word(details, "previous_version", arena,
        d->services.count > 0 ? deployment_service_at(d, 0)->previous : NULL);
    set_word(details, "digest", arena, notice_digest(d));
    json_set_bool(details, "proven", d->proven);
    json_set_int(details, "exit_code", d->exit_code);
    json_set_str(details, "message", notice_sentence(d, arena, TEXT_MAX));
    set_word(details, "actor", arena, d->actor);
    json_set_str(details, "reason", notice_cut(arena, d->because, TEXT_MAX));
    json_set_str(details, "deployment", d->id);
    if (d->finished_ms > 0) {
        clock_format_duration(d->finished_ms - d->created_ms, took);
        json_set_str(details, "took", took);
    }
    if (d->commits.count > 0) {
        json_set(details, "commits", make_commits(d, arena));
    }
    return details;
}

// "Shop → production: failed, previous version restored: run 12 ended as 'failure'".
static const char *
summary(const struct deployment *d, struct arena *arena)
{
    const char *reason = notice_reason(d, arena, TEXT_MAX);
    bool good = report_outcome_is_good(report_outcome_of(d));
    const char *text =
        good ? reason : arena_printf(arena, "%s: %s", notice_headline(d, arena), reason);
    return notice_cut(arena, text, PAGERDUTY_SUMMARY_MAX);
}

static struct json *
make_payload(const struct deployment *d, struct arena *arena)
{
    char stamp[21];
    struct json *payload = json_make_object();
    clock_format_rfc3339(notice_time(d), stamp);
    json_set_str(payload, "summary", summary(d, arena));
    set_word(payload, "source", arena, arena_printf(arena, "%s/%s", d->app, d->env));
    json_set_str(payload, "timestamp", stamp);
    return payload;
}

struct json *
notice_pagerduty_change(const struct deployment *d, struct arena *arena)
{
    struct json *event = json_make_object(), *payload = make_payload(d, arena);
    json_set(payload, "custom_details", make_details(d, arena));
    json_set(event, "payload", payload);
    json_set(event, "links", make_links(d, arena));
    return event;
}

// --- alerts ------------------------------------------------------------------------------------

static const char *
severity(enum report_outcome outcome)
{
    switch (outcome) {
    case REPORT_NOT_RESTORED: // nobody knows that what runs is good
    case REPORT_UNKNOWN:
        return "critical";
    case REPORT_FAILED:
    case REPORT_TIMED_OUT:
    case REPORT_INTERRUPTED:
        return "error";
    case REPORT_RESTORED: // what ran before runs
    case REPORT_CANCELLED:
    case REPORT_SUPERSEDED:
        return "warning";
    case REPORT_STARTED:
    case REPORT_WAITING:
    case REPORT_DEPLOYED:
    case REPORT_ROLLED_BACK:
        break;
    }
    return "info";
}

static void
append_all(struct json *array, const struct str_list *list, struct arena *arena)
{
    for (size_t i = 0; i < list->count && json_count(array) < EVIDENCE_MAX; i++) {
        json_append(array, json_make_string(notice_cut(arena, list->items[i], TEXT_MAX)));
    }
}

static void
set_list(struct json *object, const char *key, struct json *list)
{
    if (json_count(list) > 0) {
        json_set(object, key, list);
    } else {
        json_free(list);
    }
}

// What whoever is woken needs before the first click.
static void
set_failure(struct json *details, const struct deployment *d, struct arena *arena)
{
    struct str_list standing = {0};
    struct json *seen = json_make_array(), *stands = json_make_array();
    set_word(details, "failed_job", arena, d->failure.job);
    set_word(details, "failed_step", arena, d->failure.step);
    append_all(seen, &d->failure.annotations, arena);
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (!target->proven) {
            append_all(seen, &target->evidence, arena);
        }
    }
    notice_standing(d, arena, &standing);
    append_all(stands, &standing, arena);
    set_list(details, "evidence", seen);
    set_list(details, "standing", stands);
    json_set_str(details, "hint", notice_cut(arena, d->hint, TEXT_MAX));
    json_set_str(details, "log_tail", notice_tail(arena, d->failure.log_tail, TAIL_MAX));
}

struct json *
notice_pagerduty_trigger(const struct deployment *d, struct arena *arena)
{
    struct json *event = json_make_object(), *payload = make_payload(d, arena);
    struct json *details = make_details(d, arena);
    set_failure(details, d, arena);
    json_set_str(payload, "severity", severity(report_outcome_of(d)));
    set_word(payload, "component", arena, d->app);
    set_word(payload, "group", arena, d->env);
    json_set_str(payload, "class", "deployment");
    json_set(payload, "custom_details", details);
    json_set_str(event, "event_action", "trigger");
    json_set_str(event, "dedup_key", dedup_key(d, arena));
    json_set(event, "payload", payload);
    json_set(event, "links", make_links(d, arena));
    json_set_str(event, "client", "dispatcher");
    json_set_str(event, "client_url", notice_url(report_link(d)));
    return event;
}

struct json *
notice_pagerduty_resolve(const struct deployment *d, struct arena *arena)
{
    struct json *event = json_make_object();
    json_set_str(event, "event_action", "resolve");
    json_set_str(event, "dedup_key", dedup_key(d, arena));
    return event;
}
