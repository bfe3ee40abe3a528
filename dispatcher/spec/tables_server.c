// The `server` block of dispatcher.yaml as field tables: what `dispatcher serve` is run with. Data
// only; what its values mean together is lint_server.c's.
#include "patterns.h"
#include "spec_internal.h"

static const struct field tls_fields[] = {
    FIELD(struct config_tls, certificate, "certificate", FIELD_STR, .required = true,
        .check = check_path, .pattern = PATTERN_SOME,
        .doc = "PEM file: the certificate, and those between it and the root."),
    FIELD(struct config_tls, key, "key", FIELD_STR, .required = true, .check = check_path,
        .pattern = PATTERN_SOME, .doc = "PEM file: its private key."),
};
static const struct field_table tls_table = FIELD_TABLE("tls", struct config_tls, tls_fields);

static const struct field oauth_fields[] = {
    FIELD(struct config_oauth, client_id, "client_id", FIELD_STR, .required = true,
        .check = check_visible, .pattern = PATTERN_VISIBLE, .doc = "Of the GitHub App."),
    FIELD(struct config_oauth, client_secret, "client_secret", FIELD_STR, .required = true,
        .secret_ref = true, .pattern = PATTERN_SECRET_REF, .doc = "Of the GitHub App."),
};
static const struct field_table oauth_table =
    FIELD_TABLE("oauth", struct config_oauth, oauth_fields);

static const struct field proxy_auth_fields[] = {
    FIELD(struct config_proxy_auth, header, "header", FIELD_STR, .required = true,
        .check = check_header, .pattern = PATTERN_HEADER,
        .doc = "Header in which the proxy says who it let in: a GitHub login."),
    FIELD(struct config_proxy_auth, addresses, "addresses", FIELD_LIST_STR, .required = true,
        .check = check_ip_address, .pattern = PATTERN_ADDRESS, .max = 32,
        .doc = "The only peers whose header counts."),
};
static const struct field_table proxy_auth_table =
    FIELD_TABLE("proxy_auth", struct config_proxy_auth, proxy_auth_fields);

static const struct field retention_fields[] = {
    FIELD(struct config_retention, events_ms, "events", FIELD_DURATION, .min = 86400000,
        .max = INT64_C(315360000000), .fallback = "400d",
        .doc = "How long the events of ended deployments are kept."),
    FIELD(struct config_retention, deliveries_ms, "deliveries", FIELD_DURATION,
        .min = INT64_C(259200000), .max = INT64_C(7776000000), .fallback = "7d",
        .doc = "How long ids of webhook deliveries are kept; GitHub delivers again for 3 days."),
};
static const struct field_table retention_table =
    FIELD_TABLE("retention", struct config_retention, retention_fields);

static const struct field secrets_fields[] = {
    FIELD(struct config_secrets, files, "files", FIELD_LIST_STR, .check = check_secret_files,
        .pattern = PATTERN_SECRET_FILES, .max = 50, .fallback = "none",
        .doc = "Absolute paths; `*` inside a segment, `**` across."),
    FIELD(struct config_secrets, env, "env", FIELD_LIST_STR, .check = check_env_name,
        .pattern = PATTERN_ENV_NAME, .max = 50, .fallback = "none",
        .doc = "Names of environment variables."),
};
static const struct field_table secrets_table =
    FIELD_TABLE("server secrets", struct config_secrets, secrets_fields);

