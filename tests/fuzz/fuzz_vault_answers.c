// Whatever a server that calls itself Vault answers: to a login, a read, a look at the token. The
// first byte picks the status, the rest is the body. Nothing crashes or hangs; what is no success
// has a sentence, and no token and no value is in it.
#include "dispatcher/vault.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define TOKEN "hvs.fuzzed-token-0123456789"

static const int statuses[] = {200, 200, 200, 204, 301, 307, 400, 403, 404, 404, 405, 412, 429, 472,
    473, 500, 503, 599, 0, 999};

struct world {
    struct http_transport transport;
    struct clock clock;
    int64_t now_ms;
    int status;
    struct str body;
    unsigned requests;
};

// The clock jumps by what is waited for; all worlds share one, so it is found by its address.
static int64_t
now(const struct clock *clock)
{
    const struct world *world =
        (const struct world *)((const char *)clock - offsetof(struct world, clock));
    return world->now_ms;
}

static struct error *
jump(const struct clock *clock, int64_t mono_ms, struct cancel *cancel)
{
    struct world *world =
        (struct world *)(uintptr_t)((const char *)clock - offsetof(struct world, clock));
    (void)cancel;
    world->now_ms = mono_ms > world->now_ms ? mono_ms : world->now_ms;
    return NULL;
}

static struct error *
answer(struct http_transport *transport, const struct http_flow *flow)
{
    struct world *world = (struct world *)(void *)transport;
    struct http_exchange *exchange = NULL;
    int64_t again_ms = INT64_MAX;
    while ((exchange = flow->next(flow->ctx, &again_ms)) != NULL) {
        world->requests++;
        FUZZ_CHECK(world->requests < 100);
        exchange->response.status = world->status;
        buf_init(&exchange->response.body, SIZE_MAX / 2);
        buf_add(&exchange->response.body, world->body);
        http_headers_add(&exchange->response.headers, "Location", "https://b.example/v1/x");
        flow->ended(flow->ctx, exchange);
    }
    return NULL;
}

static void
fill(const struct random_source *source, void *out, size_t len)
{
    (void)source;
    memset(out, 7, len);
}

static struct error *
give_jwt(void *ctx, const char *audience, struct secret **out)
{
    (void)ctx;
    (void)audience;
    *out = secret_new(STR("eyJ.eyJ.c2ln"));
    return NULL;
}

static void
check_error(const struct error *err)
{
    char *text CLEANUP(xfreep) = error_text(err);
    FUZZ_CHECK(str_is_utf8(str_of(text)) && strlen(text) < 2048);
    FUZZ_CHECK(strstr(text, TOKEN) == NULL);
}

static void
try_client(struct world *world, const struct platform *platform, enum vault_auth auth)
{
    static const struct vault_jwt_source jwt = {give_jwt, NULL};
    struct secret *token CLEANUP(secret_freep) = secret_new(STR(TOKEN));
    struct secret *value CLEANUP(secret_freep) = NULL;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct vault_client *vault CLEANUP(vault_client_freep) = NULL;
    struct vault_identity who = {0};
    const struct vault_options options = {
        .address = "https://a.example", .auth = auth, .token = token, .role = "r", .jwt = &jwt};
    struct error *none CLEANUP(error_freep) = http_client_new(platform, NULL, &http);
    FUZZ_CHECK(none == NULL);
    none = vault_client_new(platform, http, &options, &vault);
    FUZZ_CHECK(none == NULL);
    world->requests = 0;
    struct error *read CLEANUP(error_freep) = vault_kv_read(vault, "kv/data/x", "key", &value);
    FUZZ_CHECK((read == NULL) == (value != NULL));
    if (read != NULL) {
        check_error(read);
    }
    struct error *look CLEANUP(error_freep) = vault_identity_get(vault, arena, &who);
    if (look != NULL) {
        check_error(look);
    }
    FUZZ_CHECK(who.name == NULL || str_is_utf8(str_of(who.name)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct random_source random = {fill};
    if (size == 0) {
        return 0;
    }
    struct world world = {.transport = {.perform = answer},
        .clock = {now, now, jump},
        .now_ms = 1000,
        .status = statuses[data[0] % ARRAY_LENGTH(statuses)],
        .body = {(const char *)data + 1, size - 1}};
    const struct platform platform = {
        .clock = &world.clock, .random = &random, .transport = &world.transport};
    try_client(&world, &platform, VAULT_AUTH_TOKEN);
    try_client(&world, &platform, VAULT_AUTH_JWT);
    return 0;
}
