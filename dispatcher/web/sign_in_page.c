// The pages without navigation: signing in, and what could not be done.
#include "web_internal.h"

void
web_sign_in_page(const struct web_frame *frame, const struct web_sign_in *sign_in, struct buf *out)
{
    layout_begin(out, frame);
    buf_puts(out, "<div class=\"card gate\"><h1>Sign in</h1>");
    if (sign_in->problem != NULL) {
        html_add(out, "<p class=\"flash bad\" role=alert>%s</p>", sign_in->problem);
    }
    if (sign_in->organization != NULL) {
        html_add(out, "<p>What runs where, and why something waits, for members of <b>%s</b>.</p>",
            sign_in->organization);
    }
    if (sign_in->github) {
        // A link, not a form: the policy lets forms lead to this site only, redirects included.
        buf_puts(out, "<p><a class=\"button primary\"");
        if (web_is_own_path(sign_in->next)) {
            html_path(out, "href", "/sign-in/github?next=%s", sign_in->next);
        } else {
            buf_puts(out, " href=\"/sign-in/github\"");
        }
        buf_puts(out,
            ">Sign in with GitHub</a></p>"
            "<p class=dim>GitHub tells your name, your membership and your teams; nothing "
            "else is asked for, and its token is not kept.</p>");
    } else if (sign_in->proxy != NULL) {
        html_add(out,
            "<p class=dim>A proxy in front of this service signs people in, by its header "
            "<code>%s</code>. This request came past it, or without a name.</p>",
            sign_in->proxy);
    } else {
        buf_puts(out, "<p class=dim>Nobody can sign in: neither <code>server.oauth</code> nor "
                      "<code>server.proxy_auth</code> is set in dispatcher.yaml. DevOps can set "
                      "it.</p>");
    }
    buf_puts(out, "</div>");
    layout_end(out, frame);
}

void
web_problem_page(const struct web_frame *frame, const struct web_problem *problem, struct buf *out)
{
    layout_begin(out, frame);
    html_add(out, "<div class=\"card gate\"><p class=dim>%d</p><h1>%s</h1>", problem->status,
        frame->title);
    html_add(out, "<p>%s</p>", problem->sentence);
    if (problem->hint != NULL) {
        html_add(out, "<p>%s</p>", problem->hint);
    }
    if (problem->who != NULL) {
        html_add(out, "<p>Can be changed by <b>%s</b>.</p>", problem->who);
    }
    buf_puts(out, "<p class=dim>");
    if (problem->code != NULL) {
        html_add(out, "Code <code>%s</code> ", problem->code);
    }
    if (problem->request_id != NULL) {
        html_add(out, "Request <code>%s</code>", problem->request_id);
    }
    buf_puts(out, "</p><p><a href=\"/\">To the environments</a></p></div>");
    layout_end(out, frame);
}
