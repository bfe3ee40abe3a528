// Where a service is: the vendor's endpoint rules as two tables (partitions and services), and the
// overrides by environment and profile (SDK Reference Guide, "Service-specific endpoints"). Opens
// no connection. Regions that only exist as names ("aws-global", "fips-us-east-1") are not known
// here.
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"

struct partition {
    const char *prefix; // of the region, with its hyphen; NULL: any
    const char *suffix, *dual_suffix;
};

// botocore data/partitions.json. The longer prefixes come first; a region of no known partition
// is taken to be in "aws", as the rules do.
static const struct partition partitions[] = {
    {"us-gov-", "amazonaws.com", "api.aws"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {NULL, "amazonaws.com", "api.aws"},
};

struct service {
    const char *name;
    const char *variable; // after AWS_ENDPOINT_URL_; in lower case the key of a 'services' block
    const char *host, *host_fips, *host_dual, *host_fips_dual; // _dual NULL: the same names
    bool gov_fips_is_plain; // us-gov: the normal endpoint is the FIPS one
};

static const struct service services[] = {
    {"ssm", "SSM", "ssm", "ssm-fips", "ssm", "ssm-fips", true},
    {"sts", "STS", "sts", "sts-fips", "sts", "sts-fips", true},
    {"ecr", "ECR", "api.ecr", "api.ecr-fips", "ecr", "ecr-fips", false},
    {"ecs", "ECS", "ecs", "ecs-fips", "ecs", "ecs-fips", false},
    {"apprunner", "APPRUNNER", "apprunner", "apprunner-fips", "apprunner", "apprunner-fips", false},
    {"logs", "CLOUDWATCH_LOGS", "logs", "logs-fips", "logs", "logs-fips", true},
    {"sso", "SSO", "portal.sso", "portal.sso-fips", "portal.sso", "portal.sso-fips", true},
    {"secretsmanager", "SECRETS_MANAGER", "secretsmanager", "secretsmanager-fips", NULL, NULL,
        false},
};

// IAM has one endpoint a partition, and requests to it are signed for the region that it is in.
struct global {
    const char *prefix; // of the region, as in `partitions`; NULL: any
    const char *region, *region_fips;
    const char *host, *host_fips, *host_dual, *host_fips_dual;
};

static const struct global iam_places[] = {
    {"us-gov-", "us-gov-west-1", "us-gov-west-1", "iam.us-gov", "iam.us-gov", "iam.us-gov",
        "iam.us-gov"},
    {"us-iso-", "us-iso-east-1", "us-iso-east-1", "iam.us-iso-east-1", "iam-fips.us-iso-east-1",
        "iam", "iam-fips"},
    {"us-isob-", "us-isob-east-1", "us-isob-east-1", "iam.us-isob-east-1",
        "iam-fips.us-isob-east-1", "iam", "iam-fips"},
    {"us-isof-", "us-isof-south-1", "us-isof-south-1", "iam.us-isof-south-1", "iam-fips", "iam",
        "iam-fips"},
    {"eu-isoe-", "eu-isoe-west-1", "eu-isoe-west-1", "iam.eu-isoe-west-1", "iam-fips", "iam",
        "iam-fips"},
    {"eusc-", "eusc-de-east-1", "eusc-de-east-1", "iam.eusc-de-east-1", "iam-fips", "iam",
        "iam-fips"},
    {"cn-", "cn-north-1", "cn-northwest-1", "iam.cn-north-1", "iam-fips", "iam.global", "iam-fips"},
    {NULL, "us-east-1", "us-east-1", "iam", "iam-fips", "iam.global", "iam-fips.global"},
};

static const struct service iam = {.name = "iam", .variable = "IAM"};

static const struct global *
find_global(const char *region)
{
    const struct global *at = iam_places;
    while (at->prefix != NULL && strncmp(region, at->prefix, strlen(at->prefix)) != 0) {
        at++;
    }
    return at;
}

static const struct service *
find_service(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(services); i++) {
        if (strcmp(services[i].name, name) == 0) {
            return &services[i];
        }
    }
    return strcmp(name, iam.name) == 0 ? &iam : NULL;
}

static const struct partition *
find_partition(const char *region)
{
    const struct partition *at = partitions;
    while (at->prefix != NULL && strncmp(region, at->prefix, strlen(at->prefix)) != 0) {
        at++;
    }
    return at;
}

// The region becomes part of a host name, so it has to be one label (RFC 1123 §2.1).
struct error *
aws_region_check(const char *region, const char *source)
{
    size_t len = strlen(region);
    bool good = len > 0 && len <= 63 && region[0] != '-' && region[len - 1] != '-' &&
                strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
    if (good) {
        return NULL;
    }
    struct error *err =
        error_new(ERROR_INPUT, "'%.100s' (from %s) is not an AWS region", region, source);
    return error_hint(err, "A region reads like 'us-east-1'.");
}