static const struct field server_fields[] = {
    FIELD(struct config_server, listen, "listen", FIELD_STR, .check = check_listen,
        .pattern = PATTERN_LISTEN, .fallback = "127.0.0.1:8080", .doc = "Address and port."),
    FIELD(struct config_server, url, "url", FIELD_STR, .check = check_base_url,
        .pattern = PATTERN_BASE_URL, .doc = "Public address of the service; it needs one."),
    FIELD(struct config_server, tls, "tls", FIELD_OBJECT, .table = &tls_table,
        .doc = "Absent: plain HTTP, for a proxy on the same machine that speaks TLS."),
    FIELD(struct config_server, specs, "specs", FIELD_STR, .check = check_specs_location,
        .pattern = PATTERN_SOME, .fallback = "`workflow.repo` on GitHub",
        .doc = "Where dispatcher.yaml and the specs are read: a directory, or the URL of a git "
               "repository, whose default branch it is."),
    FIELD(struct config_server, specs_every_ms, "specs_every", FIELD_DURATION, .min = 5000,
        .max = 3600000, .fallback = "1m", .doc = "How often they are read again without news."),
    FIELD(struct config_server, specs_max_age_ms, "specs_max_age", FIELD_DURATION, .min = 60000,
        .max = 86400000, .fallback = "1h",
        .doc = "For how long what was read is good when it cannot be read again; then everything "
               "is refused."),
    FIELD(struct config_server, issuer, "issuer", FIELD_STR, .check = check_base_url,
        .pattern = PATTERN_BASE_URL, .fallback = "https://token.actions.githubusercontent.com",
        .doc = "Who makes the tokens of jobs; exact."),
    FIELD(struct config_server, audience, "audience", FIELD_STR, .check = check_visible,
        .pattern = PATTERN_VISIBLE, .fallback = "`url`",
        .doc = "For whom they must be made; exact."),
    FIELD(struct config_server, jwks, "jwks", FIELD_STR, .check = check_url, .pattern = PATTERN_URL,
        .fallback = "`issuer` and `/.well-known/jwks`", .doc = "Where its keys are."),
    FIELD(struct config_server, organization, "organization", FIELD_STR,
        .check = check_organization, .pattern = PATTERN_ORGANIZATION,
        .doc = "Organisation on GitHub whose members may sign in, and whose teams count."),
    FIELD(struct config_server, admins, "admins", FIELD_LIST_STR, .check = check_key_name,
        .pattern = PATTERN_KEY_NAME, .max = 20,
        .doc = "Teams that may lift the locks of others, and take the emergency path anywhere."),
    FIELD(struct config_server, people_every_ms, "people_every", FIELD_DURATION, .min = 1000,
        .max = 600000, .fallback = "5m",
        .doc = "How long what GitHub says of people counts before it is asked again: whoever "
               "leaves loses rights within it."),
    FIELD(struct config_server, webhook_secrets, "webhook_secrets", FIELD_LIST_STR,
        .secret_ref = true, .pattern = PATTERN_SECRET_REF, .max = 2,
        .doc = "Secrets of GitHub's webhook; two while they are changed."),
    FIELD(struct config_server, slack_signing_secret, "slack_signing_secret", FIELD_STR,
        .secret_ref = true, .pattern = PATTERN_SECRET_REF,
        .doc = "Signing secret of the Slack App, for its buttons."),
    FIELD(struct config_server, oauth, "oauth", FIELD_OBJECT, .table = &oauth_table,
        .doc = "Signing in with GitHub."),
    FIELD(struct config_server, proxy_auth, "proxy_auth", FIELD_OBJECT, .table = &proxy_auth_table,
        .doc = "Signing in at a proxy that stands before the service."),
    FIELD(struct config_server, workers, "workers", FIELD_INT, .min = 1, .max = 64, .fallback = "4",
        .doc = "Threads that work on deployments."),
    FIELD(struct config_server, connections, "connections", FIELD_INT, .min = 16, .max = 65536,
        .fallback = "4096", .doc = "Connections at a time."),
    FIELD(struct config_server, streams, "streams", FIELD_INT, .min = 1, .max = 65536,
        .fallback = "64",
        .doc = "Event streams of one repository or person at a time; four times that of an "
               "address."),
    FIELD(struct config_server, rate, "rate", FIELD_INT, .min = 1, .max = 100000, .fallback = "120",
        .doc = "Requests a minute of one repository or person."),
    FIELD(struct config_server, queue_limit, "queue_limit", FIELD_INT, .min = 1, .max = 10000,
        .fallback = "100", .doc = "Deployments that may wait for one app and environment."),
    FIELD(struct config_server, queue_max_age_ms, "queue_max_age", FIELD_DURATION, .min = 60000,
        .max = INT64_C(7776000000), .fallback = "7d", .doc = "How long one of them may wait."),
    FIELD(struct config_server, poll_ms, "poll", FIELD_DURATION, .min = 5000, .max = 3600000,
        .fallback = "1m", .doc = "How often runs are looked at without news."),
    FIELD(struct config_server, drift_interval_ms, "drift_interval", FIELD_DURATION, .min = 1000,
        .max = 86400000, .or_off = true, .fallback = "10m",
        .doc = "How often version parameters and what runs are compared with the last proven "
               "releases."),
    FIELD(struct config_server, retention, "retention", FIELD_OBJECT, .table = &retention_table,
        .doc = "How long things are kept."),
    FIELD(struct config_server, otlp, "otlp", FIELD_STR, .check = check_base_url,
        .pattern = PATTERN_BASE_URL, .doc = "Where traces go: OTLP over HTTP."),
    FIELD(struct config_server, push_role, "push_role", FIELD_STR, .check = check_arn,
        .pattern = PATTERN_ARN,
        .doc = "Role whose credentials, narrowed to an app's repositories, a push may get."),
    FIELD(struct config_server, secrets, "secrets", FIELD_OBJECT, .table = &secrets_table,
        .doc = "Which files and variables of its machine the documents of the infra repository may "
               "name as secrets of sinks; never the service's own."),
    FIELD(struct config_server, proxy, "proxy", FIELD_BOOL, .fallback = "false",
        .doc = "Whether `HTTPS_PROXY` and `NO_PROXY` are honoured."),
};
const struct field_table config_server_table =
    FIELD_TABLE("server", struct config_server, server_fields);
