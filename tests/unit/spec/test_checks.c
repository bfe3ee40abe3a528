// Forms of values: each check by table, and its pattern in the schema never stricter than it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <regex.h>

#include "dispatcher/clock.h"
#include "dispatcher/memory.h"
#include "spec_internal.h"

struct form {
    const char *name;
    const char *(*check)(const char *value);
    const char *good[8], *bad[16];
};

static const struct form forms[] = {
    {"name", check_name, {"a", "web-1", "0"},
        {"", "-a", "a-", "A", "a_b", "a.b", "../x", "a/b", "a%2fb", "\xc3\xa9", " a", "a ",
            "a234567890123456789012345678901234567890123456789012345678901234"}},
    {"repo", check_repo, {"acme/app", "a-b/c.d_e"},
        {"", "acme", "acme/", "/app", "a/b/c", "../b", "a/..", "a b/c", "https://github.com/a/b"}},
    {"image", check_image, {"app", "localhost:5000/team/app", "registry.example.org/App"},
        {"", "app:1", "app@sha256:00", "/app", "app/", "a b", "../app"}},
    {"tag", check_tag, {"1.0", "latest", "_x"}, {"", "-x", ".x", "a b", "a/b"}},
    {"relative path", check_relative_path, {".", "./Dockerfile", "a/b c", "a..b"},
        {"", "/etc", "..", "a/../b", "a/..", "a\nb"}},
    {"context", check_context, {".", "..", "../..", "a/../b"}, {"", "/", "/etc", "a\nb"}},
    {"build secret", check_build_secret, {"env:TOKEN", "file:.npmrc", "file:/run/a b"},
        {"", "env:", "env:A-B", "file:", "file:a\nb", "ssm:/a", "TOKEN", "vault:a/b#c"}},
    {"secret id", check_secret_id, {"npmrc", "A_b.c-1", "0"},
        {"", ".a", "-a", "a,b", "a=b", "a b", "a/b", "a\"b",
            "a2345678901234567890123456789012345678901234567890123456789012345"}},
    {"platform", check_platform, {"linux/amd64", "linux/arm/v7", "linux/arm64/v8", "wasi/wasm"},
        {"", "linux", "linux/", "/amd64", "linux/amd64,linux/arm64", "linux//v7", "Linux/amd64",
            "linux/amd64/v1/x", "linux/amd 64", "linux/amd64/", "--x/y"}},
    {"absolute path", check_absolute_path, {"/", "/health?x=1"}, {"", "health", "/a b", "/a\n"}},
    {"arn", check_arn, {"arn:aws:iam::012345678901:role/x"}, {"", "arn:", "arn:x", "role/x"}},
    {"secret ARN", check_secret_arn,
        {"arn:aws:secretsmanager:us-east-1:012345678901:secret:x",
            "arn:aws:secretsmanager:us-east-1:012345678901:secret:x:key::",
            "arn:aws-cn:ssm:cn-north-1:012345678901:parameter/a/b",
            "arn:aws:ssm:{region}:{account}:parameter/x"},
        {"", "hunter2", "arn:", "arn:aws:s3:::x", "arn::ssm:x:y", "arn:aws:ssm:", "arn:aws:ssm:x",
            "arn:aws:ssm:x:y z", "ssm:/a", "secretsmanager:x"}},
    {"command", check_command, {"make", "curl x | sh - && make"}, {"", "a\nb", "a\r"}},
    {"output name", check_output_name, {"db_host", "A.b-1"}, {"", "1a", "-a", ".a", "a b", "a/b"}},
    {"env name", check_env_name, {"A", "_a1"}, {"", "1A", "A-B", "A B", "A=B"}},
    {"key name", check_key_name, {"a", "A_b-1"}, {"", "a b", "a/b", "a.b"}},
    {"account", check_account, {"012345678901"},
        {"", "12345678901", "0123456789012", "01234567890x"}},
    {"region", check_region, {"us-east-1", "ap-south-1", "us-gov-west-1"},
        {"", "moon", "us-east", "US-EAST-1", "-1", "us east-1"}},
    {"url", check_url,
        {"https://a.example/x", "http://localhost:80/", "http://127.0.0.1", "http://[::1]:9/"},
        {"", "https://", "http://a.example", "ftp://a", "https://u@a.example/", "https://a b",
            "http://127.0.0.1.example", "http://localhost.example", "http://127.1",
            "http://0177.0.0.1"}},
    {"workflow file", check_workflow_file, {"deploy.yaml", "deploy-app.yml"},
        {"", "deploy", ".yaml", "a/deploy.yaml", "../deploy.yaml", "deploy.yaml.txt"}},
    {"workflow path", check_workflow_path, {".github/workflows/deploy.yaml"},
        {"", "deploy.yaml", ".github/workflows/a/b.yaml", ".github/workflows/"}},
    {"branch", check_branch, {"main", "feature/x", "v1.2"},
        {"", "refs/heads/main", "a..b", "a b", "-x", "a/", "/a", "a~1", "a^", "a:b", "x.lock", "a*",
            "a\\b", "a@{1}", "a."}},
    {"ref pattern", check_ref_pattern, {"refs/heads/main", "refs/tags/v*", "refs/heads/**"},
        {"", "main", "refs/pull/1/merge", "refs/heads/***", "refs/heads/a b", "refs/heads/[ab]"}},
    {"ref to", check_ref_to, {"org/repo/.github/workflows/app-deploy.yaml"},
        {"", "org/.github/workflows/x.yaml", "org/repo/x.yaml", "a/b/c/.github/workflows/x.yaml"}},
    {"window", check_window, {"Fri 15:00 - Mon 07:00", "Sat 00:00 - Sun 23:59"},
        {"", "Fri 15:00", "Fri 24:00 - Mon 07:00", "Fri 15:60 - Mon 07:00", "fri 15:00 - mon 07:00",
            "Fri 15:00-Mon 07:00", "Fri 15:00 - Mon 07:00 ", "Mon 00:00 - Mon 00:00"}},
    {"timezone", check_timezone, {"UTC", "America/New_York", "Etc/GMT+5"},
        {"", "/etc", "America/New York", "a//b", "../x", "a/"}},
    {"secret reference", check_secret_ref,
        {"env:VAR", "file:/run/key", "ssm:/a/b:3", "secretsmanager:id#key",
            "secretsmanager:arn:aws:secretsmanager:us-east-1:012345678901:secret:a-AbCdEf",
            "vault:kv/data/x#key", "vault:team/kv/data/a/b#c#d"},
        {"", "hunter2", "env:", "env:1", "file:", "ssm:a", "vault:x", "secretsmanager:", "Env:VAR",
            "secretsmanager:id#", "secretsmanager:#key", "vault:kv/x#key", "vault:kv/data/x",
            "vault:kv/data/x#", "vault:kv/data/#key", "vault:kv/data/../x#key"}},
    {"more secret references", check_secret_ref, {"ssm:/a"},
        {"vault:/kv/data/x#key", "vault:kv//data/x#key", "vault:data/x#key", "vault:kv/data/a b#c",
            "vault:#a/data/b", "ssm:/a b", "secretsmanager:a b"}},
    {"vault mount", check_vault_mount, {"jwt", "team/aws", "/ns1/ns2/", "a/"},
        {"", "/", "a//b", "..", "a/../b", "a b", "a\nb"}},
    {"visible", check_visible, {"deploy", "https://x.example", "{app}-deploy"},
        {"", "a b", "a\tb", "a\r\nb"}},
    {"app id", check_app_id, {"12345", "Iv23liABC"}, {"", "a b", "-1"}},
    {"input name", check_input_name, {"distinct_id", "_a-1"}, {"", "1a", "-a", "a b"}},
    {"state url", check_state_url, {"sqlite:", "sqlite:/x.db", "postgresql://db/x"},
        {"", "mysql://x"}},
    {"listen", check_listen, {"127.0.0.1:8080", "[::1]:0", "localhost:65535"},
        {"", "localhost", ":80", "a:65536", "a:x", "a b:1"}},
    {"base URL", check_base_url,
        {"https://a.example", "https://a.example/x", "http://localhost:80", "http://[::1]:9/x"},
        {"", "https://", "https://a.example/", "https://a.example?x", "https://a.example#x",
            "http://a.example", "https://u@a.example", "https://a b", "a.example"}},
    {"organization", check_organization, {"acme", "a", "Code-4-America"},
        {"", "-a", "a-", "a_b", "a/b", "a b", "a.b", "abcdefghijabcdefghijabcdefghijabcdefghij"}},
    {"header", check_header, {"X-Forwarded-User", "a"},
        {"", "-a", "1a", "a b", "a:b", "a\r\nb", "a_b"}},
    {"IP address", check_ip_address, {"10.0.0.7", "::1", "fd00::7", "::ffff:10.0.0.7"},
        {"", "10.0.0", "10.0.0.0/8", "010.0.0.1", "fd00:0:0:0:0:0:0:7", "FD00::7", "localhost",
            "[::1]", "1.2.3.4 "}},
    {"where specs are", check_specs_location,
        {"appspecs", "/srv/infra", "https://github.com/acme/infra.git", "http://127.0.0.1:1/x.git"},
        {"", "http://a.example/x.git", "ssh://git@a/x.git", "file:///srv/infra",
            "https://u:p@a.example/x.git", "a\nb"}},
    {"domain", check_domain, {"example.org", "tax", "a-b"}, {"", "-a", ".a", "a..b", "a_b", "a b"}},
    {"channel", check_channel,
        {"#deploys", "#a", "#my_team-2", "C012AB3CD", "G0123456789", "D012AB3CD"},
        {"", "#", "deploys", "#Deploys", "#a b", "#a.b", "##a", "#caf\xc3\xa9", "C012AB3C",
            "c012ab3cd", "U012AB3CD", "C012ab3cd",
            "#a1234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "0"}},
    {"member id", check_member_id, {"U012AB3CD", "W0123456789"},
        {"", "U", "U012AB3C", "u012ab3cd", "C012AB3CD", "<@U012AB3CD>", "U012AB3CD "}},
    {"author", check_author, {"ada@example.org", "Ada Lovelace", "\xc3\x89va"},
        {"", "a\nb", "a\x7f"}},
    {"app pattern", check_app_pattern, {"pay", "pay*", "*", "*-api-*"},
        {"", "**", "Pay", "a b", "a/b", "a?", "[ab]"}},
    {"private host", check_private_host,
        {"hooks.internal.example.org", "*.example.org", "localhost", "10.0.0.1"},
        {"", "*", "*.", "*example.org", "a.*", "https://a", "a:80", "a/b", "-a", "a b", "*.*.a"}},
    {"webhook address", check_hook_url,
        {"https://example.org", "https://example.org:8443/a?b=c", "http://127.0.0.1:1/"},
        {"", "example.org", "ftp://example.org", "https://", "https://u@example.org",
            "https://u:p@example.org", "https://example.org/#a", "https://example.org/a b",
            "https://example.org:0/", "https://ex\xc3\xa4mple.org"}},
    {"registry", check_registry,
        {"registry.example.org", "localhost:5000", "http://127.0.0.1:5000", "https://r.example"},
        {"", "http://r.example", "r.example/team", "user@r.example", "http://"}},
};

static void
test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(forms[i].good) && forms[i].good[j] != NULL; j++) {
            if (forms[i].check(forms[i].good[j]) != NULL) {
                fail_msg("%s: '%s' should be fine", forms[i].name, forms[i].good[j]);
            }
        }
        for (size_t j = 0; j < ARRAY_LENGTH(forms[i].bad) && forms[i].bad[j] != NULL; j++) {
            const char *problem = forms[i].check(forms[i].bad[j]);
            if (problem == NULL) {
                fail_msg("%s: '%s' should be refused", forms[i].name, forms[i].bad[j]);
            }
        }
    }
}

