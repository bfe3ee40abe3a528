#!/usr/bin/env python3
"""The service's real flow, end to end and under fire, for service.bats: repositories whose jobs deploy at
once, webhooks that are lost, doubled and shuffled, runs that fail, people who cancel, promote and roll
back, and replicas that are killed at random. What was promised is then counted, in the database, at the
sandbox and in the audit log.

usage: service_flow.py flow|restart DIRECTORY sqlite|postgres

DIRECTORY has an infra repository (service.bats). FLOW_SEED, FLOW_APPS, FLOW_VERSIONS, FLOW_KILLS say how
much of it; DISPATCHER_LONG=1 is more of all. Standard library only.
"""
import concurrent.futures
import hashlib
import http.client
import json
import os
import random
import signal
import sys
import threading
import time

import service_check
from service_world import Failed, World, ask, until

LONG = bool(os.environ.get("DISPATCHER_LONG"))
PATIENCE = 240 if LONG else 120  # for all that was accepted to end
KINDS = ("plain", "latest", "promote", "cancel", "rollback")


def number_of(name, usual, long):
    return int(os.environ.get(name) or (long if LONG else usual))


def commits(app, count):
    return [hashlib.sha1(f"{app}/{i}".encode()).hexdigest() for i in range(count)]


def apps_of(count, versions):
    apps = {}
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        app = apps[f"app{i:02}"] = {"kind": kind, "versions": commits(i, versions)}
        app["staging"] = {"latest": ["queue: latest"], "rollback": ["stale: allow"]}.get(kind, [])
        if kind == "promote":
            app["production"] = ["promote_from: {environment: staging, same_digest: true}"]
    return apps


class Client:
    """What jobs and people do: one replica at random, another one when it does not answer."""

    def __init__(self, world, seed):
        self.world = world
        self.random = random.Random(seed)
        self.accepted = {}  # id to what was asked
        self.lock = threading.Lock()
        self.retries = self.answered_again = 0
        self.stops = set()

    def chance(self):
        with self.lock:
            return self.random.random()

    def headers(self, app, sha):
        if app is None:
            return {"Authorization": "Bearer " + self.world.people["octocat"]}
        token = self.world.sandbox.token(app, self.world.url, sha)
        return {"Authorization": "Bearer " + token}

    def send(self, method, path, body=None, who=(None, None), key=None):
        """Until there is an answer that is none of a replica that goes or has gone."""
        headers = self.headers(*who)
        if key is not None:
            headers["Idempotency-Key"] = key
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        end = time.monotonic() + 90
        while True:
            replicas = self.world.replicas
            replica = replicas[int(self.chance() * len(replicas))]
            problem = None
            try:
                status, _, text = ask(method, replica.url + path, body, headers, timeout=10)
                if status < 500 and status != 429:
                    return status, json.loads(text) if text[:1] == b"{" else text
                problem = f"{status} {text[:200]!r}"
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
            with self.lock:
                self.retries += 1
            if time.monotonic() > end:
                raise Failed(f"{method} {path} has no answer: {problem}")
            if who[0] is not None and self.chance() < 0.5:  # a step that runs again has a new token
                headers |= self.headers(*who)
            time.sleep(0.05 + 0.2 * self.chance())

    def create(self, who, **body):
        """A deployment that was accepted, or None; what it may not be is a surprise."""
        key = f"{body['app']}-{body['env']}-{int(self.chance() * 2**52):x}"
        status, answer = self.send("POST", "/api/v1/deployments", body, who, key)
        if status in (200, 202):
            with self.lock:
                self.accepted[answer["id"]] = body | {"key": key, "by": who[0] or "octocat"}
                self.answered_again += status == 200
            return answer["id"]
        if status in (403, 409, 422):
            return None
        raise Failed(f"POST {body}: {status} {answer}")

    def deploy(self, app, env, sha):
        made = self.create((app, sha), app=app, env=env, version=sha)
        if made is None:
            raise Failed(f"{app} may not deploy {sha} to {env}")
        return made

    def cancel(self, app, sha, made):
        with self.lock:
            self.stops.add(made)
        status, answer = self.send("POST", f"/api/v1/deployments/{made}/cancel",
                                   {"reason": "not this one"}, (app, sha))
        if status not in (200, 202, 409):  # 409: it has ended by now
            raise Failed(f"cancel {made}: {status} {answer}")

    def end_of(self, made):
        def look():
            status, answer = self.send("GET", f"/api/v1/deployments/{made}")
            if status != 200:
                raise Failed(f"GET {made}: {status} {answer}")
            return answer if answer["state"] == "final" else None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = look()
            if answer is not None:
                return answer
            time.sleep(0.5)
        raise Failed(f"{made} does not end")


