#!/usr/bin/env python3
"""How work of the service ends, and goes on elsewhere, for service_ends.bats:

    drain    replicas are told to stop while GitHub does not answer: within ten seconds they are gone, what
             may have had an effect was waited for or is in doubt, and nothing is triggered twice
    crashes  a deployment that takes its workers down three times is set aside with what is known of it
    backup   a copy that was taken while deployments run is one that a service goes on from
    lost     the database goes away, and then the service is told to stop (PostgreSQL)
    connections  three replicas under load hold no more of them than is written (PostgreSQL)

usage: service_ends.py drain|crashes|backup|lost|connections DIRECTORY sqlite|postgres

Standard library only.
"""
import concurrent.futures
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

from service_flow import Client
from service_world import Failed, World, ask, until

DRAIN_S = 10  # docs/service.md
STALLED = "GET */actions/runs/* count=all effect=delay delay=120s"


def apps_of(count, versions=1):
    return {f"app{i}": {"versions": [hashlib.sha1(f"{i}/{v}".encode()).hexdigest() for v in range(versions)]}
            for i in range(count)}


def check(good, sentence):
    if not good:
        raise Failed(sentence)


def job_of(world, made):
    return world.database.rows(f"SELECT * FROM jobs WHERE id = '{made}'")[0]


def document_of(world, made):
    rows = world.database.rows(f"SELECT document FROM deployments WHERE id = '{made}'")
    return json.loads(rows[0]["document"]) if rows else {}


def runs_of(world, made):
    """At the sandbox, by the id that the deployment sent."""
    wanted = document_of(world, made).get("dispatch_id")
    return [run for run in world.sandbox.see("state")["github"]["runs"]
            if wanted and wanted in json.dumps(run)]


def fault(world, rule):
    world.sandbox.order("faults", rule=rule)


def well_again(world):
    world.sandbox.order("reset?what=faults")


def in_a_look(world, made):
    """One worker has had it for a while: its request is on its way and is not answered."""
    def look():
        first = job_of(world, made)
        if first["state"] != "running" or first["owner"] is None:
            return False
        time.sleep(1.2)
        again = job_of(world, made)
        return (again["owner"], again["fence"]) == (first["owner"], first["fence"])
    until(60, f"{made} is looked at", look)


def stop_in_time(world):
    began = time.monotonic()
    for replica in world.replicas:
        replica.process.send_signal(signal.SIGTERM)
    for replica in world.replicas:
        code = replica.process.wait(60)
        took = time.monotonic() - began
        check(code == 0, f"replica {replica.number} ended with {code} after SIGTERM")
        check(took <= DRAIN_S, f"replica {replica.number} took {took:.1f} s to end")
    return time.monotonic() - began


def kill_all(world):
    for replica in world.replicas:
        replica.end(signal.SIGKILL)


def nothing_held(world):
    held = world.database.rows("SELECT id, owner FROM jobs WHERE owner IS NOT NULL")
    leads = world.database.rows("SELECT name, owner FROM leader_leases")
    check(held == [], f"leases were not given back: {held}")
    check(leads == [], f"leader jobs were not given back: {leads}")


def end_as(world, client, made, result):
    end = client.end_of(made)
    check(end["result"] == result, f"{made} ended as {end['result']}: {end['message']}")
    runs = runs_of(world, made)
    check(len(runs) == 1, f"{made} has {len(runs)} runs")
    return end


# --- drain -----------------------------------------------------------------------------------------


def drain_while_it_asks(world, client, app, sha):
    fault(world, "GET */repos/* count=all effect=delay delay=120s")
    world.start()
    made = client.deploy(app, "staging", sha)
    in_a_look(world, made)
    took = stop_in_time(world)
    nothing_held(world)
    check(world.sandbox.see("state")["github"]["runs"] == [], "something was triggered")
    well_again(world)
    world.start()
    end_as(world, client, made, "deployed")
    print(f"while GitHub was asked: gone after {took:.1f} s", flush=True)


