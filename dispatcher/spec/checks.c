// The forms of single values: NULL when fine, else what they must be. Pure; each is the twin of a
// `pattern` in the tables, and tests/unit/spec compares the two over a corpus.
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/url.h"
#include "spec_internal.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

// Is `text` made of 1 to `max` bytes of `set` only?
static bool
only(const char *text, const char *set, size_t max)
{
    size_t len = strlen(text);
    return len > 0 && len <= max && strspn(text, set) == len;
}

static bool
starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool
ends(const char *text, const char *suffix)
{
    return str_ends(str_of(text), str_of(suffix));
}

// No control characters, no blanks: fit for a path, a URL or a log line.
static bool
is_visible(const char *text, size_t max)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f) {
            return false;
        }
    }
    return len > 0 && len <= max;
}

const char *
check_name(const char *value)
{
    return name_is_valid(str_of(value)) ? NULL
                                        : "must be 1 to 63 lower-case letters, digits and '-', "
                                          "starting and ending with a letter or digit";
}

const char *
check_repo(const char *value)
{
    return repository_name_is_valid(str_of(value)) ? NULL : "must be 'owner/repository'";
}

// Registry, path, no tag, no digest: the last segment has no ':', the whole no '@'.
const char *
check_image(const char *value)
{
    const char *last = strrchr(value, '/');
    last = last != NULL ? last + 1 : value;
    bool fine = only(value, LOWER UPPER DIGITS "._:/-", 512) && strchr(last, ':') == NULL &&
                *last != '\0' && value[0] != '/' && strstr(value, "..") == NULL;
    return fine ? NULL : "must be an image without tag or digest, like registry/team/app";
}

const char *
check_tag(const char *value)
{
    return tag_is_valid(str_of(value))
               ? NULL
               : "must be an image tag: letters, digits, '_', '.', '-', 128 at most";
}

static bool
has_parent_segment(const char *value)
{
    struct str rest = str_of(value), segment = {0};
    while (str_cut(rest, '/', &segment, &rest)) {
        if (str_equal(segment, STR(".."))) {
            return true;
        }
    }
    return false;
}

const char *
check_path(const char *value)
{
    size_t len = strlen(value);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)value[i] < ' ' || value[i] == 0x7f) {
            return "must be a path without control characters";
        }
    }
    return len > 0 && len <= 1024 ? NULL : "must be a path of 1 to 1024 bytes";
}

// What leads out of the work tree is found out where there is one (build/).
const char *
check_context(const char *value)
{
    return value[0] == '/' ? "must be a path in the repository: relative" : check_path(value);
}

const char *
check_relative_path(const char *value)
{
    if (value[0] == '/' || has_parent_segment(value)) {
        return "must be a path inside the repository: relative, without '..'";
    }
    return check_path(value);
}

const char *
check_absolute_path(const char *value)
{
    return value[0] == '/' && is_visible(value, 1024) ? NULL
                                                      : "must be a path that starts with '/'";
}

const char *
check_arn(const char *value)
{
    return starts(value, "arn:") && is_visible(value, 2048) && strchr(value + 4, ':') != NULL
               ? NULL
               : "must be an ARN, like arn:aws:iam::012345678901:role/name";
}

// "arn:aws:secretsmanager:…" or "arn:aws-cn:ssm:…"; region and account may be placeholders.
const char *
check_secret_arn(const char *value)
{
    static const char *const services[] = {":secretsmanager:", ":ssm:"};
    size_t partition =
        starts(value, "arn:") && is_visible(value, 2048) ? strspn(value + 4, LOWER "-") : 0;
    for (size_t i = 0; partition > 0 && i < ARRAY_LENGTH(services); i++) {
        const char *service = value + 4 + partition;
        if (starts(service, services[i]) && strchr(service + strlen(services[i]), ':') != NULL) {
            return NULL;
        }
    }
    return "must be the ARN of a Secrets Manager secret or of an SSM parameter";
}

