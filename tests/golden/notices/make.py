#!/usr/bin/env python3
"""Writes deployments/*.json: one deployment for each way in which one may stand, and a hostile one.

What is said of them (the folders beside) is written by tests/unit/deploy/test_notices_bodies.c
with DISPATCHER_GOLDEN=write."""
import copy
import json
import pathlib

OLD = "b" * 8 + "0123456789abcdef" * 2
NEW = "c" * 8 + "0123456789abcdef" * 2
START = 1795247280000
KINDS = ("USAGE INPUT SPEC CREDENTIALS DENIED CONFLICT RESTORED NOT_RESTORED UNKNOWN STILL_RUNNING "
         "SUPERSEDED UNAVAILABLE REFUSED STORAGE CANCELLED BUG").split()
RUN = "https://github.com/octo/infra/actions/runs/29020317001"


def ending(kind, text):
    return {"ending_kind": KINDS.index(kind) + 1, "ending_text": text}


def step(name, state=None, note=None, at=0, took=0, reason=None):
    kind = name.split()[0]
    made = {"name": name, "kind": kind, "service": 0 if " " in name else -1,
            "reason": reason or "as the spec says", "skip": state == "skipped"}
    if state:
        made["state"] = state
    if note:
        made["note"] = note
    if at:
        made["started_ms"] = START + at
        if took:
            made["ended_ms"] = START + at + took
    return made


def steps(*states):
    """Of a deployment through a workflow: how push, write, trigger, follow and record stand."""
    names = ["push web", "write web", "trigger", "follow", "record"]
    notes = {"push web": "8.4 MiB in 3 blobs", "write web": "version 42",
             "trigger": "run 29020317001", "follow": "success in 1m 40s",
             "record": "1 of 1 labelled"}
    took = {"push web": 12000, "write web": 800, "trigger": 1500, "follow": 100000, "record": 600}
    made, at = [], 1000
    for name, state in zip(names, states):
        done = state == "done"
        made.append(step(name, state, notes[name] if done else None, at if state else 0,
                         took[name] if done else 0))
        at += took[name]
    return made


def base(**changes):
    made = {
        "id": "d-3f9a0c1b2d4e5f60", "verb": "deploy", "via": "workflow",
        "app": "shop", "name": "shop", "title": "Shop", "env": "production",
        "version": NEW, "repository": "octo/shop", "sha": NEW, "branch": "main",
        "actor": "ann", "caller_url": "https://github.com/octo/shop/actions/runs/77",
        "created_ms": START, "github_web": "https://github.com", "workflow_repo": "octo/infra",
        "workflow_file": "deploy-app.yaml", "workflow_ref": "main",
        "services": [{
            "name": "web", "registry": "registry.example.com", "repository": "shop-web",
            "parameter": "/shop/production/web/version", "digest": "sha256:" + "6c" * 32,
            "previous": OLD, "previous_version": 41}],
        "commits": [
            {"sha": NEW, "author": "Ann Example", "email": "ann@example.com",
             "subject": "checkout: charge once (#128)", "pull": 128, "time_ms": START - 60000},
            {"sha": "d" * 8 + NEW[8:], "author": "Bob Builder", "email": "bob@example.com",
             "subject": "Merge pull request #127 from octo/faster-images", "pull": 127,
             "time_ms": START - 120000},
            {"sha": "e" * 8 + NEW[8:], "author": "Ann Example", "email": "ann@example.com",
             "subject": "cart: keep the currency", "time_ms": START - 180000}],
        "commits_complete": True,
        "members": {"ann@example.com": "U0ANN0001"},
        "environment_url": "https://shop.example.com", "is_production": True,
        "steps": steps(None, None, None, None, None),
    }
    made.update(changes)
    return made


def run(status, conclusion=None):
    made = {"run_id": 29020317001, "run_url": RUN, "run_status": status, "dispatch_state": "sent"}
    if conclusion:
        made["run_conclusion"] = conclusion
    return made


def written(deployment, **changes):
    deployment["services"][0].update({"written_version": 42, **changes})
    return deployment


def target(**changes):
    made = {
        "name": "web", "service": 0,
        "want": {"kind": "ecs", "cluster": "blue", "service": "shop-web"},
        "before": "arn:aws:ecs:eu-west-1:1:task-definition/shop-web:41", "before_version": OLD,
        "forward": {"revision": "arn:aws:ecs:eu-west-1:1:task-definition/shop-web:42",
                    "digest": "sha256:" + "6c" * 32, "state": "sent", "id": "arn:1"},
    }
    made["forward"].update(changes.pop("forward", {}))
    made.update(changes)
    return made


