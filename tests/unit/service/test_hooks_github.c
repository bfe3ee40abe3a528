// Signatures of webhook deliveries: GitHub's published vector, and everything that is not it.
#include "service_state_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// docs.github.com, "Validating webhook deliveries".
static const char good[] =
    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
#define BODY "Hello, World!"

static struct secret *
published(void)
{
    return secret_new(STR("It's a Secret to Everybody"));
}

static void
takes_the_published_vector(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = published();
    assert_true(hooks_signature_is_valid(secret, good, STR(BODY)));
}

static void
refuses_every_other_bit(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = published();
    char header[sizeof(good)], body[] = BODY;
    for (size_t bit = 0; bit < (sizeof(good) - 1) * 8; bit++) {
        memcpy(header, good, sizeof(good));
        header[bit / 8] = (char)(header[bit / 8] ^ (1 << (bit % 8)));
        if (header[bit / 8] != '\0') {
            assert_false(hooks_signature_is_valid(secret, header, STR(BODY)));
        }
    }
    for (size_t bit = 0; bit < (sizeof(body) - 1) * 8; bit++) {
        body[bit / 8] = (char)(body[bit / 8] ^ (1 << (bit % 8)));
        assert_false(hooks_signature_is_valid(secret, good, (struct str){body, sizeof(body) - 1}));
        body[bit / 8] = (char)(body[bit / 8] ^ (1 << (bit % 8)));
    }
}

static void
refuses_other_forms(void **state)
{
    (void)state;
    struct secret *secret CLEANUP(secret_freep) = published();
    struct secret *other CLEANUP(secret_freep) = secret_new(STR("another secret"));
    static const char *const headers[] = {
        "",
        "sha256=",
        "sha256=757107ea",
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "SHA256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e170",
        "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
        assert_false(hooks_signature_is_valid(secret, headers[i], STR(BODY)));
    }
    assert_false(hooks_signature_is_valid(secret, NULL, STR(BODY)));
    assert_false(hooks_signature_is_valid(NULL, good, STR(BODY)));
    assert_false(hooks_signature_is_valid(other, good, STR(BODY)));
    assert_false(hooks_signature_is_valid(secret, good, STR("")));
    assert_false(hooks_signature_is_valid(secret, good, STR(BODY "\n")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_published_vector),
        cmocka_unit_test(refuses_every_other_bit),
        cmocka_unit_test(refuses_other_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
