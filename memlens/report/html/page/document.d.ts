// The data document that Python writes into the report, format 1. Sizes are in bytes, times in seconds.

export type Unit =
  "text" | "bytes" | "count" | "change_bytes" | "change_count" | "percent" | "seconds"
  | "bytes_per_hour" | "time" | "number";

export interface Process {
  pid: number | null;
  command: string | null;
  python: string | null;
  platform: string | null;
  seconds: number | null;
}

export type VerdictState = "leak" | "no leak" | "unexplained growth" | "unknown" | "none";

export interface Verdict {
  state: VerdictState;
  confidence: "high" | "medium" | "low" | null;
  sentence: string;
  details: string[];
}

export interface Series {
  key: string;
  label: string;
  help: string;
  bytes: (number | null)[];
}

export interface Mark {
  seconds: number;
  kind: "snapshot" | "alert" | "collection" | "deploy";
  label: string;
}

export interface Timeline {
  start: number;
  seconds: number[];
  series: Series[];
  limit_bytes: number | null;
  limit_source: string | null;
  marks: Mark[];
}

export interface Hop {
  text: string;
  kind: "root" | "hop" | "holder" | "element";
  type: string | null;
  suspect: boolean;
}

export interface Frame {
  function: string;
  file: string;
  line: number;
}

export interface Site {
  share: number | null;
  bytes: number | null;
  frames: Frame[];
}

export interface Source {
  file: string;
  line: number;
  first_line: number;
  lines: string[];
  function: string | null;
  shows: "keeps" | "uses" | "allocates";
}

export interface Suspect {
  id: string;
  holder: string;
  holder_type: string | null;
  growth_bytes: number | null;
  growth_elements: number | null;
  retained_bytes: number | null;
  bytes_per_hour: number | null;
  native: { text: string; bytes: number }[];
  gains: string[];
  path: Hop[];
  sites: Site[];
  source: Source[];
  pattern: string | null;
  evidence: string | null;
  advice: string | null;
  origin: string | null;
  status: "new" | "known" | null;
  since: string | null;
}

export interface Measure {
  key: string;
  label: string;
  unit: Unit;
}

export interface Flame {
  key: string;
  label: string;
  unit: Unit;
  measures: Measure[];
  names: string[];
  files: string[];
  parent: number[];
  name: number[];
  file: number[];
  line: number[];
  values: Record<string, number[]>;
  omitted: { nodes: number; text: string } | null;
}

export interface Treemap {
  total_bytes: number;
  shown_bytes: number;
  names: string[];
  types: string[];
  parent: number[];
  name: number[];
  type: number[];
  count: number[];
  retained: number[];
  shallow: number[];
  native: number[];
  path: number[] | null;
  omitted: { text: string } | null;
}

export interface Column {
  key: string;
  label: string;
  unit: Unit;
  help: string;
}

export type Cell = string | number | null;

export interface Table {
  key: string;
  label: string;
  help: string;
  columns: Column[];
  rows: Cell[][];
  full?: string[]; // for each row what its first column is in full
  omitted: { rows: number; text: string } | null;
}

export interface LinesOfFile {
  file: string;
  first_line: number;
  rows: [number, number | null, number | null, string | null][];
}

export interface Part {
  label: string;
  bytes: number;
  help: string;
  parts?: Part[] | null;
}

export interface HealthFact {
  label: string;
  value: string;
  state: "ok" | "warning" | "error";
  help: string;
}

export interface ReportDocument {
  format: number;
  memlens: string;
  title: string;
  made_at: number;
  process: Process | null;
  verdict: Verdict;
  timeline: Timeline | null;
  suspects: Suspect[];
  flames: Flame[];
  treemap: Treemap | null;
  tables: Table[];
  lines: LinesOfFile[];
  breakdown: { rss_bytes: number; parts: Part[] } | null;
  health: HealthFact[];
  missing: string[];
  glossary: Record<string, string>;
}

export interface FleetLeak {
  table: string;
  fingerprint: string;
  holder: string;
  unit: string;
  of_hosts: number | null;
  status: string | null;
  first_release: string | null;
  held_by: string | null;
  pattern: string | null;
  site: string | null;
  suggestion: string | null;
  share: number | null;
  growth_bytes_per_hour: number | null;
  growth_bytes: number | null;
  since: number | null;
  hosts: number | null;
}

export interface FleetService {
  service: string;
  summary: string;
  sentence: string;
  leaks: FleetLeak[];
  leak_count: number;
  tables: (Table & { notes: string[] })[];
}

export interface FleetDocument {
  format: number;
  memlens: string;
  title: string;
  made_at: number;
  services: FleetService[];
  skipped: string[];
  skipped_count: number;
  facts: [string, string][];
}
