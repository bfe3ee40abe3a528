#!/usr/bin/env python3
"""usage: check_events.py SCHEMA EVENTS: every line of EVENTS is valid."""
import json
import sys

import jsonschema

with open(sys.argv[1]) as text:
    schema = json.load(text)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
bad = 0
with open(sys.argv[2]) as lines:
    for number, line in enumerate(lines, 1):
        for problem in validator.iter_errors(json.loads(line)):
            print(f"line {number}: {problem.json_path}: {problem.message}\n  {line.strip()[:300]}")
            bad += 1
sys.exit(1 if bad else 0)