# --- what an app's people do -----------------------------------------------------------------------


def story(client, app, kind, env, versions):
    for number, sha in enumerate(versions):
        if kind == "promote" and env == "production":
            continue
        made = client.deploy(app, env, sha)
        if kind == "cancel" and number % 2 == 0:
            time.sleep(2 * client.chance())
            client.cancel(app, sha, made)
        if kind == "promote":
            if client.end_of(made)["result"] == "deployed":
                client.create((None, None) if number % 2 else (app, sha), verb="promote", app=app,
                              env="production", **{"from": "staging"})
        if kind == "rollback" and env == "staging" and number == len(versions) - 1:
            client.end_of(made)
            client.create((None, None), verb="rollback", app=app, env=env, to=versions[0],
                          reason="it is slower")


def all_stories(world, client):
    work = [(app, about["kind"], env, about["versions"])
            for app, about in world.apps.items() for env in ("staging", "production")]
    world.random.shuffle(work)
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        for done in concurrent.futures.as_completed(
                [pool.submit(story, client, *one) for one in work]):
            done.result()


# --- what happens to them --------------------------------------------------------------------------


class Trouble(threading.Thread):
    """Replicas end and come again; now and then, runs fail for a second. Until all kills are done, and
    nobody asks for anything any more."""

    def __init__(self, world, kills, seed):
        super().__init__(daemon=True)
        self.world, self.left, self.random = world, kills, random.Random(seed)
        self.over, self.released = threading.Event(), threading.Event()
        self.kills = self.drains = 0
        self.error = None

    def change_moods(self):
        moods = random.Random(self.random.random())
        while not self.released.wait(1):
            self.moody(moods.random() < 0.2)

    def moody(self, failing):
        self.world.sandbox.order("github/runs/auto", seconds_to_start=0.2, seconds_to_finish=0.8,
                                 conclusion="failure" if failing else "success")

    def strike(self):
        replica = self.random.choice(self.world.replicas)
        how = signal.SIGTERM if self.random.random() < 0.25 else signal.SIGKILL
        replica.end(how)
        self.kills += how == signal.SIGKILL
        self.drains += how == signal.SIGTERM
        time.sleep(self.random.random())
        replica.start()
        until(60, f"replica {replica.number} is ready again", replica.is_ready)

    def run(self):
        moods = threading.Thread(target=self.change_moods, daemon=True)
        moods.start()
        try:
            while self.left > 0:
                self.left -= 1
                time.sleep(self.random.uniform(0.2, 2.5))
                self.strike()
            self.over.wait()
        except Exception as error:  # told where everybody is waited for
            self.error = error
        self.released.set()
        moods.join()


