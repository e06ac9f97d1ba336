// Until Grafana 11 the schema has the queries of the Prometheus data source.
import type { PrometheusDataQuery } from '@grafana/schema/dist/esm/raw/composable/prometheus/dataquery/x/PrometheusDataQuery_types.gen';

export type PrometheusQuery = PrometheusDataQuery;
