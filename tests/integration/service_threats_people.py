#!/usr/bin/env -S python3 -B
"""Attacks by people and by what their browsers are made to send. service_threats_people.py WHAT."""
import http.cookies
import json
import os
import re
import sqlite3
import threading
import time
import urllib.parse
import urllib.request

from service_threats import (CONTROL, PORT, URL, Answer, ask, asked, check, http, main, metric,
                             person, token, wanted)

CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src "
       "'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")


def rows(sql):
    path = os.environ["WORLD"] + "/state.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as database:
        return database.execute(sql).fetchall()


def changes():
    """All that anybody can change, to see that nothing did."""
    return (rows("SELECT id, state, code, urgent FROM jobs ORDER BY id"), rows(
        "SELECT * FROM deploy_locks ORDER BY 1"), rows("SELECT count(*) FROM approvals"))


def until(what, seconds=10):
    end = time.monotonic() + seconds
    while not what():
        check(time.monotonic() < end, "not in time")
        time.sleep(0.05)


def job_of(identity, key):
    return ask("GET", f"/api/v1/deployments/{identity}", key).json()


def waiting(version="v1"):
    """A deployment of octocat's that waits for approvals, and what is to be approved."""
    made = ask("POST", "/api/v1/deployments", token(), wanted(env="production", version=version))
    check(made.status == 202, made)
    identity, key = made.json()["id"], token()
    until(lambda: (job_of(identity, key)["reason"] or {}).get("code") == "approval-needed")
    approvals = job_of(identity, key)["approvals"]
    return identity, {"version": approvals["version"], "diff": approvals["diff"]}


# --- who may change what ----------------------------------------------------------------------------

def endpoints(identity, seen, lock):
    target = {"scope": "target", "app": "shop", "env": "staging", "reason": "x"}
    return {
        "cancel": (f"/deployments/{identity}/cancel", {}),
        "approve": (f"/deployments/{identity}/approve", seen),
        "reject": (f"/deployments/{identity}/approve", {**seen, "reject": True}),
        "hurry": (f"/deployments/{identity}/hurry", {"reason": "x"}),
        "release": (f"/locks/{lock['id']}/release", {"epoch": lock["epoch"]}),
        "organisation": ("/locks", {"scope": "organisation", "reason": "x"}),
        "environment": ("/locks", {"scope": "environment", "env": "staging", "reason": "x"}),
        "freeze": ("/locks", {**target, "level": "freeze"}),
        "new version": ("/deployments", wanted(version="never-seen")),
        "emergency": ("/deployments", wanted(emergency=True, reason="x")),
        "push": ("/apps/shop/environments/staging/push", None),
        "target": ("/locks", target),
        "app": ("/locks", {"scope": "app", "app": "shop", "reason": "x"}),
        "explain": ("/explain", {"app": "shop", "env": "staging"}),
    }


def strangers():
    """No member, a bot, a member of no team, a job: each at everything that changes something."""
    identity, seen = waiting()
    admin = person("monalisa")
    lock = ask("POST", "/api/v1/locks", admin, {"scope": "target", "app": "tools", "env": "staging",
                                                "reason": "mine"}).json()
    before, all_ = changes(), endpoints(identity, seen, lock)
    nobody = {"no member": person("mallory"), "no token": None, "unknown": "ghp_nobody",
              "left": person("leaver", member=False, teams=[]),
              "a job of another repository": token(repository="acme/tools")}
    for who, key in nobody.items():
        for name, (path, body) in all_.items():
            answer = ask("POST", "/api/v1" + path, key, body)
            check(answer.status in (401, 403, 404) or name == "explain", who, name, answer)
    may_not = ("cancel", "approve", "reject", "hurry", "release", "organisation", "environment",
               "freeze", "new version", "emergency", "push")
    for who, key in {"bot": person("hubot"), "no team": person("eve", teams=[])}.items():
        for name in may_not:
            answer = ask("POST", "/api/v1" + all_[name][0], key, all_[name][1])
            check(answer.status in (401, 403), who, name, answer)
    for name in ("approve", "reject", "hurry", "release", "organisation", "freeze", "target"):
        answer = ask("POST", "/api/v1" + all_[name][0], token(), all_[name][1])
        check((answer.status, answer.code()) == (401, "sign-in-needed"), "own job", name, answer)
    check(changes() == before, "something changed", before, changes())
    # The epoch is a nonce: without it, or with another one, nobody lifts a lock.
    for epoch in (None, -1, 0, lock["epoch"] + 1, str(lock["epoch"]), 2**63, True):
        answer = ask("POST", f"/api/v1/locks/{lock['id']}/release", admin, {"epoch": epoch})
        check(answer.status in (400, 409), epoch, answer)
    check(changes() == before, "lifted")


