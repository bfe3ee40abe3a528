#!/usr/bin/env -S python3 -B
"""validate_schema.py SCHEMA good|bad FILE...: each YAML file must pass the JSON Schema, or fail it.

An independent judge (python-jsonschema) of the schemas that 'dispatcher spec schema' prints. Prints
one line for each file that is judged otherwise and exits 1 then; 77 when the judge is not installed.
"""
import json
import sys

try:
    import jsonschema
    import yaml
except ImportError:
    sys.exit(77)


def main():
    schema_path, expected, *files = sys.argv[1:]
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    status = 0
    for path in files:
        with open(path, encoding="utf-8") as file:
            document = yaml.safe_load(file)
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
        if bool(errors) != (expected == "bad"):
            print(f"{path}: expected to be {expected}: {errors}")
            status = 1
    sys.exit(status)


main()