// App Runner takes no line ends in BuildCommand and StartCommand.
const char *
check_command(const char *value)
{
    size_t len = strlen(value);
    return len > 0 && len <= 4096 && strpbrk(value, "\r\n") == NULL
               ? NULL
               : "must be one line of 1 to 4096 bytes";
}

const char *
check_output_name(const char *value)
{
    bool fine = only(value, LOWER UPPER DIGITS "_.-", 255) && strchr(DIGITS ".-", value[0]) == NULL;
    return fine ? NULL : "must be the name of an output: letters, digits, '_' and '-'";
}

const char *
check_env_name(const char *value)
{
    bool fine = only(value, LOWER UPPER DIGITS "_", 255) && strchr(DIGITS, value[0]) == NULL;
    return fine ? NULL : "must be letters, digits and '_', not starting with a digit";
}

const char *
check_key_name(const char *value)
{
    return only(value, LOWER UPPER DIGITS "_-", 128) ? NULL
                                                     : "must be letters, digits, '_' and '-'";
}

const char *
check_account(const char *value)
{
    return only(value, DIGITS, 12) && strlen(value) == 12 ? NULL : "must be 12 digits";
}

const char *
check_region(const char *value)
{
    bool fine = only(value, LOWER DIGITS "-", 32) && strchr(LOWER, value[0]) != NULL &&
                strchr(DIGITS, value[strlen(value) - 1]) != NULL && strchr(value, '-') != NULL;
    return fine ? NULL : "must be an AWS region, like eu-central-1";
}

bool
spec_host_is_loopback(struct str host)
{
    char *text CLEANUP(xfreep) = xasprintf("http://%.*s/", STR_FMT(host));
    struct url url CLEANUP(url_done) = {0};
    struct error *err CLEANUP(error_freep) = url_parse(text, &url);
    return err == NULL && url_host_is_loopback(url.host);
}

// Host part of an absolute URL; empty when there is none. User information is not allowed.
static struct str
url_host(const char *value, const char *scheme)
{
    if (!starts(value, scheme) || !is_visible(value, 2048)) {
        return (struct str){0};
    }
    const char *host = value + strlen(scheme);
    struct str out = {host, strcspn(host, "/?#")};
    return memchr(host, '@', out.len) != NULL ? (struct str){0} : out;
}

const char *
check_url(const char *value)
{
    if (url_host(value, "https://").len > 0) {
        return NULL;
    }
    struct str host = url_host(value, "http://");
    if (host.len > 0 && spec_host_is_loopback(host)) {
        return NULL;
    }
    return host.len > 0 ? "must be https (plain http only on loopback)"
                        : "must be an https URL without user name";
}

const char *
check_workflow_file(const char *value)
{
    bool fine = only(value, LOWER UPPER DIGITS "._-", 255) && value[0] != '.' &&
                (ends(value, ".yaml") || ends(value, ".yml"));
    return fine ? NULL : "must be the file name of a workflow, without directory: deploy-app.yaml";
}

const char *
check_workflow_path(const char *value)
{
    const char *directory = ".github/workflows/";
    return starts(value, directory) && check_workflow_file(value + strlen(directory)) == NULL
               ? NULL
               : "must be a workflow of the app repository: .github/workflows/deploy.yaml";
}

// What git check-ref-format refuses, and blanks.
static bool
is_ref_text(const char *value, bool pattern)
{
    size_t len = strlen(value);
    if (!is_visible(value, 256) || strpbrk(value, "~^:?[\\") != NULL ||
        (!pattern && strchr(value, '*') != NULL)) {
        return false;
    }
    return strstr(value, "..") == NULL && strstr(value, "//") == NULL &&
           strstr(value, "@{") == NULL && value[0] != '/' && value[len - 1] != '/' &&
           value[len - 1] != '.' && !ends(value, ".lock");
}

