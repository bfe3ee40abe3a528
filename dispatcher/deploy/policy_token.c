// A token of GitHub Actions, checked and read (orchestrators.md §2.3, rule 1; protocols.md T04 to
// T07): signature, issuer, audience, times, and that every claim that is used is there and of its
// form. What the claims allow is policy_decide.c's; `jti` is spent where the request is written.
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "policy_internal.h"

enum {
    LEEWAY_S = 60,    // of clocks that differ
    LIFE_MAX_S = 900, // between iat and exp
    AGE_MAX_S = 600,
    CLAIM_MAX = 1024,
    JTI_MAX = 200,
    SHA1_HEX = 40,
    SHA256_HEX = 64,
};
static const int64_t latest_s = INT64_C(253402300799); // the year 9999: sums cannot overflow

struct reading {
    bool lenient; // claims that decide nothing may be missing
    const struct json *claims;
    struct arena *arena;
    struct policy_verdict *verdict;
};

static bool
refuse(struct reading *reading, enum reason_code code, const char *sentence)
{
    *reading->verdict = (struct policy_verdict){.code = code, .sentence = sentence};
    return false;
}

static bool
refuse_claim(struct reading *reading, const char *name, const char *what)
{
    return refuse(reading, REASON_TOKEN_CLAIMS,
        arena_printf(reading->arena, "claim '%s' of the token %s", name, what));
}

static bool
is_fit(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
            return false;
        }
    }
    return len <= CLAIM_MAX;
}

// An empty text is how GitHub writes that there is none.
static bool
read_text(struct reading *reading, const char *name, bool needed, const char **out)
{
    const struct json *value = json_get(reading->claims, name);
    const char *text = json_str(value);
    if (value != NULL && text == NULL) {
        return refuse_claim(reading, name, "is no text");
    }
    if (text == NULL || text[0] == '\0') {
        return needed ? refuse_claim(reading, name, "is missing") : true;
    }
    if (!is_fit(text)) {
        return refuse_claim(reading, name, "is too long or has control characters");
    }
    *out = arena_dup(reading->arena, text);
    return true;
}

// One spelling only: "0123", "+123" and " 123" are other texts, and so perhaps other things
// elsewhere.
static bool
to_id(const char *text, int64_t *out)
{
    size_t len = strlen(text);
    return len > 0 && strspn(text, "0123456789") == len && text[0] != '0' &&
           str_to_int64(str_of(text), out);
}

static bool
read_id(struct reading *reading, const char *name, bool needed, int64_t *out)
{
    const char *text = NULL;
    if (!read_text(reading, name, needed, &text)) {
        return false;
    }
    return text == NULL || to_id(text, out) ||
           refuse_claim(reading, name, "is no number in its plain form");
}

static bool
read_second(struct reading *reading, const char *name, bool needed, int64_t *out)
{
    const struct json *value = json_get(reading->claims, name);
    if (value == NULL) {
        return needed ? refuse_claim(reading, name, "is missing") : true;
    }
    int64_t second = json_int(value, -1);
    if (second < 0 || second > latest_s) {
        return refuse_claim(reading, name, "is no point in time");
    }
    *out = second;
    return true;
}

// RFC 7519 §4.1.1, §4.1.3: byte by byte; a list of audiences is one of exactly one.
static bool
check_parties(struct reading *reading, const struct policy_token_rules *rules)
{
    const struct json *issuer = json_get(reading->claims, "iss");
    const struct json *audience = json_get(reading->claims, "aud");
    if (json_str(issuer) == NULL) {
        return refuse_claim(reading, "iss", issuer == NULL ? "is missing" : "is no text");
    }
    if (strcmp(json_str(issuer), rules->issuer) != 0) {
        return refuse(reading, REASON_TOKEN_ISSUER,
            arena_printf(reading->arena, "the token is of issuer '%s', not of '%s'",
                policy_word(reading->arena, json_str(issuer), POLICY_WORD_MAX), rules->issuer));
    }
    bool several = json_is_array(audience) && json_count(audience) != 1;
    const struct json *only = json_is_array(audience) ? json_at(audience, 0) : audience;
    if (!several && json_str(only) == NULL) {
        return refuse_claim(reading, "aud", audience == NULL ? "is missing" : "is no text");
    }
    if (several || strcmp(json_str(only), rules->audience) != 0) {
        return refuse(reading, REASON_TOKEN_AUDIENCE,
            arena_printf(reading->arena, "the token was made for %s%s%s, not for '%s' alone",
                several ? "several audiences" : "'",
                several ? "" : policy_word(reading->arena, json_str(only), POLICY_WORD_MAX),
                several ? "" : "'", rules->audience));
    }
    return true;
}

static bool
check_times(
    struct reading *reading, const struct policy_token_rules *rules, struct policy_claims *claims)
{
    int64_t not_before = 0, now = rules->now_s;
    if (!read_second(reading, "iat", true, &claims->issued_s) ||
        !read_second(reading, "exp", true, &claims->expires_s) ||
        !read_second(reading, "nbf", false, &not_before)) {
        return false;
    }
    int64_t life = claims->expires_s - claims->issued_s;
    if (life <= 0 || life > LIFE_MAX_S) {
        return refuse_claim(reading, "exp", "is not within 15 minutes after 'iat'");
    }
    if (claims->issued_s > now + LEEWAY_S || not_before > now + LEEWAY_S) {
        return refuse(reading, REASON_TOKEN_EARLY,
            "the token is not valid yet; do the clocks of GitHub and of the service agree?");
    }
    if (now >= claims->expires_s + LEEWAY_S) {
        return refuse(reading, REASON_TOKEN_EXPIRED, "the token has expired; ask for a new one");
    }
    if (now - claims->issued_s > AGE_MAX_S) {
        return refuse(reading, REASON_TOKEN_EXPIRED,
            "the token is older than 10 minutes; ask for a new one right before the request");
    }
    return true;
}

