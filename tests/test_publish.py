import errno

import pytest

from swagv.publish import publish


@pytest.fixture(params=[0, errno.EPERM], ids=["links", "no links"])
def links(request, monkeypatch):
    """On a file system with hard links, and on one without."""

    def refuse(*names):
        raise OSError(request.param, "no links here")

    if request.param:
        monkeypatch.setattr("os.link", refuse)


def write(out, text, meanwhile=lambda: None):
    """A slow writer: something happens before it publishes."""
    with publish(out, replace=False) as partial:
        partial.write_text(text)
        meanwhile()


@pytest.mark.usefixtures("links")
def test_of_two_writers_of_a_file_the_slower_one_fails(tmp_path):
    out = tmp_path / "table.parquet"
    with pytest.raises(FileExistsError, match="was written by another process meanwhile"):
        write(out, "old settings", lambda: out.write_text("new settings"))
    assert out.read_text() == "new settings"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.usefixtures("links")
def test_a_file_appears_whole_and_its_partial_goes(tmp_path):
    out = tmp_path / "table.parquet"
    with publish(out, replace=False) as partial:
        partial.write_text("whole")
        assert not out.exists()
    assert out.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [out]


def test_a_writer_whose_partial_was_swept_by_another_one_fails(tmp_path):
    out = tmp_path / "table.parquet"
    with pytest.raises(FileNotFoundError):
        write(out, "first", lambda: write(out, "second"))
    assert out.read_text() == "second"


def test_a_file_may_be_replaced_where_that_is_meant(tmp_path):
    out = tmp_path / "overlay.png"
    out.write_text("old")
    with publish(out) as partial:
        partial.write_text("new")
    assert out.read_text() == "new"
