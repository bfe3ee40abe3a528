// Whom to tell: the sinks that routes lead to, merged by name and key by key for the kind that
// comes out, the members and the rest of `notify`. Who hears what is notify_routes.c's.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

// One sink while it is merged.
struct merge {
    struct resolve *resolve;
    const struct notify_places *places;
    const char *name;
    struct setting_sink *out;
};

static void
note_origin(struct merge *merge, const char *path, const char *value,
    const struct spec_source *source, const struct yaml_node *at)
{
    const char *key = arena_printf(merge->resolve->arena, "notify.sinks.%s.%s", merge->name, path);
    resolve_origin(merge->resolve, key, value, source, at);
}

static const char *
joined(struct arena *arena, const struct str_list *list)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < list->count; i++) {
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", list->items[i]);
    }
    return list->count > 0 ? arena_dup(arena, buf_cstr(&text)) : "[]";
}

// The strongest place that says the key; NOTIFY_PLACES when none does.
static size_t
place_of(const struct merge *merge, const char *path)
{
    size_t place = 0;
    while (place < NOTIFY_PLACES &&
           spec_node_at(notify_sink_at(merge->places, place, merge->name), path) == NULL) {
        place++;
    }
    return place;
}

static const struct yaml_node *
node_of(const struct merge *merge, const char *path, const struct spec_source **source)
{
    size_t place = place_of(merge, path);
    if (place == NOTIFY_PLACES) {
        *source = &merge->resolve->documents->config_source;
        return NULL;
    }
    *source = merge->places->sources[place];
    return spec_node_at(notify_sink_at(merge->places, place, merge->name), path);
}

// The sink's key at the strongest place that writes it.
static const struct yaml_node *
sink_key(const struct merge *merge, const struct spec_source **source)
{
    const struct yaml_node *key = NULL;
    for (size_t i = 0; key == NULL && i < NOTIFY_PLACES; i++) {
        key = spec_key_node(yaml_get(merge->places->blocks[i], "sinks"), merge->name);
        *source = merge->places->sources[i];
    }
    return key;
}

static void
lacks(const struct merge *merge, const char *help, const char *message)
{
    const struct spec_source *source = NULL;
    const struct yaml_node *at = sink_key(merge, &source);
    spec_complain(
        source, DIAGNOSTIC_ERROR, "missing-key", at, help, "sink '%.80s' %s", merge->name, message);
}

static const char *
any_text(const void *ctx, struct str word)
{
    (void)ctx;
    (void)word;
    return "x";
}

// An address as it may come to look, for the checks of its form.
static const char *
sample_of(struct arena *arena, const char *text)
{
    const char *sample = placeholder_expand(text, arena, any_text, NULL);
    return sample != NULL ? sample : "";
}

// Where it leads must be known before anything else is: the organisation says which hosts may be
// private. What a deployment puts into the path cannot change that.
static void
check_address(struct merge *merge, const struct spec_source *source, const struct yaml_node *at)
{
    const char *text = merge->out->url;
    const char *host = strstr(text, "://");
    struct str authority = {host, host != NULL ? 3 + strcspn(host + 3, "/?#") : 0};
    if (str_contains(authority, STR("{"))) {
        spec_complain(source, DIAGNOSTIC_ERROR, "late-placeholder", at, NULL,
            "the host of 'url' is not known before the deployment: '%.80s'", text);
        return;
    }
    const char *sample = sample_of(merge->resolve->arena, text);
    const struct str_list *hosts = &merge->resolve->documents->config.notify.private_hosts;
    merge->out->to_private = spec_host_is_listed(hosts, sample);
    const char *problem = spec_hook_problem(sample, merge->out->to_private);
    if (problem != NULL) {
        bool mendable = check_hook_url(sample) == NULL && !merge->out->to_private;
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-value", at,
            mendable ? "the organisation may list its host in 'private_hosts'" : NULL,
            "bad 'url' '%.80s': %s", text, problem);
    }
}

static void
check_channel_of(
    const struct merge *merge, const struct spec_source *source, const struct yaml_node *at)
{
    const char *text = merge->out->channel;
    const char *problem = text_has_placeholder(text) ? NULL : check_channel(text);
    if (problem != NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-value", at, NULL, "bad 'channel' '%.80s': %s",
            text, problem);
    }
}

static struct str_list
texts_of(struct arena *arena, const struct yaml_node *list)
{
    struct str_list out = {arena_array(arena, list->count, sizeof(*out.items)), 0};
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next) {
        out.items[out.count++] = item->text;
    }
    return out;
}

