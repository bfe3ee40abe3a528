// Reads and writes what Parameter Store knows of releases. What a release means for a deployment is
// step_record.c's, and going back to one is rollback.c's.
#include "ledger.h"

#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"

enum { REASON_MAX = 300, SLOT_MAX = 100 };

// --- descriptions ------------------------------------------------------------------------------

const char *
ledger_description(
    const struct deployment *d, const struct deployment_service *service, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024);
    buf_printf(&text, "dispatcher %s prev=%lld", d->id, (long long)service->previous_version);
    if (service->digest != NULL) {
        buf_printf(&text, " digest=%s", service->digest);
    }
    if (cstr_equal(d->verb, "rollback")) {
        bool plain = service->previous != NULL && tag_is_valid(str_of(service->previous));
        buf_printf(&text, " rollback of=%s", plain ? service->previous : "?");
        if (d->because != NULL) {
            buf_printf(&text, " reason='%s'", context_clean(arena, d->because, REASON_MAX));
        }
    }
    return arena_str(arena, buf_str(&text));
}

// "dispatcher d-… prev=3": the id is the second word.
static const char *
read_head(struct arena *arena, const char *description, struct str *rest)
{
    struct str word = {0};
    *rest = str_of(description);
    if (!str_cut(*rest, ' ', &word, rest) || !str_equal(word, STR("dispatcher")) ||
        !str_cut(*rest, ' ', &word, rest)) {
        return NULL;
    }
    return arena_str(arena, word);
}

const char *
ledger_deployment(struct arena *arena, const char *description)
{
    struct str rest = {0};
    return read_head(arena, description, &rest);
}

static bool
take_value(struct str word, struct str name, struct str *value)
{
    *value = str_skip(word, name.len);
    return str_starts(word, name);
}

// A reason is the last word and may hold anything, quotes too.
static struct str
unquote(struct str text)
{
    struct str quote = STR("'");
    if (str_starts(text, quote) && str_ends(text, quote) && text.len >= 2) {
        return (struct str){text.ptr + 1, text.len - 2};
    }
    return text;
}

static void
read_description(struct arena *arena, const char *description, struct ledger_release *out)
{
    struct str word = {0}, rest = {0}, value = {0};
    out->deployment = read_head(arena, description, &rest);
    while (out->deployment != NULL && rest.len > 0) {
        if (take_value(rest, STR("reason="), &value)) {
            out->reason = arena_str(arena, unquote(value));
            return;
        }
        if (!str_cut(rest, ' ', &word, &rest)) {
            return;
        }
        if (take_value(word, STR("digest="), &value) && digest_is_valid(value)) {
            out->digest = arena_str(arena, value);
        } else if (take_value(word, STR("of="), &value)) {
            out->rollback_of = arena_str(arena, value);
        } else if (str_equal(word, STR("compensate"))) {
            out->restored = true;
        }
    }
}

// --- labels ------------------------------------------------------------------------------------

// -1 when the label is none of a slot.
static int64_t
slot_of(const char *label)
{
    struct str text = str_of(label), prefix = STR("proven-");
    int64_t slot = -1;
    bool is_slot = str_starts(text, prefix) && str_to_int64(str_skip(text, prefix.len), &slot);
    return is_slot && slot >= 0 && slot < SLOT_MAX ? slot : -1;
}

static bool
is_ours(const char *label)
{
    return strcmp(label, "deployed") == 0 || strcmp(label, "proven") == 0 ||
           strcmp(label, "pending") == 0 || slot_of(label) >= 0;
}

static bool
is_proven(const struct ssm_parameter *version)
{
    for (size_t i = 0; i < version->labels.count; i++) {
        const char *label = version->labels.items[i];
        if (strcmp(label, "proven") == 0 || slot_of(label) >= 0) {
            return true;
        }
    }
    return false;
}

// --- reading -----------------------------------------------------------------------------------

// What is written back or again may not say its digest: an older release of the version does.
static void
fill_digests(struct ledger *ledger)
{
    for (size_t i = ledger->count; i > 0; i--) {
        struct ledger_release *release = &ledger->items[i - 1];
        for (size_t k = i; release->digest == NULL && k < ledger->count; k++) {
            if (strcmp(ledger->items[k].version, release->version) == 0) {
                release->digest = ledger->items[k].digest;
            }
        }
    }
}

struct error *
ledger_read(struct aws_session *aws, const char *parameter, struct arena *arena, struct ledger *out)
{
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    TRY(ssm_history(aws, parameter, 0, arena, &list, &count));
    struct ledger_release *items = arena_array(arena, count, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        const struct ssm_parameter *from = &list[count - 1 - i];
        items[i] = (struct ledger_release){
            .version = from->value,
            .number = from->version,
            .deployed = ssm_has_label(from, "deployed"),
            .proven = is_proven(from),
            .pending = ssm_has_label(from, "pending"),
            .by = from->last_modified_user,
            .changed_ms = from->last_modified_ms,
        };
        read_description(arena, from->description, &items[i]);
    }
    *out = (struct ledger){items, count};
    fill_digests(out);
    return NULL;
}