static bool
matches(const char *pattern, const char *value)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool found = regexec(&regex, value, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

static void
assert_pattern_fits(const char *pattern, const char *(*check)(const char *value))
{
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(forms[i].good) && forms[i].good[j] != NULL; j++) {
            const char *value = forms[i].good[j];
            if (check(value) == NULL && !matches(pattern, value)) {
                fail_msg("'%s' refuses '%s', which its check accepts", pattern, value);
            }
        }
        bool own = forms[i].check == check;
        if (own && matches(pattern, "")) {
            fail_msg("'%s' of '%s' accepts nothing at all", pattern, forms[i].name);
        }
    }
}

static void
assert_patterns_of(const struct field_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        if (field->check != NULL && field->pattern != NULL) {
            assert_pattern_fits(field->pattern, field->check);
        }
        if (field->key_check != NULL && field->key_pattern != NULL) {
            assert_pattern_fits(field->key_pattern, field->key_check);
        }
        if (field->table != NULL) {
            assert_patterns_of(field->table);
        }
    }
}

static void
test_patterns_are_not_stricter(void **state)
{
    (void)state;
    assert_patterns_of(&spec_app_table);
    assert_patterns_of(&config_table);
}

// Where a webhook may lead, without and with the organisation's word for its host.
static void
test_places_of_webhooks(void **state)
{
    (void)state;
    static const char address[] = "must name a host, not an address";
    static const char local[] = "must name a host of the public internet";
    static const struct {
        const char *url, *problem, *of_private;
    } cases[] = {
        {"https://hooks.example.org/a?b=c", NULL, NULL},
        {"https://1.example.org/", NULL, NULL},
        {"https://example.0xorg/", NULL, NULL},
        {"http://hooks.example.org/", "must be https",
            "must be https (plain http only on loopback)"},
        {"http://127.0.0.1:8080/", "must be https", NULL},
        {"http://localhost/", "must be https", NULL},
        {"https://localhost/", "must lead to another machine", NULL},
        {"https://a.localhost/", local, NULL},
        {"https://METADATA/", local, NULL},
        {"https://metadata.google.internal/x", local, NULL},
        {"https://printer.local/", local, NULL},
        {"https://router.home.arpa/", local, NULL},
        {"https://localhost./", "must name a host, without an empty part", NULL},
        {"https://hooks..example.org/", "must name a host, without an empty part", NULL},
        {"https://example.org:443/", NULL, NULL},
        {"https://example.org:8443/", "must be on port 443", NULL},
        {"https://internal.example.org/", NULL, NULL},
        {"https://127.0.0.1/", address, NULL},
        {"https://10.0.0.1/", address, NULL},
        {"https://10.0.0.1./", address, NULL},
        {"https://127.1/", address, NULL},
        {"https://2130706433/", address, NULL},
        {"https://0x7f000001/", address, NULL},
        {"https://0x7F.1/", address, NULL},
        {"https://0177.0.0.1/", address, NULL},
        {"https://[::1]/", address, NULL},
        {"https://[fd00::1]:8443/", address, NULL},
        {"https://me@example.org/", "must be an https URL without user name",
            "must be an https URL without user name"},
        {"https://example.org/#a", "must be an https URL without a fragment",
            "must be an https URL without a fragment"},
        {"gopher://example.org/", "must be an https URL", "must be an https URL"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *problem = spec_hook_problem(cases[i].url, false);
        const char *of_private = spec_hook_problem(cases[i].url, true);
        if (!cstr_equal(problem, cases[i].problem) ||
            !cstr_equal(of_private, cases[i].of_private)) {
            fail_msg("'%s': '%s', of a private host '%s'", cases[i].url, problem, of_private);
        }
    }
    char *longest CLEANUP(xfreep) = xasprintf("https://example.org/%*s", 2029, "a");
    for (char *at = longest; *at != '\0'; at++) {
        *at = *at == ' ' ? 'a' : *at;
    }
    assert_string_equal(spec_hook_problem(longest, true), "must be an https URL");
    longest[2048] = '\0';
    assert_null(spec_hook_problem(longest, false));
}

static void
test_listed_hosts(void **state)
{
    (void)state;
    static const char *items[] = {"hooks.example.org", "*.Corp.example.org", "127.0.0.1"};
    const struct str_list hosts = {items, ARRAY_LENGTH(items)};
    static const char *const listed[] = {"https://hooks.example.org/",
        "https://HOOKS.example.org:8443", "https://a.corp.example.org/x",
        "https://a.b.corp.example.org/x", "http://127.0.0.1:8080/"};
    static const char *const others[] = {"https://corp.example.org/", "https://xcorp.example.org/",
        "https://a.hooks.example.org/", "https://hooks.example.org.evil.example/",
        "https://evil.example/hooks.example.org", "https://evil.example/?.corp.example.org",
        "https://127.0.0.2/", "hooks.example.org", ""};
    for (size_t i = 0; i < ARRAY_LENGTH(listed); i++) {
        assert_true(spec_host_is_listed(&hosts, listed[i]));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        assert_false(spec_host_is_listed(&hosts, others[i]));
    }
    assert_false(spec_host_is_listed(&(struct str_list){0}, "https://hooks.example.org/"));
}

static void
test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"30s", 30000}, {"5m", 300000}, {"2h", 7200000}, {"1d", 86400000}, {"0s", 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t ms = -1;
        assert_true(clock_parse_duration(str_of(cases[i].text), &ms));
        assert_int_equal(ms, cases[i].ms);
    }
    static const char *const bad[] = {"", "s", "5", "-5m", "5 m", "5M", "1w", "1.5h", "+1s",
        "9223372036854775807d", "99999999999999999999s", "5ms"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        int64_t ms = -1;
        assert_false(clock_parse_duration(str_of(bad[i]), &ms));
        assert_int_equal(ms, -1);
    }
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    assert_string_equal(spec_duration_text(arena, 86400000), "1d");
    assert_string_equal(spec_duration_text(arena, 5400000), "90m");
    assert_string_equal(spec_duration_text(arena, 61000), "61s");
    assert_string_equal(spec_duration_text(arena, 0), "0s");
}

