"""Masked-language-model pretraining (Devlin et al., arXiv 1810.04805): hide tokens of a text, learn to tell them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from boomlib.harness.ragged import send
from boomlib.harness.training import Trainee

HIDDEN, MASKED, REPLACED = 0.15, 0.8, 0.1  # share of tokens to tell; of these, shown as the mask and as another token
IGNORED = -100  # of cross entropy's targets


class MaskedTokens(Trainee):
    """Trains a language model on tokens [texts, longest] (int64) to tell the hidden 15 %.

    Args:
        network: called with ``input_ids`` and ``attention_mask``, returns ``logits`` [texts, longest, ids].
        optimise: see :class:`boomlib.harness.training.Trainee`.
        tokenizer: its ids of padding, mask and all special tokens.
    """

    def __init__(self, network: nn.Module, optimise: Callable[[nn.Module], dict], tokenizer) -> None:
        super().__init__(network, optimise)
        self.padding, self.mask = tokenizer.pad, tokenizer.mask
        self.register_buffer("ordinary", ordinary_ids(tokenizer), persistent=False)
        self.sums: list[Tensor] = []

    def hide(self, tokens: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Tokens as the network sees them, and the targets: :data:`IGNORED` where nothing is to be told.

        At least one token of each text is hidden.
        """
        draw, kind = send(torch.rand((2, *tokens.shape), generator=generator), tokens.device)
        draw = draw.masked_fill(~torch.isin(tokens, self.ordinary), 2.0)
        hidden = (draw < HIDDEN) | (draw == draw.min(dim=1, keepdim=True).values) & (draw < 2.0)
        chosen = send(torch.randint(len(self.ordinary), tokens.shape, generator=generator), tokens.device)
        shown = torch.where(hidden & (kind < MASKED), self.mask, tokens)
        shown = torch.where(hidden & (kind >= 1 - REPLACED), self.ordinary[chosen], shown)
        return shown, tokens.masked_fill(~hidden, IGNORED)

    def sum_losses(self, shown: Tensor, targets: Tensor) -> Tensor:
        """Sum of the cross entropies of the hidden tokens, and how many there are, float32 [2]."""
        logits = self.network(input_ids=shown, attention_mask=(shown != self.padding).long()).logits.float()
        total = nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return torch.stack([total, (targets != IGNORED).sum().float()])

    def training_step(self, tokens: Tensor) -> Tensor:
        """Mean cross entropy of one batch."""
        total, hidden = self.sum_losses(*self.hide(tokens))
        loss = total / hidden
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(tokens))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Hide the same tokens in each epoch."""
        self.generator = torch.Generator().manual_seed(0)

    def validation_step(self, tokens: Tensor) -> None:
        """Cross entropies of one batch."""
        self.sums.append(self.sum_losses(*self.hide(tokens, self.generator)))

    def on_validation_epoch_end(self) -> None:
        """Mean over the hidden tokens."""
        total, hidden = torch.stack(self.sums).sum(dim=0)
        self.log("valid_loss", total / hidden)
        self.sums.clear()


def ordinary_ids(tokenizer) -> Tensor:
    """Ids of all tokens that are not special, ascending."""
    return torch.tensor(sorted(set(range(tokenizer.size)) - set(tokenizer.specials)))