class Watcher(threading.Thread):
    """Whoever looks sees each end once: what is final stays what it was, whatever dies."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.seen, self.changed, self.connections = world, {}, [], 0
        self.over = threading.Event()

    def look(self):
        rows = self.world.database.rows(
            "SELECT id, result, exit_code, ended_ms, superseded_by FROM jobs WHERE state = 'final'")
        now = {row["id"]: tuple(row.values()) for row in rows}
        self.changed += [(end, now.get(made)) for made, end in self.seen.items() if now.get(made) != end]
        self.seen = now
        self.connections = max(self.connections, self.world.database.connections())

    def run(self):
        while not self.over.wait(1):
            self.look()


def flow(world, seed):
    kills = number_of("FLOW_KILLS", 8, 60)
    world.build(apps_of(number_of("FLOW_APPS", 50, 50), number_of("FLOW_VERSIONS", 2, 8)))
    world.sandbox.order("github/runs/auto", seconds_to_start=0.2, seconds_to_finish=0.8)
    world.sandbox.order("github/hooks/faults", lose=0.2, vanish=0.1, double=0.2, shuffle_ms=1500,
                        seed=seed)
    world.start()
    began = time.monotonic()
    client, trouble = Client(world, seed + 1), Trouble(world, kills, seed + 2)
    watcher = Watcher(world)
    watcher.start()
    trouble.start()
    try:
        all_stories(world, client)
    finally:
        trouble.over.set()
        trouble.join(300)
    if trouble.error is not None or trouble.is_alive():
        raise Failed(f"the replicas: {trouble.error}")
    accepted = time.monotonic()

    def settled():
        return world.database.rows("SELECT count(*) AS n FROM jobs WHERE state <> 'final'")[0]["n"] == 0
    until(PATIENCE, "all that was accepted has ended", settled)
    ended = time.monotonic()
    time.sleep(1)  # webhooks that are still under way
    status, chain = client.send("GET", "/api/v1/audit/verify")
    watcher.over.set()
    watcher.join()
    watcher.look()
    world.stop()
    facts = service_check.Facts(world, client.accepted, client.stops, (status, chain))
    facts.check(not watcher.changed, f"ends that changed: {watcher.changed[:5]}")
    counts = service_check.all_promises(facts)
    most = watcher.connections
    connections = f"{most} database connections at most, " if most else ""
    print(f"{len(client.accepted)} accepted ({client.answered_again} by a second answer), "
          f"{trouble.kills} kills, {trouble.drains} drains, {client.retries} requests sent again; "
          f"{connections}accepted within {accepted - began:.1f} s, ended within {ended - began:.1f} s; "
          + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())), flush=True)


# --- a restart with a full queue -------------------------------------------------------------------

QUEUED = 10_000
COLUMNS = ("app, env, verb, version, request, state, result, exit_code, latest, emergency, urgent, "
           "requester, repository, repository_id, created_ms, due_ms")


def fill(world, apps):
    """As many more as are missing, each as the one that its app's job asked for."""
    each = QUEUED // apps - 1
    world.database.change(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {each}) "
        f"INSERT INTO jobs (id, {COLUMNS}) SELECT id || '-' || i, {COLUMNS} FROM jobs, n",
        f"UPDATE job_lanes SET queued = queued + {each}, due_ms = 0",
        "UPDATE jobs SET due_ms = 0, code = NULL, reason = NULL")


def restart(world, seed):
    del seed
    apps = number_of("FLOW_APPS", 50, 50)
    bound = float(os.environ.get("FLOW_RESTART_S") or 5)
    world.build(apps_of(apps, 1))
    world.start()
    client = Client(world, 1)
    status, lock = client.send("POST", "/api/v1/locks", {
        "scope": "organisation", "level": "lock", "reason": "the database moves"})
    if status not in (200, 201):
        raise Failed(f"lock: {status} {lock}")
    for app, about in world.apps.items():
        client.deploy(app, "staging", about["versions"][0])
    replica = world.replicas[0]
    for one in world.replicas:
        one.end(signal.SIGKILL)
    fill(world, apps)
    began = time.monotonic()
    replica.start()
    times = {}

    def decided():
        row = world.database.rows("SELECT count(*) AS n FROM jobs WHERE code = 'locked'")[0]
        return row["n"]
    until(60, "a decision", lambda: decided() > 0)
    times["first decision"] = time.monotonic() - began
    until(60, "it is ready", replica.is_ready)
    times["ready"] = time.monotonic() - began
    until(60, "all heads are decided", lambda: decided() == apps)
    times["all heads decided"] = time.monotonic() - began
    rows = world.database.rows("SELECT state, count(*) AS n, count(owner) AS held FROM jobs GROUP BY state")
    lanes = world.database.rows("SELECT sum(queued) AS n FROM job_lanes")
    world.stop()
    if [(row["state"], row["n"]) for row in rows] != [("queued", QUEUED)] or lanes[0]["n"] != QUEUED:
        raise Failed(f"the queue is not what it was: {rows} {lanes}")
    print(f"a restart with {QUEUED} queued: " +
          ", ".join(f"{name} after {value:.2f} s" for name, value in times.items()), flush=True)
    if max(times.values()) > bound:
        raise Failed(f"that is more than {bound} s")


def main():
    what, folder, database = sys.argv[1:4]
    seed = int(os.environ.get("FLOW_SEED") or random.SystemRandom().randrange(2**32))
    print(f"seed {seed}", flush=True)
    world = World(folder, database, seed)
    try:
        {"flow": flow, "restart": restart}[what](world, seed)
    except Failed as error:
        sizes = "".join(f"{name}={value} " for name, value in sorted(os.environ.items())
                        if name.startswith("FLOW_") and name != "FLOW_SEED")
        print(f"FAILED: {error}\nagain: FLOW_SEED={seed} {sizes}DISPATCHER_LONG={'1' if LONG else ''} "
              f"tests/support/run_bats build/dev/bin/dispatcher build/dev tests/fault/service.bats",
              flush=True)
        return 1
    finally:
        world.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
