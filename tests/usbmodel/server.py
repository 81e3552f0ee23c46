"""A umockdev test bed as a process: commands in on stdin, one JSON value a line, answers out on stdout.

Every process that has its environment (see the first answer) sees its USB bus.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

from tests.usbmodel.model import DeviceModel, KeyModel
from tests.usbmodel.stick_model import StickModel
from tests.usbmodel.usbfs import PluggedModel, new_testbed


class Server:
    """Holds the plugged devices by name."""

    def __init__(self) -> None:
        self.testbed = new_testbed()
        self._plugged: dict[str, PluggedModel] = {}

    def plug_key(self, name: str, serial: str, licence: str, private_key: str, ids: list[int], **port: Any) -> None:
        """Plug a licence key in."""
        private = base64.b64decode(private_key) or None
        self._plug(name, KeyModel(serial, base64.b64decode(licence), private, (ids[0], ids[1])), **port)

    def plug_stick(
        self, name: str, serial: str, disk: str, ids: list[int], block_size: int, fault: str, **port: Any
    ) -> None:
        """Plug a USB stick in that has the bytes of the file `disk` on it."""
        self._plug(name, StickModel(serial, Path(disk).read_bytes(), (ids[0], ids[1]), block_size), fault, **port)

    def plug_other(self, name: str, ids: list[int], serial: str, **port: Any) -> None:
        """Plug some other device in."""
        self._plug(name, DeviceModel(ids[0], ids[1], serial), **port)

    def unplug(self, name: str) -> None:
        """Pull a device out."""
        self._plugged.pop(name).unplug()

    def reset(self, addresses: dict[str, int]) -> None:
        """Let these devices leave and come back, each under another address."""
        models = {name: self._plugged.pop(name) for name in addresses}
        for plugged in models.values():
            plugged.unplug()
        for name, plugged in models.items():
            bus = int(name.partition("-")[0])
            self._plug(name, plugged.model, sysname=name, bus=bus, address=addresses[name], driver="")

    def fault(self, name: str, fault: str) -> None:
        """Give a device a fault, or none."""
        self._plugged[name].model.fault = fault

    def state(self, name: str) -> dict[str, int]:
        """Tell how a device has been used."""
        plugged = self._plugged[name]
        return {"touched": plugged.touched, "waiting": plugged.waiting}

    def licence(self, name: str) -> str:
        """Tell what is on a key."""
        return base64.b64encode(self._key(name).licence).decode()

    def stick(self, name: str) -> dict[str, int]:
        """Tell what a stick was asked for."""
        model = self._plugged[name].model
        assert isinstance(model, StickModel)
        return {"reads": model.reads, "resets": model.resets}

    def _plug(self, name: str, model: DeviceModel, fault: str = "", **port: Any) -> None:
        model.fault = fault
        self._plugged[name] = PluggedModel(self.testbed, model, **port)

    def _key(self, name: str) -> KeyModel:
        model = self._plugged[name].model
        assert isinstance(model, KeyModel)
        return model


def main() -> None:
    """Serve until stdin ends."""
    server = Server()
    _say({"root": server.testbed.get_root_dir()})
    for line in sys.stdin:
        command = json.loads(line)
        _say({"answer": getattr(server, command.pop("do"))(**command)})


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201 - the answers


if __name__ == "__main__":
    main()
