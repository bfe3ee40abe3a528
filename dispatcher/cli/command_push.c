// `dispatcher push`: one image to one reference, and nothing else. The pushing is push_run.c's and
// registry/'s, the telling push_report.c's; this reads the command line.
#include "cli_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "push_run.h"

enum { PARALLEL_MOST = 16 };

static struct error *
parse_parallel(const char *text, unsigned *out)
{
    int64_t number = 0;
    if (text == NULL) {
        return NULL;
    }
    if (!str_to_int64(str_of(text), &number) || number < 1 || number > PARALLEL_MOST) {
        return error_hint(
            error_new(ERROR_USAGE, "push: '%.40s' is not a number of bodies (--parallel)", text),
            "Use a number from 1 to %d; without it there are 4.", PARALLEL_MOST);
    }
    *out = (unsigned)number;
    return NULL;
}

static struct error *
check_previous(struct str_list previous)
{
    for (size_t i = 0; i < previous.count; i++) {
        const char *name = previous.items[i];
        if (!tag_is_valid(str_of(name)) && !digest_is_valid(str_of(name))) {
            return error_hint(
                error_new(ERROR_USAGE, "push: '%.140s' is no tag or digest (--previous)", name),
                "Name an image of the same repository by its tag alone: --previous 1.3.9.");
        }
    }
    return NULL;
}

static struct error *
read_options(struct push_run *push, const struct cli_arguments *arguments)
{
    const char *word = cli_value(arguments, "compression");
    BUG_ON(!image_compression_of(word, &push->compression)); // the table lists the words
    push->previous = cli_values(arguments, "previous");
    TRY(check_previous(push->previous));
    return parse_parallel(cli_value(arguments, "parallel"), &push->parallel);
}

static struct error *
run_push(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct push_report *report CLEANUP(push_report_freep) =
        push_report_new(cli, cli_flag(arguments, "json"));
    struct push_run push = {
        .cli = cli,
        .source = cli_positional(arguments, 0),
        .reference = cli_positional(arguments, 1),
    };
    TRY(read_options(&push, arguments));
    return push_run(&push, report, arena, NULL);
}

static const char *const compressions[] = {"fast", "small", "zstd", NULL};

static const struct cli_option options[] = {
    {"compression", CLI_VALUE, "WORD", "how plain layers are compressed; default: fast",
        compressions},
    {"previous", CLI_LIST, "TAG", "earlier image of the repository whose layers may be reused",
        NULL},
    {"parallel", CLI_VALUE, "N", "large layers sent at once, 1 to 16; default: 4", NULL},
    {"json", CLI_FLAG, NULL, "print one JSON event a line: image, blob, progress, manifest, pushed",
        NULL},
};

const struct cli_command command_push = {
    .name = "push",
    .arguments = "SOURCE HOST/REPOSITORY:TAG",
    .min_positional = 2,
    .max_positional = 2,
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "push an image to a registry, and nothing else",
    .description =
        "Pushes an image of one platform or an index of several. The tag comes last, and the "
        "command succeeds only when the registry answers the digest of the image: what is "
        "announced is whole.\n"
        "\n"
        "SOURCE is 'oci:DIR[:REF]', a directory in OCI layout; 'oci-archive:FILE[:REF]', a tar of "
        "one; "
        "'docker-archive:FILE[:REF]', what 'docker save' writes; 'docker-daemon:NAME:TAG', an "
        "image of the daemon at DOCKER_HOST, or of podman's service; or "
        "'docker://HOST/REPOSITORY:TAG', an image of another registry. REF is a tag, a digest, or "
        "'@N' for the N-th image of a docker-archive; it is needed when "
        "there are several. Nothing is unpacked to disk. Manifests and configurations are held to "
        "their digests here, ready-made layers by the registry, which has to.\n"
        "\n"
        "What the registry has is not sent again, and an image that is there costs one or two "
        "requests. Layers that are plain (those of a docker-archive and of a daemon) are "
        "compressed on the way, always to the same bytes for the same --compression: 'fast' is "
        "gzip for least time, 'small' gzip for a thin line, 'zstd' for runtimes that take zstd "
        "layers. Before that, an earlier image of the repository is asked which of its blobs hold "
        "the same layers: those are neither compressed nor sent, also on a machine that has never "
        "pushed before. The earlier image is the first one of --previous that is there, else one "
        "that the repository's list of tags suggests.\n"
        "\n"
        "Up to --parallel layers over 1 MiB are sent at once; on a thin line, use 1. A layer that "
        "fails is sent again, up to five times, with growing pauses; when the registry says that "
        "it is too much, fewer are sent at once.\n"
        "\n"
        "Credentials: DISPATCHER_REGISTRY_USER with DISPATCHER_REGISTRY_PASSWORD, else what "
        "'docker login' left in config.json or gave to a credential helper, else, for Elastic "
        "Container Registry, those of AWS. "
        "Registries are spoken to over https; one on this machine (localhost) over http.\n"
        "\n"
        "Exit codes: 0 the tag names the image; 2 the command line, or an image that is not what "
        "it says; 4 credentials; 5 not allowed; 6 the tag is immutable and names another image; 12 "
        "the registry cannot be reached or fails; 130 interrupted. Only 0 promises that the "
        "tag names the image; after 12 and 130 the registry knows whether it does.",
    .examples = "$ dispatcher push oci:build/image registry.example.org/team/app:1.4.0\n"
                "$ dispatcher push docker-archive:app.tar registry.example.org/team/app:1.4.0\n"
                "$ dispatcher push --previous 1.3.9 docker-archive:app.tar "
                "registry.example.org/team/app:1.4.0\n"
                "$ dispatcher push --compression small --parallel 1 docker-daemon:app:dev "
                "registry.example.org/team/app:dev\n"
                "$ dispatcher push docker://registry.example.org/team/app:1.4.0 "
                "mirror.example.org/app:1.4.0\n"
                "$ dispatcher push --json oci-archive:app.tar:1.4.0 localhost:5000/app:1.4.0\n",
    .run = run_push,
};
