// ECR's control API over the sandbox's own registry: login token, repositories, images.
#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "registry_internal.h"

enum { TOKEN_LIFE_MS = 12 * 3600000, MANIFEST_MAX = 4 * 1024 * 1024 };

bool
sandbox_aws_ecr_password_valid(struct sandbox *sandbox, const char *password)
{
    const struct aws_state *aws = sandbox->aws;
    for (size_t i = 0; i < aws->token_count; i++) {
        const char *known = aws->tokens[i].password;
        if (strlen(known) == strlen(password) && digest_equal(known, password, strlen(known)) &&
            aws->tokens[i].expires_ms > sandbox_now(sandbox)) {
            return true;
        }
    }
    return false;
}

static void
authorization_token(struct aws_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct aws_state *aws = sandbox->aws;
    struct buf plain CLEANUP(buf_done) = BUF_INIT(4096);
    struct buf encoded CLEANUP(buf_done) = BUF_INIT(8192);
    const char *password = sandbox_random(sandbox, exchange->request->arena, 64);
    int64_t expires = sandbox_now(sandbox) + TOKEN_LIFE_MS;
    aws->tokens = xrealloc(aws->tokens, (aws->token_count + 1) * sizeof(*aws->tokens));
    aws->tokens[aws->token_count++] = (struct ecr_token){xstrdup(password), exchange->key, expires};
    buf_printf(&plain, "AWS:%s", password);
    base64_encode(buf_str(&plain), &encoded);
    struct json *body = json_make_object(), *list = json_make_array(), *one = json_make_object();
    json_set_str(one, "authorizationToken", buf_cstr(&encoded));
    json_set_int(one, "expiresAt", expires / 1000);
    json_set_str(one, "proxyEndpoint", sandbox->origin);
    json_append(list, one);
    json_set(body, "authorizationData", list);
    sandbox_reply_json(exchange->response, 200, body);
}

static struct json *
repository_json(const struct aws_exchange *exchange, const struct registry_repo *repo)
{
    struct arena *arena = exchange->request->arena;
    struct json *item = json_make_object();
    const char *account = sandbox_aws_account(exchange->sandbox);
    json_set_str(item, "repositoryArn",
        arena_printf(
            arena, "arn:aws:ecr:%s:%s:repository/%s", exchange->region, account, repo->name));
    json_set_str(item, "registryId", account);
    json_set_str(item, "repositoryName", repo->name);
    json_set_str(
        item, "repositoryUri", arena_printf(arena, "%s/%s", exchange->sandbox->host, repo->name));
    json_set_int(item, "createdAt", repo->created_ms / 1000);
    json_set_str(item, "imageTagMutability", repo->is_immutable ? "IMMUTABLE" : "MUTABLE");
    struct json *scanning = json_make_object();
    json_set_bool(scanning, "scanOnPush", repo->scans_on_push);
    json_set(item, "imageScanningConfiguration", scanning);
    return item;
}

static void
no_repository(struct aws_exchange *exchange, const char *name)
{
    sandbox_aws_json_problem(exchange->response, "RepositoryNotFoundException",
        "The repository with name '%s' does not exist in the registry with id '%s'",
        name != NULL ? name : "", sandbox_aws_account(exchange->sandbox));
}

static void
describe_repositories(struct aws_exchange *exchange)
{
    struct registry_state *registry = exchange->sandbox->registry;
    const struct json *names = json_get(exchange->body, "repositoryNames");
    struct json *list = json_make_array(), *body = json_make_object();
    json_set(body, "repositories", list);
    for (size_t i = 0; names == NULL && i < registry->repo_count; i++) {
        json_append(list, repository_json(exchange, registry->repos[i]));
    }
    for (size_t i = 0; i < json_count(names); i++) {
        const char *name = json_str(json_at(names, i));
        const struct registry_repo *repo =
            name != NULL ? sandbox_registry_find(registry, name) : NULL;
        if (repo == NULL) {
            json_free(body);
            no_repository(exchange, name);
            return;
        }
        json_append(list, repository_json(exchange, repo));
    }
    sandbox_reply_json(exchange->response, 200, body);
}

