#!/usr/bin/env python3
"""usage: check_reports.py ORIGIN INBOX MESSAGES SUMMARY: what sinks got of hostile texts is harmless.

INBOX is the sandbox's inbox, MESSAGES what 'notify --test --json' prints, SUMMARY a job summary. No
text holds what controls a terminal, hides, or turns the direction; nobody is mentioned, no link leads
elsewhere than it says, nothing is formatted that the program did not format; limits are kept. What
was looked at is printed, one kind a line with its count.
"""
import collections
import html.parser
import json
import re
import subprocess
import sys
import urllib.parse

origin = sys.argv[1]
bad = []
seen = collections.Counter()

# T41: C0 but line ends, C1, and what is not shown but changes how the rest is.
HIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e"
                    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]")


def complain(where, what, text):
    bad.append(f"{where}: {what}: {text[:300]!r}")


def units(text):
    return len(text.encode("utf-16-le")) // 2


def strings(value, where):
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from strings(inner, f"{where}[{at}]")


def check_hidden(value, where):
    for place, text in strings(value, where):
        seen["texts"] += 1
        found = HIDDEN.search(text)
        if found:
            complain(place, f"holds U+{ord(found.group()):04X}", text)


def check_length(where, text, most):
    if units(text) > most:
        complain(where, f"{units(text)} characters, {most} at most", text)


# --- Slack ---------------------------------------------------------------------------------------

LINK = re.compile(r"<(" + re.escape(origin) + r"/[!-;=?-{}~]*)\|([^<>|]*(?:\|[^<>]*)?)>")


def check_mrkdwn(where, text):
    bare = LINK.sub("", text)
    if "<" in bare or ">" in bare:
        complain(where, "a mention or a link", text)
    if re.sub(r"&(amp|lt|gt);", "", bare).count("&"):
        complain(where, "a bare ampersand", text)
    if text.count("```") not in (0, 2):
        complain(where, "a block that ends early", text)
    plain = re.sub(r"```.*?```", "", bare, flags=re.S)
    if re.search(r"@(here|channel|everyone|group)", plain, re.I):
        complain(where, "a broadcast", text)
    # Ours: "*Name*" at a line's start, the headline, and commands.
    plain = re.sub(r"(?m)^(\S )?\*[^*\n]+\*", "", plain)
    plain = re.sub(r"`dispatcher [^`]*`", "", plain)
    if re.search(r"(?<![A-Za-z0-9])[*_~`]|[*_~`](?![A-Za-z0-9])", plain):
        complain(where, "formats", text)


def check_text_object(where, text):
    if text["type"] == "mrkdwn":
        if text.get("verbatim") is not True:
            complain(where, "not verbatim", text["text"])
        check_mrkdwn(where, text["text"])
    seen["slack " + text["type"]] += 1


def check_block(where, block):
    total = 0
    pieces = [("text", block.get("text"), 150 if block["type"] == "header" else 3000)]
    pieces += [("field", field, 2000) for field in block.get("fields", [])]
    if block["type"] == "context":
        pieces += [("element", element, 3000) for element in block["elements"]]
    for what, text, most in pieces:
        if text is not None:
            check_text_object(f"{where} {what}", text)
            check_length(f"{where} {what}", text["text"], most)
            total += units(text["text"])
    if len(block.get("fields", [])) > 10 or len(block.get("elements", [])) > 10:
        complain(where, "too many parts", json.dumps(block))
    return total


def check_slack_message(where, message):
    check_mrkdwn(f"{where} text", message["text"])
    check_length(f"{where} text", message["text"], 4000)
    blocks = list(message.get("blocks") or [])
    for attachment in message.get("attachments") or []:
        check_mrkdwn(f"{where} fallback", attachment["fallback"])
        blocks += attachment["blocks"]
    total = sum(check_block(f"{where} block {at}", block) for at, block in enumerate(blocks))
    if len(blocks) > 50 or total > 12000:
        complain(where, f"{len(blocks)} blocks of {total} characters", "")
    seen["slack messages"] += 1


def check_slack(slack):
    for channel in slack["channels"]:
        for message in channel["messages"]:
            answers = message.get("replies", [])
            for one in [message, *message.get("revisions", []), *answers]:
                check_slack_message(f"#{channel['name']}", one)


# --- PagerDuty, webhooks -------------------------------------------------------------------------

def check_pagerduty(pagerduty):
    events = [event for alert in pagerduty["alerts"] for event in alert["events"]]
    for event in events + pagerduty["changes"]:
        payload = event.get("payload")
        seen["pagerduty events"] += 1
        check_length("dedup_key", event.get("dedup_key", ""), 255)
        if payload is None:
            continue
        check_length("summary", payload["summary"], 1024)
        if "\n" in payload["summary"]:
            complain("summary", "several lines", payload["summary"])
        for link in event.get("links", []):
            if not link["href"].startswith(origin + "/"):
                complain("link", "leads elsewhere", link["href"])


