// Texts of a registry and of the command line: challenges, upload locations, references. What comes
// out never leads to a place where it must not.
#include <stdlib.h>

#include "dispatcher/url.h"
#include "fuzz.h"
#include "registry/registry_internal.h"

static void
check_location(const char *text)
{
    char base[] = "https://r.example.org", host[] = "r.example.org";
    struct registry_client client = {.host = host, .base = base};
    struct http_response response CLEANUP(http_response_done) = {.status = 202};
    char *found CLEANUP(xfreep) = NULL;
    bool foreign = false;
    http_headers_add(&response.headers, "Location", text);
    struct error *err CLEANUP(error_freep) = registry_location(
        &client, "https://r.example.org/v2/a/blobs/uploads/", &response, &found, &foreign);
    FUZZ_CHECK((err == NULL) == (found != NULL));
    if (found != NULL) {
        struct url own CLEANUP(url_done) = {0}, target CLEANUP(url_done) = {0};
        FUZZ_CHECK(url_parse(base, &own) == NULL && url_parse(found, &target) == NULL);
        FUZZ_CHECK(cstr_equal(target.scheme, "https") && !target.has_user);
        FUZZ_CHECK(foreign == !url_same_origin(&own, &target));
    }
}

static void
check_reference(const char *text)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct registry_reference *reference = NULL;
    struct error *err CLEANUP(error_freep) = registry_reference_parse(text, arena, &reference);
    if (err == NULL) {
        FUZZ_CHECK(registry_check_repository(reference->repository) == NULL);
        char *url CLEANUP(xfreep) = xasprintf("https://%s/v2/%s/manifests/%s", reference->host,
            reference->repository, reference->tag != NULL ? reference->tag : "x");
        struct url parsed CLEANUP(url_done) = {0};
        FUZZ_CHECK(url_parse(url, &parsed) == NULL);
        FUZZ_CHECK(parsed.query == NULL && !parsed.has_user);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text CLEANUP(xfreep) = fuzz_text(data, size);
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct challenge challenge CLEANUP(challenge_done) = {0};
    http_headers_add(&headers, "WWW-Authenticate", text);
    (void)challenge_find(&headers, &challenge);
    check_location(text);
    check_reference(text);
    return 0;
}
