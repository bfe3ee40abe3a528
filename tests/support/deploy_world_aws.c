// ECR's own API and STS of the world, as much as a deployment asks of them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_world.h"

static void
describe_image(const struct world *world, struct world_reply *reply)
{
    if (world->no_repository || world->digest == NULL) {
        reply->status = 400;
        buf_printf(&reply->body, "{\"__type\":\"%s\",\"message\":\"it is not there\"}",
            world->no_repository ? "RepositoryNotFoundException" : "ImageNotFoundException");
        return;
    }
    buf_printf(&reply->body, "{\"imageDetails\":[{\"imageDigest\":\"%s\"}]}", world->digest);
}

static void
refuse(struct world_reply *reply, const char *code)
{
    reply->status = 400;
    buf_printf(&reply->body, "{\"__type\":\"%s\",\"message\":\"refused\"}", code);
}

static void
describe_scan(struct world *world, struct world_reply *reply)
{
    const char *const *scans = world->scans;
    size_t last = 0;
    assert_non_null(scans);
    while (scans[last + 1] != NULL) {
        last++;
    }
    const char *body = scans[world->scan_looks < last ? world->scan_looks : last];
    world->scan_looks++;
    if (body[0] == '\0') {
        refuse(reply, "ScanNotFoundException");
    } else {
        buf_puts(&reply->body, body);
    }
}

static void
start_scan(struct world *world, struct world_reply *reply)
{
    if (world->start_scan != NULL) {
        refuse(reply, world->start_scan);
        return;
    }
    world_effect(world, "start scan\n");
    buf_puts(&reply->body, "{\"imageScanStatus\":{\"status\":\"IN_PROGRESS\"}}");
}

static void
create_repository(struct world *world, const char *body, struct world_reply *reply)
{
    bool scans = strstr(body, "\"scanOnPush\":true") != NULL;
    world->no_repository = false;
    world_effect(world, "create repository%s\n", scans ? " that scans" : "");
    buf_puts(&reply->body, "{\"repository\":{}}");
}

void
world_aws(struct world *world, const char *operation, const char *body, struct world_reply *reply)
{
    reply->status = 200;
    if (strcmp(operation, "DescribeImages") == 0) {
        describe_image(world, reply);
    } else if (strcmp(operation, "CreateRepository") == 0) {
        create_repository(world, body, reply);
    } else if (strcmp(operation, "DescribeImageScanFindings") == 0) {
        describe_scan(world, reply);
    } else if (strcmp(operation, "StartImageScan") == 0) {
        start_scan(world, reply);
    } else if (strcmp(operation, "GetAuthorizationToken") == 0) { // "AWS:ecr-password-0123"
        buf_printf(&reply->body, "{\"authorizationData\":[{\"authorizationToken\":\"%s\"}]}",
            world->logins++ == 0 ? "QVdTOmVjci1wYXNzd29yZC0wMTIz" : "QVdTOmVjci1wYXNzd29yZC0wMTI0");
    } else {
        assert_string_equal(operation, "GetCallerIdentity");
        buf_puts(&reply->body,
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::012345678901:"
            "user/deployer</Arn><UserId>U</UserId><Account>012345678901</Account>"
            "</GetCallerIdentityResult></GetCallerIdentityResponse>");
    }
}
