#!/usr/bin/env -S python3 -B
"""Attacks below HTTP: bytes that two readers read differently, too many of them, too slow, too
often. service_threats_wire.py WHAT."""
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import time
import uuid

from service_threats import PORT, SECRET, URL, ask, at_once, check, main, metric, token, wanted

PID = os.environ.get("PID", "")


def raw(data, seconds=3.0):
    """What comes back until the other side ends it, or nothing more comes."""
    with socket.create_connection(("127.0.0.1", PORT)) as peer:
        peer.settimeout(seconds)
        got = b""
        try:
            peer.sendall(data)
            while True:
                more = peer.recv(65536)
                if not more:
                    return got, True
                got += more
        except socket.timeout:
            return got, False
        except OSError:
            return got, True


def statuses(got):
    return [int(part[:3]) for part in got.split(b"HTTP/1.1 ")[1:]]


def alive():
    check(ask("GET", "/healthz").body == b"ok\n", "it is not well")


def rss_kib(what="VmRSS"):
    for line in pathlib.Path(f"/proc/{PID}/status").read_text("ascii").splitlines():
        if line.startswith(what):
            return int(line.split()[1])
    raise AssertionError(what)


# --- T60: bytes that are no request ---------------------------------------------------------------

SECOND = b"GET /reason-codes HTTP/1.1\r\nHost: x\r\nX-Request-Id: smuggled-1\r\n\r\n"


def smuggling():
    """Where a body ends must never be in doubt: the second request is a body to whoever stands in
    front of us, so that its answer would be taken for somebody else's."""
    length = str(len(SECOND)).encode()
    shapes = {
        "two lengths": [b"Content-Length: 0", b"Content-Length: " + length],
        "two lengths, other way": [b"Content-Length: " + length, b"Content-Length: 0"],
        "two that are alike": [b"Content-Length: 0", b"Content-Length: 0"],
        "a list of lengths": [b"Content-Length: 0, " + length],
        "signed": [b"Content-Length: +0"],
        "negative": [b"Content-Length: -1"],
        "hexadecimal": [b"Content-Length: 0x0"],
        "64 bits and more": [b"Content-Length: 18446744073709551616"],
        "length and chunks": [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        "chunks and length": [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        "chunks by a tab": [b"Content-Length: 5", b"Transfer-Encoding:\tchunked"],
        "other encoding": [b"Transfer-Encoding: xchunked"],
        "two encodings": [b"Transfer-Encoding: gzip, chunked"],
        "two headers of it": [b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"],
        "space before the colon": [b"Transfer-Encoding : chunked"],
        "length with a space": [b"Content-Length : " + length],
        "two hosts": [b"Host: y"],
    }
    for name, lines in shapes.items():
        for target in (b"/hooks/github", b"/nothing"):
            body = b"0\r\n\r\n" if b"ransfer" in b"".join(lines) else b""
            got, ended = raw(b"POST " + target + b" HTTP/1.1\r\nHost: x\r\n" + b"\r\n".join(lines) +
                             b"\r\n\r\n" + body + SECOND)
            check(ended and b"smuggled-1" not in got, name, target, got[:200])
            check(set(statuses(got)) <= {400, 413}, name, target, statuses(got))
    for body in (b"FFFFFFFFFFFFFFFFF\r\n", b"-1\r\n\r\n", b"0x0\r\n\r\n", b"\r\n", b"zz\r\n"):
        got, ended = raw(b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                         body + SECOND)
        check(ended and b"smuggled-1" not in got, body, got[:200])
    # What is refused before its body is read must not leave the body behind.
    for start in (b"GET /healthz", b"GET /nothing", b"DELETE /healthz", b"POST /healthz"):
        got, ended = raw(start + b" HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n" + SECOND)
        check(ended and b"smuggled-1" not in got, start, got[:200])
    alive()


def lines():
    """Request lines and headers that are none: an answer or an end, and never another resource."""
    cases = [
        (b"GET http://evil.example/healthz HTTP/1.1", {400}), (b"OPTIONS * HTTP/1.1", {400}),
        (b"CONNECT evil.example:443 HTTP/1.1", {400}), (b"TRACE /healthz HTTP/1.1", {405}),
        (b"get /healthz HTTP/1.1", {405}), (b"\xff\xfe /healthz HTTP/1.1", {405}),
        (b"A" * 3000 + b" /healthz HTTP/1.1", {405}), (b"GET /healthz HTTP/2.0", {505}),
        (b"GET /healthz", {400}), (b"PRI * HTTP/2.0", {505}), (b"GET /healthz%00 HTTP/1.1", {404}),
        (b"GET /\xff\xfe HTTP/1.1", {404}), (b"GET /\x1b[31m\x07 HTTP/1.1", {404}),
        (b"GET /\r HTTP/1.1", {400, 404}), (b"GET //healthz HTTP/1.1", {404}),
        (b"GET /healthz/ HTTP/1.1", {404}), (b"GET /x/../healthz HTTP/1.1", {404}),
        (b"GET /%2e%2e/healthz HTTP/1.1", {404}), (b"GET /healthz;x HTTP/1.1", {404}),
        (b"GET /healthz%3fx HTTP/1.1", {404}), (b"GET \\healthz HTTP/1.1", {400, 404}),
        (b"GET /api%2fv1%2fdeployments HTTP/1.1", {404}),
        (b"GET /api/v1/deployments/..%2f..%2fhealthz HTTP/1.1", {401}),
        (b"GET /badges/..%2f..%2fshop/staging.svg HTTP/1.1", {404}),
        (b"GET /assets/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1", {404}),
        (b"GET /assets/../../../etc/passwd HTTP/1.1", {404}),
        (b"GET /api/v1/deployments?a=%zz HTTP/1.1", {400}),
        (b"GET /api/v1/deployments?" + b"a&" * 65 + b" HTTP/1.1", {400}),
        (b"GET /" + b"x" * 40000 + b" HTTP/1.1", {414, 431}),
    ]
    for line, expected in cases:
        got, _ = raw(line + b"\r\nHost: x\r\nCookie: canary-of-a-cookie\r\n\r\n", 1)
        check(set(statuses(got)) <= expected and statuses(got), line[:80], statuses(got), got[:200])
        check(b"canary-of-a-cookie" not in got, line, "echoes the cookie")
    for count, expected in ((60, {200}), (70, {400}), (5000, {431})):
        got, _ = raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(
            b"X-%d: y\r\n" % i for i in range(count)) + b"\r\n", 1)
        check(set(statuses(got)) == expected, count, statuses(got))
    got, _ = raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100000 + b"\r\n\r\n", 1)
    check(set(statuses(got)) == {431}, statuses(got))
    raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 0.2)
    raw(os.urandom(4096), 0.2)
    alive()