static const char *
service_section_url(const struct aws_session *session, const struct service *service)
{
    const char *section = aws_profile_get(session, session->profile, "services");
    if (section == NULL) {
        return NULL;
    }
    return aws_ini_get(
        session->config, AWS_SECTION_SERVICES, section, service->variable, "endpoint_url");
}

/// The configured URL and where it stands, or NULL.
static const char *
override_of(const struct aws_session *session, const struct service *service, const char **source)
{
    if (aws_flag(
            session, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls")) {
        return NULL;
    }
    char *variable CLEANUP(xfreep) = xasprintf("AWS_ENDPOINT_URL_%s", service->variable);
    const struct {
        const char *value, *source;
    } places[] = {
        {env_get(session->platform, variable), "AWS_ENDPOINT_URL_<SERVICE>"},
        {env_get(session->platform, "AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL"},
        {service_section_url(session, service), "the profile's 'services' section"},
        {aws_profile_get(session, session->profile, "endpoint_url"),
            "the profile's 'endpoint_url'"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        if (places[i].value != NULL) {
            *source = places[i].source;
            return places[i].value;
        }
    }
    return NULL;
}

static struct error *
use_override(const char *text, const char *source, char **out)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err = url_parse(text, &url);
    if (err == NULL && (url.has_user || url.query != NULL)) {
        err = error_new(ERROR_INPUT, "user information and a query have no place in it");
    }
    if (err != NULL) {
        return error_wrap(
            err, "AWS endpoint from %s", source); // not quoted: it may hold a password
    }
    struct str base = str_of(text);
    while (str_ends(base, STR("/"))) {
        base.len--;
    }
    *out = str_dup(base);
    return NULL;
}

static struct error *
both_error(const char *source, bool fips)
{
    struct error *err = error_new(ERROR_INPUT, "%s cannot be combined with %s endpoints", source,
        fips ? "FIPS" : "dual-stack");
    return error_hint(err, "Unset one of the two: the endpoint URL or %s.",
        fips ? "AWS_USE_FIPS_ENDPOINT" : "AWS_USE_DUALSTACK_ENDPOINT");
}

// Secrets Manager's normal names have both stacks in "aws" and "aws-us-gov", and in China but for
// FIPS; elsewhere only the suffix differs.
static bool
has_both_stacks(const struct service *service, const struct partition *partition, bool fips)
{
    bool china = cstr_equal(partition->prefix, "cn-");
    return service->host_dual == NULL &&
           (strcmp(partition->dual_suffix, "api.aws") == 0 || (china && !fips));
}

static char *
global_url(const char *region, bool fips, bool dual)
{
    const struct global *place = find_global(region);
    const struct partition *partition = find_partition(region);
    const char *host = fips && dual ? place->host_fips_dual
                       : fips       ? place->host_fips
                       : dual       ? place->host_dual
                                    : place->host;
    return xasprintf("https://%s.%s", host, dual ? partition->dual_suffix : partition->suffix);
}

static char *
standard_url(const struct service *service, const char *region, bool fips, bool dual)
{
    if (service == &iam) {
        return global_url(region, fips, dual);
    }
    const struct partition *partition = find_partition(region);
    bool gov = partition->prefix != NULL && strcmp(partition->prefix, "us-gov-") == 0;
    bool own_names = dual && service->host_dual != NULL;
    const char *host = fips && own_names ? service->host_fips_dual
                       : fips            ? service->host_fips
                       : own_names       ? service->host_dual
                                         : service->host;
    if (fips && !dual && gov && service->gov_fips_is_plain) {
        host = service->host;
    }
    bool dual_suffix = dual && !has_both_stacks(service, partition, fips);
    return xasprintf(
        "https://%s.%s.%s", host, region, dual_suffix ? partition->dual_suffix : partition->suffix);
}

char *
aws_endpoint_public(const char *service_name, const char *region)
{
    const struct service *service = find_service(service_name);
    BUG_ON(service == NULL);
    return standard_url(service, region, false, false);
}

struct error *
aws_endpoint_in(
    struct aws_session *session, const char *service_name, const char *region, char **out)
{
    const struct service *service = find_service(service_name);
    BUG_ON(service == NULL);
    bool fips = aws_flag(session, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
    bool dual = aws_flag(session, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
    const char *source = NULL;
    const char *override = override_of(session, service, &source);
    if (override != NULL && (fips || dual)) {
        return both_error(source, fips);
    }
    if (override != NULL) {
        return use_override(override, source, out);
    }
    *out = standard_url(service, region, fips, dual);
    return NULL;
}

const char *
aws_signing_region(const struct aws_session *session, const char *service_name, const char *region)
{
    if (strcmp(service_name, iam.name) != 0) {
        return region;
    }
    const struct global *place = find_global(region);
    return aws_flag(session, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint") ? place->region_fips
                                                                           : place->region;
}

struct error *
aws_endpoint(struct aws_session *session, const char *service, char **out)
{
    const char *region = NULL;
    TRY(aws_region(session, &region));
    return aws_endpoint_in(session, service, region, out);
}
