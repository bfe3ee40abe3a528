#!/usr/bin/env -S python3 -B
"""People who sign in and are taken out of a team, or of the organisation. service_leaving.py WHAT."""
import time
import urllib.request

from service_threats import CONTROL, check, main, person
from service_threats_people import Browser, changes, rows, until, waiting


def acts(browser, csrf, reason="x"):
    """Makes a lock of the whole organisation, which only admins may; and takes it away again."""
    form = {"csrf": csrf, "scope": "organisation", "level": "lock", "reason": reason, "expires": "1h",
            "on_release": "run", "back": "/locks"}
    answer = browser.ask("POST", "/locks", form)
    lock = rows("SELECT 'l-' || sequence, epoch, sequence FROM deploy_locks WHERE released_ms = 0")
    return answer, lock


def faults(text):
    urllib.request.urlopen(urllib.request.Request(CONTROL + "/faults", data=text.encode())).read()


def team():
    """Out of the team: no admin any more within the time, and still somebody who may look."""
    person("monalisa", member=True, teams=["devops"])
    browser = Browser().sign_in("monalisa")
    csrf = browser.csrf()
    check(acts(browser, csrf)[1], "an admin may")
    person("monalisa", teams=[])
    time.sleep(1.2)
    before = changes()
    answer, _ = acts(browser, csrf)
    check(answer.status == 303 and changes() == before, "no admin any more", answer)
    check("only%20admins" in browser.cookies["flash"] or "may" in browser.cookies["flash"], browser.cookies)
    check(browser.ask("GET", "/locks").status == 200, "may look")
    check(browser.ask("GET", "/audit").status == 200, "may look")
    person("monalisa", member=True, teams=["devops"])


def member():
    """Out of the organisation: signed out, in every browser."""
    identity, seen = waiting("v7")
    person("monalisa", member=True, teams=["devops"])
    one, other = Browser().sign_in("monalisa"), Browser().sign_in("monalisa")
    csrf = one.csrf()
    person("monalisa", member=False, teams=[])
    time.sleep(1.2)
    before = changes()
    for browser in (one, other):
        answer = browser.ask("POST", f"/deployments/{identity}/approve", {"csrf": csrf, **seen, "back": "/"})
        check(answer.status in (303, 401, 403), answer)
        check(browser.ask("GET", "/locks").status == 303, "sent to sign in")
    check(changes() == before, "nothing changed")
    check([r for (r,) in rows("SELECT reason FROM audit WHERE kind = 'session'")].count(
        "signed out: no member any more") == 2, "told in the audit log")
    person("monalisa", member=True, teams=["devops"])
    time.sleep(1.2)
    check(one.ask("GET", "/locks").status == 303, "the old session stays ended")
    check(Browser().sign_in("monalisa").ask("GET", "/locks").status == 200, "and signing in is all it takes")


def silent():
    faults("GET */memberships/* count=all status=400")


def heard():
    urllib.request.urlopen(urllib.request.Request(CONTROL + "/reset?what=faults", data=b"")).read()


def refused(browser, csrf):
    before = changes()
    acts(browser, csrf, "too late")
    is_so = "GitHub%20could%20not%20be%20asked" in browser.cookies.get("flash", "")
    check(not is_so or changes() == before, "refused, and done")
    return is_so


def silence():
    """GitHub cannot be asked: its last word counts for a while, then nothing is changed; looking goes on."""
    person("monalisa", member=True, teams=["devops"])
    browser = Browser().sign_in("monalisa")
    csrf = browser.csrf()
    silent()
    time.sleep(1.2)
    before = changes()
    answer, _ = acts(browser, csrf, "within the grace")
    check(answer.status == 303 and changes() != before, "its last word counts", answer)
    until(lambda: refused(browser, csrf), 15)
    check(refused(browser, csrf), "closed")
    check(browser.ask("GET", "/locks").status == 200, "looking goes on")
    api = browser.ask("POST", "/api/v1/locks", None, X_CSRF_Token=csrf)
    check(api.status == 503 and api.code() == "people-unavailable", api)
    heard()
    time.sleep(1.2)
    before = changes()
    acts(browser, csrf, "again")
    check(changes() != before, "open again")
    silent()
    until(lambda: refused(browser, csrf), 15)
    check(browser.ask("POST", "/sign-out", {"csrf": csrf}).status == 303, "leaving is always possible")
    check(browser.ask("GET", "/locks").status == 303, "signed out")
    heard()


if __name__ == "__main__":
    main(team, member, silence)