def followed():
    made = {}
    made["started"] = written(base(
        **run("in_progress"), steps=steps("done", "done", "done", "waiting", None)))
    made["waiting"] = written(base(
        **run("waiting"), steps=steps("done", "done", "done", "waiting", None)))
    made["deployed"] = written(base(
        **run("completed", "success"), steps=steps("done", "done", "done", "done", "done"),
        result="deployed", proven=True, finished_ms=START + 125000,
        proof="2 of 2 tasks of service 'shop-web' run the digest that was pushed",
        message=f"'shop' {NEW} is deployed to 'production' and proven to run"))
    made["timed-out"] = written(base(
        **run("in_progress"), steps=steps("done", "done", "done", "waiting", None),
        unfinished="timeout", exit_code=10,
        message="deploy 'shop' to 'production': run 29020317001 is still 'in_progress' after 20m",
        hint=f"It goes on at {RUN}; 'dispatcher resume d-3f9a0c1b2d4e5f60' waits again."))
    made["interrupted"] = written(base(
        **run("in_progress"), steps=steps("done", "done", "done", "waiting", None),
        unfinished="interrupted", exit_code=143,
        message="deploy 'shop' to 'production': interrupted by signal 15; the remote run goes on: "
                + RUN,
        hint="'dispatcher resume d-3f9a0c1b2d4e5f60' follows it to its end."))
    superseded = "run 29020317001 was cancelled, by a person or by a newer run"
    made["superseded"] = written(base(
        **run("completed", "cancelled"), steps=steps("done", "undone", "done", "failed", None),
        **ending("SUPERSEDED", superseded), result="cancelled", exit_code=11,
        finished_ms=START + 95000,
        message=f"deploy 'shop' to 'production': {superseded}; parameter "
                "/shop/production/web/version is restored (version 43)"),
        restore="restored", restore_note=f"'{OLD[:12]}' is back as version 43")
    return made


def failures():
    made = {}
    denied = ("push image 'registry.example.com/shop-web:cccccccc0123': PUT manifest: denied "
              "(HTTP 403)")
    made["failed"] = base(
        steps=steps("failed", None, None, None, None), **ending("CREDENTIALS", denied),
        result="failed", exit_code=4, finished_ms=START + 9000,
        message=f"deploy 'shop' to 'production': {denied}",
        hint="The token allows 'pull' only. Check the 'registry' block of dispatcher.yaml.")
    ended = ("run 29020317001 ended as 'failure': job 'deploy (web)' failed at step "
             "'terraform apply'")
    made["restored"] = written(base(
        **run("completed", "failure"), steps=steps("done", "undone", "done", "failed", None),
        **ending("REFUSED", ended), result="failed", exit_code=7, finished_ms=START + 185000,
        failure={
            "job": "deploy (web)", "job_url": RUN + "/job/512", "step": "terraform apply",
            "annotations": ["Process completed with exit code 1.",
                            "Error: creating ECS Service: InvalidParameterException"],
            "log_tail": "aws_ecs_service.web: Modifying...\n"
                        "Error: creating ECS Service: InvalidParameterException: the container "
                        "port 8080 is not exposed\n"
                        "##[error]Process completed with exit code 1."},
        message=f"deploy 'shop' to 'production': {ended}; parameter "
                f"/shop/production/web/version is restored ('{OLD[:12]}' is back as version 43)",
        hint="The infra workflow says why; mend it and deploy again."),
        restore="restored", restore_note=f"'{OLD[:12]}' is back as version 43")
    stuck = "'web' was rolled back by the platform, and that failed: tasks failed to start"
    made["not-restored"] = written(base(
        via="direct",
        steps=[step("push web", "done", "8.4 MiB in 3 blobs", 1000, 12000),
               step("write web", "undo-failed", "not restored", 14000, 900),
               step("rollout", "failed", "0 of 1", 15000, 600000)],
        targets=[target(
            forward={"outcome": "rollback-failed", "reason": "tasks failed to start"},
            evidence=["container 'web' exited with 1: cannot connect to the database",
                      "(service shop-web) was unable to place a task"],
            restore="failed", restore_note="'cccccccc0123' (shop-web:42) still runs in part")],
        **ending("REFUSED", stuck), result="failed", exit_code=8, finished_ms=START + 640000,
        message=f"deploy 'shop' to 'production': {stuck}; 'web' could NOT be restored",
        hint="Put it back by hand: aws ssm put-parameter --overwrite --name "
             f"'/shop/production/web/version' --value '{OLD}'."),
        restore="failed", restore_note="AccessDeniedException: not allowed to write it")
    lost = "what became of the dispatch is not known: the answer was lost, and no run shows its id"
    made["unknown"] = written(base(
        steps=steps("done", "done", "waiting", None, None), dispatch_state="unknown",
        result="unknown", exit_code=9, finished_ms=START + 90000,
        message=f"deploy 'shop' to 'production': {lost}",
        hint="'dispatcher resume d-3f9a0c1b2d4e5f60' looks again."))
    made["cancelled"] = base(
        steps=steps("waiting", None, None, None, None), **ending("CANCELLED", "interrupted"),
        ending_signal=2, result="cancelled", exit_code=130, finished_ms=START + 4000,
        message="deploy 'shop' to 'production': interrupted by signal 2",
        hint="Nothing was triggered.")
    return made