def drain_while_it_triggers(world, client, app, sha, answer_s):
    """The run is there, and the answer that says so is on its way."""
    before = len(world.sandbox.see("state")["github"]["runs"])
    fault(world, f"POST */dispatches count=1 effect=delay delay-after={answer_s}s")
    made = client.deploy(app, "staging", sha)
    until(60, "it is triggered",
          lambda: len(world.sandbox.see("state")["github"]["runs"]) == before + 1)
    took = stop_in_time(world)
    nothing_held(world)
    document = document_of(world, made)
    if answer_s < 5:
        check(document.get("run_id"), f"the answer was not waited for: {document['dispatch_state']}")
    else:
        check(not document.get("run_id") and document["dispatch_state"] == "intent",
              f"what was cut off is not in doubt: {document['dispatch_state']}")
    well_again(world)
    world.start()
    end_as(world, client, made, "deployed")
    print(f"while it triggered, with an answer after {answer_s} s: gone after {took:.1f} s", flush=True)


def drain(world):
    world.build(apps_of(3))
    world.sandbox.order("github/runs/auto", seconds_to_start=0.2, seconds_to_finish=0.8)
    client = Client(world, 1)
    names = [(app, about["versions"][0]) for app, about in world.apps.items()]
    drain_while_it_asks(world, client, *names[0])
    drain_while_it_triggers(world, client, *names[1], 3)
    drain_while_it_triggers(world, client, *names[2], 60)
    world.stop()


# --- crashes ---------------------------------------------------------------------------------------


