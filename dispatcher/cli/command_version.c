// `dispatcher version`: what runs here. Reads no configuration and touches no network.
#include "cli_internal.h"
#include "dispatcher/json.h"

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

// "libcurl 7.88.1,OpenSSL 3.0.17,…", from pkg-config when this was built (CMakeLists.txt).
static const char libraries[] = DISPATCHER_LIBRARIES;

static void
put_text(struct buf *out)
{
    struct str item = {0}, rest = str_of(libraries);
    buf_printf(out, "compiler %s\n", COMPILER);
    while (str_cut(rest, ',', &item, &rest)) {
        buf_printf(out, "built with %.*s\n", STR_FMT(item));
    }
}

static void
put_json(struct buf *out)
{
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct json *list = json_make_object();
    struct str item = {0}, rest = str_of(libraries), name = {0}, version = {0};
    while (str_cut(rest, ',', &item, &rest)) {
        struct buf key CLEANUP(buf_done) = BUF_INIT(128);
        struct buf value CLEANUP(buf_done) = BUF_INIT(128);
        (void)str_cut(item, ' ', &name, &version);
        buf_add(&key, name);
        buf_add(&value, version);
        json_set_str(list, buf_cstr(&key), buf_cstr(&value));
    }
    json_set_str(object, "name", "dispatcher");
    json_set_str(object, "version", DISPATCHER_VERSION);
    json_set_str(object, "compiler", COMPILER);
    json_set(object, "libraries", list);
    json_print(object, false, out);
    buf_putc(out, '\n');
}

static struct error *
run_version(struct cli *cli, const struct cli_arguments *arguments, int *exit_code)
{
    (void)exit_code;
    struct buf text CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    if (cli_flag(arguments, "json")) {
        put_json(&text);
    } else {
        buf_printf(&text, "dispatcher %s\n", DISPATCHER_VERSION);
        if (cli_flag(arguments, "verbose")) {
            put_text(&text);
        }
    }
    cli_out(cli, buf_str(&text));
    return NULL;
}

static const struct cli_option options[] = {
    {"verbose", CLI_FLAG, NULL, "also the compiler and the libraries it was built with", NULL},
    {"json", CLI_FLAG, NULL, "print one JSON object, with everything", NULL},
};

const struct cli_command command_version = {
    .name = "version",
    .options = options,
    .option_count = ARRAY_LENGTH(options),
    .summary = "print the version",
    .description = "Prints the name and the version. Reads no configuration.",
    .examples = "$ dispatcher version\n"
                "$ dispatcher version --verbose\n",
    .run = run_version,
};
