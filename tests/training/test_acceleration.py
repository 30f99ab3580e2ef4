"""Presets for GPUs, as far as a CPU goes: their keys, numbers in bfloat16, compilation, what FSDP forbids."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from omegaconf import OmegaConf
from pytorch_lightning.plugins.precision import FSDPPrecision, MixedPrecision
from pytorch_lightning.strategies import FSDPStrategy
from tiny_run import compose

from deepmatte.batch import Batch, example_batch
from deepmatte.config.build import build
from deepmatte.config.places import conf_dir
from deepmatte.errors import InputError
from deepmatte.losses import LossTable
from deepmatte.models import DeepImageMatting, MattingModel
from deepmatte.training.acceleration import accelerate, acceleration
from deepmatte.training.building.from_config import build_model, build_trainer
from deepmatte.training.building.requirements import check_sharding
from deepmatte.training.module import MattingModule

LOSSES: Mapping = {"alpha": {"weight": 1}, "laplacian": {"weight": 1}, "composition": {"weight": 1}}
QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}


@pytest.fixture(autouse=True)
def _precision_stays():
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


def network() -> DeepImageMatting:
    torch.manual_seed(0)
    return DeepImageMatting(width=1 / 16, norm="group", skips=True)


def gradients(dtype: torch.dtype | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return loss, alpha and all gradients as one vector, of one training step without a Trainer."""
    model, batch = network(), example_batch(num=2, size=64)
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        matte = model(batch)
        result = LossTable(LOSSES)(matte, batch)
    result.total.backward()
    return result.total, matte.alpha, torch.cat([w.grad.flatten() for w in model.parameters()])


def test_the_preset_for_one_gpu_uses_it_and_names_what_the_first_runs_had() -> None:
    config = compose("train", ["trainer=gpu"])
    assert (config.trainer.precision, config.trainer.matmul_precision) == ("bf16-mixed", "high")
    assert acceleration(config).channels_last
    assert acceleration(config).compile is None
    old = OmegaConf.create({"trainer": {"accelerator": "cpu"}})  # of a run of before there were such keys
    assert acceleration(old).matmul_precision == "highest"
    assert not acceleration(old).channels_last


def test_lightning_gets_its_own_keys_and_mixed_precision() -> None:
    config = compose("train", ["trainer=gpu", "trainer.accelerator=cpu"])
    trainer = build_trainer(config, **QUIET)
    assert isinstance(trainer.precision_plugin, MixedPrecision)
    assert trainer.precision == "bf16-mixed"
    model = network()
    accelerate(model, config)
    assert torch.get_float32_matmul_precision() == "high"
    weight = model.encoder_decoder.decoder.deconvs[0][0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(weight, network().encoder_decoder.decoder.deconvs[0][0].weight)


@pytest.mark.parametrize(("precision", "tf32"), [("highest", False), ("high", True), ("medium", True)])
def test_highest_precision_holds_for_convolutions_too(precision: str, tf32: bool) -> None:
    torch.backends.cudnn.allow_tf32 = not tf32
    accelerate(network(), compose("train", [f"trainer.matmul_precision={precision}"]))
    assert torch.backends.cudnn.allow_tf32 == tf32
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0):
        return
    torch.manual_seed(0)  # what the device computes: TF32 rounds the factors to 10 bits, float32 to 23
    image, weight = torch.randn(1, 64, 64, 64).cuda(), torch.randn(64, 64, 3, 3).cuda()
    exact = torch.conv2d(image.double(), weight.double())
    error = float((torch.conv2d(image, weight) - exact).std() / exact.std())
    assert (error > 1e-5) == tf32


