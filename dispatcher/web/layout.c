// What surrounds every page: head, navigation, banners of locks, footer with the shortcuts. The
// live script swaps <main> and <nav>; everything else stays as it was loaded.
#include <inttypes.h>

#include "web_internal.h"

// Masks and favicons are data: images; nothing else comes from outside this site, and nothing runs
// but our one file.
const char web_content_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

static void
put_favicon(struct buf *out, enum web_state state)
{
    static const char *const names[] = {
        [WEB_STATE_GOOD] = "good.svg",
        [WEB_STATE_RUNNING] = "running.svg",
        [WEB_STATE_WAITING] = "waiting.svg",
        [WEB_STATE_FAILED] = "failed.svg",
    };
    html_add(out, "<link id=favicon rel=icon type=\"image/svg+xml\" href=\"%s\">",
        web_asset_named(names[state])->path);
}

static void
put_title(struct buf *out, const struct web_frame *frame)
{
    static const char *const marks[] = {
        [WEB_STATE_GOOD] = "",
        [WEB_STATE_RUNNING] = "▶ ",
        [WEB_STATE_WAITING] = "⏳ ",
        [WEB_STATE_FAILED] = "✗ ",
    };
    html_add(out, "<title>%s%s – dispatcher</title>", marks[frame->state], frame->title);
}

static void
put_head(struct buf *out, const struct web_frame *frame)
{
    buf_puts(out, "<!doctype html><html lang=en");
    if (frame->theme != NULL) {
        html_add(out, " data-theme=\"%s\"", frame->theme);
    }
    buf_puts(out, "><head><meta charset=utf-8>");
    put_title(out, frame);
    buf_puts(out, "<meta name=viewport content=\"width=device-width,initial-scale=1\">"
                  "<meta name=color-scheme content=\"light dark\">");
    put_favicon(out, frame->state);
    html_add(out, "<link rel=stylesheet href=\"%s\"><script defer src=\"%s\"></script>",
        web_asset_named("web.css")->path, web_asset_named("web.js")->path);
    if (frame->bare) { // a screen on a wall has nobody to press a key
        buf_puts(out, "<noscript><meta http-equiv=refresh content=30></noscript>");
    }
    buf_puts(out, "</head>");
}

static bool
is_here(const struct web_frame *frame, const char *path)
{
    struct str here, rest = str_of(frame->path);
    return str_cut(rest, '?', &here, &rest) && str_equal(here, str_of(path));
}

static void
put_place(struct buf *out, const struct web_frame *frame, const char *path, const char *name)
{
    html_add(
        out, "<a href=\"%s\"%s>%s", path, is_here(frame, path) ? " aria-current=page" : "", name);
    if (str_equal(str_of(path), STR("/queue")) && frame->queued > 0) {
        html_add(out, " <span class=count>%" PRId64 "<span class=vh> waiting</span></span>",
            frame->queued);
    }
    buf_puts(out, "</a>");
}

static void
put_navigation(struct buf *out, const struct web_frame *frame)
{
    buf_puts(out, "<nav id=nav aria-label=Main>");
    if (frame->login != NULL) {
        put_place(out, frame, "/", "Environments");
        put_place(out, frame, "/queue", "Queue");
        put_place(out, frame, "/locks", "Locks");
        put_place(out, frame, "/audit", "Audit");
    }
    buf_puts(out, "</nav>");
}

// Without JavaScript the theme is a form that sets a cookie; with it, a press.
static void
put_theme(struct buf *out, const struct web_frame *frame)
{
    static const struct {
        const char *theme, *next, *says;
    } themes[] = {
        {NULL, "dark", "Theme: as the system. Change to dark"},
        {"dark", "light", "Theme: dark. Change to light"},
        {"light", "auto", "Theme: light. Change to the system's"},
    };
    size_t i = 0;
    for (size_t k = 1; k < ARRAY_LENGTH(themes); k++) {
        i = cstr_equal(frame->theme, themes[k].theme) ? k : i;
    }
    html_add(out,
        "<form method=post action=\"/theme\" id=theme><input type=hidden name=back value=\"%s\">"
        "<button class=\"icon theme\" name=theme value=%s title=\"%s\">"
        "<span class=vh>%s</span></button></form>",
        frame->path, themes[i].next, themes[i].says, themes[i].says);
}

