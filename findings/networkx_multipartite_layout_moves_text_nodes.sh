#!/usr/bin/env bash
# networkx 3.6.1: multipartite_layout puts each subset of a graph's nodes into a set before it gives them their places
# (networkx.utils.groups). Python hashes text anew in every process, so a graph whose nodes are names (screens, people)
# gets another picture in every process, with the same networkx, the same graph and the same order of nodes; a graph of
# ints is not concerned. Nothing says so, and there is no seed to set. A report that is to be the same
# byte for byte must sort the nodes of a layer itself.
# Seen: among eight processes, several orders of the four nodes of the second layer; one order with ints.
# Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet networkx==3.6.1 numpy==2.4.6
cat > "$folder/order.py" <<'PYTHON'
import sys

import networkx

named = sys.argv[1] == "text"
nodes = ["home", "mail", "notes", "maps", "clock"] if named else [0, 1, 2, 3, 4]
graph = networkx.DiGraph((nodes[0], node) for node in nodes[1:])
for node in nodes:
    graph.nodes[node]["layer"] = int(node != nodes[0])
places = networkx.multipartite_layout(graph, subset_key="layer")
print(*sorted(nodes[1:], key=lambda node: places[node][1]))
PYTHON
orders() { for seed in 1 2 3 4 5 6 7 8; do PYTHONHASHSEED=$seed "$folder/venv/bin/python" "$folder/order.py" "$1"; done | sort -u; }
echo "text:"; orders text
echo "ints:"; orders ints
[ "$(orders text | wc -l)" -gt 1 ] && [ "$(orders ints | wc -l)" -eq 1 ]