def test_channels_last_changes_the_layout_and_not_the_matte() -> None:
    model, batch = network().eval(), example_batch(size=64)
    with torch.no_grad():
        before = model(batch).alpha
        model.use_channels_last()
        after = model(batch).alpha
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_in_bfloat16_losses_and_sigmoid_stay_in_fp32_and_gradients_point_the_same_way() -> None:
    loss, alpha, gradient = gradients(None)
    low_loss, low_alpha, low_gradient = gradients(torch.bfloat16)
    assert low_loss.dtype == low_alpha.dtype == low_gradient.dtype == torch.float32
    # A sigmoid in bfloat16 would have 8 bits: 256 values at most between 0 and 1.
    assert len(low_alpha.unique()) > 1000
    assert float(low_loss.detach()) == pytest.approx(float(loss.detach()), rel=0.02)
    # Single pixels may differ by more: where rounding makes two values equal, a max-pool takes the first.
    assert float((low_alpha - alpha).abs().mean().detach()) < 0.04
    assert float(torch.cosine_similarity(gradient, low_gradient, dim=0)) > 0.9
    assert not torch.equal(low_alpha, alpha)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.matmul_precision=fast", r"^trainer\.matmul_precision=.*fast"),
        ("trainer.channels_last=3", r"^trainer\.channels_last=3"),
        ("trainer.compile=hard", r"^trainer\.compile=.*hard"),
    ],
)
def test_wrong_values_are_named(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_trainer(compose("train", [override]), **QUIET)


def test_fsdp_is_a_strategy_whose_checkpoints_are_those_of_any_trainer() -> None:
    config = compose("train", ["trainer=fsdp"])
    strategy = build(config.trainer.strategy, "trainer.strategy")
    assert isinstance(strategy, FSDPStrategy)
    assert strategy._state_dict_type == "full"
    assert strategy.kwargs["use_orig_params"]  # parts that learn beside parts that do not
    check_sharding(network(), config)
    # What the comments of the file say: one unit, and what FSDP itself rounds in this precision.
    assert "auto_wrap_policy" not in strategy.kwargs
    for precision, dtype in ((config.trainer.precision, torch.bfloat16), ("32-true", torch.float32)):
        rounded = FSDPPrecision(precision).mixed_precision_config
        assert rounded.cast_root_forward_inputs
        assert rounded.param_dtype == rounded.buffer_dtype == dtype


def test_what_sharded_weights_do_not_allow_is_refused() -> None:
    class Judged(MattingModel):
        parts = critics = ("discriminator",)

    with pytest.raises(InputError, match=r"^trainer\.gradient_clip_val: trainer=fsdp can't clip the discrim"):
        check_sharding(Judged(), compose("train", ["trainer=fsdp"]))
    with pytest.raises(InputError, match=r"^ema=0\.9: averages whole weights, trainer=fsdp shards them"):
        check_sharding(Judged(), compose("train", ["trainer=fsdp", "ema=0.9"]))
    check_sharding(Judged(), compose("train", ["ema=0.9"]))
    check_sharding(Judged(), compose("train", ["trainer=fsdp", "trainer.gradient_clip_val=null"]))


@pytest.mark.slow
def test_a_compiled_network_trains_as_it_is_written_and_is_saved_under_its_names() -> None:
    """Once for all batches, whatever their samples are called; pictures of other sizes are not compiled."""
    import torch._dynamo

    written, compiled = network(), network()
    accelerate(compiled, compose("train", ["trainer.compile=default"]), training=True)
    module = MattingModule(compiled, LossTable(LOSSES))
    losses: dict[str, list[float]] = {"written": [], "compiled": []}
    with torch._dynamo.config.patch(error_on_recompile=True):
        for name, model in (("written", written), ("compiled", compiled)):
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            for step in range(3):
                batch: Batch = example_batch(num=2, size=64, seed=step)
                batch["name"] = [f"{name} {step} {i}" for i in range(2)]
                optimizer.zero_grad()
                total = LossTable(LOSSES)(model(batch), batch).total
                total.backward()
                optimizer.step()
                losses[name].append(float(total))
            module.validation_step(example_batch(num=1, size=40), 0)
    assert losses["compiled"] == pytest.approx(losses["written"], rel=1e-4)
    assert list(compiled.state_dict()) == list(written.state_dict())


@pytest.mark.slow
def test_a_run_in_bfloat16_trains(train_tiny, tmp_path) -> None:
    result = train_tiny(tmp_path / "run", "trainer.precision=bf16-mixed", "trainer.channels_last=true")
    assert result["status"] == "finished"
    assert result["scores"]["test/sad"] < 2 * result["scores"]["trivial/test/sad"]


SMALL = {
    "alphagan": ["model.width=0.125"],
    "bgmv2": ["model.width=0.125"],
    "bgmv2_small": ["model.refinement=replace"],
    "dim": ["model.width=0.0625"],
    "encoder_decoder": ["model.width=0.5", "model.decoder_width=0.25"],
    "guided": ["model.width=0.5", "model.decoder_width=0.25"],
    "vgg_segnet": ["model.width=0.0625"],
    "vitmatte": ["model.size=tiny"],
}
"""What makes the networks of conf/model/ small enough for every run of the tests."""

MODELS = sorted(file.stem for file in (conf_dir() / "model").glob("*.yaml"))


@pytest.mark.parametrize("name", MODELS)
def test_under_autocast_every_output_of_every_network_is_in_fp32(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(compose("train", [f"model={name}", *SMALL.get(name, [])]))
    batch = example_batch(num=2, size=32)
    batch["captured_background"], batch["guide"] = batch["background"], batch["alpha"]
    low: list[torch.dtype] = []
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda module, args, found: low.append(found.dtype))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        matte = model(batch)
        coarse = model(batch, refine=False)
    assert torch.bfloat16 in low  # there was something to cast
    for found in filter(None, (matte, matte.coarse, coarse)):
        for output in ("alpha", "logit", "foreground", "error"):
            values = getattr(found, output)
            assert values is None or values.dtype == torch.float32, output
