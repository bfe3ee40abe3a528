// Which secrets what a service reads from the infra repository may name: hostile references, and
// documents that hold them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/buf.h"
#include "dispatcher/memory.h"
#include "dispatcher/spec.h"

static const char *files[] = {"/etc/hooks/*", "/srv/teams/**"};
static const char *variables[] = {"HOOK_KEY", "SLACK_BOT_TOKEN"};
static const char *own[] = {
    "file:/etc/hooks/app.pem", "env:SLACK_BOT_TOKEN", "vault:kv/data/a#key"};
static const struct setting_secrets some = {
    .files = {files, 2}, .env = {variables, 2}, .own = {own, 3}};
static const struct setting_secrets none = {.files = {0}};

static void
only_what_is_listed_and_nothing_of_its_own(void **state)
{
    (void)state;
    static const struct {
        const char *reference;
        bool fine;
    } cases[] = {
        {"file:/etc/hooks/a", true},
        {"file:/srv/teams/shop/key", true},
        {"env:HOOK_KEY", true},
        {"ssm:/shop/key", true},
        {"secretsmanager:shop#key", true},
        {"vault:kv/data/b#key", true},
        {"vault:kv/data/a#key", false}, // the service's
        {"env:SLACK_BOT_TOKEN", false},
        {"file:/etc/hooks/app.pem", false},
        {"file:/etc/hooks//app.pem", false}, // the same in other words
        {"file:/etc/hooks/./app.pem", false},
        {"file:/srv/teams/../../etc/hooks/app.pem", false},
        {"file:/srv/teams/../secret", false},
        {"file:/srv/teams/x/..", false},
        {"file:/srv/teams/", false},
        {"file:/etc/hooks", false},
        {"file:/etc/hooks/a/b", false},
        {"file:/etc/Hooks/a", false},
        {"file:etc/hooks/a", false},
        {"file:", false},
        {"file:/", false},
        {"file:/proc/self/environ", false},
        {"file:/run/credentials/app.pem", false},
        {"env:hook_key", false},
        {"env:HOOK_KEY2", false},
        {"env:HOOK", false},
        {"env:", false},
        {"env:VAULT_TOKEN", false},
    };
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *refusal = spec_secret_refusal(&some, cases[i].reference, arena);
        if ((refusal == NULL) != cases[i].fine) {
            fail_msg("%s: %s", cases[i].reference, refusal != NULL ? refusal : "passes");
        }
    }
    assert_non_null(spec_secret_refusal(&none, "env:HOOK_KEY", arena));
    assert_non_null(spec_secret_refusal(&none, "file:/etc/hooks/a", arena));
    assert_null(spec_secret_refusal(&none, "ssm:/shop/key", arena));
}

// --- documents -----------------------------------------------------------------------------------

#define CONFIG "version: 1\nenvironments: [staging, production]\n"
#define APP "name: shop\nservices:\n  web: {}\ndeploy:\n"
#define HOOK "{kind: webhook, url: https://example.org/x, secret: "

static void
assert_found(struct diagnostics *found, size_t count, unsigned line, const char *says)
{
    if (diagnostics_count(found, DIAGNOSTIC_ERROR) != count) {
        struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        diagnostics_print_text(found, false, &text);
        fail_msg("not %zu: %s", count, buf_cstr(&text));
    }
    if (count > 0) {
        const struct diagnostic *first = diagnostics_at(found, 0);
        assert_string_equal(first->rule, "secret-not-allowed");
        assert_int_equal(first->span.line, line);
        if (strstr(first->message, says) == NULL) {
            fail_msg("'%s' does not say '%s'", first->message, says);
        }
    }
}

