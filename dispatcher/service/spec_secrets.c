// The rule by which secrets are read that specs name: the settings of this moment, and never a file
// that is the service's own under another name.
#include <string.h>
#include <sys/stat.h>

#include "service_internal.h"

static bool
is_same_file(const char *path, const char *own)
{
    struct stat a, b;
    return stat(path, &a) == 0 && stat(own, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

const char *
service_secret_refusal(void *service, const char *reference, struct arena *arena)
{
    static const struct str file = {"file:", 5};
    const struct setting_secrets *secrets = &service_settings(service)->secrets;
    const char *refusal = spec_secret_refusal(secrets, reference, arena);
    if (refusal != NULL || !str_starts(str_of(reference), file)) {
        return refusal;
    }
    for (size_t i = 0; i < secrets->own.count; i++) {
        const char *own = secrets->own.items[i];
        if (str_starts(str_of(own), file) && is_same_file(reference + file.len, own + file.len)) {
            const struct setting_secrets none = {.files = {0}}; // in the same words
            return spec_secret_refusal(&none, reference, arena);
        }
    }
    return NULL;
}
