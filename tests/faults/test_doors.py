"""The doors through which a file could become code, or come from anywhere: few, known, and each with its lock."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import cyclegan
from cyclegan.data.cards import all_cards
from cyclegan.networks.weights import SOURCES

PACKAGE = Path(cyclegan.__file__).parent
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "tarfile", "code"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
CALLS = (  # the ends of dotted names, called or only mentioned: what is passed on is called elsewhere
    *("torch.load", "jit.load", "package.PackageImporter", "export.load", "cpp_extension.load", "add_safe_globals"),
    *("hub.load", "hub.load_state_dict_from_url", "hub.download_url_to_file", "model_zoo.load_url"),
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all"),
    *("extractall", ".extract", "os.system", "os.popen", "unpack_archive", "_create_unverified_context", "urlretrieve"),
    *("urlopen", "subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_output", "import_module"),
)
FLAGS = ("allow_pickle", "shell", "verify")  # that a call is given
LOCKED = {  # module -> the doors it has, and why they may be there
    "networks/weights.py": ["torch.load", "urllib.request.urlopen"],  # weights_only, looked into first; by SHA-256
    "data/fetch.py": ["urllib.request.urlopen"],  # by the SHA-256 and the size of the card
    "training/provenance.py": ["subprocess.run"],  # git, by a list of words of ours
    "images/npy.py": ["np.load(allow_pickle)", "np.save(allow_pickle)"],  # False, both
    "export/graph_files.py": ["torch.export.load"],  # of the file that we have written a moment ago, to compare
    "model/graph.py": ["importlib.import_module"],  # of packages by names of ours, which may be missing
    "model/load.py": ["compile"],  # a parameter of that name
    "distributed.py": ["importlib.import_module"],  # of a name of ours
    "config/typed_values.py": ["importlib.import_module"],  # of one of three names of ours: MethodConfig knows no other
}


def dotted(node: ast.expr) -> str:
    """a.b.c of an expression; what is not a name is left out."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def real_names(tree: ast.AST) -> dict[str, str]:
    """What a module calls by another name: `import a.b as c`, `from a import b as c`, `c = a.b`."""
    real = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            real |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            real |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute):
            real |= {target.id: dotted(node.value) for target in node.targets if isinstance(target, ast.Name)}
    return real


def resolved(name: str, real: dict[str, str]) -> str:
    """A dotted name by what its first word stands for, and that again."""
    for _ in range(len(real)):
        first, dot, rest = name.partition(".")
        if real.get(first, first) == first:
            break
        name = real[first] + dot + rest
    return name


def doors(tree: ast.AST) -> Iterator[str]:
    """Every import and mention of that kind in a module, by its real name and by the one it goes by there."""
    real = real_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in names if node.module.split(".")[0] in MODULES or name.endswith(CALLS[:-1]))
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            name = dotted(node)
            meant = resolved(name, real)
            if meant.removeprefix("builtins.") in BUILTINS or meant.endswith(CALLS):
                yield meant
            elif name.endswith(CALLS):
                yield name
        elif isinstance(node, ast.Call):
            words = {word.arg for word in node.keywords}
            yield from (f"{dotted(node.func)}({word})" for word in FLAGS if word in words)


def found_in(package: Path) -> dict[str, list[str]]:
    """The doors of every module that has any."""
    paths = sorted(package.rglob("*.py"))
    found = {p.relative_to(package).as_posix(): sorted(doors(ast.parse(p.read_text(encoding="utf-8")))) for p in paths}
    return {name: names for name, names in found.items() if names}


def test_there_are_no_other_doors():
    assert found_in(PACKAGE) == {name: sorted(names) for name, names in LOCKED.items()}


def test_the_only_torch_load_asks_for_tensors_only():
    tree = ast.parse((PACKAGE / "networks" / "weights.py").read_text(encoding="utf-8"))
    (call,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and dotted(node.func) == "torch.load")
    assert {word.arg: ast.unparse(word.value) for word in call.keywords}["weights_only"] == "True"


@pytest.mark.parametrize(
    ("line", "door"),
    [
        ("import torch\ntorch.load(path, weights_only=True)", "torch.load"),
        ("from torch import load", "torch.load"),
        ("import pickle", "pickle"),
        ("def late():\n    from pickle import loads", "pickle.loads"),
        ("np.load(path, allow_pickle=True)", "np.load(allow_pickle)"),
        ("yaml.load(text, Loader=Loader)", "yaml.load"),
        ("torch.hub.load('owner/name', 'model')", "torch.hub.load"),
        ("torch.jit.load(path)", "torch.jit.load"),
        ("zipfile.ZipFile(path).extractall(folder)", ".extractall"),
        ("archive.extract(member, folder)", "archive.extract"),
        ("import torch as t\nt.load(path)", "torch.load"),
        ("from torch import load as read\nread(path)", "torch.load"),
        ("import torch.hub as h\nh.load('owner/name', 'model')", "torch.hub.load"),
        ("from torch import hub as h\nh.load('owner/name', 'model')", "torch.hub.load"),
        ("from torch import hub\nhub.load('owner/name', 'model')", "torch.hub.load"),
        ("import torch\nread = torch.load\nread(path)", "torch.load"),
        ("import torch as t\nread = t.load\nread(path)", "torch.load"),
        ("import subprocess as s\ns.run(text)", "subprocess.run"),
        ("import pickle as p", "pickle"),
        ("from os import system as do", "os.system"),
        ("import builtins as b\nb.eval(text)", "builtins.eval"),
        ("run = eval\nrun(text)", "eval"),
        ("files = map(torch.load, paths)", "torch.load"),
        ("read = torch.load", "torch.load"),
        ("READERS = {'.pt': torch.load}", "torch.load"),
        ("def read(path, how=torch.load):\n    return how(path)", "torch.load"),
        ("import torch as t\nfiles = map(t.load, paths)", "torch.load"),
        ("read = functools.partial(np.load, allow_pickle=True)", "functools.partial(allow_pickle)"),
        ("pool.map(zipfile.ZipFile(path).extract, members)", ".extract"),
        ("values = map(eval, texts)", "eval"),
        ("eval(text)", "eval"),
        ("exec(text)", "exec"),
        ("os.system(text)", "os.system"),
        ("subprocess.run(text, shell=True)", "subprocess.run"),
        ("urllib.request.urlopen(url)", "urllib.request.urlopen"),
    ],
)
def test_a_new_door_is_noticed(line, door):
    assert door in list(doors(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        *("network.eval()", "re.compile(pattern)", "load(path)", "np.load(path)", "x.loads(y)"),
        *("modes = map(re.compile, patterns)", "read = np.load", "class Training:\n    compile: bool = False"),
    ],
)
def test_what_is_none_is_not(line):
    assert list(doors(ast.parse(line))) == []


def test_whatever_is_fetched_is_known_before():
    for card in all_cards():
        assert card.made or (len(card.archive.sha256) == 64 and card.archive.bytes > 0)
    for name, source in SOURCES.items():
        digits = next(iter(source.files.values()))
        # the publisher of the Caffe weights has put 8 digits into the names of the files
        assert len(digits) == 64 or name.endswith("caffe"), name
        assert len(digits) >= 8
