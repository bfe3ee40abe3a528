// Pages of a list: one call after the other with the token of the last, within a cap, and never in
// a circle. Knows no operation.
#include <string.h>

#include "aws_internal.h"

void
aws_pages_done(struct aws_pages *pages)
{
    json_freep(&pages->body);
}

// Empty tokens end a list too (App Runner).
static struct error *
turn(struct aws_pages *pages, const struct json *answer)
{
    const struct json *next = json_get(answer, pages->token_key);
    const char *token = json_str(next);
    const char *last = json_str(json_get(pages->body, pages->token_key));
    if (!json_is_null(next) && token == NULL) {
        return aws_unusable("'%s' is not a string", pages->token_key);
    }
    pages->over = token == NULL || token[0] == '\0';
    if (pages->over) {
        return NULL;
    }
    if (last != NULL && strcmp(token, last) == 0) {
        return aws_unusable("the same page twice");
    }
    json_set_str(pages->body, pages->token_key, token);
    return NULL;
}

struct error *
aws_pages_next(struct aws_session *session, struct aws_pages *pages, struct json **answer)
{
    unsigned max = pages->max > 0 ? pages->max : AWS_PAGES_MAX;
    struct json *page CLEANUP(json_freep) = NULL;
    if (pages->count++ >= max) {
        return aws_unusable("more than %u pages", max);
    }
    pages->call.body = pages->body;
    TRY(aws_call(session, &pages->call, &page));
    TRY(turn(pages, page));
    *answer = page;
    page = NULL;
    return NULL;
}
