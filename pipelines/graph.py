"""The DAG of a pipeline as Mermaid or Graphviz DOT text."""

from __future__ import annotations

from pipelines.spec import PipelineSpec


def mermaid(spec: PipelineSpec) -> str:
    """A Mermaid flowchart, as Markdown viewers draw it."""
    lines = ["flowchart LR"]
    for stage in spec.stages:
        lines.append(f'  {stage.name}["{stage.name}<br/>{stage.use.partition(":")[2]}"]')
        lines += [f"  {name} -->|{spec.by_name[name].contract.gives.value}| {stage.name}" for name in stage.inputs]
    return "\n".join(lines) + "\n"


def dot(spec: PipelineSpec) -> str:
    """A Graphviz digraph."""
    lines = [f'digraph "{spec.name}" {{', "  rankdir=LR; node [shape=box];"]
    for stage in spec.stages:
        lines.append(f'  {stage.name} [label="{stage.name}\\n{stage.use.partition(":")[2]}"];')
        gives = {name: spec.by_name[name].contract.gives.value for name in stage.inputs}
        lines += [f'  {name} -> {stage.name} [label="{kind}"];' for name, kind in gives.items()]
    return "\n".join([*lines, "}"]) + "\n"
