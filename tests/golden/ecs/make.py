#!/usr/bin/env -S python3 -B
"""Makes described.json and registered.json: a task definition with every member of botocore's model.

described.json is what DescribeTaskDefinition says of it: every member of RegisterTaskDefinition's
input at every depth, the members that only Describe returns, members that no model has, fractions,
whole numbers at the edge, text of many scripts; its tags beside it. registered.json is the body
that registers the same again with another image and one more tag. Both are written down by rules of
this file, not by the code under test.

    python3 tests/golden/ecs/make.py      # needs botocore 1.43.11
"""
import json
import os

import botocore.session

HERE = os.path.dirname(os.path.abspath(__file__))
TEXTS = ["plain", "two words", "ünïcödé ☃ 漢字 \U0001f680", "quotes \" and \\ and /", "tab\tline\nend",
         "\u0001\u001f\u007f", "${VAR} {{x}}", ""]
NUMBERS = [0, 1, -1, 512, 2**31 - 1, 2**53 + 1, -2**63]
FRACTIONS = [0.1, 5.5, 0.30000000000000004, 1e22, 2.0]


class Maker:
    def __init__(self):
        self.count = 0

    def next(self, values):
        self.count += 1
        return values[self.count % len(values)]

    def value(self, shape, depth=0):
        kind = shape.type_name
        if kind == "structure":
            made = {name: self.value(member, depth + 1) for name, member in shape.members.items()}
            made["memberOfTomorrow%d" % depth] = [self.next(FRACTIONS), None, {"a": {"b": []}}]
            return made
        if kind == "list":
            return [self.value(shape.member, depth), self.value(shape.member, depth)]
        if kind == "map":
            return {"key %d %s" % (i, self.next(TEXTS)): self.value(shape.value) for i in range(2)}
        if kind == "string":
            return self.next(shape.enum) if shape.enum else self.next(TEXTS)
        if kind == "boolean":
            return self.next([True, False])
        if kind in ("integer", "long"):
            return self.next(NUMBERS)
        if kind in ("double", "float"):
            return self.next(FRACTIONS)
        raise SystemExit("a shape that this script does not know: " + kind)


def write(name, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as file:
        file.write(text + "\n")


def main():
    model = botocore.session.get_session().get_service_model("ecs")
    takes = model.operation_model("RegisterTaskDefinition").input_shape
    gives = model.operation_model("DescribeTaskDefinition").output_shape.members["taskDefinition"]
    only = [name for name in gives.members if name not in takes.members]
    assert sorted(only) == sorted([
        "taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities",
        "registeredAt", "deregisteredAt", "registeredBy", "deleteRequestedAt"]), only
    maker = Maker()
    kept = {name: maker.value(shape) for name, shape in takes.members.items() if name != "tags"}
    kept["family"] = "web"
    kept["topOfTomorrow"] = {"fraction": 0.7, "text": "漢"}
    kept["containerDefinitions"][0].update(name="proxy", image="proxy:1", essential=False)
    kept["containerDefinitions"][1].update(name="web", image="old:1", essential=True)
    described = {}
    for index, (name, value) in enumerate(kept.items()):  # the nine are spread among the others
        if index % 2 == 0 and only:
            described[only[0]] = (1795290480.123 if only[0].endswith("At") else
                                  maker.value(gives.members[only[0]]))
            only.pop(0)
        described[name] = value
    assert not only
    described.update(taskDefinitionArn="arn:aws:ecs:eu-west-1:012345678901:task-definition/web:7",
                     revision=7, status="ACTIVE")
    tags = [{"key": "team", "value": "ünï"}, {"key": "aws:cloudformation:stack", "value": "s"},
            {"key": "AWS:x", "value": "y"}, {"key": "release", "value": "v1"},
            {"key": "empty", "value": "", "since": 1.5}]
    write("described.json", {"taskDefinition": described, "tags": tags})
    registered = json.loads(json.dumps(kept))
    registered["containerDefinitions"][1]["image"] = "new@sha256:42"
    registered["tags"] = [{"key": "release", "value": "v2"}, tags[0], tags[4]]
    write("registered.json", registered)


main()
