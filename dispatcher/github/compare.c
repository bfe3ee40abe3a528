// How two commits of a repository stand to each other, and which commits lie between them. GitHub
// sends the changed files with the first page of a comparison, whole patches of them: who wants to
// know only how they stand asks for a page after it.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "github_internal.h"

enum {
    PAGE = 100,
    COMMITS_MAX = 100 * 1000, // more than that are not counted through
    ANSWER_BYTES = 32 * 1024 * 1024,
};

struct person_answer {
    const char *login, *name, *email, *date;
};
static const struct field person_fields[] = {
    FIELD(struct person_answer, login, "login", FIELD_STR, .required = false),
    FIELD(struct person_answer, name, "name", FIELD_STR, .required = false),
    FIELD(struct person_answer, email, "email", FIELD_STR, .required = false),
    FIELD(struct person_answer, date, "date", FIELD_STR, .required = false),
};
static const struct field_table person_table =
    FIELD_TABLE("author", struct person_answer, person_fields);

struct text_answer {
    const char *message;
    struct person_answer author;
};
static const struct field text_fields[] = {
    FIELD(struct text_answer, message, "message", FIELD_STR, .required = false),
    FIELD(struct text_answer, author, "author", FIELD_OBJECT, .table = &person_table),
};
static const struct field_table text_table = FIELD_TABLE("commit", struct text_answer, text_fields);

struct commit_answer {
    const char *sha;
    struct text_answer commit;
    struct person_answer author; // null where nobody on GitHub has the address
};
static const struct field commit_fields[] = {
    FIELD(struct commit_answer, sha, "sha", FIELD_STR, .required = true),
    FIELD(struct commit_answer, commit, "commit", FIELD_OBJECT, .table = &text_table),
    FIELD(struct commit_answer, author, "author", FIELD_OBJECT, .table = &person_table),
};
static const struct field_table commit_table =
    FIELD_TABLE("commit", struct commit_answer, commit_fields);

struct comparison_answer {
    const char *status;
    int64_t ahead_by, behind_by, total_commits;
    struct object_list commits; // oldest first
};
static const struct field comparison_fields[] = {
    FIELD(struct comparison_answer, status, "status", FIELD_STR, .required = true),
    FIELD(struct comparison_answer, ahead_by, "ahead_by", FIELD_INT, .required = true),
    FIELD(struct comparison_answer, behind_by, "behind_by", FIELD_INT, .required = true),
    FIELD(struct comparison_answer, total_commits, "total_commits", FIELD_INT, .required = true),
    FIELD(struct comparison_answer, commits, "commits", FIELD_LIST_OBJECT, .table = &commit_table),
};
static const struct field_table comparison_table =
    FIELD_TABLE("comparison", struct comparison_answer, comparison_fields);

static struct error *
read_relation(const char *status, enum github_relation *out)
{
    static const char *const words[] = {[GITHUB_IDENTICAL] = "identical",
        [GITHUB_AHEAD] = "ahead",
        [GITHUB_BEHIND] = "behind",
        [GITHUB_DIVERGED] = "diverged"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (strcmp(words[i], status) == 0) {
            *out = (enum github_relation)i;
            return NULL;
        }
    }
    return error_new(ERROR_UNAVAILABLE, "unusable answer: 'status' is '%.40s'", status);
}

struct page {
    const char *path; // of the comparison
    int64_t size, number;
};

