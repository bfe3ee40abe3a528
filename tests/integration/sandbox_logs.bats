#!/usr/bin/env bats
# The sandbox's CloudWatch Logs, driven by the AWS CLI and boto3, and the checks of requests against
# the service models, with requests that no client of AWS's would send.

load sandbox_lab

setup() {
    need aws curl jq git python3
    make_world <<<'on: workflow_dispatch'
}

refused() {
    local wanted=$1
    shift
    run --separate-stderr "$@"
    [ "$status" -ne 0 ]
    [[ "$stderr" == *"An error occurred ($wanted) when calling"* ]] || { echo "$stderr"; return 1; }
}

@test "groups and streams, and what is missing" {
    sandbox_start
    get() { aws logs get-log-events --log-group-name /app --log-stream-name one "$@"; }
    refused ResourceNotFoundException get
    aws logs create-log-group --log-group-name /app
    refused ResourceAlreadyExistsException aws logs create-log-group --log-group-name /app
    refused ResourceNotFoundException get
    aws logs create-log-stream --log-group-name /app --log-stream-name one
    refused ResourceAlreadyExistsException \
        aws logs create-log-stream --log-group-name /app --log-stream-name one
    [ "$(get --query 'length(events)' --output text)" = 0 ]
    now=$(date +%s)000
    aws logs put-log-events --log-group-name /app --log-stream-name one --log-events \
        "timestamp=$((now - 2000)),message=first" "timestamp=$now,message=second" >/dev/null
    [ "$(get --query 'events[].message' --output text)" = $'first\tsecond' ]
    [ "$(aws logs filter-log-events --log-group-name /app --filter-pattern sec \
        --query 'events[].[logStreamName,message]' --output text)" = $'one\tsecond' ]
    sandbox_stop
}

@test "pages: the same token at the end, empty ones before it, late lines in their place" {
    need_boto3
    sandbox_start
    python3 - <<'P'
import json, os, time, urllib.request
import boto3
logs = boto3.client("logs", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
control = os.environ["DISPATCHER_SANDBOX_CONTROL"] + "/aws/logs"
def order(**what):
    urllib.request.urlopen(urllib.request.Request(control, json.dumps(what).encode(), method="POST"))
now = int(time.time() * 1000)
place = {"logGroupName": "/g", "logStreamName": "s"}
logs.create_log_group(logGroupName="/g")
logs.create_log_stream(**place)
def put(*events, stream="s"):
    return logs.put_log_events(logGroupName="/g", logStreamName=stream,
        logEvents=[{"timestamp": now + at, "message": text} for at, text in events])
put(*[(n, f"line {n}") for n in range(5)])

# Forward: pages, then the same token for ever, and new lines from there.
def forward(token=None, **more):
    more |= {"nextToken": token} if token else {}
    page = logs.get_log_events(**place, startFromHead=True, **more)
    return [event["message"] for event in page["events"]], page["nextForwardToken"]
lines, token = forward(limit=3)
assert lines == ["line 0", "line 1", "line 2"], lines
lines, token = forward(token, limit=3)
assert lines == ["line 3", "line 4"], lines
assert forward(token) == ([], token)
order(empty_pages=2)
lines, other = forward(token)
assert (lines, other != token) == ([], True)
lines, other = forward(other)
assert (lines, other != token) == ([], True)
assert forward(other) == ([], token)
assert forward(token) == ([], token)
order(group="/g", stream="s", message="line 5")
lines, token = forward(token)
assert lines == ["line 5"], lines

# Backward: the newest page first.
page = logs.get_log_events(**place, limit=2)
assert [event["message"] for event in page["events"]] == ["line 4", "line 5"]
page = logs.get_log_events(**place, limit=2, nextToken=page["nextBackwardToken"])
assert [event["message"] for event in page["events"]] == ["line 2", "line 3"]
assert len(logs.get_log_events(**place, startTime=now + 1, endTime=now + 3)["events"]) == 2
for wrong in ({"nextToken": "x"}, {"nextToken": token}):
    try:
        logs.get_log_events(**place, **wrong)
        raise SystemExit("taken")
    except logs.exceptions.InvalidParameterException:
        pass

# Filtered over streams, in the order of time; a page without a match is empty.
logs.create_log_stream(logGroupName="/g", logStreamName="t")
put((1, "line one ERROR: out of memory"), (3, "line three"), stream="t")
def matched(**more):
    pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName="/g", **more))
    return [[event["message"] for event in page["events"]] for page in pages]
