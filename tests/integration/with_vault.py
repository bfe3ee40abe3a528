#!/usr/bin/env python3
"""Runs a test program against Vault's own dev server.

usage: with_vault.py PROGRAM [ARGUMENT]...

Starts `vault server -dev` on a free port, writes secrets, a policy and a JWT role, and hands address,
tokens and a signed JWT to PROGRAM by environment. Exit 77 (skipped) without `vault` or `openssl`.
"""
import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

SKIPPED = 77
ROOT_TOKEN = "hvs.root-of-the-dev-server"
AUDIENCE = "https://vault.example.org"
POLICY = """
path "secret/data/shop" { capabilities = ["read"] }
path "secret/data/gone" { capabilities = ["read"] }
path "secret/data/none" { capabilities = ["read"] }
path "kv1/*" { capabilities = ["read"] }
"""


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(url, method, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{url}/v1/{path}", data=data, method=method,
                                     headers={"X-Vault-Token": ROOT_TOKEN})
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def wait_for(url, server, log):
    for _ in range(300):
        if server.poll() is not None:
            sys.exit(f"vault ended with status {server.returncode}:\n{log.read_text()}")
        try:
            ask(url, "GET", "sys/health")
            return
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    sys.exit(f"vault does not answer:\n{log.read_text()}")


def sign_jwt(scratch):
    """A token as GitHub's, and the public key that Vault is to trust; both by openssl."""
    key = scratch / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", str(key), "-pubout"], check=True,
                            capture_output=True, text=True).stdout
    now = int(time.time())
    parts = [{"alg": "RS256", "typ": "JWT"},
             {"iss": "https://issuer.example.org", "aud": AUDIENCE, "sub": "repo:octo/shop",
              "iat": now, "nbf": now - 60, "exp": now + 3600}]
    signed = b".".join(encode(json.dumps(part).encode()) for part in parts)
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(key)], check=True,
                               input=signed, capture_output=True).stdout
    return (signed + b"." + encode(signature)).decode(), public


def encode(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def prepare(url, scratch):
    jwt, public = sign_jwt(scratch)
    ask(url, "POST", "secret/data/shop", {"data": {"key": "old", "number": 1}})
    ask(url, "POST", "secret/data/shop", {"data": {"key": "from vault \u00e9", "number": 7}})
    ask(url, "POST", "secret/data/gone", {"data": {"key": "x"}})
    ask(url, "DELETE", "secret/data/gone")
    ask(url, "POST", "secret/data/forbidden", {"data": {"key": "x"}})
    ask(url, "POST", "sys/mounts/kv1", {"type": "kv", "options": {"version": "1"}})
    ask(url, "POST", "kv1/data/shop", {"key": "x"})
    ask(url, "POST", "sys/policies/acl/shop", {"policy": POLICY})
    ask(url, "POST", "sys/auth/jwt", {"type": "jwt"})
    ask(url, "POST", "auth/jwt/config", {"jwt_validation_pubkeys": [public],
                                         "bound_issuer": "https://issuer.example.org"})
    ask(url, "POST", "auth/jwt/role/deploy",
        {"role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE],
         "token_policies": ["shop"], "token_ttl": "2s", "token_max_ttl": "5m"})
    return {"TEST_VAULT_ADDR": url, "TEST_VAULT_ROOT": ROOT_TOKEN, "TEST_VAULT_JWT": jwt,
            "TEST_VAULT_AUDIENCE": AUDIENCE}


def main():
    for tool in ("vault", "openssl"):
        if shutil.which(tool) is None:
            skip(f"{tool} is not on PATH")
    with tempfile.TemporaryDirectory() as directory:
        scratch = pathlib.Path(directory)
        log = scratch / "vault.log"
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with log.open("w") as out:
            server = subprocess.Popen(
                ["vault", "server", "-dev", "-dev-no-store-token",
                 f"-dev-root-token-id={ROOT_TOKEN}", f"-dev-listen-address=127.0.0.1:{port}"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env={**os.environ, "HOME": directory})
        try:
            wait_for(url, server, log)
            return subprocess.call(sys.argv[1:], env={**os.environ, **prepare(url, scratch)})
        finally:
            server.terminate()
            server.wait()


sys.exit(main())
