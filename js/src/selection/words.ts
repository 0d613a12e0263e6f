/** What the page calls an example and what it is made of: the words of a picture, and those of a row of a table. */
import type { View } from "../state/view";
import { currentTable } from "./table";

export interface StageWords {
  /** One example, as in "on this picture". */
  readonly example: string;
  readonly examples: string;
  /** As the title of what stands on the left. */
  readonly title: string;
  /** As the end of the path. */
  readonly input: string;
  /** What an example is made of, as a place where something is seen. */
  readonly parts: string;
  /** What the tab "Where" tells. */
  readonly where: string;
  /** How to ask about a part. */
  readonly ask: string;
  /** The key that lets go of what was asked about. */
  readonly letGo: string;
  /** What the file of it is. */
  readonly figure: string;
  /** What can be done without a kernel, before all else. */
  readonly free: string;
}

const PICTURE: StageWords = {
  example: "picture",
  examples: "examples",
  title: "Picture",
  input: "the picture",
  parts: "the pixels",
  where: "What in the picture made the model say so",
  ask: "Click a place on the picture: what the map says it is worth, what covering it costs, and what reads it.",
  letGo: "No region (key Delete on the picture)",
  figure: "Download the picture with its map as a PNG file, for a paper",
  free: "Colours, modes, zoom, the walk",
};

const TABLE: StageWords = {
  example: "row",
  examples: "rows",
  title: "Row",
  input: "this row",
  parts: "the columns",
  where: "Which columns made the model say so",
  ask: "Click a column: what the map says it is worth, and what covering it costs.",
  letGo: "No column (key Delete on the list)",
  figure: "Download the row with its map as a PNG file, for a paper",
  free: "The walk",
};

export const stageWords = (view: View): StageWords => (currentTable(view) ? TABLE : PICTURE);