def check_hooks(hooks):
    for delivery in hooks["deliveries"]:
        event, headers = delivery["json"], delivery["headers"]
        seen["webhook events"] += 1
        if headers["webhook-id"] != event["id"] or event["specversion"] != "1.0":
            complain("webhook", "is not the event of its header", headers["webhook-id"])
        if len(delivery["body"].encode()) > 1024 * 1024:
            complain("webhook", "is over 1 MiB", event["id"])
        for name in ("run", "failure"):
            url = event["data"].get(name, {}).get("url" if name == "run" else "job_url", origin)
            if not url.startswith(origin):
                complain("webhook", "leads elsewhere", url)


# --- Markdown ------------------------------------------------------------------------------------

class Page(html.parser.HTMLParser):
    TAGS = {"p", "h3", "h4", "table", "thead", "tbody", "tr", "th", "td", "a", "code", "pre",
            "strong", "ul", "li", "details", "summary", "blockquote"}
    STRONG = {"Failed:", "Next:", "How things stand:", "Target", "NOT restored"}

    def __init__(self, where):
        super().__init__()
        self.where, self.open, self.href, self.text = where, [], None, ""

    def handle_starttag(self, tag, attributes):
        if tag not in self.TAGS:
            complain(self.where, f"a tag <{tag}>", str(attributes))
        self.open.append(tag)
        self.text = ""
        self.href = dict(attributes).get("href") if tag == "a" else self.href

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            complain(self.where, f"</{tag}> out of place", "")
        shown = {self.text, "http://" + self.text} # what GitHub makes of a bare address
        if tag == "a" and not self.href.startswith(origin + "/") and \
                urllib.parse.unquote(self.href) not in shown:
            complain(self.where, "a link that hides where it leads", f"{self.href} {self.text}")
        if tag == "strong" and self.text not in self.STRONG:
            complain(self.where, "is bold", self.text)

    def handle_comment(self, data):
        if not re.fullmatch(r" dispatcher:[a-z0-9-]+:[a-z0-9-]+ ", data):
            complain(self.where, "a comment", data)

    def handle_data(self, data):
        self.text += data
        own = "a" in self.open and self.href.startswith(origin + "/")
        if "code" in self.open or own:
            return
        if re.search(r"@[A-Za-z0-9]", data):
            complain(self.where, "a mention", data)
        if re.search(r"#[0-9]", data):
            complain(self.where, "an issue", data)


def check_rows(where, text):
    rows = [line for line in text.split("\n") if line.startswith("|")]
    for row in rows:
        bars = len(re.findall(r"(?<!\\)\|", row))
        if bars not in (3, 4):
            complain(where, f"{bars} bars", row)
    return len(rows)


def check_markdown(where, text, most):
    extensions = ["table", "autolink", "strikethrough", "tasklist"]
    command = ["cmark-gfm", "--unsafe"] + [word for name in extensions for word in ("-e", name)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    page = Page(where)
    page.feed(done.stdout)
    page.close()
    if page.open:
        complain(where, f"<{page.open[-1]}> stays open", text)
    check_rows(where, text)
    if len(text.encode()) > most:
        complain(where, f"{len(text.encode())} bytes", "")
    seen[where] += 1


# --- GitHub --------------------------------------------------------------------------------------

def check_deployment(body):
    check_length("deployment", body["description"], 140)
    check_length("deployment status", body["state"]["description"], 140)
    if not body["state"]["log_url"].startswith(origin):
        complain("deployment", "leads elsewhere", body["state"]["log_url"])


def check_check(body):
    output = body["output"]
    check_markdown("check summary", output["summary"], 65535)
    check_markdown("check text", output["text"], 65535)
    if len(output["annotations"]) > 50:
        complain("check", "too many annotations", "")
    for one in output["annotations"]:
        check_length("annotation title", one["title"], 255)
        if len(one["message"].encode()) > 65536 or len(one.get("raw_details", "")) > 65536:
            complain("annotation", "over 64 KiB", one["title"])


def check_message(message):
    kind, body = message["kind"], message["body"]
    check_hidden(body, kind)
    seen[kind] += 1
    if kind == "github-deployment":
        check_deployment(body)
    elif kind == "github-status":
        check_length(kind, body["description"], 140)
    elif kind == "github-check":
        check_check(body)
    elif kind == "github-comment":
        check_markdown("comment", body["body"], 65536)
    elif kind.startswith("slack"):
        check_slack_message(kind, body)


with open(sys.argv[2]) as file:
    inbox = json.load(file)
check_hidden(inbox, "inbox")
check_slack(inbox["slack"])
check_pagerduty(inbox["pagerduty"])
check_hooks(inbox["hooks"])
with open(sys.argv[3]) as lines:
    for line in lines:
        check_message(json.loads(line))
with open(sys.argv[4], newline="") as file:
    summary = file.read()
check_hidden(summary, "summary")
check_markdown("summary", summary, 1024 * 1024)
for kind in sorted(seen):
    print(f"{kind}: {seen[kind]}")
for problem in bad:
    print(problem)
sys.exit(1 if bad else 0)