static void
merge_list(struct merge *merge, const struct notify_key *key, const struct spec_source *source,
    const struct yaml_node *node)
{
    struct arena *arena = merge->resolve->arena;
    struct str_list list = key->form == NOTIFY_OUTCOMES
                               ? notify_outcome_words(notify_outcomes_of(node), arena)
                               : texts_of(arena, node);
    memcpy((char *)merge->out + key->offset, &list, sizeof(list));
    note_origin(merge, key->path, joined(arena, &list), source, node);
}

// Decoding has checked the form.
static void
merge_value(struct merge *merge, const struct notify_key *key)
{
    const struct spec_source *source = NULL;
    const struct yaml_node *node = node_of(merge, key->path, &source);
    char *slot = (char *)merge->out + key->offset;
    if (node == NULL) {
        return;
    }
    if (key->form == NOTIFY_LIST || key->form == NOTIFY_OUTCOMES) {
        merge_list(merge, key, source, node);
        return;
    }
    if (key->form == NOTIFY_TRUTH) {
        bool truth = strcmp(node->text, "true") == 0;
        memcpy(slot, &truth, sizeof(truth));
        note_origin(merge, key->path, node->text, source, node);
        return;
    }
    const char *text = resolve_expand(merge->resolve, key->mode, node->text, NULL, source, node);
    memcpy(slot, &text, sizeof(text));
    note_origin(merge, key->path, text, source, node);
    if (strcmp(key->path, "url") == 0) {
        check_address(merge, source, node);
    } else if (strcmp(key->path, "channel") == 0) {
        check_channel_of(merge, source, node);
    }
}

// A key that the kind does not take is worth a word where lint has not said so: in blocks that
// leave the kind to others.
static void
leave_out(struct merge *merge, const struct notify_key *key)
{
    for (size_t i = 0; i < NOTIFY_PLACES; i++) {
        const struct yaml_node *block = notify_sink_at(merge->places, i, merge->name);
        const struct yaml_node *at = notify_key_node(block, key);
        if (at != NULL && !spec_node_is_empty(at->value) && spec_node_at(block, "kind") == NULL) {
            notify_complain_unused(merge->places->sources[i], key, at, merge->out->kind);
        }
    }
}

// Channel and token, or an incoming webhook: what the stronger place writes. One place that writes
// both is lint's.
static bool
is_beaten(const struct merge *merge, const struct notify_key *key)
{
    size_t webhook = place_of(merge, "webhook");
    size_t channel = place_of(merge, "channel"), token = place_of(merge, "token");
    size_t direct = channel < token ? channel : token;
    bool slack = notify_kind_bit(merge->out->kind) == NOTIFY_BY_SLACK;
    bool of_webhook = strcmp(key->path, "webhook") == 0;
    bool of_direct = strcmp(key->path, "channel") == 0 || strcmp(key->path, "token") == 0;
    return slack && ((of_webhook && direct < webhook) || (of_direct && webhook < direct));
}

static void
put_default(struct merge *merge, const char *path, const char **member, const char *value)
{
    if (*member == NULL) {
        *member = value;
        note_origin(merge, path, value, NULL, NULL);
    }
}

// Where a bad end is an incident unless the files say so: what is_production is true for.
static struct str_list
production_environments(const struct resolve *resolve)
{
    const struct str_list *listed = &resolve->documents->config.environments;
    struct str_list out = {arena_array(resolve->arena, 2, sizeof(*out.items)), 0};
    out.items[out.count++] = "production";
    if (listed->count > 0 && strcmp(listed->items[listed->count - 1], "production") != 0) {
        out.items[out.count++] = listed->items[listed->count - 1];
    }
    return out;
}

static void
complete_pagerduty(struct merge *merge)
{
    static const char *const incidents[] = {"restored", "not-restored", "unknown", "timed-out"};
    struct setting_sink *out = merge->out;
    struct arena *arena = merge->resolve->arena;
    put_default(merge, "routing_key", &out->routing_key, SPEC_PAGERDUTY_KEY);
    put_default(merge, "region", &out->region, "us");
    if (place_of(merge, "incidents.environments") == NOTIFY_PLACES) {
        out->incident_environments = production_environments(merge->resolve);
        note_origin(merge, "incidents.environments", joined(arena, &out->incident_environments),
            NULL, NULL);
    }
    if (place_of(merge, "incidents.outcomes") == NOTIFY_PLACES) {
        out->incident_outcomes.items =
            arena_array(arena, ARRAY_LENGTH(incidents), sizeof(*out->incident_outcomes.items));
        memcpy(out->incident_outcomes.items, incidents, sizeof(incidents));
        out->incident_outcomes.count = ARRAY_LENGTH(incidents);
        note_origin(
            merge, "incidents.outcomes", joined(arena, &out->incident_outcomes), NULL, NULL);
    }
}

