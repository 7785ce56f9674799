"""The benchmarks compare what computes the same, take turns, and set disturbed samples aside."""

import json
import sys
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from building import build

FOLDER = Path(__file__).parents[1] / "benchmarks"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def at_benchmarks(monkeypatch):
    """The benchmarks are scripts that lie beside each other; here they see no weights but random ones."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delenv("CYCLEGAN_WEIGHTS", raising=False)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            del sys.modules[name]


class Clock:
    """A machine on which every variant takes a known time, and others run when told so."""

    def __init__(self) -> None:
        self.wall = self.own = self.others = 0.0
        self.order: list[str] = []
        self.disturbed: set[int] = set()  # by the number of the call

    def spend(self, name: str, seconds: float) -> None:
        self.order.append(name)
        disturbed = len(self.order) - 1 in self.disturbed
        self.wall += seconds * (3 if disturbed else 1)
        self.own += seconds
        self.others += seconds if disturbed else 0

    def read(self):
        from paired import Reading

        return Reading(self.wall, self.own, self.own + self.others, 2 * self.wall)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def rows(clock, rounds=5):
    from paired import Variant, measure

    seconds = {"plain": 4.0, "fast": 2.0, "faster": 1.0}
    variants = [Variant(name, lambda name=name, s=s: clock.spend(name, s)) for name, s in seconds.items()]
    return measure(variants, rounds, CPU, least=0, read=clock.read)


def test_variants_take_turns_and_ratios_are_to_the_first(clock):
    found = rows(clock)
    assert clock.order[6:] == ["plain", "fast", "faster"] * 5
    assert [(row.ratio, row.low, row.high) for row in found] == [(1, 1, 1), (2, 2, 2), (4, 4, 4)]
    assert [row.seconds for row in found] == [4, 2, 1]
    assert all(row.quiet for row in found)


def test_disturbed_rounds_are_set_aside_while_three_others_remain(clock):
    clock.disturbed = {6 + 1, 6 + 3}  # "fast" in the first round, "plain" in the second
    _, fast, faster = rows(clock)
    assert (fast.ratio, fast.rounds, fast.quiet) == (2, 3, True)
    assert (faster.ratio, faster.rounds, faster.quiet) == (4, 4, True)


def test_a_busy_machine_is_called_busy(clock):
    clock.disturbed = set(range(6, 12))
    assert not any(row.quiet for row in rows(clock, rounds=3))


def test_plain_adain_computes_what_the_library_computes():
    import adain

    method = adain.build("float32")
    content, style = (adain.photograph(name, 48, CPU) for name in (adain.CONTENT, adain.STYLE))
    assert torch.allclose(adain.Plain(method)(content, style), method.stylize(content, style), atol=1e-4)


def test_the_plain_gatys_loop_descends_as_the_library_does():
    import gatys

    content, style = (gatys.photograph(name, 32, CPU) for name in (gatys.CONTENT, gatys.STYLE))
    ours = gatys.Ours(gatys.settings("float32"), content, style)
    plain = gatys.Plain(ours.config, ours.method.vgg, content, style)
    image = (content + style) / 2
    agreed = gatys.agreement(ours, plain, image)
    assert agreed["loss off by"] < 1e-5
    assert agreed["gradient off by"] < 1e-2  # ReLU and pooling flip where two values nearly meet
    assert agreed["cosine"] > 0.9999
    assert (ours.descend(image, 2) - plain.descend(image, 2)).abs().mean() < 1e-2


@pytest.mark.parametrize("name", ["step", "small"])
def test_the_plain_step_of_cyclegan_has_the_losses_and_gradients_of_the_library(name):
    found = import_module(name).run(32, 1, CPU, least=0.0).rows
    assert all(row.flops > 0 and row.share > 0 for row in found)
    rows = {row.variant: row.agreement for row in found}
    assert rows["library, float32"]["losses off by"] < 1e-5
    assert rows["library, float32"]["cosine of the generators' gradients"] > 0.9999
    assert rows["library, float32"]["cosine of the discriminators' gradients"] > 0.9999


def test_larger_batches_are_counted_by_the_picture():
    import step

    *_, last = step.run(32, 1, CPU, least=0.0, batches=(2,)).rows
    assert last.variant.endswith("batch 2")
    assert last.share > 0


@pytest.fixture
def bfloat16(monkeypatch):
    """A CPU that computes in bfloat16: with what `auto` chooses, tables have a row more and steps keep less."""
    monkeypatch.setattr("cyclegan.device._cpu_has_bfloat16", lambda: True)


def test_a_batch_that_memory_lacks_for_is_left_out_and_named(monkeypatch, bfloat16):
    import peaks
    import step

    monkeypatch.setattr(peaks, "free", lambda device: 3e6)  # bytes; a picture a side keeps 0.7e6
    table = step.run(32, 1, CPU, least=0.0, batches=(2, 8, 16))
    assert table.title.endswith("one picture a side; not enough memory for batches of 8, 16")
    assert table.rows[-1].variant.endswith("batch 2")


def test_the_memory_of_a_gpu_is_asked_for_where_it_computes(monkeypatch):
    import peaks

    for name, found in {"mem_get_info": (5, 80), "memory_reserved": 4, "memory_allocated": 2}.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, found=found: found)
    gpu = torch.device("cuda", 0)
    assert peaks.fits(7 / peaks.ROOM - 0.01, gpu)
    assert not peaks.fits(7 / peaks.ROOM + 0.01, gpu)


def test_the_cost_of_a_step_is_that_of_its_rehearsal():
    import cost
    from material import CONTENT, STYLE, photograph

    from cyclegan.data.batches import UnpairedBatch
    from cyclegan.methods.cyclegan import CycleGANConfig
    from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
    from cyclegan.training.forecast import profile_step
    from cyclegan.training.training_config import TrainingConfig

    generator, discriminator = GeneratorConfig(base_channels=4, blocks=1), DiscriminatorConfig(base_channels=4)
    method = build(CycleGANConfig(generator=generator, discriminator=discriminator, buffer_size=0))
    batch = UnpairedBatch(*(photograph(name, 96, CPU) for name in (CONTENT, STYLE)))
    row = cost._measured("two", method, 96, 2, CPU)
    assert row.flops == 2 * profile_step(method, batch, TrainingConfig(steps=1), CPU).flops
    assert row.share > 0


def test_the_plain_generator_draws_what_the_library_draws():
    import translation

    rows = {row.variant: row.agreement for row in translation.run(32, 1, CPU, least=0.0).rows}
    assert rows["library, as trained"]["largest difference in levels"] < 0.01
    assert rows["library, float32"]["largest difference in levels"] < 0.1


def test_tiles_paint_what_the_whole_picture_becomes():
    import tiles

    rows = {row.variant: row.agreement for row in tiles.run(96, 1, CPU).rows}
    assert rows["tiles of 32 px"]["levels off at most"] < 0.1


def test_a_folder_is_painted_the_same_with_and_without_overlap():
    import folder

    turns, overlapped = folder.run(32, 1, CPU, least=0.0).rows
    assert overlapped.agreement["levels off at most"] == 0
    assert overlapped.agreement["pictures a second"] == pytest.approx(1 / overlapped.seconds)
    assert turns.seconds > 0


@pytest.mark.slow
def test_a_run_leaves_tables_and_their_numbers(tmp_path, bfloat16):
    import run

    for name in run.BENCHMARKS:
        run.main(["--alone", name, "--quick", "--rounds", "1", "--device", "cpu", "--out", str(tmp_path)])
    (data,) = tmp_path.glob("*-quick.json")
    found = json.loads(data.read_text())["benchmarks"]
    tables = [table for section in found.values() for table in section["tables"]]
    assert [len(table["rows"]) for table in tables] == [3, 3, 6, 4, 2, 2, 4, 4, 3]
    assert all({"threads", "torch", "commit"} <= section.keys() for section in found.values())
    page = data.with_suffix(".md").read_text()
    assert all(row["variant"] in page for table in tables for row in table["rows"])


def test_one_that_fails_costs_its_own_table_only(tmp_path, monkeypatch, capfd):
    import run

    monkeypatch.setattr(run, "BENCHMARKS", ("absent", "folder"))  # here only: the process of the first knows better
    assert run.main(["--quick", "--rounds", "1", "--device", "cpu", "--out", str(tmp_path)]) == 1
    assert "failed, see above: absent" in capfd.readouterr().err
    (data,) = tmp_path.glob("*.json")
    assert list(json.loads(data.read_text())["benchmarks"]) == ["folder"]


def test_a_section_takes_the_place_of_its_older_one_and_of_no_other(tmp_path):
    import record
    from paired import Table

    def save(name: str, commit: str) -> None:
        about = {"torch": "2", "threads": 1, "commit": commit}
        table = Table(title=f"{name} at {commit}", weights="none", rows=rows(Clock()))
        page, data = record.save(tmp_path / "laptop", "Laptop", name, about, [table])
        kept.update(page=page.read_text(), data=json.loads(data.read_text())["benchmarks"])

    kept = {}
    for name, commit in (("step", "old"), ("cost", "old"), ("step", "new")):
        save(name, commit)
    assert {name: section["commit"] for name, section in kept["data"].items()} == {"step": "new", "cost": "old"}
    assert "step at old" not in kept["page"]
    assert "commit new" in kept["page"].partition("## cost")[0]
    assert "### cost at old" in kept["page"]


def test_pictures_come_out_of_both_pipelines_alike():
    import pipeline

    _, *ours = pipeline.run(32, 1, CPU, least=0.0).rows
    assert len(ours) == 3
    assert all(row.agreement["levels off at most"] <= 1 for row in ours)
    assert all(row.memory is None for row in ours)


def test_the_time_of_workers_is_not_that_of_others():
    from paired import read_clocks

    before = read_clocks()
    worker = get_context("spawn").Process(target=sum, args=(range(10**10),))
    worker.start()
    try:
        while worker.is_alive() and read_clocks().own - before.own < 1:
            worker.join(0.05)
        assert worker.is_alive()
    finally:
        worker.kill()
        worker.join()


def test_an_unknown_benchmark_is_refused(capsys):
    import run

    with pytest.raises(SystemExit) as refused:
        run.main(["gaty"])
    assert refused.value.code == 2
    assert "'gaty' is no benchmark" in capsys.readouterr().err
