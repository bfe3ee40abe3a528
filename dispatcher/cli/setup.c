// What the environment says about how to run. The standard names only, as `doctor` lists them; AWS
// and GitHub variables are read by their rooms.
#include "setup.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dispatcher/str.h"

enum { DEFAULT_WIDTH = 80, LEAST_WIDTH = 20, MOST_WIDTH = 1000 };

int
cli_terminal_width(int fd)
{
    struct winsize size = {0};
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_col > MOST_WIDTH) {
        return DEFAULT_WIDTH;
    }
    return size.ws_col < LEAST_WIDTH ? LEAST_WIDTH : size.ws_col;
}

static bool
is_capable(const struct environment *env, int fd)
{
    const char *term = environment_get(env, "TERM");
    return isatty(fd) == 1 && term != NULL && strcmp(term, "dumb") != 0;
}

// LC_ALL, then LC_CTYPE, then LANG decide (POSIX.1-2008 §8.2).
static bool
is_utf8(const struct environment *env)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct str value = str_of(environment_get(env, names[i])), head = {0}, charset = {0};
        if (value.len > 0) {
            (void)str_cut(value, '.', &head, &charset);
            (void)str_cut(charset, '@', &charset, &head);
            return str_equal_nocase(charset, STR("UTF-8")) ||
                   str_equal_nocase(charset, STR("utf8"));
        }
    }
    return false;
}

static const char *
first_of(const struct environment *env, const char *name, const char *other)
{
    const char *value = environment_get(env, name);
    return value != NULL ? value : environment_get(env, other);
}

// The password of "http://user:password@proxy:3128" must not show in messages about the proxy.
static void
mask_proxy_password(const char *proxy)
{
    const char *scheme_end = proxy != NULL ? strstr(proxy, "://") : NULL;
    const char *start = scheme_end != NULL ? scheme_end + 3 : proxy;
    const char *at = start != NULL ? strrchr(start, '@') : NULL;
    const char *colon = at != NULL ? memchr(start, ':', (size_t)(at - start)) : NULL;
    if (colon != NULL) {
        struct str password = {colon + 1, (size_t)(at - colon - 1)};
        secret_free(secret_new(password)); // its mask stays
    }
}

void
cli_setup(struct cli *cli, const struct environment *env)
{
    cli->platform.clock = &clock_system;
    cli->platform.random = &random_system;
    cli->platform.env = env;
    cli->terminal = is_capable(env, STDOUT_FILENO);
    cli->error_terminal = is_capable(env, STDERR_FILENO);
    cli->color = cli->terminal && environment_get(env, "NO_COLOR") == NULL;
    cli->utf8 = is_utf8(env);
    cli->in_actions = str_equal(str_of(environment_get(env, "GITHUB_ACTIONS")), STR("true"));
    cli->width = cli_terminal_width(cli->terminal ? STDOUT_FILENO : STDERR_FILENO);
    cli->http_options = (struct http_client_options){
        .proxy = first_of(env, "HTTPS_PROXY", "https_proxy"),
        .no_proxy = first_of(env, "NO_PROXY", "no_proxy"),
        .ca_file = first_of(env, "SSL_CERT_FILE", "AWS_CA_BUNDLE"),
    };
    mask_proxy_password(cli->http_options.proxy);
}

struct error *
cli_log_level(const struct environment *env, enum log_level *level)
{
    static const char *const words[] = {"error", "warn", "info", "debug", NULL};
    const char *wanted = environment_get(env, "DISPATCHER_LOG");
    bool debug = str_equal(str_of(environment_get(env, "RUNNER_DEBUG")), STR("1"));
    *level = debug ? LOG_DEBUG : LOG_WARN;
    for (size_t i = 0; wanted != NULL && words[i] != NULL; i++) {
        if (str_equal_nocase(str_of(wanted), str_of(words[i]))) {
            *level = (enum log_level)i;
            return NULL;
        }
    }
    if (wanted == NULL) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_USAGE, "DISPATCHER_LOG is '%.40s', which is no level", wanted),
        "Use error, warn, info or debug.");
}
