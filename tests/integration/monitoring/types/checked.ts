// The shape of the dashboard's JSON, by Grafana's own types: the whole, and what each kind of panel in it may be told.
import type { Dashboard, FieldConfig, FieldConfigSource, GraphFieldConfig, Panel, RowPanel, TableFieldOptions } from '@grafana/schema';
import type * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as timeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// JSON has no enums: a member stands for itself.
type Json<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends Array<infer E> ? Array<Json<E>>
  : T extends object ? { [K in keyof T]: Json<T[K]> }
  : T;

interface Query {
  datasource: { type: 'prometheus'; uid: '${datasource}' };
  refId: string;
  expr: string;
  legendFormat?: string;
  instant: boolean;
  range: boolean;
  format: 'time_series' | 'table';
}

// What Grafana leaves open is named here: the panel's own options, and its own part of how fields are drawn.
type Fields<Custom> = Omit<Json<FieldConfigSource>, 'defaults'> & {
  defaults: Omit<Json<FieldConfig>, 'custom'> & { custom?: Json<Custom> };
};
type Of<Kind extends string, Options, Custom = Record<string, never>> = Omit<
  Json<Panel>, 'type' | 'options' | 'targets' | 'fieldConfig'
> & { type: Kind; options: Json<Options>; targets: Query[]; fieldConfig: Fields<Custom> };

type Shown =
  | Json<RowPanel>
  | Of<'bargauge', bargauge.Options>
  | Of<'stat', stat.Options>
  | Of<'state-timeline', timeline.Options, timeline.FieldConfig>
  | Of<'table', table.Options, Partial<TableFieldOptions>>
  | Of<'timeseries', timeseries.Options, GraphFieldConfig>;

export type Checked = Omit<Json<Dashboard>, 'panels'> & { panels: Shown[] };
