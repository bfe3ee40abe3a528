// What holds for an app in an environment, in plain words, each with the line that says so. Made
// from the effective settings, so what the organisation's file adds is there, too.
#include <string.h>

#include "dispatcher/memory.h"
#include "page_internal.h"

enum { RULES_MAX = 40, TEXT_MAX = 2000, LISTED_MAX = 12 };

struct rules {
    const struct page *page;
    const struct settings *settings;
    struct web_rule *items;
    size_t count;
};

static void
add_words(struct buf *out, const struct str_list *list, const char *last)
{
    for (size_t i = 0; i < list->count && i < LISTED_MAX; i++) {
        buf_printf(out, "%s%s", i == 0 ? "" : i + 1 < list->count ? ", " : last, list->items[i]);
    }
    if (list->count > LISTED_MAX) {
        buf_puts(out, " and more");
    }
}

// The first line that says something of `key`.
static const struct setting_origin *
origin_of(const struct settings *settings, const char *key)
{
    struct str wanted = str_of(key);
    for (size_t i = 0; i < settings->origin_count; i++) {
        struct str name = str_of(settings->origins[i].key);
        bool fits = str_starts(name, wanted) &&
                    (name.len == wanted.len || strchr(".[", name.ptr[wanted.len]) != NULL);
        if (fits && settings->origins[i].file != NULL && settings->origins[i].line > 0) {
            return &settings->origins[i];
        }
    }
    return NULL;
}

static void
add(struct rules *rules, const char *key, const struct buf *text)
{
    struct arena *arena = rules->page->request->arena;
    if (rules->count == RULES_MAX || text->len == 0) {
        return;
    }
    struct web_rule *rule = &rules->items[rules->count++];
    const struct setting_origin *origin = origin_of(rules->settings, key);
    rule->text = arena_dup(arena, buf_cstr(text));
    if (origin != NULL) {
        const char *slash = strrchr(origin->file, '/');
        rule->place =
            arena_printf(arena, "%s:%u", slash != NULL ? slash + 1 : origin->file, origin->line);
        rule->url = page_spec_url(rules->page, origin->file, (int)origin->line);
    }
}

static void
put_ref(struct buf *out, const char *ref)
{
    struct str text = str_of(ref), branch = STR("refs/heads/"), tag = STR("refs/tags/");
    if (str_starts(text, branch)) {
        buf_printf(out, "branch %s", ref + branch.len);
    } else if (str_starts(text, tag)) {
        buf_printf(out, "tag %s", ref + tag.len);
    } else {
        buf_puts(out, ref);
    }
}

static void
add_allow(struct rules *rules, size_t index)
{
    const struct setting_allow *allow = &rules->settings->allow[index];
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    char *key CLEANUP(xfreep) = xasprintf("allow[%zu]", index);
    for (size_t i = 0; i < allow->refs.count && i < LISTED_MAX; i++) {
        buf_puts(&text, i == 0 ? "" : i + 1 < allow->refs.count ? ", " : " or ");
        put_ref(&text, allow->refs.items[i]);
    }
    buf_puts(&text, allow->refs.count > 0 ? " may be deployed" : "Nothing may be deployed");
    if (allow->events.count > 0) {
        buf_puts(&text, " on ");
        add_words(&text, &allow->events, " or ");
    }
    if (allow->teams.count > 0) {
        buf_puts(&text, " by members of ");
        add_words(&text, &allow->teams, " or ");
    }
    if (cstr_equal(allow->runner, "github-hosted") || cstr_equal(allow->runner, "self-hosted")) {
        buf_printf(&text, ", on %s runners", allow->runner);
    }
    if (allow->deny_bots) {
        buf_puts(&text, ", not by bots");
    }
    if (allow->id != NULL) {
        buf_printf(&text, " (rule %s)", allow->id);
    }
    buf_putc(&text, '.');
    if (text.ptr != NULL && text.ptr[0] >= 'a' && text.ptr[0] <= 'z') {
        text.ptr[0] = (char)(text.ptr[0] - 'a' + 'A');
    }
    add(rules, key, &text);
}

