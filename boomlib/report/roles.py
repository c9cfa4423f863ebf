"""What the report needs to know of the models, from their descriptors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from boomlib.external import is_external
from boomlib.registry import list_members


@dataclass(frozen=True)
class Roles:
    """``labels``: name for people, by model, which marks external ones; ``controls``: models that are shown last and
    never ranked; ``evaluators``: models that answer a policy; ``members``: of committees, what models they read;
    ``sizes``: of models that are small or have a budget, see :func:`describe_size`."""

    labels: Mapping[str, str]
    controls: frozenset[str]
    evaluators: frozenset[str]
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=dict)

    @property
    def unjudged(self) -> frozenset[str]:
        """Models whose predictions say nothing new of what is hard: controls are no predictors, and a committee says
        again what its members say."""
        return self.controls | frozenset(self.members)

    def label(self, model: str) -> str:
        """The name of a model for people."""
        return self.labels[model]


def assign_roles(models: Mapping[str, Mapping]) -> Roles:
    """The roles of ``models``, descriptors by name."""
    return Roles(
        labels={name: model["label"] + " (external)" * is_external(model) for name, model in models.items()},
        controls=frozenset(name for name, model in models.items() if model["family"] == "control"),
        evaluators=frozenset(name for name, model in models.items() if model.get("answers_policy")),
        members={name: members for name, model in models.items() if (members := list_members(model))},
        sizes={name: size for name, model in models.items() if (size := describe_size(model))},
    )


def describe_size(model: Mapping) -> str:
    """How a model is smaller than its source has it, and how many molecules its training sees; empty if as the source.

    >>> describe_size({"size": "small", "parameters": {"training": {"molecules_seen": 600_000}}})
    'small, 600,000 molecules seen'
    """
    seen = model["parameters"].get("training", {}).get("molecules_seen")
    said = [model["size"]] if "size" in model else []
    return ", ".join([*said, f"{seen:,} molecules seen"] if seen else said)
