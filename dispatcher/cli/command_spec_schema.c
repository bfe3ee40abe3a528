// `dispatcher spec schema`: the format, for editors and for people.
#include <string.h>

#include "cli_internal.h"
#include "dispatcher/spec.h"

enum { OUTPUT_MAX = 1024 * 1024 };

static struct error *
run_spec_schema(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    const char *which = cli_positional(arguments, 0);
    struct buf out CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    if (which != NULL && strcmp(which, "reference") == 0) {
        spec_reference(&out);
        TRY(buf_finish(&out, "reference"));
    } else {
        TRY(spec_schema(which != NULL ? which : "app", &out));
    }
    cli_out(cli, buf_str(&out));
    return NULL;
}

const struct cli_command command_spec_schema = {
    .name = "spec schema",
    .arguments = "[app|config|reference]",
    .max_positional = 1,
    .summary = "print the format of spec files as JSON Schema, or as Markdown",
    .description =
        "Prints the JSON Schema (draft 2020-12) of app specs ('app', the default) or of "
        "dispatcher.yaml ('config'). Editors that know YAML use it to complete and check while "
        "you type. 'reference' prints docs/spec-reference.md: every key and every diagnostic.\n"
        "\n"
        "All three are made from the tables that read the files, so they cannot differ from them. "
        "The schema knows keys, types and forms; what values mean together, 'spec lint' checks.",
    .examples = "$ dispatcher spec schema > appspec.schema.json\n"
                "$ dispatcher spec schema config > dispatcher.schema.json\n"
                "$ dispatcher spec schema reference | less\n",
    .run = run_spec_schema,
};
