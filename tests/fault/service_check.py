"""What service_flow.py holds the service to, once all is over: exact counts, from three sides that do not
believe each other: the database, the sandbox's own record of what was done to it, and the clients.
"""
import collections
import hashlib
import json
import re

from service_world import Failed

JOBS = ("SELECT number, id, app, env, verb, version, state, result, exit_code, code, reason, superseded_by,"
        " latest, emergency, urgent, run_id, created_ms, started_ms, ended_ms, attempts, owner FROM jobs"
        " ORDER BY number")
RELEASES = ("SELECT sequence, app, env, version, deployment, since_ms, until_ms FROM releases"
            " ORDER BY sequence")
AUDIT = "SELECT * FROM audit ORDER BY sequence"
TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{20,}\.|gh[pousr]_[A-Za-z0-9]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY")


class Facts:
    def __init__(self, world, accepted, stops, chain):
        self.world, self.accepted, self.stops, self.chain = world, accepted, stops, chain
        self.jobs = world.database.rows(JOBS)
        self.by_id = {job["id"]: job for job in self.jobs}
        self.releases = world.database.rows(RELEASES)
        self.audit = world.database.rows(AUDIT)
        self.documents = {row["id"]: json.loads(row["document"]) for row in
                          world.database.rows("SELECT id, document FROM deployments")}
        self.state = world.sandbox.see("state")
        self.runs = self.state["github"]["runs"]
        self.ends = collections.Counter(row["deployment"] for row in world.database.rows(
            "SELECT deployment FROM events WHERE json LIKE '{\"event\":\"finished\"%'"))
        self.counters = world.sandbox.see("counters")
        self.problems = []

    def check(self, good, sentence):
        if not good:
            self.problems.append(sentence)


def lanes_of(rows):
    lanes = collections.defaultdict(list)
    for row in rows:
        lanes[row["app"], row["env"]].append(row)
    return lanes


def each_ends_once(facts):
    for made, asked in facts.accepted.items():
        facts.check(made in facts.by_id, f"{made} was accepted and is gone: {asked}")
    for job in facts.jobs:
        facts.check(job["id"] in facts.accepted, f"{job['id']} is there, and nobody was told: {job}")
        facts.check(job["state"] == "final" and job["result"] and job["owner"] is None,
                    f"{job['id']} has not ended: {job}")
        document = facts.documents.get(job["id"])
        told = int(bool(document and (document.get("result") or document.get("unfinished"))))
        facts.check(facts.ends[job["id"]] == told, f"{job['id']} ({job['result']}) was told to have "
                    f"finished {facts.ends[job['id']]} times, not {told}")
        facts.check(document is None or job["result"] == (document.get("result") or "unknown"),
                    f"{job['id']} ended as {job['result']}, its deployment as "
                    f"{document and document.get('result')}")


def one_run_each(facts):
    """By dispatch id and by deployment; whoever was deployed had exactly one that went well."""
    runs = collections.Counter(run["inputs"]["distinct_id"] for run in facts.runs)
    facts.check(not runs or max(runs.values()) == 1, f"dispatched twice: {runs.most_common(3)}")
    facts.check(facts.counters["dispatches"] == len(facts.runs),
                f"{facts.counters['dispatches']} POSTs dispatched {len(facts.runs)} runs")
    by_id = {run["id"]: run for run in facts.runs}
    owners = collections.Counter(job["run_id"] for job in facts.jobs if job["run_id"])
    facts.check(not owners or max(owners.values()) == 1, f"runs of two: {owners.most_common(3)}")
    for job in facts.jobs:
        run = by_id.get(job["run_id"])
        facts.check(run is not None or job["result"] != "deployed", f"deployed without a run: {job}")
        if run is None:
            continue
        facts.check((run["inputs"]["application"], run["inputs"]["environment"]) ==
                    (job["app"], job["env"]), f"the run of another lane: {job} {run}")
        facts.check(run["status"] == "completed", f"{job['id']} ended before its run: {run}")
        good = run["conclusion"] == "success"
        facts.check(good or job["result"] != "deployed", f"deployed by a failed run: {job} {run}")
        facts.check(not good or job["result"] in ("deployed", "unknown", "cancelled"),
                    f"a run that went well ended as {job['result']}: {job}")
    strays = [run for run in facts.runs if run["id"] not in owners]
    unknown = sum(job["result"] == "unknown" for job in facts.jobs)
    facts.check(len(strays) <= unknown, f"{len(strays)} runs are nobody's, {unknown} are unknown: {strays[:3]}")


def one_at_a_time(facts):
    for lane, jobs in lanes_of(facts.jobs).items():
        ran = sorted((job for job in jobs if job["started_ms"]), key=lambda job: job["started_ms"])
        for one, other in zip(ran, ran[1:]):
            facts.check(one["ended_ms"] <= other["started_ms"], f"{lane}: {one} and {other} ran at once")
            facts.check(one["number"] < other["number"] or one["urgent"],
                        f"{lane}: {one} began before {other}")
    lanes = collections.defaultdict(list)
    for run in facts.runs:
        lanes[run["inputs"]["application"], run["inputs"]["environment"]].append(run)
    for lane, runs in lanes.items():
        runs.sort(key=lambda run: run["created_ms"])
        for one, other in zip(runs, runs[1:]):
            facts.check(one["updated_ms"] <= other["created_ms"], f"{lane}: runs {one} and {other} overlap")


