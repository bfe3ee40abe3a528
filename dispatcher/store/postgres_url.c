// Where "postgresql://…" leads, and what of it people may read. A URL can hold a password, so that
// nothing of one that was not understood is ever repeated; libpq's own words about it are not used.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "postgres_internal.h"

static const char *
value_of(const struct postgres_target *target, const char *keyword)
{
    for (const PQconninfoOption *option = target->options; option->keyword != NULL; option++) {
        if (strcmp(option->keyword, keyword) == 0) {
            return option->val != NULL && option->val[0] != '\0' ? option->val : NULL;
        }
    }
    return NULL;
}

static struct error *
bad_url(const char *what)
{
    struct error *err = error_new(ERROR_STORAGE, "the journal's 'postgresql://' URL %s", what);
    return error_hint(err, "It has the form 'postgresql://USER@HOST:PORT/DATABASE'; '%%XX' stands "
                           "for a character that has a meaning there.");
}

// A stray '@' or ':' in a password makes it look like part of a host, a port or a database.
static bool
is_plain(const char *text, const char *others)
{
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text) && strchr(others, *text) == NULL) {
            return false;
        }
    }
    return true;
}

// From here on blanked in all output: as it is, and as the URL spells it.
static void
mask_secrets(const struct postgres_target *target, const char *url)
{
    static const char *const keywords[] = {"password", "sslpassword"};
    for (size_t i = 0; i < ARRAY_LENGTH(keywords); i++) {
        secret_free(secret_new(str_of(value_of(target, keywords[i]))));
    }
    struct str rest = str_skip(str_of(url), (size_t)(strstr(url, "://") - url) + 3);
    struct str authority = {0}, user = {0}, password = {0};
    if (str_cut(rest, '@', &authority, &rest) && str_cut(authority, ':', &user, &password)) {
        secret_free(secret_new(password));
    }
}

// All of a list like "a,b" are this machine.
static bool
is_local(const char *hosts)
{
    struct str host = {0}, rest = str_of(hosts);
    while (str_cut(rest, ',', &host, &rest)) {
        char *name CLEANUP(xfreep) = str_dup(host);
        if (name[0] != '/' && !url_host_is_loopback(name)) {
            return false;
        }
    }
    return true;
}

static struct error *
check_tls(const struct postgres_target *target)
{
    const char *mode = value_of(target, "sslmode");
    if (target->local || mode == NULL || strcmp(mode, "verify-full") == 0) {
        return NULL;
    }
    struct error *err = error_new(ERROR_STORAGE,
        "journal '%s': 'sslmode' must be 'verify-full' for a database on another machine",
        target->name);
    return error_hint(err, "Leave it out, and name the file with the authority's certificate with "
                           "'?sslrootcert=FILE'.");
}

static struct error *
check(struct postgres_target *target)
{
    const char *host = value_of(target, "host"), *address = value_of(target, "hostaddr");
    const char *port = value_of(target, "port"), *database = value_of(target, "dbname");
    if (value_of(target, "service") != NULL || value_of(target, "replication") != NULL) {
        return bad_url("must not have 'service' or 'replication'");
    }
    if (host == NULL) {
        return bad_url("names no host (a socket's directory: '?host=/run/postgresql')");
    }
    if (database == NULL) {
        return bad_url("names no database");
    }
    if (!is_plain(host, ".-_:,/%+") || (address != NULL && !is_plain(address, ".:,")) ||
        (port != NULL && !is_plain(port, ",")) || !is_plain(database, ".-_ +")) {
        return bad_url("has a character in host, port or database that it should not");
    }
    target->local = is_local(address != NULL ? address : host);
    bool one = port != NULL && strchr(host, ',') == NULL; // else which is whose is lost by now
    target->name = host[0] == '/' ? xasprintf("postgresql:///%s?host=%s", database, host)
                                  : xasprintf("postgresql://%s%s%s/%s", host, one ? ":" : "",
                                        one ? port : "", database);
    return check_tls(target);
}

struct error *
postgres_target_parse(const char *url, struct postgres_target *out)
{
    struct postgres_target target CLEANUP(postgres_target_done) = {0};
    char *why = NULL;
    target.options = PQconninfoParse(url, &why);
    PQfreemem(why); // it repeats the URL
    if (target.options == NULL) {
        return bad_url("cannot be understood");
    }
    mask_secrets(&target, url);
    TRY(check(&target));
    *out = target;
    target = (struct postgres_target){0};
    return NULL;
}

void
postgres_target_done(struct postgres_target *target)
{
    if (target->options != NULL) {
        PQconninfoFree(target->options);
    }
    free(target->name);
    *target = (struct postgres_target){0};
}
