// How commits stand to each other. Complete clones use libgit2's graph functions; shallow ones are
// walked here, because libgit2 1.5 stops at a missing parent and calls that "no ancestor", which
// would turn a clone without history into a refusal to deploy.
#include "git_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum {
    SUBJECT_MAX = 200,
    AUTHOR_MAX = 100,
    WALK_MAX = 100 * 1000, // commits of a shallow clone that are looked at
    ABBREVIATION_MIN = 7,
};

// A set of commit ids: open addressing, at most half full.
struct reach {
    git_oid *slots;
    bool *used;
    size_t count, size;
    git_oid *order; // as they were met
    bool cut;       // a parent is missing, or the walk was given up
};

static void
reach_done(struct reach *reach)
{
    free(reach->slots);
    free(reach->used);
    free(reach->order);
}

static size_t
reach_slot(const struct reach *reach, const git_oid *id)
{
    size_t hash = 0;
    memcpy(&hash, id->id, sizeof(hash)); // an id is a hash already
    size_t at = hash & (reach->size - 1);
    while (reach->used[at] && !git_oid_equal(&reach->slots[at], id)) {
        at = (at + 1) & (reach->size - 1);
    }
    return at;
}

static bool
reach_has(const struct reach *reach, const git_oid *id)
{
    return reach->size > 0 && reach->used[reach_slot(reach, id)];
}

static void
reach_grow(struct reach *reach)
{
    struct reach next = {.size = reach->size > 0 ? reach->size * 2 : 1024, .cut = reach->cut};
    next.slots = xcalloc(next.size, sizeof(*next.slots));
    next.used = xcalloc(next.size, sizeof(*next.used));
    next.order = xcalloc(next.size, sizeof(*next.order));
    for (size_t i = 0; i < reach->count; i++) {
        size_t at = reach_slot(&next, &reach->order[i]);
        next.slots[at] = next.order[next.count++] = reach->order[i];
        next.used[at] = true;
    }
    reach_done(reach);
    *reach = next;
}

static void
reach_add(struct reach *reach, const git_oid *id)
{
    if (2 * (reach->count + 1) > reach->size) {
        reach_grow(reach);
    }
    size_t at = reach_slot(reach, id);
    if (!reach->used[at]) {
        reach->slots[at] = reach->order[reach->count++] = *id;
        reach->used[at] = true;
    }
}

static void
commit_freep(git_commit **commit)
{
    git_commit_free(*commit);
}

// Everything that `start` can see, but for what `without` (may be NULL) holds.
static void
reach_walk(git_repository *repository, const git_oid *start, const struct reach *without,
    struct reach *out)
{
    if (without == NULL || !reach_has(without, start)) {
        reach_add(out, start);
    }
    for (size_t next = 0; next < out->count; next++) {
        git_commit *commit CLEANUP(commit_freep) = NULL;
        if (out->count > WALK_MAX || git_commit_lookup(&commit, repository, &out->order[next])) {
            out->cut = true;
            return;
        }
        for (unsigned i = 0; i < git_commit_parentcount(commit); i++) {
            const git_oid *parent = git_commit_parent_id(commit, i);
            git_commit *there CLEANUP(commit_freep) = NULL;
            if (without != NULL && reach_has(without, parent)) {
                continue;
            }
            if (git_commit_lookup(&there, repository, parent) != 0) {
                out->cut = true;
            } else {
                reach_add(out, parent);
            }
        }
    }
}

static bool
is_hex(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (!((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f'))) {
            return false;
        }
    }
    return text.len >= ABBREVIATION_MIN && text.len <= GIT_OID_HEXSZ;
}

// A tag's name, or a commit id; none of git's wider revision syntax.
static bool
find_commit(git_repository *repository, const char *name, git_oid *out)
{
    git_reference *tag CLEANUP(git_reference_freep) = NULL;
    git_object *object CLEANUP(git_object_freep) = NULL, *commit CLEANUP(git_object_freep) = NULL;
    struct buf reference CLEANUP(buf_done) = BUF_INIT(1024);
    struct str text = str_of(name);
    git_oid id;
    buf_printf(&reference, "refs/tags/%s", name != NULL ? name : "");
    if (text.len > 0 && !reference.failed &&
        git_reference_lookup(&tag, repository, buf_cstr(&reference)) == 0) {
        (void)git_reference_peel(&commit, tag, GIT_OBJECT_COMMIT);
    } else if (is_hex(text) && git_oid_fromstrn(&id, text.ptr, text.len) == 0 &&
               git_object_lookup_prefix(&object, repository, &id, text.len, GIT_OBJECT_ANY) == 0) {
        (void)git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
    }
    git_error_clear();
    if (commit != NULL) {
        *out = *git_object_id(commit);
    }
    return commit != NULL;
}

static struct error *
require_commit(git_repository *repository, const char *name, git_oid *out)
{
    if (find_commit(repository, name, out)) {
        return NULL;
    }
    struct buf shown CLEANUP(buf_done) = BUF_INIT(1024);
    text_clean(str_of(name), SUBJECT_MAX, &shown);
    return error_new(ERROR_USAGE, "commit '%s' is not in the checkout", buf_cstr(&shown));
}

static enum git_relation
relate_shallow(git_repository *repository, const git_oid *base, const git_oid *commit)
{
    struct reach from_commit CLEANUP(reach_done) = {0}, from_base CLEANUP(reach_done) = {0};
    reach_walk(repository, commit, NULL, &from_commit);
    if (reach_has(&from_commit, base)) {
        return GIT_AHEAD;
    }
    reach_walk(repository, base, NULL, &from_base);
    if (reach_has(&from_base, commit)) {
        return GIT_BEHIND;
    }
    return from_commit.cut || from_base.cut ? GIT_UNRELATED_UNKNOWN : GIT_DIVERGED;
}

static struct error *
relate_complete(
    git_repository *repository, const git_oid *base, const git_oid *commit, enum git_relation *out)
{
    int ahead = git_graph_descendant_of(repository, commit, base);
    int behind = ahead == 0 ? git_graph_descendant_of(repository, base, commit) : 0;
    if (ahead < 0 || behind < 0) {
        return error_hint(git_failed(ERROR_USAGE, "history of the checkout cannot be read"),
            "The clone is damaged or incomplete; clone it again.");
    }
    *out = ahead == 1 ? GIT_AHEAD : behind == 1 ? GIT_BEHIND : GIT_DIVERGED;
    return NULL;
}

struct error *
git_relate(const char *path, const char *base, const char *commit, enum git_relation *out)
{
    git_repository *repository CLEANUP(git_repository_freep) = NULL;
    git_oid base_id, commit_id;
    TRY(git_open_checkout(path, &repository));
    TRY(require_commit(repository, commit, &commit_id));
    if (!find_commit(repository, base, &base_id)) {
        *out = GIT_UNRELATED_UNKNOWN;
    } else if (git_oid_equal(&base_id, &commit_id)) {
        *out = GIT_SAME;
    } else if (git_repository_is_shallow(repository) == 1) {
        *out = relate_shallow(repository, &base_id, &commit_id);
        git_error_clear();
    } else {
        return relate_complete(repository, &base_id, &commit_id, out);
    }
    return NULL;
}

static const char *
clean(struct arena *arena, const char *text, size_t max)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(2 * max);
    text_clean(str_of(text), max, &out);
    return arena_str(arena, buf_str(&out));
}

