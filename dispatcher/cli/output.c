// The two output streams. Texts are masked as a whole and written past stdio, so that no rest sits
// in a buffer when the process ends. Decides nothing about exit codes: run.c does.
#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "live.h"

enum {
    TEXT_MAX = 64 * 1024 * 1024, // one text; the longest is a log that was asked for
    SENTENCE_MAX = 32 * 1024,    // one error message on the terminal
};

// 0, or the errno of the first write that failed.
static int
write_all(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t put = write(fd, text.ptr, text.len);
        if (put < 0 && errno != EINTR) {
            return errno;
        }
        text = str_skip(text, put > 0 ? (size_t)put : 0);
    }
    return 0;
}

static void
mask_copy(struct str text, struct buf *out)
{
    buf_init(out, TEXT_MAX);
    buf_add(out, text);
    secret_mask(out);
}

void
cli_out(struct cli *cli, struct str text)
{
    struct buf masked CLEANUP(buf_wipe) = {0};
    mask_copy(text, &masked);
    if (cli->capture_out != NULL) {
        buf_add(cli->capture_out, buf_str(&masked));
    } else if (cli->write_error == 0) {
        live_hold(cli->live);
        cli->write_error = masked.failed ? EFBIG : write_all(STDOUT_FILENO, buf_str(&masked));
        live_release(cli->live);
    }
}

void
cli_err(struct cli *cli, struct str text)
{
    struct buf masked CLEANUP(buf_wipe) = {0};
    mask_copy(text, &masked);
    if (cli->capture_err != NULL) {
        buf_add(cli->capture_err, buf_str(&masked));
    } else {
        live_hold(cli->live);
        (void)write_all(STDERR_FILENO, buf_str(&masked)); // nowhere left to complain
        live_release(cli->live);
    }
}

void
cli_outf(struct cli *cli, const char *format, ...)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(TEXT_MAX);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    cli_out(cli, buf_str(&text));
}

void
cli_errf(struct cli *cli, const char *format, ...)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(TEXT_MAX);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    cli_err(cli, buf_str(&text));
}

void
cli_print_error(struct cli *cli, const struct error *err)
{
    char *sentences CLEANUP(xfreep) = error_text(err);
    const char *hint = error_hint_of(err);
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(4 * SENTENCE_MAX);
    // Masked before it is cut: half a secret would not be recognised.
    struct buf whole CLEANUP(buf_wipe) = {0};
    mask_copy(str_of(sentences), &whole);
    buf_puts(&text, "dispatcher: ");
    text_clean(buf_str(&whole), SENTENCE_MAX, &text);
    buf_putc(&text, '\n');
    if (hint != NULL) {
        struct buf advice CLEANUP(buf_wipe) = {0};
        mask_copy(str_of(hint), &advice);
        buf_puts(&text, "  hint: ");
        text_clean(buf_str(&advice), SENTENCE_MAX, &text);
        buf_putc(&text, '\n');
    }
    cli_err(cli, buf_str(&text));
    log_debug(cli->platform.log, "failed", F_STR("kind", error_kind_name(error_kind(err))),
        F_STR("source", error_source(err)));
}

void
cli_mask_lines(struct str secret, struct buf *out)
{
    struct str line = {0}, rest = secret;
    while (str_cut(rest, '\n', &line, &rest)) {
        if (str_trim(line).len == 0) {
            continue; // an empty mask would be refused by the runner
        }
        buf_puts(out, "::add-mask::");
        for (size_t i = 0; i < line.len; i++) {
            if (line.ptr[i] == '%') {
                buf_puts(out, "%25");
            } else if (line.ptr[i] == '\r') {
                buf_puts(out, "%0D");
            } else {
                buf_putc(out, line.ptr[i]);
            }
        }
        buf_putc(out, '\n');
    }
}

static void
announce(struct str secret, struct cli *cli, bool on_stderr)
{
    struct buf lines CLEANUP(buf_wipe) = BUF_INIT(4 * 1024 * 1024);
    cli_mask_lines(secret, &lines);
    struct buf *capture = on_stderr ? cli->capture_err : cli->capture_out;
    if (capture != NULL) {
        buf_add(capture, buf_str(&lines));
    } else {
        (void)write_all(on_stderr ? STDERR_FILENO : STDOUT_FILENO, buf_str(&lines));
    }
}

static void
announce_out(struct str secret, void *ctx)
{
    announce(secret, ctx, false);
}

static void
announce_err(struct str secret, void *ctx)
{
    announce(secret, ctx, true);
}

void
cli_mask_start(struct cli *cli, bool data)
{
    if (!cli->in_actions) {
        return;
    }
    struct stat info = {0};
    bool is_file =
        cli->capture_out == NULL && fstat(STDOUT_FILENO, &info) == 0 && S_ISREG(info.st_mode);
    secret_on_register(data || is_file ? announce_err : announce_out, cli);
}

void
cli_mask_stop(void)
{
    secret_on_register(NULL, NULL);
}
