// The stable list of reason codes, as tables. Decides nothing.
#include "dispatcher/policy.h"

#include <string.h>

static const struct {
    const char *name;
    int http, exit;
    const char *meaning, *who;
} codes[] = {
#define REASON_CODE(symbol, code, http, exit, meaning, who) {code, http, exit, meaning, who},
#include "dispatcher/reason_codes.def"
#undef REASON_CODE
};

const char *
reason_code_name(enum reason_code code)
{
    return codes[code].name;
}

int
reason_code_http(enum reason_code code)
{
    return codes[code].http;
}

int
reason_code_exit(enum reason_code code)
{
    return codes[code].exit;
}

const char *
reason_code_meaning(enum reason_code code)
{
    return codes[code].meaning;
}

const char *
reason_code_who(enum reason_code code)
{
    return codes[code].who;
}

enum reason_code
reason_code_of(const char *name)
{
    size_t i = 0;
    while (i < REASON_COUNT && strcmp(codes[i].name, name) != 0) {
        i++;
    }
    return (enum reason_code)i;
}
