// Secrets in plain sight: found by their shape or by the key they stand under, reported, and masked
// in every source line that a diagnostic shows (protocols.md T42). Not a scanner for all secrets.
#include <string.h>

#include "dispatcher/memory.h"
#include "spec_internal.h"

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define WORD "abcdefghijklmnopqrstuvwxyz0123456789" UPPER

static size_t
span_in(struct str text, const char *set)
{
    size_t len = 0;
    while (len < text.len && text.ptr[len] != '\0' && strchr(set, text.ptr[len]) != NULL) {
        len++;
    }
    return len;
}

static size_t
token_length(struct str text)
{
    static const struct {
        const char *prefix, *set;
        size_t least;
    } shapes[] = {
        // Their first bytes are known to secret_length.
        {"ghp_", WORD "_", 36},
        {"gho_", WORD "_", 36},
        {"ghu_", WORD "_", 36},
        {"ghs_", WORD "_.-", 36}, // since 2026 with a JWT inside
        {"github_pat_", WORD "_", 36},
        {"xoxb-", WORD "-", 20},
        {"xoxp-", WORD "-", 20},
        {"AKIA", UPPER "0123456789", 20},
        {"hvs.", WORD "_-", 24},
        {"https://hooks.slack.com/services/", WORD ":/.", 34},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        if (str_starts(text, str_of(shapes[i].prefix))) {
            size_t prefix = strlen(shapes[i].prefix);
            size_t len = prefix + span_in(str_skip(text, prefix), shapes[i].set);
            return len >= shapes[i].least ? len : 0;
        }
    }
    return 0;
}

// From "-----BEGIN … PRIVATE KEY-----" to the end line, or to the end.
static size_t
key_length(struct str text)
{
    static const char end[] = "-----END ";
    struct str line = {0}, rest = {0};
    if (!str_starts(text, STR("-----BEGIN ")) || !str_cut(text, '\n', &line, &rest) ||
        !str_contains(line, STR("PRIVATE KEY-----"))) {
        return 0;
    }
    for (size_t i = 0; i + sizeof(end) <= text.len; i++) {
        if (memcmp(text.ptr + i, end, sizeof(end) - 1) == 0) {
            str_cut(str_skip(text, i), '\n', &line, &rest);
            return i + line.len;
        }
    }
    return text.len;
}

// "://user:password@": what stands between the slashes and the '@'.
static size_t
password_length(struct str text)
{
    if (!str_starts(text, STR("://"))) {
        return 0;
    }
    struct str rest = str_skip(text, 3);
    const char *colon = NULL;
    for (size_t i = 0; i < rest.len && strchr("/?# \t\r\n\"'", rest.ptr[i]) == NULL; i++) {
        if (rest.ptr[i] == '@') {
            return colon != NULL && colon + 1 < rest.ptr + i ? 3 + i : 0;
        }
        colon = colon == NULL && rest.ptr[i] == ':' ? rest.ptr + i : colon;
    }
    return 0;
}

static bool
is_word(char byte)
{
    return byte != '\0' && strchr(WORD "_", byte) != NULL;
}

// Length of the secret that starts right at `at`, or 0. The first byte rules nearly all out: this
// is asked at every byte of every file.
static size_t
secret_length(struct str text, size_t at)
{
    struct str rest = str_skip(text, at);
    switch (text.ptr[at]) {
    case 'g':
    case 'h':
    case 'x':
    case 'A':
        return at == 0 || !is_word(text.ptr[at - 1]) ? token_length(rest) : 0;
    case '-':
        return key_length(rest);
    case ':':
        return password_length(rest);
    default:
        return 0;
    }
}

// The first secret at or after *at: its start in *at, its length returned; 0 when there is none.
static size_t
secret_next(struct str text, size_t *at)
{
    for (size_t i = *at; i < text.len; i++) {
        size_t len = secret_length(text, i);
        if (len > 0) {
            *at = i;
            return len;
        }
    }
    return 0;
}

bool
spec_looks_like_secret(const char *value)
{
    size_t at = 0;
    return secret_next(str_of(value), &at) > 0;
}

// Line ends stay, so that places stay.
static void
blank_out(char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '\n' && bytes[i] != '\r') {
            bytes[i] = '*';
        }
    }
}

char *
secrets_mask(struct str text, struct arena *arena)
{
    char *copy = arena_str(arena, text);
    size_t at = 0;
    for (size_t len = secret_next(text, &at); len > 0; len = secret_next(text, &at)) {
        blank_out(copy + at, len);
        at += len;
    }
    return copy;
}

// Whole lines of the value behind its first column: exact enough to hide it, never too little.
static void
mask_node(const struct yaml_node *node, char *display)
{
    unsigned line = 1;
    char *at = display;
    for (; line < node->span.line && *at != '\0'; at++) {
        line += *at == '\n' ? 1 : 0;
    }
    for (unsigned column = 1; column < node->span.column && *at != '\0'; column++) {
        at++; // columns count code points: may stop early, inside the key
    }
    for (; line <= node->end_line && *at != '\0'; at++) {
        line += *at == '\n' ? 1 : 0;
        blank_out(at, 1);
    }
}

