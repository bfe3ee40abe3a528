// Tokens as requests carry them: every vector of tests/vectors/jwt/claims.tsv, the signature's own
// answers, and what is read of a good one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/policy.h"
#include "tokens.h"

enum { TEXT_MAX = 256 * 1024, CLAIMS_MAX = 40 };
static const int64_t now_s = INT64_C(1764504000);
static const struct policy_token_rules rules = {
    .issuer = "https://issuer.example.org", .audience = "https://d.example.org", .now_s = now_s};

static struct tokens *tokens;
static struct jwt_keys *keys;

static int
set_up(void **state)
{
    (void)state;
    tokens = tokens_new();
    return jwt_keys_parse(str_of(tokens_set(tokens)), &keys) != NULL;
}

static int
tear_down(void **state)
{
    (void)state;
    jwt_keys_free(keys);
    tokens_free(tokens);
    return 0;
}

// Claims as keys and raw JSON, so that a vector can say what no builder would write.
struct draft {
    struct arena *arena;
    const char *key[CLAIMS_MAX], *value[CLAIMS_MAX];
    size_t count;
};

static void
put(struct draft *draft, const char *key, const char *value)
{
    size_t at = 0;
    while (at < draft->count && strcmp(draft->key[at], key) != 0) {
        at++;
    }
    assert_true(at < CLAIMS_MAX);
    draft->count += at == draft->count ? 1 : 0;
    draft->key[at] = key;
    draft->value[at] = value;
}

// docs.github.com, "Example OIDC token", with our names.
static void
fill(struct draft *draft)
{
    static const char *const usual[][2] = {{"jti", "\"0d9bc55a-2f7e\""},
        {"sub", "\"repo:acme/shop:environment:Production\""}, {"aud", "\"https://d.example.org\""},
        {"iss", "\"https://issuer.example.org\""}, {"ref", "\"refs/heads/main\""},
        {"ref_type", "\"branch\""}, {"sha", "\"0123456789012345678901234567890123456789\""},
        {"repository", "\"acme/shop\""}, {"repository_owner", "\"acme\""},
        {"repository_id", "\"42\""}, {"repository_owner_id", "\"7\""},
        {"repository_visibility", "\"private\""}, {"actor", "\"octocat\""},
        {"actor_id", "\"583231\""}, {"run_id", "\"9000000001\""}, {"run_number", "\"10\""},
        {"run_attempt", "\"2\""}, {"check_run_id", "\"77\""}, {"event_name", "\"push\""},
        {"environment", "\"Production\""}, {"runner_environment", "\"github-hosted\""},
        {"workflow", "\"deploy\""}, {"head_ref", "\"\""}, {"base_ref", "\"\""},
        {"workflow_ref", "\"acme/shop/.github/workflows/deploy.yaml@refs/heads/main\""},
        {"job_workflow_ref", "\"acme/infra/.github/workflows/app.yaml@refs/tags/v1\""},
        {"job_workflow_sha", "\"abc\""}};
    for (size_t i = 0; i < ARRAY_LENGTH(usual); i++) {
        put(draft, usual[i][0], usual[i][1]);
    }
    put(draft, "iat", arena_printf(draft->arena, "%lld", (long long)now_s - 10));
    put(draft, "exp", arena_printf(draft->arena, "%lld", (long long)now_s + 290));
    put(draft, "nbf", arena_printf(draft->arena, "%lld", (long long)now_s - 610));
}

static void
edit(struct draft *draft, struct str text)
{
    struct str key = {0}, value = {0};
    if (str_starts(text, STR("!"))) {
        put(draft, arena_str(draft->arena, str_skip(text, 1)), NULL);
        return;
    }
    assert_true(str_cut(text, '=', &key, &value));
    struct buf raw CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    if (str_starts(value, STR("@"))) {
        long by = strtol(arena_str(draft->arena, str_skip(value, 1)), NULL, 10);
        buf_printf(&raw, "%lld", (long long)now_s + by);
    } else {
        tokens_unescape((struct str){value.ptr, value.len}, &raw);
    }
    put(draft, arena_str(draft->arena, key), arena_dup(draft->arena, buf_cstr(&raw)));
}