const char *
check_branch(const char *value)
{
    if (starts(value, "refs/")) {
        return "must be the bare name, without 'refs/heads/'";
    }
    return is_ref_text(value, false) && value[0] != '-' ? NULL : "must be a branch or tag name";
}

const char *
check_ref_pattern(const char *value)
{
    if (!starts(value, "refs/heads/") && !starts(value, "refs/tags/")) {
        return "must start with 'refs/heads/' or 'refs/tags/'";
    }
    if (strstr(value, "***") != NULL) {
        return "knows '*' (inside a segment) and '**' (across) only";
    }
    return is_ref_text(value, true) ? NULL
                                    : "must be a ref, with '*' or '**' as the only wildcards";
}

const char *
check_ref_to(const char *value)
{
    const char *at = strstr(value, "/.github/workflows/");
    bool fine = at != NULL && check_workflow_path(at + 1) == NULL &&
                repository_name_is_valid((struct str){value, (size_t)(at - value)});
    return fine ? NULL : "must be owner/repository/.github/workflows/file.yaml";
}

// "Fri 15:00": the length taken, or 0.
static size_t
weekday_time(const char *text)
{
    static const char *const days[] = {"Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "};
    bool day = false;
    for (size_t i = 0; i < ARRAY_LENGTH(days); i++) {
        day = day || starts(text, days[i]);
    }
    const char *clock = text + 4;
    if (!day || strspn(clock, DIGITS) != 2 || clock[2] != ':' || strspn(clock + 3, DIGITS) != 2) {
        return 0;
    }
    int hour = (clock[0] - '0') * 10 + clock[1] - '0';
    return hour < 24 && clock[3] < '6' ? 9 : 0;
}

const char *
check_window(const char *value)
{
    bool fine = weekday_time(value) > 0 && starts(value + 9, " - ") &&
                weekday_time(value + 12) > 0 && value[21] == '\0';
    if (!fine) {
        return "must be like 'Fri 15:00 - Mon 07:00'";
    }
    return strncmp(value, value + 12, 9) != 0
               ? NULL
               : "must begin and end at different times; to hold always is what locks are for";
}

const char *
check_timezone(const char *value)
{
    bool fine = only(value, LOWER UPPER DIGITS "_+/-", 64) && strstr(value, "//") == NULL &&
                value[0] != '/' && value[strlen(value) - 1] != '/';
    return fine ? NULL : "must be an IANA time zone, like America/New_York";
}

// Segments that are neither empty nor lead upwards; one slash at either end may stand.
static bool
is_vault_path(struct str path)
{
    struct str segment = {0};
    path = str_starts(path, STR("/")) ? str_skip(path, 1) : path;
    bool fine = path.len > 0;
    while (fine && str_cut(path, '/', &segment, &path)) {
        fine = segment.len > 0 && !str_equal(segment, STR(".")) && !str_equal(segment, STR(".."));
    }
    return fine;
}

const char *
check_vault_mount(const char *value)
{
    return is_visible(value, 256) && is_vault_path(str_of(value))
               ? NULL
               : "must be a path in Vault, like team/aws";
}

const char *
check_visible(const char *value)
{
    return is_visible(value, 256) ? NULL
                                  : "must be 1 to 256 bytes without blanks or control characters";
}

// Everything in front of the '#' is where, everything behind it is the key.
static bool
has_key(const char *value, struct str *place)
{
    struct str key = {0};
    return str_cut(str_of(value), '#', place, &key) && key.len > 0;
}

// KV version 2: "mount/data/path#key".
static bool
is_vault_reference(const char *value)
{
    struct str place = {0};
    if (!is_visible(value, 2048) || !has_key(value, &place) || value[0] == '/' ||
        str_ends(place, STR("/")) || !is_vault_path(place)) {
        return false;
    }
    return str_contains(place, STR("/data/"));
}

