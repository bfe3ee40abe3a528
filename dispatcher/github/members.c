// Who is in an organisation and in which of its teams, asked by the App (facts: GitHub REST
// "teams"). Keeps nothing: whoever asks often remembers the answers.
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "github_internal.h"

static struct error *
ask(struct github_client *client, const struct buf *path, const char *needs, struct json **out)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(buf_finish(path, "path of the request"));
    const struct github_call call = {.path = buf_cstr(path), .needs = needs};
    return github_fetch(client, &call, &response, out);
}

struct error *
github_team_has(struct github_client *client, const char *organization, const char *team,
    const char *login, bool *out)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    struct buf path CLEANUP(buf_done) = BUF_INIT(1024);
    buf_puts(&path, "/orgs/");
    url_encode(str_of(organization), "", &path);
    buf_puts(&path, "/teams/");
    url_encode(str_of(team), "", &path);
    buf_puts(&path, "/memberships/");
    url_encode(str_of(login), "", &path);
    struct error *err = ask(client, &path, "members: read", &answer);
    if (err != NULL) {
        return error_wrap(err, "team '%s' of '%s'", team, organization);
    }
    *out = cstr_equal(json_str(json_get(answer, "state")), "active");
    return NULL;
}

struct error *
github_organization_has(
    struct github_client *client, const char *organization, const char *login, bool *out)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    struct buf path CLEANUP(buf_done) = BUF_INIT(1024);
    buf_puts(&path, "/orgs/");
    url_encode(str_of(organization), "", &path);
    buf_puts(&path, "/memberships/");
    url_encode(str_of(login), "", &path);
    struct error *err = ask(client, &path, "members: read", &answer);
    if (err != NULL) {
        return error_wrap(err, "membership of '%s' in '%s'", login, organization);
    }
    *out = cstr_equal(json_str(json_get(answer, "state")), "active");
    return NULL;
}

struct error *
github_user_id(struct github_client *client, const char *login, int64_t *out)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    struct buf path CLEANUP(buf_done) = BUF_INIT(1024);
    buf_puts(&path, "/users/");
    url_encode(str_of(login), "", &path);
    struct error *err = ask(client, &path, "metadata: read", &answer);
    if (err != NULL) {
        return error_wrap(err, "user '%s'", login);
    }
    *out = json_int(json_get(answer, "id"), 0);
    return NULL;
}
