"""What libusb is told of the one device that it may know."""

from __future__ import annotations

from pathlib import Path

import pytest

from usbwatch.driver import KeyGone
from usbwatch.one_device import noted_configuration


@pytest.mark.parametrize(("text", "number"), [("1\n", 1), ("", 0)], ids=["configured", "not-configured"])
def test_the_configuration_is_what_the_kernel_has_noted(tmp_path: Path, text: str, number: int) -> None:
    """A device without a configuration has an empty attribute."""
    attribute = tmp_path / "bConfigurationValue"
    attribute.write_text(text)
    assert noted_configuration(attribute) == number


def test_a_device_that_leaves_while_it_is_opened_is_gone(tmp_path: Path) -> None:
    """That its attributes have vanished is no fault of the key or its driver."""
    with pytest.raises(KeyGone):
        noted_configuration(tmp_path / "bConfigurationValue")
