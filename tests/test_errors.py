import pytest

from swagv.datasets.csv_table import read_csv
from swagv.errors import ConfigError, DecodeError


def test_a_message_is_one_printable_line_of_finite_length_whatever_a_file_puts_into_it():
    assert str(ConfigError("a\nb\x1b[2J\0\ud800 é")) == "a b\\x1b[2J\\x00\\ud800 é"
    for text in ("x" * 10**6, "\U000e0001" * 10**6):
        message = str(DecodeError(f"start {text} end"))
        assert len(message) < 1500
        assert message.startswith("start ")
        assert message.endswith(" end")
        assert str(DecodeError(message)) == message


def test_a_table_with_a_long_header_of_control_characters(tmp_path):
    (tmp_path / "t.csv").write_text("path\x1b[2J," + "x" * 100_000)
    with pytest.raises(ConfigError, match=r"t\.csv: columns are path\\x1b\[2J,x+ … x+; need path,label$") as error:
        list(read_csv(tmp_path / "t.csv", ["path", "label"]))
    assert len(str(error.value)) < 1500
