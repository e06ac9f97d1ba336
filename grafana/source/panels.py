"""The kinds of panels, each in one place: what every panel must say (title, description, unit) is an argument of its function."""

from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import common as build_common
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as StatPanel
from grafana_foundation_sdk.builders.statetimeline import Panel as StateTimelinePanel
from grafana_foundation_sdk.builders.table import Panel as TablePanel
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeriesPanel
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from .promql import IDENTITY, with_cluster_for_links

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
NOT_KNOWN = "not known"
# What links of a table's row take the cluster from.
CLUSTER_OF_ROW = "${__data.fields.cluster:percentencode}"
# Several panels share a line of the grid, which is 24 wide.
WIDTH = 24

# Limits as a list of (from, colour); the first colour holds from the bottom.
Limits = list[tuple[float | None, str]]
PLAIN: Limits = [(None, "blue")]
NONE_IS_GOOD: Limits = [(None, "green"), (1, "red")]
NONE_IS_BEST: Limits = [(None, "green"), (1, "orange")]
ALL_IS_GOOD: Limits = [(None, "red"), (1, "green")]
# What alerts/rules/thresholds.yml starts with, warning and critical: colours only, the dashboards work without the rules.
TIME_LAG: Limits = [(None, "green"), (600, "orange"), (3600, "red")]
HEADROOM: Limits = [(None, "red"), (3600, "orange"), (6 * 3600, "green")]

Mapping = dict[str, tuple[str, str]]
STATUS: Mapping = {"1": ("OK", "green"), "2": ("WARN", "orange"), "3": ("ERR", "red")}
PARTITION_STATUS: Mapping = {
    "1": ("OK", "green"), "2": ("WARN", "orange"), "4": ("STOP", "red"), "5": ("STALL", "red"), "6": ("REWIND", "red"),
}  # fmt: skip
UP: Mapping = {"0": ("down", "red"), "1": ("up", "green")}
SUCCESS: Mapping = {"0": ("failed", "red"), "1": ("ok", "green")}


def thresholds(limits: Limits) -> build.ThresholdsConfig:
    """Colours by value."""
    steps = [dashboard.Threshold(value=value, color=colour) for value, colour in limits]
    return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def value_map(mapping: Mapping) -> list[dashboard.ValueMapping]:
    """Words for numbers that are codes."""
    words = {
        value: dashboard.ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, (text, colour)) in enumerate(mapping.items())
    }
    return [dashboard.ValueMap(options=words)] if words else []


def _range_query(ref_id: str, expression: str, legend: str) -> Dataquery:
    return Dataquery().expr(expression).range().legend_format(legend).ref_id(ref_id).datasource(DATASOURCE)


def _instant_query(ref_id: str, expression: str, form: PromQueryFormat = PromQueryFormat.TIME_SERIES) -> Dataquery:
    return Dataquery().expr(expression).instant().format(form).ref_id(ref_id).datasource(DATASOURCE)


