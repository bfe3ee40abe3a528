// What a deployment brings: commits, the pull requests they came with, and who wrote them, since
// the version that was deployed before. Knows only what the deployment says: asks nobody.
#include <string.h>

#include "notice_internal.h"
#include "report_internal.h"

enum {
    SUBJECT_MAX = 100,
    AUTHOR_MAX = 60,
    AUTHORS_MAX = 20,
    DIGITS_MAX = 15, // of a pull request's number
    SHORT_SHA = 7,
    SHORT_VERSION = 12,
    NOTES_MAX = 1024 * 1024,
    MORE_MAX = 40, // "- … and 123 more"
};

static struct deployment_commit *
commit_at(const struct deployment *d, size_t index)
{
    return (struct deployment_commit *)d->commits.items + index;
}

static bool
is_hosted(const struct deployment *d)
{
    return d->repository != NULL && d->github_web != NULL;
}

// A number at the start of `text`; what follows it into *rest. 0: there is none.
static int64_t
take_number(struct str text, struct str *rest)
{
    int64_t number = 0;
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
        digits++;
    }
    bool fits = digits <= DIGITS_MAX && str_to_int64((struct str){text.ptr, digits}, &number);
    *rest = str_skip(text, digits);
    return fits ? number : 0;
}

// "Merge pull request #12 from octo/fix", as GitHub's merge button writes it.
static int64_t
merged_pull(struct str subject)
{
    static const struct str start = {"Merge pull request #", sizeof("Merge pull request #") - 1};
    struct str rest = {0};
    if (!str_starts(subject, start)) {
        return 0;
    }
    int64_t number = take_number(str_skip(subject, start.len), &rest);
    return str_starts(rest, STR(" from ")) ? number : 0;
}

// "Fix it (#12)", as squashing and rebasing write it.
static int64_t
squashed_pull(struct str subject)
{
    size_t at = subject.len;
    while (at > 0 && subject.ptr[at - 1] != '(') {
        at--;
    }
    struct str rest = str_skip(subject, at);
    if (at == 0 || !str_starts(rest, STR("#"))) {
        return 0;
    }
    int64_t number = take_number(str_skip(rest, 1), &rest);
    return str_equal(rest, STR(")")) ? number : 0;
}

int64_t
release_pull_of(const char *subject)
{
    struct str text = str_trim(str_of(subject));
    int64_t number = merged_pull(text);
    return number != 0 ? number : squashed_pull(text);
}

void
release_authors(const struct deployment *d, struct arena *arena, struct str_list *out)
{
    struct str_list list = {arena_array(arena, d->commits.count, sizeof(*list.items)), 0};
    for (size_t i = 0; i < d->commits.count; i++) {
        const char *author = commit_at(d, i)->author;
        bool known = author == NULL || author[0] == '\0';
        for (size_t k = 0; k < list.count && !known; k++) {
            known = cstr_equal(list.items[k], author);
        }
        if (!known) {
            list.items[list.count++] = author;
        }
    }
    *out = list;
}

// What the first service that moves was on.
static const char *
version_before(const struct deployment *d)
{
    for (size_t i = 0; i < d->services.count; i++) {
        const char *previous = deployment_service_at(d, i)->previous;
        if (previous != NULL && !cstr_equal(previous, d->version)) {
            return previous;
        }
    }
    return NULL;
}

const char *
release_commit_url(const struct deployment *d, const char *sha, struct arena *arena)
{
    bool known = is_hosted(d) && sha != NULL && snapshot_is_commit(sha);
    return known ? arena_printf(arena, "%s/%s/commit/%s", d->github_web, d->repository, sha) : NULL;
}

const char *
release_compare_url(const struct deployment *d, struct arena *arena)
{
    const char *before = version_before(d);
    if (!is_hosted(d) || before == NULL || !snapshot_is_commit(before) ||
        !snapshot_is_commit(d->version)) {
        return NULL;
    }
    return arena_printf(
        arena, "%s/%s/compare/%s...%s", d->github_web, d->repository, before, d->version);
}

