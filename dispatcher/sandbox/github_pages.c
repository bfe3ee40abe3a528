// Pages of GitHub's lists: which one is asked for, and the links to the others.
#include "github_internal.h"

enum { PAGE_DEFAULT = 30, PAGE_MAX = 100 };

static int64_t
number_of(struct sandbox_request *request, const char *name, int64_t fallback, int64_t max)
{
    const char *text = sandbox_request_query(request, name);
    int64_t number = 0;
    if (text == NULL || !str_to_int64(str_of(text), &number) || number < 1) {
        return fallback;
    }
    return number < max ? number : max;
}

struct github_paging
sandbox_github_paging_of(struct sandbox_request *request)
{
    return (struct github_paging){
        .size = number_of(request, "per_page", PAGE_DEFAULT, PAGE_MAX),
        .page = number_of(request, "page", 1, INT32_MAX),
    };
}

bool
sandbox_github_paging_has(const struct github_paging *paging, int64_t index)
{
    return index >= (paging->page - 1) * paging->size && index < paging->page * paging->size;
}

// The query without `page`, for the links.
static void
link_to(struct sandbox *sandbox, const struct sandbox_request *request, int64_t page,
    const char *relation, struct buf *out)
{
    struct str pair = {0}, rest = str_of(request->query);
    buf_printf(out, "%s<%s%s?", out->len > 0 ? ", " : "", sandbox->origin, request->path);
    while (str_cut(rest, '&', &pair, &rest)) {
        if (!str_starts(pair, STR("page="))) {
            buf_add(out, pair);
            buf_putc(out, '&');
        }
    }
    buf_printf(out, "page=%lld>; rel=\"%s\"", (long long)page, relation);
}

void
sandbox_github_paging_links(struct sandbox *sandbox, const struct sandbox_request *request,
    const struct github_paging *paging, int64_t total, struct sandbox_response *response)
{
    struct buf links CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    int64_t last = (total + paging->size - 1) / paging->size;
    if (paging->page > 1) {
        link_to(sandbox, request, paging->page - 1, "prev", &links);
        link_to(sandbox, request, 1, "first", &links);
    }
    if (paging->page < last) {
        link_to(sandbox, request, paging->page + 1, "next", &links);
        link_to(sandbox, request, last, "last", &links);
    }
    if (links.len > 0) {
        sandbox_reply_header(response, "Link", buf_cstr(&links));
    }
}