def command(world, *arguments, good=(0,)):
    done = subprocess.run([world.binary, *arguments], env=world.env | {"DISPATCHER_STATE": world.database.url},
                          capture_output=True, text=True, check=False)
    check(done.returncode in good, f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def crashes(world):
    world.build(apps_of(1))
    world.sandbox.order("github/runs/auto", seconds_to_start=0.2, seconds_to_finish=0.8)
    fault(world, STALLED)
    client = Client(world, 1)
    world.start()
    made = client.deploy("app0", "staging", world.apps["app0"]["versions"][0])
    for attempt in range(3):
        until(60, f"attempt {attempt}", lambda: job_of(world, made)["attempts"] == attempt)
        in_a_look(world, made)
        kill_all(world)
        if attempt == 2:
            well_again(world)
        world.start()
    end = client.end_of(made)
    job, document = job_of(world, made), document_of(world, made)
    row = world.database.rows(f"SELECT state, result, exit_code FROM deployments WHERE id = '{made}'")
    run = runs_of(world, made)
    check(len(run) == 1, f"{len(run)} runs")
    check((job["result"], job["code"], job["exit_code"]) == ("unknown", "quarantined", 9), f"job: {job}")
    check(row == [{"state": "final", "result": "unknown", "exit_code": 9}], f"journal: {row}")
    said = (f"working on it ended without a word three times; run {job['run_id']} is over (success), but was "
            "not followed to its end")
    for text in (job["reason"], document["message"], end["reason"]["sentence"], end["message"]):
        check(said in (text or ""), f"it does not say '{said}': {text}")
    check(document["hint"] == end["hint"] == f"'dispatcher resume {made}' goes on with it and says how it ended.",
          f"hint: {end['hint']}")
    told = world.database.rows(f"SELECT count(*) AS n FROM events WHERE deployment = '{made}'"
                               " AND json LIKE '{\"event\":\"finished\"%'")
    check(told[0]["n"] == 1, f"its end was told {told[0]['n']} times")
    check(client.send("GET", "/api/v1/audit/verify")[0] == 200, "the audit chain is broken")
    world.stop()
    history = command(world, "history")
    check(made in history and "unknown" in history, f"history: {history}")
    command(world, "resume", made)
    check(document_of(world, made)["result"] == "deployed", "resume does not say how it ended")
    check(len(runs_of(world, made)) == 1, "resume has triggered it again")
    print(f"set aside: {job['reason']}", flush=True)


# --- backup ----------------------------------------------------------------------------------------


def backup(world):
    world.build(apps_of(12, 3))
    world.sandbox.order("github/runs/auto", seconds_to_start=0.3, seconds_to_finish=2.5)
    client = Client(world, 1)
    world.start()
    for number in range(3):
        for app, about in world.apps.items():
            client.deploy(app, ("staging", "production")[number % 2], about["versions"][number])

    def under_way():
        rows = world.database.rows("SELECT state, count(*) AS n, max(run_id) AS run FROM jobs GROUP BY state")
        states = {row["state"]: row["n"] for row in rows}
        running = [row for row in rows if row["state"] == "running"]
        return states.get("queued") and running and running[0]["run"] and states.get("final")
    until(60, "some wait, some run and some have ended", under_way)
    copies = [world.folder / f"copy{i}.db" for i in range(3)]
    for copy in copies:
        command(world, "backup", str(copy))
    kill_all(world)
    for copy in copies:
        command(world, "restore", "--verify", str(copy))
    world.database.use("restored")
    command(world, "restore", str(copies[-1]), "--to", world.database.url)
    before = {row["id"]: row for row in world.database.rows("SELECT * FROM jobs")}
    known = {row["id"]: row["run_id"] for row in before.values() if row["run_id"]}
    states = {row["state"] for row in before.values()}
    check(states == {"queued", "running", "final"}, f"the copy has only {states}")
    world.start()
    until(120, "all of the copy has ended",
          lambda: world.database.rows("SELECT count(*) AS n FROM jobs WHERE state <> 'final'")[0]["n"] == 0)
    after = {row["id"]: row for row in world.database.rows("SELECT * FROM jobs")}
    check(after.keys() == before.keys(), "jobs came or went")
    for made, job in after.items():
        check(job["result"] == "deployed", f"{made} ended as {job['result']}: {job['reason']}")
        if made in known:  # it was followed, and not triggered again
            check(job["run_id"] == known[made], f"{made} has another run")
            check(len(runs_of(world, made)) == 1, f"{made} was triggered again")
        if before[made]["state"] == "final":
            check(job == before[made], f"{made} had ended and has changed")
    check(client.send("GET", "/api/v1/audit/verify")[0] == 200, "the audit chain is broken")
    made = client.deploy("app0", "staging", world.apps["app0"]["versions"][2])
    end_as(world, client, made, "deployed")
    world.stop()
    print(f"{len(before)} in the copy, {len(known)} of them with a run: all have ended", flush=True)


# --- lost ------------------------------------------------------------------------------------------


def lost(world):
    world.build(apps_of(1))
    world.start()
    headers = Client(world, 1).headers("app0", world.apps["app0"]["versions"][0])
    body = json.dumps({"app": "app0", "env": "staging", "version": world.apps["app0"]["versions"][0]})
    check(world.database.tell("kill") == "done", "the server cannot be killed")
    for replica in world.replicas:  # whose writer looks for its database from here on
        status = ask("POST", replica.url + "/api/v1/deployments", body,
                     headers | {"Content-Type": "application/json"})[0]
        check(status == 503, f"accepted without a database: {status}")
    print(f"without its database: gone after {stop_in_time(world):.1f} s", flush=True)


# --- connections -----------------------------------------------------------------------------------

EACH = 23  # of a replica with four workers: docs/storage.md


def connections(world):
    world.build(apps_of(24))
    world.sandbox.order("github/runs/auto", seconds_to_start=0.2, seconds_to_finish=0.8)
    world.start()
    client, most = Client(world, 1), 0
    over = threading.Event()

    def read(number):
        while not over.is_set():
            replica = world.replicas[number % len(world.replicas)]
            status, _, text = ask("GET", replica.url + ("/api/v1/queue", "/queue", "/api/v1/deployments")
                                  [number % 3], headers=client.headers(None, None), timeout=30)
            check(status == 200, f"{status} {text[:200]!r}")

    with concurrent.futures.ThreadPoolExecutor(72) as pool:
        readers = [pool.submit(read, number) for number in range(48)]
        made = [pool.submit(client.deploy, app, "staging", about["versions"][0])
                for app, about in world.apps.items()]
        try:
            for one in made:
                one.result()
            end = time.monotonic() + 60
            while time.monotonic() < end:
                most = max(most, world.database.connections())
                rows = world.database.rows("SELECT count(*) AS n FROM jobs WHERE state <> 'final'")
                if rows[0]["n"] == 0:
                    break
                time.sleep(0.1)
        finally:
            over.set()
        for reader in readers:
            reader.result()
    world.stop()
    print(f"{most} connections at most", flush=True)
    check(most <= EACH * len(world.replicas), f"{most} connections are too many")


def main():
    what, folder, database = sys.argv[1:4]
    tuning = {"DISPATCHER_LEASE_MS": "2000"} if what == "crashes" else {}
    world = World(folder, database, 1, **tuning)
    try:
        {"drain": drain, "crashes": crashes, "backup": backup, "lost": lost,
         "connections": connections}[what](world)
    except (Failed, subprocess.TimeoutExpired) as error:
        print(f"FAILED: {error}", flush=True)
        return 1
    finally:
        world.close()
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
