"""The same images on 1, 2 and 3 gloo processes, in uneven shares, give the same result to the last digit."""

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as multiprocessing
from reference_cases import CASES

from deepmatte.metrics import MatteIoU, MattingDiagnostics, MattingMetrics

NAMES = ("P01", "P02", "P03", "P06", "P09", "P13", "P14")


def measured(indices):
    """Score the images of one process and return everything that all processes together then know."""
    found = [MattingMetrics(), MattingDiagnostics(), MatteIoU()]
    for index in indices:
        arrays = CASES[NAMES[index]].arrays
        batch = [torch.from_numpy(arrays[key])[None, None] for key in ("pred_u8", "alpha_u8", "trimap")]
        for metric in found:
            metric.update(*batch, torch.tensor([index]))
    scores, diagnostics, iou = found
    return {
        "mean": {name: float(value) for name, value in scores.compute().items()},
        "per_image": scores.per_image(),
        "without_unknown": scores.num_images_without_unknown,
        "diagnostics": diagnostics.per_image(),
        "iou": iou.compute()["iou"].tolist(),
    }


def one_rank(rank, shares, port, folder):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=len(shares[0]))
    torch.save([measured(share[rank]) for share in shares], Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def on_processes(shares, folder):
    """Run every way of sharing out in one set of processes; return, for each way, what each rank found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(one_rank, (shares, port, str(folder)), nprocs=len(shares[0]))
    ranks = [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in range(len(shares[0]))]
    return zip(*ranks, strict=True)


def check(shares, folder):
    alone = measured(range(len(NAMES)))
    assert alone["without_unknown"] == 1
    for found in on_processes(shares, folder):
        for on_rank in found:
            assert on_rank == alone


def test_two_processes_equal_one_with_uneven_counts_padding_and_an_idle_rank(tmp_path):
    check(
        [
            ([0, 2, 4, 6], [1, 3, 5]),  # 7 images on 2 ranks
            ([0, 2, 4, 6], [1, 3, 5, 0]),  # as a DistributedSampler pads them
            ([], [6, 5, 4, 3, 2, 1, 0]),  # a rank that has seen nothing
        ],
        tmp_path,
    )


@pytest.mark.slow
def test_three_processes_equal_one(tmp_path):
    check(
        [([0, 3, 6], [1, 4], [2, 5]), ([0, 3, 6], [1, 4, 0], [2, 5, 1]), ([5], [], [0, 1, 2, 3, 4, 6])],
        tmp_path,
    )