bool
spec_is_literal_secret(const struct field *field, const char *value)
{
    return field->secret_ref && check_secret_ref(value) != NULL &&
           (field->check == NULL || field->check(value) != NULL);
}

// "vault:kv/x": meant as a reference, and still not to be quoted.
static bool
means_reference(const char *value)
{
    static const char *const kinds[] = {"env:", "file:", "ssm:", "secretsmanager:", "vault:"};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (str_starts(str_of(value), str_of(kinds[i]))) {
            return !spec_looks_like_secret(value);
        }
    }
    return false;
}

static void
complain_literal(const struct spec_source *source, const struct field *field, const char *label,
    const struct yaml_node *node)
{
    bool arn = field != NULL && field->check == check_secret_arn;
    bool reference = !arn && means_reference(node->text);
    diagnostics_add(source->diagnostics, DIAGNOSTIC_ERROR, "literal-secret", source->file,
        (struct str){0}, node->span,
        arn ? "use the ARN of a Secrets Manager secret or of an SSM parameter"
            : "use a reference: env:VAR, file:PATH, ssm:/path, secretsmanager:ID#key, "
              "vault:mount/data/path#key",
        reference ? "'%.80s' is a secret reference of no known form"
                  : "'%.80s' holds a literal secret",
        label);
}

// DB_PASSWORD, JWT_SECRET, API_KEY, GITHUB_TOKEN; but not PUBLIC_KEY, JWT_SECRET_ARN, TOKEN_TTL.
static bool
names_a_secret(const char *name)
{
    static const char *const ends[] = {"_KEY", "_SECRET", "_TOKEN", "_PASSWD", "_CREDENTIALS"};
    static const char *const whole[] = {"KEY", "SECRET", "TOKEN"};
    struct str text = str_of(name);
    bool found = str_contains(text, STR("PASSWORD"));
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        found = found || str_ends(text, str_of(ends[i]));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(whole); i++) {
        found = found || str_equal(text, str_of(whole[i]));
    }
    return found && !str_contains(text, STR("PUBLIC")) && !str_contains(text, STR("PUBLISHABLE"));
}

// A value that says where the secret is, or that there is none, is fine to be read.
static bool
is_plain_secret(const struct field *field, const char *name, const char *value)
{
    bool harmless = value[0] == '\0' || strcmp(value, "true") == 0 || strcmp(value, "false") == 0 ||
                    str_starts(str_of(value), STR("arn:"));
    return field != NULL && field->plain_values && !harmless && names_a_secret(name);
}

static void
complain_plain(const struct spec_source *source, const char *label, const struct yaml_node *node)
{
    diagnostics_add(source->diagnostics, DIAGNOSTIC_WARNING, "plain-secret", source->file,
        (struct str){0}, node->span, "name its ARN in 'secrets' instead",
        "'%.80s' goes into the task definition or the service's configuration as plain text",
        label);
}

struct finder {
    const struct spec_source *source;
    char *display;
};

static void find_below(const struct finder *finder, const struct yaml_node *node,
    const struct field *field, const struct field_table *table, const char *label);

// What a child of `node` is described by: a list and a map hand their table on to what they hold.
static void
find_in_child(const struct finder *finder, const struct yaml_node *node,
    const struct yaml_node *child, const struct field *field, const struct field_table *table)
{
    bool map = field != NULL && field->kind == FIELD_MAP_OBJECT;
    bool texts = field != NULL && field->kind == FIELD_MAP_STR;
    const char *label = child->text;
    if (node->kind == YAML_SEQUENCE) {
        bool texts_of_list = field != NULL && field->kind == FIELD_LIST_STR;
        label = field != NULL ? field->name : "an item";
        find_below(finder, child, texts_of_list ? field : NULL, table, label);
    } else if (texts) {
        if (child->value->kind != YAML_SCALAR && (field->secret_ref || names_a_secret(label))) {
            mask_node(child->value, finder->display); // the wrong type, and not to be shown either
        }
        find_below(finder, child->value, field, NULL, label);
    } else if (map) {
        find_below(finder, child->value, NULL, table, label);
    } else {
        const struct field *own = table != NULL ? spec_field_of(table, label) : NULL;
        bool rest = own != NULL && own->rest; // one of its entries, not the map itself
        find_below(finder, child->value, rest ? NULL : own, own != NULL ? own->table : NULL, label);
    }
}

static void
find_below(const struct finder *finder, const struct yaml_node *node, const struct field *field,
    const struct field_table *table, const char *label)
{
    if (node->kind == YAML_SCALAR) {
        bool literal =
            field != NULL && !spec_node_is_empty(node) && spec_is_literal_secret(field, node->text);
        if (literal || spec_looks_like_secret(node->text)) {
            complain_literal(finder->source, field, label, node);
            mask_node(node, finder->display);
        } else if (is_plain_secret(field, label, node->text)) {
            complain_plain(finder->source, label, node);
            mask_node(node, finder->display);
        }
        return;
    }
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        find_in_child(finder, node, child, field, table);
    }
}

void
secrets_find(const struct spec_source *source, const struct yaml_node *node,
    const struct field_table *table, char *display)
{
    const struct finder finder = {source, display};
    find_below(&finder, node, NULL, table, table->name);
}