// --- Markdown ----------------------------------------------------------------------------------

static void
put_piece(struct str piece, struct buf *out)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(NOTES_MAX);
    buf_add(&text, piece);
    report_markdown_escape(buf_cstr(&text), SUBJECT_MAX, out);
}

// The subject, with the number of its pull request as a link where it stands.
static void
put_subject(const struct deployment *d, const struct deployment_commit *commit, struct buf *out)
{
    char mark[24];
    const char *subject = commit->subject != NULL ? commit->subject : "";
    (void)snprintf(mark, sizeof(mark), "#%lld", (long long)commit->pull);
    const char *at = commit->pull > 0 ? strstr(subject, mark) : NULL;
    if (at == NULL || !is_hosted(d)) {
        report_markdown_escape(subject, SUBJECT_MAX, out);
        return;
    }
    put_piece((struct str){subject, (size_t)(at - subject)}, out);
    buf_printf(out, "[%s](", mark);
    report_markdown_url(d->github_web, out);
    buf_putc(out, '/');
    report_markdown_url(d->repository, out);
    buf_printf(out, "/pull/%lld)", (long long)commit->pull);
    put_piece(str_of(at + strlen(mark)), out);
}

static void
put_commit(const struct deployment *d, const struct deployment_commit *commit, struct buf *out)
{
    buf_puts(out, "- ");
    report_markdown_commit(d, commit->sha, SHORT_SHA, out);
    buf_putc(out, ' ');
    put_subject(d, commit, out);
    if (commit->author != NULL) {
        buf_puts(out, " · ");
        report_markdown_escape(commit->author, AUTHOR_MAX, out);
    }
    buf_putc(out, '\n');
}

static void
put_authors(const struct deployment *d, struct arena *arena, struct buf *out)
{
    struct str_list authors = {0};
    release_authors(d, arena, &authors);
    size_t shown = authors.count <= AUTHORS_MAX ? authors.count : AUTHORS_MAX;
    for (size_t i = 0; i < shown; i++) {
        buf_puts(out, i == 0 ? "By " : ", ");
        report_markdown_escape(authors.items[i], AUTHOR_MAX, out);
    }
    if (shown < authors.count) {
        buf_printf(out, " and %zu more", authors.count - shown);
    }
    buf_puts(out, shown > 0 ? "\n" : "");
}

static void
put_end(const struct deployment *d, struct buf *out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *compare = release_compare_url(d, arena);
    buf_putc(out, '\n');
    put_authors(d, arena, out);
    if (compare != NULL) {
        buf_printf(
            out, "\n[`%.*s...%.*s`](", SHORT_VERSION, version_before(d), SHORT_VERSION, d->version);
        report_markdown_url(compare, out);
        buf_puts(out, ")\n");
    }
}

void
release_notes(const struct deployment *d, size_t max, struct buf *out)
{
    if (d->commits.count == 0) {
        return;
    }
    struct buf end CLEANUP(buf_done) = BUF_INIT(NOTES_MAX);
    struct buf line CLEANUP(buf_done) = BUF_INIT(NOTES_MAX);
    put_end(d, &end);
    size_t start = out->len, shown = 0;
    for (; shown < d->commits.count; shown++) {
        buf_reset(&line);
        put_commit(d, commit_at(d, shown), &line);
        if (out->len - start + line.len + end.len + MORE_MAX > max) {
            break;
        }
        buf_add(out, buf_str(&line));
    }
    if (shown < d->commits.count) {
        buf_printf(out, "- … and %s%zu more\n", d->commits_complete ? "" : "at least ",
            d->commits.count - shown);
    } else if (!d->commits_complete) {
        buf_puts(out, "- … and more\n");
    }
    buf_add(out, buf_str(&end));
}