static void
add_allows(struct rules *rules)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    for (size_t i = 0; i < rules->settings->allow_count; i++) {
        add_allow(rules, i);
    }
    if (rules->settings->allow_count == 0) {
        buf_puts(&text, "No job may deploy here through this service: the spec has no rule that "
                        "allows it.");
        add(rules, "allow", &text);
    }
}

static void
add_approvals(struct rules *rules)
{
    const struct setting_approvals *approvals = &rules->settings->approvals;
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    char valid[32];
    if (approvals->count <= 0) {
        return;
    }
    buf_printf(
        &text, "%lld %s", (long long)approvals->count, approvals->count == 1 ? "person" : "people");
    if (approvals->teams.count > 0) {
        buf_puts(&text, " of ");
        add_words(&text, &approvals->teams, " or ");
    }
    buf_puts(&text, approvals->count == 1 ? " approves" : " approve");
    buf_puts(&text, approvals->self ? "" : ", not whoever asks");
    if (approvals->valid_for_ms > 0) {
        clock_format_duration(approvals->valid_for_ms, valid);
        buf_printf(&text, "; it counts for %s", valid);
    }
    buf_puts(&text, approvals->rollback_exempt ? ". Rollbacks need none." : ".");
    add(rules, "approvals", &text);
}

static void
add_windows(struct rules *rules)
{
    for (size_t i = 0; i < rules->settings->window_count; i++) {
        const struct setting_window *window = &rules->settings->windows[i];
        struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        char *key CLEANUP(xfreep) = xasprintf("windows[%zu]", i);
        buf_printf(
            &text, "Nothing begins %s (%s)", window->deny, window->tz != NULL ? window->tz : "UTC");
        if (window->reason != NULL) {
            buf_printf(&text, ": %s", window->reason);
        }
        buf_putc(&text, '.');
        add(rules, key, &text);
    }
}

static void
add_promotion(struct rules *rules)
{
    const struct setting_promote *promote = &rules->settings->promote_from;
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    char soak[32];
    if (promote->environment == NULL) {
        return;
    }
    buf_printf(&text, "Only what is in %s", promote->environment);
    if (promote->soak_ms > 0) {
        clock_format_duration(promote->soak_ms, soak);
        buf_printf(&text, " for %s", soak);
    }
    buf_puts(&text, promote->same_digest ? ", the same image." : ".");
    add(rules, "promote_from", &text);
}

static void
add_order(struct rules *rules)
{
    const struct settings *settings = rules->settings;
    struct buf stale CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf latest CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf emergency CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    if (cstr_equal(settings->stale, "reject")) {
        buf_puts(&stale, "A commit that is older than what runs, or beside it, is refused.");
    } else if (cstr_equal(settings->stale, "warn")) {
        buf_puts(&stale, "A commit that is older than what runs is deployed with a warning.");
    }
    add(rules, "stale", &stale);
    if (settings->queue_latest) {
        buf_puts(&latest, "A newer request takes the place of those that still wait.");
    }
    add(rules, "queue", &latest);
    struct buf locks CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    if (settings->rollback_lock) {
        buf_puts(&locks, "A rollback locks the environment.");
    }
    add(rules, "rollback", &locks);
    if (settings->emergency_teams.count > 0) {
        buf_puts(&emergency, "In an emergency, members of ");
        add_words(&emergency, &settings->emergency_teams, " or ");
        buf_puts(&emergency, " may pass windows, freezes and approvals, with a reason.");
    }
    add(rules, "emergency", &emergency);
}

void
page_rules(const struct page *page, const struct settings *settings, const struct web_rule **out,
    size_t *count)
{
    struct rules rules = {.page = page,
        .settings = settings,
        .items = arena_array(page->request->arena, RULES_MAX, sizeof(*rules.items))};
    add_allows(&rules);
    add_promotion(&rules);
    add_approvals(&rules);
    add_windows(&rules);
    add_order(&rules);
    *out = rules.items;
    *count = rules.count;
}
