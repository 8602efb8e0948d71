#!/usr/bin/env python3
"""Counts what `bazel test` did: test_report.py EVENTS STATUS, from its build event file and exit status.

The last line is `N passed, N failed` or `N passed, N failed, N skipped`; the exit status is 1 unless all went well.
"""
import json
import re
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree

NO_TESTS_FOUND = 4  # exit status of Bazel


def path_of(outputs, name):
    for output in outputs:
        if output["name"] == name and output.get("uri", "").startswith("file://"):
            return urllib.parse.unquote(output["uri"][len("file://"):])
    return None


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add_test(self, label, status, outputs):
        """One run of one test target: its cases as GoogleTest or Bazel wrote them down."""
        cases = []
        path = path_of(outputs, "test.xml")
        if path:
            try:
                for suite in ElementTree.parse(path).iter("testsuite"):
                    output = suite.findtext("system-out") or ""
                    cases += [(case, output) for case in suite.findall("testcase")]
            except (OSError, ElementTree.ParseError):
                pass  # The test died while writing: counted below.
        failed_before = len(self.failed)
        for case, output in cases:
            self.add_case(label, case, output)
        # A crash or a timeout leaves no record of the case that did it.
        if status not in ("PASSED", "FLAKY") and len(self.failed) == failed_before:
            self.failed.append(f"{label} ({status.lower().replace('_', ' ')})")
        # Nothing was recorded: the target is the case.
        elif not cases and status in ("PASSED", "FLAKY"):
            self.passed += 1

    def add_case(self, label, case, output):
        name = label
        if case.get("classname"):
            name += f" {case.get('classname')}.{case.get('name')}"
        if case.get("status") == "notrun":  # filtered out or DISABLED_
            return
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            self.failed.append(name)
        elif skip is not None:
            # GoogleTest puts file:line first; the reason follows.
            lines = (skip.get("message") or "").split("\n")
            self.skipped.append((name, " ".join(lines[1:] or lines).strip()))
        elif match := re.search(r"^SKIP: (.*)", output, re.MULTILINE):  # tests/run_script.sh
            self.skipped.append((name, match.group(1)))
        else:
            self.passed += 1


def main():
    events_path, status = sys.argv[1], int(sys.argv[2])
    attempts = {}  # the last attempt of each shard and run of a test counts
    unbuilt = []
    with open(events_path, encoding="utf-8") as events:
        for line in events:
            event = json.loads(line)
            identity = event["id"]
            if "testResult" in event:
                key = identity["testResult"]
                result = event["testResult"]
                attempts[key["label"], key.get("run"), key.get("shard")] = (
                    result["status"], result.get("testActionOutput", []))
            elif "targetCompleted" in identity and not event.get("completed", {}).get("success"):
                unbuilt.append(identity["targetCompleted"]["label"])

    report = Report()
    for (label, _, _), (state, outputs) in sorted(attempts.items(), key=lambda item: str(item[0])):
        if state != "NO_STATUS":
            report.add_test(label, state, outputs)
    tested = {label for label, _, _ in attempts}
    report.failed += [f"{label} (not built)" for label in dict.fromkeys(unbuilt) if label not in tested]
    if status == NO_TESTS_FOUND:
        report.failed.append("no test matches")
    elif status and not report.failed:
        report.failed.append(f"bazel itself (exit status {status}): see above")

    print()
    for name, reason in report.skipped:
        print(f"skipped: {name}: {reason or 'no reason given'}")
    for name in report.failed:
        print(f"failed: {name}")
    line = f"{report.passed} passed, {len(report.failed)} failed"
    print(line + (f", {len(report.skipped)} skipped" if report.skipped else ""))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