def successors_are_named(facts):
    for job in facts.jobs:
        other = facts.by_id.get(job["superseded_by"])
        facts.check((job["result"] == "superseded") == (other is not None),
                    f"{job['id']} is {job['result']}, superseded by {job['superseded_by']}")
        if other is not None:
            facts.check((other["app"], other["env"]) == (job["app"], job["env"]) and
                        other["number"] > job["number"] and other["latest"] and not job["started_ms"],
                        f"{job} cannot be superseded by {other}")


def releases_are_a_chain(facts):
    deployed = {job["id"] for job in facts.jobs if job["result"] == "deployed"}
    made = [release["deployment"] for release in facts.releases]
    facts.check(sorted(made) == sorted(deployed),
                f"{len(made)} releases of {len(deployed)} deployments: {set(made) ^ deployed}")
    for lane, chain in lanes_of(facts.releases).items():
        for one, next_ in zip(chain, chain[1:]):
            facts.check(one["until_ms"] == next_["since_ms"] and one["since_ms"] <= one["until_ms"],
                        f"{lane}: a gap between {one} and {next_}")
        facts.check(chain[-1]["until_ms"] == 0, f"{lane}: nothing runs now: {chain[-1]}")


def promoted_was_there(facts):
    """What was promoted had been released in staging, and for no later version than that moment's."""
    for job in facts.jobs:
        if job["verb"] != "promote" or not job["started_ms"]:
            continue
        there = [one for one in facts.releases if (one["app"], one["env"]) == (job["app"], "staging") and
                 one["version"] == job["version"] and one["since_ms"] <= job["started_ms"]]
        facts.check(there, f"{job['id']} promotes {job['version']}, which was not in staging: {job}")


def parameters_are_true(facts):
    """What is there is what was released last, or what a first deployment that failed had to leave."""
    seen = {one["name"]: one["versions"][-1]["value"] for one in facts.state["aws"]["parameters"]}
    now = {(one["app"], one["env"]): one["version"] for one in facts.releases if one["until_ms"] == 0}
    doubtful = 0
    for lane, jobs in lanes_of(facts.jobs).items():
        ran = sorted((job for job in jobs if job["started_ms"]), key=lambda job: job["started_ms"])
        value, expected = seen.get(f"/{lane[0]}/{lane[1]}/web/version"), now.get(lane)
        if any(job["result"] == "unknown" for job in ran):  # nobody knows, so neither do we
            doubtful += 1
            continue
        for job in ran:
            if job["exit_code"] == 8:
                facts.check("NOT restored (the parameter did not exist before)" in job["reason"],
                            f"not restored, and nobody knows why: {job}")
                expected = expected or job["version"]
        facts.check(value == expected, f"{lane} says {value}, released is {expected}")
    return doubtful


def audit_is_whole(facts):
    status, chain = facts.chain
    facts.check(status == 200 and chain.get("broken_at") in (0, None) and
                chain.get("entries") == len(facts.audit), f"audit/verify: {status} {chain}, "
                f"{len(facts.audit)} entries")
    previous = "0" * 64
    for number, entry in enumerate(facts.audit, 1):
        facts.check(entry["sequence"] == number and entry["previous"] == previous,
                    f"audit entry {number} does not follow the one before: {entry}")
        previous = entry["hash"]
    entries = collections.defaultdict(list)
    for entry in facts.audit:
        entries[entry["deployment"]].append(entry)
    for made in facts.by_id:
        mine = entries[made]
        allowed = [e for e in mine if e["kind"] == "decision" and e["verdict"] == "allow"]
        ended = [e for e in mine if e not in allowed and e["verdict"] in ("deny", "done") and not is_wish(e)]
        facts.check(len(allowed) == 1, f"{made} has {len(allowed)} entries that allow it")
        job = facts.by_id[made]
        wishes = [e for e in mine if is_wish(e)]
        direct = job["result"] == "cancelled" and not job["started_ms"] and not ended
        facts.check(len(ended) == 1 or (direct and wishes),
                    f"{made} ({job['result']}, {job['code']}, started {job['started_ms']}) has {len(ended)} "
                    f"entries of its end: {[(e['kind'], e['verdict'], e['code']) for e in mine]}")


def is_wish(entry):
    """Somebody asked for the end: of one that waited, that is the end."""
    return entry["kind"] == "deployment" and entry["code"] == "cancelled" and not (
        entry["detail"] and '"result"' in entry["detail"])


def nothing_leaks(facts):
    secrets = facts.world.secrets()
    for log in sorted(facts.world.folder.glob("serve*.log")):
        text = log.read_bytes()
        found = TOKEN.search(text)
        facts.check(found is None, f"a token in {log}: {found and found.group()[:12]}…")
        for secret in secrets:
            facts.check(secret not in text, f"a secret in {log}: {hashlib.sha256(secret).hexdigest()[:12]}")
        for word in (b"Sanitizer", b"BUG", b"storage failed"):
            facts.check(word not in text, f"'{word.decode()}' in {log}")


def all_promises(facts):
    each_ends_once(facts)
    one_run_each(facts)
    one_at_a_time(facts)
    successors_are_named(facts)
    releases_are_a_chain(facts)
    promoted_was_there(facts)
    doubtful = parameters_are_true(facts)
    audit_is_whole(facts)
    nothing_leaks(facts)
    if facts.problems:
        shown = "\n  ".join(facts.problems[:40])
        raise Failed(f"{len(facts.problems)} promises were not kept:\n  {shown}")
    counts = collections.Counter(job["result"] for job in facts.jobs)
    counts["runs"] = len(facts.runs)
    counts["quarantined"] = sum(job["code"] == "quarantined" for job in facts.jobs)
    counts["lanes in doubt"] = doubtful
    counts["audit entries"] = len(facts.audit)
    return counts
