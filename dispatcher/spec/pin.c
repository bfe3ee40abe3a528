// `spec pin`: GitHub's numbers of repository and owner into the text of an app's spec. A minimal
// edit: comments, layout and everything else stay, which is read back and compared before it
// counts.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

static const char *const id_keys[] = {"repository_id", "owner_id"};
enum { IDS = ARRAY_LENGTH(id_keys), TEXT_MAX = 64 * 1024 };

// The text while it is edited; later edits must not move earlier places, so they go back to front.
struct edit {
    size_t at, remove;
    const char *insert;
};
struct pinning {
    struct arena *arena;
    struct str text;
    const char *line_end;
    const struct yaml_node *root;
    const char *values[IDS];
    struct edit edits[IDS];
    size_t edit_count;
};

static const struct yaml_node *
parse(struct str text, struct arena *arena)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct yaml_node *root = NULL;
    yaml_parse("spec", text, &yaml_limits_spec, arena, diagnostics, &root);
    return root;
}

const char *
spec_repository(const struct spec_document *document, struct arena *arena)
{
    const struct yaml_node *root = parse(spec_text_body(document->text), arena);
    const char *repo = yaml_text(yaml_get(root, "repo"));
    return repo != NULL && check_repo(repo) == NULL ? arena_dup(arena, repo) : NULL;
}

void
spec_pinned(const struct spec_document *document, struct arena *arena, int64_t *repository_id,
    int64_t *owner_id)
{
    const struct yaml_node *deploy =
        yaml_get(parse(spec_text_body(document->text), arena), "deploy");
    int64_t *const out[IDS] = {repository_id, owner_id};
    for (size_t i = 0; i < IDS; i++) {
        const char *text = yaml_text(yaml_get(deploy, id_keys[i]));
        *out[i] = 0;
        (void)(text != NULL && str_to_int64(str_of(text), out[i]));
    }
}

static size_t
start_of_line(struct str text, unsigned line)
{
    size_t at = 0;
    for (; line > 1 && at < text.len; at++) {
        line -= text.ptr[at] == '\n' ? 1 : 0;
    }
    return at;
}

// Columns count code points.
static size_t
offset_of(struct str text, unsigned line, unsigned column)
{
    size_t at = start_of_line(text, line);
    for (; column > 1 && at < text.len; column--) {
        at++;
        while (at < text.len && ((unsigned char)text.ptr[at] & 0xc0) == 0x80) {
            at++;
        }
    }
    return at;
}

static void
add_edit(struct pinning *pinning, size_t at, size_t remove, const char *insert)
{
    pinning->edits[pinning->edit_count++] = (struct edit){at, remove, insert};
}

// The key is there: its value is another one, or there is none yet.
static void
set_value(struct pinning *pinning, const struct yaml_node *key, const char *value)
{
    const struct yaml_node *node = key->value;
    if (cstr_equal(yaml_text(node), value) && !node->quoted) {
        return;
    }
    if (spec_node_is_empty(node)) {
        size_t colon = offset_of(pinning->text, key->end_line, key->end_column);
        while (colon < pinning->text.len && pinning->text.ptr[colon] != ':') {
            colon++;
        }
        add_edit(pinning, colon + 1, 0, arena_printf(pinning->arena, " %s", value));
        return;
    }
    size_t from = offset_of(pinning->text, node->span.line, node->span.column);
    size_t to = offset_of(pinning->text, node->end_line, node->end_column);
    add_edit(pinning, from, to - from, value);
}

// A line of its own behind the one of `above`.
static void
insert_line(
    struct pinning *pinning, const struct yaml_node *above, unsigned column, const char *text)
{
    size_t at = start_of_line(pinning->text, above->end_line + 1);
    bool ended = at > 0 && pinning->text.ptr[at - 1] == '\n';
    add_edit(pinning, at, 0,
        arena_printf(pinning->arena, "%s%*s%s%s", ended ? "" : pinning->line_end, (int)column - 1,
            "", text, pinning->line_end));
}

