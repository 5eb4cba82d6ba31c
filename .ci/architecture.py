"""Draw the library from its imports: python .ci/architecture.py -> reports/architecture.svg.

A box a room or a module of the root, a line an import that no longer way already says; everything points down."""

import hashlib
from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx

from cgdseg.hashes import imported
from cgdseg.paths import LIB, ROOT

TARGET = ROOT / "reports" / "architecture.svg"
COLOURS = {"eyes": "#f3d9b1", "data": "#cfe8cf", "models": "#cfe0f3", "training": "#cfe0f3", "figures": "#ecd5ec"}


def box(path: Path) -> str:
    """cgdseg/data/audit.py -> data; cgdseg/files.py -> files."""
    return path.relative_to(LIB / "cgdseg").with_suffix("").parts[0]


def graph() -> nx.DiGraph:
    """Who imports whom, without what follows from the rest."""
    files = [path for path in sorted(LIB.glob("cgdseg/**/*.py")) if box(path) != "__init__"]
    whole = nx.DiGraph()
    whole.add_nodes_from(map(box, files))
    edges = {(box(path), box(other)) for path in files for other in imported(path)}
    whole.add_edges_from(sorted(edge for edge in edges if edge[0] != edge[1] and "__init__" not in edge))
    return nx.transitive_reduction(whole)


def stamp(reduced: nx.DiGraph) -> str:
    """What the drawing says of itself, so that a test can tell whether it is of today."""
    return "imports " + hashlib.sha256(repr(sorted(reduced.edges)).encode()).hexdigest()[:16]


def places(reduced: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """Height: the longest way down. Sideways: by turns the mean place of neighbours above and below."""
    height = {}
    for name in reversed(list(nx.topological_sort(reduced))):
        height[name] = 1 + max((height[low] for low in reduced.successors(name)), default=-1)
    rows = [sorted(name for name in height if height[name] == level) for level in range(max(height.values()) + 1)]
    x: dict[str, float] = {}
    spread(rows, x, max(map(len, rows)))
    for _ in range(12):
        for row in rows:
            near = {name: [x[n] for n in nx.all_neighbors(reduced, name)] or [x[name]] for name in row}
            row.sort(key=lambda name, near=near: sum(near[name]) / len(near[name]))
            spread([row], x, max(map(len, rows)))
    return {name: (x[name], height[name]) for name in height}


def spread(rows: list[list[str]], x: dict[str, float], widest: int) -> None:
    """Place each row around zero, short rows with wider gaps."""
    for row in rows:
        gap = min(2.2, widest / len(row))
        x |= {name: gap * (i - (len(row) - 1) / 2) for i, name in enumerate(row)}


def draw(reduced: nx.DiGraph) -> plt.Figure:
    where = places(reduced)
    width = max(abs(x) for x, _ in where.values())
    figure, axis = plt.subplots(figsize=(11, 0.62 * (1 + max(y for _, y in where.values()))), layout="constrained")
    for top, low in reduced.edges:
        (x, y), (u, v) = where[top], where[low]
        axis.plot([x, u], [y, v], color="0.72", linewidth=0.9, zorder=1)
    for name, (x, y) in where.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": COLOURS.get(name, "white"), "edgecolor": "0.4", "lw": 0.8}
        axis.text(x, y, name, ha="center", va="center", fontsize=8.5, bbox=box, zorder=2)
    axis.set(xlim=(-width - 0.6, width + 0.6), ylim=(-0.6, max(y for _, y in where.values()) + 0.6))
    axis.axis("off")
    return figure


if __name__ == "__main__":
    plt.rcParams["svg.hashsalt"] = "cgdseg"
    plt.rcParams["svg.fonttype"] = "path"
    found = graph()
    draw(found).savefig(TARGET, metadata={"Date": None, "Description": stamp(found)})
    print(TARGET.relative_to(ROOT))
