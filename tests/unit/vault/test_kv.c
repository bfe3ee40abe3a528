// Reading secrets: the exact request, every class of answer, and never a value or a token in a
// text.
#include "dispatcher/vault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "vault_fixture.h"

#define READ_URL VAULT_ADDRESS "/v1/kv/data/shop"
#define TEXT_MAX 1024

static const char *const plain[] = {"X-Vault-Token: " VAULT_TOKEN_TEXT, "X-Vault-Request: true",
    "!X-Vault-Namespace", "!Authorization", NULL};
static const char *const in_namespace[] = {
    "X-Vault-Token: " VAULT_TOKEN_TEXT, "X-Vault-Namespace: team/a/", NULL};

static struct error *
read_with(const struct script_step *steps, size_t count, const char *key, struct secret **out)
{
    struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(steps, count);
    vault_fixture_open(v, &(struct vault_options){.token = v->token});
    struct error *err = vault_kv_read(v->client, "kv/data/shop", key, out);
    vault_fixture_finish(v);
    return err;
}

static void
reads_what_is_there(void **state)
{
    (void)state;
    static const struct {
        const char *data, *value;
    } rows[] = {
        {"{\"key\":\"caf\\u00e9 \\n\",\"other\":\"x\"}", "caf\xc3\xa9 \n"},
        {"{\"key\":12}", "12"},
        {"{\"key\":false}", "false"},
        {"{\"key\":1.5}", "1.5"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char reply[TEXT_MAX];
        (void)snprintf(reply, sizeof(reply),
            "{\"data\":{\"data\":%s,\"metadata\":{\"version\":3}}}", rows[i].data);
        const struct script_step step = {
            .url = READ_URL, .headers = plain, .no_body = true, .reply = reply};
        struct secret *value CLEANUP(secret_freep) = NULL;
        assert_success(read_with(&step, 1, "key", &value));
        assert_string_equal(secret_expose(value).ptr, rows[i].value);
    }
}

static void
paths_and_namespaces_are_sent_as_they_are(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = "https://vault.example.org/behind/v1/team/kv/data/a%20b/%C3%BC%3F%23",
            .headers = in_namespace,
            .reply = VAULT_KV_ANSWER("{\"k\":\"value-1\"}")},
    };
    struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(steps, 1);
    struct secret *value CLEANUP(secret_freep) = NULL;
    vault_fixture_open(v, &(struct vault_options){.address = "https://vault.example.org/behind/",
                              .namespace = "team/a/",
                              .token = v->token});
    assert_success(vault_kv_read(v->client, "team/kv/data/a b/ü?#", "k", &value));
    assert_string_equal(secret_expose(value).ptr, "value-1");
    vault_fixture_finish(v);
}

static void
knows_paths_of_version_2(void **state)
{
    (void)state;
    static const char *const good[] = {
        "kv/data/x", "a/b/data/x/y", "kv/data/data", "kv/data/data/data", "s/data/a b"};
    static const char *const bad[] = {"", "/kv/data/x", "kv/data/x/", "kv/x", "data/x", "kv/data",
        "kv/data/", "kv//data/x", "kv/data/../x", "kv/data/./x", "../data/x", "kv/data/x\ny",
        "kv/metadata/x"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_null(vault_path_problem(good[i]));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(NULL, 0);
        struct secret *value = NULL;
        vault_fixture_open(v, &(struct vault_options){.token = v->token});
        assert_non_null(vault_path_problem(bad[i]));
        struct error *err CLEANUP(error_freep) = vault_kv_read(v->client, bad[i], "k", &value);
        assert_int_equal(error_kind(err), ERROR_SPEC);
    }
}

#define MAY "the token in VAULT_TOKEN may not read 'kv/data/shop': "
#define MAY_HINT                                                                                   \
    "Give it a policy that allows 'read' on 'kv/data/shop'; an expired token and a wrong "         \
    "namespace are refused in the same way."
#define NOTHING "there is no secret at 'kv/data/shop': "
#define NOTHING_HINT "Check mount and path ('MOUNT/data/PATH'), and whether a namespace is needed."
#define SEALED_HINT "Whoever runs Vault has to unseal it; 'vault status' shows its state."
#define ADDRESS_HINT                                                                               \
    "Set VAULT_ADDR to the active node, or to the load balancer in front of the cluster."