def _named(expressions: list) -> list:
    """Gives queries their letters."""
    return list(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", expressions, strict=False))


def stat(
    title: str, description: str, unit: str, expression: str, *, limits: Limits = PLAIN, width: int = 3,
    mapping: Mapping | None = None, no_value: str = NOT_KNOWN,
) -> StatPanel:  # fmt: skip
    """One number of now; its background is its colour."""
    return (
        StatPanel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(_instant_query("A", expression).legend_format(title))
        .unit(unit)
        .no_value(no_value)
        .thresholds(thresholds(limits))
        .mappings(value_map(mapping or {}))
        .color_scheme(build.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
        .reduce_options(build_common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_mode(common.BigValueColorMode.BACKGROUND)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.AUTO)
        .justify_mode(common.BigValueJustifyMode.AUTO)
        .orientation(common.VizOrientation.AUTO)
        .span(width)
        .height(4)
    )


def lines(
    title: str, description: str, unit: str, *queries: tuple[str, str], limits: Limits | None = None, width: int = 12,
    stacked: bool = False, negative: bool = False, height: int = 8, no_value: str = NOT_KNOWN,
) -> TimeSeriesPanel:  # fmt: skip
    """Lines over time; each query comes with its legend. Limits are drawn as lines."""
    panel = TimeSeriesPanel().title(title).description(description).datasource(DATASOURCE).unit(unit)
    for ref_id, (expression, legend) in _named(list(queries)):
        panel = panel.with_target(_range_query(ref_id, expression, legend))
    key = build_common.VizLegendOptions().show_legend(True).calcs(["lastNotNull", "max"])
    key = key.display_mode(common.LegendDisplayMode.TABLE).placement(common.LegendPlacement.BOTTOM)
    key = key.sort_by("Last *").sort_desc(True)
    drawn = common.GraphTresholdsStyleMode.DASHED if limits else common.GraphTresholdsStyleMode.OFF
    stacking = common.StackingMode.NORMAL if stacked else common.StackingMode.NONE
    panel = (
        panel.thresholds(thresholds(limits or [(None, "green")]))
        .thresholds_style(build_common.GraphThresholdsStyleConfig().mode(drawn))
        .color_scheme(build.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
        .no_value(no_value)
        .draw_style(common.GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(20 if stacked else 5)
        .show_points(common.VisibilityMode.AUTO)
        # A gap is a time at which the value was not known: it is not bridged.
        .span_nulls(False)
        .stacking(build_common.StackingConfig().mode(stacking).group("A"))
        .legend(key)
        .tooltip(build_common.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
        .span(width)
        .height(height)
    )
    return panel if negative else panel.axis_soft_min(0)


def timeline(
    title: str, description: str, expression: str, legend: str, mapping: Mapping, *, width: int = 12, height: int = 8,
) -> StateTimelinePanel:  # fmt: skip
    """States over time, a bar a thing."""
    return (
        StateTimelinePanel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(_range_query("A", expression, legend))
        .unit("none")
        .no_value(NOT_KNOWN)
        .mappings(value_map(mapping))
        .thresholds(thresholds([(None, "green")]))
        .color_scheme(build.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
        .merge_values(True)
        .show_value(common.VisibilityMode.AUTO)
        .align_value(common.TimelineValueAlignment.LEFT)
        .row_height(0.9)
        .legend(build_common.VizLegendOptions().show_legend(False).display_mode(common.LegendDisplayMode.LIST)
                .placement(common.LegendPlacement.BOTTOM).calcs([]))
        .tooltip(build_common.VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE).sort(common.SortOrder.NONE))
        .span(width)
        .height(height)
    )  # fmt: skip


@dataclass
class Column:
    """A column of a table: what is asked, or, without an expression, a label."""

    title: str
    expression: str = ""
    label: str = ""
    unit: str = "none"
    limits: Limits | None = None
    mapping: Mapping = field(default_factory=dict)
    link: tuple[str, str] | None = None
    width: int | None = None


def label(title: str, name: str, *, link: tuple[str, str] | None = None, width: int | None = None) -> Column:
    """A column that shows a label, with a link (title, address) on it."""
    return Column(title, label=name, unit="string", link=link, width=width)


def _column_override(column: Column) -> list[dashboard.DynamicConfigValue]:
    values = [("displayName", column.title), ("unit", column.unit)]
    if column.width:
        values.append(("custom.width", column.width))
    if column.mapping:
        values.append(("mappings", value_map(column.mapping)))
    if column.limits:
        values.append(("thresholds", thresholds(column.limits).build()))
    if column.limits or column.mapping:
        values.append(("custom.cellOptions", {"type": "color-text"}))
    if column.link:
        values.append(("links", [{"title": column.link[0], "url": column.link[1]}]))
    return [dashboard.DynamicConfigValue(id_val=name, value=value) for name, value in values]


def table(
    title: str, description: str, columns: list[Column], *, sort: str, descending: bool = True, width: int = WIDTH,
    height: int = 10, no_value: str = NOT_KNOWN,
) -> TablePanel:  # fmt: skip
    """A table of now: a query a column, merged by the labels that they share; an empty cell is a value that is not known.

    Where links lead to a cluster, every query bears the label `cluster` for them. Names of fields stay as Prometheus gives
    them, for links refer to them; people see the titles.
    """
    panel = TablePanel().title(title).description(description).datasource(DATASOURCE).unit("none").no_value(no_value)
    panel = panel.thresholds(thresholds([(None, "text")]))
    panel = panel.color_scheme(build.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
    order, hidden = [], {"Time": True}
    asked = _named([column for column in columns if column.expression])
    refs = {id(column): ref_id for ref_id, column in asked}
    leads_to_cluster = any(column.link and CLUSTER_OF_ROW in column.link[1] for column in columns)
    for ref_id, column in asked:
        expression = with_cluster_for_links(column.expression) if leads_to_cluster else column.expression
        panel = panel.with_target(_instant_query(ref_id, expression, PromQueryFormat.TABLE))
    for column in columns:
        value = (f"Value #{refs[id(column)]}" if len(asked) > 1 else "Value") if column.expression else ""
        # A query whose point is a label shows the label.
        if value and column.label:
            hidden[value] = True
        name = column.label or value
        order.append(name)
        panel = panel.override_by_name(name, _column_override(column))
    for name, shown in zip(IDENTITY, ("Namespace", "Job", "Cluster"), strict=True):
        if name not in order and any(name in column.expression for column in columns):
            panel = panel.override_by_name(name, _column_override(label(shown, name)))
            order.append(name)
    if leads_to_cluster:
        panel = panel.override_by_name("cluster", [dashboard.DynamicConfigValue(id_val="custom.hidden", value=True)])
    organize = {"excludeByName": hidden, "indexByName": {name: place for place, name in enumerate(order)}, "renameByName": {}}
    return (
        panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(dashboard.DataTransformerConfig(id_val="organize", options=organize))
        .show_header(True)
        .cell_height(common.TableCellHeight.SM)
        .sort_by([build_common.TableSortByFieldState().display_name(sort).desc(descending)])
        .footer(build_common.TableFooterOptions().show(False).reducer([]).count_rows(False).enable_pagination(True))
        .span(width)
        .height(height)
    )
