#!/usr/bin/env bash
# Runs a test script. Exit status 77 says "cannot run here", and its last words say why; Bazel knows only passed and
# failed, so this passes and leaves the reason where tools/test finds it.
set -uo pipefail
"$@" 2>&1 | tee "$TEST_TMPDIR/output"
status=${PIPESTATUS[0]}
if ((status == 77)); then
  echo "SKIP: $(tail -n 1 "$TEST_TMPDIR/output")"
  exit 0
fi
exit "$status"
