import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from conftest import make_molecules

from boomlib import registry
from boomlib.features import elements
from boomlib.files import ContractError
from boomlib.harness.interface import Molecules, find_model_class
from boomlib.models.language.language_model import Texts, TokenReadOut, TokenStore
from boomlib.models.language.masked_tokens import IGNORED, MaskedTokens
from boomlib.models.language.regression_transformer import LARGEST, numerical_encodings, read_value, write_value

NAMES = ("chemberta_small", "modernbert_small", "molformer_small", "regression_transformer_small")
MODELS = registry.load_models()
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "d_model": 32,
    "n_layer": 2,
    "n_head": 2,
    "d_inner": 32,
}


def as_molecules(smiles, y=None) -> Molecules:
    y = np.zeros(len(smiles)) if y is None else y
    return Molecules(
        np.arange(len(smiles)), np.array(smiles, dtype=object), y, {"elements": pa.table(elements.compute(smiles))}
    )


def read_texts(model, smiles) -> Texts:
    """A batch of all of these."""
    return TokenStore.of(model.encode_smiles(smiles), model.tokenizer.pad).take(np.arange(len(smiles)))


def make(name, kind="extensive", seed=0, **changes):
    descriptor = MODELS[name]
    parameters = dict(descriptor["parameters"])
    parameters["network"] = {key: SIZES.get(key, value) for key, value in parameters["network"].items()}
    for key, value in changes.items():
        parameters[key] = parameters[key] | value if isinstance(value, dict) and key != "pretrained" else value
    return find_model_class(descriptor["class"])(kind=kind, seed=seed, **parameters)


@pytest.fixture(scope="module")
def molecules() -> Molecules:
    """32 molecules whose labels the composition does not explain."""
    frame = make_molecules(32)
    smiles = frame["smiles"].tolist()
    y = frame["size"].to_numpy() + 10 * np.array([text.count("=") + text.count("(") for text in smiles])
    return as_molecules(smiles, y)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


# -- read-out --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES[:3])
def test_a_sum_over_tokens_is_their_mean_times_their_number(name, molecules):
    model = make(name)
    start = model.start_from_scratch(molecules.smiles)
    texts = read_texts(model, molecules.smiles[:4])
    networks = [TokenReadOut(start, model.tokenizer.pad, read_out).eval() for read_out in ("sum", "mean")]
    torch.nn.init.normal_(networks[0].head[2].weight)
    networks[1].load_state_dict(networks[0].state_dict())
    with torch.no_grad():
        total, mean = (network(texts) for network in networks)
    torch.testing.assert_close(total, mean * (texts.tokens != model.tokenizer.pad).sum(dim=1))


def test_the_read_out_follows_the_kind_of_the_property():
    kinds = ("extensive", "intensive")
    assert [make("chemberta_small", kind=kind).read_out for kind in kinds] == ["sum", "mean"]
    assert [make("chemberta_small", kind=kind, read_out="crossed").read_out for kind in kinds] == ["mean", "sum"]


# -- training --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_model_can_learn_32_molecules_by_heart(name, molecules, tmp_path):
    rate = 0.01 if name.startswith("regression") else 0.005
    epochs = 250 if name.startswith("molformer") else 150  # MolFormer draws its random features anew at each step
    training = {"epochs": epochs, "batch": 16, "learning_rate": rate, "warm_up": 10, "weight_decay": 0.0}
    model = make(name, reference="mean", training=training)
    model.fit(molecules, molecules, tmp_path)
    error = model.predict(molecules).mean - molecules.y
    assert np.sqrt(np.mean(error**2)) < 0.05 * molecules.y.std()


@pytest.mark.parametrize("name", NAMES)
def test_spellings_are_drawn_in_training_and_averaged_in_prediction(name, molecules, tmp_path):
    model = make(name, enumeration=3, training={"epochs": 2})
    read = []
    encode = model.encode_smiles
    model.encode_smiles = lambda smiles, seed=None: read.append((seed, encode(smiles, seed))) or read[-1][1]
    model.fit(molecules, molecules, tmp_path)
    drawn = {seed for seed, _ in read}
    assert len(drawn - {None, 0}) == 2  # another one in each epoch
    predicted = model.predict(molecules).mean
    assert [len(texts) for texts in read[-1][1]] == [3] * 32
    each = [
        model.read(model.network, TokenStore.of([[texts[k]] for texts in read[-1][1]], model.tokenizer.pad))
        for k in range(3)
    ]
    np.testing.assert_allclose(predicted, model.references.inverse(molecules, np.mean(each, axis=0)), rtol=1e-9)
    np.testing.assert_allclose(model.predict(molecules.take(np.array([7, 2]))).mean, predicted[[7, 2]], rtol=1e-9)


