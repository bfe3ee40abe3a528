// `dispatcher push`: one image to one reference, and nothing else. The pushing is registry/'s; this
// finds the credentials and tells how it goes.
#include <stdlib.h>
#include <string.h>

#include "cli_internal.h"
#include "dispatcher/ecr.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/registry.h"
#include "human.h"
#include "live.h"

enum { REDRAW_MS = 100, SHORT_DIGEST = 19 }; // "sha256:" and 12 digits

// How far one blob is.
struct blob_progress {
    int64_t done;
};

struct push {
    struct cli *cli;
    bool json;
    const char *source_text, *reference_text;
    struct arena *arena;
    struct http_client *http;
    const char *host, *region; // region: of ECR
    struct aws_session *aws;   // for ECR, once it is needed
    struct image_access access;
    struct image *image;
    struct live *live;
    struct blob_progress *blobs;
    size_t blob_count;
    int64_t total, drawn_ms, started_ms;
};

static void
push_done(struct push *push)
{
    live_free(push->live);
    free(push->blobs);
    image_close(push->image);
    aws_session_free(push->aws);
    http_client_free(push->http);
    arena_free(push->arena);
}

static struct json *
event(struct push *push, const char *name)
{
    char stamp[21];
    struct json *object = json_make_object();
    clock_format_rfc3339(clock_wall(push->cli->platform.clock), stamp);
    json_set_str(object, "event", name);
    json_set_str(object, "time", stamp);
    return object;
}

static void
print_event(struct push *push, struct json *object)
{
    char *text CLEANUP(xfreep) = json_text(object);
    cli_outf(push->cli, "%s\n", text);
    json_free(object);
}

static void
draw(struct push *push)
{
    struct cli *cli = push->cli;
    int64_t now = clock_mono(cli->platform.clock);
    if (!live_is_on(push->live) || now - push->drawn_ms < REDRAW_MS) {
        return;
    }
    struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
    struct progress progress = {.total = push->total};
    for (size_t i = 0; i < push->blob_count; i++) {
        progress.done += push->blobs[i].done;
    }
    int64_t elapsed_ms = now - push->started_ms;
    progress.bytes_per_second = elapsed_ms > 0 ? progress.done * 1000 / elapsed_ms : 0;
    buf_puts(&line, LIVE_SPINNER " pushing ");
    human_progress(
        &progress, (size_t)cli->width > 12 ? (size_t)cli->width - 12 : 0, cli->utf8, &line);
    buf_putc(&line, '\n');
    live_update(push->live, buf_str(&line));
    push->drawn_ms = now;
}

static void
say_blob(struct push *push, const struct registry_progress *progress, const char *state)
{
    struct buf size CLEANUP(buf_done) = BUF_INIT(64);
    if (push->json) {
        struct json *object = event(push, "blob");
        json_set_str(object, "digest", progress->digest);
        json_set_int(object, "bytes", progress->total);
        json_set_str(object, "state", state);
        print_event(push, object);
        return;
    }
    human_size(progress->total, &size);
    cli_outf(push->cli, "  %.*s %10s  %s\n", SHORT_DIGEST, progress->digest, buf_cstr(&size),
        strcmp(state, "present") == 0 ? "already there" : state);
}

static void
on_progress(void *ctx, const struct registry_progress *progress)
{
    struct push *push = ctx;
    switch (progress->what) {
    case REGISTRY_PART_PRESENT:
    case REGISTRY_PART_REUSED:
    case REGISTRY_PART_MOUNTED:
        say_blob(push, progress, "present");
        break;
    case REGISTRY_PART_SENT:
        push->cli->changed = true;
        say_blob(push, progress, "sent");
        break;
    case REGISTRY_MANIFEST_SENT:
        push->cli->changed = true;
        if (push->json) {
            struct json *object = event(push, "manifest");
            json_set_str(object, "digest", progress->digest);
            json_set_int(object, "bytes", progress->total);
            print_event(push, object);
        }
        return;
    case REGISTRY_PART_SENDING:
    case REGISTRY_PART_AGAIN:
        break;
    }
    push->blobs[progress->part].done = progress->done;
    draw(push);
}

