// What a dashboard of ours may be, by Grafana's own types: kinds of panels with their options, nothing that they do not know.
//
// The types of @grafana/schema leave `options` and `custom` open in general and say in a module for each panel what is in them.
// Here both are put together, so that a property that no version has, or a wrong value, is an error of the compiler.

import type {
  AnnotationQuery,
  Dashboard,
  FieldConfig,
  Panel,
  RowPanel,
  TableFieldOptions,
  VariableModel,
} from '@grafana/schema';
import type * as StateTimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as Stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as Table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as TimeSeries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

import type { PrometheusQuery } from './prometheus';

// JSON has no enumerations: their values stand for them.
type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;

type Of<Kind extends string, Options, Custom> = Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets' | 'id' | 'gridPos' | 'title' | 'description'> &
  Required<Pick<Panel, 'id' | 'gridPos' | 'title' | 'description'>> & {
    type: Kind;
    options: Options;
    fieldConfig: {
      defaults: Omit<FieldConfig, 'custom' | 'unit'> & { unit: string; custom?: Custom };
      overrides: Panel['fieldConfig'] extends infer C ? (C extends { overrides: infer O } ? O : never) : never;
    };
    targets: PrometheusQuery[];
  };

// Grafana 12.2 moved what is in it, and moves it itself when it opens an older table.
type Footer = { show: boolean; reducer: string[]; countRows?: boolean; enablePagination?: boolean };

// Partial: what a later version adds, it fills in itself.
type AnyPanel =
  | Of<'stat', Partial<Stat.Options>, never>
  | Of<'timeseries', Partial<TimeSeries.Options>, Partial<TimeSeries.FieldConfig>>
  | Of<'state-timeline', Partial<StateTimeline.Options>, Partial<StateTimeline.FieldConfig>>
  | Of<'table', Partial<Table.Options> & { footer?: Footer }, Partial<TableFieldOptions>>
  | (Omit<RowPanel, 'panels'> & { panels: [] });

// What the Prometheus data source reads of an annotation is in no schema.
type Annotation = Omit<AnnotationQuery, 'target'> & { expr: string; step: string; titleFormat: string; textFormat: string; tagKeys: string };

// Grafana 10.1 reads these, its schema does not have them yet.
type Variable = Partial<VariableModel> & { includeAll?: boolean; allValue?: string; sort?: number };

// `style` was asked for until 10.1 and is unknown after it: Grafana takes the user's.
export type Board = Plain<
  Omit<Dashboard, 'panels' | 'annotations' | 'templating' | 'style'> & {
    panels: AnyPanel[];
    annotations: { list: Annotation[] };
    templating: { list: Variable[] };
  }
>;
