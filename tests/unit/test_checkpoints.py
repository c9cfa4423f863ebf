"""Checkpoints in the hub's layout: real ones look like these, and each way to be wrong has its message."""

import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

import huggingface_hub
import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file
from transformers import ModernBertForMaskedLM, RobertaConfig, RobertaForMaskedLM, XLNetLMHeadModel

from boomlib.files import ContractError
from boomlib.harness.job import forget_other_runs
from boomlib.models.language.molformer import MolformerForMaskedLM
from boomlib.text.checkpoint_files import checkpoint_files
from boomlib.text.checkpoints import load_checkpoint, write_checkpoint
from boomlib.text.hub import download_checkpoint
from boomlib.text.tokens import Tokenizer

SMILES = ["CC(=O)Oc1ccccc1", "C[C@H](N)C(O)=O", "ClCCBr"]
HUB, REVISION = "lab/Tiny-Chem", "0123456789abcdef0123456789abcdef01234567"
TINY = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
EMBEDDING = "roberta.embeddings.word_embeddings.weight"


def make_model(language_model, tokenizer, **settings):
    """A tiny language model of the tokenizer's size, in evaluation mode."""
    torch.manual_seed(0)
    if language_model is ModernBertForMaskedLM:
        settings |= {"cls_token_id": 2, "sep_token_id": 3}
    if language_model is XLNetLMHeadModel:
        settings |= {"d_head": 4}
    ids = {"vocab_size": tokenizer.size, "pad_token_id": tokenizer.pad, "bos_token_id": 2, "eos_token_id": 3}
    return language_model(language_model.config_class(**(TINY | ids | settings))).eval()


def edit_weights(folder, edit):
    """Let ``edit`` change the dictionary of weights of a checkpoint."""
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def edit_config(folder, **changes):
    """Change config.json of a checkpoint."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.fit(SMILES, "smiles")


@pytest.fixture
def own(tmp_path, tokenizer):
    """A checkpoint of the pipeline, with its record."""
    write_checkpoint(tmp_path / "own", make_model(RobertaForMaskedLM, tokenizer), tokenizer, "mlm")
    return tmp_path / "own"


@pytest.fixture
def plain(own):
    """The same without a record, as a folder of one's own has none."""
    (own / "checkpoint.json").unlink()
    return own


@pytest.fixture
def published(tmp_path):
    """As ChemBERTa's are: byte-level BPE of two files, both tied biases, a pooler, stored position ids, spare rows."""
    folder = tmp_path / "published"
    folder.mkdir()
    trained = tokenizers.ByteLevelBPETokenizer()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(SMILES * 5, vocab_size=280, special_tokens=specials)
    trained.save_model(str(folder))
    ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "vocab_size": 300}
    model = RobertaForMaskedLM(RobertaConfig(**(TINY | ids)))
    model.save_pretrained(folder)

    def add(weights):
        weights["lm_head.decoder.weight"] = weights[EMBEDDING].clone()
        weights["lm_head.decoder.bias"] = weights["lm_head.bias"].clone()
        weights["roberta.embeddings.position_ids"] = torch.arange(512)[None]
        weights["roberta.pooler.dense.weight"] = torch.zeros(8, 8)
        weights["roberta.pooler.dense.bias"] = torch.zeros(8)

    edit_weights(folder, add)
    return folder


# -- what loads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "language_model", [RobertaForMaskedLM, ModernBertForMaskedLM, XLNetLMHeadModel, MolformerForMaskedLM]
)
def test_a_written_checkpoint_comes_back_whole(tmp_path, tokenizer, language_model):
    model = make_model(language_model, tokenizer)
    write_checkpoint(tmp_path, model, tokenizer, "mlm on csd10k")
    back, its_tokenizer, source = load_checkpoint(tmp_path, language_model)
    assert source == "mlm on csd10k"
    assert not back.training
    for (name, one), (_, other) in zip(model.state_dict().items(), back.state_dict().items(), strict=True):
        assert torch.equal(one, other), name
    for (name, one), (_, other) in zip(model.named_buffers(), back.named_buffers(), strict=True):
        assert torch.equal(one, other), name
    ids = torch.as_tensor(its_tokenizer.encode(SMILES)[0])[None]
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    theirs = language_model.from_pretrained(tmp_path)
    for other in (back, theirs):
        assert torch.equal(model(**batch).logits, other(**batch).logits)
    tied = back.get_expanded_tied_weights_keys(all_submodels=True)
    assert tied
    for name, other in tied.items():
        assert back.get_parameter(name) is back.get_parameter(other), "tied weights stay tied"


