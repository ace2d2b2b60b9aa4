"""The DAG of a pipeline as Mermaid or Graphviz DOT text.

A stage may be named like a word of these languages (`end`, `graph`, `node`), so names stand in quotes in DOT, and
behind a prefix in Mermaid, which has no quotes for them.
"""

from __future__ import annotations

from pipelines.spec import PipelineSpec


def mermaid(spec: PipelineSpec) -> str:
    """A Mermaid flowchart, as Markdown viewers draw it."""
    lines = ["flowchart LR"]
    for stage in spec.stages:
        lines.append(f'  s_{stage.name}["{stage.name}<br/>{stage.use.partition(":")[2]}"]')
        lines += [f"  s_{name} -->|{spec.by_name[name].contract.gives.value}| s_{stage.name}" for name in stage.inputs]
    return "\n".join(lines) + "\n"


def dot(spec: PipelineSpec) -> str:
    """A Graphviz digraph."""
    lines = [f"digraph {_quoted(spec.name)} {{", "  rankdir=LR; node [shape=box];"]
    for stage in spec.stages:
        lines.append(f'  "{stage.name}" [label="{stage.name}\\n{stage.use.partition(":")[2]}"];')
        gives = {name: spec.by_name[name].contract.gives.value for name in stage.inputs}
        lines += [f'  "{name}" -> "{stage.name}" [label="{kind}"];' for name, kind in gives.items()]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
