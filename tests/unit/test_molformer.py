import json
import math

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors.torch import load_file, save_file
from torch import nn

from boomlib.models.language.molformer import LinearAttention, MolformerConfig, MolformerForMaskedLM, rotate, rotation

SMILES = ["CCO", "c1ccccc1", "CC(=O)N", "N#CC1CC1"]
PAD, MASK = 2, 3
SYMBOLS = sorted(set("".join(SMILES)))

# the weights of ibm/MoLFormer-XL-both-10pct, all layers but one left out
HUB_WEIGHTS = {
    "molformer.embeddings.word_embeddings.weight": (2362, 768),
    "molformer.encoder.layer.0.attention.self.query.weight": (768, 768),
    "molformer.encoder.layer.0.attention.self.query.bias": (768,),
    "molformer.encoder.layer.0.attention.self.key.weight": (768, 768),
    "molformer.encoder.layer.0.attention.self.key.bias": (768,),
    "molformer.encoder.layer.0.attention.self.value.weight": (768, 768),
    "molformer.encoder.layer.0.attention.self.value.bias": (768,),
    "molformer.encoder.layer.0.attention.self.feature_map.weight": (64, 32),
    "molformer.encoder.layer.0.attention.output.dense.weight": (768, 768),
    "molformer.encoder.layer.0.attention.output.dense.bias": (768,),
    "molformer.encoder.layer.0.attention.output.LayerNorm.weight": (768,),
    "molformer.encoder.layer.0.attention.output.LayerNorm.bias": (768,),
    "molformer.encoder.layer.0.intermediate.dense.weight": (768, 768),
    "molformer.encoder.layer.0.intermediate.dense.bias": (768,),
    "molformer.encoder.layer.0.output.dense.weight": (768, 768),
    "molformer.encoder.layer.0.output.dense.bias": (768,),
    "molformer.encoder.layer.0.output.LayerNorm.weight": (768,),
    "molformer.encoder.layer.0.output.LayerNorm.bias": (768,),
    "molformer.LayerNorm.weight": (768,),
    "molformer.LayerNorm.bias": (768,),
    "lm_head.transform.dense.weight": (768, 768),
    "lm_head.transform.dense.bias": (768,),
    "lm_head.transform.LayerNorm.weight": (768,),
    "lm_head.transform.LayerNorm.bias": (768,),
    "lm_head.decoder.weight": (2362, 768),
}
EMBEDDING, DECODER = "molformer.embeddings.word_embeddings.weight", "lm_head.decoder.weight"


