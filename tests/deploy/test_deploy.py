"""A deployment: every function must answer a dry run as the new revision, or the traffic goes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.deploy import FUNCTIONS, service_of, traffic_arguments
from cli.main import main
from core.schedules import REGION
from tests.broker.scripted import Asked, Script, scripted
from tests.deploy.conftest import Cloud

LIST = "run services list --region=us-east4"


def services(number: int, url: str, *, serving: int | None = None) -> dict[str, Any]:
    """What gcloud lists when every function has this revision, and `serving` gets the traffic."""
    return {
        LIST: [
            {
                "metadata": {"name": service_of(function)},
                "status": {
                    "url": f"{url}/{function}",
                    "latestReadyRevisionName": f"{service_of(function)}-{number:05d}",
                    "traffic": [
                        {"revisionName": f"{service_of(function)}-{number:05d}", "percent": 0, "tag": "old"},
                        {"revisionName": f"{service_of(function)}-{serving or number:05d}", "percent": 100},
                    ],
                },
            }
            for function in FUNCTIONS
        ]
    }


def sound(asked: Asked) -> tuple[int, Any]:
    """Every function answers as revision 2."""
    function = asked.path.split("/")[1]
    more: dict[str, Any] = {"problems": []} if function == "ops" else {"outcome": "dry_run"}
    return 200, {"revision": f"{service_of(function)}-00002"} | more


@pytest.fixture
def site() -> Iterator[Script]:
    with scripted(sound) as script:
        yield script


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def to(function: str, number: int | None) -> str:
    target = "--to-latest" if number is None else f"--to-revisions={service_of(function)}-{number:05d}=100"
    service = service_of(function)
    return f"gcloud run services update-traffic {service} {target} --region={REGION} --project=my-staging-1 --quiet"


def test_a_sound_deployment_keeps_the_traffic_on_the_new_revisions(cloud: Cloud, site: Script) -> None:
    cloud.set(answers=services(1, site.url), after=services(2, site.url, serving=1))

    done = invoke("deploy", "staging")

    assert done.exit_code == 0, done.output
    assert cloud.changes() == [
        "firebase deploy --project staging --non-interactive",
        *(to(function, None) for function in FUNCTIONS),
    ]
    tokens = [call for call in cloud.calls() if "print-identity-token" in call]
    assert len(tokens) == len(FUNCTIONS)
    assert "--impersonate-service-account=cronfolio-scheduler@my-staging-1.iam.gserviceaccount.com" in tokens[0]
    assert f"--audiences={site.url}/{FUNCTIONS[0]}" in tokens[0]
    dry = {asked.path: asked.body for asked in site.asked if asked.method == "POST"}
    assert dry["/crypto_cycle"] == {"dry_run": True, "run_id": "canary-crypto-cycle-00002"}
    assert all(dry[f"/{function}"]["dry_run"] is True for function in FUNCTIONS if function != "ops")
    assert "/ops/status" in [asked.path for asked in site.asked if asked.method == "GET"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, {"error": "no books"}), "answered 500"),
        ((200, {"outcome": "done", "revision": "stocks-cycle-00002"}), "outcome done, not dry_run"),
        ((200, {"outcome": "dry_run", "revision": "stocks-cycle-00001"}), "revision stocks-cycle-00001, not"),
        ((200, "<html>"), "no JSON"),
    ],
)
def test_a_failing_canary_gives_every_function_back_to_what_served(
    cloud: Cloud, site: Script, answer: tuple[int, Any], words: str
) -> None:
    """I-61, I-62: what served before was revision 1, although 3 was newer: a rollback had pinned it."""
    site.answer = lambda asked: answer if asked.path == "/stocks_cycle" else sound(asked)
    cloud.set(answers=services(3, site.url, serving=1), after=services(2, site.url))

    done = invoke("deploy", "staging")

    assert done.exit_code == 1
    assert words in done.output
    assert "crypto_cycle is back on crypto-cycle-00001" in done.output
    assert cloud.changes()[-len(FUNCTIONS) :] == [to(function, 1) for function in FUNCTIONS]


def test_a_deployment_that_fails_halfway_is_rolled_back(cloud: Cloud, site: Script) -> None:
    cloud.set(answers=services(1, site.url), firebase=2)

    done = invoke("deploy", "staging")

    assert done.exit_code == 1
    assert "ended with status 2" in done.output
    assert cloud.changes()[1:] == [to(function, 1) for function in FUNCTIONS]
    assert site.asked == []


def test_one_service_that_cannot_be_given_back_does_not_keep_the_others(cloud: Cloud, site: Script) -> None:
    cloud.set(
        answers=services(1, site.url), firebase=2, fails=[f"run services update-traffic {service_of(FUNCTIONS[0])}"]
    )

    done = invoke("deploy", "staging")

    assert f"{FUNCTIONS[0]} is NOT back" in done.output
    assert f"{FUNCTIONS[-1]} is back on" in done.output
    assert len(cloud.changes()) == 1 + len(FUNCTIONS)


def test_a_first_deployment_that_fails_says_what_to_pause(cloud: Cloud) -> None:
    cloud.set(firebase=1)

    assert "cronfolio schedules pause --all" in invoke("deploy", "staging").output


def test_rollback_goes_one_revision_back_or_to_the_one_named(cloud: Cloud, site: Script) -> None:
    crypto = service_of("crypto_cycle")
    revisions = [{"metadata": {"name": f"{crypto}-{number:05d}"}} for number in (3, 2, 1)]
    cloud.set(answers=services(3, site.url) | {f"run revisions list --service={crypto}": revisions})

    back = invoke("rollback", "staging")
    named = invoke("rollback", "staging", "--to", f"{crypto}-00001")
    wrong = invoke("rollback", "staging", "--to", "somebody-elses-00001")

    assert (back.exit_code, named.exit_code, wrong.exit_code) == (0, 0, 2)
    assert cloud.changes() == [to("crypto_cycle", 2), to("crypto_cycle", 1)]
    assert "no revision of a function of ours" in wrong.output


@pytest.mark.parametrize("name", ["production", "Staging", "a", "--help-me", "x" * 40])
def test_a_name_that_is_no_project_is_refused_before_anything_is_called(cloud: Cloud, name: str) -> None:
    done = invoke("deploy", "--", name)

    assert done.exit_code == (1 if name == "production" else 2)
    assert [call for call in cloud.changes() if call.startswith("firebase")] == (
        ["firebase deploy --project production --non-interactive"] if name == "production" else []
    )


def test_a_missing_program_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(cloud.folder))

    done = invoke("deploy", "staging")

    assert (done.exit_code, "gcloud is not installed" in done.output) == (1, True)


def test_the_canary_command_passes_and_fails(site: Script) -> None:
    url = f"{site.url}/crypto_cycle"

    assert invoke("canary", "crypto_cycle", "--url", url, "--revision", "crypto-cycle-00002").exit_code == 0
    assert invoke("canary", "crypto_cycle", "--url", url, "--revision", "crypto-cycle-00003").exit_code == 1
    assert invoke("canary", "crypto_cycle", "--url", "http://127.0.0.1:9", "--revision", "x").exit_code == 1


LENDS = "the account may sell short"


def lending(asked: Asked) -> tuple[int, Any]:
    """Every function answers, and `ops` has something to say of the account."""
    return sound(asked) if asked.path != "/ops/health/ready" else (200, {"problems": [LENDS]})


def test_the_canary_of_ops_fails_for_what_is_wrong_with_the_account(site: Script) -> None:
    of_ops = ("canary", "ops", "--url", f"{site.url}/ops", "--revision", "ops-00002")
    assert invoke(*of_ops).exit_code == 0

    site.answer = lending

    assert (invoke(*of_ops).exit_code, LENDS in invoke(*of_ops).output) == (1, True)


@pytest.mark.parametrize(
    ("ready", "words"), [((200, {"problems": [LENDS]}), LENDS), ((503, {"is_ready": False}), "ops answered 503")]
)
def test_a_deployment_tells_what_is_wrong_with_the_account_and_stays(
    cloud: Cloud, site: Script, ready: tuple[int, Any], words: str
) -> None:
    site.answer = lambda asked: ready if asked.path == "/ops/health/ready" else sound(asked)
    cloud.set(answers=services(1, site.url), after=services(2, site.url))

    done = invoke("deploy", "staging")

    assert done.exit_code == 0, done.output
    assert f"problem: {words}" in done.output


def test_the_arguments_give_all_traffic_to_one_revision() -> None:
    assert traffic_arguments("ops", "ops-00007", "us-east4")[3:] == (
        "ops",
        "--to-revisions=ops-00007=100",
        "--region=us-east4",
    )
    assert "--to-latest" in traffic_arguments("ops", None, "us-east4")