def texts():
    """Texts cut in the middle of a letter, other encodings, controls: answers stay JSON, and what is
    kept is one clean line."""
    long_ = "a" * 79 + "é"
    for body, more in (({long_: 1}, {}), ({"verb": long_}, {}), ("{}", {"Content_Type": b"text/\xff"}),
                       (wanted(digests={long_: "x"}), {}), ({"app": "a\0b", "env": "x"}, {}),
                       (wanted(), {"Idempotency_Key": b"\xff\xfe"}), (b'{"app": "\xff"}', {}),
                       (b'\xef\xbb\xbf{}', {}), (b'{"app": "\\ud800"}', {}), ("[" * 5000, {}),
                       (wanted(reason="x" * 2000), {}), (wanted(version="../../x"), {}),
                       (wanted(version="v1\n"), {}), (wanted(app="../x"), {}), (wanted(env="\u202e"), {})):
        seen = ask("POST", "/api/v1/deployments", token(), body, **more)
        check(seen.status == 400 and seen.json()["code"] == "bad-request", body, seen)
    hostile = "\x1b]8;;http://evil\x07x\x1b[2J \u202ereversed\u2066 a\r\nX-Injected: 1\t<script>"
    seen = ask("POST", "/api/v1/deployments", token(), wanted(env="production", reason=hostile))
    check(seen.status == 202, seen)
    log = pathlib.Path(os.environ["WORLD"] + "/serve.err").read_bytes().decode("utf-8")
    for line in log.splitlines():
        check(isinstance(json.loads(line), dict), line)
        check(not any(ord(c) < 0x20 or ord(c) == 0x7f for c in line), "a control in the log", line)


# --- T60: slow ones, idle ones --------------------------------------------------------------------

def worst_of(count, seconds=None):
    worst, key = 0.0, token()
    for _ in range(count):
        start = time.perf_counter()
        check(ask("GET", "/api/v1/deployments", key).status == 200, "not answered")
        worst = max(worst, time.perf_counter() - start)
        time.sleep((seconds or 0) / count)
    return worst