def make_model(**sizes) -> MolformerForMaskedLM:
    """A small one in double precision, with all weights far from 0 and 1, in evaluation."""
    torch.manual_seed(0)
    defaults = {"vocab_size": 4 + len(SYMBOLS), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = MolformerConfig(**{**defaults, "intermediate_size": 24, "num_random_features": 12, **sizes})
    model = MolformerForMaskedLM(config).double().eval()
    for weights in model.parameters():
        nn.init.normal_(weights, std=0.5)
    return model


def make_batch(smiles: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids, a first and a last token around the atoms' and bonds', and which of them are real."""
    rows = [torch.tensor([0, *(4 + SYMBOLS.index(symbol) for symbol in text), 1]) for text in smiles]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
    return ids, (ids != PAD).long()


def feature_maps(model: MolformerForMaskedLM) -> list[torch.Tensor]:
    return [weights for name, weights in model.state_dict().items() if name.endswith("feature_map.weight")]


# -- checkpoints -----------------------------------------------------------------------------------------


def test_names_and_shapes_of_weights_are_those_on_the_hub():
    with torch.device("meta"):
        model = MolformerForMaskedLM(MolformerConfig(num_hidden_layers=1))
    assert {name: tuple(weights.shape) for name, weights in model.state_dict().items()} == HUB_WEIGHTS


def test_what_is_saved_is_loaded(tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert set(stored) == set(model.state_dict()) - {DECODER}

    loaded, problems = MolformerForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(problems.values()), problems
    assert loaded.config.to_diff_dict() == model.config.to_diff_dict()
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(loaded(*make_batch(SMILES)).logits, model(*make_batch(SMILES)).logits, rtol=0, atol=0)


@pytest.mark.parametrize("absent", [{DECODER}, {EMBEDDING}, set()], ids=["decoder", "embedding", "neither"])
def test_tied_weights_are_tied_whichever_of_them_a_file_holds(tmp_path, absent):
    model = make_model()
    model.config.save_pretrained(tmp_path)
    weights = {name: weights.clone() for name, weights in model.state_dict().items() if name not in absent}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})

    loaded, problems = MolformerForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(problems.values()), problems
    assert loaded.lm_head["decoder"].weight is loaded.molformer.embeddings["word_embeddings"].weight
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_a_configuration_as_on_the_hub_is_read(tmp_path):
    hub = {
        "_name_or_path": "ibm/MoLFormer-XL-both-10pct",
        "architectures": ["MolformerForMaskedLM"],
        "auto_map": {"AutoConfig": "configuration_molformer.MolformerConfig"},
        "classifier_dropout_prob": None,
        "classifier_skip_connection": True,
        "deterministic_eval": False,
        "max_position_embeddings": 202,
        "model_type": "molformer",
        "num_attention_heads": 12,
        "torch_dtype": "float32",
    }
    (tmp_path / "config.json").write_text(json.dumps(hub))
    config = MolformerConfig.from_pretrained(tmp_path)
    assert (config.num_attention_heads, config.vocab_size, config.hidden_size) == (12, 2362, 768)
    assert config.max_position_embeddings == 202


def test_heads_that_cannot_be_rotated_are_an_error():
    with pytest.raises(StrictDataclassError, match="hidden_size 12 must be a multiple of 2"):
        MolformerConfig(hidden_size=12, num_attention_heads=4)


# -- numerics --------------------------------------------------------------------------------------------


def rotation_matrix(position: int, width: int) -> torch.Tensor:
    """R_m: features i and i + width / 2 turn by m · 10000^(-2i / width)."""
    matrix = torch.zeros(width, width, dtype=torch.double)
    for i in range(width // 2):
        angle, j = position * 10000 ** (-2 * i / width), i + width // 2
        matrix[i, i] = matrix[j, j] = math.cos(angle)
        matrix[j, i], matrix[i, j] = math.sin(angle), -math.sin(angle)
    return matrix


def naive_attention(hidden: torch.Tensor, weights: dict[str, torch.Tensor], heads: int) -> torch.Tensor:
    """One molecule without padding, [tokens, width], head by head, with all pairs of tokens."""
    tokens, width = hidden.shape[0], hidden.shape[1] // heads
    turn = torch.stack([rotation_matrix(position, width) for position in range(tokens)])
    gathered = []
    for head in range(heads):
        rows = slice(head * width, (head + 1) * width)
        query, key, value = (
            hidden @ weights[f"{part}.weight"][rows].T + weights[f"{part}.bias"][rows]
            for part in ("query", "key", "value")
        )
        query, key = (torch.einsum("tij,tj->ti", turn, part) for part in (query, key))
        query, key = (torch.relu(part @ weights["feature_map.weight"]) for part in (query, key))
        scores = query @ key.T
        gathered.append(scores / scores.sum(dim=1, keepdim=True).clamp(min=1e-6) @ value)
    return torch.cat(gathered, dim=1)


def test_attention_is_that_of_all_pairs_with_the_same_features():
    attention = make_model(hidden_size=16, num_attention_heads=2).molformer.encoder["layer"][0].attention["self"]
    hidden = torch.randn(1, 230, 16, dtype=torch.double)  # longer than IBM's longest
    cosine, sine = rotation(230, 8, like=hidden)
    expected = naive_attention(hidden[0], attention.state_dict(), heads=2)
    actual = attention(hidden, torch.ones(1, 230), cosine, sine)[0]
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def test_the_whole_model_is_what_its_weights_say():
    model = make_model()
    ids, real = make_batch(SMILES[3:])
    weights = model.state_dict()

    def dense(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name, x):
        centred = x - x.mean(dim=1, keepdim=True)
        scaled = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-12).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def gelu(x):
        return x * (1 + torch.erf(x / math.sqrt(2))) / 2

    h = weights[EMBEDDING][ids[0]]
    for number in range(2):
        layer = f"molformer.encoder.layer.{number}"
        prefix = f"{layer}.attention.self."
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        gathered = naive_attention(h, own, heads=2)
        h = norm(f"{layer}.attention.output.LayerNorm", h + dense(f"{layer}.attention.output.dense", gathered))
        inner = gelu(dense(f"{layer}.intermediate.dense", h))
        h = norm(f"{layer}.output.LayerNorm", h + dense(f"{layer}.output.dense", inner))
    h = norm("molformer.LayerNorm", h)
    torch.testing.assert_close(model.base_model(ids, real).last_hidden_state[0], h, rtol=1e-9, atol=1e-9)
    transformed = norm("lm_head.transform.LayerNorm", gelu(dense("lm_head.transform.dense", h)))
    logits = transformed @ weights[EMBEDDING].T
    torch.testing.assert_close(model(input_ids=ids, attention_mask=real).logits[0], logits, rtol=1e-9, atol=1e-9)


def test_a_product_of_rotated_vectors_depends_on_the_difference_of_positions():
    query, key = torch.randn(2, 1, 8, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    cosine, sine = rotation(60, 8, like=query)
    products = rotate(query.expand(60, 8), cosine, sine) @ rotate(key.expand(60, 8), cosine, sine).T
    torch.testing.assert_close(products[20:, 20:], products[:40, :40], rtol=1e-9, atol=1e-9)
    assert products[0].std() > 0.1


def test_attention_by_that_product_alone_depends_on_differences_of_positions():
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_attention_heads": 1, "num_random_features": 8, "feature_map_kernel": "linear"}
    attention = LinearAttention(MolformerConfig(**sizes)).double().eval()
    attention.feature_map.weight = torch.eye(8, dtype=torch.double)
    hidden = torch.randn(1, 30, 8, dtype=torch.double)
    real = torch.ones(1, 30)
    real[:, :12] = 0
    moved = attention(hidden, real, *rotation(30, 8, like=hidden))[:, 12:]
    first = attention(hidden[:, 12:], real[:, 12:], *rotation(18, 8, like=hidden))
    torch.testing.assert_close(moved, first, rtol=1e-7, atol=1e-7)


def test_padding_and_the_rest_of_the_batch_change_nothing():
    model = make_model()
    ids, real = make_batch(SMILES)
    together = model.base_model(ids, real).last_hidden_state
    assert (real.sum(dim=1) < ids.shape[1]).any()
    for row, smiles in enumerate(SMILES):
        alone = model.base_model(*make_batch([smiles])).last_hidden_state[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=1e-9, atol=1e-9)
    other = torch.where(real.bool(), ids, MASK)
    changed = model.base_model(other, real).last_hidden_state
    torch.testing.assert_close(changed[real.bool()], together[real.bool()], rtol=1e-9, atol=1e-9)


def test_the_order_of_tokens_matters():
    model = make_model()
    first, second = (model.base_model(*make_batch([text])).last_hidden_state[0, 0] for text in ("CCO", "COC"))
    assert (first - second).abs().max() > 1e-3


# -- random features -------------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [12, 5])
def test_columns_of_a_draw_are_orthogonal_and_as_long_as_normal_vectors(features):
    layer = make_model(num_random_features=features).molformer.encoder["layer"][0]
    draws = torch.stack([layer.attention["self"].feature_map.draw() for _ in range(400)])
    assert draws.shape == (400, 8, features)
    block = draws[:, :, :8]
    products = block.transpose(1, 2) @ block
    off = products - torch.diag_embed(products.diagonal(dim1=1, dim2=2))
    torch.testing.assert_close(off, torch.zeros_like(off), rtol=0, atol=1e-12)
    squares = draws.square().sum(dim=1)  # χ² of 8 degrees of freedom
    assert squares.mean() == pytest.approx(8, abs=0.5)
    assert squares.var() == pytest.approx(16, abs=4)


def test_training_draws_anew_from_torchs_generator():
    model = make_model(hidden_dropout_prob=0, embedding_dropout_prob=0).train()
    batch = make_batch(SMILES)
    torch.manual_seed(1)
    first, second = model(*batch).logits, model(*batch).logits
    assert not torch.equal(first, second)
    (first - second).square().sum().backward()  # the first call's features are still what its gradient needs
    assert not torch.equal(*feature_maps(model))  # each layer draws its own
    torch.manual_seed(1)
    torch.testing.assert_close(model(*batch).logits, first, rtol=0, atol=0)


def test_evaluation_keeps_what_training_drew_last():
    model = make_model(deterministic_eval=False)
    initial = feature_maps(model)
    model.train()(*make_batch(SMILES))
    drawn = feature_maps(model)
    assert not any(torch.equal(*pair) for pair in zip(initial, drawn, strict=True))

    state = torch.get_rng_state()
    first, second = model.eval()(*make_batch(SMILES)).logits, model(*make_batch(SMILES)).logits
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(feature_maps(model), drawn, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_new_models_of_one_seed_are_the_same():
    models = []
    for _ in range(2):
        torch.manual_seed(5)
        models.append(MolformerForMaskedLM(make_model().config))
    torch.testing.assert_close(models[0].state_dict(), models[1].state_dict(), rtol=0, atol=0)
    assert not torch.equal(*feature_maps(models[0]))
    assert all(0.5 < weights.std() < 2 for weights in feature_maps(models[0]))


# -- training --------------------------------------------------------------------------------------------


def test_gradients_reach_every_weight():
    model = make_model()
    model(*make_batch(SMILES)).logits.square().sum().backward()
    without = [name for name, weights in model.named_parameters() if not weights.grad.abs().max() > 0]
    assert not without
    assert all(weights.grad.isfinite().all() for weights in model.parameters())


def test_masked_tokens_of_a_few_smiles_are_learnt():
    torch.manual_seed(0)
    sizes = {"vocab_size": 4 + len(SYMBOLS), "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
    model = MolformerForMaskedLM(
        MolformerConfig(**sizes, intermediate_size=32, hidden_dropout_prob=0.0, embedding_dropout_prob=0.0)
    )
    ids, real = make_batch(SMILES)
    columns = torch.tensor([2, 3, 4, 1])
    rows = torch.arange(len(SMILES))
    masked = ids.clone()
    masked[rows, columns] = MASK
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    model.train()
    for _ in range(80):
        optimizer.zero_grad()
        logits = model(masked, real).logits[rows, columns]
        loss = nn.functional.cross_entropy(logits, ids[rows, columns])
        loss.backward()
        optimizer.step()
    predicted = model.eval()(masked, real).logits[rows, columns]
    assert torch.equal(predicted.argmax(dim=1), ids[rows, columns])
    assert loss < 0.1