def test_a_molecule_with_more_tokens_than_positions_is_named(molecules, tmp_path):
    model = make("chemberta_small", network={"max_position_embeddings": 12}, training={"epochs": 1})
    long = max(molecules.smiles, key=len)
    with pytest.raises(ContractError, match="tokens, but the network reads 11 at most; raise max_position") as error:
        model.fit(as_molecules([long]), as_molecules(["C"]), tmp_path)
    assert long in str(error.value)
    assert error.value.smiles == [long]


def test_a_molecule_without_tokens_is_named_as_the_table_writes_it(tmp_path):
    model = make("chemberta_small", notation="selfies", training={"epochs": 1})
    with pytest.raises(ContractError, match="cannot be written as SELFIES") as error:
        model.fit(as_molecules(["OC", "N[Fe](<-N)Cl"]), as_molecules(["C"]), tmp_path)
    assert error.value.smiles == ["N[Fe](<-N)Cl"]


def test_a_descriptor_that_asks_for_a_checkpoint_never_trains_from_scratch(molecules, tmp_path):
    model = make("chemberta_small", pretrained="mlm")
    with pytest.raises(ContractError, match="`pretrained: mlm`, but no checkpoint came with it"):
        model.fit(molecules, molecules, tmp_path)


# -- pretraining -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokens(molecules):
    model = make("chemberta_small")
    model.start_from_scratch(molecules.smiles)
    return model.tokenizer, read_texts(model, molecules.smiles).tokens


def test_masking_hides_about_15_per_cent_and_never_a_special_token(tokens):
    tokenizer, batch = tokens
    module = MaskedTokens(None, None, tokenizer)
    torch.manual_seed(0)
    hidden, shown_mask, kept, ordinary = 0, 0, 0, 0
    for _ in range(200):
        shown, targets = module.hide(batch)
        told = targets != IGNORED
        assert told.any(dim=1).all()
        assert not torch.isin(batch[told], torch.tensor(tokenizer.specials)).any()
        assert torch.equal(targets[told], batch[told])
        assert torch.equal(shown[~told], batch[~told])
        hidden += told.sum()
        shown_mask += (shown[told] == tokenizer.mask).sum()
        kept += (shown[told] == batch[told]).sum()
        ordinary += torch.isin(batch, module.ordinary).sum()
    assert 0.14 < hidden / ordinary < 0.2  # texts are short, and each has at least one
    assert 0.78 < shown_mask / hidden < 0.82
    assert 0.10 < kept / hidden < 0.14  # a tenth, and a few replaced by themselves


@pytest.mark.parametrize("name", NAMES)
def test_pretraining_learns_and_training_starts_from_it(name, molecules, tmp_path):
    pretraining = {"epochs": 12, "batch": 8, "learning_rate": 0.01, "warm_up": 2}
    make(name, pretraining=pretraining).pretrain(molecules.smiles.tolist(), tmp_path / "mlm", "MLM on 32 molecules")
    losses = [float(line.split(",")[-1]) for line in (tmp_path / "mlm/history.csv").read_text().split()[1:]]
    assert len(losses) == 12
    assert min(losses) < 0.8 * losses[0]
    assert json.loads((tmp_path / "mlm/checkpoint.json").read_text())["source"] == "MLM on 32 molecules"

    model = make(name, pretrained="mlm", training={"epochs": 1, "learning_rate": 0.0})
    model.checkpoint = tmp_path / "mlm"
    (tmp_path / "fit").mkdir()
    model.fit(molecules, molecules, tmp_path / "fit")
    assert model.facts["pretrained"] == "MLM on 32 molecules"
    again = make(name)
    again.checkpoint = tmp_path / "mlm"
    expected = again.start_from_checkpoint().state_dict()
    trained = {
        key.removeprefix("backbone.").removeprefix("language_model."): value
        for key, value in model.network.state_dict().items()
    }
    prefix = "" if name.startswith("regression") else again.language_model.base_model_prefix + "."
    # MolFormer's random features are drawn anew in training
    compared = [key for key in expected if key.removeprefix(prefix) in trained and "feature_map" not in key]
    assert len(compared) > 10
    for key in compared:
        torch.testing.assert_close(trained[key.removeprefix(prefix)].float(), expected[key])


