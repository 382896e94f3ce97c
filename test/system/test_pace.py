# SPDX-License-Identifier: Apache-2.0
"""How fast the farm can go: 60 times the clock, and a VGA camera at 30 Hz, composed and in separate processes."""

import dataclasses
import time

import psutil
import pytest

from cmkd_ros.cli.environment import executable
from cmkd_ros.cli.supervisor import Program, Supervisor
from cmkd_ros.middleware.bringup import FarmOptions, composed_node, farm_nodes, simulation_node
from cmkd_ros.site import load_site, save_site

pytestmark = [pytest.mark.measure, pytest.mark.timeout(600)]


def test_sixty_times_the_clock(farm):
    from cmkd_ros.middleware.observer import Observer

    running = farm("--speed", "60", "--duration", "300")
    running.until(lambda: running.nodes().get("fusion", {}).get("state") == "active", 60, "fusion active")
    with Observer() as observer:
        observer.wait(lambda: observer.status()["decision"], 30)
        time.sleep(10)
        stamps, start_s = set(), time.monotonic()
        while time.monotonic() - start_s < 30:
            stamps.add(observer.status()["decision"]["stamp_ns"])
            time.sleep(0.01)
        elapsed_s = time.monotonic() - start_s
        nodes = {node["name"]: node for node in observer.nodes()}
    advanced_s = (max(stamps) - min(stamps)) / 1e9
    skipped = nodes["/farm/fusion"]["values"].get("skipped", "0")
    print(
        f"speed 60: farm time went {advanced_s / elapsed_s:.1f} times as fast as the wall's over {elapsed_s:.0f} s; "
        f"{len(stamps)} decisions seen of {advanced_s / 5 + 1:.0f} due, {skipped} skipped by fusion since start; "
        f"simulation: {nodes['/farm/simulation']['message']}"
    )
    assert advanced_s / elapsed_s > 55


@pytest.mark.parametrize("composed", [False, True], ids=["separate", "composed"])
def test_a_vga_camera_at_30_hz(composed, domain, tmp_path, request):
    from cmkd_ros.middleware.observer import Observer

    conftest = next(p for p in request.config.pluginmanager.get_plugins() if getattr(p, "free_port", None))
    site = load_site("demo").at_port(conftest.free_port())
    save_site(site, tmp_path / "site.yaml")
    options = FarmOptions(site=str(tmp_path / "site.yaml"))
    camera = {"camera_width": 640, "camera_height": 480, "camera_rate_hz": 30.0}
    simulation = simulation_node(options)
    simulation = dataclasses.replace(simulation, parameters={**simulation.parameters, **camera})
    specs = [simulation, *([composed_node(options)] if composed else farm_nodes(site, options))]
    supervisor = Supervisor([Program(s.name, [str(executable(s.executable)), *s.arguments()]) for s in specs])
    supervisor.start()
    try:
        with Observer() as observer:
            assert observer.wait(lambda: observer.status()["decision"], 60)
            time.sleep(15)
            processes = {entry.program.name: psutil.Process(entry.process.pid) for entry in supervisor.running}
            for process in processes.values():
                process.cpu_percent()
            before = {node["name"]: node["values"] for node in observer.nodes()}
            time.sleep(60)
            load = {name: process.cpu_percent() for name, process in processes.items()}
            pss = {name: process.memory_full_info().pss / 2**20 for name, process in processes.items()}
            after = {node["name"]: node["values"] for node in observer.nodes()}
    finally:
        supervisor.stop()

    def gained(node, key):
        return int(after[node].get(key, 0)) - int(before[node].get(key, 0))

    sent, received = gained("/farm/camera", "published"), gained("/farm/fusion", "received_sky")
    values = after["/farm/fusion"]
    print(
        f"VGA at 30 Hz, {'composed' if composed else 'separate'}: received / sent {received} / {sent}; "
        f"age at fusion p50 {1000 * float(values['age_sky_s p50']):.0f} ms, "
        f"p99 {1000 * float(values['age_sky_s p99']):.0f} ms (resolution 20 ms: /clock at 50 Hz)"
    )
    for name in load:
        print(f"    {name:18s} CPU {load[name]:5.1f} %   PSS {pss[name]:5.0f} MB")
    print(f"    {'all':18s} CPU {sum(load.values()):5.1f} %   PSS {sum(pss.values()):5.0f} MB")
    assert received >= 0.98 * sent - 30 > 0, "each node counts to its own last report, which are a second apart at most"
