// IAM's query protocol, GetRole only, and what a trust policy says about a service (IAM user guide,
// "IAM JSON policy element reference"). Evaluates no condition.
#include "dispatcher/iam.h"

#include <ctype.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"

enum {
    FORM_MAX = 4 * 1024,
    ROLE_NAME_MAX = 64,
    TRUST_MAX = 32 * 1024, // IAM's own limit is 4096 characters
    TRUST_DEPTH_MAX = 16,
};

// --- one role ----------------------------------------------------------------------------------

// "arn:aws:iam::012345678901:role/path/name" or "name": the name; an empty view for anything else.
static struct str
name_of(const char *role)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-";
    struct str name = str_of(role);
    if (str_starts(name, STR("arn:"))) {
        const char *at = strstr(role, ":role/");
        name = str_of(at != NULL ? strrchr(at, '/') + 1 : NULL);
    }
    bool good = name.len > 0 && name.len <= ROLE_NAME_MAX && strspn(name.ptr, legal) == name.len;
    return good ? name : (struct str){0};
}

static int
hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = digit != '\0' ? strchr(digits, digit | 0x20) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

// RFC 3986 §2.1; a '+' is a plus.
static struct error *
decode_document(struct str text, struct buf *out)
{
    while (text.len > 0) {
        char byte = text.ptr[0];
        size_t used = 1;
        if (byte == '%') {
            int high = text.len > 2 ? hex_value(text.ptr[1]) : -1;
            int low = text.len > 2 ? hex_value(text.ptr[2]) : -1;
            if (high < 0 || low < 0 || high + low == 0) {
                return error_new(
                    ERROR_UNAVAILABLE, "unusable answer: the trust policy is not percent-encoded");
            }
            byte = (char)(high << 4 | low);
            used = 3;
        }
        buf_putc(out, byte);
        text = str_skip(text, used);
    }
    return buf_finish(out, "trust policy");
}

static struct error *
parse_trust(struct str text, struct json **out)
{
    const struct json_limits limits = {.max_bytes = TRUST_MAX, .max_depth = TRUST_DEPTH_MAX};
    return json_parse(text, &limits, out);
}

static struct error *
read_text(
    const struct http_response *response, const char *member, struct arena *arena, const char **out)
{
    char *path CLEANUP(xfreep) = xasprintf("GetRoleResponse/GetRoleResult/Role/%s", member);
    char *text CLEANUP(xfreep) = NULL;
    TRY(aws_xml_text(buf_str(&response->body), path, &text));
    struct str value = str_trim(str_of(text));
    if (value.len == 0) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: no '%s' in it", path);
    }
    *out = arena_str(arena, value);
    return NULL;
}

static struct error *
read_role(const struct http_response *response, struct arena *arena, struct iam_role *out)
{
    struct iam_role role = {0};
    struct buf plain CLEANUP(buf_done) = BUF_INIT(TRUST_MAX);
    struct json *trust CLEANUP(json_freep) = NULL;
    const char *encoded = NULL;
    TRY(read_text(response, "Arn", arena, &role.arn));
    TRY(read_text(response, "RoleName", arena, &role.name));
    TRY(read_text(response, "Path", arena, &role.path));
    TRY(read_text(response, "AssumeRolePolicyDocument", arena, &encoded));
    TRY(decode_document(str_of(encoded), &plain));
    struct error *err = parse_trust(buf_str(&plain), &trust);
    if (err != NULL) {
        return error_wrap(err, "trust policy");
    }
    if (!json_is_object(trust)) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: the trust policy is not an object");
    }
    role.trust_json = arena_str(arena, buf_str(&plain));
    *out = role;
    return NULL;
}

static struct error *
get_role(struct aws_session *session, struct str name, struct arena *arena, struct iam_role *out)
{
    struct buf form CLEANUP(buf_done) = BUF_INIT(FORM_MAX);
    buf_puts(&form, "Action=GetRole&Version=2010-05-08&RoleName=");
    url_encode(name, "", &form);
    TRY(buf_finish(&form, "IAM request"));
    const struct aws_request request = {
        .service = "iam",
        .operation = "GetRole",
        .content_type = "application/x-www-form-urlencoded; charset=utf-8",
        .body = buf_str(&form),
        .read = true,
    };
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(aws_send(session, &request, &response));
    struct error *err = read_role(&response, arena, out);
    return err != NULL ? error_wrap(err, "iam GetRole") : NULL;
}