def approvals():
    """Two people are needed: not the one who asks, not one twice, not for what has changed."""
    identity, seen = waiting()
    path = f"/api/v1/deployments/{identity}/approve"
    own, one, other = person("octocat"), person("monalisa"), person("ada", teams=["devops"])
    check(ask("POST", path, own, seen).status == 403, "one's own request")
    for bad in ({}, {"version": seen["version"]}, {"diff": seen["diff"]}, {**seen, "version": "v2"},
                {**seen, "diff": seen["diff"] + "x"}, {**seen, "version": None},
                {**seen, "diff": ""}, {**seen, "version": seen["version"].upper()}):
        answer = ask("POST", path, one, bad)
        check((answer.status, answer.code()) == (409, "state-conflict"), bad, answer)
    for _ in range(3):
        check(ask("POST", path, one, seen).status == 202, "approve")
    time.sleep(1)
    job = job_of(identity, one)
    check(job["state"] == "queued" and len(job["approvals"]["given"]) == 1, "one counts twice", job)
    # A newer version is another thing: nothing of the first one's approvals counts for it.
    made = ask("POST", "/api/v1/deployments", token(), wanted(env="production", version="v2"))
    newer = made.json()["id"]
    check(job_of(newer, one)["approvals"]["given"] == [], "inherited")
    answer = ask("POST", f"/api/v1/deployments/{newer}/approve", other, seen)
    check(answer.status == 409, "approved by what another page showed", answer)
    check(ask("POST", path, other, seen).status in (202, 409), "second")
    until(lambda: job_of(identity, one)["state"] != "queued")
    check(ask("POST", path, other, seen).status == 409, "after it began")
    check(job_of(newer, one)["state"] == "queued", "let through")


def emergencies():
    """The emergency path: a reason, and one of the teams; and it is written down."""
    for reason in (None, "", "   ", "\t", "\u00a0"[:0]):
        for key in (token(), person("monalisa")):
            answer = ask("POST", "/api/v1/deployments", key, wanted(
                env="production", emergency=True, reason=reason))
            check(answer.status in (400, 403), repr(reason), answer)
    answer = ask("POST", "/api/v1/deployments", token(actor="eve"), wanted(
        env="production", emergency=True, reason="now"))
    check(answer.status == 403, "an actor of no team", answer)
    for value in ("true", 1, "yes", [True]):  # not a boolean: no emergency, or refused
        answer = ask("POST", "/api/v1/deployments", token(actor="eve"), wanted(
            env="production", version=f"v{hash(str(value)) % 997}", emergency=value, reason="now"))
        check(answer.status == 400 or answer.json()["emergency"] is False, value, answer)
    check(rows("SELECT count(*) FROM jobs WHERE emergency") == [(0,)], "an emergency")
    answer = ask("POST", "/api/v1/deployments", token(), wanted(
        env="production", emergency=True, reason="checkout is down", version="v0"))
    check(answer.status == 202, answer)
    lines = ask("GET", "/audit.csv?view=bypasses", person("octocat")).body.decode().splitlines()
    check(len([line for line in lines if "checkout is down" in line and ",allow," in line]) == 1, lines)
    check(len([line for line in lines if ",allow," in line]) == 1, lines)


# --- a browser --------------------------------------------------------------------------------------

