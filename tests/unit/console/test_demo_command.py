"""`twinkey demo` on the command line: what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from console.demo import demo


def test_two_nodes_cannot_share_a_port(tmp_path: Path) -> None:
    """One of them could not listen, and the demo would seem to run; nothing is made."""
    folder = tmp_path / "site"
    result = CliRunner().invoke(demo, ["--dir", str(folder), "--port-a", "18449", "--port-b", "18449"])
    assert result.exit_code == 2
    assert "--port-b" in result.stderr
    assert not folder.exists()