struct error *
iam_role_get(
    struct aws_session *session, const char *role, struct arena *arena, struct iam_role *out)
{
    struct str name = name_of(role);
    *out = (struct iam_role){0};
    if (name.len == 0) {
        return error_hint(
            error_new(ERROR_SPEC, "'%.200s' is neither the name nor the ARN of a role", role),
            "An ARN reads like 'arn:aws:iam::012345678901:role/name'.");
    }
    struct error *err = get_role(session, name, arena, out);
    if (aws_has_code(err, "NoSuchEntity")) {
        error_free(err);
        return NULL;
    }
    return err != NULL ? error_wrap(err, "look for role '%.200s'", role) : NULL;
}

// --- whom it trusts ----------------------------------------------------------------------------

// "*" any text, "?" any byte; the case of actions does not matter. Linear but for the last star.
static bool
action_matches(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == '?' ||
                   tolower((unsigned char)*pattern) == tolower((unsigned char)*text)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

static bool
is_service(const char *name, const char *service)
{
    return strcmp(name, "*") == 0 || strcmp(name, service) == 0;
}

// A text, or a list with such a text in it.
static bool
holds(
    const struct json *value, bool (*matches)(const char *item, const char *text), const char *text)
{
    const char *one = json_str(value);
    bool found = one != NULL && matches(one, text);
    for (size_t i = 0; json_is_array(value) && i < json_count(value) && !found; i++) {
        const char *item = json_str(json_at(value, i));
        found = item != NULL && matches(item, text);
    }
    return found;
}

// "*" and {"AWS": "*"} both mean everybody.
static bool
names_service(const struct json *principal, const char *service)
{
    if (json_str(principal) != NULL) {
        return strcmp(json_str(principal), "*") == 0;
    }
    return holds(json_get(principal, "Service"), is_service, service) ||
           holds(json_get(principal, "AWS"), is_service, "*");
}

static bool
is_about(const struct json *statement, const char *service)
{
    static const char action[] = "sts:AssumeRole";
    const struct json *principal = json_get(statement, "Principal");
    const struct json *others = json_get(statement, "NotPrincipal");
    const struct json *actions = json_get(statement, "Action");
    const struct json *not_actions = json_get(statement, "NotAction");
    bool is_named = principal != NULL ? names_service(principal, service)
                                      : others != NULL && !names_service(others, service);
    bool is_assumed = actions != NULL
                          ? holds(actions, action_matches, action)
                          : not_actions != NULL && !holds(not_actions, action_matches, action);
    return is_named && is_assumed;
}

struct verdict {
    bool allowed, allowed_if, denied, denied_if;
};

static void
weigh(struct verdict *verdict, const struct json *statement, const char *service)
{
    const char *effect = json_str(json_get(statement, "Effect"));
    const struct json *condition = json_get(statement, "Condition");
    bool is_free =
        json_is_null(condition) || (json_is_object(condition) && json_count(condition) == 0);
    if (effect == NULL || !is_about(statement, service)) {
        return;
    }
    if (strcmp(effect, "Allow") == 0) {
        *(is_free ? &verdict->allowed : &verdict->allowed_if) = true;
    } else if (strcmp(effect, "Deny") == 0) {
        *(is_free ? &verdict->denied : &verdict->denied_if) = true;
    }
}

enum iam_trust
iam_trusts(const char *trust_json, const char *service)
{
    struct json *document CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) = parse_trust(str_of(trust_json), &document);
    struct verdict verdict = {0};
    if (err != NULL) {
        return IAM_TRUST_NO;
    }
    const struct json *statements = json_get(document, "Statement");
    if (json_is_object(statements)) {
        weigh(&verdict, statements, service);
    }
    for (size_t i = 0; json_is_array(statements) && i < json_count(statements); i++) {
        weigh(&verdict, json_at(statements, i), service);
    }
    if (verdict.denied || (!verdict.allowed && !verdict.allowed_if)) {
        return IAM_TRUST_NO;
    }
    return verdict.allowed && !verdict.denied_if ? IAM_TRUST_YES : IAM_TRUST_CONDITIONAL;
}
