"""Who depends on what: a new system, study, figure, setting or template reruns nothing that does without it."""

import shutil

import pytest

from cgdseg.config import load_config
from cgdseg.hashes import code_digest, depends_on
from cgdseg.paths import LIB, NOTEBOOKS
from cgdseg.report.notebooks import SERIES

DEMO = load_config("demo")
NETWORK = '''"""A network."""

from torch import nn


def build(settings):
    return nn.Conv2d(3, len(settings.classes), 1)


def parts(model):
    return {"all": list(model.parameters())}
'''
SETTINGS = '''

class Pixels(SystemSettings):
    """One convolution."""

    built_by: ClassVar = "cgdseg.models.zoo.pixels"
    kind: Literal["pixels"] = "pixels"
'''
STUDY = (
    '"""A study."""\n\nfrom cgdseg.scoring.metrics import scores\n\n\ndef table(counts):\n    return scores(counts)\n'
)
FIGURE = '"""A figure."""\n\nimport matplotlib.pyplot as plt\n\n\ndef chart(table):\n    return plt.figure()\n'


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A copy of the library to edit."""
    root = tmp_path_factory.mktemp("lib")
    shutil.copytree(LIB / "cgdseg", root / "cgdseg", ignore=shutil.ignore_patterns("__pycache__", "release"))
    return root


@pytest.fixture
def lib(original, tmp_path):
    return shutil.copytree(original, tmp_path / "lib")


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def trainings(lib) -> dict[str, str]:
    """The code that each system's training depends on, hashed as its fingerprint does."""
    return {
        name: code_digest(["cgdseg.training.loop", *system.modules()], lib) for name, system in DEMO.systems.items()
    }


def notebooks(lib) -> dict[str, dict]:
    """The files that each notebook depends on, with their bytes, as `Job.recipe` hashes them."""
    found = {}
    for name, notebook in SERIES.items():
        modules = {module for system in notebook.systems(DEMO, DEMO.runs()[0]) for module in system.modules()}
        files = depends_on([NOTEBOOKS / f"{name}.ipynb", *sorted(modules)], lib)
        found[name] = {str(path.relative_to(lib)): path.read_bytes() for path in files}
    return found


def add_system(lib):
    (lib / "cgdseg/models/zoo/pixels.py").write_text(NETWORK)
    systems = lib / "cgdseg/config/systems.py"
    edit(systems, "\n\nSYSTEMS: dict", f"{SETTINGS}\n\nSYSTEMS: dict")
    edit(systems, "SegNet, SegFormer)", "SegNet, SegFormer, Pixels)")


def add_study(lib):
    (lib / "cgdseg/studies/pixels.py").write_text(STUDY)
    (lib / "cgdseg/figures/pixels.py").write_text(FIGURE)


def add_setting(lib):
    edit(lib / "cgdseg/config/schema.py", "    gap: Gap = Gap()\n", "    gap: Gap = Gap()\n    pixels: int = 3\n")


def add_template(lib):
    (lib / "cgdseg/report/templates/study_card.md.j2").write_text("# {{ title }}\n")
    edit(
        lib / "cgdseg/report/templates/page/page.css",
        "}",
        "}\n",
    )


def test_what_a_config_inherits_is_seen_by_value():
    """Config code is hashed nowhere, so that what notebooks read of other configs must be in their settings."""
    claims, paper = SERIES["06_comparison"].settings(DEMO, None), load_config("ssbc2026")
    assert [paper] in claims and paper.training.lr == 1e-4  # a default, in no file
    audited = SERIES["01_data_audit"].settings(DEMO, None)
    fresh = DEMO.model_copy(update={"training": DEMO.training.model_copy(update={"stream": {}})})
    assert SERIES["01_data_audit"].settings(fresh, None) != audited  # its cards say what is rendered afresh
    more = DEMO.model_copy(update={"seeds": (42, 43)})
    assert SERIES["01_data_audit"].settings(more, None) == audited != SERIES["04_evaluation"].settings(more, None)


@pytest.mark.parametrize("add", [add_system, add_study, add_setting, add_template])
def test_what_nobody_uses_makes_nothing_run_again(lib, add):
    before = trainings(lib), notebooks(lib)
    add(lib)
    assert (trainings(lib), notebooks(lib)) == before


def test_a_changed_loss_trains_everything_anew(lib):
    before = trainings(lib)
    edit(lib / "cgdseg/training/losses.py", "EPSILON = 1e-6", "EPSILON = 1e-5")
    after = trainings(lib)
    assert all(after[name] != before[name] for name in DEMO.systems)


def test_a_changed_network_trains_its_own_system_alone(lib):
    before, shown = trainings(lib), notebooks(lib)
    edit(
        lib / "cgdseg/models/zoo/unet.py",
        "nn.functional.max_pool2d(features, 2)",
        "nn.functional.avg_pool2d(features, 2)",
    )
    after = trainings(lib)
    assert after["unet"] != before["unet"] and after["cgdseg_scratch"] == before["cgdseg_scratch"]
    changed = {name for name, files in notebooks(lib).items() if files != shown[name]}
    assert {"04_evaluation", "05_domain_gap", "06_comparison"} <= changed and "01_data_audit" not in changed


def test_the_encoder_of_ones_own_belongs_to_who_reads_it(lib):
    assert DEMO.systems["cgdseg_scratch"].text.source == "rendered"
    before = trainings(lib)
    edit(lib / "cgdseg/training/small_clip.py", "weight_decay=0.01", "weight_decay=0.02")
    after = trainings(lib)
    assert after["cgdseg_scratch"] != before["cgdseg_scratch"] and after["unet"] == before["unet"]


def test_figures_of_one_notebook_are_not_another_s(lib):
    before = notebooks(lib)
    edit(lib / "cgdseg/figures/gap.py", '"""', '"""  ')
    assert [name for name, files in notebooks(lib).items() if files != before[name]] == ["05_domain_gap"]
