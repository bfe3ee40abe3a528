// `/audit`: what was decided, by whom and by which rule; every row opens to the whole entry. The
// chain is verified by whoever fills in the verdict; this page only says how that went.
#include <inttypes.h>

#include "dispatcher/clock.h"
#include "dispatcher/url.h"
#include "web_internal.h"

enum { QUERY_MAX = 8 * 1024 };

// --- filters -------------------------------------------------------------------------------------

static const struct {
    const char *view, *name;
} views[] = {
    {NULL, "Everything"},
    {"bypasses", "Bypasses"},
    {"denials", "Denials"},
    {"locks", "Locks"},
    {"approvals", "Approvals"},
};

static void
add_filter(struct buf *url, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        url_add_query(url, name, value);
    }
}

// The filter as a query behind `path`, in the words of docs/service.md.
static void
put_query(struct buf *out, const struct web_audit *audit, const char *path, int64_t before)
{
    const struct audit_filter *filter = &audit->filter;
    struct buf url CLEANUP(buf_done) = BUF_INIT(QUERY_MAX);
    buf_puts(&url, path);
    add_filter(&url, "view", audit->view);
    add_filter(&url, "app", filter->app);
    add_filter(&url, "env", filter->env);
    add_filter(&url, "actor", filter->actor);
    add_filter(&url, "deployment", filter->deployment);
    add_filter(&url, "since", audit->since);
    add_filter(&url, "until", audit->until);
    if (audit->view == NULL) {
        add_filter(&url, "kind", filter->kind);
        add_filter(&url, "verdict", filter->verdict);
        add_filter(&url, "code", filter->code);
    }
    if (before > 0) {
        char number[24];
        struct buf digits CLEANUP(buf_done) = BUF_INIT(sizeof(number));
        buf_printf(&digits, "%" PRId64, before);
        url_add_query(&url, "before", buf_cstr(&digits));
    }
    html_add(out, " href=\"%s\"", url.failed ? path : buf_cstr(&url));
}

static void
put_views(struct buf *out, const struct web_audit *audit)
{
    buf_puts(out, "<ul class=chips aria-label=\"Saved views\">");
    for (size_t i = 0; i < ARRAY_LENGTH(views); i++) {
        buf_puts(out, "<li><a class=chip");
        if (views[i].view == NULL) {
            buf_puts(out, " href=\"/audit\"");
        } else {
            html_path(out, "href", "/audit?view=%s", views[i].view);
        }
        html_add(out, "%s>%s</a>",
            cstr_equal(views[i].view, audit->view) ? " aria-current=true" : "", views[i].name);
    }
    buf_puts(out, "</ul>");
}

static void
put_choice(struct buf *out, const char *label, const char *name, const char *const *values,
    const char *chosen)
{
    html_add(out, "<label>%s <select name=\"%s\"><option value=\"\">any</option>", label, name);
    bool found = chosen == NULL || chosen[0] == '\0';
    for (; *values != NULL; values++) {
        bool is = cstr_equal(*values, chosen);
        found = found || is;
        html_add(out, "<option%s>%s</option>", is ? " selected" : "", *values);
    }
    if (!found) {
        html_add(out, "<option selected>%s</option>", chosen);
    }
    buf_puts(out, "</select></label>");
}

static void
put_field(struct buf *out, const char *label, const char *name, const char *value)
{
    html_add(out, "<label>%s <input name=\"%s\" value=\"%s\" autocomplete=off></label>", label,
        name, value);
}

static void
put_filters(struct buf *out, const struct web_audit *audit)
{
    static const char *const kinds[] = {
        "decision", "deployment", "lock", "approval", "session", "settings", NULL};
    static const char *const verdicts[] = {"allow", "deny", "wait", "done", NULL};
    const struct audit_filter *filter = &audit->filter;
    buf_puts(out, "<form class=filters action=\"/audit\">");
    if (audit->view != NULL) {
        html_add(out, "<input type=hidden name=view value=\"%s\">", audit->view);
    } else {
        put_choice(out, "Kind", "kind", kinds, filter->kind);
        put_choice(out, "Verdict", "verdict", verdicts, filter->verdict);
        put_field(out, "Code", "code", filter->code);
    }
    put_field(out, "App", "app", filter->app);
    put_field(out, "Environment", "env", filter->env);
    put_field(out, "Who", "actor", filter->actor);
    html_add(out,
        "<label>Since <input type=date name=since value=\"%s\"></label>"
        "<label>Until <input type=date name=until value=\"%s\"></label>",
        audit->since, audit->until);
    if (filter->deployment != NULL) {
        html_add(out, "<input type=hidden name=deployment value=\"%s\">", filter->deployment);
    }
    buf_puts(out, "<button>Filter</button></form>");
}

