"""Bring a checkpoint here, from the Hugging Face hub or a mirror."""

import os
import shutil
from pathlib import Path

from boomlib.files import ContractError, atomic_path, commit
from boomlib.mirror import find_in_mirror
from boomlib.text.checkpoint_files import FILES, check_files, check_record, list_files, write_record
from boomlib.text.start import check_start, name_hub_folder


def download_checkpoint(
    hub: str, revision: str, folder: str | os.PathLike, mirror: str | os.PathLike | None = None
) -> None:
    """Bring the files of a checkpoint at one commit here, all or nothing.

    Args:
        hub: ``organisation/name`` on the hub.
        revision: the commit, 40 hexadecimal digits.
        folder: where to put it; what is there goes.
        mirror: a folder whose ``{organisation}--{name}@{revision}`` is taken instead if there is one; None = the
            environment's ``BOOM_MIRROR``, if set.

    Raises:
        ContractError: the revision is no commit, the mirror is no folder, the hub cannot be reached or has no such
            commit, or the checkpoint lacks weights as safetensors, a configuration or a tokenizer.
    """
    start = {"hub": hub, "revision": revision}
    check_start(start, "pretrained")
    source, name = f"{hub}@{revision}", name_hub_folder(start)
    mirrored = find_in_mirror(name, mirror)
    part = atomic_path(folder)
    shutil.rmtree(part, ignore_errors=True)
    if mirrored:
        check_record(mirrored)
        part.mkdir()
        for file in list_files(mirrored):
            shutil.copyfile(mirrored / file, part / file)
    else:
        fetch_snapshot(hub, revision, part, f"{mirror or '(the folder that `mirror:` or BOOM_MIRROR names)'}/{name}")
    check_files(part, source)
    write_record(part, source)
    shutil.rmtree(folder, ignore_errors=True)
    commit(folder)


def fetch_snapshot(hub: str, revision: str, folder: Path, mirrored: str) -> None:
    """Download :data:`FILES`, as far as the hub has them; ``mirrored`` is where a mirror would have them."""
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(hub, revision=revision, local_dir=folder, allow_patterns=list(FILES))
    except Exception as error:  # of the network, the hub or its client, which share no narrower class
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ContractError(
            f"cannot download {hub} at revision {revision} from the hub ({reason}); without network, put its files "
            f"into {mirrored}, or anywhere and name the folder in the descriptor: `pretrained: {{directory: …}}`"
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's own notes
