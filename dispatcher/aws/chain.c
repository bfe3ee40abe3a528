// Credentials: the providers in the order of the SDKs (botocore credentials.py), renewal before
// they expire, and the account check. Each provider is a file of its own. The role of the spec,
// assumed with the job's token, comes first: it is the explicit choice, and falling back to
// whatever else lies around would deploy with rights that nobody chose.
#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/sts.h"

enum {
    MINUTE_MS = 60 * 1000,
    ADVISORY_MS = 15 * MINUTE_MS,  // before expiry: try, and keep the old ones if it fails
    MANDATORY_MS = 10 * MINUTE_MS, // before expiry: must succeed
    ADVISORY_PAUSE_MS = MINUTE_MS, // between two tries that may fail
    TRAIL_MAX = 16 * 1024,
    KEY_TAIL = 4,
};

static const struct aws_provider chain[] = {
    {"oidc", aws_load_oidc},
    {"environment", aws_load_environment},
    {"assume-role", aws_load_assume_role},
    {"web-identity", aws_load_web_identity},
    {"sso", aws_load_sso},
    {"credentials-file", aws_load_credentials_file},
    {"login", aws_load_login},
    {"process", aws_load_process},
    {"config-file", aws_load_config_file},
    {"container", aws_load_container},
    {"instance", aws_load_instance},
};

// Those that read one profile; a source_profile is resolved by these alone.
static const struct aws_provider profile_chain[] = {
    {"web-identity", aws_load_web_identity},
    {"sso", aws_load_sso},
    {"credentials-file", aws_load_credentials_file},
    {"login", aws_load_login},
    {"process", aws_load_process},
    {"config-file", aws_load_config_file},
};

void
aws_credentials_done(struct aws_credentials *credentials)
{
    free(credentials->access_key);
    free(credentials->account);
    secret_free(credentials->secret_key);
    secret_free(credentials->session_token);
    *credentials = (struct aws_credentials){0};
}

void
aws_credentials_move(struct aws_credentials *to, struct aws_credentials *from)
{
    aws_credentials_done(to);
    *to = *from;
    *from = (struct aws_credentials){0};
}

struct error *
aws_load_profile(const struct aws_load *load, struct aws_credentials *out)
{
    for (size_t i = 0; i < ARRAY_LENGTH(profile_chain) && out->access_key == NULL; i++) {
        TRY(profile_chain[i].load(load, out));
    }
    return NULL;
}

// ---- walking the chain

struct walk {
    struct buf trail;                    // "name: why\n" for each provider that had nothing
    const struct aws_provider *provider; // the one that had, or that failed
};

static void
walk_done(struct walk *walk)
{
    buf_done(&walk->trail);
}

static struct error *
load_one(struct aws_session *session, const struct aws_provider *provider, struct buf *why,
    struct aws_credentials *out)
{
    const struct aws_load load = {.session = session, .profile = session->profile, .why = why};
    struct aws_credentials found CLEANUP(aws_credentials_done) = {0};
    TRY(provider->load(&load, &found));
    found.provider = provider->name;
    if (found.access_key != NULL) {
        aws_credentials_move(out, &found);
    }
    return NULL;
}

static struct error *
walk_chain(struct aws_session *session, struct walk *walk, struct aws_credentials *out)
{
    for (size_t i = 0; i < ARRAY_LENGTH(chain) && out->access_key == NULL; i++) {
        struct buf why CLEANUP(buf_done) = BUF_INIT(4096);
        walk->provider = &chain[i];
        struct error *err = load_one(session, &chain[i], &why, out);
        if (err != NULL) {
            return error_wrap(err, "AWS credentials from '%s'", chain[i].name);
        }
        if (out->access_key == NULL) {
            buf_printf(&walk->trail, "%s: %s\n", chain[i].name, buf_cstr(&why));
        }
    }
    return NULL;
}

static struct error *
add_fix(const struct aws_session *session, struct error *err)
{
    const char *actions = env_get(session->platform, "GITHUB_ACTIONS");
    bool in_actions = actions != NULL && strcmp(actions, "true") == 0;
    if (!in_actions) {
        return error_hint(err, "Sign in ('aws sso login'), name a profile with AWS_PROFILE, or set "
                               "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.");
    }
    if (session->role_arn == NULL) {
        return error_hint(err, "Name the role to assume as 'aws.role' in dispatcher.yaml%s.",
            session->has_oidc ? "" : ", and give the job 'permissions: id-token: write'");
    }
    return error_hint(err,
        "Give the job 'permissions: id-token: write', so that it can assume '%s'.",
        session->role_arn);
}

