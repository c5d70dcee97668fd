"""LSTM and Transformer over the last bars of features (PyTorch, an optional extra that only training imports)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from core.errors import BadRequest
from core.ml.samples import STEPS, Samples
from core.model.bars import FloatArray

WIDTH = 16
HEADS = 4
EPOCHS, PATIENCE, BATCH = 30, 4, 128
LEARNING_RATE = 2e-3
DECAY = 1e-3
HELD_OUT_FRAC = 0.15
"""Of the training samples, the newest: when their loss rises, training ends."""


@dataclass(frozen=True, slots=True)
class Network:
    """A fitted torch module whose input is (n, STEPS, k) and whose scaling is part of it."""

    module: Any

    def raw(self, samples: Samples) -> FloatArray:
        import torch

        if samples.sequences is None:
            raise BadRequest("these samples know the moment of entry alone; a model of sequences needs the bars before")
        with torch.no_grad():
            answers: FloatArray = self.module(torch.from_numpy(samples.sequences.astype(np.float32))).numpy()
        return answers.astype(np.float64)

    def onnx(self) -> bytes:
        import torch

        example = torch.zeros(1, STEPS, self.module.mean.shape[-1])
        with TemporaryDirectory() as folder, warnings.catch_warnings():
            # the exporter warns of batches of another size, which a test holds against the native model
            warnings.simplefilter("ignore")
            file = Path(folder, "model.onnx")
            export: Any = torch.onnx.export
            export(self.module, (example,), str(file), input_names=["x"], dynamic_axes={"x": {0: "n"}}, dynamo=False)
            return file.read_bytes()

    def importance(self) -> FloatArray | None:
        return None


def train(kind: str, samples: Samples, seed: int) -> Network:
    """Fit on all but the newest samples, stop by the newest; `BadRequest` where torch is not installed."""
    try:
        import torch
        from torch import nn
    except ImportError as error:
        raise BadRequest(
            f"{kind} needs PyTorch, which is not installed: pip install -r requirements-torch.txt"
        ) from error
    if samples.sequences is None:
        raise BadRequest(f"{kind} needs the bars before each entry, and these samples know the entry alone")
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    x = torch.from_numpy(samples.sequences.astype(np.float32))
    y = torch.from_numpy(samples.is_profitable.astype(np.float32))
    first_held_out = int(len(samples) * (1 - HELD_OUT_FRAC))
    flat = x[:first_held_out].reshape(-1, x.shape[-1])
    module = _module(kind, flat.mean(0), flat.std(0).clamp_min(1e-6))
    optimizer = torch.optim.AdamW(module.parameters(), lr=LEARNING_RATE, weight_decay=DECAY)
    loss_of = nn.BCELoss()
    best, best_loss, since_best = {}, float("inf"), 0
    for _ in range(EPOCHS):
        module.train()
        order: Any = torch.randperm(first_held_out)
        for places in order.split(BATCH):
            optimizer.zero_grad()
            loss_of(module(x[places]), y[places]).backward()
            optimizer.step()
        module.eval()
        with torch.no_grad():
            loss = float(loss_of(module(x[first_held_out:]), y[first_held_out:]))
        if loss < best_loss - 1e-5:
            best, best_loss, since_best = {name: value.clone() for name, value in module.state_dict().items()}, loss, 0
        else:
            since_best += 1
        if since_best >= PATIENCE:
            break
    module.load_state_dict(best)
    return Network(module.eval())


def _module(kind: str, mean: Any, deviation: Any) -> Any:
    import torch
    from torch import nn

    n_features = mean.shape[0]

    class Lstm(nn.Module):  # type: ignore[misc,unused-ignore]
        """One small LSTM, read at its last step."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", mean)
            self.register_buffer("deviation", deviation)
            self.memory = nn.LSTM(n_features, WIDTH, batch_first=True)
            self.dropout = nn.Dropout(0.2)
            self.out = nn.Linear(WIDTH, 1)

        def forward(self, x: Any) -> Any:
            states, _ = self.memory((x - self.mean) / self.deviation)
            return torch.sigmoid(self.out(self.dropout(states[:, -1]))).squeeze(-1)

    class Transformer(nn.Module):  # type: ignore[misc,unused-ignore]
        """One layer of self-attention over the steps with a learned place for each, read at the last."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", mean)
            self.register_buffer("deviation", deviation)
            self.into = nn.Linear(n_features, WIDTH)
            self.places = nn.Parameter(torch.randn(1, STEPS, WIDTH) * 0.02)
            self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
            self.dropout = nn.Dropout(0.2)
            self.mix = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
            self.norm, self.norm_of_mix = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.out = nn.Linear(WIDTH, 1)

        def forward(self, x: Any) -> Any:
            steps = self.into((x - self.mean) / self.deviation) + self.places
            query, key, value = (self._by_head(part(self.norm(steps))) for part in (self.query, self.key, self.value))
            weights = torch.softmax(query @ key.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5, dim=-1)
            seen = (weights @ value).transpose(1, 2).reshape(-1, STEPS, WIDTH)
            steps = steps + self.dropout(seen)
            steps = steps + self.dropout(self.mix(self.norm_of_mix(steps)))
            return torch.sigmoid(self.out(steps[:, -1])).squeeze(-1)

        def _by_head(self, part: Any) -> Any:
            return part.reshape(-1, STEPS, HEADS, WIDTH // HEADS).transpose(1, 2)

    return Lstm() if kind == "lstm" else Transformer()
