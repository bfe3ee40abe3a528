// The forms of what `server` holds: addresses that others are told, names, where the specs are.
// Pure, as checks.c is; whether there is anything behind an address is found out when it is asked.
#include <arpa/inet.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "spec_internal.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum { ORGANIZATION_MAX = 39, HEADER_MAX = 64, SECRET_FILES_MAX = 256 };

// Compared byte by byte with what tokens say (RFC 7519 §4.1.1, §4.1.3): it has one spelling.
const char *
check_base_url(const char *value)
{
    const char *problem = check_url(value);
    if (problem != NULL) {
        return problem;
    }
    size_t len = strlen(value);
    return strpbrk(value, "?#") == NULL && value[len - 1] != '/'
               ? NULL
               : "must be a URL without query and fragment that does not end with '/'";
}

const char *
check_organization(const char *value)
{
    size_t len = strlen(value);
    return len > 0 && len <= ORGANIZATION_MAX && strspn(value, LETTERS DIGITS "-") == len &&
                   value[0] != '-' && value[len - 1] != '-'
               ? NULL
               : "must be the login of an organisation on GitHub";
}

const char *
check_header(const char *value)
{
    size_t len = strlen(value);
    return len > 0 && len <= HEADER_MAX && strspn(value, LETTERS DIGITS "-") == len &&
                   strchr(LETTERS, value[0]) != NULL
               ? NULL
               : "must be the name of an HTTP header: letters, digits and '-'";
}

// Peers are compared as the system prints them, so only that spelling can ever match.
const char *
check_ip_address(const char *value)
{
    unsigned char bytes[sizeof(struct in6_addr)] = {0};
    char text[INET6_ADDRSTRLEN] = {0};
    int family = strchr(value, ':') != NULL ? AF_INET6 : AF_INET;
    bool fine = inet_pton(family, value, bytes) == 1 &&
                inet_ntop(family, bytes, text, sizeof(text)) != NULL && strcmp(text, value) == 0;
    return fine ? NULL : "must be an IP address in its shortest form, like 10.0.0.7 or fd00::7";
}

// A pattern of files. Its first segment is one place: "/**" would be the whole machine.
const char *
check_secret_files(const char *value)
{
    const char *second = value[0] == '/' ? strchr(value + 1, '/') : NULL;
    const char *star = strchr(value, '*');
    bool fine = check_absolute_path(value) == NULL && strlen(value) <= SECRET_FILES_MAX &&
                second != NULL && second > value + 1 && (star == NULL || star > second) &&
                strstr(value, "//") == NULL && strstr(value, "/./") == NULL &&
                strstr(value, "/../") == NULL;
    return fine ? NULL
                : "must be the absolute path of files below a directory, without '..': '*' stands "
                  "for what is in a segment, '**' for segments";
}

const char *
check_specs_location(const char *value)
{
    if (strstr(value, "://") == NULL) {
        return check_path(value);
    }
    return check_url(value) == NULL
               ? NULL
               : "must be a directory, or the https URL of a git repository without user name";
}
