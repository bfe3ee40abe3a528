// See the header. The pieces of the script live in an arena of their own.
#include "aws_dialog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define REGION "eu-west-1"

static const char *const env[] = {
    "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env", "AWS_REGION=" REGION, NULL};

static struct script_step
step_of(struct arena *arena, const struct aws_line_of *line)
{
    struct str service, region;
    bool elsewhere = strchr(line->service, '@') != NULL;
    assert_true(str_cut(str_of(line->service), '@', &service, &region));
    const char **headers = arena_array(arena, 4, sizeof(*headers));
    bool old = str_equal(service, STR("apprunner"));
    headers[0] = arena_printf(arena, "X-Amz-Target: %s", line->target);
    headers[1] =
        arena_printf(arena, "Content-Type: application/x-amz-json-%s", old ? "1.0" : "1.1");
    headers[2] = line->header;
    return (struct script_step){
        .method = HTTP_POST,
        .url = arena_printf(arena, "https://%.*s.%.*s.amazonaws.com", STR_FMT(service),
            STR_FMT(elsewhere ? region : STR(REGION))),
        .headers = headers,
        .body = line->body,
        .reply = line->reply != NULL ? line->reply : "{}",
        .status = line->status,
        .must_be_once = line->once,
        .times = line->times,
    };
}

void
aws_dialog_open(struct aws_dialog *dialog, const struct aws_line_of *lines, size_t count)
{
    dialog->arena = arena_new();
    dialog->script = arena_new();
    dialog->fixture = aws_fixture_new();
    struct script_step *steps = arena_array(dialog->script, count + 1, sizeof(*steps));
    for (size_t i = 0; i < count; i++) {
        steps[i] = step_of(dialog->script, &lines[i]);
    }
    aws_fixture_start(dialog->fixture, env, steps, count, NULL);
    dialog->session = dialog->fixture->session;
}

void
aws_dialog_close(struct aws_dialog *dialog)
{
    aws_fixture_finish(dialog->fixture);
    aws_fixture_free(dialog->fixture);
    arena_free(dialog->script);
    arena_free(dialog->arena);
}