// Also when what `docker login` left has expired, as it does after 12 hours.
static struct error *
login_to_ecr(void *ctx, char **user, struct secret **password)
{
    struct push *push = ctx;
    struct ecr_login login = {0};
    const struct aws_options options = {.region = push->region};
    if (push->aws == NULL) {
        TRY(aws_session_new(&push->cli->platform, push->http, &options, &push->aws));
    }
    TRY(ecr_login(push->aws, push->host, &login));
    *user = login.user;
    *password = login.password;
    return NULL;
}

// DISPATCHER_REGISTRY_USER and _PASSWORD, else what `docker login` left.
static struct error *
stored_credentials(struct push *push, char **user, struct secret **password)
{
    const struct platform *platform = &push->cli->platform;
    const char *name = env_get(platform, "DISPATCHER_REGISTRY_USER");
    const char *word = env_get(platform, "DISPATCHER_REGISTRY_PASSWORD");
    if (name != NULL && word != NULL) {
        *user = xstrdup(name);
        *password = secret_new(str_of(word));
        return NULL;
    }
    return registry_docker_credentials(platform, push->host, user, password);
}

static struct error *
login_to_other_ecr(const struct push *push, const char *host, char **user, struct secret **password)
{
    const char *region = NULL;
    struct aws_session *aws CLEANUP(aws_session_freep) = NULL;
    struct ecr_login login = {0};
    if (!ecr_host_parse(host, push->arena, NULL, &region)) {
        return NULL;
    }
    const struct aws_options options = {.region = region};
    TRY(aws_session_new(&push->cli->platform, push->http, &options, &aws));
    TRY(ecr_login(aws, host, &login));
    *user = login.user;
    *password = login.password;
    return NULL;
}

// For the registry that a docker:// source names. The environment's credentials are the target's:
// no other host gets them.
static struct error *
log_in_to_source(void *ctx, const char *host, char **user, struct secret **password)
{
    struct push *push = ctx;
    TRY(strcmp(host, push->host) == 0
            ? stored_credentials(push, user, password)
            : registry_docker_credentials(&push->cli->platform, host, user, password));
    return *user != NULL ? NULL : login_to_other_ecr(push, host, user, password);
}

static struct error *
open_registry(struct push *push, struct registry_client **out)
{
    char *user CLEANUP(xfreep) = NULL;
    struct secret *password CLEANUP(secret_freep) = NULL;
    bool is_ecr = ecr_host_parse(push->host, push->arena, NULL, &push->region);
    TRY(stored_credentials(push, &user, &password));
    if (is_ecr && user == NULL) {
        TRY(login_to_ecr(push, &user, &password));
    }
    const struct registry_options options = {
        .host = push->host,
        .user = user,
        .password = password,
        .renew = is_ecr ? login_to_ecr : NULL,
        .renew_ctx = push,
        .is_ecr = is_ecr,
    };
    return registry_client_new(&push->cli->platform, push->http, &options, out);
}

static void
prepare_blobs(struct push *push)
{
    push->blob_count = image_part_count(push->image);
    push->blobs = xcalloc(push->blob_count > 0 ? push->blob_count : 1, sizeof(*push->blobs));
    for (size_t i = 0; i < push->blob_count; i++) {
        const struct image_part *part = image_part_at(push->image, i);
        push->total += part->diff_id != NULL ? part->plain_size : part->descriptor.size;
    }
}

static struct error *
say_image(struct push *push)
{
    const char *digest = NULL, *platforms = image_platforms(push->image);
    if (image_is_settled(push->image)) {
        TRY(image_digest(push->image, &digest));
    }
    if (push->json) {
        struct json *object = event(push, "image");
        json_set_str(object, "source", push->source_text);
        if (digest != NULL) {
            json_set_str(object, "digest", digest);
        }
        json_set_str(object, "platforms", platforms);
        json_set_int(object, "blobs", (int64_t)push->blob_count);
        json_set_int(object, "bytes", push->total);
        print_event(push, object);
        return NULL;
    }
    struct buf size CLEANUP(buf_done) = BUF_INIT(64);
    human_size(push->total, &size);
    cli_outf(push->cli, "%s%s%s: %zu blobs, %s\n", push->source_text,
        platforms[0] != '\0' ? ", " : "", platforms, push->blob_count, buf_cstr(&size));
    return NULL;
}

