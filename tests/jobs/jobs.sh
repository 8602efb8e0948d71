# shellcheck shell=bash
# What the tests of this folder share: source it, then
#   jobs_need PROGRAM...       before lab_reexec: without one, the test is skipped with the reason
# shellcheck source=tests/system/pool.sh
source "$(dirname "${BASH_SOURCE[0]}")/../system/pool.sh"
examples=$pool_folder/../../tools/examples

jobs_need() {
  local program
  for program; do
    [[ -e $program ]] || command -v "$program" >/dev/null || { echo "The program $program is missing: run tools/setup --jobs." && exit 77; }
  done
}

# jobs_ms CMD...: runs it, its words to the log; prints how long it took, in milliseconds.
jobs_ms() {
  local at
  at=$(lab_now_ms)
  "$@" >>"$LAB_LOGS/jobs.log" 2>&1 </dev/null || return
  echo $(($(lab_now_ms) - at))
}
