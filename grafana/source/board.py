"""What the dashboards have in common: variables, links to each other, alerts as annotations, the grid."""

from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard

from .panels import CLUSTER_OF_ROW, DATASOURCE
from .promql import GROUP, INSTANCE, SELECTED, TOPIC, labels

TAG = "kafkascope"
UIDS = {name: f"kafkascope-{name}" for name in ("overview", "groups", "topics", "brokers", "exporter")}
# Of a table's row: where its links lead to keeps datasource and time, and takes the cluster of the row.
_ROW = (
    "${datasource:queryparam}&${__url_time_range}"
    "&var-job=${__data.fields.job:percentencode}&var-cluster_name=" + CLUSTER_OF_ROW
)


def link_of_row(title: str, target: str, **variables: str) -> tuple[str, str]:
    """A link from a row of a table to a dashboard with variables set from the row's fields."""
    chosen = "".join(f"&var-{name}=${{__data.fields.{of}:percentencode}}" for name, of in variables.items())
    return title, f"/d/{UIDS[target]}/{UIDS[target]}?{_ROW}{chosen}"


@dataclass
class Board:
    """A dashboard before it is laid out: rows of panels, and the questions that it answers."""

    name: str
    title: str
    answers: str
    variables: list[str]
    rows: list[tuple[str, list]] = field(default_factory=list)

    def row(self, title: str, *panels) -> None:
        """Adds a row; its panels fill lines of the grid from left to right."""
        self.rows.append((title, list(panels)))


def _matchers(*matchers: str) -> str:
    return ", ".join(matchers)


# Name: what people see, what it is for, where its values come from.
VARIABLES = {
    "job": ("Job", "Prometheus jobs that scrape kafkascope", "label_values(kafka_up, job)"),
    "cluster_name": (
        "Cluster", "Kafka clusters; one without a name has no entry and is part of All",
        f"label_values(kafka_up{{{SELECTED[0]}}}, cluster_name)",
    ),
    "group": (
        "Group", "Consumer groups",
        f"label_values(kafka_consumergroup_state{{{_matchers(*SELECTED)}}}, consumergroup)",
    ),
    "topic": ("Topic", "Topics", f"label_values(kafka_topic_partitions{{{_matchers(*SELECTED)}}}, topic)"),
    "instance": ("Instance", "Replicas of the exporter", f"label_values(up{{{SELECTED[0]}}}, instance)"),
}  # fmt: skip
MATCHERS = {"job": SELECTED[0], "cluster_name": SELECTED[1], "group": GROUP, "topic": TOPIC, "instance": INSTANCE}


def _query_variable(name: str) -> build.QueryVariable:
    shown, description, query = VARIABLES[name]
    return (
        build.QueryVariable(name)
        .label(shown)
        .description(description)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": f"variable-{name}"})
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
    )


class _AlertAnnotation(dashboard.AnnotationQuery):
    """With what Grafana's Prometheus data source reads besides the expression (its annotation editor)."""

    def to_json(self) -> dict[str, object]:
        formats = {
            "step": "60s",
            "titleFormat": "{{alertname}}",
            "textFormat": "{{consumergroup}} {{topic}} {{cluster_name}}",
            "tagKeys": "severity",
        }
        return super().to_json() | formats


class _Alerts(build.AnnotationQuery):
    def __init__(self) -> None:
        super().__init__()
        about = labels("alertname", "severity", "consumergroup", "topic")
        firing = _matchers('alertstate="firing"', 'alertname=~"Kafka.*"', *SELECTED)
        self._internal = _AlertAnnotation(
            name="Firing alerts", datasource=DATASOURCE, enable=True, hide=False, icon_color="red",
            expr=f"max by ({about}) (ALERTS{{{firing}}})",
        )  # fmt: skip


def laid_out(board: Board) -> dashboard.Dashboard:
    """The dashboard with everything that Grafana needs."""
    builder = (
        build.Dashboard(board.title)
        .uid(UIDS[board.name])
        .description(board.answers)
        .tags([TAG, "kafka"])
        .editable()
        .timezone("browser")
        .refresh("30s")
        .time("now-1h", "now")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .annotation(_Alerts())
        .link(
            build.DashboardLink("kafkascope")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .tooltip("The other dashboards, with the same selection")
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for name in board.variables:
        builder = builder.with_variable(_query_variable(name))
    for title, panels in board.rows:
        builder = builder.with_row(build.Row(title))
        for panel in panels:
            builder = builder.with_panel(panel)
    made = builder.build()
    for number, panel in enumerate(made.panels, start=1):
        panel.id_val = number
    return made