def flat(**more):
    return [text for page in matched(**more) for text in page]
assert flat()[:4] == ["line 0", "line 1", "line one ERROR: out of memory", "line 2"]
assert flat(filterPattern="ERROR memory") == ["line one ERROR: out of memory"]
assert flat(filterPattern='"out of" -ERROR') == []
assert flat(filterPattern="?three ?one") == ["line one ERROR: out of memory", "line three"]
assert flat(logStreamNamePrefix="t") == ["line one ERROR: out of memory", "line three"]
assert flat(logStreamNames=["t"], startTime=now + 2) == ["line three"]
pages = matched(filterPattern="three", PaginationConfig={"PageSize": 3})
assert pages[0] == [] and sum(pages, []) == ["line three"], pages
order(empty_pages=1)
pages = matched(logStreamNames=["t"])
assert pages == [[], ["line one ERROR: out of memory", "line three"]], pages
for wrong in ({"filterPattern": "{ $.a = 1 }"}, {"logStreamNames": ["t"], "logStreamNamePrefix": "t"}):
    try:
        matched(**wrong)
        raise SystemExit("taken")
    except logs.exceptions.InvalidParameterException:
        pass

# Listings, and lines that are too old, too new or in no order.
streams = logs.describe_log_streams(logGroupName="/g", orderBy="LastEventTime", descending=True)
assert [stream["logStreamName"] for stream in streams["logStreams"]] == ["s", "t"]
assert streams["logStreams"][0]["lastEventTimestamp"] >= now
assert [group["logGroupName"] for group in logs.describe_log_groups(logGroupNamePrefix="/")["logGroups"]] == ["/g"]
day = 24 * 60 * 60 * 1000
answer = put((-15 * day, "old"), (5, "fine"), (day, "new"))
assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}
try:
    put((2, "b"), (1, "a"))
    raise SystemExit("taken")
except logs.exceptions.InvalidParameterException as err:
    assert "chronological" in str(err)
P
    [ "$(control /state | jq -c '.aws.logs["/g"].t')" = '["line one ERROR: out of memory","line three"]' ]
    sandbox_stop
}

@test "requests that the service model does not allow" {
    need_boto3
    sandbox_start
    cat >"$BATS_TEST_TMPDIR/raw.py" <<'P'
# raw.py SERVICE TARGET BODY: signs and sends what boto3 would refuse to; prints what is answered.
import os, sys, urllib.error, urllib.request
import botocore.auth, botocore.awsrequest, botocore.credentials
service, target, body = sys.argv[1:]
request = botocore.awsrequest.AWSRequest("POST", os.environ["AWS_ENDPOINT_URL"] + "/",
    headers={"X-Amz-Target": target}, data=body.encode())
keys = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
botocore.auth.SigV4Auth(keys, service, "us-east-1").add_auth(request)
raw = urllib.request.Request(request.url, request.data, dict(request.headers.items()), method="POST")
try:
    answer = urllib.request.urlopen(raw)
except urllib.error.HTTPError as err:
    answer = err
print(answer.status, answer.headers["Content-Type"], answer.read().decode())
P
    raw() { python3 "$BATS_TEST_TMPDIR/raw.py" logs "Logs_20140328.$1" "$2"; }
    json='application/x-amz-json-1.1'
    [ "$(raw CreateLogGroup '{}')" = "400 $json"' {"__type":"InvalidParameterException","message":"1 validation error detected: Value null at '"'logGroupName'"' failed to satisfy constraint: Member must not be null"}' ]
    [ "$(raw CreateLogGroup '{"logGroupName": 1}')" = "400 $json"' {"__type":"SerializationException","message":"logGroupName: NUMBER_VALUE can not be converted to a String"}' ]
    [ "$(raw CreateLogGroup '{"logGroupName": "g", "newer": 1}')" = "400 $json"' {"__type":"InvalidParameterException","message":"Unknown parameter in input: \"newer\""}' ]
    [ "$(control /aws/models -o /dev/null -w '%{http_code}' -d '{"mode": "loose"}')" = 422 ]
    [ "$(control /aws/models -o /dev/null -w '%{http_code}' -d '{"mode": "lenient"}')" = 204 ]
    [ "$(raw CreateLogGroup '{"logGroupName": "g", "newer": 1}')" = "200 $json {}" ]
    control '/reset?what=aws' -X POST
    [[ "$(raw CreateLogGroup '{"logGroupName": "g", "newer": 1}')" == 400* ]]
    sandbox_stop
}
