// credential_process: a program of the user's choice that prints keys as JSON. Its command line is
// split into words here and run without a shell. Input is /dev/null; a helper that has to ask opens
// the terminal itself.
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/process.h"

enum {
    OUTPUT_MAX = 64 * 1024,
    STDERR_MAX = 16 * 1024,
    COMMAND_MAX = 8192,
    TIME_LIMIT_MS = 60 * 1000, // somebody may have to type a code
};

struct splitter {
    struct buf word;
    bool in_word;
    char quote; // ' or " or NUL
    bool escaped;
};

static void
splitter_done(struct splitter *splitter)
{
    buf_done(&splitter->word);
}

static void
put(struct splitter *splitter, char byte)
{
    splitter->in_word = true;
    buf_putc(&splitter->word, byte);
}

/// POSIX shell quoting (XCU §2.2) of one byte; true when a word has just ended.
static bool
feed(struct splitter *splitter, char byte)
{
    if (splitter->escaped) {
        if (splitter->quote == '"' && byte != '"' && byte != '\\' && byte != '$' && byte != '`') {
            put(splitter, '\\');
        }
        put(splitter, byte);
        splitter->escaped = false;
    } else if (byte == '\\' && splitter->quote != '\'') {
        splitter->escaped = true;
        splitter->in_word = true;
    } else if (splitter->quote != '\0') {
        if (byte == splitter->quote) {
            splitter->quote = '\0';
        } else {
            put(splitter, byte);
        }
    } else if (byte == '\'' || byte == '"') {
        splitter->quote = byte;
        splitter->in_word = true; // also for an empty pair
    } else if (byte == ' ' || byte == '\t' || byte == '\n') {
        return splitter->in_word;
    } else {
        put(splitter, byte);
    }
    return false;
}

static struct error *
end_word(struct splitter *splitter, struct arena *arena, char **out, size_t *count)
{
    if (*count == AWS_PROCESS_ARGUMENTS - 1) {
        return error_new(ERROR_CREDENTIALS, "more than %d words", AWS_PROCESS_ARGUMENTS - 1);
    }
    out[(*count)++] = arena_str(arena, buf_str(&splitter->word));
    buf_reset(&splitter->word);
    splitter->in_word = false;
    return NULL;
}

struct error *
aws_split_words(const char *command, struct arena *arena, char **out, size_t *count)
{
    struct splitter splitter CLEANUP(splitter_done) = {.word = BUF_INIT(COMMAND_MAX)};
    *count = 0;
    for (const char *at = command; *at != '\0'; at++) {
        if (feed(&splitter, *at)) {
            TRY(end_word(&splitter, arena, out, count));
        }
    }
    if (splitter.quote != '\0' || splitter.escaped) {
        return error_new(ERROR_CREDENTIALS, "a quote that is not closed");
    }
    if (splitter.word.failed) {
        return error_new(ERROR_CREDENTIALS, "a word that is too long");
    }
    if (splitter.in_word) {
        TRY(end_word(&splitter, arena, out, count));
    }
    out[*count] = NULL;
    return *count > 0 ? NULL : error_new(ERROR_CREDENTIALS, "no command");
}

struct error *
aws_run_process(const struct platform *platform, char *const *argv, struct buf *out)
{
    struct buf errors CLEANUP(buf_wipe) = BUF_INIT(STDERR_MAX);
    struct process_exit end = {0};
    const struct process_order order = {
        .argv = (const char *const *)argv,
        .out = out,
        .errors = &errors,
        .limit_ms = TIME_LIMIT_MS,
        .on_terminal = true,
        .kind = ERROR_CREDENTIALS,
    };
    TRY(process_run(platform, &order, &end));
    return process_check(&end, ERROR_CREDENTIALS, buf_str(&errors));
}

static struct error *
check_version(struct str text)
{
    struct json *doc CLEANUP(json_freep) = NULL;
    struct error *err = json_parse(text, &json_limits_default, &doc);
    if (err != NULL) {
        // Its text would quote the output, which holds keys.
        error_free(err);
        return error_new(ERROR_CREDENTIALS, "it printed no JSON");
    }
    return json_int(json_get(doc, "Version"), 0) == 1
               ? NULL
               : error_new(ERROR_CREDENTIALS, "its answer is not of \"Version\": 1");
}

static struct error *
run_command(const struct platform *platform, const char *command, struct aws_credentials *out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf output CLEANUP(buf_wipe) = BUF_INIT(OUTPUT_MAX);
    char *argv[AWS_PROCESS_ARGUMENTS];
    size_t count = 0;
    TRY(aws_split_words(command, arena, argv, &count));
    TRY(aws_run_process(platform, argv, &output));
    TRY(check_version(buf_str(&output)));
    return aws_credentials_from_json(buf_str(&output), "SessionToken", argv[0], out);
}

struct error *
aws_load_process(const struct aws_load *load, struct aws_credentials *out)
{
    const struct aws_session *session = load->session;
    const char *command = aws_profile_get(session, load->profile, "credential_process");
    if (command == NULL) {
        buf_printf(load->why, "profile '%s' has no credential_process", load->profile);
        return NULL;
    }
    struct error *err = run_command(session->platform, command, out);
    if (err != NULL) {
        return error_wrap(err, "credential_process of profile '%s'", load->profile);
    }
    const char *account = aws_profile_get(session, load->profile, "aws_account_id");
    if (out->account == NULL && account != NULL) {
        out->account = xstrdup(account);
    }
    return NULL;
}