static void
say_result(struct push *push, const struct registry_push_result *result)
{
    int64_t took_ms = clock_mono(push->cli->platform.clock) - push->started_ms;
    live_finish(push->live, (struct str){0});
    if (push->json) {
        struct json *object = event(push, "pushed");
        json_set_str(object, "reference", push->reference_text);
        json_set_str(object, "digest", result->digest);
        json_set(object, "already_there", json_make_bool(result->already_there));
        json_set_int(object, "blobs_sent", result->blobs_sent);
        json_set_int(object, "blobs_present", result->blobs_present);
        json_set_int(object, "bytes_sent", result->bytes_sent);
        json_set_int(object, "requests", result->requests);
        json_set_int(object, "duration_ms", took_ms);
        print_event(push, object);
        return;
    }
    struct buf size CLEANUP(buf_done) = BUF_INIT(64);
    char took[32];
    human_size(result->bytes_sent, &size);
    clock_format_duration(took_ms, took);
    if (result->already_there) {
        cli_outf(push->cli, "%s is there already\n", push->reference_text);
    } else {
        cli_outf(push->cli, "pushed %s: %s in %s\n", push->reference_text, buf_cstr(&size), took);
    }
    cli_outf(push->cli, "%s\n", result->digest);
}

static struct error *
parse_reference(struct push *push, struct registry_reference **out)
{
    TRY(registry_reference_parse(push->reference_text, push->arena, out));
    if ((*out)->tag == NULL || (*out)->digest != NULL) {
        return error_hint(error_new(ERROR_USAGE, "image reference '%s' %s", push->reference_text,
                              (*out)->tag == NULL ? "names no tag" : "names a digest"),
            "An image is pushed under a tag: HOST/REPOSITORY:TAG; its digest follows from it.");
    }
    push->host = (*out)->host;
    return NULL;
}

static struct error *
run_push(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    struct push push CLEANUP(push_done) = {
        .cli = cli,
        .json = cli_flag(arguments, "json"),
        .source_text = cli_positional(arguments, 0),
        .reference_text = cli_positional(arguments, 1),
        .arena = arena_new(),
        .started_ms = clock_mono(cli->platform.clock),
    };
    push.live = live_new(cli, push.json);
    struct image_source *source = NULL;
    struct registry_reference *reference = NULL;
    struct registry_client *client CLEANUP(registry_client_freep) = NULL;
    struct registry_push_result result = {0};
    TRY(image_source_parse(push.source_text, push.arena, &source));
    TRY(parse_reference(&push, &reference));
    cli_mask_environment(cli);
    TRY(http_client_new(&cli->platform, &cli->http_options, &push.http));
    push.access = (struct image_access){&cli->platform, push.http, log_in_to_source, &push};
    TRY(image_open(source, &push.access, &push.image));
    TRY(open_registry(&push, &client));
    prepare_blobs(&push);
    TRY(say_image(&push));
    const struct registry_push request = {
        .repository = reference->repository,
        .tag = reference->tag,
        .image = push.image,
        .progress = on_progress,
        .progress_ctx = &push,
    };
    TRY(registry_push_image(client, &request, push.arena, &result));
    say_result(&push, &result);
    return NULL;
}

static const struct cli_option options[] = {
    {"json", CLI_FLAG, NULL, "print one JSON event a line: image, blob, manifest, pushed", NULL},
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
        "Pushes an image of one platform or an index of several. What the registry has is not sent "
        "again. Afterwards the registry is asked for the tag; the command succeeds only when it "
        "answers the digest of the image.\n"
        "\n"
        "SOURCE is 'oci:DIR[:REF]', 'oci-archive:FILE[:REF]' or 'docker-archive:FILE[:REF]'. REF "
        "is a tag, a digest, or '@N' for the N-th image of a docker-archive; it is needed when "
        "there are several. Every digest is checked before its bytes count. The layers of a "
        "docker-archive are compressed on the way, always to the same bytes.\n"
        "\n"
        "Credentials: DISPATCHER_REGISTRY_USER with DISPATCHER_REGISTRY_PASSWORD, else what "
        "'docker login' left in config.json, else, for Elastic Container Registry, those of AWS. "
        "Registries are spoken to over https; one on this machine (localhost) over http.",
    .examples = "$ dispatcher push oci:build/image registry.example.org/team/app:1.4.0\n"
                "$ dispatcher push docker-archive:app.tar registry.example.org/team/app:1.4.0\n"
                "$ dispatcher push --json oci-archive:app.tar:1.4.0 localhost:5000/app:1.4.0\n",
    .run = run_push,
};
