/** The row of a table on show, where the inputs are one. */
import { type Table, table } from "../data/table";
import type { View } from "../state/view";

/** The row; undefined where the inputs are pictures. */
export const currentTable = (view: View): Table | undefined => table(view.get("table"));

/** What a column is called. */
export function columnName(view: View, column: number): string {
  const name = currentTable(view)?.columns[column]?.name ?? "";
  return name.trim() ? name : `column ${column}`;
}
