// Text to decoded document: parse, decode, look for secrets in plain sight.
#include "decode_internal.h"
#include "dispatcher/memory.h"

// Any value that looks like a secret, wherever it stands, `notify` and unknown keys included.
static void
find_secrets(const struct spec_source *source, const struct yaml_node *node, const char *label)
{
    if (node->kind == YAML_SCALAR && spec_looks_like_secret(node->text)) {
        spec_complain_literal_secret(source, label, node);
    }
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        bool entry = node->kind == YAML_MAPPING;
        find_secrets(source, entry ? child->value : child, entry ? child->text : label);
    }
}

static const struct yaml_node *
load(const struct spec_source *source, const struct field_table *table, void *out)
{
    struct yaml_node *root = yaml_parse_keep_going(
        source->file, source->text, &yaml_limits_spec, source->arena, source->diagnostics);
    if (root != NULL) {
        spec_decode(source, root, table, out);
        find_secrets(source, root, table->name);
    }
    return root;
}

static struct spec_source
source_of(
    const struct spec_document *document, struct arena *arena, struct diagnostics *diagnostics)
{
    return (struct spec_source){.file = arena_dup(arena, document->path), // origins outlive it
        .text = document->text,
        .arena = arena,
        .diagnostics = diagnostics};
}

static const struct yaml_node *
load_whole(const struct spec_source *source, const struct field_table *table, void *out)
{
    size_t before = diagnostics_count(source->diagnostics, DIAGNOSTIC_ERROR);
    const struct yaml_node *root = load(source, table, out);
    if (root == NULL && diagnostics_count(source->diagnostics, DIAGNOSTIC_ERROR) == before) {
        spec_complain(
            source, DIAGNOSTIC_ERROR, "empty-document", NULL, NULL, "the file holds no document");
    }
    return root;
}

void
documents_load_config(struct spec_documents *documents, const struct spec_document *config,
    struct arena *arena, struct diagnostics *diagnostics)
{
    documents->config_source = source_of(config, arena, diagnostics);
    decode_defaults(&config_table, (char *)&documents->config);
    if (config->text.len > 0) {
        documents->config_root =
            load_whole(&documents->config_source, &config_table, &documents->config);
    }
}

void
documents_load_app(struct spec_documents *documents, const struct spec_document *app_spec,
    struct arena *arena, struct diagnostics *diagnostics)
{
    documents->app_source = source_of(app_spec, arena, diagnostics);
    decode_defaults(&spec_app_table, (char *)&documents->app);
    documents->app_root = load_whole(&documents->app_source, &spec_app_table, &documents->app);
}
