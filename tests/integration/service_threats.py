#!/usr/bin/env -S python3 -B
"""Attacks on a service that runs: service_threats.py WHAT. Each is a function here; the first thing
that is not as it should be is told, and ends it with 1. Nothing but the standard library."""
import base64
import collections
import hashlib
import hmac
import http.client
import json
import os
import re
import socket
import sqlite3
import sys
import threading
import time
import urllib.request
import uuid

URL = os.environ["URL"]
PORT = int(URL.rsplit(":", 1)[1])
CONTROL = os.environ["DISPATCHER_SANDBOX_CONTROL"]
AUDIENCE = "http://127.0.0.1:8080"
SECRET = os.environ.get("HOOK_SECRET", "").encode()
APPS = 6


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def code(self):
        try:
            return self.json().get("code")
        except (ValueError, AttributeError):
            return None

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


def check(good, *said):
    if not good:
        raise AssertionError(" ".join(str(word) for word in said))


def ask(method, path, token=None, body=None, port=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port or PORT, timeout=20)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        names["Authorization"] = f"Bearer {token}"
    if body is not None:
        body = json.dumps(body) if not isinstance(body, (str, bytes)) else body
        names.setdefault("Content-Type", "application/json")
    connection.request(method, path, body, names)
    answer = connection.getresponse()
    read = Answer(answer.status, answer.headers, answer.read())
    connection.close()
    return read


def order(path, **body):
    with urllib.request.urlopen(f"{CONTROL}/{path}", json.dumps(body).encode()) as answer:
        return json.load(answer)


def tokens(count=1, **claims):
    said = {"audience": AUDIENCE, "repository": "acme/shop", "actor": "octocat", **claims}
    if count == 1:
        return [order("oidc/token", **said)["value"]]
    return order("oidc/token", count=count, **said)["values"]


def token(**claims):
    return tokens(**claims)[0]


def person(login, **more):
    text = f"ghp_{login}{uuid.uuid4().hex}"
    order("github/people", people=[{"login": login, "token": text, **more}])
    return text