#define STANDBY_HINT                                                                               \
    "This is a standby node, and the token is for the host in VAULT_ADDR only. " ADDRESS_HINT

static void
every_refusal_says_what_it_means(void **state)
{
    (void)state;
    static const char *const elsewhere[] = {
        "Location: https://vault-2.example.org:8200/v1/kv/data/shop?x=1", NULL};
    static const char *const same_host[] = {"Location: /v1/kv/data/shop/", NULL};
    static const char *const odd_place[] = {"Location: javascript:alert(1)", NULL};
    static const struct {
        int status;
        unsigned times;
        const char *const *headers;
        const char *reply, *text, *hint;
        enum error_kind kind;
    } rows[] = {
        {400, 1, NULL, "{\"errors\":[\"bad thing.\",\"other\"]}", "bad thing.; other (HTTP 400)",
            NULL, ERROR_REFUSED},
        {400, 1, NULL, "", "the request is not understood (HTTP 400)", NULL, ERROR_REFUSED},
        {403, 1, NULL, "{\"errors\":[\"1 error occurred:\\n\\t* permission denied\\n\\n\"]}",
            MAY "1 error occurred: * permission denied (HTTP 403)", MAY_HINT, ERROR_CREDENTIALS},
        {403, 1, NULL, "<html>", MAY "permission denied (HTTP 403)", MAY_HINT, ERROR_CREDENTIALS},
        {404, 1, NULL, "{\"errors\":[]}", NOTHING "not found (HTTP 404)", NOTHING_HINT,
            ERROR_CREDENTIALS},
        {404, 1, NULL, "{\"errors\":[\"no handler for route \\\"kv/data/shop\\\"\"]}",
            NOTHING "no handler for route \"kv/data/shop\" (HTTP 404)", NOTHING_HINT,
            ERROR_CREDENTIALS},
        {404, 1, NULL,
            "{\"data\":{\"data\":null,\"metadata\":{\"version\":3,\"destroyed\":false,"
            "\"deletion_time\":\"2026-11-20T07:48:00.5Z\"}}}",
            "version 3 of 'kv/data/shop' was deleted at 2026-11-20T07:48:00.5Z",
            "Bring it back with 'vault kv undelete', or write a new version.", ERROR_CREDENTIALS},
        {404, 1, NULL,
            "{\"data\":{\"data\":null,\"metadata\":{\"version\":4,\"destroyed\":true,"
            "\"deletion_time\":\"\"}}}",
            "version 4 of 'kv/data/shop' was destroyed", "Write a new version.", ERROR_CREDENTIALS},
        {405, 1, NULL, "", "that cannot be done there (HTTP 405)", NULL, ERROR_REFUSED},
        {418, 1, NULL, "", "no answer of Vault's (HTTP 418)", NULL, ERROR_REFUSED},
        {307, 1, elsewhere, "",
            "the answer is a redirect to 'https://vault-2.example.org:8200', which is not followed "
            "(HTTP 307)",
            STANDBY_HINT, ERROR_UNAVAILABLE},
        {301, 1, same_host, "", "the answer is a redirect, which is not followed (HTTP 301)",
            "Check VAULT_ADDR: its scheme, its port and the path in front of '/v1'.",
            ERROR_UNAVAILABLE},
        {302, 1, odd_place, "", "the answer is a redirect, which is not followed (HTTP 302)",
            "Check VAULT_ADDR: its scheme, its port and the path in front of '/v1'.",
            ERROR_UNAVAILABLE},
        {412, 4, NULL, "", "this node has not caught up with the others yet (HTTP 412)", NULL,
            ERROR_UNAVAILABLE},
        {429, 5, NULL, "{\"errors\":[\"request path \\\"x\\\": rate limit quota exceeded\"]}",
            "request path \"x\": rate limit quota exceeded (HTTP 429)",
            "Ask whoever runs Vault about its rate limit quotas.", ERROR_UNAVAILABLE},
        {472, 1, NULL, "", "this node is a secondary for disaster recovery (HTTP 472)",
            ADDRESS_HINT, ERROR_UNAVAILABLE},
        {473, 1, NULL, "", "this node is a performance standby (HTTP 473)", ADDRESS_HINT,
            ERROR_UNAVAILABLE},
        {500, 5, NULL, "{\"errors\":[\"internal error\"]}", "internal error (HTTP 500)", NULL,
            ERROR_UNAVAILABLE},
        {501, 1, NULL, "", "Vault is not initialized (HTTP 501)", NULL, ERROR_UNAVAILABLE},
        {503, 5, NULL, "{\"errors\":[\"Vault is sealed\"]}", "Vault is sealed (HTTP 503)",
            SEALED_HINT, ERROR_UNAVAILABLE},
        {503, 5, NULL, "upstream", "Vault is sealed, or has too much to do (HTTP 503)", SEALED_HINT,
            ERROR_UNAVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step step = {.url = READ_URL,
            .headers = plain,
            .status = rows[i].status,
            .times = rows[i].times,
            .reply_headers = rows[i].headers,
            .reply = rows[i].reply};
        struct secret *value = NULL;
        char text[TEXT_MAX];
        (void)snprintf(text, sizeof(text), "read 'kv/data/shop' from Vault: %s", rows[i].text);
        assert_failure(read_with(&step, 1, "key", &value), rows[i].kind, text, rows[i].hint);
        assert_null(value);
    }
}

static void
odd_answers_are_refused_unquoted(void **state)
{
    (void)state;
    static const char only_v2[] =
        "Only version 2 of the KV engine is read: its paths are 'MOUNT/data/PATH'.";
    static const struct {
        const char *reply, *text, *hint;
        enum error_kind kind;
    } rows[] = {
        {"", "unusable answer: no JSON object (HTTP 200)", NULL, ERROR_UNAVAILABLE},
        {"canary-value", "unusable answer: no JSON object (HTTP 200)", NULL, ERROR_UNAVAILABLE},
        {"[\"canary-value\"]", "unusable answer: no JSON object (HTTP 200)", NULL,
            ERROR_UNAVAILABLE},
        {"{\"a\":\"canary-value\",\"a\":1}", "unusable answer: no JSON object (HTTP 200)", NULL,
            ERROR_UNAVAILABLE},
        {"{\"data\":{\"key\":\"canary-value\"}}", "unusable answer: no 'data.data' (HTTP 200)",
            only_v2, ERROR_UNAVAILABLE},
        {"{\"data\":{\"data\":\"canary-value\"}}", "unusable answer: no 'data.data' (HTTP 200)",
            only_v2, ERROR_UNAVAILABLE},
        {VAULT_KV_ANSWER("{\"other\":\"canary-value\"}"), "there is no key 'key' in it",
            "The reference names the key after '#'.", ERROR_CREDENTIALS},
        {VAULT_KV_ANSWER("{\"key\":null,\"b\":\"canary-value\"}"), "there is no key 'key' in it",
            "The reference names the key after '#'.", ERROR_CREDENTIALS},
        {VAULT_KV_ANSWER("{\"key\":{\"a\":\"canary-value\"}}"), "key 'key' holds no text", NULL,
            ERROR_CREDENTIALS},
        {VAULT_KV_ANSWER("{\"key\":[\"canary-value\"]}"), "key 'key' holds no text", NULL,
            ERROR_CREDENTIALS},
        {VAULT_KV_ANSWER("{\"key\":\"\"}"), "key 'key' is empty", NULL, ERROR_CREDENTIALS},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step step = {.url = READ_URL, .reply = rows[i].reply};
        struct secret *value = NULL;
        char text[TEXT_MAX];
        (void)snprintf(text, sizeof(text), "read 'kv/data/shop' from Vault: %s", rows[i].text);
        assert_failure(read_with(&step, 1, "key", &value), rows[i].kind, text, rows[i].hint);
        assert_null(value);
    }
}

static void
a_204_is_no_secret(void **state)
{
    (void)state;
    const struct script_step step = {.url = READ_URL, .status = 204};
    struct secret *value = NULL;
    assert_failure(read_with(&step, 1, "key", &value), ERROR_UNAVAILABLE,
        "read 'kv/data/shop' from Vault: no answer of Vault's (HTTP 204)", NULL);
}

static void
deep_and_long_answers_are_refused(void **state)
{
    (void)state;
    struct buf deep CLEANUP(buf_done) = BUF_INIT(1024);
    buf_puts(&deep, "{\"data\":");
    for (int i = 0; i < 60; i++) {
        buf_putc(&deep, '[');
    }
    const struct script_step step = {.url = READ_URL, .reply = buf_cstr(&deep)};
    struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(&step, 1);
    struct secret *value = NULL;
    vault_fixture_open(v, &(struct vault_options){.token = v->token});
    assert_failure(vault_kv_read(v->client, "kv/data/shop", "key", &value), ERROR_UNAVAILABLE,
        "read 'kv/data/shop' from Vault: unusable answer: no JSON object (HTTP 200)", NULL);
    assert_int_equal(script_transport_request(v->script, 0)->max_response, 1024 * 1024);
}

static void
troubles_on_the_way_pass(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = READ_URL, .failure = "connection reset", .request_left = true},
        {.url = READ_URL, .status = 503, .reply = "{\"errors\":[\"overloaded\"]}"},
        {.url = READ_URL, .status = 412, .reply = "{\"errors\":[]}"},
        {.url = READ_URL, .reply = VAULT_KV_ANSWER("{\"key\":\"value-1\"}")},
    };
    struct secret *value CLEANUP(secret_freep) = NULL;
    assert_success(read_with(steps, ARRAY_LENGTH(steps), "key", &value));
    assert_string_equal(secret_expose(value).ptr, "value-1");
}

