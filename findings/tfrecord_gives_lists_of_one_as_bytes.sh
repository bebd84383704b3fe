#!/usr/bin/env bash
# tfrecord 1.14.6, which reads TFRecords without TensorFlow: a feature of several byte strings comes as an array of them,
# a feature of one as the bytes themselves. AndroidControl keeps an episode's actions in one such feature, and 116 of the
# 1,543 episodes of its test split have one step: there ``len(record["actions"])`` is the length of the JSON, and a loop
# over the actions goes over its letters. Android in the Wild's texts on a screen are kept alike. And since the arrays are
# of NumPy's S type, byte strings that end with zero bytes, as serialised accessibility trees may, lose these.
# Seen: 2 actions, then 32; b"\x08\x01\x12\x00" read as b"\x08\x01\x12". Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${PYTHON:-python3}
"$python" -m pip install --quiet --no-deps --target "$folder" tfrecord==1.14.6 crc32c==2.9.post0 protobuf==7.36.2 \
    numpy==2.4.6
cd "$folder"
PYTHONPATH="$folder" "$python" - <<'PYTHON'
import tfrecord

back, home = b'{"action_type": "navigate_back"}', b'{"action_type": "navigate_home"}'
writer = tfrecord.TFRecordWriter("episodes.tfrecord")
writer.write({"actions": ([back, home], "byte"), "trees": ([b"\x08\x01\x12\x00", b"\x08\x02"], "byte")})
writer.write({"actions": ([home], "byte"), "trees": ([b"\x08\x01\x12\x00", b"\x08\x02"], "byte")})
writer.close()
two, one = tfrecord.tfrecord_loader("episodes.tfrecord", None, {"actions": "byte", "trees": "byte"})
print(f"{len(two['actions'])} actions, then {len(one['actions'])}; a tree is {bytes(two['trees'][0])!r}")
assert len(two["actions"]) == 2, "several byte strings are no array of them any more"
assert len(one["actions"]) == 32, "one byte string is no longer given as its bytes"
assert bytes(two["trees"][0]) == b"\x08\x01\x12", "zero bytes at the end are kept now"
PYTHON
