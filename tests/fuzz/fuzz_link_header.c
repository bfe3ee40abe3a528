// The Link header of a list: whatever it holds, the next page is one of the API's own.
#include "github/github_internal.h"

#include <stdlib.h>

#include "dispatcher/url.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char api[] = "https://ghe.example/api/v3", repository[] = "octo/hello";
    struct github_client client = {.api = api, .repository = repository};
    struct http_response response CLEANUP(http_response_done) = {.status = 200};
    char *text CLEANUP(xfreep) = fuzz_text(data, size);
    http_headers_add(&response.headers, "Link", text);
    char *next CLEANUP(xfreep) = NULL;
    struct error *err CLEANUP(error_freep) = github_next_page(&client, &response, &next);
    FUZZ_CHECK(err == NULL || next == NULL);
    if (next != NULL) {
        struct url own CLEANUP(url_done) = {0}, page CLEANUP(url_done) = {0};
        FUZZ_CHECK(url_parse(api, &own) == NULL && url_parse(next, &page) == NULL);
        FUZZ_CHECK(url_same_origin(&own, &page));
    }
    return 0;
}
