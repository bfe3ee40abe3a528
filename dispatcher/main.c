// The process: captures the environment, raises the fences, hands over to cli/. Nothing else.
#include "cli/process.h"
#include "cli/run.h"

extern char **environ;

int
main(int argc, char **argv)
{
    const struct environment *env = process_start(&environ);
    return cli_main(env, argc > 0 ? argv + 1 : argv);
}