static bool
describe(
    git_repository *repository, const git_oid *id, struct arena *arena, struct git_log_entry *out)
{
    git_commit *commit CLEANUP(commit_freep) = NULL;
    if (git_commit_lookup(&commit, repository, id) != 0) {
        return false;
    }
    char hex[GIT_HEX_SIZE];
    const git_signature *author = git_commit_author(commit);
    out->sha = arena_dup(arena, git_oid_tostr(hex, sizeof(hex), id));
    out->author = clean(arena, author != NULL ? author->name : NULL, AUTHOR_MAX);
    bool has_email = author != NULL && author->email != NULL && author->email[0] != '\0';
    out->email = has_email ? clean(arena, author->email, AUTHOR_MAX) : NULL;
    out->subject = clean(arena, git_commit_summary(commit), SUBJECT_MAX);
    out->time_ms = (int64_t)git_commit_time(commit) * 1000;
    return true;
}

static void
revwalk_freep(git_revwalk **walk)
{
    git_revwalk_free(*walk);
}

// One more than `max`, to know whether that was all.
static struct error *
list_complete(git_repository *repository, const git_oid *from, const git_oid *to, git_oid *ids,
    size_t max, size_t *count)
{
    git_revwalk *walk CLEANUP(revwalk_freep) = NULL;
    int status = git_revwalk_new(&walk, repository);
    if (status == 0) {
        (void)git_revwalk_sorting(walk, GIT_SORT_TIME);
        status = git_revwalk_push(walk, to);
    }
    status = status == 0 ? git_revwalk_hide(walk, from) : status;
    while (status == 0 && *count <= max) {
        status = git_revwalk_next(&ids[*count], walk);
        *count += status == 0;
    }
    if (status != 0 && status != GIT_ITEROVER) {
        return git_failed(ERROR_USAGE, "history of the checkout cannot be read");
    }
    git_error_clear();
    return NULL;
}

static int
compare_newest_first(const void *a, const void *b)
{
    const struct git_log_entry *left = a, *right = b;
    return (left->time_ms < right->time_ms) - (left->time_ms > right->time_ms);
}

static void
list_shallow(git_repository *repository, const git_oid *from, const git_oid *to, struct reach *out)
{
    struct reach before CLEANUP(reach_done) = {0};
    reach_walk(repository, from, NULL, &before);
    reach_walk(repository, to, &before, out);
    git_error_clear();
}

struct error *
git_commits(const char *path, const char *from, const char *to, size_t max, struct arena *arena,
    struct git_log_entry **out, size_t *count, bool *complete)
{
    git_repository *repository CLEANUP(git_repository_freep) = NULL;
    git_oid from_id, to_id;
    TRY(git_open_checkout(path, &repository));
    TRY(require_commit(repository, to, &to_id));
    *out = NULL;
    *count = 0;
    *complete = find_commit(repository, from, &from_id);
    if (!*complete) {
        return NULL;
    }
    struct reach reach CLEANUP(reach_done) = {0};
    if (git_repository_is_shallow(repository) == 1) {
        list_shallow(repository, &from_id, &to_id, &reach);
        *complete = !reach.cut;
    } else {
        reach.order = xcalloc(max + 1, sizeof(*reach.order));
        TRY(list_complete(repository, &from_id, &to_id, reach.order, max, &reach.count));
    }
    struct git_log_entry *list = arena_array(arena, reach.count + 1, sizeof(*list));
    size_t found = 0;
    for (size_t i = 0; i < reach.count; i++) {
        found += describe(repository, &reach.order[i], arena, &list[found]);
    }
    qsort(list, found, sizeof(*list), compare_newest_first);
    *complete = *complete && found <= max;
    *count = found < max ? found : max;
    *out = list;
    return NULL;
}
