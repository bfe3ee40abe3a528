// What in a request's headers two readers would read differently: whoever stands in front of us
// must have seen the same request as we do (RFC 9112 §5.1, §6, §11.2). Pure.
#include "request_internal.h"

#include <string.h>

size_t
request_header_count(const struct request *request, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->headers.count; i++) {
        count += str_equal_nocase(str_of(request->headers.items[i].key), str_of(name));
    }
    return count;
}

const char *
request_header_list(const struct request *request, const char *name)
{
    const char *list = NULL;
    for (size_t i = 0; i < request->headers.count; i++) {
        const struct pair *header = &request->headers.items[i];
        if (str_equal_nocase(str_of(header->key), str_of(name))) {
            list = list == NULL ? header->value
                                : arena_printf(request->arena, "%s, %s", list, header->value);
        }
    }
    return list;
}

static bool
is_name(const char *text)
{
    static const char letters[] = "!#$%&'*+-.^_`|~0123456789"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return text[0] != '\0' && text[strspn(text, letters)] == '\0';
}

const char *
request_framing_problem(const struct request *request)
{
    static const char *const once[] = {"Content-Length", "Transfer-Encoding", "Host",
        "Authorization", "Content-Type", "Origin", "X-Hub-Signature-256", "X-GitHub-Delivery",
        "X-GitHub-Event", "Idempotency-Key", "X-CSRF-Token"};
    for (size_t i = 0; i < request->headers.count; i++) {
        if (!is_name(request->headers.items[i].key)) {
            return "a header's name is none"; // "Content-Length :" is two things to two readers
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(once); i++) {
        if (request_header_count(request, once[i]) > 1) {
            return arena_printf(request->arena, "%s is given more than once", once[i]);
        }
    }
    const char *encoding = request_header(request, "Transfer-Encoding");
    if (encoding != NULL && request_header(request, "Content-Length") != NULL) {
        return "Transfer-Encoding and Content-Length exclude each other";
    }
    return encoding != NULL && !str_equal_nocase(str_of(encoding), STR("chunked"))
               ? "no Transfer-Encoding but 'chunked' is taken"
               : NULL;
}
