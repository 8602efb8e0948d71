#!/usr/bin/python3
"""Watches how much a network interface of this host receives: received.py DEVICE STOP MARK [BYTES]

Until there is a file STOP. Prints JSON: nothing_s, the longest time in which not a byte came; silent_s, in which fewer than
BYTES came (default 20000, for TCP has to find its pace again); both from when there was a file MARK, and a silence that MARK
falls into counts whole; one that begins when there is a file MARK.end does not count. series: [seconds since MARK, bytes since the start], four a second.
"""
import json
import os
import sys
import time


def main():
    device, stop, mark, *more = sys.argv[1:]
    counter = f"/sys/class/net/{device}/statistics/rx_bytes"

    def received():
        with open(counter, encoding="ascii") as file:
            return int(file.read())

    bounds, worst = [1, int(more[0]) if more else 20000], [0.0, 0.0]
    first, marked, ended, ended_at, series = received(), None, False, [False, False], []
    seen = [(time.monotonic(), first)] * 2
    while not os.path.exists(stop):
        now, count = time.monotonic(), received()
        if marked is None and os.path.exists(mark):
            marked = now
        ended = ended or os.path.exists(mark + ".end")
        if not series or now > series[-1][0] + 0.25:
            series.append((now, count - first))
        for i, bound in enumerate(bounds):
            if count >= seen[i][1] + bound:
                if marked is not None and not ended_at[i]:
                    worst[i] = max(worst[i], now - seen[i][0])
                seen[i], ended_at[i] = (now, count), ended
        time.sleep(0.01)
    zero = marked if marked is not None else time.monotonic()
    print(json.dumps({"nothing_s": round(worst[0], 3), "silent_s": round(worst[1], 3),
                      "series": [[round(at - zero, 2), count] for at, count in series]}))


main()
