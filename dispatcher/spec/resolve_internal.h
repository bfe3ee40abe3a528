// What the files that build `struct settings` share.
#pragma once

#include "spec_internal.h"

// Which placeholders may still stand in a value once the files are read.
enum expand_mode {
    EXPAND_NOT,   // the key takes none
    EXPAND_EARLY, // none
    EXPAND_PLACE, // {account} {region}: the credential chain may know them
    EXPAND_LATE,  // also {version} {digest} {sha} {tag} {service}
    EXPAND_WORKER // also {worker}
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
void resolve_targets(struct resolve *resolve);
/// Origins of what `struct settings` does not carry: verify, migrate, approvals and so on.
void resolve_rest(struct resolve *resolve);