// What the kind cannot do without, and what it does unless told.
static void
complete(struct merge *merge)
{
    struct setting_sink *out = merge->out;
    switch (notify_kind_bit(out->kind)) {
    case NOTIFY_BY_SLACK:
        if (out->webhook != NULL) {
            break;
        }
        put_default(merge, "token", &out->token, SPEC_SLACK_TOKEN);
        if (out->channel == NULL) {
            lacks(merge, "write the channel in quotes: '#' begins a comment",
                "of kind 'slack' needs 'channel' or 'webhook'");
        }
        break;
    case NOTIFY_BY_PAGERDUTY:
        complete_pagerduty(merge);
        break;
    case NOTIFY_BY_WEBHOOK:
        if (out->url == NULL) {
            lacks(merge, "add 'url: https://…'", "of kind 'webhook' needs 'url'");
        }
        break;
    default:
        put_default(merge, "check", &out->check, "auto");
        break;
    }
}

static void
merge_sink(struct merge *merge)
{
    const struct spec_source *source = NULL;
    const struct yaml_node *kind = node_of(merge, "kind", &source);
    struct setting_sink *out = merge->out;
    if (kind == NULL) {
        lacks(
            merge, "add 'kind: github', 'slack', 'pagerduty' or 'webhook'", "lacks the key 'kind'");
        return;
    }
    bool github = notify_kind_bit(kind->text) == NOTIFY_BY_GITHUB;
    *out = (struct setting_sink){.name = merge->name,
        .kind = kind->text,
        .deployment = github,
        .status = github,
        .comment = github};
    note_origin(merge, "kind", out->kind, source, kind);
    for (size_t i = 0; notify_key_at(i) != NULL; i++) {
        const struct notify_key *key = notify_key_at(i);
        if ((key->kinds & notify_kind_bit(out->kind)) == 0) {
            leave_out(merge, key);
        } else if (!is_beaten(merge, key)) {
            merge_value(merge, key);
        }
    }
    complete(merge);
}

// GitHub's places are the repository's, and only the spec says for sure whose the app is.
static bool
is_homeless(const struct merge *merge)
{
    const struct spec_source *source = &merge->resolve->documents->app_source;
    if (notify_kind_bit(merge->out->kind) != NOTIFY_BY_GITHUB ||
        merge->resolve->settings->repo != NULL) {
        return false;
    }
    spec_complain(source, DIAGNOSTIC_WARNING, "missing-key",
        spec_key_node(merge->resolve->documents->app_root, "name"), "add 'repo: owner/repository'",
        "the spec names no 'repo': sink '%.80s' of kind 'github' is left out", merge->name);
    return true;
}

static void
add_sink(struct resolve *resolve, const struct notify_places *places, const char *name)
{
    struct setting_notify *notify = &resolve->settings->notify;
    struct setting_sink *out = &notify->sinks[notify->sink_count];
    struct merge merge = {resolve, places, name, out};
    struct notify_hearing hearing = {0};
    if (!notify_hears(resolve->settings, places, name, &hearing)) {
        return;
    }
    merge_sink(&merge);
    if (out->kind == NULL || is_homeless(&merge)) {
        return;
    }
    struct str_list *outcomes = &notify->outcomes[notify->sink_count++];
    *outcomes = notify_outcome_words(hearing.all ? 0 : hearing.outcomes, resolve->arena);
    note_origin(&merge, "outcomes", hearing.all ? "all" : joined(resolve->arena, outcomes),
        hearing.source, hearing.at);
}

// As they stand, the organisation's first.
static struct str_list
sink_names(const struct resolve *resolve, const struct notify_places *places)
{
    struct str_list out = {0};
    size_t room = 0;
    for (size_t i = 0; i < NOTIFY_PLACES; i++) {
        const struct yaml_node *sinks = spec_node_at(places->blocks[i], "sinks");
        room += sinks != NULL ? sinks->count : 0;
    }
    out.items = arena_array(resolve->arena, room, sizeof(*out.items));
    for (size_t i = NOTIFY_PLACES; i-- > 0;) {
        const struct yaml_node *sinks = spec_node_at(places->blocks[i], "sinks");
        const struct yaml_node *key = sinks != NULL ? sinks->first : NULL;
        for (; key != NULL; key = key->next) {
            if (!str_list_has(&out, key->text)) {
                out.items[out.count++] = key->text;
            }
        }
    }
    return out;
}

