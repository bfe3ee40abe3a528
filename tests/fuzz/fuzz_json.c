// JSON: what is accepted prints to text that is accepted and prints the same.
#include "dispatcher/json.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *value CLEANUP(json_freep) = NULL, *again CLEANUP(json_freep) = NULL;
    struct str text = {(const char *)data, size};
    struct error *err CLEANUP(error_freep) = json_parse(text, &json_limits_default, &value);
    FUZZ_CHECK((err == NULL) == (value != NULL));
    if (err != NULL) {
        FUZZ_CHECK(str_is_utf8(str_of(error_message(err))));
        return 0;
    }
    char *first CLEANUP(xfreep) = json_text(value);
    FUZZ_CHECK(json_parse(str_of(first), &json_limits_default, &again) == NULL);
    char *second CLEANUP(xfreep) = json_text(again);
    FUZZ_CHECK(strcmp(first, second) == 0);
    return 0;
}