static void
create_repository(struct aws_exchange *exchange)
{
    struct registry_state *registry = exchange->sandbox->registry;
    const char *name = json_str(json_get(exchange->body, "repositoryName"));
    static const char legal[] = "abcdefghijklmnopqrstuvwxyz0123456789._-/";
    if (name == NULL || strlen(name) < 2 || strspn(name, legal) != strlen(name)) {
        sandbox_aws_json_problem(exchange->response, "InvalidParameterException",
            "Invalid parameter at 'repositoryName' failed to satisfy constraint");
        return;
    }
    const char *mutability = json_str(json_get(exchange->body, "imageTagMutability"));
    if (mutability != NULL && !cstr_equal(mutability, "IMMUTABLE") &&
        !cstr_equal(mutability, "MUTABLE")) {
        sandbox_aws_json_problem(exchange->response, "InvalidParameterException",
            "Invalid parameter at 'imageTagMutability' failed to satisfy constraint");
        return;
    }
    if (sandbox_registry_find(registry, name) != NULL) {
        sandbox_aws_json_problem(exchange->response, "RepositoryAlreadyExistsException",
            "The repository with name '%s' already exists in the registry with id '%s'", name,
            sandbox_aws_account(exchange->sandbox));
        return;
    }
    struct registry_repo *repo = sandbox_registry_create(exchange->sandbox, name);
    repo->is_immutable = cstr_equal(mutability, "IMMUTABLE");
    repo->scans_on_push =
        json_bool(json_path(exchange->body, "imageScanningConfiguration.scanOnPush"), false);
    struct json *body = json_make_object();
    json_set(body, "repository", repository_json(exchange, repo));
    sandbox_reply_json(exchange->response, 200, body);
}

struct tags_of {
    const char *digest;
    struct json *tags;
};

static void
take_tag(void *ctx, const char *key, const struct json *value)
{
    struct tags_of *of = ctx;
    if (cstr_equal(json_str(value), of->digest)) {
        json_append(of->tags, json_make_string(key));
    }
}

static struct json *
image_json(
    const struct aws_exchange *exchange, const struct registry_repo *repo, const char *digest)
{
    const struct json *manifest = json_get(repo->manifests, digest);
    struct tags_of of = {.digest = digest, .tags = json_make_array()};
    struct json *item = json_make_object();
    json_each(repo->tags, take_tag, &of);
    json_set_str(item, "registryId", sandbox_aws_account(exchange->sandbox));
    json_set_str(item, "repositoryName", repo->name);
    json_set_str(item, "imageDigest", digest);
    json_set(item, "imageTags", of.tags);
    json_set_int(item, "imageSizeInBytes", json_int(json_get(manifest, "content_size"), 0));
    json_set_int(item, "imagePushedAt", json_int(json_get(manifest, "pushed_ms"), 0) / 1000);
    json_set_str(item, "imageManifestMediaType", json_str(json_get(manifest, "type")));
    return item;
}

const char *
sandbox_ecr_digest(const struct registry_repo *repo, const struct json *id)
{
    const char *digest = json_str(json_get(id, "imageDigest"));
    const char *tag = json_str(json_get(id, "imageTag"));
    const char *reference = digest != NULL ? digest : tag;
    return reference != NULL ? sandbox_registry_resolve(repo, reference) : NULL;
}

struct image_list {
    const struct aws_exchange *exchange;
    const struct registry_repo *repo;
    struct json *items;
};

static void
take_image(void *ctx, const char *key, const struct json *value)
{
    struct image_list *list = ctx;
    (void)value;
    json_append(list->items, image_json(list->exchange, list->repo, key));
}

struct registry_repo *
sandbox_ecr_repository(struct aws_exchange *exchange)
{
    const char *name = json_str(json_get(exchange->body, "repositoryName"));
    struct registry_repo *repo =
        name != NULL ? sandbox_registry_find(exchange->sandbox->registry, name) : NULL;
    if (repo == NULL) {
        no_repository(exchange, name);
    }
    return repo;
}

void
sandbox_ecr_no_image(
    struct aws_exchange *exchange, const struct registry_repo *repo, const struct json *image_id)
{
    const char *tag = json_str(json_get(image_id, "imageTag"));
    const char *digest = json_str(json_get(image_id, "imageDigest"));
    sandbox_aws_json_problem(exchange->response, "ImageNotFoundException",
        "The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the "
        "repository with name '%s' in the registry with id '%s'",
        digest != NULL ? digest : "null", tag != NULL ? tag : "null", repo->name,
        sandbox_aws_account(exchange->sandbox));
}