static void
resolve_sinks(struct resolve *resolve, const struct notify_places *places)
{
    struct setting_notify *notify = &resolve->settings->notify;
    struct str_list names = sink_names(resolve, places);
    notify->sinks = arena_array(resolve->arena, names.count, sizeof(*notify->sinks));
    notify->outcomes = arena_array(resolve->arena, names.count, sizeof(*notify->outcomes));
    for (size_t i = 0; i < names.count; i++) {
        add_sink(resolve, places, names.items[i]);
    }
    if (notify->sink_count > SPEC_SINKS_MAX) {
        const struct spec_source *source = NULL;
        const struct yaml_node *at = resolve_find(resolve, "notify.sinks", "notify.sinks", &source);
        spec_complain(source, DIAGNOSTIC_ERROR, "out-of-range", at, NULL,
            "%zu sinks would hear of '%.80s', must be at most %d", notify->sink_count,
            resolve->settings->env, SPEC_SINKS_MAX);
    }
}

static bool
is_named_before(const struct notify_places *places, size_t place, const char *author)
{
    for (size_t i = 0; i < place; i++) {
        if (!spec_node_is_empty(yaml_get(yaml_get(places->blocks[i], "members"), author))) {
            return true;
        }
    }
    return false;
}

static void
resolve_members(struct resolve *resolve, const struct notify_places *places)
{
    struct pair_list *out = &resolve->settings->notify.members;
    size_t room = 0;
    for (size_t i = 0; i < NOTIFY_PLACES; i++) {
        const struct yaml_node *members = spec_node_at(places->blocks[i], "members");
        room += members != NULL ? members->count : 0;
    }
    out->items = arena_array(resolve->arena, room, sizeof(*out->items));
    for (size_t i = NOTIFY_PLACES; i-- > 0;) {
        const struct yaml_node *members = spec_node_at(places->blocks[i], "members");
        const struct yaml_node *at = members != NULL ? members->first : NULL;
        for (; at != NULL; at = at->next) {
            if (is_named_before(places, i, at->text)) {
                continue;
            }
            out->items[out->count++] = (struct pair){at->text, at->value->text};
            resolve_origin(resolve, arena_printf(resolve->arena, "notify.members.%s", at->text),
                at->value->text, places->sources[i], at->value);
        }
    }
}

static void
resolve_verbs(struct resolve *resolve)
{
    static const char *const usual[] = {"deploy", "rollback"};
    struct setting_notify *notify = &resolve->settings->notify;
    const struct spec_source *source = NULL;
    const struct yaml_node *node = resolve_find(resolve, NULL, "notify.verbs", &source);
    if (node != NULL) {
        notify->verbs = texts_of(resolve->arena, node);
    } else {
        notify->verbs.items = arena_array(resolve->arena, 2, sizeof(*notify->verbs.items));
        memcpy(notify->verbs.items, usual, sizeof(usual));
        notify->verbs.count = ARRAY_LENGTH(usual);
    }
    if (node != NULL || notify->sink_count > 0) {
        resolve_origin(
            resolve, "notify.verbs", joined(resolve->arena, &notify->verbs), source, node);
    }
}

static void
resolve_environment_url(struct resolve *resolve)
{
    static const char path[] = "notify.environment_url";
    const struct spec_source *source = NULL;
    const struct yaml_node *node = resolve_find(resolve, path, path, &source);
    if (node == NULL) {
        return;
    }
    const char *text = resolve_expand(resolve, EXPAND_DEPLOYMENT, node->text, NULL, source, node);
    const char *problem = check_url(sample_of(resolve->arena, text));
    if (problem != NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-value", node, NULL,
            "bad 'environment_url' '%.80s': %s", text, problem);
    }
    resolve->settings->notify.environment_url = text;
    resolve_origin(resolve, path, text, source, node);
}

void
resolve_notify(struct resolve *resolve)
{
    const struct spec_documents *documents = resolve->documents;
    const struct notify_places places = {
        .sources = {&documents->app_source, &documents->app_source, &documents->config_source},
        .blocks = {spec_node_at(resolve->layers[LAYER_ENVIRONMENT], "notify"),
            spec_node_at(resolve->layers[LAYER_DEPLOY], "notify"),
            spec_node_at(resolve->layers[LAYER_CONFIG], "notify")}};
    resolve_sinks(resolve, &places);
    resolve_members(resolve, &places);
    resolve_environment_url(resolve);
    resolve_verbs(resolve);
    resolve->settings->notify.private_hosts = documents->config.notify.private_hosts;
}
