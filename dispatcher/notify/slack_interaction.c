// What Slack sends when somebody presses a button: is it Slack's (the signature), and what does it
// ask for. Decides nothing: who may do what is not known here.
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"
#include "notify_internal.h"

enum {
    SIGNATURE_SIZE = 3 + 2 * SHA256_SIZE, // "v0=" and hex
    TIMESTAMP_DIGITS = 12,
    WINDOW_S = 5 * 60,
    BODY_MAX = 256 * 1024,
    DEPTH_MAX = 32,
    ACTION_MAX = 255,
    USER_SHOWN_MAX = 80,
    ID_MAX = 64,
    WORD_MAX = 512, // two commits or versions, and the dots between them
};

// --- the signature -------------------------------------------------------------------------------

static bool
read_timestamp(const char *text, int64_t *out)
{
    struct str digits = str_of(text);
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9') {
            return false;
        }
    }
    return digits.len <= TIMESTAMP_DIGITS && str_to_int64(digits, out);
}

// An empty secret signs nothing: anybody could.
static bool
is_signed_with(const struct secret *secret, struct str base, const char *signature)
{
    unsigned char mac[SHA256_SIZE];
    char expected[SIGNATURE_SIZE + 1] = "v0=";
    struct str key = secret != NULL ? secret_expose(secret) : STR("");
    hmac_sha256(key, base, mac);
    hex_encode(mac, sizeof(mac), expected + 3);
    bool same = digest_equal(expected, signature, SIGNATURE_SIZE);
    return same && key.len > 0;
}

bool
slack_signature_is_valid(const struct secret *secret, const struct secret *next,
    const char *signature, const char *timestamp, struct str body, int64_t now_ms)
{
    int64_t sent_s = 0;
    if (signature == NULL || strlen(signature) != SIGNATURE_SIZE ||
        !read_timestamp(timestamp, &sent_s)) {
        return false;
    }
    int64_t age_s = now_ms / 1000 - sent_s;
    struct buf base CLEANUP(buf_done) = BUF_INIT(SIZE_MAX / 2);
    buf_printf(&base, "v0:%s:", timestamp);
    buf_add(&base, body);
    bool by_one = is_signed_with(secret, buf_str(&base), signature);
    bool by_next = is_signed_with(next, buf_str(&base), signature);
    return (by_one || by_next) && age_s >= -WINDOW_S && age_s <= WINDOW_S;
}

// --- the form ------------------------------------------------------------------------------------

static int
hex_value(char byte)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = byte != '\0' ? strchr(digits, byte) : NULL;
    int index = at != NULL ? (int)(at - digits) : -1;
    return index < 16 ? index : index - 6;
}

// application/x-www-form-urlencoded; false when a '%' stands for nothing.
static bool
decode(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '%') {
            buf_putc(out, text.ptr[i] == '+' ? ' ' : text.ptr[i]);
            continue;
        }
        int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
        int low = i + 2 < text.len ? hex_value(text.ptr[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return false;
        }
        buf_putc(out, (char)(high << 4 | low));
        i += 2;
    }
    return !out->failed;
}

// The one "payload" of the form; what else is in it does not matter.
static bool
find_payload(struct str body, struct str *out)
{
    struct str rest = body, pair = {0}, key = {0}, value = {0};
    size_t found = 0;
    while (str_cut(rest, '&', &pair, &rest)) {
        if (str_cut(pair, '=', &key, &value) && str_equal(key, STR("payload"))) {
            *out = value;
            found++;
        }
    }
    return found == 1;
}

static struct error *
unusable(const char *why)
{
    return error_new(ERROR_INPUT, "Slack's interaction cannot be used: %s", why);
}

static struct error *
read_form(struct str body, struct json **out)
{
    const struct json_limits limits = {BODY_MAX, DEPTH_MAX};
    struct buf text CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    struct str payload = {0};
    if (body.len > BODY_MAX) {
        return unusable("it is over 256 KiB");
    }
    if (!find_payload(body, &payload)) {
        return unusable("it is no form with one 'payload'");
    }
    if (!decode(payload, &text)) {
        return unusable("its payload is not encoded as forms are");
    }
    struct error *err CLEANUP(error_freep) = json_parse(buf_str(&text), &limits, out);
    return err != NULL || !json_is_object(*out) ? unusable("its payload is no JSON object") : NULL;
}

// --- what it says --------------------------------------------------------------------------------

static bool
is_plain(const char *text, size_t max)
{
    size_t len = text != NULL ? strlen(text) : 0;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return len > 0 && len <= max;
}

