// Writes job logs: "2026-11-21T07:48:00.1230000Z text", ::error:: and its kin as annotations,
// masks.
#include "job_log_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum { LOG_MAX = 16 * 1024 * 1024, LINE_CAP = 256 * 1024, ANNOTATIONS_MAX = 50 };

static void
replace_all(struct buf *text, const char *needle)
{
    size_t len = strlen(needle);
    const char *at = buf_cstr(text), *hit = strstr(at, needle);
    if (len == 0 || hit == NULL) {
        return;
    }
    struct buf out = BUF_INIT(LINE_CAP);
    for (; hit != NULL; hit = strstr(at, needle)) {
        buf_append(&out, at, (size_t)(hit - at));
        buf_puts(&out, "***");
        at = hit + len;
    }
    buf_puts(&out, at);
    buf_done(text);
    *text = out;
}

static void
mask(const struct job_log *log, struct buf *text)
{
    for (size_t i = 0; i < json_count(log->masks); i++) {
        replace_all(text, json_str(json_at(log->masks, i)));
    }
}

static void
put(struct job_log *log, struct str text)
{
    struct sandbox *sandbox = log->run->sandbox;
    int64_t now = sandbox_now(sandbox);
    char stamp[21];
    clock_format_rfc3339(now, stamp);
    struct buf line CLEANUP(buf_done) = BUF_INIT(LINE_CAP);
    buf_add(&line, text);
    mask(log, &line);
    (void)pthread_mutex_lock(&sandbox->lock);
    struct buf *out = &log->job->log;
    struct str one = {0}, rest = buf_str(&line);
    bool more = true;
    while (more && out->len + line.len + 64 < LOG_MAX) { // an empty line is a line, too
        (void)str_cut(rest, '\n', &one, &rest);
        buf_printf(out, "%.19s.%03d0000Z ", stamp, (int)(now % 1000));
        buf_add(out, one);
        buf_putc(out, '\n');
        more = rest.len > 0;
    }
    (void)pthread_mutex_unlock(&sandbox->lock);
}

void
sandbox_job_log_put(struct job_log *log, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(LINE_CAP);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    put(log, buf_str(&text));
}

void
sandbox_job_log_mask(struct job_log *log, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        json_append(log->masks, json_make_string(value));
    }
}

void
sandbox_job_log_annotate(struct job_log *log, const char *level, const char *path, int64_t line,
    const char *title, const char *message)
{
    struct sandbox *sandbox = log->run->sandbox;
    struct buf text CLEANUP(buf_done) = BUF_INIT(LINE_CAP);
    buf_puts(&text, message);
    mask(log, &text);
    struct run_annotation annotation = {.level = xstrdup(level),
        .path = xstrdup(path),
        .line = line,
        .title = xstrdup(title),
        .message = xstrdup(buf_cstr(&text))};
    (void)pthread_mutex_lock(&sandbox->lock);
    struct run_job *job = log->job;
    if (job->annotation_count < ANNOTATIONS_MAX) {
        job->annotations =
            xrealloc(job->annotations, (job->annotation_count + 1) * sizeof(*job->annotations));
        job->annotations[job->annotation_count++] = annotation;
        annotation = (struct run_annotation){0};
    }
    (void)pthread_mutex_unlock(&sandbox->lock);
    free(annotation.level);
    free(annotation.path);
    free(annotation.title);
    free(annotation.message);
}

// "%0A" and its kin; `:` and `,` are escaped in properties only, which is harmless here.
static char *
unescape(struct str text)
{
    static const char *const pairs[][2] = {
        {"%0D", "\r"}, {"%0A", "\n"}, {"%3A", ":"}, {"%2C", ","}, {"%25", "%"}};
    struct buf out CLEANUP(buf_done) = BUF_INIT(LINE_CAP);
    for (size_t i = 0; i < text.len; i++) {
        size_t which = 0;
        while (which < ARRAY_LENGTH(pairs) &&
               !str_starts(str_skip(text, i), str_of(pairs[which][0]))) {
            which++;
        }
        if (which < ARRAY_LENGTH(pairs)) {
            buf_puts(&out, pairs[which][1]);
            i += 2;
        } else {
            buf_putc(&out, text.ptr[i]);
        }
    }
    return buf_take(&out);
}

// "file=app.js,line=10" → the value of one property, or NULL.
static char *
property(struct str properties, const char *name)
{
    struct str pair = {0}, key = {0}, value = {0};
    while (str_cut(properties, ',', &pair, &properties)) {
        if (str_cut(pair, '=', &key, &value) && str_equal(str_trim(key), str_of(name))) {
            return unescape(value);
        }
    }
    return NULL;
}

static void
annotate_from(struct job_log *log, const char *level, struct str properties, const char *message)
{
    char *path CLEANUP(xfreep) = property(properties, "file");
    char *line CLEANUP(xfreep) = property(properties, "line");
    char *title CLEANUP(xfreep) = property(properties, "title");
    int64_t number = 1;
    (void)str_to_int64(str_of(line), &number);
    sandbox_job_log_annotate(
        log, level, path != NULL ? path : ".github", number, title != NULL ? title : "", message);
}

// "::name properties::message" taken apart; false when it is no command.
static bool
split_command(struct str line, struct str *name, struct str *properties, struct str *message)
{
    line = str_trim(line);
    if (!str_starts(line, STR("::"))) {
        return false;
    }
    line = str_skip(line, 2);
    const char *end = NULL;
    for (size_t i = 0; i + 1 < line.len && end == NULL; i++) {
        end = line.ptr[i] == ':' && line.ptr[i + 1] == ':' ? line.ptr + i : NULL;
    }
    if (end == NULL) {
        return false;
    }
    struct str head = {line.ptr, (size_t)(end - line.ptr)};
    *message = str_skip(line, head.len + 2);
    *properties = (struct str){0};
    return str_cut(head, ' ', name, properties);
}

static bool
run_command(struct job_log *log, struct str name, struct str properties, const char *message)
{
    static const char *const levels[][2] = {
        {"error", "failure"}, {"warning", "warning"}, {"notice", "notice"}};
    for (size_t i = 0; i < ARRAY_LENGTH(levels); i++) {
        if (str_equal(name, str_of(levels[i][0]))) {
            sandbox_job_log_put(log, "##[%s]%s", levels[i][0], message);
            annotate_from(log, levels[i][1], properties, message);
            return true;
        }
    }
    if (str_equal(name, STR("add-mask"))) {
        sandbox_job_log_mask(log, message);
        sandbox_job_log_put(log, "::add-mask::***");
        return true;
    }
    if (str_equal(name, STR("stop-commands"))) {
        log->stop_token = xstrdup(message);
        return false;
    }
    if (str_equal(name, STR("group")) || str_equal(name, STR("endgroup"))) {
        sandbox_job_log_put(log, "##[%.*s]%s", STR_FMT(name), message);
        return true;
    }
    return str_equal(name, STR("debug"));
}

void
sandbox_job_log_line(struct job_log *log, struct str line)
{
    struct str name = {0}, properties = {0}, message = {0};
    bool is_command = split_command(line, &name, &properties, &message);
    if (is_command && log->stop_token != NULL) {
        if (str_equal(name, str_of(log->stop_token))) {
            free(log->stop_token);
            log->stop_token = NULL;
        }
        is_command = false;
    }
    if (is_command) {
        char *text CLEANUP(xfreep) = unescape(message);
        if (run_command(log, name, properties, text)) {
            return;
        }
    }
    put(log, line);
}