static struct error *
nothing_found(const struct aws_session *session, const struct walk *walk)
{
    struct buf list CLEANUP(buf_done) = BUF_INIT(TRAIL_MAX);
    struct str line, rest = buf_str(&walk->trail);
    while (str_cut(rest, '\n', &line, &rest)) {
        buf_printf(&list, "%s%.*s", list.len > 0 ? "; " : "", STR_FMT(line));
    }
    return add_fix(
        session, error_new(ERROR_CREDENTIALS, "no AWS credentials found (%s)", buf_cstr(&list)));
}

// ---- keeping them fresh

static int64_t
shorter(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

enum freshness { FRESH, DUE, OVERDUE };

// Short-lived ones (a role of 15 minutes) would be due at once, so the windows shrink with them.
static enum freshness
freshness_of(const struct aws_session *session)
{
    const struct aws_credentials *now = &session->credentials;
    if (now->expires_ms == 0) {
        return FRESH;
    }
    int64_t left = now->expires_ms - aws_wall_ms(session);
    int64_t life = now->expires_ms - session->fetched_ms;
    if (left <= shorter(MANDATORY_MS, life / 3)) {
        return OVERDUE;
    }
    return left <= shorter(ADVISORY_MS, life / 2) ? DUE : FRESH;
}

// An instance hands out old credentials while its metadata service is troubled; the services then
// often still take them, so they decide. Anything else that has expired is of no use.
static struct error *
check_unexpired(const struct aws_session *session, const struct aws_credentials *found)
{
    if (found->expires_ms == 0 || found->expires_ms > aws_wall_ms(session) ||
        strcmp(found->provider, "instance") == 0) {
        return NULL;
    }
    char when[21];
    clock_format_rfc3339(found->expires_ms, when);
    return error_hint(error_new(ERROR_CREDENTIALS, "they expired at %s", when),
        "Get new credentials: sign in again, or start the job again.");
}

static struct error *
account_differs(const struct aws_session *session, const char *actual)
{
    struct error *err = error_new(ERROR_CREDENTIALS,
        "AWS credentials from '%s' belong to account '%s', the configuration wants '%s'",
        session->credentials.provider, actual, session->account);
    return error_hint(err,
        "Use credentials of account '%s', or correct 'aws.account' in "
        "dispatcher.yaml.",
        session->account);
}

// One GetCallerIdentity where the provider does not name the account; it needs no permission. Where
// STS itself cannot be reached the real call will tell.
static struct error *
ask_account(struct aws_session *session, struct arena *arena, const char **out)
{
    struct sts_identity identity = {0};
    struct error *err = sts_caller_identity(session, arena, &identity);
    if (err != NULL && error_kind(err) != ERROR_UNAVAILABLE && error_kind(err) != ERROR_REFUSED) {
        return err;
    }
    if (err != NULL) {
        log_debug(session->platform->log, "account of the credentials is not known",
            F_STR("reason", error_message(err)));
        error_free(err);
        return NULL;
    }
    *out = identity.account;
    return NULL;
}

static struct error *
check_account(struct aws_session *session)
{
    if (session->account == NULL || session->account_is_checked) {
        return NULL;
    }
    session->account_is_checked = true; // also: the call below comes here again
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *actual = session->credentials.account;
    struct error *err = actual == NULL ? ask_account(session, arena, &actual) : NULL;
    if (err == NULL && actual != NULL && strcmp(actual, session->account) != 0) {
        err = account_differs(session, actual);
    }
    session->account_is_checked = err == NULL;
    return err;
}

static void
accept(
    struct aws_session *session, const struct aws_provider *provider, struct aws_credentials *found)
{
    aws_credentials_move(&session->credentials, found);
    session->provider = provider;
    session->fetched_ms = aws_wall_ms(session);
}

static struct error *
fetch_first(struct aws_session *session)
{
    struct walk walk CLEANUP(walk_done) = {.trail = BUF_INIT(TRAIL_MAX)};
    struct aws_credentials found CLEANUP(aws_credentials_done) = {0};
    TRY(walk_chain(session, &walk, &found));
    if (found.access_key == NULL) {
        return nothing_found(session, &walk);
    }
    struct error *err = check_unexpired(session, &found);
    if (err != NULL) {
        return error_wrap(err, "AWS credentials from '%s'", found.provider);
    }
    accept(session, walk.provider, &found);
    return NULL;
}

/// From the same provider as before: another one would be another identity.
static struct error *
fetch_again(struct aws_session *session)
{
    const struct aws_provider *provider = session->provider;
    struct buf why CLEANUP(buf_done) = BUF_INIT(4096);
    struct aws_credentials found CLEANUP(aws_credentials_done) = {0};
    struct error *err = load_one(session, provider, &why, &found);
    if (err == NULL && found.access_key == NULL) {
        err = error_new(ERROR_CREDENTIALS, "%s", buf_cstr(&why));
    }
    if (err == NULL) {
        err = check_unexpired(session, &found);
    }
    if (err != NULL) {
        return error_wrap(err, "renew AWS credentials from '%s'", provider->name);
    }
    accept(session, provider, &found);
    return NULL;
}

static bool
same_secret(const struct secret *a, const struct secret *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    struct str left = secret_expose(a), right = secret_expose(b);
    return left.len == right.len && digest_equal(left.ptr, right.ptr, left.len);
}

struct error *
aws_credentials_renew(struct aws_session *session, bool *changed)
{
    char *old_key CLEANUP(xfreep) = xstrdup(session->credentials.access_key);
    struct secret *old_token CLEANUP(secret_freep) = secret_ref(session->credentials.session_token);
    TRY(fetch_again(session));
    const struct aws_credentials *now = &session->credentials;
    *changed = !same_secret(old_token, now->session_token) || strcmp(old_key, now->access_key) != 0;
    return NULL;
}

static struct error *
renew_if_due(struct aws_session *session)
{
    enum freshness freshness = freshness_of(session);
    if (freshness == FRESH || (freshness == DUE && aws_wall_ms(session) < session->not_before_ms)) {
        return NULL;
    }
    struct error *err = fetch_again(session);
    if (err == NULL || freshness == OVERDUE || error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    log_debug(session->platform->log, "early renewal of AWS credentials failed",
        F_STR("reason", error_message(err)));
    error_free(err);
    session->not_before_ms = aws_wall_ms(session) + ADVISORY_PAUSE_MS;
    return NULL;
}

struct error *
aws_credentials_get(struct aws_session *session, const struct aws_credentials **out)
{
    if (session->provider == NULL) {
        TRY(fetch_first(session));
    } else {
        TRY(renew_if_due(session));
    }
    TRY(check_account(session));
    *out = &session->credentials;
    return NULL;
}

// ---- for people

static void
describe_found(const struct aws_credentials *found, struct buf *out)
{
    size_t len = strlen(found->access_key);
    const char *tail = len > KEY_TAIL ? found->access_key + len - KEY_TAIL : "";
    buf_printf(out, "%s: used, access key ending in '%s'", found->provider, tail);
    if (found->account != NULL) {
        buf_printf(out, ", account '%s'", found->account);
    }
    if (found->expires_ms != 0) {
        char when[21];
        clock_format_rfc3339(found->expires_ms, when);
        buf_printf(out, ", until %s", when);
    }
    buf_putc(out, '\n');
}

// What was fetched for the explanation serves the calls that follow.
static void
adopt(
    struct aws_session *session, const struct aws_provider *provider, struct aws_credentials *found)
{
    struct error *err CLEANUP(error_freep) = check_unexpired(session, found);
    if (session->provider == NULL && err == NULL) {
        accept(session, provider, found);
    }
}

struct error *
aws_credentials_explain(struct aws_session *session, struct buf *out)
{
    struct walk walk CLEANUP(walk_done) = {.trail = BUF_INIT(TRAIL_MAX)};
    struct aws_credentials found CLEANUP(aws_credentials_done) = {0};
    struct error *err CLEANUP(error_freep) = walk_chain(session, &walk, &found);
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        struct error *cancelled = err;
        err = NULL;
        return cancelled;
    }
    buf_add(out, buf_str(&walk.trail));
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(error_cause(err));
        buf_printf(out, "%s: failed: %s\n", walk.provider->name, text);
    } else if (found.access_key != NULL) {
        describe_found(&found, out);
        adopt(session, walk.provider, &found);
    } else {
        return buf_finish(out, "explanation of the credentials");
    }
    for (const struct aws_provider *at = walk.provider + 1; at < chain + ARRAY_LENGTH(chain);
         at++) {
        buf_printf(out, "%s: not reached\n", at->name);
    }
    return buf_finish(out, "explanation of the credentials");
}
