#!/usr/bin/env -S python3 -B
"""Storage that is full, and secrets where none may be. service_threats_storage.py WHAT."""
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import time

from service_threats import ask, check, main, order, person, token, wanted
from service_threats_people import Browser
from service_threats_wire import deliver, run_body

WORLD = pathlib.Path(os.environ["WORLD"])
FOLDER = os.environ.get("FOLDER", "")


def fill():
    """Accepts until the disk is full; then 503, not ready, and what was accepted is there."""
    accepted, refused, key = [], 0, None
    ballast = open(FOLDER + "/ballast", "wb", buffering=0)
    for number in range(4000):
        if number == 20:  # what the service itself writes shall not end it too early
            try:
                while True:
                    ballast.write(b"x" * 4096)
            except OSError:
                pass
        key = token()
        made = ask("POST", "/api/v1/deployments", key, wanted(env="production", version=f"v{number}",
                                                              reason="x" * 900))
        if made.status in (202, 200):
            accepted.append(made.json()["id"])
        else:
            check((made.status, made.code()) == (503, "storage-failed"), made)
            refused += 1
            if refused == 5:
                break
    check(refused == 5 and len(accepted) >= 20, len(accepted), "accepted,", refused, "refused")
    ready = ask("GET", "/readyz")
    check(ready.status == 503 and ready.json()["storage"] != "ok", ready)
    check(ask("GET", "/healthz").status == 503, "healthy")
    check(deliver(run_body()).status == 503, "a delivery is said to be kept")
    (WORLD / "accepted").write_text(json.dumps(accepted))
    print(len(accepted), "accepted")


def full_is_not_ready():
    """A disk that is full is seen before anybody's request is lost on it."""
    check(ask("GET", "/readyz").status == 200, "not ready at all")
    with open(FOLDER + "/ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 4096)
        except OSError:
            pass
    seen = ask("GET", "/readyz")
    check(seen.status == 503 and seen.json()["storage"] != "ok", "ready, on a disk that is full", seen)


def kept():
    """After a restart with room: all that was accepted, and nothing twice."""
    accepted = json.loads((WORLD / "accepted").read_text())
    with sqlite3.connect(f"file:{FOLDER}/state.db?mode=ro", uri=True, timeout=10) as database:
        check(database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "integrity")
        there = [row[0] for row in database.execute("SELECT id FROM jobs")]
    check(set(accepted) <= set(there), "lost", set(accepted) - set(there))
    check(len(there) - len(accepted) <= 1, "made though refused", len(there) - len(accepted))
    check(ask("GET", "/readyz").status == 200, "not ready")
    check(ask("POST", "/api/v1/deployments", token(), wanted(env="production", version="after")).status == 202,
          "accepts again")
    check(ask("GET", "/api/v1/audit/verify", person("monalisa")).json()["whole"] is True, "audit")


# --- T42 --------------------------------------------------------------------------------------------

def secret_files():
    found = {}
    for name in ("DEPLOYMENT_APP_KEY", "DISPATCHER_SANDBOX_OAUTH_CLIENT_SECRET_FILE", "HOOK_FILE",
                 "SLACK_FILE"):
        for line in pathlib.Path(os.environ[name]).read_text("ascii").splitlines():
            if len(line) > 20 and not line.startswith("-----"):
                found.setdefault(line, name)
    return found


def live():
    """Uses everything, and collects each secret on its way and each answer that may not have it."""
    secrets, answers = secret_files(), []
    jobs = [token() for _ in range(4)]
    lent = ask("POST", "/api/v1/apps/shop/environments/staging/push", jobs[0])
    check(lent.status == 200 and lent.json()["credentials"], lent)
    for name in ("secret_access_key", "session_token"):
        secrets[lent.json()["credentials"][name]] = "lent " + name
    made = ask("POST", "/api/v1/deployments", jobs[1], wanted(env="production"), Idempotency_Key="k1")
    identity = made.json()["id"]
    answers += [made, ask("POST", "/api/v1/deployments", jobs[1], wanted(env="staging", version="v3"))]
    staged = ask("POST", "/api/v1/deployments", jobs[2], wanted())
    people = [person("monalisa"), person("mallory")]
    browser = Browser().sign_in("monalisa")
    secrets[browser.cookies["session"]] = "session"
    browser.csrf()
    order("github/expire-tokens")
    ask("GET", "/api/v1/locks", "ghp_canaryofanunknowntoken0000000000000")
    ask("GET", f"/api/v1/deployments?token={jobs[3]}")
    ask("GET", "/sign-in/callback?code=canary-of-a-code-1234567&state=x")
    ask("GET", "/x", None, None, Authorization="Basic canary-of-a-password-12345", Cookie="session=canary-cookie-12345")
    ask("POST", "/hooks/github", None, "canary-of-an-unsigned-body")
    time.sleep(3)
    for job in jobs:
        secrets[job] = secrets[job.split(".")[2]] = "token of a job"
    for key in people:
        secrets[key] = "token of a person"
    for text in ("ghp_canaryofanunknowntoken0000000000000", "canary-of-a-code-1234567", "canary-of-a-password-12345",
                 "canary-cookie-12345", "canary-of-an-unsigned-body"):
        secrets[text] = text
    for path in ("/api/v1/deployments", f"/api/v1/deployments/{identity}?document=1", "/api/v1/queue",
                 f"/api/v1/deployments/{staged.json()['id']}?document=1", "/api/v1/apps/shop", "/api/v1/environments"):
        answers.append(ask("GET", path, token()))
    for path in ("/api/v1/audit", "/api/v1/locks?past=1"):
        answers += [ask("GET", path, people[0]), ask("GET", path, people[0], None, Accept="text/csv")]
    answers += [ask("GET", path) for path in ("/metrics", "/readyz", "/healthz", "/nothing")]
    answers += [browser.ask("GET", path, Accept_Encoding="identity") for path in
                ("/", "/audit", "/locks", f"/deployments/{identity}", "/apps/shop", "/audit.csv")]
    return secrets, answers


def places(answers):
    """Every byte that anybody could look at."""
    process = pathlib.Path(f"/proc/{os.environ['PID']}")
    for name in ("environ", "cmdline", "comm", "maps", "status"):
        yield name, (process / name).read_bytes()
    for path in sorted(WORLD.glob("*")):
        if path.is_file() and path.name.startswith(("state.db", "serve.err", "serve.out", "address")):
            yield path.name, path.read_bytes()
    for number, answer in enumerate(answers):
        yield f"answer {number}", str(answer.headers).encode() + answer.body


def canaries():
    secrets, answers = live()
    check(len(secrets) > 20, "the search has nothing to search for", len(secrets))
    found, bytes_ = [], 0
    for place, data in places(answers):
        bytes_ += len(data)
        found += [f"{what} in {place}" for text, what in secrets.items() if text.encode() in data]
    check(not found, "; ".join(sorted(set(found))))
    # The search finds what is there.
    data = b"".join(data for place, data in places([]) if place.startswith("state.db"))
    check(b"monalisa" in data and b"octocat" in data, "the database that was read is not the service's")
    # Nor does a core, or a debugger that is not root's.
    limits = pathlib.Path(f"/proc/{os.environ['PID']}/limits").read_text()
    check(re.search(r"Max core file size +0 +0 ", limits), limits)
    seen = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "cat",
                           f"/proc/{os.environ['PID']}/environ"], capture_output=True, check=False)
    check(seen.returncode != 0 and not seen.stdout, "others read its environment")
    print(len(secrets), "secrets in", bytes_, "bytes")


if __name__ == "__main__":
    main(fill, full_is_not_ready, kept, canaries)
