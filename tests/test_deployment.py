"""What the compose file promises: the parts of production, secrets from outside, nothing open to the network."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_compose_holds_the_parts_of_production(compose):
    assert {"postgres", "redis", "web", "worker", "gpu-worker", "beat", "generator"} <= compose["services"].keys()


@pytest.mark.parametrize("name", ["SECRET_KEY", "TICKET_KEY", "DATABASE_URL", "REDIS_URL"])
def test_no_secret_has_a_default(compose, name):
    assert ":?" in compose["services"]["web"]["environment"][name]


def test_only_web_is_published_and_only_on_loopback(compose):
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:8000:8000"]}


def test_database_and_redis_stand_on_the_inner_network(compose):
    assert compose["networks"]["inner"] == {"internal": True}
    assert [compose["services"][name]["networks"] for name in ("postgres", "redis")] == [["inner"], ["inner"]]


def test_the_gpu_worker_takes_training_runs_one_at_a_time(compose):
    command = compose["services"]["gpu-worker"]["command"]
    assert command[command.index("-Q") + 1] == "train"
    assert command[command.index("--concurrency") + 1] == "1"


def test_the_image_runs_without_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER touchstone"]