static void
describe_images(struct aws_exchange *exchange)
{
    const struct registry_repo *repo = sandbox_ecr_repository(exchange);
    const struct json *ids = json_get(exchange->body, "imageIds");
    if (repo == NULL) {
        return;
    }
    struct image_list list = {.exchange = exchange, .repo = repo, .items = json_make_array()};
    struct json *body = json_make_object();
    json_set(body, "imageDetails", list.items);
    if (ids == NULL) {
        json_each(repo->manifests, take_image, &list);
    }
    for (size_t i = 0; i < json_count(ids); i++) {
        const char *digest = sandbox_ecr_digest(repo, json_at(ids, i));
        if (digest == NULL) {
            json_free(body);
            sandbox_ecr_no_image(exchange, repo, json_at(ids, i));
            return;
        }
        json_append(list.items, image_json(exchange, repo, digest));
    }
    sandbox_reply_json(exchange->response, 200, body);
}

static struct json *
failure_json(const struct json *id)
{
    struct json *failure = json_make_object();
    json_set(failure, "imageId", json_clone(id));
    json_set_str(failure, "failureCode", "ImageNotFound");
    json_set_str(failure, "failureReason", "Requested image not found");
    return failure;
}

static void
batch_get_image(struct aws_exchange *exchange)
{
    const struct registry_repo *repo = sandbox_ecr_repository(exchange);
    const struct json *ids = json_get(exchange->body, "imageIds");
    if (repo == NULL) {
        return;
    }
    struct json *images = json_make_array(), *failures = json_make_array();
    for (size_t i = 0; i < json_count(ids); i++) {
        const struct json *id = json_at(ids, i);
        const char *digest = sandbox_ecr_digest(repo, id);
        struct buf bytes CLEANUP(buf_done) = BUF_INIT(MANIFEST_MAX);
        char *path CLEANUP(xfreep) =
            digest != NULL ? sandbox_registry_file(exchange->sandbox->registry, digest) : NULL;
        struct error *err CLEANUP(error_freep) =
            path != NULL ? file_read(path, &bytes, NULL) : NULL;
        if (path == NULL || err != NULL) {
            json_append(failures, failure_json(id));
            continue;
        }
        struct json *image = json_make_object(), *image_id = json_clone(id);
        json_set_str(image_id, "imageDigest", digest);
        json_set_str(image, "registryId", sandbox_aws_account(exchange->sandbox));
        json_set_str(image, "repositoryName", repo->name);
        json_set(image, "imageId", image_id);
        json_set_str(image, "imageManifest", buf_cstr(&bytes));
        json_set_str(image, "imageManifestMediaType",
            json_str(json_get(json_get(repo->manifests, digest), "type")));
        json_append(images, image);
    }
    struct json *body = json_make_object();
    json_set(body, "images", images);
    json_set(body, "failures", failures);
    sandbox_reply_json(exchange->response, 200, body);
}

// BLOB_MOUNTING: whether a POST with mount= may spare the upload.
static void
put_account_setting(struct aws_exchange *exchange)
{
    const char *name = json_str(json_get(exchange->body, "name"));
    const char *value = json_str(json_get(exchange->body, "value"));
    bool enabled = cstr_equal(value, "ENABLED");
    if (!cstr_equal(name, "BLOB_MOUNTING") || (!enabled && !cstr_equal(value, "DISABLED"))) {
        sandbox_aws_json_problem(exchange->response, "InvalidParameterException",
            "the sandbox knows BLOB_MOUNTING, ENABLED or DISABLED");
        return;
    }
    exchange->sandbox->registry->mounts = enabled;
    sandbox_reply_json(exchange->response, 200, json_clone(exchange->body));
}

void
sandbox_ecr_handle(struct aws_exchange *exchange)
{
    static const struct aws_operation operations[] = {
        {"GetAuthorizationToken", authorization_token},
        {"DescribeRepositories", describe_repositories},
        {"CreateRepository", create_repository},
        {"DescribeImages", describe_images},
        {"BatchGetImage", batch_get_image},
        {"StartImageScan", sandbox_ecr_start_scan},
        {"DescribeImageScanFindings", sandbox_ecr_scan_findings},
        {"PutAccountSetting", put_account_setting},
    };
    sandbox_aws_run(exchange, operations, ARRAY_LENGTH(operations));
}
