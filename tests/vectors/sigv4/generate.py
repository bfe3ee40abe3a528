#!/usr/bin/env python3
"""Writes the vectors beside this file; the answers are botocore's. Run it after adding a case."""
import datetime
import pathlib
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

HERE = pathlib.Path(__file__).parent
KEY = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOW = datetime.datetime(2015, 8, 30, 12, 36, 0)
HOST = "Host:example.amazonaws.com"
TOKEN = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQ=="
JSON = "Content-Type:application/x-amz-json-1.1"
FORM = "Content-Type:application/x-www-form-urlencoded; charset=utf-8"

# name: (request line without version, headers, body, options)
CASES = {
    "get-root": ("GET /", [HOST], "", []),
    "get-root-no-path": ("GET ", [HOST], "", []),
    "get-token": ("GET /", [HOST], "", ["token " + TOKEN]),
    "get-port": ("GET /", ["Host:localhost:4566"], "", []),
    "get-unreserved": ("GET /-._~0189AZaz", [HOST], "", []),
    "get-reserved": ("GET /a:b@c!d$e&f'g(h)i*j+k,l;m=n", [HOST], "", []),
    "get-space": ("GET /an object/", [HOST], "", []),
    "get-utf8": ("GET /caf\u00e9/\u2603", [HOST], "", []),
    "get-encoded-twice": ("GET /role%2Fname/a%20b", [HOST], "", []),
    "get-dot": ("GET /./a/./b", [HOST], "", []),
    "get-dot-dot": ("GET /a/b/../../c", [HOST], "", []),
    "get-dot-dot-above-root": ("GET /../../a", [HOST], "", []),
    "get-dot-dot-to-root": ("GET /a/..", [HOST], "", []),
    "get-slashes": ("GET //a///b//", [HOST], "", []),
    "get-only-slashes": ("GET ///", [HOST], "", []),
    "get-three-dots": ("GET /.../a..b/.c", [HOST], "", []),
    "keep-dots": ("GET /bucket/./a/../b", [HOST], "", ["keep-path"]),
    "keep-slashes": ("GET /bucket//a//", [HOST], "", ["keep-path"]),
    "keep-space": ("GET /bucket/an object", [HOST], "", ["keep-path"]),
    "keep-encoded": ("GET /bucket/an%20object%2Fpart%3d1", [HOST], "", ["keep-path"]),
    "keep-utf8-body": ("PUT /bucket/caf\u00e9", [HOST], "content", ["keep-path", "sign-body"]),
    "query-order": ("GET /?b=2&a=1&c=3", [HOST], "", []),
    "query-order-prefix": ("GET /?Param-3=3&Param=2&Param-1=1", [HOST], "", []),
    "query-order-value": ("GET /?a=z&a=b&a=B", [HOST], "", []),
    "query-case": ("GET /?foo=x&Foo=y&FOO=z", [HOST], "", []),
    "query-valueless": ("GET /?acl&list-type=2&prefix=", [HOST], "", []),
    "query-equals": ("GET /?token=a=b==", [HOST], "", []),
    "query-plus": ("GET /?q=a+b", [HOST], "", []),
    "query-encoded": ("GET /?p=a%2fb%2Fc%20d&%C3%A9=1", [HOST], "", []),
    "query-utf8": ("GET /?\u2603=\u00e9", [HOST], "", []),
    "query-slash-colon": ("GET /?arn=arn:aws:iam::1:role/x", [HOST], "", []),
    "header-case": ("POST /", [HOST, "MY-Header:VaLuE"], "", []),
    "header-order": ("GET /", ["Z-Last:1", HOST, "A-First:2", "x-amz-t-a:3", "x-amz-t:4"], "", []),
    "header-trim": ("GET /", [HOST, "My-A:  a   b\tc ", 'My-B:  "x   y"  '], "", []),
    "header-repeated": ("GET /", [HOST, "My-A:z", "my-b:1", "MY-A: a ", "my-a:m"], "", []),
    "header-empty": ("GET /", [HOST, "My-A:"], "", []),
    "header-rewritten": ("GET /", [HOST, "User-Agent:x/1", "Connection:close", "Expect:y",
        "X-Amzn-Trace-Id:Root=1", "Transfer-Encoding:chunked"], "", []),
    "post-ssm-json": ("POST /", ["Host:ssm.us-east-1.amazonaws.com", JSON,
        "X-Amz-Target:AmazonSSM.GetParameter"], '{"Name":"/apps/payments/image-tag"}', []),
    "post-ssm-json-token": ("POST /", ["Host:ssm.us-east-1.amazonaws.com", JSON,
        "X-Amz-Target:AmazonSSM.PutParameter"], '{"Value":"caf\u00e9"}', ["token " + TOKEN]),
    "post-sts-form": ("POST /", ["Host:sts.us-east-1.amazonaws.com", FORM],
        "Action=GetCallerIdentity&Version=2011-06-15", []),
    "post-vault-login": ("POST /", ["Host:sts.amazonaws.com", FORM,
        "X-Vault-AWS-IAM-Server-ID:vault.example.com"],
        "Action=GetCallerIdentity&Version=2011-06-15", ["token " + TOKEN]),
    "put-sign-body": ("PUT /", [HOST, "Content-Length:7"], "content", ["sign-body"]),
    "delete-query": ("DELETE /a/b?uploadId=1", [HOST], "", []),
    "head-root": ("HEAD /", [HOST], "", []),
    "patch-json": ("PATCH /x", [HOST, "Content-Type:application/json"], "{}", []),
}


