/**
 * Files of what is on show: the kernel makes them, the browser keeps them. The kernel answers all pages that show the
 * Explorer at once, so each names what it asks for and takes only that.
 */
import type { Binary } from "../lib/binary";
import { h, setAttribute, setText } from "../lib/dom";
import { download } from "../lib/download";
import { freshId } from "../lib/disclosure";
import { button } from "../lib/form-controls";
import { stageWords } from "../selection/words";
import type { Exported, ExportKind } from "../state/messages.generated";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { whyOff } from "./needs-kernel";

const BUTTONS: readonly { readonly what: ExportKind; readonly label: string; readonly title: string }[] = [
  { what: "figure", label: "Figure", title: "" },
  { what: "slide", label: "Slide", title: "Download a slide of 16 to 9 as a PNG file" },
  {
    what: "html",
    label: "Web page",
    title: "Download one HTML file that needs neither network nor kernel",
  },
];

function isExported(content: unknown): content is Exported {
  return (
    typeof content === "object" && content !== null && (content as { type?: unknown }).type === "exported"
  );
}

/** The buttons that download a file, and a word about how that goes. */
export class ExportButtons {
  readonly nodes: readonly HTMLButtonElement[];
  readonly done = h("span", { class: "as-done", "aria-live": "polite" });
  readonly #state: State;
  /** Tells this view from others of the same Explorer. */
  readonly #view = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  /** What was asked for and has not come yet. */
  #awaited: string | undefined;

  constructor(state: State) {
    this.#state = state;
    this.nodes = BUTTONS.map(({ what, label, title }) => {
      const made = button("as-button", label, state.signal, () => this.ask(what));
      made.title = title || stageWords(state.view).figure;
      return made;
    });
    state.hear((content, buffers) => {
      if (isExported(content) && content.request === this.#awaited) this.#take(content, buffers);
    });
    state.follow(this);
  }

  show(view: View): void {
    const why = whyOff(view.kernel);
    if (why !== undefined) this.#await(undefined);
    this.nodes.forEach((node, i) => {
      node.disabled = why !== undefined;
      // Not off, for then the focus would be gone, and with it the keys that close the panel.
      setAttribute(node, "aria-disabled", this.#awaited === undefined ? undefined : "true");
      node.title = why ?? BUTTONS[i]!.title;
    });
  }

  /** Asks the kernel for a file, which is downloaded when it comes. */
  ask(what: ExportKind): void {
    if (this.#awaited !== undefined) return;
    const request = `${this.#view}-${freshId()}`;
    this.#await(request, "Preparing the file");
    this.#state.send({ type: "export", what, request });
  }

  #take({ name, reason }: Exported, buffers: readonly Binary[]): void {
    const [file] = buffers;
    if (name !== undefined && file) download(name, file, this.#state.signal);
    this.#await(undefined, reason ?? `Downloaded ${name ?? ""}`);
  }

  #await(request: string | undefined, words = ""): void {
    if (request === this.#awaited && words === "") return;
    this.#awaited = request;
    setText(this.done, words);
    this.#state.redraw(this);
  }
}