static const char *
both_lines(const struct pinning *pinning, unsigned column, const bool missing[IDS])
{
    const char *text = "";
    for (size_t i = 0; i < IDS; i++) {
        text = missing[i]
                   ? arena_printf(pinning->arena, "%s%s%*s%s: %s", text,
                         text[0] != '\0' ? pinning->line_end : "",
                         text[0] != '\0' ? (int)column - 1 : 0, "", id_keys[i], pinning->values[i])
                   : text;
    }
    return text;
}

static void
insert_in_braces(struct pinning *pinning, const struct yaml_node *deploy, const bool missing[IDS])
{
    const char *text = "";
    for (size_t i = 0; i < IDS; i++) {
        text = missing[i] ? arena_printf(pinning->arena, "%s%s: %s%s", text, id_keys[i],
                                pinning->values[i],
                                deploy->first != NULL || (i == 0 && missing[1]) ? ", " : "")
                          : text;
    }
    size_t at = offset_of(pinning->text, deploy->span.line, deploy->span.column);
    add_edit(pinning, at + 1, 0, text);
}

static void
append_block(struct pinning *pinning)
{
    bool ended = pinning->text.len == 0 || pinning->text.ptr[pinning->text.len - 1] == '\n';
    const bool both[IDS] = {true, true};
    add_edit(pinning, pinning->text.len, 0,
        arena_printf(pinning->arena, "%sdeploy:%s  %s%s", ended ? "" : pinning->line_end,
            pinning->line_end, both_lines(pinning, 3, both), pinning->line_end));
}

static void
plan_edits(struct pinning *pinning)
{
    const struct yaml_node *key = spec_key_node(pinning->root, "deploy");
    const struct yaml_node *deploy = key != NULL ? key->value : NULL;
    bool missing[IDS] = {false};
    if (key == NULL) {
        append_block(pinning);
        return;
    }
    for (size_t i = 0; i < IDS; i++) {
        const struct yaml_node *own = spec_key_node(deploy, id_keys[i]);
        missing[i] = own == NULL;
        if (own != NULL) {
            set_value(pinning, own, pinning->values[i]);
        }
    }
    if (!missing[0] && !missing[1]) {
        return;
    }
    const struct yaml_node *first = spec_key_node(deploy, id_keys[0]);
    unsigned column = deploy->kind == YAML_MAPPING && deploy->first != NULL
                          ? deploy->first->span.column
                          : key->span.column + 2;
    if (deploy->kind == YAML_MAPPING && deploy->flow) {
        insert_in_braces(pinning, deploy, missing);
    } else if (first != NULL) {
        insert_line(pinning, first, column, both_lines(pinning, column, missing));
    } else {
        insert_line(pinning, key, column, both_lines(pinning, column, missing));
    }
}

static void
apply_edits(const struct pinning *pinning, struct buf *out)
{
    size_t at = 0, done = 0;
    for (size_t round = 0; round < pinning->edit_count; round++) { // the first place first
        const struct edit *next = NULL;
        for (size_t i = 0; i < pinning->edit_count; i++) {
            bool earlier = next == NULL || pinning->edits[i].at < next->at;
            next = (done & (size_t)1 << i) == 0 && earlier ? &pinning->edits[i] : next;
        }
        done |= (size_t)1 << (next - pinning->edits);
        buf_append(out, pinning->text.ptr + at, next->at - at);
        buf_puts(out, next->insert);
        at = next->at + next->remove;
    }
    buf_append(out, pinning->text.ptr + at, pinning->text.len - at);
}

static bool
is_id(const struct yaml_node *key)
{
    return strcmp(key->text, id_keys[0]) == 0 || strcmp(key->text, id_keys[1]) == 0;
}

static bool same(const struct yaml_node *a, const struct yaml_node *b, bool but_ids);

