// Spec files: any bytes are refused with diagnostics or decoded; what is valid keeps its meaning
// and its layout when it is formatted, and no output of a diagnostic is anything but clean text.
#include <string.h>

#include "dispatcher/json.h"
#include "dispatcher/spec.h"
#include "dispatcher/yaml.h"
#include "fuzz.h"

enum { OUTPUT_MAX = 64 * 1024 * 1024 };

static const char config[] = "version: 1\n"
                             "environments: [staging, production]\n"
                             "aws: {region: us-east-1, account: \"012345678901\", prefix: p}\n"
                             "workflow: {repo: acme/infra}\n"
                             "policy: {owners: [1], production: {approvals: {count: 1}}}\n";

static void
check_printing(struct diagnostics *diagnostics)
{
    diagnostics_sort(diagnostics);
    struct buf out CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    diagnostics_print_text(diagnostics, false, &out);
    diagnostics_print_github(diagnostics, &out);
    FUZZ_CHECK(out.failed || str_is_utf8(buf_str(&out)));
    for (size_t i = 0; i < out.len; i++) {
        FUZZ_CHECK(out.ptr[i] == '\n' || (unsigned char)out.ptr[i] >= ' ');
    }
    buf_reset(&out);
    diagnostics_print_json(diagnostics, &out);
    struct json *json CLEANUP(json_freep) = NULL;
    const struct json_limits limits = {OUTPUT_MAX, 64};
    FUZZ_CHECK(out.failed || json_parse(buf_str(&out), &limits, &json) == NULL);
}

static void
check_format(const struct spec_document *document)
{
    struct buf once CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    struct buf twice CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    struct error *err CLEANUP(error_freep) = spec_format(document, &once);
    if (err == NULL && once.len <= yaml_limits_spec.max_bytes) {
        struct spec_document again = {document->path, buf_str(&once)};
        struct error *second CLEANUP(error_freep) = spec_format(&again, &twice);
        FUZZ_CHECK(second == NULL && str_equal(buf_str(&once), buf_str(&twice)));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct diagnostics *of_workflow CLEANUP(diagnostics_freep) = diagnostics_new();
    const struct spec_document text = {"fuzz.yaml", {(const char *)data, size}};
    const struct spec_document organisation = {"dispatcher.yaml", {config, sizeof(config) - 1}};
    struct settings *settings = NULL;
    struct setting_server *server = NULL;
    spec_lint_app(&organisation, &text, "fuzz", diagnostics);
    spec_lint_config(&text, diagnostics);
    settings_resolve(&organisation, &text, "fuzz", "production", arena, diagnostics, &settings);
    settings_resolve(&text, &text, "fuzz", "staging", arena, diagnostics, &settings);
    settings_server(&text, arena, diagnostics, &server);
    check_printing(diagnostics);
    struct yaml_node *root = NULL;
    yaml_parse("fuzz.yaml", text.text, &yaml_limits_workflow, arena, of_workflow, &root);
    FUZZ_CHECK(root == NULL || diagnostics_count(of_workflow, DIAGNOSTIC_ERROR) == 0);
    check_format(&text);
    return 0;
}
