// See the header. A number is a secret too: a PIN, a port with a password's role.
#include "dispatcher/secret_json.h"

enum { PRINTED_MAX = 64 };

struct error *
secret_json_take(const struct json *object, const char *key, struct secret **out)
{
    const struct json *value = json_get(object, key);
    const char *text = json_str(value);
    if (json_is_null(value)) {
        return error_hint(error_new(ERROR_CREDENTIALS, "there is no key '%.200s' in it", key),
            "The reference names the key after '#'.");
    }
    if (json_is_object(value) || json_is_array(value)) {
        return error_new(ERROR_CREDENTIALS, "key '%.200s' holds no text", key);
    }
    if (text != NULL && text[0] == '\0') {
        return error_new(ERROR_CREDENTIALS, "key '%.200s' is empty", key);
    }
    struct buf printed CLEANUP(buf_wipe) = BUF_INIT(PRINTED_MAX);
    if (text == NULL) {
        json_print(value, false, &printed);
        TRY(buf_finish(&printed, "a secret's number"));
    }
    *out = secret_new(text != NULL ? str_of(text) : buf_str(&printed));
    return NULL;
}
