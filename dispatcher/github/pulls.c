// Pull requests of a commit, and the one comment that is ours on each. Comments that strangers may
// write are never taken for ours: whoever wrote one may change it after us.
#include <inttypes.h>
#include <stdlib.h>

#include "dispatcher/github_reports.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "github_internal.h"

#define NEEDS "pull-requests: write"

enum { COMMENT_PAGES_MAX = 10, PULLS_MAX = 100 };

struct base_repo {
    const char *full_name, *default_branch;
};
static const struct field repo_fields[] = {
    FIELD(struct base_repo, full_name, "full_name", FIELD_STR, .required = true),
    FIELD(struct base_repo, default_branch, "default_branch", FIELD_STR, .required = false),
};
static const struct field_table repo_table =
    FIELD_TABLE("repository", struct base_repo, repo_fields);

struct base_answer {
    const char *ref;
    struct base_repo repo;
};
static const struct field base_fields[] = {
    FIELD(struct base_answer, ref, "ref", FIELD_STR, .required = true),
    FIELD(struct base_answer, repo, "repo", FIELD_OBJECT, .required = true, .table = &repo_table),
};
static const struct field_table base_table = FIELD_TABLE("base", struct base_answer, base_fields);

struct pull_answer {
    int64_t number;
    const char *state, *merged_at;
    struct base_answer base;
};
static const struct field pull_fields[] = {
    FIELD(struct pull_answer, number, "number", FIELD_INT, .required = true),
    FIELD(struct pull_answer, state, "state", FIELD_STR, .required = true),
    FIELD(struct pull_answer, merged_at, "merged_at", FIELD_STR, .required = false),
    FIELD(struct pull_answer, base, "base", FIELD_OBJECT, .required = true, .table = &base_table),
};
static const struct field_table pull_table =
    FIELD_TABLE("pull request", struct pull_answer, pull_fields);

// --- pull requests -------------------------------------------------------------------------------

struct pulls {
    const char *repository;
    int64_t first[PULLS_MAX], rest[PULLS_MAX]; // into the default branch, and into others
    size_t first_count, rest_count;
};

// A commit of a fork may be one of a pull request elsewhere: numbers there are none of ours.
static struct error *
keep_pull(void *ctx, const struct json *item, struct arena *arena, bool *enough)
{
    (void)enough; // one page, and that has an end
    struct pulls *pulls = ctx;
    struct pull_answer answer = {0};
    TRY(json_decode(item, &pull_table, arena, &answer));
    if (answer.number <= 0) {
        return error_new(ERROR_UNAVAILABLE, "unusable answer: 'number' is not above 0");
    }
    bool here = str_equal_nocase(str_of(answer.base.repo.full_name), str_of(pulls->repository));
    if (!here || (!cstr_equal(answer.state, "open") && answer.merged_at == NULL)) {
        return NULL;
    }
    if (cstr_equal(answer.base.ref, answer.base.repo.default_branch)) {
        pulls->first[pulls->first_count++] = answer.number;
    } else {
        pulls->rest[pulls->rest_count++] = answer.number;
    }
    return NULL;
}

static void
copy_pulls(const struct pulls *pulls, struct arena *arena, int64_t **numbers, size_t *count)
{
    size_t total = pulls->first_count + pulls->rest_count;
    int64_t *list = arena_array(arena, total, sizeof(*list));
    for (size_t i = 0; i < total; i++) {
        list[i] = i < pulls->first_count ? pulls->first[i] : pulls->rest[i - pulls->first_count];
    }
    *numbers = list;
    *count = total;
}

struct error *
github_commit_pulls(struct github_client *client, const char *sha, struct arena *arena,
    int64_t **numbers, size_t *count)
{
    struct buf path CLEANUP(buf_done) = BUF_INIT(4096);
    buf_puts(&path, "/commits/");
    url_encode(str_of(sha), "", &path);
    buf_puts(&path, "/pulls?per_page=100");
    TRY(buf_finish(&path, "path of the pull requests"));
    struct pulls pulls = {.repository = client->repository};
    const struct github_walk walk = {.call = {.path = buf_cstr(&path), .needs = NEEDS},
        .pages_max = 1,
        .visit = keep_pull,
        .ctx = &pulls};
    struct error *err = github_report_walk(client, &walk);
    if (err != NULL) {
        return error_wrap(err, "pull requests of commit '%s' of '%s'", sha, client->repository);
    }
    copy_pulls(&pulls, arena, numbers, count);
    return NULL;
}

