#!/usr/bin/env bash
# The manual pages and the table of keys say what the program says: each command and flag, and none that is gone.
set -euo pipefail
wow=tools/wow
page=tools/packaging/man/wow.1
conf=tools/packaging/man/wow.conf.5

fail() {
  echo "FAILED: $*"
  exit 1
}
# The page as it is typed: roff's marks taken out.
plain() { sed -E 's/\\f[A-Z]//g; s/\\-/-/g; s/^\.[A-Z]+ //; s/"//g' "$1"; }
# commands [WORD...]: the subcommands that `wow help WORD...` lists. flags WORD...: its long flags.
commands() { "$wow" help "$@" | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]\+\) .*/\1/p'; }
flags() { "$wow" help "$@" | sed -nE '/^Options:/,$s/^  (-[a-z],)?--([a-z-]+).*/\2/p' | grep -vx help; }

typed=$(plain "$page")

# check WORD...: a command and all below it.
known_commands='' known_flags=$'help\npool\nversion\njson'
check() {
  local below
  below=$(commands "$@")
  if [[ $below ]]; then
    for word in $below; do check "$@" "$word"; done
    return
  fi
  grep -qE "^ *wow $*( |$)" <<<"$typed" || fail "wow.1 does not explain \`wow $*\`"
  known_commands+="wow $*"$'\n'
  local text flag
  # A router's flags are those of up.
  text=$(awk -v head="wow ${*/#router/up} " '/^ *wow [a-z]/ { on = index($0 " ", head) == 1 } on' <<<"$typed")
  for flag in $(flags "$@"); do
    grep -qE -- "--$flag( |\]|$)" <<<"$text" || fail "wow.1 does not say that \`wow $*\` has --$flag"
    known_flags+=$'\n'$flag
  done
}
for word in $(commands); do check "$word"; done
(($(grep -c . <<<"$known_commands") >= 20)) || fail "\`wow help\` could not be read: $known_commands"

# Nothing that is gone.
for flag in $(grep -oE -- '--[a-z-]+[a-z]' <<<"$typed" | sed 's/^--//' | sort -u); do
  [[ $flag == unix-socket ]] || grep -qx -- "$flag" <<<"$known_flags" || fail "wow.1 has --$flag, and the program has not"
done
headings=$(sed -n '/^\.TP/{n;p}' "$page" | sed -E 's/\\f[A-Z]//g; s/\\-/-/g; s/"//g; s/^\.[A-Z]+ //' | grep -oE '^wow [a-z]+( [a-z]+)?')
while read -r line; do
  grep -qxE "$line|${line% *}" <<<"$known_commands" || fail "wow.1 has \`$line\`, and the program has not"
done <<<"$headings"

# Keys of the file are the flags of up and router.
keys=$({ flags up && flags router; } | sort -u)
documented=$(plain "$conf" | sed -nE 's/^([a-z-]+) +\((integer|string|true|auto|debug).*/\1/p' | sort -u)
[[ $keys == "$documented" ]] || fail "keys of wow.conf(5):"$'\n'"$(diff <(echo "$keys") <(echo "$documented"))"
for key in $keys; do
  grep -qE "^\|.*\`$key\`" docs/operating.md || fail "docs/operating.md has no key $key"
done

if command -v groff >/dev/null; then
  for file in "$page" "$conf"; do
    said=$(groff -man -ww -Tutf8 "$file" 2>&1 >/dev/null)
    [[ ! $said ]] || fail "$file: $said"
  done
fi
lines=$(wc -l <docs/operating.md)
((lines <= 150)) || fail "docs/operating.md has grown to $lines lines"
echo "$(grep -c . <<<"$known_commands") commands and $(sort -u <<<"$known_flags" | wc -l) flags are explained"
