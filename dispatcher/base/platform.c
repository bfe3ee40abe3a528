// Randomness from the kernel, and the environment as it was at the start.
#include "dispatcher/platform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dispatcher/memory.h"

static void
system_fill(const struct random_source *source, void *out, size_t len)
{
    (void)source;
    char *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        BUG_ON(got < 0 && errno != EINTR);
        at += got > 0 ? got : 0;
        len -= got > 0 ? (size_t)got : 0;
    }
}

const struct random_source random_system = {system_fill};

double
random_unit(const struct random_source *source)
{
    uint64_t bits = 0;
    source->fill(source, &bits, sizeof(bits));
    return (double)(bits >> 11) / 9007199254740992.0; // 53 bits over 2^53
}

void
random_hex(const struct random_source *source, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = 0;
        source->fill(source, &byte, 1);
        out[2 * i] = digits[byte >> 4];
        out[2 * i + 1] = digits[byte & 15];
    }
    out[2 * count] = '\0';
}

struct environment {
    size_t count;
    char **list; // NULL-terminated
};

struct environment *
environment_new(char *const *envp)
{
    struct environment *env = xcalloc(1, sizeof(*env));
    while (envp != NULL && envp[env->count] != NULL) {
        env->count++;
    }
    env->list = xcalloc(env->count + 1, sizeof(*env->list));
    for (size_t i = 0; i < env->count; i++) {
        env->list[i] = xstrdup(envp[i]);
    }
    return env;
}

void
environment_free(struct environment *env)
{
    if (env == NULL) {
        return;
    }
    for (size_t i = 0; i < env->count; i++) {
        free(env->list[i]);
    }
    free(env->list);
    free(env);
}

const char *
environment_get(const struct environment *env, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; env != NULL && i < env->count; i++) {
        const char *entry = env->list[i];
        if (strncmp(entry, name, len) == 0 && entry[len] == '=' && entry[len + 1] != '\0') {
            return entry + len + 1;
        }
    }
    return NULL;
}

char *const *
environment_list(const struct environment *env)
{
    return env->list;
}

const char *
env_get(const struct platform *platform, const char *name)
{
    return environment_get(platform->env, name);
}
