"""Hyper-parameters of NL-MTP, and which of them go together."""

from typing import Literal, NotRequired, TypedDict

from boomlib.files import ContractError
from boomlib.harness.optimisers import Rates


class EncoderSettings(TypedDict):
    """See :class:`boomlib.models.nlmtp.encoder.Encoder`."""

    context: Literal["homologous", "intensive", "full"]
    environments: int
    margin: float
    additive: Literal["none", "counts", "counts and descriptors", "physics", "physics_embedded"]
    line: bool | Literal["within"]
    site: NotRequired[bool]
    enumeration: NotRequired[int]


class NetworkSettings(TypedDict):
    """See :class:`boomlib.models.nlmtp.network.Network` and :class:`boomlib.models.nlmtp.backbone.Backbone`."""

    width: int
    depth: int
    heads: int
    fast_layers: list[int]
    rank: int
    shared_alpha: bool
    probe_sees_do: bool
    dropout: float
    components: int
    read_out: Literal["kind", "sum", "mean", "probe"]


class LossWeights(TypedDict):
    """Weight of each term, see :mod:`boomlib.models.nlmtp.losses`; that of ``site`` is 1 unless given."""

    dr_func: float
    dr_mean: float
    observed: float
    mdn: float
    rex: float
    lor: float
    mmp: float
    support: float
    anchor: float
    site: NotRequired[float]


class PolicyTraining(Rates):
    """Batches, epochs and further arguments of :class:`boomlib.models.nlmtp.module.Module`.

    ``molecules_seen`` counts instead of ``epochs`` where it is given (:func:`boomlib.harness.training.count_epochs`).

    With ``policy_epochs`` training has two phases: ``epochs`` of the observed world alone, of which the best on valid
    is kept, and then so many of the policy, in which what the observed world reads stays as it is and the epoch is
    kept whose policy world agrees best with it on valid. 0, or none: both worlds in each batch, as the recipe has it.
    """

    batch: int
    epochs: int
    molecules_seen: NotRequired[int]
    policy_epochs: NotRequired[int]
    threshold: float
    clip: float
    pseudo_outcome: Literal["observed", "policy"]
    pair_epochs: int


def check_options(
    shift: float,
    encoder: EncoderSettings,
    network: NetworkSettings,
    losses: LossWeights,
    training: PolicyTraining,
) -> None:
    """Raise :class:`ContractError` where options exclude each other, are out of range or leave the policy unread."""
    if not shift:
        raise ContractError("`shift` is 0: the policy would change nothing")
    if training.get("policy_epochs"):
        if encoder["line"] == "within":
            raise ContractError("by `line: within` both worlds agree before `policy_epochs` do anything; drop either")
        if network["probe_sees_do"]:
            raise ContractError(
                "with `probe_sees_do` the observed world reads what `policy_epochs` trains; drop either"
            )
    depth, heads, width = network["depth"], network["heads"], network["width"]
    beyond = [layer for layer in network["fast_layers"] if not 0 <= layer < depth]
    if beyond:
        raise ContractError(f"`fast_layers` has {beyond}, but the network's layers are 0 to {depth - 1}")
    if not network["fast_layers"] and not network["probe_sees_do"] and encoder["line"] != "within":
        raise ContractError("nothing reads the shift: give `fast_layers` a layer, or let `probe_sees_do` be true")
    if heads < 1 or width % (2 * heads):
        raise ContractError(f"`width` has to be a multiple of twice the heads, not {width} for {heads} heads")
    at_least = {"margin": 0.0, "enumeration": 0, "policy_epochs": 0, "pair_epochs": 0, "warm_up": 0, "threshold": 0.0}
    at_least |= dict.fromkeys(("environments", "depth", "components", "rank", "batch", "epochs", "clip"), 1)
    at_least["molecules_seen"] = 1
    at_least |= dict.fromkeys(losses, 0.0)
    given = {**encoder, **network, **losses, **training}
    for name, least in at_least.items():
        if given.get(name, least) < least:
            raise ContractError(f"`{name}` has to be at least {least:g}, not {given[name]:g}")
    if training["threshold"] > 1:
        raise ContractError(f"`threshold` is a support, at most 1, not {training['threshold']:g}")
    if not encoder["margin"]:
        raise ContractError("`margin` has to be above 0: with 0 the least label of train has no logarithm")
