// The process: captures the environment, raises the fences, hands over to cli/. Nothing else.
#include <stdio.h>

int
main(void)
{
    fputs("dispatcher: no commands yet\n", stderr);
    return 70;
}