def test_the_record_lists_every_file_with_its_sha256(own):
    content = json.loads((own / "checkpoint.json").read_text())
    assert content["source"] == "mlm"
    assert set(content["files"]) == {each.name for each in own.iterdir()} - {"checkpoint.json"}
    for name, digest in content["files"].items():
        assert digest == hashlib.sha256((own / name).read_bytes()).hexdigest()


def test_equal_models_make_equal_bytes_and_other_files_of_the_folder_stay(own, tmp_path, tokenizer):
    (own / "history.csv").write_text("epoch\n")
    (own / "vocab.json").write_text("{}")
    before = (own / "checkpoint.json").read_bytes()
    write_checkpoint(own, make_model(RobertaForMaskedLM, tokenizer), tokenizer, "mlm")
    assert (own / "checkpoint.json").read_bytes() == before
    assert (own / "history.csv").read_text() == "epoch\n"
    assert not (own / "vocab.json").exists(), "of an earlier checkpoint nothing is left"


def test_a_plain_folder_is_its_own_source(plain):
    assert load_checkpoint(plain, RobertaForMaskedLM)[2] == str(plain)


@pytest.mark.parametrize("named", ["float16", None])
def test_weights_in_half_precision_load_in_single(plain, named):
    edit_weights(plain, lambda weights: weights.update({name: each.half() for name, each in weights.items()}))
    edit_config(plain, dtype=named)
    state = load_checkpoint(plain, RobertaForMaskedLM)[0].state_dict()
    for name, tensor in load_file(plain / "model.safetensors").items():
        assert state[name].dtype == torch.float32
        assert torch.equal(state[name], tensor.float()), name


def test_features_drawn_in_training_are_the_files_and_not_drawn_anew(tmp_path, tokenizer):
    model = make_model(MolformerForMaskedLM, tokenizer)
    write_checkpoint(tmp_path, model, tokenizer, "mlm")

    def edit(weights):
        drawn = [name for name in weights if name.endswith("feature_map.weight")]
        assert len(drawn) == TINY["num_hidden_layers"]
        weights.update({name: torch.full_like(weights[name], 7.0) for name in drawn})

    (tmp_path / "checkpoint.json").unlink()
    edit_weights(tmp_path, edit)
    state = load_checkpoint(tmp_path, MolformerForMaskedLM)[0].state_dict()
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        assert torch.equal(state[name], tensor), name


def test_a_model_that_is_loaded_no_longer_depends_on_its_file(plain):
    model = load_checkpoint(plain, RobertaForMaskedLM)[0]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    size = (plain / "model.safetensors").stat().st_size
    with (plain / "model.safetensors").open("r+b") as stream:
        stream.seek(size // 2)
        stream.write(b"\1" * (size // 2))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_files_that_are_no_part_of_a_checkpoint_change_nothing(plain):
    expected = load_checkpoint(plain, RobertaForMaskedLM)[0].state_dict()
    (plain / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "elsewhere", "peft_type": "LORA"})
    )
    (plain / "generation_config.json").write_text("{")
    (plain / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "other.safetensors"}}))
    edit_config(plain, transformers_weights="other.safetensors")
    found = load_checkpoint(plain, RobertaForMaskedLM)[0].state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_of_tied_weights_either_name_will_do(plain):
    expected = load_checkpoint(plain, RobertaForMaskedLM)[0].state_dict()
    edit_weights(plain, lambda weights: weights.update({"lm_head.decoder.weight": weights.pop(EMBEDDING)}))
    found = load_checkpoint(plain, RobertaForMaskedLM)[0].state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_checkpoint_as_published_loads_from_a_mirror(published, tmp_path):
    shutil.copytree(published, tmp_path / "mirror" / f"lab--Tiny-Chem@{REVISION}")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/stale.txt").write_text("")
    download_checkpoint(HUB, REVISION, tmp_path / "here", tmp_path / "mirror")
    assert not (tmp_path / "here/stale.txt").exists()
    model, tokenizer, source = load_checkpoint(tmp_path / "here", RobertaForMaskedLM)
    assert source == f"{HUB}@{REVISION}"
    assert tokenizer.size < model.config.vocab_size
    assert torch.equal(model.state_dict()[EMBEDDING], load_file(published / "model.safetensors")[EMBEDDING])


