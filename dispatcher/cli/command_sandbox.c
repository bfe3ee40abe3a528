// `dispatcher sandbox`: a GitHub, an AWS, a registry and inboxes on loopback, until it is
// interrupted. Turns options into struct sandbox_options and shows the addresses; all else is
// dispatcher/sandbox.
#include <string.h>

#include "cli_internal.h"
#include "dispatcher/arena.h"
#include "dispatcher/sandbox.h"

struct shown {
    struct cli *cli;
    const char *format;
    bool has_file;
};

static void
show_text(struct cli *cli, const struct sandbox_ready *ready, bool has_file)
{
    cli_errf(cli, "sandbox: serving on %s\n", ready->origin);
    cli_errf(cli, "  GitHub    %s\n", json_str(json_get(ready->addresses, "GITHUB_API_URL")));
    cli_errf(cli, "  AWS       %s\n", json_str(json_get(ready->addresses, "AWS_ENDPOINT_URL")));
    cli_errf(cli, "  registry  %s\n",
        json_str(json_get(ready->addresses, "DISPATCHER_SANDBOX_REGISTRY")));
    cli_errf(cli, "  inbox     %s/inbox\n", ready->origin);
    cli_errf(cli, "  control   %s\n",
        json_str(json_get(ready->addresses, "DISPATCHER_SANDBOX_CONTROL")));
    if (!has_file) {
        cli_errf(cli, "configure a shell with: set -a; . <(curl -s %s/_sandbox/environment)\n",
            ready->origin);
    }
}

static void
show(void *ctx, const struct sandbox_ready *ready)
{
    const struct shown *shown = ctx;
    struct buf text CLEANUP(buf_done) = BUF_INIT(256 * 1024);
    if (shown->format == NULL) {
        show_text(shown->cli, ready, shown->has_file);
        return;
    }
    if (strcmp(shown->format, "env") == 0) {
        buf_add(&text, ready->environment);
    } else {
        json_print(ready->addresses, false, &text);
        buf_putc(&text, '\n');
    }
    cli_out(shown->cli, buf_str(&text));
}

// NAME=VALUE; with `from_env`, NAME alone takes its value from the environment.
static struct error *
read_pairs(struct cli *cli, struct str_list given, const char *option, struct arena *arena,
    struct pair_list *out)
{
    bool from_env = strcmp(option, "secret") == 0;
    out->items = arena_array(arena, given.count + 1, sizeof(*out->items));
    for (size_t i = 0; i < given.count; i++) {
        struct str name = {0}, value = {0}, text = str_of(given.items[i]);
        bool has_value = memchr(text.ptr, '=', text.len) != NULL;
        (void)str_cut(text, '=', &name, &value);
        const char *key = arena_str(arena, name);
        const char *known = has_value  ? arena_str(arena, value)
                            : from_env ? env_get(&cli->platform, key)
                                       : NULL;
        if (name.len == 0 || known == NULL) {
            return error_hint(
                error_new(ERROR_USAGE, "--%s '%s': no value", option, from_env ? key : text.ptr),
                "Write --%s NAME=VALUE.", option);
        }
        out->items[out->count++] = (struct pair){key, known};
    }
    return NULL;
}

static struct error *
read_quota(const struct cli_arguments *arguments, int64_t *out)
{
    const char *text = cli_value(arguments, "quota");
    if (text != NULL && (!str_to_int64(str_of(text), out) || *out < 1)) {
        return error_new(ERROR_USAGE, "--quota '%s' is no positive number", text);
    }
    return NULL;
}

static struct error *
check_faults(struct str_list rules)
{
    for (size_t i = 0; i < rules.count; i++) {
        TRY(sandbox_fault_check(rules.items[i]));
    }
    return NULL;
}

static struct error *
run_sandbox(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct sandbox_options options = {
        .listen = cli_value(arguments, "listen"),
        .data_directory = cli_value(arguments, "data"),
        .ready_file = cli_value(arguments, "ready-file"),
        .ghes = cli_value(arguments, "ghes"),
        .account = cli_value(arguments, "account"),
        .region = cli_value(arguments, "region"),
        .registry_auth = cli_value(arguments, "registry-auth"),
        .caller = cli_value(arguments, "caller"),
        .webhook_url = cli_value(arguments, "webhook"),
        .webhook_secret_file = cli_value(arguments, "webhook-secret-file"),
        .faults = cli_values(arguments, "fault"),
        .rollout_delay = cli_duration_ms(arguments, "rollout-delay", 0),
        .delays = {.visible = cli_duration_ms(arguments, "visible-delay", 0),
            .pending = cli_duration_ms(arguments, "pending-delay", 0),
            .queued = cli_duration_ms(arguments, "queue-delay", 0),
            .running = cli_duration_ms(arguments, "run-delay", 0)},
    };
    struct shown shown = {.cli = cli,
        .format = cli_value(arguments, "print"),
        .has_file = options.ready_file != NULL};
    (void)exit_code;
    TRY(read_pairs(cli, cli_values(arguments, "repo"), "repo", arena, &options.repositories));
    TRY(read_pairs(cli, cli_values(arguments, "var"), "var", arena, &options.variables));
    TRY(read_pairs(cli, cli_values(arguments, "secret"), "secret", arena, &options.secrets));
    TRY(read_quota(arguments, &options.quota));
    TRY(check_faults(options.faults));
    return sandbox_run(&cli->platform, &options, show, &shown);
}

static const char *const print_choices[] = {"env", "json", NULL};
static const char *const auth_choices[] = {"basic", "bearer", "none", NULL};

