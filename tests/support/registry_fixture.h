// A small image in a layout and a scripted registry to push it to.
//
//     const struct script_step steps[] = {STEPS_LAYER_MISSING, …};
//     struct registry_fixture fixture CLEANUP(registry_fixture_done);
//     registry_fixture_init(&fixture, steps, ARRAY_LENGTH(steps));
//     struct error *err = registry_fixture_push(&fixture, &result);
//
// The image has one layer ("hello") and the configuration "{}". The transport answers at once, so
// that each session's body follows its POST. The layer is asked for and sent first; the
// configuration is sent without a question.
#pragma once

#include "dispatcher/registry.h"
#include "script_transport.h"

#define FIXTURE_CONFIG "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define FIXTURE_LAYER "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define FIXTURE_MANIFEST "sha256:d20a2328b4e102ac7c111a9037fb20621de7c3c56650600154b0ba070ec5a17f"
#define FIXTURE_INDEX "sha256:25361b5aa274700d6c47836299a5c98566dbf8e3b3c780af7dc6765e8f640358"
#define FIXTURE_OTHER "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
// As url_add_query writes them.
#define FIXTURE_CONFIG_QUERY                                                                       \
    "digest=sha256%3A44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define FIXTURE_LAYER_QUERY                                                                        \
    "digest=sha256%3A2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

#define FIXTURE_HOST "registry.example.org"
#define FIXTURE_BASE "https://registry.example.org/v2/team/app"

extern const char fixture_manifest[]; // exact bytes
extern const char fixture_index[];

// Steps that most scripts share.
#define FIXTURE_TAG_URL FIXTURE_BASE "/manifests/v1"
#define STEP_TAG_ABSENT                                                                            \
    {                                                                                              \
        .method = HTTP_HEAD, .url = FIXTURE_TAG_URL, .status = 404                                 \
    }
#define STEP_MANIFEST_ABSENT                                                                       \
    {                                                                                              \
        .method = HTTP_HEAD, .url = FIXTURE_BASE "/manifests/" FIXTURE_MANIFEST, .status = 404     \
    }
#define STEP_LAYER_ABSENT                                                                          \
    {                                                                                              \
        .method = HTTP_HEAD, .url = FIXTURE_BASE "/blobs/" FIXTURE_LAYER, .status = 404            \
    }
#define STEP_LAYER_PRESENT                                                                         \
    {                                                                                              \
        .method = HTTP_HEAD, .url = FIXTURE_BASE "/blobs/" FIXTURE_LAYER                           \
    }
#define STEP_SESSION(location)                                                                     \
    {                                                                                              \
        .method = HTTP_POST, .url = FIXTURE_BASE "/blobs/uploads/", .no_body = true,               \
        .status = 202, .reply_headers = (const char *const[])                                      \
        {                                                                                          \
            "Location: " location, NULL                                                            \
        }                                                                                          \
    }
#define STEP_PUT_LAYER(url_)                                                                       \
    {                                                                                              \
        .method = HTTP_PUT, .url = url_, .body = "hello", .status = 201                            \
    }
#define STEPS_CONFIG_SENT                                                                          \
    STEP_SESSION("/v2/team/app/blobs/uploads/config"),                                             \
    {                                                                                              \
        .method = HTTP_PUT, .url = FIXTURE_BASE "/blobs/uploads/config?" FIXTURE_CONFIG_QUERY,     \
        .body = "{}", .status = 201                                                                \
    }
#define STEP_PUT_TAG                                                                               \
    {                                                                                              \
        .method = HTTP_PUT, .url = FIXTURE_TAG_URL, .body = fixture_manifest, .status = 201,       \
        .reply_headers = (const char *const[])                                                     \
        {                                                                                          \
            "Docker-Content-Digest: " FIXTURE_MANIFEST, NULL                                       \
        }                                                                                          \
    }
#define STEP_TAG_IS(digest)                                                                        \
    {                                                                                              \
        .method = HTTP_HEAD, .url = FIXTURE_TAG_URL, .reply_headers = (const char *const[])        \
        {                                                                                          \
            "Docker-Content-Digest: " digest, NULL                                                 \
        }                                                                                          \
    }
/// The manifest and the layer are not there.
#define STEPS_LAYER_MISSING STEP_MANIFEST_ABSENT, STEP_LAYER_ABSENT
/// The layer is there or was sent; what is left of a push.
#define STEPS_REST STEPS_CONFIG_SENT, STEP_PUT_TAG

struct registry_fixture {
    char *dir;
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *http;
    struct arena *arena;
    struct registry_options options; // host is set; a test may add the rest before the push
    struct registry_client *client;
    struct registry_push push; // to team/app:v1; a test may add what it likes before the push
    struct image *image;
    char *progress; // one letter an event: p(resent), r(eused), M(ounted), s(ending),
    // a(gain), S(ent), m(anifest)
};

void registry_fixture_init(
    struct registry_fixture *fixture, const struct script_step *steps, size_t count);
void registry_fixture_done(struct registry_fixture *fixture);
/// Makes the client of fixture->options, once.
struct registry_client *registry_fixture_client(struct registry_fixture *fixture);
/// Opens the layout (`index`: by its index of one manifest).
void registry_fixture_open(struct registry_fixture *fixture, bool index);
/// Replaces a blob of the layout with other bytes of the same length, after it was opened.
void registry_fixture_corrupt_layer(struct registry_fixture *fixture);
/// Leaves one byte of it.
void registry_fixture_cut_layer(struct registry_fixture *fixture);
/// Opens what `text` names.
void registry_fixture_open_source(struct registry_fixture *fixture, const char *text);
/// Pushes, opening the layout first where the test did not.
NODISCARD struct error *registry_fixture_push(
    struct registry_fixture *fixture, struct registry_push_result *result);
/// Asserts the error's text, hint (NULL: none) and kind, and that the script is used up.
void registry_fixture_expect(struct registry_fixture *fixture, struct error *err,
    enum error_kind kind, const char *text, const char *hint);
/// Asserts that there is no error and that the script is used up.
void registry_fixture_expect_success(struct registry_fixture *fixture, struct error *err);