# -- what does not ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda w: w.pop("lm_head.dense.weight"), r"1 missing keys \(lm_head\.dense\.weight\); the checkpoint is of"),
        (lambda w: w.pop(EMBEDDING), r"2 missing keys \(lm_head\.decoder\.weight, roberta\.embeddings\.word_emb"),
        (
            lambda w: w.update({"lm_head.more": torch.zeros(1)}),
            r"1 extra keys \(lm_head\.more\); the checkpoint",
        ),
        # transformers takes these for the same weight with a prefix, or with the name that it had once
        (
            lambda w: w.update({"embeddings.word_embeddings.weight": torch.zeros_like(w[EMBEDDING])}),
            r"1 extra keys \(embeddings\.word_embeddings\.weight\)",
        ),
        (
            lambda w: w.update({"roberta.embeddings.LayerNorm.gamma": w.pop("roberta.embeddings.LayerNorm.weight")}),
            r"1 extra keys \(roberta\.embeddings\.LayerNorm\.gamma\)",
        ),
        (lambda w: w.update({f"x.{i}": torch.zeros(1) for i in range(7)}), r"7 extra keys \(x\.0, .*x\.4 …\)"),
        (
            lambda w: w.update({"lm_head.dense.weight": torch.zeros(8, 9)}),
            r"lm_head\.dense\.weight has shape \[8, 9\], the model \[8, 8\]",
        ),
        (
            lambda w: w.update({"lm_head.decoder.weight": w[EMBEDDING] + 1}),
            r"word_embeddings\.weight and lm_head\.decoder\.weight differ, but .* tie_word_embeddings to false",
        ),
        (
            lambda w: w.update({"lm_head.decoder.bias": w["lm_head.bias"] + 1}),
            r"lm_head\.bias and lm_head\.decoder\.bias differ, but",
        ),
    ],
)
def test_weights_that_are_not_the_models_are_refused(plain, edit, reason):
    edit_weights(plain, edit)
    with pytest.raises(ContractError, match=reason) as error:
        load_checkpoint(plain, RobertaForMaskedLM)
    assert str(plain / "model.safetensors") in str(error.value)


def test_truncated_weights_are_refused(plain):
    weights = plain / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(ContractError, match=r"model\.safetensors: not readable as safetensors, probably truncated"):
        load_checkpoint(plain, RobertaForMaskedLM)


def test_another_kind_of_model_is_refused(plain):
    with pytest.raises(ContractError, match=r"model_type is 'roberta', but ModernBertForMaskedLM reads 'modernbert'"):
        load_checkpoint(plain, ModernBertForMaskedLM)


def test_quantised_weights_are_refused(plain):
    edit_config(plain, quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(ContractError, match=r"config\.json: the weights are quantised; take the checkpoint that they"):
        load_checkpoint(plain, RobertaForMaskedLM)


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json", "model.safetensors", "config.json"])
def test_a_swapped_file_is_refused_even_if_it_would_fit(own, file):
    (own / file).write_bytes((own / file).read_bytes() + b" ")
    with pytest.raises(ContractError, match=rf"{file}: not the file that checkpoint\.json lists.*directory: …"):
        load_checkpoint(own, RobertaForMaskedLM)


def test_a_foreign_tokenizer_of_the_same_size_is_refused_by_the_record(own, tokenizer):
    foreign = Tokenizer.fit([text.replace("Br", "I") for text in SMILES], "smiles")
    assert foreign.size == tokenizer.size
    foreign.save(own)
    with pytest.raises(ContractError, match=r"tokenizer\.json: not the file that checkpoint\.json lists"):
        load_checkpoint(own, RobertaForMaskedLM)


def test_an_added_or_a_removed_file_is_refused_by_the_record(own):
    (own / "vocab.json").write_text("{}")
    with pytest.raises(ContractError, match=r"vocab\.json: not the file"):
        load_checkpoint(own, RobertaForMaskedLM)
    (own / "vocab.json").unlink()
    (own / "tokenizer_config.json").unlink()
    with pytest.raises(ContractError, match=r"tokenizer_config\.json: not the file"):
        load_checkpoint(own, RobertaForMaskedLM)


def test_a_record_of_something_else_is_refused(own):
    (own / "checkpoint.json").write_text("[]")
    with pytest.raises(ContractError, match=r"checkpoint\.json: no record of a checkpoint"):
        load_checkpoint(own, RobertaForMaskedLM)


@pytest.mark.parametrize("texts", [["CCO"], [*SMILES, "P"]])
def test_a_foreign_tokenizer_of_another_size_is_refused(plain, texts):
    Tokenizer.fit(texts, "smiles").save(plain)
    with pytest.raises(ContractError, match=r"tokenizer has \d+ ids, but .* vocab_size is \d+; the tokenizer is not"):
        load_checkpoint(plain, RobertaForMaskedLM)


def test_rows_to_spare_need_a_record(published):
    with pytest.raises(ContractError, match=r"vocab_size is 300.*`pretrained: \{hub: …, revision: …\}`, which admits"):
        load_checkpoint(published, RobertaForMaskedLM)


@pytest.mark.parametrize("role", ["pad", "mask"])
def test_special_tokens_with_other_ids_are_refused(plain, role):
    edit_config(plain, **{f"{role}_token_id": 3})
    with pytest.raises(ContractError, match=rf"the tokenizer's {role} is [04], but .*{role}_token_id is 3"):
        load_checkpoint(plain, RobertaForMaskedLM)


def test_a_tokenizer_without_padding_is_refused(plain):
    (plain / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ContractError, match="the tokenizer has no pad_token") as error:
        load_checkpoint(plain, RobertaForMaskedLM)
    assert str(plain) in str(error.value)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("model.safetensors", r"no model\.safetensors\. .*a pickle .*can run code.*conversion bot"),
        ("config.json", r"no config\.json"),
        ("tokenizer.json", r"no tokenizer, which is tokenizer\.json, or vocab\.json with merges\.txt"),
    ],
)
def test_a_missing_file_is_refused(plain, file, reason):
    (plain / file).unlink()
    with pytest.raises(ContractError, match=reason) as error:
        load_checkpoint(plain, RobertaForMaskedLM)
    assert str(plain) in str(error.value)
    with pytest.raises(ContractError, match=reason):
        checkpoint_files(plain)