// --- comments ------------------------------------------------------------------------------------

struct user_answer {
    const char *type;
};
static const struct field user_fields[] = {
    FIELD(struct user_answer, type, "type", FIELD_STR, .required = false),
};
static const struct field_table user_table = FIELD_TABLE("user", struct user_answer, user_fields);

struct comment_answer {
    int64_t id;
    const char *body, *author_association;
    struct user_answer user;
};
static const struct field comment_fields[] = {
    FIELD(struct comment_answer, id, "id", FIELD_INT, .required = true),
    FIELD(struct comment_answer, body, "body", FIELD_STR, .required = false),
    FIELD(struct comment_answer, author_association, "author_association", FIELD_STR,
        .required = false),
    FIELD(struct comment_answer, user, "user", FIELD_OBJECT, .table = &user_table),
};
static const struct field_table comment_table =
    FIELD_TABLE("comment", struct comment_answer, comment_fields);

struct search {
    struct str mark;
    int64_t id;
};

static bool
is_trusted(const struct comment_answer *comment)
{
    static const char *const insiders[] = {"OWNER", "MEMBER", "COLLABORATOR"};
    for (size_t i = 0; i < ARRAY_LENGTH(insiders); i++) {
        if (cstr_equal(comment->author_association, insiders[i])) {
            return true;
        }
    }
    return cstr_equal(comment->user.type, "Bot");
}

static struct error *
match(void *ctx, const struct json *item, struct arena *arena, bool *enough)
{
    struct search *search = ctx;
    struct comment_answer answer = {0};
    TRY(json_decode(item, &comment_table, arena, &answer));
    TRY(github_report_check_id(answer.id, "a comment"));
    if (str_starts(str_of(answer.body), search->mark) && is_trusted(&answer)) {
        search->id = answer.id;
        *enough = true;
    }
    return NULL;
}

struct error *
github_comment_find(struct github_client *client, int64_t number, const char *mark,
    struct arena *arena, int64_t *id)
{
    (void)arena;
    char *path CLEANUP(xfreep) = xasprintf("/issues/%" PRId64 "/comments?per_page=100", number);
    struct search search = {.mark = str_of(mark)};
    const struct github_walk walk = {.call = {.path = path, .needs = NEEDS},
        .pages_max = COMMENT_PAGES_MAX,
        .visit = match,
        .ctx = &search};
    struct error *err = github_report_walk(client, &walk);
    if (err != NULL) {
        return error_wrap(
            err, "comments of pull request %" PRId64 " of '%s'", number, client->repository);
    }
    *id = search.id;
    return NULL;
}

static char *
comment_body(const char *text)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    json_set_str(body, "body", text);
    return json_text(body);
}

struct error *
github_comment_create(struct github_client *client, int64_t number, const char *text,
    struct arena *arena, int64_t *id)
{
    char *body CLEANUP(xfreep) = comment_body(text);
    char *path CLEANUP(xfreep) = xasprintf("/issues/%" PRId64 "/comments", number);
    const struct github_call call = {
        .path = path, .in_repository = true, .body = body, .needs = NEEDS};
    struct error *err = github_report_create(client, &call, arena, id);
    return err != NULL ? error_wrap(err, "comment on pull request %" PRId64 " of '%s'", number,
                             client->repository)
                       : NULL;
}

struct error *
github_comment_update(struct github_client *client, int64_t id, const char *text)
{
    char *body CLEANUP(xfreep) = comment_body(text);
    char *path CLEANUP(xfreep) = xasprintf("/issues/comments/%" PRId64, id);
    const struct github_call call = {
        .method = HTTP_PATCH,
        .path = path,
        .in_repository = true,
        .body = body,
        .needs = NEEDS,
    };
    struct error *err = github_report_send(client, &call);
    return err != NULL
               ? error_wrap(err, "update comment %" PRId64 " of '%s'", id, client->repository)
               : NULL;
}
