#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares critest's reports. Usage: critest_report.py LABEL DIFFERS HANDLER=REPORT...

One line "ok" or "not ok" for each test of the last handler that was not skipped, judged by the first: a test that fails
there says nothing about us. DIFFERS holds lines "pattern<TAB>reason" of tests that cannot pass in a sandbox; one that
passes all the same is reported, so that the list stays short. Prints the counts of each handler."""
import re, sys
import xml.etree.ElementTree as ET

label, differs = sys.argv[1:3]
known = [line.rstrip("\n").split("\t", 1) for line in open(differs) if line.strip() and not line.startswith("#")]
results = {}
for arg in sys.argv[3:]:
    handler, path = arg.split("=", 1)
    results[handler] = res = {}
    for case in ET.parse(path).iter("testcase"):
        if not case.get("name", "").startswith("[It]"):
            continue
        failed = case.find("failure") if case.find("failure") is not None else case.find("error")
        res[case.get("name")[5:]] = ("skipped", "") if case.find("skipped") is not None else \
            ("passed", "") if failed is None else ("failed", (failed.get("message") or failed.text or "").split("\n")[0])
    counts = {s: sum(1 for r in res.values() if r[0] == s) for s in ("passed", "failed", "skipped")}
    print(f"     critest with {handler}: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    if not counts["passed"]:
        print(f"not ok {label}: critest: nothing passed with {handler}")
        sys.exit(1)
handlers = list(results)
base, ours = results[handlers[0]], results[handlers[-1]]
bad = False
for name, (state, why) in sorted(ours.items()):
    reason = next((r for p, r in known if re.search(p, name)), None)
    if state == "skipped" or base.get(name, ("", ""))[0] == "failed" and state == "failed":
        continue
    if state == "passed":
        print(f"ok {label}: critest: {name}" + (f" (was expected to fail: {reason})" if reason and len(handlers) > 1 else ""))
    elif reason:
        print(f"skip {label}: critest: {name}: {reason}")
    else:
        print(f"not ok {label}: critest: {name}: {why}")
        bad = True
sys.exit(bad)