static const struct cli_option options[] = {
    {"repo", CLI_LIST, "OWNER/NAME=PATH", "serve this git repository or directory as a repository",
        NULL},
    {"listen", CLI_VALUE, "HOST:PORT", "loopback address (127.0.0.1:0: any free port)", NULL},
    {"ready-file", CLI_VALUE, "FILE", "write the environment for clients there once it serves",
        NULL},
    {"print", CLI_VALUE, "FORMAT", "print the environment on standard output", print_choices},
    {"data", CLI_VALUE, "DIR", "keep blobs, work directories and the App's key there", NULL},
    {"visible-delay", CLI_DURATION, "TIME", "until a dispatched run shows in listings", NULL},
    {"pending-delay", CLI_DURATION, "TIME", "how long a run is then 'pending'", NULL},
    {"queue-delay", CLI_DURATION, "TIME", "how long it is then 'queued'", NULL},
    {"run-delay", CLI_DURATION, "TIME", "how long it is then 'in_progress' before its first step",
        NULL},
    {"rollout-delay", CLI_DURATION, "TIME", "how long a deployment of a service takes (2s)", NULL},
    {"ghes", CLI_VALUE, "VERSION", "answer as that GitHub Enterprise Server: 3.19", NULL},
    {"quota", CLI_VALUE, "N", "requests an hour and token (5000)", NULL},
    {"fault", CLI_LIST, "RULE", "break on purpose; rules are described above", NULL},
    {"var", CLI_LIST, "NAME=VALUE", "vars.NAME of workflows", NULL},
    {"secret", CLI_LIST, "NAME[=VALUE]", "secrets.NAME of workflows, else from the environment",
        NULL},
    {"account", CLI_VALUE, "ID", "the AWS account (123456789012)", NULL},
    {"region", CLI_VALUE, "REGION", "the AWS region (us-east-1)", NULL},
    {"registry-auth", CLI_VALUE, "KIND", "how the registry asks for credentials (basic)",
        auth_choices},
    {"caller", CLI_VALUE, "OWNER/NAME",
        "the app's repository: OIDC tokens speak of it, reports may go to it", NULL},
    {"webhook", CLI_VALUE, "URL", "send the App's webhooks there", NULL},
    {"webhook-secret-file", CLI_VALUE, "FILE",
        "sign them with this secret (made up; the environment says where it is)", NULL},
};

const struct cli_command command_sandbox = {
    .name = "sandbox",
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "local GitHub, AWS and registry to rehearse against",
    .description =
        "Serves, on one loopback port and until it is interrupted, as much of GitHub (REST, Apps, "
        "Actions with OIDC), AWS (STS, IAM, SSM, ECR, ECS, App Runner, CloudWatch Logs, Secrets "
        "Manager), an OCI registry, a Vault, and a Slack, a PagerDuty and webhooks that keep what "
        "they "
        "got, as a deployment needs. A dispatched workflow really runs: its 'run:' steps are "
        "executed as processes, without your "
        "own credentials in their environment. Tokens, signatures and digests are checked.\n"
        "\n"
        "Requests and state can be read as JSON below /_sandbox: requests, counters, state, "
        "faults. "
        "POST /_sandbox/reset starts again; POST /_sandbox/faults adds a fault rule while it "
        "runs.\n"
        "\n"
        "The registry answers as ECR does when the Host header is one of ECR's: a missing "
        "repository "
        "ends the connection, parts and manifests have limits. What ECR's image scans find is said "
        "by POST /_sandbox/aws/scan, as in {\"repository\": \"shop-web\", \"delay_ms\": 2000, "
        "\"findings\": [{\"name\": \"CVE-2026-1\", \"severity\": \"HIGH\"}]}; status, description "
        "and enhanced may be given, too.\n"
        "\n"
        "Services that run already are made by POST /_sandbox/aws/ecs/seed and "
        "/_sandbox/aws/apprunner/seed, and what the next deployment shall come to is said to "
        "/scenario beside it, as in {\"service\": \"shop-web\", \"scenario\": \"rollback\"}. "
        "POST /_sandbox/vault sets up the Vault. docs/sandbox.md has all orders.\n"
        "\n"
        "What Slack, PagerDuty and webhooks got is shown at /inbox, and as JSON at "
        "/_sandbox/inbox.\n"
        "\n"
        "For 'dispatcher serve' it is the rest of GitHub, too: the App's webhooks (--webhook), its "
        "OAuth web flow, an organisation with people and teams, app repositories with commits, "
        "and OIDC tokens of any job: POST /_sandbox/oidc/token {\"repository\": \"acme/shop\", "
        "\"ref\": \"refs/tags/v1\", \"audience\": \"https://deploy.example.org\"}. The environment "
        "names the issuer, the webhook's secret, the OAuth client and the organisation.\n"
        "\n"
        "A fault rule is one line: METHOD PATTERN [KEY=VALUE]..., as in "
        "'POST */dispatches nth=1 effect=lost-answer'. PATTERN is the path, where * "
        "stands for any text. target=GLOB narrows to an AWS action, query=GLOB to a query string; "
        "nth=N is the first request that breaks (1), count=N|all how many do (1). effect= is one "
        "of "
        "status, reset, lost-answer, delay, truncate, malformed, drip, expired-token, clock. "
        "status=CODE takes body=\"TEXT\", header=\"Name: value\" and retry-after=SECONDS; delay=2s "
        "and delay-after=2s wait before and after; offset=+60s moves the Date header.",
    .examples =
        "$ dispatcher sandbox --repo acme/infra=../infra --ready-file sandbox.env\n"
        "  Then, in another shell: set -a; . ./sandbox.env\n"
        "$ dispatcher sandbox --repo acme/infra=. --queue-delay 3s --run-delay 30s\n"
        "$ dispatcher sandbox --repo acme/infra=. --webhook http://127.0.0.1:8080/hooks/github\n",
    .run = run_sandbox,
};
