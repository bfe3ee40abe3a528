"""aws_in_one.py DIRECTORY: the AWS CLI, many commands in one process, which spares its start each time.

A line on DIRECTORY/ask: the arguments are in DIRECTORY/argv, each ended by NUL. The exit status goes to
DIRECTORY/answer, a pipe, what was printed to DIRECTORY/out and DIRECTORY/err. Ends when `ask` is gone."""
import os
import sys

try:
    from awscli.clidriver import create_clidriver
except ImportError:
    sys.exit(77)  # installed in a way of its own: call the program


def run(arguments):
    if "--endpoint-url" not in arguments and os.environ.get("AWS_ENDPOINT_URL"):
        arguments = ["--endpoint-url", os.environ["AWS_ENDPOINT_URL"], *arguments]
    try:
        status = create_clidriver().main(arguments)
    except SystemExit as end:
        status = end.code
    return status if isinstance(status, int) else 0 if status is None else 1


def main(place):
    os.chdir(place)
    os.mkfifo("ask")
    os.mkfifo("answer")
    print("ready", flush=True)
    while True:
        with open("ask", encoding="utf-8") as ask:
            if not ask.readline():
                return
        with open("argv", encoding="utf-8") as file:
            arguments = file.read().split("\0")[:-1]
        kept = os.dup(1), os.dup(2)
        for number, name in ((1, "out"), (2, "err")):
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(file, number)
            os.close(file)
        status = run(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        for number in (1, 2):
            os.dup2(kept[number - 1], number)
            os.close(kept[number - 1])
        with open("answer", "w", encoding="utf-8") as answer:
            answer.write(f"{status}\n")


main(sys.argv[1])
