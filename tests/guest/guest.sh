# What tests with virtual machines begin with: the pool's laboratory, and what QEMU needs. To be sourced.
# shellcheck source=tests/system/pool.sh
source "$(dirname "${BASH_SOURCE[0]}")/../system/pool.sh"

# guest_reexec PROGRAM... -- ARGUMENT...: in the laboratory, once the programs are there; else the test is skipped, and says why.
guest_reexec() {
  local program
  while [[ $1 != -- ]]; do
    program=$1
    shift
    [[ ${LAB_INSIDE:-} ]] || command -v "$program" >/dev/null || { echo "The program $program is missing: run tools/setup --guests." && exit 77; }
  done
  [[ ${LAB_INSIDE:-} ]] || compgen -G '/var/cache/wow-guest/linux-image-*.deb' >/dev/null ||
    { echo "There is no kernel for guests: run tools/setup --guests." && exit 77; }
  lab_reexec "${@:2}"
}