static void
put_person(struct buf *out, const struct web_frame *frame)
{
    if (frame->login == NULL) {
        return;
    }
    html_add(out, "<span class=me>%s</span>", frame->login);
    if (frame->csrf != NULL) {
        part_form(out, frame, "/sign-out");
        buf_puts(out, "<button class=quiet>Sign out</button></form>");
    }
}

static void
put_banners(struct buf *out, const struct web_frame *frame)
{
    if (frame->banner_count == 0) {
        return;
    }
    buf_puts(out, "<section class=banners aria-label=\"Locks that hold now\">");
    for (size_t i = 0; i < frame->banner_count; i++) {
        const struct web_lock *banner = &frame->banners[i];
        html_add(out, "<p class=\"banner %s\">", part_lock_kind(banner->lock));
        part_lock_sentence(out, banner->lock, frame->now_ms);
        if (banner->why_not != NULL) {
            html_add(out, " <span class=dim>%s</span>", banner->why_not);
        } else if (!frame->bare) {
            buf_puts(out, " <a href=\"/locks\">Lift it</a>");
        }
        buf_puts(out, "</p>");
    }
    buf_puts(out, "</section>");
}

static void
put_flash(struct buf *out, const struct web_frame *frame)
{
    if (frame->flash != NULL) {
        html_add(out, "<p class=\"flash %s\" role=\"%s\" data-keep>%s</p>",
            frame->flash_refused ? "bad" : "ok", frame->flash_refused ? "alert" : "status",
            frame->flash);
    }
}

void
layout_begin(struct buf *out, const struct web_frame *frame)
{
    put_head(out, frame);
    html_add(out, "<body%s", frame->bare ? " class=tv" : "");
    if (frame->stream != NULL) {
        html_url(out, "data-stream", frame->stream);
    }
    buf_puts(out, ">");
    if (!frame->bare) {
        buf_puts(out, "<a class=skip href=\"#main\">Skip to the content</a><header class=top>"
                      "<a class=brand href=\"/\">dispatcher</a>");
        put_navigation(out, frame);
        buf_puts(out, "<div class=tools>");
        put_theme(out, frame);
        put_person(out, frame);
        buf_puts(out, "</div></header>");
    }
    buf_puts(out, "<main id=main tabindex=-1>");
    put_flash(out, frame);
    put_banners(out, frame);
}

static void
put_shortcuts(struct buf *out)
{
    static const struct {
        const char *keys, *what;
    } shortcuts[] = {
        {"?", "these shortcuts"},
        {"g e", "environments"},
        {"g q", "queue"},
        {"g l", "locks"},
        {"g a", "audit"},
        {"/", "search"},
        {"j k", "next and previous row"},
        {"r", "refresh now"},
        {"t", "theme"},
    };
    buf_puts(out, "<details id=shortcuts><summary>Keyboard shortcuts</summary><dl>");
    for (size_t i = 0; i < ARRAY_LENGTH(shortcuts); i++) {
        html_add(out, "<div><dt><kbd>%s</kbd></dt><dd>%s</dd></div>", shortcuts[i].keys,
            shortcuts[i].what);
    }
    buf_puts(out, "</dl><p class=dim>They work with JavaScript. <label><input type=checkbox "
                  "id=keys checked> on</label></p></details>");
}

void
layout_end(struct buf *out, const struct web_frame *frame)
{
    buf_puts(out, "</main>");
    if (frame->bare) {
        buf_puts(out, "</body></html>");
        return;
    }
    buf_puts(out, "<footer class=foot><p class=dim id=asof>As of ");
    part_time(out, frame->now_ms);
    buf_puts(out, " <a class=reload");
    html_url(out, "href", frame->path);
    buf_puts(out, ">Refresh</a></p>");
    put_shortcuts(out);
    buf_puts(out, "</footer></body></html>");
}
