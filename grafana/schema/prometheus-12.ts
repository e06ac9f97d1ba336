// Later schemas leave the queries of data sources to these.
import type { DataQuery } from '@grafana/schema';

export type PrometheusQuery = DataQuery & { expr: string; instant?: boolean; range?: boolean; format?: 'time_series' | 'table' | 'heatmap'; legendFormat?: string };
