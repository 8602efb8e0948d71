#!/bin/bash
# Hosts of the laboratory log in to each other by a real sshd, without questions.
#
#   r1 .7                      internet 198.51.100.0/24
#      [home]     [lawn]
#       nat        open
#      home1      lawn1
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/../../tools/lab/lab.sh"
lab_reexec "$@"

# same DESCRIPTION EXPECTED ACTUAL
same() {
  [[ $2 == "$3" ]] || { echo "FAIL: $1: expected '$2', not '$3'"; exit 1; }
  echo "ok: $1"
}

lab_new
lab_public r1 198.51.100.7
lab_site home nat 198.51.100.21 192.168.1.0/24
lab_site lawn open 198.51.100.24 203.0.113.0/24
lab_host home1 home
lab_host lawn1 lawn
lab_sshd r1
lab_sshd lawn1
same "from behind a NAT to the internet" r1 "$(lab_exec home1 ssh 198.51.100.7 hostname)"
same "from the internet into the open site" lawn1 "$(lab_exec r1 ssh 203.0.113.10 hostname)"
lab_exec r1 bash -c 'echo hello >file && scp -q file 203.0.113.10:'
same "copied" hello "$(lab_exec lawn1 cat file)"
same "with a terminal" 'a terminal' "$(lab_exec r1 ssh -tt 203.0.113.10 'test -t 0 && echo a terminal' | tr -d '\r')"
# shellcheck disable=SC2016
same "the programs of lab_install are found" "$LAB_DIR/bin" "$(lab_exec r1 ssh 203.0.113.10 'echo ${PATH%%:*}')"
