// What the files that build `struct settings` share.
#pragma once

#include "spec_internal.h"

// Which placeholders may still stand in a value once the files are read.
enum expand_mode {
    EXPAND_NOT,        // the key takes none
    EXPAND_EARLY,      // none
    EXPAND_PLACE,      // {account} {region}: the credential chain may know them
    EXPAND_DEPLOYMENT, // also {version} {sha} {tag}: the same for all services
    EXPAND_LATE,       // also {digest} {service}
    EXPAND_WORKER      // also {worker} {worker_file}
};

struct resolve {
    struct spec_documents *documents;
    struct arena *arena;
    struct settings *settings;
    size_t origin_capacity;
    // The layers, strongest first; NULL where a document says nothing.
    const struct yaml_node *layers[4];
};
enum { LAYER_ENVIRONMENT, LAYER_DEPLOY, LAYER_CONFIG_ENV, LAYER_CONFIG };

/// The strongest layer's value, and the document it stands in. `deploy_path` and `config_path` say
/// where to look in the app spec's layers and in dispatcher.yaml's; NULL: not there.
const struct yaml_node *resolve_find(const struct resolve *resolve, const char *deploy_path,
    const char *config_path, const struct spec_source **source);
/// Replaces what is known and complains of what stays and may not. `at` NULL: a built-in default.
const char *resolve_expand(const struct resolve *resolve, enum expand_mode mode, const char *text,
    const char *service, const struct spec_source *source, const struct yaml_node *at);
void resolve_origin(struct resolve *resolve, const char *key, const char *value,
    const struct spec_source *source, const struct yaml_node *at);

void resolve_services(struct resolve *resolve);
void resolve_rules(struct resolve *resolve);
/// Identity, promotion, approvals, queue and emergency: what the service decides by.
void resolve_policy(struct resolve *resolve);
/// `branch` and `allow` of an environment into `resolve->settings`; needs nothing else of it.
void resolve_allow(struct resolve *resolve, const struct spec_environment *environment);
/// `deploy.target` and that of each deployable service; decides `has_image`.
void resolve_targets(struct resolve *resolve);
void resolve_workers(struct resolve *resolve);
/// Migration, checks, order of the rollout, rollbacks: after the targets.
void resolve_steps(struct resolve *resolve);
/// Whom to tell of this app in this environment: `notify` of all places.
void resolve_notify(struct resolve *resolve);
/// Origins of what `struct settings` does not carry: approvals and so on.
void resolve_rest(struct resolve *resolve);

// target_keys.c: what each key of a target is for
enum { TARGET_OF_ECS = 1, TARGET_OF_EXPRESS = 2, TARGET_OF_APPRUNNER = 4 };
enum { TARGET_OF_IMAGE = 1, TARGET_OF_CODE = 2 };
enum target_form { TARGET_TEXT, TARGET_NUMBER, TARGET_DURATION, TARGET_TRUTH, TARGET_MAP };
struct target_key {
    const char *path; // below the target
    enum target_form form;
    size_t offset;                           // in struct setting_target
    unsigned kinds, sources;                 // that take it
    const char *(*check)(const char *value); // once it is expanded
    enum expand_mode mode;
};
/// NULL after the last.
const struct target_key *target_key_at(size_t index);
/// One of TARGET_OF_…; 0 for any other word.
unsigned target_kind_bit(const char *kind);
/// Where the key stands in a target's block, or NULL.
const struct yaml_node *target_key_node(
    const struct yaml_node *block, const struct target_key *key);
void target_complain_unused(const struct spec_source *source, const struct target_key *key,
    const struct yaml_node *at, const char *kind);

// resolve_targets.c
// The blocks that a target is merged from, strongest first.
struct target_layers {
    const struct yaml_node *blocks[4];
    bool own[4];         // says this target alone; else shared with others
    const char *service; // {service}; NULL: for all
    const char *prefix;  // of the origins
    bool of_worker;      // {worker} may stay
};
/// Merges key by key. False when nothing is said; `out->kind` is NULL when that alone is missing.
/// *some: a node to point at when the target as a whole is meant.
bool target_merge(struct resolve *resolve, const struct target_layers *layers,
    struct setting_target *out, const struct yaml_node **some);

// resolve_target_rules.c
/// What a merged target lacks, or says twice. `some`: where to point.
void target_check(struct resolve *resolve, const struct target_layers *layers,
    const struct setting_target *target, const struct yaml_node *some);
/// `via: direct` needs targets.
void target_check_needs(struct resolve *resolve);

// notify_keys.c: what each key of a sink is for
enum {
    NOTIFY_BY_GITHUB = 1,
    NOTIFY_BY_SLACK = 2,
    NOTIFY_BY_PAGERDUTY = 4,
    NOTIFY_BY_WEBHOOK = 8,
};
enum notify_form { NOTIFY_TEXT, NOTIFY_TRUTH, NOTIFY_LIST, NOTIFY_OUTCOMES };
struct notify_key {
    const char *path; // below the sink; at most one '.', behind "incidents"
    enum notify_form form;
    size_t offset;  // in struct setting_sink
    unsigned kinds; // that take it
    enum expand_mode mode;
};
/// NULL after the last.
const struct notify_key *notify_key_at(size_t index);
/// One of NOTIFY_BY_…; 0 for any other word.
unsigned notify_kind_bit(const char *kind);
/// Where the key stands in a sink's block, or NULL.
const struct yaml_node *notify_key_node(const struct yaml_node *sink, const struct notify_key *key);
void notify_complain_unused(const struct spec_source *source, const struct notify_key *key,
    const struct yaml_node *at, const char *kind);
/// A list of words as bits, in the order of spec_outcomes; "failures" is five of them.
unsigned notify_outcomes_of(const struct yaml_node *list);
struct str_list notify_outcome_words(unsigned bits, struct arena *arena);

// notify_routes.c: who hears what
// The `notify` blocks that a deployment knows, strongest first: the environment's, `deploy`'s, the
// organisation's.
enum { NOTIFY_PLACES = 3 };
struct notify_places {
    const struct spec_source *sources[NOTIFY_PLACES];
    const struct yaml_node *blocks[NOTIFY_PLACES];
};
/// The sink's own block at a place, or NULL.
const struct yaml_node *notify_sink_at(
    const struct notify_places *places, size_t place, const char *name);
struct notify_hearing {
    bool all;                   // outcomes
    unsigned outcomes;          // bits
    const struct yaml_node *at; // the first route that leads there; NULL: without routes
    const struct spec_source *source;
};
/// False when no route leads to the sink.
bool notify_hears(const struct settings *settings, const struct notify_places *places,
    const char *name, struct notify_hearing *out);

// environments.c
/// '*' inside a segment, '**' across, nothing else; anchored, case-sensitive.
bool environments_match(const char *pattern, const char *text);