def idle():
    """1,000 connections that say nothing, and 300 that send a byte a second."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    peers = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(1000)]
    for number, peer in enumerate(peers):
        peer.setblocking(False)
        if number % 3 == 0:
            peer.send(b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n{")
    worst = worst_of(40, 4)
    check(worst < 1, f"{worst:.2f} s with 1,000 idle connections")
    rss = rss_kib()
    end = time.monotonic() + 22
    left = peers
    while left and time.monotonic() < end:
        time.sleep(0.5)
        left = [peer for peer in left if is_open(peer)]
    check(not left, len(left), "still open")
    worst = max(worst, worst_of(10))
    print(f"{worst * 1e3:.0f} ms at worst, {rss} KiB")


def is_open(peer):
    try:
        if peer.fileno() >= 0 and peer.recv(4096):
            return True
    except BlockingIOError:
        return True
    except OSError:
        pass
    peer.close()
    return False


def bodies():
    """60 bodies of 5 MiB that lack their end, from nobody: most are cut, and what is small has room."""
    size, peers = 5 * 1024 * 1024, []
    head = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    for _ in range(60):
        peer = socket.create_connection(("127.0.0.1", PORT))
        peer.settimeout(10)
        try:
            peer.sendall(head + b"x" * (size - 10))
        except OSError:
            pass  # it was told to stop
        peers.append(peer)
    time.sleep(0.5)
    cut = []
    for peer in peers:
        peer.setblocking(False)
        try:
            cut.append(peer.recv(100))
        except BlockingIOError:
            pass
        except OSError:
            cut.append(b"")
    check(len(cut) >= 60 - 14, len(cut), "of 60 cut")
    check(all(said[:12] in (b"HTTP/1.1 503", b"") for said in cut) and any(cut), set(cut))
    check(deliver(run_body()).status == 202, "a small one")
    check(deliver(run_body(name="x" * 60000)).status == 202, "one of 60 KiB")
    for peer in peers:
        peer.close()
    time.sleep(0.5)
    check(deliver(run_body(name="x" * 4_000_000)).status == 202, "a large one, once the others are gone")


def stopping():
    """Requests on connections that stand, one after the other while it stops: each is answered, or
    its connection ends."""
    pace, count = float(os.environ["PACE"]), 600
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    peers = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(count)]
    body = run_body(7)
    time.sleep(0.3)
    os.kill(int(PID), signal.SIGTERM)
    for number, peer in enumerate(peers):
        hook = (f"POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: workflow_run\r\n"
                f"X-GitHub-Delivery: {uuid.uuid4()}\r\nX-Hub-Signature-256: {sign(body)}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        try:
            peer.sendall(hook if number % 2 else b"GET /sign-in HTTP/1.1\r\nHost: x\r\n\r\n")
        except OSError:
            break
        time.sleep(pace)
    for peer in peers:
        peer.settimeout(10)
        try:
            got = peer.recv(12)
        except OSError:
            continue
        check(got in (b"", b"HTTP/1.1 200", b"HTTP/1.1 202", b"HTTP/1.1 503"), got)


# --- T09, T10, T64: webhooks ----------------------------------------------------------------------

def sign(body, secret=None):
    return "sha256=" + hmac.new(SECRET if secret is None else secret, body, hashlib.sha256).hexdigest()


def deliver(body, signature=None, event="workflow_run", delivery=None, **more):
    return ask("POST", "/hooks/github", None, body, X_GitHub_Event=event,
               X_GitHub_Delivery=delivery or str(uuid.uuid4()),
               X_Hub_Signature_256=sign(body) if signature is None else signature, **more)


def run_body(number=5, repository="acme/infra", **run):
    return json.dumps({"action": "completed", "repository": {"full_name": repository},
                       "workflow_run": {"id": number, **run}}).encode()


def forged_hooks():
    body = run_body()
    good = sign(body)
    check(deliver(body).status == 202, "the good one")
    bad = [good.upper(), good.replace("sha256=", "sha1="), good[7:], good[:-1], good + "0", "", "sha256=",
           "sha256=" + "0" * 64, " " + good + "x", good + "\t;", "sha256=" + good, good.replace("=", "= "),
           sign(body, b""), sign(body, b"another"), sign(body + b" "), sign(b"")]
    for at in range(7, len(good)):
        flipped = "0" if good[at] != "0" else "1"
        bad.append(good[:at] + flipped + good[at + 1:])
    for signature in bad:
        seen = deliver(body, signature)
        check((seen.status, seen.code()) == (401, "token-signature"), signature, seen)
    for at in range(len(body)):
        other = body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
        seen = deliver(other, good)
        check(seen.status == 401, at, seen)
    check(deliver(json.dumps(json.loads(body), indent=1).encode(), good).status == 401, "re-encoded")
    check(deliver(b"", sign(b"")).status == 400, "nothing, signed")
    check(deliver(body, delivery="../../x").status == 400, "delivery")
    for confused in (("push", {"ref": "refs/heads/main", "repository": {
            "full_name": "evil/infra", "default_branch": "main"}}),
            ("push", {"ref": "refs/heads/x", "repository": {"full_name": "acme/infra",
                                                            "default_branch": "main"}}),
            ("push", {"ref": "refs/heads/main", "repository": {"full_name": "acme/infra/../evil",
                                                               "default_branch": "main"}}),
            ("workflow_job", {"repository": {"full_name": "acme/infra"}, "workflow_run": {"id": 5}}),
            ("workflow_run", {"repository": {"full_name": "acme/infra"}, "workflow_run": {"id": -5}}),
            ("workflow_run", {"repository": {"full_name": "acme/infra"}, "workflow_run": {"id": "5"}}),
            ("workflow_run", {"repository": {"full_name": "acme/infra"}, "workflow_run": {"id": 1e300}}),
            ("workflow_run", {"repository": {"full_name": 7}, "workflow_run": {"id": 5}}),
            ("workflow_run", {"repository": [], "workflow_run": []}),
            ("pull_request", {"repository": {"full_name": "acme/infra"}, "workflow_run": {"id": 5}})):
        seen = deliver(json.dumps(confused[1]).encode(), event=confused[0])
        check(seen.status == 202 and seen.json() == {"accepted": False}, confused, seen)
    check(metric("dispatcher_hooks_refused_total") >= len(bad) + len(body), "not counted")


def once_hooks():
    """The same delivery 100 times at once and again: one row."""
    for attempt in range(3):
        at_once(34, lambda n: deliver(run_body(77), delivery="aaaaaaaa-0000-1111"))
    check(metric("dispatcher_hooks_again_total") == 101, metric("dispatcher_hooks_again_total"))
    print(metric("dispatcher_hooks_total"))


def again_hooks():
    check(deliver(run_body(77), delivery="aaaaaaaa-0000-1111").status == 202, "")
    check(metric("dispatcher_hooks_again_total") == 1, "taken again after a restart")


def flood():
    """As many signed deliveries as a machine can send for 5 s: the API answers, memory is bounded."""
    count = 60000
    path = pathlib.Path(os.environ["WORLD"]) / "hooks"
    with open(path, "w", encoding="ascii") as file:
        for number in range(count):
            body = run_body(1000 + number % 500, ("acme/infra", "acme/shop")[number % 2], status="queued")
            file.write(f"{uuid.uuid4()} {sign(body)} {body.decode()}\n")
    before = rss_kib()
    wrk = subprocess.Popen(["wrk", "-t1", "-c64", "-d5s", "-s",
                            os.environ["DISPATCHER_ROOT"] + "/tests/bench/service_hooks.lua", URL],
                           env={**os.environ, "BENCH_HOOKS": str(path), "BENCH_THREADS": "1"},
                           stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    worst, most = 0.0, 0
    while wrk.poll() is None:
        worst, most = max(worst, worst_of(1)), max(most, rss_kib())
        time.sleep(0.1)
    good, bad, *_ = [int(word) for word in wrk.stdout.read().split("RESULT ")[1].split()]
    # More may be offered than there is room for: what is not taken is told so, and GitHub lists it.
    check(good > 5000 and bad == 0, good, "taken,", bad, "refused")
    check(worst < 2, f"{worst:.2f} s for a request of the API")
    check(most - before < 128 * 1024, f"{before} KiB have become {most}")
    alive()
    print(f"{good} taken in 5 s, {worst * 1e3:.0f} ms at worst, {before} to {most} KiB")


def proxies():
    """A login in a header, from an address that is no proxy: nobody. From the proxy: once only."""
    check(ask("GET", "/api/v1/locks", None, None, X_Login="octocat").status ==
          int(os.environ["EXPECTED"]), "one header")
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    connection.putrequest("GET", "/api/v1/locks")
    connection.putheader("X-Login", "octocat")
    connection.putheader("X-Login", "mallory")
    connection.endheaders()
    check(connection.getresponse().status == 401, "two headers name somebody")
    for login in ("octocat ; x", "../x", "octocat%00", "a" * 40, "nobody-at-all", "mallory"):
        check(ask("GET", "/api/v1/locks", None, None, X_Login=login).status == 401, login)


if __name__ == "__main__":
    main(smuggling, lines, texts, idle, bodies, stopping, forged_hooks, once_hooks, again_hooks, flood, proxies)
