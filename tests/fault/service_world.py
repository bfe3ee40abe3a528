"""The world of tests/fault/service_flow.py: a sandbox as GitHub, AWS and registry, app repositories with
their specs and images, a database, and replicas of the service that can be killed and started again.

Standard library only. Everything that is started dies with this process.
"""
import base64
import concurrent.futures
import hashlib
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("staging", "production")
OWNER = "demo"


class Failed(Exception):
    """A world that does not come up, or a promise that was not kept."""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(seconds, what, question):
    """The first true answer."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed(f"after {seconds} s still not: {what}")
        time.sleep(0.05)


def ask(method, url, body=None, headers=None, timeout=15):
    """Status, headers and body of one request; OSError and HTTPException when there is no answer."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        path = parts.path + ("?" + parts.query if parts.query else "")
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


# --- the sandbox -----------------------------------------------------------------------------------


class Sandbox:
    def __init__(self, folder, binary):
        self.folder, self.binary, self.env = folder, binary, {}

    def start(self, repo):
        ready = self.folder / "sandbox.env"
        log = open(self.folder / "sandbox.log", "wb")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", self.binary, "sandbox", "--ready-file", ready,
             "--repo", f"{OWNER}/infra={repo}", "--data", self.folder / "data"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(30, "the sandbox is ready", lambda: ready.exists() and ready.stat().st_size > 0)
        for line in ready.read_text().splitlines():
            name, _, value = line.partition("=")
            self.env[name.removeprefix("export ")] = value.strip("'\"")
        self.url = self.env["DISPATCHER_SANDBOX_CONTROL"]

    def order(self, path, **body):
        status, _, text = ask("POST", f"{self.url}/{path}", json.dumps(body), timeout=60)
        if status >= 300:
            raise Failed(f"order {path}: {status} {text[:300]!r}")
        return json.loads(text) if text else None

    def see(self, path):
        return json.loads(ask("GET", f"{self.url}/{path}", timeout=60)[2])

    def token(self, app, audience, sha):
        return self.order("oidc/token", repository=f"{OWNER}/{app}", audience=audience, sha=sha,
                          expires_in=900)["value"]

    # An image of one layer and its tags; what is in it is nobody's business here.
    def push(self, repository, tags):
        registry = "http://" + self.env["DISPATCHER_SANDBOX_REGISTRY"]
        login = f"{self.env['DISPATCHER_REGISTRY_USER']}:{self.env['DISPATCHER_REGISTRY_PASSWORD']}"
        headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
        for tag in tags:
            config = json.dumps({"architecture": "amd64", "os": "linux", "author": tag,
                                 "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
            digest = "sha256:" + hashlib.sha256(config).hexdigest()
            start = ask("POST", f"{registry}/v2/{repository}/blobs/uploads/", b"", headers)
            place = urllib.parse.urljoin(registry, start[1].get("Location", ""))
            place += ("&" if "?" in place else "?") + "digest=" + urllib.parse.quote(digest)
            manifest = json.dumps({
                "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                           "digest": digest, "size": len(config)}, "layers": []})
            kind = {"Content-Type": "application/octet-stream"}
            put = ask("PUT", place, config, headers | kind)
            kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
            end = ask("PUT", f"{registry}/v2/{repository}/manifests/{tag}", manifest, headers | kind)
            if (put[0], end[0]) != (201, 201):
                raise Failed(f"push {repository}: {start[0]} {put[0]} {end[0]} {end[2][:200]!r}")


# --- databases -------------------------------------------------------------------------------------


class Sqlite:
    replicas = 1

    def __init__(self, folder):
        self.folder = folder
        self.use("service")

    def use(self, name):
        self.path = self.folder / f"{name}.db"
        self.url = f"sqlite:{self.path}"

    def rows(self, sql):
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=30) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql)]

    def change(self, *statements):
        with sqlite3.connect(self.path, timeout=30) as connection:
            for sql in statements:
                connection.execute(sql)

    def connections(self):
        return 0

    def stop(self):
        pass


class Postgres:
    replicas = 3

    def __init__(self, folder):
        del folder
        self.lock = threading.Lock()
        self.process = subprocess.Popen([ROOT / "tests/support/postgres"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, cwd="/")
        word, *rest = self.process.stdout.readline().split()
        if word != "ready":
            print("SKIP: " + " ".join(rest), flush=True)
            raise SystemExit(77)
        self.dir, self.port = rest
        self.use("flow")

    def use(self, name):
        """An empty one."""
        if self.tell(f"create {name}") != "done":
            raise Failed("no database can be created")
        self.name = name
        self.url = f"postgresql:///{name}?host={self.dir}&port={self.port}&user=lab"

    def tell(self, line):
        with self.lock:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            return self.process.stdout.readline().strip()

    def rows(self, sql):
        text = self.tell(f"sql {self.name} SELECT coalesce(json_agg(t), '[]') FROM ({sql}) t")
        try:
            return json.loads(text)
        except ValueError:
            raise Failed(f"psql says: {text[:300]}") from None

    def change(self, *statements):
        for sql in statements:
            text = self.tell(f"sql {self.name} {sql}")
            if text:
                raise Failed(f"psql says: {text[:300]}")

    def connections(self):
        return self.rows("SELECT count(*) AS n FROM pg_stat_activity"
                         f" WHERE datname = '{self.name}'")[0]["n"] - 1

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)


# --- the service -----------------------------------------------------------------------------------


# A process dies with the thread that started it (PR_SET_PDEATHSIG): this one stays until the end.
STARTER = concurrent.futures.ThreadPoolExecutor(1)


class Replica:
    """One `dispatcher serve`, which comes and goes at one address."""

    def __init__(self, world, number):
        self.world, self.number = world, number
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.starts = 0
        self.process = None

    def start(self):
        folder = self.world.folder
        self.starts += 1
        config = folder / f"serve{self.number}.yaml"
        config.write_text(self.world.config(self.port))
        self.log = open(folder / f"serve{self.number}.log", "ab")
        self.process = STARTER.submit(
            subprocess.Popen,
            ["setpriv", "--pdeathsig", "KILL", self.world.binary, "serve", "--config", config],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.world.env).result()

    def is_ready(self):
        if self.process.poll() is not None:
            raise Failed(f"replica {self.number} ended with {self.process.returncode}: "
                         f"{self.world.folder}/serve{self.number}.log")
        try:
            return ask("GET", self.url + "/readyz", timeout=5)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def end(self, how):
        """kill -9, or a drain that must end well."""
        self.process.send_signal(how)
        code = self.process.wait(60)
        if how == signal.SIGTERM and code not in (0, 143, -signal.SIGTERM):
            raise Failed(f"replica {self.number} ended with {code} after SIGTERM")


class World:
    def __init__(self, folder, database, seed, **tuning):
        self.folder = pathlib.Path(folder)
        self.binary = os.environ["DISPATCHER_BIN"]
        self.random = random.Random(seed)
        self.sandbox = Sandbox(self.folder, self.binary)
        self.apps, self.people, self.tuning = {}, {}, tuning
        self.database = {"sqlite": Sqlite, "postgres": Postgres}[database](self.folder)
        self.secret = "webhook-canary-" + "".join(self.random.choices("abcdef0123456789", k=24))
        (self.folder / "hook").write_text(self.secret)

    # apps: name to {"versions": […], "staging": "…", "production": "…"} with YAML of its environments.
    def build(self, apps):
        self.apps = apps
        infra = self.folder / "infra"
        shutil.rmtree(infra / "appspecs", ignore_errors=True)
        (infra / "appspecs").mkdir()
        self.sandbox.start(infra)
        self.host_repositories()
        self.write_settings(infra)
        git = ["git", "-C", infra, "-c", "user.name=Flow", "-c", "user.email=flow@example.org"]
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", "Host the apps"], check=True)
        answer = self.sandbox.order("github/people", people=[{"login": "octocat"}])
        self.people = {one["login"]: one["token"] for one in answer["people"]}
        self.url = f"http://127.0.0.1:{free_port()}"  # the audience; nothing is there
        self.environment()
        self.replicas = [Replica(self, i) for i in range(self.database.replicas)]
        self.sandbox.order("github/hooks", secret=self.secret,
                           url=[one.url + "/hooks/github" for one in self.replicas])

    def host_repositories(self):
        for number, (name, app) in enumerate(self.apps.items()):
            app["id"] = 7_000_000 + number
            self.sandbox.order("github/repositories", repository=f"{OWNER}/{name}", id=app["id"],
                               commits=app["versions"])
            self.sandbox.push(f"{name}-web", app["versions"])

    def write_settings(self, infra):
        org = self.sandbox.env["DISPATCHER_SANDBOX_ORG_ID"]
        (infra / "dispatcher.yaml").write_text(f"""version: 1
environments: [staging, production]
aws: {{region: us-east-1, account: "123456789012"}}
registry: "{self.sandbox.env['DISPATCHER_SANDBOX_REGISTRY']}"
env:
  staging: {{repository: "{{name}}-{{service}}"}}
  production: {{repository: "{{name}}-{{service}}"}}
workflow: {{repo: {OWNER}/infra}}
policy: {{owners: [{org}]}}
github: {{api: "{self.sandbox.env['GITHUB_API_URL']}", app_id: "{self.sandbox.env['DEPLOYMENT_APP_ID']}",
  app_key: "file:{self.sandbox.env['DEPLOYMENT_APP_KEY']}"}}
""")
        for name, app in self.apps.items():
            rules = "".join(
                f"    {env}:\n      allow: [{{id: main, refs: [refs/heads/main], events: [push]}}]\n" +
                "".join(f"      {line}\n" for line in app.get(env, ())) for env in ENVIRONMENTS)
            (infra / f"appspecs/{name}.yaml").write_text(f"""title: {name}
name: {name}
repo: {OWNER}/{name}
services: {{web: {{expose: 3000}}}}
deploy:
  repository_id: {app['id']}
  owner_id: {org}
  environments:
{rules}""")

    def environment(self):
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "ASAN_OPTIONS", "LSAN_OPTIONS",
                "UBSAN_OPTIONS", "TMPDIR") if name in os.environ}
        words = {name: value for name, value in self.sandbox.env.items()
                 if name.startswith(("AWS_", "DISPATCHER_REGISTRY_"))}
        self.env = keep | words | {"AWS_EC2_METADATA_DISABLED": "true", "DISPATCHER_POLL_MS": "200",
                                   "DISPATCHER_RECONCILE_MS": "2000", "DISPATCHER_READ_BACK_MS": "50",
                                   "DISPATCHER_LEASE_MS": "3000"} | self.tuning

    def config(self, port):
        env = self.sandbox.env
        return (self.folder / "infra/dispatcher.yaml").read_text() + f"""
state: {{url: "{self.database.url}"}}
server:
  listen: 127.0.0.1:{port}
  url: {self.url}
  specs: {self.folder}/infra
  issuer: {env['DISPATCHER_SANDBOX_OIDC_ISSUER']}
  organization: {env['DISPATCHER_SANDBOX_ORG']}
  admins: [devops]
  rate: 100000
  poll: 5s
  queue_limit: 1000
  webhook_secrets: ["file:{self.folder}/hook"]
"""

    def start(self):
        for replica in self.replicas:
            replica.start()
        for replica in self.replicas:
            until(60, f"replica {replica.number} is ready", replica.is_ready)

    def stop(self):
        for replica in getattr(self, "replicas", ()):
            if replica.process is not None and replica.process.poll() is None:
                replica.end(signal.SIGTERM)

    def close(self):
        for process in [one.process for one in getattr(self, "replicas", ())] + [
                getattr(self.sandbox, "process", None)]:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self.database.stop()

    def secrets(self):
        """What must be in no log."""
        env = self.sandbox.env
        key = pathlib.Path(env["DEPLOYMENT_APP_KEY"])
        text = key.read_text() if key.exists() else ""
        found = [self.secret, env["AWS_SECRET_ACCESS_KEY"], env["DISPATCHER_REGISTRY_PASSWORD"],
                 *self.people.values(), *[line for line in text.splitlines() if len(line) > 40]]
        return [one.encode() for one in found if len(one) >= 8]
