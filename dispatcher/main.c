// The process: captures the environment, raises the fences, hands over to cli/. Nothing else.
#include "cli/process.h"
#include "cli/run.h"
#include "dispatcher/platform.h"

extern char **environ;

int
main(int argc, char **argv)
{
    struct environment *env = process_start(&environ);
    int exit_code = cli_main(env, argc > 0 ? argv + 1 : argv);
    environment_free(env);
    return exit_code;
}
