#!/usr/bin/env python3
"""Runs a test program against Prism serving GitHub's own OpenAPI description, requests validated.

usage: with_prism.py PROGRAM [ARGUMENT]...

The program runs once for each contract file, with TEST_ENDPOINT and TEST_CONTRACT (the file's name
without .json) in its environment. The contracts are in ../shared/contracts beside the project, or in
$DISPATCHER_SHARED/contracts. Exit 77 (skipped) without them or without Prism.
"""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
ROOT = pathlib.Path(__file__).resolve().parents[2]
PRISM = ROOT / "tests/e2e/node/node_modules/@stoplight/prism-cli/dist/index.js"
CONTRACTS = ["github-2022-11-28", "github-2022-11-28.strict", "github-2026-03-10.strict",
             "ghes-3.19.strict"]


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, server, log):
    for _ in range(600):
        if server.poll() is not None:
            sys.exit(f"prism ended with status {server.returncode}:\n{log.read_text()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"prism does not answer:\n{log.read_text()}")


def run_against(contract, directory, scratch):
    port = free_port()
    log = pathlib.Path(scratch) / f"{contract}.log"
    command = ["node", str(PRISM), "mock", "-h", "127.0.0.1", "-p", str(port),
               str(directory / f"{contract}.json")]
    with log.open("w") as out:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_for(port, server, log)
        print(f"# {contract}", flush=True)
        environment = {**os.environ, "TEST_ENDPOINT": f"http://127.0.0.1:{port}",
                       "TEST_CONTRACT": contract}
        status = subprocess.call(sys.argv[1:], env=environment)
        if status != 0:
            print(log.read_text()[-8000:])
        return status
    finally:
        server.terminate()
        server.wait()


def main():
    shared = pathlib.Path(os.environ.get("DISPATCHER_SHARED") or ROOT.parent / "shared")
    directory = shared / "contracts"
    if not directory.is_dir():
        skip(f"there is no '{directory}'; set DISPATCHER_SHARED")
    if shutil.which("node") is None:
        skip("there is no node; install it with 'apt-get install nodejs npm'")
    if not PRISM.is_file():
        skip("Prism is not installed; run 'npm ci' in tests/e2e/node")
    with tempfile.TemporaryDirectory() as scratch:
        statuses = [run_against(contract, directory, scratch) for contract in CONTRACTS]
    return 0 if all(status == 0 for status in statuses) else 1


sys.exit(main())