# -- the files -------------------------------------------------------------------------------------------


def test_the_files_of_a_checkpoint_are_those_that_loading_reads(own, published):
    expected = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "checkpoint.json"}
    assert {path.removeprefix(f"{own}/") for path in checkpoint_files(own)} == expected
    assert {path.removeprefix(f"{published}/") for path in checkpoint_files(str(published))} == {
        "config.json",
        "model.safetensors",
        "vocab.json",
        "merges.txt",
    }
    (own / "notes.txt").write_text("")
    (own / "special_tokens_map.json").write_text("{}")
    assert {path.removeprefix(f"{own}/") for path in checkpoint_files(own)} == {*expected, "special_tokens_map.json"}


@pytest.mark.parametrize("changed", ["tokenizer.json", "tokenizer_config.json", "config.json", "checkpoint.json"])
def test_a_training_begins_anew_when_any_file_of_its_checkpoint_has_changed(own, tmp_path, changed):
    run = tmp_path / "run"
    settings = {"model": {"class": "control.train_mean.TrainMean"}}
    forget_other_runs(run, settings, *checkpoint_files(own))
    (run / "state/last.ckpt").write_bytes(b"state")
    assert forget_other_runs(run, settings, *checkpoint_files(own))
    (own / changed).write_bytes((own / changed).read_bytes() + b" ")
    assert not forget_other_runs(run, settings, *checkpoint_files(own))


def test_the_files_are_told_without_a_heavy_import():
    code = (
        "import sys; from boomlib.text.checkpoint_files import checkpoint_files; "
        "assert not {'torch', 'transformers', 'tokenizers', 'rdkit', 'numpy', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- the hub ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["main", "v1.0", REVISION[:39], REVISION.upper()])
def test_a_revision_that_can_move_is_refused(tmp_path, revision):
    with pytest.raises(ContractError, match=rf"revision: '{revision}' is not a commit's 40 hexadecimal digits"):
        download_checkpoint(HUB, revision, tmp_path / "here")


@pytest.mark.parametrize("hub", ["Tiny-Chem", "lab/Tiny/Chem", "../up", "https://hub/lab/Tiny"])
def test_what_is_no_hub_id_is_refused(tmp_path, hub):
    with pytest.raises(ContractError, match="is no repository of the hub, org/name"):
        download_checkpoint(hub, REVISION, tmp_path / "here")


def test_without_network_both_remedies_are_named_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "mirror").mkdir()
    with pytest.raises(ContractError) as error:
        download_checkpoint(HUB, REVISION, tmp_path / "new/here", tmp_path / "mirror")
    message = str(error.value)
    for part in (HUB, REVISION, f"{tmp_path}/mirror/lab--Tiny-Chem@{REVISION}", "`pretrained: {directory: …}`"):
        assert part in message
    assert "\n" not in message
    assert list((tmp_path / "new").iterdir()) == []


