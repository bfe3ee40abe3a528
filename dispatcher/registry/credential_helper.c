// One question to a program that keeps registry credentials (docker-credential-helpers: `get`, the
// server on stdin, JSON on stdout). What it prints may hold the secret, so that nothing of it but
// the secret itself goes anywhere.
#include "credentials_internal.h"

#include <string.h>

#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/process.h"

enum {
    ANSWER_MAX = 64 * 1024,
    STDERR_MAX = 16 * 1024,
    TIME_LIMIT_MS = 60 * 1000, // it may ask a cloud, or a person
    NAME_MAX_BYTES = 64,
    USER_MAX_BYTES = 1024,
};

// It becomes part of a program's name.
static bool
name_is_plain(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_BYTES && strspn(name, letters) == len &&
           strchr("._-", name[0]) == NULL;
}

// It goes into "user:password" and into messages.
static bool
user_is_usable(const char *user)
{
    for (const char *at = user; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f || *at == ':') {
            return false;
        }
    }
    return user[0] != '\0' && strlen(user) <= USER_MAX_BYTES;
}

static struct error *
take_answer(struct str answer, char **user, struct secret **password)
{
    struct json *json CLEANUP(json_freep) = NULL;
    struct error *err = json_parse(answer, &json_limits_default, &json);
    if (err != NULL) {
        error_free(err); // it quotes the answer
        return error_new(ERROR_CREDENTIALS, "it printed no JSON");
    }
    const char *name = json_str(json_get(json, "Username"));
    const char *word = json_str(json_get(json, "Secret"));
    if (name == NULL || word == NULL) {
        return error_new(ERROR_CREDENTIALS, "its answer lacks 'Username' or 'Secret'");
    }
    struct secret *secret CLEANUP(secret_freep) = secret_new(str_of(word));
    if (name[0] == '\0' && word[0] == '\0') {
        return NULL; // how some of them say that they have none
    }
    if (!user_is_usable(name)) {
        return error_new(
            ERROR_CREDENTIALS, "its answer has a user name that cannot be sent to a registry");
    }
    *user = xstrdup(name);
    *password = secret_ref(secret);
    return NULL;
}

static struct error *
ask(const struct platform *platform, const char *program, const char *server, char **user,
    struct secret **password)
{
    struct buf answer CLEANUP(buf_wipe) = BUF_INIT(ANSWER_MAX);
    struct buf errors CLEANUP(buf_wipe) = BUF_INIT(STDERR_MAX);
    struct process_exit end = {0};
    const struct process_order order = {
        .argv = (const char *const[]){program, "get", NULL},
        .input = str_of(server),
        .out = &answer,
        .errors = &errors,
        .limit_ms = TIME_LIMIT_MS,
        .on_terminal = true,
        .kind = ERROR_CREDENTIALS,
    };
    TRY(process_run(platform, &order, &end));
    if (end.status == 1 &&
        str_equal(str_trim(buf_str(&answer)), STR("credentials not found in native keychain"))) {
        return NULL;
    }
    TRY(process_check(&end, ERROR_CREDENTIALS, buf_str(&errors)));
    return take_answer(buf_str(&answer), user, password);
}

struct error *
credential_helper_get(const struct platform *platform, const char *name, const char *server,
    char **user, struct secret **password)
{
    if (!name_is_plain(name)) {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "a credential helper has a name that is none"),
            "'credHelpers' and 'credsStore' take what follows 'docker-credential-' in the "
            "program's name: lower-case letters, digits, '.', '_' and '-'.");
    }
    char *program CLEANUP(xfreep) = xasprintf("docker-credential-%s", name);
    char *found CLEANUP(xfreep) = process_find(platform, program);
    if (found == NULL) {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "there is no credential helper '%s' in PATH", program),
            "Install it, or take '%s' out of that file.", name);
    }
    struct error *err = ask(platform, program, server, user, password);
    return err != NULL && error_kind(err) == ERROR_CREDENTIALS
               ? error_hint(error_wrap(err, "credential helper '%s' for '%s'", program, server),
                     "Try it by hand: echo '%s' | %s get.", server, program)
               : err;
}
