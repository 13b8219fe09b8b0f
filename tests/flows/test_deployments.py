from __future__ import annotations

from dataclasses import replace

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

from ritz.flows.serving.deployments import deployment_names, of_recipes, to_deployment
from ritz.tasks.recipes import RecipeError, load
from tests.command import SMALL
from tests.served import client_of


@pytest.mark.parametrize(
    ("recipes", "names"),
    [
        ({"darcy": "darcy", "/a/config.yaml": "hot"}, ["darcy", "hot"]),
        ({"/a/one.yaml": "darcy", "two.yml": "darcy", "heat": "heat"}, ["one", "two", "heat"]),
    ],
    ids=["names of their own", "one name for two"],
)
def test_a_deployment_bears_the_name_of_its_recipe(recipes: dict[str, str], names: list[str]) -> None:
    assert list(deployment_names(recipes).values()) == names


@pytest.mark.parametrize(
    "recipes",
    [{"/a/one.yaml": "darcy", "/b/one.yaml": "darcy"}, {"/a/heat.yaml": "x", "/a/x.yaml": "x", "/b/c.yaml": "heat"}],
    ids=["two files of one name", "a file of another's name"],
)
def test_two_recipes_do_not_get_one_deployment(recipes: dict[str, str]) -> None:
    with pytest.raises(RecipeError, match=r"would both be served as ritz/\w+; rename one of the files"):
        deployment_names(recipes)


@pytest.mark.parametrize(
    ("schedule", "kept"),
    [
        (
            {"cron": "0 3 * * MON", "timezone": "Europe/Berlin"},
            CronSchedule(cron="0 3 * * MON", timezone="Europe/Berlin"),
        ),
        (
            {"every": "PT6H", "timezone": "Asia/Tokyo"},
            IntervalSchedule(interval=21600, anchor_date="2020-01-01T00:00+09:00", timezone="Asia/Tokyo"),  # type: ignore[arg-type]
        ),
    ],
    ids=["cron", "every"],
)
def test_the_server_is_told_the_schedule_with_its_time_zone(schedule: dict[str, str], kept: object) -> None:
    [small] = of_recipes([SMALL], "store", "local")
    deployment = to_deployment(replace(small, pipeline=load(SMALL, {"schedule": schedule})))
    [told] = deployment.schedules
    assert told.schedule == kept
    assert not to_deployment(small).schedules
    assert {"recipe:small", "problem:darcy", "surrogate:fno"} == set(deployment.tags)


def test_an_entry_point_of_an_older_release_is_renewed(environment: dict[str, str]) -> None:
    with client_of(environment), get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("ritz")
        id = client.create_deployment(flow, "small", entrypoint="flows.run.run_served", version="older")
        served = to_deployment(*of_recipes([SMALL], "store", "local"))
        assert served.apply() == id
        assert client.read_deployment(id).entrypoint == "ritz.flows.served.run_served"
        client.delete_deployment(id)