// An id of Slack's, in the arena; NULL when there is none, or something that is none.
static const char *
take_id(const struct json *value, struct arena *arena)
{
    const char *text = json_str(value);
    return slack_id_is_plausible(text) ? arena_dup(arena, text) : NULL;
}

static const char *
either_id(const struct json *payload, const char *path, const char *other, struct arena *arena)
{
    const char *id = take_id(json_path(payload, path), arena);
    return id != NULL ? id : take_id(json_path(payload, other), arena);
}

static struct error *
take_action(const struct json *payload, struct arena *arena, struct slack_interaction *out)
{
    const struct json *actions = json_get(payload, "actions");
    const struct json *action = json_at(actions, 0);
    const char *id = json_str(json_get(action, "action_id"));
    const char *value = json_str(json_get(action, "value"));
    if (!cstr_equal(json_str(json_get(payload, "type")), "block_actions")) {
        return unusable("it is not of type 'block_actions'");
    }
    if (!json_is_array(actions) || json_count(actions) != 1) {
        return unusable("it is not about exactly one action");
    }
    if (!is_plain(id, ACTION_MAX)) {
        return unusable("its action has no proper 'action_id'");
    }
    if (!is_plain(value, SLACK_VALUE_MAX)) {
        return unusable("its action has no proper 'value'");
    }
    out->action = arena_dup(arena, id);
    out->value = arena_dup(arena, value);
    return NULL;
}

static struct error *
take_response_url(const struct json *payload, struct arena *arena, struct slack_interaction *out)
{
    struct url url CLEANUP(url_done) = {0};
    const char *text = json_str(json_get(payload, "response_url"));
    if (text == NULL) {
        return NULL;
    }
    struct error *err CLEANUP(error_freep) = url_parse(text, &url);
    bool fine = err == NULL && !url.has_user &&
                (strcmp(url.scheme, "https") == 0 || url_host_is_loopback(url.host));
    if (!fine || strlen(text) > SLACK_URL_MAX) {
        return unusable("its 'response_url' is no https URL");
    }
    out->response_url = arena_dup(arena, text);
    return NULL;
}

// --- what a button of ours carries ---------------------------------------------------------------

// One word without spaces, as ids, versions and commits are.
static const char *
word_or_dash(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return "-";
        }
    }
    return len > 0 && len <= WORD_MAX ? text : "-";
}

const char *
slack_shown_write(const struct slack_shown *shown, struct arena *arena)
{
    return arena_printf(arena, "%s %s %s", word_or_dash(shown->deployment),
        word_or_dash(shown->version), word_or_dash(shown->diff));
}

static bool
is_deployment_id(struct str text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    bool fine = text.len > 1 && text.len <= ID_MAX;
    for (size_t i = 0; i < text.len && fine; i++) {
        fine = memchr(allowed, text.ptr[i], sizeof(allowed) - 1) != NULL;
    }
    return fine;
}

static const char *
take_word(struct str word, struct arena *arena)
{
    return word.len == 0 || str_equal(word, STR("-")) ? NULL : arena_str(arena, word);
}

bool
slack_shown_read(const char *value, struct arena *arena, struct slack_shown *out)
{
    struct str rest = str_of(value), id = {0}, version = {0}, diff = {0}, more = {0};
    if (value == NULL || !str_cut(rest, ' ', &id, &rest) || !is_deployment_id(id)) {
        return false;
    }
    (void)str_cut(rest, ' ', &version, &rest);
    (void)str_cut(rest, ' ', &diff, &more);
    if (more.len > 0) {
        return false;
    }
    *out = (struct slack_shown){
        .deployment = arena_str(arena, id),
        .version = take_word(version, arena),
        .diff = take_word(diff, arena),
    };
    return true;
}

struct error *
slack_interaction_parse(struct str body, struct arena *arena, struct slack_interaction *out)
{
    struct json *payload CLEANUP(json_freep) = NULL;
    struct slack_interaction parsed = {0};
    TRY(read_form(body, &payload));
    TRY(take_action(payload, arena, &parsed));
    TRY(take_response_url(payload, arena, &parsed));
    parsed.user_id = take_id(json_path(payload, "user.id"), arena);
    if (parsed.user_id == NULL) {
        return unusable("it does not say who acted");
    }
    const char *name = json_str(json_path(payload, "user.username"));
    name = name != NULL ? name : json_str(json_path(payload, "user.name"));
    parsed.user_name = notify_words(arena, name, USER_SHOWN_MAX);
    parsed.team_id = either_id(payload, "team.id", "user.team_id", arena);
    parsed.channel = either_id(payload, "container.channel_id", "channel.id", arena);
    parsed.ts = either_id(payload, "container.message_ts", "message.ts", arena);
    *out = parsed;
    return NULL;
}
