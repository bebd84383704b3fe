#!/usr/bin/env bash
# Chromium's headless shell (seen: 156.0.8078): the clock of a page under Emulation.setVirtualTimePolicy is not one clock.
# While it is paused, performance.now() and Date stand still, but event.timeStamp goes on in real time, so that timing read
# from events of such a page is the machine's. An advance of 1,000 ms runs some 100 ticks of a 10 ms interval, but at most
# five of the 60 animation frames that belong to it: what is animated by frames hardly moves.
# Seen: two clicks 300 ms apart in real time: performance.now() the same, timeStamp about 300 apart; 100 ticks, 1 frame.
# Exits non-zero if that changes. It takes chromium-headless-shell from the PATH, or installs it where apt-get may.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v chromium-headless-shell > /dev/null ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium-headless-shell; } > /dev/null
cat > "$folder/page.html" <<'HTML'
<body style="height:300px"><script>
window.seen = []; window.ticks = window.frames_ = 0;
addEventListener("mousedown", event => seen.push([performance.now(), event.timeStamp]));
function start() { setInterval(() => ticks++, 10); (function frame() { frames_++; requestAnimationFrame(frame); })(); }
</script>
HTML
cat > "$folder/ask.py" <<'PYTHON'
import json, os, sys, time

folder = sys.argv[1]
number, unread, events = 0, b"", []


def message():
    global unread
    while b"\0" not in unread:
        unread += os.read(4, 1 << 16)
    one, _, unread = unread.partition(b"\0")
    return json.loads(one)


def ask(method, session=None, until=None, **params):
    global number
    number += 1
    asked = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
    os.write(3, json.dumps(asked).encode() + b"\0")
    answer, came = None, until is None
    while answer is None or not came:
        one = message()
        answer = one if one.get("id") == number else answer
        came = came or one.get("method") == until
    return answer["result"]


print(ask("Browser.getVersion")["product"], file=sys.stderr)
target = ask("Target.createTarget", url="about:blank")["targetId"]
page = ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
ask("Page.enable", page)
ask("Page.navigate", page, "Page.loadEventFired", url=f"file://{folder}/page.html")
value = lambda script: ask("Runtime.evaluate", page, expression=script, returnByValue=True)["result"].get("value")
ask("Emulation.setVirtualTimePolicy", page, policy="pause")
for _ in range(2):
    for kind in ("mousePressed", "mouseReleased"):
        ask("Input.dispatchMouseEvent", page, type=kind, x=20, y=20, button="left", clickCount=1)
    time.sleep(0.3)
(first, stamp), (second, later) = value("seen")
value("start()")
ask("Emulation.setVirtualTimePolicy", page, "Emulation.virtualTimeBudgetExpired", policy="advance", budget=1000)
ticks, frames = value("[ticks, frames_]")
print(f"performance.now() {second - first:.0f} ms apart, timeStamp {later - stamp:.0f}; {ticks} ticks, {frames} frames",
      file=sys.stderr)
assert second == first, "performance.now() went on while paused"
assert 250 < later - stamp < 2000, "event.timeStamp no longer goes on in real time"
assert ticks > 90 and frames <= 6, "frames keep up with timers now"
PYTHON
mkfifo "$folder/to" "$folder/from"
chromium-headless-shell --headless --no-sandbox --disable-gpu --remote-debugging-pipe --user-data-dir="$folder/profile" \
    about:blank 3< "$folder/to" 4> "$folder/from" > /dev/null 2>&1 &
browser=$!
status=0
timeout 60 python3 "$folder/ask.py" "$folder" 3> "$folder/to" 4< "$folder/from" || status=$?
wait "$browser" || true
exit "$status"
