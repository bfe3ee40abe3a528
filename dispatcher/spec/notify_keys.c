// What each key of a sink is for: which kinds take it, and where it goes in setting_sink. One line
// a key; merging and linting both read it. Also the words of outcomes as bits.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

enum {
    GITHUB = NOTIFY_BY_GITHUB,
    SLACK = NOTIFY_BY_SLACK,
    PAGERDUTY = NOTIFY_BY_PAGERDUTY,
    WEBHOOK = NOTIFY_BY_WEBHOOK,
};

#define KEY(path, form, member, kinds, ...)                                                        \
    {                                                                                              \
        path, form, offsetof(struct setting_sink, member), kinds, __VA_ARGS__                      \
    }
static const struct notify_key keys[] = {
    KEY("token", NOTIFY_TEXT, token, GITHUB | SLACK, EXPAND_NOT),
    KEY("channel", NOTIFY_TEXT, channel, SLACK, EXPAND_EARLY),
    KEY("webhook", NOTIFY_TEXT, webhook, SLACK, EXPAND_NOT),
    KEY("url", NOTIFY_TEXT, url, WEBHOOK, EXPAND_DEPLOYMENT),
    KEY("secret", NOTIFY_TEXT, secret, WEBHOOK, EXPAND_NOT),
    KEY("routing_key", NOTIFY_TEXT, routing_key, PAGERDUTY, EXPAND_NOT),
    KEY("region", NOTIFY_TEXT, region, PAGERDUTY, EXPAND_NOT),
    KEY("incidents.environments", NOTIFY_LIST, incident_environments, PAGERDUTY, EXPAND_NOT),
    KEY("incidents.outcomes", NOTIFY_OUTCOMES, incident_outcomes, PAGERDUTY, EXPAND_NOT),
    KEY("deployment", NOTIFY_TRUTH, deployment, GITHUB, EXPAND_NOT),
    KEY("status", NOTIFY_TRUTH, status, GITHUB, EXPAND_NOT),
    KEY("comment", NOTIFY_TRUTH, comment, GITHUB, EXPAND_NOT),
    KEY("check", NOTIFY_TEXT, check, GITHUB, EXPAND_NOT),
};
#undef KEY

static const struct {
    const char *word;
    unsigned bit;
} kind_bits[] = {
    {"github", GITHUB},
    {"slack", SLACK},
    {"pagerduty", PAGERDUTY},
    {"webhook", WEBHOOK},
};

const struct notify_key *
notify_key_at(size_t index)
{
    return index < ARRAY_LENGTH(keys) ? &keys[index] : NULL;
}

unsigned
notify_kind_bit(const char *kind)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kind_bits); i++) {
        if (cstr_equal(kind, kind_bits[i].word)) {
            return kind_bits[i].bit;
        }
    }
    return 0;
}

const struct yaml_node *
notify_key_node(const struct yaml_node *sink, const struct notify_key *key)
{
    const char *dot = strchr(key->path, '.');
    return dot == NULL ? spec_key_node(sink, key->path)
                       : spec_key_node(yaml_get(sink, "incidents"), dot + 1);
}

// "'channel' has no meaning for a sink of kind 'webhook'", and who takes it.
void
notify_complain_unused(const struct spec_source *source, const struct notify_key *key,
    const struct yaml_node *at, const char *kind)
{
    struct buf takers CLEANUP(buf_done) = BUF_INIT(256);
    for (size_t i = 0; i < ARRAY_LENGTH(kind_bits); i++) {
        if ((key->kinds & kind_bits[i].bit) != 0) {
            buf_printf(
                &takers, "%s'%s'", takers.len > 0 ? " and " : "only for ", kind_bits[i].word);
        }
    }
    spec_complain(source, DIAGNOSTIC_WARNING, "sink-key-unused", at,
        arena_dup(source->arena, buf_cstr(&takers)),
        "'%s' has no meaning for a sink of kind '%.20s'", key->path, kind);
}

static bool
is_failure(const char *outcome)
{
    static const char *const failures[] = {
        "failed", "restored", "not-restored", "unknown", "timed-out"};
    for (size_t i = 0; i < ARRAY_LENGTH(failures); i++) {
        if (strcmp(outcome, failures[i]) == 0) {
            return true;
        }
    }
    return false;
}

unsigned
notify_outcomes_of(const struct yaml_node *list)
{
    unsigned bits = 0;
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next) {
        bool all_bad = strcmp(item->text, SPEC_FAILURES) == 0;
        for (unsigned i = 0; spec_outcomes[i] != NULL; i++) {
            bool meant = strcmp(item->text, spec_outcomes[i]) == 0 ||
                         (all_bad && is_failure(spec_outcomes[i]));
            bits |= meant ? 1U << i : 0;
        }
    }
    return bits;
}

struct str_list
notify_outcome_words(unsigned bits, struct arena *arena)
{
    size_t room = 0;
    while (spec_outcomes[room] != NULL) {
        room++;
    }
    struct str_list out = {arena_array(arena, room, sizeof(*out.items)), 0};
    for (unsigned i = 0; i < room; i++) {
        if ((bits & 1U << i) != 0) {
            out.items[out.count++] = spec_outcomes[i];
        }
    }
    return out;
}