// Did a rollback after it go away from it?
static bool
is_left(const struct ledger *ledger, const struct ledger_release *release)
{
    for (const struct ledger_release *at = ledger->items; at < release; at++) {
        if (cstr_equal(at->rollback_of, release->version)) {
            return true;
        }
    }
    return false;
}

const struct ledger_release *
ledger_find_older(const struct ledger *ledger, const struct ledger_release *release)
{
    const struct ledger_release *end = ledger->items + ledger->count;
    for (const struct ledger_release *at = release + 1; at < end; at++) {
        bool same = strcmp(at->version, ledger->items[0].version) == 0;
        if (at->proven && !same && !is_left(ledger, at)) {
            return at;
        }
    }
    return NULL;
}

const struct ledger_release *
ledger_find_before(const struct ledger *ledger)
{
    return ledger->count > 0 ? ledger_find_older(ledger, ledger->items) : NULL;
}

const struct ledger_release *
ledger_find(const struct ledger *ledger, const char *version)
{
    const struct ledger_release *found = NULL;
    for (size_t i = 0; i < ledger->count; i++) {
        const struct ledger_release *release = &ledger->items[i];
        if (strcmp(release->version, version) == 0 &&
            (found == NULL || (release->proven && !found->proven))) {
            found = release;
        }
    }
    return found;
}

// --- marking -----------------------------------------------------------------------------------

// Where each slot stands: index into the history + 1, 0 for nowhere.
static void
find_slots(const struct ssm_parameter *list, size_t count, size_t slots[SLOT_MAX])
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < list[i].labels.count; k++) {
            int64_t slot = slot_of(list[i].labels.items[k]);
            if (slot >= 0) {
                slots[slot] = i + 1;
            }
        }
    }
}

static const char *
value_of(const struct ssm_parameter *list, size_t count, int64_t number)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].version == number) {
            return list[i].value;
        }
    }
    return NULL;
}

// The slot that this value has already, else a free one, else that of the oldest.
static size_t
choose_slot(const struct ssm_parameter *list, size_t count, int64_t number, size_t keep)
{
    size_t slots[SLOT_MAX] = {0};
    const char *value = value_of(list, count, number);
    find_slots(list, count, slots);
    for (size_t i = 0; value != NULL && i < keep; i++) {
        if (slots[i] != 0 && strcmp(list[slots[i] - 1].value, value) == 0) {
            return i;
        }
    }
    size_t oldest = 0;
    for (size_t i = 0; i < keep; i++) { // the history comes oldest first, free ones are 0
        oldest = slots[i] < slots[oldest] ? i : oldest;
    }
    return oldest;
}

struct error *
ledger_mark(
    struct aws_session *aws, const char *parameter, int64_t number, bool proven, int64_t keep)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    if (!proven) {
        return ssm_label(aws, parameter, number, "deployed");
    }
    TRY(ssm_history(aws, parameter, 0, arena, &list, &count));
    size_t room = keep <= 0 ? LEDGER_KEEP : keep < SLOT_MAX ? (size_t)keep : SLOT_MAX;
    const char *names[] = {"deployed", "proven",
        arena_printf(arena, "proven-%zu", choose_slot(list, count, number, room))};
    const struct str_list labels = {names, ARRAY_LENGTH(names)};
    return ssm_labels(aws, parameter, number, &labels);
}

// --- making room -------------------------------------------------------------------------------

static const struct ssm_parameter *
find_newer(const struct ssm_parameter *list, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        if (strcmp(list[i - 1].value, list[0].value) == 0) {
            return &list[i - 1];
        }
    }
    return NULL;
}

struct error *
ledger_make_room(struct aws_session *aws, const char *parameter, struct arena *arena, bool *made,
    const char **lost)
{
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    *made = false;
    *lost = NULL;
    TRY(ssm_history(aws, parameter, 0, arena, &list, &count));
    for (size_t i = 0; count > 0 && i < list[0].labels.count; i++) {
        if (!is_ours(list[0].labels.items[i])) {
            return NULL;
        }
    }
    if (count == 0 || list[0].labels.count == 0) {
        return NULL;
    }
    const struct ssm_parameter *newer = find_newer(list, count);
    if (newer != NULL) {
        TRY(ssm_labels(aws, parameter, newer->version, &list[0].labels));
    } else {
        TRY(ssm_unlabel(aws, parameter, list[0].version, &list[0].labels));
        *lost = is_proven(&list[0]) ? list[0].value : NULL;
    }
    *made = true;
    return NULL;
}
