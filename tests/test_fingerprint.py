from swagv.fingerprint import _NOT_CODE, fingerprint, imported_modules


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
