# SPDX-License-Identifier: Apache-2.0
"""Prices and grid carbon to `market`: from the site's tariff, a watched CSV file, or the simulator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.quantities import quantity
from cmkd_ros.contract.samples import Market
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.diagnostics import ERROR, OK, Health
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.main import run
from cmkd_ros.middleware.parameters import NodeSettings
from cmkd_ros.msg import Market as MarketMessage
from cmkd_ros.simulation import prices
from cmkd_ros.site.market import HOUR_NS, read_market, tariff_market

LOOK_WALL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class MarketSettings(NodeSettings):
    """The market node's parameters."""

    source: str = quantity(
        "",
        description="where prices come from; empty: the file if one is named, else the simulator on a simulated site, "
        "else the tariff",
        choices=("", "tariff", "file", "simulator"),
        read_only=True,
    )
    file: str = quantity(
        "",
        description="CSV file, read again when it changes; columns start (ISO 8601 with Z or an offset), "
        "import_price_eur_per_kwh, and optionally feed_in_price_eur_per_kwh and grid_carbon_kg_per_kwh",
        read_only=True,
    )
    seed: int = quantity(1, description="of the simulated prices", low=0, high=2**31, read_only=True)


class MarketNode(FarmNode[MarketSettings]):
    """Publishes the whole series when it changes, and at every full hour."""

    Settings = MarketSettings

    def __init__(self, name: str = "market", **options: Any):
        super().__init__(name, **options)

    def configure(self) -> None:
        settings = self.settings
        natural = "file" if settings.file else "simulator" if self.site.simulated else "tariff"
        self._source = settings.source or natural
        if self._source == "file" and not settings.file:
            raise ConfigurationError(self.get_fully_qualified_name(), ["source is file: name it in the parameter file"])
        self._publisher = self.create_publisher(MarketMessage, "market", qos.LATCHED)

    def activate(self) -> None:
        self._hour = -1
        self._read: tuple[float, int] | None = None  # modification time and size of the file as it was last read
        self._held: Market | None = None
        self._fault = ""
        self.every(LOOK_WALL_S, self._look)

    def health(self) -> Iterable[Health]:
        message = self._fault or ("published" if self._hour >= 0 else "no time yet: /clock has not ticked")
        yield Health(ERROR if self._fault else OK, f"{self._source}: {message}")

    def _look(self) -> None:
        now_ns = self.now_ns()
        if now_ns <= 0:
            return
        changed = self._source == "file" and self._file_changed(now_ns)
        hour = now_ns // HOUR_NS
        if not changed and hour == self._hour:
            return
        market = self._market(now_ns)
        if market is not None:
            self._hour = hour
            self._publisher.publish(encode.market(market, self._source))
            self.diagnostics.count("published")

    def _market(self, now_ns: int) -> Market | None:
        if self._source == "tariff":
            return tariff_market(self.site, now_ns)
        if self._source == "simulator":
            return prices.market(self.site, self.settings.seed, now_ns)
        return self._held

    def _file_changed(self, now_ns: int) -> bool:
        """Read the file if it changed. A faulty one is reported, and the last good one stays in force."""
        path = Path(self.settings.file)
        try:
            found = path.stat()
            seen = (found.st_mtime, found.st_size)
            if seen == self._read:
                return False
            self._read = seen
            self._held, self._fault = read_market(path, self.site, now_ns), ""
        except (OSError, ConfigurationError) as error:
            if str(error) != self._fault:
                self.diagnostics.count("refused")
                self.get_logger().error(f"{error}; the last good prices stay in force")
            self._fault = str(error)
            return False
        return True


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    run(MarketNode)


if __name__ == "__main__":
    main()
