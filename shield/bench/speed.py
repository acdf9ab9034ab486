"""How fast the search is, next to the plain loop that published code runs; and what a large photo costs.

shield bench speed PHOTO [--large]
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

from shield import Recipe, protect
from shield.attacks.adam import adam_update
from shield.attacks.loop import GradientAttack, along
from shield.bench.statistics import peak_memory
from shield.bounds.lpips import face_sizes
from shield.channels import AsSaved
from shield.disruption import Disruption, Target
from shield.faces import detect, warp
from shield.frames import searched
from shield.lpips import Lpips
from shield.objectives.output import output
from shield.photo import read
from shield.region import Region, region_of
from shield.search import bound_of
from shield.surrogates import load_surrogate

SHARE = 0.1
console = Console(width=120)
CPU = torch.device("cpu")


def plain_loop(working: Tensor, region: Region, steps: int, recipe: Recipe) -> None:
    """Every edit attacked alone, as published code does it: full precision, and gradients for all weights too.

    Same model, steps and bounds (levels with mask, LPIPS as penalty) as shield's search.
    """
    surrogate, network = load_surrogate("stargan", CPU), Lpips()
    for module in (surrogate, network):
        module.requires_grad_(True)  # type: ignore[attr-defined,union-attr,unused-ignore]
    bound = bound_of(replace(recipe, steered=False), working, region.working_face, everywhere(working))
    side = face_sizes(region.face)[-1]
    with torch.no_grad():
        clean = surrogate(warp(working, region.working_face, surrogate.size))
    for edit in range(len(surrogate.edits)):
        condition = surrogate.conditions[edit : edit + 1]  # type: ignore[attr-defined,unused-ignore]
        update, image = adam_update(), bound.start(0.1, torch.Generator().manual_seed(0))
        for step in range(steps):
            image = image.detach().requires_grad_(True)
            crop = warp(image, region.working_face, surrogate.size)
            result = surrogate.network(2 * crop - 1, condition)  # type: ignore[attr-defined,unused-ignore]
            before, after = (warp(photo, region.working_face, side) for photo in (working, image))
            excess = network(before, after).sum() / recipe.face_lpips - 0.9
            loss = (result - clean[:, edit]).square().mean() - excess.clamp(min=0)
            loss.backward()
            assert image.grad is not None
            image = bound.contain(image.detach() + bound.step(update(image.grad, step), SHARE))
            for module in (surrogate, network):
                module.zero_grad()  # type: ignore[attr-defined,union-attr,unused-ignore]
    surrogate.requires_grad_(False)  # type: ignore[attr-defined,unused-ignore]


def shield_loop(working: Tensor, region: Region, steps: int, recipe: Recipe) -> None:
    """shield's search over the same steps, without its early stop."""
    surrogate = load_surrogate("stargan", CPU)
    generator = torch.Generator().manual_seed(0)
    loss = Disruption(
        working,
        region.working_face,
        [Target([surrogate], [surrogate])],
        [AsSaved()],
        output,
        searched(0),
        generator,
        draws=1,
    )
    bound = bound_of(recipe, working, region.working_face, everywhere(working))
    GradientAttack(along(adam_update, SHARE), steps, start=0.1, goal=float("inf"))(loss, working, bound, generator)


def everywhere(working: Tensor) -> Tensor:
    """A window that lets every pixel change."""
    return torch.ones_like(working[:, :1])


def median_seconds(call: Callable[[], None], times: int) -> float:
    """Median wall time of a call, after one that warms up."""
    call()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def side_by_side(photo: Path, steps: int, times: int) -> Table:
    """Both loops on one photo: seconds per edit."""
    pixels, recipe = read(photo).pixels, Recipe()
    region = region_of(detect(pixels)[0], pixels.shape[1], pixels.shape[0])
    crop = region.crop(pixels, CPU)
    working = region.working_copy(crop)
    edits = len(load_surrogate("stargan", CPU).edits)
    plain = median_seconds(lambda: plain_loop(working, region, steps, recipe), times) / edits
    ours = median_seconds(lambda: shield_loop(working, region, steps, recipe), times) / edits
    table = Table("loop", f"s per (image x edit), {steps} steps", "times as fast")
    table.add_row("plain: each edit alone, weights with gradients", f"{plain:.2f}", "1.0")
    table.add_row("shield: all edits in one batch, frozen weights", f"{ours:.2f}", f"{plain / ours:.1f}")
    return table


def enlarged(photo: Path, megapixels: float) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The photo scaled up to so many megapixels."""
    image = Image.open(photo).convert("RGB")
    scale = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
    size = round(image.width * scale), round(image.height * scale)
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def main(
    photo: Annotated[Path, typer.Argument(help="A portrait.")],
    steps: Annotated[int, typer.Option()] = 10,
    times: Annotated[int, typer.Option(help="Repetitions; the median counts.")] = 3,
    large: Annotated[
        bool, typer.Option("--large", help="Only protect a 12-megapixel copy; print time and memory.")
    ] = False,
    threads: Annotated[int, typer.Option()] = 2,
) -> None:
    """Print the plain loop and shield's side by side, or what 12 megapixels cost."""
    torch.set_num_threads(threads)
    if large:
        pixels = enlarged(photo, 12)
        began = time.perf_counter()
        report = protect(pixels).report
        seconds = time.perf_counter() - began
        console.print(f"{pixels.shape[1]} x {pixels.shape[0]}: {report.sentence()}", highlight=False)
        console.print(f"{seconds:.1f} s, peak memory {peak_memory():.2f} GB, {threads} threads.", highlight=False)
    else:
        console.print(side_by_side(photo, steps, times))
