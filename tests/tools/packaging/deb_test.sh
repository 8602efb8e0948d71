#!/usr/bin/env bash
# The package holds what an operator needs, readable to all and owned by root, and the program in it runs.
set -euo pipefail
deb=(tools/packaging/wow_*.deb)
command -v dpkg-deb >/dev/null || { echo "dpkg-deb is missing"; exit 77; }

fail() {
  echo "FAILED: $*"
  exit 1
}
list=$(dpkg-deb -c "${deb[0]}")
for file in ./usr/bin/wow ./lib/systemd/system/wow@.service ./lib/systemd/system/wow-router@.service \
  ./usr/lib/sysusers.d/wow.conf ./usr/share/man/man1/wow.1.gz ./usr/share/man/man5/wow.conf.5.gz \
  ./usr/share/doc/wow/operating.md ./usr/share/doc/wow/copyright ./etc/wow/ \
  ./usr/share/doc/wow/examples/slurm/join-cluster ./usr/share/doc/wow/examples/mpi/kernels.c ./usr/share/doc/wow/examples/qmp; do
  grep -qE " $file\$" <<<"$list" || fail "$file is not in the package"$'\n'"$list"
done
grep -vqE '^[d-]rw[x-]r-[x-]r-[x-] root/root ' <<<"$list" && fail "modes or owners:"$'\n'"$list"

dir=$TEST_TMPDIR/deb
dpkg-deb -x "${deb[0]}" "$dir"
# A static program shows no loader: it runs on whatever the cluster has.
if [[ $("$dir/usr/bin/wow" --version) != "wow $(dpkg-deb -f "${deb[0]}" Version)" ]]; then
  fail "the program's version is not the package's"
fi
gzip -dc "$dir/usr/share/man/man1/wow.1.gz" | grep -q '^\.TH WOW 1' || fail "wow.1 is damaged"
for unit in "$dir"/lib/systemd/system/*.service; do
  grep -q "^ExecStart=!\?/usr/bin/wow " "$unit" || fail "$unit starts something else"
done
if command -v systemd-analyze >/dev/null; then
  # Whether the program is where the unit says is not known here.
  said=$(systemd-analyze verify "$dir"/lib/systemd/system/*.service 2>&1 | grep -v 'is not executable' | grep -F "$dir" || true)
  [[ ! $said ]] || fail "$said"
fi
for page in "$dir"/usr/share/doc/wow/*.md; do
  while read -r link; do
    [[ -e ${page%/*}/$link ]] || fail "${page##*/} points at $link, which is not in the package"
  done < <(grep -o ']([^):#]*)' "$page" | sed 's/^](//; s/)$//' | grep -v '^\.\./')
done
[[ -x $dir/usr/share/doc/wow/examples/slurm/join-cluster ]] || fail "join-cluster cannot be run"
echo "the package is whole"
