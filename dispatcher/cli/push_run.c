// One image to one reference: credentials, source, push. Reads no command line.
#include "push_run.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/ecr.h"
#include "dispatcher/memory.h"

struct push {
    const struct push_run *run;
    const struct platform *platform;
    struct arena *arena;
    struct http_client *http;
    const char *host, *region; // region: of ECR
    struct aws_session *aws;   // for ECR, once it is needed
    struct image_access access;
    struct image *image;
};

static void
push_done(struct push *push)
{
    image_close(push->image);
    aws_session_free(push->aws);
    http_client_free(push->http);
}

// Also when what `docker login` left has expired, as it does after 12 hours.
static struct error *
login_to_ecr(void *ctx, char **user, struct secret **password)
{
    struct push *push = ctx;
    struct ecr_login login = {0};
    const struct aws_options options = {.region = push->region};
    if (push->aws == NULL) {
        TRY(aws_session_new(push->platform, push->http, &options, &push->aws));
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
    const struct platform *platform = push->platform;
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
    TRY(aws_session_new(push->platform, push->http, &options, &aws));
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
            : registry_docker_credentials(push->platform, host, user, password));
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
        .parallel_bodies = push->run->parallel,
    };
    return registry_client_new(push->platform, push->http, &options, out);
}

static struct error *
parse_reference(struct push *push, struct registry_reference **out)
{
    TRY(registry_reference_parse(push->run->reference, push->arena, out));
    if ((*out)->tag == NULL || (*out)->digest != NULL) {
        return error_hint(error_new(ERROR_USAGE, "image reference '%s' %s", push->run->reference,
                              (*out)->tag == NULL ? "names no tag" : "names a digest"),
            "An image is pushed under a tag: HOST/REPOSITORY:TAG; its digest follows from it.");
    }
    push->host = (*out)->host;
    return NULL;
}

static struct error *
push_image(struct push *push, const struct registry_reference *reference,
    struct push_report *report, const char **digest)
{
    struct registry_client *client CLEANUP(registry_client_freep) = NULL;
    struct registry_push_result result = {0};
    TRY(open_registry(push, &client));
    TRY(push_report_image(report, push->run->source, push->run->reference, push->image));
    const struct registry_push request = {
        .repository = reference->repository,
        .tag = reference->tag,
        .image = push->image,
        .compression = push->run->compression,
        .previous = push->run->previous,
        .fetching = push_report_fetching,
        .progress = push_report_progress,
        .progress_ctx = report,
    };
    TRY(registry_push_image(client, &request, push->arena, &result));
    if (digest != NULL) {
        *digest = result.digest;
    }
    push_report_result(report, push->run->reference, &result);
    return NULL;
}

// Everything but the source.
static struct error *
begin(struct push *push, struct registry_reference **reference)
{
    push->platform = push->run->platform != NULL ? push->run->platform : &push->run->cli->platform;
    TRY(parse_reference(push, reference));
    cli_mask_environment(push->run->cli);
    return http_client_new(push->platform, &push->run->cli->http_options, &push->http);
}

struct error *
push_run_look(const struct push_run *run, struct arena *arena, const char **digest)
{
    struct push push CLEANUP(push_done) = {.run = run, .arena = arena};
    struct registry_reference *reference = NULL;
    struct registry_client *client CLEANUP(registry_client_freep) = NULL;
    TRY(begin(&push, &reference));
    TRY(open_registry(&push, &client));
    struct error *err =
        registry_manifest_digest(client, reference->repository, reference->tag, arena, digest);
    return err != NULL ? error_wrap(err, "look for image '%s'", run->reference) : NULL;
}

struct error *
push_run(const struct push_run *run, struct push_report *report, struct arena *arena,
    const char **digest)
{
    struct push push CLEANUP(push_done) = {.run = run, .arena = arena};
    struct image_source *source = NULL;
    struct registry_reference *reference = NULL;
    TRY(image_source_parse(run->source, arena, &source));
    TRY(begin(&push, &reference));
    push.access = (struct image_access){push.platform, push.http, log_in_to_source, &push};
    TRY(image_open(source, &push.access, &push.image));
    return push_image(&push, reference, report, digest);
}