static void
put_chain(struct buf *out, const struct audit_verdict *verdict)
{
    buf_puts(out, "<p class=chain>");
    if (verdict == NULL) {
        buf_puts(out, "<span class=\"b todo\">not verified now</span> <a href=\"/audit?verify=1\">"
                      "Verify the chain</a>");
    } else if (verdict->broken_at == 0) {
        html_add(out,
            "<span class=\"b ok\">chain whole</span> <span class=dim>%" PRId64
            " entries, head</span> <code class=hash>%s</code>",
            verdict->entries, verdict->head);
    } else {
        html_add(out,
            "<span class=\"b bad\">chain broken</span> <span>at entry %" PRId64 ": %s</span>",
            verdict->broken_at, verdict->why);
    }
    buf_puts(out, "</p>");
}

// --- rows ----------------------------------------------------------------------------------------

static const char *
kind_of(const char *verdict)
{
    return cstr_equal(verdict, "deny")   ? "bad"
           : cstr_equal(verdict, "wait") ? "wait"
           : cstr_equal(verdict, "done") ? "stop"
                                         : "ok";
}

static void
put_fact(struct buf *out, const char *name, const char *value)
{
    if (value != NULL) {
        html_add(out, "<div><dt>%s</dt><dd>%s</dd></div>", name, value);
    }
}

static void
put_number(struct buf *out, const char *name, int64_t value)
{
    if (value != 0) {
        html_add(out, "<div><dt>%s</dt><dd>%" PRId64 "</dd></div>", name, value);
    }
}

static void
put_details(struct buf *out, const struct audit_entry *entry)
{
    html_add(out, "<details id=\"e%" PRId64 "\"><summary>%s</summary><dl class=facts>",
        entry->sequence, entry->reason != NULL ? entry->reason : "details");
    put_number(out, "Entry", entry->sequence);
    put_fact(out, "Code", entry->code);
    put_fact(out, "Request", entry->request_id);
    put_fact(out, "Version", entry->version);
    put_fact(out, "Digest", entry->digest);
    put_fact(out, "Rule", entry->rule);
    put_fact(out, "Spec commit", entry->spec_commit);
    put_fact(out, "Floor commit", entry->floor_commit);
    put_number(out, "Actor id", entry->actor_id);
    put_number(out, "Repository id", entry->repository_id);
    put_number(out, "Run", entry->run_id);
    put_number(out, "Run attempt", entry->run_attempt);
    put_number(out, "Check run", entry->check_run_id);
    put_fact(out, "Token id", entry->jti);
    put_fact(out, "Token hash", entry->token_hash);
    put_fact(out, "Detail", entry->detail);
    put_fact(out, "Hash", entry->hash);
    put_fact(out, "Hash before", entry->previous);
    buf_puts(out, "</dl></details>");
}

static void
put_entry(struct buf *out, const struct web_frame *frame, const struct audit_entry *entry)
{
    buf_puts(out, "<tr><td>");
    part_age(out, entry->at_ms, frame->now_ms);
    html_add(out, "<td>%s<td>", entry->kind);
    if (entry->verdict != NULL) {
        part_badge(out, kind_of(entry->verdict), entry->verdict);
    }
    buf_puts(out, "<td>");
    if (entry->app != NULL) {
        buf_puts(out, "<a");
        html_path(out, "href", "/apps/%s", entry->app);
        html_add(out, ">%s</a>", entry->app);
    }
    if (entry->env != NULL) {
        html_add(out, " <span class=dim>%s</span>", entry->env);
    }
    if (entry->deployment != NULL) {
        buf_puts(out, " <a");
        html_path(out, "href", "/deployments/%s", entry->deployment);
        buf_puts(out, ">deployment</a>");
    }
    buf_puts(out, "<td>");
    part_person(out, entry->actor);
    buf_puts(out, "<td class=wide>");
    put_details(out, entry);
}

void
web_audit_page(const struct web_frame *frame, const struct web_audit *audit, struct buf *out)
{
    layout_begin(out, frame);
    buf_puts(out, "<div class=head><h1>Audit log</h1>");
    put_chain(out, audit->verdict);
    buf_puts(out, "</div><div class=controls>");
    put_views(out, audit);
    buf_puts(out, "<span class=exports><a class=button download");
    put_query(out, audit, "/audit.csv", 0);
    buf_puts(out, ">CSV</a> <a class=button download");
    put_query(out, audit, "/audit.jsonl", 0);
    buf_puts(out, ">JSONL</a></span></div>");
    put_filters(out, audit);
    if (audit->count == 0) {
        buf_puts(out, "<p class=empty>No entry matches.</p>");
    } else {
        buf_puts(out, "<div class=scroll role=region aria-label=\"Audit log\" tabindex=0><table "
                      "class=audit><thead><tr><th scope=col>When<th scope=col>Kind<th scope=col>"
                      "Verdict<th scope=col>About<th scope=col>Who<th scope=col>Decision"
                      "</thead><tbody>");
        for (size_t i = 0; i < audit->count; i++) {
            put_entry(out, frame, &audit->entries[i]);
        }
        buf_puts(out, "</table></div>");
    }
    if (audit->next > 0) {
        buf_puts(out, "<p class=more><a");
        put_query(out, audit, "/audit", audit->next);
        buf_puts(out, ">Older</a></p>");
    }
    layout_end(out, frame);
}
