"""The goals of issue 3, judged against the best recent peer of each case and figure."""

# Case, tool of ours, figure, limit as a ratio to the best recent peer.
RATIOS = [
    ("a-new@0", "dispatcher", "wall", 1.0), ("a-new@0", "dispatcher", "cpu", 0.9),
    ("a-new@0", "dispatcher", "peak", 1.0),
    ("b-new@0", "dispatcher", "wall", 0.4), ("b-new@0", "dispatcher", "cpu", 0.35),
    ("b-new@0", "dispatcher", "sent", 1.1),
    ("b-new@0", "dispatcher small", "wall", 1.0), ("b-new@0", "dispatcher small", "cpu", 1.0),
    ("b-new@0", "dispatcher small", "sent", 1.0),
    ("c-new@20", "dispatcher", "wall", 0.35),
    ("b-newtag@0", "dispatcher", "wall", 0.03), ("b-top@0", "dispatcher", "wall", 0.05),
]
# Case, tool of ours, figure, limit as it is.
LIMITS = [
    ("b-new@0", "dispatcher", "peak", 22), ("a-newtag@0", "dispatcher", "requests", 2),
    ("c-newtag@0", "dispatcher", "requests", 2), ("b-newtag@0", "dispatcher", "requests", 3),
]
OURS = ("floor", "dispatcher", "dispatcher small")


def best(rows, figure, old):
    """The lowest figure of a recent peer, and whose."""
    found = [(row[figure], tool) for tool, row in rows.items() if tool not in OURS and tool not in old]
    return min(found, default=(None, None))


def goal(name, value, limit, against):
    verdict = "not judged" if value is None else "reached" if value <= limit else "NOT reached"
    return {"goal": name, "value": value, "limit": limit, "against": against, "verdict": verdict}


def judge(results, old):
    goals = []
    for case, tool, figure, limit in RATIOS:
        rows = results.get(case, {})
        if rows:
            theirs, whose = best(rows, figure, old)
            ours = rows.get(tool)
            value = ours[figure] / theirs if ours and theirs else None
            why = whose or "no recent peer"
            goals.append(goal(f"{case} {tool}: {figure}", value, limit, why if ours else "no such row"))
    for case, tool, figure, limit in LIMITS:
        row = results.get(case, {}).get(tool)
        if row:
            goals.append(goal(f"{case} {tool}: {figure}", row[figure], limit, "as it is"))
    for case, rows in results.items():
        theirs, whose = best(rows, "requests", ())
        if theirs is not None and "dispatcher" in rows:
            goals.append(goal(f"{case} dispatcher: fewest requests", rows["dispatcher"]["requests"],
                              theirs, whose))
    return goals


def show(goals):
    if goals:
        print("\ngoals (issue 3)")
    for one in goals:
        value = "-" if one["value"] is None else f"{one['value']:.3g}"
        print(f"  {one['verdict']:<12} {one['goal']:<42} {value:>6} ≤ {one['limit']:<5g} "
              f"({one['against']})")
