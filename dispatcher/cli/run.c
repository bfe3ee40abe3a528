// One run: set up, parse, run the command, tell its error, and turn all of it into an exit code.
// Knows no command but by its descriptor.
#include "run.h"

#include <errno.h>
#include <string.h>

#include "arguments.h"
#include "commands.h"
#include "help.h"
#include "output.h"
#include "process.h"
#include "setup.h"
#include "signals.h"

static int
exit_code_of(const struct cli *cli, const struct error *err)
{
    int signal = cancel_signal(cli->platform.cancel);
    if (error_kind(err) == ERROR_CANCELLED && signal > 0) {
        return 128 + signal;
    }
    return error_kind_exit_code(error_kind(err));
}

static int
finish(struct cli *cli, struct error *err, int exit_code)
{
    if (err != NULL) {
        cli_print_error(cli, err);
        exit_code = exit_code_of(cli, err);
        error_free(err);
    }
    if (cli->write_error != 0 && cli->write_error != EPIPE) {
        cli_errf(cli, "dispatcher: standard output: %s\n", strerror(cli->write_error));
        exit_code =
            exit_code == 0 && !cli->changed ? error_kind_exit_code(ERROR_STORAGE) : exit_code;
    }
    return exit_code;
}

// The command line itself is wrong: the error, then the line that shows how it is written.
static int
refuse(struct cli *cli, const struct cli_invocation *invocation, struct error *err)
{
    int exit_code = finish(cli, err, 0);
    struct buf usage CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    help_usage_line(invocation->command, &usage);
    cli_err(cli, buf_str(&usage));
    return exit_code;
}

static void
show_help(struct cli *cli, const struct cli_invocation *invocation)
{
    struct buf page CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    if (invocation->command != NULL) {
        help_command_page(invocation->command, (size_t)cli->width, &page);
    } else if (invocation->family != NULL) {
        help_family_page(str_of(invocation->family), &page);
    } else {
        help_main_page(&page);
    }
    if (invocation->help) {
        cli_out(cli, buf_str(&page));
    } else {
        cli_err(cli, buf_str(&page));
    }
}

// Is standard output data for a program, so that nothing else may be on it?
static bool
output_is_data(const struct cli_arguments *arguments)
{
    const char *format = cli_value(arguments, "format");
    return cli_flag(arguments, "json") || (format != NULL && strcmp(format, "text") != 0);
}

// Only these start builders; what is resumed may have to be built again.
static bool
may_build(const struct cli_invocation *invocation)
{
    return cli_flag(invocation->arguments, "build") ||
           strcmp(invocation->command->name, "resume") == 0;
}

static int
run_command(struct cli *cli, const struct cli_invocation *invocation)
{
    int exit_code = 0;
    if (!may_build(invocation)) {
        process_forbid_privileges();
    }
    cli_mask_start(cli, output_is_data(invocation->arguments));
    signals_start(cli->platform.cancel);
    struct error *err = invocation->command->run(cli, invocation->arguments, &exit_code);
    signals_stop();
    cli_mask_stop();
    return finish(cli, err, exit_code);
}

static int
run(struct cli *cli, char *const *argv)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct cli_invocation invocation = {0};
    struct error *err = cli_parse(arena, argv, &invocation);
    if (invocation.no_color) {
        cli->color = false;
    }
    if (err != NULL) {
        return refuse(cli, &invocation, err);
    }
    if (invocation.help) {
        show_help(cli, &invocation);
        return finish(cli, NULL, 0);
    }
    if (invocation.command == NULL) {
        show_help(cli, &invocation); // `dispatcher` alone: the page is the best answer, on stderr
        return error_kind_exit_code(ERROR_USAGE);
    }
    return run_command(cli, &invocation);
}

int
cli_main(const struct environment *env, char *const *argv)
{
    struct cli cli = {0};
    enum log_level level = LOG_WARN;
    cli_setup(&cli, env);
    struct error *err = cli_log_level(env, &level);
    if (level > LOG_WARN) {
        cli.terminal = cli.error_terminal = false; // log lines and a live area do not mix
    }
    cli.platform.log = log_new(stderr, level, LOG_TEXT);
    cli.platform.cancel = cancel_new();
    if (err != NULL) {
        cli_print_error(&cli, err); // a wrong log level is no reason to stop a deployment
        error_free(err);
    }
    int exit_code = run(&cli, argv);
    cancel_free(cli.platform.cancel);
    log_free(cli.platform.log);
    return exit_code;
}