static bool
is_manager_reference(const char *value)
{
    struct str place = {0};
    if (!is_visible(value, 2048) || value[0] == '#') {
        return false;
    }
    return strchr(value, '#') == NULL || has_key(value, &place);
}

const char *
check_secret_ref(const char *value)
{
    bool fine = (starts(value, "env:") && check_env_name(value + 4) == NULL) ||
                (starts(value, "file:") && value[5] != '\0') ||
                (starts(value, "ssm:/") && is_visible(value + 5, 1011)) ||
                (starts(value, "secretsmanager:") && is_manager_reference(value + 15)) ||
                (starts(value, "vault:") && is_vault_reference(value + 6));
    return fine ? NULL : "must be a secret reference";
}

// What a builder on this machine can be given; the rest of the references are read elsewhere.
const char *
check_build_secret(const char *value)
{
    bool fine = (starts(value, "env:") && check_env_name(value + 4) == NULL) ||
                (starts(value, "file:") && check_path(value + 5) == NULL);
    return fine ? NULL : "must be 'env:VAR' or 'file:PATH'";
}

const char *
check_secret_id(const char *value)
{
    bool fine = only(value, LOWER UPPER DIGITS "._-", 64) && strchr(".-", value[0]) == NULL;
    return fine ? NULL
                : "must be 1 to 64 letters, digits, '_', '.' and '-', starting with none of the "
                  "last two";
}

const char *
check_platform(const char *value)
{
    struct str rest = str_of(value), part = {0};
    static const char *const sets[] = {LOWER DIGITS, LOWER DIGITS "_", LOWER DIGITS "."};
    size_t count = 0, len = strlen(value);
    bool fine = len > 0 && len <= 64 && value[len - 1] != '/';
    while (fine && str_cut(rest, '/', &part, &rest)) {
        fine =
            count < ARRAY_LENGTH(sets) && part.len > 0 && strspn(part.ptr, sets[count]) >= part.len;
        count++;
    }
    return fine && count >= 2 ? NULL : "must be one platform, like linux/amd64 or linux/arm/v7";
}

const char *
check_app_id(const char *value)
{
    return only(value, LOWER UPPER DIGITS ".", 64) ? NULL : "must be an App id or client id";
}

const char *
check_input_name(const char *value)
{
    bool fine = only(value, LOWER UPPER DIGITS "_-", 100) && strchr(DIGITS "-", value[0]) == NULL;
    return fine ? NULL : "must be letters, digits, '_' and '-', starting with a letter or '_'";
}

const char *
check_state_url(const char *value)
{
    bool fine = starts(value, "sqlite:") || starts(value, "postgresql://");
    return fine ? NULL : "must be sqlite:PATH or postgresql://…";
}

const char *
check_listen(const char *value)
{
    const char *colon = strrchr(value, ':');
    int64_t port = 0;
    bool fine = is_visible(value, 255) && colon != NULL && colon != value &&
                str_to_int64(str_of(colon + 1), &port) && port >= 0 && port <= 65535;
    return fine ? NULL : "must be host:port, like 127.0.0.1:8080";
}

const char *
check_domain(const char *value)
{
    bool fine = only(value, LOWER UPPER DIGITS ".-", 253) && value[0] != '.' && value[0] != '-' &&
                strstr(value, "..") == NULL;
    return fine ? NULL : "must be a DNS name: letters, digits, '-' and '.'";
}

// host[:port], optionally with a scheme (http on loopback only). No path: that is `repository`.
const char *
check_registry(const char *value)
{
    bool plain = starts(value, "http://");
    const char *host = plain ? value + 7 : starts(value, "https://") ? value + 8 : value;
    if (!only(host, LOWER UPPER DIGITS ".:-[]", 255) || host[0] == '.' || host[0] == '-') {
        return "must be the host of a registry, with port if needed, without path";
    }
    return plain && !spec_host_is_loopback(str_of(host))
               ? "must be https (plain http only on loopback)"
               : NULL;
}