static void
a_hostile_spec_is_found_out(void **state)
{
    (void)state;
    static const struct {
        const char *config, *app;
        size_t found;
        unsigned line;
        const char *says;
    } cases[] = {
        {"", "  notify: {sinks: {a: " HOOK "\"file:/run/credentials/app.pem\"}}}\n", 1, 5,
            "'file:/run/credentials/app.pem'"},
        // Written so that the text does not show it.
        {"", "  notify: {\"s\\x69nks\": {a: " HOOK "\"\\x66ile:/run/key\"}}}\n", 1, 5,
            "'file:/run/key'"},
        {"",
            "  notify:\n    sinks:\n      a: {kind: slack, webhook: "
            "\"env:AWS_SECRET_ACCESS_KEY\"}\n",
            1, 7, "AWS_SECRET_ACCESS_KEY"},
        {"", "  notify: {sinks: {a: {kind: github, token: \"env:VAULT_TOKEN\"}}}\n", 1, 5,
            "VAULT_TOKEN"},
        {"", "  notify: {sinks: {a: {kind: pagerduty, routing_key: \"env:X\"}}}\n", 1, 5, "env:X"},
        {"", "  environments:\n    staging:\n      notify: {sinks: {a: " HOOK "\"env:X\"}}}\n", 1,
            7, "env:X"},
        {"",
            "  notify: {sinks: {a: {kind: slack, token: \"env:X\", channel: C012AB3CD},"
            " b: " HOOK "\"env:Y\"}}}\n",
            2, 5, "env:X"},
        // What it takes where it names nothing.
        {"", "  notify: {sinks: {a: {kind: slack, channel: C012AB3CD}}}\n", 1, 5,
            "env:SLACK_BOT_TOKEN"},
        {"", "  notify: {sinks: {a: {kind: pagerduty}}}\n", 1, 5, "env:PAGERDUTY_ROUTING_KEY"},
        {"notify: {sinks: {a: {kind: slack, token: \"ssm:/slack\", channel: C012AB3CD}}}\n",
            "  notify: {sinks: {a: {kind: slack, channel: C012AB3CE}}}\n", 0, 0, ""},
        {"", "  notify: {sinks: {a: " HOOK "\"env:HOOK_KEY\"}}}\n", 0, 0, ""},
        {"", "  notify: {sinks: {a: " HOOK "\"ssm:/shop/hook\"}}}\n", 0, 0, ""},
        {"", "  notify: {sinks: {a: {kind: github}}}\n", 0, 0, ""},
        {"", "  build: {secrets: {npm: \"file:.npmrc\"}}\n", 0, 0, ""}, // the job's, not ours
        {"", "  environments: {staging: {}}\n", 0, 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct diagnostics *found CLEANUP(diagnostics_freep) = diagnostics_new();
        const char *config = arena_printf(arena, CONFIG "%s", cases[i].config);
        const char *app = arena_printf(arena, APP "%s", cases[i].app);
        const struct spec_document config_document = {"dispatcher.yaml", str_of(config)};
        const struct spec_document app_document = {"appspecs/shop.yaml", str_of(app)};
        spec_lint_served_app(&config_document, &app_document, &some, found);
        assert_found(found, cases[i].found, cases[i].line, cases[i].says);
    }
}

static void
so_is_a_dispatcher_yaml(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        size_t found;
        const char *says;
    } cases[] = {
        {"notify: {sinks: {a: {kind: slack, channel: C012AB3CD}}}\n", 1, "env:SLACK_BOT_TOKEN"},
        {"notify: {sinks: {a: {kind: slack, channel: C012AB3CD, token: \"vault:kv/data/s#t\"}}}\n",
            0, ""},
        {"notify: {sinks: {a: " HOOK "\"file:/etc/passwd\"}}}\n", 1, "/etc/passwd"},
        {"notify: {sinks: {a: " HOOK "\"file:/etc/hooks/a\"}}}\n", 0, ""},
        // The service reads these of its own file.
        {"github: {app_id: \"1\", app_key: \"env:X\"}\n", 0, ""},
        {"server: {url: https://d.example.org, webhook_secrets: [\"env:X\"]}\n", 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct diagnostics *found CLEANUP(diagnostics_freep) = diagnostics_new();
        const char *config = arena_printf(arena, CONFIG "%s", cases[i].config);
        const struct spec_document document = {"dispatcher.yaml", str_of(config)};
        spec_lint_served_config(&document, &some, found);
        assert_found(found, cases[i].found, 3, cases[i].says);
    }
}

// --- the operator's own words --------------------------------------------------------------------

static void
the_services_file_says_what_and_its_own_are_known(void **state)
{
    (void)state;
    static const char text[] =
        CONFIG "github: {app_id: \"1\", app_key: \"file:/run/app.pem\"}\nserver:\n"
               "  url: https://d.example.org\n  organization: acme\n"
               "  webhook_secrets: [\"env:HOOK\", \"env:NEXT\"]\n"
               "  slack_signing_secret: \"env:SIGNING\"\n"
               "  oauth: {client_id: x, client_secret: \"ssm:/oauth\"}\n"
               "  tls: {certificate: /run/tls/cert.pem, key: /run/tls/key.pem}\n"
               "  secrets: {files: [/run/**], env: [HOOK]}\n";
    static const char *const refused[] = {"file:/run/app.pem", "env:HOOK", "env:NEXT",
        "env:SIGNING", "ssm:/oauth", "file:/run/tls/key.pem"};
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct diagnostics *found CLEANUP(diagnostics_freep) = diagnostics_new();
    struct setting_server *server = NULL;
    const struct spec_document document = {"serve.yaml", str_of(text)};
    settings_server(&document, arena, found, &server);
    assert_non_null(server);
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        assert_non_null(spec_secret_refusal(&server->secrets, refused[i], arena));
    }
    assert_null(spec_secret_refusal(&server->secrets, "file:/run/tls/cert.pem", arena));
}

static void
patterns_that_would_be_everything_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        bool fine;
    } cases[] = {{"/etc/hooks/*", true}, {"/etc/hooks/**", true}, {"/etc/hooks/a.key", true},
        {"/**", false}, {"/*", false}, {"/*/x", false}, {"/etc", false}, {"//etc/x", false},
        {"etc/x", false}, {"/etc/../x", false}, {"/etc/./x", false}, {"/e*/x", false}, {"", false}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct diagnostics *found CLEANUP(diagnostics_freep) = diagnostics_new();
        struct setting_server *server = NULL;
        const char *text = arena_printf(arena,
            CONFIG "server: {url: https://d.example.org, secrets: {files: [\"%s\"]}}\n",
            cases[i].pattern);
        const struct spec_document document = {"serve.yaml", str_of(text)};
        settings_server(&document, arena, found, &server);
        if ((server != NULL) != cases[i].fine) {
            fail_msg("'%s'", cases[i].pattern);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_listed_and_nothing_of_its_own),
        cmocka_unit_test(a_hostile_spec_is_found_out),
        cmocka_unit_test(so_is_a_dispatcher_yaml),
        cmocka_unit_test(the_services_file_says_what_and_its_own_are_known),
        cmocka_unit_test(patterns_that_would_be_everything_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
