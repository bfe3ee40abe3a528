// Text to decoded document: parse, look for secrets in plain sight, decode.
#include "decode_internal.h"
#include "dispatcher/memory.h"

static struct spec_source
source_of(
    const struct spec_document *document, struct arena *arena, struct diagnostics *diagnostics)
{
    return (struct spec_source){.file = arena_dup(arena, document->path), // origins outlive it
        .arena = arena,
        .diagnostics = diagnostics};
}

static const struct yaml_node *
load(struct spec_source *source, struct str text, const struct field_table *table, void *out)
{
    text = spec_text_body(text);
    char *display = NULL; // set whenever there is a tree
    if (text.len <= yaml_limits_spec.max_bytes) {
        display = secrets_mask(text, source->arena);
        source->text = (struct str){display, text.len};
    }
    size_t before = diagnostics_count(source->diagnostics, DIAGNOSTIC_ERROR);
    struct yaml_node *root = yaml_parse_keep_going(source, text, &yaml_limits_spec);
    if (root != NULL) {
        secrets_find(source, root, table, display);
        spec_decode(source, root, table, out);
    } else if (diagnostics_count(source->diagnostics, DIAGNOSTIC_ERROR) == before) {
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
            load(&documents->config_source, config->text, &config_table, &documents->config);
    }
}

void
documents_load_app(struct spec_documents *documents, const struct spec_document *app_spec,
    struct arena *arena, struct diagnostics *diagnostics)
{
    documents->app_source = source_of(app_spec, arena, diagnostics);
    decode_defaults(&spec_app_table, (char *)&documents->app);
    documents->app_root =
        load(&documents->app_source, app_spec->text, &spec_app_table, &documents->app);
}