def rolled_back():
    made = base(
        verb="rollback", via="direct", version=OLD, sha=OLD, replaces=NEW,
        because="the checkout charges twice since this morning", commits=[],
        targets=[target(
            forward={"outcome": "succeeded",
                     "revision": "arn:aws:ecs:eu-west-1:1:task-definition/shop-web:41"},
            proven=True, running_digest="sha256:" + "1b" * 32,
            proof="2 of 2 tasks run sha256:" + "1b" * 32)],
        steps=[step("write web", "done", "version 43", 1000, 900),
               step("rollout", "done", "1 of 1", 2000, 70000),
               step("record", "done", "1 of 1 labelled", 73000, 400)],
        result="deployed", proven=True, finished_ms=START + 74000,
        proof="the target runs the digest that was asked for",
        message=f"'shop' {OLD} is back in 'production' and proven to run")
    made["services"][0].update({"digest": "sha256:" + "1b" * 32, "previous": NEW,
                                "previous_version": 42, "written_version": 43})
    return made


def hostile(restored):
    """The test makes it large as well: the commits 500, the log 200 KB."""
    made = copy.deepcopy(restored)
    name = "<!channel> @here *bold* _it_ ~no~ `code` [x](javascript:alert(1)) <@U0ANN0001> & " * 5
    escapes = "\x1b[31mred\x1b[0m \x07 user\u202etxt.exe \u200b\u2066"
    made["title"] = f"Shop | <img src=x onerror=alert(1)> {escapes} {name}"
    made["actor"] = f"{escapes} {name}"
    made["caller_url"] = "javascript:alert(1)"
    made["run_url"] = "https://github.com/octo/infra/actions/runs/1)|\n::set-output name=a::b"
    made["environment_url"] = "https://user:secret@shop.example.com/"
    made["message"] = f"deploy 'shop' to 'production': {escapes} {name * 20}"
    made["ending_text"] = f"{escapes} {name * 20}"
    made["hint"] = f"See `x` | [click](javascript:alert(1)) @octocat. {name * 10}"
    made["proof"] = name
    made["members"] = {"ann@example.com": "U0ANN0001", "mallory@example.com": "!channel"}
    made["services"][0]["previous"] = f"v1` | <b>x</b> ##[error]y {name}"
    made["services"][0]["restore_note"] = name
    made["failure"] = {
        "job": f"::error::j ##[group]x {name}", "step": "<script>alert(1)</script>",
        "job_url": "https://evil.example/|<!channel>",
        "annotations": ["100% wrong\r\n::error::injected", f"<!everyone> ``` {name}"] * 20,
        "log_tail": f"```\n</details><b>bold</b> <!channel>\n::add-mask::x\n##[error]{escapes}\n"
                    f"| a | b | ``` {name}\n"}
    made["commits"] = [
        {"sha": NEW, "author": f"M@llory `x` {name}"[:300], "email": "mallory@example.com",
         "subject": f"](https://evil.example) | <b>hi</b> ~~x~~ @ann {escapes} {name} (#128)",
         "pull": 128, "time_ms": 1},
        {"sha": OLD, "author": "Ann Example", "email": "ANN@example.com",
         "subject": "<!channel> ```", "time_ms": 1}]
    made["commits_complete"] = False
    made["notes"] = [f"| x | <b> {name}"]
    made["steps"][3]["note"] = f"run ended as 'failure' | <b> {name}"
    return made


def main():
    here = pathlib.Path(__file__).parent / "deployments"
    made = followed() | failures()
    made["rolled-back"] = rolled_back()
    made["hostile"] = hostile(made["restored"])
    for name, deployment in made.items():
        text = json.dumps(deployment, indent=2, ensure_ascii=True)
        (here / f"{name}.json").write_text(text + "\n")


main()