def test_a_corpus_of_one_molecule_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(ContractError, match=r"the corpus has 1 molecule, but .*; add datasets to `corpus:`"):
        make("modernbert_small").pretrain(["CCO"], tmp_path, "MLM")


def test_an_interrupted_pretraining_ends_with_the_same_bytes(molecules, tmp_path, monkeypatch):
    pretraining = {"epochs": 3, "batch": 8, "warm_up": 0}
    smiles = molecules.smiles.tolist()
    for name in ("whole", "again"):
        (tmp_path / name).mkdir()
    make("modernbert_small", pretraining=pretraining).pretrain(smiles, tmp_path / "whole", "MLM")
    step, steps = MaskedTokens.training_step, []

    def stop(self, batch):
        steps.append(1)
        if len(steps) == 10:
            raise InterruptedError
        return step(self, batch)

    monkeypatch.setattr(MaskedTokens, "training_step", stop)
    with pytest.raises(InterruptedError):
        make("modernbert_small", pretraining=pretraining).pretrain(smiles, tmp_path / "again", "MLM")
    assert not (tmp_path / "again/model.safetensors").exists()
    make("modernbert_small", pretraining=pretraining).pretrain(smiles, tmp_path / "again", "MLM")
    assert len(steps) == 10 + 4  # the third epoch of four steps once more: eight were kept
    for file in ("model.safetensors", "history.csv", "checkpoint.json", "tokenizer.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


# -- Regression Transformer ------------------------------------------------------------------------------


def test_values_are_written_and_read_to_a_thousandth_far_beyond_train():
    z = torch.tensor([0.0, 0.0004, -0.0006, 1.2345, -3.999, 42.0, -99.999, 5000.0])
    torch.testing.assert_close(read_value(write_value(z)), z.double().clamp(max=LARGEST), atol=5.1e-4, rtol=0)
    assert write_value(torch.tensor([-12.345])).tolist() == [[8, 9 + 1, 19 + 2, 29 + 3, 39 + 4, 49 + 5]]


def test_numerical_encodings_are_those_of_the_paper():
    encodings = numerical_encodings(6)
    assert encodings.shape == (59, 6)
    assert not encodings[:9].any()
    sign, column = torch.tensor([1, -1, 1, -1, 1, -1]), torch.arange(1, 7)
    for row, value in ((9 + 7, 70.0), (19 + 4, 4.0), (49 + 9, 0.009)):
        torch.testing.assert_close(encodings[row], sign * value / 90 / column)


def test_digits_before_change_what_a_digit_is_taken_for_and_digits_behind_cannot(molecules):
    model = make("regression_transformer_small")
    network = model.make_network(model.start_from_scratch(molecules.smiles)).double().eval()
    tokens = read_texts(model, molecules.smiles[:4]).tokens
    value = network.untold(tokens).repeat(4, 1)
    with torch.no_grad():
        hidden = network.logits(value, tokens)
        value[:, 0] = network.first + 7
        shown = network.logits(value, tokens)
    assert not torch.allclose(hidden[:, 1], shown[:, 1])


def test_values_that_do_not_parse_are_counted_and_still_numbers(molecules, tmp_path, capsys):
    model = make("regression_transformer_small", training={"epochs": 1, "learning_rate": 0.0})
    model.fit(molecules, molecules, tmp_path)
    with torch.no_grad():  # a network that always says the first ordinary token
        model.network.language_model.get_output_embeddings().bias[5] = 1e3
    predicted = model.predict(molecules).mean
    assert np.isfinite(predicted).all()
    assert model.facts["unparsed"] == 32
    assert "32 of 32 values did not parse" in capsys.readouterr().out


def test_only_digits_that_are_not_shown_are_learnt(molecules):
    model = make("regression_transformer_small")
    network = model.make_network(model.start_from_scratch(molecules.smiles))
    losses = network.losses(read_texts(model, molecules.smiles), torch.linspace(-3, 3, 32))
    assert losses.shape == (32,)
    assert np.isclose(losses.mean().item(), np.log(model.config.vocab_size), rtol=0.1)
