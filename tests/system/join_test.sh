#!/bin/bash
# Wrong invites, files and commands: each is refused with one sentence that says what to do, and changes nothing.
# What needs another date is tested where the clock is passed in, in tests/tunnel/identity: members of an invite good for 90 days
# meet on day 100 (credentials_test AHundredDaysLaterTheMembersOfANinetyDayInviteStillMeet), a clock off by a day
# (AClockOffByADayDoesNotMatter), a dead clock (member_test ADeadClockDoesNotReviveAnInvite, ADeadClockDoesNotStopANewcomer).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/pool.sh"
lab_reexec "$@"

pool_laboratory home1 home2 office1
pool_create
root=$LAB_DIR/hosts/home1/root

# invite NAME FILE: puts an invite, read from FILE, into home1.
invite() { install -m 600 "$2" "$root/$1"; }
no_member() { no "no trace of a membership" lab_exec home1 test -e /var/lib/wow/lab/member; }

echo "--- invites"
invite good "$LAB_DIR/lab.invite"
said=$(lab_exec home1 wow invite show good)
yes "show explains it" grep -q '198.51.100.7:4433' <<<"$said"
no "show does not print its key" grep -qiE '[a-z0-9+/]{60}' <<<"$said"
yes "show --json" jq -e '.pool == "lab" and .label == "lab"' <<<"$(pool_json home1 invite show good)"
refused "no such file" "nothing" home1 join nothing
invite cut <(head -c 700 "$LAB_DIR/lab.invite")
refused "truncated" "cut short|damaged" home1 join cut
invite cut <(sed '7d' "$LAB_DIR/lab.invite")
refused "a line lost" "damaged" home1 join cut
invite cut <(echo "hello")
refused "no invite at all" "not an invite" home1 join cut
refused "shown, it is none either" "not an invite" home1 invite show cut
install -m 644 "$LAB_DIR/lab.invite" "$root/readable"
refused "readable by others" "chmod 600" home1 join readable
pool_invite late --join-by 2021-01-31
invite late "$LAB_DIR/late.invite"
refused "past its join-by date" "2021-01-31.*new one" home1 join late
refused "the same by up --invite" "2021-01-31" home1 up --invite late
refused "a date that is none" "90d" r1 invite create lab --join-by soon
refused "a name that is none" "a-z" home1 join good --name 'My_Host'
refused "an address outside the subnet" "10\.128\.0\.0/16" home1 join good --ip 192.168.7.7
no_member

echo "--- files and commands"
refused "no daemon" "wow up lab" home1 status lab
refused "in no pool" "wow join" home1 up
yes "now it joins" lab_exec home1 wow join good
same "its membership is its own" "600 700" "$(lab_exec home1 stat -c %a /var/lib/wow/lab/member /var/lib/wow/lab | xargs)"
no "the member file has no invite's key" grep -qF "$(sed -n 6p "$LAB_DIR/lab.invite")" "$LAB_DIR/hosts/home1/var/lib/wow/lab/member"
refused "daemon not running" "wow up lab" home1 status
refused "a misspelt command" 'mean `wow status`' home1 staus
refused "no such pool" "nosuch" home1 up nosuch
refused "an unknown flag" "." home1 up --colour
refused "a port that is none" "." home1 up --listen 70000
config() { printf '%s\n' "$@" >"$LAB_DIR/hosts/home1/etc/wow/lab.conf"; }
config 'lisen = 4433'
refused "a misspelt key" 'lisen.*mean "listen"' home1 up
config 'flavour = "sweet"'
refused "a key like no other" 'flavour.*wow help up' home1 up
config 'listen = "many"'
refused "a value of another kind" "listen" home1 up
config 'listen = '
refused "no TOML" "lab.conf" home1 up
rm "$LAB_DIR/hosts/home1/etc/wow/lab.conf"

echo "--- an invite that the file names"
config_of_home2() { printf '%s\n' "$1" >"$LAB_DIR/hosts/home2/etc/wow/${2:-lab}.conf"; }
invite_of_home2=$LAB_DIR/hosts/home2/root/lab.invite
config_of_home2 'invite = "lab.invite"'
refused "by a relative path" "absolute path" home2 up lab
config_of_home2 'invite = "/root/lab.invite"'
refused "there is none" "cannot read /root/lab.invite" home2 up lab
config_of_home2 'invite = "auto"'
refused "nor one that was handed over" "no invite was handed to this machine" home2 up lab
install -m 600 "$LAB_DIR/lab.invite" "$invite_of_home2"
config_of_home2 'invite = "/root/lab.invite"' other
refused "it is to another pool" "pool lab, not other" home2 up other
no "no trace of a membership" lab_exec home2 test -e /var/lib/wow/lab/member
config_of_home2 'invite = "/root/lab.invite"'
yes "home2 joins by it" lab_exec home2 timeout 30 wow router lab
yes "and goes" lab_exec home2 wow down lab
rm "$invite_of_home2"
yes "a member needs it no more" lab_exec home2 timeout 30 wow router lab
yes "and goes again" lab_exec home2 wow down lab
lab_exec home2 bash -c 'echo garbage >/var/lib/wow/lab/member'
refused "a damaged membership" "join again" home2 up
refused "a pool that is there already" "already" r1 pool create lab --subnet 10.128.0.0/16
refused "no subnet" "." r1 pool create other --subnet 10.128.0.0
refused "an invite to a pool whose root is elsewhere" "where the pool was made" home1 invite create lab

echo "--- another pool of the same name"
lab_exec office1 wow pool create lab --subnet 10.77.0.0/16 >/dev/null
(umask 077 && lab_exec office1 wow invite create lab >"$LAB_DIR/stranger.invite" 2>/dev/null)
invite stranger "$LAB_DIR/stranger.invite"
refused "its invite is refused by a member of this one" "member of another pool" home1 join stranger

echo "all passed"
