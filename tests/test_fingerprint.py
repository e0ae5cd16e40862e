import os
import subprocess
import sys

from swagv.fingerprint import _NOT_CODE, fingerprint, imported_modules
from tests.conftest import ROOT


def test_closure_follows_imports_inside_functions_and_leaves_out_the_rest():
    modules = imported_modules(["swagv.stages.supervoxels"])
    assert {"swagv.slic", "swagv.stores", "swagv.publish"} <= modules.keys()
    assert "swagv.decode" not in modules
    assert not _NOT_CODE & modules.keys()


def test_stages_do_not_share_what_they_do_not_use():
    for stage in ("decode", "predict", "explain", "explain_cached", "localisation", "insertion_deletion"):
        assert "swagv.slic" not in imported_modules([f"swagv.stages.{stage}"])


def test_comments_and_docstrings_do_not_count_and_code_does(tmp_path):
    script = tmp_path / "s.py"
    digests = []
    for text in ('"""One."""\nx = 1\n', '"""Two."""\n# why\nx = 1\n', '"""Two."""\nx = 2\n'):
        script = tmp_path / f"s{len(digests)}.py"
        script.write_text(text)
        digests.append(fingerprint([], [script]))
    assert digests[0] == digests[1] != digests[2]


def test_code_of_another_package_counts_with_what_it_imports_of_itself(tmp_path, monkeypatch):
    package = tmp_path / "mylab"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "method.py").write_text("import numpy\nfrom mylab.maths import f\n")
    (package / "maths.py").write_text("f = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert imported_modules(["mylab.method"]).keys() == {"mylab.method", "mylab.maths"}
    code = "from swagv.fingerprint import fingerprint; print(fingerprint(['mylab.method']))"
    digests = []
    for text in ("f = 1  # same\n", "f = 1\n", "f = 2\n"):
        (package / "maths.py").write_text(text)
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
        call = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        digests.append(call.stdout)
    assert digests[0] == digests[1] != digests[2]