static void
test_secret_shapes(void **state)
{
    (void)state;
    static const char *const secrets[] = {"ghp_0123456789abcdefghijklmnopqrstuvwxyz",
        "Bearer ghs_0123456789abcdefghijklmnopqrstuvwxyz.aaa.bbb",
        "github_pat_0123456789abcdefghijklmnopq", "AKIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdefghij", "postgresql://u:pw@host/db",
        "https://hooks.slack.com/services/T0/B0/x", "hvs.CAESIabcdefghijklmnop"};
    static const char *const harmless[] = {"ghp_short", "xghp_0123456789abcdefghijklmnopqrstuvwxyz",
        "https://example.org/a:b@c", "https://user@example.org/", "postgresql://host:5432/db",
        "AKIA", "-----BEGIN CERTIFICATE-----", "xoxb-", "https://hooks.slack.com/", "env:VAR", ""};
    for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++) {
        if (!spec_looks_like_secret(secrets[i])) {
            fail_msg("'%s' is not seen", secrets[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(harmless); i++) {
        if (spec_looks_like_secret(harmless[i])) {
            fail_msg("'%s' is no secret", harmless[i]);
        }
    }
}

static void
test_masks_keep_places(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    assert_string_equal(secrets_mask(STR("a: AKIAIOSFODNN7EXAMPLE # x\nb: 1\n"), arena),
        "a: ******************** # x\nb: 1\n");
    assert_string_equal(
        secrets_mask(STR("https://u:p@h/ https://x:y@z"), arena), "https******@h/ https******@z");
    assert_string_equal(
        secrets_mask(
            STR("k: |\n -----BEGIN PRIVATE KEY-----\n A\n -----END PRIVATE KEY-----\nz\n"), arena),
        "k: |\n ***************************\n**\n**************************\nz\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_patterns_are_not_stricter),
        cmocka_unit_test(test_places_of_webhooks),
        cmocka_unit_test(test_listed_hosts),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_secret_shapes),
        cmocka_unit_test(test_masks_keep_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