class Plain(botocore.auth.SigV4Auth):
    """Takes the path as it is, and adds the body's hash only when told to."""

    keep_path = sign_body = False

    def _normalize_url_path(self, path):
        if self.keep_path:
            return urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe="/~")
        return super()._normalize_url_path(path)

    def headers_to_sign(self, request):
        if self.sign_body and "X-Amz-Content-SHA256" not in request.headers:
            request.headers["X-Amz-Content-SHA256"] = self.payload(request)
        return super().headers_to_sign(request)


def reencode(query):
    """botocore sorts a query but expects it encoded: do that here, pair by pair."""
    def quote(text):
        return urllib.parse.quote(urllib.parse.unquote_to_bytes(text), safe="-_.~")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return "&".join(quote(name) + "=" + quote(value) for name, _, value in pairs)


def keep_slashes(path):
    """An encoded slash is part of a name: hide it from unquoting."""
    return path.replace("%2F", "%252F").replace("%2f", "%252F")


def sign(line, headers, body, options):
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    host = next(h for h in headers if h.startswith("Host:")).partition(":")[2]
    keep = "keep-path" in options
    request = botocore.awsrequest.AWSRequest(method=method, data=body.encode(),
        url="https://" + host + (keep_slashes(path) if keep else path) + "?" + reencode(query))
    for header in headers:
        name, _, value = header.partition(":")
        request.headers.add_header(name, value)
    token = next((o.partition(" ")[2] for o in options if o.startswith("token ")), None)
    signer = Plain(botocore.credentials.Credentials(*KEY, token), "service", "us-east-1")
    signer.keep_path, signer.sign_body = keep, "sign-body" in options
    request.context["timestamp"] = NOW.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    signer.headers_to_sign(request)
    canonical = signer.canonical_request(request).replace("%252F", "%2F") if keep \
        else signer.canonical_request(request)
    to_sign = signer.string_to_sign(request, canonical)
    signature = signer.signature(to_sign, request)
    names = signer.signed_headers(signer.headers_to_sign(request))
    return canonical, to_sign, (f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, "
        f"SignedHeaders={names}, Signature={signature}")


def main():
    for name, (line, headers, body, options) in CASES.items():
        def write(suffix, text):
            (HERE / (name + suffix)).write_bytes(text.encode())
        canonical, to_sign, authorization = sign(line, headers, body, options)
        write(".req", "\n".join([line + " HTTP/1.1", *headers, "", body]))
        if options:
            write(".opt", "\n".join(options) + "\n")
        write(".creq", canonical)
        write(".sts", to_sign)
        write(".authz", authorization)
    print(len(CASES), "cases")


if __name__ == "__main__":
    main()