def segment(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def open_segment(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def wanted(app="shop", env="staging", version="v1", **more):
    return {"app": app, "env": env, "version": version, **more}


def without(answer, *names):
    """What an answer tells, without what is its own: the id of the request, and given names."""
    text = json.dumps({k: v for k, v in answer.json().items() if k != "request_id"}, sort_keys=True)
    for name in names:
        text = re.sub(rf"\b{name}\b", "NAME", text)
    return f"{answer.status} {text}"


def metric(name):
    for line in ask("GET", "/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return int(float(line.split()[1]))
    raise AssertionError(name)


def at_once(count, run):
    """run(number) in so many threads that begin together; what they return."""
    barrier, results = threading.Barrier(count), [None] * count

    def work(number):
        barrier.wait()
        results[number] = run(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# --- T01, T48: whose is what --------------------------------------------------------------------

def cells_of(answer):
    return {cell["app"] for env in answer.json()["environments"] for cell in env["apps"]}


def reads_of(number, ids):
    """All that one repository can read, by nobody's leave but its token's. Returns the cells."""
    own, mine, cells = f"a{number}", token(repository=f"acme/a{number}"), 0
    check({j["app"] for j in ask("GET", "/api/v1/deployments", mine).json()["deployments"]} == {own},
          own, "lists others")
    check([a["app"] for a in ask("GET", "/api/v1/apps", mine).json()["apps"]] == [own], "apps", own)
    check(cells_of(ask("GET", "/api/v1/environments", mine)) == {own}, "environments", own)
    queue = ask("GET", "/api/v1/queue", mine).json()
    check({lane["app"] for lane in queue["lanes"]} == {own}, "queue", own, queue)
    check(set(queue) == {"lanes"}, "the queue counts what is of others", set(queue))
    missing_id, missing_app = "d-0123456789abcdef", "nosuch"
    for other, identity in ids.items():
        if other == own:
            check(ask("GET", f"/api/v1/deployments/{identity}", mine).status == 200, own, "not own")
            continue
        for query in ("", "&state=queued", "&env=production", "&limit=1", "&before=99999"):
            seen = ask("GET", f"/api/v1/deployments?app={other}{query}", mine)
            none = ask("GET", f"/api/v1/deployments?app={missing_app}{query}", mine)
            check(seen.body == none.body and seen.status == none.status, own, other, query, seen)
            cells += 1
        for method, path in (("GET", ""), ("GET", "?document=1"), ("GET", "/events"),
                             ("HEAD", "/events"), ("POST", "/cancel")):
            pair = [ask(method, f"/api/v1/deployments/{i}{path}", mine) for i in (identity, missing_id)]
            check(pair[0].status == 404 == pair[1].status, own, method, other + path, pair)
            check(method == "HEAD" or without(pair[0]) == without(pair[1]), method, path, pair)
            cells += 1
        pair = [ask("GET", f"/api/v1/apps/{app}", mine) for app in (other, missing_app)]
        check(pair[0].status == 404 and without(pair[0]) == without(pair[1]), other, pair)
        cells += 1
    return cells


def writes_of(number):
    """Each app in each environment: only its own repository's are let through, and what is said of
    another one is what is said of one that there is not."""
    own, cells = f"a{number}", 0
    mine = iter(tokens(count=200, repository=f"acme/a{number}"))
    for env in ("staging", "production", "nowhere"):
        def ask_all(app):
            return [
                ask("POST", "/api/v1/deployments", next(mine), wanted(app, env)),
                ask("POST", "/api/v1/deployments", next(mine), wanted(app, env, emergency=True,
                                                                     reason="now")),
                ask("POST", f"/api/v1/apps/{app}/environments/{env}/push", next(mine)),
                ask("POST", "/api/v1/explain", next(mine), {"app": app, "env": env}),
            ]
        none = ask_all("nosuch")
        for other in (f"a{i}" for i in range(APPS)):
            if other == own:
                continue
            for seen, missing in zip(ask_all(other), none):
                check(seen.status in (403, 200), own, other, env, seen)
                check(seen.status == 403 or seen.json()["allowed"] is False, own, other, env, seen)
                check(without(seen, other) == without(missing, "nosuch"), own, other, env, seen, missing)
                cells += 1
    return cells


def cross():
    ids = {}
    for number in range(APPS):
        made = ask("POST", "/api/v1/deployments", token(repository=f"acme/a{number}"),
                   wanted(f"a{number}", "production"))
        check(made.status == 202, made)
        ids[f"a{number}"] = made.json()["id"]
    cells = sum(reads_of(number, ids) + writes_of(number) for number in range(APPS))
    check(cells > 600, cells)
    everything = ask("GET", "/api/v1/deployments", person("monalisa")).json()["deployments"]
    check(len(everything) == APPS, "something was made that nobody asked for", len(everything))
    check(all(job["state"] == "queued" for job in everything), "somebody's was cancelled")
    print(cells, "cells")


def alike():
    """Nobody can tell by the clock what is another's from what there is not."""
    made = ask("POST", "/api/v1/deployments", token(), wanted(env="production"))
    foreign, missing = made.json()["id"], "d-0123456789abcdef"
    mine, took = token(repository="acme/tools"), collections.defaultdict(list)
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    for _ in range(400):
        for identity in (foreign, missing):
            start = time.perf_counter()
            connection.request("GET", f"/api/v1/deployments/{identity}", None,
                               {"Authorization": f"Bearer {mine}"})
            answer = connection.getresponse()
            answer.read()
            took[identity].append(time.perf_counter() - start)
            check(answer.status == 404, answer.status)
    low = {i: sorted(list_)[len(list_) // 4] for i, list_ in took.items()}
    apart = abs(low[foreign] - low[missing])
    # An id has 64 random bits: what can be told apart helps nobody to find one. A millisecond would
    # say that something is read for the one and not for the other.
    check(apart < 0.001, f"{1e6 * low[foreign]:.0f} and {1e6 * low[missing]:.0f} µs")
    print(f"{1e6 * apart:.0f} µs apart")


def asked():
    with urllib.request.urlopen(f"{CONTROL}/github/counters") as answer:
        return json.load(answer)["requests"]


def denials():
    """However often a stranger comes: the audit log, which keeps all, has at most a minute's worth."""
    for number in range(90):
        path, body = (("/api/v1/deployments", wanted(version=f"v{number}")),
                      ("/api/v1/apps/shop/environments/staging/push", {}))[number % 2]
        seen = ask("POST", path, token(repository="mallory/shop", actor="mallory"), body)
        check((seen.status, seen.code()) == (403, "not-authorized"), seen)
    check(ask("POST", "/api/v1/deployments", token(), wanted(env="nowhere")).status in (403, 404, 422), "own")
    with sqlite3.connect(f"file:{os.environ['WORLD']}/state.db?mode=ro", uri=True) as database:
        noted = database.execute("SELECT count(*) FROM audit WHERE code = 'not-authorized'").fetchall()
    check(60 <= noted[0][0] <= 75, noted)


def strangers():
    """Any job of the world can have a token for us: GitHub is asked nothing about its actor, whatever
    it wants of an app whose rules name teams. Of the app's own job it is."""
    ways = (("/api/v1/deployments", wanted(emergency=True, reason="let me see")),
            ("/api/v1/deployments", wanted()), ("/api/v1/explain", {"app": "shop", "env": "staging"}),
            ("/api/v1/apps/shop/environments/staging/push", {}))
    while asked() == 0:  # the first sweep, which is not ours
        time.sleep(0.1)
    time.sleep(0.5)
    before = asked()
    for path, body in ways:
        ask("POST", path, token(repository="mallory/shop", actor="mallory"), body)
    check(asked() == before, asked() - before, "requests to GitHub for a stranger")
    check(ask("POST", "/api/v1/explain", token(actor="hubot"), ways[2][1]).status == 200, "its own")
    check(asked() > before, "its own job's actor was not asked about")


# --- T02, T03, T04, T06, T07: tokens --------------------------------------------------------------

def claims_of(text):
    return json.loads(open_segment(text.split(".")[1]))


def others():
    """A repository with the right name only; names with '@'; both forms of the subject."""
    good = claims_of(token())
    number, owner = good["repository_id"], good["repository_owner_id"]
    cases = [
        (202, {}),
        (202, {"claims": {"sub": f"repo:acme@{owner}/shop@{number}:ref:refs/heads/main"}}),
        (202, {"claims": {"sub": "repo:acme/shop:ref:refs/heads/main"}}),
        (403, {"claims": {"repository_id": str(int(number) + 1)}}),
        (403, {"claims": {"repository_owner_id": str(int(owner) + 1)}}),
        (401, {"repository": f"acme@{owner}/shop@{number}", "claims": {"repository_id": "7"}}),
        (401, {"repository": "acme/shop@evil", "claims": {"repository_id": "8"}}),
        (401, {"claims": {"repository_id": f"{number} "}}),
        (401, {"claims": {"repository_id": f"0{number}"}}),
        (401, {"claims": {"repository_id": None}}),
        (401, {"claims": {"repository_id": [number]}}),
        (401, {"claims": {"repository_id": "-1"}}),
        (401, {"claims": {"repository_id": str(2**64 + int(number))}}),
    ]
    for status, claims in cases:
        seen = ask("POST", "/api/v1/deployments", token(**claims),
                   wanted(version=f"v{uuid.uuid4().hex}"))
        check(seen.status == status, status, claims, seen)


def events():
    """What a pull request or a stranger's branch may start must never deploy."""
    refs = ["refs/heads/main", "refs/heads/x", "refs/pull/7/merge", "refs/tags/v1",
            "refs/heads/main\n", "refs/heads/main/../x", "REFS/heads/main", "main"]
    allowed = set()
    for event in ("push", "workflow_dispatch", "release", "schedule", "pull_request",
                  "pull_request_target", "workflow_run", "issue_comment", "merge_group", "Push"):
        for ref in refs:
            seen = ask("POST", "/api/v1/deployments", token(event_name=event, ref=ref),
                       wanted(version=f"v{uuid.uuid4().hex}"))
            check(seen.status in (202, 401, 403), event, ref, seen)
            if seen.status == 202:
                allowed.add((event, ref))
    check(allowed == {("push", "refs/heads/main"), ("workflow_dispatch", "refs/heads/main")}, allowed)


def audiences():
    bad = [AUDIENCE + "/", AUDIENCE.upper(), AUDIENCE[:-1], AUDIENCE + "%00",
           " " + AUDIENCE, [AUDIENCE, "x"], ["x", AUDIENCE], [AUDIENCE, AUDIENCE], [], None, 7,
           {"a": AUDIENCE}, [[AUDIENCE]]]
    for value in bad:
        seen = ask("GET", "/api/v1/deployments", token(claims={"aud": value}))
        check(seen.status == 401, repr(value), seen)
    issuer = claims_of(token())["iss"]
    for value in (issuer + "/", issuer + ".evil.example", issuer[:-1], issuer.upper(), [issuer],
                  issuer.replace("//", "//evil@")):
        seen = ask("GET", "/api/v1/deployments", token(claims={"iss": value}))
        check(seen.status == 401, repr(value), seen)
    check(ask("GET", "/api/v1/deployments", token(claims={"aud": [AUDIENCE]})).status == 200, "[aud]")


def forged_tokens():
    """Headers that make a weak verifier believe, and texts that two readers would read differently."""
    good = token()
    header, claims, signature = good.split(".")
    keys = json.load(urllib.request.urlopen(os.environ["JWKS"]))["keys"]
    kid, modulus = keys[-1]["kid"], keys[-1]["n"]

    def made(head, secret=None, body=claims):
        text = f"{segment(json.dumps(head).encode() if isinstance(head, dict) else head)}.{body}"
        mac = hmac.new(secret, text.encode(), hashlib.sha256).digest() if secret is not None else b""
        return f"{text}.{segment(mac)}"

    whole = json.loads(open_segment(header))
    bad = [made({**whole, "alg": alg}) for alg in
           ("none", "None", "NONE", "nOnE", "", "RS256\0", "HS256", "ES256", "PS256", "RS512")]
    for secret in (b"", modulus.encode(), open_segment(modulus), json.dumps(keys[-1]).encode()):
        bad.append(made({**whole, "alg": "HS256"}, secret))
    for more in ({"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}, {"jku": CONTROL},
                 {"jwk": keys[-1]}, {"x5u": CONTROL}, {"kid": "../../etc/passwd"},
                 {"kid": "' OR 1=1 --"}, {"kid": ""}, {"kid": None}, {"kid": kid + "\0"}):
        bad.append(f"{segment(json.dumps({**whole, **more}).encode())}.{claims}.{signature}")
    bad += [good + "=", good + ".", "." + good, good.replace(".", "..", 1),
            f"{header}.{claims}.", f"{header}..{signature}", f".{claims}.{signature}",
            f"{header}=.{claims}.{signature}", f"{header}.{claims}.{signature}A",
            made(b'{"alg":"RS256","alg":"none","kid":"x"}'), made(b"\xff\xfe"), made(b"[]"),
            made(b"{}" + b" " * 9000), made(b"[" * 5000), "a.b.c", "..", "...", "a" * 17000 + ".b.c"]
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    bad += [good[:-1] + letter for letter in last if letter != good[-1]]
    for text in bad:
        for method, path, body in (("GET", "/api/v1/deployments", None),
                                   ("POST", "/api/v1/deployments", wanted())):
            try:
                seen = ask(method, path, text, body)
            except ValueError:
                continue  # the library itself refuses to send it
            check(seen.status in (401, 429, 400), text[:80], seen)
    check(ask("GET", "/api/v1/deployments", good).status == 200, "the good one")
    print(len(bad), "tokens")


# --- T05: once ------------------------------------------------------------------------------------

def once():
    """A token spent at one place is worth nothing at another one, however often it is tried."""
    place = "/api/v1/apps/shop/environments/{}/push"
    spent = token()
    first = ask("POST", place.format("staging"), spent)
    check(first.status == 200, first)
    check(ask("POST", place.format("staging"), spent).status == 200, "the same again")
    attacks = [("POST", place.format("production"), None), ("POST", "/api/v1/deployments", wanted()),
               ("POST", place.format("staging"), {"version": "v9"}), ("POST", place.format("staging") + "?x", None)]
    for _ in range(3):
        for method, path, body in attacks[:3]:
            seen = ask(method, path, spent, body)
            check((seen.status, seen.code()) == (401, "token-replayed"), path, seen)
    made = token()
    seen = ask("POST", "/api/v1/deployments", made, wanted(env="production"))
    check(seen.status == 202, seen)
    identity = seen.json()["id"]
    for _ in range(3):
        for path, body in ((place.format("staging"), None), (f"/api/v1/deployments/{identity}/cancel", {}),
                           ("/api/v1/deployments", wanted(env="production", version="v2")),
                           ("/api/v1/deployments", wanted(env="staging"))):
            seen = ask("POST", path, made, body)
            check((seen.status, seen.code()) == (401, "token-replayed"), path, seen)
    state = ask("GET", f"/api/v1/deployments/{identity}", token()).json()["state"]
    check(state == "queued", "cancelled with a token that was spent", state)
    with open(os.environ["WORLD"] + "/spent", "w", encoding="ascii") as file:
        file.write(f"{spent}\n{made}\n")


def again():
    """After a restart, or on the other replica: the tokens that `once` spent are still spent."""
    with open(os.environ["WORLD"] + "/spent", encoding="ascii") as file:
        spent, made = file.read().split()
    for _ in range(2):
        for text in (spent, made):
            for path, body in (("/api/v1/apps/shop/environments/production/push", None),
                               ("/api/v1/deployments", wanted(version="v9"))):
                seen = ask("POST", path, text, body)
                check((seen.status, seen.code()) == (401, "token-replayed"), path, seen)


def race():
    """One token 50 times at once with different bodies, at all ports: one is accepted, and one is in
    the queue. One key of the caller's own alike."""
    ports = [int(p) for p in os.environ.get("PORTS", str(PORT)).split()]
    for _ in range(4):
        one = token()
        seen = at_once(50, lambda n: ask("POST", "/api/v1/deployments", one, wanted(version=f"r{n}"),
                                         port=ports[n % len(ports)]))
        count = collections.Counter((a.status, a.code()) for a in seen)
        check(count == {(202, None): 1, (401, "token-replayed"): 49}, count)
    for attempt in range(4):
        each, key = tokens(count=50), f"key-{attempt}"
        seen = at_once(50, lambda n: ask("POST", "/api/v1/deployments", each[n], wanted(
            version=f"k{n % 5}"), port=ports[n % len(ports)], Idempotency_Key=key))
        count = collections.Counter((a.status, a.code()) for a in seen)
        check(count == {(202, None): 1, (200, None): 9, (422, "idempotency-mismatch"): 40}, count)
        check(len({a.json()["id"] for a in seen if a.status < 300}) == 1, "two deployments of a key")
    one = token()
    seen = at_once(50, lambda n: ask("POST", "/api/v1/deployments", one, wanted(version="same"),
                                     port=ports[n % len(ports)]))
    count = collections.Counter(a.status for a in seen)
    check(count == {202: 1, 200: 49}, count)
    spent = token()
    seen = at_once(40, lambda n: ask("POST", f"/api/v1/apps/shop/environments/"
                                     f"{('staging', 'production')[n % 2]}/push", spent, None,
                                     port=ports[n % len(ports)]))
    good = {n % 2 for n, answer in enumerate(seen) if answer.status == 200}
    check(len(good) == 1 and all(a.status in (200, 401) for a in seen), good, seen)
    jobs = ask("GET", "/api/v1/deployments?limit=100", token()).json()["deployments"]
    versions = collections.Counter(job["version"][0] for job in jobs)
    check(versions == {"r": 4, "k": 4, "s": 1}, versions)


def keys():
    """A key is a caller's own, and means what was asked for with it, the commit included."""
    body = {"app": "shop", "env": "staging"}
    commits = ["a" * 40, "b" * 40]
    seen = ask("POST", "/api/v1/deployments", token(sha=commits[0]), body, Idempotency_Key="mine")
    check(seen.status == 202 and seen.json()["version"] == commits[0], seen)
    seen = ask("POST", "/api/v1/deployments", token(sha=commits[0]), body, Idempotency_Key="mine")
    check(seen.status == 200, seen)
    # The same body from another commit asks for another version: the first is no answer to it.
    seen = ask("POST", "/api/v1/deployments", token(sha=commits[1]), body, Idempotency_Key="mine")
    check((seen.status, seen.code()) == (422, "idempotency-mismatch"), seen)
    # Another repository's key of the same name.
    seen = ask("POST", "/api/v1/deployments", token(repository="acme/tools"),
               {"app": "tools", "env": "staging"}, Idempotency_Key="mine")
    check(seen.status == 202 and seen.json()["app"] == "tools", seen)


def main(*attacks):
    try:
        {f.__name__: f for f in attacks}[sys.argv[1]]()
    except AssertionError as failure:
        print(failure)
        sys.exit(1)


if __name__ == "__main__":
    main(cross, alike, denials, strangers, others, events, audiences, forged_tokens, once, again, race, keys)