// What Vault says may hold what it was sent.
static void
an_echoed_token_is_masked(void **state)
{
    (void)state;
    static const struct script_step step = {.url = READ_URL,
        .status = 400,
        .reply = "{\"errors\":[\"token " VAULT_TOKEN_TEXT " \\u001b[31mis bad\"]}"};
    struct secret *value = NULL;
    assert_failure(read_with(&step, 1, "key", &value), ERROR_REFUSED,
        "read 'kv/data/shop' from Vault: token *** is bad (HTTP 400)", NULL);
}

static void
knows_the_token(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = VAULT_ADDRESS "/v1/auth/token/lookup-self",
            .headers = plain,
            .reply =
                "{\"data\":{\"display_name\":\"jwt-octo\\u0007\",\"policies\":[\"default\","
                "7,\"shop\"],\"ttl\":3600,\"renewable\":true,\"id\":\"" VAULT_TOKEN_TEXT "\"}}"},
        {.url = VAULT_ADDRESS "/v1/auth/token/lookup-self", .reply = "{\"data\":{\"ttl\":\"x\"}}"},
        {.url = VAULT_ADDRESS "/v1/auth/token/lookup-self", .status = 403},
    };
    struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(steps, 3);
    struct vault_identity who = {0};
    vault_fixture_open(v, &(struct vault_options){.token = v->token});
    assert_success(vault_identity_get(v->client, v->arena, &who));
    assert_string_equal(who.name, "jwt-octo");
    assert_int_equal(who.policies.count, 2);
    assert_string_equal(who.policies.items[1], "shop");
    assert_int_equal(who.left_ms, 3600 * 1000);
    assert_success(vault_identity_get(v->client, v->arena, &who));
    assert_null(who.name);
    assert_int_equal(who.left_ms, 0);
    assert_failure(vault_identity_get(v->client, v->arena, &who), ERROR_CREDENTIALS,
        "ask Vault at '" VAULT_ADDRESS "' about our token: permission denied (HTTP 403)", NULL);
    vault_fixture_finish(v);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_there),
        cmocka_unit_test(paths_and_namespaces_are_sent_as_they_are),
        cmocka_unit_test(knows_paths_of_version_2),
        cmocka_unit_test(every_refusal_says_what_it_means),
        cmocka_unit_test(odd_answers_are_refused_unquoted),
        cmocka_unit_test(a_204_is_no_secret),
        cmocka_unit_test(deep_and_long_answers_are_refused),
        cmocka_unit_test(troubles_on_the_way_pass),
        cmocka_unit_test(an_echoed_token_is_masked),
        cmocka_unit_test(knows_the_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
