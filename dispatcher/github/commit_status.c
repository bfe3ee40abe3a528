// The status of a commit: one word and a link under a context. Setting it again is harmless: the
// newest of a context counts.
#include "dispatcher/github_reports.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "github_internal.h"

static char *
status_body(const struct github_commit_status *status)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    json_set_str(body, "state", status->state);
    json_set_str(body, "context", status->context);
    json_set_str(body, "description", status->description);
    json_set_str(body, "target_url", status->target_url);
    return json_text(body);
}

struct error *
github_commit_status_set(
    struct github_client *client, const char *sha, const struct github_commit_status *status)
{
    struct buf path CLEANUP(buf_done) = BUF_INIT(4096);
    buf_puts(&path, "/statuses/");
    url_encode(str_of(sha), "", &path);
    TRY(buf_finish(&path, "path of the commit's status"));
    char *body CLEANUP(xfreep) = status_body(status);
    const struct github_call call = {
        .method = HTTP_POST,
        .path = buf_cstr(&path),
        .in_repository = true,
        .body = body,
        .needs = "statuses: write",
    };
    struct error *err = github_report_send(client, &call);
    return err != NULL ? error_wrap(err, "status '%s' of commit '%s' of '%s'", status->context, sha,
                             client->repository)
                       : NULL;
}