class Browser:
    """Keeps cookies as a browser does, and follows nothing."""

    def __init__(self):
        self.cookies, self.set = {}, []

    def ask(self, method, path, fields=None, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            names["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        body = urllib.parse.urlencode(fields) if fields is not None else None
        if body is not None:
            names.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        read = Answer(answer.status, answer.headers, answer.read())
        self.set = answer.headers.get_all("Set-Cookie") or []
        for line in self.set:
            for name, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
        connection.close()
        return read

    def begin(self, login, query=""):
        """To GitHub and back to where it sends us; the path of the callback."""
        there = self.ask("GET", "/sign-in/github" + query).headers["Location"]
        opener = urllib.request.build_opener(Stay)
        try:
            back = opener.open(f"{there}&login={login}").headers["Location"]
        except urllib.error.HTTPError as answer:
            back = answer.headers["Location"]
        parts = urllib.parse.urlsplit(back)
        return f"{parts.path}?{parts.query}"

    def sign_in(self, login):
        answer = self.ask("GET", self.begin(login))
        check(answer.status == 303, login, answer)
        return self

    def csrf(self):
        return re.search(rb'name=csrf value="([0-9a-f]{64})"', self.ask("GET", "/locks").body)[1].decode()


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def sessions():
    """Nothing that was there before signing in is worth anything afterwards; flows are one browser's."""
    browser = Browser()
    browser.cookies["session"] = fixed = "a" * 64
    browser.sign_in("octocat")
    session = browser.cookies["session"]
    check(session != fixed and re.fullmatch("[0-9a-f]{64}", session), "a session was fixed", session)
    line = [c for c in browser.set if c.startswith("session=")][0]
    check(line.endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"), line)
    check(session.encode() not in open(os.environ["WORLD"] + "/state.db", "rb").read(), "kept as it is")
    again = Browser()
    again.cookies = dict(browser.cookies)
    again.sign_in("octocat")
    check(Browser().ask("GET", "/locks").status == 303, "nobody")
    old = Browser()
    old.cookies["session"] = session
    check(old.ask("GET", "/locks").status == 303, "the session before another sign-in lives on")
    for bad in ("", "0" * 64, again.cookies["session"][:-1], again.cookies["session"].upper(),
                again.cookies["session"] + "0", "proxy/octocat", "' OR 1=1 --", "a" * 5000):
        old.cookies["session"] = bad
        check(old.ask("GET", "/locks").status in (303, 400), "session", bad)
    out = again.ask("POST", "/sign-out", {"csrf": again.csrf()})
    check(out.status == 303 and "session" not in again.cookies, out)
    # The callback: without the cookie of the flow, with another's, twice, with another state.
    one, two = Browser(), Browser()
    mine, theirs = one.begin("octocat"), two.begin("monalisa")
    check(Browser().ask("GET", mine).status == 403, "no flow")
    check(one.ask("GET", theirs).status == 403, "another's flow: login CSRF")
    one = Browser()
    mine = one.begin("octocat")
    flow = dict(one.cookies)
    check(one.ask("GET", mine).status == 303, "own")
    one.cookies = flow
    check(one.ask("GET", mine).status == 403, "a code twice")
    for bad in ("?code=x", "?state=x", "?code=x&state=" + "0" * 48, "?error=access_denied", "?code=" + "x" * 9000):
        three = Browser()
        three.begin("octocat")
        check(three.ask("GET", "/sign-in/callback" + bad).status in (403, 414, 431), bad)
    check(Browser().ask("GET", Browser().begin("mallory")).status == 403, "a stranger's")


def redirects():
    """Where signing in and forms lead to is here, whatever the address says."""
    out = ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
           "/%09/evil.example", "javascript:alert(1)", "/\r\nSet-Cookie: x=y", "/%0d%0aX: y", " //evil.example",
           "http:evil.example", "/@evil.example", "///evil.example", "/.//evil.example", "data:text/html,x",
           "/sign-in?next=//evil.example", "/sign-out", "", "evil", "/" + "x" * 9000, "/é", "/<script>"]
    browser = Browser().sign_in("octocat")
    csrf = browser.csrf()
    for where in out:
        quoted = urllib.parse.quote(where, safe="")
        for seen in (browser.ask("GET", f"/sign-in?next={quoted}"),
                     browser.ask("POST", "/theme", {"theme": "dark", "back": where}),
                     browser.ask("POST", "/locks/l-0/release", {"csrf": csrf, "epoch": "1", "back": where})):
            check(seen.status in (303, 400, 404, 414, 431), where[:40], seen)
            is_here(seen, where)
        fresh = Browser()
        back = fresh.begin("octocat", f"?next={quoted}") if len(where) < 999 else None
        if back:
            is_here(fresh.ask("GET", back), where)


def is_here(answer, where):
    location = answer.headers.get("Location")
    check(location is None or re.fullmatch(r"/(?![/\\])[!-~]*", location), repr(where), location)
    check(location is None or urllib.parse.urlsplit(urllib.parse.urljoin(URL, location)).netloc ==
          urllib.parse.urlsplit(URL).netloc, where, location)
    check("X" not in answer.headers and not any(
        "x=y" in c for c in answer.headers.get_all("Set-Cookie") or []), "a header was injected", where)


def forms(identity, seen, lock):
    return {
        f"/deployments/{identity}/cancel": {"reason": "x"},
        f"/deployments/{identity}/approve": {**seen, "note": "x"},
        f"/deployments/{identity}/hurry": {"reason": "x"},
        "/apps/shop/rollback": {"env": "production", "to": "v1", "reason": "x"},
        "/apps/shop/promote": {"env": "production", "from": "staging"},
        "/apps/shop/deploy": {"env": "staging", "version": "v1"},
        "/locks": {"scope": "organisation", "level": "lock", "on_release": "run", "reason": "x"},
        f"/locks/{lock['id']}/release": {"epoch": lock["epoch"]},
        "/sign-out": {},
    }


def crossed():
    """What another site makes a browser send, at every form and every endpoint of the API."""
    identity, seen = waiting()
    browser, other = Browser().sign_in("monalisa"), Browser().sign_in("octocat")
    lock = ask("POST", "/api/v1/locks", person("monalisa"), {
        "scope": "target", "app": "tools", "env": "staging", "reason": "x"}).json()
    mine, theirs, before = browser.csrf(), other.csrf(), changes()
    ways = {
        "no token": ({}, {}), "an empty one": ({"csrf": ""}, {}), "another's": ({"csrf": theirs}, {}),
        "zeros": ({"csrf": "0" * 64}, {}), "a shorter one": ({"csrf": mine[:-1]}, {}),
        "another origin": ({"csrf": mine}, {"Origin": "https://evil.example"}),
        "no origin": ({"csrf": mine}, {"Origin": "null"}),
        "nearly ours": ({"csrf": mine}, {"Origin": URL + ".evil.example"}),
        "cross-site": ({"csrf": mine}, {"Sec_Fetch_Site": "cross-site"}),
        "same-site": ({"csrf": mine}, {"Sec_Fetch_Site": "same-site"}),
        "as text": ({"csrf": mine}, {"Content_Type": "text/plain"}),
        "in the address": (None, {}),
    }
    for path, fields in forms(identity, seen, lock).items():
        for way, (more, headers) in ways.items():
            if path == "/sign-out" and "Sec_Fetch_Site" in headers:
                continue  # the token of its own page is enough to leave
            target = f"{path}?csrf={mine}" if more is None else path
            answer = browser.ask("POST", target, {**fields, **(more or {})}, **headers)
            check(answer.status == 403, path, way, answer)
    for name, (path, body) in endpoints(identity, seen, lock).items():
        for more in ({}, {"X_CSRF_Token": theirs}, {"X_CSRF_Token": mine, "Origin": "https://evil.example"}):
            answer = api(browser, "/api/v1" + path, body, more)
            check(answer.status in (401, 403), name, more, answer)
    check(changes() == before, "a forged form changed something")
    for path in forms(identity, seen, lock):
        check(browser.ask("GET", path).status in (404, 405, 200), path)
    check(changes() == before, "a GET changed something")
    good = browser.ask("POST", f"/locks/{lock['id']}/release", {"csrf": mine, "epoch": lock["epoch"]},
                       Sec_Fetch_Site="same-origin", Origin=URL)
    check(good.status == 303 and changes() != before, "our own form", good)


def api(browser, path, body, headers):
    names = {"Cookie": f"session={browser.cookies['session']}", **headers}
    return ask("POST", path, None, body, **names)


def secure():
    """Behind TLS: cookies that no other host and no plain page can set or see."""
    browser = Browser()
    answer = browser.ask("GET", "/sign-in/github")
    check(browser.set and all(c.startswith("__Host-") and c.endswith(
        "; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure") for c in browser.set), browser.set)
    check(answer.headers["Strict-Transport-Security"] == "max-age=31536000", "no HSTS")
    check("redirect_uri=https%3A%2F%2Fdeploy.example.org%2Fsign-in%2Fcallback" in
          answer.headers["Location"], answer.headers["Location"])


# --- T46, T47: texts of strangers on pages -----------------------------------------------------------

MARKUP = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'><svg onload=alert(1)>",
          "</title><script>alert(1)</script>", "</textarea><script>alert(1)</script>", "<!--<script>",
          '" onmouseover="alert(1)', "javascript:alert(1)", "&lt;script&gt;", "<iframe srcdoc=x>",
          "<a href=javascript:alert(1)>x</a>", "{{7*7}}${7*7}", "\u202e<b>", "]]><script>", "`<b>`"]
FORMULAS = ["=cmd|'/C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "=HYPERLINK(\"http://evil\")"]


def plant():
    """Every text that somebody may choose: reasons, notes, names, claims."""
    eve = person("eve", teams=["devops"], name=MARKUP[0])
    ids = []
    for number, text in enumerate(MARKUP + FORMULAS):
        made = ask("POST", "/api/v1/locks", eve, {"scope": "target", "app": "tools", "env": "staging",
                                                  "level": "warning", "reason": text})
        check(made.status == 201, made)
        made = ask("POST", "/api/v1/deployments", token(
            claims={"head_ref": text, "workflow": text, "environment": text}), wanted(
                env="production", version=f"x{number}", reason=text))
        check(made.status in (202, 401, 403), made)
        if made.status == 202:
            ids.append(made.json()["id"])
    for actor in MARKUP[:3]:
        ask("POST", "/api/v1/deployments", token(actor=actor), wanted(env="production", version="y"))
    ask("POST", f"/api/v1/deployments/{ids[0]}/cancel", eve, {"reason": MARKUP[1]})
    return ids


def pages():
    """No page holds a stranger's markup, and each has all headers, refusals too."""
    ids = plant()
    browser = Browser().sign_in("monalisa")
    bad = [text for text in MARKUP if "<" in text and not text.startswith("&")]
    paths = ["/", "/queue", "/locks", "/audit", "/apps/shop", "/apps/tools", "/sign-in"]
    paths += [f"/deployments/{i}" for i in ids[:3] + ids[-3:]]
    paths += ["/nothing", "/deployments/d-0", "/apps/nothing", "/?at=x", "/audit?kind=" + quote(MARKUP[1]),
              "/audit?actor=" + quote(MARKUP[6]), "/?at=" + quote(MARKUP[1]), "/sign-in?next=" + quote("/" + MARKUP[1]),
              "/" + quote(MARKUP[0]), "/apps/" + quote(MARKUP[0]), "/deployments/" + quote(MARKUP[0]),
              "/badges/shop/production.svg", "/reason-codes", "/sign-in/callback?error=" + quote(MARKUP[0])]
    for path in paths:
        answer = browser.ask("GET", path, Accept_Encoding="identity")
        text, type_ = answer.body.decode(), answer.headers["Content-Type"] or ""
        check(answer.headers["X-Frame-Options"] == "DENY", path, "frames")
        check(answer.headers["X-Content-Type-Options"] == "nosniff", path, "sniffs")
        policy = answer.headers["Content-Security-Policy"]
        check(policy == CSP or policy.startswith("default-src 'none'"), path, policy)
        check("unsafe" not in policy or path.startswith("/badges/"), path, policy)
        if "html" in type_ or "svg" in type_:
            for markup in bad:
                check(markup not in text, path, "holds", markup)
            tags = re.sub(r'="[^"]*"', '=""', text)  # what is quoted is a value
            check(not re.search(r"<[^>]*\son[a-z]+\s*=", tags), path, "has a handler")
            check(not re.search(r"<[^>]*\s(href|src|action)\s*=\s*[\"']?\s*(javascript|data:text)", text), path)
            check("<script>" not in text and "<style" not in text.replace("<style>", "", path.startswith(
                "/badges")), path, "inline")
        if "html" in type_ and path != "/reason-codes":
            check(policy == CSP, path, policy)
    sheet(browser)


def quote(text):
    return urllib.parse.quote(text, safe="")


def sheet(browser):
    """The audit log as a table of a spreadsheet: no cell is a formula."""
    import csv  # only here
    for path in ("/audit.csv",):
        text = browser.ask("GET", path).body.decode()
        cells = [cell for row in csv.reader(text.splitlines(keepends=True)) for cell in row]
        check(len(cells) > 100, len(cells))
        for cell in cells:
            number = re.fullmatch(r"-?\d+", cell)
            check(number or cell[:1] not in ("=", "+", "-", "@", "\t", "\r"), repr(cell))


def counted():
    """A form that is refused is one refusal."""
    browser = Browser().sign_in("monalisa")
    csrf, before = browser.csrf(), metric("dispatcher_denied_total")
    browser.ask("POST", "/apps/shop/deploy", {"csrf": csrf, "env": "staging", "version": "never-seen"})
    check(metric("dispatcher_denied_total") == before + 1, "counted twice")


def guesses():
    """Tokens that are nobody's: beyond their limit GitHub is not asked about any, and whoever was known
    before is still let in."""
    known, before = person("octocat"), asked()
    check(ask("GET", "/api/v1/locks", known).status == 200, "somebody")
    seen = [ask("GET", "/api/v1/locks", f"ghp_guess{number}") for number in range(200)]
    check([answer.status for answer in seen[:120]] == [401] * 120, "the first 120")
    late = [answer.status for answer in seen[125:]]
    check(set(late) <= {401, 429} and late.count(429) > 60, late)
    check(int(seen[-1].headers["Retry-After"]) >= 1, "when to come again")
    check(asked() - before < 140, asked() - before, "requests to GitHub for 200 guesses")
    check(ask("GET", "/api/v1/locks", known).status == 200, "somebody who was known")
    check(ask("GET", "/api/v1/deployments", token()).status == 200, "a job")


def limited():
    """GitHub is tired of us: that is not somebody who is nobody, now or for a minute."""
    key = person("octocat")
    rule = 'GET */user count=1 status=403 header="Retry-After: 60" body="{}"'
    urllib.request.urlopen(f"{CONTROL}/faults", rule.encode()).close()
    seen = ask("GET", "/api/v1/locks", key)
    check((seen.status, seen.code()) == (503, "people-unavailable"), seen)
    check(ask("GET", "/api/v1/locks", key).status == 200, "a moment later")


class Asked(threading.Thread):
    """A request of its own thread; `answer` is None while it hangs."""

    def __init__(self, *wanted, **headers):
        super().__init__(daemon=True)
        self.wanted, self.headers, self.answer = wanted, headers, None
        self.start()

    def run(self):
        self.answer = ask(*self.wanted, **self.headers)


def seekers(number):
    """One of each request that looks somebody up at GitHub."""
    job = token(actor=f"seeker-{number}")
    return [("POST", "/api/v1/deployments", job, wanted(version=f"v{number}")),
            ("POST", "/api/v1/explain", job, {"app": "shop", "env": "staging"}),
            ("POST", "/api/v1/explain", job, {"app": "shop"}),
            ("POST", "/api/v1/apps/shop/environments/staging/push", job),
            ("GET", "/api/v1/locks", None, None, f"seeker-{number}"),
            ("GET", "/locks", None, None, f"seeker-{number}"),
            ("GET", "/api/v1/locks", person(f"holder-{number}"))]


def hanging():
    """GitHub hangs: four threads wait for it, and whoever would be the fifth is sent away at once."""
    reader = token()
    check(ask("GET", "/api/v1/deployments", reader).status == 200, "somebody reads")
    browser = Browser()
    back = browser.begin("octocat")
    kinds = list(zip(*[seekers(number) for number in range(3)]))
    urllib.request.urlopen(f"{CONTROL}/faults", b"GET * count=all effect=delay delay=120s").close()
    seekings = [one for kind in kinds for one in kind]
    flying = [Asked(*one[:4], **({"X_Login": one[4]} if len(one) > 4 else {})) for one in seekings]
    until(lambda: sum(one.answer is not None for one in flying) == len(flying) - 4, 15)
    check(ask("GET", "/readyz").status == 200, "ready")
    check(ask("GET", "/sign-in").status == 200, "a page")
    check(ask("GET", "/api/v1/deployments", reader).status == 200, "somebody reads again")
    late = browser.ask("GET", back)
    check(late.status == 503 and late.headers["Retry-After"] == "1", "signing in", late)
    check(sum(one.answer is None for one in flying) == 4, "answered while four hang",
          [one.answer for one in flying])
    for one in flying:
        if one.answer is not None:
            check(one.answer.status == 503 and one.answer.headers["Retry-After"] == "1", one.wanted, one.answer)
            page = one.wanted[1] == "/locks"
            check(page or one.answer.code() == "people-unavailable", one.wanted, one.answer)
    urllib.request.urlopen(urllib.request.Request(CONTROL + "/reset?what=faults", data=b"")).read()
    for one in flying:
        one.join(30)
    person("seeker-0", member=True, teams=["devops"])
    check(ask("POST", "/api/v1/deployments", token(actor="seeker-0"), wanted()).status == 202, "a place is free again")
    check(browser.ask("GET", back).status == 303, "the same page again signs in")


if __name__ == "__main__":
    main(hanging, guesses, limited, strangers, approvals, emergencies, sessions, redirects, crossed, secure, pages, counted)