static void
edit_all(struct draft *draft, struct str edits)
{
    while (edits.len > 0) {
        const char *end = edits.ptr;
        while (end < edits.ptr + edits.len && strncmp(end, " ;; ", 4) != 0) {
            end++;
        }
        struct str one = {edits.ptr, (size_t)(end - edits.ptr)};
        edit(draft, one);
        edits = str_skip(edits, one.len + 4);
    }
}

static void
make(const struct draft *draft, const char *signer, struct buf *out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    for (size_t i = 0; i < draft->count; i++) {
        if (draft->value[i] != NULL) {
            buf_printf(
                &text, "%s\"%s\":%s", text.len == 0 ? "{" : ",", draft->key[i], draft->value[i]);
        }
    }
    buf_puts(&text, "}");
    tokens_make(tokens,
        &(struct token_recipe){.signer = signer,
            .header = STR("{\"typ\":\"JWT\",\"alg\":\"RS256\",\"x5t\":\"a\",\"kid\":\"a\"}"),
            .claims = buf_str(&text)},
        out);
}

static void
try_vector(struct str line)
{
    struct str expected = {0}, name = {0}, edits = {0};
    assert_true(str_cut(line, '\t', &expected, &edits) && str_cut(edits, '\t', &name, &edits));
    struct draft draft = {.arena = arena_new()};
    struct buf token CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct policy_claims *claims = NULL;
    struct policy_verdict verdict = {0};
    fill(&draft);
    edit_all(&draft, edits);
    make(&draft, "a", &token);
    policy_token_check(keys, buf_str(&token), &rules, draft.arena, &claims, &verdict);
    if (!str_equal(str_of(reason_code_name(verdict.code)), expected)) {
        fail_msg(
            "'%.*s': %s (%s)", STR_FMT(name), reason_code_name(verdict.code), verdict.sentence);
    }
    assert_int_equal(verdict.allowed, verdict.code == REASON_ALLOWED);
    assert_int_equal(claims != NULL, verdict.allowed);
    assert_non_null(verdict.sentence);
    assert_null(strchr(verdict.sentence, '\n'));
    assert_null(strchr(verdict.sentence, '\033'));
    arena_free(draft.arena);
}

static void
test_vectors(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    assert_null(file_read(TEST_SOURCE_DIR "/vectors/jwt/claims.tsv", &text, NULL));
    struct str rest = buf_str(&text), line = {0};
    size_t count = 0;
    while (str_cut(rest, '\n', &line, &rest)) {
        if (!str_starts(line, STR("#"))) {
            try_vector(line);
            count++;
        }
    }
    print_message("%zu vectors\n", count);
    assert_true(count >= 240);
}

static void
assert_code(const struct jwt_keys *set, const char *signer, enum reason_code code)
{
    struct draft draft = {.arena = arena_new()};
    struct buf token CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct policy_claims *claims = NULL;
    struct policy_verdict verdict = {0};
    fill(&draft);
    make(&draft, signer, &token);
    policy_token_check(set, buf_str(&token), &rules, draft.arena, &claims, &verdict);
    assert_int_equal(verdict.code, code);
    assert_null(claims);
    arena_free(draft.arena);
}

static void
test_signatures(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct policy_claims *claims = NULL;
    struct policy_verdict verdict = {0};
    assert_code(keys, "b", REASON_TOKEN_SIGNATURE);
    assert_code(keys, "ps256-a", REASON_TOKEN_SIGNATURE);
    assert_code(keys, "none", REASON_TOKEN_MALFORMED);
    assert_code(NULL, "a", REASON_KEY_UNKNOWN);
    policy_token_check(keys, (struct str){0}, &rules, arena, &claims, &verdict);
    assert_int_equal(verdict.code, REASON_TOKEN_MISSING);
    policy_token_check(keys, STR("ghp_x"), &rules, arena, &claims, &verdict);
    assert_int_equal(verdict.code, REASON_TOKEN_MALFORMED);
    assert_null(strstr(verdict.sentence, "ghp_"));
    assert_null(claims);
}

