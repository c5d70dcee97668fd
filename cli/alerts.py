"""`cronfolio alerts`: the metrics, alert policies and dashboard of deploy/monitoring in a project."""

from __future__ import annotations

from pathlib import Path

import click

from cli.gcloud import gcloud, gcloud_list, project_of

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "monitoring"
POLICIES = ("alpha", "monitoring", "policies")
DASHBOARDS = ("monitoring", "dashboards")


@click.command()
@click.argument("name")
@click.option("--channel", default="", help="Whom to notify: an id of `gcloud beta monitoring channels list`.")
def alerts(name: str, channel: str) -> None:
    """Create or replace them in NAME, an alias in .firebaserc or a project. What is not ours is left alone."""
    project = project_of(name)
    known = {metric["name"] for metric in gcloud_list("logging", "metrics", "list", project=project)}
    for file in sorted((FOLDER / "metrics").glob("*.yaml")):
        act = "update" if file.stem in known else "create"
        gcloud("logging", "metrics", act, file.stem, f"--config-from-file={file}", project=project)
        click.echo(f"metric {file.stem}: {act} done")
    there = {
        policy.get("userLabels", {}).get("cronfolio"): policy
        for policy in gcloud_list(*POLICIES, "list", project=project)
    }
    for file in sorted((FOLDER / "policies").glob("*.yaml")):
        policy = there.get(file.stem)
        # An update replaces the policy and would otherwise notify nobody from then on.
        channels = channel or ",".join((policy or {}).get("notificationChannels", ()))
        source = f"--policy-from-file={file}"
        if policy is None:
            who = (f"--notification-channels={channels}",) if channels else ()
            gcloud(*POLICIES, "create", source, *who, project=project)
        else:
            who = (f"--set-notification-channels={channels}",) if channels else ()
            gcloud(*POLICIES, "update", policy["name"], source, *who, project=project)
        click.echo(f"policy {file.stem}: {'create' if policy is None else 'update'} done")
    for dashboard in gcloud_list(*DASHBOARDS, "list", project=project):
        if dashboard["displayName"] == "Cronfolio":
            gcloud(*DASHBOARDS, "delete", dashboard["name"], project=project)
    gcloud(*DASHBOARDS, "create", f"--config-from-file={FOLDER / 'dashboard.yaml'}", project=project)
    click.echo("dashboard Cronfolio: done")
    if not channel:
        click.echo("No --channel is given, so policies that are new notify nobody.")