// *found false: the repository does not show one of the two.
static struct error *
read_page(struct github_client *client, const struct page *page, struct arena *arena,
    struct comparison_answer *out, bool *found)
{
    char *full CLEANUP(xfreep) =
        xasprintf("%s?per_page=%" PRId64 "&page=%" PRId64, page->path, page->size, page->number);
    const struct github_call call = {.path = full,
        .in_repository = true,
        .needs = "contents: read",
        .max_response = ANSWER_BYTES};
    struct http_response response CLEANUP(http_response_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    TRY(github_fetch(client, &call, &response, &body));
    *found = body != NULL;
    if (!*found) {
        return NULL;
    }
    TRY(json_decode(body, &comparison_table, arena, out));
    bool usable = out->ahead_by >= 0 && out->behind_by >= 0 && out->total_commits >= 0 &&
                  out->total_commits <= COMMITS_MAX;
    return usable ? NULL : error_new(ERROR_UNAVAILABLE, "unusable answer: impossible counts");
}

// --- the commits ---------------------------------------------------------------------------------

static const char *
first_line(struct arena *arena, const char *message)
{
    size_t length = message != NULL ? strcspn(message, "\r\n") : 0;
    return arena_str(arena, (struct str){message, length});
}

static struct github_commit
commit_of(const struct commit_answer *answer, struct arena *arena)
{
    const struct person_answer *author = &answer->commit.author;
    struct github_commit commit = {.sha = answer->sha,
        .author = answer->author.login != NULL ? answer->author.login : author->name,
        .email = author->email,
        .subject = first_line(arena, answer->commit.message)};
    (void)clock_parse_rfc3339(author->date, &commit.time_ms);
    return commit;
}

// Newest first, until there are enough.
static void
take_commits(const struct comparison_answer *page, size_t max, struct arena *arena,
    struct github_comparison *out)
{
    const struct commit_answer *list = page->commits.items;
    for (size_t i = page->commits.count; i > 0 && out->count < max; i--) {
        out->commits[out->count++] = commit_of(&list[i - 1], arena);
    }
}

// From the last page backwards; the first one is here already.
static struct error *
read_commits(struct github_client *client, const char *path, const struct comparison_answer *first,
    size_t max, struct arena *arena, struct github_comparison *out)
{
    size_t total = (size_t)first->total_commits;
    struct page page = {path, PAGE, ((int64_t)total + PAGE - 1) / PAGE};
    out->commits = arena_array(arena, max, sizeof(*out->commits));
    for (; page.number > 1 && out->count < max; page.number--) {
        struct comparison_answer answer = {0};
        bool found = false;
        TRY(read_page(client, &page, arena, &answer, &found));
        if (!found || answer.total_commits != first->total_commits) {
            return error_new(ERROR_UNAVAILABLE, "the history changed while it was read");
        }
        take_commits(&answer, max, arena, out);
    }
    take_commits(first, max, arena, out);
    out->complete = out->count == total;
    return NULL;
}

static struct error *
compare(struct github_client *client, const char *path, size_t max, struct arena *arena,
    struct github_comparison **out)
{
    struct comparison_answer answer = {0};
    bool found = false;
    *out = NULL;
    const struct page page = {path, max > 0 ? PAGE : 1, max > 0 ? 1 : 2};
    TRY(read_page(client, &page, arena, &answer, &found));
    if (!found) {
        return NULL;
    }
    struct github_comparison *made = arena_alloc(arena, sizeof(*made));
    *made = (struct github_comparison){.ahead_by = answer.ahead_by, .behind_by = answer.behind_by};
    TRY(read_relation(answer.status, &made->relation));
    if (max > 0) {
        TRY(read_commits(client, path, &answer, max, arena, made));
    }
    *out = made;
    return NULL;
}

struct error *
github_compare(struct github_client *client, const char *base, const char *head, size_t commits_max,
    struct arena *arena, struct github_comparison **out)
{
    struct buf path CLEANUP(buf_done) = BUF_INIT(8 * 1024);
    buf_puts(&path, "/compare/");
    url_encode(str_of(base), "", &path);
    buf_puts(&path, "...");
    url_encode(str_of(head), "", &path);
    TRY(buf_finish(&path, "path of the comparison"));
    struct error *err = compare(client, buf_cstr(&path), commits_max, arena, out);
    return err != NULL ? error_wrap(err, "compare '%.80s' with '%.80s' of '%s'", base, head,
                             client->repository)
                       : NULL;
}