static bool
is_hex(const char *text)
{
    size_t len = strlen(text);
    return (len == SHA1_HEX || len == SHA256_HEX) && strspn(text, "0123456789abcdef") == len;
}

static bool
check_forms(struct reading *reading, const struct policy_claims *claims)
{
    if (claims->jti != NULL && strlen(claims->jti) > JTI_MAX) {
        return refuse_claim(reading, "jti", "is too long");
    }
    if (!repository_name_is_valid(str_of(claims->repository))) {
        return refuse_claim(reading, "repository", "is no 'owner/name'");
    }
    struct str owner = str_of(claims->repository_owner), rest = str_of(claims->repository);
    bool same = str_starts(rest, owner) && str_starts(str_skip(rest, owner.len), STR("/"));
    if (claims->repository_owner != NULL && !same) {
        return refuse_claim(reading, "repository_owner", "is not the owner in 'repository'");
    }
    return claims->sha == NULL || is_hex(claims->sha) ||
           refuse_claim(reading, "sha", "is no commit");
}

static bool
read_claims(struct reading *reading, struct policy_claims *claims)
{
    const bool all = !reading->lenient;
    const struct {
        const char *name;
        bool needed;
        const char **out;
    } texts[] = {
        {"jti", all, &claims->jti},
        {"sub", all, &claims->subject},
        {"iss", all, &claims->issuer},
        {"repository", true, &claims->repository},
        {"repository_owner", all, &claims->repository_owner},
        {"repository_visibility", false, &claims->visibility},
        {"ref", true, &claims->ref},
        {"ref_type", false, &claims->ref_type},
        {"sha", all, &claims->sha},
        {"event_name", true, &claims->event},
        {"environment", false, &claims->environment},
        {"workflow_ref", false, &claims->workflow_ref},
        {"job_workflow_ref", false, &claims->job_workflow_ref},
        {"job_workflow_sha", false, &claims->job_workflow_sha},
        {"runner_environment", false, &claims->runner},
        {"actor", true, &claims->actor},
    };
    const struct {
        const char *name;
        bool needed;
        int64_t *out;
    } ids[] = {
        {"repository_id", true, &claims->repository_id},
        {"repository_owner_id", true, &claims->owner_id},
        {"actor_id", all, &claims->actor_id},
        {"run_id", all, &claims->run_id},
        {"run_number", all, &claims->run_number},
        {"run_attempt", all, &claims->run_attempt},
        {"check_run_id", false, &claims->check_run_id},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (!read_text(reading, texts[i].name, texts[i].needed, texts[i].out)) {
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        if (!read_id(reading, ids[i].name, ids[i].needed, ids[i].out)) {
            return false;
        }
    }
    return check_forms(reading, claims);
}

// In base64, as GitHub's audit log has it (`hashed_token`), so that the two can be joined.
static const char *
hash_of(struct str token, struct arena *arena)
{
    unsigned char hash[SHA256_SIZE];
    struct buf text CLEANUP(buf_done) = BUF_INIT(64);
    sha256_of(token, hash);
    base64_encode((struct str){(const char *)hash, sizeof(hash)}, &text);
    return arena_dup(arena, buf_cstr(&text));
}

static bool
check_signature(
    struct reading *reading, const struct jwt_keys *keys, struct str token, struct json **claims)
{
    if (token.len == 0) {
        return refuse(reading, REASON_TOKEN_MISSING, "the request carries no token");
    }
    switch (keys != NULL ? jwt_keys_check(keys, token, claims) : JWT_KEY_UNKNOWN) {
    case JWT_GOOD:
        return true;
    case JWT_MALFORMED:
        return refuse(
            reading, REASON_TOKEN_MALFORMED, "what the request carries is no RS256 JSON web token");
    case JWT_KEY_UNKNOWN:
        return refuse(reading, REASON_KEY_UNKNOWN,
            "the token is signed with a key that the issuer does not publish");
    case JWT_SIGNATURE:
        break;
    }
    return refuse(reading, REASON_TOKEN_SIGNATURE, "the token's signature is not the issuer's");
}

void
policy_token_check(const struct jwt_keys *keys, struct str token,
    const struct policy_token_rules *rules, struct arena *arena, struct policy_claims **claims,
    struct policy_verdict *verdict)
{
    struct json *object CLEANUP(json_freep) = NULL;
    struct reading reading = {.arena = arena, .verdict = verdict};
    if (!check_signature(&reading, keys, token, &object)) {
        return;
    }
    struct policy_claims *read = arena_alloc(arena, sizeof(*read));
    reading.claims = object;
    if (!check_parties(&reading, rules) || !check_times(&reading, rules, read) ||
        !read_claims(&reading, read)) {
        return;
    }
    read->token_hash = hash_of(token, arena);
    *claims = read;
    *verdict = (struct policy_verdict){.allowed = true,
        .code = REASON_ALLOWED,
        .sentence = "the token is the issuer's, and for us"};
}

void
policy_claims_read(const struct json *object, struct arena *arena, struct policy_claims **claims,
    struct policy_verdict *verdict)
{
    struct reading reading = {
        .lenient = true, .claims = object, .arena = arena, .verdict = verdict};
    struct policy_claims *read = arena_alloc(arena, sizeof(*read));
    if (read_claims(&reading, read)) {
        *claims = read;
        *verdict = (struct policy_verdict){.allowed = true,
            .code = REASON_ALLOWED,
            .sentence = "the claims have the form of GitHub's; nobody has signed them"};
    }
}