def test_pickled_weights_are_refused_and_an_earlier_download_stays(own, tmp_path, monkeypatch):
    def snapshot(hub, *, revision, local_dir, allow_patterns):
        assert (hub, revision) == (HUB, REVISION)
        assert not any(name.endswith((".bin", ".py")) for name in allow_patterns)
        local_dir.mkdir()
        (local_dir / "config.json").write_text("{}")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    (tmp_path / "mirror").mkdir()
    with pytest.raises(ContractError, match=rf"{HUB}@{REVISION}: no model\.safetensors.*a pickle.*can run code"):
        download_checkpoint(HUB, REVISION, own, tmp_path / "mirror")
    assert load_checkpoint(own, RobertaForMaskedLM)[2] == "mlm"


def test_a_mirror_that_is_no_folder_is_refused_and_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    with pytest.raises(ContractError, match=r"the mirror .*/nowhere is not a folder; correct `mirror:`"):
        download_checkpoint(HUB, REVISION, tmp_path / "here", tmp_path / "nowhere")


def test_a_mirror_is_searched_with_its_subfolders(own, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    shutil.copytree(own, tmp_path / "mirror/language" / f"lab--Tiny-Chem@{REVISION}")
    download_checkpoint(HUB, REVISION, tmp_path / "here", tmp_path / "mirror")
    assert load_checkpoint(tmp_path / "here", RobertaForMaskedLM)[2] == f"{HUB}@{REVISION}"


def test_a_mirror_that_is_not_whole_is_refused_and_not_passed_over(own, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    mirrored = tmp_path / "mirror" / f"lab--Tiny-Chem@{REVISION}"
    shutil.copytree(own, mirrored)
    monkeypatch.setenv("BOOM_MIRROR", str(tmp_path / "mirror"))
    download_checkpoint(HUB, REVISION, tmp_path / "here")
    (mirrored / "config.json").write_text("{}")
    with pytest.raises(ContractError, match=r"config\.json: not the file that checkpoint\.json lists"):
        download_checkpoint(HUB, REVISION, tmp_path / "here")
    (mirrored / "checkpoint.json").unlink()
    (mirrored / "model.safetensors").unlink()
    with pytest.raises(ContractError, match=r"no model\.safetensors"):
        download_checkpoint(HUB, REVISION, tmp_path / "here")
    assert load_checkpoint(tmp_path / "here", RobertaForMaskedLM)[2] == f"{HUB}@{REVISION}"


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as a download asks for: the list of files at a commit, and the files."""

    def __init__(self, folder, asked, *arguments):
        self.folder, self.asked = folder, asked
        super().__init__(*arguments)

    def do_GET(self):
        self.asked.append(self.path)
        files = {each.name: each.read_bytes() for each in self.folder.iterdir()}
        if self.path.startswith(f"/api/models/{HUB}/tree/{REVISION}"):
            listed = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in files.items()
            ]
            content = json.dumps(listed).encode()
        else:
            prefix, _, name = self.path.rpartition("/")
            assert prefix == f"/{HUB}/resolve/{REVISION}"
            content = files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *arguments):
        """Keep quiet."""


def test_a_download_takes_just_the_files_of_a_checkpoint_at_its_commit(published, tmp_path):
    (published / "pytorch_model.bin").write_bytes(b"pickle")
    (published / "modeling.py").write_text("raise SystemExit")
    asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Hub, published, asked)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        code = "import sys; from boomlib.text.hub import download_checkpoint as d; d(*sys.argv[1:])"
        command = [sys.executable, "-c", code, HUB, REVISION, str(tmp_path / "here")]
        environment = {
            name: value for name, value in os.environ.items() if name not in {"BOOM_MIRROR", "HF_HUB_OFFLINE"}
        }
        environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "home")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        server.shutdown()
    assert done.returncode == 0, done.stderr
    expected = {"config.json", "model.safetensors", "vocab.json", "merges.txt", "checkpoint.json"}
    assert {each.name for each in (tmp_path / "here").iterdir()} == expected
    assert not any(path.endswith((".bin", ".py")) for path in asked)
    assert load_checkpoint(tmp_path / "here", RobertaForMaskedLM)[2] == f"{HUB}@{REVISION}"