static const struct yaml_node *
skip_ids(const struct yaml_node *key, bool but_ids)
{
    while (key != NULL && but_ids && is_id(key)) {
        key = key->next;
    }
    return key;
}

static bool
same_children(const struct yaml_node *a, const struct yaml_node *b, bool but_ids)
{
    bool map = a->kind == YAML_MAPPING;
    const struct yaml_node *left = skip_ids(a->first, but_ids);
    const struct yaml_node *right = skip_ids(b->first, but_ids);
    while (left != NULL && right != NULL) {
        bool fine =
            map ? strcmp(left->text, right->text) == 0 && same(left->value, right->value, false)
                : same(left, right, false);
        if (!fine) {
            return false;
        }
        left = skip_ids(left->next, but_ids);
        right = skip_ids(right->next, but_ids);
    }
    return left == NULL && right == NULL;
}

static bool
same(const struct yaml_node *a, const struct yaml_node *b, bool but_ids)
{
    if (but_ids && (a == NULL || spec_node_is_empty(a))) {
        return b != NULL && b->kind == YAML_MAPPING && skip_ids(b->first, true) == NULL;
    }
    if (a == NULL || b == NULL || a->kind != b->kind) {
        return a == b;
    }
    return a->kind == YAML_SCALAR ? cstr_equal(a->text, b->text) && a->quoted == b->quoted
                                  : same_children(a, b, but_ids);
}

// All but the two numbers is what it was, and the numbers are there.
static bool
is_as_meant(const struct pinning *pinning, const struct yaml_node *root)
{
    const struct yaml_node *deploy = yaml_get(root, "deploy");
    bool fine = root != NULL && root->kind == YAML_MAPPING &&
                same(yaml_get(pinning->root, "deploy"), deploy, true);
    for (size_t i = 0; i < IDS; i++) {
        const struct yaml_node *id = yaml_get(deploy, id_keys[i]);
        fine = fine && cstr_equal(yaml_text(id), pinning->values[i]) && !id->quoted;
    }
    const struct yaml_node *before = pinning->root->first, *after = fine ? root->first : NULL;
    for (; fine && before != NULL && after != NULL; before = before->next, after = after->next) {
        fine = strcmp(before->text, after->text) == 0 &&
               (strcmp(before->text, "deploy") == 0 || same(before->value, after->value, false));
    }
    bool only_deploy = after == NULL || (strcmp(after->text, "deploy") == 0 && after->next == NULL);
    return fine && before == NULL && only_deploy;
}

struct error *
spec_pin(
    const struct spec_document *document, int64_t repository_id, int64_t owner_id, struct buf *out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct str body = spec_text_body(document->text);
    struct pinning pinning = {.arena = arena,
        .text = body,
        .line_end = str_contains(body, STR("\r\n")) ? "\r\n" : "\n",
        .root = parse(body, arena),
        .values = {arena_printf(arena, "%lld", (long long)repository_id),
            arena_printf(arena, "%lld", (long long)owner_id)}};
    if (pinning.root == NULL || pinning.root->kind != YAML_MAPPING) {
        return error_hint(error_new(ERROR_SPEC, "'%s' cannot be read", document->path),
            "'dispatcher spec lint' says what is wrong.");
    }
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    buf_append(&text, document->text.ptr, (size_t)(body.ptr - document->text.ptr));
    plan_edits(&pinning);
    apply_edits(&pinning, &text);
    if (text.failed || !is_as_meant(&pinning, parse(spec_text_body(buf_str(&text)), arena))) {
        return error_hint(
            error_new(ERROR_SPEC, "'%s' is not written in a way that can be changed from here",
                document->path),
            "Write 'repository_id: %s' and 'owner_id: %s' below 'deploy' yourself.",
            pinning.values[0], pinning.values[1]);
    }
    buf_add(out, buf_str(&text));
    return NULL;
}