static void
test_what_is_read(void **state)
{
    (void)state;
    struct draft draft = {.arena = arena_new()};
    struct buf token CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf hash CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct policy_claims *claims = NULL;
    struct policy_verdict verdict = {0};
    unsigned char digest[SHA256_SIZE];
    fill(&draft);
    make(&draft, "a", &token);
    policy_token_check(keys, buf_str(&token), &rules, draft.arena, &claims, &verdict);
    assert_non_null(claims);
    assert_string_equal(claims->jti, "0d9bc55a-2f7e");
    assert_string_equal(claims->subject, "repo:acme/shop:environment:Production");
    assert_string_equal(claims->issuer, "https://issuer.example.org");
    assert_int_equal(claims->issued_s, now_s - 10);
    assert_int_equal(claims->expires_s, now_s + 290);
    assert_string_equal(claims->repository, "acme/shop");
    assert_string_equal(claims->repository_owner, "acme");
    assert_string_equal(claims->visibility, "private");
    assert_int_equal(claims->repository_id, 42);
    assert_int_equal(claims->owner_id, 7);
    assert_string_equal(claims->ref, "refs/heads/main");
    assert_string_equal(claims->ref_type, "branch");
    assert_string_equal(claims->sha, "0123456789012345678901234567890123456789");
    assert_string_equal(claims->event, "push");
    assert_string_equal(claims->environment, "Production");
    assert_string_equal(
        claims->workflow_ref, "acme/shop/.github/workflows/deploy.yaml@refs/heads/main");
    assert_string_equal(
        claims->job_workflow_ref, "acme/infra/.github/workflows/app.yaml@refs/tags/v1");
    assert_string_equal(claims->job_workflow_sha, "abc");
    assert_string_equal(claims->runner, "github-hosted");
    assert_string_equal(claims->actor, "octocat");
    assert_int_equal(claims->actor_id, 583231);
    assert_int_equal(claims->run_id, INT64_C(9000000001));
    assert_int_equal(claims->run_number, 10);
    assert_int_equal(claims->run_attempt, 2);
    assert_int_equal(claims->check_run_id, 77);
    sha256_of(buf_str(&token), digest);
    base64_encode((struct str){(const char *)digest, sizeof(digest)}, &hash);
    assert_string_equal(claims->token_hash, buf_cstr(&hash));
    arena_free(draft.arena);
}

// A document that nobody signed: what decides nothing may be missing, the rest is as strict.
static void
test_claims_of_a_document(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum reason_code code;
    } cases[] = {
        {"{\"repository\":\"acme/shop\",\"repository_id\":\"42\",\"repository_owner_id\":\"7\","
         "\"ref\":\"refs/heads/main\",\"event_name\":\"push\",\"actor\":\"octocat\"}",
            REASON_ALLOWED},
        {"{\"repository\":\"acme/shop\",\"repository_id\":42,\"repository_owner_id\":\"7\","
         "\"ref\":\"refs/heads/main\",\"event_name\":\"push\",\"actor\":\"octocat\"}",
            REASON_TOKEN_CLAIMS},
        {"{\"repository\":\"acme/shop\",\"repository_id\":\"42\",\"repository_owner_id\":\"7\","
         "\"ref\":\"refs/heads/main\",\"event_name\":\"push\"}",
            REASON_TOKEN_CLAIMS},
        {"{}", REASON_TOKEN_CLAIMS},
        {"[]", REASON_TOKEN_CLAIMS},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct json *object CLEANUP(json_freep) = NULL;
        struct policy_claims *claims = NULL;
        struct policy_verdict verdict = {0};
        assert_null(json_parse(str_of(cases[i].text), &json_limits_default, &object));
        policy_claims_read(object, arena, &claims, &verdict);
        assert_int_equal(verdict.code, cases[i].code);
        assert_int_equal(claims != NULL, cases[i].code == REASON_ALLOWED);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_claims_of_a_document),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
